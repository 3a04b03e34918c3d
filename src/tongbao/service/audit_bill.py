"""Bills that were told, looked at again by the auditor: their sums must be those of the postings of their day (I42).

It counts for itself, from the rows, and shares no rule with the room that writes bills.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from tongbao.store.step import Database

PAGE: Final = 1_000


async def wrong_bills(database: Database) -> list[tuple[Any, ...]]:
    """(merchant, day, kind, what the postings say) of every bill that tells something else."""
    told: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in await database.read("audit.bills"):
        told[row[1]].append(tuple(row))
    wrong: list[tuple[Any, ...]] = []
    for day, bills in sorted(told.items()):
        sums = await _sums(database, day)
        for merchant_id, _, kind, currency, income, outcome, fee in bills:
            mine = sums[merchant_id, currency]
            if (income, outcome, fee) != mine[kind]:
                wrong.append((merchant_id, day, kind, mine[kind]))
    return wrong


async def _sums(database: Database, day: int) -> dict[tuple[str, str], dict[str, tuple[int, int, int]]]:
    """What the postings of a day did to each merchant: (income, outcome, fee) as either kind of bill tells it."""
    found: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: {"account": [0, 0, 0], "trade": [0, 0, 0]})
    after = {"lane": -1, "seq": 0, "n": 0}
    while True:
        page = await database.read("audit.day_postings", {**after, "day": day, "most": PAGE})
        for _, _, _, kind, out_trade_no, debit, credit, amount in page:
            for merchant_id in {_merchant(debit), _merchant(credit)} - {""}:
                sums = found[merchant_id, debit.rpartition(":")[2]]
                given, taken = _merchant(debit) == merchant_id, _merchant(credit) == merchant_id
                own_debit, own_credit = given and ":escrow:" not in debit, taken and ":escrow:" not in credit
                if own_debit != own_credit:
                    sums["account"][0 if own_credit else 1] += amount
                if given != taken:
                    _count(sums["trade"], kind, debit, credit, amount, income=taken, trade=bool(out_trade_no))
        if len(page) < PAGE:
            break
        after = dict(zip(("lane", "seq", "n"), page[-1][:3], strict=True))
    plain = {key: {kind: (one[0], one[1], one[2]) for kind, one in sums.items()} for key, sums in found.items()}
    return defaultdict(lambda: {"account": (0, 0, 0), "trade": (0, 0, 0)}, plain)


def _count(sums: list[int], kind: str, debit: str, credit: str, amount: int, *, income: bool, trade: bool) -> None:
    """One posting that crosses a merchant's border, as a bill of trades has it: the fee of a payment stands beside it,
    other fees of trades are lines of their own."""
    if _is_fee(credit) or _is_fee(debit):
        if kind == "pay":
            sums[2] += -amount if income else amount
        elif trade:
            sums[0 if income else 1] += amount
    elif (kind == "pay" and income) or (kind in ("refund", "refunded") and not income):
        sums[0 if income else 1] += amount


def _merchant(code: str) -> str:
    return code.split(":")[1] if code.startswith("merchant:") else ""


def _is_fee(code: str) -> bool:
    return code.startswith("platform:") and ":fee:" in code
