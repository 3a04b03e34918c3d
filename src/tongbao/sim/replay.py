"""A second, much smaller ledger: replays every entry in order and says what each balance must be.

It knows what a payment, a release, a late arrival, a return and a top-up may touch, and nothing of how the platform
decides them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

SIDES: Final = {
    "topup": (("bank:", "buyer:"),),
    "pay": (("buyer:", "merchant:"), ("bank:", "merchant:"), ("merchant:", "platform:")),
    "release": (("merchant:", "merchant:"), ("merchant:", "platform:")),
    "late": (("bank:", "platform:"),),
    "return": (("platform:", "bank:"),),
}
"""By kind of entry: who may give to whom."""


def replay(entries: Iterable[tuple[Any, ...]]) -> tuple[dict[str, int], list[str]]:
    """Balances by account, and what the model does not understand.

    ``entries``: (lane, seq, key, kind, debit, credit, amount) of every posting, in the order of the chain.
    """
    balances: dict[str, int] = defaultdict(int)
    wrong: list[str] = []
    last: dict[int, int] = {}
    keys: dict[str, tuple[int, int]] = {}
    for lane, seq, key, kind, debit, credit, amount in entries:
        before = last.get(lane, 0)
        if seq not in (before, before + 1):
            wrong.append(f"lane {lane} jumps from {before} to {seq}")
        last[lane] = seq
        if keys.setdefault(key, (lane, seq)) != (lane, seq):
            wrong.append(f"{key} was posted twice")
        sides = SIDES.get(kind, ())
        if not any(debit.startswith(giver) and credit.startswith(taker) for giver, taker in sides):
            wrong.append(f"{kind} moves money from {debit} to {credit}")
        balances[debit] -= amount
        balances[credit] += amount
    suspense = sum(balance for code, balance in balances.items() if ":suspense:" in code)
    if suspense < 0:
        wrong.append(f"suspense ends at {suspense} over all lanes")
    for code, balance in sorted(balances.items()):
        if balance < 0 and not code.startswith("bank:") and ":suspense:" not in code:
            wrong.append(f"{code} ends at {balance}")
    return dict(balances), wrong
