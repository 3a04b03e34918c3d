"""A trade as the fields of a result and of the answer to a query, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.cncard import messages as m
from tongbao.protocols.cncard.codec import GBK, PROOF, Fields, read_fields, read_money, write_money
from tongbao.wire import http
from tongbao.wire.field import is_text
from tongbao.wire.form import encode_form
from tongbao.wire.http import Response
from tongbao.wire.vocabulary import Notification, Role, TradeState, TradeView

ANSWER_BYTES_MAX: Final = 16_384
_ERROR_PAGE: Final = re.compile(rb"<title>[^<>]{1,200}\(error\)</title>")


def _say(text: str) -> str:
    """A text, or nothing where the wire cannot say it whole: silence is no lie."""
    try:
        text.encode(GBK)
    except UnicodeEncodeError:
        return ""
    return text if is_text(text) else ""


def join_address(url: str, fields: Fields) -> str:
    """The address with the fields in its query."""
    text = encode_form(tuple(fields.items()), GBK).decode("ascii")
    bare = url.partition("#")[0]
    return f"{bare}{'&' if '?' in bare else '?'}{text}"


def _write(view: TradeView, words: Mapping[TradeState, str], day: str) -> dict[str, str]:
    if not view.out_trade_no:
        raise LocalProtocolError("out_trade_no", "is missing")
    if view.state is None or view.state not in words:
        raise LocalProtocolError("state", "the gateway has no word for it")
    mark = words[view.state]
    return {
        "c_mid": view.merchant,
        "c_order": view.out_trade_no,
        "c_orderamount": write_money(view.amount),
        "c_ymd": view.echo.get("c_ymd") or day,
        "c_succmark": mark,
        "c_moneytype": "0",
        "c_cause": m.CAUSE[mark],
        "c_memo1": _say(view.passback),
        "c_memo2": _say(view.echo.get("c_memo2", "")),
    }


def write_result(view: TradeView, now: Instant) -> dict[str, str]:
    """The fields of a result without its signature; empty ones are left out. Raises LocalProtocolError."""
    number = view.echo.get("c_transnum") or view.trade_no
    if re.fullmatch(r"[0-9]{1,40}", number, re.ASCII) is None:
        raise LocalProtocolError("trade_no", "is not digits")
    made = view.created_at or now
    fields = _write(view, m.RESULT_WORD, china_compact(made)[:8])
    fields |= {"c_transnum": number, "c_paygate": m.BANK_CODE.get(view.bank, "")}
    return {name: value for name, value in fields.items() if value}


def write_answer(view: TradeView, day: str) -> dict[str, str]:
    """The fields of the answer to a query about the order of ``day``."""
    return {name: value for name, value in _write(view, m.ANSWER_WORD, day).items() if value}


def read_event(fields: Fields, role: Role) -> Notification:
    """What a verified result says; it has no id and no time. The order's number stands for the trade's, as in answers,
    which name no other; the platform's own is kept as ``echo``. Memos have no border, so nothing may hang on them."""
    named = [name for name in m.RESULT_NAMES if name not in m.MEMOS]
    free = {name: value for name, value in fields.items() if name not in (*named, PROOF)}
    view = TradeView(
        merchant=fields["c_mid"],
        out_trade_no=fields["c_order"],
        trade_no=fields["c_order"],
        state=m.RESULT_STATES[fields["c_succmark"]],
        amount=read_money(fields),
        echo={"c_transnum": fields["c_transnum"]},
    )
    return Notification(id="", at=None, trade=view, role=role, unsigned=free)


def read_answer(fields: Fields) -> TradeView:
    """What the verified answer to a query says."""
    return TradeView(
        merchant=fields["c_mid"],
        out_trade_no=fields["c_order"],
        trade_no=fields["c_order"],
        state=m.ANSWER_STATES[fields["c_succmark"]],
        amount=read_money(fields),
    )


# --- answers -------------------------------------------------------------------------------------------------------


def write_reply(fields: Fields, target: str) -> Response:
    """The answer to a query: a redirect to the address that the query named and signed, else the fields as a form."""
    if target:
        location = join_address(target, fields).encode("ascii")
        return Response(302, ((b"Location", location), (b"Content-Length", b"0")))
    return http.text(encode_form(tuple(fields.items()), GBK).decode("ascii"), charset=GBK)


def write_error(code: str) -> Response:
    """The page of an error. Texts of the gateway's own are not known."""
    title = f"{m.ERROR_TITLE} ({code})"
    return http.text(
        f"<html><head><title>{title}</title></head><body>{title}</body></html>\n", charset=GBK, kind="text/html"
    )


def read_reply(response: Response) -> dict[str, str]:
    """The fields of an answer; none where it is the page of an error. Raises RemoteProtocolError."""
    if response.status != 200:
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    if len(response.body) > ANSWER_BYTES_MAX:
        raise RemoteProtocolError("", f"longer than {ANSWER_BYTES_MAX} bytes", "TOO_LARGE")
    if response.body.lstrip()[:1] == b"<":
        if _ERROR_PAGE.search(response.body) is None:
            raise RemoteProtocolError("", "is a page of another kind", "MALFORMED")
        return {}
    fields = read_fields((response.body.strip(),))
    if not fields:
        raise RemoteProtocolError("", "is empty", "MALFORMED")
    return fields
