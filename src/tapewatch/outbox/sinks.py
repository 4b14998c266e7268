"""The sinks: webhook, Telegram, mail and the log. One call is one attempt; what fails says why in a sentence.

Their addresses and passwords are kept in one file that only its owner can read, and told to nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import socket
import ssl
import time
from email.message import EmailMessage
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urljoin, urlsplit

import aiohttp
import aiosmtplib
import msgspec
from msgspec import Meta, Struct

from ..alerts.episode import Notice
from ..config import AlertsConfig, HttpUrl
from ..model.errors import TapewatchError, UsageError
from .guard import Guard, RefusedTargetError

log = logging.getLogger(__name__)

FILE_NAME = "sinks.json"
SINKS_AT_MOST = 32
REDIRECTS = 3
REPLY_BYTES = 16_384
"""Of an answer, what is read at most: only Telegram's says something."""
SUBJECT_CHARACTERS = 120
AGENT = "tapewatch"

Text = Annotated[str, Meta(min_length=1, max_length=300)]
MailAddress = Annotated[str, Meta(pattern=r"^[^@\s<>,]+@[^@\s<>,]+$", max_length=254)]


class Webhook(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="webhook"):
    """A POST of JSON. Its address is a secret: who has it can post."""

    url: Annotated[HttpUrl, Meta(max_length=2_000)]
    secret: Annotated[str, Meta(max_length=200)] = ""
    """Signs each message; empty: not signed."""
    form: Literal["tapewatch", "discord", "slack"] = "tapewatch"

    def shown(self) -> str:
        place = urlsplit(self.url)
        return f"{place.scheme}://{place.hostname}/…"


class Telegram(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="telegram"):
    """A message of a bot to a chat."""

    token: Annotated[str, Meta(pattern=r"^[0-9]+:[A-Za-z0-9_-]+$", max_length=100)]
    chat: Text

    def shown(self) -> str:
        return f"chat {self.chat}"


class Email(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="email"):
    """A plain mail through a server that takes it from us."""

    host: Text
    to: Annotated[tuple[MailAddress, ...], Meta(min_length=1, max_length=20)]
    sender: MailAddress
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Annotated[str, Meta(max_length=200)] = ""
    password: Annotated[str, Meta(max_length=200)] = ""

    def shown(self) -> str:
        return f"{', '.join(self.to)} through {self.host}:{self.port}"


Sink = Webhook | Telegram | Email


class DeliveryError(TapewatchError):
    """An attempt failed. `final`: it would for ever. `after_s`: the receiver asks to be left alone for so long."""

    def __init__(self, sentence: str, *, final: bool = False, after_s: float = 0.0) -> None:
        # A receiver may answer bytes that are no text; the sentence goes to log, page and database.
        super().__init__("".join(one if one.isprintable() else "?" for one in sentence))
        self.final = final
        self.after_s = after_s


def sink_of(content: object) -> Sink:
    """A sink from plain data; the sentence of a refusal never repeats a value."""
    try:
        sink: Sink = msgspec.convert(content, Sink)
        return sink
    except msgspec.ValidationError as error:
        raise UsageError(f"the sink is refused: {error}") from None


class SinkFile:
    """The sinks that were set up, by name, in a file only its owner can read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self.sinks: dict[str, Sink] = {}

    def load(self) -> None:
        """Read the file, if there is one; refuse one that others can read."""
        try:
            if self.path.stat().st_mode & 0o077 and os.name == "posix":
                raise TapewatchError(f"{self.path} can be read by others; make it private with: chmod 600 {self.path}")
            self.sinks = msgspec.json.decode(self.path.read_bytes(), type=dict[str, Sink])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            raise TapewatchError(f"the sinks in {self.path} cannot be read: {error}") from error

    def save(self, sinks: dict[str, Sink]) -> None:
        """Write the file anew, whole or not at all."""
        draft = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.unlink(missing_ok=True)
            # Created private: there is no moment at which others could read it.
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(sinks), indent=2))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise TapewatchError(f"the sinks cannot be kept in {self.path}: {error.strerror}") from error
        self.sinks = sinks


class Carrier:
    """Carries messages to sinks, each attempt within `timeout_s`."""

    def __init__(self, config: AlertsConfig) -> None:
        self._config = config
        self.guard = Guard(config.allowed_networks)
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def send(self, sink: Sink, notice: Notice, attempt: int) -> None:
        """One attempt; raises DeliveryError."""
        try:
            async with asyncio.timeout(self._config.timeout_s):
                match sink:
                    case Webhook():
                        await self._post(sink, notice, attempt)
                    case Telegram():
                        await self._telegram(sink, notice)
                    case Email():
                        await self._mail(sink, notice)
        except TimeoutError:
            raise DeliveryError(f"no answer within {self._config.timeout_s:g} s") from None
        except RefusedTargetError as error:
            raise DeliveryError(str(error), final=True) from None
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused) as error:
            said = error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error
            raise DeliveryError(f"the mail server answers {said.code} {said.message[:120]}") from None
        except (aiosmtplib.SMTPException, aiohttp.ClientError, OSError) as error:
            if isinstance(wrong := _certificate(error), ssl.SSLCertVerificationError):
                raise DeliveryError(f"its certificate is not accepted: {wrong.verify_message}") from None
            if isinstance(error, aiosmtplib.SMTPException):
                raise DeliveryError(f"mail: {str(error)[:120] or type(error).__name__}") from None
            # An address is a secret, and these errors name it.
            cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
            told = cause is not error or isinstance(error, socket.gaierror)
            why = cause.strerror if told and isinstance(cause, OSError) else ""
            raise DeliveryError(f"cannot be reached: {why or type(error).__name__}") from None
        except ValueError:
            raise DeliveryError("its address, or where that redirects to, is no address", final=True) from None

    async def allowed(self, sink: Sink) -> None:
        """Refuse a sink whose address may not be connected to; a name that nobody knows now may be known later."""
        try:
            host, port = self._place(sink)
            async with asyncio.timeout(self._config.timeout_s):
                await self.guard.addresses(host, port)
        except (OSError, TimeoutError):
            return
        except ValueError:
            raise UsageError("the sink is refused: its host or port is none") from None

    def _place(self, sink: Sink) -> tuple[str, int]:
        if isinstance(sink, Email):
            return sink.host, sink.port
        url = urlsplit(sink.url if isinstance(sink, Webhook) else self._config.telegram_url)
        return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)

    # -- webhook and Telegram -----------------------------------------------------------------------------------

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=self.guard, socket_factory=self.guard.socket_to, use_dns_cache=False, limit=32
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                headers={"User-Agent": AGENT, "Content-Type": "application/json"},
            )
        return self._http

    async def _post(self, sink: Webhook, notice: Notice, attempt: int) -> None:
        body = msgspec.json.encode(_body(sink, notice, attempt))
        headers = {"Idempotency-Key": notice.key.encode("ascii", "backslashreplace").decode()}
        if sink.secret:
            headers["X-Tapewatch-Signature"] = signature(sink.secret, body, int(time.time()))
        url = sink.url
        for _ in range(REDIRECTS + 1):
            status, further, _ = await self._request(url, body, headers)
            if not further:
                return
            if status not in (307, 308):
                raise DeliveryError(f"answers {status}; a webhook may redirect with 307 or 308 only")
            target = urljoin(url, further)
            if urlsplit(target).scheme != "https" and (
                urlsplit(url).scheme == "https" or urlsplit(target).scheme != "http"
            ):
                raise DeliveryError("redirects to where a message would not be protected", final=True)
            url = target
        raise DeliveryError(f"redirects more than {REDIRECTS} times")

    async def _request(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """Status, where it redirects to ("": it does not), the beginning of the answer."""
        session = self._session()
        async with session.post(url, data=body, headers=headers, allow_redirects=False, raise_for_status=False) as said:
            answer = await said.content.read(REPLY_BYTES)
            said.close()  # an answer without end costs a connection, not our memory
            if 300 <= said.status < 400:
                return said.status, said.headers.get("Location", ""), answer
            if not said.ok:
                raise _refusal(said.status, said.headers.get("Retry-After", ""), answer)
            return said.status, "", answer

    async def _telegram(self, sink: Telegram, notice: Notice) -> None:
        body = msgspec.json.encode(
            {"chat_id": sink.chat, "text": words(notice), "link_preview_options": {"is_disabled": True}}
        )
        await self._request(f"{self._config.telegram_url}/bot{sink.token}/sendMessage", body, {})

    # -- mail ---------------------------------------------------------------------------------------------------

    async def _mail(self, sink: Email, notice: Notice) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"] = sink.sender, ", ".join(sink.to)
        mail["Subject"] = f"[{notice.severity}] {notice.rule}: {notice.text}"[:SUBJECT_CHARACTERS].replace("\n", " ")
        digest = hashlib.sha256(notice.key.encode()).hexdigest()[:24]
        mail["Message-ID"] = f"<{digest}@tapewatch>"  # the same for every attempt: readers show one mail
        mail["X-Tapewatch-Key"] = notice.key.encode("ascii", "backslashreplace").decode()
        mail.set_content(words(notice))
        connected = await self._connect(sink.host, sink.port)
        client = aiosmtplib.SMTP(
            hostname=sink.host,
            sock=connected,
            use_tls=sink.security == "tls",
            start_tls=sink.security == "starttls",
            username=sink.username or None,
            password=sink.password or None,
            timeout=self._config.timeout_s,
        )
        try:
            async with client:
                await client.send_message(mail)
        finally:
            # Its transport closes the connection: closed by us, its number could be another's while the loop still
            # looks after it.
            client.close()

    async def _connect(self, host: str, port: int) -> socket.socket:
        """A connection to an address that was checked."""
        failed = OSError("no address")
        for family, address in await self.guard.addresses(host, port):
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
                return connection
            except OSError as error:
                failed = error
                connection.close()
            except BaseException:
                connection.close()
                raise
        raise failed


def _certificate(error: BaseException) -> BaseException | None:
    """What was wrong with a certificate, if that is what the error comes from."""
    return (
        error.certificate_error
        if isinstance(error, aiohttp.ClientConnectorCertificateError)
        else error.__cause__ or error
    )


def signature(secret: str, body: bytes, at_s: int) -> str:
    """``t=…,v1=…``: HMAC-SHA256 of ``<t>.<body>`` in hex, so that neither body nor time can be another's."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def words(notice: Notice, now_ms: int | None = None) -> str:
    """A message for people; one that comes late says so."""
    lines = [f"{notice.severity.upper()} · {notice.rule}", notice.text]
    if notice.note:
        lines.append(notice.note)
    late_s = ((now_ms or time.time_ns() // 1_000_000) - notice.created_ms) / 1000
    if late_s >= 60:
        lines.append(f"delayed by {late_s / 60:,.0f} min")
    return "\n".join(lines)


def _body(sink: Webhook, notice: Notice, attempt: int) -> Any:
    if sink.form == "discord":
        return {"content": words(notice), "allowed_mentions": {"parse": []}}
    if sink.form == "slack":
        return {"text": words(notice)}
    sent_ms = time.time_ns() // 1_000_000
    told = msgspec.to_builtins(notice)
    del told["sinks"]
    return told | {"attempt": attempt, "sent_ms": sent_ms, "delayed_ms": max(sent_ms - notice.created_ms, 0)}


def _refusal(status: int, retry_after: str, answer: bytes) -> DeliveryError:
    """What an answer that is no success means."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    after_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    detail = ""
    try:  # Telegram says why, and how long to wait
        told = msgspec.json.decode(answer)
        detail = str(told.get("description", ""))[:120]
        after_s = max(after_s, float(told.get("parameters", {}).get("retry_after", 0)))
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError, ValueError):
        detail = ""
    return DeliveryError(f"answers {status} {phrase}{f': {detail}' if detail else ''}".strip(), after_s=after_s)


def log_notice(notice: Notice) -> None:
    """The sink ``log``."""
    log.info(
        "alert event=%s severity=%s rule=%r key=%s text=%r",
        notice.event, notice.severity, notice.rule, notice.key, notice.text,
    )  # fmt: skip
