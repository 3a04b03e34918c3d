"""Seeded worlds hold, repeat themselves, and never touch the real one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tongbao.sim.play import run_seed
from tongbao.sim.profile import PROFILES, draw_plan

QUICK = 8
FULL = 2_000
CHUNK = 25

REGRESSIONS = (
    (
        5,
        "calm",
        "late money that arrived in one lane goes back through another; one poisoned inquiry stopped deliveries",
    ),
    (119, "clocky", "a buyer could not pay where another node's clock was ahead: paid before created"),
    (126, "clocky", "a bank's success could not be entered where another node's clock was ahead"),
    (138, "clocky", "a payment that ended before it began, by another node's clock"),
    (129, "", "a buyer on his way home met an error where all of his payment had gone back meanwhile"),
    (1_000_241, "", "the simulated attacker was let at the unsigned forms of the sellers' desk"),
    (1_004_216, "", "a bank lied about its first payment ever, and nobody asked for its statement"),
    (1_026_287, "", "the simulated bank asked for no password: a changed digit of a card's number let a stranger pay"),
    (1_004_743, "", "a worker's clock was set right while a message flew: it was delivered before it was due"),
)
"""Seeds that once found something: (seed, profile, what it was)."""


@pytest.mark.parametrize("seed", range(QUICK))
def test_a_few_worlds_hold(seed: int) -> None:
    """One for each profile."""
    report = run_seed(seed, PROFILES[seed % len(PROFILES)])
    assert report.violations == (), str(report)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "profile", "what"), REGRESSIONS)
def test_a_world_that_once_broke_holds(seed: int, profile: str, what: str) -> None:
    """What was mended stays mended."""
    report = run_seed(seed, profile)
    assert report.violations == (), f"{what}: {report}"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1_000, 1_000 + FULL, CHUNK))
def test_many_worlds_hold(first: int) -> None:
    """Each seed draws its own profile. ``make soak`` plays a hundred thousand others."""
    broken = [str(report) for report in map(run_seed, range(first, first + CHUNK)) if report.violations]
    assert broken == [], "\n".join(broken)


@pytest.mark.slow
def test_the_same_seed_is_the_same_world_in_a_fresh_process() -> None:
    """Digest and steps agree, here and in a process with another hash seed, which never loads the runtime."""
    program = (
        "import sys; from tongbao.sim.play import run_seed; r = run_seed(14, 'mixed'); print(r.digest, r.steps);"
        "assert not [name for name in sys.modules if name.startswith('tongbao.runtime')]"
    )
    command = [sys.executable, "-c", program]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout.split()
        for seed in ("1", "2")
    ]
    here = run_seed(14, "mixed")
    assert runs == [[here.digest, str(here.steps)]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_a_rerun_is_the_same_run(profile: str) -> None:
    """Digest, steps and faults, whatever was played in between."""
    seeds = range(50)[:: len(PROFILES)]
    first = [run_seed(seed, profile) for seed in seeds]
    again = [run_seed(seed, profile) for seed in seeds]
    assert [(one.digest, one.steps, one.struck) for one in first] == [
        (one.digest, one.steps, one.struck) for one in again
    ]


@pytest.mark.slow
def test_a_calm_seed_has_no_fault_and_a_single_one_has_one() -> None:
    """The two profiles that are easy to read."""
    assert run_seed(3, "calm").struck == {}
    assert [sum(run_seed(seed, "single").struck.values()) for seed in range(4)] <= [1, 1, 1, 1]


def test_a_plan_is_drawn_from_its_seed_alone() -> None:
    """Swarm: sizes and rates differ between seeds and never within one."""
    assert draw_plan(7) == draw_plan(7)
    assert len({draw_plan(seed).profile for seed in range(60)}) == len(PROFILES)
