"""The account of calls: nothing stays on the manual's page that no test runs any more. No library is started here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.contract.harness import Account, files_of, pinned, read_book, stale

PACKAGE = "npm alipay-sdk"


def account(book: Path, flow: str = "x") -> Account:
    """That of a package which is locked."""
    return Account(PACKAGE, pinned(PACKAGE), flow, book)


@pytest.mark.skipif(bool(os.environ.get("TONGBAO_WRITE_PASSED")), reason="the account is being written")
def test_every_record_is_of_a_test_that_is_still_there() -> None:
    """The account, and with it the manual's page, tells what today's tests did: one that was changed or taken out
    since is run again with ``TONGBAO_WRITE_PASSED=1``, which forgets what no test did."""
    known = read_book()
    assert known
    assert stale(known) == []


def test_a_record_is_of_the_test_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that nobody wrote down fails; written down, it names its test and agrees with it from then on, for the
    version that was run."""
    book = tmp_path / "book.json"
    monkeypatch.delenv("TONGBAO_WRITE_PASSED", raising=False)
    with pytest.raises(AssertionError, match=r"book\.json tells something else"), account(book) as one:
        one.passed("buy")
    monkeypatch.setenv("TONGBAO_WRITE_PASSED", "1")
    with account(book) as one:
        one.passed("buy")
        one.passed("sell", "NO")
    monkeypatch.delenv("TONGBAO_WRITE_PASSED")
    record = read_book(book)[PACKAGE]["x"]
    assert record["test"] == "tests/contract/test_account.py::test_a_record_is_of_the_test_that_made_it"
    assert record["calls"] == ["buy", "sell, refused: NO"]
    assert stale(read_book(book)) == []
    with pytest.raises(AssertionError, match="something else"), account(book) as one:
        one.passed("buy")
    earlier = {"x": {**record, "version": "1"}}
    assert stale({PACKAGE: earlier}) == [f"{PACKAGE}, x: {record['test']}"]
    assert stale({"npm nothing": earlier, "PyPI nothing": earlier}) != []


@pytest.mark.parametrize(
    ("test", "files"),
    [
        ("node", {"alipay_walk.py", "alipay_node.mjs", "package.json", "package-lock.json", "node.txt"}),
        ("official", {"alipay_walk.py", "alipay_official.py", "alipay-sdk-python.txt"}),
    ],
)
def test_a_record_is_of_its_locks(test: str, files: set[str]) -> None:
    """Of what a test stands on nothing is forgotten: a lock that is made anew wants the test to be run again."""
    assert files <= {file.name for file in files_of(f"tests/contract/test_alipay_{test}.py::test_x")}


def test_a_version_is_the_locked_one() -> None:
    """Each package of the account, by the name that the account has for it."""
    for package, flows in read_book().items():
        assert {record["version"] for record in flows.values()} == {pinned(package)}
    assert pinned("PyPI alipay-sdk") == pinned("npm nothing") == pinned("alipay-sdk") == ""


def test_what_no_test_made_is_found_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is gone, and one that is no longer as it was."""
    book = tmp_path / "book.json"
    gone = {"version": "1", "test": "tests/contract/test_gone.py::test_x", "source": "1" * 16, "calls": ["buy"]}
    changed = {**gone, "test": "tests/contract/test_account.py::test_x"}
    book.write_text(json.dumps({"a": {"gone": gone}, "b": {"changed": changed}}), "utf-8")
    assert stale(read_book(book)) == [f"a, gone: {gone['test']}", f"b, changed: {changed['test']}"]
    monkeypatch.setenv("TONGBAO_WRITE_PASSED", "1")
    with account(book, "y") as one:
        one.passed("buy")
    assert {package: list(flows) for package, flows in read_book(book).items()} == {PACKAGE: ["y"]}
