"""Payouts: money leaves a merchant's balance for a balance account or a bank card, one by one or by the batch."""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record
from tongbao.kernel.time import DAY, HOUR, Instant

COOLING: Final = 24 * HOUR
"""How long nothing is paid to a card after it was changed, in milliseconds of business time (T70)."""

CHUNK: Final = 500
"""Lines one command takes at most."""

BATCH_MAX: Final = 100_000
"""Lines of one batch."""

STANDING_HOUR: Final = 9 * HOUR
"""Standing payouts are made from 09:00 in China on, after the settlement of the day."""


class PayoutState(StrEnum):
    PROPOSED = "proposed"
    """Entered; no money has moved. In a running batch: its money is aside, its turn will come."""
    SENT = "sent"
    """Set aside, and a bank was asked."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Ended without effect: sum and fee are the merchant's again."""
    CLOSED = "closed"
    """Withdrawn before any money moved."""


class BatchState(StrEnum):
    LOADING = "loading"
    PROPOSED = "proposed"
    """Complete; somebody else must agree."""
    RUNNING = "running"
    DONE = "done"
    CLOSED = "closed"


PAYOUT_MOVES: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("", PayoutState.PROPOSED),
        ("", PayoutState.SENT),
        ("", PayoutState.SUCCEEDED),
        (PayoutState.PROPOSED, PayoutState.SENT),
        (PayoutState.PROPOSED, PayoutState.SUCCEEDED),
        (PayoutState.PROPOSED, PayoutState.FAILED),
        (PayoutState.PROPOSED, PayoutState.CLOSED),
        (PayoutState.SENT, PayoutState.SUCCEEDED),
        (PayoutState.SENT, PayoutState.FAILED),
    }
)

BATCH_MOVES: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("", BatchState.LOADING),
        (BatchState.LOADING, BatchState.PROPOSED),
        (BatchState.LOADING, BatchState.CLOSED),
        (BatchState.PROPOSED, BatchState.RUNNING),
        (BatchState.PROPOSED, BatchState.CLOSED),
        (BatchState.RUNNING, BatchState.DONE),
    }
)

FINAL: Final = frozenset({PayoutState.SUCCEEDED, PayoutState.FAILED, PayoutState.CLOSED})


def move_payout(before: str, after: PayoutState) -> str:
    """``after``, if the table has that move; raises Refused STATE_CONFLICT otherwise."""
    if (before, after) not in PAYOUT_MOVES:
        raise Refused("STATE_CONFLICT", f"a payout cannot go from {before or 'nothing'} to {after}")
    return str(after)


def move_batch(before: str, after: BatchState) -> str:
    """``after``, if the table has that move; raises Refused STATE_CONFLICT otherwise."""
    if (before, after) not in BATCH_MOVES:
        raise Refused("STATE_CONFLICT", f"a batch cannot go from {before or 'nothing'} to {after}")
    return str(after)


@record
class Payout:
    """One payout. Key: (merchant_id, batch_no, payout_no); ``batch_no`` '' for a single one, ``payout_id`` is ours.

    ``kind``: ``buyer`` or ``merchant`` (``payee_id`` is the number, '' where nobody was found) or ``card`` (``bank`` of
    the directory).
    ``payee`` is what may be shown: a login's or card's end. ``secret`` is an envelope with what the bank is told (card,
    name, branch). ``digest`` tells whether the same number was used for something else. ``code`` is the refusal code of
    a failure. ``source``: ``api``, ``upload``, ``standing``. ``maker`` entered it, ``checker`` agreed, after
    ``first`` where two must. ``due`` is how many had to when a single one started.
    """

    merchant_id: str
    batch_no: str
    payout_no: str
    payout_id: str
    n: int
    kind: str
    payee_id: str
    payee: str
    bank: str
    secret: str
    digest: str
    amount: int
    fee: int
    currency: str
    memo: str
    title: str
    state: str
    code: str
    bank_ref: str
    source: str
    protocol: str
    notify_url: str
    maker: str
    checker: str
    created_at: Instant
    ended_at: Instant | None
    first: str = ""
    due: int = 0


@record
class Line:
    """One payout as it was asked for and prepared: whom it goes to is looked up, what is secret is in its envelope.

    ``name`` is the holder's name, '' where none was given; the other fields as in ``Payout``."""

    payout_no: str
    payout_id: str
    kind: str
    payee_id: str
    payee: str
    bank: str
    secret: str
    digest: str
    name: str
    amount: int
    currency: str
    memo: str
    title: str


@record
class PayoutBatch:
    """The header of many payouts. Key: (merchant_id, batch_no). ``count`` and ``total`` were announced; ``loaded``,
    ``ended``, ``failed`` count lines, ``fee`` sums their fees, ``paid`` the sums of those that succeeded.

    ``digest`` tells whether the same number was used for something else; ``echo`` is what the protocol wants back.
    ``asks``: the request left it to a person to agree. ``first`` agreed where two must, ``checker`` was the last to.
    ``first_maker`` and ``checker_maker`` entered them, where they are the merchant's people, and may know their
    passwords. ``due`` is how many had to agree when it started.
    """

    merchant_id: str
    batch_no: str
    batch_id: str
    name: str
    state: str
    count: int
    total: int
    fee: int
    currency: str
    loaded: int
    loaded_sum: int
    ended: int
    failed: int
    paid: int
    digest: str
    source: str
    protocol: str
    notify_url: str
    echo: str
    maker: str
    checker: str
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    asks: bool = False
    first: str = ""
    first_maker: str = ""
    checker_maker: str = ""
    due: int = 0


@record
class PayoutCard:
    """A merchant's own card, which a second person has verified. Key: merchant_id.

    ``state``: ``entered`` or ``verified``. ``changed_at`` begins the cooling. ``standing``: ``off``, ``daily`` (all but
    ``keep``) or ``above`` (once ``available`` is at least ``threshold``, all but ``keep``)."""

    merchant_id: str
    bank: str
    tail: str
    secret: str
    state: str
    standing: str
    threshold: int
    keep: int
    maker: str
    checker: str
    changed_at: Instant
    version: int


@record
class Counter:
    """What a merchant has used of a limit on one business day (I33). Key: (merchant_id, name)."""

    merchant_id: str
    name: str
    day: int
    amount: int
    count: int


@record
class Switch:
    """Whether something is stopped for everybody. Key: name; ``payouts`` is the only one."""

    name: str
    stopped: bool
    actor: str
    reason: str
    at: Instant


def count_up(before: Counter | None, merchant_id: str, name: str, day: int, amount: int, limit: int) -> Counter:
    """The counter after ``amount`` more on ``day``. Raises Refused LIMIT_EXCEEDED above ``limit`` (0: none)."""
    used = before if before is not None and before.day == day else Counter(merchant_id, name, day, 0, 0)
    if limit and used.amount + amount > limit:
        raise Refused("LIMIT_EXCEEDED", f"the {name} limit of the day is {limit}")
    return Counter(merchant_id, name, day, used.amount + amount, used.count + 1)


def agreements_needed(source: str, *, asks: bool, above: bool) -> int:
    """How many persons, none of them who entered it, must agree to a batch or payout before its money moves (T67).

    A file was entered by a person: one more. What came over a protocol (``source`` is ``api``) was entered by a key,
    which is nobody: two persons ``above`` the merchant's limit, else one where the request ``asks``, else none."""
    if source != "api":
        return 1
    return 2 if above else int(asks)


def is_cool(card: PayoutCard, now: Instant) -> bool:
    """Whether the cooling after the card's last change is over."""
    return now - card.changed_at >= COOLING


def is_paid_to(card: PayoutCard, at: Instant) -> bool:
    """Whether a payout that was made at ``at`` may go to this card: it is verified, and was cool then already. One that
    was made before the card's last change was made for another card."""
    return card.state == "verified" and is_cool(card, at)


def is_own_card(payout: Payout) -> bool:
    """Whether a payout goes to the merchant's own card: a single one that no protocol asked for."""
    return payout.kind == "card" and not payout.batch_no and not payout.protocol


def same_name(one: str, other: str) -> bool:
    """Whether two holders' names are the same: compatibility forms, case and blanks do not count."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def next_standing(now: Instant) -> Instant:
    """The next time of day at which standing payouts are made."""
    at = Instant((now + 8 * HOUR) // DAY * DAY - 8 * HOUR + STANDING_HOUR)
    return at if at > now else Instant(at + DAY)


def is_standing_time(now: Instant) -> bool:
    """Whether the time of day has come at which standing payouts are made."""
    return (now + 8 * HOUR) % DAY >= STANDING_HOUR
