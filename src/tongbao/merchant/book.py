"""The order book: how the acceptance finds, locks and marks the shop's orders in the shop's own table.

One implementation over a mapping of columns: ``OrderTable`` is ours, a shop maps its existing table in a few lines with
``MappedOrderBook``, and whoever has no table at all implements the four methods of ``OrderBook``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from tongbao.kernel.error import ConfigurationError, ensure
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import Instant
from tongbao.merchant.database import Transaction
from tongbao.merchant.order import Evidence, Order, OrderState, Payment
from tongbao.wire.party import Party

_PART = r"(?:[A-Za-z_][A-Za-z0-9_]{0,62}|\"[A-Za-z_][A-Za-z0-9_]{0,62}\"|`[A-Za-z_][A-Za-z0-9_]{0,62}`)"
_NAME = re.compile(rf"{_PART}(?:\.{_PART})?", re.ASCII)

_TEXTS: Final = ("endpoint", "environment", "subject", "email", "language", "currency")
_COLUMNS: Final = (
    "order_no", "amount", "state", "seller_id", "seller_login",
    "trade_no", "trade_state", "evidence", "created_at", "paid_at", "moved_at", *_TEXTS,
)  # fmt: skip


class OrderBook(Protocol):
    """The port. All methods run inside the caller's transaction and must not commit."""

    def find(self, transaction: Transaction, order_no: str) -> Order | None:
        """The order of exactly that number, or None."""
        ...

    def lock(self, transaction: Transaction, order_no: str) -> Order | None:
        """The same with its row locked until the transaction ends."""
        ...

    def mark(self, transaction: Transaction, order: Order, state: OrderState, payment: Payment) -> None:
        """Write the new state of a locked order, with the payment that proves it."""
        ...

    def waiting(self, transaction: Transaction, created_before: Instant, limit: int, after: str = "") -> Sequence[str]:
        """Numbers of pending orders created before that instant, newest first, those of one moment by number,
        descending; where an order is named in ``after`` (it need not be pending any more), those that follow it.
        None follow an order that does not exist."""
        ...


class MappedOrderBook:
    """An order book over an existing table.

    ``columns`` maps our names to the shop's columns; ``order_no``, ``amount`` and ``state`` are required, the others
    are ``endpoint``, ``environment``, ``subject``, ``email``, ``language``, ``currency``, ``seller_id``,
    ``seller_login``, ``trade_no``, ``trade_state``, ``evidence``, ``created_at``, ``paid_at``, ``moved_at`` (the times
    in whole milliseconds).
    ``constants`` gives the value of a text that has no column (``endpoint``, ``environment``, ``currency``...).
    ``states`` maps our states to the shop's values; where several mean one state give a tuple, the first is written. A
    state without a value is not written (a shop without ``shipped`` stays at ``paid``); ``pending`` and ``paid`` are
    required. ``amount_in`` is ``minor`` (whole fen) or ``major`` (a DECIMAL or text in yuan; floats are refused).
    Raises ConfigurationError naming the entry.
    """

    def __init__(
        self,
        table: str,
        columns: Mapping[str, str],
        states: Mapping[OrderState | str, Any],
        *,
        constants: Mapping[str, str] | None = None,
        amount_in: str = "minor",
    ) -> None:
        if not _NAME.fullmatch(table):
            raise ConfigurationError("table", "is not a plain name")
        for name, column in columns.items():
            if name not in _COLUMNS:
                raise ConfigurationError(f"columns.{name}", f"no such entry; known: {', '.join(sorted(_COLUMNS))}")
            if not _NAME.fullmatch(column):
                raise ConfigurationError(f"columns.{name}", "is not a plain name")
        for name in ("order_no", "amount", "state"):
            if name not in columns:
                raise ConfigurationError(f"columns.{name}", "is missing")
        for name in constants or {}:
            if name not in _TEXTS:
                raise ConfigurationError(f"constants.{name}", f"no such entry; known: {', '.join(_TEXTS)}")
        if amount_in not in ("minor", "major"):
            raise ConfigurationError("amount_in", "is not minor or major")
        self._table = table
        self._columns = dict(columns)
        self._constants = {"language": "zh", "currency": "CNY", **(constants or {})}
        self._major = amount_in == "major"
        self._write: dict[OrderState, Any] = {}
        self._read: dict[Any, OrderState] = {}
        for state, values in states.items():
            options = values if isinstance(values, tuple) else (values,)
            self._write[OrderState(state)] = options[0]
            self._read.update(dict.fromkeys(options, OrderState(state)))
        for state in (OrderState.PENDING, OrderState.PAID):
            if state not in self._write:
                raise ConfigurationError(f"states.{state}", "is missing")
        listed = ", ".join(f"{column} AS {name}" for name, column in self._columns.items())
        self._select = f"SELECT {listed} FROM {table} WHERE {columns['order_no']} = :order_no"

    def find(self, transaction: Transaction, order_no: str) -> Order | None:
        return self._one(transaction, order_no, "")

    def lock(self, transaction: Transaction, order_no: str) -> Order | None:
        return self._one(transaction, order_no, transaction.for_update)

    def _one(self, transaction: Transaction, order_no: str, suffix: str) -> Order | None:
        rows = transaction.rows(self._select + suffix, {"order_no": order_no})
        # A case-insensitive or padding collation may find another number, or two.
        exact = [row for row in rows if str(row["order_no"]) == order_no]
        return self._order(exact[0]) if len(exact) == 1 else None

    def _order(self, row: Mapping[str, Any]) -> Order:
        texts = {name: str(row[name] or "") if name in row else self._constants.get(name, "") for name in _TEXTS}
        currency = texts.pop("currency")
        state = self._read.get(row["state"])
        if state is None:
            raise ConfigurationError("states", f"the table holds {row['state']!r}, which means no state of ours")
        evidence = row.get("evidence")
        return Order(
            order_no=str(row["order_no"]),
            amount=self._amount(row["amount"], currency),
            state=state,
            seller=Party(str(row.get("seller_id") or ""), str(row.get("seller_login") or "")),
            trade_no=str(row.get("trade_no") or ""),
            trade_state=str(row.get("trade_state") or ""),
            evidence=Evidence(evidence) if evidence else None,
            created_at=_instant(row.get("created_at")),
            paid_at=_instant(row.get("paid_at")),
            moved_at=_instant(row.get("moved_at")),
            **texts,
        )

    def _amount(self, value: Any, currency: str) -> Money:
        if self._major:
            if isinstance(value, float):
                raise ConfigurationError("columns.amount", "is a floating-point column; money needs DECIMAL or text")
            try:
                return parse_major(str(value), currency)
            except InvalidAmount as error:
                raise ConfigurationError("columns.amount", f"holds a value that {error}") from error
        if type(value) is not int:
            raise ConfigurationError("columns.amount", "is not a whole number of minor units")
        return Money(value, currency)

    def page(self, transaction: Transaction, after: str, limit: int) -> list[Order]:
        """Orders in the order of their numbers, those after ``after``: for walking over the whole table."""
        number = self._columns["order_no"]
        listed = self._select.partition(" WHERE ")[0]
        rows = transaction.rows(
            f"{listed} WHERE {number} > :after ORDER BY {number} LIMIT {int(limit)}", {"after": after}
        )
        return [self._order(row) for row in rows]

    def mark(self, transaction: Transaction, order: Order, state: OrderState, payment: Payment) -> None:
        values: dict[str, object] = {"trade_state": str(payment.state), "moved_at": payment.at}
        if state in self._write:
            values["state"] = self._write[state]
        if payment.trade_no:
            values["trade_no"] = payment.trade_no
        if not order.is_paid and state in (OrderState.PAID, OrderState.SHIPPED, OrderState.FINISHED):
            values |= {"evidence": str(payment.evidence), "paid_at": payment.paid_at or payment.at}
            values.setdefault("state", self._write[OrderState.PAID])
        self._set(transaction, order, values)

    def _set(self, transaction: Transaction, order: Order, values: Mapping[str, object]) -> None:
        known = {name: value for name, value in values.items() if name in self._columns}
        if not known:
            return
        listed = ", ".join(f"{self._columns[name]} = :{name}" for name in known)
        transaction.execute(
            f"UPDATE {self._table} SET {listed} WHERE {self._columns['order_no']} = :order_no",
            {**known, "order_no": order.order_no},
        )

    def waiting(self, transaction: Transaction, created_before: Instant, limit: int, after: str = "") -> Sequence[str]:
        if "created_at" not in self._columns:
            raise ConfigurationError("columns.created_at", "is needed to look for orders that wait for evidence")
        number, state, created = (self._columns[name] for name in ("order_no", "state", "created_at"))
        values = [value for value, meaning in self._read.items() if meaning is OrderState.PENDING]
        pending = {f"state_{index}": value for index, value in enumerate(values)}
        listed = ", ".join(f":{name}" for name in pending)
        said = {**pending, "before": created_before}
        beyond = ""
        if after:
            said["after"] = after
            last = f"FROM {self._table} AS last WHERE last.{number} = :after"
            beyond = f" AND ({created}, {number}) < ((SELECT last.{created} {last}), :after)"
        rows = transaction.rows(
            f"SELECT {number} AS order_no FROM {self._table} WHERE {state} IN ({listed}) AND {created} < :before"
            f"{beyond} ORDER BY {created} DESC, {number} DESC LIMIT {max(int(limit), 1)}",
            said,
        )
        return [str(row["order_no"]) for row in rows]


class OrderTable(MappedOrderBook):
    """Our own table ``orders`` (see ``schema``), with what a shop needs to fill and read it."""

    def __init__(self) -> None:
        columns = {name: "amount_minor" if name == "amount" else name for name in _COLUMNS}
        super().__init__("orders", columns, {state: str(state) for state in OrderState})

    def add(self, transaction: Transaction, order: Order, now: Instant) -> None:
        """Store a new pending order before the buyer is sent to pay (step 2 of a payment)."""
        ensure(order.state is OrderState.PENDING, "a new order is pending")
        transaction.execute(
            "INSERT INTO orders (order_no, endpoint, environment, subject, amount_minor, currency, seller_id,"
            " seller_login, email, language, state, created_at, moved_at) VALUES (:order_no, :endpoint, :environment,"
            " :subject, :amount, :currency, :seller_id, :seller_login, :email, :language, :state, :now, :now)",
            {
                "order_no": order.order_no,
                "endpoint": order.endpoint,
                "environment": order.environment,
                "subject": order.subject,
                "amount": order.amount.minor,
                "currency": order.amount.currency,
                "seller_id": order.seller.id,
                "seller_login": order.seller.login,
                "email": order.email,
                "language": order.language,
                "state": str(OrderState.PENDING),
                "now": order.created_at or now,
            },
        )

    def recent(self, transaction: Transaction, limit: int = 50) -> list[Order]:
        """The newest orders first."""
        rows = transaction.rows(
            f"SELECT {', '.join(f'{column} AS {name}' for name, column in self._columns.items())} FROM orders "
            f"ORDER BY created_at DESC, order_no DESC LIMIT {int(limit)}"
        )
        return [self._order(row) for row in rows]


def _instant(value: Any) -> Instant | None:
    return Instant(int(value)) if value is not None else None
