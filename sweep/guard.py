"""What the network does, as one of our errors."""

from types import TracebackType

import httpx

from sweep.errors import ServiceUnavailable


class Guard:
    """Turns what the network does into one of our errors."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, httpx.TransportError | httpx.InvalidURL):
            raise ServiceUnavailable(
                f"cannot reach the sweep service at {self._url} ({error}): "
                "start one with `sweep up`, or name it with --url or SWEEP_URL"
            ) from error
