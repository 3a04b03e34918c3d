"""The banks' pages: where a buyer enters card and password, and where a clerk takes cash. They work without scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.store.bankbook import Order
from tongbao.web.bank.bank import Bank
from tongbao.web.bank.endpoint import ACTS, answer_call
from tongbao.web.bank.look import look_of, name_of
from tongbao.web.bank.rule import Asked, BankRefused
from tongbao.web.bank.text import choose_language, say
from tongbao.wire.asgi import Application, plain
from tongbao.wire.bank import BANKS, OUTLET
from tongbao.wire.form import FormLimits, parse_form
from tongbao.wire.http import Request, Response, split_url, text

_LANG: Final = re.compile(rb"(?:^|&)lang=(zh|en)$")
_FORM: Final = FormLimits(size=4_096, fields=10, field=200)

_POLICY: Final = b"; ".join(
    (
        b"default-src 'none'",
        b"style-src 'self'",
        b"form-action 'self'",
        b"frame-ancestors 'none'",
        b"base-uri 'none'",
        b"object-src 'none'",
    )
)

_templates: Final = Environment(
    loader=PackageLoader("tongbao.web.bank", "template"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request to a page: whose page, in which language, and the address without the language."""

    code: str
    language: str
    query: bytes
    request: Request


def bank_app(bank: Bank) -> Application:
    """The application of all simulated banks: ``/CODE/pay``, ``/CODE/inquiry`` and so on, wherever it is mounted."""

    async def handle(request: Request, peer: str) -> Response:
        parts = request.raw_path.decode("latin-1").split("/")
        if len(parts) != 3 or (parts[1] not in BANKS and parts[1] != OUTLET):
            return text("404 Not Found\n", status=404)
        code, act = parts[1], parts[2]
        if act in ACTS:
            return await answer_call(bank, code, act, request)
        if request.method not in ("GET", "HEAD", "POST"):
            return text("405 Method Not Allowed\n", status=405)
        if act == "style.css":
            return _style(code)
        visit = _visit(code, request)
        if act == "counter" and code == OUTLET:
            return await _counter(bank, visit)
        if act == "pay" and code != OUTLET:
            return await _pay(bank, visit)
        return text("404 Not Found\n", status=404)

    return plain(handle)


def _visit(code: str, request: Request) -> _Visit:
    found = _LANG.search(request.raw_query)
    if found is None:
        return _Visit(code, choose_language(request.header("accept-language") or ""), request.raw_query, request)
    return _Visit(code, found[1].decode("ascii"), request.raw_query[: found.start()], request)


def _form(visit: _Visit) -> dict[str, str]:
    """The posted fields, stripped. Raises BankRefused."""
    request = visit.request
    if request.header("sec-fetch-site") in ("cross-site", "same-site"):
        raise BankRefused("foreign")
    origin = request.header("origin")
    if origin not in (None, "null") and not _is_own(str(origin), request.host):
        raise BankRefused("foreign")
    try:
        return {name: value.strip() for name, value in parse_form(request.body, "utf-8", _FORM)}
    except RemoteProtocolError as error:
        raise BankRefused("form") from error


def _is_own(origin: str, host: str) -> bool:
    try:
        return split_url(origin)[1].lower() == host.lower()
    except ValueError:
        return False


# --- the buyer ---------------------------------------------------------------------------------------------------


async def _pay(bank: Bank, visit: _Visit) -> Response:
    try:
        asked = bank.read_page(visit.code, visit.query)
        order = await bank.visit(asked)
    except RemoteProtocolError:
        return _render(visit, "result.html", 400, state="unreadable", back="", reference="")
    except BankRefused:
        return _render(visit, "result.html", 409, state="unreadable", back="", reference="")
    if visit.request.method == "POST" and order.state == "open":
        return await _agree(bank, visit, asked)
    if order.state != "open":
        return _result(visit, asked, order)
    return await _sheet(bank, visit, asked, {}, "")


async def _agree(bank: Bank, visit: _Visit, asked: Asked) -> Response:
    fields: Mapping[str, str] = {}
    try:
        fields = _form(visit)
        if fields.get("act") == "leave":
            return _result(visit, asked, await bank.give_up(asked.instruction_no))
        if "pick" in fields:
            return await _sheet(bank, visit, asked, await _picked(bank, visit.code, fields["pick"]), "")
        number = re.sub(r"[\s-]", "", fields.get("number", ""))
        if not number or not fields.get("password"):
            raise BankRefused("form")
        return _result(visit, asked, await bank.pay(asked.instruction_no, number, fields["password"]))
    except BankRefused as refused:
        if refused.key == "order_over":
            order = await bank.order_of(asked.instruction_no)
            if order is not None:
                return _result(visit, asked, order)
        # a number that may be somebody's real one is not shown again
        kept = "" if refused.key == "not_a_test_card" else fields.get("number", "")
        return await _sheet(bank, visit, asked, {"number": kept}, refused.key)


async def _picked(bank: Bank, code: str, number: str) -> dict[str, str]:
    cards = await bank.cards_of(code)
    return next(({"number": card.number, "password": card.hint} for card in cards if card.number == number), {})


async def _sheet(bank: Bank, visit: _Visit, asked: Asked, filled: Mapping[str, str], error: str) -> Response:
    cards = [card for card in await bank.cards_of(visit.code) if card.kind == asked.method and card.hint]
    return _render(
        visit,
        "pay.html",
        400 if error else 200,
        asked=asked,
        sum=_show(asked.amount, asked.currency),
        number=filled.get("number", ""),
        password=filled.get("password", ""),
        error=error,
        cards=cards,
        grouped=_grouped,
    )


def _show(amount: int, currency: str) -> str:
    """A sum in major units with commas between thousands."""
    whole, point, part = Money(amount, currency).text().partition(".")
    return f"{int(whole):,}{point}{part}"


def _grouped(number: str) -> str:
    """A card's number in groups of four."""
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def _result(visit: _Visit, asked: Asked, order: Order) -> Response:
    """Where the buyer ends. A lost answer brings him nowhere."""
    if order.quiet:
        return _render(visit, "result.html", 504, state="lost", back="", reference="")
    state = {"succeeded": "paid", "accepted": "accepted"}.get(order.state, "failed")
    return _render(visit, "result.html", 200, state=state, back=asked.back_url, reference=order.bank_ref)


# --- the clerk ---------------------------------------------------------------------------------------------------


async def _counter(bank: Bank, visit: _Visit) -> Response:
    if visit.request.method != "POST":
        return _desk(visit, "", None, "")
    code = ""
    try:
        fields = _form(visit)
        code = re.sub(r"[\s-]", "", fields.get("code", ""))
        if fields.get("act") == "take":
            order = await bank.take_cash(code)
            return _desk(visit, code, order, "")
        found = await bank.order_by_code(code)
        if found is None:
            raise BankRefused("code_unknown")
        return _desk(visit, code, found, "code_used" if found.state == "succeeded" else "")
    except BankRefused as refused:
        return _desk(visit, code, None, refused.key)


def _desk(visit: _Visit, code: str, order: Order | None, error: str) -> Response:
    total = _show(order.amount, order.currency) if order is not None else ""
    return _render(visit, "counter.html", 400 if error else 200, entered=code, order=order, sum=total, error=error)


# --- rendering ---------------------------------------------------------------------------------------------------


@cache
def _style(code: str) -> Response:
    css = _templates.get_template("style.css").render(look=look_of(code)).encode("utf-8")
    headers = ((b"Content-Type", b"text/css; charset=utf-8"), (b"Cache-Control", b"public, max-age=600"))
    return Response(200, headers, css)


def _render(visit: _Visit, template: str, status: int, **values: Any) -> Response:
    other = "en" if visit.language == "zh" else "zh"
    mark = "&" if visit.query else ""
    html = _templates.get_template(template).render(
        language=visit.language,
        here=f"?{visit.query.decode('latin-1')}{mark}lang={visit.language}",
        other=f"?{visit.query.decode('latin-1')}{mark}lang={other}",
        letter=look_of(visit.code).letter,
        name=name_of(visit.code, visit.language),
        counter=visit.code == OUTLET,
        t=lambda key: say(visit.language, key),
        **values,
    )
    headers = [
        (b"Content-Type", b"text/html; charset=utf-8"),
        (b"Content-Security-Policy", _POLICY),
        (b"Content-Language", b"zh-CN" if visit.language == "zh" else b"en"),
    ]
    back = values.get("back", "")
    if back:
        headers.append((b"Refresh", f"2; url={back}".encode("ascii")))
    return Response(status, tuple(headers), html.encode("utf-8"))
