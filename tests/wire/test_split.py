"""Cutting glued strings: every legal cut is found, each once, and the work is bounded (T10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongbao.kernel.error import RemoteProtocolError
from tongbao.wire.split import Shape, check_split, list_splits, sample_pattern, shape, word

SHAPES = (
    shape("a", "[0-9a]+", 4),
    word("b", "1", "20", ""),
    shape("c", r"[1-9][0-9]*(?:\.[0-9])?", 5),
    word("d", "0", "AA"),
)


def brute_force(text: str, shapes: Sequence[Shape]) -> Iterator[tuple[str, ...]]:
    if not shapes:
        if not text:
            yield ()
        return
    for stop in range(len(text) + 1):
        if shapes[0].fits(text[:stop]):
            for rest in brute_force(text[stop:], shapes[1:]):
                yield (text[:stop], *rest)


def marked(values: Sequence[str]) -> str:
    return "#".join([value for value in values if value])


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.text("012.aA", max_size=10))
def test_T10_no_reading_is_missed(text: str) -> None:
    """The search finds exactly the cuts that trying all of them finds."""
    found = list(list_splits(text, SHAPES))
    assert sorted(found) == sorted(brute_force(text, SHAPES))
    assert len(set(found)) == len(found)


WORDS = (("1", "1#2", ""), ("2", "#", "##", ""), ("1", "2", "2#1"), ("12", "1", ""))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.one_of(st.text("12#", max_size=9), st.tuples(*map(st.sampled_from, WORDS)).map(marked)))
def test_T10_a_mark_shows_borders_but_for_what_is_empty(text: str) -> None:
    """Cuts of a marked string are all values whose filled ones, joined by the mark, are that string."""
    shapes = tuple(word(name, *words) for name, words in zip("abcd", WORDS, strict=True))
    found = list(list_splits(text, shapes, "#"))
    assert sorted(found) == sorted(cut for cut in product(*WORDS) if marked(cut) == text)
    assert len(set(found)) == len(found)


def test_T10_the_border_in_doubt_is_named() -> None:
    """One cut passes; a second legal one is refused by the name of the field whose border moves."""
    check_split(("0", "", "5", "0"), SHAPES)
    with pytest.raises(RemoteProtocolError) as caught:
        check_split(("12", "20", "5", "AA"), SHAPES)
    assert (caught.value.code, caught.value.field) == ("AMBIGUOUS_SPLIT", "a")
    for values, code in (
        (("", "1", "2", "0"), "FIELD_MISSING"),
        (("b", "1", "2", "0"), "FIELD_INVALID"),
        (("a" * 5, "1", "2", "0"), "FIELD_INVALID"),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            check_split(values, SHAPES)
        assert caught.value.code == code


def test_T10_work_is_bounded() -> None:
    """A string made so that nothing fits in the end costs a bounded number of steps, or is as good as ambiguous."""
    free = tuple(shape(name, ".+", 1_000) for name in "abcdef")
    with pytest.raises(RemoteProtocolError) as caught:
        list(list_splits("1" * 1_000, (*free, word("z", "Z"))))
    assert caught.value.code == "AMBIGUOUS_SPLIT"


def test_sample_pattern() -> None:
    """A sample stands for all numbers of its shape."""
    assert sample_pattern("Ta0-_") == r"[A-Z][a-z][0-9]\-_"
