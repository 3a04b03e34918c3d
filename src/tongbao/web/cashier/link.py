"""A cashier link opened: genuine, not too old, and only in the browser that opened it first (T56, T57)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from tongbao.kernel.error import Refused
from tongbao.service.platform import Platform
from tongbao.service.view import terms_of
from tongbao.service.visit import OpenVisit
from tongbao.store.schema import VISIT
from tongbao.trade.record import Trade
from tongbao.web.cashier.order import Order, show_order
from tongbao.web.page.visitor import Visitor, digest
from tongbao.wire.vocabulary import CreateTrade

HOME_LONGEST: Final = 1_024
HOME_COOKIE: Final = "home"
"""Where the buyer's browser keeps the shop's address that came behind the link, for protocols without a return."""


def brought_home(request: Request) -> str:
    """The address that this browser brought along, or ''."""
    return unquote(request.cookies.get(HOME_COOKIE, ""))


def keep_home(request: Request, response: Response, path: str) -> Response:
    """Remember ``redirect_url`` of the address, if there is one, for the pages below ``path`` and half an hour."""
    url = request.query_params.get("redirect_url", "")
    if url and len(url) <= HOME_LONGEST:
        secure = request.url.scheme == "https"
        kept = quote(url, safe="")
        response.set_cookie(HOME_COOKIE, kept, 1_800, path=path, httponly=True, samesite="lax", secure=secure)
    return response


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
