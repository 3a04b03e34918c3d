"""Guests: the same login is the same guest; numbers that meet by chance are not refused."""

from __future__ import annotations

import hashlib

from tests.support.platform import House, Stage
from tongbao.kernel.time import Instant
from tongbao.service.checkout import guest
from tongbao.service.party import RegisterBuyer
from tongbao.trade.party import Buyer


def test_a_guest_is_the_same_guest_again(sqlite_stage: Stage) -> None:
    """One login, one number."""

    async def scene(house: House) -> tuple[str, str]:
        return await guest(house.platform, "13800138000"), await guest(house.platform, "13800138000")

    first, second = sqlite_stage.play(scene)

    assert first == second
    assert len(first) == 16


def test_a_taken_number_gives_way_to_the_next(sqlite_stage: Stage) -> None:
    """Another guest who happens to have the number does not turn the newcomer away."""
    login = "13900139000"
    taken = int.from_bytes(hashlib.sha256(f"guest:0:{login}".encode()).digest()) % 10**11

    async def scene(house: House) -> str:
        other = Buyer(
            f"20889{taken:011d}", "other", "guest", "active", "", "zh", "", "", 0, Instant(0), 0, Instant(0), Instant(0)
        )
        await house.platform.submit(RegisterBuyer(other))
        return await guest(house.platform, login)

    assert sqlite_stage.play(scene) != f"20889{taken:011d}"
