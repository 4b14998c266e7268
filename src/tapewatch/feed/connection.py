"""One websocket connection: frames of each socket read in one buffer, commands paced, answers tracked."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect
from picows.picows import WSCloseHandshake

from ..model.errors import VenueError
from .backlog import unread_bytes
from .proxy import proxy_for
from .reasons import why, why_refused
from .streams import READ_PADDING
from .wire import Answer, Method, Wire

MAX_MESSAGE_BYTES = 16 << 20
"""The largest all-symbol message is some 300 KB; a book of 2000 levels 50 KB."""
READ_BUFFER_BYTES = 256 << 10
"""Room for one socket read: under load more frames arrive per call of the sink, and each costs less."""
PING_IDLE_S = 15.0
PING_ANSWER_S = 10.0
"""A half-open connection (no FIN ever came) is found within both together."""
CLOSE_WITHIN_S = 2.0
HOUR_S = 3_600.0

_wire_log = logging.getLogger("tapewatch.feed.wire")
_wire_log.setLevel(logging.CRITICAL)  # every fault of a connection is in `Connection.why`, logged once per episode

_TEXT = WSMsgType.TEXT


class ConnectError(VenueError):
    """A websocket could not be opened."""


@dataclass(slots=True)
class _Command:
    """A command on its way: sent, perhaps not answered."""

    method: Method
    names: tuple[str, ...]
    unanswered: set[str]
    tries: int = 0
    waited: int = 0
    """Ticks since it was sent."""


OnRead = Callable[["Connection", bytearray, "array[int]"], None]
OnConfirmed = Callable[["Connection", tuple[str, ...]], None]


class Connection(WSListener):
    """One connection from handshake to close. Everything happens in the event loop's thread, in picows's callbacks.

    `on_read` gets all messages of one socket read: message k is `buffer[ends[k-1]:ends[k]]`, and `READ_PADDING` stands
    behind the last; both are used again afterwards. As it runs to its end before the socket is read again, nothing
    queues here: when it is slow, the kernel's receive window is what slows the venue down.
    """

    def __init__(self, on_read: OnRead, on_confirmed: OnConfirmed, wire: Wire) -> None:
        self.why = ""
        """Why it ended, one sentence."""
        self.fault: Exception | None = None
        """What `on_read` raised: a defect of ours, not of the venue."""
        self.delivered: set[str] | None = None
        """Names of streams that have delivered, kept while somebody compares two connections."""
        self.refused: dict[str, str] = {}
        """Names in commands the venue answered with an error, and its words."""
        self.acknowledged: set[str] = set()
        """Names of streams that the venue has said it sends."""
        self.answers_astray = 0
        self.leaving = ""
        """What the venue said when it announced that it will close this connection; empty while it has not."""
        self._on_read = on_read
        self._on_confirmed = on_confirmed
        self._wire = wire
        self._transport: WSTransport | None = None
        self._buffer = bytearray()
        self._ends = array("q")
        self._fragments: bytearray | None = None
        self._waiting: deque[_Command] = deque()
        self._sent: dict[int, _Command] = {}
        self._sent_at: deque[float] = deque(maxlen=wire.commands_per_hour or 0)
        """When commands were sent, where the venue counts them for so long."""
        self._ids = itertools.count(1)
        self._pacer: asyncio.TimerHandle | None = None
        self._pinger: asyncio.TimerHandle | None = None

    # -- life ---------------------------------------------------------------------------------------------------

    async def open(self, url: str, timeout_s: float) -> None:
        """Connect and shake hands, or raise `ConnectError` with the reason."""
        try:
            async with asyncio.timeout(timeout_s):
                transport, listener = await ws_connect(
                    lambda: self,
                    url,
                    websocket_handshake_timeout=timeout_s,
                    logger_name=_wire_log,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=PING_IDLE_S,
                    auto_ping_reply_timeout=PING_ANSWER_S,
                    # picows does not report a frame it answers itself, and with it the end of a read would be missed.
                    enable_auto_pong=False,
                    max_frame_size=MAX_MESSAGE_BYTES,
                    read_buffer_init_size=READ_BUFFER_BYTES,
                    proxy=proxy_for(url),
                )
        except WSHandshakeError as error:
            status = int(error.response.status) if error.response is not None else 0
            sentence = (
                why_refused(status, url) if status else f"{urlsplit(url).netloc} does not speak websocket: {error}"
            )
            raise ConnectError(sentence) from error
        except (OSError, WSError, ValueError) as error:
            raise ConnectError(why(error, url)) from error
        if listener is None:  # the peer hung up before it had answered
            transport.disconnect(graceful=False)
            raise ConnectError(why(ConnectionResetError(), url))

    async def close(self, reason: str) -> None:
        """Say goodbye and wait until the connection is gone, a moment at most."""
        self._end(reason)
        if self._transport is None:
            return
        self._transport.send_close(WSCloseCode.OK)
        self._transport.disconnect()
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self.wait_closed()
        except TimeoutError:
            self._transport.disconnect(graceful=False)
            await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone; `why` then says the reason, and `fault` if the defect is ours."""
        if self._transport is None:
            return
        with contextlib.suppress(WSError):  # a breach of the protocol: `why` has it from the close that answered it
            await self._transport.wait_disconnected()

    @property
    def is_closed(self) -> bool:
        return self._transport is not None and self._transport.is_disconnected

    def unread_bytes(self) -> int:
        """What has arrived and waits for us to read it."""
        if self._transport is None or self._transport.is_disconnected:
            return 0
        fd = self._transport.underlying_transport.get_extra_info("socket").fileno()
        return unread_bytes(fd) if fd >= 0 else 0

    def abort(self, reason: str) -> None:
        """Cut the connection at once, without goodbye."""
        self._end(reason)
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _end(self, reason: str) -> None:
        self.why = self.why or reason
        self._waiting.clear()
        for timer in (self._pacer, self._pinger):
            if timer is not None:
                timer.cancel()
        self._pacer = self._pinger = None

    # -- commands -----------------------------------------------------------------------------------------------

    def subscribe(self, names: Iterable[str]) -> None:
        self._queue("SUBSCRIBE", names)

    def unsubscribe(self, names: Iterable[str]) -> None:
        self._queue("UNSUBSCRIBE", names)

    def has_commands_for(self, gone: Sequence[str], new: Sequence[str]) -> bool:
        """Whether the venue still takes the commands for these, of all that it takes within an hour."""
        most, size = self._wire.commands_per_hour, self._wire.names_per_command
        if most is None:
            return True
        hour_ago = asyncio.get_running_loop().time() - HOUR_S
        while self._sent_at and self._sent_at[0] < hour_ago:
            self._sent_at.popleft()
        needed = -(-len(gone) // size) - (-len(new) // size)
        return len(self._sent_at) + len(self._waiting) + needed <= most

    @property
    def unanswered(self) -> bool:
        """Some command has not been sent or answered yet."""
        return bool(self._waiting or self._sent)

    def tick(self, patience: int) -> str | None:
        """Count a tick. A command unanswered for `patience` ticks is sent once more; after that, say so."""
        for number, command in list(self._sent.items()):
            command.waited += 1
            if command.waited >= patience:
                del self._sent[number]
                if command.tries >= 2:
                    return f"no answer to {command.method} of {len(command.names)} streams"
                command.waited, command.unanswered = 0, set(command.names)
                self._waiting.append(command)
                self._pace()
        return None

    def _queue(self, method: Method, names: Iterable[str]) -> None:
        names, size = list(names), self._wire.names_per_command
        for at in range(0, len(names), size):
            some = tuple(names[at : at + size])
            self._waiting.append(_Command(method, some, set(some)))
        self._pace()

    def _pace(self) -> None:
        if self._pacer is None and self._waiting:
            self._send_next()

    def _send_next(self) -> None:
        self._pacer = None
        if self._transport is None or not self._waiting:
            return
        command = self._waiting.popleft()
        command.tries += 1
        number = next(self._ids)
        self._sent[number] = command
        self._sent_at.append(asyncio.get_running_loop().time())
        # Venues take commands as text frames only; Binance answers a binary one with close 1008.
        self._transport.send(WSMsgType.TEXT, self._wire.command(command.method, command.names, number))
        self._pacer = asyncio.get_running_loop().call_later(self._wire.command_every_s, self._send_next)

    def _ping(self) -> None:
        """Send the sign of life that the venue wants as a message, for as long as the connection lives."""
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, self._wire.ping)
            self._pinger = asyncio.get_running_loop().call_later(self._wire.ping_every_s, self._ping)

    def answered(self, frame: bytes) -> bool:
        """Take a frame that is no data of a wanted stream; False where nobody else has anything to do with it."""
        answer = self._wire.answer(frame)
        if answer is None:
            self.answers_astray += 1
            return True
        if answer.pong:
            return False
        if answer.leaving:
            self.leaving = self.leaving or answer.leaving
            return True
        number = self._number_of(answer)
        command = None if number is None else self._sent.get(number)
        if number is None or command is None:
            self.answers_astray += 1
            return True
        names = command.names if answer.names is None else answer.names
        command.unanswered.difference_update(names)
        if not command.unanswered:
            del self._sent[number]
        if answer.error and command.method == "SUBSCRIBE" and len(names) > 1 and self._wire.one_spoils_all:
            half = len(names) // 2  # until the one that is not known stands alone
            self._queue("SUBSCRIBE", names[:half])
            self._queue("SUBSCRIBE", names[half:])
        elif answer.error:
            self.refused.update(dict.fromkeys(names, answer.error))
        elif command.method == "SUBSCRIBE":
            self.acknowledged.update(names)
            self._on_confirmed(self, names)
        else:
            self.acknowledged.difference_update(names)
        return True

    def _number_of(self, answer: Answer) -> int | None:
        """The command that is answered; where the venue leaves its number out, the only one that it can be."""
        if answer.number is not None:
            return answer.number
        named = answer.names or ()
        can_be = [number for number, command in self._sent.items() if command.unanswered.issuperset(named)]
        return can_be[0] if len(can_be) == 1 else None

    # -- picows's callbacks -------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._pace()
        if self._wire.ping:
            self._pinger = asyncio.get_running_loop().call_later(self._wire.ping_every_s, self._ping)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # Called for every frame, at some 50 ns for each question that is asked here.
        if self.why or transport.is_close_frame_sent:
            pass  # it is over; picows still reports what it reads after a breach, the forbidden frame included
        elif frame.msg_type is _TEXT and frame.fin and self._fragments is None:
            self._buffer += frame.get_payload_as_memoryview()
            self._ends.append(len(self._buffer))
        else:
            self._rare(transport, frame)
        if frame.last_in_buffer:
            self._end_of_read()

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        """Tell picows whether its ping is answered; a frame it takes as that is not reported, so the read ends here."""
        if frame.msg_type is not WSMsgType.PONG:
            return False
        if frame.last_in_buffer:
            self._end_of_read()
        return True

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end(_close_reason(transport))

    def pause_writing(self) -> None:
        """Commands are a few hundred bytes a second: a full send buffer means that nobody reads at the other end."""
        self.abort("the venue no longer reads what we send")

    def _rare(self, transport: WSTransport, frame: WSFrame) -> None:
        """Everything but a whole text message."""
        kind = frame.msg_type
        if kind is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif kind is WSMsgType.PONG:
            pass  # an unasked pong is allowed and means nothing
        elif (kind is WSMsgType.CONTINUATION) == (self._fragments is None):
            self._refuse(transport, WSCloseCode.PROTOCOL_ERROR, "the venue broke the rules of fragmented messages")
        elif self._fragments is None or kind is WSMsgType.CONTINUATION:
            self._gather(transport, frame)

    def _gather(self, transport: WSTransport, frame: WSFrame) -> None:
        """Put a message together that came in several frames."""
        if self._fragments is None:
            self._fragments = bytearray()
        self._fragments += frame.get_payload_as_memoryview()
        if len(self._fragments) > MAX_MESSAGE_BYTES:
            self._fragments = None
            self._refuse(transport, WSCloseCode.MESSAGE_TOO_BIG, f"a message of more than {MAX_MESSAGE_BYTES} bytes")
        elif frame.fin:
            self._buffer += self._fragments
            self._ends.append(len(self._buffer))
            self._fragments = None

    def _refuse(self, transport: WSTransport, code: WSCloseCode, reason: str) -> None:
        self._end(reason)
        transport.send_close(code)
        transport.disconnect()

    def _end_of_read(self) -> None:
        if not self._ends or self.fault is not None:
            return
        self._buffer += READ_PADDING
        try:
            self._on_read(self, self._buffer, self._ends)
        except Exception as error:  # noqa: BLE001  (whoever waits for the connection raises it)
            self.fault = error
            self.abort(f"a defect of ours: {type(error).__name__}")
        finally:
            try:
                self._buffer.clear()
            except BufferError:
                self._buffer = bytearray()  # somebody still holds a view of these bytes: they are theirs now
            self._ends = array("q")


def _close_reason(transport: WSTransport) -> str:
    handshake: WSCloseHandshake | None = transport.close_handshake
    if handshake is not None and handshake.recv is not None and handshake.recv_then_sent:
        words = f" {handshake.recv.reason}" if handshake.recv.reason else ""
        return f"closed by the venue ({handshake.recv.code.value}{words})"
    if handshake is not None and handshake.sent is not None:
        return f"closed by us ({handshake.sent.code.value} {handshake.sent.reason})".replace(" )", ")")
    return "connection lost without a close (1006)"
