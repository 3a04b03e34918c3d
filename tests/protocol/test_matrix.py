"""The cross-wire matrix: merchants, protocols and environments against every door; only the diagonal is believed.

A *world* is one merchant of one protocol in one environment, with keys of its own. Every genuine message of every world
is read at every world's door: requests by each platform's face, notifications and returns by each shop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest

from tests.protocol.bench import NOW, Pair, make_pair, products
from tests.protocol.sample import simple_create, simple_intents
from tests.protocol.test_attack import event
from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.wire.http import Request
from tongbao.wire.loader import load_protocol, protocol_names

MERCHANTS = (0, 1)
ENVIRONMENTS = ("production", "sandbox")
TARGET = "http://shop.example.com/notify"


@dataclass(frozen=True)
class World:
    """One merchant's keys at one protocol in one environment."""

    protocol: str
    merchant: int
    environment: str

    @property
    def pair(self) -> Pair:
        number = self.merchant + len(MERCHANTS) * ENVIRONMENTS.index(self.environment)
        manifest = load_protocol(self.protocol)
        return make_pair(self.protocol, manifest.algorithms[-1], (manifest.charsets or ("",))[0], number)

    @property
    def title(self) -> str:
        return f"{self.protocol} {self.merchant} {self.environment}"


WORLDS = [
    World(name, merchant, environment)
    for name in protocol_names()
    for merchant in MERCHANTS
    for environment in ENVIRONMENTS
]


@cache
def request_of(world: World) -> Request:
    """A genuine signed request for money, or of the first operation that the protocol signs."""
    pair = world.pair
    for intent in (simple_create(products(pair.manifest)[0]), *simple_intents(world.protocol)):
        try:
            request = pair.manifest.client.encode(intent, pair.credentials, NOW).request()
        except LocalProtocolError:
            continue
        if pair.read(request)[1].key is not None:
            return request
    raise AssertionError(f"{world.protocol} signs nothing")


@cache
def notification_of(world: World) -> Request:
    """A genuine notification of a paid trade."""
    pair = world.pair
    return pair.manifest.server.notify(event(pair, products(pair.manifest)[0]), TARGET, pair.ring, NOW)


def opens(door: World, request: Request, kind: str) -> bool:
    """Whether a message is believed at a door. Anything but a reading or a plain refusal is a failure."""
    pair = door.pair
    try:
        if kind == "request":
            return pair.read(request)[1].key is not None
        client = pair.manifest.client
        read = client.decode_notification if kind == "notification" else client.decode_return
        read(request, pair.credentials, NOW)
    except RemoteProtocolError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["request", "notification", "return"])
def test_T25_T30_only_the_diagonal_opens(kind: str) -> None:
    """Of all messages at all doors exactly those are believed made with this merchant's keys, of this protocol
    and in this environment."""
    found, wanted = [], []
    for source in WORLDS:
        message = request_of(source) if kind == "request" else notification_of(source)
        for door in WORLDS:
            if kind == "return" and not door.pair.manifest.returns:
                continue
            opened = opens(door, message, kind)
            if door == source and (opened or kind != "return"):
                # whether a notification is also a return is the protocol's affair; that no other's is, is not
                wanted.append((source.title, door.title))
            if opened:
                found.append((source.title, door.title))
    assert found == wanted
