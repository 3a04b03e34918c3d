"""Shops that speak WeChat Pay v3 with the real merchant's side, each with processes of its own.

All processes of a shop have one order book, and all shops one folder of kept certificates, as on a host of many. What a
process trusts is in its file; it takes another one in at a restart, or while it runs: then what is under way ends as it
began.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from tongbao.kernel.error import OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import SECOND, Instant
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.trust import TrustStore
from tongbao.sandbox.credential import merchant_ring
from tongbao.sandbox.state import Party
from tongbao.service.platform import Platform
from tongbao.sim.loop import Life, pause
from tongbao.sim.platform import BASE
from tongbao.sim.seller import Counter, MakeReceiver, Pages, Seller, Shop
from tongbao.sim.till import answer_json
from tongbao.sim.trust.key import NEXT, SHOP, certificate, rsa_key
from tongbao.sim.trust.register import Register, WatchedEnd, names_of
from tongbao.sim.universe import Universe
from tongbao.trade.party import MerchantKey
from tongbao.wire.certificate import load_chain
from tongbao.wire.contract import ClientEnd
from tongbao.wire.http import Request, Response
from tongbao.wire.loader import load_protocol
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import Expiry, Presentation
from tongbao.wire.world import NotSent, World

NAME: Final = "wechatpay_v3"
PATH: Final = f"/{NAME}/".encode("ascii")

(ALGORITHM,), (CONTENT,) = load_protocol(NAME).algorithms, load_protocol(NAME).content_keys

TRUSTS: Final = ("certificate", "both", "public_key")
"""What a process of a shop may trust, in the order of the change."""

PUBLIC: Final = ("wechatpay_public_key", "wechatpay_public_key_id")
CERTIFIED: Final = ("platform_certificate", "platform_serial_no")


@dataclass(frozen=True, slots=True)
class TrustShop(Shop):
    """``pair``: the number of the platform's pair of keys for this shop; shops may share one. ``kept``: its
    certificates are fetched and kept in a folder; else they are configured. ``renews``: before the change, a
    certificate of another pair follows the first, and the public key is that pair's."""

    pair: int
    kept: bool
    processes: int
    renews: bool

    @property
    def pairs(self) -> tuple[int, ...]:
        """The numbers of the platform's pairs, in the order in which they come."""
        return (self.pair, NEXT + self.number) if self.renews else (self.pair,)

    def party(self, theirs: int) -> Party:
        """The shop and its keys, as the sandbox has them, with one of the platform's pairs."""
        own = SHOP + self.number
        return Party(
            self.merchant,
            f"{self.name}@shop.example",
            self.key,
            private_pem(rsa_key(own)),
            private_pem(rsa_key(theirs)),
            certificate(own, self.merchant),
            certificate(theirs, "Tongbao simulated platform"),
        )

    @property
    def settings(self) -> dict[str, str]:
        """Everything a client may be configured with."""
        manifest = load_protocol(NAME)
        said = {"notify_url": f"http://{self.host}/notify"}
        base = f"{BASE}{PATH.decode('ascii').rstrip('/')}"
        made: dict[str, str] = manifest.credentials_for(
            self.merchant, merchant_ring(manifest, self.party(self.pairs[-1])), base, said
        )
        return made

    @property
    def certificates(self) -> tuple[str, ...]:
        """The serial numbers of the platform's certificates, in the order in which they come."""
        chains = (load_chain(self.party(pair).platform_chain, "platform") for pair in self.pairs)
        return tuple(f"{chain[0].serial_number:X}" for chain in chains)

    @property
    def public(self) -> str:
        """The id of the public key: that of the last pair."""
        return self.settings[PUBLIC[1]]

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which the platform may sign. The last two are of one pair."""
        return (*self.certificates, self.public)

    @property
    def configuration(self) -> MerchantConfiguration:
        """With both ways of trust."""
        return MerchantConfiguration(protocol=NAME, credentials=self.settings, environment="sandbox")

    def trusting(self, trust: str) -> dict[str, str]:
        """The settings of a process that trusts so."""
        gone: tuple[str, ...] = ()
        if trust == "certificate":
            gone += PUBLIC
        if trust == "public_key" or self.kept:
            gone += CERTIFIED
        return {name: value for name, value in self.settings.items() if name not in gone}


MakeStore = type[TrustStore]


class TrustSeller(Seller):
    """One shop. ``trusts``: what the file of each process says."""

    shop: TrustShop

    def __init__(
        self, universe: Universe, shop: TrustShop, make: MakeReceiver, register: Register, store: MakeStore = TrustStore
    ) -> None:
        names = [f"{shop.name}{'abc'[place]}" for place in range(shop.processes)]
        super().__init__(universe, shop, make, names)
        self.trusts = dict.fromkeys(names, TRUSTS[0])
        self.counters: dict[str, Counter] = {}
        self._worlds: dict[str, World] = {}
        self._register = register
        self._store = store
        self._folder = universe.disk.folder("trust")

    def configured(self, world: World, trust: str) -> MerchantConfiguration:
        """What a process is configured with that trusts so."""
        manifest = load_protocol(NAME)
        keeps = self.shop.kept and trust != "public_key"
        return MerchantConfiguration(
            protocol=NAME,
            credentials=self.shop.trusting(trust),
            environment="sandbox",
            given=replace(manifest, client=WatchedEnd(self.end(manifest.client), self._register)),
            trust=self._store(self._folder) if keeps else None,
            entropy=world.entropy,
        )

    def end(self, inner: ClientEnd) -> ClientEnd:
        """The shop's half of the protocol: the real one."""
        return inner

    async def open_counter(self, life: Life, world: World) -> Counter:
        """By the file as it is when the process begins to serve. Certificates that are to be kept are there first."""
        self._worlds[life.name] = world
        while True:
            trust = self.trusts[life.name]
            configuration = self.configured(world, trust)
            counter = self.make_counter(life, world, Endpoint(name="main", configuration=configuration))
            store = configuration.trust
            while store is not None and store.known(configuration.loaded) is configuration.loaded:
                if not await counter.client.refresh_certificates():
                    await pause(1 + 9 * world.random("fetch").random())
            if self.trusts[life.name] == trust:
                self.counters[life.name] = counter
                return counter

    async def switch(self, name: str, trust: str, *, restart: bool) -> None:
        """The process's file says something else from now on, and the process takes it in."""
        self.universe.note("switch", name, trust, "restart" if restart else "reload")
        self.trusts[name] = trust
        process = self.universe.processes[name]
        if restart:
            process.crash(self.universe.random.uniform(0.5, 20))
            return
        while process.life is not None and process.life.paused:
            await pause(1)
        if process.life is None or not process.is_up:
            return  # whoever begins reads the file
        world = self._worlds[name]
        endpoint = Endpoint(name="main", configuration=self.configured(world, trust))
        counter = self.make_counter(process.life, world, endpoint)
        self.counters[name].receiver, self.counters[name].client = counter.receiver, counter.client

    def names_trusted(self, name: str) -> frozenset[str]:
        """Under which names a process takes messages now; none where it has never come up yet."""
        counter = self.counters.get(name)
        return frozenset() if counter is None else names_of(counter.client.configuration.keys)

    def make_pages(self, life: Life, world: World, counter: Counter) -> Pages:
        return TrustPages(self, world, counter)


class TrustPages(Pages):
    """The buyer scans what the shop shows, and his browser comes home with nothing but the order's number."""

    async def buy(self, said: dict[str, Any]) -> Response:
        """Store the order, open the trade, answer with what the QR code says."""
        order, client = self.store(said), self._counter.client
        asked, expiry = Money(said["asked"]), Expiry(0, Instant(said["expiry"] * SECOND))
        try:
            opened = await client.create(
                order.order_no, asked, order.subject, presentation=Presentation.QR, expiry=expiry
            )
        except Refused as refused:
            return answer_json(409, code=refused.code)
        except (NotSent, OutcomeUnknown, RemoteProtocolError) as error:
            return answer_json(503, code=type(error).__name__)
        return answer_json(200, code=opened.code)

    async def home(self, request: Request) -> Response:
        """Asks the platform how the order stands."""
        number = json.loads(request.body)["order"]
        verdict = await self._counter.receiver.confirm_by_query(number)
        self._seller.universe.note("home", self._seller.shop.name, number, verdict.kind, verdict.reason)
        return answer_json(200, order=number, shown=str(verdict.kind))


def keys_of(shop: TrustShop, platform: Platform) -> list[MerchantKey]:
    """The keys of a shop as the platform stores them before the change: it signs by its certificate."""
    party = shop.party(shop.pair)
    public = public_pem(rsa_key(SHOP + shop.number).public_key())
    return [
        stored(shop, platform, ALGORITHM, "verify", public + party.merchant_chain),
        signing(shop, platform, shop.pair),
        stored(shop, platform, CONTENT, "both", party.secret),
    ]


def signing(shop: TrustShop, platform: Platform, pair: int, name: str = "", state: str = "active") -> MerchantKey:
    """One of the platform's pairs, with its certificate; ``name`` '' is the place of the one that signs."""
    party = shop.party(pair)
    return stored(shop, platform, ALGORITHM, "sign", party.platform_key + party.platform_chain, name, state)


def stored(
    shop: TrustShop, platform: Platform, algorithm: str, use: str, secret: str, name: str = "", state: str = "active"
) -> MerchantKey:
    """A key as the platform stores it."""
    zero, key_id = Instant(0), f"{algorithm}-{use}{name}"
    envelope = platform.vault.close(secret.encode(), shop.merchant, NAME, key_id)
    return MerchantKey(shop.merchant, NAME, key_id, 0, algorithm, use, envelope, state, zero, zero)
