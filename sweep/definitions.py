"""What the source of a module defines at its top level, as far as reading it tells.

A name counts that any path through the module may bind. Where names come from what only
running the module shows, every name counts: the import in a trial has the last word.
"""

import ast
from collections.abc import Iterator

_ANY = "*"
_MODULE_GETATTR = "__getattr__"
_OPAQUE = frozenset({"exec", "globals", "locals", "setattr", "vars"})
"""Built-in functions through which a module may define anything."""


def defines(module: ast.Module, name: str) -> bool:
    """Whether a module defines a name, or may define any."""
    wanted = {name, _ANY, _MODULE_GETATTR}
    return any(found in wanted for found in _names(module))


def _names(module: ast.Module) -> Iterator[str]:
    waiting: list[ast.AST] = [module]
    while waiting:  # no recursion: a chain of `elif` is as deep as it is long
        node = waiting.pop()
        yield from _bound(node)
        waiting.extend(_inside(node))


def _bound(node: ast.AST) -> Iterator[str]:
    """What a node binds itself, without what is in it."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            yield from _from_within(node)
            if isinstance(node, ast.FunctionDef):
                yield node.name
        case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in aliases)
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.Call(func=ast.Name(id=function)) if function in _OPAQUE:
            yield _ANY


def _from_within(function: ast.AST) -> Iterator[str]:
    """What a function may define in its module when it is called."""
    for node in ast.walk(function):
        match node:
            case ast.Global(names=names):
                yield from names
            case ast.Call(func=ast.Name(id="globals")):
                yield _ANY


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node in which names of the module may be bound."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield from node.decorator_list
        case ast.Lambda():
            return
        case ast.AnnAssign(value=None):
            return
        case ast.comprehension(iter=source, ifs=conditions):
            yield from (source, *conditions)
        case _:
            yield from ast.iter_child_nodes(node)
