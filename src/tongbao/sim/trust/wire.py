"""The wire between shops and platform: enters what the platform signs, and then changes bytes of it, now and then.

What is changed: a letter of the body, of the signature, of the time or of the key's name; the signature, which becomes
the platform's probe (``WECHATPAY/SIGNTEST/``); all of it, signed again by a thief. Or an answer of before, genuine as
it is, comes in the place of the one that was asked for: of more than five minutes ago, or to the same question. (An
answer does not say which question it answers. Within five minutes, one that names no order could be anybody's; against
that the interface has TLS alone.)

Questions are remembered as they left the shop: one that arrived so, once and fresh, must not be refused as unproven.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tongbao.kernel.time import SECOND, Instant
from tongbao.sandbox.fault import PROBE, tamper
from tongbao.sim.chance import VirtualClock
from tongbao.sim.loop import Life
from tongbao.sim.network import Wire
from tongbao.sim.trust.key import THIEF, rsa_key
from tongbao.sim.trust.register import SIGNED, WINDOW, Register
from tongbao.sim.trust.shop import PATH, TrustShop
from tongbao.wire.http import Headers, Request, Response

AGAIN: Final = (b"X-Sim-Again", b"yes")
OLD: Final = 400.0
"""Virtual seconds after which nobody may take an answer for a fresh one, whose clock may be wrong by a minute."""

KINDS: Final = ("body", "probe", "signature", "time", "name", "bare", "thief")
_MCHID: Final = re.compile(r'mchid="([0-9]+)"')
_SAID: Final = re.compile(r'timestamp="([0-9]+)"')
_TIME, _NONCE, _SIGNATURE, _NAME = SIGNED


def asker(request: Request) -> str:
    """The merchant that a request claims to be from, '' for none."""
    found = _MCHID.search(request.header("authorization") or "")
    return found[1] if found else ""


def _said(request: Request) -> tuple[str, bytes, bytes, bytes, str]:
    """What a question's signature covers, and its proof."""
    proof = request.header("authorization") or ""
    return request.method, request.raw_path, request.raw_query, request.body, proof


def _set(headers: Headers, changes: dict[bytes, bytes]) -> Headers:
    return tuple((name, changes.get(name.lower(), value)) for name, value in headers)


def _get(headers: Headers, wanted: bytes) -> bytes:
    return next((value for name, value in headers if name.lower() == wanted), b"")


def _swap(value: bytes, random: Random) -> bytes:
    """One of its digits, or letters, is another one."""
    places = [place for place, code in enumerate(value) if chr(code).isalnum()]
    place = random.choice(places)
    other = b"3" if value[place : place + 1] != b"3" else b"5"
    return value[:place] + other + value[place + 1 :]


def signed_by_thief(headers: Headers, body: bytes, at: int) -> Headers:
    """The same body with a time of ``at`` seconds and a signature of somebody else, under the same name."""
    time, nonce = str(at).encode("ascii"), b"thief" + _get(headers, _NONCE)[5:]
    text = b"%b\n%b\n%b\n" % (time, nonce, body)
    signature = base64.b64encode(rsa_key(THIEF).sign(text, PKCS1v15(), SHA256()))
    return _set(headers, {_TIME: time, _NONCE: nonce, _SIGNATURE: signature})


def change_headers(headers: Headers, body: bytes, kind: str, names: list[bytes], random: Random) -> Headers:
    """Headers of a signed message, changed in one way. ``names``: those of all of the platform's keys."""
    if kind == "probe":
        value = _get(headers, _SIGNATURE)
        return _set(headers, {_SIGNATURE: PROBE + value[len(PROBE) :]})
    if kind == "signature":
        return _set(headers, {_SIGNATURE: _swap(_get(headers, _SIGNATURE), random)})
    if kind == "time":
        return _set(headers, {_TIME: str(int(_get(headers, _TIME)) + random.choice((-60, -1, 1, 60))).encode("ascii")})
    if kind == "name":
        others = [name for name in names if name != _get(headers, _NAME)]
        return _set(headers, {_NAME: random.choice([*others, _swap(_get(headers, _NAME), random)])})
    if kind == "bare":
        gone = random.choice(SIGNED)
        return tuple((name, value) for name, value in headers if name.lower() != gone)
    return signed_by_thief(headers, body, int(_get(headers, _TIME)) + random.randint(-5, 5))


@dataclass(frozen=True, slots=True)
class _Answer:
    question: tuple[str, bytes, bytes, bytes]
    at: float
    response: Response


class RoughWire(Wire):
    """Between the platform and the shops. ``carried_out``: the proofs of questions that were answered, and may have
    changed something."""

    def __init__(self, register: Register) -> None:
        self.register = register
        self._universe = register.universe
        self._merchants: dict[str, str] = {}
        self._names: list[bytes] = []
        self.carried_out: set[str] = set()
        self._old: dict[str, list[_Answer]] = {}
        self._arrived: dict[tuple[str, bytes, bytes, bytes, str], list[tuple[Life, Instant]]] = {}
        """By question as it left a shop: where it arrived, and when by the clock there; a replayed one too."""

    def join(self, shop: TrustShop) -> None:
        """One more shop is at the other end."""
        self._merchants[shop.host] = shop.merchant
        self._names = sorted({*self._names, *(name.encode("ascii") for name in shop.names)})
        self._old[shop.merchant] = []

    def leave(self, sender: str, request: Request) -> None:
        if self._is_note(sender, request):
            self.register.enter_note(self._merchants[request.host], request)
        elif request.raw_path.startswith(PATH):
            self._arrived.setdefault(_said(request), [])

    def arrive(self, life: Life, request: Request) -> None:
        said = _said(request)
        if said in self._arrived:
            self._arrived[said].append((life, self._now(life)))

    def _now(self, life: Life) -> Instant:
        return VirtualClock(self._universe.loop.time, life).wire()

    def _judge(self, request: Request, response: Response) -> None:
        """Unproven is only what was changed, what comes again and what is more than five minutes old."""
        arrived = self._arrived.get(_said(request), [])
        if response.status != 401 or len(arrived) != 1:
            return
        ((life, came),) = arrived
        stated = _SAID.search(request.header("authorization") or "")
        if stated and all(abs(now - int(stated[1]) * SECOND) <= WINDOW for now in (came, self._now(life))):
            self._universe.blame(f"the platform refused a genuine question to {request.raw_path!r} by {asker(request)}")

    def _is_note(self, sender: str, request: Request) -> bool:
        return request.host in self._merchants and sender.startswith(("worker", "gateway"))

    def carry(self, sender: str, request: Request) -> Request:
        note, question = self._is_note(sender, request), request.raw_path.startswith(PATH)
        if not (note or question) or not self._universe.dice.strikes("change"):
            return request
        return self._change_note(request) if note else self._change_question(request)

    def _change_note(self, request: Request) -> Request:
        random = self._universe.dice.random
        kind = random.choice(KINDS)
        self._universe.note("changed", request.host, kind)
        if kind == "body":
            return tamper(request, random)
        return replace(request, headers=change_headers(request.headers, request.body, kind, self._names, random))

    def _change_question(self, request: Request) -> Request:
        """A letter of what is signed. The platform refuses it; nothing of it is marked, nobody takes it."""
        self._universe.note("changed", request.host, "question")
        if request.body:
            return tamper(request, self._universe.dice.random)
        return replace(request, raw_path=_swap_end(request.raw_path))

    def bring_back(self, answerer: str, request: Request, response: Response) -> Response:
        self._judge(request, response)
        merchant = asker(request)
        signed = _get(response.headers, _SIGNATURE)
        if not (request.raw_path.startswith(PATH) and signed and merchant in self._old):
            return response
        self.register.enter(merchant, response.headers, response.body)
        if request.method == "POST":
            self.carried_out.add(request.header("authorization") or "")
        dice, now = self._universe.dice, self._universe.loop.time()
        answer = _Answer((request.method, request.raw_path, request.raw_query, request.body), now, response)
        able = [one for one in self._old[merchant] if one.at < now - OLD or one.question == answer.question]
        self._old[merchant].append(answer)
        if able and dice.strikes("stale"):
            self._universe.note("changed", answerer, "stale")
            before = dice.random.choice(able).response
            return replace(before, headers=(*before.headers, AGAIN))
        if dice.strikes("change"):
            return self._change_answer(answerer, response)
        return response

    def _change_answer(self, answerer: str, response: Response) -> Response:
        random = self._universe.dice.random
        kind = random.choice(KINDS)
        self._universe.note("changed", answerer, kind)
        if kind == "body" and response.body:
            return replace(response, body=_swap(response.body, random))
        return replace(response, headers=change_headers(response.headers, response.body, kind, self._names, random))


def _swap_end(path: bytes) -> bytes:
    return path[:-1] + (b"1" if path[-1:] != b"1" else b"2")
