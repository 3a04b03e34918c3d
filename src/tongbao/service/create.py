"""Creating a trade: who asks, with which key, for what; the same number again opens the same trade."""

from __future__ import annotations

import json
from functools import lru_cache

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import DAY, MINUTE, SECOND, Instant, next_midnight
from tongbao.service.command import Needs
from tongbao.service.move import record as record_move
from tongbao.service.term import dump_terms, hash_terms
from tongbao.service.view import terms_of
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import MERCHANT, MERCHANT_KEY, SHARE, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.agreement import read_agreement
from tongbao.trade.party import Merchant, MerchantKey
from tongbao.trade.record import EXPIRY_DEFAULT, Trade
from tongbao.trade.settlement import new_share
from tongbao.trade.state import TradeState
from tongbao.wire.bank import BANKS
from tongbao.wire.http import split_url
from tongbao.wire.loader import load_protocol
from tongbao.wire.sign import is_weak
from tongbao.wire.vocabulary import CreateTrade, Presentation

RESERVED = ("payout:", "payouts:", "refunds:", "combined:")
"""How no merchant's number of a trade begins: results of payouts, batches and combined orders stand under such
numbers in the outbox."""

FACE_TO_FACE = frozenset((Presentation.QR, Presentation.BARCODE, Presentation.WALLET))
"""Where a trade is meant to be paid at once."""

EXPIRY_RANGE = (1 * MINUTE, 15 * DAY)
"""The unpaid time-out a merchant may ask for."""


@record
class Asker:
    """Who asks and how he proved it: the key is checked again here, so that a revocation holds at once.

    ``key_id`` '' means that the protocol leaves this operation unsigned, or that the platform itself asks. ``provider``
    is the service provider whose key it is, where he asks in the merchant's name; the merchant's agreement must name
    him, which is checked again here, too.
    """

    merchant_id: str
    protocol: str
    key_id: str = ""
    key_version: int = 0
    provider: str = ""

    @property
    def signer(self) -> str:
        """Whose key proved the request."""
        return self.provider or self.merchant_id

    def needs(self) -> Needs:
        """The rows ``check`` reads."""
        yield MERCHANT, (self.merchant_id,)
        if self.provider:
            yield MERCHANT, (self.provider,)
        if self.key_id:
            yield MERCHANT_KEY, (self.signer, self.protocol, self.key_id)

    def check(self, sheet: Sheet) -> Merchant:
        """The merchant, if he may act now. Raises Refused."""
        merchant: Merchant | None = sheet.get(MERCHANT, self.merchant_id)
        if merchant is None:
            raise Refused("UNKNOWN_MERCHANT", "no merchant by that number")
        if merchant.status != "approved":
            raise Refused("MERCHANT_DISABLED", f"the merchant is {merchant.status}")
        if self.provider:
            check_provider(merchant, sheet.get(MERCHANT, self.provider), self.protocol)
        if self.key_id:
            key: MerchantKey | None = sheet.get(MERCHANT_KEY, self.signer, self.protocol, self.key_id)
            if key is None or key.version != self.key_version:
                raise Refused("KEY_UNKNOWN", "the key was replaced")
            if key.state not in ("active", "retiring"):
                raise Refused("KEY_REVOKED", f"the key is {key.state}")
        return merchant

    def signs_weakly(self, sheet: Sheet) -> bool:
        """Whether the key that proved the request makes MD5 signatures (T12)."""
        if not self.key_id:
            return False
        key: MerchantKey = sheet.get(MERCHANT_KEY, self.signer, self.protocol, self.key_id)
        return is_weak(key.algorithm)


def check_provider(merchant: Merchant, provider: Merchant | None, protocol: str) -> None:
    """Whether a service provider may act in a merchant's name over ``protocol``: only for who agreed to him, and while
    he himself may act. Raises Refused NO_PRIVILEGE, MERCHANT_DISABLED."""
    if provider is None or provider.merchant_id not in read_agreement(merchant.settings).providers:
        raise Refused("NO_PRIVILEGE", "the merchant has not agreed to this service provider")
    if provider.status != "approved":
        raise Refused("MERCHANT_DISABLED", f"the service provider is {provider.status}")
    if protocol not in _listed(provider.protocols):
        raise Refused("NO_PRIVILEGE", f"{protocol} is not opened for the service provider")


@record
class Opened:
    """The trade's number, and whether this command created it."""

    trade_no: str
    created: bool


@record
class OpenTrade:
    """Create the trade of ``intent``, or find the equal one under the same number. ``trade_no`` is used if it is
    new."""

    asker: Asker
    intent: CreateTrade
    trade_no: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield TRADE, (self.asker.merchant_id, self.intent.out_trade_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant = self.asker.check(sheet)
        intent = replace(_complete(self.intent, merchant), provider=self.asker.provider)
        _check_merchant(intent, merchant, self.asker.protocol)
        _check_terms(intent, now)
        if self.asker.signs_weakly(sheet) and intent.amount.minor > read_agreement(merchant.settings).weak_most:
            raise Refused("SIGNATURE_WEAK_LIMIT", "the sum is above what an MD5 signature may ask for")
        known: Trade | None = sheet.get(TRADE, merchant.merchant_id, intent.out_trade_no)
        if known is not None:
            _check_same(known, intent, now.business)
            return Decision(Opened(known.trade_no, False))
        trade = _open(self.trade_no, self.asker.protocol, intent, now)
        shares = _shares(trade, intent) if intent.splits or intent.split_later else []
        if trade.product == "instant":
            return Decision(Opened(trade.trade_no, True), [(TRADE, trade), *shares])
        # the escrow interfaces tell the merchant of the unpaid trade, so its creation is an event
        trade, rows = record_move(trade, "", TradeState.UNPAID, "created", now.business, None)
        return Decision(Opened(trade.trade_no, True), [*rows, *shares])


def _shares(trade: Trade, intent: CreateTrade) -> list[tuple[Table, Row]]:
    """What splits and settlement are to know of a trade from the beginning."""
    row = new_share(trade.merchant_id, trade.out_trade_no, later=intent.split_later, waiting=bool(intent.splits))
    return [(SHARE, row)]


def _complete(intent: CreateTrade, merchant: Merchant) -> CreateTrade:
    """A missing notification or return address means the registered one."""
    if intent.notify_url and intent.return_url:
        return intent
    return replace(
        intent,
        notify_url=intent.notify_url or merchant.notify_url,
        return_url=intent.return_url or merchant.return_url,
    )


def _check_merchant(intent: CreateTrade, merchant: Merchant, protocol: str) -> None:
    if protocol not in _listed(merchant.protocols) or str(intent.product) not in _listed(merchant.products):
        raise Refused("NO_PRIVILEGE", f"{intent.product} over {protocol} is not opened for this merchant")
    if merchant.anti_phishing and not intent.anti_phishing_key:
        raise Refused("ANTI_PHISHING_INVALID", "anti_phishing_key is required for this merchant")
    if merchant.anti_phishing and not intent.client_ip:
        raise Refused("CLIENT_IP_INVALID", "the buyer's address is required for this merchant")
    if intent.seller.id not in ("", merchant.merchant_id) or intent.seller.login not in ("", merchant.login):
        raise Refused("SELLER_UNKNOWN", "the seller is not this merchant")
    if intent.buyer.id == merchant.merchant_id or intent.buyer.login == merchant.login:
        raise Refused("BUYER_IS_SELLER", "the named buyer is the seller")
    hosts = _listed(merchant.hosts)
    for field in ("notify_url", "return_url", "error_url", "show_url"):
        _check_address(field, getattr(intent, field), hosts, merchant.environment, listed=field != "show_url")


@lru_cache(1_024)
def _listed(text: str) -> tuple[str, ...]:
    """A merchant's list, which he has as a JSON array."""
    return tuple(json.loads(text))


def check_address(field: str, url: str, merchant: Merchant) -> None:
    """Whether a merchant may have a buyer or a message sent to ``url``. Raises Refused URL_NOT_ALLOWED."""
    _check_address(field, url, _listed(merchant.hosts), merchant.environment, listed=True)


def _check_address(field: str, url: str, hosts: tuple[str, ...], environment: str, *, listed: bool) -> None:
    if not url:
        return
    try:
        scheme, authority, _, _ = split_url(url)
    except ValueError as error:
        raise Refused("URL_NOT_ALLOWED", f"{field} {error}") from error
    if environment == "production" and listed:
        if scheme != "https":
            raise Refused("URL_NOT_ALLOWED", f"{field} is not https")
        if not hosts:
            # an operator's approval of the hosts stands in for a challenge to the address (T79): without any, none
            raise Refused("URL_NOT_ALLOWED", f"{field}: the merchant has registered no host")
    host = authority.rsplit(":", 1)[0] if not authority.endswith("]") else authority
    if listed and hosts and host.lower() not in hosts:
        raise Refused("URL_NOT_ALLOWED", f"{field} names a host the merchant has not registered")


def _check_terms(intent: CreateTrade, now: Now) -> None:
    if intent.out_trade_no.startswith(RESERVED):
        raise Refused("FIELD_INVALID", f"out_trade_no: {', '.join(RESERVED)} are reserved beginnings")
    if intent.amount.minor <= 0:
        raise Refused("AMOUNT_NOT_POSITIVE", "the sum to pay is not above zero")
    if intent.amount.currency != "CNY":
        raise Refused("CURRENCY_NOT_ALLOWED", intent.amount.currency)
    if intent.bank and intent.bank not in BANKS:
        raise Refused("BANK_UNKNOWN", intent.bank)
    if intent.expiry is not None and not intent.expiry.at_midnight:
        low, high = EXPIRY_RANGE
        if intent.expiry.at is None and not low <= intent.expiry.seconds * SECOND <= high:
            raise Refused("EXPIRY_INVALID", "the unpaid time-out is between one minute and 15 days")
        if intent.expiry.at is not None and not now.wire < intent.expiry.at <= now.wire + high:
            raise Refused("EXPIRY_INVALID", "the trade would close in the past, or more than 15 days ahead")


def _check_same(known: Trade, intent: CreateTrade, now: Instant) -> None:
    """The same number again: equal in what is frozen, or refused by the name of the difference (T28)."""
    if known.state != "unpaid":
        raise Refused("TRADE_NOT_PAYABLE", f"the trade is {known.state}", known.state)
    if known.due_at is not None and known.due_at <= now:
        raise Refused("TRADE_NOT_PAYABLE", "the time to pay is over", "closed")
    first = terms_of(known)
    for code, old, new in (
        ("TRADE_FROZEN", known.product, str(intent.product)),
        ("TRADE_AMOUNT_MISMATCH", (known.amount, known.currency), (intent.amount.minor, intent.amount.currency)),
        ("TRADE_PRICE_MISMATCH", first.price, intent.price),
        ("TRADE_QUANTITY_MISMATCH", first.quantity, intent.quantity),
        ("TRADE_SELLER_MISMATCH", first.seller, intent.seller),
        ("TRADE_BUYER_MISMATCH", first.buyer, intent.buyer),
        ("TRADE_FROZEN", first.expiry, intent.expiry),
        ("TRADE_FROZEN", first.provider, intent.provider),
        ("TRADE_FROZEN", first.combined, intent.combined),
    ):
        if old != new:
            raise Refused(code, f"first {old!r}, now {new!r}")


def _default(protocol: str, place: Presentation) -> int:
    """Milliseconds that a trade waits for its buyer where nobody said how long."""
    manifest = load_protocol(protocol)
    seconds = manifest.counter_seconds if place in FACE_TO_FACE else 0
    return (seconds or manifest.wait_seconds) * SECOND or EXPIRY_DEFAULT


def _open(trade_no: str, protocol: str, intent: CreateTrade, clock: Now) -> Trade:
    now = clock.business
    if intent.expiry is None:
        due = Instant(now + _default(protocol, intent.presentation))
    elif intent.expiry.at is not None:
        due = Instant(now + intent.expiry.at - clock.wire)
    elif intent.expiry.at_midnight:
        due = next_midnight(now)
    else:
        due = Instant(now + intent.expiry.seconds * SECOND)
    terms = dump_terms(intent)
    return Trade(
        merchant_id=intent.merchant,
        out_trade_no=intent.out_trade_no,
        trade_no=trade_no,
        protocol=protocol,
        product=str(intent.product),
        state="unpaid",
        flow="",
        amount=intent.amount.minor,
        currency=intent.amount.currency,
        fee=0,
        refunded=0,
        refund_state="",
        buyer_id="",
        buyer_login="",
        carrier="",
        tracking_no="",
        attempts=0,
        paid_attempt=0,
        version=0,
        created_at=now,
        paid_at=None,
        shipped_at=None,
        ended_at=None,
        moved_at=now,
        due_at=due,
        terms=terms,
        terms_hash=hash_terms(intent, terms),
    )
