"""The auditor: looks for whatever breaks an invariant of the books, by other means than the rules that keep them.

Most invariants are one named query each (``store/query/audit.sql``) that answers with what breaks it; chains, hashes
and timetables are recomputed here over rows that stream by. It only looks; it never repairs.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.error import BrokenInvariant
from tongbao.kernel.money import Money
from tongbao.kernel.time import MINUTE, SECOND, Instant, business_day
from tongbao.ledger.entry import Entry, Posting, seal
from tongbao.service.audit_bill import wrong_bills
from tongbao.service.platform import Platform
from tongbao.service.term import hash_terms
from tongbao.store.commit import audit_link
from tongbao.store.step import Database
from tongbao.trade.state import TRADE_MOVES
from tongbao.wire.loader import load_protocol
from tongbao.wire.vocabulary import CreateTrade, Product

INVARIANTS: Final[dict[str, str]] = {
    "I01": "each entry is zero-sum in each currency",
    "I02": "money is conserved in each currency over the whole ledger",
    "I03": "a cached balance equals its postings",
    "I04": "no balance is negative where that is forbidden",
    "I05": "each entry has a debit and a credit, and none of them is zero",
    "I06": "a posting's currency is that of its accounts",
    "I07": "the ledger is append-only: its chain is whole and without gaps in every lane",
    "I08": "no trade is paid without money moved",
    "I09": "no money moves without a trade, or an open case for what came late",
    "I10": "at most one payment counts for a trade",
    "I11": "one bank reference, one payment",
    "I12": "payment, instruction and entry say the trade's own sum and currency",
    "I13": "refunds never exceed what was paid",
    "I14": "each refund has its entry: what succeeded left once, what failed came back once",
    "I15": "escrow never leaks: a trade holds there what was not given back, or nothing",
    "I16": "what is set aside adds up to what is under way",
    "I17": "no unknown outcome is forgotten",
    "I18": "only legal moves",
    "I19": "a trade's history is without holes and ends in its state",
    "I20": "a trade's money and its event are of one transaction",
    "I21": "no event rots, and an abandoned one has its case",
    "I22": "delivered means that a success answer was received",
    "I23": "deliveries keep to the protocol's timetable",
    "I29": "a bank's statement and the books agree, or a case says where they do not",
    "I30": "one resource for each idempotency key and each number",
    "I31": "one captured payment for each intent",
    "I32": "the merchant's and the platform's part make up the whole",
    "I33": "a limit's counter is the sum of its day",
    "I34": "nothing links one merchant's rows with another's",
    "I35": "environments never mix",
    "I36": "whoever delivers later holds a younger lease",
    "I37": "each privileged act is in the audit log, whose chain is whole; nobody approves himself",
    "I38": "secrets at rest are in envelopes, passwords are hashes",
    "I39": "what was refused changed nothing, and an agreement is used once",
    "I40": "times are sane",
    "I41": "a trade's terms are those it was created with",
    "I43": "what is set aside ends once",
    "I42": "a bill says what the postings of its day say",
    "I45": "by our books, each instruction that succeeded moved its sum at its bank once, and nothing else moves there"
    " unnamed; a sandbox compares its banks' own book, too",
    "S01": "suspense holds what the open cases of late payments and of banks' statements say",
    "S02": "what banks were asked and what payments came to agree",
    "S03": "the clock acts on whatever waits for it, and on nothing else",
    "S10": "a settlement is the sum of its lines, once, and so is what each trade was settled for",
    "S11": "a batch of payouts says what its lines say",
    "S12": "a combined order is the sum of its parts, and one buyer pays all of them at once or none",
}
"""Every invariant that is checked. Ids with I are those of the project's list; S names its additions."""

QUERIES: Final[tuple[tuple[str, str], ...]] = (
    ("I01", "audit.entry_sums"),
    ("I02", "audit.ledger_sums"),
    ("I03", "audit.balances"),
    ("I04", "audit.overdrawn"),
    ("I05", "audit.entry_parts"),
    ("I06", "audit.currencies"),
    ("I07", "audit.beyond_head"),
    ("I08", "audit.paid_without_money"),
    ("I09", "audit.money_without_trade"),
    ("I09", "audit.payment_without_entry"),
    ("I10", "audit.paid_twice"),
    ("I11", "audit.bank_reference_twice"),
    ("I12", "audit.captured_amounts"),
    ("I13", "audit.refunded_too_much"),
    ("I14", "audit.refund_entries"),
    ("I15", "audit.escrow_leaks"),
    ("I14", "audit.refund_batches"),
    ("I16", "audit.refunds_aside"),
    ("I16", "audit.payouts_aside"),
    ("I17", "audit.forgotten_unknown"),
    ("I19", "audit.history"),
    ("I20", "audit.money_without_event"),
    ("I21", "audit.rotten_event"),
    ("I22", "audit.delivered_without_success"),
    ("I23", "audit.attempt_count"),
    ("I23", "audit.delivered_again"),
    ("I29", "audit.statements"),
    ("I30", "audit.key_twice"),
    ("I31", "audit.intent_twice"),
    ("I32", "audit.payout_sums"),
    ("I32", "audit.splits"),
    ("I32", "audit.shares"),
    ("I33", "audit.counters"),
    ("I32", "audit.fees"),
    ("I34", "audit.strangers"),
    ("I35", "audit.environments"),
    ("I36", "audit.tokens"),
    ("I37", "audit.audit_beyond_head"),
    ("I37", "audit.unaudited"),
    ("I37", "audit.payout_persons"),
    ("I38", "audit.open_secrets"),
    ("I39", "audit.refused_moves"),
    ("I40", "audit.times"),
    ("I43", "audit.refund_ends"),
    ("S12", "audit.combined"),
    ("I43", "audit.payout_ends"),
    ("I45", "audit.bank_effects"),
    ("S01", "audit.suspense"),
    ("S02", "audit.instructions"),
    ("S02", "audit.payout_instructions"),
    ("S03", "audit.clocks"),
    ("S10", "audit.settlements"),
    ("S10", "audit.settled_sums"),
    ("S10", "audit.settled_trades"),
    ("S11", "audit.payout_batches"),
)
"""Queries that must return no row, with the invariant each of them guards."""

PAGE: Final = 500
"""Rows that are in memory at once while a chain is recomputed."""

SHOWN: Final = 20
"""Rows that one finding shows at most."""

UNKNOWN_AFTER: Final = 15 * MINUTE
ROT_AFTER: Final = 5 * MINUTE
FUTURE: Final = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken invariant: its ``id``, what it says, and the first rows that break it (at most twenty)."""

    id: str
    says: str
    rows: tuple[tuple[Any, ...], ...]


async def audit(source: Platform | Database, now: Instant | None = None, *, environment: str = "") -> list[Finding]:
    """Everything that is wrong with the books, in the order of the ids; an empty list is a clean audit.

    ``now`` is business time and may be left out for a platform; ``environment`` is the configured one ('' skips I35
    for a bare database). Reads only; safe on live books: every check sees one snapshot, or rows that never change.
    """
    if isinstance(source, Platform):
        database, at = source.database, source.world.clock.business() if now is None else now
        environment = environment or source.settings.environment
    else:
        if now is None:
            raise ValueError("a bare database has no clock: say what time it is")
        database, at = source, now
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    parameters = {
        "unknown_before": at - UNKNOWN_AFTER,
        "rot_before": at - ROT_AFTER,
        "future": at + FUTURE,
        "environment": environment,
    }
    for invariant, query in QUERIES:
        if query != "audit.environments" or environment:
            found[invariant] += await database.read(query, parameters)
    found["I18"] += await _illegal_moves(database)
    found["I23"] += await _hasty_deliveries(database)
    for lane, entry_seq, head, audit_seq, audit_head in await database.read("audit.lanes"):
        found["I07"] += [row async for row in _walk_entries(database, lane, entry_seq, head)]
        found["I37"] += [row async for row in _walk_audit(database, lane, audit_seq, audit_head)]
    found["I41"] += [row async for row in _changed_terms(database)]
    found["I42"] += await wrong_bills(database)
    return [
        Finding(invariant, says, tuple(tuple(row) for row in found[invariant][:SHOWN]))
        for invariant, says in INVARIANTS.items()
        if found[invariant]
    ]


async def _illegal_moves(database: Database) -> list[tuple[Any, ...]]:
    """Moves that the table of states does not have. A move that keeps the state changed a detail only."""
    rows = await database.read("audit.moves")
    return [row for row in rows if row[0] != row[1] and (row[0], row[1]) not in TRADE_MOVES]


async def _hasty_deliveries(database: Database) -> list[tuple[Any, ...]]:
    """Deliveries beyond the protocol's timetable, or sooner after the one before than it says."""
    rows = await database.read("audit.plans")
    wrong: list[tuple[Any, ...]] = []
    for protocol, n, gap in rows:
        timetable = load_protocol(protocol).timetable
        if n > len(timetable) or gap < timetable[n - 1] * SECOND:
            wrong.append((protocol, n, gap))
    return wrong


async def _walk_entries(database: Database, lane: int, last: int, head: str) -> AsyncIterator[tuple[Any, ...]]:
    """Recompute a lane's chain of entries up to the end it knows of; yields the places where it does not fit."""
    link, after = "", 0
    while after < last:
        bounds = {"lane": lane, "after": after, "last": last, "most": PAGE}
        page = await database.read("audit.entry_page", bounds)
        if not page:
            break
        postings: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
        for seq, debit, credit, amount in await database.read("audit.posting_page", {**bounds, "last": page[-1][0]}):
            postings[seq].append((debit, credit, amount))
        for entry in page:
            seq, at, day, link_said = entry[0], entry[5], entry[6], entry[7]
            if seq != after + 1:
                yield lane, after + 1, "missing"
            if _seal(link, lane, entry, postings[seq]) != link_said:
                yield lane, seq, "was changed"
            if day != business_day(at):
                yield lane, seq, "of another day"
            link, after = link_said, seq
    if after != last or link != head:
        yield lane, last, "the end does not fit"


def _seal(link: str, lane: int, row: tuple[Any, ...], postings: list[tuple[str, str, int]]) -> str:
    """The link as it should be; '' where the rows are not even an entry."""
    seq, key, kind, merchant_id, out_trade_no, at = row[:6]
    try:
        entry = Entry(key, kind, merchant_id, out_trade_no, tuple(Posting(*posting) for posting in postings))
    except BrokenInvariant:
        return ""
    return seal(link, lane, seq, at, entry)


async def _walk_audit(database: Database, lane: int, last: int, head: str) -> AsyncIterator[tuple[Any, ...]]:
    """Recompute a lane's audit log up to the end it knows of; yields the places where it does not fit."""
    link, after = "", 0
    while after < last:
        page = await database.read("audit.audit_page", {"lane": lane, "after": after, "last": last, "most": PAGE})
        if not page:
            break
        for seq, *said, link_said in page:
            if seq != after + 1:
                yield lane, after + 1, "missing"
            if audit_link(link, lane, seq, *said) != link_said:
                yield lane, seq, "was changed"
            link, after = link_said, seq
    if after != last or link != head:
        yield lane, last, "the end does not fit"


async def _changed_terms(database: Database) -> AsyncIterator[tuple[Any, ...]]:
    """Trades whose frozen columns no longer give the hash they were created with."""
    after = {"merchant_id": "", "out_trade_no": ""}
    while True:
        page = await database.read("audit.trade_page", {**after, "most": PAGE})
        for merchant_id, out_trade_no, product, amount, currency, terms, said in page:
            try:
                intent = CreateTrade(
                    merchant=merchant_id,
                    out_trade_no=out_trade_no,
                    product=Product(product),
                    amount=Money(amount, currency),
                    subject=str(json.loads(terms).get("subject", "")),
                )
            except (ValueError, BrokenInvariant):
                yield merchant_id, out_trade_no, "unreadable"
                continue
            if hash_terms(intent, terms) != said:
                yield merchant_id, out_trade_no, hashlib.sha256(terms.encode()).hexdigest()
        if len(page) < PAGE:
            return
        after = {"merchant_id": page[-1][0], "out_trade_no": page[-1][1]}
