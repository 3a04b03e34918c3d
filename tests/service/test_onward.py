"""Where a buyer goes home to when the merchant's acknowledgement says so: to a host of the merchant's own, or not."""

from __future__ import annotations

import pytest

from tests.support.platform import House, Stage, make_intent, make_merchant
from tongbao.service.act import act
from tongbao.service.checkout import go_home, home_address
from tongbao.service.outbox import Delivered, claim, finish
from tongbao.wire.contract import Verified

HOSTS = '["shop.example","pages.example"]'


async def answered(house: House, protocol: str, answer: str) -> str:
    """The address of the way home after a shop acknowledged the notification of a paid trade with ``answer``."""
    await house.furnish(merchant=make_merchant(protocols=f'["{protocol}"]', hosts=HOSTS))
    intent = make_intent("ON1", return_url="http://shop.example/from-request")
    await act(house.platform, protocol, Verified(intent, None))
    await house.pay("ON1")
    done = [Delivered(one, "SUCCESS", 200, answer, 3, house.clock.now) for one in await claim(house.platform)]
    assert len(done) == 1
    await finish(house.platform, done)
    return await home_address(house.platform, await house.trade("ON1"))


@pytest.mark.parametrize(("protocol", "tag"), [("kuaiqian", "redirecturl"), ("cncard", "reURL")])
@pytest.mark.parametrize(
    ("address", "home"),
    [
        ("http://pages.example/thanks?order=1", "http://pages.example/thanks?order=1"),
        ("http://thief.example/thanks", "http://shop.example/from-request"),
        ("//thief.example/", "http://shop.example/from-request"),
        ("", "http://shop.example/from-request"),
    ],
)
def test_T79_an_acknowledgement_sends_the_buyer_only_to_the_merchants_own_hosts(
    sqlite_stage: Stage, protocol: str, tag: str, address: str, home: str
) -> None:
    """An address that nothing signed is followed only where the merchant has registered its host."""

    async def scene(house: House) -> str:
        return await answered(house, protocol, f"<result>1</result><{tag}>{address}</{tag}>")

    assert sqlite_stage.play(scene, furnished=False) == home


def test_the_way_home_is_not_open_before_payment(sqlite_stage: Stage) -> None:
    """An unpaid trade leads nowhere."""

    async def scene(house: House) -> tuple[str, object]:
        trade = await house.open("NOT")
        return await home_address(house.platform, trade), await go_home(house.platform, trade)

    assert sqlite_stage.play(scene) == ("", None)
