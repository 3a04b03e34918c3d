"""The generator pattern of this room: one core that yields what it needs done, and small drivers that do it.

A core yields ``Send`` (one HTTP exchange), ``Work`` (one transaction on the shop's database), ``Act`` (call a handler)
or ``Wait`` (for what another core is asking) and gets the result back, or the exception thrown in. The synchronous and
the asynchronous shell differ in the driver only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any, Final, TypeVar

from tongbao.kernel.error import (
    ConfigurationError,
    InvalidSignature,
    LocalProtocolError,
    OutcomeUnknown,
    RemoteProtocolError,
)
from tongbao.kernel.port import Clock
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.wire.contract import Call
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import CertificatesFound, FetchCertificates, RequestBill
from tongbao.wire.vocabulary import Intent, Outcome
from tongbao.wire.world import Limits, NoAnswer, NotSent

R = TypeVar("R")

INQUIRY_SECONDS: Final = 5.0
"""How long a notification waits for the platform to be asked on behalf of another one, and the longest of the times of
its own questions: whoever sends forged ones would hold as many threads, and the platform repeats what is refused."""

SyncSend = Callable[[Request, Limits], Response]
"""Sends one request and returns its answer; raises NotSent or NoAnswer. Never follows redirects."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``request`` to the platform of ``configuration``; the answer is a Response."""

    request: Request
    limits: Limits
    configuration: MerchantConfiguration


@dataclass(frozen=True, slots=True)
class Work:
    """Run a blocking function (a transaction); the answer is its result."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Act:
    """Call the shop's handler with ``argument``; it may be a coroutine function under the asynchronous driver."""

    handler: Callable[[Any], Any]
    argument: Any


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until what another core asks, on whichever thread or loop, is at its end; ``seconds`` at most."""

    over: Future[bool]
    seconds: float


Effect = Send | Work | Act | Wait
Core = Generator[Effect, Any, R]


def drive(core: Core[R], send: Callable[[Send], Response]) -> R:
    """Run a core to its end in the calling thread."""
    answer: Any = None
    failure: Exception | None = None
    while True:
        try:
            effect = core.send(answer) if failure is None else core.throw(failure)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        answer, failure = None, None
        try:
            if isinstance(effect, Send):
                answer = send(effect)
            elif isinstance(effect, Work):
                answer = effect.function()
            elif isinstance(effect, Wait):
                wait_for([effect.over], effect.seconds)
            else:
                answer = effect.handler(effect.argument)
        except Exception as error:  # noqa: BLE001 - every failure belongs to the core, which asked for the effect
            failure = error


async def drive_async(
    core: Core[R],
    send: Callable[[Send], Awaitable[Response]],
    compute: Callable[[Callable[[], Any]], Awaitable[Any]],
) -> R:
    """Run a core to its end; transactions run in ``compute`` (a thread), handlers and exchanges are awaited."""
    answer: Any = None
    failure: Exception | None = None
    while True:
        try:
            effect = core.send(answer) if failure is None else core.throw(failure)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        answer, failure = None, None
        try:
            if isinstance(effect, Send):
                answer = await send(effect)
            elif isinstance(effect, Work):
                answer = await compute(effect.function)
            elif isinstance(effect, Wait):
                await asyncio.wait([asyncio.wrap_future(effect.over)], timeout=effect.seconds)
            else:
                answer = effect.handler(effect.argument)
                if isinstance(answer, Awaitable):
                    answer = await answer
        except Exception as error:  # noqa: BLE001 - every failure belongs to the core, which asked for the effect
            failure = error


def learn(
    configuration: MerchantConfiguration, clock: Clock, *, asked: bool = False, serial: str = "", seconds: float = inf
) -> Core[bool]:
    """Fetch the platform's certificates, where the protocol has them and it is not too soon, or wait for another who
    does; whether any came. None of the times of the exchange, nor the waiting, is longer than ``seconds``. ``asked``:
    somebody wants it, whenever the last time was. ``serial``: the one that was met and is not known; protocols that
    give one at a time have nothing to ask without it."""
    trust, manifest = configuration.trust, configuration.manifest
    if trust is None or FetchCertificates not in manifest.operations.values():
        return False
    singly = manifest.inquiry is not None  # where notifications name no certificate, the interface gives one at a time
    if singly and not serial:
        return False
    question = trust.begin(configuration.loaded, clock.wire(), asked=asked)
    if question is None:
        return False
    limits = configuration.limits.within(seconds)
    if not question.mine:
        yield Wait(question.over, limits.total_seconds)
        return question.learnt
    learnt = False
    try:
        intent = FetchCertificates(merchant=configuration.merchant, serial=serial)
        call = manifest.client.encode(intent, configuration.keys, clock.wire())
        response: Response = yield Send(call.request(), limits, configuration)
        outcome = manifest.client.decode(intent, response, configuration.keys, clock.wire())
        if isinstance(outcome, CertificatesFound):
            learnt = trust.keep(configuration.loaded, outcome.certificates, clock.wire(), beside=singly) > 0
    except (NoAnswer, NotSent, RemoteProtocolError, LocalProtocolError, ConfigurationError):
        return False  # the last: what came is no certificate
    finally:
        question.end(learnt)
    return learnt


def look_into(
    configuration: MerchantConfiguration, notification: Request, clock: Clock, has: Callable[[str], bool]
) -> Core[bool]:
    """For a notification that no known key has signed, in protocols whose notifications name none: ask the platform
    about it, since the answer names the certificate that it signs with now, which ``ask`` learns. Nothing else is taken
    from the answer. Whether to verify once more: also where it is too soon to ask, for somebody may have learnt it
    meanwhile. Forged ones without end make the shop ask once in five minutes (T20); ``has`` (a transaction) tells
    whether an order of that number is the shop's own, since those about any other would use up the turn: what failed
    the platform may tell unsigned, which teaches nothing (sheet alipay-openapi, 11.2). One about an order of the shop's
    that the platform does not know yet still does so."""
    trust, inquiry = configuration.trust, configuration.manifest.inquiry
    intent = None if trust is None or inquiry is None else inquiry(notification, configuration.loaded)
    if trust is None or intent is None or not (yield Work(lambda: has(intent.out_trade_no))):
        return False
    question = trust.begin(configuration.loaded, clock.wire(), inquiry=True)
    if question is None:
        return True
    limits = configuration.limits.within(INQUIRY_SECONDS)
    if not question.mine:
        yield Wait(question.over, limits.total_seconds)
        return True
    try:
        with suppress(NotSent, OutcomeUnknown, RemoteProtocolError, LocalProtocolError):
            yield from ask(configuration, intent, clock, limits)
    finally:
        question.end()
    return True


def ask(
    configuration: MerchantConfiguration, intent: Intent, clock: Clock, limits: Limits | None = None
) -> Core[Outcome]:
    """Encode, send, verify and read one SERVER exchange, within ``limits`` or those of the configuration. Certificates
    that have grown old are fetched before; where they cannot be had, those that are kept must do.

    Raises LocalProtocolError (nothing sent), NotSent (nothing left), OutcomeUnknown (sent, and no answer that can be
    read as the platform's), RemoteProtocolError (an answer that breaks the protocol; T82; where money may have moved,
    ``Errands`` makes an OutcomeUnknown of it).
    """
    client, trust = configuration.manifest.client, configuration.trust
    limits = limits or configuration.limits
    if trust is not None and trust.is_due(configuration.loaded, clock.wire()):
        yield from learn(configuration, clock, seconds=limits.total_seconds)
    call: Call = client.encode(intent, configuration.keys, clock.wire())
    try:
        response: Response = yield Send(call.request(), limits, configuration)
    except NoAnswer as error:
        raise OutcomeUnknown(f"{type(intent).__name__} was sent and no answer came: {error}") from error
    if 300 <= response.status < 400 and not isinstance(intent, RequestBill):  # that answer may be an address itself
        raise RemoteProtocolError("status", f"{response.status}: redirects are not followed")
    try:
        try:
            return client.decode(intent, response, configuration.keys, clock.wire())
        except InvalidSignature as error:
            if error.code != "KEY_UNKNOWN" or trust is None:
                raise
            # also where it is too soon to ask: somebody else may have learnt it since this answer was looked at
            yield from learn(configuration, clock, serial=error.serial, seconds=limits.total_seconds)
            return client.decode(intent, response, configuration.keys, clock.wire())
    except RemoteProtocolError as error:
        if response.status >= 500:
            raise OutcomeUnknown(f"{type(intent).__name__} was sent and answered {response.status}") from error
        raise
