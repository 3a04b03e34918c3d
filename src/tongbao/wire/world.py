"""The World: every window to the outside, passed as an argument.

Four places build one: the CLI, the package root, ``tongbao.testing`` and ``tongbao.sim``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from tongbao.kernel.port import Clock, Entropy
from tongbao.wire.http import Request, Response
from tongbao.wire.unsigned import Unsigned

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much one outgoing exchange may take (T78). Seconds and bytes."""

    connect_seconds: float = 5.0
    first_byte_seconds: float = 10.0
    total_seconds: float = 15.0
    answer_bytes: int = 4_096
    header_bytes: int = 16_384

    def within(self, seconds: float) -> Limits:
        """The same, and none of the times longer than ``seconds``."""
        return replace(
            self,
            connect_seconds=min(seconds, self.connect_seconds),
            first_byte_seconds=min(seconds, self.first_byte_seconds),
            total_seconds=min(seconds, self.total_seconds),
        )


NOTIFY_LIMITS = Limits()
"""For a notification to a merchant's address: only a word is expected back."""

CALL_LIMITS = Limits(connect_seconds=5, first_byte_seconds=30, total_seconds=60, answer_bytes=4_194_304)
"""For a call of a merchant's client, or of ours to a bank: an answer of up to 4 MiB."""


class NotSent(Exception):  # noqa: N818 - names what is known about the request
    """The request never left: refused by address policy, name resolution failed, or no connection.

    ``reason`` is a short code: ``BLOCKED_ADDRESS``, ``RESOLVE``, ``CONNECT``, ``TLS``.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class NoAnswer(Exception):  # noqa: N818
    """The request left (or may have left) and no complete answer came: the outcome is unknown.

    ``reason`` is ``TIMEOUT``, ``CLOSED`` or ``TOO_LARGE``.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Transport(Protocol):
    """One request out, one answer back; redirects are never followed, answers never decompressed (T75, T78)."""

    async def __call__(self, request: Request, limits: Limits = ...) -> Response:
        """Raises NotSent or NoAnswer."""
        ...


@dataclass(frozen=True, slots=True)
class Mail:
    """One plain-text message. ``key`` is stable over repeats, so that a mailbox can tell a repeat."""

    sender: str
    to: str
    subject: str
    text: str
    key: str


class Mailer(Protocol):
    async def __call__(self, mail: Mail) -> None:
        """Hand one message to the mail system; raises OSError when it did not take it."""
        ...


class Log(Protocol):
    """Structured logging: an event name and fields. Secrets are redacted by name before anything is written (T65)."""

    def __call__(self, event: str, **fields: object) -> None: ...


class Randomness(Protocol):
    """A seeded source for jitter and chaos; never for keys or tokens."""

    def random(self) -> float: ...

    def randrange(self, stop: int, /) -> int: ...

    def choice(self, options: Sequence[T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class World:
    """Clock, chance, network, mail, threads and tasks. ``environment`` is ``production``, ``sandbox`` or ``test``."""

    clock: Clock
    entropy: Entropy
    send: Transport
    mail: Mailer
    log: Log
    random: Callable[[str], Randomness]
    compute: Callable[[Callable[[], Any]], Awaitable[Any]]
    """Run a blocking function on a thread (inline in the simulation) and await its result."""
    sleep: Callable[[float], Awaitable[None]]
    """Sleep so many seconds of real (or virtual) time."""
    spawn: Callable[[Coroutine[Any, Any, None], str], Any]
    """Start a background task under a name; its failure is logged, never swallowed."""
    environment: str = "production"
    settings: dict[str, str] = field(default_factory=dict)
    sign: Callable[[Unsigned[Any]], Awaitable[str]] | None = None
    """The signature of a message, made on a thread together with others'. None: ``compute`` makes it alone."""

    async def finish(self, message: T | Unsigned[T]) -> T:
        """The whole message, signed on a thread where it waits for that."""
        if not isinstance(message, Unsigned):
            return message
        signature = await (self.sign(message) if self.sign is not None else self.compute(message.signature))
        return message.finish(signature)
