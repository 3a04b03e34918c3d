"""A platform with every folder's face and two merchants at each, whose requests their own clients write.

Merchants and keys come from the manifests: a new folder has its place here without a line of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.attack.guide import Guide
from tests.attack.mutation import Hand, forge
from tests.attack.town import Town, settle
from tests.protocol.bench import is_asymmetric, make_rings, products
from tests.protocol.sample import simple_create, simple_intents
from tests.web.house import BASE, NOTIFY, RETURN, house
from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.web.app import build_web
from tongbao.web.faces.page import PlainPages
from tongbao.wire.contract import Credentials, Manifest
from tongbao.wire.http import Request
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.vocabulary import CreateTrade

CORPUS_MAX: Final = 400
CROWD: Final = 500
"""Requests at once, where nobody looks which way each of them goes."""

SUMS: Final = {b"10.00": b"10.01", b"1000": b"1001"}
"""How the sum of a sample is written, in yuan or fen, and one fen more."""


@dataclass(frozen=True)
class Trader:
    """One merchant. ``secret`` is what he shares with the platform."""

    manifest: Manifest
    merchant: str
    algorithm: str
    secret: str
    credentials: Credentials

    def write(self, intent: Any, now: Instant) -> Request | None:
        """A request of his client, or None where the protocol cannot say it."""
        try:
            return self.manifest.client.encode(replace(intent, merchant=""), self.credentials, now).request()
        except LocalProtocolError:
            return None

    def create(self, number: str, fen: int, now: Instant) -> Request:
        """A signed creation of a trade."""
        wish = simple_create(products(self.manifest)[0], self.manifest.presentations[0])
        sent = self.write(replace(wish, out_trade_no=number, amount=Money(fen)), now)
        assert sent is not None
        return sent

    def speak(self, now: Instant) -> Iterator[Request]:
        """Something of everything that he can say, two creations of different sums among it."""
        yield self.create("201504011203050123450001", 1_000, now)
        yield self.create("201504011203050123450002", 200_000, now)
        for intent in simple_intents(self.manifest.name):
            if not isinstance(intent, CreateTrade):
                sent = self.write(intent, now)
                if sent is not None:
                    yield sent


def folders() -> list[str]:
    """Protocols whose merchants share a secret with the platform in some algorithm, and sell."""
    found = []
    for name in protocol_names():
        manifest = load_protocol(name)
        if manifest.products and not manifest.content_keys and not is_asymmetric(manifest.algorithms[-1]):
            found.append(name)
    return found


def make_trader(name: str, number: int) -> Trader:
    """One of a folder's merchants."""
    manifest = load_protocol(name)
    merchant, algorithm = (
        manifest.merchant_example[:-3] + f"{protocol_names().index(name):02}{number}",
        manifest.algorithms[-1],
    )
    platform, _ = make_rings(manifest, algorithm, number % 2)
    secret = platform.verify[-1].material
    assert isinstance(secret, bytes)
    shared = Key("shared", 1, algorithm, secret)
    extra = {"notify_url": NOTIFY, "return_url": RETURN}
    settings = manifest.credentials_for(merchant, KeyRing(merchant, (shared,), (shared,)), f"{BASE}/{name}", extra)
    return Trader(manifest, merchant, algorithm, secret.decode(), manifest.client.load(settings))


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
        return sorted({trader.secret for trader in self.traders})


@asynccontextmanager
async def street(folder: Path, names: list[str] | None = None) -> AsyncIterator[Street]:
    """Two merchants at every folder, or at those named; the second merchants of all folders share a secret, and so do
    the first: what one signed must still not be another's word."""
    async with house(folder) as home:
        traders = []
        for name in names or folders():
            for number in (2, 3):
                trader = make_trader(name, number)
                await settle(home, trader.merchant, name, trader.algorithm, trader.secret)
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


async def bombard(folder: Path, seed: int, rounds: int, guide: Guide | None = None) -> Counter[str]:
    """Damaged, crossed and mixed requests of all merchants at every face: no 5xx, no secret in an answer or a log, and
    every trade has terms that its own merchant signed. Returns how they were answered.

    With a ``guide`` one after another: what took a step through the code that none before it took is varied further.
    """
    async with street(folder) as scene:
        place, chance = scene.town, Random(seed)
        seen = [request for trader in scene.traders for request in trader.speak(scene.now)]
        first = await place.ask_all(seen)
        assert max(answer.status for answer in first) < 500
        honest = await place.trades()
        assert len(honest) == 2 * len(scene.traders)
        hand = Hand(chance, seen, sorted({request.raw_path for request in seen}))
        counted = Counter[str]()
        grown: list[Request] = []
        for _ in range(rounds if guide else rounds // CROWD):
            start = chance.choice(grown[-CORPUS_MAX:] if grown and chance.random() < 0.4 else seen)
            if guide is None:
                answers = await place.ask_all(forge(hand, chance.choice(seen)) for _ in range(CROWD))
            else:
                forged = forge(hand, start)
                with guide:
                    answers = [await place.ask(forged)]
                if guide.walked:
                    grown.append(forged)
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
        return counted
