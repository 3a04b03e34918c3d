"""Commands over an opened platform, and the operator who signs them: ``--as NAME``, proven by his password."""

from __future__ import annotations

import argparse
import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tongbao.cli.house import open_platform
from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.runtime.server import run
from tongbao.service.password import check_password
from tongbao.service.platform import Platform
from tongbao.store.schema import OPERATOR
from tongbao.trade.party import Operator

PARTY_LANE: Final = 8
PASSWORDS: Final = (
    "Passwords are asked for on the terminal or taken from TONGBAO_OPERATOR_PASSWORD (who acts) and "
    "TONGBAO_NEW_PASSWORD (a new operator's)."
)


def add_act(acts: Any, name: str, text: str, act: Any, *, signed: bool = True) -> argparse.ArgumentParser:
    """A command over an opened platform: ``await act(platform, chosen, environ)`` says what is printed."""
    parser: argparse.ArgumentParser = acts.add_parser(name, help=text)
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (TOML)")
    parser.add_argument("--json", action="store_true")
    if signed:
        parser.add_argument("--as", dest="actor", required=True, metavar="OPERATOR", help="who does this")

    def start(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
        return run(_run(chosen, environ, act))

    parser.set_defaults(run=start)
    return parser


async def _run(chosen: argparse.Namespace, environ: Mapping[str, str], act: Any) -> int:
    async with open_platform(chosen.config, environ, lane_offset=PARTY_LANE) as (platform, _):
        said = await act(platform, chosen, environ)
    if chosen.json:
        print(json.dumps(said, ensure_ascii=False, default=str))
    else:
        for line in said if isinstance(said, list) else [said]:
            print("  ".join(f"{name}={value}" for name, value in line.items()))
    return 0


def _password(environ: Mapping[str, str], prompt: str) -> str:
    return ask(environ, "TONGBAO_OPERATOR_PASSWORD", prompt)


def ask(environ: Mapping[str, str], name: str, prompt: str) -> str:
    """A password from the environment or the terminal. Raises ConfigurationError where there is neither."""
    try:
        return environ.get(name) or getpass.getpass(prompt)
    except EOFError as error:
        raise ConfigurationError(name, "is not set, and there is no terminal to ask on") from error


async def prove(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str], *roles: str) -> str:
    """The operator of ``--as``, who gave his password and has one of the roles. Raises Refused."""
    return await _prove(platform, chosen.actor, _password(environ, f"password of {chosen.actor}: "), *roles)


async def prove_checker(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """The operator of ``--checker``, who agrees with his own password. Raises Refused."""
    password = ask(environ, "TONGBAO_CHECKER_PASSWORD", f"password of {chosen.checker}: ")
    return await _prove(platform, chosen.checker, password, "checker")


async def _prove(platform: Platform, name: str, password: str, *roles: str) -> str:
    found: list[Operator] = await platform.database.load(OPERATOR, [(name,)])
    stored = found[0].password_hash if found and found[0].status == "active" else ""
    if not await platform.world.compute(lambda: check_password(password, stored)):
        raise Refused("LOGIN_WRONG", "unknown operator or wrong password")
    if found[0].role not in (*roles, "both"):
        raise Refused("NO_PRIVILEGE", f"{name} is a {found[0].role}")
    return found[0].name
