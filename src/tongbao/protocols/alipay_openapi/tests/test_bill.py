"""Bills as the platform writes them: other orders of columns, tabs, packings and words than ours."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import parse_china
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi.bill import ACCOUNT_HEAD, TRADE_HEAD
from tongbao.wire.movement import BillLine

STEM = "20885212319120680156_20170831"
TRADES = [
    ["2017083121001004380000000001\t", "T1\t", "交易", "茶", "2017-08-31 08:00:00", "2017-08-31 08:00:09"]
    + ["\t"] * 4
    + ["*某(137****2600)\t", "0.02", "0.02"]
    + ["0.00"] * 5
    + ["\t", "0.00", "0.00", "\t", "0.00", "0.00", "\t"],
    ["2017083121001004380000000001", "T1", "退款", "'=茶", "2017-08-31 08:00:00", "2017-08-31 09:00:00 "]
    + ["\t"] * 4
    + ["*某(137****2600)\t", "-0.01", "-0.01"]
    + ["0.00"] * 5
    + ["\t", "0.00", "0.00", "R1\t", "", "0.00", ""],
]
ACCOUNT = ["S1\t", "2017083121001004380000000001\t", "T1\t", "茶", "2017-08-31 08:00:09", "*某(137****2600)\t"]
ACCOUNT += ["0.02", "0.00", "8.02", "支付宝", "交易付款", ""]


class Gbk(ZipInfo):
    """An entry whose name is GBK without the mark of UTF-8 (sheet alipay-openapi, 6.13)."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("gbk"), self.flag_bits


def table(title: str, rows: list[list[str]], totals: list[str]) -> bytes:
    lines = [f"#支付宝{title}查询", "#账号：[20885212319120680156]", f"#{'-' * 9}{title}列表{'-' * 9}"]
    lines += [",".join(row) for row in rows]
    lines += [f"#{'-' * 9}{title}列表结束{'-' * 9}", *totals, "#导出时间：[2017年09月01日 09:27:37]"]
    return "\r\n".join([*lines, ""]).encode("gbk")


def read(title: str, text: bytes, packing: int) -> list[BillLine]:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        for name, data in ((f"{STEM}_{title}(汇总).csv", b"#\r\n"), (f"{STEM}_{title}.csv", text)):
            entry = Gbk(name)
            entry.compress_type = packing
            archive.writestr(entry, data)
    bill = PROTOCOL.bill
    assert bill is not None
    return list(bill.read([file.getvalue()]))


@pytest.mark.parametrize("packing", [ZIP_STORED, ZIP_DEFLATED])
def test_a_trade_bill_of_another_make(packing: int) -> None:
    """The summary first; a column more, and another order of them; a tab behind a cell or none; nothing in it."""
    totals = [
        "#交易合计：1笔，商家实收共0.02元，商家优惠共0.00元",
        "#退款合计：1笔，商家实收退款共-0.01元，商家优惠退款共0.00元",
    ]
    rows = [[row[0], "新栏", *reversed(row[1:])] for row in (list(TRADE_HEAD), *TRADES)]
    paid, refunded = read("业务明细", table("业务明细", rows, totals), packing)
    assert (paid.kind, paid.trade_no, paid.out_trade_no) == ("payment", "2017083121001004380000000001", "T1")
    assert (paid.income, paid.amount, paid.subject) == (Money(2), Money(2), "茶")
    assert (refunded.kind, refunded.refund_no, refunded.outcome, refunded.fee) == ("refund", "R1", Money(1), Money(0))
    assert (refunded.subject, refunded.at) == ("=茶", parse_china("2017-08-31 09:00:00"))
    with pytest.raises(RemoteProtocolError):
        read("业务明细", table("业务明细", [*rows, rows[-1]], totals), packing)


def test_an_account_bill_of_another_make() -> None:
    """The older word for a payment."""
    totals = ["#支出合计：0笔，共0.00元", "#收入合计：1笔，共0.02元"]
    (line,) = read("账务明细", table("账务明细", [list(ACCOUNT_HEAD), ACCOUNT], totals), ZIP_DEFLATED)
    assert (line.kind, line.income, line.balance, line.serial) == ("payment", Money(2), Money(802), "S1")
