"""Notifications that belong to no single trade: what became of a payout, of a batch of payouts or refunds, or of a
combined order.

Their events stand in the outbox beside the trades'. The snapshot says what they are about (``kind``), the merchant's
number, our own number (``id``, which their notification ids are made of) and the protocol they are told over.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tongbao.service.combine import COMBINED_EVENT
from tongbao.service.combine_act import combined_view, find_combined
from tongbao.service.ended import BATCH, SINGLE
from tongbao.service.payout_act import batch_view, find_payout, payout_view
from tongbao.service.platform import Platform
from tongbao.service.refund_act import batch_view as refund_batch_view
from tongbao.service.refund_batch import EVENTS as REFUNDS
from tongbao.trade.record import Event

PREFIXES: Final = (SINGLE, BATCH, REFUNDS, COMBINED_EVENT)
"""What the numbers of such events begin with; no trade's number may."""


def is_of_trade(event: Event) -> bool:
    """Whether an event is a trade's."""
    return not event.out_trade_no.startswith(PREFIXES)


def told_over(event: Event) -> str:
    """The protocol of an event that is no trade's."""
    return str(json.loads(event.snapshot)["protocol"])


def own_number(event: Event) -> str:
    """Our number of what an event that is no trade's is about."""
    return str(json.loads(event.snapshot)["id"])


async def _payout(platform: Platform, merchant_id: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"payout": payout_view(platform, await find_payout(platform, merchant_id, "", said["number"]))}


async def _payouts(platform: Platform, merchant_id: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"batch": await batch_view(platform, merchant_id, said["number"])}


async def _refunds(platform: Platform, merchant_id: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"batch": await refund_batch_view(platform, merchant_id, said["number"])}


async def _combined(platform: Platform, merchant_id: str, said: dict[str, Any]) -> dict[str, Any]:
    combined = await find_combined(platform, merchant_id, said["number"])
    return {"combined": await combined_view(platform, combined)}


ABOUT: Final[dict[str, Callable[[Platform, str, dict[str, Any]], Awaitable[dict[str, Any]]]]] = {
    "payout": _payout,
    "payouts": _payouts,
    "refunds": _refunds,
    "combined": _combined,
}
"""By kind: the fields of the notification besides id and time. A room with another kind adds its own line here."""


async def about(platform: Platform, event: Event) -> dict[str, Any]:
    """The fields of the notification of an event that is no trade's."""
    said = json.loads(event.snapshot)
    return await ABOUT[said["kind"]](platform, event.merchant_id, said)


async def event_key(platform: Platform, number: str) -> tuple[str, str] | None:
    """(merchant_id, number of the event) behind our own number of a payout, a batch or a
    combined order, or None."""
    for merchant_id, batch_no, payout_no in await platform.database.read("payout.by_id", {"payout_id": number}):
        return (merchant_id, SINGLE + payout_no) if not batch_no else None
    for merchant_id, batch_no in await platform.database.read("payout.batch_by_id", {"payout_id": number}):
        return merchant_id, BATCH + batch_no
    for merchant_id, batch_no in await platform.database.read("refund.batch_by_id", {"batch_id": number}):
        return merchant_id, REFUNDS + batch_no
    for merchant_id, out_trade_no in await platform.database.read("combined.by_id", {"combined_id": number}):
        return merchant_id, COMBINED_EVENT + out_trade_no
    return None
