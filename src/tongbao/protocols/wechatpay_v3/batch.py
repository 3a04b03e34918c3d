"""Transfer batches (商家转账到零钱): requests, answers and the notification of their end, each in both directions.

A batch is answered as a whole; what became of one of its lines is asked for by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.codec import write_time
from tongbao.protocols.wechatpay_v3.field import BILL_NUMBER, PLATFORM_NUMBER, WORD, Fields, filled, invalid, missing
from tongbao.protocols.wechatpay_v3.part import Cover, Parts, read_name
from tongbao.wire.movement import (
    BatchFound,
    BatchHead,
    BatchStage,
    BatchTaken,
    BatchView,
    MovementState,
    PayOutBatch,
    PayOutItem,
    PayOutView,
    QueryPayOut,
    QueryPayOutBatch,
)
from tongbao.wire.party import Party, Payee

LINES_MAX: Final = 1_000
LINES_LEAST: Final = 20
LINES_MOST: Final = 100
"""Bounds of ``limit``; the least is what is answered where a question does not say."""

_TEXT: Final = 32
_ANY: Final = 4_096
_FLAG: Final = re.compile(r"true|false", re.ASCII)
_OFFSET: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)

# --- requests ----------------------------------------------------------------------------------------------------


def _read_line(body: Fields, cover: Cover) -> PayOutItem:
    amount = body.money("transfer_amount", needed=True)
    if amount is None:
        raise missing(body.at("transfer_amount"))
    if body.text("user_id_card", 1_024):
        raise invalid(body.at("user_id_card"), "is not taken: names are compared, identity cards are not")
    return PayOutItem(
        payout_no=body.number("out_detail_no", BILL_NUMBER, needed=True),
        payee=Payee(Party(body.number("openid", WORD, needed=True)), read_name(body, amount.minor, cover)),
        amount=amount,
        memo=body.text("transfer_remark", _TEXT, needed=True),
    )


def read_batch(parts: Parts, mchid: str, cover: Cover) -> PayOutBatch:
    """A new batch. Raises RemoteProtocolError naming the field, in a line too."""
    body = Fields(parts.body or {})
    items = tuple(_read_line(line, cover) for line in body.children("transfer_detail_list", LINES_MAX))
    if not items:
        raise missing("transfer_detail_list")
    if len({item.payout_no for item in items}) != len(items):
        raise invalid("transfer_detail_list", "has one out_detail_no twice", "BATCH_INVALID")
    total, count = body.money("total_amount", needed=True), body.said.get("total_num")
    if type(count) is not int or count != len(items):
        raise invalid("total_num", "is not the number of transfer_detail_list", "BATCH_INVALID")
    if total is None or total.minor != sum(item.amount.minor for item in items):
        raise invalid("total_amount", "is not the sum of transfer_detail_list", "BATCH_INVALID")
    return PayOutBatch(
        merchant=mchid,
        batch_no=body.number("out_batch_no", BILL_NUMBER, needed=True),
        items=items,
        total=total,
        count=count,
        name=body.text("batch_name", _TEXT, needed=True),
        memo=body.text("batch_remark", _TEXT, needed=True),
        notify_url=body.url("notify_url", 256),
        echo=filled(
            {"appid": body.number("appid", WORD, needed=True), "scene": body.number("transfer_scene_id", WORD)}
        ),
    )


def write_batch(intent: PayOutBatch, appid: str, cover: Cover) -> Parts:
    """The request for a batch; what is said of it as a whole has the one text where the other is empty, because the
    interface wants both."""
    lines = [
        filled(
            {
                "out_detail_no": item.payout_no,
                "transfer_amount": item.amount.minor,
                "transfer_remark": item.memo,
                "openid": item.payee.party.id,
                "user_name": cover(item.payee.name) if item.payee.name else "",
            }
        )
        for item in intent.items
    ]
    body = {
        "appid": appid,
        "out_batch_no": intent.batch_no,
        "batch_name": intent.name or intent.memo,
        "batch_remark": intent.memo or intent.name,
        "total_amount": intent.total.minor,
        "total_num": intent.count,
        "transfer_detail_list": lines,
        "transfer_scene_id": intent.echo.get("scene", ""),
        "notify_url": intent.notify_url,
    }
    return Parts(m.BATCH, body=filled(body))


def read_query_batch(parts: Parts, mchid: str, cover: Cover) -> QueryPayOutBatch:
    """A question for a batch. ``offset``, ``limit`` and ``detail_status`` mean something only beside its lines."""
    path, query = Fields(parts.path), Fields(parts.query)
    lines = query.number("need_query_detail", _FLAG, needed=True) == "true"
    offset, limit = query.number("offset", _OFFSET), query.number("limit", _LIMIT)
    word = query.text("detail_status") or "ALL"
    if word not in m.LINE_WANTED:
        raise invalid("detail_status", f"is none of {', '.join(m.LINE_WANTED)}")
    most = int(limit) if limit else LINES_LEAST
    if not LINES_LEAST <= most <= LINES_MOST:
        raise invalid("limit", f"is not between {LINES_LEAST} and {LINES_MOST}")
    own = parts.route is m.QUERY_BATCH
    return QueryPayOutBatch(
        merchant=mchid,
        batch_no=path.number("out_batch_no", BILL_NUMBER, needed=True) if own else "",
        batch_id="" if own else path.number("batch_id", PLATFORM_NUMBER, needed=True),
        lines=lines,
        offset=int(offset) if offset and lines else 0,
        most=most if lines else 0,
        only=m.LINE_WANTED[word] if lines else None,
    )


def write_query_batch(intent: QueryPayOutBatch, appid: str, cover: Cover) -> Parts:
    """The question for a batch, by the merchant's own number where both are known."""
    query = {"need_query_detail": "true" if intent.lines else "false"}
    if intent.lines:
        wanted = {state: word for word, state in m.LINE_WANTED.items()}
        query |= {
            "offset": str(intent.offset),
            "limit": str(intent.most or LINES_LEAST),
            "detail_status": wanted.get(intent.only, ""),
        }
    if intent.batch_no:
        return Parts(m.QUERY_BATCH, {"out_batch_no": intent.batch_no}, query)
    return Parts(m.QUERY_BATCH_ID, {"batch_id": intent.batch_id}, query)


def read_query_line(parts: Parts, mchid: str) -> QueryPayOut:
    """A question for one line of a batch, by both of the merchant's numbers or both of the platform's."""
    path = Fields(parts.path)
    if parts.route is m.QUERY_LINE:
        return QueryPayOut(
            merchant=mchid,
            batch_no=path.number("out_batch_no", BILL_NUMBER, needed=True),
            payout_no=path.number("out_detail_no", BILL_NUMBER, needed=True),
        )
    return QueryPayOut(
        merchant=mchid,
        batch_id=path.number("batch_id", PLATFORM_NUMBER, needed=True),
        payout_id=path.number("detail_id", PLATFORM_NUMBER, needed=True),
    )


def write_query_line(intent: QueryPayOut) -> Parts:
    """The question for one line of a batch. Raises LocalProtocolError where it is named by half."""
    if intent.batch_no and intent.payout_no:
        return Parts(m.QUERY_LINE, {"out_batch_no": intent.batch_no, "out_detail_no": intent.payout_no})
    if intent.batch_id and intent.payout_id:
        return Parts(m.QUERY_LINE_ID, {"batch_id": intent.batch_id, "detail_id": intent.payout_id})
    name = "payout_no" if intent.batch_no else "payout_id"
    raise LocalProtocolError(name, "must be said beside the batch's number of the same kind", "FIELD_MISSING")


# --- answers -----------------------------------------------------------------------------------------------------


def _time(at: Instant | None) -> str:
    return write_time(at) if at is not None else ""


def _fen(amount: Money | None) -> int:
    return amount.minor if amount is not None else 0


def _head(head: BatchHead | None) -> BatchHead:
    if head is None:
        raise LocalProtocolError("head", "is missing: the interface tells of a batch as a whole")
    return head


def _line_state(view: PayOutView, head: BatchHead) -> str:
    if view.state is None:
        raise LocalProtocolError("state", "is missing")
    if view.state is MovementState.ACCEPTED:
        return "WAIT_PAY" if head.stage is BatchStage.WAITING else "PROCESSING"
    return "SUCCESS" if view.state is MovementState.SUCCEEDED else "FAIL"


def _reason(view: PayOutView) -> str:
    """Why a line was not paid; that the batch was withdrawn is told as its being overdue."""
    if view.state is MovementState.CLOSED:
        return m.LINE_CLOSED
    return m.FAIL_REASON.get(view.code, "TRANSFER_RISK") if view.state is MovementState.FAILED else ""


def write_taken(outcome: BatchTaken) -> dict[str, Any]:
    """What answers a new batch, or the same once more. Raises LocalProtocolError."""
    head = _head(outcome.head)
    said = {
        "out_batch_no": outcome.batch_no,
        "batch_id": head.batch_id,
        "create_time": _time(head.created_at),
        "batch_status": m.BATCH_WORD[head.stage],
    }
    return filled(said)


def write_found(outcome: BatchFound, intent: QueryPayOutBatch) -> dict[str, Any]:
    """A batch and, where they were asked for, some of its lines. Raises LocalProtocolError."""
    batch, head = outcome.batch, _head(outcome.batch.head)
    said: dict[str, Any] = {
        "mchid": batch.merchant,
        "out_batch_no": batch.batch_no,
        "batch_id": head.batch_id,
        "appid": head.echo.get("appid", ""),
        "batch_status": m.BATCH_WORD[head.stage],
        # what was not asked for by a program was entered on the platform's own page
        "batch_type": "API" if head.echo.get("appid") else "WEB",
        "batch_name": head.name,
        "batch_remark": head.memo,
        "close_reason": m.BATCH_CLOSED if head.stage is BatchStage.CLOSED else "",
        "create_time": _time(head.created_at),
        "update_time": _time(head.changed_at),
        "transfer_scene_id": head.echo.get("scene", ""),
    }
    sums = {
        "total_amount": _fen(head.total),
        "total_num": head.count,
        "success_amount": _fen(head.paid),
        "success_num": head.paid_count,
        "fail_amount": _fen(head.failed),
        "fail_num": head.failed_count,
    }
    answer: dict[str, Any] = {"transfer_batch": filled(said) | sums}
    if intent.lines:
        lines = [
            {"detail_id": view.payout_id, "out_detail_no": view.payout_no, "detail_status": _line_state(view, head)}
            for view in batch.payouts
        ]
        answer |= {"transfer_detail_list": lines, "offset": intent.offset, "limit": intent.most}
    return answer


def write_line(view: PayOutView, mchid: str, cover: Cover) -> dict[str, Any]:
    """One line of a batch. Raises LocalProtocolError."""
    head = _head(view.batch)
    if view.amount is None:
        raise LocalProtocolError("amount", "is missing")
    said = {
        "mchid": mchid,
        "out_batch_no": view.batch_no,
        "batch_id": head.batch_id,
        "appid": head.echo.get("appid", ""),
        "out_detail_no": view.payout_no,
        "detail_id": view.payout_id,
        "detail_status": _line_state(view, head),
        "transfer_amount": view.amount.minor,
        "transfer_remark": view.memo,
        "fail_reason": _reason(view),
        "openid": view.payee.party.id,
        "user_name": cover(view.payee.name) if view.payee.name else "",
        "initiate_time": _time(view.created_at),
        "update_time": _time(view.ended_at or view.created_at),
    }
    return filled(said)


def _stage(fields: Fields) -> BatchStage:
    word = fields.text("batch_status", needed=True)
    if word not in m.BATCH_STAGE:
        raise invalid(fields.at("batch_status"), "is no state of a batch")
    return m.BATCH_STAGE[word]


def read_taken(said: Mapping[str, Any]) -> BatchTaken:
    """What a new batch was answered with. Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    head = BatchHead(
        batch_id=fields.number("batch_id", PLATFORM_NUMBER, needed=True),
        # older answers do not say it
        stage=_stage(fields) if "batch_status" in said else BatchStage.TAKEN,
        created_at=fields.time("create_time"),
    )
    return BatchTaken(fields.text("out_batch_no", _ANY, needed=True), head=head)


def _read_number(fields: Fields, name: str) -> int:
    value = fields.said.get(name, 0)
    if type(value) is not int or not 0 <= value <= 1_000_000:
        raise invalid(fields.at(name), "is no number of lines")
    return value


def _read_sums(fields: Fields) -> dict[str, Any]:
    return {
        "total": fields.money("total_amount", needed=True),
        "count": _read_number(fields, "total_num"),
        "paid": fields.money("success_amount", smallest=0),
        "paid_count": _read_number(fields, "success_num"),
        "failed": fields.money("fail_amount", smallest=0),
        "failed_count": _read_number(fields, "fail_num"),
    }


def _read_line_state(fields: Fields) -> MovementState:
    word = fields.text("detail_status", needed=True)
    if word not in m.LINE_STATE_OF:
        raise invalid(fields.at("detail_status"), "is no state of a transfer in a batch")
    return m.LINE_STATE_OF[word]


def _check_merchant(fields: Fields, mchid: str) -> None:
    if fields.text("mchid") not in ("", mchid):
        raise RemoteProtocolError(fields.at("mchid"), "is another merchant's", "FIELD_INVALID")


def read_found(said: Mapping[str, Any], mchid: str) -> BatchFound:
    """A batch and its lines. Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    whole = fields.child("transfer_batch", needed=True)
    _check_merchant(whole, mchid)
    number = whole.text("out_batch_no", _ANY, needed=True)
    head = BatchHead(
        batch_id=whole.number("batch_id", PLATFORM_NUMBER, needed=True),
        stage=_stage(whole),
        name=whole.text("batch_name", _ANY),
        memo=whole.text("batch_remark", _ANY),
        created_at=whole.time("create_time"),
        changed_at=whole.time("update_time"),
        **_read_sums(whole),
    )
    lines = tuple(
        PayOutView(
            merchant=mchid,
            payout_no=line.text("out_detail_no", _ANY, needed=True),
            payout_id=line.text("detail_id", _ANY, needed=True),
            batch_no=number,
            state=_read_line_state(line),
        )
        for line in fields.children("transfer_detail_list", LINES_MOST)
    )
    return BatchFound(BatchView(batch_no=number, payouts=lines, merchant=mchid, head=head))


def read_line(said: Mapping[str, Any], mchid: str, cover: Cover) -> PayOutView:
    """One line of a batch. Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    _check_merchant(fields, mchid)
    state, reason = _read_line_state(fields), fields.text("fail_reason")
    if state is MovementState.FAILED and reason == m.LINE_CLOSED:
        state = MovementState.CLOSED
    amount = fields.money("transfer_amount", needed=True)
    covered = fields.text("user_name", _ANY)
    return PayOutView(
        merchant=mchid,
        payout_no=fields.text("out_detail_no", _ANY, needed=True),
        payout_id=fields.text("detail_id", _ANY, needed=True),
        batch_no=fields.text("out_batch_no", _ANY, needed=True),
        payee=Payee(Party(fields.text("openid")), cover(covered) if covered else ""),
        amount=amount,
        state=state,
        memo=fields.text("transfer_remark", _ANY),
        code=m.REASON_FAILED.get(reason, "") if state is MovementState.FAILED else "",
        created_at=fields.time("initiate_time"),
        ended_at=fields.time("update_time") if state is not MovementState.ACCEPTED else None,
    )


# --- the notification --------------------------------------------------------------------------------------------


def write_event_batch(batch: BatchView, mchid: str) -> tuple[str, dict[str, Any], Instant | None]:
    """Kind, content and time of what tells that a batch has ended: sums, and no line. Raises LocalProtocolError."""
    head = _head(batch.head)
    kind = m.BATCH_EVENT.get(head.stage)
    if kind is None:
        raise LocalProtocolError("batch", "has not ended")
    said = {
        "mchid": mchid,
        "out_batch_no": batch.batch_no,
        "batch_id": head.batch_id,
        "batch_status": m.BATCH_WORD[head.stage],
        "close_reason": m.BATCH_CLOSED if head.stage is BatchStage.CLOSED else "",
        "update_time": _time(head.changed_at),
    }
    sums = {
        "total_num": head.count,
        "total_amount": _fen(head.total),
        "success_num": head.paid_count,
        "success_amount": _fen(head.paid),
        "fail_num": head.failed_count,
        "fail_amount": _fen(head.failed),
    }
    return kind, filled(said) | sums, head.changed_at


def read_event_batch(said: Mapping[str, Any], mchid: str, kind: str) -> BatchView:
    """The batch of a notification of ``kind``. Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    stage = _stage(fields)
    if m.BATCH_EVENT.get(stage) != kind:
        raise invalid("batch_status", "is not what event_type says")
    head = BatchHead(
        batch_id=fields.number("batch_id", PLATFORM_NUMBER, needed=True),
        stage=stage,
        changed_at=fields.time("update_time"),
        **_read_sums(fields),
    )
    return BatchView(batch_no=fields.text("out_batch_no", _ANY, needed=True), merchant=mchid, head=head)
