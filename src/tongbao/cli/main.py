"""``tongbao``: the entrance. Exit codes: 0 all right, 1 the answer is no, 2 could not run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tongbao
from tongbao.cli import (
    audit,
    bill,
    case,
    demo,
    env,
    order,
    party,
    payout,
    protocol,
    reconcile,
    refund,
    sandbox,
    serve,
    settle,
    sim,
    story,
)
from tongbao.kernel.error import ConfigurationError, OutcomeUnknown, ProtocolError, Refused
from tongbao.runtime.environment import read_environ
from tongbao.store.step import Fenced

GROUPS = (
    sandbox,
    demo,
    serve,
    party,
    refund,
    payout,
    settle,
    case,
    audit,
    bill,
    reconcile,
    story,
    order,
    protocol,
    env,
    sim,
)


def build_parser() -> argparse.ArgumentParser:
    """Every command of every group."""
    parser = argparse.ArgumentParser(
        prog="tongbao", description="Third-party payment, both ends of the wire. Exit: 0 yes, 1 no, 2 could not run."
    )
    parser.add_argument("--version", action="version", version=f"tongbao {tongbao.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in GROUPS:
        group.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    _speak_any_language()
    os.umask(0o077)  # books, keys and credentials are their owner's alone
    chosen = build_parser().parse_args(arguments)
    try:
        code: int = chosen.run(chosen, read_environ(), Path.cwd())
        return code
    except (ConfigurationError, Fenced) as error:
        print(f"tongbao: {error}", file=sys.stderr)
        return 2
    except (Refused, ProtocolError, OutcomeUnknown) as error:
        print(f"tongbao: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _speak_any_language() -> None:
    """A terminal that cannot show a letter (the C locale, GBK) gets a replacement instead of a crash."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
