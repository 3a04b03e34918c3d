"""Keys and certificates change while a shop goes on asking: nothing fails that need not, what is revoked is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.contract.harness import Ear
from tests.merchant.conftest import connect_sqlite, create
from tongbao.cli.host import Hosted, HostSettings, host_sandbox
from tongbao.kernel.error import InvalidSignature, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.merchant.book import OrderTable
from tongbao.merchant.client import AsyncClient, Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.exchange import SyncSend
from tongbao.merchant.order import Order
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.transport import AsyncHttpTransport, HttpTransport
from tongbao.merchant.trust import TrustStore
from tongbao.merchant.verdict import Verdict, VerdictKind
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.client import trust
from tongbao.protocols.alipay_openapi.mode import serial_of
from tongbao.sandbox.chain import issue
from tongbao.sandbox.credential import protocol_credentials
from tongbao.service.party import MoveKey, PutKey
from tongbao.trade.party import MerchantKey
from tongbao.wire.certificate import load_chain
from tongbao.wire.http import FORM, Request, Response, post, split_url
from tongbao.wire.movement import CertificatesFound, FetchCertificates
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import Presentation
from tongbao.wire.world import CALL_LIMITS, Limits

pytestmark = pytest.mark.slow
NAME = "alipay_openapi"
LANES = 6
LONG = Limits(connect_seconds=5, first_byte_seconds=30, total_seconds=30, answer_bytes=65_536)


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
    """Asks for trades in ``LANES`` lanes without pause; ``client`` may be changed while it does. Whatever went wrong is
    kept. A client that is not of asyncio works in a thread of each lane's own."""

    def __init__(self, client: AsyncClient | Client) -> None:
        self.client = client
        self.made = 0
        self.wrong: list[Exception] = []
        self.open = True

    @asynccontextmanager
    async def trading(self) -> AsyncIterator[None]:
        """While the block runs; at its end everything that was asked for is answered."""
        lanes = [asyncio.create_task(self._trade(lane)) for lane in range(LANES)]
        yield
        self.open = False
        await asyncio.gather(*lanes)

    async def _trade(self, lane: int) -> None:
        while self.open:
            self.made += 1
            number = f"K{lane}X{self.made}"
            try:
                if isinstance(self.client, Client):
                    await asyncio.to_thread(self._one, self.client, number)
                else:
                    await self.client.create(number, Money(100), "x", presentation=Presentation.QR)
                    assert (await self.client.query(number)).amount == Money(100)
            except Exception as error:  # noqa: BLE001 - the test says that there is none
                self.wrong.append(error)
            await asyncio.sleep(0)

    def _one(self, client: Client, number: str) -> None:
        client.create(number, Money(100), "x", presentation=Presentation.QR)
        assert client.query(number).amount == Money(100)

    async def until(self, more: int) -> None:
        wanted = self.made + more
        while self.made < wanted:  # noqa: ASYNC110 - what is counted is not ours to signal
            await asyncio.sleep(0.01)


class Wire:
    """What a client sends and hears, kept: the request with its answer."""

    def __init__(self) -> None:
        self.kept: list[tuple[Request, Response]] = []

    @asynccontextmanager
    async def tapped(self, configuration: MerchantConfiguration, shell: str) -> AsyncIterator[AsyncClient | Client]:
        """A client of the kind ``shell`` names, over the real transport."""
        if shell == "threads":
            with HttpTransport(configuration) as line:
                yield Client(configuration, send=self.through(line))
            return
        wire = AsyncHttpTransport(configuration)

        async def send_async(request: Request, limits: Limits = CALL_LIMITS) -> Response:
            answer = await wire(request, limits)
            self.kept.append((request, answer))
            return answer

        yield AsyncClient(configuration, send=send_async)
        await wire.close()

    def through(self, line: SyncSend) -> SyncSend:
        """That line, tapped."""

        def send(request: Request, limits: Limits) -> Response:
            answer = line(request, limits)
            self.kept.append((request, answer))
            return answer

        return send

    def asking(self, method: str) -> list[tuple[Request, Response]]:
        path = m.rest_path(method).encode()
        return [one for one in self.kept if method.encode() in one[0].body or one[0].raw_path == path]


@pytest.mark.parametrize("interface", ["v2", "v3"])
@pytest.mark.parametrize(("mode", "told"), [("key", "SIGN_INVALID"), ("certificate", "KEY_REVOKED")])
def test_T84_a_merchants_key_changes_during_traffic(mode: str, told: str, interface: str) -> None:
    """New key beside the old, the shop moves over, the old one retires and is revoked: no request of his failed. What
    is signed with the revoked key while the shop goes on is refused, every time, and opens nothing. In certificate mode
    the refusal says that it is revoked; in key mode a request does not say which key it means."""

    async def late(hosted: Hosted, old: dict[str, Any], number: str) -> str:
        async with client_of(hosted, old) as client:
            with pytest.raises(Refused) as caught:
                await client.create(number, Money(100), "x", presentation=Presentation.QR)
        return caught.value.code

    async def play() -> None:
        async with host_sandbox(HostSettings()) as hosted:
            old = settings_of(hosted, mode, interface=interface)
            fresh = generate_private_key(65_537, 2_048)
            chain = issue(
                str(hosted.state.extra["authority"]),
                fresh.public_key(),
                "renewed",
                "Merchant",
                hosted.sandbox.house.platform.entropy,
            )
            new = old | {"app_private_key": private_pem(fresh), "app_cert": chain}
            numbers = [f"late{place}" for place in range(12)]
            async with client_of(hosted, old) as first, client_of(hosted, new) as second:
                shop = Shop(first)
                async with shop.trading():
                    await shop.until(20)
                    await put(hosted, "RSA2-renewed", "verify", public_pem(fresh.public_key()) + chain)
                    await shop.until(20)
                    shop.client = second
                    await move(hosted, "RSA2-verify", "retiring")
                    await shop.until(20)
                    await move(hosted, "RSA2-verify", "revoked")
                    codes = await asyncio.gather(*(late(hosted, old, number) for number in numbers))
                    await shop.until(20)
                assert shop.wrong == []
                assert set(codes) == {told}
                for number in numbers:
                    with pytest.raises(Refused) as caught:
                        await second.query(number)
                    assert caught.value.code == "TRADE_NOT_FOUND"

    asyncio.run(play())


def names(answer: Response, serial: str) -> bool:
    """Whether an answer came under this certificate."""
    return serial.encode() in answer.body or answer.header("alipay-sn") == serial


def mixed(wire: Wire, serial: str) -> bool:
    """Whether answers came under other certificates and then under this one."""
    under = [names(answer, serial) for _, answer in wire.kept]
    return not under[0] and under[-1]


async def replayed(hosted: Hosted, settings: dict[str, Any], answer: Response) -> None:
    """A client of these settings hears an old answer to its question, and does not believe it."""
    said = json.loads(answer.body)
    number = said.get("alipay_trade_query_response", said)["out_trade_no"]

    async def send(request: Request, limits: Limits = CALL_LIMITS) -> Response:
        return answer

    configuration = MerchantConfiguration(protocol=NAME, credentials=settings, environment="sandbox")
    async with AsyncClient(configuration, send=send) as client:
        with pytest.raises(InvalidSignature) as caught:
            await client.query(number)
    assert (caught.value.code, caught.value.field) == ("KEY_UNKNOWN", "alipay_cert_sn")


@pytest.mark.parametrize("interface", ["v2", "v3"])
@pytest.mark.parametrize("shell", ["asyncio", "threads"])
def test_T20_the_platforms_certificate_and_key_change_under_load(shell: str, interface: str) -> None:
    """Six lanes of one shop meet the new certificate at once: it is fetched once, whoever is not the one who asks waits
    for that, and no exchange fails. Once the old one is out of the settings, answers under it are not believed."""

    async def play() -> None:
        async with host_sandbox(HostSettings()) as hosted:
            said = settings_of(hosted, "certificate", interface=interface)
            learning = MerchantConfiguration(protocol=NAME, credentials=said, environment="sandbox", trust=TrustStore())
            wire = Wire()
            fresh = generate_private_key(65_537, 2_048)
            entropy = hosted.sandbox.house.platform.entropy
            chain = issue(str(hosted.state.extra["authority"]), fresh.public_key(), "renewed", "Platform", entropy)
            serial = serial_of(load_chain(chain, "chain")[0])
            async with wire.tapped(learning, shell) as client:
                shop = Shop(client)
                async with shop.trading():
                    await shop.until(20)
                    await put(hosted, "RSA2-sign", "sign", private_pem(fresh) + chain)
                    await shop.until(40)
            assert shop.wrong == []
            assert mixed(wire, serial)
            assert len(wire.asking("alipay.open.app.alipaycert.download")) == 1
            old = [answer for _, answer in wire.asking("alipay.trade.query") if not names(answer, serial)]
            assert old
            moved = said | {"alipay_cert": chain}
            await asyncio.gather(*(replayed(hosted, moved, answer) for answer in old[:20]))
            async with client_of(hosted, moved) as renewed:
                assert (await renewed.query("K0X1")).out_trade_no == "K0X1"

    asyncio.run(play())


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_T20_the_platforms_certificate_changes_during_traffic(interface: str) -> None:
    """The shop meets a certificate it does not know, refuses the answer, fetches the certificate, proves it by the
    configured root, and goes on; a certificate of another root proves nothing."""

    async def play() -> None:
        async with host_sandbox(HostSettings()) as hosted:
            said = settings_of(hosted, "certificate", interface=interface)
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


async def pay(hosted: Hosted, *numbers: str) -> None:
    """What buyers do, three at once; the shop is told."""
    scheme, host, path, query = split_url(f"{hosted.base_url}/_sandbox/trades/")
    kind = (b"Content-Type", b"application/json")
    for first in range(0, len(numbers), 3):
        asked = [
            Request("POST", scheme, host, path + f"{number}/pay".encode(), query, (kind,), b'{"method": "balance"}')
            for number in numbers[first : first + 3]
        ]
        told = await asyncio.gather(*(hosted.world.send(request, LONG) for request in asked))
        assert [answer.status for answer in told] == [200] * len(told)


@pytest.mark.parametrize(("mode", "interface"), [("key", "v2"), ("certificate", "v2"), ("certificate", "v3")])
def test_T84_no_notification_fails_while_the_platforms_key_changes(tmp_path: Path, mode: str, interface: str) -> None:
    """Nothing else is exchanged meanwhile: each notification is taken when it is first told. In certificate mode the
    shop learns the new certificate by one question about a trade, however many come at once; in key mode it has
    both keys."""
    database = create(Database(Dialect.SQLITE, connect_sqlite(tmp_path / "shop.sqlite")))
    numbers = [f"N{place}" for place in range(15)]
    verdicts: list[Verdict] = []

    async def play() -> None:
        async with host_sandbox(HostSettings()) as hosted:
            fresh = generate_private_key(65_537, 2_048)
            entropy = hosted.sandbox.house.platform.entropy
            chain = issue(str(hosted.state.extra["authority"]), fresh.public_key(), "renewed", "Platform", entropy)
            more = {"alipay_public_key_next": public_pem(fresh.public_key())} if mode == "key" else {}
            wire = Wire()

            def judge(headers: dict[str, str], body: bytes) -> bool:
                accepted = receiver.accept_notification(post(ear.url, body, FORM))
                verdicts.append(accepted.verdict)
                return accepted.verdict.accepted

            with Ear(judge=judge) as ear:
                configuration = MerchantConfiguration(
                    protocol=NAME,
                    credentials=settings_of(hosted, mode, interface=interface, **more),
                    environment="sandbox",
                    notify_url=ear.url,
                    trust=TrustStore(),
                )
                endpoint = Endpoint(name="alipay", configuration=configuration)
                with HttpTransport(configuration) as line:
                    receiver = Receiver([endpoint], OrderTable(), database, send=wire.through(line))
                    async with AsyncClient(configuration) as client:
                        for number in numbers:
                            order = Order(order_no=number, amount=Money(100), endpoint="alipay", environment="sandbox")
                            database.run(lambda work, order=order: OrderTable().add(work, order, Instant(0)))  # type: ignore[misc]
                            await client.create(number, Money(100), "x", presentation=Presentation.QR)
                    await pay(hosted, *numbers[:6])
                    await put(hosted, "RSA2-sign", "sign", private_pem(fresh) + chain)
                    await pay(hosted, *numbers[6:])
                    await asyncio.to_thread(ear.wait, len(numbers))
            assert sorted(one.order_no for one in verdicts) == sorted(numbers)
            assert {one.kind for one in verdicts} == {VerdictKind.APPLIED}
            learnt = [len(wire.asking(method)) for method in ("alipay.trade.query", m.CERTIFICATE)]
            assert (learnt, len(wire.kept)) == (([0, 0], 0) if mode == "key" else ([1, 1], 2))

    asyncio.run(play())
