"""``tongbao story``: everything about one order, from the request to the bank's statement. Reads only."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tongbao.cli.house import open_database, read
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, china_text
from tongbao.runtime.server import run
from tongbao.service.story import Story, dump_story, find, tell

MARKS = {"done": "*", "open": "~", "trouble": "!", "none": " "}


def add_commands(commands: Any) -> None:
    """Add ``story``."""
    parser = commands.add_parser(
        "story",
        help="everything about one order: request, payments, postings, deliveries, refunds, settlement, bill, "
        "reconciliation",
    )
    parser.add_argument("number", metavar="OUT_TRADE_NO", help="the merchant's number of the order, or the platform's")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (TOML)")
    parser.add_argument(
        "--merchant", default="", metavar="NUMBER", help="whose order it is, where two merchants use the same number"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the text")
    parser.set_defaults(run=show)


def show(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Print the story."""
    return run(_show(chosen, environ))


async def _show(chosen: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = read(chosen.config, environ)
    async with AsyncExitStack() as stack:
        # reads only: a server may run beside it
        database = await open_database(settings, stack, writing=False)
        story = await tell(database, await find(database, chosen.number, chosen.merchant))
    if chosen.json:
        print(json.dumps(dump_story(story), ensure_ascii=False, indent=2))
    else:
        print("\n".join(text(story)))
    return 0


def text(story: Story) -> Iterator[str]:
    """The story for a person: the way, where the money is, and what happened, in the order in which it did."""
    trade = story.trade

    def sum_of(minor: int) -> str:
        return Money(minor, trade.currency).text()

    yield f"{trade.out_trade_no}  {sum_of(trade.amount)} {trade.currency}  {trade.state}  {story.subject}"
    yield f"{trade.trade_no}  {trade.merchant_id} over {trade.protocol}, {trade.product}"
    yield ""
    yield "  ".join(f"[{MARKS[one.state]}] {one.name}" for one in story.stations)
    yield "money: " + (", ".join(f"{sum_of(one.amount)} {one.name}" for one in story.places) or "none yet")
    yield ""
    for at, line in sorted(_moments(story, sum_of), key=lambda moment: moment[0]):
        yield f"{china_text(at)}  {line}"
    yield ""
    for one in story.bill:
        told = f"told {china_text(one.told)}" if one.told is not None else "not asked for yet"
        sums = f"income {one.line.income.text()}, outcome {one.line.outcome.text()}, fee {one.line.fee.text()}"
        yield f"bill {one.day}  {one.line.kind}: {sums} ({told})"
    for settled in story.settlements:
        yield f"settlement {settled.settlement_no}  {sum_of(settled.amount)} of {sum_of(settled.gross)}"
    for share in story.shares:
        yield f"share {share.split_no}  {sum_of(share.amount)} to {share.receiver}"
    for compared in story.statements:
        yield f"statement {compared.day}  {compared.bank} {compared.kind} {compared.instruction_no}: {compared.state}"
    for case in story.cases:
        yield f"case {case.case_id}  {case.state}: {case.note}"


def _moments(story: Story, sum_of: Any) -> Iterator[tuple[Instant, str]]:
    trade = story.trade
    yield trade.created_at, "request   the merchant's terms are frozen"
    for payment in story.payments:
        bank = f" {payment.bank}" if payment.bank else ""
        yield payment.created_at, f"cashier   {payment.method}{bank} by {payment.buyer_login}: {payment.state}"
    for move in story.moves:
        yield move.at, f"posting   {move.kind:10} {move.debit} -> {move.credit}  {sum_of(move.amount)}"
    for event in story.events:
        yield event.at, f"event     {event.from_state or 'nothing'} -> {event.to_state} ({event.cause})"
    for attempt in story.attempts:
        said = f'"{attempt.answer}"' if attempt.answer else str(attempt.status or "")
        yield attempt.at, f"notified  #{attempt.n} {attempt.answer_class} {said} in {attempt.milliseconds} ms"
    for refund in story.refunds:
        yield (
            refund.created_at,
            f"refund    {refund.refund_no or refund.refund_id} {sum_of(refund.amount)}: {refund.state}",
        )
