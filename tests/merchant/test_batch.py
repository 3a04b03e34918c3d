"""A batch of transfers that its platform tells of in sums alone: the shop asks what became of each line, and believes
nothing that does not come to the very sums."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tests.merchant.conftest import Shop, make_shop
from tests.protocol.bench import Pair, make_pair
from tests.support.clock import NOW
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.merchant.movement import MovementTable, list_movements
from tongbao.merchant.verdict import VerdictKind
from tongbao.protocols.wechatpay_v3.messages import ALGORITHM
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import (
    BatchFound,
    BatchHead,
    BatchStage,
    BatchTaken,
    BatchView,
    MovementState,
    PayOutBatch,
    PayOutItem,
    PayOutView,
    QueryPayOutBatch,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Notification

NOTIFY = "http://shop.example/transfers"
COUNT = 102
"""More lines than one answer tells."""
FAILED = "L7"
PAYEE = Payee(Party("oUpF8uMEb4qRXf22hE3X68TekukE"))
ITEMS = tuple(
    PayOutItem(payout_no=f"L{n}", payee=PAYEE, amount=Money(100 + n), memo="奖励") for n in range(1, COUNT + 1)
)


@dataclass
class Gateway:
    """The interface's server end with one batch behind it."""

    pair: Pair
    lines: tuple[PayOutView, ...] = ()
    asked: list[Any] = field(default_factory=list)

    def __call__(self, request: Request, limits: Any) -> Response:
        server = self.pair.manifest.server
        claim = server.claim(request)
        intent: Any = server.decode(claim, self.pair.ring, NOW).intent
        self.asked.append(intent)
        return server.answer(claim, self.outcome(intent), self.pair.ring, NOW)

    @property
    def head(self) -> BatchHead:
        paid = [line.amount for line in self.lines if line.state is MovementState.SUCCEEDED and line.amount]
        failed = [line.amount for line in self.lines if line.state is MovementState.FAILED and line.amount]
        return BatchHead(
            batch_id="1030000071100999991182020050700019480001",
            stage=BatchStage.DONE,
            total=sum((item.amount for item in ITEMS), Money(0)),
            count=COUNT,
            paid=sum(paid, Money(0)),
            paid_count=len(paid),
            failed=sum(failed, Money(0)),
            failed_count=len(failed),
            changed_at=NOW,
        )

    def outcome(self, intent: Any) -> Any:
        if isinstance(intent, PayOutBatch):
            self.lines = tuple(
                PayOutView(
                    payout_no=item.payout_no,
                    payout_id=f"10400000{n:04}",
                    batch_no=intent.batch_no,
                    amount=item.amount,
                    state=MovementState.FAILED if item.payout_no == FAILED else MovementState.SUCCEEDED,
                )
                for n, item in enumerate(intent.items)
            )
            return BatchTaken(intent.batch_no, head=replace(self.head, stage=BatchStage.TAKEN))
        assert isinstance(intent, QueryPayOutBatch)
        some = self.lines[intent.offset : intent.offset + intent.most]
        view = BatchView(batch_no=intent.batch_no, payouts=some, merchant=self.pair.ring.merchant, head=self.head)
        return BatchFound(view)

    def notify(self, **changes: Any) -> Request:
        """What the platform says of the batch's end."""
        told = BatchView(batch_no="X1", head=replace(self.head, **changes))
        notice = Notification(id="EV-1", at=NOW, batch=told)
        return self.pair.manifest.server.notify(notice, NOTIFY, self.pair.ring, NOW)


def make(database: Database) -> tuple[Shop, Gateway]:
    """A shop whose batch was asked for and taken."""
    pair = make_pair("wechatpay_v3", ALGORITHM)
    gateway = Gateway(pair)
    configuration = MerchantConfiguration(
        protocol="wechatpay_v3",
        credentials=dict(pair.settings),
        environment="sandbox",
        gateway="http://127.0.0.1:1",
        notify_url=NOTIFY,
    )
    shop = make_shop(database, configuration=configuration, send=gateway)
    client = Client(configuration, send=gateway, clock=shop.clock)
    intent = client.payout_batch_intent("X1", ITEMS, {"name": "四月奖励", "memo": "奖励与补贴"})
    shop.database.run(lambda rows: MovementTable().add(rows, list_movements(shop.endpoint, intent, NOW)))
    taken = client.payout_batch("X1", ITEMS, name="四月奖励", memo="奖励与补贴")
    assert taken.head is not None
    assert taken.head.stage is BatchStage.TAKEN
    view = client.query_payout_batch("X1", lines=True, offset=82, most=20)
    assert [line.payout_no for line in view.payouts] == [f"L{n}" for n in range(83, 103)]
    return shop, gateway


def states(shop: Shop) -> dict[str, str]:
    return {str(row["number"]): str(row["state"]) for row in shop.rows("SELECT number, state FROM payment_movement")}


def test_the_end_of_each_line_is_asked_for_and_applied_once(sqlite_database: Database) -> None:
    """Sums are compared with the shop's own rows, all lines are asked for page by page, and a repeat is a duplicate."""
    shop, gateway = make(sqlite_database)
    gateway.asked.clear()
    accepted = shop.receiver.accept_notification(gateway.notify())
    assert (accepted.verdict.kind, accepted.response.status) == (VerdictKind.APPLIED, 204)
    assert [(one.offset, one.most) for one in gateway.asked] == [(0, 100), (100, 100)]
    assert states(shop) == {f"L{n}": "failed" if f"L{n}" == FAILED else "succeeded" for n in range(1, COUNT + 1)}
    again = shop.receiver.accept_notification(gateway.notify())
    assert (again.verdict.kind, again.response.status) == (VerdictKind.DUPLICATE, 204)


def test_T38_what_does_not_come_to_the_sums_is_not_believed(sqlite_database: Database) -> None:
    """Another total or count than was asked for, or other sums than the platform's own lines: nothing is applied."""
    shop, gateway = make(sqlite_database)
    honest = gateway.head
    for changes, reason in (
        ({"total": Money(1)}, "AMOUNT_MISMATCH"),
        ({"count": COUNT - 1}, "AMOUNT_MISMATCH"),
        ({"paid_count": COUNT}, "QUERY_DISAGREES"),
        ({"paid": honest.total}, "QUERY_DISAGREES"),
    ):
        accepted = shop.receiver.accept_notification(gateway.notify(**changes))
        assert (accepted.verdict.reason, accepted.response.status) == (reason, 500)
    gateway.lines = gateway.lines[:-1]
    assert shop.receiver.accept_notification(gateway.notify()).verdict.kind is not VerdictKind.APPLIED
    assert set(states(shop).values()) == {"asked"}
