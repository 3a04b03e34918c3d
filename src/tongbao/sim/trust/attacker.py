"""The attacker between shops and platform: brings old messages again, brings them elsewhere, and signs his own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tongbao.sim.attacker import FORGED, Act, Attacker
from tongbao.sim.network import Seen
from tongbao.sim.trust.shop import PATH, TrustShop
from tongbao.sim.trust.wire import AGAIN, RoughWire, change_headers, signed_by_thief
from tongbao.sim.universe import Universe
from tongbao.wire.http import Request

LATEST: Final = 40


class TrustAttacker(Attacker):
    """Holds every message ever sent, of every phase of the change."""

    def __init__(self, universe: Universe, shops: list[TrustShop], wire: RoughWire) -> None:
        super().__init__(universe, shops)
        self._wire = wire
        self._names = sorted({name.encode("ascii") for shop in shops for name in shop.names})

    def pick(self) -> Seen:
        """Half of the time a notification, of which there are few; else one of the latest, or any."""
        random, seen = self.universe.dice.random, self.universe.network.seen
        notes, which = [one for one in seen if one.request.raw_path == b"/notify"], random.random()
        if notes and which < 0.5:
            return random.choice(notes)
        return random.choice(seen[-LATEST:] if which < 0.8 else seen)

    def acts(self) -> Sequence[Act]:
        return self._replay, self._replay, self._misdirect, self._forge, self._change

    async def _replay(self, seen: Seen) -> None:
        """A message of before, as it was: within its five minutes it may be taken once more and changes nothing; after
        that it is refused for its age, or for a name that the shop has let go. The platform carries out no question
        twice (T24)."""
        if seen.request.raw_path == b"/notify":
            await self._send(replace(seen.request, headers=(*seen.request.headers, AGAIN)))
        elif seen.request.raw_path.startswith(PATH):
            known = (seen.request.header("authorization") or "") in self._wire.carried_out
            response = await self._send(seen.request)
            if known and response is not None and response.status < 300:
                self.universe.blame(f"T24 the platform answered the question to {seen.request.raw_path!r} twice")

    async def _misdirect(self, seen: Seen) -> None:
        """One merchant's notification to another."""
        others = [shop for shop in self.shops if shop.host != seen.request.host]
        if seen.request.raw_path == b"/notify" and others:
            shop = self.universe.dice.random.choice(others)
            await self._send(_marked(replace(seen.request, host=shop.host), b"another merchant's"))

    async def _forge(self, seen: Seen) -> None:
        """An old content under a fresh time, signed by himself under a name that the shop trusts; to the platform, a
        merchant's question of before."""
        now = self.universe.make_world(self.life).clock.wire() // 1_000
        if seen.request.raw_path == b"/notify":
            headers = signed_by_thief(seen.request.headers, seen.request.body, now)
            await self._send(_marked(replace(seen.request, headers=headers), b"signed by a thief"))

    async def _change(self, seen: Seen) -> None:
        """A probe, another key's name, a header that is missing; to the platform, another sum. No signature covers the
        name, and both names of one pair prove the same: that one is the register's to judge."""
        random = self.universe.dice.random
        request = seen.request
        if request.raw_path == b"/notify":
            kind = random.choice(("probe", "name", "bare", "time", "signature"))
            changed = replace(request, headers=change_headers(request.headers, request.body, kind, self._names, random))
            await self._send(changed if kind == "name" else _marked(changed, kind.encode("ascii")))
        elif request.raw_path.startswith(PATH) and request.body:
            body = request.body.replace(b'"total":', b'"total":1')
            if body != request.body:
                response = await self._send(_marked(replace(request, body=body), b"sum"))
                if response is not None and response.status < 300:
                    self.universe.blame(f"the platform took a changed question at {request.raw_path!r}")


def _marked(request: Request, how: bytes) -> Request:
    return replace(request, headers=(*request.headers, (FORGED, how)))
