"""The same worlds on PostgreSQL: action by action and row by row what they are on SQLite."""

from __future__ import annotations

import pytest

from tests.sim.lockstep import Recorded, Whole, on_postgresql
from tests.support.postgresql import Server

FIRST = 500
CHUNK = 6


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    "first",
    [
        FIRST + CHUNK * place if place < 2 else pytest.param(FIRST + CHUNK * place, marks=pytest.mark.soak)
        for place in range(50)
    ],
)
def test_a_world_on_postgresql_is_the_world_on_sqlite(
    postgresql_server: Server, postgresql_template: str, first: int
) -> None:
    """Digest, steps, faults, and everything the oracles asked; twelve seeds, three hundred in ``make soak``."""
    for seed in range(first, first + CHUNK):
        here = Recorded(Whole)
        light = here.play(seed)
        assert light.violations == (), str(light)
        with postgresql_server.database(postgresql_template) as dsn, on_postgresql(dsn) as there:
            heavy = there.play(seed)
        assert heavy.violations == (), str(heavy)
        assert (heavy.steps, heavy.struck, heavy.last) == (light.steps, light.struck, light.last)
        assert heavy.digest == light.digest
        assert there.asked == here.asked
