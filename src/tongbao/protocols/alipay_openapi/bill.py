"""The bill of a day or month: a ZIP of two tables in GBK, the lines and their sums, with headings that begin with #.

``trade`` (业务明细) has payments and refunds; ``account`` (账务明细) every movement of the merchant's money.
Columns were added over the years, so they are found by their headings.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import china_text, parse_china
from tongbao.protocols.alipay_openapi.archive import read_archive, write_archive
from tongbao.protocols.alipay_openapi.field import mask_login
from tongbao.wire.movement import BillHead, BillLine

CHARSET: Final = "gbk"
LINE_BYTES: Final = 8_192
ACCOUNT_END: Final = "0156"
"""Behind a user's number: his account's."""

TITLE: Final = {"trade": "业务明细", "account": "账务明细"}
TRADE_HEAD: Final = (
    "支付宝交易号", "商户订单号", "业务类型", "商品名称", "创建时间", "完成时间", "门店编号", "门店名称",
    "操作员", "终端号", "对方账户", "订单金额（元）", "商家实收（元）", "支付宝红包（元）", "集分宝（元）",
    "支付宝优惠（元）", "商家优惠（元）", "券核销金额（元）", "券名称", "商家红包消费金额（元）",
    "卡消费金额（元）", "退款批次号/请求号", "服务费（元）", "分润（元）", "备注",
)  # fmt: skip
ACCOUNT_HEAD: Final = (
    "账务流水号", "业务流水号", "商户订单号", "商品名称", "发生时间", "对方账号", "收入金额（+元）",
    "支出金额（-元）", "账户余额（元）", "交易渠道", "业务类型", "备注",
)  # fmt: skip
SUMMARY_HEAD: Final = (
    "门店编号", "门店名称", "交易订单总笔数", "退款订单总笔数", "订单金额（元）", "商家实收（元）",
    "支付宝优惠（元）", "商家优惠（元）", "卡消费金额（元）", "服务费（元）", "分润（元）", "实收净额（元）",
)  # fmt: skip
HEAD: Final = {"trade": TRADE_HEAD, "account": ACCOUNT_HEAD}
KIND_WORD: Final = {
    "payment": "在线支付",
    "refund": "交易退款",
    "fee": "收费",
    "fee_return": "退费",
    "split": "分账",
    "payout": "转账",
    "payout_return": "转账退回",
    "settlement": "提现",
    "adjustment": "调账",
    "chargeback": "拒付",
}
KIND_OF: Final = {word: kind for kind, word in KIND_WORD.items()} | {"交易付款": "payment"}
TRADE_WORD: Final = {"payment": "交易", "refund": "退款"}
TRADE_OF: Final = {word: kind for kind, word in TRADE_WORD.items()}

_LOST: Final = re.compile("[\x00-\x1f\x7f]")
_RISKY: Final = ("=", "+", "-", "@", "'", "＝", "＋", "－", "＠")
_TOTAL: Final = re.compile(
    r"#(?:交易|退款|收入|支出)合计：([0-9]{1,9})笔，(?:商家实收(?:退款)?)?共(-?[0-9.]{1,14})元.*"
)


def _text(text: str) -> str:
    """A text as a cell. What a spreadsheet would take for a formula has an apostrophe before it."""
    clean = _LOST.sub(" ", text)
    return f"'{clean}" if clean.lstrip().startswith(_RISKY) else clean


def _id(text: str) -> str:
    """A number as a cell: the tab behind it keeps spreadsheets from rounding it."""
    return f"{_text(text)}\t"


def _row(cells: Iterable[str]) -> bytes:
    quoted = [f'"{cell.replace(chr(34), chr(34) * 2)}"' if "," in cell or '"' in cell else cell for cell in cells]
    return (",".join(quoted) + "\r\n").encode(CHARSET, "replace")


def _line(text: str) -> bytes:
    return f"{text}\r\n".encode(CHARSET)


class _Sums:
    """Count and sum of what came in and what went out, and the fees."""

    def __init__(self) -> None:
        self.count = {True: 0, False: 0}
        self.sum = {True: Money(0), False: Money(0)}
        self.fee = Money(0)

    def add(self, line: BillLine, *, kind: str) -> None:
        came = line.kind != "refund" if kind == "trade" else line.income.minor > 0
        self.count[came] += 1
        self.sum[came] += line.income if came else line.outcome
        self.fee += line.fee


class Bill:
    """See ``tongbao.wire.contract.BillEnd``. Sums in the files are yuan."""

    def write(self, head: BillHead, lines: Iterable[BillLine]) -> Iterator[bytes]:
        if head.kind not in HEAD:
            raise LocalProtocolError("kind", "is neither trade nor account")
        sums, name, title = _Sums(), _stem(head), TITLE[head.kind]
        entries: tuple[tuple[str, Iterable[bytes]], ...] = (
            (f"{name}_{title}.csv", _details(head, lines, sums)),
            (f"{name}_{title}(汇总).csv", _summary(head, sums)),
        )
        yield from write_archive(entries)

    def read(self, chunks: Iterable[bytes]) -> Iterator[BillLine]:
        found = False
        for name, pieces in read_archive(chunks):
            if "汇总" in name:
                continue
            if found:
                raise RemoteProtocolError(name[:40], "is a second table of lines", "MALFORMED")
            found = True
            yield from _read_details(pieces)
        if not found:
            raise RemoteProtocolError("", "holds no table of lines", "MALFORMED")

    def file_name(self, head: BillHead) -> str:
        return f"{_stem(head)}.csv.zip"


def _stem(head: BillHead) -> str:
    return f"{head.merchant}{ACCOUNT_END}_{head.day:%Y%m}" + ("" if head.monthly else f"{head.day:%d}")


def _until(head: BillHead) -> date:
    if not head.monthly:
        return head.day + timedelta(days=1)
    return (head.day.replace(day=1) + timedelta(days=32)).replace(day=1)


# --- writing -----------------------------------------------------------------------------------------------------


def _opening(head: BillHead, title: str, label: str) -> Iterator[bytes]:
    yield _line(f"#支付宝{title}查询")
    yield _line(f"#账号：[{head.merchant}{ACCOUNT_END}]")
    yield _line(f"#起始日期：[{head.day:%Y年%m月%d日} 00:00:00]   终止日期：[{_until(head):%Y年%m月%d日} 00:00:00]")
    yield _line(f"#{'-' * 41}{label}{'-' * 40}")


def _details(head: BillHead, lines: Iterable[BillLine], sums: _Sums) -> Iterator[bytes]:
    title, cells = TITLE[head.kind], _trade_cells if head.kind == "trade" else _account_cells
    yield from _opening(head, f"{title}", f"{title}列表")
    yield _row(HEAD[head.kind])
    for line in lines:
        if head.kind == "trade" and line.kind not in TRADE_WORD:
            continue
        sums.add(line, kind=head.kind)
        yield _row(cells(line))
    yield _line(f"#{'-' * 41}{title}列表结束{'-' * 36}")
    came, gone = sums.count[True], sums.count[False]
    if head.kind == "trade":
        yield _line(f"#交易合计：{came}笔，商家实收共{sums.sum[True].text()}元，商家优惠共0.00元")
        yield _line(f"#退款合计：{gone}笔，商家实收退款共{(-sums.sum[False]).text()}元，商家优惠退款共0.00元")
    else:
        yield _line(f"#支出合计：{gone}笔，共{sums.sum[False].text()}元")
        yield _line(f"#收入合计：{came}笔，共{sums.sum[True].text()}元")
    yield _line(f"#导出时间：[{_until(head):%Y年%m月%d日} 09:00:00]")


def _summary(head: BillHead, sums: _Sums) -> Iterator[bytes]:
    yield from _opening(head, f"{TITLE[head.kind][:2]}汇总", f"{TITLE[head.kind][:2]}汇总列表")
    yield _row(SUMMARY_HEAD)
    net = sums.sum[True] - sums.sum[False]
    whole = (
        f"{sums.count[True]}", f"{sums.count[False]}", net.text(), net.text(), "0.00", "0.00", "0.00",
        (-sums.fee).text(), "0.00", (net - sums.fee).text(),
    )  # fmt: skip
    yield _row(("\t", "\t", *whole))
    yield _row(("合计", "", *whole))


def _trade_cells(line: BillLine) -> tuple[str, ...]:
    refund = line.kind == "refund"
    received = -line.outcome if refund else line.income
    ordered = received if refund else line.amount or line.income
    zero = "0.00"
    return (
        _id(line.trade_no), _id(line.out_trade_no), TRADE_WORD[line.kind], _text(line.subject),
        china_text(line.created_at or line.at), china_text(line.at), "\t", "\t", "\t", "\t",
        _id(mask_login(line.buyer.login)), ordered.text(), received.text(), zero, zero, zero, zero, zero, "\t",
        zero, zero, _id(line.refund_no), (-line.fee).text(), zero, _text(line.memo),
    )  # fmt: skip


def _account_cells(line: BillLine) -> tuple[str, ...]:
    return (
        _id(line.serial), _id(line.trade_no), _id(line.out_trade_no), _text(line.subject), china_text(line.at),
        _id(mask_login(line.buyer.login)), line.income.text(), (-line.outcome).text(),
        (line.balance or Money(0)).text(), "支付宝", KIND_WORD[line.kind], _text(line.memo),
    )  # fmt: skip


# --- reading -----------------------------------------------------------------------------------------------------


def _rows(pieces: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    number, rest = 0, b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for raw in whole:
            number += 1
            yield number, _decoded(number, raw)
        if len(rest) > LINE_BYTES:
            raise RemoteProtocolError(f"{number + 1}", f"longer than {LINE_BYTES} bytes", "TOO_LARGE")
    if rest.strip():
        yield number + 1, _decoded(number + 1, rest)


def _decoded(number: int, raw: bytes) -> str:
    try:
        return raw.rstrip(b"\r").decode("gb18030")
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"{number}", "bytes are not gbk", "BAD_CHARSET") from error


def _cells(number: int, text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise RemoteProtocolError(f"{number}", "is no line of cells", "MALFORMED") from error


def _plain(cell: str) -> str:
    text = cell.removesuffix("\t")
    return text.removeprefix("'")


def _read_details(pieces: Iterable[bytes]) -> Iterator[BillLine]:
    """The lines of a table; its totals are compared at the end."""
    heading: list[str] = []
    kind, sums = "", _Sums()
    totals: list[tuple[int, Money]] = []
    for number, text in _rows(pieces):
        if text.startswith("#"):
            match = _TOTAL.fullmatch(text)
            if match is not None:
                totals.append((int(match[1]), _money(number, "合计", match[2])))
        elif not heading:
            heading = [cell.strip() for cell in _cells(number, text)]
            kind = next((name for name, head in HEAD.items() if head[0] == heading[0]), "") if heading else ""
            if not kind or len(set(heading)) != len(heading):
                raise RemoteProtocolError(f"{number}", "is not the heading of a bill", "MALFORMED")
        elif text.strip():
            if totals:
                raise RemoteProtocolError(f"{number}", "follows after the totals", "MALFORMED")
            cells = _cells(number, text)
            if len(cells) != len(heading):
                raise RemoteProtocolError(f"{number}", f"has {len(cells)} cells, not {len(heading)}", "MALFORMED")
            line = (_read_trade if kind == "trade" else _read_account)(number, dict(zip(heading, cells, strict=True)))
            sums.add(line, kind=kind)
            yield line
    came, gone = ((sums.count[side], sums.sum[side]) for side in (True, False))
    wanted = [came, (gone[0], -gone[1])] if kind == "trade" else [gone, came]
    if totals != wanted:
        raise RemoteProtocolError("", "the totals are not those of the lines", "MALFORMED")


def _money(number: int, name: str, text: str) -> Money:
    try:
        return parse_major(text.strip() or "0", signed=True)
    except InvalidAmount as error:
        raise RemoteProtocolError(f"{number} {name}", "is no sum of yuan", "AMOUNT_INVALID") from error


def _cell(number: int, cells: Mapping[str, str], name: str) -> str:
    value = cells.get(name)
    if value is None:
        raise RemoteProtocolError(f"{number} {name}", "is missing", "FIELD_MISSING")
    return _plain(value)


def _sums(number: int, cells: Mapping[str, str], name: str) -> Money:
    return _money(number, name, _cell(number, cells, name))


def _kind(number: int, cells: Mapping[str, str], words: Mapping[str, str]) -> str:
    word = _cell(number, cells, "业务类型").strip()
    if word not in words:
        raise RemoteProtocolError(f"{number} 业务类型", "is no kind of line", "FIELD_INVALID")
    return words[word]


def _read_trade(number: int, cells: Mapping[str, str]) -> BillLine:
    kind = _kind(number, cells, TRADE_OF)
    received = _sums(number, cells, "商家实收（元）")
    refund = kind == "refund"
    if (received.minor > 0) is refund and received.minor:
        raise RemoteProtocolError(f"{number} 商家实收（元）", "has the wrong sign", "AMOUNT_INVALID")
    try:
        at, created = (parse_china(_cell(number, cells, name).strip()) for name in ("完成时间", "创建时间"))
    except ValueError as error:
        raise RemoteProtocolError(f"{number} 完成时间", "is no time", "FIELD_INVALID") from error
    return BillLine(
        kind=kind,
        at=at,
        income=Money(0) if refund else received,
        outcome=-received if refund else Money(0),
        fee=-_sums(number, cells, "服务费（元）"),
        out_trade_no=_cell(number, cells, "商户订单号"),
        trade_no=_cell(number, cells, "支付宝交易号"),
        refund_no=_cell(number, cells, "退款批次号/请求号"),
        amount=None if refund else _sums(number, cells, "订单金额（元）"),
        subject=_cell(number, cells, "商品名称"),
        created_at=created,
        memo=_cell(number, cells, "备注"),
    )


def _read_account(number: int, cells: Mapping[str, str]) -> BillLine:
    gone = _sums(number, cells, "支出金额（-元）")
    try:
        at = parse_china(_cell(number, cells, "发生时间").strip())
    except ValueError as error:
        raise RemoteProtocolError(f"{number} 发生时间", "is no time", "FIELD_INVALID") from error
    return BillLine(
        kind=_kind(number, cells, KIND_OF),
        at=at,
        income=_sums(number, cells, "收入金额（+元）"),
        outcome=-gone if gone.minor < 0 else gone,
        fee=Money(0),
        out_trade_no=_cell(number, cells, "商户订单号"),
        trade_no=_cell(number, cells, "业务流水号"),
        balance=_sums(number, cells, "账户余额（元）"),
        serial=_cell(number, cells, "账务流水号"),
        subject=_cell(number, cells, "商品名称"),
        memo=_cell(number, cells, "备注"),
    )
