"""A second, much smaller ledger: replays every entry in order and says what each balance must be.

It knows what a payment, a release, a refund, a settlement or a top-up may touch, and nothing of how the platform
decides them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

SIDES: Final = {
    "topup": (("bank", "buyer.balance"),),
    "pay": (("buyer.balance", "merchant"), ("bank", "merchant"), ("merchant.pending", "platform.fee")),
    "release": (("merchant.escrow", "merchant.pending"), ("merchant.pending", "platform.fee")),
    "late": (("bank", "platform.suspense"),),
    "return": (("platform.suspense", "bank"),),
    "settle": (
        ("merchant.pending", "merchant.available"), ("merchant.settling", "merchant.available"),
        ("merchant.available", "merchant.reserve"), ("merchant.available", "platform.fee"),
    ),
    "settle_part": (("merchant.pending", "merchant.settling"),),
    "reserve_release": (("merchant.reserve", "merchant.available"),),
    "refund": (
        ("merchant", "buyer.balance"), ("merchant", "merchant.refunding"), ("platform.fee", "merchant.pending"),
    ),
    "refund_stuck": (("merchant.refunding", "merchant.stuck"),),
    "refunded": (("merchant.refunding", "bank"), ("merchant.stuck", "buyer.balance")),
    "refund_back": (
        ("merchant.refunding", "merchant"), ("merchant.stuck", "merchant"), ("merchant.pending", "platform.fee"),
    ),
}  # fmt: skip
"""By kind of entry: who may give to whom, as owner or owner and purpose. One merchant never gives to another."""

PER_LANE: Final = ("suspense", "fee")
"""Purposes of the platform that only all lanes together may not overdraw."""


def _is(code: str, side: str) -> bool:
    owner, _, purpose, *_ = code.split(":")
    return side in (owner, f"{owner}.{purpose}")


def _may(kind: str, debit: str, credit: str) -> bool:
    if debit.startswith("merchant:") and credit.startswith("merchant:") and debit.split(":")[1] != credit.split(":")[1]:
        return False
    return any(_is(debit, giver) and _is(credit, taker) for giver, taker in SIDES.get(kind, ()))


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
        if not _may(kind, debit, credit):
            wrong.append(f"{kind} moves money from {debit} to {credit}")
        balances[debit] -= amount
        balances[credit] += amount
    for purpose in PER_LANE:
        total = sum(balance for code, balance in balances.items() if _is(code, f"platform.{purpose}"))
        if total < 0:
            wrong.append(f"{purpose} ends at {total} over all lanes")
    for code, balance in sorted(balances.items()):
        per_lane = any(_is(code, f"platform.{purpose}") for purpose in PER_LANE)
        if balance < 0 and not per_lane and not code.startswith("bank:"):
            wrong.append(f"{code} ends at {balance}")
    return dict(balances), wrong
