"""``tongbao protocol``: list the folders, write the skeleton of a new one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tongbao
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.skeleton import write_skeleton


def add_commands(commands: Any) -> None:
    """Add ``protocol``."""
    parser = commands.add_parser("protocol", help="the wire protocols")
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    listed = acts.add_parser("list", help="every protocol folder")
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(run=list_protocols)
    new = acts.add_parser("new", help="write the skeleton of a new protocol folder")
    new.add_argument("name")
    new.add_argument("--root", type=Path, help="the protocols folder (default: this installation's)")
    new.set_defaults(run=write_new)


def list_protocols(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Name, title, operations."""
    found = {name: load_protocol(name) for name in protocol_names()}
    if chosen.json:
        said = {
            name: {"title": one.title, "version": one.version, "operations": sorted(one.operations)}
            for name, one in found.items()
        }
        print(json.dumps(said, ensure_ascii=False, indent=2))
        return 0
    for name, one in found.items():
        print(f"{name:16} {one.title} ({one.version}): {len(one.operations)} operations")
    return 0


def write_new(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Write the folder and say what to do next."""
    root = chosen.root or Path(next(iter(tongbao.__path__))) / "protocols"
    write_skeleton(root, chosen.name)
    print(root / chosen.name)
    print("Fill in messages.py and codec.py, put published samples into vectors/, then run: make contract")
    return 0
