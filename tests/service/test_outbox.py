"""The outbox: claims with leases and tokens, finishes that count once, the timetable (F03, F40, I21-I23, I36)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.service.test_party import make_key
from tests.support.platform import MERCHANT, House, Stage, refusal
from tongbao.kernel.time import HOUR, SECOND, Instant
from tongbao.protocols.alipay_mapi import PROTOCOL as MAPI
from tongbao.service.outbox import LEASE, Claimed, Delivered, claim, finish, next_state, resend
from tongbao.service.party import PutKey
from tongbao.store.schema import EVENT
from tongbao.wire.http import Request, Response, text
from tongbao.wire.vocabulary import Confirmed, ConfirmNotification
from tongbao.wire.world import NOTIFY_LIMITS, Limits
from tongbao.worker.deliver import BUSY_PAUSE, Deliverer


def done(house: House, claimed: Claimed, answer: str = "SUCCESS") -> Delivered:
    """What came of a delivery."""
    return Delivered(claimed, answer, 200, answer.lower(), 3, house.clock.now)


async def event(house: House, seq: int = 1) -> Any:
    """An event of trade A as it stands."""
    return (await house.platform.database.load(EVENT, [(MERCHANT, "A", seq)]))[0]


async def paid(house: House) -> None:
    await house.open("A")
    await house.pay("A")


def test_F40_a_worker_that_slept_too_long_counts_no_more(stage: Stage) -> None:
    """His lease ran out, another took the event over: only the younger token finishes it, once."""

    async def scene(house: House) -> list[Any]:
        await paid(house)
        (slow,) = await claim(house.platform)
        nobody = await claim(house.platform)
        house.clock.pass_wire(LEASE + SECOND)
        (quick,) = await claim(house.platform)
        counts = [await finish(house.platform, [done(house, who)]) for who in (slow, quick, quick)]
        row = await event(house)
        return [nobody, quick.token - slow.token, counts, row.notify_state, row.attempts]

    said = stage.play(scene)
    assert said[:2] == [[], 1]
    assert said[2][:2] == [0, 1]
    assert said[3:] == ["delivered", 1]


def test_no_acknowledgement_is_lost_that_lands_while_others_are_written_down(stage: Stage) -> None:
    """Deliveries of different length overlap with the writing of those before them; every answer is in the books."""
    numbers = [f"A{number}" for number in range(24)]

    async def slowly(request: Request, limits: Limits = NOTIFY_LIMITS) -> Response:
        await asyncio.sleep(len(request.body) % 7 / 1000)
        return text("success")

    async def scene(house: House) -> list[Any]:
        await house.submit(PutKey(make_key(house), "maker"))
        for number in numbers:
            await house.open(number)
            await house.pay(number)
        house.platform.world = replace(house.platform.world, send=slowly)
        deliverer = Deliverer(house.platform)
        while await deliverer.round(8) or deliverer.deferred or await deliverer.drain():
            house.clock.advance(BUSY_PAUSE)
        rows = await house.platform.database.load(EVENT, [(MERCHANT, number, 1) for number in sorted(numbers)])
        return [(row.notify_state, row.attempts) for row in rows]

    assert stage.play(scene) == [("delivered", 1)] * len(numbers)


def test_F31_a_delivery_is_never_before_it_was_due(stage: Stage) -> None:
    """A worker's clock was ahead when it claimed, and is set right while the message flies: the timetable holds."""

    async def scene(house: House) -> list[Any]:
        await house.submit(PutKey(make_key(house), "maker"))
        await paid(house)
        due = (await event(house)).next_at

        async def set_right(request: Request, limits: Limits = NOTIFY_LIMITS) -> Response:
            house.clock.advance(-HOUR)
            return text("no")

        house.platform.world = replace(house.platform.world, send=set_right)
        deliverer = Deliverer(house.platform)
        await deliverer.round(1)
        await deliverer.drain()
        house.clock.advance(HOUR)
        row = await event(house)
        return [row.attempts, row.next_at - due - MAPI.timetable[0] * SECOND]

    assert stage.play(scene) == [1, 0]


def test_a_finish_counts_once(stage: Stage) -> None:
    """The same result written down twice is one attempt."""

    async def scene(house: House) -> list[Any]:
        await paid(house)
        (one,) = await claim(house.platform)
        for _ in range(2):
            await finish(house.platform, [done(house, one)])
        attempts = await house.platform.database.read(
            "attempt.of_trade", {"merchant_id": MERCHANT, "out_trade_no": "A"}
        )
        return [(await event(house)).attempts, len(attempts)]

    assert stage.play(scene) == [1, 1]


def test_I23_the_timetable_is_kept_to_its_end(stage: Stage) -> None:
    """Eight deliveries at the interface's gaps, then the event is given up with a case; a person can ask again."""

    async def scene(house: House) -> list[Any]:
        await paid(house)
        start, times = house.clock.now, []
        for _ in range(8):
            (one,) = await claim(house.platform)
            times.append((house.clock.now - start) // SECOND)
            await finish(house.platform, [done(house, one, "STATUS")])
            row = await event(house)
            if row.next_at is not None:
                house.clock.now = Instant(row.next_at - 1)
                assert await claim(house.platform) == []
                house.clock.now = row.next_at
        given_up = (await event(house)).notify_state
        cases = len(await house.platform.database.read("case.open", {"most": 9}))
        await resend(house.platform, MERCHANT, "A", 1)
        (again,) = await claim(house.platform)
        await finish(house.platform, [done(house, again)])
        assert await house.audit(worker=True) == []
        return [times, given_up, cases, (await event(house)).notify_state]

    times = [sum(MAPI.timetable[:n]) for n in range(8)]
    assert times[-1] < 25 * HOUR // SECOND
    assert stage.play(scene) == [times, "dead", 1, "delivered"]


def test_a_given_up_id_is_confirmed_for_a_day(stage: Stage) -> None:
    """A notification that was given up answers true for 25 hours after its last delivery, then false; asking again
    renews it, while it waits and for 25 hours more."""

    async def scene(house: House) -> list[bool]:
        await paid(house)
        trade_no = (await house.trade("A")).trade_no

        async def is_genuine() -> bool:
            word = house.platform.seal.event_id(trade_no, 1)
            answer = await house.ask(ConfirmNotification(merchant=MERCHANT, notification_id=word))
            assert isinstance(answer, Confirmed)
            return answer.genuine

        while (await event(house)).notify_state != "dead":
            (one,) = await claim(house.platform)
            await finish(house.platform, [done(house, one, "STATUS")])
            house.clock.now = (await event(house)).next_at or house.clock.now
        said = [await is_genuine()]
        for gap in (25 * HOUR - 1, 1):
            house.clock.advance(gap)
            said.append(await is_genuine())
        await resend(house.platform, MERCHANT, "A", 1)
        said.append(await is_genuine())
        (one,) = await claim(house.platform)
        await finish(house.platform, [done(house, one, "STATUS")])
        for gap in (25 * HOUR - 1, 1):
            house.clock.advance(gap)
            said.append(await is_genuine())
        return said

    assert stage.play(scene) == [True, True, False, True, True, False]


def test_a_blocked_address_is_not_tried_again(stage: Stage) -> None:
    """The address policy's no is final until a person asks again; the merchant's case is open."""

    async def scene(house: House) -> list[Any]:
        await paid(house)
        (one,) = await claim(house.platform)
        await finish(house.platform, [done(house, one, "BLOCKED_ADDRESS")])
        house.clock.advance(HOUR)
        cases = await house.platform.database.read("case.open", {"most": 9})
        return [(await event(house)).notify_state, await claim(house.platform), len(cases)]

    assert stage.play(scene) == ["blocked", [], 1]


def test_nothing_unknown_is_sent_again(sqlite_stage: Stage) -> None:
    """Only an event that has an address can be asked for again."""

    async def scene(house: House) -> str:
        await paid(house)
        return await refusal(resend(house.platform, MERCHANT, "A", 2))

    assert sqlite_stage.play(scene) == "NOT_FOUND"


@pytest.mark.parametrize(
    ("attempts", "answer", "state", "gap"),
    [
        (1, "SUCCESS", "delivered", None),
        (9, "SUCCESS", "delivered", None),
        (1, "BLOCKED_ADDRESS", "blocked", None),
        (1, "STATUS", "pending", 5),
        (2, "OTHER_ANSWER", "pending", 7),
        (3, "NETWORK_ERROR", "dead", None),
    ],
)
def test_the_next_state(attempts: int, answer: str, state: str, gap: int | None) -> None:
    """A table of two gaps: three deliveries, then the end."""
    now = Instant(1_000)
    expected = None if gap is None else Instant(now + gap * SECOND)
    assert next_state((5, 7), attempts, answer, now) == (state, expected)
