"""The socket that the API listens on."""

import socket

from service.serving import listen


def test_answers_are_sent_at_once() -> None:
    """asyncio sets TCP_NODELAY on connections that are known to be TCP."""
    with (
        listen("127.0.0.1", 23_000) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.proto == socket.IPPROTO_TCP
