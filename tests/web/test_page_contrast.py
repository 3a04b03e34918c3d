"""Text can be read in light and in dark: the style sheet's colours meet WCAG AA."""

from __future__ import annotations

import re

import pytest

from tongbao.web.page.asset import ASSETS

PAIRS = (
    ("ink", "paper"), ("ink", "card"), ("ink", "sunk"), ("quiet", "paper"), ("quiet", "card"), ("quiet", "sunk"),
    ("brand", "card"), ("brand", "paper"), ("brand", "brand-soft"), ("on-brand", "brand"), ("on-brand", "brand-deep"),
    ("bronze", "card"), ("bronze", "bronze-soft"), ("bad", "card"), ("bad", "bad-soft"), ("good", "card"),
    ("good", "good-soft"), ("ink", "brand-soft"), ("ink", "bronze-soft"), ("quiet", "brand-soft"),
    ("quiet", "bronze-soft"), ("ink", "bad-soft"),
)  # fmt: skip
EDGES = (("line-strong", "card"), ("focus", "card"), ("focus", "paper"))


def tokens(scheme: str) -> dict[str, str]:
    """Colour tokens of one scheme."""
    css = ASSETS["tongbao.css"].body.decode()
    light, dark = css.split("@media (prefers-color-scheme: dark)", 1)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark.split("}\n}", 1)[0]))
    return found


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_edges_can_be_seen(scheme: str) -> None:
    """4.5 to 1 for text, 3 to 1 for the edges of fields and for the focus ring."""
    named = tokens(scheme)
    dim = {pair: round(contrast(named[pair[0]], named[pair[1]]), 2) for pair in PAIRS + EDGES}
    assert {pair: figure for pair, figure in dim.items() if figure < (3 if pair in EDGES else 4.5)} == {}


def test_white_letters_on_bank_tiles_can_be_seen() -> None:
    """Every tile's colour carries white text."""
    css = ASSETS["tongbao.css"].body.decode()
    tiles = re.findall(r"--tile: (#[0-9a-f]{6});", css)
    assert len(tiles) == 12
    assert [tile for tile in tiles if contrast(tile, "#ffffff") < 4.5] == []
