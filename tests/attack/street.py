"""A platform with every folder's face and two merchants of each way to speak it, whose requests their own clients
write.

Merchants and keys come from the manifests: a new folder has its place here without a line of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tests.attack.guide import Guide
from tests.attack.mutation import Hand, forge
from tests.attack.town import Town, settle
from tests.protocol.bench import make_rings, products
from tests.protocol.sample import simple_create, simple_intents
from tests.web.house import BASE, NOTIFY, RETURN, house
from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.web.app import build_web
from tongbao.web.faces.page import PlainPages
from tongbao.wire.certificate import chain_pem
from tongbao.wire.contract import Credentials, Manifest
from tongbao.wire.http import Request
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import CreateTrade, Presentation

CORPUS_MAX: Final = 400
CROWD: Final = 500
"""Requests at once, where nobody looks which way each of them goes."""

UNPROVEN: Final = frozenset(
    ("MALFORMED", "SIGN_MISSING", "SIGN_TYPE_NOT_ALLOWED", "SIGN_INVALID", "KEY_UNKNOWN", "KEY_REVOKED", "STALE")
)
"""Why what was not said is refused: no genuine message is."""

SUMS: Final = {b"10.00": b"10.01", b"1000": b"1001"}
"""How the sum of a sample is written, in yuan or fen, and one fen more."""


@dataclass(frozen=True)
class Way:
    """One way to speak a folder's protocol: signed so, and over its REST interface or the other one."""

    name: str
    algorithm: str
    rest: bool = False


@dataclass(frozen=True)
class Trader:
    """One merchant. ``ring`` is what the platform has of him."""

    way: Way
    manifest: Manifest
    ring: KeyRing
    credentials: Credentials

    @property
    def merchant(self) -> str:
        return self.ring.merchant

    @property
    def secrets(self) -> list[str]:
        """What he shares with the platform; what he signs with comes last."""
        return [key.material.decode() for key in self.ring.verify if isinstance(key.material, bytes)]

    @property
    def keys(self) -> list[tuple[str, str, str]]:
        """Algorithm, use and text of each key that the platform has of him."""
        return [*_texts("verify", self.ring.verify), *_texts("sign", self.ring.sign)]

    def write(self, intent: Any, now: Instant) -> Request | None:
        """A request of his client, or None where the protocol cannot say it."""
        try:
            return self.manifest.client.encode(replace(intent, merchant=""), self.credentials, now).request()
        except LocalProtocolError:
            return None

    def create(self, number: str, fen: int, now: Instant) -> Request:
        """A signed creation of a trade."""
        where = Presentation.QR if self.way.rest else self.manifest.presentations[0]
        wish = simple_create(products(self.manifest)[0], where)
        sent = self.write(replace(wish, out_trade_no=number, amount=Money(fen)), now)
        assert sent is not None
        return sent

    def speak(self, now: Instant) -> Iterator[Request]:
        """Something of everything that he can say, two creations of different sums among it."""
        yield self.create("201504011203050123450001", 1_000, now)
        yield self.create("201504011203050123450002", 200_000, now)
        for intent in simple_intents(self.manifest.name, self.way.algorithm):
            if not isinstance(intent, CreateTrade):
                sent = self.write(intent, now)
                if sent is not None:
                    yield sent


def _texts(use: str, keys: Sequence[Key]) -> Iterator[tuple[str, str, str]]:
    for key in keys:
        if isinstance(key.material, RSAPublicKey):
            yield key.algorithm, use, public_pem(key.material) + chain_pem(key.chain)
        elif isinstance(key.material, RSAPrivateKey):
            yield key.algorithm, use, private_pem(key.material) + chain_pem(key.chain)
        elif use == "verify" and isinstance(key.material, bytes):
            yield key.algorithm, "both", key.material.decode()


def folders() -> list[str]:
    """Protocols that sell."""
    return [name for name in protocol_names() if load_protocol(name).products]


def ways_of(name: str) -> list[Way]:
    """By every algorithm; over REST by the strongest."""
    manifest = load_protocol(name)
    ways = [Way(name, algorithm) for algorithm in manifest.algorithms]
    has_rest = any(setting.name == "interface" for setting in manifest.credentials)
    return [*ways, Way(name, manifest.algorithms[0], rest=True)] if has_rest else ways


def make_trader(way: Way, number: int) -> Trader:
    """One of a folder's merchants. The second merchants of all folders hold the same keys, and so do the first."""
    manifest = load_protocol(way.name)
    place = f"{protocol_names().index(way.name):02}{2 * ways_of(way.name).index(way) + number + 2}"
    merchant = manifest.merchant_example[:-3] + place
    platform, own = (replace(ring, merchant=merchant) for ring in make_rings(manifest, way.algorithm, number))
    extra = {"notify_url": NOTIFY, "return_url": RETURN} | ({"interface": "v3"} if way.rest else {})
    settings = manifest.credentials_for(merchant, own, f"{BASE}/{way.name}", extra)
    return Trader(way, manifest, platform, manifest.client.load(settings))


@dataclass
class Street:
    """The town, and who trades in it."""

    town: Town
    traders: list[Trader]

    @property
    def now(self) -> Instant:
        return self.town.home.now

    @property
    def secrets(self) -> list[str]:
        return sorted({secret for trader in self.traders for secret in trader.secrets})


@asynccontextmanager
async def street(folder: Path, ways: list[Way] | None = None) -> AsyncIterator[Street]:
    """Two merchants of every folder and way, or of those named; what one signed must still not be another's word."""
    async with house(folder) as home:
        traders = []
        for way in ways or [way for name in folders() for way in ways_of(name)]:
            for number in (0, 1):
                trader = make_trader(way, number)
                await settle(home, trader.merchant, way.name, *trader.keys)
                traders.append(trader)
        yield Street(Town(home, build_web(home.platform, PlainPages())), traders)


def glued(trade: tuple[Any, ...], honest: list[tuple[Any, ...]]) -> bool:
    """Whether a signature without marks between the values covers this trade too, because an honest one's number and
    sum are the same letters: ``Y1`` and ``10.00`` are signed as ``Y`` and ``110.00`` are, and no key can prevent it.
    The merchant's own side refuses the payment of an order it does not know (T10)."""

    def letters(one: tuple[Any, ...]) -> set[str]:
        sums = {Money(one[3]).text(), str(one[3])}
        return {one[1] + written for written in sums} | {written + one[1] for written in sums}

    return any(one[0] == trade[0] and letters(one) & letters(trade) for one in honest)


async def bombard(
    folder: Path, seed: int, rounds: int, guide: Guide | None = None
) -> tuple[Counter[str], Counter[str]]:
    """Damaged, crossed and mixed requests of all merchants at every face: no 5xx, no secret in an answer or a log, and
    every trade has terms that its own merchant signed. Returns how they were answered, and by which folder's face
    ('' for none). Every folder's messages are as often the start of one as any other's.

    With a ``guide`` one after another: what took a step through the code that none before it took is varied further.
    """
    async with street(folder) as scene:
        place, chance = scene.town, Random(seed)
        genuine: dict[str, list[Request]] = {}
        for trader in scene.traders:
            genuine.setdefault(trader.way.name, []).extend(trader.speak(scene.now))
        names, seen = list(genuine), [request for requests in genuine.values() for request in requests]
        first = await place.ask_all(seen)
        assert max(answer.status for answer in first) < 500
        assert not UNPROVEN & {code for _, _, _, _, code, *_ in await place.refusals()}
        honest = await place.trades()
        assert len(honest) == 2 * len(scene.traders)
        hand = Hand(chance, seen, sorted({request.raw_path for request in seen}))
        counted, asked = Counter[str](), Counter[str]()
        grown: list[Request] = []
        for _ in range(rounds if guide else rounds // CROWD):
            if guide is None:
                sent = [forge(hand, chance.choice(genuine[chance.choice(names)])) for _ in range(CROWD)]
                answers = await place.ask_all(sent)
            else:
                whole = grown[-CORPUS_MAX:] if grown and chance.random() < 0.4 else genuine[chance.choice(names)]
                sent = [forge(hand, chance.choice(whole))]
                with guide:
                    answers = [await place.ask(sent[0])]
                if guide.walked:
                    grown.append(sent[0])
            for request in sent:
                name = request.raw_path.split(b"/")[1].decode("latin-1") if b"/" in request.raw_path else ""
                asked[name if name in genuine else ""] += 1
            for answer in answers:
                assert answer.status < 500
                assert not any(secret.encode() in answer.body for secret in scene.secrets)
                assert b"Traceback" not in answer.body
                counted[f"{answer.status // 100}xx"] += 1
        assert [trade for trade in await place.trades() if not glued(trade, honest)] == []
        assert set(honest) <= set(await place.trades())
        refused = repr(await place.refusals())
        assert not any(secret in refused for secret in scene.secrets)
        assert [event for event, _ in place.home.logged if event.startswith("face.")] == []
        return counted, asked
