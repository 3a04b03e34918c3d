"""A bill against the merchant's orders: every class is found, the cut-off waits a day, a damaged file is refused."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tongbao.cli.main import main
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, parse_china
from tongbao.merchant.book import OrderTable
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.match import Class, Line, Matcher, Side
from tongbao.merchant.order import Order
from tongbao.merchant.reconcile import Pool, order_lines, reconciling, write_differences
from tongbao.merchant.schema import statements
from tongbao.wire.bill import PLAIN, BillShape
from tongbao.wire.movement import BillHead, BillLine

DAY_ONE, DAY_TWO = date(2026, 3, 1), date(2026, 3, 2)
NOON = parse_china("2026-03-01 12:00:00")
HEAD = BillHead(merchant="2088000000000001", day=DAY_ONE)


def paid(number: str, amount: int = 1_000, at: Instant = NOON, kind: str = "payment", **more: Any) -> BillLine:
    """A line of a bill."""
    income, outcome = (0, amount) if kind in ("refund", "fee") else (amount, 0)
    return BillLine(
        kind=kind, at=at, income=Money(income), outcome=Money(outcome), fee=Money(0), out_trade_no=number, **more
    )


def write_bill(path: Path, lines: Iterable[BillLine]) -> Path:
    """A bill in our format."""
    path.write_bytes(b"".join(PLAIN.write(HEAD, lines)))
    return path


def write_orders(
    path: Path, rows: Sequence[Sequence[object]], head: str = "order_no,amount,state,paid_at,kind"
) -> Path:
    """An order CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head.split(","), *rows])
    return path


def own(
    number: str, amount: str = "10.00", state: str = "paid", at: str = "2026-03-01 12:00:00", kind: str = "payment"
) -> tuple[str, ...]:
    """One line of an order CSV."""
    return number, amount, state, at, kind


def found(path: Path, orders: Path, **more: Any) -> list[tuple[str, str, str]]:
    """What does not agree, or waits."""
    with reconciling(path, str(orders), **more) as report:
        return [(one.what, one.kind, one.key) for one in report.match.differences(*_SHOWN)]


_SHOWN = (*[one for one in Class if one not in (Class.MATCHED, Class.IDLE, Class.OTHER)],)


@pytest.fixture
def everything(tmp_path: Path) -> tuple[Path, Path]:
    """One pair of lists with something of every class."""
    bill = write_bill(
        tmp_path / "bill.csv",
        [
            paid("=ok,\n\"1'"),
            paid("lost"),
            paid("less", 999),
            paid("open"),
            paid("twice"),
            paid("twice"),
            paid("ok", kind="refund", refund_no="R1"),
            paid("ok", kind="refund", refund_no="R2"),
            paid("ok", 6, kind="fee"),
            paid(""),
        ],
    )
    orders = write_orders(
        tmp_path / "orders.csv",
        [
            own("=ok,\n\"1'"),
            own("mine"),
            own("less"),
            own("open", state="pending", at=""),
            own("twice"),
            own("elsewhen", at="2026-02-27 12:00:00"),
            own("never", state="pending", at=""),
            ("R1", "10.00", "refunded", "2026-03-01 13:00:00", "refund"),
        ],
    )
    return bill, orders


def test_F51_every_class_of_difference_is_found(everything: tuple[Path, Path]) -> None:
    """And nothing else: what is idle, agreed or not compared is only counted."""
    bill, orders = everything
    with reconciling(bill, str(orders), day=DAY_ONE) as report:
        said = [(one.what, one.kind, one.key, one.here_amount, one.there_amount) for one in report.match.differences()]
        document = report.document()
    assert said == [
        ("amount_differs", "payment", "less", 1_000, 999),
        ("duplicate", "payment", "twice", 1_000, 1_000),
        ("missing_here", "payment", "lost", None, 1_000),
        ("missing_here", "refund", "R2", None, 1_000),
        ("missing_there", "payment", "mine", 1_000, None),
        ("state_differs", "payment", "open", 1_000, 1_000),
    ]
    assert document["classes"] == {
        "matched": 2,
        "missing_here": 2,
        "missing_there": 1,
        "amount_differs": 1,
        "state_differs": 1,
        "duplicate": 1,
        "waiting": 0,
        "idle": 2,
        "other": 2,
    }
    assert document["bill"] == {"lines": 10, "amount": 9 * 1_000 - 1 + 6}
    assert document["clean"] is False


def test_F32_lone_lines_near_midnight_wait_a_day(tmp_path: Path) -> None:
    """The next day's bill matches them or makes them differences; running a day again gives the same answer."""
    late, early = parse_china("2026-03-01 23:59:59"), parse_china("2026-03-02 00:00:01")
    pool = Pool(tmp_path / "pool.csv")
    first = (
        write_bill(tmp_path / "1.csv", [paid("A"), paid("theirs", at=late), paid("lost", at=late)]),
        write_orders(
            tmp_path / "1o.csv",
            [own("A"), own("ours", at="2026-03-01 23:59:58"), own("gone", at="2026-03-01 23:59:58")],
        ),
    )
    second = (
        write_bill(tmp_path / "2.csv", [paid("ours", at=early)]),
        write_orders(tmp_path / "2o.csv", [own("theirs", at="2026-03-02 00:00:02")]),
    )
    waits = [("waiting", "payment", number) for number in ("gone", "lost", "ours", "theirs")]
    decided = [("missing_here", "payment", "lost"), ("missing_there", "payment", "gone")]
    for _ in range(2):
        assert found(*first, day=DAY_ONE, pool=pool) == waits
        assert found(*second, day=DAY_TWO, pool=pool) == decided
    assert found(*second, day=DAY_TWO, pool=pool) == decided


def test_F51_the_order_table_is_the_other_side(tmp_path: Path) -> None:
    """Orders come from the merchant's own database, page by page."""
    path = tmp_path / "shop.sqlite"
    database = Database(Dialect.SQLITE, partial(sqlite3.connect, path, isolation_level=None))
    book = OrderTable()

    def fill(transaction: Any) -> None:
        for statement in statements("sqlite"):
            transaction.execute(statement)
        for number in ("A", "B", "C"):
            book.add(transaction, Order(order_no=number, amount=Money(1_000)), NOON)
        transaction.execute(
            "UPDATE orders SET state = 'paid', evidence = 'QUERY', trade_no = order_no, paid_at = :at"
            " WHERE order_no <> 'C'",
            {"at": NOON},
        )

    database.run(fill)
    bill = write_bill(tmp_path / "bill.csv", [paid("A"), paid("C")])
    with reconciling(bill, f"sqlite:///{path}", day=DAY_ONE) as report:
        said = [(one.what, one.key, one.state) for one in report.match.differences()]
    assert said == [("missing_there", "B", "paid"), ("state_differs", "C", "pending")]


def test_T15_a_bill_in_gbk_is_read_byte_for_byte(tmp_path: Path) -> None:
    """Second bytes that look like delimiters break nothing; numbers that are shown are decoded."""
    rows = ["单号,类型,金额,说明", '甲|1\t,交易付款,10.00,"说""明|\\@，鎔"', "乙2\t,退款,5.00,x", "#合计,,15.00,"]
    path = tmp_path / "bill*.csv"
    path.write_bytes("\r\n".join([*rows, ""]).encode("gbk"))
    shape = BillShape(
        columns=("order_no", "kind", "amount", "note"),
        kinds={"交易付款": "payment", "退款": "refund"},
        charset="gbk",
        strip="\t",
    )
    with Matcher(_folder(tmp_path)) as matcher:
        matcher.add_file(Side.THERE, path, shape)
        matcher.add_lines(Side.HERE, [Line(kind="payment", key="丙", amount=1)])
        match = matcher.match()
        said = [(one.what, one.kind, one.key, one.there_amount) for one in match.differences(Class.MISSING_HERE)]
    assert said == [("missing_here", "payment", "甲|1", 1_000), ("missing_here", "refund", "乙2", 500)]


def _folder(path: Path) -> Path:
    made = path / "work"
    made.mkdir()
    return made


@pytest.mark.parametrize("amount", ["1.005", "ten", "nan", "10.0.0"])
def test_T36_a_sum_that_cannot_be_read_is_no_sum(tmp_path: Path, amount: str) -> None:
    """Nothing is rounded and nothing is left out in silence."""
    bill = write_bill(tmp_path / "bill.csv", [paid("A")])
    orders = write_orders(tmp_path / "orders.csv", [own("A", amount)])
    with pytest.raises(RemoteProtocolError), reconciling(bill, str(orders)):
        pass


def test_F51_a_cut_bill_is_refused_whole(tmp_path: Path) -> None:
    """The file's own total must agree with what was read of it."""
    whole = write_bill(tmp_path / "bill.csv", [paid("A"), paid("B")]).read_bytes()
    orders = write_orders(tmp_path / "orders.csv", [own("A"), own("B")])
    middle = whole.index(b"payment", whole.index(b"payment") + 1)
    for number, damaged in enumerate((whole[: whole.index(b"total")], whole[:middle] + whole[whole.index(b"total") :])):
        path = tmp_path / f"cut{number}.csv"
        path.write_bytes(damaged)
        with pytest.raises(RemoteProtocolError), reconciling(path, str(orders)):
            pass
    packed = tmp_path / "bill.csv.gz"
    packed.write_bytes(gzip.compress(whole))
    assert found(packed, orders) == []


def test_T64_the_list_of_differences_holds_no_formula(tmp_path: Path) -> None:
    """Numbers come from outside: the CSV keeps them as text."""
    bill = write_bill(tmp_path / "bill.csv", [paid("=1+1"), paid("12345678901234567890")])
    orders = write_orders(tmp_path / "orders.csv", [])
    with reconciling(bill, str(orders)) as report:
        write_differences(tmp_path / "out.csv", report.match.differences())
    rows = list(csv.reader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines()))
    assert [row[2] for row in rows[1:]] == ["'12345678901234567890", "'=1+1"]


def test_F51_the_command_says_by_its_exit_code(
    everything: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """0 clean, 1 differences, 2 could not run; --json is one object."""
    bill, orders = everything
    assert main(["reconcile", str(bill), "--orders", str(orders), "--day", "2026-03-01", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["classes"]["duplicate"] == 1
    assert main(["reconcile", str(bill), "--orders", str(orders)]) == 1
    assert "missing_here" in capsys.readouterr().out
    clean = write_bill(bill.with_name("clean.csv"), [paid("A")])
    mine = write_orders(bill.with_name("mine.csv"), [own("A")])
    assert main(["reconcile", str(clean), "--orders", str(mine)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "clean"
    assert main(["reconcile", str(clean), "--orders", "nowhere.csv"]) == 2
    assert main(["reconcile", "nowhere.csv", "--orders", str(mine)]) == 2
    assert main(["reconcile", str(clean), "--orders", str(mine), "--day", "1 March"]) == 2


def test_F51_orders_are_walked_over_in_every_database(database: Database) -> None:
    """Page by page, each once, in the order of their numbers as that database sorts them."""
    book = OrderTable()
    names = [f"{letter}{place}" for letter in ("a", "A", "b-", "b_", "0") for place in range(3)]

    def fill(transaction: Any) -> None:
        for name in names:
            book.add(transaction, Order(order_no=name, amount=Money(1_000), endpoint="here"), NOON)

    database.run(fill)
    found, after = [], ""
    while page := database.read(lambda transaction, after=after: book.page(transaction, after, 4)):  # type: ignore[misc]
        found += [order.order_no for order in page]
        after = page[-1].order_no
    assert sorted(found) == sorted(names)
    assert len({*found}) == len(found)
    assert {line.key for line in order_lines(database, book, "here")} == {*names}
    assert list(order_lines(database, book, "elsewhere")) == []
