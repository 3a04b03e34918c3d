"""What a buyer's wallet does, as async steps: show a code, open what was scanned, agree to be known.

These orchestrate commands; no rule is here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.kernel.identifier import digits
from tongbao.service.code import CODE_DIGITS, Consent, IssueCode, PayByCode, UseConsent, code_key
from tongbao.service.create import Asker
from tongbao.service.pay import Paid
from tongbao.service.platform import Platform
from tongbao.service.view import provider_of
from tongbao.store.schema import AUTHORISATION
from tongbao.trade.record import Trade
from tongbao.wire.movement import ExchangeCode, IdentityFound
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Outcome, TradeView

TOKEN_SECONDS: Final = 7_200
REFRESH_SECONDS: Final = 30 * 86_400

_TRADE_CODE: Final = re.compile(r"(?<![0-9a-z])(?:wx(?:[0-9]{14})?)?([0-9a-z]{32})(?![0-9a-z])", re.ASCII)
"""A trade's code by itself, or as prepared payments are numbered: with letters and a time before it."""


async def issue_code(platform: Platform, buyer_id: str, prefix: str) -> str:
    """A fresh payment code of a brand (its first digits), to be shown for ``CODE_TIME``. Raises Refused."""
    code = prefix + digits(platform.entropy, CODE_DIGITS - len(prefix))
    issued: str = await platform.submit(IssueCode(buyer_id, code))
    return issued


async def pay_by_code(platform: Platform, merchant_id: str, out_trade_no: str, code: str) -> Paid:
    """Pay a trade with the code a buyer shows. Raises Refused CODE_INVALID, BUYER_PAYING, INSUFFICIENT_FUNDS and what
    paying raises."""
    words = await platform.database.load(AUTHORISATION, [(code_key(code),)])
    if not words:
        raise Refused("CODE_INVALID", "unknown")
    paid: Paid = await platform.submit(PayByCode(merchant_id, out_trade_no, code, words[0].buyer_id))
    return paid


async def open_scanned(platform: Platform, text: str) -> Trade:
    """The trade behind what a wallet scanned or was handed: the address in a QR code, the number of a prepared payment,
    or a page's whole request with one of these inside. Raises Refused TRADE_NOT_FOUND."""
    for match in _TRADE_CODE.finditer(text):
        trade_no = platform.seal.read_trade_code(match[1])
        if trade_no is not None:
            return await platform.trade_by_no(trade_no)
    raise Refused("TRADE_NOT_FOUND", "no code of ours")


async def trades_asked(platform: Platform, buyer_id: str) -> list[Trade]:
    """Unpaid trades above the cap whose shops scanned this buyer's code: he agrees to each with his pay password."""
    rows = await platform.database.read("authorisation.asked", {"buyer_id": buyer_id})
    return [await platform.trade_by_no(str(row[0])) for row in rows]


async def consent(platform: Platform, buyer_id: str, merchant_id: str) -> str:
    """A word that the merchant may exchange once for the buyer's number. Raises Refused."""
    code: str = await platform.submit(Consent(buyer_id, merchant_id, platform.new_token()))
    return code


def told_buyer(platform: Platform, protocol: str, merchant_id: str, buyer_id: str) -> str:
    """A buyer's number as this protocol tells it to this merchant."""
    if buyer_id and platform.protocol(protocol).own_buyers:
        return platform.seal.open_id(merchant_id, buyer_id)
    return buyer_id


def told_view(platform: Platform, trade: Trade, view: TradeView) -> TradeView:
    """A view with the buyer under the number that this merchant knows; where a service provider asked, under his, and
    the merchant's beside it."""
    told = told_buyer(platform, trade.protocol, trade.merchant_id, view.buyer.id)
    if told == view.buyer.id:
        return view
    provider = provider_of(trade)
    if not provider:
        return replace(view, buyer=Party(told, view.buyer.login))
    known = told_buyer(platform, trade.protocol, provider, view.buyer.id)
    return replace(view, buyer=Party(known, view.buyer.login), buyer_alias=told)


def meant_buyer(platform: Platform, protocol: str, merchant_id: str, named: Party, provider: str = "") -> Party:
    """The buyer whom a merchant names by the number he was told, or by the one that ``provider`` was told, who asks in
    his name. Raises Refused BUYER_UNKNOWN."""
    if not named.id or not platform.protocol(protocol).own_buyers:
        return named
    buyer_id = platform.seal.read_open_id(merchant_id, named.id)
    if buyer_id is None and provider:
        buyer_id = platform.seal.read_open_id(provider, named.id)
    if buyer_id is None:
        raise Refused("BUYER_UNKNOWN", "the buyer's number is not one that was told to this merchant")
    return Party(buyer_id, named.login)


async def check_buyer(platform: Platform, protocol: str, meant: Party) -> None:
    """Whether the buyer is there whose wallet alone may pay a trade. Raises Refused BUYER_UNKNOWN."""
    if platform.protocol(protocol).own_buyers:
        return  # the number was told to this merchant by us
    if meant.id:
        await platform.buyer(meant.id)
    elif meant.login:
        await platform.buyer_by_login(meant.login)


async def exchange_code(platform: Platform, asker: Asker, intent: ExchangeCode) -> IdentityFound:
    """The buyer behind a consent's code (once) or a refresh word, under the number that the asker knows. Raises Refused
    CODE_INVALID, AUTHORISATION_INVALID."""
    now = platform.world.clock.wire()
    if intent.refresh:
        buyer_id = platform.seal.read_refresh(intent.refresh, intent.merchant, now, REFRESH_SECONDS)
        if buyer_id is None:
            raise Refused("AUTHORISATION_INVALID", "the refresh word is unknown or too old")
    else:
        buyer_id = await platform.submit(UseConsent(intent.merchant, intent.code))
    buyer = await platform.buyer(buyer_id)
    told = told_buyer(platform, asker.protocol, intent.merchant, buyer_id)
    return IdentityFound(
        Party(told, buyer.login),
        platform.seal.refresh("access", intent.merchant, buyer_id, now),
        platform.seal.refresh("refresh", intent.merchant, buyer_id, now),
        TOKEN_SECONDS,
        REFRESH_SECONDS,
    )


ACTS: Final[dict[type, Callable[[Platform, Asker, Any], Awaitable[Outcome]]]] = {ExchangeCode: exchange_code}
