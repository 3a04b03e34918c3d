"""Very many seeded worlds, in pieces, on several processes."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any, Final

from tests.soak.journal import Journal
from tongbao.cli.sim import WORLDS

FIRST: Final = 1_000_000
"""The first seed where none is given: none of those that the test suite plays."""
PIECE: Final = 100


def play(which: str, first: int, count: int) -> dict[str, Any]:
    """One piece of one kind of world: how it went, in figures and, where something broke, in words."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # a world is small and short: what it leaves behind is looked for less often
    began = time.process_time()
    steps, faults, profiles = 0, Counter[str](), Counter[str]()
    broken: dict[int, str] = {}
    for seed in range(first, first + count):
        report = WORLDS[which](seed, "")
        steps += report.steps
        faults.update(report.struck)
        profiles[report.plan.profile] += 1
        if report.violations:
            broken[seed] = str(report)
    return {
        "first": first, "count": count, "steps": steps, "faults": faults, "profiles": profiles, "broken": broken,
        "cpu": round(time.process_time() - began, 3),
    }  # fmt: skip


def _play(piece: tuple[str, int, int]) -> dict[str, Any]:
    return play(*piece)


def run(which: str, first: int, seeds: int, workers: int, journal: Journal, say: Callable[[str], None]) -> bool:
    """Play what of ``seeds`` worlds of one kind, from ``first`` on, was not played yet; True where everything held."""
    done = {(piece["first"], piece["count"]) for piece in journal.pieces()}
    todo = [(seed, min(PIECE, first + seeds - seed)) for seed in range(first, first + seeds, PIECE)]
    with get_context("spawn").Pool(workers, maxtasksperchild=8) as pool:
        for piece in pool.imap_unordered(_play, [(which, *piece) for piece in todo if piece not in done]):
            journal.add(piece)
            for report in piece["broken"].values():
                say(report)
    return tell(which, journal, say)


def tell(which: str, journal: Journal, say: Callable[[str], None]) -> bool:
    """The figures of everything played so far."""
    pieces = list(journal.pieces())
    faults, profiles = Counter[str](), Counter[str]()
    for piece in pieces:
        faults.update(piece["faults"])
        profiles.update(piece["profiles"])
    broken = sorted(int(seed) for piece in pieces for seed in piece["broken"])
    seeds, steps = sum(piece["count"] for piece in pieces), sum(piece["steps"] for piece in pieces)
    cpu = sum(piece["cpu"] for piece in pieces)
    say(
        f"worlds of {which}: {seeds:,} seeds, {len(broken)} broken {broken[:20]}, {steps:,} steps,"
        f" {sum(faults.values()):,} faults, {seeds / max(cpu, 0.001):.1f} seeds a second of one core"
    )
    say("  " + ", ".join(f"{name} {count:,}" for name, count in sorted(profiles.items())))
    say("  " + ", ".join(f"{name} {count:,}" for name, count in sorted(faults.items())))
    return not broken
