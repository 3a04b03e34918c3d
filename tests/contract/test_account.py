"""The account of calls: nothing stays on the manual's page that no test runs any more. No library is started here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.contract.harness import Account, read_book, stale


@pytest.mark.skipif(bool(os.environ.get("TONGBAO_WRITE_PASSED")), reason="the account is being written")
def test_every_record_is_of_a_test_that_is_still_there() -> None:
    """The account, and with it the manual's page, tells what today's tests did: one that was changed or taken out
    since is run again with ``TONGBAO_WRITE_PASSED=1``, which forgets what no test did."""
    known = read_book()
    assert known
    assert stale(known) == []


def test_a_record_is_of_the_test_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that nobody wrote down fails; written down, it names its test and agrees with it from then on."""
    book = tmp_path / "book.json"
    monkeypatch.delenv("TONGBAO_WRITE_PASSED", raising=False)
    with pytest.raises(AssertionError, match=r"book\.json tells something else"), Account("a", "1", "x", book) as one:
        one.passed("buy")
    monkeypatch.setenv("TONGBAO_WRITE_PASSED", "1")
    with Account("a", "1", "x", book) as one:
        one.passed("buy")
        one.passed("sell", "NO")
    monkeypatch.delenv("TONGBAO_WRITE_PASSED")
    record = read_book(book)["a"]["x"]
    assert record["test"] == "tests/contract/test_account.py::test_a_record_is_of_the_test_that_made_it"
    assert record["calls"] == ["buy", "sell, refused: NO"]
    assert stale(read_book(book)) == []
    with pytest.raises(AssertionError, match="something else"), Account("a", "1", "x", book) as one:
        one.passed("buy")


def test_what_no_test_made_is_found_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is gone, and one that is no longer as it was."""
    book = tmp_path / "book.json"
    gone = {"version": "1", "test": "tests/contract/test_gone.py::test_x", "source": "1" * 16, "calls": ["buy"]}
    changed = {**gone, "test": "tests/contract/test_account.py::test_x"}
    book.write_text(json.dumps({"a": {"gone": gone}, "b": {"changed": changed}}), "utf-8")
    assert stale(read_book(book)) == [f"a, gone: {gone['test']}", f"b, changed: {changed['test']}"]
    monkeypatch.setenv("TONGBAO_WRITE_PASSED", "1")
    with Account("b", "1", "y", book) as one:
        one.passed("buy")
    assert {package: list(flows) for package, flows in read_book(book).items()} == {"b": ["y"]}
