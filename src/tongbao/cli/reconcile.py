"""``tongbao reconcile``: a bill against the merchant's own orders. Exit: 0 clean, 1 differences, 2 could not run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from tongbao.cli.bill import read_day
from tongbao.kernel.money import Money
from tongbao.kernel.time import MINUTE, china_text
from tongbao.merchant.match import DIFFERENCES, MEMORY, Difference
from tongbao.merchant.reconcile import Pool, Report, dump_document, reconciling, write_differences
from tongbao.wire.loader import protocol_names

SHOWN: Final = 50
"""Differences that the table lists."""


def add_commands(commands: Any) -> None:
    """Add ``reconcile``."""
    parser = commands.add_parser("reconcile", help="compare a bill with the merchant's own orders")
    parser.add_argument("bill", type=Path, metavar="BILL", help="the bill's file")
    parser.add_argument("--orders", required=True, metavar="URL|CSV", help="the order table's database, or a CSV")
    parser.add_argument(
        "--protocol", default="", choices=("", *protocol_names()), help="whose bill it is; ours if not said"
    )
    parser.add_argument("--endpoint", default="", metavar="NAME", help="only orders of the table that were paid there")
    parser.add_argument(
        "--day", metavar="DATE", help="the bill's business date: orders paid on other days are not expected"
    )
    parser.add_argument(
        "--pool", type=Path, metavar="FILE", help="where lines near midnight wait for the next day's bill"
    )
    parser.add_argument(
        "--cutoff", type=int, default=60, metavar="MINUTES", help="how near to midnight a line waits (60)"
    )
    parser.add_argument("--memory", default=MEMORY, metavar="SIZE", help="what the engine may keep in memory (400MB)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every difference to a CSV")
    parser.set_defaults(run=compare)


def compare(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Compare, print, and say by the exit code whether all is well."""
    day: date | None = read_day(chosen.day) if chosen.day else None
    pool = Pool(chosen.pool, chosen.cutoff * MINUTE)
    with reconciling(
        chosen.bill,
        chosen.orders,
        protocol=chosen.protocol,
        day=day,
        pool=pool,
        memory=chosen.memory,
        endpoint=chosen.endpoint,
    ) as report:
        if chosen.csv:
            write_differences(chosen.csv, report.match.differences())
        print(dump_document(report.document()) if chosen.json else "\n".join(table(report)))
        return 0 if report.is_clean else 1


def table(report: Report) -> list[str]:
    """The report for a person."""
    lines = [f"{'class':16}{'kind':12}{'lines':>12}{'here':>20}{'there':>20}"]
    for count in report.match.counts:
        sums = (Money(total).text() for total in (count.here_sum, count.there_sum))
        here, there = sums
        lines.append(f"{count.what:16}{count.kind:12}{count.many:>12,}{here:>20}{there:>20}")
    shown = [one for one, _ in zip(report.match.differences(), range(SHOWN), strict=False)]
    if shown:
        lines += ["", *(sentence(one) for one in shown)]
        many = sum(count.many for count in report.match.counts if count.what in DIFFERENCES)
        if many > len(shown):
            lines.append(f"... and {many - len(shown):,} more (--csv FILE writes them all)")
    lines += ["", "clean" if report.is_clean else "NOT clean"]
    return lines


def sentence(one: Difference) -> str:
    """One difference in words."""
    sums = [
        "nothing" if value is None else Money(value, one.currency or "CNY").text()
        for value in (one.here_amount, one.there_amount)
    ]
    more = f", {one.here_lines} times here, {one.there_lines} times there" if one.what == "duplicate" else ""
    state = f", ours is {one.state}" if one.what == "state_differs" else ""
    when = f"  {china_text(one.at)}" if one.at is not None else ""
    return f"{one.what:16}{one.kind:10}{one.key:34} here {sums[0]}, there {sums[1]}{more}{state}{when}"
