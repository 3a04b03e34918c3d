"""The two shells over the acceptance: ``Receiver`` for threads, ``AsyncReceiver`` for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from tongbao.kernel.money import Money
from tongbao.kernel.port import Clock
from tongbao.merchant.acceptance import Acceptance, Apply, Hooks, JobMaker
from tongbao.merchant.asking import Ended
from tongbao.merchant.book import OrderBook
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.merchant.endpoint import Endpoint, EndpointTable
from tongbao.merchant.exchange import Core, Send, SyncSend, drive, drive_async
from tongbao.merchant.mail import mail_job
from tongbao.merchant.movement import Movement
from tongbao.merchant.system import SystemClock
from tongbao.merchant.transport import AsyncHttpTransport, HttpTransport
from tongbao.merchant.verdict import Accepted, ReturnSeen, Verdict
from tongbao.wire.http import Request, Response
from tongbao.wire.world import Transport

Compute = Callable[[Callable[[], Any]], Awaitable[Any]]


def _silent(name: str) -> None:
    """The crash point of a process that is not being tested."""


class _Shell:
    def __init__(
        self, endpoints: Iterable[Endpoint], book: OrderBook, database: Database, clock: Clock | None, hooks: Hooks
    ) -> None:
        self.database = database
        self.book = book
        self.clock: Clock = clock or SystemClock()
        self._core = Acceptance(endpoints, book, database, self.clock, hooks)

    @property
    def endpoints(self) -> EndpointTable:
        return self._core.endpoints


class Receiver(_Shell):
    """Accepts notifications and returns in the calling thread; safe to share between threads.

    ``apply(transaction, order, payment)`` runs inside the acceptance transaction, on the shop's own connection
    (``transaction.connection``), once per order, when it is first proven paid. ``moved`` runs on later changes;
    ``ended(transaction, movement)`` once for each refund or payout that ended, and once more for one that was given
    up and was made after all.
    ``after_commit`` makes jobs, by default the buyer's mail; ``run_jobs`` runs them.
    ``send`` replaces the HTTP transport.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        book: OrderBook,
        database: Database,
        *,
        apply: Apply | None = None,
        moved: Apply | None = None,
        ended: Ended | None = None,
        after_commit: Sequence[JobMaker] = (mail_job,),
        clock: Clock | None = None,
        crashpoint: Callable[[str], object] = _silent,
        send: SyncSend | None = None,
    ) -> None:
        hooks = Hooks(apply=apply, moved=moved, ended=ended, after_commit=tuple(after_commit), crashpoint=crashpoint)
        super().__init__(endpoints, book, database, clock, hooks)
        self._send = send
        self._transports: dict[int, tuple[MerchantConfiguration, HttpTransport]] = {}

    def _exchange(self, effect: Send) -> Response:
        if self._send is not None:
            return self._send(effect.request, effect.limits)
        configuration = effect.configuration
        found = self._transports.get(id(configuration))
        if found is None:
            found = self._transports.setdefault(id(configuration), (configuration, HttpTransport(configuration)))
        return found[1](effect.request, effect.limits)

    def accept_notification(self, raw: Request) -> Accepted:
        """Walk the sixteen steps; send ``response`` back exactly as it is. Never raises on a message, however bad."""
        return drive(self._core.notification(raw), self._exchange)

    def accept_return(self, raw: Request, *, inquire: bool = False) -> ReturnSeen:
        """Which order to show after the browser came back. Marks nothing paid; ``inquire`` asks the platform now."""
        return drive(self._core.returned(raw, inquire=inquire), self._exchange)

    def confirm_by_query(self, order_no: str) -> Verdict:
        """Ask the platform how an order's trade stands and apply the answer, as evidence of its own."""
        return drive(self._core.inquire(order_no), self._exchange)

    def poll(self, older_than: int = 300, limit: int = 100) -> list[Verdict]:
        """``confirm_by_query`` for at most ``limit`` pending orders created more than ``older_than`` seconds ago. Half
        of them are the newest; the others are older ones, and each call goes on where the last one of this receiver
        stopped, so that all of them get their turn. A limit of 1 asks about the newest order only."""
        return drive(self._core.poll(older_than, limit), self._exchange)

    def refund(
        self, order_no: str, refund_no: str, amount: Money, *, reason: str = "", notify_url: str = ""
    ) -> Movement:
        """Give money of a paid order back. The shop's own row comes first, so the sum can never exceed the order's, and
        the same number is always the same refund. After OutcomeUnknown or NotSent call it again with the same number;
        reason and address are then those of the first time. A refusal of a later call leaves the row open
        (``poll_movements`` asks how it stands): the first one may have been taken on.

        Raises Refused (TRADE_NOT_FOUND, TRADE_STATE, REFUND_EXCEEDS, REFUND_MISMATCH, or the platform's own code).
        """
        return drive(self._core.asking.refund(order_no, refund_no, amount, reason, notify_url), self._exchange)

    def give_up_refund(self, order_no: str, refund_no: str, *, unproven: bool = False) -> Movement:
        """Note as failed (``GIVEN_UP``) a refund that was refused without a proof, and of which a person has seen on
        the platform's own site that it was never made: its sum is then free for another number. The platform is asked
        once more, and must say, signed, that it has none; ``unproven`` takes an unsigned word for it too, in protocols
        whose platform signs no refusals, and leaves the row's ``evidence`` empty.

        Raises Refused (REFUND_NOT_FOUND; STATE_CONFLICT where the platform knows it, or it was asked for in the last
        ten minutes) and OutcomeUnknown (nobody answers, or nobody with a proof: ``refusal`` is what was said).
        """
        return drive(self._core.asking.give_up_refund(order_no, refund_no, unproven), self._exchange)

    def give_up_payout(self, endpoint: str, payout_no: str, batch_no: str = "", *, unproven: bool = False) -> Movement:
        """The same for a payout that was written down for the endpoint of that name (PAYOUT_NOT_FOUND)."""
        return drive(self._core.asking.give_up_payout(endpoint, payout_no, batch_no, unproven), self._exchange)

    def poll_movements(self, older_than: int = 300, limit: int = 100) -> list[Movement]:
        """Ask how all refunds and payouts stand that were asked for more than ``older_than`` seconds ago and are open;
        returns those that ended or are stuck. ``limit``: how many rows are read at once."""
        return drive(self._core.endings.poll(older_than, limit), self._exchange)

    def close(self) -> None:
        for _, transport in self._transports.values():
            transport.close()
        self._transports.clear()


class AsyncReceiver(_Shell):
    """The same for asyncio: exchanges are awaited, transactions run in ``compute`` (by default a thread).

    ``send`` and ``compute`` are a World's, where there is one. Hooks stay plain functions: they run in the
    transaction's thread.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        book: OrderBook,
        database: Database,
        *,
        apply: Apply | None = None,
        moved: Apply | None = None,
        ended: Ended | None = None,
        after_commit: Sequence[JobMaker] = (mail_job,),
        clock: Clock | None = None,
        crashpoint: Callable[[str], object] = _silent,
        send: Transport | None = None,
        compute: Compute = asyncio.to_thread,
    ) -> None:
        hooks = Hooks(apply=apply, moved=moved, ended=ended, after_commit=tuple(after_commit), crashpoint=crashpoint)
        super().__init__(endpoints, book, database, clock, hooks)
        self._send = send
        self._compute = compute
        self._transports: dict[int, tuple[MerchantConfiguration, AsyncHttpTransport]] = {}

    async def _exchange(self, effect: Send) -> Response:
        if self._send is not None:
            return await self._send(effect.request, effect.limits)
        configuration = effect.configuration
        if id(configuration) not in self._transports:
            self._transports[id(configuration)] = (configuration, AsyncHttpTransport(configuration))
        return await self._transports[id(configuration)][1](effect.request, effect.limits)

    async def _drive(self, core: Core[Any]) -> Any:
        return await drive_async(core, self._exchange, self._compute)

    async def accept_notification(self, raw: Request) -> Accepted:
        """Walk the sixteen steps; send ``response`` back exactly as it is. Never raises on a message, however bad."""
        accepted: Accepted = await self._drive(self._core.notification(raw))
        return accepted

    async def accept_return(self, raw: Request, *, inquire: bool = False) -> ReturnSeen:
        """Which order to show after the browser came back. Marks nothing paid; ``inquire`` asks the platform now."""
        seen: ReturnSeen = await self._drive(self._core.returned(raw, inquire=inquire))
        return seen

    async def confirm_by_query(self, order_no: str) -> Verdict:
        """Ask the platform how an order's trade stands and apply the answer, as evidence of its own."""
        verdict: Verdict = await self._drive(self._core.inquire(order_no))
        return verdict

    async def poll(self, older_than: int = 300, limit: int = 100) -> list[Verdict]:
        """``confirm_by_query`` for the newest pending orders of that age and some older ones; see ``Receiver.poll``."""
        verdicts: list[Verdict] = await self._drive(self._core.poll(older_than, limit))
        return verdicts

    async def refund(
        self, order_no: str, refund_no: str, amount: Money, *, reason: str = "", notify_url: str = ""
    ) -> Movement:
        """Give money of a paid order back; see ``Receiver.refund``."""
        core = self._core.asking.refund(order_no, refund_no, amount, reason, notify_url)
        movement: Movement = await self._drive(core)
        return movement

    async def give_up_refund(self, order_no: str, refund_no: str, *, unproven: bool = False) -> Movement:
        """Note a refund as failed that was never made; see ``Receiver.give_up_refund``."""
        movement: Movement = await self._drive(self._core.asking.give_up_refund(order_no, refund_no, unproven))
        return movement

    async def give_up_payout(
        self, endpoint: str, payout_no: str, batch_no: str = "", *, unproven: bool = False
    ) -> Movement:
        """Note a payout as failed that was never made; see ``Receiver.give_up_payout``."""
        core = self._core.asking.give_up_payout(endpoint, payout_no, batch_no, unproven)
        movement: Movement = await self._drive(core)
        return movement

    async def poll_movements(self, older_than: int = 300, limit: int = 100) -> list[Movement]:
        """Ask how open refunds and payouts stand; see ``Receiver.poll_movements``."""
        moved: list[Movement] = await self._drive(self._core.endings.poll(older_than, limit))
        return moved

    async def close(self) -> None:
        for _, transport in self._transports.values():
            await transport.close()
        self._transports.clear()
