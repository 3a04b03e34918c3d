"""``python -m benchmarks [names] [--seconds N] [--rounds N] [--trades N] [--callers N] [--quick]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Final

from benchmarks import cold, machine, notify, part, payment, reconcile, sign, sign_wechat
from benchmarks.payment import Plan

NAMES: Final[dict[str, Callable[[Plan, Callable[[str], None]], str]]] = {
    "postgresql": payment.on_postgresql,
    "sqlite": payment.on_sqlite,
    "parts": part.on_parts,
    "notifications": notify.on_notifications,
    "cold": cold.on_cold,
    "reconcile": lambda plan, say: reconcile.on_reconcile(plan.lines, plan.rounds, say),
    "signing": sign.on_signing,
    "wechat": sign_wechat.on_wechat,
}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(NAMES)}; all of them if none is given")
    parser.add_argument("--seconds", type=float, help="of each run (30; quick: 5)")
    parser.add_argument("--rounds", type=int, help="runs of each kind (3)")
    parser.add_argument("--trades", type=int, help="past trades in the books (1,000,000; quick: 20,000)")
    parser.add_argument("--callers", type=int, default=128, help="callers at once (128)")
    parser.add_argument("--quick", action="store_true", help="short runs over small books: a look, not a measurement")
    parser.add_argument("--lines", type=int, help="lines of a bill (5,000,000; quick: 100,000)")
    parser.add_argument("--no-audit", action="store_true", help="leave out the audit at the end")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}")
    plan = Plan(
        given.seconds or (5 if given.quick else 30),
        given.rounds or 3,
        given.trades or (20_000 if given.quick else 1_000_000),
        given.callers,
        10 if given.quick else 50,
        not given.no_audit,
        given.lines or (100_000 if given.quick else reconcile.LINES),
    )
    print(machine.describe())
    print(
        f"{plan.trades:,} past trades, {plan.rounds} rounds of {plan.seconds:g} s, {plan.callers} callers; "
        f"the server process on core {machine.OURS}, database and load generator on core {machine.THEIRS}\n"
    )
    for name in given.names or NAMES:
        print(NAMES[name](plan, _say))


if __name__ == "__main__":
    main()
