"""``tongbao sandbox``: the platform with simulated banks, for real clients to talk to."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tongbao.cli.host import HostSettings, host_sandbox
from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.server import run
from tongbao.sandbox.state import write_private

CREDENTIALS = "tongbao-sandbox.json"


def add_commands(commands: Any) -> None:
    """Add ``sandbox``."""
    parser = commands.add_parser("sandbox", help="start a sandbox: platform, simulated banks, one merchant, two buyers")
    add_options(parser, port=0)
    parser.add_argument("--credentials", type=Path, metavar="FILE", help=f"where to write them (default {CREDENTIALS})")
    parser.set_defaults(run=start)


def add_options(parser: argparse.ArgumentParser, *, port: int) -> None:
    """What a sandbox and a demonstration have in common."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=port, help="port of the main address; 0 picks a free one")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep keys, numbers and books over restarts")
    parser.add_argument("--seed", type=int, metavar="N", help="repeatable numbers, tokens and chaos (never keys)")
    parser.add_argument(
        "--merchant", type=Path, metavar="FILE", help="JSON: protocol name -> the shop's own ids and keys"
    )
    parser.add_argument("--tls-port", type=int, metavar="P", help="serve HTTPS beside HTTP, under the sandbox's own CA")
    parser.add_argument(
        "--allow-target", action="append", default=[], metavar="CIDR|HOST", help="notify others than loopback"
    )
    parser.add_argument(
        "--crypto-mb",
        default="",
        metavar="LIBRARY",
        help="signs together: libcrypto_mb.so.11 (needs AVX-512 IFMA)",
    )
    parser.add_argument("--log-level", default="error", choices=("debug", "info", "warning", "error"))


def read_merchant(path: Path | None) -> dict[str, dict[str, str]]:
    """A shop's own ids and test keys by protocol. Raises ConfigurationError."""
    if path is None:
        return {}
    try:
        said = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError("merchant", f"{path} cannot be read as JSON") from error
    fits = isinstance(said, dict) and all(isinstance(part, dict) for part in said.values())
    if not fits or not all(isinstance(value, str) for part in said.values() for value in part.values()):
        raise ConfigurationError("merchant", "is an object: protocol name -> object of texts")
    return {name: dict(part) for name, part in said.items()}


def host_settings(chosen: argparse.Namespace) -> HostSettings:
    """Settings from the options of ``add_options``."""
    return HostSettings(
        host=chosen.host,
        port=chosen.port,
        state=chosen.state,
        seed=chosen.seed,
        tls_port=chosen.tls_port,
        allow=tuple(chosen.allow_target),
        given=read_merchant(chosen.merchant),
        log_level=chosen.log_level,
        crypto_mb=chosen.crypto_mb,
    )


def start(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Run until interrupted."""
    return run(_start(chosen, chosen.credentials or directory / CREDENTIALS))


async def _start(chosen: argparse.Namespace, path: Path) -> int:
    async with host_sandbox(host_settings(chosen)) as hosted:
        write_private(path, json.dumps(await hosted.credentials(), ensure_ascii=False, indent=2))
        if hosted.tls_url:
            print(f"tls {hosted.tls_url}", flush=True)
        print(f"ready {hosted.base_url}", flush=True)
        await hosted.stop.wait()
    return 0
