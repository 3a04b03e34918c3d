"""Returns: a receiver's share comes back to the merchant without a refund; and what of a trade can still be shared.

A return takes back as a refund does, off the same parts: what the one took, the other cannot (``trade.split``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.identifier import trade_number
from tongbao.kernel.money import Money
from tongbao.kernel.record import record, replace
from tongbao.ledger.account import merchant_pending
from tongbao.service.command import Needs
from tongbao.service.create import Asker
from tongbao.service.platform import Platform
from tongbao.service.split import Back, left_to_share, take_back, take_back_needs, waits
from tongbao.service.split_act import parts_of
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import ACCOUNT, SHARE, SPLIT, SPLIT_RETURN, TRADE, TRADE_RETURN
from tongbao.store.sheet import Sheet
from tongbao.trade.record import Trade
from tongbao.trade.settlement import new_share
from tongbao.trade.split import SplitReturn, SplitRow
from tongbao.wire.movement import (
    MovementState,
    QuerySplitReturn,
    QueryUnsplit,
    ReturnSplit,
    SplitReturnFound,
    SplitReturnView,
    UnsplitFound,
)
from tongbao.wire.vocabulary import Outcome


@record
class GiveBackShare:
    """Make ``wanted``; the same number again is the same return. ``back`` names the parts it may come off. Outcome: the
    ``SplitReturn`` as it stands in the books.

    Raises Refused IDEMPOTENCY_CONFLICT, RECEIVER_UNKNOWN, SPLIT_EXCEEDS, MERCHANT_FUNDS where the receiver has spent
    it."""

    asker: Asker
    wanted: SplitReturn
    back: Back

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        wanted = self.wanted
        yield from self.asker.needs()
        yield TRADE, (wanted.merchant_id, wanted.out_trade_no)
        yield SPLIT_RETURN, (wanted.merchant_id, wanted.return_no)
        yield from take_back_needs(self.back, wanted.currency)
        yield ACCOUNT, (merchant_pending(wanted.merchant_id, wanted.currency),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        wanted = self.wanted
        self.asker.check(sheet)
        known: SplitReturn | None = sheet.get(SPLIT_RETURN, wanted.merchant_id, wanted.return_no)
        if known is not None:
            if not hmac.compare_digest(known.digest, wanted.digest):
                raise Refused("IDEMPOTENCY_CONFLICT", "this return number was used for another return")
            return Decision(known)
        trade: Trade | None = sheet.get(TRADE, wanted.merchant_id, wanted.out_trade_no)
        if trade is None:
            raise Refused("TRADE_NOT_FOUND", "no such trade")
        _, rows, entries = take_back(sheet, trade, self.back, wanted.return_id)
        made = replace(wanted, created_at=now.business)
        return Decision(made, [*rows, (SPLIT_RETURN, made)], entries)


def _digest(intent: ReturnSplit, split: SplitRow) -> str:
    said = [split.split_id, intent.giver_id, intent.amount.minor, intent.memo]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


async def _find_split(
    platform: Platform, asker: Asker, split_no: str, split_id: str, return_no: str
) -> tuple[Trade, SplitRow]:
    """A split by either number, or both, and its trade. Where trades have splits of one number, ``return_no`` still
    means the one it came from. Raises Refused SPLIT_NOT_FOUND."""
    where = {"merchant_id": asker.merchant_id}
    made: list[SplitReturn] = await platform.database.load(SPLIT_RETURN, [(asker.merchant_id, return_no)])
    if split_id:
        rows = await platform.database.read("split.by_id", {**where, "split_id": split_id})
    elif made and made[0].split_no == split_no:
        rows = [(made[0].out_trade_no, split_no)]
    else:
        trades = await platform.database.read("split.by_no", where | {"split_no": split_no})
        rows = [(out_trade_no, split_no) for (out_trade_no,) in trades]
    if len(rows) != 1 or split_no not in ("", rows[0][1]):
        raise Refused("SPLIT_NOT_FOUND", "no such split, or several of this number")
    trade = await platform.find_trade(asker.merchant_id, rows[0][0], provider=asker.provider)
    found: list[SplitRow] = await platform.database.load(SPLIT, [(asker.merchant_id, *rows[0])])
    return trade, found[0]


async def _give_back(platform: Platform, asker: Asker, intent: ReturnSplit) -> Outcome:
    if not intent.return_no:
        raise Refused("FIELD_MISSING", "return_no: is missing")
    if intent.amount.minor <= 0 or intent.amount.currency != "CNY":
        raise Refused("AMOUNT_INVALID", "what is given back is a sum above zero, in CNY")
    trade, split = await _find_split(platform, asker, intent.split_no, intent.split_id, intent.return_no)
    # a person's share comes back with a refund alone: the interfaces that know returns name a merchant
    parts = [
        part
        for part in await parts_of(platform, trade)
        if part.split_no == split.split_no and part.receiver == "merchant"
    ]
    back = Back(((intent.giver_id, intent.amount.minor),), tuple(parts))
    now = platform.world.clock.business()
    wanted = SplitReturn(
        merchant_id=trade.merchant_id,
        return_no=intent.return_no,
        return_id=trade_number(platform.entropy, now),
        out_trade_no=trade.out_trade_no,
        split_no=split.split_no,
        giver_id=intent.giver_id,
        amount=intent.amount.minor,
        currency=intent.amount.currency,
        memo=intent.memo,
        digest=_digest(intent, split),
        created_at=now,
    )
    made: SplitReturn = await platform.submit(GiveBackShare(asker, wanted, back))
    return SplitReturnFound(_view(made, split.split_id))


async def _query(platform: Platform, asker: Asker, intent: QuerySplitReturn) -> Outcome:
    found: list[SplitReturn] = await platform.database.load(SPLIT_RETURN, [(asker.merchant_id, intent.return_no)])
    if not found or intent.split_no not in ("", found[0].split_no):
        raise Refused("SPLIT_NOT_FOUND", "no such return of this split")
    made = found[0]
    await platform.find_trade(asker.merchant_id, made.out_trade_no, provider=asker.provider)
    split: list[SplitRow] = await platform.database.load(SPLIT, [(made.merchant_id, made.out_trade_no, made.split_no)])
    return SplitReturnFound(_view(made, split[0].split_id))


def _view(made: SplitReturn, split_id: str) -> SplitReturnView:
    return SplitReturnView(
        merchant=made.merchant_id,
        return_no=made.return_no,
        return_id=made.return_id,
        split_no=made.split_no,
        split_id=split_id,
        giver_id=made.giver_id,
        amount=Money(made.amount, made.currency),
        memo=made.memo,
        state=MovementState.SUCCEEDED,
        created_at=made.created_at,
        ended_at=made.created_at,
    )


async def _left(platform: Platform, asker: Asker, intent: QueryUnsplit) -> Outcome:
    """What a split of this trade could still give. Raises Refused TRADE_NOT_FOUND, TRADE_STATE."""
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider)
    if waits(trade):
        raise Refused("TRADE_STATE", f"a trade that is {trade.state} has nothing to share")
    key = (trade.merchant_id, trade.out_trade_no)
    shares = await platform.database.load(SHARE, [key])
    share = shares[0] if shares else new_share(*key)
    returns = await platform.database.load(TRADE_RETURN, [key])
    closed = share.finished or (platform.protocol(asker.protocol).splits_as_created and not share.later)
    left = 0 if closed else left_to_share(trade, returns[0] if returns else None, share)
    return UnsplitFound(trade.trade_no, Money(left, trade.currency))


ACTS: Final[dict[type, Callable[[Platform, Asker, Any], Awaitable[Outcome]]]] = {
    ReturnSplit: _give_back,
    QuerySplitReturn: _query,
    QueryUnsplit: _left,
}
