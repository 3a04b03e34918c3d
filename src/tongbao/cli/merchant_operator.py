"""``tongbao merchant operator``: a merchant's people, who agree in his name with a payment password of their own.

One operator of the platform enters a person or gives him another password, another one confirms him. The password is
asked for on the terminal, to be typed by the person himself, or taken from ``TONGBAO_NEW_PASSWORD``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from tongbao.cli.prove import PASSWORDS, add_act, ask, prove
from tongbao.kernel.error import Refused
from tongbao.service.merchant_operator import ApproveMerchantOperator, DisableMerchantOperator
from tongbao.service.merchant_operator_act import find_operator, operators_of, put_operator
from tongbao.service.platform import Platform


def add_operator_acts(merchant: Any) -> None:
    """Add ``operator`` below ``merchant``."""
    acts = merchant.add_parser(
        "operator", help="a merchant's people, who agree to batches in his name", description=PASSWORDS
    ).add_subparsers(dest="deed", metavar="ACT", required=True)
    for name, text, act in (
        ("add", "enter a person; he agrees to nothing before another operator approved him", _add),
        ("reset", "give a person another payment password; he must be approved again", _reset),
        ("approve", "confirm that a person is the merchant's", _approve),
        ("disable", "let a person agree to nothing from now on", _disable),
    ):
        parser = _add_person(acts, name, text, act)
        if name == "approve":
            parser.add_argument("--version", type=int, required=True, metavar="N", help="which one: add and list tell")
    listed = add_act(acts, "list", "a merchant's people", _list, signed=False)
    listed.add_argument("merchant")


def _add_person(acts: Any, name: str, text: str, act: Callable[..., Any]) -> argparse.ArgumentParser:
    parser = add_act(acts, name, text, act)
    parser.add_argument("merchant")
    parser.add_argument("name")
    parser.add_argument("--reason", required=True)
    return parser


async def _known(platform: Platform, chosen: argparse.Namespace) -> bool:
    return any(row.name == chosen.name for row in await operators_of(platform, chosen.merchant))


async def _add(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    if await _known(platform, chosen):
        raise Refused("ALREADY_EXISTS", "the merchant has an operator of that name: reset gives him another password")
    return await _put(platform, chosen, environ, actor)


async def _reset(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    await find_operator(platform, chosen.merchant, chosen.name)
    return await _put(platform, chosen, environ, actor)


async def _put(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str], actor: str) -> Any:
    password = ask(environ, "TONGBAO_NEW_PASSWORD", f"payment password of {chosen.name}: ")
    version = await put_operator(platform, chosen.merchant, chosen.name, password, actor, chosen.reason)
    return {"merchant": chosen.merchant, "operator": chosen.name, "status": "entered", "version": version}


async def _approve(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    command = ApproveMerchantOperator(chosen.merchant, chosen.name, chosen.version, actor, chosen.reason)
    return {"merchant": chosen.merchant, "operator": chosen.name, "status": await platform.submit(command)}


async def _disable(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ)
    command = DisableMerchantOperator(chosen.merchant, chosen.name, actor, chosen.reason)
    return {"merchant": chosen.merchant, "operator": chosen.name, "status": await platform.submit(command)}


async def _list(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    return [
        {
            "operator": row.name,
            "status": row.status,
            "version": row.version,
            "entered_by": row.maker,
            "approved_by": row.checker,
        }
        for row in await operators_of(platform, chosen.merchant)
    ]
