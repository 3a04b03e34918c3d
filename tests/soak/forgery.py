"""Very many forged messages, in pieces: against the acceptance of a shop, and against every face."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.attack.arena import build_arena
from tests.attack.guide import Guide
from tests.attack.referee import attack
from tests.attack.street import bombard
from tests.soak.journal import Journal

PIECE: Final = 10_000
TARGETS: Final = ("acceptance", "faces")


def _accept(seed: int, rounds: int) -> dict[str, Any]:
    guide = Guide()
    with (
        tempfile.TemporaryDirectory(prefix="tongbao-forgery-") as folder,
        build_arena(Path(folder) / "shop.sqlite") as arena,
    ):
        referee = attack(arena, seed, rounds, guide)
    return {
        "answers": referee.counted,
        "folders": referee.asked,
        "verdicts": len(referee.seen),
        "steps": len(guide.seen),
    }


def _face(seed: int, rounds: int) -> dict[str, Any]:
    guide = Guide()
    with tempfile.TemporaryDirectory(prefix="tongbao-forgery-") as folder:
        answers, folders = asyncio.run(bombard(Path(folder), seed, rounds, guide))
    return {"answers": answers, "folders": folders, "steps": len(guide.seen)}


_PLAYS: Final[dict[str, Callable[[int, int], dict[str, Any]]]] = {"acceptance": _accept, "faces": _face}


def _sums(pieces: Sequence[dict[str, Any]], figure: str) -> str:
    """What was counted under each name, in all pieces."""
    total = Counter[str]()
    for piece in pieces:
        total.update(piece.get(figure, {}))
    return ", ".join(f"{name or 'none'} {count:,}" for name, count in sorted(total.items()))


def run(target: str, forgeries: int, journal: Journal, say: Callable[[str], None]) -> bool:
    """Send what of ``forgeries`` was not sent yet. Whatever moves money or breaks raises AssertionError."""
    done = {piece["seed"] for piece in journal.pieces() if piece["target"] == target}
    for seed in range(0, forgeries, PIECE):
        if seed in done:
            continue
        began, rounds = time.process_time(), min(PIECE, forgeries - seed)
        try:
            figures = _PLAYS[target](seed, rounds)
        except AssertionError as wrong:
            say(f"forgeries against {target}, seed {seed}: BROKEN: {wrong!r}")
            return False
        cpu = round(time.process_time() - began, 1)
        journal.add({"target": target, "seed": seed, "sent": rounds, "cpu": cpu, **figures})
    pieces = [piece for piece in journal.pieces() if piece["target"] == target]
    say(
        f"forgeries against {target}: {sum(piece['sent'] for piece in pieces):,} sent; answers "
        f"{_sums(pieces, 'answers')}; of folders {_sums(pieces, 'folders')}"
        f"; up to {max((piece['steps'] for piece in pieces), default=0):,} steps through our code in one piece;"
        " nothing accepted that nobody said"
    )
    return True
