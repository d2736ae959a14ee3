"""The real service as a process of its own: the API alone, with no dispatcher and no Ray.

`python -m tests.page.server HOME` serves one person without tokens; with `--tokens` it asks
for them.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx

from service.serving import listen, url_of
from service.settings import Settings
from service.store.open import migrate, open_store

WAIT_S = 60.0


class Server:
    """The process, its address, and its store as a second process would open it."""

    def __init__(self, home: Path, *, tokens: bool = False) -> None:
        self.home = home
        self.settings = Settings(home=home, embedded=not tokens)
        migrate(self.settings.store_url)
        self.store = open_store(self.settings.store_url)
        self._options = ["--tokens"] if tokens else []

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SWEEP_")}
        with (self.home / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.page.server", str(self.home), *self._options],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError((self.home / "server.log").read_text())
        self.url = json.loads(line)["url"]
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.store.close()

    def _wait(self) -> None:
        give_up_at = time.monotonic() + WAIT_S
        while time.monotonic() < give_up_at:
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise RuntimeError((self.home / "server.log").read_text())


def main() -> None:
    """Serve until told to stop; the address goes to standard output."""
    import uvicorn

    from service.app import create_app
    from service.dispatching import now
    from service.serving import new_id
    from sweep.trainables import registered

    settings = Settings(home=Path(sys.argv[1]), embedded="--tokens" not in sys.argv)
    store = open_store(settings.store_url)
    app = create_app(
        store=store, settings=settings, clock=now, new_id=new_id, trainables=registered()
    )
    listener = listen("127.0.0.1", 23_000 + os.getpid() % 10_000)
    print(json.dumps({"url": url_of(listener)}), flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])
    store.close()


if __name__ == "__main__":
    main()
