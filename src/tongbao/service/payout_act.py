"""What merchants ask about payouts, and the walks of a running batch: chunk after chunk until nothing is left."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.identifier import trade_number
from tongbao.kernel.money import Money
from tongbao.ledger.account import (
    merchant_available,
    merchant_escrow,
    merchant_payout,
    merchant_pending,
    merchant_reserve,
    merchant_settling,
)
from tongbao.service.create import Asker
from tongbao.service.link import CASHIER_TIME
from tongbao.service.payout import DecidePayout, Origin, PayOne, Taken, check_amount
from tongbao.service.payout_batch import BatchSaid, CloseBatch, LoadLines, OpenBatch, RunLines, StartBatch
from tongbao.service.payout_line import check_form, look_up_again, open_payee, prepare
from tongbao.service.platform import Platform
from tongbao.service.wallet import meant_buyer, told_buyer
from tongbao.store.schema import PAYOUT, PAYOUT_BATCH
from tongbao.trade.agreement import read_agreement
from tongbao.trade.payout import CHUNK, BatchState, Payout, PayoutBatch, PayoutState
from tongbao.wire.movement import (
    BalanceFound,
    BatchFound,
    BatchHead,
    BatchStage,
    BatchTaken,
    BatchView,
    MovementState,
    PayOut,
    PayOutBatch,
    PayOutFound,
    PayOutItem,
    PayOutView,
    QueryBalance,
    QueryPayOut,
    QueryPayOutBatch,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Outcome

BATCHES: Final = 20
"""Running batches that one round of the worker looks at."""

_STATES: Final = {
    PayoutState.PROPOSED: MovementState.ACCEPTED,
    PayoutState.SENT: MovementState.ACCEPTED,
    PayoutState.SUCCEEDED: MovementState.SUCCEEDED,
    PayoutState.FAILED: MovementState.FAILED,
    PayoutState.CLOSED: MovementState.CLOSED,
}


_STAGES: Final = {
    BatchState.LOADING: BatchStage.TAKEN,
    BatchState.PROPOSED: BatchStage.WAITING,
    BatchState.RUNNING: BatchStage.RUNNING,
    BatchState.DONE: BatchStage.DONE,
    BatchState.CLOSED: BatchStage.CLOSED,
}

LINES_MAX: Final = 100
"""Lines of a batch that one question is answered with at most."""

STRANGER: Final = "?"
"""Stands before a payee's number that was never told to the merchant: no account's number begins with it, so that
nobody is found by what a merchant guesses, and the line fails by itself."""


def batch_head(batch: PayoutBatch) -> BatchHead:
    """A batch as a whole, without the sums of its lines."""
    echo = json.loads(batch.echo)
    return BatchHead(
        batch_id=batch.batch_id,
        stage=_STAGES[BatchState(batch.state)],
        total=Money(batch.total, batch.currency),
        count=batch.count,
        name=batch.name,
        memo=echo.get("memo", ""),
        created_at=batch.created_at,
        changed_at=batch.ended_at or batch.started_at or batch.created_at,
        echo=echo,
    )


async def _summed_head(platform: Platform, batch: PayoutBatch) -> BatchHead:
    """The same with what became of the lines so far. Those of a withdrawn batch have all failed to be paid."""
    where = {"merchant_id": batch.merchant_id, "batch_no": batch.batch_no}
    sums = {str(state): (int(n), int(fen)) for state, n, fen in await platform.database.read("payout.sums", where)}
    paid, fen_paid = sums.get(PayoutState.SUCCEEDED, (0, 0))
    failed, fen_failed = sums.get(PayoutState.FAILED, (0, 0))
    if batch.state == BatchState.CLOSED:
        failed, fen_failed = batch.count, batch.total
    return replace(
        batch_head(batch),
        paid=Money(fen_paid, batch.currency),
        paid_count=paid,
        failed=Money(fen_failed, batch.currency),
        failed_count=failed,
    )


def payout_view(platform: Platform, payout: Payout, batch: PayoutBatch | None = None) -> PayOutView:
    """A payout as its merchant is told of it. Lines of a batch that was withdrawn are closed with it."""
    state = _STATES[PayoutState(payout.state)]
    if batch is not None and batch.state == BatchState.CLOSED:
        state = MovementState.CLOSED
    return PayOutView(
        merchant=payout.merchant_id,
        payout_no=payout.payout_no,
        payout_id=payout.payout_id,
        batch_no=payout.batch_no,
        payee=_told_payee(platform, payout),
        amount=Money(payout.amount, payout.currency),
        fee=Money(payout.fee, payout.currency),
        state=state,
        memo=payout.memo,
        code=payout.code,
        created_at=payout.created_at,
        ended_at=payout.ended_at,
        batch=batch_head(batch) if batch is not None else None,
    )


def _told_payee(platform: Platform, payout: Payout) -> Payee:
    """The payee, under the number by which this merchant knows him."""
    payee = open_payee(platform, payout)
    if payee.party.id.startswith(STRANGER):
        return replace(payee, party=Party(payee.party.id.removeprefix(STRANGER), payee.party.login))
    if not payout.protocol or not payee.party.id:
        return payee
    told = told_buyer(platform, payout.protocol, payout.merchant_id, payee.party.id)
    return replace(payee, party=Party(told, payee.party.login))


async def find_payout(platform: Platform, merchant_id: str, batch_no: str, payout_no: str) -> Payout:
    """A merchant's payout. Raises Refused PAYOUT_NOT_FOUND."""
    found: list[Payout] = await platform.database.load(PAYOUT, [(merchant_id, batch_no, payout_no)])
    if not found:
        raise Refused("PAYOUT_NOT_FOUND", "no such payout")
    return found[0]


async def find_payout_batch(platform: Platform, merchant_id: str, batch_no: str) -> PayoutBatch:
    """A merchant's batch. Raises Refused BATCH_NOT_FOUND."""
    found: list[PayoutBatch] = await platform.database.load(PAYOUT_BATCH, [(merchant_id, batch_no)])
    if not found:
        raise Refused("BATCH_NOT_FOUND", "no such batch")
    return found[0]


async def page_of_batch(platform: Platform, batch: PayoutBatch, after: int, most: int = CHUNK) -> list[Payout]:
    """The next lines of a batch after line number ``after``, in order."""
    where = {"merchant_id": batch.merchant_id, "batch_no": batch.batch_no, "number": after, "most": most}
    keys = [
        (batch.merchant_id, batch.batch_no, row[0]) for row in await platform.database.read("payout.of_batch", where)
    ]
    found: list[Payout] = await platform.database.load(PAYOUT, sorted(keys)) if keys else []
    return sorted(found, key=lambda payout: payout.n)


async def batch_view(platform: Platform, merchant_id: str, batch_no: str) -> BatchView:
    """A batch, line by line."""
    batch = await find_payout_batch(platform, merchant_id, batch_no)
    merchant = await platform.merchant(merchant_id)
    views: list[PayOutView] = []
    after = 0
    while page := await page_of_batch(platform, batch, after):
        views += [payout_view(platform, payout, batch) for payout in page]
        after = page[-1].n
    return BatchView(
        batch_no=batch_no,
        payouts=tuple(views),
        merchant=merchant_id,
        payer=Party(merchant_id, merchant.login),
        payer_name=merchant.name,
        echo=json.loads(batch.echo),
        head=await _summed_head(platform, batch),
    )


# --- carrying out ------------------------------------------------------------------------------------------------


async def run_batch(platform: Platform, merchant_id: str, batch_no: str) -> int:
    """Act on every line of a running batch that nobody has acted on; returns how many."""
    where = {"merchant_id": merchant_id, "batch_no": batch_no, "most": CHUNK}
    done = 0
    while rows := await platform.database.read("payout.waiting", where):
        payouts: list[Payout] = await platform.database.load(
            PAYOUT, sorted((merchant_id, batch_no, row[0]) for row in rows)
        )
        lines = tuple(await look_up_again(platform, payouts))
        acted: int = await platform.submit(RunLines(merchant_id, batch_no, lines))
        if not acted:
            break
        done += acted
    return done


async def run_batches(platform: Platform) -> int:
    """The worker's duty: batches that run, or that stopped on the way. Returns how many lines were acted on."""
    done = 0
    for merchant_id, batch_no in await platform.database.read("payout.running", {"most": BATCHES}):
        done += await run_batch(platform, merchant_id, batch_no)
    return done


async def decide_payout(
    platform: Platform,
    merchant_id: str,
    payout_no: str,
    checker: str,
    amount: int = 0,
    *,
    agrees: bool = True,
    reason: str = "",
) -> Taken:
    """A person agrees to a single payout of ``amount`` minor units, or turns it down, whatever it is of. Raises
    Refused, REVIEW_AGAIN where it is of another sum."""
    payout = await find_payout(platform, merchant_id, "", payout_no)
    (line,) = await look_up_again(platform, [payout])
    taken: Taken = await platform.submit(DecidePayout(merchant_id, line, checker, amount, agrees, reason))
    return taken


async def waiting_payouts(platform: Platform, merchant_id: str, most: int = CHUNK) -> list[tuple[Payout, Payee]]:
    """A merchant's single payouts that wait for somebody to agree, by number, each with whom it goes to."""
    where = {"merchant_id": merchant_id, "batch_no": "", "most": most}
    keys = sorted((merchant_id, "", row[0]) for row in await platform.database.read("payout.waiting", where))
    found: list[Payout] = await platform.database.load(PAYOUT, keys) if keys else []
    return [(payout, open_payee(platform, payout)) for payout in sorted(found, key=lambda one: one.payout_no)]


async def close_batch(
    platform: Platform, merchant_id: str, batch_no: str, actor: str, reason: str, word: str = ""
) -> BatchSaid:
    """Withdraw a batch, and tell its merchant where its protocol has a message for that; ``word`` as in ``CloseBatch``.
    Raises Refused."""
    batch = await find_payout_batch(platform, merchant_id, batch_no)
    tells = bool(batch.protocol) and platform.protocol(batch.protocol).notifies_closed_batch
    said: BatchSaid = await platform.submit(CloseBatch(merchant_id, batch_no, actor, reason, tells, word))
    return said


async def open_batch(
    platform: Platform,
    asker: Asker,
    batch_no: str,
    name: str,
    lines: int,
    total: int,
    digest: str,
    origin: Origin,
    echo: str = "{}",
    *,
    asks: bool = False,
) -> BatchSaid:
    """Announce a batch, or find the equal one. Raises Refused."""
    number = trade_number(platform.entropy, platform.world.clock.business())
    said: BatchSaid = await platform.submit(
        OpenBatch(asker, batch_no, number, name, lines, total, digest, origin, echo, asks=asks)
    )
    return said


async def load_lines(
    platform: Platform,
    merchant_id: str,
    batch_no: str,
    start: int,
    items: Sequence[tuple[str, Payee, Money, str]],
) -> BatchSaid:
    """Load the next lines, at most ``CHUNK``. Raises Refused naming the line."""
    lines = tuple(await prepare(platform, merchant_id, items, batch_no))
    said: BatchSaid = await platform.submit(LoadLines(merchant_id, batch_no, start, lines))
    return said


# --- asked over a protocol ---------------------------------------------------------------------------------------


async def _pay_out(platform: Platform, asker: Asker, intent: PayOut) -> Outcome:
    payee = _meant_payee(platform, asker, intent.payee)
    (line,) = await prepare(
        platform, asker.merchant_id, [(intent.payout_no, payee, intent.amount, intent.memo)], title=intent.title
    )
    origin = Origin("api", asker.protocol, intent.notify_url, _signer(asker))
    await platform.submit(PayOne(asker, line, origin))
    payout = await find_payout(platform, asker.merchant_id, "", intent.payout_no)
    return PayOutFound((payout_view(platform, payout),))


def _meant_payee(platform: Platform, asker: Asker, payee: Payee) -> Payee:
    """The payee whom a merchant names, maybe by a buyer's number that was told to him alone."""
    return replace(payee, party=meant_buyer(platform, asker.protocol, asker.merchant_id, payee.party))


def _signer(asker: Asker) -> str:
    """Who entered what came over a protocol: the merchant, by his key."""
    return f"{asker.merchant_id}/{asker.key_id}"


def _digest(platform: Platform, items: Sequence[PayOutItem]) -> str:
    said = json.dumps(
        [[item.payout_no, item.amount.minor, item.amount.currency, item.memo, _told(item.payee)] for item in items]
    )
    return hmac.digest(platform.secrets.seal, said.encode(), hashlib.sha256).hex()


def _told(payee: Payee) -> list[str]:
    return [payee.party.id, payee.party.login, payee.name, payee.bank, payee.card, payee.branch]


def _batch_payee(platform: Platform, asker: Asker, payee: Payee) -> Payee:
    """The same for a line of a batch: a number that was told to nobody is that line's failure, not the batch's."""
    try:
        return _meant_payee(platform, asker, payee)
    except Refused as refusal:
        if refusal.code != "BUYER_UNKNOWN":
            raise
        return replace(payee, party=Party(STRANGER + payee.party.id, payee.party.login))


async def _pay_out_batch(platform: Platform, asker: Asker, intent: PayOutBatch) -> Outcome:
    items = tuple([replace(item, payee=_batch_payee(platform, asker, item.payee)) for item in intent.items])
    currencies = {item.amount.currency for item in items} | {intent.total.currency}
    if currencies != {"CNY"}:
        raise Refused("CURRENCY_NOT_ALLOWED", "a batch is in CNY")
    if intent.count != len(items) or intent.total.minor != sum(item.amount.minor for item in items):
        raise Refused("BATCH_INVALID", "count or total is not that of the lines")
    if len({item.payout_no for item in items}) != len(items):
        raise Refused("BATCH_INVALID", "two lines have one number")
    merchant = await platform.merchant(asker.merchant_id)
    if intent.payer.id not in ("", merchant.merchant_id) or intent.payer.login not in ("", merchant.login):
        raise Refused("SELLER_UNKNOWN", "the payer is not this merchant")
    agreement = read_agreement(merchant.settings)
    for item in items:
        check_form(item.payee)
        check_amount(item.amount.minor, item.amount.currency, agreement)
    echo = json.dumps({**intent.echo, **({"memo": intent.memo} if intent.memo else {})}, ensure_ascii=False)
    origin = Origin("api", asker.protocol, intent.notify_url, _signer(asker))
    said = await open_batch(
        platform,
        asker,
        intent.batch_no,
        intent.name,
        intent.count,
        intent.total.minor,
        _digest(platform, items),
        origin,
        echo,
        asks=intent.asks_password,
    )
    while said.state == BatchState.LOADING:
        part = items[said.loaded : said.loaded + CHUNK]
        said = await load_lines(
            platform,
            asker.merchant_id,
            intent.batch_no,
            said.loaded,
            [(item.payout_no, item.payee, item.amount, item.memo) for item in part],
        )
    if intent.asks_password:
        return BatchTaken(intent.batch_no, payouts_url(platform, asker.merchant_id, intent.batch_no))
    if said.state == BatchState.PROPOSED and not said.missing:
        await platform.submit(StartBatch(asker.merchant_id, intent.batch_no))
    batch = await find_payout_batch(platform, asker.merchant_id, intent.batch_no)
    return BatchTaken(intent.batch_no, head=batch_head(batch))


def payouts_url(platform: Platform, merchant_id: str, batch_no: str) -> str:
    """Where the merchant's browser agrees to a batch it carried: a link of half an hour."""
    word = platform.seal.pack("payouts", f"{merchant_id}/{batch_no}", platform.world.clock.wire())
    return f"{platform.settings.base_url}/agree/payouts/{word}"


def open_payouts_url(platform: Platform, word: str) -> tuple[str, str]:
    """Merchant and batch behind the last part of such a link. Raises Refused CASHIER_LINK_INVALID."""
    text = platform.seal.unpack("payouts", word, platform.world.clock.wire(), CASHIER_TIME)
    if text is None:
        raise Refused("CASHIER_LINK_INVALID", "the link is unknown or too old")
    merchant_id, _, batch_no = text.partition("/")
    return merchant_id, batch_no


async def _query(platform: Platform, asker: Asker, intent: QueryPayOut) -> Outcome:
    merchant_id = asker.merchant_id
    batch = await _asked_batch(platform, merchant_id, intent.batch_no, intent.batch_id)
    if intent.payout_id:
        rows = await platform.database.read("payout.by_id", {"payout_id": intent.payout_id})
        if not rows or rows[0][0] != merchant_id or intent.payout_no not in ("", rows[0][2]):
            raise Refused("PAYOUT_NOT_FOUND", "no such payout")
        if batch is not None and rows[0][1] != batch.batch_no:
            raise Refused("PAYOUT_NOT_FOUND", "no such payout in this batch")
        return _found(platform, await find_payout(platform, *rows[0]), batch, intent)
    if intent.payout_no:
        payout = await find_payout(platform, merchant_id, batch.batch_no if batch else "", intent.payout_no)
        return _found(platform, payout, batch, intent)
    if batch is None:
        raise Refused("FIELD_MISSING", "a payout is asked for by its number, or its batch's")
    return PayOutFound((await batch_view(platform, merchant_id, batch.batch_no)).payouts)


def _found(platform: Platform, payout: Payout, batch: PayoutBatch | None, intent: QueryPayOut) -> PayOutFound:
    if intent.to_card not in (None, payout.kind == "card"):
        raise Refused("PAYOUT_NOT_FOUND", "no such payout of this kind")
    return PayOutFound((payout_view(platform, payout, batch),))


async def _asked_batch(platform: Platform, merchant_id: str, batch_no: str, batch_id: str) -> PayoutBatch | None:
    """The batch that a question names by one of its numbers, None where it names none. Raises Refused
    BATCH_NOT_FOUND."""
    if batch_id:
        rows = await platform.database.read("payout.batch_by_id", {"payout_id": batch_id})
        if not rows or rows[0][0] != merchant_id or batch_no not in ("", rows[0][1]):
            raise Refused("BATCH_NOT_FOUND", "no such batch")
        batch_no = rows[0][1]
    return await find_payout_batch(platform, merchant_id, batch_no) if batch_no else None


async def _query_batch(platform: Platform, asker: Asker, intent: QueryPayOutBatch) -> Outcome:
    batch = await _asked_batch(platform, asker.merchant_id, intent.batch_no, intent.batch_id)
    if batch is None:
        raise Refused("FIELD_MISSING", "a batch is asked for by one of its numbers")
    lines = await _some_lines(platform, batch, intent) if intent.lines else []
    return BatchFound(
        BatchView(
            batch_no=batch.batch_no,
            payouts=tuple(payout_view(platform, line, batch) for line in lines),
            merchant=batch.merchant_id,
            head=await _summed_head(platform, batch),
        )
    )


async def _some_lines(platform: Platform, batch: PayoutBatch, intent: QueryPayOutBatch) -> list[Payout]:
    states = _line_states(batch, intent.only)
    if not states:
        return []
    where = {
        "merchant_id": batch.merchant_id,
        "batch_no": batch.batch_no,
        "states": sorted(str(state) for state in states),
        "start": intent.offset,
        "most": min(intent.most or LINES_MAX, LINES_MAX),
    }
    rows = await platform.database.read("payout.of_state", where)
    keys = sorted((batch.merchant_id, batch.batch_no, row[0]) for row in rows)
    found: list[Payout] = await platform.database.load(PAYOUT, keys) if keys else []
    return sorted(found, key=lambda payout: payout.n)


def _line_states(batch: PayoutBatch, only: MovementState | None) -> tuple[PayoutState, ...]:
    """The states in which the wanted lines of a batch are stored."""
    closed = batch.state == BatchState.CLOSED
    if only is None:
        return tuple(PayoutState)
    if only is MovementState.SUCCEEDED:
        return (PayoutState.SUCCEEDED,)
    if only is MovementState.FAILED:
        return (PayoutState.PROPOSED, PayoutState.FAILED) if closed else (PayoutState.FAILED,)
    return (PayoutState.PROPOSED,) if batch.state == BatchState.PROPOSED else ()


async def _balance(platform: Platform, asker: Asker, intent: QueryBalance) -> Outcome:
    available = await platform.balance(merchant_available(asker.merchant_id, "CNY"))
    held = 0
    for account in (merchant_pending, merchant_escrow, merchant_settling, merchant_reserve, merchant_payout):
        held += await platform.balance(account(asker.merchant_id, "CNY"))
    return BalanceFound(Money(available), Money(held))


ACTS: Final[dict[type, Callable[[Platform, Asker, Any], Awaitable[Outcome]]]] = {
    PayOut: _pay_out,
    PayOutBatch: _pay_out_batch,
    QueryPayOut: _query,
    QueryPayOutBatch: _query_batch,
    QueryBalance: _balance,
}
