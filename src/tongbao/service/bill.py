"""Bills: what a business date (UTC+8) did to a merchant's money, line by line, straight from the ledger (I42).

Two kinds. ``trade``: payments and refunds, with the fee of each. ``account``: every movement of the merchant's own
money with the balance after it. Lines are made of what never changes again, so that a bill of a day that is over is
the same whenever it is asked for. Each line stands for one entry (or one posting of it) and its serial says which.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from tongbao.kernel.error import BrokenInvariant, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import MINUTE, Instant, business_date
from tongbao.ledger.account import currency_of, merchant_own
from tongbao.service.command import Needs
from tongbao.service.movement import Move, balance_at, bounds, walk
from tongbao.service.platform import Platform
from tongbao.service.view import provider_of, terms_of
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import BILL, PAYMENT, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.step import Database
from tongbao.trade.reconcile import Bill
from tongbao.trade.record import Payment, Trade
from tongbao.wire.bill import Tally
from tongbao.wire.movement import BillHead, BillLine
from tongbao.wire.party import Party

KINDS: Final = ("trade", "account")

CURRENCIES: Final = ("CNY",)
"""Currencies that balances are kept in."""

GRACE: Final = MINUTE
"""How long after midnight another node may still be committing what it decided before (its statements end sooner)."""

PAGE: Final = 500
"""Lines that are in memory at once."""

_KIND_OF_ENTRY: Final = {
    "pay": "payment",
    "release": "payment",
    "refund": "refund",
    "refunded": "refund",
    "split": "split",
    "split_back": "split",
    "payout": "payout",
    "payout_return": "payout_return",
    "settle": "settlement",
    "chargeback": "chargeback",
}
"""What an entry is in a merchant's bill; anything else that changes his money is an adjustment."""

_REFUNDS: Final = ("refund:", "refunded:")


@dataclass(frozen=True, slots=True)
class Look:
    """Nothing. Whoever waits for it knows that what this node decided before is committed."""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        return ()

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        return Decision(now.business)


@record
class KeepBill:
    """What was told of one day is written down, once. Outcome: whether it was new. Raises Refused STATE_CONFLICT where
    the same day was told otherwise before (I42)."""

    bill: Bill

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BILL, BILL.key_of(self.bill)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        fresh = replace(self.bill, made_at=now.business)
        known: Bill | None = sheet.get(BILL, *BILL.key_of(fresh))
        if known is None:
            return Decision(True, [(BILL, fresh)])
        if replace(known, made_at=now.business) != fresh:
            raise Refused("STATE_CONFLICT", "the bill of this day was told otherwise before")
        return Decision(False)


async def keep_bill(platform: Platform, head: BillHead, tally: Tally, opening: dict[str, int]) -> None:
    """Write down what a day's bill told; nothing of months, whose days tell it, nor of what a provider is told."""
    if head.monthly or head.provider:
        return
    for currency, lines, income, outcome, fee in tally.rows():
        day = head.day.year * 10_000 + head.day.month * 100 + head.day.day
        opened = opening.get(currency, 0)
        bill = Bill(head.merchant, day, head.kind, currency, opened, income, outcome, fee, lines, Instant(0))
        await platform.submit(KeepBill(bill))


def days_of(head: BillHead) -> tuple[date, date]:
    """First and last business date of a bill."""
    if not head.monthly:
        return head.day, head.day
    first = head.day.replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first, date.fromordinal(following.toordinal() - 1)


async def is_over(platform: Platform, high: Instant) -> bool:
    """Whether nothing can be entered before ``high`` any more: it has passed on every node, and what was decided
    before it is committed."""
    now = platform.world.clock.business()
    if now < high:
        return False
    mine = platform.settings.lane
    await platform.submit(Look())
    lanes = await platform.database.read("bill.lanes")
    return now >= high + GRACE or all(lane == mine or moved_at >= high for lane, _, moved_at, _ in lanes)


async def check_head(platform: Platform, head: BillHead) -> None:
    """Whether this bill may be made. Raises Refused: FIELD_INVALID, NO_PRIVILEGE, BILL_DATE_INVALID, BILL_NOT_READY,
    BILL_NOT_FOUND, UNKNOWN_MERCHANT."""
    if head.kind not in KINDS:
        raise Refused("FIELD_INVALID", "a bill is of trades or of the account")
    if head.provider and head.kind != "trade":
        raise Refused("NO_PRIVILEGE", "a merchant's account is no business of his service provider")
    first, last = days_of(head)
    today = business_date(platform.world.clock.business())
    if first > today:
        raise Refused("BILL_DATE_INVALID", "the day is yet to come")
    merchant = await platform.merchant(head.merchant)
    if last < business_date(merchant.created_at):
        raise Refused("BILL_NOT_FOUND", "the merchant was not there yet", "unborn")
    _, high = bounds(first, last)
    if not await is_over(platform, high):
        raise Refused("BILL_NOT_READY", "the bill is made when the day is over")


async def bill_pages(platform: Platform, head: BillHead) -> AsyncIterator[list[BillLine]]:
    """The lines of a bill in order, ``PAGE`` at a time. The caller has asked ``check_head``. Raises BrokenInvariant
    where an account bill's last balance is not the ledger's."""
    low, high = bounds(*days_of(head))
    if head.kind == "account":
        async for page in account_pages(platform, head.merchant, low, high):
            yield page
    else:
        async for page in _trade_pages(platform, head, low, high):
            yield page


async def account_pages(
    platform: Platform, merchant_id: str, low: Instant, high: Instant
) -> AsyncIterator[list[BillLine]]:
    """Every movement of a merchant's own money between two instants, with the balance after each."""
    own = frozenset(code for currency in CURRENCIES for code in merchant_own(merchant_id, currency))
    balances = await balance_at(platform.database, sorted(own), low)
    buffer: list[Move] = []
    async for move in walk(platform.database, low, high, f"merchant:{merchant_id}:"):
        if (move.debit in own) == (move.credit in own) and not (move.kind == "settle" and move.credit in own):
            continue  # of others' money, or from one pocket of his to another; settlements are told all the same
        buffer.append(move)
        if len(buffer) >= PAGE:
            yield await _account_lines(platform, merchant_id, buffer, own, balances)
            buffer = []
    yield await _account_lines(platform, merchant_id, buffer, own, balances)
    if high <= platform.world.clock.business():
        closing = await balance_at(platform.database, sorted(own), high)
        if any(balances.get(name, 0) != held for name, held in closing.items()):
            raise BrokenInvariant(f"the account bill of {merchant_id} ends at {balances}, the ledger at {closing}")


async def _account_lines(
    platform: Platform, merchant_id: str, moves: Sequence[Move], own: frozenset[str], balances: dict[str, int]
) -> list[BillLine]:
    """Lines of these movements; ``balances`` is carried on."""
    known = await _Known.load(platform.database, merchant_id, moves)
    lines = []
    for move in moves:
        currency = currency_of(move.debit)
        change = (move.amount if move.credit in own else 0) - (move.amount if move.debit in own else 0)
        balances[currency] = balances.get(currency, 0) + change
        lines.append(
            known.line(
                move,
                kind=_kind(move, change),
                income=max(change, 0),
                outcome=max(-change, 0),
                balance=Money(balances[currency], currency),
                serial=f"{move.lane}-{move.seq}-{move.n}",
            )
        )
    return lines


def _kind(move: Move, change: int) -> str:
    """What a posting is to the merchant."""
    if _is_fee(move.credit if change < 0 else move.debit):
        return "fee" if change < 0 else "fee_return"
    return _KIND_OF_ENTRY.get(move.kind, "adjustment")


async def _trade_pages(
    platform: Platform, head: BillHead, low: Instant, high: Instant
) -> AsyncIterator[list[BillLine]]:
    """Payments and refunds, an entry a line."""
    merchant_id, provider = head.merchant, head.provider
    group: list[Move] = []
    groups: list[list[Move]] = []
    async for move in walk(platform.database, low, high, f"merchant:{merchant_id}:"):
        if group and (group[0].lane, group[0].seq) != (move.lane, move.seq):
            groups.append(group)
            group = []
            if len(groups) >= PAGE:
                yield await trade_lines(platform.database, merchant_id, groups, provider)
                groups = []
        group.append(move)
    if group:
        groups.append(group)
    yield await trade_lines(platform.database, merchant_id, groups, provider)


async def trade_lines(
    database: Database, merchant_id: str, groups: Sequence[list[Move]], provider: str = ""
) -> list[BillLine]:
    """Lines of these entries; with ``provider``, of the trades alone that he asked for. A fee that is taken later than
    the payment (escrow's, at release) is a line of its own."""
    known = await _Known.load(database, merchant_id, [group[0] for group in groups])
    prefix = f"merchant:{merchant_id}:"
    lines = []
    for group in groups:
        first, serial = group[0], f"{group[0].lane}-{group[0].seq}"
        trade = known.trades.get(first.out_trade_no)
        if provider and (trade is None or provider_of(trade) != provider):
            continue
        crossing = [one for one in group if one.debit.startswith(prefix) != one.credit.startswith(prefix)]
        came = sum(one.amount for one in crossing if one.credit.startswith(prefix) and not _is_fee(one.debit))
        went = sum(one.amount for one in crossing if one.debit.startswith(prefix) and not _is_fee(one.credit))
        kept = sum(one.amount for one in crossing if _is_fee(one.credit))
        given = sum(one.amount for one in crossing if _is_fee(one.debit))
        if first.kind == "pay":
            lines.append(known.line(first, kind="payment", income=came, outcome=0, fee=kept - given, serial=serial))
            continue
        if went and _KIND_OF_ENTRY.get(first.kind) == "refund":
            lines.append(known.line(first, kind="refund", income=0, outcome=went, serial=serial))
        if kept and first.out_trade_no:
            lines.append(known.line(first, kind="fee", income=0, outcome=kept, serial=f"{serial}-fee"))
        if given and first.out_trade_no:
            lines.append(known.line(first, kind="fee_return", income=given, outcome=0, serial=f"{serial}-back"))
    return lines


def _is_fee(code: str) -> bool:
    return code.startswith("platform:") and ":fee:" in code


@dataclass(frozen=True, slots=True)
class _Known:
    """Trades and payments behind some movements, by number."""

    merchant_id: str
    trades: dict[str, Trade]
    payments: dict[str, Payment]
    refunds: dict[str, tuple[str, Instant]]
    """The merchant's number of a refund, and when it was asked for, by ours."""

    @classmethod
    async def load(cls, database: Database, merchant_id: str, moves: Sequence[Move]) -> _Known:
        numbers = sorted({move.out_trade_no for move in moves if move.out_trade_no and move.merchant_id == merchant_id})
        wanted = [(merchant_id, number) for number in numbers]
        trades: list[Trade] = await database.load(TRADE, wanted) if wanted else []
        keys = [(merchant_id, trade.out_trade_no, trade.paid_attempt) for trade in trades if trade.paid_attempt]
        payments: list[Payment] = await database.load(PAYMENT, keys) if keys else []
        ids = [_refund_id(move) for move in moves if _refund_id(move)]
        refunds = await database.read("bill.refund_numbers", {"ids": ids}) if ids else []
        return cls(
            merchant_id,
            {trade.out_trade_no: trade for trade in trades},
            {payment.out_trade_no: payment for payment in payments},
            {row[0]: (row[1], Instant(row[2])) for row in refunds},
        )

    def line(
        self,
        move: Move,
        *,
        kind: str,
        income: int,
        outcome: int,
        serial: str,
        fee: int = 0,
        balance: Money | None = None,
    ) -> BillLine:
        """One line about one movement, with what is known of its trade."""
        currency = currency_of(move.debit)
        trade = self.trades.get(move.out_trade_no)
        payment = self.payments.get(move.out_trade_no)
        refund_id = _refund_id(move) if kind in ("refund", "fee_return") else ""
        refund_no, asked_at = self.refunds.get(refund_id, ("", None))
        terms = terms_of(trade) if trade else None
        return BillLine(
            kind=kind,
            at=move.at,
            income=Money(income, currency),
            outcome=Money(outcome, currency),
            fee=Money(fee, currency),
            out_trade_no=move.out_trade_no if trade else "",
            trade_no=trade.trade_no if trade else "",
            refund_no=refund_no,
            refund_id=refund_id,
            amount=Money(trade.amount, currency) if trade else Money(move.amount, currency),
            balance=balance,
            serial=serial,
            subject=terms.subject if terms else "",
            buyer=Party(trade.buyer_id, mask_login(trade.buyer_login)) if trade else Party(),
            method=payment.method if payment else "",
            bank=payment.bank if payment else "",
            state=_state(move, kind),
            created_at=trade.created_at if trade else None,
            asked_at=asked_at,
            memo="" if trade else move.key,
            echo=terms.echo if terms else {},
        )


def _refund_id(move: Move) -> str:
    """The refund that an entry's key names, '' where it names none."""
    head, mark, number = move.key.partition(":")
    return number if f"{head}{mark}" in _REFUNDS else ""


def _state(move: Move, kind: str) -> str:
    """What the line's moment made of the trade: never what became of it later."""
    if kind == "payment":
        return "escrowed" if ":escrow:" in move.credit else "paid"
    return "refunded" if kind == "refund" else ""


def mask_login(login: str) -> str:
    """A buyer's login as a merchant may keep it: ``a***@example.com``, ``138****0000``."""
    name, mark, place = login.partition("@")
    if mark:
        return f"{name[:1]}***@{place}"
    return f"{name[:3]}****{name[-4:]}" if len(name) > 7 else "*" * len(name)
