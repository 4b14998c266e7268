"""The other end of a websocket, with full control over the bytes: what real venues do wrong, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from waiting import WITHIN_S


def raw_frame(payload: bytes, *, opcode: int = 1, fin: bool = True) -> bytes:
    """One unmasked server frame, as bytes."""
    head = bytes([(0x80 if fin else 0) | opcode])
    size = len(payload)
    if size < 126:
        return head + bytes([size]) + payload
    if size < 1 << 16:
        return head + b"\x7e" + size.to_bytes(2, "big") + payload
    return head + b"\x7f" + size.to_bytes(8, "big") + payload


def data(stream: str, n: int = 0, **fields: Any) -> bytes:
    """A wrapped data message."""
    return msgspec.json.encode({"stream": stream, "data": {"e": "x", "E": 1_791_391_082_024, "n": n, **fields}})


class Peer(WSListener):
    """One accepted connection: commands received, and a hand on the wire."""

    def __init__(self, script: Callable[[Peer], Awaitable[None]], path: str) -> None:
        self.path = path
        self.commands: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.kinds: list[WSMsgType] = []
        self.pongs: list[bytes] = []
        self.pings: asyncio.Queue[bytes] = asyncio.Queue()
        """Pings that picows has not answered itself."""
        self.gone = asyncio.Event()
        self.closed_with: int | None = None
        self._script = script
        self._task: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        await self._script(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.PONG:
            self.pongs.append(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.PING:
            self.pings.put_nowait(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            self.closed_with = frame.get_close_code().value
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self.kinds.append(frame.msg_type)
            self.commands.put_nowait(msgspec.json.decode(frame.get_payload_as_bytes()))

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self.gone.set()
        if self._task is not None:
            self._task.cancel()

    def send(self, *messages: bytes) -> None:
        """Messages in one write, so that they arrive in one read."""
        self.raw(b"".join(raw_frame(message) for message in messages))

    def raw(self, octets: bytes) -> None:
        self.transport.underlying_transport.write(octets)

    def cut(self) -> None:
        self.transport.underlying_transport.abort()

    async def acknowledge(self) -> dict[str, Any]:
        """Answer the next command as the venue does."""
        command = await self.commands.get()
        self.send(msgspec.json.encode({"result": None, "id": command["id"]}))
        return command


class Server:
    """A listening peer: its address and the connections it has accepted."""

    def __init__(self, script: Callable[[Peer], Awaitable[None]], **options: Any) -> None:
        self.script = script
        self.options = options
        self.peers: list[Peer] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await ws_create_server(self._accept, "127.0.0.1", self.port, **self.options)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for peer in self.peers:
                peer.cut()
            for peer in self.peers:
                await asyncio.wait_for(peer.gone.wait(), WITHIN_S)

    def _accept(self, request: WSUpgradeRequest) -> Peer:
        peer = Peer(self.script, request.path.decode())
        self.peers.append(peer)
        return peer


@asynccontextmanager
async def serving(script: Callable[[Peer], Awaitable[None]], **options: Any) -> AsyncIterator[Server]:
    server = Server(script, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
