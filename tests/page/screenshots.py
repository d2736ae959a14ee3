"""Pictures of every view, light, dark and as on a phone.

`python -m tests.page.screenshots FOLDER [VIEW…]`
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.page.conftest import CHROMIUM
from tests.page.server import Server
from tests.page.views import NAMES, fill, home, settle

LOOKS = {"light": (1280, 860, "light"), "dark": (1280, 860, "dark"), "phone": (390, 844, "light")}


def main(folder: Path, names: list[str]) -> None:
    """Write them; each a PNG of the whole view."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        Server(home(Path(temporary))) as server,
        sync_playwright() as playwright,
    ):
        paths = fill(server)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for look, (width, height, scheme) in LOOKS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
                reduced_motion="reduce",
            )
            for name in names:
                settle(page, server.url + paths[name])
                page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(NAMES))
