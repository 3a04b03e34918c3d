"""F01, F02: a process that dies at any step leaves books that are whole, and a client who repeats himself is safe."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.flow import COMMANDS, ENDS, End, look, run
from tests.support.platform import Stage
from tests.support.postgresql import Server
from tests.support.proxy import Proxy

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a process that dies takes no page with it, so syncing proves nothing."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tongbao-crash-", dir=memory) as name:
        yield Path(name)


def walk(template: Path | str, folder: Path, stride: int) -> dict[str, Any]:
    """The walk's own report."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.walk", str(template), str(folder), str(stride)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["wrong"] == {}, done.stderr
    return report


@pytest.mark.slow
def test_F01_F02_a_walk_in_long_steps(sqlite_template: Path, folder: Path) -> None:
    """Deaths here and there: acknowledged stands, nothing doubled, the same commands lead to the same end."""
    assert walk(sqlite_template, folder, 61)["steps"] > 8


@pytest.mark.slow
def test_F01_F02_every_step_is_survived(sqlite_template: Path, folder: Path) -> None:
    """A death before every step of every transaction of the flow: after a step is before the next one."""
    report = walk(sqlite_template, folder, 2)
    assert report["steps"] > 6 * report["commands"]


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_F01_F02_commits_on_postgresql_are_survived(
    postgresql_server: Server, postgresql_template: str, folder: Path, stride: int
) -> None:
    """A death just before and just after commits of the flow, the server left to find out by itself; in ``make soak``
    around every one of them."""
    report = walk(postgresql_server.name(postgresql_template), folder, stride)
    assert report["steps"] * stride > 2 * report["commands"]


WAYS = {
    "before": ["cut_before", "pass", "pass"],
    "after": ["cut_after", "pass"],
    "both": ["cut_after", "cut_before", "pass"],
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_F07_the_connection_is_lost_at_every_commit(postgresql_stage: Stage, way: str) -> None:
    """Before the server heard of the commit, or after it and before its answer: whoever asks again gets the end that
    there is without any trouble, and nothing is done twice."""

    async def play(stage: Stage) -> End:
        async with stage.open_house() as house:
            await run(house, lambda place: None)
            end = await look(house)
            assert await house.audit() == []
            return end

    async def whole() -> tuple[End, list[str]]:
        async with Proxy(postgresql_stage.where).serve() as proxy:
            stage = Stage("postgresql", proxy.dsn)
            async with stage.open_house() as house:
                proxy.script = WAYS[way] * 1_000
                await run(house, lambda place: None)
                proxy.script = []
                end = await look(house)
                assert await house.audit() == []
            return end, proxy.seen

    end, seen = asyncio.run(whole())
    assert end.states == ENDS
    assert end.pending == 0
    assert sum(word != "pass" for word in seen) > len(COMMANDS)
    assert end == asyncio.run(play(postgresql_stage))
