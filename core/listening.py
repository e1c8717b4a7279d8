"""The sockets this process listens on, told to send small answers at once."""

from __future__ import annotations

import contextlib
import os
import socket

import psutil


def answer_at_once() -> int:
    """Switch Nagle's algorithm off for whoever connects from now on to a TCP port this process listens on.

    A server that writes the head and the body of an answer one after the other has the body wait there until the head
    is acknowledged, which systems put off for 40 ms. asyncio switches it off itself, but not for sockets that were
    bound before and passed on, as Streamlit does and uvicorn with several workers. Connections inherit it on Linux.

    Returns:
        For how many ports. Where the system does not tell them, none: then answers are late, not wrong.
    """
    num_ports = 0
    with contextlib.suppress(psutil.Error, OSError):
        for one in psutil.Process().net_connections(kind="tcp"):
            if one.status == psutil.CONN_LISTEN:
                with socket.socket(fileno=os.dup(one.fd)) as listening:
                    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                num_ports += 1
    return num_ports
