"""How each simulated bank looks: a letter on colours of our own choosing, never a bank's own marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tongbao.wire.bank import BANKS, OUTLET


@dataclass(frozen=True, slots=True)
class Look:
    """``main`` and ``deep`` are the band's colours, ``tint`` the page's; ``letter`` stands where others have a mark."""

    letter: str
    main: str
    deep: str
    tint: str


LOOKS: Final[dict[str, Look]] = {
    "ICBC": Look("工", "#b3212b", "#7d131c", "#faf3f3"),
    "CCB": Look("建", "#1d4f9c", "#12346b", "#f2f5fb"),
    "ABC": Look("农", "#0d7a5f", "#075240", "#f0f8f5"),
    "BOC": Look("中", "#a3263a", "#6b1626", "#faf2f4"),
    "CMB": Look("招", "#c0392f", "#8a221b", "#fbf4f2"),
    "COMM": Look("交", "#22508f", "#14335f", "#f1f5fa"),
    "PSBC": Look("邮", "#116b45", "#09482d", "#f0f7f3"),
    "SPDB": Look("浦", "#21569a", "#0f2f5c", "#f1f6fb"),
    "CIB": Look("兴", "#2b5aa5", "#1a3a70", "#f2f6fc"),
    "GDB": Look("广", "#a8302f", "#701c1c", "#faf3f2"),
    "CMBC": Look("民", "#17776f", "#0c4f4a", "#effaf8"),
    "CITIC": Look("信", "#b02a30", "#771a1f", "#fbf3f3"),
    "CEB": Look("光", "#6b2f86", "#45195a", "#f7f2fa"),
    "PAB": Look("平", "#b5521b", "#7c360e", "#fcf5f0"),
    "HXB": Look("华", "#9f2a2a", "#6a1818", "#faf3f3"),
    "BOB": Look("京", "#a62838", "#6e1622", "#faf2f4"),
    "BOS": Look("沪", "#284f93", "#172f5e", "#f2f5fb"),
    "HZCB": Look("杭", "#1c6d97", "#0f4763", "#f0f7fb"),
    "NBCB": Look("甬", "#a5641a", "#6e400d", "#fbf6ee"),
    "WZCB": Look("温", "#8f5b16", "#5e3a0b", "#faf6ef"),
    "BJRCB": Look("京农", "#2f7a3a", "#1b5124", "#f1f8f2"),
    "SHRCB": Look("沪农", "#2b6f8a", "#184a5f", "#f0f7fa"),
    "FDB": Look("富", "#7a3b6d", "#502447", "#f9f3f8"),
    OUTLET: Look("网", "#3d4a5c", "#252e3b", "#f4f5f7"),
}


def look_of(code: str) -> Look:
    """A bank's look; the outlets' sober one for a code without its own."""
    return LOOKS.get(code, LOOKS[OUTLET])


def name_of(code: str, language: str) -> str:
    """A bank's name in ``zh`` or ``en``."""
    if code == OUTLET:
        return "便民缴费网点" if language == "zh" else "Cash counter"
    return BANKS[code].name_zh if language == "zh" else BANKS[code].name
