"""``tongbao orders schema``: the order book's tables for a shop's own database."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tongbao.merchant.schema import schema


def add_commands(commands: Any) -> None:
    """Add ``orders``."""
    parser = commands.add_parser("orders", help="the merchant's order book")
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    show = acts.add_parser("schema", help="print the script that makes the tables")
    show.add_argument("--dialect", required=True, choices=("sqlite", "postgresql", "mysql"))
    show.add_argument("--without-orders", action="store_true", help="leave out the order table: the shop has its own")
    show.set_defaults(run=show_schema)


def show_schema(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Print the script."""
    print(schema(chosen.dialect, orders=not chosen.without_orders))
    return 0
