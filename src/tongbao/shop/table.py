"""The shop's own rows, beside the order book's: stock, carts, lines of an order, and what the buyer chose.

Every function runs in a transaction of the caller and never commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.merchant.database import Transaction
from tongbao.merchant.order import Order, Payment
from tongbao.shop.shelf import SHELF

QUANTITY_MAX: Final = 99

_SCRIPT: Final = """
CREATE TABLE IF NOT EXISTS shop_stock (
  sku TEXT NOT NULL PRIMARY KEY,
  stock INTEGER NOT NULL CHECK (stock >= 0),
  owed INTEGER NOT NULL DEFAULT 0 CHECK (owed >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS shop_cart (
  visitor TEXT NOT NULL,
  sku TEXT NOT NULL,
  quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 99),
  PRIMARY KEY (visitor, sku)
) STRICT;
CREATE TABLE IF NOT EXISTS shop_line (
  order_no TEXT NOT NULL,
  sku TEXT NOT NULL,
  quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 99),
  price_minor INTEGER NOT NULL CHECK (price_minor > 0),
  PRIMARY KEY (order_no, sku)
) STRICT;
CREATE TABLE IF NOT EXISTS shop_choice (
  order_no TEXT NOT NULL PRIMARY KEY,
  visitor TEXT NOT NULL,
  product TEXT NOT NULL,
  method TEXT NOT NULL,
  bank TEXT NOT NULL,
  expiry_seconds INTEGER,
  consignee TEXT NOT NULL,
  place TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS shop_choice_visitor ON shop_choice (visitor);
CREATE TABLE IF NOT EXISTS shop_setting (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT
"""

TABLES: Final = tuple(part.strip() for part in _SCRIPT.split(";"))
"""The demonstration shop keeps its own rows in SQLite."""

_TAKE: Final = (
    "UPDATE shop_stock SET owed = owed + MAX(:quantity - stock, 0), stock = MAX(stock - :quantity, 0) WHERE sku = :sku"
)


@dataclass(frozen=True, slots=True)
class Line:
    """So many of one good at the price it had."""

    sku: str
    quantity: int
    price: Money

    @property
    def total(self) -> Money:
        return self.price * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the buyer chose when the order was stored. ``expiry_seconds`` None: as the platform has it; '' no hint."""

    order_no: str
    visitor: str
    product: str
    method: str = ""
    bank: str = ""
    expiry_seconds: int | None = None
    consignee: str = ""
    place: str = ""


def sum_lines(lines: Iterable[Line]) -> Money:
    """What the lines cost together."""
    return sum((line.total for line in lines), Money(0))


def keep_setting(transaction: Transaction, name: str, value: str) -> str:
    """The stored value of a setting; ``value`` where there is none yet."""
    transaction.execute(
        "INSERT INTO shop_setting (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING",
        {"name": name, "value": value},
    )
    row = transaction.rows("SELECT value FROM shop_setting WHERE name = :name", {"name": name})[0]
    return str(row["value"])


def fill_stock(transaction: Transaction) -> None:
    """Every good of the shelf has a row; what is there already stays."""
    for good in SHELF.values():
        transaction.execute(
            "INSERT INTO shop_stock (sku, stock) VALUES (:sku, :stock) ON CONFLICT DO NOTHING",
            {"sku": good.sku, "stock": good.stock},
        )


def read_stock(transaction: Transaction) -> dict[str, tuple[int, int]]:
    """By sku: how many there are, and how many were sold beyond that."""
    rows = transaction.rows("SELECT sku, stock, owed FROM shop_stock")
    return {str(row["sku"]): (int(row["stock"]), int(row["owed"])) for row in rows}


def take_stock(transaction: Transaction, order: Order, payment: Payment) -> None:
    """The ``apply`` hook: inside the transaction that marks the order paid, so the goods leave the shelf exactly once.

    A sum that was taken is never refused for want of goods: what is missing is owed.
    """
    for line in read_lines(transaction, payment.order_no):
        transaction.execute(_TAKE, {"sku": line.sku, "quantity": line.quantity})


def read_cart(transaction: Transaction, visitor: str) -> list[Line]:
    """The cart's lines at today's prices, in the order of the shelf."""
    rows = transaction.rows("SELECT sku, quantity FROM shop_cart WHERE visitor = :visitor", {"visitor": visitor})
    found = {str(row["sku"]): int(row["quantity"]) for row in rows}
    return [Line(sku, found[sku], good.price) for sku, good in SHELF.items() if sku in found]


def put_in_cart(transaction: Transaction, visitor: str, sku: str, quantity: int, *, add: bool) -> None:
    """Set the quantity, or ``add`` to it; zero takes the good out. Never above QUANTITY_MAX."""
    kept = {line.sku: line.quantity for line in read_cart(transaction, visitor)}
    wanted = min(quantity + (kept.get(sku, 0) if add else 0), QUANTITY_MAX)
    keys = {"visitor": visitor, "sku": sku}
    if wanted <= 0:
        transaction.execute("DELETE FROM shop_cart WHERE visitor = :visitor AND sku = :sku", keys)
        return
    transaction.execute(
        "INSERT INTO shop_cart (visitor, sku, quantity) VALUES (:visitor, :sku, :quantity)"
        " ON CONFLICT (visitor, sku) DO UPDATE SET quantity = excluded.quantity",
        {**keys, "quantity": wanted},
    )


def store_choice(transaction: Transaction, choice: Choice, lines: Iterable[Line]) -> None:
    """The rows that go with a new order; the visitor's cart is empty afterwards."""
    names = ("order_no", "visitor", "product", "method", "bank", "expiry_seconds", "consignee", "place")
    transaction.execute(
        f"INSERT INTO shop_choice ({', '.join(names)}) VALUES (:{', :'.join(names)})",
        {name: getattr(choice, name) for name in names},
    )
    for line in lines:
        transaction.execute(
            "INSERT INTO shop_line (order_no, sku, quantity, price_minor) VALUES (:order_no, :sku, :quantity, :price)",
            {"order_no": choice.order_no, "sku": line.sku, "quantity": line.quantity, "price": line.price.minor},
        )
    transaction.execute("DELETE FROM shop_cart WHERE visitor = :visitor", {"visitor": choice.visitor})


def read_lines(transaction: Transaction, order_no: str) -> list[Line]:
    """The lines of an order, in the order of the shelf."""
    rows = transaction.rows(
        "SELECT sku, quantity, price_minor FROM shop_line WHERE order_no = :order_no ORDER BY rowid",
        {"order_no": order_no},
    )
    return [Line(str(row["sku"]), int(row["quantity"]), Money(int(row["price_minor"]))) for row in rows]


def read_choice(transaction: Transaction, order_no: str) -> Choice | None:
    """What the buyer chose, or None for an order that is not the shop's."""
    rows = transaction.rows("SELECT * FROM shop_choice WHERE order_no = :order_no", {"order_no": order_no})
    return Choice(**rows[0]) if rows else None


def read_numbers(transaction: Transaction, visitor: str, limit: int = 50) -> list[str]:
    """Numbers of a visitor's orders, newest first."""
    rows = transaction.rows(
        f"SELECT order_no FROM shop_choice WHERE visitor = :visitor ORDER BY order_no DESC LIMIT {int(limit)}",
        {"visitor": visitor},
    )
    return [str(row["order_no"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that the shop's database says about one order beside the order itself."""

    events: tuple[Mapping[str, Any], ...]
    """Accepted messages: evidence, event, disposition, reason, notification_id, accepted_at."""
    jobs: tuple[Mapping[str, Any], ...]
    """Work after the commit: kind, state, attempts, next_at, done_at, error."""
    refused: tuple[Mapping[str, Any], ...]
    """Invalid requests that named this order: step, reason, detail, received_at."""


def read_knowledge(transaction: Transaction, order_no: str) -> Knowledge:
    """Whatever was accepted, is to be done, or was refused about this order; oldest first."""
    keys = {"order_no": order_no}
    events = transaction.rows(
        "SELECT evidence, event, disposition, reason, notification_id, accepted_at FROM payment_inbox"
        " WHERE order_no = :order_no ORDER BY accepted_at, event",
        keys,
    )
    jobs = transaction.rows(
        "SELECT kind, state, attempts, next_at, done_at, error FROM payment_outbox"
        " WHERE order_no = :order_no ORDER BY created_at, job_key",
        keys,
    )
    refused = transaction.rows(
        "SELECT step, reason, detail, received_at FROM payment_invalid WHERE order_no = :order_no ORDER BY id LIMIT 50",
        keys,
    )
    return Knowledge(tuple(events), tuple(jobs), tuple(refused))


def change_endpoint(transaction: Transaction, order_no: str, endpoint: str) -> None:
    """Send a pending order that no trade is bound to through another endpoint."""
    transaction.execute(
        "UPDATE orders SET endpoint = :endpoint WHERE order_no = :order_no AND state = 'pending' AND trade_no IS NULL",
        {"endpoint": endpoint, "order_no": order_no},
    )


def close_unopened(transaction: Transaction, order_no: str, now: Instant) -> None:
    """Close a pending order for which the platform has no trade. A payment that still comes becomes a case."""
    transaction.execute(
        "UPDATE orders SET state = 'closed', moved_at = :now WHERE order_no = :order_no AND state = 'pending'",
        {"order_no": order_no, "now": now},
    )
