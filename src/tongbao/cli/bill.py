"""``tongbao bill``: one merchant's bill of a business date, as a file."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path
from typing import Any

from tongbao.cli.house import open_platform
from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.server import run
from tongbao.service.bill import KINDS
from tongbao.service.bill_act import bill_end, make_bill
from tongbao.wire.bill import parse_day
from tongbao.wire.loader import protocol_names
from tongbao.wire.movement import BillHead


def add_commands(commands: Any) -> None:
    """Add ``bill``."""
    parser = commands.add_parser("bill", help="write a merchant's bill of a day that is over")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (TOML)")
    parser.add_argument("--merchant", required=True, metavar="NUMBER")
    parser.add_argument("--day", required=True, metavar="DATE", help="business date in China: 2026-01-31")
    parser.add_argument("--monthly", action="store_true", help="the whole month that the day is in")
    parser.add_argument("--kind", choices=KINDS, default="trade", help="payments and refunds, or every movement")
    parser.add_argument(
        "--format", default="csv", choices=("csv", *protocol_names()), help="our own CSV, or a protocol's bill"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to; - for standard output")
    parser.set_defaults(run=write)


def read_day(text: str) -> date:
    """A day as people write it. Raises ConfigurationError."""
    try:
        return parse_day(text)
    except ValueError as error:
        raise ConfigurationError("day", str(error)) from error


def write(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Make the file."""
    return run(_write(chosen, environ, directory))


async def _write(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    protocol = "" if chosen.format == "csv" else chosen.format
    head = BillHead(merchant=chosen.merchant, day=read_day(chosen.day), kind=chosen.kind, monthly=chosen.monthly)
    async with AsyncExitStack() as stack:
        platform, _ = await stack.enter_async_context(open_platform(chosen.config, environ, lane_offset=1))
        if protocol and platform.protocol(protocol).bill is None:
            raise ConfigurationError("format", f"{protocol} has no bill")
        made = await make_bill(platform, protocol, head)
        if str(chosen.out) == "-":
            for chunk in made.chunks():
                sys.stdout.buffer.write(chunk)
            return 0
        target = chosen.out or directory / bill_end(platform, protocol).file_name(head)
        shutil.copyfile(made.path, target)
        print(f"{target}  {made.length:,} bytes  sha1 {made.digest}")
    return 0
