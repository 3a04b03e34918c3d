"""Telling a merchant what became of a thing that is no trade and ends once: a payout, a batch of payouts or refunds, a
combined order. Their events stand beside the trades', in the same outbox, one each, when everything has ended.

Their number is ``payout:``, ``payouts:`` or the like and the merchant's own; no trade's number has a colon there,
because a trade's event is looked for by its trade.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from tongbao.kernel.time import Instant
from tongbao.store.schema import EVENT
from tongbao.store.table import Row, Table
from tongbao.trade.payout import FINAL, Payout, PayoutBatch
from tongbao.trade.record import Event
from tongbao.trade.state import NotifyState

SINGLE: Final = "payout:"
BATCH: Final = "payouts:"


def payout_event(payout: Payout, now: Instant) -> list[tuple[Table, Row]]:
    """The event of a single payout that has ended, where the merchant is to be told."""
    if payout.batch_no or payout.state not in FINAL or not payout.notify_url:
        return []
    said = {
        "kind": "payout",
        "number": payout.payout_no,
        "id": payout.payout_id,
        "protocol": payout.protocol,
    }
    number = SINGLE + payout.payout_no
    return [(EVENT, ended_event(payout.merchant_id, number, payout.state, payout.notify_url, said, now))]


def batch_event(batch: PayoutBatch, now: Instant) -> list[tuple[Table, Row]]:
    """The event of a batch that has ended, where the merchant is to be told."""
    if not batch.notify_url:
        return []
    said = {"kind": "payouts", "number": batch.batch_no, "id": batch.batch_id, "protocol": batch.protocol}
    return [(EVENT, ended_event(batch.merchant_id, BATCH + batch.batch_no, batch.state, batch.notify_url, said, now))]


def ended_event(
    merchant_id: str, number: str, state: str, target: str, said: Mapping[str, object], now: Instant
) -> Event:
    """The one event of what is no trade and has ended in ``state``; ``number`` stands in a trade number's place."""
    return Event(
        merchant_id,
        number,
        1,
        "",
        state,
        "ended",
        now,
        json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        target,
        str(NotifyState.PENDING),
        0,
        0,
        now,
        0,
        None,
    )
