"""Whether drivers can reach an API server, as far as the dispatcher can tell: by asking them."""

import logging
from collections.abc import Sequence

import httpx

logger = logging.getLogger(__name__)

_TIMEOUT_S = 2.0


class ApiServers:
    """The API servers that drivers are told of."""

    def __init__(
        self, urls: Sequence[str], *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._urls = tuple(urls)
        self._http = httpx.Client(timeout=_TIMEOUT_S, transport=transport)
        self._answered = True

    def answer(self) -> bool:
        """Whether one of them answers now; a change is logged."""
        answered = any(map(self._answers, self._urls))
        if self._answered and not answered:
            logger.warning(
                "no API server answers at %s: no driver is started, and none is taken for lost",
                ", ".join(self._urls),
            )
        if answered and not self._answered:
            logger.info("an API server answers again")
        self._answered = answered
        return answered

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def _answers(self, url: str) -> bool:
        try:
            return self._http.get(f"{url}/healthz").status_code < 500  # a proxy's 502 is none
        except httpx.TransportError:
            return False
