"""One order from all sides: what the books, the outbox and the recorder know of its seven steps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tongbao.kernel.error import TongbaoError
from tongbao.kernel.time import Instant
from tongbao.service import story
from tongbao.service.outbox import Claimed, write_notification
from tongbao.service.platform import Platform
from tongbao.store.record import Attempt, Case
from tongbao.store.schema import CASE, EVENT, INSTRUCTION
from tongbao.trade.record import Event, Instruction, Payment, Trade
from tongbao.web.cashier.order import Order, show_order
from tongbao.web.console.message import Shown, show_request, show_response
from tongbao.web.console.port import Records


@dataclass(frozen=True, slots=True)
class Told:
    """One event, its notification as it would be written now, and every delivery of it."""

    event: Event
    notification_id: str
    message: Shown | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One posting of one entry, for the eye."""

    key: str
    kind: str
    at: Instant
    first: bool
    debit: str
    credit: str
    amount: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One recorded request: ``create`` or ``confirm`` (the notify_verify exchange), with our answer to it."""

    at: Instant
    message: Shown
    answer: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything known of one order."""

    trade: Trade
    order: Order
    terms: tuple[tuple[str, str], ...]
    creations: tuple[Asked, ...]
    confirmations: tuple[Asked, ...]
    payments: tuple[tuple[Payment, Instruction | None], ...]
    events: tuple[Told, ...]
    lines: tuple[Line, ...]
    cases: tuple[Case, ...]
    whole: story.Story
    """The same in the one reading that command and sandbox share: refunds, settlement, bill, reconciliation."""


async def tell(platform: Platform, records: Records, trade: Trade) -> Story:
    """Collect it from the read pool; nothing is decided by it."""
    manifest = platform.protocol(trade.protocol)
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    recorded = [
        (one.kind, Asked(one.at, show_request(manifest, one.request), show_response(one.answer)))
        for one in records.of(trade.merchant_id, trade.out_trade_no)
    ]
    cases = await platform.database.read("case.of_trade", where)
    return Story(
        trade=trade,
        order=await show_order(platform, trade),
        terms=flat_terms(trade.terms),
        creations=tuple(asked for kind, asked in recorded if kind == "create"),
        confirmations=tuple(asked for kind, asked in recorded if kind == "confirm"),
        payments=await _payments(platform, trade),
        events=await _events(platform, trade),
        lines=await _lines(platform, trade),
        cases=tuple(await platform.database.load(CASE, [(row[0],) for row in cases])) if cases else (),
        whole=await story.tell(platform.database, trade),
    )


def flat_terms(text: str) -> tuple[tuple[str, str], ...]:
    """The frozen terms as names and texts."""
    terms: dict[str, Any] = json.loads(text)
    plain = ((name, value) for name, value in terms.items() if value)
    return tuple(
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for name, value in plain
    )


async def _payments(platform: Platform, trade: Trade) -> tuple[tuple[Payment, Instruction | None], ...]:
    payments = await platform.payments_of(trade)
    numbers = [(f"{payment.payment_no}P",) for payment in payments if payment.method != "balance"]
    found: list[Instruction] = await platform.database.load(INSTRUCTION, numbers) if numbers else []
    known = {instruction.instruction_no: instruction for instruction in found}
    return tuple((payment, known.get(f"{payment.payment_no}P")) for payment in payments)


async def _events(platform: Platform, trade: Trade) -> tuple[Told, ...]:
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    rows = await platform.database.read("event.of_trade", where)
    keys = [(trade.merchant_id, trade.out_trade_no, row[0]) for row in rows]
    found: list[Event] = await platform.database.load(EVENT, keys) if keys else []
    attempts = [Attempt(*row) for row in await platform.database.read("attempt.of_trade", where)]
    told = []
    for event in sorted(found, key=lambda event: event.seq):
        mine = tuple(attempt for attempt in attempts if attempt.seq == event.seq)
        number = platform.seal.event_id(trade.trade_no, event.seq) if event.target else ""
        told.append(Told(event, number, await _message(platform, trade, event), mine))
    return tuple(told)


async def _message(platform: Platform, trade: Trade, event: Event) -> Shown | None:
    if not event.target:
        return None
    try:
        return show_request(
            platform.protocol(trade.protocol), await write_notification(platform, Claimed(event, trade, 0))
        )
    except TongbaoError:
        return None


async def _lines(platform: Platform, trade: Trade) -> tuple[Line, ...]:
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    rows = await platform.database.read("entry.of_trade", where)
    lines: list[Line] = []
    for _, _, key, kind, at, _, debit, credit, amount in rows:
        first = not lines or lines[-1].key != key
        lines.append(Line(key, kind, at, first, debit, credit, amount))
    return tuple(lines)
