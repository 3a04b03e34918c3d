"""How far things have come after the payment: refunds, splits, payouts, and batches of payouts."""

from __future__ import annotations

from enum import StrEnum


class MovementState(StrEnum):
    """How far a refund, a split or a payout has come."""

    ACCEPTED = "accepted"
    """Taken on: the merchant's money is set aside, the end is not known yet."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Ended without effect; the merchant has his money back."""
    CLOSED = "closed"
    """Withdrawn before it had an effect."""


class BatchStage(StrEnum):
    """How far a batch of payouts has come as a whole."""

    TAKEN = "taken"
    """Announced; not all of its lines are there yet."""
    WAITING = "waiting"
    """Complete; its money is not set aside yet, or somebody must agree to it."""
    RUNNING = "running"
    DONE = "done"
    """Every line has ended, one way or another."""
    CLOSED = "closed"
    """Withdrawn before any of its money moved."""
