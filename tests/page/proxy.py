"""A proxy that puts a service under a path, as nginx would: it strips the path."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

PREFIX = "/tools/sweep"


@contextmanager
def behind_a_path(url: str, *, told: bool) -> Iterator[str]:
    """The service at `url` under a path, which its pages are told in a header or not."""
    target = urlsplit(url)
    streams: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
            if told:
                headers["X-Forwarded-Prefix"] = PREFIX
            with closing(http.client.HTTPConnection(str(target.netloc))) as upstream:
                upstream.request(self.command, self.path.removeprefix(PREFIX), body, headers)
                streams.append(upstream.sock)
                self._answer(upstream.getresponse())

        do_POST = do_GET

        def _answer(self, answer: http.client.HTTPResponse) -> None:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while piece := answer.read1(65_536):
                    self.wfile.write(piece)
            except OSError:
                pass  # one of the two has gone
            finally:
                answer.close()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tests read no log of the proxy."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # so that closing it waits for them
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
    server.shutdown()
    thread.join()
    for stream in streams:
        with suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)
    server.server_close()
