"""The outbox: claim events in batches before sending, finish them after the acknowledgement (F03, F40, I22, I23)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import SECOND, Instant
from tongbao.service.notice import about, is_of_trade, own_number, told_over
from tongbao.service.platform import Platform
from tongbao.service.refund_view import refund_then
from tongbao.service.view import hearer_of, view_then
from tongbao.service.wallet import told_view
from tongbao.store.outbox import ATTEMPT, FINISH, Finish
from tongbao.store.record import Attempt, Case
from tongbao.store.schema import CASE, EVENT, MERCHANT, TRADE
from tongbao.store.step import Commit, Query, Script, Write
from tongbao.trade.record import Event, Trade
from tongbao.wire.http import Request
from tongbao.wire.vocabulary import Notification

LEASE: Final = 90 * SECOND
"""How long a claimed event is its claimer's, in milliseconds of wire time: longer than any delivery may take."""

CLAIM_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event to deliver, with the fencing token under which this worker holds it. ``trade`` is None where the event
    is about a payout or a batch."""

    event: Event
    trade: Trade | None
    token: int
    login: str | None = None
    """The merchant's, where it was looked up with the event."""

    @property
    def protocol(self) -> str:
        """The protocol it is told over."""
        return self.trade.protocol if self.trade is not None else told_over(self.event)

    @property
    def number(self) -> str:
        """Our number of what it is about."""
        return self.trade.trade_no if self.trade is not None else own_number(self.event)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of one delivery. ``answer_class`` as in ``store.record.Attempt``."""

    claimed: Claimed
    answer_class: str
    status: int
    answer: str
    milliseconds: int
    at: Instant


def _claim(now: Instant, wire: Instant, most: int) -> Script[list[tuple[str, str, int, int]]]:
    rows = yield Query("outbox.claim", {"now": now, "now_wire": wire, "until": Instant(wire + LEASE), "most": most})
    yield Commit()
    return [tuple(row) for row in rows]


async def _nothing() -> list[Trade]:
    return []


async def claim(platform: Platform, most: int = CLAIM_MAX) -> list[Claimed]:
    """Take up to ``most`` due events for this worker."""
    clock = platform.world.clock
    rows = await platform.database.run(lambda: _claim(clock.business(), clock.wire(), most))
    if not rows:
        return []
    tokens = {row[:3]: row[3] for row in rows}
    events: list[Event] = await platform.database.load(EVENT, sorted(tokens))
    wanted = sorted({(event.merchant_id, event.out_trade_no) for event in events if is_of_trade(event)})
    names = sorted({(event.merchant_id,) for event in events})
    merchants, loaded = await asyncio.gather(
        platform.database.load(MERCHANT, names), platform.database.load(TRADE, wanted) if wanted else _nothing()
    )
    trades: dict[tuple[str, str], Trade] = {(trade.merchant_id, trade.out_trade_no): trade for trade in loaded}
    logins = {merchant.merchant_id: merchant.login for merchant in merchants}
    return [
        Claimed(
            event,
            trades.get((event.merchant_id, event.out_trade_no)),
            tokens[EVENT.key_of(event)],
            logins.get(event.merchant_id),
        )
        for event in sorted(events, key=lambda event: (event.next_at or 0, event.seq))
    ]


async def write_notification(platform: Platform, claimed: Claimed) -> Request:
    """The signed message for one delivery: the trade as it stood at the event, or the payout or batch as it ended,
    signed now. Raises InvalidSignature."""
    event, trade = claimed.event, claimed.trade
    at = platform.world.clock.wire()
    number = platform.seal.event_id(claimed.number, event.seq)
    if trade is None:
        note = Notification(id=number, at=at, happened_at=event.at, **await about(platform, event))
    else:
        login = claimed.login if claimed.login is not None else (await platform.merchant(trade.merchant_id)).login
        note = Notification(
            id=number,
            at=at,
            happened_at=event.at,
            trade=told_view(platform, trade, view_then(trade, event.snapshot, login)),
            refund=refund_then(trade, event.snapshot),
        )
    hearer = hearer_of(trade) if trade is not None else event.merchant_id
    ring = await platform.rings.ring(hearer, claimed.protocol)
    manifest = platform.protocol(claimed.protocol)
    if manifest.costly is None:
        return manifest.server.notify(note, event.target, ring, at)
    return await platform.world.finish(manifest.costly.prepare_notification(note, event.target, ring, at))


def next_state(timetable: Sequence[int], attempts: int, answer_class: str, now: Instant) -> tuple[str, Instant | None]:
    """(state, next delivery) after the ``attempts``-th delivery; the protocol's timetable is gaps in seconds (I23)."""
    if answer_class == "SUCCESS":
        return "delivered", None
    if answer_class == "BLOCKED_ADDRESS":
        return "blocked", None
    if attempts > len(timetable):
        return "dead", None
    return "pending", Instant(now + timetable[attempts - 1] * SECOND)


def _finish_all(platform: Platform, done: Sequence[Delivered]) -> Script[int | None]:
    """Write down all of it at once. Answers None, and writes nothing, where one of them does not count any more."""
    ends, attempts, cases = [], [], []
    for result in done:
        claimed, event = result.claimed, result.claimed.event
        n = event.attempts + 1
        state, again = next_state(platform.protocol(claimed.protocol).timetable, n, result.answer_class, result.at)
        key = (event.merchant_id, event.out_trade_no, event.seq)
        ends.append(Finish(*key, claimed.token, state, n, again))
        attempts.append(
            Attempt(
                *key,
                n,
                result.at,
                claimed.token,
                result.answer_class,
                result.status,
                result.answer,
                result.milliseconds,
            )
        )
        if state in ("dead", "blocked"):
            cases.append(_case_row(result, state))
    counted = yield Write(FINISH, "update", sorted(ends, key=FINISH.key_of))
    if counted != len(ends):
        return None
    yield Write(ATTEMPT, "keep", attempts)
    if cases:
        yield Write(CASE, "keep", cases)
    yield Commit()
    return len(ends)


def _case_row(result: Delivered, state: str) -> Case:
    said = _case(result, state)
    return Case(
        case_id=said["case_id"],
        kind=said["kind"],
        merchant_id=said["merchant_id"],
        out_trade_no=said["out_trade_no"],
        subject=said["subject"],
        amount=0,
        currency="CNY",
        state="open",
        note=said["note"],
        opened_at=said["now"],
        closed_at=None,
    )


def _finish(platform: Platform, done: Sequence[Delivered]) -> Script[int]:
    finished = 0
    for result in done:
        event, token = result.claimed.event, result.claimed.token
        attempts = event.attempts + 1
        timetable = platform.protocol(result.claimed.protocol).timetable
        state, again = next_state(timetable, attempts, result.answer_class, result.at)
        key = {"merchant_id": event.merchant_id, "out_trade_no": event.out_trade_no, "seq": event.seq}
        rows = yield Query(
            "outbox.finish",
            {**key, "notify_state": state, "attempts": attempts, "next_at": again, "token": token},
        )
        if not rows:
            # the lease ran out and somebody else holds the event: his result counts, not ours (F40)
            continue
        finished += 1
        yield Query(
            "outbox.attempt",
            {
                **key,
                "n": attempts,
                "at": result.at,
                "token": token,
                "answer_class": result.answer_class,
                "status": result.status,
                "answer": result.answer,
                "milliseconds": result.milliseconds,
            },
        )
        if state in ("dead", "blocked"):
            yield Query("outbox.case", _case(result, state))
    yield Commit()
    return finished


def _case(result: Delivered, state: str) -> dict[str, Any]:
    event = result.claimed.event
    return {
        "case_id": f"notify:{result.claimed.number}:{event.seq}",
        "kind": "notification_abandoned" if state == "dead" else "notification_blocked",
        "merchant_id": event.merchant_id,
        "out_trade_no": event.out_trade_no if result.claimed.trade is not None else "",
        "subject": event.target,
        "note": f"after {event.attempts + 1} deliveries, last answer {result.answer_class}",
        "now": result.at,
    }


async def finish(platform: Platform, done: Sequence[Delivered]) -> int:
    """Write down what came of deliveries; returns how many of them still counted."""
    finished = await platform.database.run(lambda: _finish_all(platform, done))
    if finished is None:
        finished = await platform.database.run(lambda: _finish(platform, done))
    return finished


def _defer(claimed: Sequence[Claimed], until: Instant) -> Script[int]:
    given_back = 0
    for one in claimed:
        event = one.event
        key = {"merchant_id": event.merchant_id, "out_trade_no": event.out_trade_no, "seq": event.seq}
        rows = yield Query("outbox.defer", {**key, "next_at": until, "token": one.token})
        given_back += len(rows)
    yield Commit()
    return given_back


async def defer(platform: Platform, claimed: Sequence[Claimed], until: Instant) -> int:
    """Give events back untried, due again at ``until``: their host is busy, others go first (F20)."""
    return await platform.database.run(lambda: _defer(claimed, until))


def _resend(merchant_id: str, out_trade_no: str, seq: int, now: Instant) -> Script[int]:
    rows = yield Query(
        "outbox.resend", {"merchant_id": merchant_id, "out_trade_no": out_trade_no, "seq": seq, "now": now}
    )
    yield Commit()
    return len(rows)


async def resend(platform: Platform, merchant_id: str, out_trade_no: str, seq: int) -> None:
    """Make one event due at once, with its old id. Raises Refused NOT_FOUND."""
    now = platform.world.clock.business()
    if not await platform.database.run(lambda: _resend(merchant_id, out_trade_no, seq, now)):
        raise Refused("NOT_FOUND", "no such notification")
