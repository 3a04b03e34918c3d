"""The process dies at every place around the commit; the platform repeats; the end is always the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.merchant.conftest import make_shop
from tests.merchant.crash import KILLED
from tests.support.clock import NOW
from tongbao.merchant.database import Database
from tongbao.merchant.order import OrderState

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BEFORE = ["14.locked", "14.inbox", "14.marked", "14.applied", "15.before_commit"]
AFTER = ["15.after_commit", "16.before_answer"]


def run_child(path: Path, point: str, body: bytes) -> tuple[int, bytes]:
    """Exit status and what was answered."""
    command = [sys.executable, "-m", "tests.merchant.crash", str(path), point]
    child = subprocess.run(command, input=body, stdout=subprocess.PIPE, cwd=ROOT, check=False)
    return child.returncode, child.stdout


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_F03_F04_a_kill_around_the_commit_heals_by_the_repeat(
    sqlite_database: Database, tmp_path: Path, point: str
) -> None:
    """Killed before the commit nothing happened, killed after it all did; the repeat gets the word, one effect."""
    shop = make_shop(sqlite_database)
    shop.order()
    shop.platform.trade("A1")
    body = shop.platform.notify("A1", at=NOW).body
    path = tmp_path / "shop.sqlite"
    assert run_child(path, point, body) == (KILLED, b"")
    stored = 1 if point in AFTER else 0
    assert [shop.count(name) for name in ("payment_inbox", "payment_effect", "stock_taken")] == [stored] * 3
    assert run_child(path, "never", body) == (0, b"yes")
    counts = [shop.count(name) for name in ("payment_inbox", "payment_effect", "stock_taken", "payment_outbox")]
    assert (counts, shop.stored().state) == ([1, 1, 1, 1], OrderState.PAID)
