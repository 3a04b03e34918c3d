"""The source keeps the house rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import pytest

from tests.tidy import repository, rule, window
from tests.tidy.source import ROOT, Finding, Source, list_files, read_sources

pytestmark = pytest.mark.xdist_group("tidy")
"""The files are parsed in one process only."""

Rule = Callable[[Source], Iterable[Finding]]

SOURCE_RULES: tuple[Rule, ...] = (
    rule.find_float,
    rule.find_naive_time,
    rule.find_hidden_import,
    rule.find_long_function,
    rule.find_long_module,
    rule.find_open_comparison,
    rule.find_print,
    rule.find_shapeless_name,
    rule.find_leftover,
    rule.find_missing_docstring,
    window.find_window,
)
TEST_RULES: tuple[Rule, ...] = (
    rule.find_silent_test,
    rule.find_leftover,
    rule.find_long_function,
    rule.find_long_module,
)
REPOSITORY_RULES = (repository.find_private_key, repository.find_origin)


def report(findings: Iterable[Finding]) -> str:
    """One line each, sorted; empty if nothing is wrong."""
    return "\n".join(map(str, sorted(findings)))


@cache
def findings() -> dict[tuple[bool, str], list[Finding]]:
    """What every rule finds, by whether it looks at tests and by its name.

    File by file, so that one syntax tree is kept at a time: all of them together would make every later collection of
    garbage in this process slow.
    """
    found: dict[tuple[bool, str], list[Finding]] = {}
    for source in read_sources("src/tongbao/", "tests/"):
        for check in TEST_RULES if source.is_test else SOURCE_RULES:
            found.setdefault((source.is_test, check.__name__), []).extend(check(source))
    return found


@pytest.mark.parametrize("check", SOURCE_RULES, ids=lambda check: check.__name__)
def test_source_keeps(check: Rule) -> None:
    """No file of the package breaks this rule."""
    assert report(findings()[False, check.__name__]) == ""


@pytest.mark.parametrize("check", TEST_RULES, ids=lambda check: check.__name__)
def test_tests_keep(check: Rule) -> None:
    """No test breaks this rule."""
    assert report(findings()[True, check.__name__]) == ""


@pytest.mark.parametrize("check", REPOSITORY_RULES, ids=lambda check: check.__name__)
def test_repository_keeps(check: Callable[[str, str], Iterable[Finding]]) -> None:
    """No file at all breaks this rule."""
    texts = ((name, repository.read_text((ROOT / name).read_bytes())) for name in list_files())
    assert report(finding for name, text in texts for finding in check(name, text)) == ""


def test_every_folder_is_a_package() -> None:
    """No room lacks its __init__.py, which says what it is for."""
    folders = {(ROOT / source.path).parent for source in read_sources("src/tongbao/") if not source.is_test}
    assert folders
    assert sorted(str(folder) for folder in folders if not (folder / "__init__.py").exists()) == []
