"""The pytest plugin as another project uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
import httpx


def test_first(tongbao):
    with Client(tongbao.configuration("alipay_mapi", notify_url="http://127.0.0.1:9/n")) as client:
        httpx.get(client.payment("N1", Money(100), "tea").link(), trust_env=False)
        assert tongbao.pay("N1")["state"] == "paid"
        assert client.query("N1").is_paid


def test_second_starts_empty(tongbao):
    assert tongbao.control("GET", "trades") == []
    assert tongbao.audit() == "clean"
"""


@pytest.mark.slow
def test_another_projects_suite_gets_a_sandbox(tmp_path: Path) -> None:
    """Two tests of a foreign suite share one sandbox; the second finds the books empty."""
    (tmp_path / "test_shop.py").write_text(SUITE)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr
