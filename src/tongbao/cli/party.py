"""``tongbao operator`` and ``tongbao merchant``: who runs the platform, who sells on it, with which keys.

Acts are signed by an operator (``--as NAME``) who proves it with his password, asked for on the terminal or taken from
``TONGBAO_OPERATOR_PASSWORD``. Who enters a merchant cannot approve it, nor the operator whom he enters; two
others close one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tongbao.cli.merchant_operator import add_operator_acts
from tongbao.cli.prove import PASSWORDS, add_act, ask, prove, prove_checker
from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.kernel.identifier import digits, hex_token
from tongbao.kernel.time import Instant
from tongbao.service.party import (
    ApproveOperator,
    ChangeMerchant,
    CloseOperator,
    MoveKey,
    PutKey,
    RegisterMerchant,
    RegisterOperator,
)
from tongbao.service.password import hash_password
from tongbao.service.platform import Platform
from tongbao.store.schema import MERCHANT, OPERATOR
from tongbao.trade.party import Merchant, MerchantKey, Operator
from tongbao.wire.loader import load_protocol
from tongbao.wire.sign import load_rsa_public, private_pem, public_pem

PASSWORD_SHORTEST: Final = 12
CASES_TOLD: Final = 100
"""Open cases of an operator who is closed that are named at most."""


def add_commands(commands: Any) -> None:
    """Add ``operator`` and ``merchant``."""
    operator = commands.add_parser("operator", help="who runs the platform", description=PASSWORDS).add_subparsers(
        dest="act", metavar="ACT", required=True
    )
    create = add_act(
        operator,
        "create",
        "enter somebody who shall run the platform; the first two need no approval",
        _create_operator,
    )
    create.add_argument("name")
    create.add_argument("--role", choices=("maker", "checker", "both"), default="both")
    approve = add_act(operator, "approve", "confirm a person whom another operator entered", _approve_operator)
    approve.add_argument("name")
    approve.add_argument("--reason", required=True)
    shut = add_act(
        operator,
        "close",
        "let a person do nothing more, or refuse one who was entered; two others agree",
        _close_operator,
    )
    shut.add_argument("name")
    shut.add_argument("--reason", required=True)
    shut.add_argument("--checker", required=True, metavar="OPERATOR", help="whose password is TONGBAO_CHECKER_PASSWORD")
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
    add_operator_acts(merchant)


def _whole(text: str) -> int:
    """A number as T34 spells it: digits of ASCII, no sign, no zero in front."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or text != str(int(text)):
        raise argparse.ArgumentTypeError("is not a whole number of at most five digits")
    return int(text)


async def _create_operator(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    others = len(await platform.database.read("operator.all"))
    first = not others
    if first and chosen.actor != chosen.name:
        raise Refused("NOT_FOUND", "the first operator lets himself in: --as his own name")
    maker = chosen.name if first else await prove(platform, chosen, environ)
    password = ask(environ, "TONGBAO_NEW_PASSWORD", f"new password of {chosen.name}: ")
    if len(password) < PASSWORD_SHORTEST:
        raise ConfigurationError("password", f"has at least {PASSWORD_SHORTEST} characters")
    salt, cost = platform.entropy.token(16), platform.settings.password_cost
    stored = await platform.world.compute(lambda: hash_password(password, salt, cost))
    row = Operator(chosen.name, chosen.role, "entered", stored, maker, Instant(0))
    status = await platform.submit(RegisterOperator(row, others))
    return {"operator": chosen.name, "role": chosen.role, "status": status}


async def _approve_operator(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    status = await platform.submit(ApproveOperator(chosen.name, actor, chosen.reason))
    return {"operator": chosen.name, "status": status}


async def _close_operator(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker", "checker")
    checker = await prove_checker(platform, chosen, environ)
    names = tuple(name for (name,) in await platform.database.read("operator.all"))
    status = await platform.submit(CloseOperator(chosen.name, names, actor, checker, chosen.reason))
    cases = await platform.database.read("case.of_owner", {"owner": chosen.name, "most": CASES_TOLD})
    return {"operator": chosen.name, "status": status, "cases_without_owner": [number for (number,) in cases]}


async def _list_operators(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    keys = await platform.database.read("operator.all")
    rows: list[Operator] = await platform.database.load(OPERATOR, [tuple(key) for key in keys]) if keys else []
    return [
        {
            "operator": row.name,
            "role": row.role,
            "status": row.status,
            "entered_by": row.created_by,
            "approved_by": row.checker or "",
        }
        for row in rows
    ]


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
