"""Everything the platform has signed, and the judgement of each verification at a shop against it.

A message is genuine if time, nonce, signature, name of the key and body are those that a process of the platform
wrote. What is not genuine must be refused; only the name is no part of what is signed, so that a message whose name
became the other name of the same pair of keys proves what it did before. What is genuine must be taken, but for one
documented rule (the interface's page on verification): more than five minutes from the reader's clock it must be
refused as STALE. Whatever it is, reading it ends in one of the two: any other error is a fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.kernel.time import MINUTE, SECOND, Instant
from tongbao.sim.universe import Universe
from tongbao.wire.contract import Call, ClientEnd, Credentials
from tongbao.wire.http import Headers, Request, Response
from tongbao.wire.movement import FetchCertificates
from tongbao.wire.vocabulary import Intent, Notification, Outcome

WINDOW: Final = 5 * MINUTE
AGAIN: Final = "x-sim-again"
"""Marks a genuine message that somebody else than its sender brings, or in an answer's place."""

NAME: Final = b"wechatpay-serial"
SIGNED: Final = (b"wechatpay-timestamp", b"wechatpay-nonce", b"wechatpay-signature", NAME)


@dataclass(frozen=True, slots=True)
class Message:
    """One signed message: for whom, when by the signer's clock, under which name; ``entered`` is virtual seconds."""

    merchant: str
    at: Instant
    name: str
    entered: float


def _read(headers: Headers, body: bytes) -> tuple[bytes, ...] | None:
    """What the signature covers and what it says of itself; None where a header is missing or stands twice."""
    said: list[bytes] = []
    for wanted in SIGNED:
        found = [value for name, value in headers if name.lower() == wanted]
        if len(found) != 1:
            return None
        said.append(found[0])
    return (*said[:3], hashlib.sha256(body).digest())


def names_of(credentials: Credentials) -> frozenset[str]:
    """The names of the platform's keys that these credentials trust."""
    return frozenset(
        f"{key.chain[0].serial_number:X}" if key.chain else key.id
        for key in credentials.ring.verify
        if not isinstance(key.material, bytes)
    )


class Register:
    """Knows every genuine message. ``pairs``: by name of a certificate or public key, the other name of the same pair
    of keys, where it has one. ``notes``: the latest notification under each name. The trace counts what became of
    messages: ``taken genuine note key``, and so on."""

    def __init__(self, universe: Universe, pairs: Mapping[str, str]) -> None:
        self.universe = universe
        self.messages: dict[tuple[bytes, ...], Message] = {}
        self._pairs = pairs
        self.notes: dict[tuple[str, str], tuple[Instant, Request]] = {}

    def enter(self, merchant: str, headers: Headers, body: bytes) -> Message | None:
        """A process of the platform has written this. What is not signed is not entered."""
        said = _read(headers, body)
        if said is None:
            return None
        at = Instant(int(said[0]) * SECOND)
        message = Message(merchant, at, self._name(headers), self.universe.loop.time())
        self.messages[said] = message
        return message

    def enter_note(self, merchant: str, request: Request) -> None:
        """The same for a notification."""
        message = self.enter(merchant, request.headers, request.body)
        if message is not None:
            self.notes[merchant, message.name] = (message.at, request)

    def _name(self, headers: Headers) -> str:
        return next(value.decode("latin-1") for name, value in headers if name.lower() == NAME)

    def judge(
        self, what: str, message: Request | Response, credentials: Credentials, now: Instant, error: Exception | None,
        *, learning: bool = False,
    ) -> None:  # fmt: skip
        """Hold what a shop made of a message against what it is. ``what``: ``note`` or ``answer``; ``error``: None
        where it was taken; ``learning``: its key comes with it, sealed."""
        headers, said = message.headers, _read(message.headers, message.body)
        found = None if said is None else self.messages.get(said)
        kind = self._kind(found, headers, credentials, now, learning=learning)
        name = "" if found is None else "key" if found.name.startswith("PUB_") else "certificate"
        refusal = error if isinstance(error, RemoteProtocolError) else None
        became, code = "taken" if error is None else "broke at", ""
        if refusal is not None:
            became, code = "refused", refusal.code
        self.universe.note(f"{became} {kind} {what} {name}".strip(), credentials.merchant, code)
        who, whose = credentials.merchant, f"a message ({kind}, {what}, by {found.name if found else 'nobody'})"
        if error is not None and refusal is None:
            self.universe.blame(f"{who} broke at {whose}: {error!r}")
        elif error is None and kind not in ("genuine", "again", "renamed"):
            self.universe.blame(f"{who} took {whose}")
        elif kind == "genuine" and refusal is not None:
            self.universe.blame(f"{who} refused {whose}: {error}")
        elif kind == "again" and isinstance(error, InvalidSignature):
            self.universe.blame(f"{who} could not verify {whose}: {error}")
        elif kind == "old" and refusal is not None and not _is_stale(refusal) and not _is_again(headers):
            self.universe.blame(f"{who} refused {whose}, but not for its age: {error}")

    def _kind(
        self, message: Message | None, headers: Headers, credentials: Credentials, now: Instant, *, learning: bool
    ) -> str:
        if message is None:
            return "changed"
        if message.merchant != credentials.merchant:
            return "foreign"
        name = self._name(headers)
        if name not in (message.name, self._pairs.get(message.name)):
            return "changed"
        if abs(now - message.at) > WINDOW:
            return "old"
        if name != message.name:
            return "renamed"
        if not _is_again(headers):
            return "genuine"
        trusted = learning or message.name in names_of(credentials)
        return "again" if trusted else "untrusted"


def _is_again(headers: Headers) -> bool:
    return any(name.decode("latin-1").lower() == AGAIN for name, _ in headers)


def _is_stale(error: RemoteProtocolError) -> bool:
    return isinstance(error, InvalidSignature) and error.code == "STALE"


@lru_cache(64)
def _load(end: Any, settings: tuple[tuple[str, str], ...]) -> Credentials:
    """Parsed once for all lives and seeds: an RSA key costs fifty times what signing with it does."""
    loaded: Credentials = end.load(dict(settings))
    return loaded


class WatchedEnd:
    """A shop's half of the protocol, each of whose verifications is told to the register."""

    def __init__(self, inner: ClientEnd, register: Register) -> None:
        self._inner = inner
        self._register = register

    def load(self, settings: Mapping[str, str]) -> Credentials:
        return _load(cast("Any", self._inner), tuple(settings.items()))

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        return self._inner.encode(intent, credentials, now)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if response.status not in (200, 202, 204):
            # unsigned by the interface's rule: it moves no money and proves nothing
            return self._inner.decode(intent, response, credentials, now)
        learning = isinstance(intent, FetchCertificates)
        try:
            outcome = self._inner.decode(intent, response, credentials, now)
        except Exception as error:
            self._register.judge("answer", response, credentials, now, error, learning=learning)
            raise
        self._register.judge("answer", response, credentials, now, None, learning=learning)
        return outcome

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        try:
            notification = self._inner.decode_notification(request, credentials, now)
        except Exception as error:
            self._register.judge("note", request, credentials, now, error)
            raise
        self._register.judge("note", request, credentials, now, None)
        return notification

    def acknowledge(self, accepted: bool) -> Response:
        return self._inner.acknowledge(accepted)

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return self._inner.decode_return(request, credentials, now)
