"""Small answers are sent at once, also by a server whose socket was bound by somebody else."""

from __future__ import annotations

import socket

from core.listening import answer_at_once


def test_connections_do_not_wait_for_acknowledgements() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert _nodelay_of_a_connection(listening) == 0
        assert answer_at_once() >= 1
        assert _nodelay_of_a_connection(listening) == 1


def _nodelay_of_a_connection(listening: socket.socket) -> int:
    with socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
