"""One forged notification on order: a genuine message with one field changed under its old signature."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tongbao.kernel.error import Refused
from tongbao.service.outbox import Claimed, write_notification
from tongbao.service.platform import Platform
from tongbao.store.schema import EVENT
from tongbao.trade.record import Event
from tongbao.wire.form import encode_form, split_form
from tongbao.wire.http import Request
from tongbao.wire.world import NOTIFY_LIMITS


@dataclass(frozen=True, slots=True)
class Forged:
    """What was sent, and what the shop said to it."""

    request: Request
    before: str
    status: int
    answer: str


async def send_tampered(
    platform: Platform, merchant_id: str, out_trade_no: str, seq: int, field: str, value: str
) -> Forged:
    """Write the event's notification, change ``field`` to ``value``, send it. Raises Refused, NotSent, NoAnswer."""
    events: list[Event] = await platform.database.load(EVENT, [(merchant_id, out_trade_no, seq)])
    if not events or not events[0].target:
        raise Refused("NOT_FOUND", "no such notification")
    trade = await platform.find_trade(merchant_id, out_trade_no)
    genuine = await write_notification(platform, Claimed(events[0], trade, 0))
    # latin-1 carries every byte of any charset unchanged, and only ASCII is put in
    pairs = tuple(
        (key.decode("latin-1"), old.decode("latin-1")) for key, old in split_form(genuine.body or genuine.raw_query)
    )
    if not value.isascii():
        raise Refused("FIELD_INVALID", "the changed value is ASCII")
    known = dict(pairs)
    if field not in known:
        raise Refused("FIELD_INVALID", f"the message has no field {field!r}; it has {', '.join(known)}")
    changed = encode_form(tuple((key, value if key == field else old) for key, old in pairs), "latin-1")
    forged = replace(genuine, body=changed) if genuine.body else replace(genuine, raw_query=changed)
    answer = await platform.world.send(forged, NOTIFY_LIMITS)
    return Forged(forged, known[field], answer.status, answer.body[:256].decode("utf-8", "replace"))
