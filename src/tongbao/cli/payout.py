"""``tongbao payout``: files of payouts, who agrees to them, what became of them; a merchant's own card.

Who enters a payout cannot agree to it. The running worker carries out what was agreed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tongbao.cli.prove import PASSWORDS, add_act, prove, prove_checker
from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.service.payout import ThrowSwitch
from tongbao.service.payout_act import close_batch, decide_payout, find_payout_batch, payouts_url, waiting_payouts
from tongbao.service.payout_batch import StartBatch
from tongbao.service.payout_card import RULES, SetStanding, pay_own_card, put_card, verify_card
from tongbao.service.payout_file import upload, write_result
from tongbao.service.platform import Platform
from tongbao.store.schema import PAYOUT_BATCH
from tongbao.trade.payout import PayoutBatch, PayoutState
from tongbao.wire.party import Payee


def add_commands(commands: Any) -> None:
    """Add ``payout``."""
    acts = commands.add_parser("payout", help="money to balances and cards", description=PASSWORDS).add_subparsers(
        dest="act", metavar="ACT", required=True
    )
    sent = _act(acts, "upload", "enter a file of payouts (CSV in UTF-8 or GBK) as a batch", _upload)
    sent.add_argument("file", type=Path)
    sent.add_argument("--batch", default="", help="the batch's number (default: made of the file's content)")
    sent.add_argument("--name", default="", help="what the batch is for")
    for name, text, act in (
        ("approve", "agree to a batch that somebody else entered; with the last of those who must, it runs", _approve),
        ("refuse", "turn a batch down before any of its money moves", _refuse),
    ):
        decided = _act(acts, name, text, act)
        decided.add_argument("number", help="the batch's number, or with --single the payout's")
        decided.add_argument("--single", action="store_true", help="a single payout above the merchant's limit")
        if act is _approve:
            decided.add_argument(
                "--amount", type=_yuan, metavar="YUAN", help="with --single: its sum, as waiting shows it"
            )
        decided.add_argument("--reason", required=True)
    _act(acts, "waiting", "a merchant's single payouts that wait for somebody to agree", _waiting, signed=False)
    linked = _act(acts, "link", "the address where the merchant's own people decide on a batch", _link, signed=False)
    linked.add_argument("number", help="the batch's number")
    for name, text, stop in (
        ("stop", "stop all payouts of all merchants, at once", True),
        ("go", "let payouts go on", False),
    ):
        thrown = add_act(acts, name, text, _throw)
        thrown.add_argument("--reason", required=True)
        thrown.set_defaults(stopped=stop)
    _act(acts, "list", "a merchant's latest batches", _list, signed=False)
    told = _act(acts, "result", "write what became of a batch, line by line", _result, signed=False)
    told.add_argument("number")
    told.add_argument("--out", type=Path, metavar="FILE", help="where to; standard output without it")
    card = _act(acts, "card", "enter a merchant's own card", _card)
    card.add_argument("--bank", required=True, metavar="CODE")
    card.add_argument("--card", required=True, metavar="NUMBER")
    card.add_argument("--holder", required=True, metavar="NAME")
    card.add_argument("--reason", required=True)
    seen = _act(acts, "verify", "confirm that a card somebody else entered is the merchant's", _verify)
    seen.add_argument("--card", required=True, metavar="NUMBER", help="the whole number, from the merchant's papers")
    seen.add_argument("--reason", required=True)
    rule = _act(acts, "standing", "pay to the merchant's own card by itself, two operators agreeing", _standing)
    rule.add_argument("rule", choices=RULES)
    rule.add_argument("--threshold", type=_yuan, default=0, metavar="YUAN", help="with above: from so much on")
    rule.add_argument("--keep", type=_yuan, default=0, metavar="YUAN", help="so much stays")
    rule.add_argument(
        "--checker", default="", metavar="OPERATOR", help="whose password is TONGBAO_CHECKER_PASSWORD; off needs none"
    )
    rule.add_argument("--reason", required=True)
    out = _act(acts, "withdraw", "pay to the merchant's own card now", _withdraw)
    out.add_argument("number", help="a number of your own: the same again is the same payout")
    out.add_argument("--amount", type=_yuan, required=True, metavar="YUAN")


def _act(acts: Any, name: str, text: str, act: Any, *, signed: bool = True) -> argparse.ArgumentParser:
    parser = add_act(acts, name, text, act, signed=signed)
    parser.add_argument("--merchant", required=True, metavar="NUMBER")
    return parser


def _yuan(text: str) -> int:
    """A sum in yuan as fen."""
    try:
        return parse_major(text).minor
    except InvalidAmount as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _progress(done: int, whole: int) -> None:
    print(f"\r{done:,} of {whole:,} lines", end="" if done < whole else "\n", file=sys.stderr, flush=True)


async def _upload(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    try:
        raw = chosen.file.read_bytes()
    except OSError as error:
        raise ConfigurationError("file", f"{chosen.file} cannot be read") from error
    made = await upload(
        platform, chosen.merchant, raw, actor, batch_no=chosen.batch, name=chosen.name, progress=_progress
    )
    if made.said is None:
        for fault in made.faults:
            print(f"line {fault.line}: {fault.code} {fault.reason}", file=sys.stderr)
        raise Refused("BATCH_INVALID", f"{len(made.faults)} bad lines; nothing was entered")
    return {"batch": made.batch_no, "state": made.said.state, "lines": made.rows, "total": Money(made.total).text()}


async def _approve(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    if chosen.single:
        if chosen.amount is None:
            raise ConfigurationError("amount", "a single payout is agreed to by its sum: --amount")
        taken = await decide_payout(
            platform, chosen.merchant, chosen.number, actor, chosen.amount, reason=chosen.reason
        )
        missing = int(taken.state == PayoutState.PROPOSED)
        return {"payout": chosen.number, "state": taken.state, "persons_missing": missing}
    said = await platform.submit(StartBatch(chosen.merchant, chosen.number, actor, chosen.reason))
    return {"batch": chosen.number, "state": said.state, "persons_missing": said.missing}


async def _refuse(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    if chosen.single:
        taken = await decide_payout(platform, chosen.merchant, chosen.number, actor, agrees=False, reason=chosen.reason)
        return {"payout": chosen.number, "state": taken.state}
    said = await close_batch(platform, chosen.merchant, chosen.number, actor, chosen.reason)
    return {"batch": chosen.number, "state": said.state}


async def _waiting(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    return [
        {
            "payout": payout.payout_no,
            "amount": Money(payout.amount, payout.currency).text(),
            "payee": payout.payee,
            "name": payee.name,
            "bank": payout.bank,
            "source": payout.source,
            "entered_by": payout.maker,
            "agreed_by": payout.first,
        }
        for payout, payee in await waiting_payouts(platform, chosen.merchant)
    ]


async def _link(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    await find_payout_batch(platform, chosen.merchant, chosen.number)
    return {"batch": chosen.number, "link": payouts_url(platform, chosen.merchant, chosen.number)}


def _tell(batch: PayoutBatch) -> dict[str, Any]:
    return {
        "batch": batch.batch_no,
        "state": batch.state,
        "lines": batch.count,
        "total": Money(batch.total, batch.currency).text(),
        "ended": batch.ended,
        "failed": batch.failed,
        "paid": Money(batch.paid, batch.currency).text(),
    }


async def _throw(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ)
    return {"payouts_stopped": await platform.submit(ThrowSwitch(chosen.stopped, actor, chosen.reason))}


async def _list(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    rows = await platform.database.read("payout.batches", {"merchant_id": chosen.merchant, "most": 100})
    keys = sorted((chosen.merchant, row[0]) for row in rows)
    found: list[PayoutBatch] = await platform.database.load(PAYOUT_BATCH, keys) if keys else []
    return [_tell(batch) for batch in sorted(found, key=lambda batch: batch.created_at, reverse=True)]


async def _result(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    batch = await find_payout_batch(platform, chosen.merchant, chosen.number)
    if chosen.out is None:
        async for chunk in write_result(platform, chosen.merchant, chosen.number):
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
        return []
    with chosen.out.open("wb") as file:
        async for chunk in write_result(platform, chosen.merchant, chosen.number):
            file.write(chunk)
    return {**_tell(batch), "file": str(chosen.out)}


async def _card(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    payee = Payee(name=chosen.holder, bank=chosen.bank, card=chosen.card)
    version = await put_card(platform, chosen.merchant, payee, actor, chosen.reason)
    return {"merchant": chosen.merchant, "card": payee.card[-4:], "state": "entered", "version": version}


async def _verify(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    card = await verify_card(platform, chosen.merchant, chosen.card, actor, chosen.reason)
    return {"merchant": chosen.merchant, "bank": card.bank, "card": card.tail, "state": "verified"}


async def _standing(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    checker = await prove_checker(platform, chosen, environ) if chosen.checker else ""
    sums = (chosen.threshold, chosen.keep)
    await platform.submit(SetStanding(chosen.merchant, chosen.rule, *sums, actor, checker, chosen.reason))
    return {"merchant": chosen.merchant, "standing": chosen.rule}


async def _withdraw(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    taken = await pay_own_card(platform, chosen.merchant, chosen.number, chosen.amount, maker=actor)
    return {"payout": chosen.number, "state": taken.state if taken is not None else "nothing to pay"}
