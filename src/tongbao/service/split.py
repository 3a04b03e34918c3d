"""Profit sharing: a trade's money to receivers the platform knows, at its payment or later; and back at refunds.

What may be shared is what the merchant has of that trade: its sum without fee, refunds, chargebacks and what was
shared before.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.ledger.account import Account, buyer_balance, merchant_available, merchant_pending
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.command import Needs
from tongbao.service.create import Asker
from tongbao.store.commit import Decision, Now
from tongbao.store.record import Answer, Case
from tongbao.store.schema import ACCOUNT, ANSWER, BUYER, CASE, MERCHANT, SHARE, SPLIT, SPLIT_PART, TRADE, TRADE_RETURN
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.record import Trade
from tongbao.trade.refund import TradeReturn
from tongbao.trade.settlement import Share, new_share
from tongbao.trade.split import SplitPart, SplitRow, Wanted, give_back, part_sums

AT_PAYMENT = "payment"
"""The number of the split that was agreed when the trade was created."""

GIVEN_UP = frozenset({"SPLIT_EXCEEDS", "RECEIVER_UNKNOWN", "MERCHANT_FUNDS", "AMOUNT_INVALID"})
"""Refusals that end a split agreed at creation: a case says so, and the money is the merchant's own."""


@record
class Shared:
    """A split and its parts; ``made`` says whether this command made it."""

    split: SplitRow
    made: bool


def receiver_account(kind: str, receiver_id: str, currency: str) -> str:
    """Where a receiver's part goes, and comes back from."""
    return buyer_balance(receiver_id, currency) if kind == "buyer" else merchant_available(receiver_id, currency)


def left_to_share(trade: Trade, returns: TradeReturn | None, share: Share) -> int:
    """What the merchant has of a trade, in minor units, never below zero: what its bank took back he has no more."""
    fee = trade.fee - (returns.fee_back if returns is not None else 0)
    gone = trade.refunded + (returns.charged_back if returns is not None else 0)
    return max(trade.amount - fee - gone - share.given + share.returned, 0)


def waits(trade: Trade) -> bool:
    """Whether a trade is not paid yet, or was undone: there is nothing to share."""
    return trade.state not in ("paid", "finished") or not trade.paid_attempt


@record
class ShareTrade:
    """Give parts of a paid trade to ``wanted``; the same number again is the same split. ``finish``: what is left is
    the merchant's own, no more splits follow, and settlement may take it. ``cause``: ``asked`` or ``payment``.
    ``of_trade``: the number is unique within its trade only, else another trade's is refused (IDEMPOTENCY_CONFLICT).
    ``as_created``: the trade must have been created to be shared (TRADE_STATE)."""

    asker: Asker
    out_trade_no: str
    split_no: str
    split_id: str
    wanted: tuple[Wanted, ...]
    finish: bool
    cause: str
    digest: str
    currency: str = "CNY"
    of_trade: bool = True
    as_created: bool = False

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        merchant_id = self.asker.merchant_id
        yield from self.asker.needs()
        if not self.of_trade:
            yield ANSWER, (f"split:{merchant_id}", self.split_no)
        for one in self.wanted:
            yield (BUYER if one.receiver == "buyer" else MERCHANT), (one.receiver_id,)
        yield TRADE, (merchant_id, self.out_trade_no)
        yield SPLIT, (merchant_id, self.out_trade_no, self.split_no)
        yield SHARE, (merchant_id, self.out_trade_no)
        yield TRADE_RETURN, (merchant_id, self.out_trade_no)
        yield CASE, (f"split:{self.split_id}",)
        yield ACCOUNT, (merchant_pending(merchant_id, self.currency),)
        yield ACCOUNT, (merchant_available(merchant_id, self.currency),)
        for one in self.wanted:
            yield ACCOUNT, (receiver_account(one.receiver, one.receiver_id, self.currency),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant_id = self.asker.merchant_id
        self.asker.check(sheet)
        known: SplitRow | None = sheet.get(SPLIT, merchant_id, self.out_trade_no, self.split_no)
        if known is not None:
            if not hmac.compare_digest(known.digest, self.digest):
                raise Refused("IDEMPOTENCY_CONFLICT", "this split number was used for another split")
            return Decision(Shared(known, False))
        if not self.of_trade and sheet.get(ANSWER, f"split:{merchant_id}", self.split_no) is not None:
            raise Refused("IDEMPOTENCY_CONFLICT", "this split number was used for another trade")
        trade: Trade | None = sheet.get(TRADE, merchant_id, self.out_trade_no)
        if trade is None:
            raise Refused("TRADE_NOT_FOUND", "no such trade")
        if waits(trade):
            raise Refused("TRADE_STATE", f"a trade that is {trade.state} has nothing to share")
        share = share_of(sheet, trade)
        if share.finished:
            raise Refused("TRADE_STATE", "the trade's splits are finished")
        if self.as_created and not share.later:
            raise Refused("TRADE_STATE", "the trade was not created to be shared")
        if share.waiting and self.cause == "asked":
            raise Refused("TRADE_STATE", "the shares agreed at its creation come first")
        if not self.wanted and not self.finish:
            raise Refused("FIELD_MISSING", "a split has receivers, or finishes")
        try:
            sums, sources = self._measure(sheet, trade, share)
        except Refused as refusal:
            if self.cause == "asked" or refusal.code not in GIVEN_UP:
                raise
            return self._give_up(trade, share, refusal, now.business)
        row = self._row(sum(sums), "succeeded", "", now.business)
        # a receiver who passes all on has no part: everybody is given what he keeps, at once
        kept = [(n, one, amount) for n, (one, amount) in enumerate(zip(self.wanted, sums, strict=True), 1) if amount]
        parts = [self._part(*one) for one in kept]
        after = replace(
            share,
            given=share.given + row.amount,
            splits=share.splits + 1,
            finished=self.finish,
            waiting=share.waiting and self.cause == "asked",
        )
        rows: list[tuple[Table, Row]] = [(SPLIT, row), (SHARE, after), *((SPLIT_PART, part) for part in parts)]
        if not self.of_trade:
            rows.append(
                (ANSWER, Answer(f"split:{merchant_id}", row.split_no, row.digest, row.out_trade_no, now.business))
            )
        if not parts:
            return Decision(Shared(row, True), rows)
        postings = _draw(sources, [(self._account(part), part.amount) for part in parts])
        entry = Entry(f"split:{self.split_id}", "split", merchant_id, self.out_trade_no, postings)
        return Decision(Shared(row, True), rows, [entry])

    def _measure(self, sheet: Sheet, trade: Trade, share: Share) -> tuple[tuple[int, ...], list[tuple[str, int]]]:
        """What each receiver keeps, and where the money is taken: what is settled from *available* first, else from
        *pending* first. Raises Refused."""
        merchant_id = trade.merchant_id
        for one in self.wanted:
            row = sheet.get(BUYER if one.receiver == "buyer" else MERCHANT, one.receiver_id)
            fits = row is not None and row.status == ("active" if one.receiver == "buyer" else "approved")
            if not fits or one.receiver_id == merchant_id:
                raise Refused("RECEIVER_UNKNOWN", "a receiver does not exist, is not active, or is the merchant")
        returns: TradeReturn | None = sheet.get(TRADE_RETURN, merchant_id, trade.out_trade_no)
        sums = part_sums(trade.amount, self.wanted, left_to_share(trade, returns, share))
        codes = [merchant_pending(merchant_id, self.currency), merchant_available(merchant_id, self.currency)]
        if share.settled:
            codes.reverse()
        sources, rest = [], sum(sums)
        for code in codes:
            account: Account | None = sheet.get(ACCOUNT, code)
            piece = min(rest, account.balance if account is not None and not account.frozen else 0)
            if piece > 0:
                sources.append((code, piece))
                rest -= piece
        if rest:
            raise Refused("MERCHANT_FUNDS", f"{rest} are lacking")
        return sums, sources

    def _give_up(self, trade: Trade, share: Share, refusal: Refused, now: Instant) -> Decision:
        """The split agreed at creation cannot be: the money stays the merchant's, and a person is told."""
        case = Case(
            case_id=f"split:{self.split_id}",
            kind="split_failed",
            merchant_id=trade.merchant_id,
            out_trade_no=trade.out_trade_no,
            subject=self.split_id,
            amount=0,
            currency=trade.currency,
            state="open",
            note=f"the shares agreed at creation were not given: {refusal.detail}",
            opened_at=now,
            closed_at=None,
        )
        row = self._row(0, "failed", refusal.code, now)
        after = replace(share, splits=share.splits + 1, waiting=False)
        return Decision(Shared(row, True), [(SPLIT, row), (SHARE, after), (CASE, case)])

    def _row(self, amount: int, state: str, code: str, now: Instant) -> SplitRow:
        return SplitRow(
            merchant_id=self.asker.merchant_id,
            out_trade_no=self.out_trade_no,
            split_no=self.split_no,
            split_id=self.split_id,
            amount=amount,
            currency=self.currency,
            state=state,
            code=code,
            finish=self.finish,
            digest=self.digest,
            cause=self.cause,
            created_at=now,
        )

    def _part(self, n: int, one: Wanted, amount: int) -> SplitPart:
        return SplitPart(
            merchant_id=self.asker.merchant_id,
            out_trade_no=self.out_trade_no,
            split_no=self.split_no,
            n=n,
            receiver=one.receiver,
            receiver_id=one.receiver_id,
            receiver_login=one.receiver_login,
            amount=amount,
            returned=0,
            memo=one.memo,
            relation=one.relation,
        )

    def _account(self, part: SplitPart) -> str:
        return receiver_account(part.receiver, part.receiver_id, self.currency)


def _draw(sources: Sequence[tuple[str, int]], targets: Sequence[tuple[str, int]]) -> tuple[Posting, ...]:
    """Postings that take ``targets`` out of ``sources`` in order; both come to the same sum."""
    postings: list[Posting] = []
    left = list(sources)
    for target, amount in targets:
        rest = amount
        while rest:
            code, stock = left[0]
            piece = min(rest, stock)
            postings.append(Posting(code, target, piece))
            rest -= piece
            left[0] = (code, stock - piece)
            if stock == piece:
                left.pop(0)
    return tuple(postings)


def share_of(sheet: Sheet, trade: Trade) -> Share:
    """What settlement and splits know of a trade."""
    known: Share | None = sheet.get(SHARE, trade.merchant_id, trade.out_trade_no)
    return known or new_share(trade.merchant_id, trade.out_trade_no)


# --- back at refunds and returns -------------------------------------------------------------------------------------


@record
class Back:
    """What receivers give back: for each of ``wanted`` (receiver_id, sum in minor units) and the ``parts`` it may come
    off, the oldest first. What is left of each the commit sees: what was read before may be gone by then (T41)."""

    wanted: tuple[tuple[str, int], ...]
    parts: tuple[SplitPart, ...]

    def mine(self) -> list[SplitPart]:
        """The parts of those who give."""
        givers = {receiver_id for receiver_id, _ in self.wanted}
        return [part for part in self.parts if part.receiver_id in givers]


def take_back_needs(back: Back | None, currency: str) -> Needs:
    """Every row that ``take_back`` reads, besides the trade and the merchant's *pending*."""
    for part in back.mine() if back is not None else ():
        yield SHARE, (part.merchant_id, part.out_trade_no)
        yield SPLIT_PART, SPLIT_PART.key_of(part)
        yield ACCOUNT, (receiver_account(part.receiver, part.receiver_id, currency),)


def take_back(
    sheet: Sheet, trade: Trade, back: Back | None, refund_id: str
) -> tuple[int, list[tuple[Table, Row]], list[Entry]]:
    """Shares come back to the merchant's *pending*, from where a refund of the same decision gives them on: the sum,
    rows and entries (to be posted before the refund's). Nothing for no ``back``. ``refund_id`` may be a return's.

    Raises Refused RECEIVER_UNKNOWN, SPLIT_EXCEEDS, MERCHANT_FUNDS where a receiver has spent it."""
    if back is None:
        return 0, [], []
    parts: list[SplitPart] = [sheet.get(SPLIT_PART, *SPLIT_PART.key_of(part)) for part in back.mine()]
    postings: list[Posting] = []
    pending = merchant_pending(trade.merchant_id, trade.currency)
    taken: dict[SplitPart, int] = {}
    drawn: dict[str, int] = {}
    for part, amount in give_back(parts, back.wanted):
        taken[part] = taken.get(part, 0) + amount
        code = receiver_account(part.receiver, part.receiver_id, trade.currency)
        account: Account | None = sheet.get(ACCOUNT, code)
        drawn[code] = drawn.get(code, 0) + amount
        if account is None or account.frozen or account.balance < drawn[code]:
            raise Refused("MERCHANT_FUNDS", "a receiver of shares has less than he is to give back")
        postings.append(Posting(code, pending, amount))
    rows: list[tuple[Table, Row]] = [
        (SPLIT_PART, replace(part, returned=part.returned + amount)) for part, amount in taken.items()
    ]
    total = sum(taken.values())
    share = share_of(sheet, trade)
    rows.append((SHARE, replace(share, returned=share.returned + total)))
    key = f"split_back:{refund_id}"
    return total, rows, [Entry(key, "split_back", trade.merchant_id, trade.out_trade_no, tuple(postings))]
