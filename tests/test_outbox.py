"""The outbox against real servers: what hangs, refuses, redirects or dies; every message arrives, none is mixed up."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import trustme
from aiohttp import web

from alert_sinks import PASSWORD, USER, Answer, mail_server, ok, receiver
from tapes import T0
from tapewatch.alerts.episode import Notice
from tapewatch.config import AlertsConfig
from tapewatch.model.errors import TapewatchError, UsageError
from tapewatch.outbox.guard import Guard, RefusedTargetError
from tapewatch.outbox.outbox import WAITING_AT_MOST, Outbox
from tapewatch.outbox.sinks import Carrier, DeliveryError, Email, Sink, SinkFile, Telegram, Webhook, sink_of, words
from tapewatch.store.alerts import Batch, Delivery
from waiting import until

LOCAL = AlertsConfig(allowed_networks=("127.0.0.0/8",), timeout_s=120.0, retry_s=0.01, attempts=4)


def notice(n: int = 1, rule_id: int = 1) -> Notice:
    return Notice(
        key=f"{rule_id}:1:binance:BTCUSDT:{T0 + n}:fired", event="fired", rule_id=rule_id, revision=1, rule="big move",
        severity="critical", sinks=("ops",), text=f"BTCUSDT moved ({n})", exchange="binance", metric="price",
        created_ms=T0, symbol="BTCUSDT", value=101.5, threshold=100.0, note="look at the book",
    )  # fmt: skip


@asynccontextmanager
async def carrying(config: AlertsConfig = LOCAL) -> AsyncIterator[Carrier]:
    carrier = Carrier(config)
    try:
        yield carrier
    finally:
        await carrier.close()


async def refusal(carrier: Carrier, sink: Sink) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await carrier.send(sink, notice(), 1)
    return caught.value


# ---------------------------------------------------------------- one attempt


async def test_a_webhook_gets_json_with_its_key_and_a_signature() -> None:
    async with receiver() as hook, carrying() as carrier:
        await carrier.send(Webhook(f"{hook.url}/in", "s3cret"), notice(), 2)
    (told,), (body,), (header,) = hook.got, hook.bodies, hook.headers
    assert header["Idempotency-Key"] == told["key"] == notice().key
    assert (told["event"], told["symbol"], told["value"], told["threshold"]) == ("fired", "BTCUSDT", 101.5, 100.0)
    assert (told["attempt"], told["text"], "sinks" in told) == (2, "BTCUSDT moved (1)", False)
    assert told["delayed_ms"] > 0
    at, digest = (part.partition("=")[2] for part in header["X-Tapewatch-Signature"].split(","))
    assert digest == hmac.new(b"s3cret", f"{at}.".encode() + body, hashlib.sha256).hexdigest()


async def test_discord_and_slack_get_their_own_form() -> None:
    async with receiver() as hook, carrying() as carrier:
        await carrier.send(Webhook(hook.url, form="discord"), notice(), 1)
        await carrier.send(Webhook(hook.url, form="slack"), notice(), 1)
    assert hook.got[0]["content"].startswith("CRITICAL · big move\nBTCUSDT moved (1)\nlook at the book")
    assert hook.got[0]["allowed_mentions"] == {"parse": []}
    assert hook.got[1] == {"text": hook.got[0]["content"]}


async def test_telegram_is_asked_as_its_api_wants_and_its_reason_is_told() -> None:
    def api(n: int) -> web.Response:
        if n == 1:
            return web.json_response({"ok": True, "result": {"message_id": 1}})
        wait = {"ok": False, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 7}}
        return web.json_response(wait, status=429)

    async with receiver(api) as server:
        config = AlertsConfig(allowed_networks=("127.0.0.0/8",), telegram_url=server.url)
        async with carrying(config) as carrier:
            await carrier.send(Telegram("12:ab-C", "@desk"), notice(), 1)
            error = await refusal(carrier, Telegram("12:ab-C", "@desk"))
    assert server.paths == ["/bot12:ab-C/sendMessage"] * 2
    assert (server.got[0]["chat_id"], server.got[0]["text"]) == ("@desk", words(notice()))
    assert (str(error), error.after_s) == ("answers 429 Too Many Requests: Too Many Requests", 7.0)


async def test_a_mail_says_what_happened_and_every_attempt_is_the_same_mail() -> None:
    async with mail_server(refusals=1) as box, carrying() as carrier:
        sink = Email("127.0.0.1", ("a@desk.example", "b@desk.example"), "tape@desk.example", box.port, "none")
        assert str(await refusal(carrier, sink)) == "the mail server answers 451 try again later"
        await carrier.send(sink, notice(), 2)
        await carrier.send(sink, notice(), 3)
    first, second = box.mails
    assert first["Subject"] == "[critical] big move: BTCUSDT moved (1)"
    assert (first["To"], first["From"]) == ("a@desk.example, b@desk.example", "tape@desk.example")
    assert isinstance(first, EmailMessage)
    lines = first.get_content().splitlines()
    assert lines[:3] == ["CRITICAL · big move", "BTCUSDT moved (1)", "look at the book"]
    assert lines[3].startswith("delayed by ")
    assert first["Message-ID"] == second["Message-ID"]
    assert first["X-Tapewatch-Key"] == notice().key


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Who vouches for servers' certificates, known to this machine the way a company's own authority is."""
    ours = trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return ours


def vouched(by: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server's context with a certificate for these names."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    by.issue_cert(*names).configure_cert(context)
    return context


def _by(security: str, context: ssl.SSLContext) -> Any:
    return {security: context}


def mailbox(
    port: int, security: Literal["starttls", "tls"], password: str = PASSWORD, host: str = "localhost"
) -> Email:
    return Email(host, ("a@desk.example",), "tape@desk.example", port, security, USER, password)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_goes_over_an_encrypted_line_to_whom_it_is_meant(
    security: Literal["starttls", "tls"], authority: trustme.CA
) -> None:
    right, elsewhere = vouched(authority, "localhost"), vouched(authority, "mail.example")
    stranger = vouched(trustme.CA(), "localhost")
    async with carrying() as carrier:
        async with mail_server(**_by(security, right)) as box:
            await carrier.send(mailbox(box.port, security), notice(), 1)
            said = str(await refusal(carrier, mailbox(box.port, security, "wrong")))
            assert said.startswith("the mail server answers 535 ")
            assert "wrong" not in said
        assert (len(box.mails), box.encrypted) == (1, [True])
        for context, why in ((elsewhere, "Hostname mismatch"), (stranger, "unable to get local issuer certificate")):
            async with mail_server(**_by(security, context)) as box:
                error = await refusal(carrier, mailbox(box.port, security))
            assert str(error).startswith(f"its certificate is not accepted: {why}"), str(error)
            assert not error.final  # a certificate is renewed; what waits is sent then
            assert box.mails == []


async def test_a_webhook_of_a_server_that_nobody_vouches_for_gets_nothing() -> None:
    stranger = vouched(trustme.CA(), "localhost")
    async with receiver(tls=stranger) as hook, carrying() as carrier:
        error = await refusal(carrier, Webhook(f"{hook.url}/SECRET"))
        assert str(error).startswith("its certificate is not accepted: ")
        assert hook.got == []


async def test_a_password_is_not_said_on_an_open_line() -> None:
    async with mail_server() as box, carrying() as carrier:  # which offers no STARTTLS
        error = await refusal(carrier, mailbox(box.port, "starttls"))
        assert str(error) == "mail: SMTP STARTTLS extension not supported by server."
        assert box.mails == []


@pytest.mark.parametrize(
    ("status", "sentence"), [(500, "answers 500 Internal Server Error"), (404, "answers 404 Not Found")]
)
async def test_an_answer_that_is_no_success_is_a_failure(status: int, sentence: str) -> None:
    async with receiver(lambda _: web.Response(status=status)) as hook, carrying() as carrier:
        assert str(await refusal(carrier, Webhook(hook.url))) == sentence


def test_what_a_receiver_says_that_is_no_text_is_no_text_of_ours() -> None:
    said = b"550 Bo\xeete\0 pleine".decode("utf-8", "surrogateescape")  # as a mail server's answer is read
    assert str(DeliveryError(said)) == "550 Bo?te? pleine"


async def test_a_receiver_that_hangs_costs_the_timeout_and_no_more() -> None:
    async with (
        receiver(hanging=True) as hook,
        carrying(AlertsConfig(allowed_networks=("127.0.0.1/32",), timeout_s=0.2)) as carrier,
    ):
        assert str(await refusal(carrier, Webhook(hook.url))) == "no answer within 0.2 s"


async def test_an_endless_answer_is_not_read() -> None:
    async with receiver(lambda _: web.Response(body=b"x" * (10 << 20))) as hook, carrying() as carrier:
        await carrier.send(Webhook(hook.url), notice(), 1)


async def test_nobody_listening_is_said_without_the_address() -> None:
    async with carrying() as carrier:
        error = await refusal(carrier, Webhook("http://127.0.0.1:1/secret-path"))
    assert str(error).startswith("cannot be reached: ")
    assert "secret" not in str(error)


# ---------------------------------------------------------------- where messages may not go


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.7", "172.16.0.1", "169.254.169.254", str(IPv4Address(0)), "[::1]",
        "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "localhost", "224.0.0.1",
        "100.64.0.1", "①②⑦.⓪.⓪.①", "127。0.0.1", "[::7f00:1]", "[::ffff:0:7f00:1]", "[64:ff9b:1::7f00:1]", "[fec0::1]",
    ],
)  # fmt: skip
async def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    async with carrying(AlertsConfig()) as carrier:
        error = await refusal(carrier, Webhook(f"http://{host}:9/x"))
        assert error.final
        assert "alerts.allowed_networks" in str(error)
        with pytest.raises(RefusedTargetError):
            await carrier.allowed(Webhook(f"http://{host}:9/x"))
        mail = Email(host.strip("[]"), ("a@b.example",), "a@b.example")
        assert (await refusal(carrier, mail)).final


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.1", "017700000001"])
async def test_other_ways_to_write_an_ipv4_address_lead_nowhere(host: str) -> None:
    async with carrying(AlertsConfig()) as carrier:
        await refusal(carrier, Webhook(f"http://{host}:9/x"))
        with pytest.raises(RefusedTargetError):
            await carrier.allowed(Webhook(f"http://{host}:9/x"))


async def test_a_public_address_passes_and_an_allowed_network_too() -> None:
    guard = Guard(["10.0.0.0/8"])
    assert guard.check("93.184.216.34", "x") == "93.184.216.34"
    assert guard.check("2606:2800:220:1::1", "x") == "2606:2800:220:1::1"
    assert guard.check("10.2.3.4", "x") == "10.2.3.4"
    with pytest.raises(RefusedTargetError):
        guard.check("127.0.0.1", "x")


@pytest.mark.parametrize("written", ["127.0.0.1", "①②⑦.⓪.⓪.①"])
async def test_a_redirect_is_checked_like_the_address_itself(written: str) -> None:
    async with receiver() as inside, carrying(AlertsConfig(allowed_networks=("127.0.0.2/32",))) as carrier:

        def redirect(_: int) -> web.Response:
            place = f"{inside.url}/metadata".replace("127.0.0.1", written)
            return web.Response(status=307, headers={"Location": place})

        async with receiver(redirect, host="127.0.0.2") as outside:
            error = await refusal(carrier, Webhook(outside.url))
            assert error.final
            assert "127.0.0.1 is the private address 127.0.0.1" in str(error)
            assert (len(outside.got), inside.got) == (1, [])
            async with carrying() as allowed:
                await allowed.send(Webhook(outside.url), notice(), 1)
    assert inside.paths == ["/metadata"]
    assert inside.bodies == outside.bodies[1:]


@pytest.mark.parametrize(
    ("status", "place", "sentence"),
    [
        (302, "/other", "answers 302; a webhook may redirect with 307 or 308 only"),
        (307, "/again", "redirects more than 3 times"),
        (307, "file:///etc/passwd", "redirects to where a message would not be protected"),
        (307, "http://[bad/", "its address, or where that redirects to, is no address"),
        (307, f"http://{'a' * 70}.example/", "its address, or where that redirects to, is no address"),
    ],
)
async def test_redirects_have_bounds(status: int, place: str, sentence: str) -> None:
    def answer(_: int) -> web.Response:
        return web.Response(status=status, headers={"Location": place})

    async with receiver(answer) as hook, carrying() as carrier:
        assert str(await refusal(carrier, Webhook(hook.url))) == sentence


# ---------------------------------------------------------------- the outbox


@dataclass
class Ledger:
    """What is kept, as a database would."""

    waiting: dict[tuple[str, str], Delivery] = field(default_factory=dict)
    settled: dict[tuple[str, str], str] = field(default_factory=dict)

    def keep(self, batch: Batch) -> asyncio.Future[None]:
        for one in batch.waiting:
            self.waiting[one.key, one.sink] = one
        for done in batch.settled:
            self.waiting.pop((done.key, done.sink), None)
            self.settled[done.key, done.sink] = done.outcome
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


@asynccontextmanager
async def sending(
    sinks: dict[str, Sink], config: AlertsConfig = LOCAL, waiting: Sequence[Delivery] = ()
) -> AsyncIterator[tuple[Outbox, Ledger, Callable[[Notice, tuple[str, ...]], None]]]:
    """An outbox at work, what it keeps, and how a notice is given to it."""
    carrier, ledger = Carrier(config), Ledger()

    async def send(name: str, one: Notice, attempt: int) -> None:
        await carrier.send(sinks[name], one, attempt)

    box = Outbox(config, send, ledger.keep, seed=7)
    box.restore(list(waiting), [])

    def give(one: Notice, names: tuple[str, ...]) -> None:
        made, dead = box.prepare(one, names)
        ledger.keep(Batch(waiting=made, settled=dead))
        box.add(made)

    running = asyncio.create_task(box.run())
    try:
        yield box, ledger, give
    finally:
        running.cancel()
        await asyncio.wait([running])
        await carrier.close()


def failing(times: int) -> Answer:
    """Answers 500 so many times, then 200."""
    return lambda n: web.Response(status=500) if n <= times else ok(n)


async def test_a_sink_that_fails_at_first_gets_every_message_once_and_in_order() -> None:
    async with receiver(failing(2)) as hook, sending({"ops": Webhook(hook.url)}) as (box, ledger, give):
        for n in range(5):
            give(notice(n), ("ops",))
        await until(lambda: not len(box))
    assert hook.keys == [notice(0).key] * 2 + [notice(n).key for n in range(5)]
    assert set(ledger.settled.values()) == {"delivered"}
    assert not ledger.waiting
    assert (box.stats["ops"].delivered, box.stats["ops"].failed) == (5, 2)


async def test_a_sink_that_hangs_delays_no_other() -> None:
    config = AlertsConfig(allowed_networks=("127.0.0.0/8",), timeout_s=120.0)
    async with receiver(hanging=True) as stuck, receiver() as good:
        sinks: dict[str, Sink] = {"stuck": Webhook(stuck.url), "good": Webhook(good.url)}
        async with sending(sinks, config) as (box, ledger, give):
            for n in range(50):
                give(notice(n), ("stuck", "good"))
            await good.received(50)
            await until(lambda: len(ledger.settled) == 50)
            assert (box.waiting("stuck"), box.waiting("good")) == (50, 0)
    assert good.keys == [notice(n).key for n in range(50)]
    assert len(stuck.got) == 1  # in order: the first message of the rule is still under way


async def test_after_the_last_attempt_a_message_is_laid_aside_with_a_sentence_and_can_be_sent_again() -> None:
    async with receiver(failing(4)) as hook, sending({"ops": Webhook(hook.url)}) as (box, ledger, give):
        give(notice(), ("ops",))
        await until(lambda: bool(ledger.settled))
        (dead,) = box.dead
        assert dead.detail == "not delivered after 4 attempts: answers 500 Internal Server Error"
        assert ledger.settled == {(notice().key, "ops"): "dead"}
        again, count = box.retry("ops")
        box.add(again)
        await until(lambda: ledger.settled[notice().key, "ops"] == "delivered")
        assert (count, len(box.dead)) == (1, 0)
    assert hook.keys == [notice().key] * 5


async def test_ten_thousand_messages_at_once_arrive_each_once() -> None:
    async with receiver() as hook, sending({"ops": Webhook(hook.url)}) as (box, ledger, give):
        wanted = [notice(n, rule_id=n % 40) for n in range(10_000)]
        for one in wanted:
            give(one, ("ops",))
        await until(lambda: not len(box))
        assert len(ledger.settled) == 10_000
    assert sorted(hook.keys) == sorted(one.key for one in wanted)
    for rule_id in range(40):
        mine = [key for key in hook.keys if key.startswith(f"{rule_id}:")]
        assert mine == [one.key for one in wanted if one.rule_id == rule_id]  # order within a rule


async def test_what_does_not_fit_is_laid_aside_and_said() -> None:
    async with receiver(hanging=True) as hook, sending({"ops": Webhook(hook.url)}) as (box, ledger, give):
        for n in range(WAITING_AT_MOST + 3):
            give(notice(n), ("ops",))
        assert len(box) == WAITING_AT_MOST
        assert [one.detail for one in box.dead] == ["not delivered 20,000 messages were waiting already"] * 3
        assert list(ledger.settled.values()) == ["dead"] * 3


async def test_a_start_goes_on_with_what_was_waiting_in_its_order() -> None:
    waiting = [Delivery(notice(n).key, "ops", n, 1, msgspec.json.encode(notice(n)).decode(), T0, T0) for n in range(6)]
    async with receiver() as hook, sending({"ops": Webhook(hook.url)}, waiting=waiting) as (box, _, give):
        give(notice(9), ("ops",))
        await until(lambda: not len(box))
    assert hook.keys == [notice(n).key for n in (*range(6), 9)]


async def test_a_defect_of_ours_is_a_failed_attempt_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []

    async def send(_: str, __: Notice, attempt: int) -> None:
        tried.append(attempt)
        raise ZeroDivisionError

    ledger = Ledger()
    box = Outbox(LOCAL, send, ledger.keep)
    running = asyncio.create_task(box.run())
    made, _ = box.prepare(notice(), ("ops",))
    box.add(made)
    await until(lambda: bool(ledger.settled))
    running.cancel()
    await asyncio.wait([running])
    assert tried == [1, 2, 3, 4]
    assert box.dead[0].detail == "not delivered after 4 attempts: an error of ours (ZeroDivisionError)"
    assert "alert_sink_failed" in caplog.text


# ---------------------------------------------------------------- the file of secrets


def test_sinks_are_kept_where_only_their_owner_reads(tmp_path: Path) -> None:
    file = SinkFile(tmp_path / "state")
    file.load()
    sinks: dict[str, Sink] = {"ops": Webhook("https://hooks.example/T0/secret"), "me": Telegram("1:abc", "7")}
    file.save(sinks)
    assert file.path.stat().st_mode & 0o777 == 0o600
    again = SinkFile(tmp_path / "state")
    again.load()
    assert again.sinks == sinks
    assert again.sinks["ops"].shown() == "https://hooks.example/…"
    file.path.chmod(0o644)
    with pytest.raises(TapewatchError, match="can be read by others"):
        again.load()


@pytest.mark.parametrize(
    "place", ["https://x:99999/SECRET", "https://[bad/SECRET", f"https://{'a' * 70}.example/SECRET"]
)
async def test_a_place_that_is_none_is_refused_without_repeating_it(place: str) -> None:
    async with carrying() as carrier:
        with pytest.raises(UsageError, match="its host or port is none"):
            await carrier.allowed(Webhook(place))


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "webhook", "url": "ftp://x/SECRET"}, {"kind": "webhook", "url": "https://x/SECRET", "colour": 1},
        {"kind": "telegram", "token": "SECRET", "chat": "1"}, {"kind": "pager"}, {"url": "https://x/SECRET"},
        {"kind": "email", "host": "h", "sender": "a@b", "to": ["SECRET"]},
        {"kind": "email", "host": "h", "sender": "a@b", "to": ["a@b\nBcc: SECRET@x"]},
    ],
)  # fmt: skip
def test_a_sink_that_makes_no_sense_is_refused_without_repeating_it(content: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        sink_of(content)
    assert str(caught.value).startswith("the sink is refused: ")
    assert "SECRET" not in str(caught.value)
