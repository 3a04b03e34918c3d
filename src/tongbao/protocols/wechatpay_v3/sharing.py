"""Profit sharing: orders, returns of shares, and what of a transaction is left to share; both ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.codec import write_time
from tongbao.protocols.wechatpay_v3.field import (
    PLATFORM_NUMBER,
    REFUND_NUMBER,
    WORD,
    Fields,
    filled,
    invalid,
    missing,
)
from tongbao.protocols.wechatpay_v3.part import Cover, Parts
from tongbao.wire.movement import (
    MovementState,
    QuerySplit,
    QuerySplitReturn,
    QueryUnsplit,
    ReturnSplit,
    Split,
    SplitReturnView,
    SplitTrade,
    UnsplitFound,
)
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Intent

_NOTE: Final = 80
_ANY: Final = 4_096


# --- requests ----------------------------------------------------------------------------------------------------


def _read_receiver(body: Fields, cover: Cover) -> Split:
    kind = body.text("type", 32, needed=True)
    if kind not in m.RECEIVER_KINDS:
        raise invalid(body.at("type"), f"is none of {', '.join(sorted(m.RECEIVER_KINDS))}")
    covered = body.text("name", 1_024)
    return Split(
        receiver=Party(body.number("account", WORD, needed=True)),
        amount=body.money("amount", needed=True),
        memo=body.text("description", 80, needed=True),
        name=cover(covered) if covered else "",
        kind=kind,
    )


def read_share(parts: Parts, mchid: str, cover: Cover) -> Intent:
    """An order that shares, or sets free what is left (sheet wechatpay, section 15). Raises RemoteProtocolError naming
    the field."""
    body = Fields(parts.body or {})
    finish = parts.route is m.UNFREEZE
    splits: tuple[Split, ...] = ()
    if finish:
        body.text("description", 80, needed=True)
    else:
        if "unfreeze_unsplit" not in body.said:
            raise missing("unfreeze_unsplit")
        finish = body.flag("unfreeze_unsplit")
        splits = tuple(_read_receiver(receiver, cover) for receiver in body.children("receivers", 50))
        if not splits:
            raise missing("receivers")
    return SplitTrade(
        merchant=mchid,
        split_no=body.number("out_order_no", REFUND_NUMBER, needed=True),
        splits=splits,
        trade_no=body.number("transaction_id", PLATFORM_NUMBER, needed=True),
        finish=finish,
    )


def _write_receiver(split: Split, cover: Cover) -> dict[str, Any]:
    if split.amount is None:
        raise LocalProtocolError("splits", "names a rate, and the interface takes sums", "FIELD_INVALID")
    said = {
        "type": split.kind,
        "account": split.receiver.id,
        "name": cover(split.name) if split.name else "",
        "amount": split.amount.minor,
        "description": split.memo,
    }
    return filled(said)


def write_share(intent: SplitTrade, appid: str, cover: Cover) -> Parts:
    """The inverse. Raises LocalProtocolError for a rate, which the interface does not take."""
    body = {"transaction_id": intent.trade_no, "out_order_no": intent.split_no}
    if not intent.splits and intent.finish:
        return Parts(m.UNFREEZE, body=filled(body | {"description": "解冻全部剩余资金"}))
    receivers = [_write_receiver(split, cover) for split in intent.splits]
    return Parts(
        m.SHARE, body=filled({"appid": appid, **body, "receivers": receivers}) | {"unfreeze_unsplit": intent.finish}
    )


def read_query_share(parts: Parts, mchid: str, cover: Cover) -> Intent:
    """The question about an order of shares. Raises RemoteProtocolError naming the field."""
    return QuerySplit(
        merchant=mchid,
        split_no=Fields(parts.path).number("out_order_no", REFUND_NUMBER, needed=True),
        trade_no=Fields(parts.query).number("transaction_id", PLATFORM_NUMBER, needed=True),
    )


def write_query_share(intent: QuerySplit, appid: str, cover: Cover) -> Parts:
    """The inverse."""
    return Parts(m.QUERY_SHARE, {"out_order_no": intent.split_no}, {"transaction_id": intent.trade_no})


def read_return(parts: Parts, mchid: str, cover: Cover) -> ReturnSplit:
    """A return; the order it comes from is named by either number (sheet wechatpay, section 15). Raises
    RemoteProtocolError naming the field."""
    body = Fields(parts.body or {})
    amount = body.money("amount", needed=True)
    number, serial = body.number("out_order_no", REFUND_NUMBER), body.number("order_id", PLATFORM_NUMBER)
    if amount is None:
        raise missing("amount")
    if not number and not serial:
        raise missing("out_order_no")
    return ReturnSplit(
        merchant=mchid,
        return_no=body.number("out_return_no", REFUND_NUMBER, needed=True),
        giver_id=body.number("return_mchid", WORD, needed=True),
        amount=amount,
        split_no=number,
        split_id=serial,
        memo=body.text("description", _NOTE, needed=True),
    )


def write_return(intent: ReturnSplit, appid: str, cover: Cover) -> Parts:
    """A return, in fen, with whichever numbers of the order are said; the decoder checks that one of them is."""
    said = {
        "order_id": intent.split_id,
        "out_order_no": intent.split_no,
        "out_return_no": intent.return_no,
        "return_mchid": intent.giver_id,
        "amount": intent.amount.minor,
        "description": intent.memo,
    }
    return Parts(m.RETURN_SHARE, body=filled(said))


def read_query_return(parts: Parts, mchid: str, cover: Cover) -> QuerySplitReturn:
    return QuerySplitReturn(
        merchant=mchid,
        return_no=Fields(parts.path).number("out_return_no", REFUND_NUMBER, needed=True),
        split_no=Fields(parts.query).number("out_order_no", REFUND_NUMBER, needed=True),
    )


def write_query_return(intent: QuerySplitReturn, appid: str, cover: Cover) -> Parts:
    return Parts(m.QUERY_RETURN, {"out_return_no": intent.return_no}, {"out_order_no": intent.split_no})


def read_unsplit(parts: Parts, mchid: str, cover: Cover) -> QueryUnsplit:
    return QueryUnsplit(
        merchant=mchid, trade_no=Fields(parts.path).number("transaction_id", PLATFORM_NUMBER, needed=True)
    )


def write_unsplit(intent: QueryUnsplit, appid: str, cover: Cover) -> Parts:
    return Parts(m.UNSPLIT, {"transaction_id": intent.trade_no})


# --- answers -----------------------------------------------------------------------------------------------------


def write_returned(view: SplitReturnView) -> dict[str, Any]:
    """A return and its result. Raises LocalProtocolError."""
    if view.state is None or view.amount is None:
        raise LocalProtocolError("state" if view.amount else "amount", "is missing")
    return filled(
        {
            "order_id": view.split_id,
            "out_order_no": view.split_no,
            "out_return_no": view.return_no,
            "return_id": view.return_id,
            "return_mchid": view.giver_id,
            "amount": view.amount.minor,
            "description": view.memo,
            "result": m.RETURN_RESULT[view.state],
            "create_time": write_time(view.created_at) if view.created_at is not None else "",
            "finish_time": write_time(view.ended_at) if view.ended_at is not None else "",
        }
    )


def read_returned(said: Mapping[str, Any], mchid: str) -> SplitReturnView:
    """What an answer says of a return. Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    word = fields.text("result", needed=True)
    if word not in m.RETURN_STATE_OF:
        raise invalid("result", "is no result of a return")
    state = m.RETURN_STATE_OF[word]
    return SplitReturnView(
        merchant=mchid,
        return_no=fields.text("out_return_no"),
        return_id=fields.text("return_id", needed=True),
        split_no=fields.text("out_order_no"),
        split_id=fields.text("order_id"),
        giver_id=fields.text("return_mchid"),
        amount=fields.money("amount"),
        memo=fields.text("description", _ANY),
        state=state,
        created_at=fields.time("create_time"),
        ended_at=None if state is MovementState.ACCEPTED else fields.time("finish_time"),
    )


def write_left(found: UnsplitFound) -> dict[str, Any]:
    """What is left to share: said also where it is nothing."""
    return {"transaction_id": found.trade_no, "unsplit_amount": found.amount.minor}


def read_left(said: Mapping[str, Any]) -> UnsplitFound:
    """Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    amount = fields.money("unsplit_amount", needed=True, smallest=0)
    if amount is None:
        raise missing("unsplit_amount")
    return UnsplitFound(fields.text("transaction_id", needed=True), amount)
