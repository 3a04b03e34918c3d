"""I45 in the sandbox: its audit sees when a bank's own book and the platform's accounts with it part."""

from __future__ import annotations

import asyncio

import pytest

from tongbao.cli.host import HostSettings, host_sandbox
from tongbao.sandbox.population import BUYERS
from tongbao.wire.http import get
from tongbao.wire.world import CALL_LIMITS

pytestmark = pytest.mark.slow


def test_I45_a_bank_that_has_what_we_never_heard_of() -> None:
    """Clean as it opens; money that only the bank knows of is a finding, with both sums, and nothing else is."""

    async def play() -> None:
        async with host_sandbox(HostSettings()) as hosted:
            address = get(f"{hosted.sandbox.house.platform.settings.base_url}/_sandbox/audit")
            seen = [(await hosted.world.send(address, CALL_LIMITS)).body]
            await hosted.sandbox.house.bank.fund_platform("ICBC", 5, "stray")
            seen.append((await hosted.world.send(address, CALL_LIMITS)).body)
            ours = sum(buyer.balance for buyer in BUYERS if buyer.cards[0].bank == "ICBC")
            told = f'{{"audit":[{{"id":"I45","rows":[["ICBC",{ours + 5},{ours}]]}}]}}'
            assert seen == [b'{"audit":"clean"}', told.encode()]

    asyncio.run(play())
