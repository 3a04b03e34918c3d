"""``tongbao settle``: settlements and statements; ``calendar``: days off; ``agreement``: a merchant's terms."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tongbao.cli.prove import PASSWORDS, add_act, prove, prove_checker
from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.kernel.money import Money
from tongbao.service.agree import ChangeAgreement
from tongbao.service.platform import Platform
from tongbao.service.settle import PutCalendarDays
from tongbao.service.settlement import (
    calendar_days,
    find_settlement,
    lines_of,
    settle_day,
    settle_early,
    settlements_of_day,
)
from tongbao.trade.calendar import write_day
from tongbao.trade.settlement import Settlement
from tongbao.wire.bill import Collect, guard, parse_day

STATEMENT = ("out_trade_no", "gross", "fee", "refunded", "shared", "settled_before", "amount")
"""The heading of a statement."""


def add_commands(commands: Any) -> None:
    """Add ``settle``, ``calendar`` and ``agreement``."""
    acts = commands.add_parser("settle", help="settlements and statements", description=PASSWORDS).add_subparsers(
        dest="act", metavar="ACT", required=True
    )
    day = add_act(acts, "run", "settle a business date that is over, if that was not done, and show its batches", _run)
    day.add_argument("--day", required=True, metavar="DATE", help="business date in China: 2026-01-31")
    early = add_act(acts, "early", "settle to one merchant what he has by now, for the fee agreed (D0)", _early)
    early.add_argument("--merchant", required=True, metavar="NUMBER")
    early.add_argument("--request", required=True, metavar="NUMBER", help="the same again is the same settlement")
    told = add_act(acts, "statement", "write one batch of one merchant, trade by trade", _statement, signed=False)
    told.add_argument("number", help="the batch's number, as settle run shows it")
    told.add_argument("--merchant", required=True, metavar="NUMBER")
    told.add_argument("--out", type=Path, required=True, metavar="FILE")
    days = commands.add_parser(
        "calendar", help="days off and working days that the tables lack", description=PASSWORDS
    ).add_subparsers(dest="act", metavar="ACT", required=True)
    for name, text in (("off", "banks do not work on these days"), ("on", "banks work on these days")):
        added = add_act(days, name, text, _days)
        added.add_argument("day", nargs="+", metavar="DATE")
        added.add_argument("--reason", required=True)
    add_act(days, "list", "the days that operators added", _list_days, signed=False)
    terms = commands.add_parser(
        "agreement", help="what was agreed with a merchant", description=PASSWORDS
    ).add_subparsers(dest="act", metavar="ACT", required=True)
    put = add_act(terms, "put", "put an agreement in force, two operators agreeing", _put_agreement)
    put.add_argument("file", type=Path, help="JSON: rates, reserve, early, payout")
    put.add_argument("--merchant", required=True, metavar="NUMBER")
    put.add_argument("--checker", required=True, metavar="OPERATOR", help="whose password is TONGBAO_CHECKER_PASSWORD")
    put.add_argument("--reason", required=True)
    shown = add_act(terms, "show", "a merchant's agreement", _show_agreement, signed=False)
    shown.add_argument("--merchant", required=True, metavar="NUMBER")


def _read_day(text: str) -> int:
    try:
        return write_day(parse_day(text))
    except ValueError as error:
        raise ConfigurationError("day", str(error)) from error


def _tell(batch: Settlement) -> dict[str, Any]:
    available = batch.amount - batch.fee - batch.reserve
    return {
        "merchant": batch.merchant_id,
        "batch": batch.settlement_no,
        "state": batch.state,
        "lines": batch.lines,
        "amount": Money(batch.amount, batch.currency).text(),
        "fee": Money(batch.fee, batch.currency).text(),
        "reserve": Money(batch.reserve, batch.currency).text(),
        "available": Money(available, batch.currency).text(),
    }


async def _run(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    await prove(platform, chosen, environ, "maker")
    day = _read_day(chosen.day)
    await settle_day(platform, day)
    return [_tell(batch) for batch in await settlements_of_day(platform, day)]


async def _early(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    await prove(platform, chosen, environ, "maker")
    return _tell(await settle_early(platform, chosen.merchant, chosen.request))


async def _statement(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    batch = await find_settlement(platform, chosen.merchant, chosen.number)
    if batch is None:
        raise Refused("BATCH_NOT_FOUND", "no such settlement of this merchant")
    lines = Collect()
    writer = csv.writer(lines)
    writer.writerow(STATEMENT)
    with chosen.out.open("wb") as file:
        file.write(b"\xef\xbb\xbf")
        async for line in lines_of(platform, chosen.merchant, chosen.number):
            sums = (line.gross, line.charged, line.refunded, line.shared, line.before, line.amount)
            texts = [Money(one, batch.currency).text() for one in sums]
            writer.writerow((guard(line.out_trade_no), *texts))
            file.write(lines.take())
    return {**_tell(batch), "file": str(chosen.out)}


async def _days(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    days = tuple(_read_day(text) for text in chosen.day)
    await platform.submit(PutCalendarDays(days, chosen.act == "on", actor, chosen.reason))
    return [{"day": text, "working": chosen.act == "on"} for text in chosen.day]


async def _list_days(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    own = await calendar_days(platform)
    return [{"day": day.isoformat(), "working": day in own.on} for day in sorted(own.on | own.off)]


async def _put_agreement(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "maker")
    checker = await prove_checker(platform, chosen, environ)
    try:
        settings = chosen.file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError("file", f"{chosen.file} cannot be read") from error
    version = await platform.submit(ChangeAgreement(chosen.merchant, settings, actor, checker, chosen.reason))
    return {"merchant": chosen.merchant, "version": version}


async def _show_agreement(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    return {"merchant": chosen.merchant, "agreement": (await platform.merchant(chosen.merchant)).settings}
