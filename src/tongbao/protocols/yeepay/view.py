"""A trade as fields of a callback and lines of an answer, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import WIRE, Fields, is_text, read_money, read_text, write_money
from tongbao.wire.field import read_time, required
from tongbao.wire.form import quote, unquote
from tongbao.wire.http import Response
from tongbao.wire.movement import MovementState, RefundView
from tongbao.wire.vocabulary import PAID_STATES, Notification, Role, TradeState, TradeView

BROWSER: Final = "1"
SERVER: Final = "2"
_ROLE: Final = {BROWSER: Role.RETURN, SERVER: Role.NOTIFICATION}

LINES_MAX: Final = 60
ANSWER_BYTES_MAX: Final = 32_768


def _needed(view: TradeView) -> Money:
    for name in ("out_trade_no", "trade_no", "amount"):
        if not getattr(view, name):
            raise LocalProtocolError(name, "is missing")
    return view.amount or Money(0)


def _say(text: str, longest: int) -> str:
    """A text, or nothing where the wire cannot say it whole: silence is no lie."""
    try:
        text.encode(WIRE)
    except UnicodeEncodeError:
        return ""
    return text if len(text) <= longest and is_text(text) else ""


def write_callback(view: TradeView, role: str) -> dict[str, str]:
    """The signed fields of a callback in their order. Raises LocalProtocolError for what is no payment."""
    amount = _needed(view)
    if view.state not in PAID_STATES:
        raise LocalProtocolError("state", "only a payment is told")
    return {
        "p1_MerId": view.merchant,
        "r0_Cmd": m.BUY,
        "r1_Code": m.OK,
        "r2_TrxId": view.trade_no,
        "r3_Amt": write_money(amount),
        "r4_Cur": "RMB",
        "r5_Pid": _say(view.subject, 60) or m.DASH,
        "r6_Order": view.out_trade_no,
        "r7_Uid": "",
        "r8_MP": _say(view.passback, 200),
        "r9_BType": role,
    }


def write_unsigned(view: TradeView, now: Instant) -> dict[str, str]:
    """What a callback adds outside the signature."""
    channel = view.echo.get("pd_FrpId", "") or m.CHANNEL_CODE.get((view.bank, view.method), "")
    return {
        "rb_BankId": channel or m.CHANNEL_CODE.get((view.bank, None), "") or m.MEMBER,
        "ro_BankOrderId": view.bank_serial if view.bank_serial.isascii() and view.bank_serial.isprintable() else "",
        "rp_PayDate": china_compact(view.paid_at) if view.paid_at is not None else "",
        "rq_CardNo": "",
        "ru_Trxtime": china_compact(now),
        "rq_SourceFee": "0.0",
        "rq_TargetFee": "0.0",
    }


def read_event(fields: Fields, unsigned: Mapping[str, str]) -> Notification:
    """What verified fields say. There is no id, and no signed time. Raises RemoteProtocolError."""
    state = TradeState.PAID if fields["r1_Code"] == m.OK else None
    name = fields["r5_Pid"]
    view = TradeView(
        merchant=fields["p1_MerId"],
        out_trade_no=fields["r6_Order"],
        trade_no=fields["r2_TrxId"],
        state=state,
        subject="" if name == m.DASH else name,
        amount=read_money(fields, "r3_Amt"),
        passback=fields.get("r8_MP", ""),
    )
    return Notification(id="", at=None, trade=view, role=_ROLE[fields["r9_BType"]], unsigned=unsigned)


# --- the answer to a query -----------------------------------------------------------------------------------------


def write_answer(view: TradeView, *, new: bool) -> dict[str, str]:
    """The signed fields of an answer in their order."""
    amount = _needed(view)
    if view.state not in m.STATUS_OF:
        raise LocalProtocolError("state", "the gateway has no word for it")
    refunded = view.refunded or Money(0)
    fields = {
        "r0_Cmd": m.QUERY,
        "r1_Code": m.OK,
        "r2_TrxId": view.trade_no,
        "r3_Amt": write_money(amount),
        "r4_Cur": "RMB",
        "r5_Pid": _say(view.subject, 60) or m.DASH,
        "r6_Order": view.out_trade_no,
        "r8_MP": _say(view.passback, 200),
    }
    if new:
        if view.created_at is None:
            raise LocalProtocolError("created_at", "is missing")
        paid = view.paid_at or view.moved_at or view.created_at
        fields |= {
            "rw_RefundRequestID": "",
            "rx_CreateTime": china_compact(view.created_at),
            "ry_FinshTime": china_compact(paid) if view.state in PAID_STATES else "",
            "rz_RefundAmount": "0.0",
        }
    return fields | {
        "rb_PayStatus": m.STATUS_OF[view.state],
        "rc_RefundCount": "1" if refunded.minor else "0",
        "rd_RefundAmt": write_money(refunded),
    }


def read_answer(fields: Fields, merchant: str) -> TradeView:
    """What verified fields say. Raises RemoteProtocolError."""
    name = fields["r5_Pid"]
    return TradeView(
        merchant=merchant,
        out_trade_no=fields["r6_Order"],
        trade_no=fields["r2_TrxId"],
        state=m.STATE_OF.get(required(fields, "rb_PayStatus")),
        subject="" if name == m.DASH else name,
        amount=read_money(fields, "r3_Amt"),
        created_at=read_time(fields, "rx_CreateTime"),
        paid_at=read_time(fields, "ry_FinshTime"),
        refunded=read_money(fields, "rd_RefundAmt"),
        passback=fields.get("r8_MP", ""),
    )


# --- refunds -------------------------------------------------------------------------------------------------------


def write_refund(refund: RefundView, trade_no: str) -> dict[str, str]:
    """Lines that say that a refund was taken on; its number and the fee are not signed."""
    if refund.amount is None:
        raise LocalProtocolError("amount", "is missing")
    return {
        "r0_Cmd": m.REFUND,
        "r1_Code": m.OK,
        "r2_TrxId": trade_no,
        "r3_Amt": write_money(refund.amount),
        "r4_Cur": "RMB",
        "r4_Order": refund.refund_no,
        "rf_fee": write_money(refund.fee or Money(0)),
    }


def read_refund(fields: Fields, merchant: str, refund_no: str) -> RefundView:
    """What verified fields say: the sum, and no more than that it was taken on."""
    return RefundView(
        merchant=merchant,
        refund_no=refund_no,
        trade_no=fields["r2_TrxId"],
        state=MovementState.ACCEPTED,
        amount=read_money(fields, "r3_Amt"),
    )


def write_refund_result(refund: RefundView, trade_no: str) -> dict[str, str]:
    """Lines that say what became of a refund."""
    return {
        "r0_Cmd": m.REFUND_QUERY,
        "r1_Code": m.OK,
        "r2_TrxId": trade_no,
        "r4_Order": refund.refund_no,
        "refundStatus": m.TAKEN,
        "refundFrpStatus": m.REFUND_STATUS_OF[refund.state or MovementState.ACCEPTED],
    }


def read_refund_result(fields: Fields, merchant: str) -> RefundView:
    """What verified fields say."""
    return RefundView(
        merchant=merchant,
        refund_no=fields["r4_Order"],
        trade_no=fields["r2_TrxId"],
        state=m.REFUND_STATE_OF[fields["refundFrpStatus"]],
    )


# --- lines ---------------------------------------------------------------------------------------------------------

_SPECIAL: Final = frozenset("%+\r\n")


def write_lines(fields: Fields) -> Response:
    """``name=value`` lines in GBK. Only what a line or a decoding client would break is percent-encoded."""
    lines = [
        f"{name}={quote(value, WIRE) if _SPECIAL.intersection(value) else value}\n" for name, value in fields.items()
    ]
    body = "".join(lines).encode(WIRE)
    headers = (
        (b"Content-Type", b"text/html; charset=gbk"),
        (b"Content-Length", str(len(body)).encode("ascii")),
    )
    return Response(200, headers, body)


def read_lines(response: Response) -> Iterator[dict[str, str]]:
    """The two readings of an answer: values as they stand, and decoded once; the signature tells which was meant.

    Raises RemoteProtocolError for anything but lines (an error page begins with ``<``).
    """
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    if len(response.body) > ANSWER_BYTES_MAX:
        raise RemoteProtocolError("", f"longer than {ANSWER_BYTES_MAX} bytes", "TOO_LARGE")
    if response.body.lstrip()[:1] == b"<":
        raise RemoteProtocolError("", "is an error page", "MALFORMED")
    raw: dict[str, bytes] = {}
    for line in response.body.split(b"\n"):
        bare = line.removesuffix(b"\r")
        if not bare:
            continue
        head, mark, value = bare.partition(b"=")
        name = read_text(head, "")
        if not mark or not name or len(raw) >= LINES_MAX:
            raise RemoteProtocolError(name[:40], "is no line of an answer", "MALFORMED")
        if name in raw:
            raise RemoteProtocolError(name[:40], "appears twice", "DUPLICATE_PARAM")
        raw[name] = value
    yield {name: read_text(value, name[:40]) for name, value in raw.items()}
    yield {name: read_text(unquote(value), name[:40]) for name, value in raw.items()}
