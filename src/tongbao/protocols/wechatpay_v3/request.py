"""Each request as two inverse functions: from path, query and body to an intent, and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.batch import (
    read_batch,
    read_query_batch,
    read_query_line,
    write_batch,
    write_query_batch,
    write_query_line,
)
from tongbao.protocols.wechatpay_v3.codec import write_time
from tongbao.protocols.wechatpay_v3.field import (
    BILL_NUMBER,
    PLATFORM_NUMBER,
    REFUND_NUMBER,
    TRADE_NUMBER,
    WORD,
    Fields,
    filled,
    invalid,
    missing,
)
from tongbao.protocols.wechatpay_v3.part import Cover as Cover  # noqa: PLC0414 - a word of this module too
from tongbao.protocols.wechatpay_v3.part import Parts as Parts  # noqa: PLC0414
from tongbao.protocols.wechatpay_v3.part import plain as plain  # noqa: PLC0414
from tongbao.protocols.wechatpay_v3.part import read_name
from tongbao.protocols.wechatpay_v3.sharing import (
    read_query_return,
    read_query_share,
    read_return,
    read_share,
    read_unsplit,
    write_query_return,
    write_query_share,
    write_return,
    write_share,
    write_unsplit,
)
from tongbao.wire.form import parse_form
from tongbao.wire.movement import (
    CancelTrade,
    FetchBill,
    FetchCertificates,
    PayOut,
    PayOutBatch,
    QueryPayOut,
    QueryPayOutBatch,
    QueryRefund,
    QuerySplit,
    QuerySplitReturn,
    QueryUnsplit,
    RecoverRefund,
    RefundTrade,
    RequestBill,
    ReturnSplit,
    SplitTrade,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import CloseTrade, CreateTrade, Expiry, Intent, Presentation, Product, QueryTrade

SCENE: Final = "1000"
_SHORTEST: Final = 6
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}", re.ASCII)
TOKEN: Final = re.compile(r"[0-9A-Za-z_.\-]{1,1024}", re.ASCII)
_CODE: Final = re.compile(r"1[0-5][0-9]{16}", re.ASCII)
SHOP: Final = "1"
"""The shop's own number of the place where codes are scanned: the request must name one."""
_BILL_TYPES: Final = ("ALL", "SUCCESS", "REFUND")
_ACCOUNTS: Final = ("BASIC", "OPERATION", "FEES")
_TRANSFER_LEAST: Final = 10


# --- orders ------------------------------------------------------------------------------------------------------


def _read_create(parts: Parts, mchid: str, cover: Cover) -> Intent:
    body = Fields(parts.body or {})
    number = body.number("out_trade_no", TRADE_NUMBER, needed=True)
    if len(number) < _SHORTEST:
        raise invalid("out_trade_no", f"is shorter than {_SHORTEST} characters")
    amount, scene = body.child("amount", needed=True), body.child("scene_info")
    total = amount.money("total", needed=True)
    if total is None:
        raise missing("amount.total")
    amount.currency()
    presentation = m.PRESENTED[parts.route.operation]
    scanned, payer = presentation is Presentation.BARCODE, body.child("payer")
    openid = "" if scanned else payer.number("openid", WORD, needed=presentation is Presentation.WALLET)
    address = scene.number("device_ip" if scanned else "payer_client_ip", ADDRESS, needed=parts.route is m.H5)
    if scanned:
        shop = body.child("scene_info", needed=True).child("store_info", needed=True)
        if not (shop.text("id", 32) or shop.text("out_id", 32)):
            raise missing("scene_info.store_info.id")
    if presentation is Presentation.H5:
        scene.child("h5_info", needed=True).text("type", 32, needed=True)
    until = body.time("time_expire")
    return CreateTrade(
        merchant=mchid,
        out_trade_no=number,
        product=Product.INSTANT,
        subject=body.text("description", 127, needed=True),
        amount=total,
        buyer=Party(openid),
        notify_url="" if scanned else body.url("notify_url", needed=True),
        expiry=None if until is None else Expiry(0, until),
        presentation=presentation,
        code=payer.number("auth_code", _CODE, needed=True) if scanned else "",
        split_later=body.child("settle_info").flag("profit_sharing"),
        passback=body.text("attach", 128),
        client_ip=address,
        echo={"appid": body.number("appid", WORD, needed=True), "trade_type": m.TYPE_OF[presentation]},
    )


def _write_create(intent: CreateTrade, appid: str, cover: Cover) -> Parts:
    route = m.CREATING.get(intent.presentation)
    if route is None:
        raise LocalProtocolError("presentation", "is none of qr, wallet, app, h5, barcode", "FIELD_INVALID")
    if intent.expiry is not None and intent.expiry.at is None:
        raise LocalProtocolError("expiry", "is not said as a time of its own (Expiry(0, at))", "EXPIRY_INVALID")
    until = intent.expiry.at if intent.expiry else None
    scene = {"payer_client_ip": intent.client_ip, "h5_info": {"type": "Wap"} if route is m.H5 else {}}
    payer = {"openid": intent.buyer.id}
    if route is m.CODEPAY:
        scene, payer = {"device_ip": intent.client_ip, "store_info": {"out_id": SHOP}}, {"auth_code": intent.code}
    body = {
        "appid": appid,
        "description": intent.subject,
        "out_trade_no": intent.out_trade_no,
        "time_expire": write_time(until) if until is not None else "",
        "attach": intent.passback,
        "notify_url": "" if route is m.CODEPAY else intent.notify_url,
        "amount": {"total": intent.amount.minor, "currency": intent.amount.currency},
        "payer": filled(payer),
        "scene_info": filled(scene),
        "settle_info": {"profit_sharing": True} if intent.split_later else {},
    }
    return Parts(route, body=filled(body))


def _read_query(parts: Parts, mchid: str, cover: Cover) -> Intent:
    path = Fields(parts.path)
    if parts.route is m.QUERY_ID:
        return QueryTrade(merchant=mchid, trade_no=path.number("transaction_id", PLATFORM_NUMBER, needed=True))
    return QueryTrade(merchant=mchid, out_trade_no=path.number("out_trade_no", TRADE_NUMBER, needed=True))


def _write_query(intent: QueryTrade, appid: str, cover: Cover) -> Parts:
    query = {"mchid": intent.merchant}
    if intent.out_trade_no:
        return Parts(m.QUERY, {"out_trade_no": intent.out_trade_no}, query)
    return Parts(m.QUERY_ID, {"transaction_id": intent.trade_no}, query)


def _read_close(parts: Parts, mchid: str, cover: Cover) -> Intent:
    Fields(parts.body or {}).text("mchid", needed=True)
    return CloseTrade(merchant=mchid, out_trade_no=Fields(parts.path).number("out_trade_no", TRADE_NUMBER, needed=True))


def _write_close(intent: CloseTrade, appid: str, cover: Cover) -> Parts:
    return Parts(m.CLOSE, {"out_trade_no": intent.out_trade_no}, body={})


def _read_reverse(parts: Parts, mchid: str, cover: Cover) -> Intent:
    Fields(parts.body or {}).number("appid", WORD, needed=True)
    return CancelTrade(
        merchant=mchid, out_trade_no=Fields(parts.path).number("out_trade_no", TRADE_NUMBER, needed=True)
    )


def _write_reverse(intent: CancelTrade, appid: str, cover: Cover) -> Parts:
    return Parts(m.REVERSE, {"out_trade_no": intent.out_trade_no}, body={"appid": appid})


# --- refunds -----------------------------------------------------------------------------------------------------


def _read_refund(parts: Parts, mchid: str, cover: Cover) -> Intent:
    body = Fields(parts.body or {})
    amount = body.child("amount", needed=True)
    serial = body.number("transaction_id", PLATFORM_NUMBER)
    number = body.number("out_trade_no", TRADE_NUMBER)
    if bool(serial) == bool(number):
        if serial:
            raise invalid("transaction_id", "stands beside out_trade_no: one of them names the order")
        raise missing("transaction_id")
    refund, total = amount.money("refund", needed=True), amount.money("total", needed=True)
    amount.text("currency", needed=True)
    amount.currency()
    if refund is not None and total is not None and total < refund:
        raise invalid("amount.refund", "is more than amount.total")
    return RefundTrade(
        merchant=mchid,
        refund_no=body.number("out_refund_no", REFUND_NUMBER, needed=True),
        trade_no=serial,
        out_trade_no=number,
        amount=refund,
        total=total,
        reason=body.text("reason", 80),
        notify_url=body.url("notify_url", 256),
    )


def _write_refund(intent: RefundTrade, appid: str, cover: Cover) -> Parts:
    amount, total = intent.amount, intent.total
    if amount is None or total is None:
        raise LocalProtocolError("total" if amount else "amount", "must be said", "FIELD_MISSING")
    body = {
        "transaction_id": intent.trade_no,
        "out_trade_no": intent.out_trade_no,
        "out_refund_no": intent.refund_no,
        "reason": intent.reason,
        "notify_url": intent.notify_url,
        "amount": {"refund": amount.minor, "total": total.minor, "currency": amount.currency},
    }
    return Parts(m.REFUND, body=filled(body))


def _read_query_refund(parts: Parts, mchid: str, cover: Cover) -> Intent:
    return QueryRefund(merchant=mchid, refund_no=Fields(parts.path).number("out_refund_no", REFUND_NUMBER, needed=True))


def _write_query_refund(intent: QueryRefund, appid: str, cover: Cover) -> Parts:
    return Parts(m.QUERY_REFUND, {"out_refund_no": intent.refund_no})


def _read_recover(parts: Parts, mchid: str, cover: Cover) -> Intent:
    body = Fields(parts.body or {})
    number = body.number("out_refund_no", REFUND_NUMBER, needed=True)
    if body.text("type", 32, needed=True) != m.TO_MERCHANT:
        raise invalid("type", f"is not {m.TO_MERCHANT}: a refund is not sent to another card here")
    refund_id = Fields(parts.path).number("refund_id", PLATFORM_NUMBER, needed=True)
    return RecoverRefund(merchant=mchid, refund_id=refund_id, refund_no=number)


def _write_recover(intent: RecoverRefund, appid: str, cover: Cover) -> Parts:
    body = {"out_refund_no": intent.refund_no, "type": m.TO_MERCHANT}
    return Parts(m.RECOVER, {"refund_id": intent.refund_id}, body=body)


# --- certificates and bills --------------------------------------------------------------------------------------


def _read_certificates(parts: Parts, mchid: str, cover: Cover) -> Intent:
    if Fields(parts.query).text("algorithm_type") not in ("", "RSA", "ALL"):
        raise invalid("algorithm_type", "is neither RSA nor ALL")
    return FetchCertificates(merchant=mchid)


def _write_certificates(intent: FetchCertificates, appid: str, cover: Cover) -> Parts:
    return Parts(m.CERTIFICATES)


def _read_bill(parts: Parts, mchid: str, cover: Cover) -> Intent:
    query = Fields(parts.query)
    text = query.number("bill_date", _DATE, needed=True)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise invalid("bill_date", "is no date", "BILL_DATE_INVALID") from error
    trades = parts.route is m.TRADE_BILL
    name, words = ("bill_type", _BILL_TYPES) if trades else ("account_type", _ACCOUNTS)
    scope = query.text(name) or words[0]
    if scope not in words:
        raise invalid(name, f"is none of {', '.join(words)}")
    packed = query.text("tar_type")
    if packed not in ("", "GZIP"):
        raise invalid("tar_type", "is not GZIP")
    return RequestBill(
        merchant=mchid,
        day=day,
        kind="trade" if trades else "account",
        compressed=bool(packed),
        scope="" if scope == words[0] else scope,
    )


def _write_bill(intent: RequestBill, appid: str, cover: Cover) -> Parts:
    trades = intent.kind == "trade"
    name, words = ("bill_type", _BILL_TYPES) if trades else ("account_type", _ACCOUNTS)
    query = {"bill_date": intent.day.isoformat(), name: intent.scope or words[0]}
    query |= {"tar_type": "GZIP"} if intent.compressed else {}
    return Parts(m.TRADE_BILL if trades else m.FLOW_BILL, query=query)


def _read_download(parts: Parts, mchid: str, cover: Cover) -> Intent:
    return FetchBill(merchant=mchid, word=Fields(parts.query).number("token", TOKEN, needed=True))


def _write_download(intent: FetchBill, appid: str, cover: Cover) -> Parts:
    """The whole address may stand for its token: only path and query are taken from it, never the host."""
    word = intent.word
    if "?" in word:
        query = dict(parse_form(word.partition("?")[2].encode("utf-8")))
        return Parts(m.DOWNLOAD, query={name: query[name] for name in ("token", "tartype") if name in query})
    return Parts(m.DOWNLOAD, query={"token": word})


# --- transfers ---------------------------------------------------------------------------------------------------


def _read_transfer(parts: Parts, mchid: str, cover: Cover) -> Intent:
    body = Fields(parts.body or {})
    amount = body.money("transfer_amount", needed=True, smallest=_TRANSFER_LEAST)
    if amount is None:
        raise missing("transfer_amount")
    body.number("appid", WORD, needed=True)
    body.text("transfer_scene_id", 36, needed=True)
    if not body.children("transfer_scene_report_infos", 20):
        raise missing("transfer_scene_report_infos")
    return PayOut(
        merchant=mchid,
        payout_no=body.number("out_bill_no", BILL_NUMBER, needed=True),
        payee=Payee(Party(body.number("openid", WORD, needed=True)), read_name(body, amount.minor, cover)),
        amount=amount,
        memo=body.text("transfer_remark", 32, needed=True),
        title=body.text("user_recv_perception", 64),
        notify_url=body.url("notify_url", 256),
    )


def _write_transfer(intent: PayOut, appid: str, cover: Cover) -> Parts:
    infos = [{"info_type": kind, "info_content": intent.memo} for kind in ("活动名称", "奖励说明")]
    body = {
        "appid": appid,
        "out_bill_no": intent.payout_no,
        "transfer_scene_id": SCENE,
        "openid": intent.payee.party.id,
        "user_name": cover(intent.payee.name) if intent.payee.name else "",
        "transfer_amount": intent.amount.minor,
        "transfer_remark": intent.memo,
        "notify_url": intent.notify_url,
        "user_recv_perception": intent.title,
        "transfer_scene_report_infos": infos,
    }
    return Parts(m.TRANSFER, body=filled(body))


def _read_query_transfer(parts: Parts, mchid: str, cover: Cover) -> Intent:
    if parts.route in (m.QUERY_LINE, m.QUERY_LINE_ID):
        return read_query_line(parts, mchid)
    path = Fields(parts.path)
    if parts.route is m.QUERY_TRANSFER_ID:
        return QueryPayOut(merchant=mchid, payout_id=path.number("transfer_bill_no", PLATFORM_NUMBER, needed=True))
    return QueryPayOut(merchant=mchid, payout_no=path.number("out_bill_no", BILL_NUMBER, needed=True))


def _write_query_transfer(intent: QueryPayOut, appid: str, cover: Cover) -> Parts:
    if intent.batch_no or intent.batch_id:
        return write_query_line(intent)
    if intent.payout_no:
        return Parts(m.QUERY_TRANSFER, {"out_bill_no": intent.payout_no})
    return Parts(m.QUERY_TRANSFER_ID, {"transfer_bill_no": intent.payout_id})


# --- both directions ---------------------------------------------------------------------------------------------

_READ: Final[dict[type, Callable[[Parts, str, Cover], Intent]]] = {
    CreateTrade: _read_create,
    QueryTrade: _read_query,
    CloseTrade: _read_close,
    CancelTrade: _read_reverse,
    RefundTrade: _read_refund,
    QueryRefund: _read_query_refund,
    RecoverRefund: _read_recover,
    FetchCertificates: _read_certificates,
    RequestBill: _read_bill,
    FetchBill: _read_download,
    PayOut: _read_transfer,
    QueryPayOut: _read_query_transfer,
    PayOutBatch: read_batch,
    QueryPayOutBatch: read_query_batch,
    SplitTrade: read_share,
    QuerySplit: read_query_share,
    ReturnSplit: read_return,
    QuerySplitReturn: read_query_return,
    QueryUnsplit: read_unsplit,
}
_WRITE: Final[dict[type, Callable[[Any, str, Cover], Parts]]] = {
    CreateTrade: _write_create,
    QueryTrade: _write_query,
    CloseTrade: _write_close,
    CancelTrade: _write_reverse,
    RefundTrade: _write_refund,
    QueryRefund: _write_query_refund,
    RecoverRefund: _write_recover,
    FetchCertificates: _write_certificates,
    RequestBill: _write_bill,
    FetchBill: _write_download,
    PayOut: _write_transfer,
    QueryPayOut: _write_query_transfer,
    PayOutBatch: write_batch,
    QueryPayOutBatch: write_query_batch,
    SplitTrade: write_share,
    QuerySplit: write_query_share,
    ReturnSplit: write_return,
    QuerySplitReturn: write_query_return,
    QueryUnsplit: write_unsplit,
}
_NAMES_MERCHANT: Final = frozenset((CreateTrade, CloseTrade, CancelTrade))
"""Requests whose body repeats the merchant's number."""


def read_intent(parts: Parts, mchid: str, cover: Cover) -> Intent:
    """The intent of a request of ``mchid``, who signed it. Raises RemoteProtocolError naming the field."""
    for place in (parts.query, parts.body or {}):
        if place.get("mchid", mchid) != mchid:
            raise invalid("mchid", "is not the merchant who signed")
    needed = parts.query if parts.route in (m.QUERY, m.QUERY_ID) else parts.body or {}
    if parts.route.intent in (*_NAMES_MERCHANT, QueryTrade) and not needed.get("mchid"):
        raise missing("mchid")
    return _READ[parts.route.intent](parts, mchid, cover)


def write_intent(intent: Intent, appid: str, cover: Cover) -> Parts:
    """The parts of a request. Raises LocalProtocolError where the interface cannot say it."""
    write = _WRITE.get(type(intent))
    if write is None:
        raise LocalProtocolError("", f"the interface has no {type(intent).__name__}", "UNKNOWN_SERVICE")
    parts = write(intent, appid, cover)
    if type(intent) in _NAMES_MERCHANT:
        return Parts(parts.route, parts.path, parts.query, {"mchid": intent.merchant, **(parts.body or {})})
    return parts


def local(error: RemoteProtocolError) -> LocalProtocolError:
    """The same mistake, made by us and noticed before anything was sent."""
    return LocalProtocolError(error.field, error.reason, error.code)
