"""A user's own code: fetched, checked to be what the spec names, laid out for packing.

Trials get it from Ray, which hands the archive to every node that trains (see `connect`).
The driver itself imports it only where trials are packed, since a `Packable` tells which
trials go together.
"""

import hashlib
import sys
import zipfile
from pathlib import Path

from sweep.code_names import address_of
from sweep.errors import SweepError
from sweep.spec import SweepSpec
from workers.driver.service import DriverService


class WrongCode(SweepError):
    """The archive that came is not the one that the spec names."""


def fetch(service: DriverService, spec: SweepSpec, folder: Path) -> Path | None:
    """The archive that a spec names, as a file in a folder; None when it names none.

    Raises:
        WrongCode: when its bytes do not have the hash that the spec names.
    """
    if spec.code is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "code.zip"
    with file.open("w+b") as content:
        service.code(content)
        content.seek(0)
        found = address_of(hashlib.file_digest(content, "sha256").hexdigest())
    if found != spec.code:
        raise WrongCode(f"the spec names the code {spec.code}, and what came is {found}")
    if spec.pack not in (None, "off"):
        _lay_out(file, folder / "code")
    return file


def _lay_out(file: Path, folder: Path) -> None:
    """Let this process import from the archive, as the trials do."""
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    sys.path.insert(0, str(folder))
