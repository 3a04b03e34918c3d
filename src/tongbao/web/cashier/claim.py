"""The buyer's side of a claim on his account's pages: ask money back, withdraw, send goods back, dispute, more time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from tongbao.kernel.error import Refused
from tongbao.kernel.money import InvalidAmount, parse_major
from tongbao.service.claim import BuyerAskRefund, OpenDispute, ReturnGoods, WithdrawClaim
from tongbao.service.escrow import ExtendRelease
from tongbao.service.platform import Platform
from tongbao.store.schema import CLAIM, TRADE_RETURN
from tongbao.trade.claim import Claim
from tongbao.trade.record import Trade
from tongbao.trade.state import CLAIM_OPEN
from tongbao.web.page.form import PageError
from tongbao.web.page.shell import Shell
from tongbao.web.page.visitor import Visitor

HELD: Final = ("escrowed", "shipped")
WITHDRAWABLE: Final = ("asked", "refused", "returning")
"""States of a claim in which the page offers to give it up."""

FIELDS: Final = {"act": 16, "amount": 16, "goods": 3, "reason": 200, "carrier": 60, "tracking_no": 60}


@dataclass(frozen=True, slots=True)
class Standing:
    """What the page offers. ``claim`` is the latest, open or over; ``held`` is minor units that escrow still holds."""

    claim: Claim | None
    open: bool
    held: int
    can_ask: bool
    can_extend: bool


async def claim_standing(platform: Platform, trade: Trade) -> Standing:
    """How a claim on this trade stands, for its buyer."""
    key = (trade.merchant_id, trade.out_trade_no)
    claims: list[Claim] = await platform.database.load(CLAIM, [key])
    returns: list[Any] = await platform.database.load(TRADE_RETURN, [key])
    claim = claims[0] if claims else None
    is_open = claim is not None and claim.state in CLAIM_OPEN
    held = trade.state in HELD
    extended = bool(returns) and returns[0].extended
    return Standing(
        claim,
        is_open,
        trade.amount - trade.refunded if held else 0,
        held and not is_open,
        trade.state == "shipped" and not is_open and not extended,
    )


async def own_trade(platform: Platform, request: Request, visitor: Visitor) -> Trade:
    """The trade in the address, if it is this buyer's; anybody else's is as unknown as none (T57). Raises PageError."""
    try:
        trade = await platform.trade_by_no(str(request.path_params["trade_no"]))
    except Refused as refusal:
        raise PageError("NOT_FOUND", 404) from refusal
    if visitor.buyer is None or trade.buyer_id != visitor.buyer.buyer_id:
        raise PageError("NOT_FOUND", 404)
    return trade


class ClaimDesk:
    """``POST /account/trades/{trade_no}/claim``."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._platform = shell.platform

    async def act(self, request: Request, visitor: Visitor) -> Response:
        """One step of the buyer's; the rules refuse what is not his to do now."""
        form = await self._shell.form(request, visitor, FIELDS)
        path = f"/account/trades/{request.path_params['trade_no']}"
        if visitor.buyer is None:
            return self._shell.go(path)
        trade = await own_trade(self._platform, request, visitor)
        await self._platform.submit(self._command(form, trade, visitor.buyer.buyer_id))
        return self._shell.go(path)

    def _command(self, form: dict[str, str], trade: Trade, buyer_id: str) -> Any:
        ends = (trade.merchant_id, trade.out_trade_no, buyer_id)
        if form["act"] == "ask":
            return BuyerAskRefund(
                *ends,
                amount=_sum(form["amount"], trade.currency),
                goods=form["goods"] == "yes",
                reason=form["reason"],
                currency=trade.currency,
            )
        if form["act"] == "withdraw":
            return WithdrawClaim(*ends, currency=trade.currency)
        if form["act"] == "send":
            if not form["tracking_no"]:
                raise Refused("FIELD_MISSING", "tracking_no")
            return ReturnGoods(*ends, form["carrier"], form["tracking_no"], trade.currency)
        if form["act"] == "dispute":
            return OpenDispute(*ends, form["reason"], trade.currency)
        if form["act"] == "extend":
            return ExtendRelease(*ends)
        raise PageError("MALFORMED", 400, "act")


def _sum(text: str, currency: str) -> int | None:
    """Yuan as typed; None for all that is held. Raises Refused AMOUNT_INVALID."""
    if not text:
        return None
    try:
        return parse_major(text, currency).minor
    except InvalidAmount as error:
        raise Refused("AMOUNT_INVALID", str(error)) from error
