"""What a cold process costs: importing the merchant's side, and from start to the first signed answer."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import house, machine
from benchmarks.fill import fill
from benchmarks.house import Books
from benchmarks.load import Job
from benchmarks.payment import Plan
from benchmarks.process import ROOT, drive, serving
from benchmarks.report import Series, table

CLOCKED = "import time; t = time.perf_counter(); import {}; print((time.perf_counter() - t) * 1000)"
IMPORTS = ("httpx", "httpx, tongbao.merchant", "httpx, tongbao.merchant, tongbao.protocols.alipay_mapi")


def _import(names: str) -> float:
    command = [machine.python(), "-c", CLOCKED.format(names)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def on_cold(plan: Plan, say: Callable[[str], None]) -> str:
    """Imports interleaved with each other, seven times; a server started three times over SQLite."""
    imports = {names: Series() for names in IMPORTS}
    for _ in range(7):
        for names, series in imports.items():
            series.add(_import(names))
    rows = [[f"import {names}", f"{series.median:.0f}", series.spread] for names, series in imports.items()]
    first, memory = Series(), Series()
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as folder:
        books = Books(str(Path(folder) / "books.sqlite"))
        asyncio.run(fill(books, 0))
        for turn in range(3):
            with serving(books.where) as server:
                job = Job("create", server.host, server.port, f"cold{turn}", house.MERCHANTS, 1, 5, 1, 9)
                first.add(server.seconds_to_ready * 1000 + float(drive(job)["worst"]))
                memory.add(machine.resident_mib(server.pid))
    rows.append(["process start to first signed answer", f"{first.median:.0f}", first.spread])
    say(f"cold: done at {time.strftime('%H:%M:%S')}")
    return table(f"Cold (server after one answer: {memory.median:.0f} MiB)", ("", "median ms", "spread"), rows)
