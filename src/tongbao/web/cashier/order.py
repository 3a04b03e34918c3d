"""What the cashier's pages show of a trade, and the word over exactly that which a buyer agrees to (T61)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tongbao.kernel.time import MINUTE, SECOND, Instant
from tongbao.service.combine_act import trades_of, whole_of
from tongbao.service.platform import Platform
from tongbao.service.view import terms_of
from tongbao.trade.record import Trade
from tongbao.wire.vocabulary import CreateTrade, Method

PANES: Final = ("balance", "card", "outlet")
"""Ways of paying, as the cashier groups them."""

FLOWS: Final = ("escrow", "instant")
"""How a dual trade may be paid; the first is preselected, because it is the safer one for the buyer."""

_PANE_OF: Final = {Method.BALANCE: "balance", Method.DEBIT: "card", Method.CREDIT: "card", Method.OUTLET: "outlet"}


@dataclass(frozen=True, slots=True)
class Order:
    """A trade for the eye. ``left`` is whole seconds of business time until it expires, None once it is not open;
    ``amount`` is minor units of ``currency``."""

    payee: str
    subject: str
    body: str
    amount: int
    currency: str
    out_trade_no: str
    trade_no: str
    product: str
    state: str
    due_at: Instant | None
    left: int | None
    paid_at: Instant | None
    carrier: str
    tracking_no: str

    @property
    def days_left(self) -> tuple[int, int]:
        """Whole days, and the hours beyond them."""
        return divmod((self.left or 0) // 3_600, 24)

    @property
    def left_text(self) -> str:
        """``mm:ss`` or ``h:mm:ss``: for the last day."""
        minutes, second = divmod(self.left or 0, 60)
        hours, minute = divmod(minutes, 60)
        return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"


async def show_order(platform: Platform, trade: Trade) -> Order:
    """The trade as pages show it."""
    merchant = await platform.merchant(trade.merchant_id)
    terms = terms_of(trade)
    left = None
    if trade.state == "unpaid" and trade.due_at is not None:
        left = max(0, (trade.due_at - platform.world.clock.business()) // SECOND)
    return Order(
        payee=merchant.name,
        subject=terms.subject,
        body=terms.body,
        amount=trade.amount,
        currency=trade.currency,
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        product=trade.product,
        state=trade.state,
        due_at=trade.due_at,
        left=left,
        paid_at=trade.paid_at,
        carrier=trade.carrier,
        tracking_no=trade.tracking_no,
    )


async def show_whole(platform: Platform, trade: Trade) -> tuple[Order, list[Order]]:
    """What a buyer agrees to when he pays a trade, and the orders it is made of: of a combined order the whole, with
    all payees, subjects and the sum, and each part; else the trade itself, and no parts."""
    combined = await whole_of(platform, trade)
    if combined is None:
        return await show_order(platform, trade), []
    parts = [await show_order(platform, part) for part in await trades_of(platform, combined)]
    closed = next((part for part in parts if part.left is None), parts[0])
    whole = replace(
        closed,
        payee="、".join(dict.fromkeys(part.payee for part in parts)),
        subject="、".join(part.subject for part in parts),
        body="",
        amount=combined.amount,
        out_trade_no=combined.out_trade_no,
        trade_no=combined.combined_id,
    )
    return whole, parts


def review_token(platform: Platform, order: Order, act: str, flow: str, browser: str) -> str:
    """The word over what is shown: payee, sum, currency, trade, what is done, and how the money travels."""
    return platform.seal.token("review", *_reviewed(order, act, flow, browser))


def is_reviewed(platform: Platform, text: str, order: Order, act: str, flow: str, browser: str) -> bool:
    """Whether the buyer's form shows exactly what is now so."""
    return platform.seal.is_token(text, "review", *_reviewed(order, act, flow, browser))


def _reviewed(order: Order, act: str, flow: str, browser: str) -> tuple[str, ...]:
    return (act, order.payee, str(order.amount), order.currency, order.trade_no, order.subject, flow, browser)


def offered_methods(terms: CreateTrade) -> tuple[Method, ...]:
    """The methods the merchant allows: all, unless he names some."""
    return terms.methods or tuple(Method)


def offered_panes(terms: CreateTrade) -> list[str]:
    """The panes that hold an allowed method."""
    held = {_PANE_OF[method] for method in offered_methods(terms)}
    return [pane for pane in PANES if pane in held]


def offered_kinds(terms: CreateTrade) -> list[str]:
    """The kinds of card the merchant allows."""
    return [str(method) for method in (Method.DEBIT, Method.CREDIT) if method in offered_methods(terms)]


def first_pane(terms: CreateTrade) -> str:
    """The pane the merchant's request asks for, else the first."""
    panes = offered_panes(terms)
    wanted = _PANE_OF[terms.method] if terms.method is not None else "card" if terms.bank else ""
    return wanted if wanted in panes else panes[0]


def minutes_until(platform: Platform, instant: Instant) -> int:
    """Whole minutes of wire time, rounded up, at least 1."""
    return max(1, -((platform.world.clock.wire() - instant) // MINUTE))
