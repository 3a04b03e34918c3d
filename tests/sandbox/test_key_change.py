"""Keys and certificates change while a shop goes on asking: nothing fails that need not, what is revoked is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tongbao.cli.host import Hosted, HostSettings, host_sandbox
from tongbao.kernel.error import InvalidSignature, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.merchant.client import AsyncClient
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.trust import TrustStore
from tongbao.protocols.alipay_openapi.client import trust
from tongbao.protocols.alipay_openapi.mode import serial_of
from tongbao.sandbox.chain import issue
from tongbao.sandbox.credential import protocol_credentials
from tongbao.service.party import MoveKey, PutKey
from tongbao.trade.party import MerchantKey
from tongbao.wire.certificate import load_chain
from tongbao.wire.movement import CertificatesFound, FetchCertificates
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import Presentation

pytestmark = pytest.mark.slow
NAME = "alipay_openapi"


async def put(hosted: Hosted, key_id: str, use: str, text: str) -> None:
    """Give the merchant a key; a new one beside the others, or in the place of the one of that name."""
    platform = hosted.sandbox.house.platform
    party = hosted.state.parties[NAME]
    sealed = platform.vault.close(text.encode(), party.merchant_id, NAME, key_id)
    at = Instant(0)
    key = MerchantKey(party.merchant_id, NAME, key_id, 0, "RSA2", use, sealed, "active", at, at)
    await platform.submit(PutKey(key, "maker"))
    platform.rings.forget()


async def move(hosted: Hosted, key_id: str, state: str) -> None:
    platform = hosted.sandbox.house.platform
    await platform.submit(MoveKey(hosted.state.parties[NAME].merchant_id, NAME, key_id, state, "maker", "change"))
    platform.rings.forget()


def settings_of(hosted: Hosted, mode: str, **more: str) -> dict[str, Any]:
    said = protocol_credentials(NAME, hosted.sandbox.house.platform, hosted.state.parties[NAME], hosted.faces[NAME], "")
    return {name: value for name, value in said.items() if name != "base_url"} | {"mode": mode} | more


def client_of(hosted: Hosted, settings: dict[str, Any]) -> AsyncClient:
    return AsyncClient(MerchantConfiguration(protocol=NAME, credentials=settings, environment="sandbox"))


class Shop:
    """Asks for trades without pause; ``client`` may be changed while it does. What was refused is kept."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.made = 0
        self.refused: list[Exception] = []
        self.open = True

    async def trade(self, lane: int) -> None:
        while self.open:
            self.made += 1
            number = f"K{lane}X{self.made}"
            try:
                await self.client.create(number, Money(100), "x", presentation=Presentation.QR)
            except (Refused, InvalidSignature) as error:
                self.refused.append(error)
            await asyncio.sleep(0)

    async def until(self, more: int) -> None:
        wanted = self.made + more
        while self.made < wanted:  # noqa: ASYNC110 - what is counted is not ours to signal
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("mode", ["key", "certificate"])
def test_T84_a_merchants_key_changes_during_traffic(mode: str) -> None:
    """New key beside the old, the shop moves over, the old one retires and is revoked: no request of his was refused;
    with the revoked key every request is."""

    async def play() -> None:
        async with host_sandbox(HostSettings()) as hosted:
            old = settings_of(hosted, mode)
            fresh = generate_private_key(65_537, 2_048)
            chain = issue(
                str(hosted.state.extra["authority"]),
                fresh.public_key(),
                "renewed",
                "Merchant",
                hosted.sandbox.house.platform.entropy,
            )
            new = old | {"app_private_key": private_pem(fresh), "app_cert": chain}
            async with client_of(hosted, old) as first, client_of(hosted, new) as second:
                shop = Shop(first)
                lanes = [asyncio.create_task(shop.trade(lane)) for lane in range(4)]
                await shop.until(20)
                await put(hosted, "RSA2-renewed", "verify", public_pem(fresh.public_key()) + chain)
                await shop.until(20)
                shop.client = second
                await move(hosted, "RSA2-verify", "retiring")
                await shop.until(20)
                await move(hosted, "RSA2-verify", "revoked")
                await shop.until(20)
                shop.open = False
                await asyncio.gather(*lanes)
            assert shop.refused == []
            async with client_of(hosted, old) as late:
                with pytest.raises(Refused) as caught:
                    await late.create("late", Money(100), "x", presentation=Presentation.QR)
            assert caught.value.code in ("SIGN_INVALID", "KEY_UNKNOWN", "KEY_REVOKED")

    asyncio.run(play())


def test_T20_the_platforms_certificate_changes_during_traffic() -> None:
    """The shop meets a certificate it does not know, refuses the answer, fetches the certificate, proves it by the
    configured root, and goes on; a certificate of another root proves nothing."""

    async def play() -> None:
        async with host_sandbox(HostSettings()) as hosted:
            said = settings_of(hosted, "certificate")
            client = client_of(hosted, said)
            await client.create("A1", Money(100), "x", presentation=Presentation.QR)
            fresh = generate_private_key(65_537, 2_048)
            entropy = hosted.sandbox.house.platform.entropy
            chain = issue(str(hosted.state.extra["authority"]), fresh.public_key(), "renewed", "Platform", entropy)
            await put(hosted, "RSA2-sign", "sign", private_pem(fresh) + chain)
            with pytest.raises(InvalidSignature) as caught:
                await client.query("A1")
            assert (caught.value.code, caught.value.field) == ("KEY_UNKNOWN", "alipay_cert_sn")
            serial = serial_of(load_chain(chain, "chain")[0])
            found = await client.ask(FetchCertificates(merchant="", serial=serial))
            assert isinstance(found, CertificatesFound)
            now = hosted.world.clock.wire()
            keys = client.configuration.keys
            assert trust(keys, found.certificates[0], now).ring.verify[:-1] == keys.ring.verify
            async with client_of(hosted, said | {"alipay_cert": found.certificates[0]}) as renewed:
                assert (await renewed.query("A1")).out_trade_no == "A1"
            learning = MerchantConfiguration(protocol=NAME, credentials=said, environment="sandbox", trust=TrustStore())
            async with AsyncClient(learning) as learner:
                assert (await learner.query("A1")).out_trade_no == "A1"
            rootless = replace(keys, ring=replace(keys.ring, verify=()))
            with pytest.raises(InvalidSignature):
                trust(rootless, found.certificates[0], now)
            await client.close()

    asyncio.run(play())
