"""The page's scripts and styles, under addresses that hold a hash of their content.

What an address names never changes, so browsers may keep it; a new version has a new
address. Nothing is read before it is asked for.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

from sweep.errors import NotFound

router = APIRouter(include_in_schema=False)

PLOTLY = "plotly.min.js"

_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FOR_GOOD = "public, max-age=31536000, immutable"
_HASH_CHARS = 12


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    packed: bytes
    """Compressed by gzip."""
    kind: str


@router.get("/static/{version}/{name:path}")
def static_file(request: Request, version: str, name: str) -> Response:
    """A script or a style; it holds nothing of anybody's sweeps, so it needs no token."""
    current = plotly_version() if name == PLOTLY else static_version()
    asset = _plotly() if name == PLOTLY else _assets().get(name)
    if asset is None:
        raise NotFound(f"there is no file {name!r:.100}")
    headers = {
        "Cache-Control": _FOR_GOOD if version == current else "no-cache",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, media_type=asset.kind, headers=headers)
    return Response(gzip.decompress(asset.packed), media_type=asset.kind, headers=headers)


@cache
def static_version() -> str:
    """A hash of every file, so that modules find each other under one address."""
    found = hashlib.sha256()
    for name, asset in sorted(_assets().items()):
        found.update(name.encode() + b"\0" + asset.packed)
    return found.hexdigest()[:_HASH_CHARS]


@cache
def plotly_version() -> str:
    """A hash of Plotly's script."""
    with as_file(files("plotly").joinpath("package_data", PLOTLY)) as path, path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_HASH_CHARS]


@cache
def _assets() -> Mapping[str, Asset]:
    return dict(_read(files("service.dashboard").joinpath("static"), ""))


def _read(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        suffix = "." + entry.name.rpartition(".")[2]
        if entry.is_dir():
            found += _read(entry, f"{name}/")
        elif suffix in _KINDS:
            found.append((name, _pack(entry.read_bytes(), _KINDS[suffix])))
    return found


@cache
def _plotly() -> Asset:
    """Plotly's script from its Python package, a sixth of a second the first time."""
    script = files("plotly").joinpath("package_data", PLOTLY).read_bytes()
    return _pack(script, _KINDS[".js"])


def _pack(body: bytes, kind: str) -> Asset:
    return Asset(gzip.compress(body, 6, mtime=0), f"{kind}; charset=utf-8")
