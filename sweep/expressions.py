"""Conditions over parameters, in a safe subset of Python's expressions.

`task == 'one_hot_sum' and network.type != 'dense'`: comparisons, `and`, `or`,
`not`, `in`, arithmetic, and nested parameters by dot. Evaluated by simpleeval,
with no functions and bounded powers and lengths. A parameter that an assignment
lacks is None.
"""

import ast
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, Field

from sweep.errors import FieldProblem, SpecError
from sweep.plain import find

MAX_CONDITION = 2_000
"""Characters of a condition."""

_FORBIDDEN = (
    *(ast.Call, ast.JoinedStr, ast.Lambda, ast.NamedExpr),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def check_condition(source: str) -> str:
    """The condition as it stands, once it is known to be readable.

    Raises:
        ValueError: saying what is wrong with it.
    """
    _parse(source)
    return source


Condition = Annotated[
    str, Field(min_length=1, max_length=MAX_CONDITION), AfterValidator(check_condition)
]


def names_in(source: str) -> tuple[str, ...]:
    """Every name in a condition, with dots, in the order of the expression.

    Raises:
        ValueError: as `check_condition` does.
    """
    walked = ast.walk(_parse(source))
    return tuple(dict.fromkeys(n.id for n in walked if isinstance(n, ast.Name)))


@lru_cache(maxsize=512)
def _parse(source: str) -> ast.AST:
    """The condition's tree, which nobody changes; attributes of names are dotted names."""
    try:
        tree = ast.Expr(ast.parse(source.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot read the condition {source!r}: {error}") from None
    for node in ast.walk(tree):
        if isinstance(node, _FORBIDDEN):
            raise ValueError(f"the condition {source!r} may not call or define anything")
        name = str(getattr(node, "attr", "") or getattr(node, "id", ""))
        if name.startswith("_"):
            raise ValueError(f"the condition {source!r} may not name {name!r}")
    try:
        dotted: ast.AST = _Dotted().visit(tree)
    except RecursionError:
        raise ValueError(f"the condition {source!r:.100} is nested too deep") from None
    return dotted


class _Dotted(ast.NodeTransformer):
    """Makes one name of a parameter's whole path, so that a lookup sees it whole."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """`a.b` as the name 'a.b'; an attribute of anything else stays."""
        inner = self.visit(node.value)
        if isinstance(inner, ast.Name):
            return ast.Name(id=f"{inner.id}.{node.attr}", ctx=ast.Load())
        return ast.Attribute(value=inner, attr=node.attr, ctx=ast.Load())


class Names(Protocol):
    """What a condition's names stand for."""

    def __getitem__(self, name: str, /) -> Any:
        """The value of a dotted name; KeyError when there is no such name."""


class ParsedCondition:
    """A condition that was parsed once and is evaluated often; not by two threads at once."""

    def __init__(self, source: str) -> None:
        from simpleeval import EvalWithCompoundTypes

        self.source = source
        self._tree = _parse(source)
        self._evaluator = EvalWithCompoundTypes(functions={})
        self._evaluator.functions.clear()
        self.names = names_in(source)

    def holds(self, names: Names) -> bool:
        """Whether it is true.

        Raises:
            SpecError: when it cannot be evaluated.
        """
        self._evaluator.names = names
        try:
            return bool(self._evaluator.eval(self.source, previously_parsed=self._tree))
        except SpecError:
            raise
        except Exception as error:  # noqa: BLE001 - simpleeval lets any operator's own error through
            raise SpecError(f"the condition {self.source!r} cannot be evaluated: {error}") from None


class Lookup:
    """The values of an assignment by dotted name.

    Args:
        parameters: the assignment.
        declared: the outermost names that may be absent from it; they count as None.
    """

    def __init__(self, parameters: Mapping[str, Any], declared: frozenset[str]) -> None:
        self._parameters = parameters
        self._declared = declared

    def __getitem__(self, name: str) -> Any:
        path = name.split(".")
        if path[0] not in self._parameters and path[0] not in self._declared:
            raise KeyError(name)
        return find(self._parameters, path)


class ConditionEvaluator:
    """Evaluates the conditions of `exclude`, parsed once, over many assignments.

    Args:
        sources: the conditions.
        declared: the outermost names that an assignment may lack.
    """

    def __init__(self, sources: tuple[str, ...], declared: Iterable[str] = ()) -> None:
        self._parsed = [ParsedCondition(source) for source in sources]
        self._declared = frozenset(declared)

    def any_true(self, parameters: Mapping[str, Any]) -> bool:
        """Whether one of the conditions holds for an assignment.

        Raises:
            SpecError: when one cannot be evaluated, say for a parameter that there is not.
        """
        return self.first_true(parameters) is not None

    def first_true(self, parameters: Mapping[str, Any]) -> str | None:
        """The first condition that holds for an assignment; None when none does.

        Raises:
            SpecError: as `any_true` does.
        """
        names = Lookup(parameters, self._declared)
        for i, condition in enumerate(self._parsed):
            try:
                if condition.holds(names):
                    return condition.source
            except SpecError as error:
                there = ", ".join(parameters)
                message = f"{error.message}; the parameters are {there}"
                raise SpecError([FieldProblem(f"exclude[{i}]", message)]) from None
        return None

    def allows(self, parameters: Mapping[str, Any]) -> bool:
        """Whether none holds for an assignment; one that cannot be evaluated counts as holding.

        Not every assignment is seen when a spec is checked, and who proposes one in training
        cannot ask.
        """
        try:
            return not self.any_true(parameters)
        except SpecError:
            return False
