"""Faults on order: a documented table of what may go wrong, how often, and for whom (``POST /_sandbox/faults``).

Those of calls sit in the transport, between the platform and everybody it calls, where a real network has them. Those
of answers stand before the faces (``tongbao.sandbox.answer``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.wire.http import Request, Response
from tongbao.wire.world import CALL_LIMITS, Limits, NoAnswer, NotSent, Randomness, Transport

CALL_FAULTS: Final[dict[str, str]] = {
    "refuse": "the connection is refused: the other side is down",
    "lose_request": "the request never arrives; we learn nothing",
    "lose_answer": "the request arrives and is answered, but the answer is lost",
    "twice": "the request arrives twice",
    "server_error": "the other side answers 500",
    "tamper": "one byte of the body is changed on the way",
    "probe": "the signature header is one that never verifies, as WeChat Pay sends on purpose",
}
"""What happens to calls that the platform makes, by name."""

ANSWER_FAULTS: Final[dict[str, str]] = {
    "unknown_done": "the platform does what it is asked and answers that it does not know (SYSTEM, in the protocol's "
    "own word); whatever it would have answered",
    "unknown_undone": "the platform does nothing and answers that it does not know",
    "cut_done": "the platform does what it is asked, and the connection ends without an answer",
    "unsigned": "the answer bears no signature; answers that have none anyway are passed over",
    "error_response": "a refusal of Alipay's Open Platform (form interface) stands unsigned under error_response, not "
    "under the method's own node; other answers are passed over",
}
"""What happens to answers that the platform gives to shops, by name."""

FAULTS: Final[dict[str, str]] = {**CALL_FAULTS, **ANSWER_FAULTS}
"""Every fault there is, by name."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``what`` happens with ``percent`` likelihood to what ``target`` names ('' for all); ``times`` more times, then no
    more (-1: always). A call is named by a part of its address; an answer by a part of the address that was asked,
    its query left out, or by the whole name of the operation or of the protocol."""

    what: str
    percent: int = 100
    target: str = ""
    times: int = -1

    def __post_init__(self) -> None:
        if self.what not in FAULTS:
            raise Refused("FIELD_INVALID", f"what: one of {', '.join(FAULTS)}")
        if not 0 <= self.percent <= 100:
            raise Refused("FIELD_INVALID", "percent: between 0 and 100")
        if self.times < -1:
            raise Refused("FIELD_INVALID", "times: -1 (always) or more")


class FaultBook:
    """The faults in force, and the chance that picks them."""

    def __init__(self, random: Randomness) -> None:
        self.random = random
        self.faults: list[Fault] = []

    def order(self, faults: list[Fault], random: Randomness | None = None) -> None:
        """Replace all faults; ``random`` makes their chance repeatable."""
        self.faults = list(faults)
        if random is not None:
            self.random = random

    def pick(self, kinds: Collection[str], is_meant: Callable[[str], bool]) -> str:
        """The first fault of these ``kinds`` that ``is_meant`` and strikes now, counted off; '' for none."""
        for index, fault in enumerate(self.faults):
            if fault.what not in kinds or fault.times == 0 or not is_meant(fault.target):
                continue
            if self.random.randrange(100) >= fault.percent:
                continue
            if fault.times > 0:
                self.faults[index] = replace(fault, times=fault.times - 1)
            return fault.what
        return ""


class FaultyTransport:
    """A Transport with faults in front of another. Without any it changes nothing."""

    def __init__(self, inner: Transport, book: FaultBook) -> None:
        self._inner = inner
        self._book = book

    async def __call__(self, request: Request, limits: Limits = CALL_LIMITS) -> Response:
        match self._book.pick(CALL_FAULTS, lambda target: target in request.url):
            case "refuse":
                raise NotSent("CONNECT", "refused by an ordered fault")
            case "lose_request":
                raise NoAnswer("TIMEOUT", "lost by an ordered fault")
            case "lose_answer":
                await self._inner(request, limits)
                raise NoAnswer("TIMEOUT", "answer lost by an ordered fault")
            case "twice":
                await self._inner(request, limits)
            case "server_error":
                return Response(500, ((b"Content-Type", b"text/plain"),), b"ordered fault")
            case "tamper":
                request = tamper(request, self._book.random)
            case "probe":
                request = probe(request)
        return await self._inner(request, limits)


PROBE: Final = b"WECHATPAY/SIGNTEST/"


def probe(request: Request) -> Request:
    """The request with every signature header replaced in its beginning; without any it stays as it is."""
    return replace(
        request,
        headers=tuple(
            (name, PROBE + value[len(PROBE) :] if name.lower().endswith(b"-signature") else value)
            for name, value in request.headers
        ),
    )


def tamper(request: Request, random: Randomness) -> Request:
    """The request with one letter or digit of its body (or query) replaced by another."""
    raw = request.body or request.raw_query
    places = [index for index, code in enumerate(raw) if chr(code).isalnum()]
    if not places:
        return request
    place = places[random.randrange(len(places))]
    changed = raw[:place] + (b"7" if raw[place : place + 1] != b"7" else b"8") + raw[place + 1 :]
    return replace(request, body=changed) if request.body else replace(request, raw_query=changed)
