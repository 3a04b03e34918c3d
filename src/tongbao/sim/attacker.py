"""The attacker: holds every message ever sent, and replays, changes and misdirects them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tongbao.sim.loop import Life, pause
from tongbao.sim.network import ATTACKER, Seen
from tongbao.sim.platform import HOST
from tongbao.sim.seller import Shop
from tongbao.sim.universe import Universe
from tongbao.wire.http import Request, Response
from tongbao.wire.loader import load_protocol
from tongbao.wire.world import CALL_LIMITS, NoAnswer, NotSent

FORGED: Final = b"X-Sim-Forged"

Act = Callable[[Seen], Awaitable[None]]


class Attacker:
    """``live`` acts until its life ends."""

    def __init__(self, universe: Universe, shops: Sequence[Shop]) -> None:
        self.universe = universe
        self.shops = shops
        self.life = Life("attacker", 0)

    async def live(self) -> None:
        """One act after another, at random moments."""
        random = self.universe.dice.random
        while True:
            await pause(random.uniform(1, 20))
            if not self.universe.network.seen or not self.universe.dice.strikes("attack"):
                continue
            seen = self.pick()
            act = random.choice(self.acts())
            await act(seen)

    def pick(self) -> Seen:
        """One message of those that were sent."""
        return self.universe.dice.random.choice(self.universe.network.seen)

    def acts(self) -> Sequence[Act]:
        """What he may do with a message that was sent."""
        return self._replay, self._change, self._misdirect, self._shift

    async def _send(self, request: Request) -> Response | None:
        try:
            return await self.universe.network.send(self.life, request, CALL_LIMITS, ATTACKER)
        except (NotSent, NoAnswer):
            return None

    async def _replay(self, seen: Seen) -> None:
        """The very same message once more: nothing new may come of it, which the oracles see in the end."""
        if _is_signed(seen.request):
            await self._send(seen.request)

    async def _change(self, seen: Seen) -> None:
        """One digit or letter of what is signed is another one."""
        request = seen.request
        if not _is_signed(request):
            return
        in_body = bool(request.body)
        data = bytearray(request.body or request.raw_query)
        places = [place for place, byte in enumerate(data) if 48 <= byte <= 57 and not _is_escape(data, place)]
        if not places:
            return
        place = self.universe.dice.random.choice(places)
        data[place] = 48 + (data[place] - 48 + self.universe.dice.random.randint(1, 9)) % 10
        field = bytes(data[:place]).rpartition(b"&")[2].partition(b"=")[0]
        changed = _with(request, bytes(data), in_body, b"a digit changed in " + field)
        if not self._alters(request, changed):
            return
        await self._judge(changed, await self._send(changed))

    def _alters(self, request: Request, changed: Request) -> bool:
        """Whether what is signed, or its signature, is another one: the rest is nobody's word and may be anything."""
        shop = next((shop for shop in self.shops if shop.host == request.host), None)
        if shop is None:
            return True
        trails = [load_protocol(shop.protocol).server.trail(message) for message in (request, changed)]
        return None in trails or trails[0] != trails[1]

    async def _misdirect(self, seen: Seen) -> None:
        """A shop's notification to another shop, a way home to where notifications go."""
        request = seen.request
        if request.raw_path not in (b"/notify", b"/home"):
            return
        others = [shop for shop in self.shops if shop.host != request.host]
        if request.raw_path == b"/notify" and others:
            shop = self.universe.dice.random.choice(others)
            moved = Request(
                request.method, request.scheme, shop.host, b"/notify", request.raw_query,
                (*request.headers, (FORGED, b"another shop's")), request.body,
            )  # fmt: skip
        else:
            moved = Request(
                request.method, request.scheme, request.host, b"/notify", request.raw_query,
                (*request.headers, (FORGED, b"a way home")) if request.raw_path == b"/home" else request.headers,
                request.body,
            )  # fmt: skip
        await self._send(moved)

    async def _shift(self, seen: Seen) -> None:
        """The last letter of one field becomes the first of the next: where fields are signed without anything between
        them, the signature still fits (T10). What comes of it the oracles see."""
        request = seen.request
        data = request.body or request.raw_query
        pairs = [pair.split(b"=", 1) for pair in data.split(b"&") if pair.count(b"=") == 1]
        if not _is_signed(request) or len(pairs) < 3:
            return
        place = self.universe.dice.random.randrange(len(pairs) - 1)
        (_, left), (_, right) = pairs[place], pairs[place + 1]
        if not left[-1:].isalnum() or b"%" in left[-3:]:
            return
        pairs[place][1], pairs[place + 1][1] = left[:-1], left[-1:] + right
        await self._send(_with(request, b"&".join(b"=".join(pair) for pair in pairs), bool(request.body), None))

    async def _judge(self, request: Request, response: Response | None) -> None:
        """The gateway may not open a cashier for a changed request, nor take a changed notice of a bank."""
        if response is None or request.host != HOST:
            return
        taken = response.status in (301, 302, 303) or (request.raw_path.endswith(b"/notice") and response.status == 200)
        if taken:
            self.universe.blame(f"the platform took a changed message at {request.raw_path!r}")


def _is_signed(request: Request) -> bool:
    """What carries a proof; forms of the cashier and of the desks do not, they are words of who sits there."""
    return request.raw_path != b"/buy" and not request.raw_path.startswith((b"/cashier", b"/desk/", b"/OUTLET/cash"))


def _is_escape(data: bytearray, place: int) -> bool:
    return 37 in data[max(0, place - 2) : place]


def _with(request: Request, data: bytes, in_body: bool, how: bytes | None) -> Request:
    """The request with other data; ``how`` marks what no honest party may take."""
    headers = request.headers if how is None else (*request.headers, (FORGED, how))
    return Request(
        request.method, request.scheme, request.host, request.raw_path, request.raw_query if in_body else data,
        headers, data if in_body else b"",
    )  # fmt: skip
