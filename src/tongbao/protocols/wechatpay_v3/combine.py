"""Combined orders (合单): each request as two inverse functions, and the object that query and notification tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.codec import write_time
from tongbao.protocols.wechatpay_v3.field import TRADE_NUMBER, WORD, Fields, filled, invalid, missing
from tongbao.protocols.wechatpay_v3.request import ADDRESS, Cover, Parts
from tongbao.protocols.wechatpay_v3.view import read_trade, write_trade
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    PAID_STATES,
    CloseCombined,
    CombinedPart,
    CombinedView,
    CreateCombined,
    Expiry,
    Intent,
    Presentation,
    QueryCombined,
    TradeView,
)

_PARTS_MOST: Final = 50
_SUMS: Final = {"total": "total_amount", "payer_total": "payer_amount"}
"""A sum of an ordinary order -> its name in a part of a combined one."""


# --- requests ----------------------------------------------------------------------------------------------------


def _read_whose(part: Fields, mchid: str) -> tuple[str, bool]:
    """(merchant, whether ``mchid`` asks as his service provider) of a part; '' for ``mchid`` himself."""
    said, sub = part.number("mchid", WORD, needed=True), part.number("sub_mchid", WORD)
    if sub and said != mchid:
        raise invalid(part.at("mchid"), "is not the merchant who signed, who would be sub_mchid's service provider")
    if sub == mchid:
        raise invalid(part.at("sub_mchid"), "is the service provider himself")
    return (sub, True) if sub else ("" if said == mchid else said, False)


def _write_whose(merchant: str, mchid: str, *, provided: bool) -> dict[str, str]:
    return {"mchid": mchid, "sub_mchid": merchant} if provided else {"mchid": merchant or mchid}


def _read_part(part: Fields, mchid: str) -> CombinedPart:
    merchant, provided = _read_whose(part, mchid)
    amount = part.child("amount", needed=True)
    total = amount.money("total_amount", needed=True)
    if total is None:
        raise missing(amount.at("total_amount"))
    amount.text("currency", needed=True)
    amount.currency()
    return CombinedPart(
        out_trade_no=part.number("out_trade_no", TRADE_NUMBER, needed=True),
        subject=part.text("description", 127, needed=True),
        amount=total,
        merchant=merchant,
        provided=provided,
        split_later=part.child("settle_info").flag("profit_sharing"),
        passback=part.text("attach", 128, needed=True),
        echo=filled({"sub_appid": part.number("sub_appid", WORD)}),
    )


def _write_part(part: CombinedPart, mchid: str) -> dict[str, Any]:
    said = {
        **_write_whose(part.merchant, mchid, provided=part.provided),
        "sub_appid": part.echo.get("sub_appid", ""),
        "out_trade_no": part.out_trade_no,
        "description": part.subject,
        "attach": part.passback,
        "amount": {"total_amount": part.amount.minor, "currency": part.amount.currency},
        "settle_info": {"profit_sharing": True} if part.split_later else {},
    }
    return filled(said)


def read_create(parts: Parts, mchid: str, cover: Cover) -> Intent:
    """The orders to combine, from a request that ``mchid`` signed. Raises RemoteProtocolError naming the field."""
    body, presentation = Fields(parts.body or {}), m.PRESENTED[parts.route.operation]
    payer, scene = body.child("combine_payer_info"), body.child("scene_info")
    address = scene.number(
        "payer_client_ip", ADDRESS, needed="scene_info" in body.said or presentation is Presentation.H5
    )
    if presentation is Presentation.H5:
        scene.child("h5_info", needed=True).text("type", 32, needed=True)
    orders = body.children("sub_orders", _PARTS_MOST)
    if not orders:
        raise missing("sub_orders")
    body.time("time_start")
    until = body.time("time_expire")
    return CreateCombined(
        merchant=mchid,
        out_trade_no=body.number("combine_out_trade_no", TRADE_NUMBER, needed=True),
        parts=tuple(_read_part(order, mchid) for order in orders),
        buyer=Party(payer.number("openid", WORD, needed=presentation is Presentation.WALLET)),
        notify_url=body.url("notify_url", needed=True),
        expiry=None if until is None else Expiry(0, until),
        presentation=presentation,
        client_ip=address,
        echo={
            "appid": body.number("combine_appid", WORD, needed=True),
            "trade_type": m.TYPE_OF[presentation],
        },
    )


def write_create(intent: CreateCombined, appid: str, cover: Cover) -> Parts:
    """The request that combines orders. Raises LocalProtocolError where the interface cannot say it."""
    route = m.COMBINING.get(intent.presentation)
    if route is None:
        raise LocalProtocolError("presentation", "is none of qr, wallet, app, h5", "FIELD_INVALID")
    if intent.expiry is not None and intent.expiry.at is None:
        raise LocalProtocolError("expiry", "is not said as a time of its own (Expiry(0, at))", "EXPIRY_INVALID")
    until = intent.expiry.at if intent.expiry else None
    body = {
        "combine_appid": appid,
        "combine_mchid": intent.merchant,
        "combine_out_trade_no": intent.out_trade_no,
        "scene_info": filled(
            {"payer_client_ip": intent.client_ip, "h5_info": {"type": "Wap"} if route is m.COMBINE_H5 else {}}
        ),
        "sub_orders": [_write_part(part, intent.merchant) for part in intent.parts],
        "combine_payer_info": filled({"openid": intent.buyer.id}),
        "time_expire": write_time(until) if until is not None else "",
        "notify_url": intent.notify_url,
    }
    return Parts(route, body=filled(body))


def _number(parts: Parts) -> str:
    return Fields(parts.path).number("combine_out_trade_no", TRADE_NUMBER, needed=True)


def read_query(parts: Parts, mchid: str, cover: Cover) -> Intent:
    return QueryCombined(merchant=mchid, out_trade_no=_number(parts))


def write_query(intent: QueryCombined, appid: str, cover: Cover) -> Parts:
    return Parts(m.QUERY_COMBINED, {"combine_out_trade_no": intent.out_trade_no})


def read_close(parts: Parts, mchid: str, cover: Cover) -> Intent:
    """The combined order to end, and the orders that it names. Raises RemoteProtocolError naming the field."""
    body = Fields(parts.body or {})
    body.number("combine_appid", WORD, needed=True)
    orders = body.children("sub_orders", _PARTS_MOST)
    if not orders:
        raise missing("sub_orders")
    return CloseCombined(
        merchant=mchid, out_trade_no=_number(parts), parts=tuple(_closed(one, mchid) for one in orders)
    )


def _closed(order: Fields, mchid: str) -> tuple[str, str, bool]:
    merchant, provided = _read_whose(order, mchid)
    return merchant, order.number("out_trade_no", TRADE_NUMBER, needed=True), provided


def write_close(intent: CloseCombined, appid: str, cover: Cover) -> Parts:
    """The request that ends a combined order, with every order of it."""
    orders = [
        {**_write_whose(merchant, intent.merchant, provided=provided), "out_trade_no": number}
        for merchant, number, provided in intent.parts
    ]
    return Parts(
        m.CLOSE_COMBINED,
        {"combine_out_trade_no": intent.out_trade_no},
        body={"combine_appid": appid, "sub_orders": orders},
    )


# --- how it stands -----------------------------------------------------------------------------------------------


def _tell_part(view: TradeView, mchid: str) -> dict[str, Any]:
    """One order of a combined one: an ordinary order under names of its own, without its payer."""
    said = write_trade(replace(view, merchant="", echo={**view.echo, "appid": ""}), mchid)
    del said["mchid"]
    said.pop("trade_state_desc")
    said.pop("payer", None)
    said["amount"] = {_SUMS.get(name, name): value for name, value in said["amount"].items()}
    provided = view.provider == mchid
    ends = {**_write_whose(view.merchant, mchid, provided=provided), "sub_appid": view.echo.get("sub_appid", "")}
    return filled(ends) | said


def write_combined(view: CombinedView, mchid: str, *, paid: bool = False) -> dict[str, Any]:
    """A combined order as its query tells it; ``paid``: as its notification does, at the moment of payment. Raises
    LocalProtocolError."""
    if not view.parts or not view.out_trade_no:
        raise LocalProtocolError("parts", "or number of the combined order is missing")
    if paid and any(part.state not in PAID_STATES for part in view.parts):
        raise LocalProtocolError("parts", "only a successful payment is told of")
    orders = [_tell_part(part, mchid) for part in view.parts]
    said = {
        "combine_appid": view.echo.get("appid", ""),
        "combine_mchid": mchid,
        "combine_out_trade_no": view.out_trade_no,
        "combine_payer_info": filled({"openid": view.buyer.id}),
        "sub_orders": [order | {"trade_state": "SUCCESS"} for order in orders] if paid else orders,
    }
    return filled(said)


def _hear_part(part: Fields, mchid: str) -> TradeView:
    merchant, provided = _read_whose(part, mchid)
    amount = dict(part.child("amount", needed=True).said)
    ours = {theirs: name for name, theirs in _SUMS.items()}
    said = {**part.said, "mchid": merchant or mchid, "amount": {ours.get(name, name): amount[name] for name in amount}}
    try:
        view = read_trade({name: value for name, value in said.items() if name not in ("sub_mchid", "sp_mchid")})
    except RemoteProtocolError as error:
        raise RemoteProtocolError(part.at(error.field), error.reason, error.code) from error
    return replace(view, provider=mchid if provided else "")


def read_combined(said: Mapping[str, Any], mchid: str) -> CombinedView:
    """What a combined order says to ``mchid``, whose it must be. Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    if fields.text("combine_mchid", needed=True) != mchid:
        raise RemoteProtocolError("combine_mchid", "is another merchant's", "SELLER_UNKNOWN")
    orders = fields.children("sub_orders", _PARTS_MOST)
    if not orders:
        raise missing("sub_orders")
    return CombinedView(
        merchant=mchid,
        out_trade_no=fields.text("combine_out_trade_no", needed=True),
        parts=tuple(_hear_part(order, mchid) for order in orders),
        buyer=Party(fields.child("combine_payer_info").text("openid")),
    )
