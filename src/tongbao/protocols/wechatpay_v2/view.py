"""What is told of orders, refunds and transfers: fields written by the platform's half, read by the merchant's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, china_compact, china_text
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.protocols.wechatpay_v2.codec import invalid, missing, money, text, time, total
from tongbao.wire.movement import MovementState, PayOutView, RefundFound, RefundView
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Method, Product, TradeState, TradeView

Fields = Mapping[str, str]

_ACCOUNT: Final = "支付用户零钱"
_REFUNDS_MOST: Final = 50
"""Refunds that one answer tells: as many as a merchant makes of an order. What the platform gives back besides is on
the next page (sheet wechatpay, section 3.5: ``offset``)."""


def _sum(amount: Money | None, name: str) -> str:
    if amount is None:
        raise LocalProtocolError(name, "is missing")
    return str(amount.minor)


# --- orders ------------------------------------------------------------------------------------------------------


def write_state(view: TradeView) -> str:
    """``trade_state`` of a trade: REFUND once anything was given back, though the trade be closed by it. An order paid
    with a shown code is ended by ``reverse`` alone, after which it is REVOKED. Raises LocalProtocolError."""
    scanned = view.echo.get("trade_type") == "MICROPAY"
    if view.was_paid:
        if view.cancelled:
            return "REVOKED"
        gone = view.state is TradeState.CLOSED or (view.refunded is not None and view.refunded.minor > 0)
        return "REFUND" if gone else "SUCCESS"
    if view.state is TradeState.CLOSED:
        return "REVOKED" if scanned else "CLOSED"
    if view.state is TradeState.UNPAID:
        return "USERPAYING" if scanned else "NOTPAY"
    raise LocalProtocolError("state", "is missing")


def _write_bank(view: TradeView) -> str:
    """``bank_type`` of what paid: a card of a known bank; all else is OTHERS."""
    bank = m.BANK_TYPE.get(view.bank)
    return f"{bank}_{view.method.upper()}" if bank and view.method in (Method.DEBIT, Method.CREDIT) else "OTHERS"


def _read_bank(text_: str) -> tuple[Method | None, str]:
    bank, _, kind = text_.rpartition("_")
    known = {word: code for code, word in m.BANK_TYPE.items()}
    return (Method(kind.lower()), known[bank]) if bank in known and kind in ("DEBIT", "CREDIT") else (None, "")


def write_paid(view: TradeView) -> dict[str, str]:
    """What is told of a paid order, in query, notification and micropay. Raises LocalProtocolError."""
    if not view.was_paid or not view.out_trade_no or not view.trade_no:
        raise LocalProtocolError("state", "only a successful payment is told so")
    total_fee = _sum(view.amount, "amount")
    return {
        "device_info": view.echo.get("device_info", ""),
        "openid": view.buyer.id,
        "is_subscribe": "N",
        "trade_type": view.echo.get("trade_type", "NATIVE"),
        "bank_type": _write_bank(view),
        "total_fee": total_fee,
        "fee_type": "CNY",
        "cash_fee": total_fee,
        "cash_fee_type": "CNY",
        "transaction_id": view.trade_no,
        "out_trade_no": view.out_trade_no,
        "attach": view.passback.strip(),
        "time_end": china_compact(view.paid_at) if view.paid_at is not None else "",
    }


def write_trade(view: TradeView) -> dict[str, str]:
    """An order as orderquery tells it. Raises LocalProtocolError."""
    state = write_state(view)
    told = {"trade_state": state, "trade_state_desc": m.STATE_SAID[state]}
    if view.was_paid:
        return write_paid(view) | told
    return {
        "out_trade_no": view.out_trade_no,
        "total_fee": _sum(view.amount, "amount"),
        "attach": view.passback.strip(),
        "trade_type": view.echo.get("trade_type", ""),
    } | told


def read_trade(fields: Fields, mch_id: str, *, paid: bool) -> TradeView:
    """What an order's fields say; ``paid``: a message that only tells of payment. Raises RemoteProtocolError."""
    word = "SUCCESS" if paid else text(fields, "trade_state", 16, needed=True)
    if word not in m.STATE_OF:
        raise invalid("trade_state", "is no state of an order")
    state = m.STATE_OF[word]
    known = state is TradeState.PAID
    if text(fields, "fee_type", 8) not in ("", "CNY"):
        raise invalid("fee_type", "is not CNY", "CURRENCY_NOT_ALLOWED")
    method, bank = _read_bank(text(fields, "bank_type", 32))
    return TradeView(
        merchant=mch_id,
        out_trade_no=text(fields, "out_trade_no", 64, needed=True),
        trade_no=text(fields, "transaction_id", 64, needed=known),
        state=state,
        product=Product.INSTANT,
        amount=money(fields, "total_fee", needed=known),
        seller=Party(mch_id),
        buyer=Party(text(fields, "openid", 128)),
        paid_at=time(fields, "time_end"),
        refund_state="success" if word == "REFUND" else "",
        method=method,
        bank=bank,
        passback=text(fields, "attach", 256),
    )


# --- refunds -----------------------------------------------------------------------------------------------------


def write_refund(view: RefundView) -> dict[str, str]:
    """What the request for a refund is answered. Raises LocalProtocolError."""
    refund_fee, total_fee = _sum(view.amount, "amount"), _sum(view.total, "total")
    return {
        "transaction_id": view.trade_no,
        "out_trade_no": view.out_trade_no,
        "out_refund_no": view.refund_no,
        "refund_id": view.refund_id,
        "refund_channel": "ORIGINAL",
        "refund_fee": refund_fee,
        "total_fee": total_fee,
        "cash_fee": total_fee,
        "cash_refund_fee": refund_fee,
        "coupon_refund_fee": "0",
        "coupon_refund_count": "0",
    }


def read_refund(fields: Fields, mch_id: str) -> RefundView:
    """An accepted refund: the answer does not say how far it has come. Raises RemoteProtocolError."""
    return RefundView(
        merchant=mch_id,
        refund_no=text(fields, "out_refund_no", 64, needed=True),
        refund_id=text(fields, "refund_id", 64, needed=True),
        trade_no=text(fields, "transaction_id", 64, needed=True),
        out_trade_no=text(fields, "out_trade_no", 64, needed=True),
        state=MovementState.ACCEPTED,
        amount=total(fields, "refund_fee"),
        total=total(fields, "total_fee"),
    )


def write_refunds(views: tuple[RefundView, ...], total: int = 0) -> dict[str, str]:
    """The first page of refunds of one order, numbered from 0; ``total`` of them are there, where ``views`` begin
    behind the first. Raises LocalProtocolError."""
    first, page = views[0], views[:_REFUNDS_MOST]
    said = {
        "transaction_id": first.trade_no,
        "out_trade_no": first.out_trade_no,
        "total_fee": _sum(first.total, "total"),
        "cash_fee": _sum(first.total, "total"),
        "total_refund_count": str(total or len(views)),
        "refund_count": str(len(page)),
    }
    for place, view in enumerate(page):
        if view.state is None:
            raise LocalProtocolError("state", "is missing")
        ended = view.state is MovementState.SUCCEEDED and view.ended_at is not None
        said |= {
            f"out_refund_no_{place}": view.refund_no,
            f"refund_id_{place}": view.refund_id,
            f"refund_channel_{place}": "ORIGINAL",
            f"refund_fee_{place}": _sum(view.amount, "amount"),
            f"refund_status_{place}": m.STUCK if view.stuck else m.REFUND_WORD[view.state],
            f"refund_account_{place}": "REFUND_SOURCE_RECHARGE_FUNDS",
            f"refund_recv_accout_{place}": _ACCOUNT,
            f"refund_success_time_{place}": china_text(view.ended_at) if ended and view.ended_at is not None else "",
        }
    return said


def _count(fields: Fields, name: str, most: int, *, needed: bool = False) -> int:
    said = text(fields, name, 4, needed=needed)
    if said and not (said.isascii() and said.isdigit() and 0 < int(said) <= most):
        raise invalid(name, f"is no number up to {most}")
    return int(said or 0)


def read_refunds(fields: Fields, mch_id: str) -> RefundFound:
    """What refundquery tells: a page of refunds, and how many there are where it says so. Raises RemoteProtocolError
    naming the field."""
    count = _count(fields, "refund_count", _REFUNDS_MOST, needed=True)
    found = []
    for place in range(count):
        word = text(fields, f"refund_status_{place}", 16, needed=True)
        if word not in m.REFUND_STATE_OF:
            raise invalid(f"refund_status_{place}", "is no state of a refund")
        found.append(
            RefundView(
                merchant=mch_id,
                refund_no=text(fields, f"out_refund_no_{place}", 64, needed=True),
                refund_id=text(fields, f"refund_id_{place}", 64, needed=True),
                trade_no=text(fields, "transaction_id", 64, needed=True),
                out_trade_no=text(fields, "out_trade_no", 64, needed=True),
                state=m.REFUND_STATE_OF[word],
                stuck=word == m.STUCK,
                amount=total(fields, f"refund_fee_{place}"),
                total=total(fields, "total_fee"),
                ended_at=time(fields, f"refund_success_time_{place}", compact=False),
            )
        )
    return RefundFound(tuple(found), total=max(_count(fields, "total_refund_count", 9_999), count))


def write_refund_notice(view: RefundView) -> dict[str, str]:
    """The fields inside ``req_info``. Raises LocalProtocolError."""
    if view.state not in m.REFUND_WORD or (view.state is MovementState.ACCEPTED and not view.stuck):
        raise LocalProtocolError("refund", "has not ended")
    refund_fee, total_fee = _sum(view.amount, "amount"), _sum(view.total, "total")
    ended = view.state is MovementState.SUCCEEDED and view.ended_at is not None
    said = {
        "out_refund_no": view.refund_no,
        "out_trade_no": view.out_trade_no,
        "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
        "refund_fee": refund_fee,
        "refund_id": view.refund_id,
        "refund_recv_accout": _ACCOUNT,
        "refund_request_source": "API",
        "refund_status": m.STUCK if view.stuck else m.REFUND_WORD[view.state],
        "settlement_refund_fee": refund_fee,
        "settlement_total_fee": total_fee,
        "success_time": china_text(view.ended_at) if ended and view.ended_at is not None else "",
        "total_fee": total_fee,
        "transaction_id": view.trade_no,
    }
    return {name: value for name, value in said.items() if value}


def read_refund_notice(fields: Fields, mch_id: str) -> RefundView:
    """What ``req_info`` says. Raises RemoteProtocolError naming the field."""
    word = text(fields, "refund_status", 16, needed=True)
    if word not in m.REFUND_STATE_OF:
        raise invalid("refund_status", "is no state of a refund")
    return RefundView(
        merchant=mch_id,
        refund_no=text(fields, "out_refund_no", 64, needed=True),
        refund_id=text(fields, "refund_id", 64, needed=True),
        trade_no=text(fields, "transaction_id", 64, needed=True),
        out_trade_no=text(fields, "out_trade_no", 64, needed=True),
        state=m.REFUND_STATE_OF[word],
        stuck=word == m.STUCK,
        amount=total(fields, "refund_fee"),
        total=total(fields, "total_fee"),
        ended_at=time(fields, "success_time", compact=False),
    )


# --- transfers ---------------------------------------------------------------------------------------------------


def _moment(at: Instant | None) -> str:
    return china_text(at) if at is not None else ""


def write_transfer(view: PayOutView) -> dict[str, str]:
    """What a transfer that was paid is answered. Raises Refused: SYSTEM while its end is not known, which is the
    interface's word for *ask again*; of one that came to nothing, why."""
    if view.state is not MovementState.SUCCEEDED:
        ended = view.state in (MovementState.FAILED, MovementState.CLOSED)
        raise Refused((view.code or "STATE_CONFLICT") if ended else "SYSTEM", f"the transfer is {view.state}")
    return {
        "partner_trade_no": view.payout_no,
        "payment_no": view.payout_id,
        "payment_time": _moment(view.ended_at or view.created_at),
    }


def write_transfer_found(view: PayOutView) -> dict[str, str]:
    """A transfer as gettransferinfo tells it. Raises LocalProtocolError."""
    if view.state is None:
        raise LocalProtocolError("state", "is missing")
    failed = view.state is MovementState.FAILED
    return {
        "partner_trade_no": view.payout_no,
        "detail_id": view.payout_id,
        "status": m.TRANSFER_WORD[view.state],
        "reason": m.WIRE_CODE.get(view.code, "") if failed else "",
        "openid": view.payee.party.id,
        "transfer_name": view.payee.name,
        "payment_amount": _sum(view.amount, "amount"),
        "transfer_time": _moment(view.created_at),
        "payment_time": _moment(view.ended_at),
        "desc": view.memo,
    }


def read_transfer(fields: Fields, mch_id: str) -> PayOutView:
    """What the answer to a transfer says: that it was taken. How it ended, gettransferinfo tells. Raises
    RemoteProtocolError."""
    return PayOutView(
        merchant=mch_id,
        payout_no=text(fields, "partner_trade_no", 64, needed=True),
        payout_id=text(fields, "payment_no", 64, needed=True),
        state=MovementState.ACCEPTED,
    )


def read_transfer_found(fields: Fields, mch_id: str) -> PayOutView:
    """What gettransferinfo says. Raises RemoteProtocolError."""
    word, reason = text(fields, "status", 16, needed=True), text(fields, "reason", 256)
    if word not in m.TRANSFER_STATE_OF:
        raise RemoteProtocolError("status", "is no state of a transfer", "FIELD_INVALID")
    amount = money(fields, "payment_amount")
    if amount is None:
        raise missing("payment_amount")
    return PayOutView(
        merchant=mch_id,
        payout_no=text(fields, "partner_trade_no", 64, needed=True),
        payout_id=text(fields, "detail_id", 64, needed=True),
        payee=Payee(Party(text(fields, "openid", 128)), text(fields, "transfer_name", 64)),
        amount=amount,
        state=m.TRANSFER_STATE_OF[word],
        memo=text(fields, "desc", 128),
        code=m.NEUTRAL_CODE.get(reason, "") if reason else "",
        created_at=time(fields, "transfer_time", compact=False),
        ended_at=time(fields, "payment_time", compact=False),
    )
