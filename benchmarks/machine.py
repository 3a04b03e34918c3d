"""What the figures were measured on, which core a process may use, and how much of it it used."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")
CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
OURS: Final = CORES[0]
"""The core of the process that is measured."""
THEIRS: Final = CORES[1 % len(CORES)]
"""The core of the database and of the load generator."""


def pin(pid: int, *cores: int) -> None:
    """Let a process (0: this one), its threads and its children run on these cores only; whoever is gone by now is left
    out."""
    own = pid or os.getpid()
    for one in (own, *_children(own)):
        for thread in _tasks(one):
            with suppress(OSError):
                os.sched_setaffinity(thread, cores)


def _tasks(pid: int) -> list[int]:
    try:
        return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in _tasks(pid):
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text("ascii").split():
                found += [int(child), *_children(int(child))]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, its children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def tree_cpu_seconds(pid: int) -> float:
    """The same with everything it has started, ended or not."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    total = sum(int(field) for field in fields[11:15]) / TICK
    for child in _children(pid):
        with suppress(OSError):
            total += cpu_seconds(child)
    return total


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def describe() -> str:
    """Machine and versions in one line."""
    model = platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = (
        f"{model}, {len(CORES)} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *(f"{name} {version(name)}" for name in ("asyncpg", "httptools", "uvloop")),
        f"load average {os.getloadavg()[0]:.1f}",
    )
    return "; ".join(parts)


def python() -> str:
    """This interpreter."""
    return sys.executable
