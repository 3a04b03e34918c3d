"""Refunds and payouts from the merchant's side, against the server ends of the classic interface and of YeePay."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.merchant.conftest import KEY, Shop, make_shop
from tests.merchant.test_alipay import PARTNER, key_pair
from tests.support.clock import NOW
from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, china_text, later
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.merchant.errand import check_bill
from tongbao.merchant.movement import Movement, MovementKind, MovementTable, list_movements
from tongbao.merchant.verdict import VerdictKind
from tongbao.wire.contract import Manifest
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol
from tongbao.wire.movement import (
    BatchTaken,
    BatchView,
    MovementState,
    PayOutBatch,
    PayOutItem,
    PayOutView,
    QueryRefund,
    RefundBatch,
    RefundFound,
    RefundItem,
    RefundTrade,
    RefundView,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import Confirmed, ConfirmNotification, Notification, Rejection
from tongbao.wire.world import NoAnswer

TRADE = "2023111400000000000000000001"
BATCH = china_text(NOW)[:10].replace("-", "") + "001"
NOTIFY = "http://shop.example/alipay/notify?code=alipay"


@dataclass
class Gateway:
    """A protocol's server end with refunds and payouts behind it; ``silent`` swallows so many answers."""

    manifest: Manifest
    ring: KeyRing
    refunds: dict[str, RefundView] = field(default_factory=dict)
    batches: dict[str, BatchView] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    refusal: str = ""
    silent: int = 0
    asked: list[Any] = field(default_factory=list)

    def __call__(self, request: Request, limits: Any) -> Response:
        server = self.manifest.server
        claim = server.claim(request)
        intent: Any = server.decode(claim, self.ring, NOW).intent
        self.asked.append(intent)
        outcome = self.outcome(intent)
        if self.silent and not isinstance(intent, ConfirmNotification | QueryRefund):
            self.silent -= 1
            raise NoAnswer("TIMEOUT")
        return server.answer(claim, outcome, self.ring, NOW)

    def outcome(self, intent: Any) -> Any:
        if isinstance(intent, ConfirmNotification):
            return Confirmed(intent.notification_id in self.live)
        if self.refusal:
            return Rejection(self.refusal)
        if isinstance(intent, RefundTrade):
            view = RefundView(
                refund_no=intent.refund_no,
                trade_no=intent.trade_no,
                amount=intent.amount,
                state=MovementState.ACCEPTED,
            )
            return RefundFound((self.refunds.setdefault(intent.refund_no, view),))
        if isinstance(intent, RefundBatch):
            views = tuple(
                RefundView(
                    batch_no=intent.batch_no,
                    trade_no=item.trade_no,
                    amount=item.amount,
                    state=MovementState.SUCCEEDED,
                )
                for item in intent.items
            )
            self.batches[intent.batch_no] = BatchView(batch_no=intent.batch_no, refunds=views, echo=intent.echo)
            return BatchTaken(intent.batch_no)
        if isinstance(intent, PayOutBatch):
            payouts = tuple(
                PayOutView(
                    payout_no=item.payout_no, payee=item.payee, amount=item.amount, state=MovementState.SUCCEEDED
                )
                for item in intent.items
            )
            self.batches[intent.batch_no] = BatchView(
                batch_no=intent.batch_no, payouts=payouts, payer=Party(PARTNER), echo=intent.echo
            )
            return BatchTaken(intent.batch_no)
        found = self.batches.get(intent.batch_no)
        if found is not None:
            return RefundFound(found.refunds)
        view_ = self.refunds.get(intent.refund_no)
        return RefundFound((view_,)) if view_ is not None else Rejection("REFUND_NOT_FOUND")

    def notify(self, batch_no: str, change: Callable[[BatchView], BatchView] = lambda batch: batch) -> Request:
        """What the platform says of a batch."""
        identity = f"n{len(self.live):033}"
        self.live.add(identity)
        notice = Notification(id=identity, at=NOW, batch=change(self.batches[batch_no]))
        return self.manifest.server.notify(notice, NOTIFY, self.ring, NOW)


def make(
    database: Database, protocol: str = "alipay_mapi", sign_type: str = "MD5", **more: Any
) -> tuple[Shop, Gateway, Client]:
    """A shop with one endpoint of the protocol and a paid order A1."""
    manifest = load_protocol(protocol)
    number = manifest.merchant_example
    if protocol == "yeepay":
        key = (Key(number, 1, manifest.algorithms[0], KEY.encode()),)
        ring, settings = KeyRing(number, key, key), {"p1_MerId": number, "keyValue": KEY}
    elif sign_type == "MD5":
        key = (Key(number, 1, "MD5", KEY.encode()),)
        ring, settings = KeyRing(number, key, key), {"partner": number, "sign_type": "MD5", "key": KEY}
    else:
        mine, theirs = key_pair("shop"), key_pair("platform")
        settings = {"partner": number, "sign_type": "RSA", "private_key": private_pem(mine)}
        settings |= {"alipay_public_key": public_pem(theirs.public_key())}
        ring = KeyRing(number, (Key("shop", 1, "RSA", mine.public_key()),), (Key("platform", 1, "RSA", theirs),))
    gate = "http://127.0.0.1:1" + manifest.paths[0]
    configuration = MerchantConfiguration(
        protocol=protocol, credentials=settings, environment="sandbox", gateway=gate, notify_url=NOTIFY
    )
    gateway = Gateway(manifest, ring)
    ended: list[Movement] = []
    hooks: dict[str, Any] = {"ended": lambda _, row: ended.append(row), **more}
    shop = make_shop(database, configuration=configuration, send=gateway, **hooks)
    shop.more["seen"] = ended
    shop.order("A1", endpoint="trial")
    pay(shop)
    return shop, gateway, Client(configuration, send=gateway, clock=shop.clock)


def pay(shop: Shop) -> None:
    """The order is paid, as the acceptance would have marked it."""
    shop.database.run(
        lambda transaction: transaction.execute(
            "UPDATE orders SET state = 'paid', evidence = 'NOTIFY', paid_at = 1, trade_no = :trade"
            " WHERE order_no = 'A1'",
            {"trade": TRADE},
        )
    )


def rows(shop: Shop) -> list[dict[str, Any]]:
    return shop.rows("SELECT number, batch_no, state, code, evidence FROM payment_movement ORDER BY number")


def test_a_refund_in_a_batch_of_one_is_told_and_believed(sqlite_database: Database) -> None:
    """The row is there first; the notification is confirmed, queried, applied once; repeats are duplicates."""
    shop, gateway, _ = make(sqlite_database)
    row = shop.receiver.refund("A1", BATCH, Money(350), reason="协商退款")
    assert (row.state, row.batch_no, row.number) == ("accepted", BATCH, TRADE)
    assert gateway.asked[0].notify_url == NOTIFY
    accepted = shop.receiver.accept_notification(gateway.notify(BATCH))
    assert (accepted.verdict.kind, accepted.response.body) == (VerdictKind.APPLIED, b"success")
    assert rows(shop) == [{"number": TRADE, "batch_no": BATCH, "state": "succeeded", "code": "", "evidence": "NOTIFY"}]
    again = shop.receiver.accept_notification(gateway.notify(BATCH))
    assert (again.verdict.kind, again.response.body) == (VerdictKind.DUPLICATE, b"success")
    assert [movement.state for movement in shop.more["seen"]] == ["succeeded"]
    assert shop.receiver.refund("A1", BATCH, Money(350)).state == "succeeded"
    assert sum(isinstance(intent, RefundBatch) for intent in gateway.asked) == 1


@pytest.mark.parametrize(
    "place", ["14.locked", "14.applied", "15.before_commit", "15.after_commit", "16.before_answer"]
)
def test_F03_F04_a_process_that_stops_anywhere_ends_a_refund_once(sqlite_database: Database, place: str) -> None:
    """What was not committed is told again and ends then, what was is a duplicate; the hook's row is there once."""
    armed = [place]

    class Stopped(BaseException):
        """The process is gone."""

    def crash(name: str) -> None:
        if name in armed:
            armed.clear()
            raise Stopped

    def ended(transaction: Any, movement: Movement) -> None:
        transaction.execute("INSERT INTO stock_taken (order_no) VALUES (:number)", {"number": movement.order_no})

    shop, gateway, _ = make(sqlite_database, crashpoint=crash, ended=ended)
    shop.receiver.refund("A1", BATCH, Money(350))
    message = gateway.notify(BATCH)
    with pytest.raises(Stopped):
        shop.receiver.accept_notification(message)
    again = shop.receiver.accept_notification(message)
    assert again.response.body == b"success"
    assert (rows(shop)[0]["state"], shop.count("stock_taken")) == ("succeeded", 1)


@pytest.mark.slow
def test_refunds_on_each_kind_of_database(database: Database) -> None:
    """The same rows, locks and sums on SQLite, PostgreSQL and MariaDB."""
    shop, gateway, _ = make(database)
    shop.receiver.refund("A1", BATCH, Money(350), reason="协商退款")
    with pytest.raises(Refused, match="REFUND_EXCEEDS"):
        shop.receiver.refund("A1", BATCH[:-1] + "2", Money(651))
    accepted = shop.receiver.accept_notification(gateway.notify(BATCH))
    assert (accepted.verdict.kind, accepted.response.body) == (VerdictKind.APPLIED, b"success")
    assert [(row["number"], row["state"]) for row in rows(shop)] == [(TRADE, "succeeded")]
    assert shop.receiver.poll_movements(-1) == []


def test_a_refund_by_its_own_number_is_asked_about(sqlite_database: Database) -> None:
    """YeePay takes a refund on and tells nothing: a later question ends it."""
    shop, gateway, client = make(sqlite_database, "yeepay")
    row = shop.receiver.refund("A1", "RF1", Money(350), reason="part")
    assert (row.state, row.number, row.batch_no) == ("accepted", "RF1", "")
    assert shop.receiver.poll_movements(-1) == []
    gateway.refunds["RF1"] = replace(gateway.refunds["RF1"], state=MovementState.SUCCEEDED)
    assert [movement.number for movement in shop.receiver.poll_movements(-1)] == ["RF1"]
    assert rows(shop)[0]["state"] == "succeeded"
    assert rows(shop)[0]["evidence"] == "QUERY"
    assert client.query_refund("RF1", trade_no=TRADE)[0].state is MovementState.SUCCEEDED


@pytest.mark.parametrize(
    "kind",
    [
        "sqlite_database",
        pytest.param("postgresql_database", marks=pytest.mark.slow),
        pytest.param("mysql_database", marks=pytest.mark.slow),
    ],
)
def test_what_stays_open_is_in_no_other_refunds_way(request: pytest.FixtureRequest, kind: str) -> None:
    """More refunds that the platform does not know than are read at once: the one behind them is asked about."""
    shop, gateway, _ = make(request.getfixturevalue(kind), "yeepay")
    gateway.silent = 4
    for number in ("RF1", "RF2", "RF3", "RF4"):
        with pytest.raises(OutcomeUnknown):
            shop.receiver.refund("A1", number, Money(100))
    done = replace(gateway.refunds["RF4"], state=MovementState.SUCCEEDED)
    gateway.refunds = {"RF4": done}
    assert [movement.number for movement in shop.receiver.poll_movements(-1, limit=2)] == ["RF4"]
    asked = [intent.refund_no for intent in gateway.asked if isinstance(intent, QueryRefund)]
    assert asked == ["RF1", "RF2", "RF3", "RF4"]


def test_F11_an_answer_that_never_came_is_asked_for_again(sqlite_database: Database) -> None:
    """Unknown is not failed: the row stays open, and the same number asks for the same refund."""
    shop, gateway, _ = make(sqlite_database, "yeepay")
    gateway.silent = 1
    with pytest.raises(OutcomeUnknown):
        shop.receiver.refund("A1", "RF1", Money(350))
    assert rows(shop)[0]["state"] == "asked"
    assert shop.receiver.refund("A1", "RF1", Money(350)).state == "accepted"
    assert {intent.refund_no for intent in gateway.asked} == {"RF1"}


def test_F11_a_refusal_of_the_second_asking_ends_no_batch(sqlite_database: Database) -> None:
    """A batch of one that was taken on, and is refused when it is asked for again: it stays open until the question,
    its sum is in no other batch, and it goes where the first asking said, whatever the settings say now."""
    shop, gateway, _ = make(sqlite_database)
    shop.receiver.refund("A1", BATCH, Money(1_000))
    moved = replace(shop.endpoint.configuration, notify_url=NOTIFY.replace("notify", "moved"))
    shop = Shop(
        shop.database, shop.platform, replace(shop.endpoint, configuration=moved), shop.clock, {"send": gateway}
    )
    gateway.refusal = "MERCHANT_FUNDS"
    with pytest.raises(Refused, match="MERCHANT_FUNDS"):
        shop.receiver.refund("A1", BATCH, Money(1_000))
    assert [intent.notify_url for intent in gateway.asked] == [NOTIFY, NOTIFY]
    assert rows(shop) == [{"number": TRADE, "batch_no": BATCH, "state": "accepted", "code": "", "evidence": "ANSWER"}]
    with pytest.raises(Refused, match="REFUND_EXCEEDS"):
        shop.receiver.refund("A1", BATCH[:-1] + "2", Money(1_000))
    gateway.refusal = ""
    assert [movement.batch_no for movement in shop.receiver.poll_movements(-1)] == [BATCH]
    assert rows(shop)[0]["state"] == "succeeded"


def test_more_than_was_paid_is_never_asked_back(sqlite_database: Database) -> None:
    """Open and done refunds count, failed ones do not; a number keeps its sum; an unpaid order has none."""
    shop, gateway, _ = make(sqlite_database, "yeepay")
    shop.receiver.refund("A1", "RF1", Money(600))
    with pytest.raises(Refused, match="REFUND_EXCEEDS"):
        shop.receiver.refund("A1", "RF2", Money(401))
    with pytest.raises(Refused, match="REFUND_MISMATCH"):
        shop.receiver.refund("A1", "RF1", Money(400))
    gateway.refusal = "MERCHANT_FUNDS"
    with pytest.raises(Refused, match="MERCHANT_FUNDS"):
        shop.receiver.refund("A1", "RF3", Money(400))
    gateway.refusal = ""
    assert shop.receiver.refund("A1", "RF4", Money(400)).state == "accepted"
    assert [row["state"] for row in rows(shop)] == ["accepted", "failed", "accepted"]
    shop.order("A2", endpoint="trial")
    with pytest.raises(Refused, match="TRADE_STATE"):
        shop.receiver.refund("A2", "RF5", Money(1))


@pytest.mark.slow
def test_T41_parallel_refunds_never_exceed_what_was_paid(database: Database) -> None:
    """Sixteen threads ask for a tenth each: ten get it, under numbers of their own, on each kind of database."""
    shop, gateway, _ = make(database, "yeepay")

    def ask(number: int) -> str:
        try:
            return shop.receiver.refund("A1", f"RF{number}", Money(100)).state
        except Refused as refusal:
            return refusal.code

    with ThreadPoolExecutor(16) as pool:
        said = sorted(pool.map(ask, range(16)))
    assert said == ["REFUND_EXCEEDS"] * 6 + ["accepted"] * 10
    assert len({intent.refund_no for intent in gateway.asked}) == 10
    assert sum(int(row["amount_minor"]) for row in shop.rows("SELECT amount_minor FROM payment_movement")) == 1_000


def refused(reason: str) -> tuple[str, bytes]:
    return (reason, b"fail")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda batch: replace(batch, batch_no=BATCH[:-1] + "2"), "REFUND_UNKNOWN"),
        (lambda batch: replace(batch, refunds=(replace(batch.refunds[0], amount=Money(349)),)), "AMOUNT_MISMATCH"),
        (
            lambda batch: replace(batch, refunds=(replace(batch.refunds[0], trade_no=TRADE[:-1] + "9"),)),
            "REFUND_UNKNOWN",
        ),
        (
            lambda batch: replace(
                batch, refunds=(*batch.refunds, replace(batch.refunds[0], trade_no=TRADE[:-1] + "9"))
            ),
            "REFUND_UNKNOWN",
        ),
        (
            lambda batch: replace(
                batch, refunds=(replace(batch.refunds[0], state=MovementState.FAILED, code="SYSTEM"),)
            ),
            "QUERY_DISAGREES",
        ),
    ],
)
def test_a_batch_that_is_not_what_was_asked_for_is_refused(
    sqlite_database: Database, change: Callable[[BatchView], BatchView], reason: str
) -> None:
    """An unknown batch or line, another sum, or an end that the platform's own answer does not have changes nothing."""
    shop, gateway, _ = make(sqlite_database)
    shop.receiver.refund("A1", BATCH, Money(350))
    accepted = shop.receiver.accept_notification(gateway.notify(BATCH, change))
    assert (accepted.verdict.reason, accepted.response.body) == refused(reason)
    assert rows(shop)[0]["state"] == "accepted"
    assert shop.count("payment_invalid") == 1


@pytest.mark.parametrize("sign_type", ["MD5", "RSA"])
def test_T25_a_batch_that_names_nobody_must_be_confirmed(sqlite_database: Database, sign_type: str) -> None:
    """A genuine signature whose id the platform does not know for this merchant proves nothing."""
    shop, gateway, _ = make(sqlite_database, sign_type=sign_type)
    shop.receiver.refund("A1", BATCH, Money(350))
    message = gateway.notify(BATCH)
    gateway.live.clear()
    accepted = shop.receiver.accept_notification(message)
    assert (accepted.verdict.reason, accepted.response.body) == refused("NOT_CONFIRMED")
    tampered = replace(message, body=message.body.replace(b"3.50", b"9.50"))
    assert shop.receiver.accept_notification(tampered).verdict.reason == "SIGN_INVALID"
    assert rows(shop)[0]["state"] == "accepted"


def test_an_end_that_contradicts_an_earlier_one_is_a_case(sqlite_database: Database) -> None:
    """What was told as done and is told as failed later is for a person: nothing moves, and no success is said."""
    shop, gateway, _ = make(sqlite_database)
    shop.receiver.refund("A1", BATCH, Money(350))
    shop.receiver.accept_notification(gateway.notify(BATCH))
    batch = gateway.batches[BATCH]
    failed = replace(batch.refunds[0], state=MovementState.FAILED, code="SYSTEM")
    gateway.batches[BATCH] = replace(batch, refunds=(failed,))
    accepted = shop.receiver.accept_notification(gateway.notify(BATCH))
    assert (accepted.verdict.kind, accepted.response.body) == (VerdictKind.CASE, b"fail")
    assert rows(shop)[0]["state"] == "succeeded"


def test_a_batch_of_payouts_is_asked_for_and_told(sqlite_database: Database) -> None:
    """Each line is compared with the shop's own row, and the payer must be the merchant."""
    shop, gateway, client = make(sqlite_database)
    items = [
        PayOutItem(payout_no="0001", payee=Payee(Party("", "a@example.com"), "张三"), amount=Money(2_000), memo="佣金"),
        PayOutItem(payout_no="0002", payee=Payee(Party("", "b@example.com"), "李四"), amount=Money(1_050), memo="佣金"),
    ]
    said: dict[str, Any] = {"payer": Party("", "s@example.com"), "payer_name": "示例公司", "notify_url": NOTIFY}
    intent = client.payout_batch_intent(BATCH, items, said)
    shop.database.run(lambda transaction: MovementTable().add(transaction, list_movements(shop.endpoint, intent, NOW)))
    assert client.payout_batch(BATCH, items, **said) == BatchTaken(BATCH)
    thief = shop.receiver.accept_notification(
        gateway.notify(BATCH, lambda batch: replace(batch, payer=Party("2088000000000666")))
    )
    assert thief.verdict.reason == "WRONG_RECIPIENT"
    accepted = shop.receiver.accept_notification(gateway.notify(BATCH))
    assert (accepted.verdict.kind, accepted.response.body) == (VerdictKind.APPLIED, b"success")
    assert [row["state"] for row in rows(shop)] == ["succeeded", "succeeded"]
    assert MovementKind.PAYOUT in {MovementKind(row["kind"]) for row in shop.rows("SELECT kind FROM payment_movement")}
    page = client.payout_batch_page(BATCH, items, **said)
    assert dict(page.fields)["service"] == "batch_trans_notify"


def test_what_a_protocol_has_no_words_for_is_refused(sqlite_database: Database) -> None:
    """A balance, a bill, a share or a card: nothing leaves the shop."""
    _, gateway, client = make(sqlite_database)
    for ask in (
        client.balance,
        lambda: client.refund(BATCH, Money(1), order_no="A1"),
        lambda: client.cancel("A1"),
        lambda: client.pay_out("P1", Payee(Party("", "a@example.com"), "张三"), Money(1)),
        lambda: client.payout_batch(BATCH, []),
    ):
        with pytest.raises(LocalProtocolError):
            ask()
    assert gateway.asked == []
    page = client.refund_batch_page(BATCH, [RefundItem(trade_no=TRADE, amount=Money(350), reason="x")])
    assert dict(page.fields)["service"] == "refund_fastpay_by_platform_pwd"


def test_a_bill_is_the_file_that_was_announced() -> None:
    """The digest is over the plain file; broken gzip and another file are refused."""
    plain = "账务明细\n".encode()
    digest = "2d7b5c"
    assert check_bill(plain, "") == plain
    with pytest.raises(RemoteProtocolError):
        check_bill(plain, digest)
    with pytest.raises(RemoteProtocolError):
        check_bill(b"\x1f\x8bbroken", "")


def test_F05_a_refund_of_yesterdays_number_is_asked_about_and_not_again(sqlite_database: Database) -> None:
    """Where a number begins with its day, the platform may refuse it on the next, which would end what the first try
    has made: nothing is sent, the row stays open, and the question for it ends it."""
    shop, gateway, _ = make(sqlite_database)
    gateway.silent = 1
    with pytest.raises(OutcomeUnknown):
        shop.receiver.refund("A1", BATCH, Money(350))
    shop.clock.now = later(shop.clock.now, DAY)
    with pytest.raises(LocalProtocolError, match="batch_no"):
        shop.receiver.refund("A1", BATCH, Money(350))
    assert (len(gateway.asked), rows(shop)[0]["state"]) == (1, "asked")
    assert [movement.batch_no for movement in shop.receiver.poll_movements(-1)] == [BATCH]
    assert rows(shop)[0]["state"] == "succeeded"
