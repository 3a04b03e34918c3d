"""From rows to the neutral view of a trade that protocols and pages are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tongbao.kernel.money import Money
from tongbao.service.term import load_terms
from tongbao.trade.record import Payment, Trade
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Method, Product, TradeState, TradeView

_load_terms = lru_cache(256)(load_terms)
"""One command asks for one trade's terms several times."""

_read_terms = lru_cache(1_024)(json.loads)
"""The same, as they are written: for whoever decides by one or two of them."""

_WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))

_MOVING = (
    "state",
    "flow",
    "fee",
    "refunded",
    "refund_state",
    "buyer_id",
    "buyer_login",
    "carrier",
    "tracking_no",
    "paid_at",
    "shipped_at",
    "ended_at",
    "moved_at",
)


def take_snapshot(trade: Trade, payment: Payment | None) -> str:
    """The trade's moving part as JSON, so that a notification sent later tells the moment it belongs to."""
    moving: dict[str, Any] = {name: value for name in _MOVING if (value := getattr(trade, name))}
    if payment is not None:
        moving["method"] = payment.method
        if payment.bank:
            moving["bank"] = payment.bank
        if payment.bank_ref:
            moving["bank_serial"] = payment.bank_ref
    return _WRITER.encode(moving)


def named_buyer(trade: Trade) -> tuple[str, str]:
    """Number and login of the buyer whom the merchant named, '' where he named none."""
    number, login = _read_terms(trade.terms).get("buyer", ("", ""))
    return number, login


def named_methods(trade: Trade) -> Sequence[str]:
    """The only ways of paying the merchant takes; none where he named none."""
    named: Sequence[str] = _read_terms(trade.terms).get("methods", ())
    return named


def provider_of(trade: Trade) -> str:
    """The service provider who asked for the trade, '' where its merchant did."""
    provider: str = _read_terms(trade.terms).get("provider", "")
    return provider


def combined_of(trade: Trade) -> str:
    """The combined order that a trade is part of, as ``MERCHANT/NUMBER``; '' for none."""
    combined: str = _read_terms(trade.terms).get("combined", "")
    return combined


def hearer_of(trade: Trade) -> str:
    """Whose keys the trade's messages are made with: its service provider's, where one asked for it."""
    return provider_of(trade) or trade.merchant_id


def notify_address(trade: Trade) -> str:
    """Where the merchant is told, '' for nowhere."""
    address: str = _read_terms(trade.terms).get("notify_url", "")
    return address


def terms_of(trade: Trade) -> CreateTrade:
    """The merchant's frozen request behind a trade."""
    return _load_terms(trade.terms, trade.merchant_id, trade.out_trade_no, trade.product, trade.amount, trade.currency)


def view_now(trade: Trade, payment: Payment | None, seller_login: str) -> TradeView:
    """The trade as it stands."""
    return view_then(trade, take_snapshot(trade, payment), seller_login)


def view_then(trade: Trade, snapshot: str, seller_login: str) -> TradeView:
    """The trade as it stood when ``snapshot`` was taken. ``seller_login`` fills in where the request named no login."""
    terms = terms_of(trade)
    moving = json.loads(snapshot)
    currency = trade.currency
    refunded = moving.get("refunded", 0)
    return TradeView(
        merchant=trade.merchant_id,
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        state=TradeState(moving["state"]),
        product=Product(trade.product),
        subject=terms.subject,
        body=terms.body,
        amount=Money(trade.amount, currency),
        price=terms.price,
        quantity=terms.quantity,
        discount=terms.discount,
        shipping=terms.shipping[0] if terms.shipping else None,
        consignee=terms.consignee,
        carrier=moving.get("carrier", ""),
        tracking_no=moving.get("tracking_no", ""),
        seller=Party(terms.seller.id or trade.merchant_id, terms.seller.login or seller_login),
        buyer=Party(moving.get("buyer_id", ""), moving.get("buyer_login", "")),
        created_at=trade.created_at,
        paid_at=moving.get("paid_at"),
        shipped_at=moving.get("shipped_at"),
        ended_at=moving.get("ended_at"),
        moved_at=moving.get("moved_at"),
        refunded=Money(refunded, currency) if refunded else None,
        refund_state=moving.get("refund_state", ""),
        refunded_at=moving.get("refunded_at"),
        method=Method(moving["method"]) if "method" in moving else None,
        bank=moving.get("bank", ""),
        bank_serial=moving.get("bank_serial", ""),
        fee=Money(moving.get("fee", 0), currency),
        passback=terms.passback,
        provider=terms.provider,
        echo=terms.echo,
    )
