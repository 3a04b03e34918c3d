"""``tongbao sim``: play seeded worlds; exit 0 when everything held in all of them, 1 when not."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tongbao.sim.play import Report
from tongbao.sim.play import run_seed as run_orders
from tongbao.sim.profile import PROFILES
from tongbao.sim.trust.play import run_seed as run_trust

WORLDS: Final[dict[str, Callable[[int, str], Report]]] = {"orders": run_orders, "trust": run_trust}
"""By name: how one seed of it is played."""


def add_commands(commands: Any) -> None:
    """Add ``sim``."""
    parser = commands.add_parser("sim", help="play seeded worlds with faults and attackers, and audit them")
    parser.add_argument("--seed", type=int, required=True, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, metavar="COUNT", help="how many seeds, one after another")
    parser.add_argument(
        "--world",
        choices=WORLDS,
        default="orders",
        help="orders (unless said), or a change of trust over WeChat Pay v3",
    )
    parser.add_argument(
        "--profile", choices=PROFILES, default="", help="what goes wrong; drawn from the seed unless said"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.set_defaults(run=play)


def play(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Play the seeds; print each that is broken, and the sum in the end."""
    steps, broken = 0, []
    faults: Counter[str] = Counter()
    digests = {}
    for seed in range(chosen.seed, chosen.seed + chosen.seeds):
        report = WORLDS[chosen.world](seed, chosen.profile)
        steps += report.steps
        faults.update(report.struck)
        digests[seed] = report.digest
        if report.violations:
            broken.append(seed)
        if (report.violations or chosen.seeds == 1) and not chosen.json:
            print(report)
    sum_ = {"seeds": chosen.seeds, "broken": broken, "steps": steps, "faults": sum(faults.values())}
    if chosen.json:
        print(json.dumps({**sum_, "faults_by_kind": dict(sorted(faults.items())), "digests": digests}))
    else:
        print(f"{chosen.seeds} seeds, {len(broken)} broken, {steps} steps, {sum_['faults']} faults")
    return 1 if broken else 0
