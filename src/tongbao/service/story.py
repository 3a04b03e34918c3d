"""The story of one yuan: everything the platform knows of one order, from the request to the bank's statement.

One reading for the command, the console's page and the sandbox's JSON. It looks through the read pool and decides
nothing. Sums are minor units, times business time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant, business_day, china_text
from tongbao.service.bill import trade_lines
from tongbao.service.movement import Move
from tongbao.service.view import terms_of
from tongbao.store.record import Attempt, Case
from tongbao.store.schema import BILL, CASE, CLAIM, EVENT, INSTRUCTION, PAYMENT, REFUND, STATEMENT, TRADE
from tongbao.store.step import Database
from tongbao.trade.claim import Claim
from tongbao.trade.reconcile import Bill, Statement
from tongbao.trade.record import Event, Instruction, Payment, Trade
from tongbao.trade.refund import Refund
from tongbao.wire.movement import BillLine


@dataclass(frozen=True, slots=True)
class Settled:
    """What one settlement batch made of the order."""

    settlement_no: str
    gross: int
    charged: int
    refunded: int
    shared: int
    amount: int


@dataclass(frozen=True, slots=True)
class Shared:
    """One receiver's share."""

    split_no: str
    receiver: str
    amount: int
    returned: int


@dataclass(frozen=True, slots=True)
class Billed:
    """A line of the bill of its business date; ``told`` is when that bill was first made, None while it was not."""

    day: int
    line: BillLine
    told: Instant | None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A movement at a bank against the bank's statement. ``state``: ``open`` (no statement was compared yet),
    ``matched``, ``waiting``, ``case``."""

    instruction_no: str
    bank: str
    kind: str
    day: int
    state: str
    case_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of the order's money is now: ``escrow``, ``pending``, ``settled``, ``fee``, ``buyer``, ``bank`` (it
    went back through one), ``shared``, ``set_aside``, ``suspense``, ``elsewhere``."""

    name: str
    amount: int


@dataclass(frozen=True, slots=True)
class Station:
    """One stage of the way. ``state``: ``done``, ``open``, ``trouble`` or ``none`` (this order does not pass it)."""

    name: str
    state: str
    at: Instant | None


@dataclass(frozen=True, slots=True)
class Story:
    """All of it."""

    trade: Trade
    subject: str
    payments: tuple[Payment, ...]
    instructions: tuple[Instruction, ...]
    moves: tuple[Move, ...]
    events: tuple[Event, ...]
    attempts: tuple[Attempt, ...]
    refunds: tuple[Refund, ...]
    claim: Claim | None
    shares: tuple[Shared, ...]
    settlements: tuple[Settled, ...]
    bill: tuple[Billed, ...]
    statements: tuple[Reconciled, ...]
    cases: tuple[Case, ...]
    places: tuple[Place, ...]
    stations: tuple[Station, ...]


async def find(database: Database, number: str, merchant_id: str = "") -> Trade:
    """An order by the merchant's number or by ours. Raises Refused TRADE_NOT_FOUND, and STATE_CONFLICT where several
    merchants use the number."""
    rows = await database.read("trade.by_out_trade_no", {"out_trade_no": number})
    keys = [tuple(row) for row in rows if merchant_id in ("", row[0])]
    keys = keys or [tuple(row) for row in await database.read("trade.by_no", {"trade_no": number})]
    if len(keys) > 1:
        raise Refused("STATE_CONFLICT", f"{len(keys)} merchants use this number: say whose it is")
    if not keys or merchant_id not in ("", keys[0][0]):
        raise Refused("TRADE_NOT_FOUND", "no such trade")
    found: list[Trade] = await database.load(TRADE, keys)
    return found[0]


async def tell(database: Database, trade: Trade) -> Story:
    """The story as it stands."""
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    read, load = database.read, database.load
    key = (trade.merchant_id, trade.out_trade_no)

    async def rows(table: Any, keys: list[tuple[Any, ...]]) -> list[Any]:
        return await load(table, keys) if keys else []

    moves = tuple(
        Move(lane, seq, n, Instant(at), name, kind, *key, debit, credit, amount)
        for lane, seq, name, kind, at, n, debit, credit, amount in await read("entry.of_trade", where)
    )
    events: list[Event] = await rows(EVENT, [(*key, row[0]) for row in await read("event.of_trade", where)])
    instructions = await rows(INSTRUCTION, [tuple(row) for row in await read("instruction.of_trade", where)])
    refunds: list[Refund] = await rows(REFUND, [(*key, row[0]) for row in await read("refund.of_trade", where)])
    claims: list[Claim] = await rows(CLAIM, [key])
    cases: list[Case] = await rows(CASE, [tuple(row) for row in await read("case.of_trade", where)])
    settled = tuple(Settled(*row) for row in await read("story.settlements", where))
    shares = tuple(Shared(*row) for row in await read("story.shares", where))
    attempts = tuple(Attempt(*row) for row in await read("attempt.of_trade", where))
    payments = tuple(await rows(PAYMENT, [(*key, n) for n in range(1, trade.attempts + 1)]))
    bill = await _bill(database, trade, moves)
    statements = await _statements(database, where)
    places = find_places(moves, sum(one.amount for one in settled))
    ordered = tuple(sorted(events, key=lambda event: event.seq))
    return Story(
        trade=trade,
        subject=terms_of(trade).subject,
        payments=payments,
        instructions=tuple(instructions),
        moves=moves,
        events=ordered,
        attempts=attempts,
        refunds=tuple(sorted(refunds, key=lambda refund: refund.n)),
        claim=claims[0] if claims else None,
        shares=shares,
        settlements=settled,
        bill=bill,
        statements=statements,
        cases=tuple(cases),
        places=places,
        stations=_stations(trade, ordered, refunds, settled, bill, statements),
    )


async def _bill(database: Database, trade: Trade, moves: tuple[Move, ...]) -> tuple[Billed, ...]:
    groups: dict[tuple[int, int], list[Move]] = {}
    for move in moves:
        groups.setdefault((move.lane, move.seq), []).append(move)
    lines = await trade_lines(database, trade.merchant_id, list(groups.values()))
    days = sorted({business_day(line.at) for line in lines})
    keys = [(trade.merchant_id, day, "trade", trade.currency) for day in days]
    found: list[Bill] = await database.load(BILL, keys) if keys else []
    told = {bill.day: bill.made_at for bill in found}
    return tuple(Billed(business_day(line.at), line, told.get(business_day(line.at))) for line in lines)


async def _statements(database: Database, where: dict[str, str]) -> tuple[Reconciled, ...]:
    rows = await database.read("statement.of_trade", where)
    keys = sorted({(bank, business_day(Instant(moved_at))) for _, bank, _, moved_at, _, _ in rows})
    found: list[Statement] = await database.load(STATEMENT, keys) if keys else []
    compared = {(one.bank, one.day) for one in found}
    told = []
    for number, bank, kind, moved_at, gap, case_id in rows:
        day = business_day(Instant(moved_at))
        state = gap if gap in ("waiting", "case") else "matched" if (bank, day) in compared else "open"
        told.append(Reconciled(number, bank, kind, day, state, case_id))
    return tuple(told)


_PLACES: Final = {
    "escrow": "escrow",
    "pending": "pending",
    "settling": "pending",
    "available": "settled",
    "reserve": "settled",
    "refunding": "set_aside",
    "stuck": "set_aside",
    "payout": "set_aside",
    "balance": "buyer",
    "fee": "fee",
    "suspense": "suspense",
}


def find_places(moves: Iterable[Move], settled: int) -> tuple[Place, ...]:
    """Where the money that came is now: the postings' ends, less what settlements carried on. A buyer and a bank from
    whom it came count for what went back to them."""
    merchant = ""
    net: dict[str, int] = {}
    for move in moves:
        merchant = merchant or move.merchant_id
        for code, change in ((move.debit, -move.amount), (move.credit, move.amount)):
            place = _place(code, merchant)
            if change > 0 or place not in ("buyer", "bank"):
                net[place] = net.get(place, 0) + change
    if settled:
        net["pending"] = net.get("pending", 0) - settled
        net["settled"] = net.get("settled", 0) + settled
    return tuple(Place(name, amount) for name, amount in net.items() if amount > 0)


def _place(code: str, merchant: str) -> str:
    kind, owner, purpose = (*code.split(":"), "", "")[:3]
    if kind == "merchant" and owner != merchant:
        return "shared"
    return "bank" if kind == "bank" else _PLACES.get(purpose, "elsewhere")


def _stations(
    trade: Trade,
    events: tuple[Event, ...],
    refunds: list[Refund],
    settled: tuple[Settled, ...],
    bill: tuple[Billed, ...],
    statements: tuple[Reconciled, ...],
) -> tuple[Station, ...]:
    paid = "done" if trade.paid_at is not None else "none" if trade.state == "closed" else "open"
    told = {event.notify_state for event in events if event.target}
    states = {one.state for one in statements}
    back = {refund.state for refund in refunds}
    flat = trade.paid_at is None

    def of(found: set[str], trouble: set[str], waiting: set[str]) -> str:
        if found & trouble:
            return "trouble"
        return "open" if found & waiting else "done" if found else "none"

    return (
        Station("request", "done", trade.created_at),
        Station("paid", paid, trade.paid_at),
        Station("told", of(told, {"dead", "blocked"}, {"pending"}), None),
        Station("back", of(back, {"failed"}, {"accepted"}), trade.moved_at if back else None),
        Station("settled", "none" if flat else "done" if settled else "open", None),
        Station("billed", "none" if flat else "done" if bill and all(one.told for one in bill) else "open", None),
        Station("compared", "none" if flat or not states else of(states, {"case"}, {"open", "waiting"}), None),
    )


# --- as JSON and as text -------------------------------------------------------------------------------------------


def when(at: int | None) -> str | None:
    """An Instant as Chinese time, for people."""
    return None if at is None else china_text(Instant(at))


def dump_after(story: Story) -> dict[str, Any]:
    """What came after the payment, as JSON values: refunds, shares, settlement, bill, reconciliation, and where the
    money is."""
    return {
        "stations": [{"name": one.name, "state": one.state, "at": when(one.at)} for one in story.stations],
        "places": {one.name: one.amount for one in story.places},
        "refunds": [
            {
                "refund": one.refund_id,
                "refund_no": one.refund_no,
                "amount": one.amount,
                "state": one.state,
                "cause": one.cause,
                "method": one.method,
                "bank": one.bank,
                "reason": one.reason,
                "created_at": when(one.created_at),
                "ended_at": when(one.ended_at),
            }
            for one in story.refunds
        ],
        "claim": None
        if story.claim is None
        else {"state": story.claim.state, "amount": story.claim.amount, "reason": story.claim.reason},
        "shares": [{name: getattr(one, name) for name in one.__slots__} for one in story.shares],
        "settlements": [{name: getattr(one, name) for name in one.__slots__} for one in story.settlements],
        "bill": [
            {
                "day": one.day,
                "kind": one.line.kind,
                "income": one.line.income.minor,
                "outcome": one.line.outcome.minor,
                "fee": one.line.fee.minor,
                "serial": one.line.serial,
                "told": when(one.told),
            }
            for one in story.bill
        ],
        "reconciliation": [{name: getattr(one, name) for name in one.__slots__} for one in story.statements],
    }


def dump_postings(story: Story) -> list[dict[str, Any]]:
    """The order's postings as JSON values."""
    return [
        {
            "entry": move.key,
            "kind": move.kind,
            "at": when(move.at),
            "debit": move.debit,
            "credit": move.credit,
            "amount": move.amount,
        }
        for move in story.moves
    ]


def dump_story(story: Story) -> dict[str, Any]:
    """The whole story as JSON values."""
    trade = story.trade
    return {
        "trade": {
            "merchant": trade.merchant_id,
            "protocol": trade.protocol,
            "out_trade_no": trade.out_trade_no,
            "trade_no": trade.trade_no,
            "product": trade.product,
            "state": trade.state,
            "amount": trade.amount,
            "currency": trade.currency,
            "subject": story.subject,
            "created_at": when(trade.created_at),
            "paid_at": when(trade.paid_at),
        },
        "terms": json.loads(trade.terms),
        "payments": [
            {
                "payment": one.payment_no,
                "method": one.method,
                "bank": one.bank,
                "state": one.state,
                "created_at": when(one.created_at),
            }
            for one in story.payments
        ],
        "postings": dump_postings(story),
        "events": [
            {
                "seq": event.seq,
                "from": event.from_state,
                "to": event.to_state,
                "cause": event.cause,
                "at": when(event.at),
                "target": event.target,
                "notify_state": event.notify_state,
                "attempts": [
                    {"n": one.n, "at": when(one.at), "class": one.answer_class, "answer": one.answer}
                    for one in story.attempts
                    if one.seq == event.seq
                ],
            }
            for event in story.events
        ],
        **dump_after(story),
        "cases": [{"case": one.case_id, "kind": one.kind, "state": one.state} for one in story.cases],
    }
