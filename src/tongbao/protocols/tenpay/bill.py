"""The daily bill: lines of cells with a backtick before each, a heading before and a summary behind them, in GBK."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money, parse_major
from tongbao.kernel.time import china_text, parse_china
from tongbao.wire.movement import BillHead, BillLine

HEAD: Final = (
    "交易时间", "财付通订单号", "商家订单号", "支付类型", "银行订单号", "交易状态",
    "订单交易金额", "退款单号", "退款金额", "退款状态", "交易说明",
)  # fmt: skip
SUMMARY: Final = ("总交易单数", "总交易额", "总退款金额")
PAID: Final = "支付成功"
RETURNED: Final = "转入退款"
CHARSET: Final = "gbk"
LINE_BYTES: Final = 4_096

_LOST: Final = re.compile("[,`\x00-\x1f\x7f]")


def _cell(text: str) -> str:
    """A text that can be a cell: the file cannot write its own marks. The backtick keeps it from being a formula."""
    return "`" + _LOST.sub(" ", text)


def _row(cells: Iterable[str]) -> bytes:
    return (",".join(map(_cell, cells)) + "\r\n").encode(CHARSET, "replace")


class Bill:
    """See ``tongbao.wire.contract.BillEnd``. Sums in the file are yuan."""

    def write(self, head: BillHead, lines: Iterable[BillLine]) -> Iterator[bytes]:
        if head.kind != "trade":
            raise LocalProtocolError("kind", "the gateway has bills of trades only")
        yield (",".join(HEAD) + "\r\n").encode(CHARSET)
        count, paid, returned = 0, Money(0), Money(0)
        for line in lines:
            if line.kind not in ("payment", "refund") or (head.scope, line.kind) in (
                ("1", "refund"),
                ("2", "payment"),
            ):
                continue
            count += 1
            paid += line.income
            returned += line.outcome
            yield _row(_cells(line))
        yield (",".join(SUMMARY) + "\r\n").encode(CHARSET)
        yield _row((str(count), paid.text(), returned.text()))

    def read(self, chunks: Iterable[bytes]) -> Iterator[BillLine]:
        paid, returned = Money(0), Money(0)
        rows = _rows(chunks)
        if next(rows, (0, ()))[1] != HEAD:
            raise RemoteProtocolError("1", "is not the heading of a bill", "MALFORMED")
        for count, (number, cells) in enumerate(rows):
            if cells == SUMMARY:
                said = next(rows, (number + 1, ()))[1]
                if said != (str(count), paid.text(), returned.text()):
                    raise RemoteProtocolError(
                        f"{number + 1}",
                        "the totals are not those of the lines",
                        "MALFORMED",
                    )
                if next(rows, None) is not None:
                    raise RemoteProtocolError(f"{number + 2}", "follows after the totals", "MALFORMED")
                return
            line = _line(number, cells)
            paid += line.income
            returned += line.outcome
            yield line
        raise RemoteProtocolError("", "ends without totals", "MALFORMED")

    def file_name(self, head: BillHead) -> str:
        return f"{head.merchant}_{head.day:%Y%m%d}.csv"


def _cells(line: BillLine) -> tuple[str, ...]:
    refund = line.kind == "refund"
    return (
        china_text(line.at),
        line.trade_no,
        line.out_trade_no,
        line.bank or "DEFAULT",
        line.serial,
        RETURNED if refund else PAID,
        (line.amount or line.income).text(),
        line.refund_no if refund else "",
        line.outcome.text(),
        "退款成功" if refund else "",
        line.subject,
    )


def _rows(chunks: Iterable[bytes]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line numbers and cells, without the backticks."""
    number, rest = 0, b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            number += 1
            yield number, _split(number, raw)
        if len(rest) > LINE_BYTES:
            raise RemoteProtocolError(f"{number + 1}", f"longer than {LINE_BYTES} bytes", "TOO_LARGE")
    if rest.strip():
        yield number + 1, _split(number + 1, rest)


def _split(number: int, raw: bytes) -> tuple[str, ...]:
    try:
        text = raw.rstrip(b"\r").decode(CHARSET)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"{number}", "bytes are not gbk", "BAD_CHARSET") from error
    return tuple(cell.removeprefix("`") for cell in text.split(","))


def _sum(number: int, name: str, text: str) -> Money:
    if re.fullmatch(r"(?:0|[1-9][0-9]{0,10})\.[0-9]{2}", text, re.ASCII) is None:
        raise RemoteProtocolError(f"{number} {name}", "is no sum of yuan with two decimals", "AMOUNT_INVALID")
    return parse_major(text)


def _line(number: int, cells: tuple[str, ...]) -> BillLine:
    if len(cells) != len(HEAD):
        raise RemoteProtocolError(f"{number}", f"has {len(cells)} cells, not {len(HEAD)}", "MALFORMED")
    at, trade_no, out_trade_no, bank, serial, state, total, refund_no, back, _, _ = cells
    try:
        moment = parse_china(at)
    except ValueError as error:
        raise RemoteProtocolError(f"{number} {HEAD[0]}", "is no time", "FIELD_INVALID") from error
    if state not in (PAID, RETURNED):
        raise RemoteProtocolError(f"{number} {HEAD[5]}", "is no state of a line", "FIELD_INVALID")
    amount, outcome = _sum(number, HEAD[6], total), _sum(number, HEAD[8], back)
    refund = state == RETURNED
    return BillLine(
        kind="refund" if refund else "payment",
        at=moment,
        income=Money(0) if refund else amount,
        outcome=outcome,
        fee=Money(0),
        out_trade_no=out_trade_no,
        trade_no=trade_no,
        refund_no=refund_no,
        amount=amount,
        serial=serial,
        bank="" if bank == "DEFAULT" else bank,
    )
