"""A cashier link opened: genuine, not too old, and only in the browser that opened it first (T56, T57)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from starlette.requests import Request

from tongbao.kernel.error import Refused
from tongbao.service.platform import Platform
from tongbao.service.view import terms_of
from tongbao.service.visit import OpenVisit
from tongbao.store.schema import VISIT
from tongbao.trade.record import Trade
from tongbao.web.cashier.order import Order, show_order
from tongbao.web.page.visitor import Visitor, digest
from tongbao.wire.vocabulary import CreateTrade


@dataclass(frozen=True, slots=True)
class Opening:
    """What lies behind a link. ``path`` is the cashier's own address, to which its pages are relative."""

    path: str
    trade: Trade
    terms: CreateTrade
    order: Order


async def open_link(platform: Platform, request: Request, visitor: Visitor) -> Opening:
    """The trade behind the address. Raises Refused CASHIER_LINK_INVALID, whatever is wrong with it."""
    word = str(request.path_params["word"])
    trade_no = platform.seal.read_cashier_word(word, platform.world.clock.wire())
    if trade_no is None:
        raise Refused("CASHIER_LINK_INVALID", "unknown or too old")
    trade = await platform.trade_by_no(trade_no)
    link = digest(word)
    # only the first view writes; later ones look
    visits = await platform.database.load(VISIT, [(link,)])
    if not visits:
        await platform.submit(OpenVisit(link, visitor.digest, trade.merchant_id, trade.out_trade_no))
    elif not hmac.compare_digest(visits[0].browser, visitor.digest):
        raise Refused("CASHIER_LINK_INVALID", "opened in another browser")
    return Opening(f"/cashier/{word}", trade, terms_of(trade), await show_order(platform, trade))
