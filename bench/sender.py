"""The venue's end of a socket benchmark: a plain socket that sends prebuilt websocket frames of a set.

python -m bench.sender SET [SPEED]

Prints its port and waits for one client and its first command. Without a speed it sends as fast as it is read; with
one it keeps the set's own event times, so many times faster, in steps of a millisecond. At the end it prints one line
of JSON: when the first millisecond was due (CLOCK_MONOTONIC, which all processes share) and how late it was at worst.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import sys
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from . import report, sets

CHUNK_BYTES = 1 << 18
LEAD_NS = 200_000_000
SPIN_NS = 60_000
"""A sleep ends late by about this much; the rest is waited for awake."""
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_EVENT_TIME = re.compile(rb'"E":(\d{13})')


def websocket_frame(payload: bytes) -> bytes:
    """One unmasked text frame, as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def due_ns(frames: list[bytes], speed: float) -> NDArray[np.int64]:
    """When each frame is due, from the first on: its event time, `speed` times faster, by whole milliseconds."""
    events = np.array([int(found[1]) if (found := _EVENT_TIME.search(frame)) else 0 for frame in frames], np.int64)
    running = np.maximum.accumulate(events)
    return ((running - running[0]) / speed).astype(np.int64) * 1_000_000


def main() -> None:
    name, speed = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    frames = sets.load(name).frames
    wire = [websocket_frame(frame) for frame in frames]
    bursts = _bursts(wire, due_ns(frames, speed)) if speed else list(_chunks(wire))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        report.say(str(listener.getsockname()[1]))
        peer, _ = listener.accept()
    with peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _shake_hands(peer)
        peer.recv(1)  # the first command: the client listens
        start, late = time.monotonic_ns() + LEAD_NS, 0
        for due, octets in bursts:
            if speed:
                _wait_until(start + due)
                late = max(late, time.monotonic_ns() - start - due)
            peer.sendall(octets)
        report.say(json.dumps({"start_ns": start, "late_ms_max": round(late / 1e6, 2)}))
        while peer.recv(1 << 16):  # commands, until the client has seen everything and hangs up
            pass


def _chunks(wire: list[bytes]) -> Iterator[tuple[int, bytes]]:
    held: list[bytes] = []
    size = 0
    for octets in wire:
        held.append(octets)
        size += len(octets)
        if size > CHUNK_BYTES:
            yield 0, b"".join(held)
            held, size = [], 0
    yield 0, b"".join(held)


def _bursts(wire: list[bytes], due: NDArray[np.int64]) -> list[tuple[int, bytes]]:
    """What is due in the same millisecond, in one write."""
    moments, first = np.unique(due, return_index=True)
    ends = [*first[1:].tolist(), len(wire)]
    return [(int(at), b"".join(wire[a:b])) for at, a, b in zip(moments, first.tolist(), ends, strict=True)]


def _wait_until(moment: int) -> None:
    left = moment - time.monotonic_ns()
    if left > SPIN_NS:
        time.sleep((left - SPIN_NS) / 1e9)
    while time.monotonic_ns() < moment:
        pass


def _shake_hands(peer: socket.socket) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        request += peer.recv(1 << 16)
    found = re.search(rb"(?i)sec-websocket-key: *(\S+)", request)
    if found is None:
        raise ValueError("the client does not ask for a websocket")
    accept = base64.b64encode(hashlib.sha1(found[1] + MAGIC, usedforsecurity=False).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


if __name__ == "__main__":
    main()
