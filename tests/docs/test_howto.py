"""The how-to pages of the merchant's side: their code compiles, both languages show the same, and the mapping works."""

from __future__ import annotations

import ast
import runpy
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.docs.page import read_blocks
from tongbao.kernel.money import Money
from tongbao.merchant.book import MappedOrderBook
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.order import OrderState

PAGES = [
    "accept-notifications",
    "configure-a-merchant",
    "map-an-order-table",
    "refunds-and-payouts",
    "use-your-framework",
]


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_show_the_same_code_and_it_compiles(page: str) -> None:
    """Block by block."""
    blocks = read_blocks(f"en/how-to/{page}.md")
    assert read_blocks(f"zh/how-to/{page}.md") == blocks
    for block in blocks:
        if block.kind == "python":
            compile(block.text, block.file, "exec")


@pytest.mark.parametrize("page", PAGES)
def test_every_name_that_a_page_imports_from_us_exists(page: str) -> None:
    """No example names what is not there."""
    for block in read_blocks(f"en/how-to/{page}.md"):
        if block.kind != "python":
            continue
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tongbao":
                module = __import__(node.module or "", fromlist=[alias.name for alias in node.names])
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_mapping_of_the_page_reads_the_table_of_the_page(tmp_path: Path) -> None:
    """Under thirty lines, and it finds the order."""
    table, mapping = read_blocks("en/how-to/map-an-order-table.md")[:2]
    assert len(mapping.text.splitlines()) < 30
    (tmp_path / "book.py").write_text(mapping.text)
    book = runpy.run_path(str(tmp_path / "book.py"))["book"]
    assert isinstance(book, MappedOrderBook)
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(table.text.replace("decimal(10,2)", "text"))
        connection.execute("INSERT INTO \"order\" VALUES ('A1', '12.30', 1, 'b@example.com', NULL, 1)")
        connection.commit()
    database = Database(Dialect.SQLITE, lambda: sqlite3.connect(path))
    order = database.read(lambda transaction: book.find(transaction, "A1"))
    assert order is not None
    assert (order.amount, order.state, order.endpoint) == (Money(1230), OrderState.PENDING, "alipay")
