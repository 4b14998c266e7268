"""Websocket clients that read and drop: the screens of the fan-out benchmark, all in one process.

python -m bench.sink CLIENTS PORT PATH [PORT PATH …]

Prints one line when all are connected, and ends when all are closed.
"""

from __future__ import annotations

import resource
import selectors
import socket
import sys

from . import report

READ_BYTES = 1 << 18
REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def connect(port: int, path: str) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port))
    peer.sendall(REQUEST.format(path=path).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        got = peer.recv(1)
        if not got:
            break
        head += got
    if b" 101 " not in head:
        raise ConnectionError(f"port {port} refuses {path}: {head[:100]!r}")
    peer.setblocking(False)
    return peer


def main() -> None:
    clients, where = int(sys.argv[1]), sys.argv[2:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    poll = selectors.DefaultSelector()
    for port, path in zip(where[::2], where[1::2], strict=True):
        for _ in range(clients):
            poll.register(connect(int(port), path), selectors.EVENT_READ)
    report.say("connected")
    buffer = bytearray(READ_BYTES)
    while poll.get_map():
        for key, _ in poll.select():
            peer = key.fileobj
            if isinstance(peer, socket.socket) and not peer.recv_into(buffer):
                poll.unregister(peer)
                peer.close()


if __name__ == "__main__":
    main()
