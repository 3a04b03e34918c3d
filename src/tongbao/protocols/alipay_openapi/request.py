"""The requests as pairs of inverse functions: content to intent, and intent to content. Both ends use both.

Content is the object of ``biz_content``, or the body of a REST request; ``notify_url`` and ``return_url`` stand in it
here, wherever the message has them.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.codec import check_shift
from tongbao.protocols.alipay_openapi.field import (
    Content,
    buyer_field,
    filled,
    invalid,
    list_of,
    part_of,
    read_address,
    read_expiry,
    read_order,
    read_sum,
    required,
    text_of,
    write_expiry,
    write_sum,
)
from tongbao.protocols.alipay_openapi.money import READERS, WRITERS, read_split, write_split
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseTrade,
    CreateTrade,
    Intent,
    Method,
    Presentation,
    Product,
    QueryTrade,
)

GOODS_MAX: Final = 150
"""Goods that an order lists at most (sheet alipay-openapi, 6)."""

_BACK: Final = {Presentation.PAGE: "request_from_url", Presentation.H5: "quit_url"}
"""Where the buyer goes when he gives up, by where he meets the trade."""
_KEPT_BY_NOBODY: Final = ("store_id", "operator_id", "terminal_id", "alipay_store_id", "merchant_order_no")
"""Fields that say nothing here, but have a length all the same (sheet alipay-openapi, section 5)."""
_FORBIDDEN: Final = re.compile(r"[/=&]", re.ASCII)


def _is_subject(text: str) -> bool:
    """Whether a title holds none of the characters that it may not hold (sheet alipay-openapi, section 5)."""
    return _FORBIDDEN.search(text) is None


def read_numbers(content: Content) -> dict[str, str]:
    """``trade_no`` and ``out_trade_no``, one of which must be there."""
    said = {"trade_no": text_of(content, "trade_no"), "out_trade_no": text_of(content, "out_trade_no")}
    if not any(said.values()):
        raise RemoteProtocolError("out_trade_no", "is missing, and so is trade_no", "FIELD_MISSING")
    return said


def _read_methods(content: Content) -> tuple[Method, ...]:
    allow, deny = text_of(content, "enable_pay_channels"), text_of(content, "disable_pay_channels")
    if not allow and not deny:
        return ()
    if allow and deny:
        raise invalid("disable_pay_channels", "excludes enable_pay_channels")
    name = "enable_pay_channels" if allow else "disable_pay_channels"
    chosen: set[Method] = set()
    for word in (allow or deny).split(","):
        # channels we have no word for neither open nor close a way of ours
        chosen.update(m.CHANNELS.get(word.strip(), ()))
    if deny:
        chosen = set(Method) - chosen
    if not chosen:
        raise invalid(name, "leaves no way of paying", "METHOD_NOT_ALLOWED")
    return () if len(chosen) == len(Method) else tuple(method for method in Method if method in chosen)


def _write_methods(methods: tuple[Method, ...]) -> dict[str, str]:
    if not methods:
        return {}
    if Method.OUTLET not in methods:
        return {"enable_pay_channels": ",".join(m.CHANNEL_WORD[method] for method in methods)}
    closed = [method for method in Method if method not in methods]
    return {"disable_pay_channels": ",".join(m.CHANNEL_WORD[method] for method in closed)}


def _read_ip(content: Content) -> str:
    text = text_of(part_of(content, "business_params"), "mc_create_trade_ip")
    if text:
        try:
            IPv4Address(text)
        except AddressValueError as error:
            raise invalid("mc_create_trade_ip", "is no IPv4 address", "CLIENT_IP_INVALID") from error
    return text


def _read_buyer(content: Content) -> Party:
    number = text_of(content, "buyer_id") or text_of(content, "buyer_open_id") or text_of(content, "op_buyer_open_id")
    return Party(number, text_of(content, "buyer_logon_id"))


def read_create(method: str, merchant: str, content: Content, echo: dict[str, str]) -> CreateTrade:
    """The intent of one of the methods that open a trade."""
    place = m.SERVICES[method].presentation or Presentation.PAGE
    required(content, "subject")
    for name in _KEPT_BY_NOBODY:
        text_of(content, name)
    told_back = {name: text_of(content, name) for name in ("subject", "body", "passback_params")}
    check_shift(told_back, m.EVENT_NAMES, ())
    if not _is_subject(told_back["subject"]):
        raise invalid("subject", "holds one of / = &")
    buyer = _read_buyer(content) if place in (Presentation.QR, Presentation.WALLET) else Party()
    if place is Presentation.WALLET and not buyer:
        raise RemoteProtocolError("buyer_id", "is missing, and so is buyer_open_id", "FIELD_MISSING")
    code = text_of(content, "auth_code")
    if place is Presentation.BARCODE and not code:
        raise RemoteProtocolError("auth_code", "is missing", "FIELD_MISSING")
    if len(list_of(content, "goods_detail")) > GOODS_MAX:
        raise RemoteProtocolError("goods_detail", f"holds more than {GOODS_MAX} goods", "TOO_LARGE")
    shares = list_of(part_of(content, "royalty_info"), "royalty_detail_infos")
    if len(shares) > 20:
        raise RemoteProtocolError("royalty_detail_infos", "holds more than 20 shares", "TOO_LARGE")
    return CreateTrade(
        merchant=merchant,
        out_trade_no=read_order(content),
        product=Product.INSTANT,
        subject=content["subject"],
        amount=read_sum(content, "total_amount"),
        body=text_of(content, "body"),
        seller=Party(text_of(content, "seller_id")),
        buyer=buyer,
        notify_url=read_address(content, "notify_url"),
        return_url=read_address(content, "return_url"),
        show_url=read_address(content, _BACK[place]) if place in _BACK else "",
        expiry=read_expiry(content),
        methods=_read_methods(content),
        presentation=place,
        code=code if place is Presentation.BARCODE else "",
        splits=tuple(read_split(share) for share in shares),
        split_later=text_of(part_of(content, "extend_params"), "royalty_freeze") == "true",
        passback=text_of(content, "passback_params"),
        client_ip=_read_ip(content),
        echo=echo,
    )


def _write_create(intent: CreateTrade) -> tuple[str, dict[str, Any]]:
    method = m.METHOD_OF_PRESENTATION.get(intent.presentation)
    if method is None:
        raise LocalProtocolError("presentation", "there is no method for it", "UNKNOWN_SERVICE")
    if not _is_subject(intent.subject):
        raise LocalProtocolError("subject", "holds one of / = &, which no title may hold here", "FIELD_INVALID")
    content: dict[str, Any] = {
        "out_trade_no": intent.out_trade_no,
        "total_amount": write_sum(intent.amount, "amount"),
        "subject": intent.subject,
        "product_code": m.SERVICES[method].product,
        "body": intent.body,
        "seller_id": intent.seller.id,
        "passback_params": intent.passback,
        "notify_url": intent.notify_url,
        "return_url": intent.return_url,
        **write_expiry(intent.expiry),
        **_write_methods(intent.methods),
    }
    if intent.presentation in _BACK:
        content[_BACK[intent.presentation]] = intent.show_url
    if intent.presentation is Presentation.BARCODE:
        content |= {"auth_code": intent.code, "scene": "bar_code"}
    if intent.presentation in (Presentation.QR, Presentation.WALLET):
        content |= {**buyer_field(intent.buyer.id, "buyer_id"), "buyer_logon_id": intent.buyer.login}
    if intent.client_ip:
        content["business_params"] = {"mc_create_trade_ip": intent.client_ip}
    if intent.splits:
        shares = [write_split(split) for split in intent.splits]
        content["royalty_info"] = {"royalty_type": "ROYALTY", "royalty_detail_infos": shares}
    if intent.split_later:
        content["extend_params"] = {"royalty_freeze": "true"}
    return method, content


def read_intent(method: str, merchant: str, content: Content, echo: dict[str, str]) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    if method in m.CREATING:
        return read_create(method, merchant, content, echo)
    if method == m.QUERY:
        return QueryTrade(merchant=merchant, **read_numbers(content))
    if method == m.CLOSE:
        return CloseTrade(merchant=merchant, **read_numbers(content))
    return READERS[method](merchant, content)


def write_intent(intent: Intent) -> tuple[str, dict[str, Any]]:
    """Method and content of an intent. Raises LocalProtocolError naming the field."""
    if isinstance(intent, CreateTrade):
        method, content = _write_create(intent)
    elif isinstance(intent, QueryTrade | CloseTrade):
        method = m.METHOD_OF_INTENT[type(intent)]
        content = {"trade_no": intent.trade_no, "out_trade_no": intent.out_trade_no}
    else:
        found = m.METHOD_OF_INTENT.get(type(intent))
        if found is None:
            raise LocalProtocolError("intent", f"{type(intent).__name__} cannot be said here", "UNKNOWN_SERVICE")
        method, content = found, WRITERS[found](intent)
    return method, filled(content)
