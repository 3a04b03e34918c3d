"""The benchmarks of signatures run as they are called, for a moment each: what they report, not how quick it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from benchmarks import machine
from benchmarks.payment import Plan
from benchmarks.sign import ALONE, PLACES, on_signing
from benchmarks.sign_wechat import on_wechat

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="benchmarks put processes on cores and read /proc"),
]

MOMENT = Plan(seconds=0.2, rounds=1, trades=0, callers=0, scale=0, times=10)
WORKS = ("notification", "sign", "verify")


@pytest.fixture(autouse=True)
def cores() -> Iterator[set[int]]:
    """The cores this process may use, given back whatever a benchmark did."""
    found = os.sched_getaffinity(0)
    yield found
    machine.pin(0, *found)


def read(report: str) -> dict[str, list[str]]:
    """The rows of all tables of a report, by their first column."""
    rows = [[cell for cell in line.split("  ") if cell] for line in report.splitlines()]
    return {row[0]: [cell.strip() for cell in row[1:]] for row in rows if len(row) > 1 and set(row[0]) != {"-"}}


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def test_this_process_runs_where_it_is_put(cores: set[int]) -> None:
    """0 is this process, as the system's own call has it."""
    machine.pin(0, machine.THEIRS)
    assert os.sched_getaffinity(0) == {machine.THEIRS}
    machine.pin(0, *cores)
    assert os.sched_getaffinity(0) == cores


def test_signing_beside_the_real_libraries(cores: set[int]) -> None:
    """Every operation of every contestant, the three ratios, and signed creates at both placements; each create was
    answered with success, or the run would have raised."""
    rows = read(on_signing(MOMENT, lambda _: None))
    ours = {f"{work}: ours" for work in WORKS} | {"sign: raw", "verify: raw"}
    theirs = {f"{work}: {name}" for work in WORKS for name in ("alipay-sdk-python", "python-alipay-sdk")}
    assert {name for name in rows if ": " in name} == ours | theirs
    assert all(number(rows[name][0]) > 0 for name in ours | theirs)
    ratios = [name for name in rows if name.startswith("our ")]
    assert len(ratios) == 3
    assert all(number(rows[name][0]) > 0 for name in ratios)
    for place in PLACES:
        rate, _, *share, spent, half, slowest = rows[place]
        assert min(map(number, (rate, spent, half, *share))) > 0
        assert number(half) <= number(slowest)
        assert len(share) == (place == ALONE)
    assert os.sched_getaffinity(0) == cores


def test_wechat_pay_beside_its_library(cores: set[int]) -> None:
    """The same for API v3."""
    rows = read(on_wechat(MOMENT, lambda _: None))
    measured = {name for name in rows if ": " in name}
    assert {f"{work}: {who}" for work in ("sign", "notification") for who in ("ours", "raw", "wechatpayv3")} <= measured
    assert all(number(rows[name][0]) > 0 for name in measured)
    assert len([name for name in rows if name.startswith("our reading")]) == 1
    assert os.sched_getaffinity(0) == cores
