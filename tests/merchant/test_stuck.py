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


def make(database: Database, name: str, algorithm: str) -> tuple[Shop, Gateway]:
    pair = make_pair(name, algorithm)
    gateway = Gateway(pair)
    configuration = MerchantConfiguration(
        protocol=name,
        credentials=dict(pair.settings),
        environment="sandbox",
        gateway="http://127.0.0.1:1",
        notify_url=NOTIFY,
    )
    shop = make_shop(database, configuration=configuration, send=gateway)
    shop.database.run(lambda rows: MovementTable().add(rows, list_movements(shop.endpoint, ASKED, EARLIER)))
    return shop, gateway


def row(shop: Shop) -> tuple[Any, ...]:
    [found] = shop.rows("SELECT state, code, ended_at FROM payment_movement")
    return found["state"], found["code"], found["ended_at"]


@pytest.mark.parametrize(("name", "algorithm"), [("wechatpay_v3", ""), ("wechatpay_v2", "HMAC-SHA256")])
def test_a_stuck_refund_is_a_case_and_stays_open(name: str, algorithm: str, sqlite_database: Database) -> None:
    """ABNORMAL and CHANGE are no failure: the sum is not the shop's to give back again. It may still succeed."""
    shop, gateway = make(sqlite_database, name, algorithm or "WECHATPAY2-SHA256-RSA2048")
    told = shop.receiver.accept_notification(gateway.notify(STUCK)).verdict
    assert (told.kind, told.reason) == (VerdictKind.CASE, "REFUND_STUCK")
    assert row(shop) == ("accepted", "REFUND_STUCK", None)
    assert shop.receiver.accept_notification(gateway.notify(STUCK)).verdict.kind is VerdictKind.DUPLICATE
    gateway.view = DONE
    assert shop.receiver.accept_notification(gateway.notify(DONE)).verdict.kind is VerdictKind.APPLIED
    assert row(shop)[:2] == ("succeeded", "")


def test_a_stuck_refund_is_found_by_asking(sqlite_database: Database) -> None:
    """Where the notification was lost, the inquiry marks the row once and leaves it open."""
    shop, gateway = make(sqlite_database, "wechatpay_v3", "WECHATPAY2-SHA256-RSA2048")
    assert [one.number for one in shop.receiver.poll_movements(older_than=60)] == ["R1"]
    assert row(shop) == ("accepted", "REFUND_STUCK", None)
    assert shop.receiver.poll_movements(older_than=60) == []
    gateway.view = DONE
    assert [one.number for one in shop.receiver.poll_movements(older_than=60)] == ["R1"]
    assert row(shop)[:2] == ("succeeded", "")


def test_a_stuck_refund_that_the_shop_took_back_is_closed(sqlite_database: Database) -> None:
    """What it gave is its own again: the row ends as any that came to nothing."""
    shop, gateway = make(sqlite_database, "wechatpay_v3", "WECHATPAY2-SHA256-RSA2048")
    shop.receiver.accept_notification(gateway.notify(STUCK))
    gateway.view = replace(STUCK, stuck=False, state=MovementState.CLOSED, ended_at=NOW)
    assert shop.receiver.accept_notification(gateway.notify(gateway.view)).verdict.kind is VerdictKind.APPLIED
    assert row(shop)[:2] == ("closed", "")
