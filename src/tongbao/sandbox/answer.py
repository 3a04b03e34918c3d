"""Faults between a face and the shops that ask it: the trade's most dangerous hour, when nobody knows whether money has
moved (threats F07, F28), and answers that prove nothing (T82).

Only what a shop's server asks is hit, never a page that a buyer's browser sees. A face knows nothing of this: it is
asked, or not, and its answer goes on, or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.sandbox.bare import under_error_response, without_signature
from tongbao.sandbox.fault import FaultBook
from tongbao.service.platform import Platform
from tongbao.wire.asgi import Cut, Handler
from tongbao.wire.contract import Claim, Manifest
from tongbao.wire.http import Request, Response
from tongbao.wire.vocabulary import Carriage

Meant = Callable[[str], bool]
"""Whether a fault's target names the answer at hand."""

_DEEDS: Final = ("unknown_done", "unknown_undone", "cut_done")
_SAID: Final = {"unsigned": without_signature, "error_response": under_error_response}


class FaultyAnswers:
    """A face's handler with faults in front of it. Without any it changes nothing.

    A request may be hit twice: by what becomes of it, then by how the answer is said. What becomes of it is hit only
    where its signature is right, so that nobody has an answer signed by asking; any answer may be said wrongly.
    """

    def __init__(self, platform: Platform, book: FaultBook, manifest: Manifest, inner: Handler) -> None:
        self._platform = platform
        self._book = book
        self._manifest = manifest
        self._inner = inner

    async def __call__(self, request: Request, peer: str) -> Response:
        """The answer to one request. Raises Cut where there is to be none."""
        claim = self._claim(request) if self._book.faults else None
        if claim is None or claim.carriage is not Carriage.SERVER:
            return await self._inner(request, peer)
        names = ("", claim.operation, self._manifest.name)
        address = request.url.partition("?")[0]  # a query may name the method, and its name begin as another's does

        def is_meant(target: str) -> bool:
            return target in names or target in address

        response = await self._carry_out(claim, request, peer, is_meant)
        said = {what: change(response) for what, change in _SAID.items()}
        what = self._book.pick([what for what, changed in said.items() if changed is not response], is_meant)
        return said.get(what, response)

    def _claim(self, request: Request) -> Claim | None:
        try:
            return self._manifest.server.claim(request)
        except RemoteProtocolError:
            return None

    async def _carry_out(self, claim: Claim, request: Request, peer: str, is_meant: Meant) -> Response:
        server, world = self._manifest.server, self._platform.world
        ring = await self._platform.rings.ring(claim.merchant, self._manifest.name)
        try:
            server.decode(claim, ring, world.clock.wire())
        except RemoteProtocolError:
            return await self._inner(request, peer)
        what = self._book.pick(_DEEDS, is_meant)
        if not what:
            return await self._inner(request, peer)
        if what != "unknown_undone":
            await self._inner(request, peer)
        if what == "cut_done":
            raise Cut
        now = world.clock.wire()
        # signing may cost much: on a thread nobody else waits for it
        unknown: Response = await world.compute(lambda: server.refuse(claim, Refused("SYSTEM"), ring, now))
        return unknown
