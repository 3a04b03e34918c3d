"""Filling the books before anything is measured: people through the committer, past trades set-based.

The past trades are paid trades with payment, event, entry, two postings and used authorisation, over two days, and are
part of the lane's chain, so that the auditor checks them as any others. Rows are copies of what the rules made of
one trade.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import asyncpg

from benchmarks import house
from benchmarks.house import Books
from benchmarks.server import authorisation_of
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, Instant, business_day
from tongbao.ledger.account import buyer_balance, merchant_pending, open_account, platform_fee
from tongbao.ledger.entry import Entry, Posting, seal
from tongbao.service.create import Asker, OpenTrade
from tongbao.service.pay import PayFromBalance
from tongbao.service.platform import Platform
from tongbao.service.term import hash_terms
from tongbao.store.migrate import migrate_postgresql, migrate_sqlite
from tongbao.store.schema import ACCOUNT, AUTHORISATION, ENTRY, EVENT, LANE, PAYMENT, POSTING, TRADE
from tongbao.store.sqlite import connect
from tongbao.store.table import Row, Table
from tongbao.trade.party import Authorisation
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Product

CHUNK: Final = 20_000
PAST: Final = "past"
SPREAD: Final = 61_803_398_874_989_484_821
"""Times this, consecutive numbers fall all over the index of trade numbers, as random ones do."""
Rows = dict[Table, list[tuple[Any, ...]]]


class Writer:
    """Puts rows into empty places of the books, in bulk."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.pg: Any = None
        self.lite: sqlite3.Connection | None = None

    async def __aenter__(self) -> Writer:
        if self.books.dialect == "sqlite":
            self.lite = connect(self.books.where)
        else:
            self.pg = await asyncpg.connect(self.books.where)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self.lite is not None:
            self.lite.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.lite.close()
        else:
            await self.pg.close()

    async def write(self, rows: Mapping[Table, Sequence[tuple[Any, ...]]]) -> None:
        """All of it in one transaction."""
        if self.lite is not None:
            self.lite.execute("BEGIN IMMEDIATE")
            for table, values in rows.items():
                self.lite.executemany(table.sqlite["insert"], values)
            self.lite.execute("COMMIT")
            return
        async with self.pg.transaction():
            for table, values in rows.items():
                names = [column.name for column in table.columns]
                await self.pg.copy_records_to_table(table.name, records=values, columns=names)

    async def update(self, table: Table, rows: Iterable[Row]) -> None:
        """Rows by key."""
        values = [table.update_of(row) for row in rows]
        if self.lite is not None:
            self.lite.executemany(table.sqlite["update"], values)
        else:
            await self.pg.execute(table.postgresql["update"], *map(list, zip(*values, strict=True)))

    async def tidy(self) -> None:
        """Statistics and hint bits, as a database that has run for a while has them."""
        if self.lite is not None:
            self.lite.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            await self.pg.execute("VACUUM ANALYZE")
            await self.pg.execute("CHECKPOINT")


class Stamp:
    """A row as a template: the same values but for the named columns."""

    def __init__(self, table: Table, row: Row, *columns: str) -> None:
        names = [column.name for column in table.columns]
        self.values = list(table.values_of(row))
        self.places = [names.index(column) for column in columns]

    def __call__(self, *values: object) -> tuple[Any, ...]:
        made = self.values[:]
        for place, value in zip(self.places, values, strict=True):
            made[place] = value
        return tuple(made)


async def fill(books: Books, trades: int) -> None:
    """Make the tables, bring in the people, and ``trades`` past trades."""
    if books.dialect == "sqlite":
        migrate_sqlite(books.where)
    else:
        await migrate_postgresql(books.where)
    world = house.make_world(-2 * DAY)
    database = await books.open()
    platform = house.make_platform(world, database)
    await platform.start()
    for group in house.people(platform):
        await asyncio.gather(*[platform.submit(command) for command in group])
    sample = await _sample(platform, books)
    await platform.stop()
    await database.close()
    async with Writer(books) as writer:
        if not trades:
            return
        past = _Past(sample, trades, house.make_world().clock.business())
        for rows in past.chunks():
            await writer.write(rows)
        await writer.update(LANE, [past.lane])
        known, fresh = past.balances()
        await writer.update(ACCOUNT, known)
        await writer.write({ACCOUNT: [ACCOUNT.values_of(row) for row in fresh]})
        await writer.tidy()
    await world.close()


async def _sample(platform: Platform, books: Books) -> dict[Table, list[Row]]:
    """What the rules make of one trade that is created and paid: the templates."""
    merchant, buyer, number = house.merchant_id(0), house.buyer_id(0), "sample"
    intent = CreateTrade(
        merchant=merchant,
        out_trade_no=number,
        product=Product.INSTANT,
        subject="测试商品",
        amount=Money(house.AMOUNT),
        body="一件小东西, 黑色",
        seller=Party(merchant, ""),
        notify_url=house.notify_url(0, 9),
        return_url="http://127.0.0.1:9/return",
        show_url="http://127.0.0.1:9/goods/1",
        echo={"_input_charset": "utf-8", "sign_type": "MD5", "service": "create_direct_pay_by_user"},
    )
    await platform.submit(OpenTrade(Asker(merchant, house.PROTOCOL), intent, platform.new_trade_no()))
    async with Writer(books) as writer:
        word = authorisation_of(number)
        await writer.write({AUTHORISATION: [_granted(number, merchant, buyer, platform.world.clock.wire())]})
    await platform.submit(PayFromBalance(merchant, number, buyer, word))
    load = platform.database.load
    lane = (await load(LANE, [(0,)]))[0]
    accounts = [merchant_pending(house.merchant_id(n), "CNY") for n in range(house.MERCHANTS)]
    accounts += [buyer_balance(house.buyer_id(n), "CNY") for n in range(house.BUYERS)] + [platform_fee(0, "CNY")]
    return {
        TRADE: await load(TRADE, [(merchant, number)]),
        PAYMENT: await load(PAYMENT, [(merchant, number, 1)]),
        EVENT: await load(EVENT, [(merchant, number, 1)]),
        AUTHORISATION: await load(AUTHORISATION, [(word,)]),
        ENTRY: await load(ENTRY, [(0, lane.entry_seq)]),
        POSTING: await load(POSTING, [(0, lane.entry_seq, 1), (0, lane.entry_seq, 2)]),
        LANE: [lane],
        ACCOUNT: await load(ACCOUNT, [(code,) for code in accounts]),
    }


def _granted(number: str, merchant: str, buyer: str, at: int) -> tuple[Any, ...]:
    row = Authorisation(
        authorisation_of(number), buyer, "pay", merchant, number, house.AMOUNT, "CNY", "granted", Instant(at)
    )
    return tuple(AUTHORISATION.values_of(row))


async def grant(books: Books, prefix: str, merchants: int, count: int) -> None:
    """Authorisations for the trades ``prefix`` 0 to ``count``, as ``benchmarks.load`` numbers them."""
    at = house.make_world().clock.wire()
    async with Writer(books) as writer:
        for start in range(0, count, CHUNK):
            rows = [
                _granted(f"{prefix}{n:08d}", house.merchant_id(n % merchants), house.buyer_id(n % house.BUYERS), at)
                for n in range(start, min(count, start + CHUNK))
            ]
            await writer.write({AUTHORISATION: rows})


class _Past:
    """The rows of past trades, chunk by chunk; ``lane`` and ``balances`` are the books' end after them."""

    def __init__(self, sample: dict[Table, list[Row]], trades: int, now: int) -> None:
        self.sample = sample
        self.trades = trades
        self.lane = sample[LANE][0]
        self.start = Instant(self.lane.moved_at + 1)
        self.span = now - self.start - 1
        self.deltas: dict[str, int] = {}
        trade, payment, event, word = (sample[table][0] for table in (TRADE, PAYMENT, EVENT, AUTHORISATION))
        self.trade = Stamp(
            TRADE, trade, "merchant_id", "out_trade_no", "trade_no", "buyer_id", "buyer_login", "created_at", "paid_at",
            "moved_at", "due_at", "terms", "terms_hash",
        )  # fmt: skip
        self.payment = Stamp(
            PAYMENT, payment, "merchant_id", "out_trade_no", "payment_no", "buyer_id", "buyer_login", "intent",
            "created_at", "ended_at",
        )  # fmt: skip
        self.event = Stamp(
            EVENT, replace(event, notify_state="silent", target="", next_at=None), "merchant_id", "out_trade_no",
            "cause", "at", "snapshot",
        )  # fmt: skip
        self.word = Stamp(AUTHORISATION, word, "authorisation_id", "buyer_id", "merchant_id", "out_trade_no", "wire_at")
        self.fee = trade.fee

    def chunks(self) -> Iterator[Rows]:
        for start in range(0, self.trades, CHUNK):
            rows: Rows = {table: [] for table in (TRADE, PAYMENT, EVENT, AUTHORISATION, ENTRY, POSTING)}
            for number in range(start, min(self.trades, start + CHUNK)):
                self._add(rows, number)
            yield rows

    def _add(self, rows: Rows, number: int) -> None:
        trade, event = self.sample[TRADE][0], self.sample[EVENT][0]
        own, buyer = house.merchant_id(number % house.MERCHANTS), house.buyer_id(number % house.BUYERS)
        login = house.buyer_login(number % house.BUYERS)
        at = Instant(self.start + self.span * number // self.trades)
        out_trade_no, trade_no = f"{PAST}{number:08d}", f"20000101{number * SPREAD % 10**20:020d}"
        terms = trade.terms.replace(trade.merchant_id, own)
        intent = CreateTrade(
            merchant=own, out_trade_no=out_trade_no, product=Product.INSTANT, subject="", amount=Money(trade.amount)
        )
        digest = hash_terms(intent, terms)
        rows[TRADE].append(
            self.trade(own, out_trade_no, trade_no, buyer, login, at, at, at, at + 90 * DAY, terms, digest)
        )
        payment_no = f"{trade_no}{self.sample[PAYMENT][0].payment_no[28:]}"
        rows[PAYMENT].append(
            self.payment(own, out_trade_no, payment_no, buyer, login, authorisation_of(out_trade_no), at, at)
        )
        snapshot = (
            event.snapshot.replace(trade.buyer_id, buyer)
            .replace(trade.buyer_login, login)
            .replace(str(event.at), str(at))
        )
        rows[EVENT].append(self.event(own, out_trade_no, f"pay:{payment_no}", at, snapshot))
        rows[AUTHORISATION].append(self.word(authorisation_of(out_trade_no), buyer, own, out_trade_no, at))
        pending, source = merchant_pending(own, "CNY"), buyer_balance(buyer, "CNY")
        postings = (Posting(source, pending, trade.amount), Posting(pending, platform_fee(0, "CNY"), self.fee))
        entry = Entry(f"pay:{trade_no}", "pay", own, out_trade_no, postings)
        lane = self.lane
        seq = lane.entry_seq + 1
        head = seal(lane.head, 0, seq, at, entry)
        self.lane = replace(lane, entry_seq=seq, head=head, moved_at=at)
        rows[ENTRY].append((0, seq, entry.key, "pay", own, out_trade_no, at, business_day(at), head))
        for n, posting in enumerate(postings, 1):
            rows[POSTING].append((0, seq, n, posting.debit, posting.credit, posting.amount))
        for code, delta in entry.deltas().items():
            self.deltas[code] = self.deltas.get(code, 0) + delta

    def balances(self) -> tuple[list[Row], list[Row]]:
        """Accounts that were there and accounts that are new, as they stand after all past trades."""
        known: dict[str, Row] = {account.code: account for account in self.sample[ACCOUNT]}
        rows = {
            code: replace(known.get(code) or open_account(code, self.start), balance=delta + _balance(known.get(code)))
            for code, delta in self.deltas.items()
        }
        return (
            [row for code, row in rows.items() if code in known],
            [row for code, row in rows.items() if code not in known],
        )


def _balance(account: Any) -> int:
    return 0 if account is None else int(account.balance)
