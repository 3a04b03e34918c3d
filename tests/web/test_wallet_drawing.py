"""Payment codes as a scanner sees them."""

from __future__ import annotations

import re

import pytest

from tongbao.web.wallet.drawing import bar_widths, draw_bars, draw_squares

CODE = "285093117204118826"


def symbols(widths: list[int]) -> list[tuple[int, ...]]:
    return [tuple(widths[place : place + 6]) for place in range(0, len(widths) - 7, 6)]


def test_bars_are_code_128() -> None:
    """Worked by hand after ISO/IEC 15417: start C, 12, 34, 56, the check symbol, which is
    (105 + 12 + 2 * 34 + 3 * 56) % 103 = 44, and stop."""
    assert "".join(map(str, bar_widths("123456"))) == "2112321122321311233311211321312331112"


def test_every_pair_of_digits_has_bars_of_its_own() -> None:
    """Three bars and three gaps on eleven modules, of which an even number is black, and no two alike."""
    pairs = [symbols(bar_widths(f"{pair:02d}"))[1] for pair in range(100)]
    assert len(set(pairs)) == 100
    assert {sum(pair) for pair in pairs} == {11}
    assert {sum(pair[::2]) % 2 for pair in pairs} == {0}


def test_the_drawing_has_its_quiet_zones() -> None:
    """Ten white modules on either side; the last bar ends where the right one begins."""
    drawn = str(draw_bars(CODE))
    width = sum(bar_widths(CODE)) + 20
    assert f'viewBox="0 0 {width} 1"' in drawn
    bars = [(int(at), int(wide)) for at, wide in re.findall(r"M(\d+) 0h(\d+)v1", drawn)]
    assert bars[0] == (10, 2)
    assert sum(bars[-1]) == width - 10


@pytest.mark.parametrize("text", ["", "1", "12a4", "１２"])
def test_bars_hold_pairs_of_digits_only(text: str) -> None:
    """Nothing, an odd number, a letter and digits of another script are refused."""
    with pytest.raises(ValueError, match="even number of digits"):
        bar_widths(text)


def test_squares_are_a_whole_qr_code() -> None:
    """21 modules and four white ones on either side: a small one (Micro QR) has at most 17, and tills do not read
    it."""
    assert 'viewBox="0 0 174 174"' in str(draw_squares(CODE))
