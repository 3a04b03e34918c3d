"""Signing with RSA costs a fifth of a millisecond: a sandbox leaves each signature to a thread, and goes on serving."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.contract.harness import Ear
from tests.sandbox.test_key_change import pay
from tongbao.cli.host import Hosted, HostSettings, host_sandbox
from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.sandbox.credential import protocol_credentials
from tongbao.service.checkout import go_home
from tongbao.wire.vocabulary import Presentation

pytestmark = pytest.mark.slow
ORDERS = 12


@contextmanager
def watched() -> Iterator[Counter[str]]:
    """How many RSA signatures each thread makes, by the thread's name: this one, and all that are started meanwhile."""
    made: Counter[str] = Counter()

    def hook(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call" and arg.__name__ == "sign" and isinstance(arg.__self__, RSAPrivateKey):
            made[threading.current_thread().name] += 1

    threading.setprofile(hook)
    sys.setprofile(hook)
    try:
        yield made
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def shopping(client: Client, ask: Callable[[int], object], count: int) -> None:
    """As many questions at once, each signed in a thread of the shop's own."""
    await asyncio.gather(*(asyncio.to_thread(ask, place) for place in range(count)))


def configured(hosted: Hosted, name: str, interface: str, ear: Ear) -> MerchantConfiguration:
    platform, party = hosted.sandbox.house.platform, hosted.state.parties[name]
    said = protocol_credentials(name, platform, party, hosted.faces[name])
    known = {field.name for field in platform.protocol(name).credentials}
    credentials = {field: value for field, value in said.items() if field in known}
    if interface:
        credentials["interface"] = interface
    return MerchantConfiguration(
        protocol=name, credentials=credentials, environment="sandbox", gateway=said.get("gateway") or said["base_url"],
        notify_url=ear.url, return_url="http://127.0.0.1:9/home" if name == "alipay_openapi" else "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "interface"), [("alipay_openapi", "v2"), ("alipay_openapi", "v3"), ("wechatpay_v3", "")]
)
def test_no_signature_is_made_on_the_loop(name: str, interface: str) -> None:
    """Answers, refusals that are signed, notifications and the buyer's way home: all of them are signed by threads of
    ``compute``, and the one that serves signs nothing."""

    async def play(made: Counter[str]) -> None:
        async with host_sandbox(HostSettings()) as hosted:
            platform = hosted.sandbox.house.platform
            word, status = (b"success", 200) if name == "alipay_openapi" else (b"", 204)
            with Ear(word, status=status) as ear, Client(configured(hosted, name, interface, ear)) as client:
                made.clear()

                def open_order(place: int) -> None:
                    client.create(f"SIGNED-{place}", Money(100), "x", presentation=Presentation.QR)

                def close_paid(place: int) -> None:
                    with pytest.raises(Refused):
                        client.close_trade(f"SIGNED-{place % ORDERS}")

                await shopping(client, open_order, ORDERS)
                await pay(hosted, "SIGNED-0", "SIGNED-1", "SIGNED-2")
                await asyncio.to_thread(ear.wait, 3)
                await shopping(client, close_paid, 3)
                trade = await platform.find_trade(hosted.state.parties[name].merchant_id, "SIGNED-0")
                home = await go_home(platform, trade)
                assert (home is not None) == (name == "alipay_openapi")
            assert made[threading.current_thread().name] == 0
            signed = sum(count for thread, count in made.items() if thread.startswith("compute"))
            # what is refused over WeChat Pay is not signed
            assert signed >= ORDERS + 3 + (4 if name == "alipay_openapi" else 0)

    with watched() as made:
        asyncio.run(play(made))
