"""MNIST's IDX files: a header of big-endian sizes, then unsigned bytes."""

import gzip
import math
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sweep.errors import TrialFault

_UNSIGNED_BYTE = 0x08
_MOST_BYTES = 2**31

SOURCES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/ or "
    "https://storage.googleapis.com/cvdf-datasets/mnist/"
)
"""Where MNIST can be had."""


def find(folder: Path, name: str) -> Path:
    """The file of that name, plain or with .gz.

    Raises:
        TrialFault: saying where the files can be had, when there is none.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise TrialFault(
        f"there is no {name} or {name}.gz in the MNIST folder {str(folder)!r}: download the four "
        f"files (train and t10k, images-idx3-ubyte and labels-idx1-ubyte) from {SOURCES}"
    )


def read(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes.

    Args:
        path: the file; read as gzip when its name ends in .gz.
        dimensions: how many the array must have.

    Raises:
        TrialFault: when the file is malformed, cut off, too long or not of that kind.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with cast(BinaryIO, opener(path, "rb")) as file:
            sizes = _sizes(file, path, dimensions)
            wanted = math.prod(sizes)
            body = file.read(wanted + 1)
    except (OSError, EOFError, ValueError) as error:
        raise TrialFault(f"the IDX file {path} cannot be read: {error}") from error
    if len(body) != wanted:
        found = "more" if len(body) > wanted else f"{len(body)} of them"
        raise TrialFault(f"the IDX file {path} announces {wanted} bytes ({sizes}) and has {found}")
    return np.frombuffer(body, dtype=np.uint8).reshape(sizes)


def _sizes(file: BinaryIO, path: Path, dimensions: int) -> tuple[int, ...]:
    """The sizes in the header."""
    length = 4 + 4 * dimensions
    header = file.read(length)
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if len(header) < length or header[:4] != magic:
        raise TrialFault(
            f"{path} is no IDX file of unsigned bytes in {dimensions} dimensions: it starts with "
            f"{header[:4].hex(' ') or 'nothing'} ({len(header)} bytes of header), not with "
            f"{magic.hex(' ')} and {dimensions} sizes"
        )
    sizes = tuple(int(size) for size in np.frombuffer(header[4:], dtype=">u4"))
    if not 0 < math.prod(sizes) <= _MOST_BYTES:
        raise TrialFault(
            f"the IDX file {path} announces the sizes {sizes}: 1 to {_MOST_BYTES} bytes are read"
        )
    return sizes
