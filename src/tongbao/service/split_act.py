"""What merchants ask about shares of their trades, and the walk over shares that were agreed at creation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.kernel.identifier import trade_number
from tongbao.kernel.money import Money
from tongbao.service.create import Asker
from tongbao.service.payout_line import find_parties
from tongbao.service.platform import Platform
from tongbao.service.split import AT_PAYMENT, Back, ShareTrade
from tongbao.service.view import terms_of
from tongbao.service.wallet import told_buyer
from tongbao.store.schema import BUYER, MERCHANT, SPLIT, SPLIT_PART
from tongbao.trade.payout import same_name
from tongbao.trade.record import Trade
from tongbao.trade.split import SplitPart, SplitRow, Wanted, part_sums
from tongbao.wire.movement import MovementState, QuerySplit, Split, SplitFound, SplitTrade, SplitView
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Outcome

WAITING_MAX: Final = 200
"""Trades whose agreed shares one round of the worker gives."""


def _meant(platform: Platform, protocol: str, merchant_id: str, named: Party) -> Party:
    """The receiver whom a merchant names, maybe by a buyer's number that was told to him alone."""
    if not named.id or not platform.protocol(protocol).own_buyers:
        return named
    return Party(platform.seal.read_open_id(merchant_id, named.id) or named.id, named.login)


async def find_receivers(
    platform: Platform, protocol: str, merchant_id: str, splits: Sequence[Split], *, levels: bool
) -> tuple[Wanted, ...]:
    """Who is meant to receive. With ``levels`` a receiver may pass on of what he was given (see ``trade.split``).
    Raises Refused RECEIVER_UNKNOWN, FIELD_INVALID, AMOUNT_INVALID."""
    meant = [_meant(platform, protocol, merchant_id, split.receiver) for split in splits]
    givers = [_meant(platform, protocol, merchant_id, split.giver) for split in splits]
    found = await find_parties(platform, [*meant, *(one for one in givers if one)])
    wanted = []
    for split, receiver, giver in zip(splits, meant, givers, strict=True):
        further = giver and giver.id != merchant_id and not await _is_merchant(platform, merchant_id, giver)
        if further and not levels:
            raise Refused("FIELD_INVALID", "giver: only the merchant gives shares of his trade")
        if receiver not in found or (further and giver not in found):
            raise Refused("RECEIVER_UNKNOWN", "no such receiver")
        kind, number = found[receiver]
        if platform.protocol(protocol).receiver_kinds.get(split.kind, kind) != kind:
            raise Refused("RECEIVER_UNKNOWN", "the receiver is of another kind")
        if split.name and not await _has_name(platform, kind, number, split.name):
            raise Refused("RECEIVER_UNKNOWN", "the receiver has another name")
        if (split.amount is None) == (split.rate is None):
            raise Refused("AMOUNT_INVALID", "a part is a sum or a rate")
        if split.amount is not None and (split.amount.currency != "CNY" or split.amount.minor <= 0):
            raise Refused("AMOUNT_INVALID", "a part is above zero, in CNY")
        if split.rate is not None and not 0 < split.rate <= 10_000:
            raise Refused("AMOUNT_INVALID", "a rate is from 1 to 10000")
        wanted.append(
            Wanted(
                kind,
                number,
                split.receiver.login,
                split.amount.minor if split.amount is not None else 0,
                split.rate or 0,
                split.memo,
                split.kind,
                *(found[giver] if further else ("", "")),
            )
        )
    return tuple(wanted)


async def _is_merchant(platform: Platform, merchant_id: str, party: Party) -> bool:
    merchant = await platform.merchant(merchant_id)
    return party.id in ("", merchant_id) and party.login in ("", merchant.login)


async def _has_name(platform: Platform, kind: str, number: str, name: str) -> bool:
    rows = await platform.database.load(BUYER if kind == "buyer" else MERCHANT, [(number,)])
    return bool(rows) and same_name(rows[0].name, name)


async def check_shares(platform: Platform, protocol: str, merchant_id: str, intent: CreateTrade) -> None:
    """Whether the shares a trade is to be created with can be given at all. Raises Refused."""
    if intent.splits:
        wanted = await find_receivers(platform, protocol, merchant_id, intent.splits, levels=True)
        if any(one.receiver_id == merchant_id for one in wanted):
            raise Refused("RECEIVER_UNKNOWN", "the merchant cannot receive shares of his own trade")
        part_sums(intent.amount.minor, wanted, intent.amount.minor)


def _digest(splits: Sequence[Split], *, finish: bool) -> str:
    said = [
        [
            split.receiver.id,
            split.receiver.login,
            split.amount.minor if split.amount is not None else None,
            split.rate,
            split.memo,
            split.name,
            split.kind,
        ]
        for split in splits
    ]
    return hashlib.sha256(json.dumps([said, finish]).encode()).hexdigest()


async def _split(platform: Platform, asker: Asker, intent: SplitTrade) -> Outcome:
    if not intent.split_no or intent.split_no == AT_PAYMENT:
        raise Refused("FIELD_INVALID", "split_no: is missing or reserved")
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider)
    wanted = await find_receivers(platform, asker.protocol, asker.merchant_id, intent.splits, levels=False)
    manifest = platform.protocol(asker.protocol)
    await platform.submit(
        ShareTrade(
            asker,
            trade.out_trade_no,
            intent.split_no,
            trade_number(platform.entropy, platform.world.clock.business()),
            wanted,
            intent.finish,
            "asked",
            _digest(intent.splits, finish=intent.finish),
            of_trade=not manifest.split_no_of_merchant,
            as_created=manifest.splits_as_created,
        )
    )
    return SplitFound(await split_view(platform, asker.protocol, trade, intent.split_no))


async def _query(platform: Platform, asker: Asker, intent: QuerySplit) -> Outcome:
    if intent.split_id and not intent.split_no:
        rows = await platform.database.read(
            "split.by_id", {"merchant_id": asker.merchant_id, "split_id": intent.split_id}
        )
        trade = await platform.find_trade(asker.merchant_id, rows[0][0], provider=asker.provider) if rows else None
        if trade is None or intent.trade_no not in ("", trade.trade_no):
            raise Refused("SPLIT_NOT_FOUND", "no such split")
        return SplitFound(await split_view(platform, asker.protocol, trade, rows[0][1]))
    if intent.trade_no or intent.out_trade_no:
        trade = await platform.find_trade(
            asker.merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider
        )
        return SplitFound(await split_view(platform, asker.protocol, trade, intent.split_no))
    where = {"merchant_id": asker.merchant_id, "split_no": intent.split_no}
    rows = await platform.database.read("split.by_no", where)
    if len(rows) != 1:
        raise Refused("SPLIT_NOT_FOUND", "no such split, or several: name the trade")
    trade = await platform.find_trade(asker.merchant_id, rows[0][0], provider=asker.provider)
    return SplitFound(await split_view(platform, asker.protocol, trade, intent.split_no))


async def split_view(platform: Platform, protocol: str, trade: Trade, split_no: str) -> SplitView:
    """One split of a trade as its merchant is told of it over ``protocol``. Raises Refused SPLIT_NOT_FOUND."""
    found: list[SplitRow] = await platform.database.load(SPLIT, [(trade.merchant_id, trade.out_trade_no, split_no)])
    if not found:
        raise Refused("SPLIT_NOT_FOUND", "no such split")
    split = found[0]
    parts = [part for part in await parts_of(platform, trade) if part.split_no == split_no]
    return SplitView(
        merchant=trade.merchant_id,
        split_no=split.split_no,
        split_id=split.split_id,
        trade_no=trade.trade_no,
        out_trade_no=trade.out_trade_no,
        state=MovementState(split.state),
        splits=tuple(
            Split(
                receiver=Party(_told(platform, protocol, part), part.receiver_login),
                amount=Money(part.amount, split.currency),
                memo=part.memo,
                kind=part.relation,
            )
            for part in parts
        ),
        finished=split.finish,
        created_at=split.created_at,
        ended_at=split.created_at,
        code=split.code,
    )


def _told(platform: Platform, protocol: str, part: SplitPart) -> str:
    """A receiver's number as this merchant knows it."""
    if part.receiver == "merchant":
        return part.receiver_id
    return told_buyer(platform, protocol, part.merchant_id, part.receiver_id)


async def parts_of(platform: Platform, trade: Trade) -> list[SplitPart]:
    """Every part of every split of a trade, the oldest first."""
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    rows = await platform.database.read("split.parts", where)
    keys = [(trade.merchant_id, trade.out_trade_no, split_no, n) for split_no, n in rows]
    if not keys:
        return []
    found: list[SplitPart] = await platform.database.load(SPLIT_PART, sorted(keys))
    order = {key: place for place, key in enumerate(keys)}
    return sorted(found, key=lambda part: order[SPLIT_PART.key_of(part)])


async def plan_back(platform: Platform, trade: Trade, splits: Sequence[Split]) -> Back | None:
    """What a refund's ``splits`` take back, for ``service.split.take_back``; None where they name nobody. Raises
    Refused."""
    if not splits:
        return None
    meant = [_meant(platform, trade.protocol, trade.merchant_id, split.receiver) for split in splits]
    found = await find_parties(platform, meant)
    wanted: list[tuple[str, int]] = []
    for split, receiver in zip(splits, meant, strict=True):
        if split.giver and not await _is_merchant(platform, trade.merchant_id, split.giver):
            raise Refused("FIELD_INVALID", "giver: shares come back to the merchant whose trade it is")
        if receiver not in found:
            raise Refused("RECEIVER_UNKNOWN", "no such receiver")
        if split.amount is None or split.amount.minor <= 0 or split.amount.currency != trade.currency:
            raise Refused("AMOUNT_INVALID", "what is given back is a sum above zero")
        wanted.append((found[receiver][1], split.amount.minor))
    parts = await parts_of(platform, trade)
    if not parts:
        raise Refused("SPLIT_NOT_FOUND", "no shares of this trade were given")
    return Back(tuple(wanted), tuple(parts))


async def run_splits(platform: Platform) -> int:
    """The worker's duty: give the shares that were agreed when trades were created, now that they are paid. Returns how
    many trades were shared."""
    rows = await platform.database.read("split.waiting", {"most": WAITING_MAX})
    done = 0
    for merchant_id, out_trade_no in rows:
        trade = await platform.find_trade(merchant_id, out_trade_no)
        splits = terms_of(trade).splits
        try:
            await platform.submit(
                ShareTrade(
                    Asker(merchant_id, trade.protocol),
                    out_trade_no,
                    AT_PAYMENT,
                    trade_number(platform.entropy, platform.world.clock.business()),
                    await _agreed(platform, trade, splits),
                    False,
                    "payment",
                    _digest(splits, finish=False),
                    trade.currency,
                )
            )
        except (Refused, OutcomeUnknown) as error:
            platform.world.log("duty.split", merchant=merchant_id, outcome=str(error))
        else:
            done += 1
    return done


async def _agreed(platform: Platform, trade: Trade, splits: Sequence[Split]) -> tuple[Wanted, ...]:
    """The receivers agreed at creation; one who has gone since is a receiver nobody knows."""
    try:
        return await find_receivers(platform, trade.protocol, trade.merchant_id, splits, levels=True)
    except Refused:
        return (Wanted("buyer", "", "", 1),)


ACTS: Final[dict[type, Callable[[Platform, Asker, Any], Awaitable[Outcome]]]] = {
    SplitTrade: _split,
    QuerySplit: _query,
}
