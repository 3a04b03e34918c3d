"""Worlds of trust: a full change from certificates to the public key, under faults and attack, without one failure."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Final

import pytest

from tests.sim import plant_trust
from tongbao.sim.profile import PROFILES
from tongbao.sim.trust.play import TrustCast, draw_trust_plan, run_seed

pytestmark = pytest.mark.slow

FULL: Final = 32
CHUNK: Final = 8
WITHIN: Final = 60


@pytest.mark.parametrize("first", range(1_000, 1_000 + FULL, CHUNK))
def test_T20_every_change_of_trust_holds(first: int) -> None:
    """Each seed draws its own profile. What a world must show is that it happened: messages under both names were
    taken, and what was changed was refused."""
    counts: Counter[str] = Counter()
    broken = []
    for seed in range(first, first + CHUNK):
        report = run_seed(seed)
        counts.update(report.counts)
        if report.violations:
            broken.append(str(report))
    assert broken == [], "\n".join(broken)
    assert min(counts["taken genuine certificate"], counts["taken genuine key"], counts["refused changed"]) > 0, counts


def test_T24_T25_what_else_is_refused() -> None:
    """Over the attacked worlds of a few seeds: messages of before, another merchant's; and a fresh one that comes
    again is taken."""
    counts: Counter[str] = Counter()
    for seed in range(8):
        report = run_seed(seed, "hostile")
        assert report.violations == (), str(report)
        counts.update(report.counts)
    kinds = ("refused old", "refused foreign", "taken again")
    assert min(counts[f"{kind} {key}"] for kind in kinds for key in ("certificate", "key")) > 0, counts


def test_the_same_seed_is_the_same_world_in_a_fresh_process() -> None:
    """Digest and steps agree, here and in a process with another hash seed."""
    program = "from tongbao.sim.trust.play import run_seed; r = run_seed(6, 'mixed'); print(r.digest, r.steps)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "3"}
    )
    here = [run_seed(6, "mixed") for _ in range(2)]
    assert [run.stdout.split()] * 2 == [[report.digest, str(report.steps)] for report in here]


def test_every_profile_is_drawn_and_a_calm_one_has_no_fault() -> None:
    """A plan follows from its seed."""
    assert {draw_trust_plan(seed).profile for seed in range(60)} == set(PROFILES)
    assert run_seed(3, "calm").struck == {}


CANARIES: Final[dict[str, tuple[TrustCast, str]]] = {
    "certificates are let go before the platform stops": (TrustCast(change=plant_trust.LetsGoEarly), ""),
    "certificates are let go with messages on their way": (TrustCast(change=plant_trust.LetsGoAtOnce), "mixed"),
    "the platform signs by what the shop does not know": (TrustCast(change=plant_trust.SignsUnasked), ""),
    "one process is forgotten": (TrustCast(change=plant_trust.ForgetsOne), ""),
    "what is fetched replaces the public key": (TrustCast(store=plant_trust.Replaces), ""),
    "the next certificate signs before it is fetched": (TrustCast(change=plant_trust.SignsUnfetched), ""),
    "one certificate is kept of those that are told": (
        TrustCast(store=plant_trust.KeepsOne, change=plant_trust.DoesNotLook),
        "",
    ),
    "all merchants keep one file": (TrustCast(store=plant_trust.Shares), ""),
    "an old message is taken": (TrustCast(seller=plant_trust.seller_with(plant_trust.Timeless)), "hostile"),
    "the key's name is not looked at": (TrustCast(seller=plant_trust.seller_with(plant_trust.Nameless)), "hostile"),
    "a probe is taken": (TrustCast(seller=plant_trust.seller_with(plant_trust.TakesProbes)), "hostile"),
    "what can be opened is taken": (TrustCast(seller=plant_trust.seller_with(plant_trust.OnlyOpens)), "hostile"),
    "a question is carried out as often as it comes": (TrustCast(parts=plant_trust.TWICE), "hostile"),
    "a platform's process keeps its keys for ever": (TrustCast(parts=plant_trust.FORGETFUL), ""),
}
"""By name: the planted fault, and the profile that looks for it ('' for all)."""


def find(cast: TrustCast, profile: str) -> int:
    """The first seed that finds a fault; -1 if none does."""
    return next((seed for seed in range(WITHIN) if run_seed(seed, profile, cast).violations), -1)


@pytest.mark.parametrize("name", sorted(CANARIES))
def test_a_planted_fault_is_found(name: str) -> None:
    """Within sixty seeds; a fault that survives shows a hole in this world."""
    cast, profile = CANARIES[name]
    assert find(cast, profile) >= 0
