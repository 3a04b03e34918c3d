"""Delivering notifications: claimed in batches, sent side by side, finished after the acknowledgement (F20, F35)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tongbao.kernel.error import ProtocolError, TongbaoError
from tongbao.kernel.time import SECOND, Instant
from tongbao.service.outbox import CLAIM_MAX, Claimed, Delivered, claim, defer, finish, write_notification
from tongbao.service.platform import Platform
from tongbao.wire.http import Response, split_url
from tongbao.wire.world import NOTIFY_LIMITS, NoAnswer, NotSent

HOST_MAX: Final = 4
"""Deliveries to one host at a time, over all merchants (T79)."""

HOST_WAITING: Final = 16
"""Deliveries of one host that are held here, under way or next; what is more is given back for others to go first.
Four rounds of the longest delivery fit into a lease."""

FLYING_MAX: Final = 384
"""Deliveries under way at a time."""

BUSY_PAUSE: Final = 1 * SECOND
"""How long an event waits that was given back because its host is busy, in milliseconds of business time."""

ANSWER_SHOWN: Final = 256
"""Characters of an answer that are kept for the merchant to see (T80)."""


def target_host(target: str) -> str:
    """The authority a notification goes to; '' where the address is none (the transport will refuse it)."""
    try:
        return split_url(target)[1].lower()
    except ValueError:
        return ""


def shown(body: bytes) -> str:
    """The first printable characters of an answer."""
    text = body[: 4 * ANSWER_SHOWN].decode("utf-8", "replace")
    return "".join(letter for letter in text if letter.isprintable())[:ANSWER_SHOWN]


class Deliverer:
    """Sends what is due. Deliveries fly side by side, so that a slow address delays nobody but itself (F20)."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._hosts: Counter[str] = Counter()
        self._gates: dict[str, asyncio.Semaphore] = {}
        self.deferred = 0
        """How many events the last round gave back."""
        self._flying: set[asyncio.Task[None]] = set()
        self._landed: list[Delivered] = []
        self._writing = asyncio.Lock()

    async def round(self, most: int = CLAIM_MAX) -> int:
        """Claim what is due and start to send it; returns how many deliveries were started."""
        room = min(most, FLYING_MAX - len(self._flying))
        self.deferred = 0
        if room <= 0:
            return 0
        claimed = await claim(self._platform, room)
        if not claimed:
            return 0
        now, later = self._choose(claimed)
        self.deferred = len(later)
        if later:
            await defer(self._platform, later, Instant(self._platform.world.clock.business() + BUSY_PAUSE))
        for one in now:
            self._hosts[target_host(one.event.target)] += 1
            task = asyncio.create_task(self._fly(one), name="delivery")
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)
        return len(now)

    async def drain(self) -> int:
        """Wait until everything under way has landed and is written down; returns how much that was."""
        flying = list(self._flying)
        await asyncio.gather(*flying)
        return len(flying)

    async def _fly(self, claimed: Claimed) -> None:
        host = target_host(claimed.event.target)
        gate = self._gates.setdefault(host, asyncio.Semaphore(HOST_MAX))
        try:
            async with gate:
                delivered = await self._deliver(claimed)
                # looked up only now: while this one flew, the list may have been taken to be written down
                self._landed.append(delivered)
        finally:
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host], self._gates[host]
        # whoever gets the lock writes for all who landed meanwhile: batches form by themselves
        async with self._writing:
            landed, self._landed = self._landed, []
            if landed:
                await finish(self._platform, landed)

    def _choose(self, claimed: Sequence[Claimed]) -> tuple[list[Claimed], list[Claimed]]:
        """What can be sent now, and what must wait because its host already has its share."""
        now: list[Claimed] = []
        later: list[Claimed] = []
        taken = Counter(self._hosts)
        for one in claimed:
            host = target_host(one.event.target)
            if taken[host] < HOST_WAITING:
                taken[host] += 1
                now.append(one)
            else:
                later.append(one)
        return now, later

    async def _deliver(self, claimed: Claimed) -> Delivered:
        clock = self._platform.world.clock
        started = clock.monotonic()
        answer_class, response = await self._send(claimed)
        # never before it was due: a clock that was ahead when it was claimed may have been set right since (F31, I23)
        at = max(clock.business(), claimed.event.next_at or clock.business())
        return Delivered(
            claimed,
            answer_class,
            response.status if response else 0,
            shown(response.body) if response else "",
            int((clock.monotonic() - started) * 1000),
            at,
        )

    async def _send(self, claimed: Claimed) -> tuple[str, Response | None]:
        log, event = self._platform.world.log, claimed.event
        try:
            request = await write_notification(self._platform, claimed)
            response = await self._platform.world.send(request, NOTIFY_LIMITS)
        except NotSent as error:
            log("notify.not_sent", target=target_host(event.target), reason=error.reason)
            return ("BLOCKED_ADDRESS" if error.reason == "BLOCKED_ADDRESS" else "NETWORK_ERROR"), None
        except NoAnswer as error:
            log("notify.no_answer", target=target_host(event.target), reason=error.reason)
            return "NETWORK_ERROR", None
        except ProtocolError as error:
            log("notify.no_key", merchant=event.merchant_id, reason=error.reason)
            return "NO_KEY", None
        except (TongbaoError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            # a poison message must not take the worker with it: it is a failed attempt like any other (F34, F35)
            log("notify.failed", merchant=event.merchant_id, error=type(error).__name__)
            return "NETWORK_ERROR", None
        manifest = self._platform.protocol(claimed.protocol)
        if response.status != 200 and response.status not in manifest.acknowledged_by_status:
            return "STATUS", response
        return ("SUCCESS" if manifest.server.acknowledged(response) else "OTHER_ANSWER"), response
