"""One face: a protocol's server end as a plain ASGI application over bytes. The hot path of the whole house."""

from __future__ import annotations

import hmac
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from tongbao.kernel.error import (
    ConfigurationError,
    InvalidSignature,
    OutcomeUnknown,
    Refused,
    RemoteProtocolError,
    TongbaoError,
)
from tongbao.service.act import act
from tongbao.service.platform import Platform
from tongbao.web.faces.page import Pages, see_other
from tongbao.web.faces.recorder import NOTHING, Recorder
from tongbao.web.faces.refusal import RefusalBook
from tongbao.web.guard import Buckets, Limits, too_many, who
from tongbao.wire.asgi import (
    BODY_BYTES,
    Gone,
    Handler,
    Receive,
    Scope,
    Send,
    TooLarge,
    make_request,
    read_body,
    send_response,
)
from tongbao.wire.contract import Claim, Manifest, Verified
from tongbao.wire.http import Request, Response, text
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.movement import BatchTaken
from tongbao.wire.vocabulary import Carriage, ConfirmNotification, CreateTrade, Outcome, TradeOpened

Around = Callable[[Manifest, Handler], Handler]
"""What a sandbox puts between a face and whoever asks it: (manifest, the face's handler) -> the one asked instead."""

_PARTS: Final = re.compile(r"(\{\+?[a-z_]+\})")
_METHODS: Final = frozenset(("GET", "POST", "HEAD"))
_TOO_LARGE: Final = RemoteProtocolError("", f"longer than {BODY_BYTES} bytes", "TOO_LARGE")


class Gates:
    """The token buckets that all faces of one platform share."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.peers = Buckets(limits.peer, clock)
        self.merchants = Buckets(limits.merchant, clock)
        self.forged = Buckets(limits.forged, clock)
        self.forms = Buckets(limits.forms, clock)


class _Busy(Exception):  # noqa: N818
    """Somebody asks too often; ``seconds`` until he may again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(slots=True)
class _Course:
    """How far one request has come: what an error's answer is made of."""

    request: Request
    peer: str
    claim: Claim | None = None
    ring: KeyRing | None = None


class Face:
    """``manifest``'s face of ``platform``. Paths count from the root: ``guard.strip`` mounts it at a prefix.

    Raises ConfigurationError where anything stands ``around`` it in production.
    """

    def __init__(
        self,
        platform: Platform,
        manifest: Manifest,
        pages: Pages,
        refusals: RefusalBook,
        gates: Gates,
        recorder: Recorder = NOTHING,
        around: Around | None = None,
    ) -> None:
        if around is not None and platform.settings.environment == "production":
            raise ConfigurationError("environment", "nothing may stand between a face and its shops in production")
        self.manifest = manifest
        self._platform = platform
        self._server = manifest.server
        self._pages = pages
        self._refusals = refusals
        self._gates = gates
        self._recorder = recorder
        self._handler: Handler = self.handle if around is None else around(manifest, self.handle)
        self._paths = frozenset(path.encode("ascii") for path in manifest.paths if "{" not in path)
        self._patterns = read_patterns(manifest.paths)
        self._stranger = stranger_ring(manifest.algorithms, hmac.digest(platform.secrets.seal, b"stranger", "sha256"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive)
        except Gone:
            return
        except TooLarge:
            course = _Course(make_request(scope, b""), who(scope))
            await send_response(send, await self._refuse(course, _TOO_LARGE))
            return
        await send_response(send, await self._handler(make_request(scope, body), who(scope)))

    async def handle(self, request: Request, peer: str) -> Response:
        """The answer to one request; never raises (but passes on cancellation)."""
        if request.raw_path not in self._paths and not any(p.fullmatch(request.raw_path) for p in self._patterns):
            return self._strange(404, "Not Found")
        if request.method not in _METHODS:
            refused = self._strange(405, "Method Not Allowed")
            return Response(405, (*refused.headers, (b"Allow", b"GET, HEAD, POST")), refused.body)
        course = _Course(request, peer)
        try:
            return await self._serve(course)
        except _Busy as busy:
            return too_many(await self._say(course, Refused("RATE_LIMITED", "too many requests")), busy.seconds)
        except (Refused, RemoteProtocolError) as error:
            return await self._refuse(course, error)
        except OutcomeUnknown as error:
            self._platform.world.log("face.unknown", protocol=self.manifest.name, reason=str(error))
            return await self._say(course, error)
        except Exception as error:  # noqa: BLE001 - logged; the peer learns only that we failed
            trace = "".join(traceback.format_exception(error))
            self._platform.world.log("face.failed", protocol=self.manifest.name, trace=trace)
            return await self._say(course, Refused("SYSTEM"))

    def _strange(self, status: int, reason: str) -> Response:
        """The answer to what is no request of the interface: with its status alone where the interface does so."""
        if self.manifest.bare_errors:
            return Response(status, ((b"Content-Length", b"0"),))
        return text(f"{status} {reason}\n", status=status)

    async def _serve(self, course: _Course) -> Response:
        _pass(self._gates.peers.take(course.peer))
        if (course.request.header("content-encoding") or "identity").lower() != "identity":
            raise RemoteProtocolError("", "compressed bodies are not taken", "MALFORMED")
        claim = course.claim = self._server.claim(course.request)
        # before the ring is known to whoever answers: who is kept waiting must not cost a signature instead of a look
        _pass(self._gates.forged.wait(course.peer))
        ring = course.ring = await self._platform.rings.ring(claim.merchant, self.manifest.name)
        now = self._platform.world.clock.wire()
        try:
            # an unknown merchant costs what a wrong signature does, and in production hears the same (T57)
            verified = self._server.decode(claim, ring if ring.verify else self._stranger, now)
        except InvalidSignature:
            self._gates.forged.take(course.peer)
            if self._platform.settings.environment != "production":
                # whoever tries his first plugin is told that the number is wrong, not the signature
                await self._platform.merchant(claim.merchant)
            raise
        _pass(self._gates.merchants.take(claim.merchant))
        outcome = await act(self._platform, self.manifest.name, verified)
        response = await self._answer(claim, outcome, ring)
        if self._recorder is not NOTHING:
            await self._record(course.request, verified, response)
        return response

    async def _answer(self, claim: Claim, outcome: Outcome, ring: KeyRing) -> Response:
        if claim.carriage is Carriage.BROWSER and isinstance(outcome, TradeOpened):
            return self._pages.open_cashier(outcome)
        if claim.carriage is Carriage.BROWSER and isinstance(outcome, BatchTaken):
            return see_other(outcome.confirm_url)
        try:
            now = self._platform.world.clock.wire()
            costly = self.manifest.costly
            if costly is None:
                return self._server.answer(claim, outcome, ring, now)
            return await self._platform.world.finish(costly.prepare_answer(claim, outcome, ring, now))
        except TongbaoError as error:
            # what was asked is done and committed; only the words for it are missing
            raise RuntimeError(f"{claim.operation} was carried out and cannot be answered") from error

    async def _refuse(self, course: _Course, error: TongbaoError) -> Response:
        claim = course.claim
        operation, merchant = (claim.operation, claim.merchant) if claim else ("", "")
        await self._refusals.write(self.manifest.name, operation, merchant, course.peer, course.request, error)
        return await self._say(course, error)

    async def _aside(self, write: Callable[[], Response]) -> Response:
        """Write a refusal; where signing costs much, on a thread, so that nobody else waits for it."""
        if self.manifest.costly is None:
            return write()
        written: Response = await self._platform.world.compute(write)
        return written

    async def _say(self, course: _Course, error: TongbaoError) -> Response:
        """The error answer: a page for a browser, the protocol's own words for a program."""
        claim = course.claim
        try:
            if claim.carriage is Carriage.BROWSER if claim else looks_at(course.request):
                return self._pages.error_page(self.manifest, claim, error, course.request)
            now = self._platform.world.clock.wire()
            return await self._aside(lambda: self._server.refuse(claim, error, course.ring, now))
        except Exception as failure:  # noqa: BLE001 - the last resort says nothing about the cause
            trace = "".join(traceback.format_exception(failure))
            self._platform.world.log("face.speechless", protocol=self.manifest.name, trace=trace)
            return text("500 Internal Server Error\n", status=500)

    async def _record(self, request: Request, verified: Verified, response: Response) -> None:
        intent = verified.intent
        try:
            if isinstance(intent, CreateTrade):
                self._recorder.request("create", intent.merchant, intent.out_trade_no, request)
            elif isinstance(intent, ConfirmNotification):
                found = self._platform.seal.read_event_id(intent.notification_id)
                if found is not None:
                    trade = await self._platform.trade_by_no(found[0])
                    if trade.merchant_id == intent.merchant:
                        self._recorder.request("confirm", trade.merchant_id, trade.out_trade_no, request, response)
        except TongbaoError as error:
            self._platform.world.log("face.unrecorded", protocol=self.manifest.name, reason=str(error))


def _pass(seconds: float) -> None:
    if seconds:
        raise _Busy(seconds)


def read_patterns(paths: tuple[str, ...]) -> tuple[re.Pattern[bytes], ...]:
    """What the paths with ``{name}`` or ``{+name}`` in them match: any text of one segment in its place, or of more."""
    return tuple(re.compile(b"".join(_pattern(part) for part in _PARTS.split(path))) for path in paths if "{" in path)


def _pattern(part: str) -> bytes:
    if _PARTS.fullmatch(part):
        return b".+" if part.startswith("{+") else b"[^/]+"
    return re.escape(part.encode("ascii"))


def looks_at(request: Request) -> bool:
    """Whether a browser's window waits for the answer, as far as its headers tell."""
    return "text/html" in (request.header("accept") or "")


@cache
def stranger_ring(algorithms: tuple[str, ...], secret: bytes) -> KeyRing:
    """Keys that verify nothing, one per algorithm, so that an unknown merchant takes as long as a wrong signature."""
    public = _nobody(secret)
    keys = tuple(Key("", 0, name, secret.hex().encode("ascii") if _is_shared(name) else public) for name in algorithms)
    return KeyRing("", keys, ())


def _is_shared(algorithm: str) -> bool:
    return "RSA" not in algorithm.upper()


def _nobody(secret: bytes) -> RSAPublicKey:
    """An RSA key of 2,048 bits whose factors nobody knows: the number comes from a keyed digest, not from primes."""
    number = int.from_bytes(b"".join(secret for _ in range(256 // len(secret) + 1))[:256])
    return RSAPublicNumbers(65_537, number | 1 | 1 << 2_047).public_key()
