"""The net still catches: each planted fault is found within two hundred seeds."""

from __future__ import annotations

from typing import Final

import pytest

from tests.sim import plant, plant_after, plant_shop
from tongbao.service.command import RULES
from tongbao.service.pay import PayFromBalance
from tongbao.sim.platform import Parts
from tongbao.sim.play import Cast, run_seed
from tongbao.store.schema import ANSWER, AUTHORISATION, CASE, EVENT

WITHIN: Final = 200


def is_late(command: object, made: object) -> bool:
    """Whether money came too late."""
    return getattr(getattr(made, "outcome", None), "what", "") == "late"


def is_paid(command: object, made: object) -> bool:
    """Whether a balance paid."""
    return isinstance(command, PayFromBalance)


CANARIES: Final[dict[str, tuple[Cast, str]]] = {
    "captured twice": (plant.reposted(plant.capture_twice), ""),
    "no fee": (plant.reposted(plant.forget_fee), ""),
    "one fen more": (plant.reposted(plant.round_up), ""),
    "another bank": (plant.reposted(plant.wrong_bank), ""),
    "returned twice": (plant.reposted(plant.return_twice), ""),
    "no event": (plant.without(EVENT), ""),
    "late money without a way back": (plant.changed(plant.late_without_return), ""),
    "late money without a case": (plant.without(CASE, when=is_late), ""),
    "an agreement that is never used up": (plant.without(AUTHORISATION, when=is_paid), ""),
    "event after the commit": (Cast(parts=Parts(platform=plant.LateEvents)), "crashy"),
    "captured without a look at the state": (plant.with_rules(plant.capture_without_state_check), "greedy"),
    "late success captured after the close": (plant.changed(plant.late_as_captured), ""),
    "a top-up without a key": (plant.changed(plant.top_up_without_key), "lossy"),
    "suspense of its own lane only": (plant.with_rules(plant.suspense_of_own_lane), ""),
    "balance unchecked": (plant.with_rules(plant.balance_unchecked), "greedy"),
    "an unknown commit taken for done": (plant.with_rules(RULES.decide, plant.Optimist), "crashy"),
    "stale read, absolute write": (Cast(parts=Parts(database=plant.StaleDatabase)), ""),
    "a lane without its token": (Cast(parts=Parts(database=plant.UnfencedDatabase)), "crashy"),
    "a commit that was none": (Cast(parts=Parts(database=plant.ForgetfulDatabase)), ""),
    "deliveries not written down": (Cast(parts=Parts(database=plant.NoAttempts)), ""),
    "abandoned without a case": (Cast(parts=Parts(database=plant.NoCases)), "hostile"),
    "a lease without its token": (Cast(parts=Parts(database=plant.NoLease)), "mixed"),
    "only one try": (Cast(parts=Parts(database=plant.FirstTryOnly)), "lossy"),
    "sooner than the timetable": (Cast(parts=Parts(database=plant.HastyRetry)), "lossy"),
    "marked as sent before it is sent": (Cast(parts=Parts(worker=plant.marks_first)), "lossy"),
    "banks are never asked": (Cast(parts=Parts(worker=plant.Lazy)), ""),
    "the clock is never looked at": (Cast(parts=Parts(worker=plant.Timeless)), ""),
    "a poisoned inquiry stops deliveries": (Cast(parts=Parts(worker=plant.Poisoned)), ""),
    "success said before the commit": (Cast(receiver=plant_shop.shop_with(plant_shop.SaysYesFirst)), ""),
    "effect after the commit": (Cast(receiver=plant_shop.shop_with(plant_shop.PacksLater, apply=None)), "crashy"),
    "sum not compared": (Cast(receiver=plant_shop.shop_with(core=plant_shop.Careless)), "hostile"),
    "repeats have effects": (Cast(receiver=plant_shop.shop_with(plant_shop.Repeats)), "lossy"),
    "no effect": (Cast(receiver=plant_shop.shop_with(apply=plant_shop.no_effect)), ""),
    "no mail": (Cast(receiver=plant_shop.shop_with(after_commit=())), ""),
    "a card charged twice": (Cast(bank=plant_shop.DoubleBank), ""),
    "a refund posted twice": (plant.reposted(plant_after.refund_twice), ""),
    "a bank's refund booked twice": (plant.reposted(plant_after.bank_refund_twice), ""),
    "a refund whose number is forgotten": (plant.without(ANSWER, when=plant_after.is_refund), "lossy"),
    "more back than was paid": (plant_after.MORE_THAN_PAID, ""),
    "a new refund number after an unknown answer": (plant_after.NEW_NUMBER, "lossy"),
    "a new key after an unknown outcome": (Cast(buyer=plant_shop.NewKey), "lossy"),
}
"""By name: the planted fault, and the profile that looks for it ('' for all)."""


def find(cast: Cast, profile: str) -> int:
    """The first seed that finds a fault; -1 if none does."""
    return next((seed for seed in range(WITHIN) if run_seed(seed, profile, cast).violations), -1)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CANARIES))
def test_a_planted_fault_is_found(name: str) -> None:
    """Within two hundred seeds; a fault that survives shows a hole in the simulation."""
    cast, profile = CANARIES[name]
    assert find(cast, profile) >= 0
