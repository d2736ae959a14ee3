"""Figures as PNG, by a browser that plotly's kaleido drives."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import psutil

from service.figures.style import Look
from sweep.errors import ServiceUnavailable

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_LIMIT_S = 60.0
_WAIT_S = 60.0
_END_S = 5.0
_FONTS = "Inter, system-ui, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"

WIDTH, HEIGHT = 1_000, 600

_one_at_a_time = threading.Lock()


def find_browser() -> str | None:
    """The browser that draws; `BROWSER_PATH` names one that is not on the path."""
    named = os.environ.get("BROWSER_PATH")
    return named or next(filter(None, map(shutil.which, _BROWSERS)), None)


def draw(figure: Mapping[str, Any], look: Look) -> bytes:
    """A figure as PNG, twice as fine as its size says, on the theme's own background.

    One is drawn at a time, within a minute, in a process of its own: the server stays light.

    Raises:
        ServiceUnavailable: when there is no kaleido or browser, or they do not answer.
    """
    if find_spec("kaleido") is None:
        raise ServiceUnavailable(
            "PNG needs kaleido, which is not installed: pip install 'sweep-service[service]', "
            "or ask for format=json"
        )
    browser = find_browser()
    if browser is None:
        raise ServiceUnavailable(
            "PNG needs a Chromium or Chrome on the service's machine, and there is none: install "
            "one, name it in BROWSER_PATH, or ask for format=json"
        )
    shown = _standing_alone(figure, look)
    if not _one_at_a_time.acquire(timeout=_WAIT_S):
        raise ServiceUnavailable("too many pictures are being drawn: try again in a minute")
    try:
        return _drawn({"figure": shown, "browser": browser, **_size(shown)}, browser)
    finally:
        _one_at_a_time.release()


def _drawn(task: Mapping[str, Any], browser: str) -> bytes:
    """What a process of its own makes of the task; it and its browser end in any case."""
    command = [sys.executable, "-m", "service.figures.drawing"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            picture, words = process.communicate(json.dumps(task).encode(), timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise ServiceUnavailable(
                f"the browser {browser} drew nothing within {_LIMIT_S:g} s"
            ) from None
        finally:
            _end(process)
    if process.returncode:
        last = " ".join(words.decode(errors="replace").strip().splitlines()[-1:])
        raise ServiceUnavailable(f"the browser {browser} drew nothing: {last:.500}")
    return picture


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that goes on, and all that it started."""
    if process.poll() is None:
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for one in started:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(started, timeout=_END_S)


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
