"""The merchant's outbox and the buyer's mail: at least once, stable keys, poison put aside."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.merchant.conftest import Shop
from tests.merchant.mailbox import Mailbox
from tests.support.clock import NOW, Hands
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, SECOND, later
from tongbao.merchant.database import Database
from tongbao.merchant.job import (
    LEASE_MS,
    POISON_TRIES,
    TRIES,
    JobReport,
    back_off,
    release_job,
    run_jobs,
    run_jobs_async,
)
from tongbao.merchant.mail import SmtpMailer, mail_handler, mail_job, paid_mail
from tongbao.merchant.order import Evidence, Job, Order, Payment
from tongbao.merchant.record import enqueue
from tongbao.wire.vocabulary import TradeState
from tongbao.wire.world import Mail


def put(database: Database, *keys: str, kind: str = "work") -> None:
    """Queue jobs of one kind."""

    def work(transaction: Any) -> None:
        for key in keys:
            enqueue(transaction, Job(key=key, kind=kind, order_no="A1", data={"名": "茶"}), NOW)

    database.run(work)


def states(database: Database) -> dict[str, str]:
    rows = database.read(lambda transaction: transaction.rows("SELECT job_key, state FROM payment_outbox"))
    return {row["job_key"]: row["state"] for row in rows}


def test_jobs_run_once_and_keep_their_data(database: Database) -> None:
    """Done is done; the handler sees key, data and attempt."""
    put(database, "a", "b")
    put(database, "a")
    seen: list[Job] = []
    assert run_jobs(database, {"work": seen.append}, clock=Hands()) == JobReport(done=2)
    assert run_jobs(database, {"work": seen.append}, clock=Hands()) == JobReport()
    assert seen == [Job(key=key, kind="work", order_no="A1", data={"名": "茶"}, attempt=1) for key in ("a", "b")]
    assert states(database) == {"a": "done", "b": "done"}


def test_parallel_workers_share_the_queue(database: Database) -> None:
    """Eight workers, forty jobs: each job is run by one of them."""
    keys = [f"k{index:02}" for index in range(40)]
    put(database, *keys)
    seen: list[str] = []

    def work(_: int) -> None:
        while run_jobs(database, {"work": lambda job: seen.append(job.key)}, clock=Hands(), limit=3).done:
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    while run_jobs(database, {"work": lambda job: seen.append(job.key)}, clock=Hands()).done:
        pass
    assert sorted(seen) == keys


def test_F34_a_poison_job_is_put_aside_and_the_queue_moves_on(sqlite_database: Database) -> None:
    """Three tries with back-off, then quarantine; the others are done at once; a release gives new tries."""
    clock = Hands()
    put(sqlite_database, "bad", "good")

    def handle(job: Job) -> None:
        if job.key == "bad":
            raise ValueError("buyer@example.com")

    reports = []
    for attempt in range(1, POISON_TRIES + 2):
        reports.append(run_jobs(sqlite_database, {"work": handle}, clock=clock))
        clock.now = later(clock.now, back_off(attempt))
    assert reports == [JobReport(1, 1), JobReport(postponed=1), JobReport(quarantined=1), JobReport()]
    row = sqlite_database.read(lambda transaction: transaction.rows("SELECT state, error FROM payment_outbox"))[0]
    assert row == {"state": "quarantined", "error": "ValueError"}
    assert release_job(sqlite_database, "bad", clock=clock) is True
    assert release_job(sqlite_database, "bad", clock=clock) is False
    assert run_jobs(sqlite_database, {"work": lambda job: None}, clock=clock) == JobReport(done=1)


def test_a_mail_system_that_is_down_is_tried_for_long(sqlite_database: Database) -> None:
    """OSError is not poison: twelve tries with growing pauses."""
    clock = Hands()
    put(sqlite_database, "a")

    def down(job: Job) -> None:
        raise ConnectionRefusedError

    tries = 0
    while states(sqlite_database)["a"] == "waiting":
        tries += sum(vars_of(run_jobs(sqlite_database, {"work": down}, clock=clock)))
        clock.now = later(clock.now, DAY)
    assert tries == TRIES
    assert [back_off(attempt) // SECOND for attempt in (1, 2, 3, 12)] == [10, 20, 40, 20_480]
    assert back_off(40) == 6 * 3600 * SECOND


def vars_of(report: JobReport) -> tuple[int, int, int]:
    return report.done, report.postponed, report.quarantined


def test_F35_a_worker_that_dies_leaves_its_job_to_another(sqlite_database: Database) -> None:
    """A claim lapses: the job is not lost, and runs again under the same key."""
    clock = Hands()
    put(sqlite_database, "a")

    def die(job: Job) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(sqlite_database, {"work": die}, clock=clock)
    seen: list[tuple[str, int]] = []
    handlers = {"work": lambda job: seen.append((job.key, job.attempt))}
    assert run_jobs(sqlite_database, handlers, clock=clock) == JobReport()
    clock.now = later(clock.now, LEASE_MS)
    assert run_jobs(sqlite_database, handlers, clock=clock) == JobReport(done=1)
    assert seen == [("a", 2)]


def test_a_job_without_a_handler_is_put_aside(sqlite_database: Database) -> None:
    """It is visible, and blocks nobody."""
    put(sqlite_database, "a", kind="unknown")
    assert run_jobs(sqlite_database, {}, clock=Hands()) == JobReport(quarantined=1)


def test_the_asynchronous_worker_awaits_its_handlers(sqlite_database: Database) -> None:
    """Coroutine functions and a World's mailer fit."""
    put(sqlite_database, "a", kind="work")
    seen: list[str] = []

    async def handle(job: Job) -> None:
        await asyncio.sleep(0)
        seen.append(job.key)

    report = asyncio.run(run_jobs_async(sqlite_database, {"work": handle}, clock=Hands()))
    assert (report, seen) == (JobReport(done=1), ["a"])


ORDER = Order(order_no="A1", amount=Money(1000), subject="龙井\r\nBcc: x@y", email="buyer@example.com", language="zh")
PAYMENT = Payment(
    order_no="A1", endpoint="trial", provider="trial:m1", trade_no="T1", event="paid", state=TradeState.PAID,
    amount=Money(1000), evidence=Evidence.NOTIFY, at=NOW,
)  # fmt: skip


def make_mail(language: str, email: str = "buyer@example.com") -> Mail:
    job = mail_job(Order(**{**fields(), "language": language, "email": email}), PAYMENT)
    assert job is not None
    return paid_mail(job, "Shop <shop@example.com>")


def fields() -> dict[str, Any]:
    return {name: getattr(ORDER, name) for name in ("order_no", "amount", "subject", "email", "language")}


def test_the_mail_is_in_the_buyers_language() -> None:
    """Chinese and English, English for others; nothing a buyer typed breaks a line."""
    assert make_mail("zh").subject == "订单 A1 已付款"
    assert make_mail("en").subject == make_mail("fr").subject == "Order A1 is paid"
    assert "10.00 CNY" in make_mail("zh").text
    assert "龙井 Bcc: x@y" in make_mail("zh").text
    assert make_mail("zh").key == "mail:A1:paid"
    assert mail_job(Order(order_no="A1", amount=Money(1)), PAYMENT) is None


def test_T65_an_address_cannot_inject_headers() -> None:
    """Line breaks in the address are folded into one line."""
    assert make_mail("en", "a@example.com\r\nBcc: b@example.com").to == "a@example.com Bcc: b@example.com"


def test_the_buyer_gets_one_mail_over_smtp(shop: Shop) -> None:
    """Paid twice over, the worker run twice: one message in a real mailbox, with a stable Message-ID."""
    shop.order(language="zh")
    shop.platform.trade("A1")
    for _ in range(2):
        shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
    with Mailbox() as mailbox:
        send = SmtpMailer("127.0.0.1", mailbox.port, security="none")
        for _ in range(2):
            run_jobs(shop.database, {"mail": mail_handler("shop@example.com", send)}, clock=shop.clock)
    assert len(mailbox.messages) == 1
    message = mailbox.messages[0]
    assert (message["To"], message["From"], message["Subject"]) == (
        "buyer@example.com",
        "shop@example.com",
        "订单 A1 已付款",
    )
    assert message["Message-ID"] == "<mail-A1-paid@example.com>"
    assert "交易号：TA1" in message.get_content()


def test_mail_settings_are_checked() -> None:
    """A sender that is no address, an unknown kind of security, and plain SMTP to elsewhere."""
    with pytest.raises(ConfigurationError, match="mail_sender"):
        mail_handler("shop", print)
    with pytest.raises(ConfigurationError, match="security"):
        SmtpMailer("mail.example.com", security="maybe")
    with pytest.raises(ConfigurationError, match="security"):
        SmtpMailer("mail.example.com", security="none")
