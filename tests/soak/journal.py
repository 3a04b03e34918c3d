"""What a long run has done so far, a line of JSON at a time, so that it can be stopped and taken up again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]


@cache
def program() -> str:
    """A digest of the sources: a run is taken up again only for the same program."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix in (".py", ".sql", ".json"):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class Journal:
    """One file, one line a piece of work. ``name`` says which run of this program it is."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.jsonl"

    def add(self, piece: dict[str, Any]) -> None:
        """One piece is done."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"program": program(), **piece}) + "\n")

    def pieces(self) -> Iterator[dict[str, Any]]:
        """All pieces that this program has done."""
        if not self.path.exists():
            return
        for line in self.path.read_text("utf-8").splitlines():
            piece: dict[str, Any] = json.loads(line)
            if piece["program"] == program():
                yield piece
