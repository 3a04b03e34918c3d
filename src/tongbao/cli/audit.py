"""``tongbao audit``: every invariant over the books; exit 0 when clean, 1 when not. Reads only, beside a server too."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tongbao.cli.house import open_database, read
from tongbao.runtime.clock import RealClock
from tongbao.runtime.server import run
from tongbao.service.audit import INVARIANTS, audit


def add_commands(commands: Any) -> None:
    """Add ``audit``."""
    parser = commands.add_parser("audit", help="check every invariant over the books")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (TOML)")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=check)


def check(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Print what is wrong."""
    return run(_check(chosen, environ))


async def _check(chosen: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = read(chosen.config, environ)
    async with AsyncExitStack() as stack:
        database = await open_database(settings, stack, writing=False)
        found = await audit(database, RealClock().business(), environment=settings.environment)
    if chosen.json:
        said = "clean" if not found else [{"id": one.id, "rows": one.rows} for one in found]
        print(json.dumps({"audit": said, "invariants_checked": len(INVARIANTS)}, default=str))
    elif not found:
        print(f"clean: {len(INVARIANTS)} invariants hold")
    else:
        for one in found:
            print(f"{one.id} {one.says}: {len(one.rows)} rows, first {one.rows[0]!r}")
    return 1 if found else 0
