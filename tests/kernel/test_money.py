"""T34-T37, I32: amounts are read by a strict grammar, counted in whole units, and rounded as stated."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongbao.kernel.error import BrokenInvariant
from tongbao.kernel.money import (
    EXPONENT,
    MINOR_MAX,
    InvalidAmount,
    Money,
    parse_major,
    parse_minor,
    round_half_even,
)
from tongbao.trade.fee import merchant_fee

DIGITS = {
    "full-width": "".join(chr(0xFF10 + digit) for digit in range(10)),
    "arabic": "".join(chr(0x660 + digit) for digit in range(10)),
    "devanagari": "".join(chr(0x966 + digit) for digit in range(10)),
    "circled": "".join(chr(0x2460 + digit) for digit in range(10)),
    "superscript": "⁰¹²³⁴⁵⁶⁷⁸⁹",
    "chinese": "零一二三四五六七八九",
    "mathematical": "".join(chr(0x1D7CE + digit) for digit in range(10)),
}
BASES = ("0", "1", "12", "35.00", "0.01", "99999.99", "2035")
BLANKS = (" ", "\t", "\n", "\r", "\r\n", "\0", "\u00a0", "\u3000", "\ufeff", "\u200b", "\x0b", "\x1f")
AFFIXES = (
    "+",
    "-",
    "--",
    "0",
    "00",
    "$",
    "￥",
    "¥",
    "CNY",
    "x",
    "'",
    '"',
    "=",
    "%",
    "e",
    ",",
    ".",
    "．",
    "。",
    "_",
    "/",
)


def corpus() -> list[str]:
    """Texts that other parsers take for amounts, or that only look like one."""
    found = {
        "",
        ".",
        "-",
        "+",
        "..",
        ".5",
        "5.",
        "1..0",
        "1.2.3",
        "00.10",
        "0.001",
        "1.000",
        "0x10",
        "0b1",
        "0o7",
        "1e3",
    }
    found |= {
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "inf",
        "1e1000000",
        "1E5",
        "1,000",
        "1,000.00",
        "1.000,00",
        "1 000",
    }
    found |= {"1_0", "1__0", "١", "Ⅷ", "½", "１", "1．5", "−1", "﹣1", "1j", "1+1", "True", "None", "null", "[]", "{}"}
    found |= {"9" * length for length in range(12, 40)} | {"0" * length for length in range(2, 20)}
    found |= {"1." + "0" * length for length in range(3, 15)}
    for digits, base in product(DIGITS.values(), BASES):
        found.add(base.translate(str.maketrans("0123456789", digits)))
    for blank, base in product(BLANKS, BASES):
        found |= {blank + base, base + blank, f"{base[0]}{blank}{base[1:]}." if len(base) > 1 else blank}
    for affix, base in product(AFFIXES, BASES):
        found |= {affix + base}
        if affix not in ("0", "00", ".") and "." not in base:
            found |= {base + affix, f"{base}.{affix}"}
    found |= {base + affix for base in ("35.00", "0.01") for affix in AFFIXES}
    return sorted(text for text in found if not _plain(text))


def _plain(text: str) -> bool:
    """Whether a text is an amount after all (some combinations above are)."""
    whole, point, part = text.partition(".")
    known = set("0123456789")
    good = bool(whole) and set(whole) <= known and len(whole) <= 11 and (whole == "0" or whole[0] != "0")
    return good and (not point or (1 <= len(part) <= 2 and set(part) <= known))


def test_T34_the_corpus_is_large() -> None:
    """At least 400 texts that must not be read."""
    assert len(corpus()) >= 400


@pytest.mark.parametrize("read", [parse_major, parse_minor])
def test_T34_no_text_of_the_corpus_is_an_amount(read: object) -> None:
    """Each is refused, by both readers, without a number having been made of it."""
    taken = []
    for text in corpus():
        try:
            read(text)  # type: ignore[operator]
        except InvalidAmount:
            continue
        taken.append(text)
    assert taken == [text for text in taken if read is parse_minor and _is_minor(text)]


def _is_minor(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 14 and text[0] != "0" and int(text) <= MINOR_MAX


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("0", 0),
        ("0.0", 0),
        ("0.01", 1),
        ("0.1", 10),
        ("1", 100),
        ("12.30", 1_230),
        ("12.3", 1_230),
        ("99999999999", 9_999_999_999_900),
        ("99999999999.99", 9_999_999_999_999),
    ],
)
def test_T36_major_units_are_read(text: str, minor: int) -> None:
    """Yuan become fen, by digits alone."""
    assert parse_major(text) == Money(minor)


@pytest.mark.parametrize(("text", "minor"), [("0", 0), ("1", 1), ("10000000000000", MINOR_MAX)])
def test_T36_minor_units_are_read(text: str, minor: int) -> None:
    """Fen stay fen; 10^13 of them are the most."""
    assert parse_minor(text) == Money(minor)


@pytest.mark.parametrize("text", ["10000000000001", "99999999999999", "01", "1.0", "-1"])
def test_T35_minor_units_have_an_end(text: str) -> None:
    """Above the largest amount, or not a plain number."""
    with pytest.raises(InvalidAmount):
        parse_minor(text)


@pytest.mark.parametrize("text", ["1.0", "1.00", "0.1"])
def test_T36_a_yen_has_no_decimals(text: str) -> None:
    """A currency without minor units is read without a point."""
    assert parse_major("12", "JPY") == Money(12, "JPY")
    with pytest.raises(InvalidAmount):
        parse_major(text, "JPY")


def test_a_sign_only_where_it_is_asked_for() -> None:
    """Bills have signed sums; requests have none."""
    assert parse_major("-5.00", signed=True) == Money(-500)
    with pytest.raises(InvalidAmount):
        parse_major("-5.00")


@given(st.integers(-MINOR_MAX, MINOR_MAX - 1), st.sampled_from(sorted(EXPONENT)))
def test_text_and_back(minor: int, currency: str) -> None:
    """What ``text`` writes, ``parse_major`` reads, in every currency."""
    money = Money(minor, currency)
    if len(money.text().lstrip("-").split(".")[0]) <= 11 and len(money.text()) <= 14:
        assert parse_major(money.text(), currency, signed=True) == money


@given(st.integers(0, MINOR_MAX), st.integers(1, 10**6), st.integers(1, 10**6))
def test_T37_rounding_is_half_to_even(minor: int, numerator: int, denominator: int) -> None:
    """As Python rounds fractions, without any fraction."""
    assert round_half_even(minor * numerator, denominator) == round(Fraction(minor * numerator, denominator))


@given(st.integers(0, MINOR_MAX), st.lists(st.integers(0, 10_000), min_size=1, max_size=20).filter(sum))
def test_I32_parts_make_up_the_whole(minor: int, weights: list[int]) -> None:
    """No unit is lost or made, and no part is a unit away from its exact share, or more."""
    parts = Money(minor).allocate(weights)
    assert sum(part.minor for part in parts) == minor
    exact = [Fraction(minor * weight, sum(weights)) for weight in weights]
    assert all(abs(part.minor - share) < len(weights) for part, share in zip(parts, exact, strict=True))


@given(st.integers(1, MINOR_MAX), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10**6) | st.just(0))
def test_T37_a_fee_stays_within_the_sum(amount: int, rate: int, minimum: int, cap: int) -> None:
    """Never negative, never above the sum, never above its cap, and at least its minimum where the two allow it."""
    fee = merchant_fee(amount, rate, minimum, cap)
    assert 0 <= fee <= amount
    assert not cap or fee <= cap
    assert fee >= min(minimum, amount, cap or amount)


@pytest.mark.parametrize(
    ("amount", "rate", "minimum", "cap", "fee"),
    [
        (1_000, 60, 0, 0, 6),
        (1_000, 60, 10, 0, 10),
        (1_000_000, 60, 1, 500, 500),
        (250, 20, 0, 0, 0),
        (750, 20, 0, 0, 2),
        (5, 60, 10, 0, 5),
        (1, 10_000, 0, 0, 1),
        (1_000, 0, 0, 0, 0),
    ],
)
def test_fees(amount: int, rate: int, minimum: int, cap: int, fee: int) -> None:
    """Basis points, half to even, minimum, cap, and never more than there is."""
    assert merchant_fee(amount, rate, minimum, cap) == fee


def test_money_does_not_mix() -> None:
    """Two currencies never meet, a float never enters, an unknown currency does not exist."""
    with pytest.raises(BrokenInvariant):
        Money(1, "CNY") + Money(1, "USD")
    with pytest.raises(BrokenInvariant):
        _ = Money(1, "CNY") < Money(1, "USD")
    for wrong in (1.0, "1", True, None):
        with pytest.raises(BrokenInvariant):
            Money(wrong)  # type: ignore[arg-type]
    with pytest.raises(BrokenInvariant):
        Money(1, "ABC")
    with pytest.raises(BrokenInvariant):
        Money(1) * 1.5  # type: ignore[operator]


@given(st.integers(-MINOR_MAX, MINOR_MAX), st.integers(-MINOR_MAX, MINOR_MAX))
def test_money_adds_and_compares_as_whole_numbers(left: int, right: int) -> None:
    """Sum, difference, negation and order."""
    one, other = Money(left), Money(right)
    assert (one + other - other, -one + one, one * 2) == (one, Money(0), one + one)
    assert ((one < other), (one <= other)) == (left < right, left <= right)
