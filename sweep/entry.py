"""From the name of a function or a script to something that trains.

Importing a user's code takes place here and nowhere else, in the processes that train.
"""

import importlib
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweep.current import installed
from sweep.errors import TrialFault
from sweep.run import Run
from sweep.trainables import is_script

Train = Callable[[dict[str, Any], Run], None]


def load_code(path: str) -> Train:
    """The function at `package.module:function`, or one that runs the script at a path.

    Raises:
        ImportError: when there is none.
    """
    if is_script(path):
        return script(find_script(path))
    module_name, _, name = path.partition(":")
    function = getattr(_module(module_name), name, None)
    if not callable(function):
        raise ImportError(f"module {module_name!r} has no function {name!r}")
    loaded: Train = function
    return loaded


def _module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ModuleNotFoundError(
            f"there is no module {error.name!r} where this trial runs: if it is a file of your "
            "own, submit the sweep with `sweep submit FILE --code FOLDER`",
            name=error.name,
        ) from error


def find_script(path: str) -> Path:
    """The script's file, in the first folder that Python imports from and that has it.

    Raises:
        ImportError: when none has.
    """
    for folder in sys.path:
        file = Path(folder, path)
        if file.is_file():
            return file.absolute()
    raise ImportError(f"there is no script {path!r} in the folders that Python imports from")


def script(file: Path) -> Train:
    """A function that runs a script from its start to its end, in this process."""

    def train(params: Mapping[str, Any], run: Run) -> None:
        with installed(run, params), _as_program(file):
            try:
                runpy.run_path(str(file), run_name="__main__")
            except SystemExit as ended:
                if ended.code not in (None, 0):
                    raise TrialFault(f"{file.name} ended with sys.exit({ended.code!r})") from ended

    return train


@contextmanager
def _as_program(file: Path) -> Iterator[None]:
    """What `python FILE` sets: no arguments, and the script's folder first among imports."""
    arguments, folder = sys.argv, str(file.parent)
    sys.argv = [str(file)]
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.argv = arguments
        if folder in sys.path:
            sys.path.remove(folder)
