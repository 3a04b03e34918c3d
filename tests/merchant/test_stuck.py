"""A refund that cannot reach the buyer where he paid from: the shop's money is gone, and the refund has not ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.merchant.conftest import Shop, make_shop
from tests.protocol.bench import Pair, make_pair
from tests.support.clock import NOW
from tongbao.kernel.money import Money
from tongbao.kernel.time import HOUR, later
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.merchant.movement import MovementTable, list_movements
from tongbao.merchant.verdict import VerdictKind
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import MovementState, RefundFound, RefundTrade, RefundView
from tongbao.wire.vocabulary import Notification, TradeView

V3 = "WECHATPAY2-SHA256-RSA2048"
EARLIER = later(NOW, -HOUR)
NOTIFY = "http://shop.example/refunds"
ASKED = RefundTrade(
    merchant="",
    refund_no="R1",
    trade_no="4200000000202501010000000001",
    out_trade_no="T20250101000001",
    amount=Money(30),
)
STUCK = RefundView(
    refund_no="R1",
    refund_id="50000000000000000000000000001",
    trade_no=ASKED.trade_no,
    out_trade_no="T20250101000001",
    state=MovementState.ACCEPTED,
    amount=Money(30),
    total=Money(101),
    created_at=NOW,
    stuck=True,
)
BACK = replace(STUCK, stuck=False, state=MovementState.CLOSED, ended_at=NOW)
DONE = replace(STUCK, stuck=False, state=MovementState.SUCCEEDED, ended_at=NOW)


@dataclass
class Gateway:
    """The interface's server end with one refund behind it."""

    pair: Pair
    view: RefundView = STUCK

    def __call__(self, request: Request, limits: Any) -> Response:
        server = self.pair.manifest.server
        claim = server.claim(request)
        server.decode(claim, self.pair.ring, NOW)
        return server.answer(claim, RefundFound((self.view,)), self.pair.ring, NOW)

    def notify(self, view: RefundView) -> Request:
        notice = Notification(id="EV-1", at=NOW, trade=TradeView(), refund=view)
        return self.pair.manifest.server.notify(notice, NOTIFY, self.pair.ring, NOW)


def make(database: Database, name: str, algorithm: str, **more: Any) -> tuple[Shop, Gateway]:
    pair = make_pair(name, algorithm)
    gateway = Gateway(pair)
    configuration = MerchantConfiguration(
        protocol=name,
        credentials=dict(pair.settings),
        environment="sandbox",
        gateway="http://127.0.0.1:1",
        notify_url=NOTIFY,
    )
    shop = make_shop(database, configuration=configuration, send=gateway, **more)
    shop.database.run(lambda rows: MovementTable().add(rows, list_movements(shop.endpoint, ASKED, EARLIER)))
    return shop, gateway


def row(shop: Shop) -> tuple[Any, ...]:
    [found] = shop.rows("SELECT state, code, ended_at FROM payment_movement")
    return found["state"], found["code"], found["ended_at"]


@pytest.mark.parametrize(("name", "algorithm"), [("wechatpay_v3", V3), ("wechatpay_v2", "HMAC-SHA256")])
def test_a_stuck_refund_is_a_case_and_stays_open(name: str, algorithm: str, sqlite_database: Database) -> None:
    """ABNORMAL and CHANGE are no failure: the sum is not the shop's to give back again. It may still succeed."""
    shop, gateway = make(sqlite_database, name, algorithm)
    told = shop.receiver.accept_notification(gateway.notify(STUCK)).verdict
    assert (told.kind, told.reason) == (VerdictKind.CASE, "REFUND_STUCK")
    assert row(shop) == ("accepted", "REFUND_STUCK", None)
    assert shop.receiver.accept_notification(gateway.notify(STUCK)).verdict.kind is VerdictKind.DUPLICATE
    gateway.view = DONE
    assert shop.receiver.accept_notification(gateway.notify(DONE)).verdict.kind is VerdictKind.APPLIED
    assert row(shop)[:2] == ("succeeded", "")


def test_a_stuck_refund_is_found_by_asking(sqlite_database: Database) -> None:
    """Where the notification was lost, the inquiry marks the row once and leaves it open."""
    shop, gateway = make(sqlite_database, "wechatpay_v3", V3)
    assert [one.number for one in shop.receiver.poll_movements(older_than=60)] == ["R1"]
    assert row(shop) == ("accepted", "REFUND_STUCK", None)
    assert shop.receiver.poll_movements(older_than=60) == []
    gateway.view = DONE
    assert [one.number for one in shop.receiver.poll_movements(older_than=60)] == ["R1"]
    assert row(shop)[:2] == ("succeeded", "")


def test_a_stuck_refund_that_the_shop_took_back_is_closed(sqlite_database: Database) -> None:
    """What it gave is its own again: the row ends as any that came to nothing."""
    shop, gateway = make(sqlite_database, "wechatpay_v3", V3)
    shop.receiver.accept_notification(gateway.notify(STUCK))
    gateway.view = BACK
    assert shop.receiver.accept_notification(gateway.notify(gateway.view)).verdict.kind is VerdictKind.APPLIED
    assert row(shop)[:2] == ("closed", "")


def hear(shop: Shop, gateway: Gateway, view: RefundView) -> tuple[Any, Any]:
    """The verdict on what is told of the refund."""
    told = shop.receiver.accept_notification(gateway.notify(view)).verdict
    return told.kind, told.reason


@pytest.mark.parametrize("end", [BACK, DONE], ids=["back", "done"])
@pytest.mark.parametrize(("name", "algorithm"), [("wechatpay_v3", V3), ("wechatpay_v2", "HMAC-SHA256")])
def test_F25_that_it_was_stuck_is_old_news_after_its_end(
    name: str, algorithm: str, end: RefundView, sqlite_database: Database
) -> None:
    """Each event is repeated by itself: the older one may come last, and is acknowledged without a word."""
    shop, gateway = make(sqlite_database, name, algorithm)
    gateway.view = end
    assert hear(shop, gateway, end) == (VerdictKind.APPLIED, "")
    assert hear(shop, gateway, STUCK) == (VerdictKind.DUPLICATE, "")
    assert row(shop)[:2] == (str(end.state), "")


def test_F25_what_the_platform_answers_overtakes_that_it_was_stuck(sqlite_database: Database) -> None:
    """Where every message is asked about, the answer may know the end already: it is written down, once."""
    ended: list[str] = []
    shop, gateway = make(sqlite_database, "wechatpay_v2", "HMAC-SHA256", ended=lambda _, line: ended.append(line.state))
    gateway.view = replace(BACK, amount=Money(29))
    assert hear(shop, gateway, STUCK) == (VerdictKind.REFUSED, "QUERY_DISAGREES")
    gateway.view = BACK
    assert hear(shop, gateway, STUCK) == (VerdictKind.DUPLICATE, "")
    assert row(shop)[:2] == ("closed", "")
    assert hear(shop, gateway, BACK) == (VerdictKind.DUPLICATE, "")
    assert ended == ["closed"]


def test_a_refused_refund_that_is_stuck_is_a_case(sqlite_database: Database) -> None:
    """Our row says that no money left, and the platform that it is gone: a person must look."""
    shop, gateway = make(sqlite_database, "wechatpay_v3", V3)
    shop.database.run(lambda rows: rows.execute("UPDATE payment_movement SET state = 'failed', evidence = 'ANSWER'"))
    assert hear(shop, gateway, STUCK) == (VerdictKind.CASE, "ENDED_OTHERWISE")
