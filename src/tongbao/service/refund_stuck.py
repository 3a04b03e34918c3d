"""A refund that is stuck (its bank does not take it) ends by somebody's word: the merchant takes its money back, or two
operators give it to the buyer's balance. Source: WeChat Pay's sheet, sections 9, 10 and 16 (ABNORMAL, v2 CHANGE).
"""

from __future__ import annotations

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record
from tongbao.ledger.account import merchant_stuck
from tongbao.service.command import Needs
from tongbao.service.create import Asker
from tongbao.service.refund import Given, refund_needs, return_of
from tongbao.service.refund_end import fail_refund, stuck_case
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import ACCOUNT, CASE, REFUND, TRADE
from tongbao.store.sheet import Sheet
from tongbao.trade.record import Trade
from tongbao.trade.refund import Refund, is_stuck, refund_n


def stuck_needs(sheet: Sheet, merchant_id: str, out_trade_no: str, refund_id: str, currency: str, lane: int) -> Needs:
    """Every row that ends a stuck refund, its trade's and its case included."""
    yield REFUND, (merchant_id, out_trade_no, refund_n(refund_id))
    yield CASE, (stuck_case(refund_id),)
    yield from refund_needs(sheet, merchant_id, out_trade_no, currency, lane)
    yield ACCOUNT, (merchant_stuck(merchant_id, currency),)


def find_stuck(sheet: Sheet, merchant_id: str, out_trade_no: str, refund_id: str) -> tuple[Refund, Trade]:
    """A refund that is stuck, and its trade. Raises Refused REFUND_NOT_FOUND, STATE_CONFLICT."""
    refund: Refund | None = sheet.get(REFUND, merchant_id, out_trade_no, refund_n(refund_id))
    trade: Trade | None = sheet.get(TRADE, merchant_id, out_trade_no)
    if refund is None or trade is None or refund.refund_id != refund_id:
        raise Refused("REFUND_NOT_FOUND", "no such refund")
    if not is_stuck(refund):
        raise Refused("STATE_CONFLICT", f"the refund is {refund.state}, and its bank has not refused it")
    return refund, trade


def check_not_charged_back(sheet: Sheet, trade: Trade) -> None:
    """Raise Refused REFUND_EXCEEDS where the bank has given the buyer, by a chargeback, what his refund would give."""
    gone = return_of(sheet, trade).charged_back
    if gone > trade.amount - trade.refunded:
        raise Refused("REFUND_EXCEEDS", "the bank has charged back what the stuck refund would give the buyer again")


@record
class TakeStuckBack:
    """The merchant has his money again, and gives it to the buyer in another way himself: the refund has failed. Asked
    again, it says the same. Outcome: ``Given``."""

    asker: Asker
    out_trade_no: str
    refund_id: str
    currency: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield from stuck_needs(sheet, self.asker.merchant_id, self.out_trade_no, self.refund_id, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant_id = self.asker.check(sheet).merchant_id
        key = (merchant_id, self.out_trade_no)
        known: Refund | None = sheet.get(REFUND, *key, refund_n(self.refund_id))
        if known is not None and known.state == "failed":
            return Decision(Given(known, sheet.get(TRADE, *key), changed=False))
        refund, trade = find_stuck(sheet, *key, self.refund_id)
        rows, entry = fail_refund(sheet, refund, trade, now.business, lane)
        ended: Refund = next(row for table, row in rows if table is REFUND)
        after: Trade = next(row for table, row in rows if table is TRADE)
        return Decision(Given(ended, after, changed=True), rows, [entry])
