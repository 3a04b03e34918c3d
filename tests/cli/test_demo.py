"""The demonstration begins in the morning, whenever it is run."""

from __future__ import annotations

import pytest

from tongbao.cli.after import stand_of
from tongbao.cli.demo import seconds_to_morning
from tongbao.kernel.time import SECOND, china_text, later, parse_china
from tongbao.wire.movement import MovementState, RefundView


@pytest.mark.parametrize(
    "now", ["2026-11-26 00:00:00", "2026-11-26 09:00:00", "2026-11-26 20:25:00", "2026-11-26 23:59:59"]
)
@pytest.mark.parametrize("more", [0, 1, 999])
def test_F32_a_demonstration_begins_at_nine(now: str, more: int) -> None:
    """Far from midnight, where a payment may stand in another day's statement."""
    begin = later(parse_china(now), more)
    reached = later(begin, seconds_to_morning(begin) * SECOND)
    assert china_text(reached) == "2026-11-27 09:00:00"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (None, "on its way"),
        (MovementState.ACCEPTED, "on its way"),
        (MovementState.SUCCEEDED, "succeeded"),
        (MovementState.FAILED, "failed"),
    ],
)
def test_a_refund_that_is_on_its_way_is_told_as_that(state: MovementState | None, told: str) -> None:
    """A bank that has only taken a card's refund on has said nothing yet, which some answers say by saying nothing."""
    assert stand_of(RefundView(state=state)) == told
