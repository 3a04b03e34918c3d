"""F51, F52: a bank that enters the same movement again on a later day, long after both sides had agreed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.service.test_reconcile import FUND, compare, put
from tests.support.platform import House, Stage
from tests.support.world import START
from tongbao.kernel.time import DAY, business_date, business_day, later
from tongbao.service.channel import StatementLine

DAYS = [business_date(later(START, place * DAY)) for place in range(5)]
NUMBERS = [business_day(later(START, place * DAY)) for place in range(5)]


def test_F52_a_movement_that_comes_again_is_a_case(stage: Stage) -> None:
    """One whose other side came a day late is a case at once; one that had agreed waits a day first."""

    async def scene(house: House) -> list[Any]:
        lines, names = [FUND], {}
        for name in ("late", "plain"):
            await house.open(name)
            number = await house.start(name)
            names[number] = name
            lines.append(StatementLine(f"r{name}", "pay", number, 1_000, "CNY", True, house.clock.now))
        plain = next(line for line in lines if names.get(line.number) == "plain")
        late = next(line for line in lines if names.get(line.number) == "late")
        await house.say(plain.number)
        again = [replace(late, ref="again"), replace(plain, ref="once more")]
        told = []
        for place, statement in enumerate((lines, [], again, [])):
            put(house, statement, NUMBERS[place])
            house.clock.advance(DAY)
            found = (await compare(house, DAYS[place]))[1]
            told.append(sorted((what, names[number], money) for what, _, number, money in found))
        return [*told, (await house.balances())["suspense"]]

    assert stage.play(scene) == [
        [("waiting", "late", 0)],
        [],
        [("duplicate", "late", 1_000), ("waiting", "plain", 0)],
        [("missing_here", "plain", 1_000)],
        2_000,
    ]
