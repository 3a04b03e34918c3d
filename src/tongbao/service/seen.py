"""Words of signed requests that were seen, written down for all processes and for the same one after a restart (T24).

That a number happens once does not suffice: a refused request leaves no number behind, and must not be carried out when
somebody sends it again while its time is fresh. So whatever may change something is written down. Who only looks is
remembered by his process alone: a repeat elsewhere changes nothing. See ``docs/decisions/nonces.md``.
"""

from __future__ import annotations

import hashlib
from typing import Final

from tongbao.kernel.record import record
from tongbao.kernel.time import SECOND, Instant
from tongbao.service.command import Needs
from tongbao.service.once import WINDOW_SECONDS
from tongbao.service.platform import Platform
from tongbao.store.commit import Decision, Now
from tongbao.store.record import SeenWord
from tongbao.store.schema import SEEN_WORD
from tongbao.store.sheet import Sheet
from tongbao.store.step import Commit, Query, Script
from tongbao.wire.movement import (
    FetchBill,
    FetchCertificates,
    QueryBalance,
    QueryMovements,
    QueryPayOut,
    QueryPayOutBatch,
    QueryRefund,
    QuerySplit,
    QuerySplitReturn,
    QueryUnsplit,
    RequestBill,
)
from tongbao.wire.vocabulary import ConfirmNotification, QueryCombined, QueryTrade, RequestTimestamp

FORGET_MOST: Final = 1_000
"""Words that one round of the worker forgets at most."""

LOOKING: Final[frozenset[type]] = frozenset(
    {
        ConfirmNotification,
        FetchBill,
        FetchCertificates,
        QueryBalance,
        QueryCombined,
        QueryMovements,
        QueryPayOut,
        QueryPayOutBatch,
        QueryRefund,
        QuerySplit,
        QuerySplitReturn,
        QueryTrade,
        QueryUnsplit,
        RequestBill,
        RequestTimestamp,
    }
)
"""Intents that change nothing; any other is taken for one that may."""


@record
class TakeWord:
    """Write a word's digest down. Outcome: whether it was there for the first time."""

    word: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield SEEN_WORD, (self.word,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if sheet.get(SEEN_WORD, self.word) is not None:
            return Decision(False)
        return Decision(True, [(SEEN_WORD, SeenWord(self.word, Instant(now.wire + WINDOW_SECONDS * SECOND)))])


async def take_once(platform: Platform, word: str, intent: object) -> bool:
    """Whether a request's word is seen for the first time: by this process and, where ``intent`` may change something,
    by all. Raises OutcomeUnknown where the books did not answer: the request is to be signed anew."""
    if not platform.onces.take(word, platform.world.clock.monotonic()):
        return False
    if type(intent) in LOOKING:
        return True
    taken: bool = await platform.submit(TakeWord(hashlib.sha256(word.encode()).hexdigest()))
    return taken


def _forget(now: Instant) -> Script[int]:
    rows = yield Query("once.forget", {"now_wire": now, "most": FORGET_MOST})
    yield Commit()
    return len(rows)


async def forget_words(platform: Platform) -> int:
    """The worker's duty: words that are too old to be sent again. Returns how many."""
    now = platform.world.clock.wire()
    return await platform.database.run(lambda: _forget(now))
