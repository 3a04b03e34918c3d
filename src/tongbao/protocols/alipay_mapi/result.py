"""What became of batches: the two notifications and the answer to refund_fastpay_query, as lists in one text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, china_compact, china_text, parse_china
from tongbao.protocols.alipay_mapi import code as c
from tongbao.protocols.alipay_mapi.batch import read_sum
from tongbao.protocols.alipay_mapi.field import Fields, bare, read_party
from tongbao.wire.field import invalid, read_time, required
from tongbao.wire.movement import BatchView, MovementState, PayOutView, RefundView
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Notification

REFUNDED: Final = "batch_refund_notify"
PAID_OUT: Final = "batch_trans_notify"
MARKS: Final = "^|#$"
_DETAILS: Final = "result_details"


def _refund_word(view: RefundView) -> str:
    if view.state is MovementState.SUCCEEDED:
        return c.REFUND_DONE
    if view.state in (MovementState.ACCEPTED, None):
        return c.REFUND_RUNNING
    return c.REFUND_CODE.get(view.code, c.REFUND_FAILED)


def _read_refund_word(word: str) -> tuple[MovementState, str]:
    if word == c.REFUND_DONE:
        return MovementState.SUCCEEDED, ""
    if word == c.REFUND_RUNNING:
        return MovementState.ACCEPTED, ""
    if not word:
        raise invalid(_DETAILS, "holds an item without a result")
    return MovementState.FAILED, c.NEUTRAL_CODE_OF_REFUND.get(word, "SYSTEM")


def _sum(money: Money | None) -> str:
    if money is None:
        raise LocalProtocolError("amount", "is missing")
    return money.text()


# --- batch_refund_notify -----------------------------------------------------------------------------------------


def write_refunds_ended(batch: BatchView) -> dict[str, str]:
    """The fields that tell of a batch of refunds."""
    done = [view for view in batch.refunds if view.state is MovementState.SUCCEEDED]
    items = []
    for view in batch.refunds:
        back = view.fee is not None and view.fee.minor > 0
        charge = f"$^{batch.merchant}^{_sum(view.fee)}^{c.REFUND_DONE}" if back else ""
        items.append(f"{view.trade_no}^{_sum(view.amount)}^{_refund_word(view)}{charge}")
    return {
        "notify_type": REFUNDED,
        "batch_no": batch.batch_no,
        "success_num": str(len(done)),
        _DETAILS: "#".join(items),
    }


def _read_refund(item: str, batch_no: str) -> RefundView:
    """``trade_no^sum^result``; behind ``$`` the fee that came back, behind the fee's account and number."""
    head, mark, charge = item.partition("$")
    parts = head.split("^")
    if len(parts) != 3 or not parts[0]:
        raise invalid(_DETAILS, "holds an item that is not number, sum and result")
    fee = None
    if mark:
        charges = charge.split("^")
        if len(charges) != 4:
            raise invalid(_DETAILS, "holds a fee that is not account, number, sum and result")
        came_back = charges[3] == c.REFUND_DONE and charges[2] not in ("0", "0.0", "0.00")
        fee = read_sum(charges[2], _DETAILS) if came_back else None
    state, code = _read_refund_word(parts[2])
    return RefundView(
        batch_no=batch_no,
        trade_no=parts[0],
        state=state,
        amount=read_sum(parts[1], _DETAILS),
        fee=fee,
        code=code,
    )


def read_refunds_ended(fields: Fields) -> BatchView:
    """What those fields say. Raises RemoteProtocolError naming the field."""
    batch_no = required(fields, "batch_no")
    items = required(fields, _DETAILS).split("#")
    refunds = tuple([_read_refund(item, batch_no) for item in items])
    if len({view.trade_no for view in refunds}) != len(refunds):
        raise invalid(_DETAILS, "holds one trade twice", "DUPLICATE_PARAM")
    return BatchView(batch_no=batch_no, refunds=refunds)


# --- batch_trans_notify ------------------------------------------------------------------------------------------


def _payout_item(view: PayOutView) -> str:
    done = view.state is MovementState.SUCCEEDED
    payee = view.payee
    parts = (
        view.payout_no,
        bare(payee.party.login or payee.party.id or payee.card, MARKS),
        bare(payee.name, MARKS),
        _sum(view.amount),
        "S" if done else "F",
        "null" if done else c.PAYOUT_CODE.get(view.code, c.PAYOUT_FAILED),
        bare(view.payout_id, MARKS),
        china_compact(view.ended_at) if view.ended_at is not None else "",
    )
    return "^".join(parts) + "|"


def write_payouts_ended(batch: BatchView) -> dict[str, str]:
    """The fields that tell of a batch of payouts; of the two lists one may be empty."""
    done = [view for view in batch.payouts if view.state is MovementState.SUCCEEDED]
    rest = [view for view in batch.payouts if view.state is not MovementState.SUCCEEDED]
    return {
        "notify_type": PAID_OUT,
        "batch_no": batch.batch_no,
        "pay_user_id": batch.payer.id,
        "pay_user_name": batch.payer_name,
        "pay_account_no": f"{batch.payer.id}0156" if batch.payer.id else "",
        "success_details": "".join([_payout_item(view) for view in done]),
        "fail_details": "".join([_payout_item(view) for view in rest]),
    }


def _read_payout(item: str, name: str, batch_no: str) -> PayOutView:
    parts = item.split("^")
    if len(parts) != 8 or not parts[0]:
        raise invalid(name, "holds an item of other than eight parts")
    serial, account, holder, sum_text, word, reason, number, moment = parts
    if word != ("S" if name == "success_details" else "F"):
        raise invalid(name, "holds an item of the other kind")
    try:
        ended_at = parse_china(moment) if moment else None
    except ValueError as error:
        raise invalid(name, "holds an item without a time") from error
    failed = word == "F"
    return PayOutView(
        batch_no=batch_no,
        payout_no=serial,
        payout_id=number,
        payee=Payee(party=read_party(account) if account else Party(), name=holder),
        amount=read_sum(sum_text, name),
        state=MovementState.FAILED if failed else MovementState.SUCCEEDED,
        code=c.NEUTRAL_CODE_OF_PAYOUT.get(reason, "SYSTEM") if failed else "",
        ended_at=ended_at,
    )


def read_payouts_ended(fields: Fields) -> BatchView:
    """What those fields say. Raises RemoteProtocolError naming the field."""
    batch_no = required(fields, "batch_no")
    payouts: list[PayOutView] = []
    for name in ("success_details", "fail_details"):
        text = fields.get(name, "")
        pieces = text.split("|")
        if text and pieces[-1]:
            raise invalid(name, "does not end with |")
        payouts += [_read_payout(piece, name, batch_no) for piece in pieces[:-1]]
    if not payouts:
        raise RemoteProtocolError("success_details", "is missing, and so is fail_details", "FIELD_MISSING")
    if len({view.payout_no for view in payouts}) != len(payouts):
        raise invalid("success_details", "holds one serial twice", "DUPLICATE_PARAM")
    return BatchView(
        batch_no=batch_no,
        payouts=tuple(payouts),
        payer=Party(fields.get("pay_user_id", "")),
        payer_name=fields.get("pay_user_name", ""),
    )


# --- both --------------------------------------------------------------------------------------------------------


def write_batch_notice(notification: Notification, batch: BatchView, now: Instant) -> dict[str, str]:
    """Fields of the notification of a batch's end; empty ones are among them."""
    fields = write_payouts_ended(batch) if batch.payouts else write_refunds_ended(batch)
    return fields | {"notify_id": notification.id, "notify_time": china_text(now)}


def read_batch_notice(fields: Fields) -> Notification:
    """The notification that verified fields are. Raises RemoteProtocolError naming the field."""
    payouts = fields.get("notify_type") == PAID_OUT
    batch = read_payouts_ended(fields) if payouts else read_refunds_ended(fields)
    return Notification(id=required(fields, "notify_id"), at=read_time(fields, "notify_time"), batch=batch)


# --- refund_fastpay_query ----------------------------------------------------------------------------------------


def write_found_refunds(refunds: tuple[RefundView, ...], asked: str) -> str:
    """``batch_no^trade_no^sum^result^returned to the bank^its result``, joined by ``#``. ``asked`` is the batch that
    was asked for; a refund without a batch is told under its own number."""
    items = []
    for view in refunds:
        number = bare(asked or view.batch_no or view.refund_no, MARKS)
        items.append(f"{number}^{view.trade_no}^{_sum(view.amount)}^{_refund_word(view)}^false^")
    return "#".join(items)


def read_found_refunds(fields: Mapping[str, str]) -> tuple[RefundView, ...]:
    """What became of refunds that were asked about. Raises RemoteProtocolError naming the field."""
    refunds = []
    for item in required(fields, _DETAILS).split("#"):
        parts = item.split("^")
        if len(parts) != 6 or not parts[1]:
            raise invalid(_DETAILS, "holds an item of other than six parts")
        state, code = _read_refund_word(parts[3])
        amount = read_sum(parts[2], _DETAILS)
        refunds.append(RefundView(batch_no=parts[0], trade_no=parts[1], state=state, amount=amount, code=code))
    return tuple(refunds)
