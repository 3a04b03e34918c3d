"""The source keeps the house rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.tidy import repository, rule, window
from tests.tidy.source import ROOT, Finding, Source, list_files, read_sources

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


@pytest.mark.parametrize("check", SOURCE_RULES, ids=lambda check: check.__name__)
def test_source_keeps(check: Rule) -> None:
    """No file of the package breaks this rule."""
    sources = [source for source in read_sources("src/tongbao/") if not source.is_test]
    assert sources
    assert report(finding for source in sources for finding in check(source)) == ""


@pytest.mark.parametrize("check", TEST_RULES, ids=lambda check: check.__name__)
def test_tests_keep(check: Rule) -> None:
    """No test breaks this rule."""
    sources = [source for source in read_sources("tests/", "src/tongbao/protocols/") if source.is_test]
    assert report(finding for source in sources for finding in check(source)) == ""


@pytest.mark.parametrize("check", REPOSITORY_RULES, ids=lambda check: check.__name__)
def test_repository_keeps(check: Callable[[str, str], Iterable[Finding]]) -> None:
    """No file at all breaks this rule."""
    texts = ((name, repository.read_text((ROOT / name).read_bytes())) for name in list_files())
    assert report(finding for name, text in texts for finding in check(name, text)) == ""


def test_every_folder_is_a_package() -> None:
    """No room lacks its __init__.py, which says what it is for."""
    folders = {(ROOT / source.path).parent for source in read_sources("src/tongbao/") if not source.is_test}
    assert sorted(str(folder) for folder in folders if not (folder / "__init__.py").exists()) == []
