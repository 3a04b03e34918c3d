"""T12: a signature made with MD5 may not ask for more than was agreed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.platform import MERCHANT, PROTOCOL, House, Stage, make_intent, make_merchant, refusal
from tongbao.cli.serve import weak_warnings
from tongbao.kernel.time import Instant
from tongbao.service.create import Asker, OpenTrade
from tongbao.service.party import PutKey
from tongbao.trade.agreement import WEAK_MOST
from tongbao.trade.party import MerchantKey


async def ask(house: House, algorithm: str, amount: int) -> str:
    """The refusal, if any, of a trade that a key of ``algorithm`` proved."""
    key_id = f"k-{algorithm}"
    secret = house.platform.vault.close(b"x" * 32, MERCHANT, PROTOCOL, key_id)
    times = (Instant(0), Instant(0))
    key = MerchantKey(MERCHANT, PROTOCOL, key_id, 1, algorithm, "both", secret, "active", *times)
    await house.submit(PutKey(key, "maker"))
    intent = make_intent(f"{algorithm}{amount}", amount=amount)
    asker = Asker(MERCHANT, PROTOCOL, key_id, 1)
    return await refusal(house.submit(OpenTrade(asker, intent, house.platform.new_trade_no())))


@pytest.mark.parametrize(
    ("algorithm", "amount", "code"),
    [
        ("MD5", WEAK_MOST, ""),
        ("MD5", WEAK_MOST + 1, "SIGNATURE_WEAK_LIMIT"),
        ("HMAC-MD5", WEAK_MOST + 1, "SIGNATURE_WEAK_LIMIT"),
        ("RSA2", WEAK_MOST + 1, ""),
    ],
)
def test_T12_md5_is_capped_per_trade(stage: Stage, algorithm: str, amount: int, code: str) -> None:
    """Up to the cap an MD5 signature is taken, one fen above it is not; RSA has no such cap."""

    async def scene(house: House) -> str:
        return await ask(house, algorithm, amount)

    assert stage.play(scene) == code


def test_T12_the_cap_is_what_was_agreed(stage: Stage) -> None:
    """A merchant's agreement may lower the cap."""

    async def scene(house: House) -> tuple[str, str]:
        await house.furnish(merchant=replace(make_merchant(), settings=json.dumps({"weak": {"most": 500}})))
        return await ask(house, "MD5", 500), await ask(house, "HMAC-MD5", 501)

    assert stage.play(scene, furnished=False) == ("", "SIGNATURE_WEAK_LIMIT")


def test_T12_the_server_names_protocols_signed_with_md5(stage: Stage) -> None:
    """Whoever starts a server reads how many merchants still sign so, and over what."""

    async def scene(house: House) -> list[str]:
        await ask(house, "MD5", 100)
        return await weak_warnings(house.platform)

    told = stage.play(scene)
    assert [line.split(":")[0] for line in told] == [f"1 merchant(s) sign with MD5 over {PROTOCOL}"]
