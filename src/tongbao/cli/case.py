"""``tongbao trade``, ``case``, ``dispute``, ``correction``, ``chargeback``: what people decide about money.

Who proposes cannot agree. Sums are yuan: 12.5.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from tongbao.cli.prove import PASSWORDS, add_act, prove, prove_checker
from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.kernel.identifier import hex_token
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.service.chargeback import TakeChargeback
from tongbao.service.checkout import find_instruction
from tongbao.service.correction import (
    CloseCase,
    DecideCorrection,
    OpenCase,
    ProposeCorrection,
    ProposeLate,
    ProposeStuck,
    TakeCase,
    propose_write_off,
)
from tongbao.service.dispute import DecideDispute, ProposeDecision
from tongbao.service.escrow import OperatorClose
from tongbao.service.platform import Platform
from tongbao.service.refund_act import find_refund
from tongbao.store.record import Case
from tongbao.store.schema import CASE, CLAIM, CORRECTION, TRADE
from tongbao.trade.claim import Claim, Correction
from tongbao.trade.record import Trade

LISTED: Final = 1_000


def add_commands(commands: Any) -> None:
    """Add the groups."""
    cases = _group(commands, "case", "what a person must look at")
    add_act(cases, "list", "open cases", _list_cases, signed=False)
    opened = add_act(cases, "open", "open a case", _open_case)
    opened.add_argument("--note", required=True)
    opened.add_argument("--amount", default="0", metavar="YUAN", help="the sum it is about, if there is one")
    _name_trade(opened, needed=False)
    taken = add_act(cases, "take", "answer for a case, or give it to somebody", _take_case)
    taken.add_argument("case")
    taken.add_argument("--owner", default="", metavar="OPERATOR", help="who answers for it from now on; else --as")
    taken.add_argument("--reason", required=True)
    closed = add_act(cases, "close", "close a case that nothing else closes", _close_case)
    closed.add_argument("case")
    closed.add_argument("--reason", required=True)
    trades = _group(commands, "trade", "single trades")
    ended = add_act(trades, "close", "end an unpaid trade; money that comes later goes back", _close_trade)
    ended.add_argument("order", help="the merchant's number of the trade")
    _name_trade(ended, needed=True)
    ended.add_argument("--reason", required=True)
    _add_disputes(_group(commands, "dispute", "disputes over escrow"))
    _add_corrections(_group(commands, "correction", "further entries for money that moved wrongly"))
    backs = _group(commands, "chargeback", "payments that banks take back")
    taken = add_act(backs, "take", "a bank has taken a payment back, two operators agreeing", _take_chargeback)
    taken.add_argument("payment", help="our number of the bank's instruction, as the story shows it")
    taken.add_argument("--ref", required=True, help="the bank's own number; the same again changes nothing")
    taken.add_argument("--amount", required=True, metavar="YUAN")
    taken.add_argument(
        "--checker", required=True, metavar="OPERATOR", help="whose password is TONGBAO_CHECKER_PASSWORD"
    )
    taken.add_argument("--reason", required=True)


def _group(commands: Any, name: str, text: str) -> Any:
    return commands.add_parser(name, help=text, description=PASSWORDS).add_subparsers(
        dest="act", metavar="ACT", required=True
    )


def _name_trade(parser: argparse.ArgumentParser, *, needed: bool) -> None:
    parser.add_argument("--merchant", required=needed, default="", metavar="NUMBER")
    if not needed:
        parser.add_argument("--order", default="", metavar="NUMBER", help="the merchant's number of a trade")


def _add_disputes(acts: Any) -> None:
    add_act(acts, "list", "open disputes, with what was proposed", _list_disputes, signed=False)
    for name, text, act in (
        ("propose", "how what is held would be divided", _propose_decision),
        ("decide", "agree to a proposal, or send it back", _decide_dispute),
    ):
        parser = add_act(acts, name, text, act)
        parser.add_argument("order", help="the merchant's number of the trade")
        _name_trade(parser, needed=True)
        parser.add_argument("--to-buyer", required=True, metavar="YUAN", help="the rest is the seller's")
        parser.add_argument("--reason", required=True)
        if name == "decide":
            parser.add_argument("--send-back", action="store_true", help="do not agree")


def _add_corrections(acts: Any) -> None:
    add_act(acts, "list", "proposals that wait for a second person", _list_corrections, signed=False)
    made = add_act(acts, "propose", "move a sum from one account to another", _propose_correction)
    made.add_argument("--case", required=True, help="the open case it is for")
    made.add_argument("--debit", required=True, metavar="ACCOUNT", help="buyer:NUMBER:balance:CNY and the like")
    made.add_argument("--credit", required=True, metavar="ACCOUNT")
    made.add_argument("--amount", required=True, metavar="YUAN")
    made.add_argument("--reason", required=True)
    _name_trade(made, needed=False)
    late = add_act(acts, "late", "send late money to the buyer's balance that his bank does not take", _propose_late)
    late.add_argument("instruction", help="the refused refund's number, as the case says it")
    late.add_argument("--reason", required=True)
    stuck = add_act(acts, "stuck", "send a refund to the buyer's balance that his bank does not take", _propose_stuck)
    stuck.add_argument("refund", help="the refund's number, as the case says it")
    _name_trade(stuck, needed=True)
    stuck.add_argument("--reason", required=True)
    off = add_act(acts, "write-off", "bear what a merchant owes", _propose_write_off)
    off.add_argument("--case", required=True, help="the open case it is for")
    off.add_argument("--amount", required=True, metavar="YUAN")
    off.add_argument("--reason", required=True)
    _name_trade(off, needed=True)
    decided = add_act(acts, "decide", "post a proposal, or refuse it", _decide_correction)
    decided.add_argument("correction")
    decided.add_argument("--reason", default="")
    decided.add_argument("--refuse", action="store_true", help="do not post it")


def _fen(text: str) -> int:
    try:
        return parse_major(text).minor
    except InvalidAmount as error:
        raise ConfigurationError("amount", f"{text} is no sum in yuan") from error


# --- cases -------------------------------------------------------------------------------------------------------


async def _list_cases(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    keys = await platform.database.read("case.open", {"most": LISTED})
    rows: list[Case] = await platform.database.load(CASE, sorted(tuple(key) for key in keys)) if keys else []
    return [
        {
            "case": row.case_id,
            "kind": row.kind,
            "merchant": row.merchant_id,
            "order": row.out_trade_no,
            "amount": Money(row.amount, row.currency).text(),
            "owner": row.owner,
            "note": row.note,
        }
        for row in rows
    ]


async def _open_case(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker", "checker")
    number, about = f"manual:{hex_token(platform.entropy, 6)}", (chosen.merchant, chosen.order, _fen(chosen.amount))
    await platform.submit(OpenCase(number, chosen.order, chosen.note, actor, *about))
    return {"case": number, "state": "open", "owner": actor}


async def _take_case(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker", "checker")
    owner = await platform.submit(TakeCase(chosen.case, chosen.owner or actor, actor, chosen.reason))
    return {"case": chosen.case, "owner": owner}


async def _close_case(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    await platform.submit(CloseCase(chosen.case, actor, chosen.reason))
    return {"case": chosen.case, "state": "closed"}


async def _close_trade(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker", "checker")
    said = await platform.submit(OperatorClose(chosen.merchant, chosen.order, actor, chosen.reason))
    return {"order": chosen.order, "state": said.state}


# --- disputes ----------------------------------------------------------------------------------------------------


async def _list_disputes(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    keys = [tuple(row) for row in await platform.database.read("claim.disputed", {"most": LISTED})]
    claims: list[Claim] = await platform.database.load(CLAIM, sorted(keys)) if keys else []
    trades: list[Trade] = await platform.database.load(TRADE, sorted(keys)) if keys else []
    return [
        {
            "order": claim.out_trade_no,
            "merchant": claim.merchant_id,
            "held": Money(trade.amount - trade.refunded, trade.currency).text(),
            "asked": Money(claim.amount, claim.currency).text(),
            "by": claim.disputed_by,
            "reason": claim.reason,
            "answer": claim.answer,
            "proposal": Money(claim.proposal, claim.currency).text() if claim.proposed_by else "",
            "proposed_by": claim.proposed_by,
        }
        for claim, trade in zip(claims, trades, strict=True)
    ]


async def _propose_decision(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    amount = _fen(chosen.to_buyer)
    await platform.submit(ProposeDecision(chosen.merchant, chosen.order, amount, actor, chosen.reason))
    return {"order": chosen.order, "to_buyer": Money(amount).text(), "proposed_by": actor}


async def _decide_dispute(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    amount, agrees = _fen(chosen.to_buyer), not chosen.send_back
    said = await platform.submit(DecideDispute(chosen.merchant, chosen.order, amount, agrees, actor, chosen.reason))
    return {"order": chosen.order, "state": said.state, "claim": said.claim}


# --- corrections and chargebacks ---------------------------------------------------------------------------------


async def _list_corrections(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    keys = await platform.database.read("correction.open", {"most": LISTED})
    rows: list[Correction] = (
        await platform.database.load(CORRECTION, sorted(tuple(key) for key in keys)) if keys else []
    )
    return [_tell(row) for row in rows]


def _tell(row: Correction) -> dict[str, Any]:
    return {
        "correction": row.correction_id,
        "kind": row.kind,
        "case": row.case_id,
        "debit": row.debit,
        "credit": row.credit,
        "amount": Money(row.amount, row.currency).text(),
        "reason": row.reason,
        "maker": row.maker,
        "state": row.state,
    }


async def _propose(platform: Platform, command: Any) -> Any:
    number = await platform.submit(command)
    rows: list[Correction] = await platform.database.load(CORRECTION, [(number,)])
    return _tell(rows[0])


async def _propose_correction(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    return await _propose(
        platform,
        ProposeCorrection(
            hex_token(platform.entropy, 6),
            chosen.case,
            chosen.debit,
            chosen.credit,
            _fen(chosen.amount),
            actor,
            chosen.reason,
            chosen.merchant,
            chosen.order,
        ),
    )


async def _propose_late(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    known = await find_instruction(platform, chosen.instruction)
    of = (known.merchant_id, known.out_trade_no, known.attempt)
    number = hex_token(platform.entropy, 6)
    return await _propose(platform, ProposeLate(number, known.instruction_no, *of, actor, chosen.reason))


async def _propose_stuck(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    refund = await find_refund(platform, chosen.merchant, chosen.refund)
    of = (refund.merchant_id, refund.out_trade_no, refund.refund_id)
    number = hex_token(platform.entropy, 6)
    return await _propose(platform, ProposeStuck(number, *of, actor, chosen.reason, refund.currency))


async def _propose_write_off(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    number, amount = hex_token(platform.entropy, 6), _fen(chosen.amount)
    return await _propose(
        platform, propose_write_off(number, chosen.case, chosen.merchant, amount, actor, chosen.reason)
    )


async def _decide_correction(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    state = await platform.submit(DecideCorrection(chosen.correction, not chosen.refuse, actor, chosen.reason))
    return {"correction": chosen.correction, "state": state}


async def _take_chargeback(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    checker = await prove_checker(platform, chosen, environ)
    known = await find_instruction(platform, chosen.payment)
    if known.kind != "pay":
        raise Refused("PAYMENT_NOT_FOUND", "no payment, but something else that a bank was asked")
    of = (known.instruction_no, known.merchant_id, known.out_trade_no)
    taken = await platform.submit(
        TakeChargeback(known.bank, chosen.ref, *of, _fen(chosen.amount), actor, checker, chosen.reason, known.currency)
    )
    owed = Money(taken.short, taken.currency).text()
    return {"chargeback": f"{taken.bank}:{taken.bank_ref}", "order": taken.out_trade_no, "owed": owed}
