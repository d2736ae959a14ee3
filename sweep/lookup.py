"""Whether an archive has what a spec's trainable names. Code is read here, never imported."""

import ast
import zipfile

from sweep.definitions import defines
from sweep.errors import FieldProblem, SpecError
from sweep.trainables import is_script

_MAX_SOURCE = 1_000_000


def check_trainable(archive: zipfile.ZipFile, trainable: str) -> None:
    """Check that an archive has a script, or a module with a function at its top level.

    Raises:
        SpecError: when it has not, or when the source cannot be read.
    """
    if is_script(trainable):
        _parse(archive, _script(archive, trainable))
        return
    module, _, function = trainable.partition(":")
    path = _module(archive, module)
    if not defines(_parse(archive, path), function):
        raise _problem(f"{path} in the sweep's code defines no {function!r} at its top level")


def _script(archive: zipfile.ZipFile, path: str) -> str:
    if path not in archive.namelist():
        raise _problem(f"there is no file {path!r} in the sweep's code; {_has(archive)}")
    return path


def _module(archive: zipfile.ZipFile, module: str) -> str:
    path, present = module.replace(".", "/"), set(archive.namelist())
    for candidate in (f"{path}/__init__.py", f"{path}.py"):  # a package hides a module
        if candidate in present:
            return candidate
    raise _problem(
        f"there is no module {module!r} in the sweep's code, neither {path}.py nor "
        f"{path}/__init__.py; {_has(archive)}"
    )


def _has(archive: zipfile.ZipFile) -> str:
    """What there is instead, for a message."""
    scripts = sorted(name for name in archive.namelist() if name.endswith(".py"))[:10]
    return f"it has {', '.join(scripts)[:500] or 'no Python file'}"


def _parse(archive: zipfile.ZipFile, path: str) -> ast.Module:
    if archive.getinfo(path).file_size > _MAX_SOURCE:
        raise _problem(f"{path} in the sweep's code has more than {_MAX_SOURCE:,} bytes")
    try:
        return ast.parse(archive.read(path), filename=path)
    except (SyntaxError, ValueError) as error:
        raise _problem(f"{path} in the sweep's code cannot be read as Python: {error}") from None
    except (RecursionError, MemoryError):
        raise _problem(f"{path} in the sweep's code is nested too deeply") from None


def _problem(message: str) -> SpecError:
    return SpecError([FieldProblem("trainable", message)])
