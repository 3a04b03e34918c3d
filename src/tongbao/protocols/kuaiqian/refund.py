"""The answers about refunds: a small XML of capital names, and an item of the query's answer; both ends."""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import parse_major
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import Fields
from tongbao.protocols.kuaiqian.request import ORDER
from tongbao.wire import http
from tongbao.wire.field import invalid, required
from tongbao.wire.http import Response
from tongbao.wire.movement import MovementState, RefundView
from tongbao.wire.xml import Element, escape, read_xml

TAKEN: Final = "Y"
REFUSED: Final = "N"
_YUAN: Final = re.compile(r"(?:0|[1-9][0-9]{0,9})\.[0-9]{2}", re.ASCII)


def write_refund(fields: Fields) -> Response:
    """The answer to a refund. Nothing signs it. The root's name is ours (unverified): readers look for names."""
    inner = "".join([f"<{name}>{escape(value)}</{name}>" for name, value in fields.items()])
    return http.text(f'<?xml version="1.0" encoding="utf-8"?><RESPONSE>{inner}</RESPONSE>', kind="text/xml")


def read_refund(response: Response) -> dict[str, str]:
    """The leaves of the answer, whatever its root is called. Raises RemoteProtocolError."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    root: Element = read_xml(response.body)
    return root.leaves()


def write_item(view: RefundView) -> dict[str, str]:
    """One refund of the query's answer. Raises LocalProtocolError."""
    if view.state is None or view.amount is None or not view.refund_no:
        raise LocalProtocolError("state", "state, sum or number of the refund is missing")
    return {
        "orderId": view.refund_no,
        "ROrderId": view.out_trade_no,
        "orderAmout": view.amount.text(),
        "status": m.REFUND_WORD[view.state],
    }


def read_item(fields: Fields, merchant: str) -> RefundView:
    """What a verified item says. Raises RemoteProtocolError."""
    state = m.REFUND_STATES.get(required(fields, "status"))
    if state is None:
        raise invalid("status", "is none of 0, 1, 2")
    for name in ("orderId", "ROrderId"):
        if ORDER.fullmatch(required(fields, name)) is None:
            raise invalid(name, "is no number of this kind")
    if _YUAN.fullmatch(required(fields, "orderAmout")) is None:
        raise invalid("orderAmout", "is no sum of yuan with two decimals", "AMOUNT_INVALID")
    return RefundView(
        merchant=merchant,
        refund_no=fields["orderId"],
        out_trade_no=fields["ROrderId"],
        state=state,
        amount=parse_major(fields["orderAmout"]),
    )


def read_taken(fields: Fields, merchant: str, refund_no: str) -> RefundView | str:
    """The refund that was taken on, or the code of its refusal. Raises RemoteProtocolError."""
    result = required(fields, "RESULT")
    if result == REFUSED:
        return fields.get("CODE", "") or m.ERROR
    if result != TAKEN:
        raise invalid("RESULT", "is neither Y nor N")
    if required(fields, "TXORDER") != refund_no:
        raise invalid("TXORDER", "the answer is about another refund", "MALFORMED")
    if _YUAN.fullmatch(required(fields, "AMOUNT")) is None:
        raise invalid("AMOUNT", "is no sum of yuan with two decimals", "AMOUNT_INVALID")
    return RefundView(
        merchant=merchant,
        refund_no=refund_no,
        out_trade_no=required(fields, "ORDERID"),
        state=MovementState.ACCEPTED,
        amount=parse_major(fields["AMOUNT"]),
    )
