"""Lines of the merchant's account: account.page.query by pages of XML, export_trade_account_report as one CSV text."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.protocols.alipay_mapi.field import Fields, read_money, write_time
from tongbao.wire.field import invalid, read_time, required
from tongbao.wire.movement import BillLine, QueryMovements
from tongbao.wire.party import Party
from tongbao.wire.xml import Element

PAGE_MAX: Final = 5_000
EXPORT_MAX: Final = 100_000
"""Lines of an export: a query of so many lines a page is an export, since no page holds them."""
LINE: Final = "AccountQueryAccountLogVO"

_PAGE: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


# --- requests ----------------------------------------------------------------------------------------------------


def _read_number(fields: Fields, name: str, otherwise: int) -> int:
    text = fields.get(name, "")
    if not text:
        return otherwise
    if _PAGE.fullmatch(text) is None:
        raise invalid(name, "is not a positive whole number")
    return int(text)


def _read_kinds(fields: Fields) -> tuple[str, ...]:
    kinds: list[str] = []
    text = fields.get("trans_code", "")
    for code in text.split(",") if text else ():
        if code not in m.KINDS_OF:
            raise invalid("trans_code", "is no code of the list")
        kinds += m.KINDS_OF[code]
    return tuple(kinds)


def _write_kinds(kinds: tuple[str, ...]) -> str:
    return ",".join([code for code, own in m.KINDS_OF.items() if own and set(own) <= set(kinds)])


def read_movements(service: str, fields: Fields) -> QueryMovements:
    """Either service. Raises RemoteProtocolError naming the field."""
    whole = service == m.EXPORT
    names = ("gmt_create_start", "gmt_create_end") if whole else ("gmt_start_time", "gmt_end_time")
    required(fields, names[0])
    required(fields, names[1])
    since, until = read_time(fields, names[0]), read_time(fields, names[1])
    if since is None or until is None or until < since:
        raise invalid(names[1], "is before the beginning")
    if whole and until - since > DAY:
        raise invalid(names[1], "is more than a day after the beginning")
    kinds = _read_kinds(fields)
    if whole:
        if fields.get("no_coupon", "") not in ("", "Y", "N"):
            raise invalid("no_coupon", "is neither Y nor N")
        return QueryMovements(merchant=fields["partner"], since=since, until=until, page_size=EXPORT_MAX, kinds=kinds)
    size = _read_number(fields, "page_size", 0)
    if size > PAGE_MAX:
        raise invalid("page_size", f"is above {PAGE_MAX}")
    required(fields, "page_no")
    return QueryMovements(
        merchant=fields["partner"],
        since=since,
        until=until,
        page=_read_number(fields, "page_no", 1),
        page_size=size,
        trade_no=fields.get("trade_no", ""),
        out_trade_no=fields.get("merchant_out_order_no", ""),
        serial=fields.get("iw_account_log_id", ""),
        kinds=kinds,
    )


def write_movements(intent: QueryMovements) -> dict[str, str]:
    """The fields of either service. Raises LocalProtocolError."""
    if intent.since is None or intent.until is None:
        raise LocalProtocolError("since" if intent.since is None else "until", "is missing")
    kinds = _write_kinds(intent.kinds)
    if intent.page_size == EXPORT_MAX:
        return {
            "service": m.EXPORT,
            "gmt_create_start": write_time(intent.since),
            "gmt_create_end": write_time(intent.until),
            "trans_code": kinds,
        }
    return {
        "service": m.ACCOUNT,
        "gmt_start_time": write_time(intent.since),
        "gmt_end_time": write_time(intent.until),
        "page_no": str(intent.page),
        "page_size": str(intent.page_size) if intent.page_size else "",
        "trade_no": intent.trade_no,
        "merchant_out_order_no": intent.out_trade_no,
        "iw_account_log_id": intent.serial,
        "trans_code": kinds,
    }


# --- lines as elements -------------------------------------------------------------------------------------------


def _sum(money: Money | None) -> str:
    return "" if money is None else money.text()


def write_line(line: BillLine, merchant: str) -> Element:
    """One line; what it does not say is one blank, as the platform wrote it."""
    back = line.kind == "refund"
    said = {
        "balance": _sum(line.balance),
        "income": line.income.text(),
        "outcome": line.outcome.text(),
        "trans_date": write_time(line.at),
        "trans_code_msg": m.KIND_WORD.get(line.kind, m.KIND_WORD["adjustment"]),
        "sub_trans_code_msg": "",
        "merchant_out_order_no": line.out_trade_no,
        "trans_out_order_no": line.refund_no,
        "trade_no": line.trade_no,
        "iw_account_log_id": line.serial,
        "trans_account": f"{merchant}0156" if merchant else "",
        "other_account_email": line.buyer.login,
        "other_account_fullname": "",
        "other_user_id": line.buyer.id,
        "buyer_account": f"{line.buyer.id}0156" if line.buyer.id else "",
        "seller_account": f"{merchant}0156" if merchant and line.amount is not None else "",
        "seller_fullname": "",
        "partner_id": merchant,
        "goods_title": line.subject,
        "memo": line.memo,
        "currency": "156",
        "total_fee": _sum(line.amount),
        "service_fee": line.fee.text(),
        "service_fee_ratio": "",
        "rate": "",
        "trade_refund_amount": line.outcome.text() if back else "",
        "sign_product_name": "",
        "deposit_bank_no": "",
        "bank_name": "",
        "bank_account_no": "",
        "bank_account_name": "",
    }
    return Element(LINE, children=tuple([Element(name, value or " ") for name, value in said.items()]))


def _text(leaves: Fields, name: str) -> str:
    """A text with the blanks at its ends; one blank alone is how the platform wrote nothing."""
    text = leaves.get(name, "")
    return "" if text == " " else text


def read_line(element: Element) -> BillLine:
    """The line that an element is. Raises RemoteProtocolError naming the field."""
    if element.name != LINE:
        raise RemoteProtocolError(element.name, "is no line of an account", "MALFORMED")
    leaves = element.leaves()
    fields = {name: value.strip(" ") for name, value in leaves.items()}
    at = read_time(fields, "trans_date")
    income, outcome = read_money(fields, "income"), read_money(fields, "outcome")
    if at is None or (income is None and outcome is None):
        raise RemoteProtocolError("trans_date" if at is None else "income", "is missing", "FIELD_MISSING")
    return BillLine(
        kind=m.KIND_OF_WORD.get(required(fields, "trans_code_msg"), "adjustment"),
        at=at,
        income=income or Money(0),
        outcome=outcome or Money(0),
        fee=read_money(fields, "service_fee") or Money(0),
        out_trade_no=fields.get("merchant_out_order_no", ""),
        trade_no=fields.get("trade_no", ""),
        refund_no=fields.get("trans_out_order_no", ""),
        amount=read_money(fields, "total_fee"),
        balance=read_money(fields, "balance", signed=True),
        serial=fields.get("iw_account_log_id", ""),
        subject=_text(leaves, "goods_title"),
        buyer=Party(fields.get("other_user_id", ""), fields.get("other_account_email", "")),
        memo=_text(leaves, "memo"),
    )
