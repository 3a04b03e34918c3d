"""The daily files: trades (交易账单) and the account's movements (资金账单); the same in v2 and v3 of the interface.

UTF-8 with a byte order mark, lines ended by CR LF, Chinese headings; every cell begins with a backtick, so that no
spreadsheet calculates with it; two lines of totals at the end. Columns are found by their headings, since older files
have others. Commas, quotes, line feeds and backslashes inside a text are written as escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import MINOR_MAX, Money
from tongbao.kernel.time import Instant, china_text, parse_china
from tongbao.protocols.wechatpay_v3.view import read_bank, write_bank
from tongbao.wire.movement import BillHead, BillLine
from tongbao.wire.party import Party

BOM: Final = b"\xef\xbb\xbf"
END: Final = "\r\n"
LINE_BYTES: Final = 16_384
_BLOCK: Final = 65_536

TRADE_COLUMNS: Final = (
    "交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型",
    "交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号", "退款金额",
    "充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费", "费率", "订单金额", "申请退款金额",
    "费率备注",
)  # fmt: skip
PAID_COLUMNS: Final = (
    *TRADE_COLUMNS[:14], "商品名称", "商户数据包", "手续费", "费率", "订单金额", "费率备注",
)  # fmt: skip
BACK_COLUMNS: Final = (*TRADE_COLUMNS[:14], "退款申请时间", "退款成功时间", *TRADE_COLUMNS[14:])
TRADE_TOTALS: Final = (
    "总交易单数", "应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额", "订单总金额", "申请退款总金额",
)  # fmt: skip
FLOW_COLUMNS: Final = (
    "记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型", "收支金额(元)", "账户结余(元)",
    "资金变更提交申请人", "备注", "业务凭证号",
)  # fmt: skip
FLOW_TOTALS: Final = ("资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额")

FLOW_NAME: Final = {
    "payment": ("交易", "交易"),
    "refund": ("退款", "退款"),
    "fee": ("交易手续费", "扣除交易手续费"),
    "fee_return": ("交易手续费", "退回交易手续费"),
    "split": ("分账", "分账"),
    "payout": ("商家转账", "商家转账"),
    "payout_return": ("商家转账", "商家转账退回"),
    "settlement": ("结算", "结算"),
    "adjustment": ("调账", "调账"),
    "chargeback": ("拒付", "拒付"),
}
_KIND_OF: Final = {name: kind for kind, (_, name) in FLOW_NAME.items()}

_ECHO: Final = {"appid": "公众账号ID", "device_info": "设备号", "trade_type": "交易类型"}
_MONEY: Final = re.compile(r"(-?)([0-9]{1,11})(?:\.([0-9]{1,2})(0*))?", re.ASCII)
_NOTHING: Final = Money(0)
_RATE: Final = re.compile(r"([0-9]{1,3})\.([0-9]{2})%", re.ASCII)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {",": "\\ ", '"': '\\"', "\n": "\\n", "\r": "\\r", "\\": "\\\\"}
_MEANT: Final = {" ": ",", '"': '"', "n": "\n", "r": "\r", "\\": "\\"}
_RISKY: Final = re.compile(r'[,"\n\r\\]')
_CONTROLS: Final = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")

Cells = Mapping[str, str]


# --- cells -------------------------------------------------------------------------------------------------------


def _escape(text: str) -> str:
    return _RISKY.sub(lambda found: _ESCAPES[found[0]], _CONTROLS.sub(" ", text))


def _meant(found: re.Match[str]) -> str:
    return _MEANT.get(found[1], found[0])


def _fee(money: Money) -> str:
    return f"{money.text()}000"


def _rate(rate: int | None) -> str:
    return "" if rate is None else f"{rate // 100}.{rate % 100:02d}%"


def _row(cells: Iterable[str]) -> str:
    return ",".join([f"`{cell}" for cell in cells]) + END


class _Place:
    """Where the reader is, for its errors."""

    line = 0

    def wrong(self, field_: str, reason: str, code: str = "MALFORMED") -> RemoteProtocolError:
        return RemoteProtocolError(field_, f"line {self.line}: {reason}", code)

    def money(self, cells: Cells, name: str) -> Money:
        """Yuan with any number of noughts behind the second decimal."""
        match = _MONEY.fullmatch(cells.get(name, ""))
        if match is None:
            raise self.wrong(name, "is no sum in yuan", "AMOUNT_INVALID")
        minor = int(match[2]) * 100 + int((match[3] or "").ljust(2, "0"))
        if minor > MINOR_MAX:
            raise self.wrong(name, "is out of range", "AMOUNT_INVALID")
        return Money(-minor if match[1] else minor)

    def time(self, cells: Cells, name: str) -> Instant:
        try:
            return parse_china(cells.get(name, ""))
        except ValueError as error:
            raise self.wrong(name, "is no time", "FIELD_INVALID") from error

    def rate(self, cells: Cells, name: str) -> int | None:
        match = _RATE.fullmatch(cells.get(name, ""))
        return int(match[1]) * 100 + int(match[2]) if match else None


# --- trades ------------------------------------------------------------------------------------------------------


def _trade_cells(head: BillHead, line: BillLine) -> list[str]:
    """As the order's query says it; a service provider's bill names its merchant beside him."""
    if line.kind not in ("payment", "refund", "fee", "fee_return"):
        raise LocalProtocolError("kind", f"a bill of trades has no {line.kind}")
    back = line.kind in ("refund", "fee_return")
    gross = line.income.text() if line.kind == "payment" else "0.00"
    refunded = line.outcome.text() if line.kind == "refund" else "0.00"
    fee = {"fee": line.outcome, "fee_return": -line.income}.get(line.kind, line.fee)
    mchid, sub_mchid = (head.provider, head.merchant) if head.provider else (head.merchant, "0")
    return [
        china_text(line.at), line.echo.get("appid", ""), mchid, sub_mchid, _escape(line.echo.get("device_info", "")),
        line.trade_no, line.out_trade_no, line.buyer.id, line.echo.get("trade_type", "NATIVE"),
        "REFUND" if back else "SUCCESS", write_bank(line.method, line.bank), line.income.currency, gross, "0.00",
        line.refund_id if back else "0", line.refund_no if back else "0", refunded, "0.00",
        "ORIGINAL" if back else "", "SUCCESS" if back else "",
        _escape(line.subject), _escape(line.memo), _fee(fee), _rate(line.rate), gross, refunded, "",
    ]  # fmt: skip


def _read_trade(cells: Cells, place: _Place) -> BillLine:
    state = cells.get("交易状态", "")
    if state not in ("SUCCESS", "REFUND", "REVOKED"):
        raise place.wrong("交易状态", "is none of SUCCESS, REFUND, REVOKED", "FIELD_INVALID")
    back = state != "SUCCESS"
    fee = place.money(cells, "手续费")
    name = "应结订单金额" if "应结订单金额" in cells else "总金额"
    income = Money(0) if back else place.money(cells, name)
    outcome = place.money(cells, "退款金额") if back else Money(0)
    kind = "refund" if back else "payment"
    if not back and income.minor == 0 and fee.minor:
        kind, outcome, fee = "fee", fee, Money(0)
    elif back and outcome.minor == 0 and fee.minor:
        kind, income, fee = "fee_return", -fee, Money(0)
    method, bank = read_bank(cells.get("付款银行", ""))
    said = {name: cells.get(column, "") for name, column in _ECHO.items()}
    return BillLine(
        kind=kind,
        at=place.time(cells, "交易时间"),
        income=income,
        outcome=outcome,
        fee=fee,
        out_trade_no=cells.get("商户订单号", ""),
        trade_no=cells.get("微信订单号", ""),
        refund_no=cells.get("商户退款单号", "") if back else "",
        refund_id=cells.get("微信退款单号", "") if back else "",
        amount=income if kind == "payment" else None,
        subject=cells.get("商品名称", ""),
        buyer=Party(cells.get("用户标识", "")),
        method=method or "",
        bank=bank,
        asked_at=place.time(cells, "退款申请时间") if back and cells.get("退款申请时间") else None,
        rate=place.rate(cells, "费率"),
        memo=cells.get("商户数据包", ""),
        echo={name: cell for name, cell in said.items() if cell},
    )


# --- movements ---------------------------------------------------------------------------------------------------


def _flow_cells(head: BillHead, line: BillLine) -> list[str]:
    if line.kind not in FLOW_NAME:
        raise LocalProtocolError("kind", f"an account's bill has no {line.kind}")
    title, name = FLOW_NAME[line.kind]
    comes = line.income.minor > 0 or line.outcome.minor == 0
    return [
        china_text(line.at), line.trade_no, line.serial, title, name, "收入" if comes else "支出",
        (line.income if comes else line.outcome).text(), "" if line.balance is None else line.balance.text(),
        head.merchant, _escape(line.memo), line.out_trade_no,
    ]  # fmt: skip


def _read_flow(cells: Cells, place: _Place) -> BillLine:
    kind, way = _KIND_OF.get(cells.get("业务类型", ""), ""), cells.get("收支类型", "")
    if not kind or way not in ("收入", "支出"):
        raise place.wrong("业务类型" if not kind else "收支类型", "is none that is known", "FIELD_INVALID")
    amount = place.money(cells, "收支金额(元)")
    return BillLine(
        kind=kind,
        at=place.time(cells, "记账时间"),
        income=amount if way == "收入" else Money(0),
        outcome=Money(0) if way == "收入" else amount,
        fee=Money(0),
        out_trade_no=cells.get("业务凭证号", ""),
        trade_no=cells.get("微信支付业务单号", ""),
        balance=place.money(cells, "账户结余(元)") if cells.get("账户结余(元)") else None,
        serial=cells.get("资金流水单号", ""),
        memo=cells.get("备注", ""),
    )


# --- totals ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sums:
    """What the last two lines say, added up on the way."""

    counts: dict[str, int] = field(default_factory=lambda: {"all": 0, "in": 0, "out": 0})
    income: Money = _NOTHING
    outcome: Money = _NOTHING
    fee: Money = _NOTHING

    def add(self, line: BillLine) -> None:
        self.counts["all"] += 1
        self.counts["in" if line.income.minor > 0 or line.outcome.minor == 0 else "out"] += 1
        alone = line.kind in ("fee", "fee_return")
        self.fee += line.outcome - line.income if alone else line.fee
        if not alone or line.balance is not None:
            self.income += line.income
            self.outcome += line.outcome

    def trade(self) -> list[str]:
        paid, back = self.income.text(), self.outcome.text()
        return [str(self.counts["all"]), paid, back, "0.00", _fee(self.fee), paid, back]

    def flow(self) -> list[str]:
        count = self.counts
        return [str(count["all"]), str(count["in"]), self.income.text(), str(count["out"]), self.outcome.text()]


@dataclass(frozen=True, slots=True)
class _Form:
    """One of the two kinds of file."""

    columns: tuple[str, ...]
    totals: tuple[str, ...]
    cells: Callable[[BillHead, BillLine], list[str]]
    read: Callable[[Cells, _Place], BillLine]
    sums: Callable[[_Sums], list[str]]
    counted: frozenset[str]
    """Totals that are counts."""


_FORMS: Final = {
    "trade": _Form(TRADE_COLUMNS, TRADE_TOTALS, _trade_cells, _read_trade, _Sums.trade, frozenset(("总交易单数",))),
    "account": _Form(
        FLOW_COLUMNS, FLOW_TOTALS, _flow_cells, _read_flow, _Sums.flow,
        frozenset(("资金流水总笔数", "收入笔数", "支出笔数")),
    ),
}  # fmt: skip


_SCOPES: Final = {
    "SUCCESS": (PAID_COLUMNS, ("payment", "fee")),
    "REFUND": (BACK_COLUMNS, ("refund", "fee_return")),
}
"""``bill_type`` -> its columns and the lines that are wanted; those of ALL otherwise (sheet wechatpay, section 13)."""


class Bill:
    """See ``tongbao.wire.contract.BillEnd``."""

    def write(self, head: BillHead, lines: Iterable[BillLine]) -> Iterator[bytes]:
        form, sums = _FORMS.get(head.kind), _Sums()
        if form is None or head.monthly:
            raise LocalProtocolError("monthly" if form else "kind", "the interface has no such bill")
        columns, wanted = _SCOPES.get(head.scope, (form.columns, None))
        yield BOM + (",".join(columns) + END).encode("utf-8")
        block: list[str] = []
        size = 0
        for line in lines:
            if wanted is not None and line.kind not in wanted:
                continue
            cells = dict(zip(form.columns, form.cells(head, line), strict=True))
            times = {"退款申请时间": china_text(line.asked_at or line.at), "退款成功时间": china_text(line.at)}
            row = _row((cells | times)[name] for name in columns)
            sums.add(line)
            block.append(row)
            size += len(row)
            if size > _BLOCK:
                yield "".join(block).encode("utf-8")
                block, size = [], 0
        yield ("".join(block) + ",".join(form.totals) + END + _row(form.sums(sums))).encode("utf-8")

    def read(self, chunks: Iterable[bytes]) -> Iterator[BillLine]:
        place, sums = _Place(), _Sums()
        rows = _split_lines(chunks, place)
        columns = next(rows, "").removeprefix("\ufeff").split(",")
        form = next((form for form in _FORMS.values() if form.columns[0] == columns[0]), None)
        if form is None or len(set(columns)) != len(columns):
            raise place.wrong("", "holds no headings of a bill that is known")
        for row in rows:
            if row.startswith((form.totals[0], "总交易单数")):
                _check_totals(row.split(","), next(rows, ""), form, sums, place)
                if next(rows, None) is not None:
                    raise place.wrong("", "stands behind the totals")
                return
            cells = _cells(row, columns, place)
            line = form.read({name: _ESCAPED.sub(_meant, cell) for name, cell in cells.items()}, place)
            sums.add(line)
            yield line
        raise place.wrong("", "the totals are missing")

    def file_name(self, head: BillHead) -> str:
        what = "All" if head.kind == "trade" else "Flow"
        return f"{head.merchant}{what}{head.day.isoformat()}.csv"


def _cells(row: str, columns: list[str], place: _Place) -> dict[str, str]:
    """A row's cells by their headings; they are cut at comma and backtick, since a text may hold commas."""
    if not row.startswith("`"):
        raise place.wrong("", "does not begin with a backtick")
    cells = row[1:].split(",`")
    if len(cells) != len(columns):
        raise place.wrong("", f"has {len(cells)} cells, not {len(columns)}")
    return dict(zip(columns, cells, strict=True))


def _check_totals(names: list[str], row: str, form: _Form, sums: _Sums, place: _Place) -> None:
    said = _cells(row, names, place)
    for name, ours in zip(form.totals, form.sums(sums), strict=True):
        if name not in said:
            continue
        if name in form.counted:
            if said[name].partition(".")[0] != ours:
                raise place.wrong(name, "is not the number of lines", "AMOUNT_CONFLICT")
        elif place.money(said, name) != place.money({name: ours}, name):
            raise place.wrong(name, "is not the sum of the lines", "AMOUNT_CONFLICT")


def _split_lines(chunks: Iterable[bytes], place: _Place) -> Iterator[str]:
    """Whole lines, however the chunks are cut."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\r\n")
        for line in whole:
            yield _decode(line, place)
        if len(rest) > LINE_BYTES:
            raise place.wrong("", f"is longer than {LINE_BYTES} bytes", "TOO_LARGE")
    if rest:
        yield _decode(rest, place)


def _decode(line: bytes, place: _Place) -> str:
    place.line += 1
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise place.wrong("", "is not UTF-8", "BAD_CHARSET") from error
    if _CONTROLS.search(text) or "\n" in text or "\r" in text:
        raise place.wrong("", "holds control characters", "BAD_CHARSET")
    return text
