"""From a verified intent to an outcome: the joint between faces and rules. One function per intent.

What happens to money after the payment has modules of its own; each brings a table ``ACTS`` that is gathered here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.kernel.time import HOUR
from tongbao.service.bill_act import ACTS as BILL_ACTS
from tongbao.service.certificate_act import ACTS as CERTIFICATE_ACTS
from tongbao.service.combine_act import ACTS as COMBINE_ACTS
from tongbao.service.create import Asker, Opened, OpenTrade, check_provider
from tongbao.service.escrow import Close, Ship
from tongbao.service.notice import event_key
from tongbao.service.payout_act import ACTS as PAYOUT_ACTS
from tongbao.service.platform import Platform
from tongbao.service.refund_act import ACTS as REFUND_ACTS
from tongbao.service.refund_act import with_return
from tongbao.service.seen import take_once
from tongbao.service.split_act import ACTS as SPLIT_ACTS
from tongbao.service.split_act import check_shares
from tongbao.service.split_return import ACTS as SPLIT_RETURN_ACTS
from tongbao.service.view import view_now, view_then
from tongbao.service.wallet import ACTS as WALLET_ACTS
from tongbao.service.wallet import check_buyer, meant_buyer, pay_by_code, told_view
from tongbao.store.record import Attempt
from tongbao.store.schema import EVENT
from tongbao.trade.record import Event, Trade
from tongbao.wire.contract import Verified
from tongbao.wire.vocabulary import (
    CloseTrade,
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    Done,
    EnterTrade,
    Outcome,
    Presentation,
    QueryTrade,
    RequestTimestamp,
    ShipTrade,
    TimestampIssued,
    TradeFound,
    TradeOpened,
    TradeView,
)

CONFIRM_TIME: Final = 25 * HOUR
"""How long the id of a notification that was given up is still confirmed: as long as a whole timetable."""


async def act(platform: Platform, protocol: str, verified: Verified) -> Outcome:
    """Carry out what a merchant asked over ``protocol``. Raises Refused, OutcomeUnknown, RemoteProtocolError STALE for
    a request that was seen before."""
    intent, key = verified.intent, verified.key
    asker = Asker(intent.merchant, protocol, key.id if key else "", key.version if key else 0, verified.provider)
    carry_out = _ACTS.get(type(intent))
    if carry_out is None:
        raise Refused("UNKNOWN_SERVICE", type(intent).__name__)
    if verified.once:
        word = f"{protocol}:{asker.signer}:{verified.once}"
        if not await take_once(platform, word, intent):
            raise RemoteProtocolError("nonce", "was seen before", "STALE")
    if asker.provider:
        # a look at the books is no command: what commands check once more, whoever only looks is told here
        merchant, provider = await platform.merchant(asker.merchant_id), await platform.merchant(asker.provider)
        check_provider(merchant, provider, protocol)
    return await carry_out(platform, asker, intent)


async def see_trade(platform: Platform, trade: Trade) -> TradeView:
    """The trade as it stands, with the merchant's login where the request named none."""
    merchant = await platform.merchant(trade.merchant_id)
    view = told_view(platform, trade, view_now(trade, await platform.payment_of(trade), merchant.login))
    return await with_return(platform, trade, view)


def cashier_url(platform: Platform, trade_no: str) -> str:
    """A fresh link to a trade's cashier."""
    word = platform.seal.cashier_word(trade_no, platform.world.clock.wire())
    return f"{platform.settings.base_url}/cashier/{word}"


async def _create(platform: Platform, asker: Asker, intent: CreateTrade) -> Outcome:
    if intent.anti_phishing_key:
        code = platform.seal.read_phishing_key(intent.anti_phishing_key, intent.merchant, platform.world.clock.wire())
        if code:
            raise Refused(code, "anti_phishing_key")
    meant = meant_buyer(platform, asker.protocol, intent.merchant, intent.buyer, asker.provider)
    if meant is not intent.buyer:
        intent = replace(intent, buyer=meant)
    if intent.presentation is Presentation.WALLET:
        await check_buyer(platform, asker.protocol, meant)
    await check_shares(platform, asker.protocol, asker.merchant_id, intent)
    opened: Opened = await platform.submit(OpenTrade(asker, intent, platform.new_trade_no()))
    if intent.presentation is Presentation.BARCODE:
        await pay_by_code(platform, intent.merchant, intent.out_trade_no, intent.code)
        return TradeFound(await see_trade(platform, await platform.find_trade(intent.merchant, intent.out_trade_no)))
    # nobody reads the code of a trade whose buyer is sent to our page
    code = "" if intent.presentation is Presentation.PAGE else platform.seal.trade_code(opened.trade_no)
    return TradeOpened(opened.trade_no, cashier_url(platform, opened.trade_no), code)


async def _query(platform: Platform, asker: Asker, intent: QueryTrade) -> Outcome:
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider)
    return TradeFound(await see_trade(platform, trade))


async def _close(platform: Platform, asker: Asker, intent: CloseTrade) -> Outcome:
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider)
    await platform.submit(Close(asker, trade.out_trade_no))
    return Done(await see_trade(platform, await platform.find_trade(trade.merchant_id, trade.out_trade_no)))


async def _ship(platform: Platform, asker: Asker, intent: ShipTrade) -> Outcome:
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider)
    await platform.submit(Ship(asker, trade.out_trade_no, intent.carrier, intent.tracking_no))
    return Done(await see_trade(platform, await platform.find_trade(trade.merchant_id, trade.out_trade_no)))


async def _confirm(platform: Platform, asker: Asker, intent: ConfirmNotification) -> Outcome:
    """Whether an id is ours, for this merchant, and not used up; a return's id lives for a minute, that of a
    notification which was given up for ``CONFIRM_TIME`` after its last delivery."""
    word = intent.notification_id
    if not asker.merchant_id or not word:
        return Confirmed(False, understood=False)
    found = platform.seal.read_event_id(word)
    if found is None:
        trade_no = platform.seal.read_return_id(word, platform.world.clock.wire())
        if trade_no is None or not await _is_of(platform, trade_no, asker.merchant_id):
            return Confirmed(False)
        return Confirmed(True, trade=await see_trade(platform, await platform.trade_by_no(trade_no)))
    trade_no, seq = found
    rows = await platform.database.read("trade.by_no", {"trade_no": trade_no})
    if not rows:
        return Confirmed(await _is_of_payouts(platform, trade_no, asker.merchant_id))
    if rows[0][0] != asker.merchant_id:
        return Confirmed(False)
    events = await platform.database.load(EVENT, [(rows[0][0], rows[0][1], seq)])
    if not events or not events[0].target:
        return Confirmed(False)
    dead = events[0].notify_state == "dead"
    if not (await _was_sent_lately(platform, events[0]) if dead else events[0].notify_state == "pending"):
        return Confirmed(False)
    trade = await platform.trade_by_no(trade_no)
    merchant = await platform.merchant(trade.merchant_id)
    return Confirmed(True, trade=told_view(platform, trade, view_then(trade, events[0].snapshot, merchant.login)))


async def _is_of_payouts(platform: Platform, number: str, merchant_id: str) -> bool:
    """Whether the id is of a payout's or a batch's notification to this merchant that is live."""
    key = await event_key(platform, number)
    if key is None or key[0] != merchant_id:
        return False
    events: list[Event] = await platform.database.load(EVENT, [(*key, 1)])
    if not events or not events[0].target:
        return False
    dead = events[0].notify_state == "dead"
    return await _was_sent_lately(platform, events[0]) if dead else events[0].notify_state == "pending"


async def _was_sent_lately(platform: Platform, event: Event) -> bool:
    where = {"merchant_id": event.merchant_id, "out_trade_no": event.out_trade_no}
    attempts = [Attempt(*row) for row in await platform.database.read("attempt.of_trade", where)]
    last = max((attempt.at for attempt in attempts if attempt.seq == event.seq), default=event.at)
    return platform.world.clock.business() < last + CONFIRM_TIME


async def _is_of(platform: Platform, trade_no: str, merchant_id: str) -> bool:
    rows = await platform.database.read("trade.by_no", {"trade_no": trade_no})
    return bool(rows) and rows[0][0] == merchant_id


async def _timestamp(platform: Platform, asker: Asker, intent: RequestTimestamp) -> Outcome:
    merchant = await platform.merchant(asker.merchant_id)
    if merchant.status != "approved":
        raise Refused("MERCHANT_DISABLED", f"the merchant is {merchant.status}")
    if asker.protocol not in json.loads(merchant.protocols):
        raise Refused("NO_PRIVILEGE", "this interface is not opened for the merchant")
    return TimestampIssued(platform.seal.phishing_key(asker.merchant_id, platform.world.clock.wire()))


async def _enter(platform: Platform, asker: Asker, intent: EnterTrade) -> Outcome:
    """The cashier of a trade that this merchant prepared; anybody else's is as unknown as none (T57)."""
    trade_no = platform.seal.read_trade_code(intent.code)
    trade = await platform.trade_by_no(trade_no) if trade_no is not None else None
    if trade is None or trade.merchant_id != asker.merchant_id:
        raise Refused("TRADE_NOT_FOUND", "no such trade")
    return TradeOpened(trade.trade_no, cashier_url(platform, trade.trade_no), intent.code)


Act = Callable[[Platform, Asker, Any], Awaitable[Outcome]]

_ACTS: Final[dict[type, Act]] = {
    CreateTrade: _create,
    QueryTrade: _query,
    CloseTrade: _close,
    ShipTrade: _ship,
    ConfirmNotification: _confirm,
    RequestTimestamp: _timestamp,
    EnterTrade: _enter,
    **BILL_ACTS,
    **CERTIFICATE_ACTS,
    **COMBINE_ACTS,
    **PAYOUT_ACTS,
    **REFUND_ACTS,
    **SPLIT_ACTS,
    **SPLIT_RETURN_ACTS,
    **WALLET_ACTS,
}
