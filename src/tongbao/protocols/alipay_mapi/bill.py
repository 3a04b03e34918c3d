"""The account's daily file (账务明细), and the same rows as the text of an export: fourteen columns, oldest line first.

The order's number carries one sign in front, so that a spreadsheet leaves it alone; other texts that a spreadsheet
would take for a formula get an apostrophe in front, which the reader takes away. Sums are plain numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import china_text, parse_china
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.wire.bill import BillShape
from tongbao.wire.movement import BillHead, BillLine
from tongbao.wire.party import Party

CODEC: Final = "gb18030"
COLUMNS: Final = (
    "外部订单号", "账户余额", "时间", "流水号", "支付宝交易号", "交易对方Email", "交易对方", "用户编号",
    "收入", "支出", "交易场所", "商品名称", "类型", "说明",
)  # fmt: skip
PREFIX: Final = "`"
PLACE: Final = "支付宝"
_RISKY: Final = ("=", "+", "-", "@", "'", "＝", "＋", "－", "＠")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f]")
_NEEDS_QUOTES: Final = re.compile('[",]')
_INCOME: Final = re.compile(r"#收入合计：([0-9]{1,9})笔，共([0-9.]{1,20})元")
_OUTCOME: Final = re.compile(r"#支出合计：([0-9]{1,9})笔，共([0-9.]{1,20})元")
_BLOCK: Final = 500
LINE_BYTES: Final = 16_384


# --- rows --------------------------------------------------------------------------------------------------------


def _cell(text: str) -> str:
    """A text that no spreadsheet calculates with, on one line."""
    text = _CONTROLS.sub(" ", text)
    return f"'{text}" if text.lstrip(" ").startswith(_RISKY) else text


def _uncell(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].lstrip(" ").startswith(_RISKY) else text


def _quote(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell


def write_row(line: BillLine) -> str:
    """One line of text, without its end."""
    cells = (
        PREFIX + _CONTROLS.sub(" ", line.out_trade_no) if line.out_trade_no else "",
        "" if line.balance is None else line.balance.text(),
        china_text(line.at),
        line.serial,
        _cell(line.trade_no),
        _cell(line.buyer.login),
        "",
        line.buyer.id,
        line.income.text(),
        line.outcome.text(),
        PLACE if line.amount is not None else "",
        _cell(line.subject),
        m.KIND_WORD.get(line.kind, m.KIND_WORD["adjustment"]),
        _cell(line.memo),
    )
    return ",".join([_quote(cell) for cell in cells])


def _sum(text: str, place: str, *, signed: bool = False) -> Money:
    try:
        return parse_major(text, signed=signed)
    except InvalidAmount as error:
        raise RemoteProtocolError(place, str(error), "AMOUNT_INVALID") from error


def read_row(text: str, number: int) -> BillLine:
    """The line that a row is; ``number`` counts the file's rows from 1. Raises RemoteProtocolError naming both."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise RemoteProtocolError(f"line {number}", "is no row of values", "MALFORMED") from error
    if len(rows) != 1 or len(rows[0]) != len(COLUMNS):
        raise RemoteProtocolError(f"line {number}", f"has other than {len(COLUMNS)} columns", "MALFORMED")
    order, balance, moment, serial, trade_no, login, _, user, income, outcome, _, subject, kind, memo = rows[0]
    try:
        at = parse_china(moment)
    except ValueError as error:
        raise RemoteProtocolError(f"line {number}, {COLUMNS[2]}", "is no time", "FIELD_INVALID") from error
    gained = _sum(income or "0", f"line {number}, {COLUMNS[8]}")
    spent = _sum(outcome or "0", f"line {number}, {COLUMNS[9]}")
    if gained.minor and spent.minor:
        raise RemoteProtocolError(f"line {number}, {COLUMNS[9]}", "stands beside an income", "AMOUNT_CONFLICT")
    return BillLine(
        kind=m.KIND_OF_WORD.get(kind, "adjustment"),
        at=at,
        income=gained,
        outcome=spent,
        fee=Money(0),
        out_trade_no=order[1:],
        trade_no=_uncell(trade_no),
        balance=_sum(balance, f"line {number}, {COLUMNS[1]}", signed=True) if balance else None,
        serial=serial,
        subject=_uncell(subject),
        buyer=Party(user, _uncell(login)),
        memo=_uncell(memo),
    )


def write_rows(lines: Iterable[BillLine]) -> str:
    """The text of an export: the names of the columns, then the rows."""
    return "\n".join([",".join(COLUMNS), *[write_row(line) for line in lines]])


def read_rows(text: str) -> tuple[BillLine, ...]:
    """Its lines. Raises RemoteProtocolError."""
    head, *rows = text.split("\n")
    if head != ",".join(COLUMNS):
        raise RemoteProtocolError("line 1", "does not name the columns", "MALFORMED")
    return tuple([read_row(row, number) for number, row in enumerate(rows, 2) if row])


# --- the file ----------------------------------------------------------------------------------------------------


def _after(head: BillHead) -> date:
    """The day after the last one of the bill."""
    if not head.monthly:
        return head.day + timedelta(days=1)
    return (head.day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _total(tail: bytes) -> tuple[int, int] | None:
    """What the end of a file says of all its rows: how many, and the sum of incomes and outcomes in fen."""
    text = tail.decode(CODEC, "replace")
    lines = amount = 0
    for pattern in (_INCOME, _OUTCOME):
        found = pattern.search(text)
        if found is None:
            return None
        try:
            lines, amount = lines + int(found[1]), amount + parse_major(found[2]).minor
        except InvalidAmount:
            return None
    return lines, amount


class Bill:
    """See ``tongbao.wire.contract.BillEnd``. Of bills there is the account's only."""

    shape: Final = BillShape(
        columns=(
            "order_no", "balance", "at", "serial", "trade_no", "login", "name", "user",
            "income", "outcome", "place", "subject", "kind", "memo",
        ),
        kinds=m.KIND_OF_WORD,
        charset=CODEC,
        skip=5,
        strip=PREFIX,
        ragged=True,
        total=_total,
    )  # fmt: skip

    def write(self, head: BillHead, lines: Iterable[BillLine]) -> Iterator[bytes]:
        if head.kind != "account":
            raise LocalProtocolError("kind", "the interface has a bill of the account only")
        return _write(head, lines)

    def read(self, chunks: Iterable[bytes]) -> Iterator[BillLine]:
        return _read(_split(chunks))

    def file_name(self, head: BillHead) -> str:
        day = f"{head.day:%Y%m}" if head.monthly else f"{head.day:%Y%m%d}"
        return f"{head.merchant}0156_{day}_{m.BILL_WORD}.csv"


def _write(head: BillHead, lines: Iterable[BillLine]) -> Iterator[bytes]:
    first, last = f"{head.day:%Y年%m月%d日} 00:00:00", f"{_after(head):%Y年%m月%d日} 00:00:00"
    opening = (
        "#支付宝账务明细查询",
        f"#账号：[{head.merchant}0156]",
        f"#起始日期：[{first}]   终止日期：[{last}]",
        "#-----------------------------------------账务明细列表----------------------------------------",
        ",".join(COLUMNS),
    )
    yield "".join([f"{text}\n" for text in opening]).encode(CODEC)
    gained, spent, counts = 0, 0, [0, 0]
    rest = iter(lines)
    while block := list(islice(rest, _BLOCK)):
        for line in block:
            gained, spent = gained + line.income.minor, spent + line.outcome.minor
            counts[0 if line.income.minor else 1] += 1
        yield "".join([f"{write_row(line)}\n" for line in block]).encode(CODEC)
    closing = (
        "#-----------------------------------------账务明细列表结束------------------------------------",
        f"#支出合计：{counts[1]}笔，共{Money(spent).text()}元",
        f"#收入合计：{counts[0]}笔，共{Money(gained).text()}元",
    )
    yield "".join([f"{text}\n" for text in closing]).encode(CODEC)


def _split(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of text. No sign of the charset holds the byte of a line's end."""
    rest, number = b"", 0
    for chunk in _closed(chunks):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > LINE_BYTES:
            raise RemoteProtocolError(f"line {number + 1}", f"is longer than {LINE_BYTES} bytes", "TOO_LARGE")
        for raw in whole:
            number += 1
            try:
                yield raw.removesuffix(b"\r").decode(CODEC)
            except UnicodeDecodeError as error:
                raise RemoteProtocolError(f"line {number}", f"is not {CODEC}", "BAD_CHARSET") from error


def _closed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield b"\n"


def _read(texts: Iterator[str]) -> Iterator[BillLine]:
    gained, spent, counts = 0, 0, [0, 0]
    named, ended = False, set[str]()
    for number, text in enumerate(texts, 1):
        if not text:
            continue
        if text.startswith("#"):
            for pattern, count, minor in ((_INCOME, counts[0], gained), (_OUTCOME, counts[1], spent)):
                match = pattern.fullmatch(text)
                if match:
                    ended.add(pattern.pattern)
                    total = _sum_of(match[2], f"line {number}")
                    if (int(match[1]), total) != (count, minor):
                        raise RemoteProtocolError(f"line {number}", "is not the total of the lines", "BATCH_INVALID")
        elif not named:
            if text != ",".join(COLUMNS):
                raise RemoteProtocolError(f"line {number}", "does not name the columns", "MALFORMED")
            named = True
        elif ended:
            raise RemoteProtocolError(f"line {number}", "stands behind the totals", "MALFORMED")
        else:
            line = read_row(text, number)
            gained, spent = gained + line.income.minor, spent + line.outcome.minor
            counts[0 if line.income.minor else 1] += 1
            yield line
    if len(ended) != 2:
        raise RemoteProtocolError("", "the file ends before its totals", "MALFORMED")


def _sum_of(text: str, place: str) -> int:
    """A total in fen; a month's may be longer than any single sum."""
    whole, mark, part = text.partition(".")
    if not mark or len(part) != 2 or not (whole + part).isdigit():
        raise RemoteProtocolError(place, "is no total", "AMOUNT_INVALID")
    return int(whole + part)
