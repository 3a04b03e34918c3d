"""The documentation as a whole: generated pages are fresh, links lead somewhere, both languages have the same pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.docs.page import ROOT
from tests.docs.reference import pages
from tongbao.service.audit import INVARIANTS

DOCS = ROOT / "docs"
TOP = ["README.md", "README.zh.md", "ARCHITECTURE.md", "ARCHITECTURE.zh.md", "CONTRIBUTING.md", "CHANGELOG.md"]
TOP += ["SECURITY.md"]

_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_SLUG = re.compile(r"[^\w\- ]")


def every_page() -> list[Path]:
    """All Markdown of the documentation."""
    return [*(ROOT / name for name in TOP), *sorted(DOCS.rglob("*.md"))]


def anchors(path: Path) -> set[str]:
    """The fragments that lead to headings of a page."""
    text = _FENCE.sub("", path.read_text("utf-8"))
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {_SLUG.sub("", head.replace("`", "").lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", pages(), ids=str)
def test_a_generated_page_is_fresh(path: Path) -> None:
    """Whoever changes a table runs ``python -m tests.docs.reference``."""
    assert (DOCS / path).read_text("utf-8") == pages()[path], "stale: run python -m tests.docs.reference"


@pytest.mark.parametrize("path", every_page(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_internal_link_leads_somewhere(path: Path) -> None:
    """Files and headings."""
    broken = []
    for target in _LINK.findall(_FENCE.sub("", path.read_text("utf-8"))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, fragment = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        if not place.exists() or (fragment and fragment not in anchors(place)):
            broken.append(target)
    assert broken == []


def test_both_languages_have_the_same_pages() -> None:
    """No page of ``docs`` exists in one language only."""
    english, chinese = (
        {path.relative_to(DOCS / language).as_posix() for path in (DOCS / language).rglob("*.md")}
        for language in ("en", "zh")
    )
    assert english == chinese


def test_every_page_is_linked_from_its_index() -> None:
    """Nobody has to guess an address."""
    for language in ("en", "zh"):
        linked = set(_LINK.findall((DOCS / language / "index.md").read_text("utf-8")))
        names = {path.relative_to(DOCS / language).as_posix() for path in (DOCS / language).rglob("*.md")}
        assert names - {"index.md"} - linked == set()
    linked = set(_LINK.findall((DOCS / "decisions" / "index.md").read_text("utf-8")))
    assert {path.name for path in (DOCS / "decisions").glob("*.md")} - {"index.md"} - linked == set()


def test_every_number_in_the_code_is_explained() -> None:
    """Threats, faults and invariants that source and tests name are on the page of numbers, or the auditor's."""
    text = (DOCS / "en/reference/numbers.md").read_text("utf-8")
    known = {*re.findall(r"^\| ([TFI]\d+) \|", text, re.MULTILINE), *INVARIANTS}
    named: set[str] = set()
    for root in ("src", "tests"):
        for path in (ROOT / root).rglob("*.py"):
            named |= set(re.findall(r"\b(T\d\d|F\d\d|I\d\d)\b", path.read_text("utf-8")))
    assert named - known == set()


def test_translations_are_of_sentences_in_use() -> None:
    """``chinese.json`` holds Chinese, and no sentence twice."""
    pairs = json.loads((Path(__file__).parent / "chinese.json").read_text("utf-8"), object_pairs_hook=list)
    assert len({english for english, _ in pairs}) == len(pairs)
    assert [chinese for _, chinese in pairs if not re.search(r"[一-鿿]", chinese)] == []
