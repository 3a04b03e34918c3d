"""The two languages of the generated pages: their words, their templates, and Markdown tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).parent
_CHINESE: Final[dict[str, str]] = json.loads((_HERE / "chinese.json").read_text("utf-8"))

WORDS: Final[dict[str, dict[str, Any]]] = json.loads((_HERE / "word.json").read_text("utf-8"))
"""Words that no table of the code says: group -> name -> [English, Chinese]."""


@dataclass(frozen=True, slots=True)
class Tongue:
    """Says things in ``en`` or ``zh``."""

    language: str

    def __call__(self, english: str, chinese: str) -> str:
        """One of the two."""
        return chinese if self.language == "zh" else english

    def text(self, english: str) -> str:
        """A sentence of a table; the Chinese one is in ``chinese.json``, else it stays as it is."""
        return self(english, _CHINESE.get(english, english))

    def gap(self, seconds: int) -> str:
        """A time in its largest whole unit."""
        for size, english, chinese in ((3_600, "h", "小时"), (60, "min", "分钟")):
            if seconds and seconds % size == 0:
                return f"{seconds // size} {self(english, chinese)}"
        return f"{seconds} {self('s', '秒')}"

    def yes(self, fact: bool) -> str:
        """A word where it is so, nothing where it is not."""
        return self("yes", "是") if fact else ""

    def fill(self, name: str, parts: Mapping[str, str]) -> str:
        """A template of ``template/`` with every ``@part@`` filled in."""
        text = (_HERE / "template" / self.language / f"{name}.md").read_text("utf-8")
        return re.sub(r"@(\w+)@", lambda match: parts[match[1]].strip("\n"), text)


TONGUES: Final = (Tongue("en"), Tongue("zh"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
