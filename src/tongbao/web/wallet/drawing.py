"""Payment codes for a scanner: bars (Code 128) and squares (QR), black on white whatever colours the page has."""

from __future__ import annotations

from typing import Final

import segno
from markupsafe import Markup

_WIDTHS: Final = (
    "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222"
    "123122123221223211221132221231213212223112312131311222321122321221312212322112322211212123212321"
    "232121111323131123131321112313132113132311211313231113231311112133112331132131113123113321133121"
    "313121211331231131213113213311213131311123311321331121312113312311332111314111221411431111111224"
    "111422121124121421141122141221112214112412122114122411142112142211241211221114413111241112134111"
    "111242121142121241114212124112124211411212421112421211212141214121412121111143111341131141114113"
    "1143114111134113111131411141313111414111312114122112142112322331112"
)
"""Widths of bars and gaps in turn, six for each symbol value from 0 and seven for the last, which stops (ISO/IEC 15417,
code set C: a symbol is two digits)."""

_START: Final = 105
_QUIET: Final = 10
"""Modules of white that a scanner needs on either side."""


def bar_widths(digits: str) -> list[int]:
    """The modules of bars and gaps in turn, of an even number of digits. Raises ValueError for anything else."""
    if not digits or len(digits) % 2 or not (digits.isascii() and digits.isdigit()):
        raise ValueError("a code of bars holds an even number of digits")
    values = [_START, *(int(digits[place : place + 2]) for place in range(0, len(digits), 2))]
    check = (_START + sum(place * value for place, value in enumerate(values))) % 103
    symbols = "".join(_WIDTHS[6 * value : 6 * value + 6] for value in (*values, check))
    return [int(width) for width in symbols + _WIDTHS[-7:]]


def draw_bars(digits: str) -> Markup:
    """An even number of digits as bars, inline SVG as wide as it may be. Raises ValueError."""
    at, drawn = _QUIET, []
    for place, width in enumerate(bar_widths(digits)):
        if place % 2 == 0:
            drawn.append(f"M{at} 0h{width}v1h-{width}z")
        at += width
    box = f'viewBox="0 0 {at + _QUIET} 1" preserveAspectRatio="none" shape-rendering="crispEdges"'
    return Markup(f'<svg {box}><path fill="#000" d="{"".join(drawn)}"/></svg>')


def draw_squares(text: str) -> Markup:
    """A QR code as inline SVG. Never the small kind (Micro QR), which tills and telephones do not read."""
    made = segno.make_qr(text, error="m")
    return Markup(made.svg_inline(scale=6, border=4, dark="#000", light="#fff", omitsize=True))
