"""A trade's terms: the frozen remainder of the merchant's request, as JSON beside the columns (I41, T28)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tongbao.kernel.money import Money
from tongbao.wire.movement import Split
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Consignee, CreateTrade, Expiry, Freight, Method, Presentation, Product, Shipping

_PLAIN = (
    "subject",
    "body",
    "notify_url",
    "return_url",
    "error_url",
    "show_url",
    "bank",
    "passback",
    "client_ip",
    "provider",
    "combined",
)

_WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def dump_terms(intent: CreateTrade) -> str:
    """The intent without what the columns hold, as JSON with sorted keys; absent values are left out."""
    terms: dict[str, Any] = {name: value for name in _PLAIN if (value := getattr(intent, name))}
    if intent.price is not None:
        terms["price"] = intent.price.minor
    if intent.quantity is not None:
        terms["quantity"] = intent.quantity
    if intent.discount is not None:
        terms["discount"] = intent.discount.minor
    if intent.shipping:
        terms["shipping"] = [[way.kind, way.fee.minor, str(way.payer)] for way in intent.shipping]
    if intent.consignee is not None:
        who = intent.consignee
        terms["consignee"] = [who.name, who.address, who.postcode, who.phone, who.mobile]
    if intent.seller:
        terms["seller"] = [intent.seller.id, intent.seller.login]
    if intent.buyer:
        terms["buyer"] = [intent.buyer.id, intent.buyer.login]
    if intent.expiry is not None:
        terms["expiry"] = intent.expiry.seconds
        if intent.expiry.at is not None:
            terms["expires_at"] = intent.expiry.at
    if intent.method is not None:
        terms["method"] = str(intent.method)
    if intent.methods:
        terms["methods"] = [str(method) for method in intent.methods]
    if intent.presentation is not Presentation.PAGE:
        terms["presentation"] = str(intent.presentation)
    if intent.splits:
        terms["splits"] = [_dump_split(split) for split in intent.splits]
    if intent.split_later:
        terms["split_later"] = True
    if intent.echo:
        terms["echo"] = dict(intent.echo)
    return _WRITER.encode(terms)


def _dump_split(split: Split) -> list[Any]:
    amount = None if split.amount is None else split.amount.minor
    ends = [split.receiver.id, split.receiver.login, split.giver.id, split.giver.login]
    return [*ends, amount, split.rate, split.memo, split.name, split.kind]


def _load_split(said: list[Any], currency: str) -> Split:
    to_id, to_login, by_id, by_login, amount, rate, memo, name, kind = said
    return Split(
        receiver=Party(to_id, to_login),
        giver=Party(by_id, by_login),
        amount=None if amount is None else Money(amount, currency),
        rate=rate,
        memo=memo,
        name=name,
        kind=kind,
    )


def load_terms(text: str, merchant: str, out_trade_no: str, product: str, amount: int, currency: str) -> CreateTrade:
    """The merchant's request as it was frozen; the inverse of ``dump_terms`` together with the columns."""
    terms = json.loads(text)

    def sum_of(name: str) -> Money | None:
        return Money(terms[name], currency) if name in terms else None

    return CreateTrade(
        merchant=merchant,
        out_trade_no=out_trade_no,
        product=Product(product),
        amount=Money(amount, currency),
        price=sum_of("price"),
        quantity=terms.get("quantity"),
        discount=sum_of("discount"),
        shipping=tuple(
            Shipping(kind, Money(fee, currency), Freight(payer)) for kind, fee, payer in terms.get("shipping", ())
        ),
        consignee=Consignee(*terms["consignee"]) if "consignee" in terms else None,
        seller=Party(*terms.get("seller", ())),
        buyer=Party(*terms.get("buyer", ())),
        expiry=Expiry(terms["expiry"], terms.get("expires_at")) if "expiry" in terms else None,
        method=Method(terms["method"]) if "method" in terms else None,
        methods=tuple(Method(method) for method in terms.get("methods", ())),
        presentation=Presentation(terms.get("presentation", "page")),
        splits=tuple(_load_split(split, currency) for split in terms.get("splits", ())),
        split_later=terms.get("split_later", False),
        echo=terms.get("echo", {}),
        **{name: terms.get(name, "") for name in _PLAIN},
    )


def hash_terms(intent: CreateTrade, terms: str) -> str:
    """SHA-256 over everything that is frozen at creation (I41)."""
    parts = (
        intent.merchant,
        intent.out_trade_no,
        intent.product,
        str(intent.amount.minor),
        intent.amount.currency,
        terms,
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
