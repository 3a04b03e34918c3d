"""The coloured tiles that stand for banks: letters on a colour of our own choosing, never a bank's logo."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from tongbao.wire.bank import BANKS, OUTLET

HUES: Final = 12
"""The style sheet has so many tile colours."""

LETTERS: Final = {
    "ICBC": "工", "CCB": "建", "ABC": "农", "BOC": "中", "CMB": "招", "COMM": "交", "PSBC": "邮", "SPDB": "浦",
    "CIB": "兴", "GDB": "广", "CMBC": "民", "CITIC": "信", "CEB": "光", "PAB": "平", "HXB": "华", "BOB": "京",
    "BOS": "沪", "HZCB": "杭", "NBCB": "甬", "WZCB": "温", "BJRCB": "农", "SHRCB": "农", "FDB": "富",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tile:
    """One bank as the pages show it. ``hue`` picks one of the style sheet's tile colours."""

    code: str
    name: str
    letter: str
    hue: int
    debit: bool
    credit: bool


def make_tile(code: str, language: str) -> Tile:
    """The tile of a bank of the directory, or of the outlets."""
    hue = zlib.crc32(code.encode()) % HUES
    if code == OUTLET:
        return Tile(code, "线下网点" if language == "zh" else "Outlet", "网", hue, debit=False, credit=False)
    bank = BANKS.get(code)
    if bank is None:
        return Tile(code, code, code[:1], hue, debit=True, credit=True)
    name = bank.name_zh if language == "zh" else bank.name
    return Tile(code, name, LETTERS.get(code, bank.name_zh[:1]), hue, bank.debit, bank.credit)


def make_tiles(language: str, first: str = "") -> list[Tile]:
    """All banks, the chosen one (by the merchant or by the buyer) first."""
    codes = sorted(BANKS, key=lambda code: code != first)
    return [make_tile(code, language) for code in codes]
