"""What buyer, seller and operators do after the payment, done by a program: refunds, claims, answers, disputes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record
from tongbao.service.claim import BuyerAskRefund, OpenDispute, ReturnGoods, SellerAnswer, WithdrawClaim
from tongbao.service.create import Asker
from tongbao.service.dispute import DecideDispute, ProposeDecision
from tongbao.service.escrow import ExtendRelease, Ship
from tongbao.service.platform import Platform
from tongbao.service.refund import RequestRefund
from tongbao.service.refund_act import refunds_of
from tongbao.store.schema import CLAIM
from tongbao.trade.claim import Claim
from tongbao.trade.record import Trade

MAKER: Final = "sandbox-maker"
CHECKER: Final = "sandbox-checker"
"""The two operators of a sandbox, where a request names none."""


@record
class Deed:
    """One act on one trade. ``amount`` is fen; None means all there is."""

    trade: Trade
    amount: int | None
    goods: bool
    reason: str
    actor: str

    @property
    def of(self) -> tuple[str, str]:
        return self.trade.merchant_id, self.trade.out_trade_no

    @property
    def buyer(self) -> tuple[str, str, str]:
        return (*self.of, self.trade.buyer_id)

    @property
    def seller(self) -> Asker:
        return Asker(self.trade.merchant_id, self.trade.protocol)

    @property
    def sum(self) -> int:
        """The sum of an act that must have one. Raises Refused FIELD_INVALID."""
        if self.amount is None:
            raise Refused("FIELD_INVALID", "amount: is missing")
        return self.amount


DEEDS: Final[dict[str, Callable[[Deed], Any]]] = {
    "refund": lambda deed: RequestRefund(
        deed.seller, deed.of[1], "", deed.amount, deed.trade.currency, None, deed.reason
    ),
    "ship": lambda deed: Ship(deed.seller, deed.of[1], "SANDBOX", deed.trade.trade_no[-8:]),
    "ask_refund": lambda deed: BuyerAskRefund(*deed.buyer, deed.amount, deed.goods, deed.reason),
    "withdraw": lambda deed: WithdrawClaim(*deed.buyer),
    "return_goods": lambda deed: ReturnGoods(*deed.buyer, "SANDBOX", deed.trade.trade_no[-8:]),
    "dispute": lambda deed: OpenDispute(*deed.buyer, deed.reason),
    "extend": lambda deed: ExtendRelease(*deed.buyer),
    "agree": lambda deed: SellerAnswer(deed.seller, deed.of[1], True, deed.reason),
    "refuse": lambda deed: SellerAnswer(deed.seller, deed.of[1], False, deed.reason),
    "propose": lambda deed: ProposeDecision(*deed.of, deed.sum, deed.actor or MAKER, deed.reason or "by the sandbox"),
    "decide": lambda deed: DecideDispute(*deed.of, deed.sum, True, deed.actor or CHECKER, deed.reason),
}
"""Name of each act -> its command."""


async def do_deed(platform: Platform, name: str, deed: Deed) -> dict[str, Any]:
    """Carry an act out; how the trade stands then. Raises Refused."""
    if name not in DEEDS:
        raise Refused("FIELD_INVALID", f"act: one of {', '.join(DEEDS)}")
    await platform.submit(DEEDS[name](deed))
    return await tell_after(platform, await platform.find_trade(*deed.of))


async def tell_after(platform: Platform, trade: Trade) -> dict[str, Any]:
    """What became of a trade's money."""
    claims: list[Claim] = await platform.database.load(CLAIM, [(trade.merchant_id, trade.out_trade_no)])
    return {
        "trade_no": trade.trade_no,
        "state": trade.state,
        "refunded": trade.refunded,
        "refund_state": trade.refund_state,
        "claim": claims[0].state if claims else "",
        "refunds": [
            {
                "refund_id": one.refund_id,
                "refund_no": one.refund_no,
                "amount": one.amount,
                "state": one.state,
                "method": one.method,
                "code": one.code,
            }
            for one in await refunds_of(platform, trade)
        ],
    }
