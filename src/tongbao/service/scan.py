"""A scanned code that names a product and no order: the platform asks the shop, whose answer is the order to be paid.

Nothing here decides: a code is believed by its merchant's signature, the shop's answer likewise, and what it opened is
a trade like any other, which the buyer sees and pays with his pay password.
"""

from __future__ import annotations

from tongbao.kernel.error import OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.service.create import check_address
from tongbao.service.platform import Platform
from tongbao.service.wallet import open_scanned, told_buyer
from tongbao.trade.agreement import read_agreement
from tongbao.trade.party import Merchant
from tongbao.trade.record import Trade
from tongbao.wire.contract import Claim, ProductEnd
from tongbao.wire.http import Response
from tongbao.wire.key import KeyRing
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.world import CALL_LIMITS, Limits, NoAnswer, NotSent

ASK_LIMITS = Limits(
    connect_seconds=CALL_LIMITS.connect_seconds, first_byte_seconds=10, total_seconds=15, answer_bytes=65_536
)
"""The buyer stands and waits while the shop opens his order, so it has fifteen seconds; its answer is a few lines."""


class ShopSilent(OutcomeUnknown):
    """The shop could not be reached, or did not answer in time. It may have opened an order, which then expires."""


class ShopRefused(Refused):
    """The shop answered and opened nothing that can be paid; ``detail`` may be its own words, signed by it."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("TRADE_NOT_FOUND", detail)


def claim_product(text: str) -> tuple[str, ProductEnd, Claim] | None:
    """The protocol whose code of a product this is, and who says so; None where it is none. Raises
    RemoteProtocolError where it begins like one and is none that can be read."""
    for name in protocol_names():
        end = load_protocol(name).product_codes
        claim = end.claim(text) if end is not None else None
        if end is not None and claim is not None:
            return name, end, claim
    return None


async def open_product(platform: Platform, name: str, end: ProductEnd, claim: Claim, buyer_id: str) -> Trade:
    """The trade that the shop opened for this buyer when his code was scanned.

    Raises RemoteProtocolError where the code is not signed by its merchant, Refused where he may not trade or has
    given no address for this, ShopSilent, ShopRefused."""
    ring = await platform.rings.ring(claim.merchant, name)
    end.check(claim, ring)
    merchant = await platform.merchant(claim.merchant)
    target = _address(platform, name, merchant)
    told = told_buyer(platform, name, merchant.merchant_id, buyer_id)
    request = end.ask(claim, told, target, ring, platform.world.clock.wire())
    try:
        response = await platform.world.send(request, ASK_LIMITS)
    except (NotSent, NoAnswer) as error:
        platform.world.log("product.silent", merchant=merchant.merchant_id, reason=error.reason)
        raise ShopSilent(error.reason) from error
    trade = await open_scanned(platform, _opened(platform, end, claim, ring, response))
    if trade.merchant_id != merchant.merchant_id:
        raise ShopRefused("the order is another merchant's")
    return trade


def _address(platform: Platform, name: str, merchant: Merchant) -> str:
    """Where this merchant wants to be asked. Raises Refused."""
    if merchant.status != "approved":
        raise Refused("MERCHANT_DISABLED", f"the merchant is {merchant.status}")
    target = read_agreement(merchant.settings).product_url(name)
    if not target:
        raise Refused("NO_PRIVILEGE", "product_urls: the merchant has given no address to be asked at")
    check_address("product_urls", target, merchant)
    return target


def _opened(platform: Platform, end: ProductEnd, claim: Claim, ring: KeyRing, response: Response) -> str:
    try:
        return end.read(claim, response, ring)
    except RemoteProtocolError as error:
        platform.world.log("product.answer", merchant=claim.merchant, field=error.field, reason=error.reason)
        raise ShopRefused from error
    except Refused as error:
        raise ShopRefused(error.detail) from error
