"""The shop's own record of refunds and payouts: values, and the table ``payment_movement``.

A row is written before the platform is asked, so that an answer that never came and a notification that comes twice
both find what was meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.merchant.database import Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.wire.movement import MovementState, PayOut, PayOutBatch, RefundBatch, RefundTrade

ASKED: Final = "asked"
OPEN: Final = (ASKED, "accepted")
STUCK: Final = "REFUND_STUCK"
"""``code`` of an open refund that the platform cannot finish by itself: a person must say there where it is to go."""
GIVEN_UP: Final = "GIVEN_UP"
"""``code`` of a failed refund that a person gave up: nobody but he said that it was never made."""
ENDED: Final = frozenset((MovementState.SUCCEEDED, MovementState.FAILED, MovementState.CLOSED))


class MovementKind(StrEnum):
    REFUND = "refund"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One refund or payout. ``number`` is ours; of a refund in a batch it is the trade's, which is all that a batch's
    result names. ``state`` is ``asked`` until the platform answered, then a word of ``MovementState``."""

    endpoint: str
    kind: MovementKind
    number: str
    amount: Money
    batch_no: str = ""
    order_no: str = ""
    trade_no: str = ""
    state: str = ASKED
    code: str = ""
    """Why it failed, or ``STUCK``; while it is ``asked``, the last refusal that does not end it."""
    movement_id: str = ""
    evidence: str = ""
    """``ANSWER``, ``NOTIFY`` or ``QUERY``: what the state rests on."""
    reason: str | None = ""
    notify_url: str | None = ""
    """With ``reason``: the texts that it was first asked for with. A platform may refuse others under the same number
    (sheet wechatpay, section 10). None: not known, in a row of before these columns."""
    asked_at: Instant | None = None
    """When it was last asked for, until an answer; from then on that try's time."""
    ended_at: Instant | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def counts(self) -> bool:
        """Whether the sum is or may be gone."""
        return self.state in (*OPEN, MovementState.SUCCEEDED)


def list_movements(
    endpoint: Endpoint, intent: RefundTrade | RefundBatch | PayOut | PayOutBatch, now: Instant, order_no: str = ""
) -> list[Movement]:
    """What an intent moves, line by line, as it is asked for. Raises Refused AMOUNT_INVALID where it names no sum."""
    name = endpoint.name
    if isinstance(intent, RefundTrade):
        if intent.amount is None:
            raise Refused("AMOUNT_INVALID", "a refund of ours names its sum")
        return [
            Movement(
                endpoint=name,
                kind=MovementKind.REFUND,
                number=intent.refund_no,
                amount=intent.amount,
                order_no=order_no or intent.out_trade_no,
                trade_no=intent.trade_no,
                reason=intent.reason,
                notify_url=intent.notify_url,
                asked_at=now,
            )
        ]
    if isinstance(intent, PayOut):
        return [
            Movement(
                endpoint=name, kind=MovementKind.PAYOUT, number=intent.payout_no, amount=intent.amount, asked_at=now
            )
        ]
    if isinstance(intent, RefundBatch):
        return [
            Movement(
                endpoint=name,
                kind=MovementKind.REFUND,
                number=item.trade_no,
                amount=item.amount,
                batch_no=intent.batch_no,
                order_no=order_no,
                trade_no=item.trade_no,
                reason=item.reason,
                notify_url=intent.notify_url,
                asked_at=now,
            )
            for item in intent.items
        ]
    return [
        Movement(
            endpoint=name,
            kind=MovementKind.PAYOUT,
            number=item.payout_no,
            amount=item.amount,
            batch_no=intent.batch_no,
            asked_at=now,
        )
        for item in intent.items
    ]


_COLUMNS: Final = (
    "endpoint, kind, batch_no, number, order_no, trade_no, amount_minor, currency, state, code, movement_id,"
    " evidence, reason, notify_url, asked_at, ended_at"
)
_KEY: Final = "endpoint = :endpoint AND kind = :kind AND batch_no = :batch_no AND number = :number"
_INSERT: Final = (
    f"INSERT INTO payment_movement ({_COLUMNS}) VALUES (:endpoint, :kind, :batch_no, :number, :order_no, :trade_no,"
    " :amount, :currency, :state, :code, :movement_id, :evidence, :reason, :notify_url, :asked_at, :ended_at)"
)
_UPDATE: Final = (
    "UPDATE payment_movement SET state = :state, code = :code, movement_id = :movement_id, evidence = :evidence,"
    f" ended_at = :ended_at WHERE {_KEY}"
)
_RENEW: Final = (
    f"UPDATE payment_movement SET reason = :reason, notify_url = :notify_url, asked_at = :asked_at WHERE {_KEY}"
)
_NAMES: Final = ("endpoint", "kind", "batch_no", "number")


class MovementTable:
    """Our own table ``payment_movement`` (see ``schema``). All methods run inside the caller's transaction."""

    def find(
        self,
        transaction: Transaction,
        endpoint: str,
        kind: MovementKind,
        batch_no: str,
        number: str,
        *,
        lock: bool = False,
    ) -> Movement | None:
        """The movement of exactly that number, its row locked until the transaction ends where ``lock``."""
        keys = {"endpoint": endpoint, "kind": str(kind), "batch_no": batch_no, "number": number}
        suffix = transaction.for_update if lock else ""
        rows = transaction.rows(f"SELECT {_COLUMNS} FROM payment_movement WHERE {_KEY}{suffix}", keys)
        exact = [row for row in rows if str(row["number"]) == number and str(row["batch_no"]) == batch_no]
        return _movement(exact[0]) if len(exact) == 1 else None

    def of_batch(self, transaction: Transaction, endpoint: str, kind: MovementKind, batch_no: str) -> list[Movement]:
        """All lines of a batch, or the one without a batch where ``batch_no`` is ''."""
        rows = transaction.rows(
            f"SELECT {_COLUMNS} FROM payment_movement WHERE endpoint = :endpoint AND kind = :kind"
            " AND batch_no = :batch_no ORDER BY number",
            {"endpoint": endpoint, "kind": str(kind), "batch_no": batch_no},
        )
        return [_movement(row) for row in rows if str(row["batch_no"]) == batch_no]

    def of_order(self, transaction: Transaction, order_no: str) -> list[Movement]:
        """The refunds of an order, oldest first."""
        rows = transaction.rows(
            f"SELECT {_COLUMNS} FROM payment_movement WHERE order_no = :order_no AND kind = 'refund'"
            " ORDER BY asked_at, number",
            {"order_no": order_no},
        )
        return [_movement(row) for row in rows if str(row["order_no"]) == order_no]

    def waiting(
        self, transaction: Transaction, asked_before: Instant, limit: int, after: Movement | None = None
    ) -> list[Movement]:
        """Open movements that were asked for before that instant, oldest first; those that follow ``after``."""
        said: dict[str, object] = {"before": asked_before}
        place = f"asked_at, {', '.join(_NAMES)}"
        beyond = ""
        if after is not None:
            said |= {name: value for name, value in _values(after).items() if name in ("asked_at", *_NAMES)}
            beyond = (
                f" AND asked_at >= :asked_at AND ({place}) > (:asked_at, {', '.join(f':{name}' for name in _NAMES)})"
            )
        rows = transaction.rows(
            f"SELECT {_COLUMNS} FROM payment_movement WHERE state IN ('asked', 'accepted') AND asked_at < :before"
            f"{beyond} ORDER BY {place} LIMIT {max(int(limit), 1)}",
            said,
        )
        return [_movement(row) for row in rows]

    def add(self, transaction: Transaction, asked: Iterable[Movement]) -> list[Movement]:
        """Store what is about to be asked for. What is there already stays, if it is the same, and learns when it was
        last asked for, and the texts that it does not know; else Refused with REFUND_MISMATCH or PAYOUT_MISMATCH.
        Returns the rows as they stand."""
        stored = []
        for movement in asked:
            known = self.find(
                transaction, movement.endpoint, movement.kind, movement.batch_no, movement.number, lock=True
            )
            if known is None:
                transaction.execute(_INSERT, _values(movement))
                stored.append(movement)
                continue
            same = (known.amount, known.trade_no, known.order_no) == (
                movement.amount, movement.trade_no, movement.order_no,
            )  # fmt: skip
            if not same:
                code = "REFUND_MISMATCH" if movement.kind is MovementKind.REFUND else "PAYOUT_MISMATCH"
                raise Refused(code, f"{movement.number} was asked for before with another sum or trade")
            stored.append(self._renew(transaction, known, movement) if known.is_open else known)
        return stored

    def _renew(self, transaction: Transaction, known: Movement, asked: Movement) -> Movement:
        """The open row with the time of this try, until one is answered, and with the texts that it lacks."""
        after = replace(
            known,
            asked_at=(asked.asked_at if known.state == ASKED else None) or known.asked_at,
            reason=asked.reason if known.reason is None else known.reason,
            notify_url=asked.notify_url if known.notify_url is None else known.notify_url,
        )
        if after != known:
            values = _values(after)
            transaction.execute(_RENEW, {name: values[name] for name in ("reason", "notify_url", "asked_at", *_NAMES)})
        return after

    def mark(self, transaction: Transaction, movement: Movement) -> None:
        """Write the state of a locked movement."""
        values = _values(movement)
        kept = ("state", "code", "movement_id", "evidence", "ended_at", *_NAMES)
        transaction.execute(_UPDATE, {name: values[name] for name in kept})


def ended(
    movement: Movement, state: MovementState, evidence: str, now: Instant, *, code: str = "", movement_id: str = ""
) -> Movement:
    """The movement in a state that the platform told."""
    return replace(
        movement,
        state=str(state),
        code=code[:64],
        movement_id=movement_id[:64] or movement.movement_id,
        evidence=evidence,
        ended_at=now if state in ENDED else None,
    )


def _values(movement: Movement) -> dict[str, object]:
    return {
        "endpoint": movement.endpoint,
        "kind": str(movement.kind),
        "batch_no": movement.batch_no,
        "number": movement.number,
        "order_no": movement.order_no,
        "trade_no": movement.trade_no,
        "amount": movement.amount.minor,
        "currency": movement.amount.currency,
        "state": movement.state,
        "code": movement.code,
        "movement_id": movement.movement_id,
        "evidence": movement.evidence,
        "reason": movement.reason,
        "notify_url": movement.notify_url,
        "asked_at": movement.asked_at or 0,
        "ended_at": movement.ended_at,
    }


def _movement(row: dict[str, Any]) -> Movement:
    return Movement(
        endpoint=str(row["endpoint"]),
        kind=MovementKind(row["kind"]),
        number=str(row["number"]),
        amount=Money(int(row["amount_minor"]), str(row["currency"])),
        batch_no=str(row["batch_no"]),
        order_no=str(row["order_no"]),
        trade_no=str(row["trade_no"]),
        state=str(row["state"]),
        code=str(row["code"]),
        movement_id=str(row["movement_id"]),
        evidence=str(row["evidence"]),
        reason=None if row["reason"] is None else str(row["reason"]),
        notify_url=None if row["notify_url"] is None else str(row["notify_url"]),
        asked_at=Instant(int(row["asked_at"])),
        ended_at=Instant(int(row["ended_at"])) if row["ended_at"] is not None else None,
    )
