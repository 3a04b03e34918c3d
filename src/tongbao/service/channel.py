"""The channel interface: how the platform speaks to a bank. Pure: requests and answers as values, no sending here.

The one channel so far is the simulated bank's own language, JSON under HMAC-SHA256; both ends are here, because the
simulated bank (``tongbao.web.bank``) reads what this writes. A channel to a real bank implements the same protocol.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Protocol

from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.trade.record import Instruction
from tongbao.wire.form import Pairs, encode_form, parse_form
from tongbao.wire.http import Request, Response, post
from tongbao.wire.party import Payee


@dataclass(frozen=True, slots=True)
class BankWord:
    """A bank's word on one instruction. ``result``: ``succeeded``, ``failed``, ``pending`` or ``not_found``."""

    instruction_no: str
    result: str
    amount: int = 0
    currency: str = "CNY"
    bank_ref: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of a bank's statement. ``kind``: ``pay``, ``refund``, ``payout``, ``fund`` (money from outside),
    ``chargeback`` (``number`` is that of the payment it took back, ``ref`` its own) or the bank's own word; ``number``
    is our instruction's where there is one; ``income`` says whether we received it."""

    ref: str
    kind: str
    number: str
    amount: int
    currency: str
    income: bool
    at: Instant


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Some lines of a statement, in the bank's order; ``more``: there are others after them."""

    lines: tuple[StatementLine, ...]
    more: bool


class Channel(Protocol):
    """One way to a bank."""

    simulated: bool

    def page(self, instruction: Instruction, subject: str, back_url: str, notice_url: str) -> str:
        """The address of the bank's page that the buyer's browser goes to."""
        ...

    def open_outlet(self, instruction: Instruction, subject: str, notice_url: str) -> Request:
        """Tell the outlets' operator to take cash for the instruction's code."""
        ...

    def inquiry(self, instruction: Instruction) -> Request:
        """Ask what became of an instruction."""
        ...

    def refund(self, instruction: Instruction) -> Request:
        """Ask for money to go back; the instruction's number makes repeats harmless."""
        ...

    def payout(self, instruction: Instruction, payee: Payee, memo: str) -> Request:
        """Ask for money to go to a card; the instruction's number makes repeats harmless."""
        ...

    def statement(self, bank: str, day: int, after: str) -> Request:
        """Ask for the statement of a business date, ``20260131``: the lines that follow the reference ``after``."""
        ...

    def read_statement(self, response: Response) -> StatementPage:
        """The answer to ``statement``. Raises RemoteProtocolError."""
        ...

    def read_answer(self, response: Response) -> BankWord:
        """The bank's answer to ``inquiry``, ``refund``, ``payout`` or ``open_outlet``. Raises RemoteProtocolError."""
        ...

    def read_notice(self, request: Request) -> BankWord:
        """The bank's own notice. Raises RemoteProtocolError."""
        ...


MAC_HEADER = b"X-Bank-Mac"


def mac(secret: bytes, body: bytes) -> str:
    """HMAC-SHA256 over a whole body, in hex."""
    return hmac.digest(secret, body, hashlib.sha256).hex()


def sign_query(secret: bytes, pairs: Pairs) -> str:
    """A query string with its MAC as the last field."""
    text = encode_form(pairs)
    return f"{text.decode('ascii')}&mac={mac(secret, text)}"


def read_query(secret: bytes, raw: bytes) -> dict[str, str]:
    """The fields of a query string written by ``sign_query``. Raises InvalidSignature."""
    text, _, word = raw.rpartition(b"&mac=")
    if not hmac.compare_digest(mac(secret, text).encode(), word):
        raise InvalidSignature("mac", "the bank page's address was changed")
    return dict(parse_form(text))


def dump_word(word: BankWord) -> dict[str, Any]:
    """A word as JSON values."""
    return {name: getattr(word, name) for name in word.__slots__}


def read_body(secret: bytes, body: bytes, word: str | None) -> dict[str, Any]:
    """A JSON object under its MAC. Raises InvalidSignature or RemoteProtocolError."""
    if word is None or not hmac.compare_digest(mac(secret, body).encode(), word.encode("latin-1", "replace")):
        raise InvalidSignature("X-Bank-Mac", "the message is not the bank's")
    try:
        said = json.loads(body)
    except ValueError as error:
        raise RemoteProtocolError("", "not JSON") from error
    if not isinstance(said, dict):
        raise RemoteProtocolError("", "not an object")
    return said


def read_word(said: dict[str, Any]) -> BankWord:
    """A bank's word from JSON values. Raises RemoteProtocolError naming the field."""
    texts = {name: said.get(name, "") for name in ("instruction_no", "result", "currency", "bank_ref", "reason")}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise RemoteProtocolError(name, "is not text")
    amount = said.get("amount", 0)
    if type(amount) is not int:
        raise RemoteProtocolError("amount", "is not a whole number of minor units")
    if texts["result"] not in ("succeeded", "failed", "pending", "not_found"):
        raise RemoteProtocolError("result", "is none of the four")
    return BankWord(amount=amount, **texts)


def dump_line(line: StatementLine) -> list[Any]:
    """A statement's line as JSON values."""
    return [getattr(line, name) for name in line.__slots__]


def read_line(said: object) -> StatementLine:
    """The line behind ``dump_line``. Raises RemoteProtocolError."""
    kinds = (str, str, str, int, str, bool, int)
    if not isinstance(said, list) or len(said) != len(kinds):
        raise RemoteProtocolError("lines", "has a line that is none")
    if any(type(value) is not kind for value, kind in zip(said, kinds, strict=True)) or said[3] <= 0:
        raise RemoteProtocolError("lines", "has a line that is none")
    return StatementLine(*said)


def bank_secret(root: bytes, bank: str) -> bytes:
    """The secret shared with one simulated bank."""
    return hmac.digest(root, f"bank:{bank}".encode(), hashlib.sha256)


class SimulatedChannel:
    """The platform's end of the simulated bank's language. ``base_url`` is where the simulated banks are served."""

    simulated = True

    def __init__(self, base_url: str, root: bytes) -> None:
        self._base = base_url.rstrip("/")
        self._root = root

    def page(self, instruction: Instruction, subject: str, back_url: str, notice_url: str) -> str:
        """The address of the bank's page, signed, so that the buyer cannot change the sum."""
        pairs = (
            ("instruction_no", instruction.instruction_no),
            ("method", instruction.method),
            ("amount", str(instruction.amount)),
            ("currency", instruction.currency),
            ("subject", subject),
            ("back_url", back_url),
            ("notice_url", notice_url),
        )
        return f"{self._base}/{instruction.bank}/pay?{sign_query(bank_secret(self._root, instruction.bank), pairs)}"

    def _call(self, instruction: Instruction, act: str, **fields: object) -> Request:
        body = json.dumps(
            {
                "instruction_no": instruction.instruction_no,
                "amount": instruction.amount,
                "currency": instruction.currency,
                **fields,
            },
            ensure_ascii=False,
        ).encode()
        word = mac(bank_secret(self._root, instruction.bank), body)
        headers = ((MAC_HEADER, word.encode("ascii")),)
        return post(f"{self._base}/{instruction.bank}/{act}", body, "application/json", headers)

    def open_outlet(self, instruction: Instruction, subject: str, notice_url: str) -> Request:
        """Register the cash code."""
        return self._call(instruction, "open", code=instruction.code, subject=subject, notice_url=notice_url)

    def inquiry(self, instruction: Instruction) -> Request:
        """Ask by our number."""
        return self._call(instruction, "inquiry", kind=instruction.kind)

    def refund(self, instruction: Instruction) -> Request:
        """The paying instruction is our number up to R, with P in its place."""
        return self._call(instruction, "refund", pays=f"{instruction.instruction_no.partition('R')[0]}P")

    def payout(self, instruction: Instruction, payee: Payee, memo: str) -> Request:
        """Card and holder's name under the MAC."""
        return self._call(instruction, "payout", card=payee.card, name=payee.name, memo=memo)

    def statement(self, bank: str, day: int, after: str) -> Request:
        """By day and the last reference that was read."""
        body = json.dumps({"day": day, "after": after}).encode()
        word = mac(bank_secret(self._root, bank), body)
        return post(f"{self._base}/{bank}/statement", body, "application/json", ((MAC_HEADER, word.encode("ascii")),))

    def read_statement(self, response: Response) -> StatementPage:
        """A page under the bank's MAC."""
        if response.status != 200:
            raise RemoteProtocolError("", f"the bank answers {response.status}")
        said = self._open(response.body, response.header("X-Bank-Mac"))
        lines, more = said.get("lines"), said.get("more")
        if not isinstance(lines, list) or not isinstance(more, bool):
            raise RemoteProtocolError("lines", "is no page of a statement")
        return StatementPage(tuple(map(read_line, lines)), more)

    def read_answer(self, response: Response) -> BankWord:
        """A 200 with a MAC by that bank; everything else is no answer."""
        if response.status != 200:
            raise RemoteProtocolError("", f"the bank answers {response.status}")
        return self._read(response.body, response.header("X-Bank-Mac"))

    def read_notice(self, request: Request) -> BankWord:
        """The bank's notice about an instruction."""
        return self._read(request.body, request.header("X-Bank-Mac"))

    def _open(self, body: bytes, word: str | None) -> dict[str, Any]:
        try:
            bank = str(json.loads(body).get("bank", ""))
        except (ValueError, AttributeError) as error:
            raise RemoteProtocolError("bank", "the message names no bank") from error
        return read_body(bank_secret(self._root, bank), body, word)

    def _read(self, body: bytes, word: str | None) -> BankWord:
        return read_word(self._open(body, word))
