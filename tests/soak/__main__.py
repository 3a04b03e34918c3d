"""``python -m tests.soak [kills] [forgeries] [worlds]``; ``--help`` says how many, and where it is written down."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.soak import forgery, kill, world
from tests.soak.journal import ROOT, Journal


def say(line: str) -> None:
    """To whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def count_workers(given: str) -> int:
    """A number, or as many as there are cores."""
    return (os.cpu_count() or 1) if given in ("logical", "auto") else int(given)


def run_worlds(given: argparse.Namespace, folder: Path) -> bool:
    """Seeded worlds, of both kinds."""
    held = [
        world.run("orders", given.first_seed, given.seeds, given.workers, Journal(folder, "worlds"), say),
        world.run("trust", given.first_seed, given.trust_seeds, given.workers, Journal(folder, "trust"), say),
    ]
    return all(held)


def run_kills(given: argparse.Namespace, folder: Path) -> bool:
    """Processes killed under load, on both databases."""
    held = [kill.run(dialect, given.kills, Journal(folder, "kills"), say) for dialect in kill.DIALECTS]
    return all(held)


def run_forgeries(given: argparse.Namespace, folder: Path) -> bool:
    """Forged messages, against the acceptance and against the faces."""
    held = [forgery.run(target, given.forgeries, Journal(folder, "forgeries"), say) for target in forgery.TARGETS]
    return all(held)


PARTS: Final[dict[str, Callable[[argparse.Namespace, Path], bool]]] = {
    "kills": run_kills,
    "forgeries": run_forgeries,
    "worlds": run_worlds,
}


def main() -> int:
    """Run the parts; 0 where everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of: {', '.join(PARTS)}; all of them if none is given")
    parser.add_argument("--first-seed", type=int, default=world.FIRST, help="of the worlds of both kinds")
    parser.add_argument("--seeds", type=int, default=100_000, help="of the worlds of orders")
    parser.add_argument("--trust-seeds", type=int, default=20_000, help="of the worlds of trust")
    parser.add_argument("--kills", type=int, default=200, help="on each database")
    parser.add_argument("--forgeries", type=int, default=100_000, help="against each target")
    parser.add_argument("--workers", type=count_workers, default="logical", help="processes, or: logical")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "soak", help="where journals are kept")
    given = parser.parse_args()
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}")
    held = [PARTS[part](given, given.folder) for part in given.parts or PARTS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
