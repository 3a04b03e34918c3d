"""Faults planted in the change of trust: in its order, in what shops keep, in how they verify, in the platform's keys.

Each is a ``TrustCast``. Nothing in the program knows of them: they are other objects handed to the play.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from tongbao.kernel.error import InvalidSignature
from tongbao.kernel.time import SECOND, Instant
from tongbao.merchant.trust import Question, TrustStore
from tongbao.protocols.wechatpay_v3.codec import PROBE, platform_name, read_body
from tongbao.protocols.wechatpay_v3.event import read_event
from tongbao.service.channel import Channel
from tongbao.service.command import RULES
from tongbao.service.once import Onces
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.service.ring import RingCache, parse_material
from tongbao.service.seen import TakeWord
from tongbao.sim.loop import pause
from tongbao.sim.platform import Parts
from tongbao.sim.trust.change import LINGER, Change
from tongbao.sim.trust.play import make_platform
from tongbao.sim.trust.shop import TrustSeller
from tongbao.store.commit import Decision, Now, Rules
from tongbao.store.committer import Committer
from tongbao.store.step import Database
from tongbao.wire.contract import Call, ClientEnd, Credentials
from tongbao.wire.http import Headers, Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Intent, Notification, Outcome
from tongbao.wire.world import World

# --- the order of the change ---------------------------------------------------------------------------------------


class LetsGoEarly(Change):
    """The shop lets the certificates go when it sees the first messages under the public key."""

    async def run(self) -> None:
        await pause(self.random.uniform(60, 600))
        await self._switch("both")
        await pause(LINGER)
        await self._sign("both")
        await self._switch("public_key")
        await pause(self.random.uniform(60, 600))
        await self._sign("public_key")
        self.done_at = self.universe.loop.time()
        await pause(LINGER)


class LetsGoAtOnce(Change):
    """The shop lets the certificates go with messages under them still on their way."""

    linger = 0

    async def _switch(self, trust: str) -> None:
        if trust != "public_key":
            await super()._switch(trust)
            return
        for name in self.seller.trusts:
            await self.seller.switch(name, trust, restart=False)


class SignsUnasked(Change):
    """The platform signs by the public key before the shop knows it."""

    async def _switch(self, trust: str) -> None:
        if trust == "both":
            await self._sign("both")
            await pause(600)
        await super()._switch(trust)


class ForgetsOne(Change):
    """One process of the shop is forgotten."""

    async def _switch(self, trust: str) -> None:
        forgotten = max(self.seller.trusts)
        before = self.seller.trusts[forgotten]
        await super()._switch(trust)
        await self.seller.switch(forgotten, before, restart=True)


class SignsUnfetched(Change):
    """The next certificate signs before anybody has fetched it."""

    async def _fetch(self) -> None:
        await pause(1)


class DoesNotLook(Change):
    """The shop asks for the certificates and does not look at what it got."""

    async def _fetch(self) -> None:
        for name in [*self.seller.trusts, *self.seller.trusts]:
            await self._ask(name)


# --- what shops keep -----------------------------------------------------------------------------------------------


class Replaces(TrustStore):
    """What was fetched takes the place of what is configured, the public key too."""

    def known(self, credentials: Credentials) -> Credentials:
        known = super().known(credentials)
        more = known.ring.verify[len(credentials.ring.verify) :]
        secret = tuple(key for key in credentials.ring.verify if isinstance(key.material, bytes))
        return replace(known, ring=replace(known.ring, verify=(*secret, *more))) if more else known


class KeepsOne(TrustStore):
    """Keeps the first certificate that it is told of, and no other."""

    def keep(self, credentials: Credentials, certificates: Sequence[str], now: Instant, *, beside: bool = False) -> int:
        return super().keep(credentials, certificates[:1], now, beside=beside)


class Shares(TrustStore):
    """One file for all merchants of a platform."""

    def known(self, credentials: Credentials) -> Credentials:
        anybody = _anybody(credentials)
        known = super().known(anybody)
        return credentials if known is anybody else replace(known, merchant=credentials.merchant)

    def keep(self, credentials: Credentials, certificates: Sequence[str], now: Instant, *, beside: bool = False) -> int:
        return super().keep(_anybody(credentials), certificates, now, beside=beside)

    def begin(
        self, credentials: Credentials, now: Instant, *, asked: bool = False, inquiry: bool = False
    ) -> Question | None:
        return super().begin(_anybody(credentials), now, asked=asked, inquiry=inquiry)

    def is_due(self, credentials: Credentials, now: Instant) -> bool:
        return super().is_due(_anybody(credentials), now)


def _anybody(credentials: Credentials) -> Credentials:
    return replace(credentials, merchant="anybody")


class Unplayable(TrustStore):
    """No store at all: the shop cannot be set up with it."""

    def __init__(self, folder: Any = None) -> None:
        raise RuntimeError("there is no such store")


# --- how shops verify ----------------------------------------------------------------------------------------------


class _End:
    """The real half, of which a planted one changes a part."""

    def __init__(self, inner: ClientEnd) -> None:
        self.inner = inner

    def load(self, settings: Mapping[str, str]) -> Credentials:
        return self.inner.load(settings)

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        return self.inner.encode(intent, credentials, now)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        return self.inner.decode(intent, response, credentials, now)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return self.inner.decode_notification(request, credentials, now)

    def acknowledge(self, accepted: bool) -> Response:
        return self.inner.acknowledge(accepted)

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return self.inner.decode_return(request, credentials, now)


def _said(headers: Headers, wanted: bytes) -> bytes:
    return next((value for name, value in headers if name.lower() == wanted), b"")


class Timeless(_End):
    """Takes a message for as fresh as it says."""

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        return super().decode(intent, response, credentials, _then(response.headers, now))

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return super().decode_notification(request, credentials, _then(request.headers, now))


def _then(headers: Headers, now: Instant) -> Instant:
    said = _said(headers, b"wechatpay-timestamp")
    return Instant(int(said) * SECOND) if said else now


class Nameless(_End):
    """Does not look at the key's name, and tries the one it knows best."""

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return super().decode_notification(
            replace(request, headers=_renamed(request.headers, credentials)), credentials, now
        )

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        renamed = replace(response, headers=_renamed(response.headers, credentials))
        return super().decode(intent, renamed, credentials, now)


def _renamed(headers: Headers, credentials: Credentials) -> Headers:
    names = [platform_name(key) for key in credentials.ring.verify if not isinstance(key.material, bytes)]
    if not names:
        return headers
    known = names[0]
    return tuple(
        (name, known.encode("ascii") if name.lower() == b"wechatpay-serial" else value) for name, value in headers
    )


class TakesProbes(_End):
    """Takes the platform's probe for the platform's signature."""

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        try:
            return super().decode_notification(request, credentials, now)
        except InvalidSignature:
            if not _said(request.headers, b"wechatpay-signature").startswith(PROBE.encode("ascii")):
                raise
            return read_event(read_body(request.body), credentials, now)


class OnlyOpens(_End):
    """Takes whatever the APIv3 key opens."""

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return read_event(read_body(request.body), credentials, now)


class Breaks(_End):
    """Reads well, and ends in an error that no interface knows."""

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        notification = super().decode_notification(request, credentials, now)
        raise KeyError(notification.id)


def seller_with(end: type[_End]) -> type[TrustSeller]:
    """A shop with another half of the protocol."""

    class Planted(TrustSeller):
        def end(self, inner: ClientEnd) -> ClientEnd:
            return end(inner)

    return Planted


# --- the platform's keys -------------------------------------------------------------------------------------------


_parse = lru_cache(64)(parse_material)


class KeptForEver(RingCache):
    """A process of the platform that never reads its keys again."""

    async def ring(self, merchant_id: str, protocol: str) -> KeyRing:
        rings: dict[tuple[str, str], KeyRing] = self.__dict__.setdefault("rings", {})
        if (merchant_id, protocol) not in rings:
            found = await super().ring(merchant_id, protocol)
            if not found.sign:
                return found
            rings[merchant_id, protocol] = found
        return rings[merchant_id, protocol]


def forgetful_platform(
    world: World, database: Database, secrets: Secrets, settings: PlatformSettings, channels: Mapping[str, Channel]
) -> Platform:
    """A platform with such keys."""
    platform = Platform(world, database, secrets, settings, channels)
    platform.rings = KeptForEver(platform.database, platform.vault, world.clock, _parse)
    return platform


FORGETFUL = Parts(platform=forgetful_platform)


class KnowsNobody(RingCache):
    """Every fourth time that keys are asked for, the merchant's own are not among them."""

    async def ring(self, merchant_id: str, protocol: str) -> KeyRing:
        found = await super().ring(merchant_id, protocol)
        self.__dict__["asked"] = asked = self.__dict__.get("asked", 0) + 1
        theirs = tuple(key for key in found.verify if isinstance(key.material, bytes))
        return found if asked % 4 else replace(found, verify=theirs)


def unknowing_platform(
    world: World, database: Database, secrets: Secrets, settings: PlatformSettings, channels: Mapping[str, Channel]
) -> Platform:
    """A platform with such keys."""
    platform = Platform(world, database, secrets, settings, channels)
    platform.rings = KnowsNobody(platform.database, platform.vault, world.clock, _parse)
    return platform


UNKNOWING = Parts(platform=unknowing_platform)


class _NeverSeen(Onces):
    """A memory of nonces that has none."""

    def take(self, word: str, monotonic: float) -> bool:
        return True


def _decide(command: Any, sheet: Any, now: Now, lane: int) -> Decision:
    return Decision(True) if isinstance(command, TakeWord) else RULES.decide(command, sheet, now, lane)


def twice_platform(
    world: World, database: Database, secrets: Secrets, settings: PlatformSettings, channels: Mapping[str, Channel]
) -> Platform:
    """A platform that carries out a question as often as it hears it."""
    platform = make_platform(world, database, secrets, settings, channels)
    rules = Rules(RULES.needs, _decide)
    platform.committer = Committer(database, rules, world.clock, settings.lane, settings.holder, by_force=False)
    platform.onces = _NeverSeen()
    return platform


TWICE = Parts(platform=twice_platform)
