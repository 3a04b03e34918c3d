"""Read the blocks of a page: files to write, and commands with the output they promise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"(?:<!-- file: (?P<file>[a-z_.]+) -->\n)?```(?P<kind>[a-z]+)\n(?P<text>.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """``file`` is where a python block is to be saved ('' for one that is only shown)."""

    kind: str
    file: str
    text: str

    @property
    def command(self) -> str:
        """The command of a console block."""
        return self.text.partition("\n")[0].removeprefix("$ ")

    @property
    def output(self) -> str:
        """What the command of a console block prints."""
        return self.text.partition("\n")[2]


def read_blocks(path: str) -> list[Block]:
    """All fenced blocks of a page of ``docs``, in order."""
    text = (ROOT / "docs" / path).read_text(encoding="utf-8")
    return [Block(match["kind"], match["file"] or "", match["text"]) for match in _BLOCK.finditer(text)]
