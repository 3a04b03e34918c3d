"""The published bill, read and written again; totals that lie; older columns."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import later
from tongbao.protocols import wechatpay_v3
from tongbao.protocols.wechatpay_v3.bill import Bill
from tongbao.wire.movement import BillHead

RAW = Path(wechatpay_v3.__file__).with_name("vectors").joinpath("bill_all.csv").read_bytes()
HEAD = BillHead(merchant="1900000001", day=date(2025, 1, 1))


def test_published_bill() -> None:
    """1119 bytes with a known digest: a payment with its fee and rate, a refund with the fee that came back."""
    assert (len(RAW), hashlib.sha1(RAW).hexdigest()) == (1_119, "88cd7a97009ee9a1e20aecde84df45d69ab3dc14")
    paid, back = Bill().read([RAW])
    assert (paid.kind, paid.income, paid.fee, paid.rate) == ("payment", Money(101), Money(1), 60)
    assert (paid.trade_no, paid.out_trade_no) == ("4200000000202501010000000001", "T20250101000001")
    assert (paid.subject, paid.buyer.id) == ("测试商品", "oUpF8uMEb4qRXf22hE3X68TekukE")
    assert (back.kind, back.outcome, back.fee) == ("refund", Money(101), Money(-1))
    assert (back.refund_no, back.refund_id) == ("R20250101000001", "50000000000000000000000000001")
    assert b"".join(Bill().write(HEAD, [paid, back])) == RAW


def test_a_line_says_what_the_orders_query_says() -> None:
    """Application, kind of order, device, the card that paid, a refund's two times; in a provider's bill its merchant
    stands beside him."""
    paid, back = Bill().read([RAW])
    echo = {"appid": "wx1f87d44db95cba7a", "trade_type": "MICROPAY", "device_info": "T-1"}
    carded = replace(paid, method="credit", bank="SPABANK", echo=echo)
    refunded = replace(
        back, method="debit", bank="ICBC", asked_at=later(back.at, -60_000), echo={"trade_type": "JSAPI"}
    )
    raw = b"".join(Bill().write(replace(HEAD, provider="1900000117"), [carded, refunded]))
    assert b"`wx1f87d44db95cba7a,`1900000117,`1900000001,`T-1," in raw
    assert b"`MICROPAY,`SUCCESS,`PAB_CREDIT," in raw
    assert b"`JSAPI,`REFUND,`ICBC_DEBIT," in raw
    assert list(Bill().read([raw])) == [carded, replace(refunded, asked_at=None)]
    raw = b"".join(Bill().write(replace(HEAD, scope="REFUND"), [refunded]))
    assert b"`2025-01-01 08:04:06,`2025-01-01 08:05:06," in raw
    assert list(Bill().read([raw])) == [refunded]


def test_totals_are_compared() -> None:
    """A sum, a count or a missing last line is noticed and named."""
    for old, new, name in (
        (b"`2,`1.01,`1.01", b"`3,`1.01,`1.01", "总交易单数"),
        (b"`2,`1.01,`1.01", b"`2,`1.02,`1.01", "应结订单总金额"),
        (b"`0.00000,`1.01,`1.01", b"`0.00100,`1.01,`1.01", "手续费总金额"),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            list(Bill().read([RAW.replace(old, new)]))
        assert caught.value.field == name
    with pytest.raises(RemoteProtocolError):
        list(Bill().read([RAW[: RAW.rindex(b"`2,")]]))


def test_totals_with_other_decimals() -> None:
    """``45.0`` and ``45`` are sums too."""
    assert len(list(Bill().read([RAW.replace(b"`2,`1.01,`1.01,`0.00,", b"`2,`1.010,`1.0100,`0.0,")]))) == 2


def test_columns_are_found_by_their_headings() -> None:
    """Older files say 总金额 and lack the last columns."""
    head = "交易时间,公众账号ID,商户号,微信订单号,商户订单号,用户标识,交易类型,交易状态,总金额,商品名称,手续费,费率"
    row = "`2016-01-01 08:00:03,`wx,`19,`42,`T1,`o,`JSAPI,`SUCCESS,`1.01,`茶,`0.01000,`0.60%"
    totals = "总交易单数,总交易额,总退款金额,总企业红包退款金额,手续费总金额"
    raw = f"{head}\r\n{row}\r\n{totals}\r\n`1,`1.01,`0.00,`0.00,`0.01000\r\n".encode()
    (line,) = Bill().read([raw])
    assert (line.income, line.out_trade_no, line.subject) == (Money(101), "T1", "茶")


def test_fees_on_lines_of_their_own() -> None:
    """A fee that was taken or given back alone is a row without a sum, and is read back as what it was."""
    paid, _ = Bill().read([RAW])
    taken = replace(paid, kind="fee", income=Money(0), outcome=Money(3), fee=Money(0), amount=None)
    given = replace(
        paid, kind="fee_return", income=Money(2), outcome=Money(0), fee=Money(0), refund_no="R", refund_id="5"
    )
    raw = b"".join(Bill().write(HEAD, [paid, taken, given]))
    assert raw.endswith(b"`3,`1.01,`0.00,`0.00,`0.02000,`1.01,`0.00\r\n")
    _, one, two = Bill().read([raw])
    assert (one.kind, one.outcome, two.kind, two.income) == ("fee", Money(3), "fee_return", Money(2))


@pytest.mark.parametrize(
    ("scope", "count", "kind", "last"),
    [
        ("SUCCESS", 20, "payment", b"`1,`1.01,`0.00,`0.00,`0.01000,`1.01,`0.00\r\n"),
        ("REFUND", 29, "refund", b"`1,`0.00,`1.01,`0.00,`-0.01000,`0.00,`1.01\r\n"),
    ],
)
def test_a_bill_of_one_kind_has_columns_of_its_own(scope: str, count: int, kind: str, last: bytes) -> None:
    """Twenty for payments, twenty-nine for refunds, and only these lines are counted."""
    lines = list(Bill().read([RAW]))
    raw = b"".join(Bill().write(replace(HEAD, scope=scope), lines))
    head, row, *_ = raw.decode("utf-8-sig").split("\r\n")
    assert (len(head.split(",")), len(row.split(",`"))) == (count, count)
    assert raw.endswith(last)
    (line,) = Bill().read([raw])
    own = next(one for one in lines if one.kind == kind)
    assert line == (replace(own, asked_at=own.at) if kind == "refund" else own)
    assert ("退款成功时间,微信退款单号" in head) == (scope == "REFUND")
