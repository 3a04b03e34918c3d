"""A trade as the fields of a result and as the page that answers a query, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape, unescape
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.chinabank import messages as m
from tongbao.protocols.chinabank.codec import GBK, Fields, read_money, write_money
from tongbao.wire import http
from tongbao.wire.field import is_text, read_text
from tongbao.wire.http import Response
from tongbao.wire.vocabulary import Notification, Role, TradeState, TradeView

ANSWER_BYTES_MAX: Final = 32_768
INPUTS_MAX: Final = 60

_INPUT: Final = re.compile(rb"<input\b([^<>]{0,4096})>", re.IGNORECASE)
_NAMED: Final = re.compile(rb'\sname="([A-Za-z0-9_]{1,40})"\s+value="([^"]*)"')
_ERROR_PAGE: Final = re.compile(rb"<title>[^<>]{1,200}\(error\)</title>")


def _say(text: str, charset: str) -> str:
    """A text, or nothing where the wire cannot say it whole: silence is no lie."""
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return ""
    return text if is_text(text) else ""


def write_result(view: TradeView, words: Mapping[TradeState, str], charset: str) -> dict[str, str]:
    """The fields of a result without its signature; empty ones are left out. Raises LocalProtocolError."""
    if not view.out_trade_no:
        raise LocalProtocolError("out_trade_no", "is missing")
    if view.state is None or view.state not in words:
        raise LocalProtocolError("state", "the gateway has no word for it")
    status = words[view.state]
    fields = {
        "v_oid": view.out_trade_no,
        "v_pmode": m.BANK_TEXT.get(view.bank, m.BALANCE_TEXT),
        "v_pstatus": status,
        "v_pstring": m.STATUS_TEXT[status],
        "v_amount": write_money(view.amount),
        "v_moneytype": "0" if view.echo.get("v_moneytype") == "0" else "CNY",
        "remark1": _say(view.passback, charset),
        "remark2": _say(view.echo.get("remark2", ""), charset),
    }
    return {name: value for name, value in fields.items() if value}


def read_result(fields: Fields, merchant: str, states: Mapping[str, TradeState]) -> TradeView:
    """What verified fields say. The merchant is the one whose key signed; the trade's number is his own.

    Raises RemoteProtocolError.
    """
    return TradeView(
        merchant=merchant,
        out_trade_no=fields["v_oid"],
        trade_no=fields["v_oid"],
        state=states[fields["v_pstatus"]],
        amount=read_money(fields),
    )


def read_event(fields: Fields, merchant: str, role: Role) -> Notification:
    """A return or notice. There is no id, no time, and all that is not signed is kept apart."""
    free = {name: value for name, value in fields.items() if name not in (*m.RESULT_NAMES, m.RESULT_PROOF)}
    return Notification(id="", at=None, trade=read_result(fields, merchant, m.RESULT_STATES), role=role, unsigned=free)


# --- the page that answers a query ---------------------------------------------------------------------------------


def write_page(fields: Fields, target: str) -> Response:
    """A page with a form. Clients search it for ``name="..." value="..."``, in that order. Nothing posts it by itself:
    ``target`` is not signed, so a person decides."""
    lines = [f'<input type=hidden name="{name}" value="{escape(value)}">' for name, value in fields.items()]
    button = '<input type="submit">' if target else ""
    head = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=gb2312"></head><body>'
    form = f'<form method="post" action="{escape(target)}">'
    page = "\n".join((head, form, *lines, '<input type="hidden" name="v_ver" value="4.0"/>', button, "</form>"))
    return http.text(f"{page}\n</body></html>\n", charset=GBK, kind="text/html")


def write_error(code: str) -> Response:
    """The page of an error. Texts of the gateway's own are not known."""
    title = f"{m.ERROR_TITLE} ({code})"
    return http.text(
        f"<html><head><title>{title}</title></head><body>{title}</body></html>\n", charset=GBK, kind="text/html"
    )


def read_page(response: Response) -> dict[str, str]:
    """The inputs of a page; none where it is the page of an error. Raises RemoteProtocolError."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    if len(response.body) > ANSWER_BYTES_MAX:
        raise RemoteProtocolError("", f"longer than {ANSWER_BYTES_MAX} bytes", "TOO_LARGE")
    fields: dict[str, str] = {}
    for tag in _INPUT.finditer(response.body):
        pair = _NAMED.search(tag[1])
        if pair is None:
            continue
        name = pair[1].decode("ascii")
        if name in fields or len(fields) >= INPUTS_MAX:
            raise RemoteProtocolError(name, "appears twice, or there are too many", "DUPLICATE_PARAM")
        fields[name] = unescape(read_text(pair[2], name, GBK))
    if not fields and _ERROR_PAGE.search(response.body) is None:
        raise RemoteProtocolError("", "is neither a result nor the page of an error", "MALFORMED")
    return fields
