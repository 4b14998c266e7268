"""One connection against a peer that does what real venues do wrong."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from picows import WSMsgType

from feed_peer import Peer, data, raw_frame, serving
from ports import kept_port
from tapewatch.feed import connection as module
from tapewatch.feed.binance_usdm import DIALECT
from tapewatch.feed.bybit import DIALECT as BYBIT
from tapewatch.feed.connection import ConnectError, Connection
from tapewatch.feed.wire import Method, Wire
from waiting import WITHIN_S, until

WIRE = DIALECT.wire


class Reads:
    """What a connection delivered: one list of messages per socket read."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.confirmed: list[str] = []
        self.views: list[memoryview] = []
        self.keep_views = False
        self.error: Exception | None = None

    def open(self, wire: Wire = WIRE) -> Connection:
        return Connection(self._read, lambda _, names: self.confirmed.extend(names), wire)

    def _read(self, connection: Connection, buffer: bytearray, ends: array[int]) -> None:
        if self.error is not None:
            raise self.error
        starts = [0, *ends[:-1]]
        messages = [bytes(buffer[a:b]) for a, b in zip(starts, ends, strict=True)]
        for message in messages:
            if not message.startswith(b'{"stream"'):
                connection.answered(message)
        if self.keep_views:
            self.views.append(memoryview(buffer)[: ends[-1]])
        self.batches.append(messages)

    @property
    def messages(self) -> list[bytes]:
        return [message for batch in self.batches for message in batch]


async def idle(peer: Peer) -> None:
    await peer.gone.wait()


async def test_all_frames_of_a_read_come_in_one_call_even_when_a_ping_ends_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.acknowledge()
        peer.raw(b"".join(raw_frame(data("s", n)) for n in range(5)) + raw_frame(b"beat", opcode=9))
        await idle(peer)

    reads = Reads()
    async with serving(script) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        connection.subscribe(["s"])
        await until(lambda: len(reads.messages) == 6 and server.peers[0].pongs)
        assert reads.batches[-1][-5:] == [data("s", n) for n in range(5)]
        assert server.peers[0].pongs == [b"beat"]
        await connection.close("done")
        await until(server.peers[0].gone.is_set)
        assert server.peers[0].closed_with == 1000
        assert connection.why == "done"


async def test_the_answer_to_our_ping_ends_a_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PING_IDLE_S", 1.0)
    monkeypatch.setattr(module, "PING_ANSWER_S", 1.0)

    async def script(peer: Peer) -> None:
        ping = await peer.pings.get()
        peer.raw(raw_frame(data("s")) + raw_frame(ping, opcode=10))
        await idle(peer)

    reads = Reads()
    async with serving(script, enable_auto_pong=False) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        await until(lambda: reads.messages == [data("s")])
        await connection.close("done")


async def test_a_fragmented_message_is_put_together_around_pings() -> None:
    whole = data("s", text="x" * 1000)

    async def script(peer: Peer) -> None:
        peer.raw(raw_frame(whole[:10], fin=False) + raw_frame(b"", opcode=9))
        peer.raw(raw_frame(whole[10:500], opcode=0, fin=False))
        await asyncio.sleep(0)
        peer.raw(raw_frame(whole[500:], opcode=0) + raw_frame(data("s", 2)))
        await idle(peer)

    reads = Reads()
    async with serving(script) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        await until(lambda: len(reads.messages) == 2)
        assert reads.messages == [whole, data("s", 2)]
        await connection.close("done")


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        (raw_frame(b"rest", opcode=0), "rules of fragmented messages"),
        (raw_frame(b"a", fin=False) + raw_frame(b"b"), "rules of fragmented messages"),
        (raw_frame(b"x" * 5000), "1009"),
        (raw_frame(b"x" * 3000, fin=False) + raw_frame(b"x" * 3000, opcode=0), "more than 4096 bytes"),
        (b"\x83\x00", "1002"),
        (b"\x81\x85abcdxxxxx", "1002"),
    ],
    ids=["orphan-continuation", "text-inside-fragments", "huge-frame", "huge-message", "bad-opcode", "masked"],
)
async def test_a_breach_of_the_protocol_ends_the_connection_with_a_sentence(
    octets: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGE_BYTES", 4096)

    async def script(peer: Peer) -> None:
        peer.raw(raw_frame(data("s")) + octets)
        await asyncio.sleep(0.002)
        peer.raw(raw_frame(data("s", 2)))
        await idle(peer)

    reads = Reads()
    async with serving(script) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        await asyncio.wait_for(connection.wait_closed(), WITHIN_S)
        assert sentence in connection.why
        assert connection.fault is None
        assert set(reads.messages) <= {data("s")}


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (lambda peer: peer.raw(raw_frame(b"\x03\xe8", opcode=8)), "closed by the venue (1000)"),
        (lambda peer: peer.raw(raw_frame(b"\x03\xf0too fast", opcode=8)), "closed by the venue (1008 too fast)"),
        (lambda peer: peer.raw(raw_frame(b"\x03\xf4", opcode=8)), "closed by the venue (1012)"),
        (lambda peer: peer.raw(raw_frame(b"\x0f\xa1", opcode=8)), "closed by the venue (4001)"),
        (lambda peer: peer.cut(), "connection lost without a close (1006)"),
    ],
    ids=["1000", "1008", "1012", "4001", "1006"],
)
async def test_the_reason_of_an_end_is_told_and_what_came_before_is_delivered(
    end: Callable[[Peer], None], sentence: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.acknowledge()
        peer.send(data("s"))
        await asyncio.wait_for(peer.commands.get(), WITHIN_S)
        end(peer)
        await idle(peer)

    reads = Reads()
    async with serving(script) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        connection.subscribe(["s"])
        await until(lambda: data("s") in reads.messages)
        connection.subscribe(["t"])
        await asyncio.wait_for(connection.wait_closed(), WITHIN_S)
        assert connection.why == sentence
        assert connection.is_closed


async def raw_server(answer: bytes | None) -> tuple[asyncio.Server, str]:
    """A TCP server that gives every client `answer`, or no answer at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/market/stream"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 451 Unavailable\r\nContent-Length: 0\r\n\r\n", "does not serve this place (HTTP 451)"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "refuses this address (HTTP 403)"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "answers HTTP 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "answers HTTP 200"),
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "does not speak websocket"),
        (None, "does not answer in time"),
    ],
    ids=["451", "403", "503", "200", "hangs-up", "not-http", "slow-accept"],
)
async def test_a_handshake_that_fails_is_one_sentence(answer: bytes | None, sentence: str) -> None:
    server, url = await raw_server(answer)
    async with server:
        with pytest.raises(ConnectError, match=r"^127\.0\.0\.1") as caught:
            await Reads().open().open(url, 0.3 if answer is None else WITHIN_S)
        assert sentence in str(caught.value)


async def test_nobody_listening_and_no_such_name() -> None:
    with kept_port() as port, pytest.raises(ConnectError, match="refuses the connection"):
        await Reads().open().open(f"ws://127.0.0.1:{port}/x", WITHIN_S)
    with pytest.raises(ConnectError, match="cannot be resolved"):
        await Reads().open().open("ws://no-such-host.invalid/x", WITHIN_S)


async def test_commands_are_text_in_modest_batches_and_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.acknowledge()

    sent_at, command = list[float](), WIRE.command

    def timed(method: Method, names: Sequence[str], number: int) -> bytes:
        sent_at.append(asyncio.get_running_loop().time())
        return command(method, names, number)

    monkeypatch.setattr(WIRE, "command", timed)
    reads = Reads()
    names = [f"币{n}usdt@aggTrade" for n in range(250)]
    async with serving(script) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        connection.subscribe(names)
        connection.unsubscribe(names[:1])
        await until(lambda: not connection.unanswered)
        peer = server.peers[0]
        assert reads.confirmed == names
        assert set(peer.kinds) == {WSMsgType.TEXT}
        assert len(peer.kinds) == 4
        gaps = [later - earlier for earlier, later in pairwise(sent_at)]
        assert min(gaps) > WIRE.command_every_s * 0.99
        await connection.close("done")


async def test_errors_nonsense_and_silence_in_place_of_an_acknowledgement() -> None:
    async def script(peer: Peer) -> None:
        command = await peer.commands.get()
        peer.send(b'{"code":2,"msg":"Invalid request","id":%d}' % command["id"])
        peer.send(b'{"result":null,"id":999}', b"<html>", b'{"id":"seven"}', b"[]", b"")
        command = await peer.commands.get()
        peer.send(b'{"error":{"code":3,"msg":"Invalid JSON"},"id":%d}' % command["id"])
        await idle(peer)

    reads = Reads()
    async with serving(script) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        for name in "abc":
            connection.subscribe([name])
        await until(lambda: len(connection.refused) == 2 and server.peers[0].commands.qsize() == 1)
        assert connection.refused == {"a": "Invalid request", "b": "Invalid JSON"}
        assert connection.answers_astray == 5
        assert reads.confirmed == []
        assert connection.tick(patience=2) is None
        assert connection.tick(patience=2) is None  # asked once more
        await until(lambda: server.peers[0].commands.qsize() == 2)
        assert connection.tick(patience=2) is None
        assert connection.tick(patience=2) == "no answer to SUBSCRIBE of 1 streams"
        await connection.close("done")


async def test_a_refusal_without_its_number_is_of_the_only_command_on_its_way() -> None:
    async def script(peer: Peer) -> None:
        await peer.commands.get()
        peer.send(b'{"success":false,"ret_msg":"error:invalid op","conn_id":"c","request":{"op":"","args":null}}')
        await idle(peer)

    async with serving(script) as server:
        connection = Reads().open(BYBIT.wire)
        await connection.open(server.url, WITHIN_S)
        connection.subscribe(["publicTrade.NOSUCH"])
        await until(lambda: connection.refused)
        assert connection.refused == {"publicTrade.NOSUCH": "error:invalid op"}
        assert not connection.unanswered
        await connection.close("done")


async def test_a_half_open_connection_is_found_by_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer is there but never answers: as after a lost FIN."""
    monkeypatch.setattr(module, "PING_IDLE_S", 0.1)
    monkeypatch.setattr(module, "PING_ANSWER_S", 0.1)

    async with serving(idle, enable_auto_pong=False) as server:
        connection = Reads().open()
        await connection.open(server.url, WITHIN_S)
        await asyncio.wait_for(connection.wait_closed(), WITHIN_S)
        assert "not replied to ping" in connection.why


async def test_a_defect_of_the_reader_is_kept_and_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.acknowledge()
        peer.send(data("s"))
        peer.send(data("s"))
        await idle(peer)

    reads = Reads()
    async with serving(script) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        reads.error = ZeroDivisionError("ours")
        connection.subscribe(["s"])
        await asyncio.wait_for(connection.wait_closed(), WITHIN_S)
        assert connection.fault is reads.error


async def test_views_that_somebody_keeps_stay_what_they_were() -> None:
    async def script(peer: Peer) -> None:
        for n in range(3):
            peer.send(data("s", n))
            await peer.acknowledge()
        await idle(peer)

    reads = Reads()
    reads.keep_views = True
    async with serving(script) as server:
        connection = reads.open()
        await connection.open(server.url, WITHIN_S)
        for n in range(3):
            await until(lambda n=n: data("s", n) in reads.messages)  # type: ignore[misc]
            connection.subscribe(["s"])
        kept = b"".join(bytes(view) for view in reads.views)
        assert kept == b"".join(reads.messages)
        await connection.close("done")
