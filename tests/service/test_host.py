"""Which addresses a merchant may name: in production those of hosts an operator approved, by https (T53, T72, T79)."""

from __future__ import annotations

import json

import pytest

from tests.support.platform import House, Stage, make_merchant
from tongbao.kernel.error import Refused
from tongbao.service.party import ChangeMerchant, RegisterMerchant

NUMBER = "2088000000000077"


def test_T79_production_approves_no_merchant_without_hosts(sqlite_stage: Stage) -> None:
    """There is nothing to approve: the registered hosts stand in for a challenge."""

    async def scene(house: House) -> str:
        await house.submit(RegisterMerchant(make_merchant(NUMBER, environment="production"), "maker"))
        with pytest.raises(Refused) as caught:
            await house.submit(ChangeMerchant(NUMBER, "approved", "checker", "papers seen"))
        return str(caught.value)

    assert "hosts" in sqlite_stage.play(scene, audited=False)


@pytest.mark.parametrize(
    ("notify", "taken"),
    [
        ("https://shop.example/notify", True),
        ("https://SHOP.example:8443/notify", True),
        ("http://shop.example/notify", False),
        ("https://victim.example/notify", False),
        ("https://shop.example.victim.example/notify", False),
    ],
)
def test_T53_production_notifies_registered_hosts_by_https(notify: str, taken: bool, sqlite_stage: Stage) -> None:
    """Another host, and plain http, are refused naming the field."""
    merchant = make_merchant(
        NUMBER, environment="production", hosts=json.dumps(["shop.example"]), notify_url="", return_url=""
    )

    async def scene(house: House) -> str:
        await house.submit(RegisterMerchant(merchant, "maker"))
        await house.submit(ChangeMerchant(NUMBER, "approved", "checker", "papers seen"))
        try:
            await house.open("A1", merchant=NUMBER, notify_url=notify)
        except Refused as refusal:
            return f"{refusal.code} {refusal.detail.split()[0]}"
        return "taken"

    assert sqlite_stage.play(scene, audited=False) == ("taken" if taken else "URL_NOT_ALLOWED notify_url")
