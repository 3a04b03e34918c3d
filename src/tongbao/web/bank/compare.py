"""The simulated banks' own book against the platform's accounts with them (I45): only here are both at hand."""

from __future__ import annotations

from collections import Counter

from tongbao.service.chargeback import KIND
from tongbao.service.platform import Platform
from tongbao.store.schema import CHARGEBACK, GAP, STATEMENT
from tongbao.web.bank.bank import Bank
from tongbao.web.bank.rule import reference
from tongbao.wire.bank import BANKS, OUTLET

Row = tuple[str, int, int]
"""A bank, what its book says that the platform has there, and what the platform's books say; minor units."""

UNBALANCED = "the banks' book is not balanced"


async def differences(platform: Platform, bank: Bank) -> list[Row]:
    """Where the two disagree. What a bank has done and the platform has not heard of yet is on its way, and no
    difference, and so is what it took back and says in a statement to come; entries for what statements said (and their
    corrections) have cases of their own (I29). Looked at twice, because the one goes on while the other is read: a
    difference is there both times."""
    first = await _look(platform, bank)
    if not first:
        return []
    again = set(await _look(platform, bank))
    return [row for row in first if row in again]


async def _look(platform: Platform, bank: Bank) -> list[Row]:
    on_its_way: Counter[str] = Counter()
    for number, code, kind, amount in await platform.database.read("audit.bank_pending"):
        order = await bank.order_of(number)
        if order is not None and order.state == "succeeded":
            on_its_way[code] += amount if kind == "pay" else -amount
    on_its_way.subtract(await _taken_back(platform, bank))
    ours: Counter[str] = Counter()
    for account, amount in await platform.database.read("audit.bank_moves"):
        ours[account.split(":")[1]] -= amount
    rows: list[Row] = []
    for code in (*BANKS, OUTLET):
        theirs, expected = await bank.platform_balance(code), ours[code] + on_its_way[code]
        if theirs != expected:
            rows.append((code, theirs, expected))
    if not await bank.book_is_balanced():
        rows.append((UNBALANCED, 0, 0))
    return rows


async def _taken_back(platform: Platform, bank: Bank) -> Counter[str]:
    """What each bank took back and our books do not have: its statement of that day is not compared yet, or was, and
    the line has its case (I29). Minor units."""
    lines = {(line.bank, reference(line.at, line.seq)): line for line in await bank.chargebacks()}
    if not lines:
        return Counter()
    load = platform.database.load
    entered = {CHARGEBACK.key_of(row) for row in await load(CHARGEBACK, sorted(lines))}
    days = sorted({(line.bank, line.business_day) for line in lines.values()})
    compared = {STATEMENT.key_of(row) for row in await load(STATEMENT, days)}
    gaps = await load(GAP, sorted((code, KIND, ref, "there") for code, ref in lines))
    differing = {(gap.bank, gap.number) for gap in gaps}
    found: Counter[str] = Counter()
    for key, line in lines.items():
        if key not in entered and ((line.bank, line.business_day) not in compared or key in differing):
            found[line.bank] += line.amount
    return found
