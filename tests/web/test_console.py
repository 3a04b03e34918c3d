"""The console shows everything about an order, changes nothing, and is not there in production."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.web.branch import CARDS, PASSWORD, Branch, branch
from tests.web.house import BASE, MERCHANT, NOTIFY, PROTOCOL, SECRET, ask, house, run
from tests.web.surfer import Surfer
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.sandbox.forgery import send_tampered
from tongbao.service import checkout, outbox
from tongbao.store.schema import EVENT
from tongbao.web.app import Web, build_web
from tongbao.web.cashier.app import cashier_app
from tongbao.web.console import console_app
from tongbao.web.faces.recorder import MemoryRecorder
from tongbao.web.page.error import Pages
from tongbao.wire.http import get
from tongbao.wire.loader import load_protocol
from tongbao.wire.vocabulary import ConfirmNotification, CreateTrade, Product
from tongbao.wire.world import Mail

POLYGLOT = "\"'><svg/onload=alert(1)><script>alert(2)</script>"
ROOMS = ("/console", "/console/notifications", "/console/refusals", "/console/cases", "/console/mails")


@dataclass
class Kept:
    """One mail as the mailbox keeps it."""

    at: Instant
    mail: Mail


@dataclass
class Desk:
    """Everything a test touches."""

    here: Branch
    web: Web
    console: Surfer
    trade_no: str


Test = Callable[[Desk], Awaitable[None]]


async def order(here: Branch, web: Web, number: str, subject: str) -> str:
    """An order paid through the signed request, as a browser carries it; the trade's number."""
    intent = CreateTrade(
        merchant=MERCHANT,
        out_trade_no=number,
        product=Product.INSTANT,
        subject=subject,
        amount=Money(12_850),
        notify_url=NOTIFY,
    )
    now = here.home.platform.world.clock.wire()
    link = load_protocol(PROTOCOL).client.encode(intent, here.home.credentials, now).link()
    answer = await ask(web.main, get(link, ((b"accept", b"text/html"), (b"cookie", b"secret=1"))))
    assert answer.status == 302
    trade = await here.home.platform.find_trade(MERCHANT, number)
    buyer = await checkout.log_in(here.home.platform, "buyer@example.com", "login123")
    await checkout.pay_from_balance(here.home.platform, trade, buyer, "741852")
    return trade.trade_no


async def deliver(here: Branch, answer: str) -> None:
    """One delivery of everything due, answered so."""
    platform = here.home.platform
    done = [
        outbox.Delivered(one, "SUCCESS" if answer == "success" else "OTHER_ANSWER", 200, answer, 7, here.home.now)
        for one in await outbox.claim(platform)
    ]
    await outbox.finish(platform, done)


def play(folder: Path, test: Test, subject: str = "青瓷茶具") -> None:
    """Run ``test`` with a console over a paid order."""

    async def main() -> None:
        async with branch(folder) as here:
            platform = here.home.platform
            recorder = MemoryRecorder(platform.world.clock.wire)
            mails: Sequence[Kept] = [Kept(here.home.now, Mail("shop@e.com", "lin@e.com", POLYGLOT, POLYGLOT, "k"))]
            tamper = partial(send_tampered, platform)
            console = console_app(platform, recorder=recorder, mails=lambda: mails, tamper=tamper)
            routes = {"console": console, "cashier": cashier_app(platform)}
            web = build_web(platform, Pages(), routes=routes, recorder=recorder)
            number = await order(here, web, "N1", subject)
            await test(Desk(here, web, Surfer(web.main), number))

    run(main)


def test_an_order_is_told_in_seven_steps(tmp_path: Path) -> None:
    """Raw request, string to sign with the key masked, signature, payment, postings, deliveries, the question back."""

    async def test(desk: Desk) -> None:
        platform, credentials = desk.here.home.platform, desk.here.home.credentials
        await deliver(desk.here, "fail <b>")
        confirm = ConfirmNotification(merchant=MERCHANT, notification_id=platform.seal.event_id(desk.trade_no, 1))
        now = platform.world.clock.wire()
        question = load_protocol(PROTOCOL).client.encode(confirm, credentials, now).request()
        assert (await ask(desk.web.main, question)).body == b"true"
        page = await desk.console.get(f"/console/trades/{desk.trade_no}")
        for number in range(1, 8):
            assert f'id="step-{number}"' in page.body
        for words in (
            "GET /gateway.do?", "total_fee=128.50", "subject=青瓷茶具", "MD5", "Account balance",
            "Captured", "merchant:2088000000000001:pending:CNY", "buyer:2088000000000099:balance:CNY",
            "OTHER_ANSWER", "fail <b>",
            "notify_verify", "HTTP/1.1 200 true", "Next attempt",
        ):  # fmt: skip
            assert words in page.text, words
        assert SECRET not in page.body
        assert "secret=1" not in page.body
        assert "********" in page.text

    play(tmp_path, test)


def test_a_notification_is_sent_again_with_its_old_id(tmp_path: Path) -> None:
    """After the delivery succeeded, pressing the button makes the event due at once; its id stays."""

    async def test(desk: Desk) -> None:
        platform = desk.here.home.platform
        await deliver(desk.here, "success")
        page = await desk.console.get(f"/console/trades/{desk.trade_no}")
        assert "Delivered" in page.text
        answer = await desk.console.send(page.form("/resend"))
        assert (answer.status, answer.location) == (303, f"/console/trades/{desk.trade_no}#step-7")
        events = await platform.database.load(EVENT, [(MERCHANT, "N1", 1)])
        assert (events[0].notify_state, events[0].next_at is not None) == ("pending", True)
        assert (await desk.console.send(page.form("/resend"), seq="9")).status == 404
        assert (await desk.console.send(page.form("/resend"), seq="x")).status == 400

    play(tmp_path, test)


def test_a_tampered_notification_is_shown_with_its_answer(tmp_path: Path) -> None:
    """The changed field before and after, the message sent, what the shop said; a field it has not is named."""

    async def test(desk: Desk) -> None:
        async def shop(scope: object, receive: object, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"fail"})

        desk.here.home.net.apps["127.0.0.1:9"] = shop
        form = (await desk.console.get(f"/console/trades/{desk.trade_no}")).form("/tamper")
        page = await desk.console.send(form, field="total_fee", value="0.01")
        assert (page.status, "128.50" in page.text, "The shop did not take it" in page.text) == (200, True, True)
        assert b"total_fee=0.01" in desk.here.home.net.sent[-1].body
        page = await desk.console.send(form, field="no_such", value="1")
        assert "no_such" in page.alert
        desk.here.home.net.down.add("127.0.0.1:9")
        page = await desk.console.send(form, field="total_fee", value="0.01")
        assert "CONNECT" in page.alert

    play(tmp_path, test)


def test_without_a_tamperer_there_is_no_button(tmp_path: Path) -> None:
    """A console that was given no way to tamper offers none, and refuses the form."""

    async def test(desk: Desk) -> None:
        plain = Surfer(console_app(desk.here.home.platform))
        page = await plain.get(f"/console/trades/{desk.trade_no}")
        assert [form.action for form in page.forms] == [f"/console/trades/{desk.trade_no}/resend"]
        assert "was not kept" in page.text
        form = page.form("/resend")
        form.action = form.action.replace("resend", "tamper")
        assert (await plain.send(form, field="total_fee", value="1")).status == 404
        assert "No mails yet." in (await plain.get("/console/mails")).text

    play(tmp_path, test)


def test_the_lists_show_what_there_is(tmp_path: Path) -> None:
    """Trades with a search, notifications, refused requests without their content, cases, mails; the front door."""

    async def test(desk: Desk) -> None:
        surfer, main = desk.console, desk.web.main
        await ask(
            main, get(f"{BASE}/alipay_mapi/gateway.do?service=nothing&{'x' * 50}=1", ((b"accept", b"text/html"),))
        )
        assert "N1" in (await surfer.get("/console")).text
        assert "N1" in (await surfer.get("/console?q=N1")).text
        assert "N1" in (await surfer.get(f"/console?q={desk.trade_no}")).text
        assert "Nothing here yet." in (await surfer.get("/console?q=nothing")).text
        assert "To be delivered" in (await surfer.get("/console/notifications")).text
        assert "UNKNOWN_SERVICE" in (await surfer.get("/console/refusals")).text
        assert "No open cases." in (await surfer.get("/console/cases")).text
        assert (await surfer.get("/console/trades/1")).status == 404
        front = Surfer(console_app(desk.here.home.platform))
        assert (await front.get("/")).location == "/console"

    play(tmp_path, test)


def test_bank_payments_are_told_too(tmp_path: Path) -> None:
    """Instruction, the bank's reference and its postings."""

    async def test(desk: Desk) -> None:
        handover = await desk.here.start("N2")
        await desk.here.fill(handover.url, number=CARDS["ok"], password=PASSWORD, act="pay")
        trade = await desk.here.trade("N2")
        page = await desk.console.get(f"/console/trades/{trade.trade_no}")
        for words in (handover.instruction_no, "bank reference", "bank:ICBC:0:CNY", "Succeeded"):
            assert words in page.text

    play(tmp_path, test)


def test_T54_what_others_wrote_is_text(tmp_path: Path) -> None:
    """Subjects, merchants' answers and mails full of markup are shown as they are, on every page."""

    async def test(desk: Desk) -> None:
        await deliver(desk.here, POLYGLOT)
        for path in (*ROOMS, f"/console/trades/{desk.trade_no}"):
            body = (await desk.console.get(path)).body
            assert "<svg/onload" not in body
            assert re.findall(r"<script(?! defer src=\"/page/)", body) == []

    play(tmp_path, test, subject=POLYGLOT)


def test_T67_the_console_does_not_start_in_production(tmp_path: Path) -> None:
    """There is no operator's sign-in yet, so it may not stand open there."""

    async def main() -> None:
        async with house(tmp_path, environment="production") as home:
            with pytest.raises(ConfigurationError):
                console_app(home.platform)

    run(main)
