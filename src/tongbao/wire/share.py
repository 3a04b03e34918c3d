"""The words for shares that come back, and for what is left to share. ``movement`` has them too, as all others."""

from __future__ import annotations

from dataclasses import dataclass

from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.wire.progress import MovementState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnSplit:
    """A receiver who is a merchant gives ``amount`` of his share in a split back to the merchant whose trade it is. The
    split is named by either number; the same ``return_no`` again is the same return."""

    merchant: str
    return_no: str
    giver_id: str
    amount: Money
    split_no: str = ""
    split_id: str = ""
    memo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySplitReturn:
    """Ask what became of a return."""

    merchant: str
    return_no: str
    split_no: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryUnsplit:
    """Ask how much of a trade can still be shared."""

    merchant: str
    trade_no: str = ""
    out_trade_no: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReturnView:
    """One return of a share."""

    merchant: str = ""
    return_no: str = ""
    return_id: str = ""
    split_no: str = ""
    split_id: str = ""
    giver_id: str = ""
    amount: Money | None = None
    memo: str = ""
    state: MovementState | None = None
    created_at: Instant | None = None
    ended_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class SplitReturnFound:
    """A return that was made or asked for."""

    split_return: SplitReturnView


@dataclass(frozen=True, slots=True)
class UnsplitFound:
    """What of a trade can still be shared: nothing once its splits are finished."""

    trade_no: str
    amount: Money
