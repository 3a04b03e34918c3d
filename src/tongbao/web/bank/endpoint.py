"""The banks' calls for the platform: JSON under HMAC, each harmless when repeated."""

from __future__ import annotations

import json
from typing import Any, Final

from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.service.channel import MAC_HEADER, BankWord, dump_line, mac, read_body
from tongbao.web.bank.bank import Bank
from tongbao.web.bank.rule import Asked, BankRefused
from tongbao.wire.bank import OUTLET
from tongbao.wire.http import Request, Response

ACTS: Final = ("inquiry", "refund", "payout", "open", "statement")


async def answer_call(bank: Bank, code: str, act: str, request: Request) -> Response:
    """One call at ``/CODE/ACT``: 200 with the bank's word; 401, 400 or 409 with a problem."""
    if request.method != "POST":
        return _problem(405, "POST only")
    try:
        said = read_body(bank.secret(code), request.body, request.header(MAC_HEADER.decode("ascii")))
        if act == "statement":
            return await _statement(bank, code, said)
        word = await _ACTS[act](bank, code, said)
    except InvalidSignature as error:
        return _problem(401, error.reason)
    except RemoteProtocolError as error:
        return _problem(400, str(error))
    except BankRefused as refused:
        return _problem(409, refused.key)
    if word is None:
        return _problem(504, "the answer is lost")
    body, headers = bank.sign(code, word)
    return Response(200, ((b"Content-Type", b"application/json"), *headers), body)


async def _statement(bank: Bank, code: str, said: dict[str, Any]) -> Response:
    day, after = said.get("day"), said.get("after")
    if type(day) is not int or not isinstance(after, str):
        raise RemoteProtocolError("day", "is not a business date")
    lines, more = await bank.answer_statement(code, day, after)
    body = json.dumps({"bank": code, "lines": [dump_line(line) for line in lines], "more": more}).encode()
    word = mac(bank.secret(code), body).encode("ascii")
    return Response(200, ((b"Content-Type", b"application/json"), (MAC_HEADER, word)), body)


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise RemoteProtocolError(name, "is not text")
    return value


def _amount(said: dict[str, Any]) -> int:
    value = said.get("amount")
    if type(value) is not int or value <= 0:
        raise RemoteProtocolError("amount", "is not a sum of minor units")
    return value


async def _inquiry(bank: Bank, code: str, said: dict[str, Any]) -> BankWord | None:
    return await bank.answer_inquiry(code, _text(said, "instruction_no"))


async def _refund(bank: Bank, code: str, said: dict[str, Any]) -> BankWord | None:
    number, pays = _text(said, "instruction_no"), _text(said, "pays")
    return await bank.take_refund(code, number, pays, _amount(said), _text(said, "currency"))


async def _payout(bank: Bank, code: str, said: dict[str, Any]) -> BankWord | None:
    number, card = _text(said, "instruction_no"), _text(said, "card")
    name = said.get("name", "")
    if not isinstance(name, str):
        raise RemoteProtocolError("name", "is not text")
    return await bank.take_payout(code, number, card, name, _amount(said), _text(said, "currency"))


async def _open(bank: Bank, code: str, said: dict[str, Any]) -> BankWord | None:
    if code != OUTLET:
        raise RemoteProtocolError("", "only outlets take cash")
    asked = Asked(
        OUTLET,
        _text(said, "instruction_no"),
        "outlet",
        _amount(said),
        _text(said, "currency"),
        _text(said, "subject"),
        "",
        _text(said, "notice_url"),
    )
    return await bank.open_code(asked, _text(said, "code"))


_ACTS: Final = {"inquiry": _inquiry, "refund": _refund, "payout": _payout, "open": _open}


def _problem(status: int, detail: str) -> Response:
    body = json.dumps({"status": status, "detail": detail}).encode()
    return Response(status, ((b"Content-Type", b"application/problem+json"),), body)
