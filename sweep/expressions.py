"""Conditions over parameters, in a safe subset of Python's expressions.

`task == 'one_hot_sum' and network.type != 'dense'`: comparisons, `and`, `or`,
`not`, `in`, arithmetic, and nested parameters by dot. Evaluated by simpleeval,
with no functions and bounded powers and lengths.
"""

import ast
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from sweep.errors import SpecError

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


Condition = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(check_condition)]


def _parse(source: str) -> ast.Expr:
    from simpleeval import InvalidExpression, SimpleEval

    try:
        tree: ast.AST = SimpleEval.parse(source.strip())
    except (InvalidExpression, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot read the condition {source!r}: {error}") from None
    if not isinstance(tree, ast.Expr):
        raise ValueError(f"the condition {source!r} is no expression")
    for node in ast.walk(tree):
        if isinstance(node, _FORBIDDEN):
            raise ValueError(f"the condition {source!r} may not call or define anything")
        name = str(getattr(node, "attr", "") or getattr(node, "id", ""))
        if name.startswith("_"):
            raise ValueError(f"the condition {source!r} may not name {name!r}")
    return tree


class ConditionEvaluator:
    """Evaluates conditions that were parsed once, over many assignments."""

    def __init__(self, sources: tuple[str, ...]) -> None:
        self._parsed = [(source, _parse(source)) for source in sources]

    def any_true(self, parameters: Mapping[str, Any]) -> bool:
        """Whether one of the conditions holds for an assignment.

        Raises:
            SpecError: when one cannot be evaluated, say for a parameter that it lacks.
        """
        if not self._parsed:
            return False
        from simpleeval import EvalWithCompoundTypes

        evaluator = EvalWithCompoundTypes(names=dict(parameters), functions={})
        for source, tree in self._parsed:
            try:
                if evaluator.eval(source, previously_parsed=tree):
                    return True
            except Exception as error:  # noqa: BLE001 - simpleeval lets any operator's own error through
                raise SpecError(
                    f"the condition {source!r} cannot be evaluated: {error}; "
                    f"the parameters are {', '.join(parameters)}"
                ) from None
        return False
