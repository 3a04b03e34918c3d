"""Batches of refunds and of payouts: the requests with their lists, the query, and what is told of their ends.

A list is one text. Refunds: ``trade_no^sum^reason`` joined by ``#``, each with ``|``-joined shares that receivers give
back. Payouts: ``serial^account^name^sum^memo`` joined by ``|``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import business_date, china_text
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.protocols.alipay_mapi.codec import CODECS
from tongbao.protocols.alipay_mapi.field import Fields, read_day, read_party, write_party
from tongbao.wire.field import invalid, read_address, read_time, required
from tongbao.wire.movement import PayOutBatch, PayOutItem, QueryRefund, RefundBatch, RefundItem, Split
from tongbao.wire.party import Party, Payee

ITEMS_MAX: Final = 1_000
REASON_BYTES: Final = 256
DETAIL: Final = "detail_data"

_REFUND_BATCH: Final = re.compile(r"([0-9]{8})((?!000$)[0-9A-Za-z]{3,24})", re.ASCII)
_PAYOUT_BATCH: Final = re.compile(r"[0-9A-Za-z]{11,32}", re.ASCII)
_COUNT: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_SERIAL: Final = re.compile(r"[0-9A-Za-z_-]{1,32}", re.ASCII)


def read_sum(text: str, name: str) -> Money:
    """A sum above zero within a list."""
    try:
        amount = parse_major(text)
    except InvalidAmount as error:
        raise invalid(name, str(error), "AMOUNT_INVALID") from error
    if amount.minor <= 0:
        raise invalid(name, "holds a sum that is not above zero", "AMOUNT_NOT_POSITIVE")
    return amount


def _read_count(fields: Fields, items: int) -> None:
    text = required(fields, "batch_num")
    if _COUNT.fullmatch(text) is None:
        raise invalid("batch_num", "is no number of items")
    if int(text) > ITEMS_MAX or items > ITEMS_MAX:
        raise RemoteProtocolError("batch_num", f"is above {ITEMS_MAX}", "TOO_LARGE")
    if int(text) != items:
        raise RemoteProtocolError("batch_num", "is not the number of items", "BATCH_INVALID")


def _once(numbers: Iterable[str], reason: str) -> None:
    seen: set[str] = set()
    for number in numbers:
        if number in seen:
            raise RemoteProtocolError(DETAIL, reason, "DUPLICATE_PARAM")
        seen.add(number)


def read_echo(fields: Fields) -> dict[str, str]:
    """What a batch's notification is written with: the charset and kind of signature of its request."""
    return {name: fields[name] for name in ("_input_charset", "sign_type") if fields.get(name)}


# --- refunds -----------------------------------------------------------------------------------------------------


def _read_reason(reason: str, codec: str) -> str:
    if len(reason.encode(codec, "replace")) > REASON_BYTES:
        raise RemoteProtocolError(DETAIL, f"holds a reason of more than {REASON_BYTES} bytes", "TOO_LARGE")
    return reason


def _read_back(part: str, merchant: str, codec: str) -> Split:
    """One share that its receiver gives back; what goes to the merchant himself has no giver to be named."""
    parts = part.split("^")
    if len(parts) != 6:
        raise invalid(DETAIL, "holds a share of other than six parts")
    out_login, out_id, in_login, in_id, sum_text, reason = parts
    if not out_login and not out_id:
        raise invalid(DETAIL, "holds a share that nobody gives back")
    giver = Party(in_id, in_login)
    if in_id == merchant:
        giver = Party()
    return Split(
        receiver=Party(out_id, out_login),
        amount=read_sum(sum_text, DETAIL),
        memo=_read_reason(reason, codec),
        giver=giver,
    )


def _read_refund(item: str, merchant: str, codec: str) -> RefundItem:
    if "$" in item:
        raise invalid(DETAIL, "holds a part for trades within a trade, or for charges, which are not offered")
    head, *shares = item.split("|")
    parts = head.split("^")
    if len(parts) != 3 or not parts[0]:
        raise invalid(DETAIL, "holds an item that is not number, sum and reason")
    if len(parts[0]) > m.LENGTHS["trade_no"]:
        raise RemoteProtocolError(DETAIL, "holds a number longer than 64 characters", "TOO_LARGE")
    return RefundItem(
        trade_no=parts[0],
        amount=read_sum(parts[1], DETAIL),
        reason=_read_reason(parts[2], codec),
        splits=tuple([_read_back(share, merchant, codec) for share in shares]),
    )


def read_refunds(fields: Fields, *, asks_password: bool) -> RefundBatch:
    """refund_fastpay_by_platform_pwd and _nopwd."""
    merchant = fields["partner"]
    batch_no = required(fields, "batch_no")
    match = _REFUND_BATCH.fullmatch(batch_no)
    asked_at = read_time(fields, "refund_date")
    if asked_at is None:
        raise RemoteProtocolError("refund_date", "is missing", "FIELD_MISSING")
    if match is None or match[1] != f"{business_date(asked_at):%Y%m%d}":
        raise invalid("batch_no", "is not the day of refund_date and a serial of 3 to 24 letters and digits")
    seller = fields.get("seller_user_id", "")
    if seller and seller != merchant:
        raise RemoteProtocolError("seller_user_id", "is not the partner", "SELLER_UNKNOWN")
    if asks_password and not (seller or fields.get("seller_email") or fields.get("email")):
        raise RemoteProtocolError("seller_user_id", "is missing, and so is seller_email", "FIELD_MISSING")
    if fields.get("use_freeze_amount", "N") not in ("", "N"):
        raise invalid("use_freeze_amount", "frozen funds are not offered")
    codec = CODECS[fields.get("_input_charset", "utf-8").lower()]
    items = tuple([_read_refund(item, merchant, codec) for item in required(fields, DETAIL).split("#")])
    _once([item.trade_no for item in items], "holds one trade twice")
    _read_count(fields, len(items))
    return RefundBatch(
        merchant=merchant,
        batch_no=batch_no,
        items=items,
        asked_at=asked_at,
        notify_url=read_address(fields, "notify_url"),
        asks_password=asks_password,
        echo=read_echo(fields),
    )


def _write_back(split: Split, merchant: str) -> str:
    if split.amount is None:
        raise LocalProtocolError("items", "a share is a sum here, not a rate")
    giver = split.giver or Party(merchant)
    parts = (split.receiver.login, split.receiver.id, giver.login, giver.id, split.amount.text(), split.memo)
    return "^".join(parts)


def write_refunds(intent: RefundBatch) -> dict[str, str]:
    """The fields of either service. Raises LocalProtocolError."""
    if intent.asked_at is None:
        raise LocalProtocolError("asked_at", "is missing")
    items = []
    for item in intent.items:
        shares = [_write_back(split, intent.merchant) for split in item.splits]
        items.append("|".join([f"{item.trade_no}^{item.amount.text()}^{item.reason}", *shares]))
    return {
        "service": m.REFUND_PWD if intent.asks_password else m.REFUND,
        "batch_no": intent.batch_no,
        "batch_num": str(len(items)),
        "refund_date": china_text(intent.asked_at),
        "seller_user_id": intent.merchant if intent.asks_password else "",
        "detail_data": "#".join(items),
        "notify_url": intent.notify_url,
    }


def read_refund_query(fields: Fields) -> QueryRefund:
    """refund_fastpay_query: a batch, a trade, or a trade's line in a batch."""
    batch_no, trade_no = fields.get("batch_no", ""), fields.get("trade_no", "")
    if not batch_no and not trade_no:
        raise RemoteProtocolError("batch_no", "is missing, and so is trade_no", "FIELD_MISSING")
    return QueryRefund(merchant=fields["partner"], batch_no=batch_no, trade_no=trade_no)


def write_refund_query(intent: QueryRefund) -> dict[str, str]:
    return {"service": m.REFUND_QUERY, "batch_no": intent.batch_no, "trade_no": intent.trade_no}


# --- payouts -----------------------------------------------------------------------------------------------------


def _read_payout(item: str) -> PayOutItem:
    parts = item.split("^")
    if len(parts) != 5:
        raise invalid(DETAIL, "holds an item of other than five parts")
    serial, account, name, sum_text, memo = parts
    if _SERIAL.fullmatch(serial) is None:
        raise invalid(DETAIL, "holds a serial of other than 1 to 32 letters and digits")
    if not account or not name:
        raise invalid(DETAIL, "holds an item without account or name", "PAYEE_UNKNOWN")
    if len(account) > m.PAYEE_LENGTH or len(name) > m.PAYEE_NAME_LENGTH or len(memo) > m.MEMO_LENGTH:
        raise RemoteProtocolError(DETAIL, "holds an account, name or memo that is too long", "TOO_LARGE")
    payee = Payee(party=read_party(account), name=name)
    return PayOutItem(payout_no=serial, payee=payee, amount=read_sum(sum_text, DETAIL), memo=memo)


def read_payouts(fields: Fields, *, asks_password: bool) -> PayOutBatch:
    """batch_trans_notify and its sibling without password."""
    batch_no = required(fields, "batch_no")
    if _PAYOUT_BATCH.fullmatch(batch_no) is None:
        raise invalid("batch_no", "is not 11 to 32 letters and digits")
    required(fields, "notify_url")
    pieces = required(fields, DETAIL).split("|")
    if len(pieces) > 1 and not pieces[-1]:
        pieces.pop()
    items = tuple([_read_payout(piece) for piece in pieces])
    _once([item.payout_no for item in items], "holds one serial twice")
    _read_count(fields, len(items))
    total = read_sum(required(fields, "batch_fee"), "batch_fee")
    if sum((item.amount for item in items), Money(0)) != total:
        raise RemoteProtocolError("batch_fee", "is not the sum of the items", "BATCH_INVALID")
    return PayOutBatch(
        merchant=fields["partner"],
        batch_no=batch_no,
        items=items,
        total=total,
        count=len(items),
        payer=read_party(required(fields, "email")),
        payer_name=required(fields, "account_name"),
        day=read_day(fields, "pay_date"),
        notify_url=read_address(fields, "notify_url"),
        asks_password=asks_password,
        echo=read_echo(fields),
    )


def write_payouts(intent: PayOutBatch) -> dict[str, str]:
    """The fields of either service. Raises LocalProtocolError."""
    if intent.day is None:
        raise LocalProtocolError("day", "is missing")
    items = []
    for item in intent.items:
        account = write_party(item.payee.party, "items")
        items.append(f"{item.payout_no}^{account}^{item.payee.name}^{item.amount.text()}^{item.memo}")
    return {
        "service": m.PAYOUT_PWD if intent.asks_password else m.PAYOUT,
        "batch_no": intent.batch_no,
        "batch_num": str(intent.count),
        "batch_fee": intent.total.text(),
        "pay_date": f"{intent.day:%Y%m%d}",
        "email": write_party(intent.payer, "payer"),
        "account_name": intent.payer_name,
        "detail_data": "|".join(items),
        "notify_url": intent.notify_url,
    }
