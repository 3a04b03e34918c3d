"""The processes of a measurement: started, pinned, asked, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from benchmarks.load import Job

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Measured:
    """A running server."""

    pid: int
    host: str
    port: int
    seconds_to_ready: float

    def stats(self) -> tuple[int, int]:
        """Batches and commands so far."""
        with urllib.request.urlopen(f"http://{self.host}:{self.port}/bench/stats") as answer:
            batches, commands = json.load(answer)
        return batches, commands


@contextmanager
def serving(where: str, lane: int = 0) -> Iterator[Measured]:
    """A server over these books, on its own core."""
    begun = time.perf_counter()
    command = [machine.python(), "-m", "benchmarks.server", where, "--lane", str(lane)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        machine.pin(process.pid, machine.OURS)
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError("the server does not start")
        said = json.loads(line)
        machine.pin(process.pid, machine.OURS)
        yield Measured(said["pid"], said["host"], said["port"], time.perf_counter() - begun)
    finally:
        process.terminate()
        process.wait(60)


@dataclass(frozen=True, slots=True)
class Sandboxed:
    """A running sandbox and what it handed out."""

    pid: int
    credentials: dict[str, Any]


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandboxed]:
    """``tongbao sandbox`` with books in ``folder``."""
    written = folder / "credentials.json"
    command = [machine.python(), "-m", "tongbao.cli.main", "sandbox", "--port", "0", "--log-level", "error"]
    command += ["--credentials", str(written), "--state", str(folder / "state.json")]
    command += ["--crypto-mb", os.environ.get("TONGBAO_CRYPTO_MB", "")]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("ready "):
            raise RuntimeError(f"the sandbox says {line!r}")
        yield Sandboxed(process.pid, json.loads(written.read_text("utf-8")))
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def drive(job: Job) -> dict[str, Any]:
    """Run the load generator on the other core."""
    command = [machine.python(), "-m", "benchmarks.load"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    machine.pin(process.pid, machine.THEIRS)
    said, _ = process.communicate(json.dumps(asdict(job)))
    if process.returncode:
        raise RuntimeError("the load generator failed")
    found: dict[str, Any] = json.loads(said)
    return found
