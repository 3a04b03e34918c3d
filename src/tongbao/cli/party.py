"""``tongbao operator`` and ``tongbao merchant``: who runs the platform, who sells on it, with which keys.

Acts are signed by an operator (``--as NAME``) who proves it with his password, asked for on the terminal or taken from
``TONGBAO_OPERATOR_PASSWORD``. Who enters a merchant cannot approve it.
"""

from __future__ import annotations

import argparse
import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tongbao.cli.house import open_platform
from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.kernel.identifier import digits, hex_token
from tongbao.kernel.time import Instant
from tongbao.runtime.server import run
from tongbao.service.party import ChangeMerchant, MoveKey, PutKey, RegisterMerchant, RegisterOperator
from tongbao.service.password import check_password, hash_password
from tongbao.service.platform import Platform
from tongbao.store.schema import MERCHANT, OPERATOR
from tongbao.trade.party import Merchant, MerchantKey, Operator
from tongbao.wire.loader import load_protocol
from tongbao.wire.sign import load_rsa_public, private_pem, public_pem

PARTY_LANE: Final = 8
PASSWORD_SHORTEST: Final = 12
PASSWORDS: Final = (
    "Passwords are asked for on the terminal or taken from TONGBAO_OPERATOR_PASSWORD (who acts) and "
    "TONGBAO_NEW_PASSWORD (a new operator's)."
)


def add_commands(commands: Any) -> None:
    """Add ``operator`` and ``merchant``."""
    operator = commands.add_parser("operator", help="who runs the platform", description=PASSWORDS).add_subparsers(
        dest="act", metavar="ACT", required=True
    )
    create = add_act(operator, "create", "let somebody run the platform", _create_operator)
    create.add_argument("name")
    create.add_argument("--role", choices=("maker", "checker", "both"), default="both")
    add_act(operator, "list", "every operator", _list_operators, signed=False)
    merchant = commands.add_parser("merchant", help="who sells", description=PASSWORDS).add_subparsers(
        dest="act", metavar="ACT", required=True
    )
    create = add_act(merchant, "create", "enter an application; prints the merchant's number", _create_merchant)
    create.add_argument("--name", required=True)
    create.add_argument("--login", required=True, help="the seller's e-mail")
    create.add_argument("--protocol", required=True)
    create.add_argument("--product", action="append", default=[], choices=("instant", "escrow", "dual"))
    create.add_argument(
        "--host", action="append", default=[], help="host his return and notification addresses may have"
    )
    create.add_argument("--fee-rate", type=_whole, default=60, help="basis points (default 60)")
    create.add_argument("--refund-days", type=_whole, default=90)
    for name in ("approve", "freeze", "close"):
        change = add_act(merchant, name, f"{name} a merchant", _change_merchant)
        change.add_argument("merchant")
        change.add_argument("--reason", required=True)
    key = add_act(merchant, "key", "make or take a key; prints a new secret once", _put_key)
    key.add_argument("merchant")
    key.add_argument("--protocol", required=True)
    key.add_argument("--algorithm", required=True)
    key.add_argument("--public-key", type=Path, metavar="FILE", help="the merchant's own public key, for RSA")
    revoke = add_act(merchant, "revoke", "revoke a key at once", _revoke_key)
    revoke.add_argument("merchant")
    revoke.add_argument("--protocol", required=True)
    revoke.add_argument("--key", required=True)
    revoke.add_argument("--reason", required=True)
    add_act(merchant, "list", "every merchant", _list_merchants, signed=False)


def _whole(text: str) -> int:
    """A number as T34 spells it: digits of ASCII, no sign, no zero in front."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or text != str(int(text)):
        raise argparse.ArgumentTypeError("is not a whole number of at most five digits")
    return int(text)


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


async def _create_operator(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    first = not await platform.database.read("operator.all")
    if first and chosen.actor != chosen.name:
        raise Refused("NOT_FOUND", "the first operator lets himself in: --as his own name")
    maker = chosen.name if first else await prove(platform, chosen, environ)
    password = ask(environ, "TONGBAO_NEW_PASSWORD", f"new password of {chosen.name}: ")
    if len(password) < PASSWORD_SHORTEST:
        raise ConfigurationError("password", f"has at least {PASSWORD_SHORTEST} characters")
    salt, cost = platform.entropy.token(16), platform.settings.password_cost
    stored = await platform.world.compute(lambda: hash_password(password, salt, cost))
    row = Operator(chosen.name, chosen.role, "active", stored, maker, Instant(0))
    return {"operator": await platform.submit(RegisterOperator(row)), "role": chosen.role}


async def _list_operators(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    keys = await platform.database.read("operator.all")
    rows: list[Operator] = await platform.database.load(OPERATOR, [tuple(key) for key in keys]) if keys else []
    return [{"operator": row.name, "role": row.role, "status": row.status} for row in rows]


async def _create_merchant(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    manifest = load_protocol(chosen.protocol)
    example = manifest.merchant_example
    number = example[:4] + digits(platform.entropy, len(example) - 4)
    row = Merchant(
        merchant_id=number,
        name=chosen.name,
        status="applied",
        environment=platform.settings.environment,
        login=chosen.login,
        products=json.dumps(chosen.product or ["instant"]),
        protocols=json.dumps([chosen.protocol]),
        hosts=json.dumps([host.lower() for host in chosen.host]),
        notify_url="",
        return_url="",
        refund_days=chosen.refund_days,
        fee_rate=chosen.fee_rate,
        fee_min=1,
        fee_cap=0,
        anti_phishing=False,
        settings="{}",
        created_by=actor,
        approved_by="",
        created_at=Instant(0),
        version=0,
    )
    await platform.submit(RegisterMerchant(row, actor))
    return {"merchant": number, "status": "applied"}


async def _change_merchant(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    status = {"approve": "approved", "freeze": "frozen", "close": "closed"}[chosen.act]
    await platform.submit(ChangeMerchant(chosen.merchant, status, actor, chosen.reason))
    return {"merchant": chosen.merchant, "status": status}


async def _put_key(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    manifest = load_protocol(chosen.protocol)
    if chosen.algorithm not in manifest.algorithms:
        raise ConfigurationError("algorithm", f"one of {', '.join(manifest.algorithms)}")
    stamp = hex_token(platform.entropy, 4)
    said: dict[str, Any] = {"merchant": chosen.merchant, "protocol": chosen.protocol}
    if "rsa" in chosen.algorithm.lower():
        if chosen.public_key is None:
            raise ConfigurationError("public-key", "the merchant's own public key is needed for RSA")
        theirs = load_rsa_public(chosen.public_key.read_text("ascii"), "public-key")
        ours = generate_private_key(65537, 2048)
        keys = [("verify", public_pem(theirs)), ("sign", private_pem(ours))]
        said["platform_public_key"] = public_pem(ours.public_key())
    else:
        secret = hex_token(platform.entropy, 16)
        keys = [("both", secret)]
        said["secret"] = secret
    for use, secret in keys:
        key_id = f"{chosen.algorithm}-{use}-{stamp}"
        envelope = platform.vault.close(secret.encode(), chosen.merchant, chosen.protocol, key_id)
        await platform.submit(
            PutKey(
                MerchantKey(
                    chosen.merchant,
                    chosen.protocol,
                    key_id,
                    0,
                    chosen.algorithm,
                    use,
                    envelope,
                    "active",
                    Instant(0),
                    Instant(0),
                ),
                actor,
            )
        )
        said[f"key_{use}"] = key_id
    return said


async def _revoke_key(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ)
    await platform.submit(MoveKey(chosen.merchant, chosen.protocol, chosen.key, "revoked", actor, chosen.reason))
    return {"merchant": chosen.merchant, "key": chosen.key, "state": "revoked"}


async def _list_merchants(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    keys = await platform.database.read("merchant.all", {"most": 1000})
    rows: list[Merchant] = await platform.database.load(MERCHANT, [tuple(key) for key in keys]) if keys else []
    return [
        {"merchant": row.merchant_id, "name": row.name, "status": row.status, "protocols": row.protocols}
        for row in rows
    ]
