"""The order book on SQLite, PostgreSQL and MariaDB: ours, and a shop's own table mapped in a few lines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.merchant.conftest import KEY, Shop, configure, create
from tests.merchant.trial import Platform
from tests.support.clock import NOW, Hands
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, later
from tongbao.merchant.book import MappedOrderBook, OrderTable
from tongbao.merchant.database import Database, Dialect, Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import Evidence, Order, OrderState
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.schema import schema, statements
from tongbao.merchant.verdict import VerdictKind
from tongbao.wire.party import Party

FULL = Order(
    order_no="A-1",
    amount=Money(123_456_789_012, "USD"),
    endpoint="trial",
    environment="sandbox",
    subject="龙井茶 ☕",
    seller=Party("s1", "seller@example.com"),
    email="buyer@example.com",
    language="en",
)

SHOP_TABLE = """
CREATE TABLE {quote}order{quote} (
  sn varchar(32) NOT NULL PRIMARY KEY, total decimal(10,2) NOT NULL, status integer NOT NULL,
  mail varchar(100), pay_no varchar(64), created bigint NOT NULL
)
"""


def shop_book(database: Database) -> MappedOrderBook:
    """What a shop with a table of its own writes."""
    quote = "`" if database.dialect is Dialect.MYSQL else '"'
    return MappedOrderBook(
        f"{quote}order{quote}",
        {
            "order_no": "sn",
            "amount": "total",
            "state": "status",
            "email": "mail",
            "trade_no": "pay_no",
            "created_at": "created",
        },
        {"pending": (0, 1), "paid": 2, "shipped": 3, "closed": 9},
        constants={"endpoint": "trial", "environment": "sandbox", "language": "zh"},
        amount_in="major",
    )


def execute(database: Database, statement: str, **parameters: object) -> None:
    """Run one statement in a transaction of its own."""
    database.run(lambda transaction: transaction.execute(statement, parameters))


def find(database: Database, book: MappedOrderBook) -> Order | None:
    """The order A1, if the book has it."""
    return database.read(lambda transaction: book.find(transaction, "A1"))


def own_table(database: Database) -> Database:
    quote = "`" if database.dialect is Dialect.MYSQL else '"'
    text = SHOP_TABLE.format(quote=quote)
    if database.dialect is Dialect.SQLITE:
        text = text.replace("decimal(10,2)", "text")
    if database.dialect is Dialect.MYSQL:
        text += " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    database.run(lambda transaction: transaction.execute(text))
    return database


def test_an_order_is_stored_and_read_back_whole(database: Database) -> None:
    """Every column survives, four-byte characters and large sums included."""
    book = OrderTable()
    database.run(lambda transaction: book.add(transaction, FULL, NOW))
    found = database.read(lambda transaction: book.find(transaction, "A-1"))
    assert found is not None
    assert (found.created_at, found.moved_at) == (NOW, NOW)
    assert (found.amount, found.subject, found.seller, found.email) == (
        FULL.amount,
        FULL.subject,
        FULL.seller,
        FULL.email,
    )
    assert (found.endpoint, found.environment, found.language) == ("trial", "sandbox", "en")
    assert (found.state, found.evidence, found.trade_no) == (OrderState.PENDING, None, "")
    assert database.read(book.recent) == [found]


@pytest.mark.parametrize("number", ["a-1", "A-1 ", " A-1", "Ａ-1", "A-1\x00", "A-2", ""])
def test_T26_only_exactly_that_number_is_found(database: Database, number: str) -> None:
    """Neither case nor blanks nor width are forgiven by any database."""
    book = OrderTable()
    database.run(lambda transaction: book.add(transaction, FULL, NOW))
    if "\x00" in number and database.dialect is Dialect.POSTGRESQL:
        return
    assert database.read(lambda transaction: book.find(transaction, number)) is None
    assert database.run(lambda transaction: book.lock(transaction, number)) is None


def test_I26_the_table_refuses_a_paid_order_without_evidence(database: Database) -> None:
    """Not even by hand."""
    database.run(lambda transaction: OrderTable().add(transaction, FULL, NOW))
    with pytest.raises(Exception, match=r"(?i)check|constraint"):
        database.run(
            lambda transaction: transaction.execute("UPDATE orders SET state = 'paid', trade_no = 'T', paid_at = 1")
        )
    with pytest.raises(Exception, match=r"(?i)check|constraint"):
        database.run(lambda transaction: transaction.execute("UPDATE orders SET evidence = 'RETURN'"))


def test_I25_the_tables_refuse_a_second_effect(any_shop: Shop) -> None:
    """One of a kind per order, one of a kind per trade."""
    shop = any_shop
    shop.order()
    shop.platform.trade("A1")
    shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
    for change in ("'A1', 'paid', :provider, 'OTHER'", "'B2', 'paid', :provider, 'TA1'"):
        statement = (
            "INSERT INTO payment_effect (order_no, kind, provider, trade_no, event, amount_minor, currency, evidence,"
            f" made_at) VALUES ({change}, 'paid', 1, 'CNY', 'NOTIFY', 1)"
        )
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            execute(shop.database, statement, provider="trial:m1")


def test_the_schema_names_its_dialect() -> None:
    """SQLite tables are strict, MariaDB's are InnoDB and compare by bytes, and our orders can be left out."""
    assert schema("sqlite").count("STRICT;") == 6
    assert schema("mysql").count("ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;") == 6
    assert "GENERATED ALWAYS AS IDENTITY" in schema("postgresql")
    assert "CREATE TABLE IF NOT EXISTS orders" not in schema("sqlite", orders=False)
    assert len(statements("sqlite", orders=False)) == len(statements("sqlite")) - 2
    with pytest.raises(ValueError, match="oracle"):
        schema("oracle")


def test_the_script_may_run_twice(sqlite_database: Database) -> None:
    """Every statement says IF NOT EXISTS where the database can."""
    create(sqlite_database)


def mapped(database: Database, platform: Platform, **more: Any) -> Receiver:
    return Receiver(
        [Endpoint(name="trial", configuration=configure())],
        shop_book(database),
        database,
        clock=Hands(),
        send=platform,
        **more,
    )


def test_a_shop_maps_its_own_table(database: Database) -> None:
    """Yuan in a decimal column, numbers for states, no evidence column: paid, shipped, and the evidence is kept."""
    own_table(database)
    quote = "`" if database.dialect is Dialect.MYSQL else '"'
    insert = f"INSERT INTO {quote}order{quote} VALUES ('A1', '10.00', 1, 'buyer@example.com', NULL, {NOW})"
    database.run(lambda transaction: transaction.execute(insert))
    platform = Platform(KEY.encode())
    platform.trade("A1", state="escrowed")
    receiver = mapped(database, platform)
    assert receiver.accept_notification(platform.notify("A1", at=NOW)).verdict.kind is VerdictKind.APPLIED
    row = database.read(lambda transaction: transaction.rows(f"SELECT status, pay_no FROM {quote}order{quote}"))
    assert row == [{"status": 2, "pay_no": "TA1"}]
    for state in ("shipped", "finished"):
        platform.trade("A1", state=state)
        assert receiver.accept_notification(platform.notify("A1", at=NOW)).verdict.accepted
    row = database.read(lambda transaction: transaction.rows(f"SELECT status, pay_no FROM {quote}order{quote}"))
    assert row == [{"status": 3, "pay_no": "TA1"}]
    effects = database.read(
        lambda transaction: transaction.rows("SELECT kind, evidence FROM payment_effect ORDER BY made_at, kind")
    )
    assert effects == [
        {"kind": "finished", "evidence": "NOTIFY"},
        {"kind": "paid", "evidence": "NOTIFY"},
        {"kind": "shipped", "evidence": "NOTIFY"},
    ]


def test_a_mapped_table_lists_who_waits_in_any_pending_state(sqlite_database: Database) -> None:
    """Two values mean pending; both are found, newest first, those of one moment by number, page by page."""
    own_table(sqlite_database)
    for number, status, created in (("B", 0, 2), ("A", 1, 1), ("C", 2, 3), ("D", 0, int(later(NOW, 1))), ("E", 1, 2)):
        insert = f"INSERT INTO \"order\" VALUES ('{number}', '1.00', {status}, NULL, NULL, {created})"
        execute(sqlite_database, insert)
    book = shop_book(sqlite_database)

    def look(limit: int, after: str = "", before: Instant = NOW) -> list[str]:
        return list(sqlite_database.read(lambda rows: list(book.waiting(rows, before, limit, after))))

    assert (look(10), look(10, before=Instant(2))) == (["E", "B", "A"], ["A"])
    assert (look(2), look(2, "E"), look(1, "B"), look(2, "A")) == (["E", "B"], ["B", "A"], ["A"], [])
    assert look(10, "C") == ["E", "B", "A"], "it need not be pending"
    assert look(10, "unknown") == []


def test_an_order_without_pending_payment_states_is_a_configuration_error() -> None:
    """Each wrong entry of a mapping is named."""
    columns = {"order_no": "sn", "amount": "total", "state": "status"}
    states = {"pending": 0, "paid": 1}
    for arguments, field in (
        (("orders; DROP", columns, states), "table"),
        (("t", {**columns, "colour": "x"}, states), "columns.colour"),
        (("t", {**columns, "email": "a b"}, states), "columns.email"),
        (("t", {"order_no": "sn", "amount": "total"}, states), "columns.state"),
        (("t", columns, {"pending": 0}), "states.paid"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            MappedOrderBook(*arguments)
        assert caught.value.field == field
    for options, field in (({"constants": {"amount": "1"}}, "constants.amount"), ({"amount_in": "yuan"}, "amount_in")):
        with pytest.raises(ConfigurationError) as caught:
            MappedOrderBook("t", columns, states, **options)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("value", "status", "field"),
    [("10.00", 7, "states"), ("10.000", 0, "columns.amount"), ("ten", 0, "columns.amount")],
)
def test_a_row_that_means_nothing_is_refused(sqlite_database: Database, value: str, status: int, field: str) -> None:
    """An unknown state or a sum that is none stops the acceptance; it never guesses."""
    own_table(sqlite_database)
    insert = f"INSERT INTO \"order\" VALUES ('A1', '{value}', {status}, NULL, NULL, 1)"
    sqlite_database.run(lambda transaction: transaction.execute(insert))
    book = shop_book(sqlite_database)
    with pytest.raises(ConfigurationError) as caught:
        sqlite_database.read(lambda transaction: book.find(transaction, "A1"))
    assert caught.value.field == field
    platform = Platform(KEY.encode())
    platform.trade("A1")
    accepted = mapped(sqlite_database, platform).accept_notification(platform.notify("A1", at=NOW))
    assert (accepted.verdict.kind, accepted.verdict.detail) == (VerdictKind.FAILED, "ConfigurationError")
    assert accepted.response.body == b"no"


def test_T39_a_floating_point_amount_is_refused(sqlite_database: Database) -> None:
    """Money in a REAL column is not compared at all."""
    statement = "CREATE TABLE t (sn text, total real, status integer)"
    sqlite_database.run(lambda transaction: transaction.execute(statement))
    sqlite_database.run(lambda transaction: transaction.execute("INSERT INTO t VALUES ('A1', 10.0, 0)"))
    columns = {"order_no": "sn", "amount": "total", "state": "status"}
    for unit in ("minor", "major"):
        book = MappedOrderBook("t", columns, {"pending": 0, "paid": 1}, amount_in=unit)
        with pytest.raises(ConfigurationError, match=r"columns\.amount"):
            find(sqlite_database, book)


def test_a_book_of_another_kind_implements_four_methods(sqlite_database: Database) -> None:
    """The port is small enough for a shop that keeps orders elsewhere."""

    class Memory:
        def __init__(self) -> None:
            self.order = Order(order_no="A1", amount=Money(1000))
            self.locks = 0

        def find(self, transaction: Transaction, order_no: str) -> Order | None:
            return self.order if order_no == "A1" else None

        def lock(self, transaction: Transaction, order_no: str) -> Order | None:
            self.locks += 1
            return self.find(transaction, order_no)

        def mark(self, transaction: Transaction, order: Order, state: OrderState, payment: Any) -> None:
            self.order = Order(order_no="A1", amount=order.amount, state=state, evidence=payment.evidence)

        def waiting(self, transaction: Transaction, created_before: Any, limit: int, after: str = "") -> list[str]:
            return ["A1"]

    book = Memory()
    platform = Platform(KEY.encode())
    platform.trade("A1")
    endpoint = Endpoint(name="trial", configuration=configure())
    receiver = Receiver([endpoint], book, sqlite_database, clock=Hands(), send=platform)
    assert [verdict.kind for verdict in receiver.poll()] == [VerdictKind.APPLIED]
    assert (book.order.state, book.order.evidence, book.locks) == (OrderState.PAID, Evidence.QUERY, 1)
