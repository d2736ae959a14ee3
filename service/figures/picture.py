"""Figures as PNG, by a browser that plotly's kaleido drives."""

import asyncio
import os
import shutil
import threading
from collections.abc import Mapping
from typing import Any

from service.figures.style import Look
from sweep.errors import ServiceUnavailable

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_LIMIT_S = 60.0
_WAIT_S = 60.0
_FONTS = "Inter, system-ui, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"

WIDTH, HEIGHT = 1_000, 600

_one_at_a_time = threading.Lock()


def find_browser() -> str | None:
    """The browser that draws; `BROWSER_PATH` names one that is not on the path."""
    named = os.environ.get("BROWSER_PATH")
    return named or next(filter(None, map(shutil.which, _BROWSERS)), None)


def draw(figure: Mapping[str, Any], look: Look) -> bytes:
    """A figure as PNG, twice as fine as its size says, on the theme's own background.

    One is drawn at a time, within a minute; the browser ends afterwards.

    Raises:
        ServiceUnavailable: when there is no kaleido or browser, or they do not answer.
    """
    try:
        import kaleido
    except ImportError:
        raise ServiceUnavailable(
            "PNG needs kaleido, which is not installed: pip install 'sweep-service[service]', "
            "or ask for format=json"
        ) from None
    browser = find_browser()
    if browser is None:
        raise ServiceUnavailable(
            "PNG needs a Chromium or Chrome on the service's machine, and there is none: install "
            "one, name it in BROWSER_PATH, or ask for format=json"
        )
    shown = _standing_alone(figure, look)
    size = {"format": "png", "scale": 2, **_size(shown)}
    if not _one_at_a_time.acquire(timeout=_WAIT_S):
        raise ServiceUnavailable("too many pictures are being drawn: try again in a minute")
    try:
        picture: bytes = asyncio.run(
            asyncio.wait_for(
                kaleido.calc_fig(
                    shown,
                    opts=size,
                    kopts={"path": browser, "mathjax": False, "timeout": _LIMIT_S},
                ),
                _LIMIT_S,
            )
        )
    except (OSError, RuntimeError, TimeoutError) as error:
        raise ServiceUnavailable(f"the browser {browser} drew nothing: {error!r}") from error
    finally:
        _one_at_a_time.release()
    return picture


def _standing_alone(figure: Mapping[str, Any], look: Look) -> dict[str, Any]:
    """With fonts and a background of its own, which a page would give it."""
    layout = dict(figure["layout"])
    layout["font"] = {**layout["font"], "family": _FONTS}
    layout["paper_bgcolor"] = look.paper
    margin = layout["margin"]
    layout["margin"] = {**margin, "l": max(margin["l"], 24), "b": max(margin["b"], 24)}
    layout["title"] = {**layout["title"], "pad": {"t": 20}}
    return {"data": [dict(trace) for trace in figure["data"]], "layout": layout}


def _size(figure: Mapping[str, Any]) -> dict[str, int]:
    layout = figure["layout"]
    return {"width": layout.get("width") or WIDTH, "height": layout.get("height") or HEIGHT}
