"""Five million lines of a bill against five million of our own: the engine of reconciliation beside pandas.

Each run is a process of its own, so that its peak of memory is its own. pandas is installed for this alone, into an
environment of its own from ``requirements/bench.txt``; both have the same files, the same work and the same answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from benchmarks.process import ROOT
from benchmarks.report import Series, number, table

LINES: Final = 5_000_000
HEAD: Final = "业务类型,时间,收入,支出,订单号,商品,商户,买家,银行,方式,手续费,币种,流水号,备注,a,b,c,d,e,f\r\n"
ROW: Final = (
    "支付,2026-03-01 {0:02d}:{1:02d}:{2:02d},{3}.{4:02d},0.00,{5:024d}\t,测试商品红色棉茶叶,2088000000000001,"
    "buyer{6}@example.com,工商银行,借记卡,0.06,CNY,{7:028d}\t,,a,b,c,d,e,f\r\n"
)
FIRST: Final = 10**23
PLANTED: Final = 100_003
"""Every so many lines our own list has another sum."""


@dataclass(slots=True)
class Taken:
    """What one way took, over the rounds."""

    seconds: Series = field(default_factory=Series)
    cpu: Series = field(default_factory=Series)
    peak: Series = field(default_factory=Series)
    found: set[tuple[int, int]] = field(default_factory=set)
    """(matched, different): the same from everybody."""


def bill_rows(lines: int) -> Iterator[str]:
    """The bill's lines in an order that is not ours."""
    for index in range(lines):
        k = index * 7_919 % lines
        yield ROW.format(k // 3_600 % 24, k // 60 % 60, k % 60, 1 + k % 5_000, k % 100, FIRST + k, k % 100_000, k)


def write_files(folder: Path, lines: int) -> None:
    """The bill in UTF-8 and in GBK, and our own list."""
    with (folder / "utf-8.csv").open("wb") as plain, (folder / "gbk.csv").open("wb") as gbk:
        chunk = [HEAD]
        for row in bill_rows(lines):
            chunk.append(row)
            if len(chunk) == 20_000:
                text = "".join(chunk)
                plain.write(text.encode())
                gbk.write(text.encode("gbk"))
                chunk = []
        plain.write("".join(chunk).encode())
        gbk.write("".join(chunk).encode("gbk"))
    with (folder / "own.csv").open("w", encoding="ascii") as own:
        own.write("order_no,amount,state,paid_at\n")
        for k in range(lines):
            cents = k % 100 if k % PLANTED else 55
            own.write(
                f"{FIRST + k:024d},{1 + k % 5_000}.{cents:02d},paid,"
                f"2026-03-01 {k // 3_600 % 24:02d}:{k // 60 % 60:02d}:{k % 60:02d}\n"
            )


def rival(folder: Path) -> str:
    """The interpreter that has pandas, made for this run."""
    place = folder / "pandas"
    venv.create(place, with_pip=True)
    python = str(place / "bin" / "python")
    wanted = str(ROOT / "requirements" / "bench.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", wanted], check=True)
    return python


def run_once(command: list[str], taken: Taken) -> None:
    """One process; what it says is one JSON object."""
    said: dict[str, Any] = json.loads(
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    )
    taken.seconds.add(said["seconds"])
    taken.cpu.add(said["cpu"])
    taken.peak.add(said["peak"])
    taken.found.add((said["matched"], said["different"]))


def on_reconcile(lines: int, rounds: int, say: Callable[[str], None]) -> str:
    """Both ways over both files, interleaved. The answer is a table with ratios."""
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as name:
        folder = Path(name)
        say(f"reconcile: writing {lines:,} lines")
        write_files(folder, lines)
        python = rival(folder)
        taken = {(charset, who): Taken() for charset in ("utf-8", "gbk") for who in ("tongbao", "pandas")}
        for turn in range(rounds):
            for (charset, who), series in taken.items():
                bill, own = str(folder / f"{charset}.csv"), str(folder / "own.csv")
                script = "benchmarks.reconcile_ours" if who == "tongbao" else "benchmarks/reconcile_pandas.py"
                start = [sys.executable, "-m", script] if who == "tongbao" else [python, script]
                run_once([*start, bill, own, charset], series)
                say(f"reconcile: {who} on {charset}, round {turn + 1}: {series.seconds.values[-1]:.1f} s")
        size = (folder / "gbk.csv").stat().st_size / 2**20
    if len(set.union(*(one.found for one in taken.values()))) != 1:
        raise RuntimeError("the two do not find the same")
    rows = []
    for (charset, who), one in taken.items():
        other = taken[charset, "pandas"]
        rows.append(
            [
                f"{who}, bill in {charset}",
                f"{one.seconds.median:.1f}",
                one.seconds.spread,
                f"{one.cpu.median:.1f}",
                number(one.peak.median),
                f"{other.seconds.median / one.seconds.median:.1f}",
                f"{other.peak.median / one.peak.median:.1f}",
            ]
        )
    head = ("", "seconds", "spread", "CPU s", "peak MiB", "x pandas, time", "x pandas, memory")
    title = f"Reconciliation: {lines:,} lines ({size:,.0f} MiB in GBK) against {lines:,}; {machine.describe()}"
    return table(title, head, rows)
