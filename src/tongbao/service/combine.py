"""Combined orders: opened, paid and closed as a whole, each in one transaction; what becomes of a part afterwards (its
fee, settlement, refunds) is an ordinary trade's."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

from tongbao.kernel.error import Refused, ensure
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.ledger.account import Account, buyer_balance
from tongbao.ledger.entry import Entry
from tongbao.service.capture import balance_payment, capture, capture_accounts
from tongbao.service.command import Needs
from tongbao.service.create import Asker, Opened, OpenTrade, check_provider
from tongbao.service.ended import ended_event
from tongbao.service.escrow import close, find_trade
from tongbao.service.password import TOGETHER
from tongbao.service.pay import active_buyer, check_method, check_payer, consume, open_merchant, payable
from tongbao.service.view import combined_of
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import ACCOUNT, AUTHORISATION, BUYER, COMBINED, COMBINED_TRADE, EVENT, MERCHANT, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.combine import PARTS_MAX, Combined, CombinedTrade, combined_name
from tongbao.trade.party import Merchant
from tongbao.wire.vocabulary import CombinedPart, CreateCombined, CreateTrade, Product

COMBINED_EVENT: Final = "combined:"
"""How the number of a combined order's event begins."""

Part = tuple[str, str]
"""Merchant and number of a part."""


def _trade_of(intent: CreateCombined, part: CombinedPart) -> CreateTrade:
    """What a part would be if it were asked for alone."""
    return CreateTrade(
        merchant=part.merchant or intent.merchant,
        out_trade_no=part.out_trade_no,
        product=Product.INSTANT,
        subject=part.subject,
        amount=part.amount,
        buyer=intent.buyer,
        notify_url=intent.notify_url,
        return_url=intent.return_url,
        expiry=intent.expiry,
        presentation=intent.presentation,
        split_later=part.split_later,
        passback=part.passback,
        client_ip=intent.client_ip,
        combined=combined_name(intent.merchant, intent.out_trade_no),
        echo={**intent.echo, **part.echo},
    )


def _digest(intent: CreateCombined) -> str:
    """Equal for requests that ask for the same: whose orders, for what, until when, by whom to be paid."""
    parts = [
        [part.merchant or intent.merchant, part.out_trade_no, part.amount.minor, part.amount.currency, part.provided]
        for part in intent.parts
    ]
    expiry = None if intent.expiry is None else [intent.expiry.seconds, intent.expiry.at]
    said = [parts, expiry, intent.buyer.id, intent.buyer.login]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@record
class OpenCombined:
    """Open every trade of ``intent``, or none; the equal request again finds them. ``trade_nos`` are the trades'
    numbers if they are new, ``combined_id`` the whole's. The outcome names the first trade.

    Raises Refused as ``OpenTrade`` does for each part; NO_PRIVILEGE for a merchant who has not agreed to the asker as
    his service provider.
    """

    asker: Asker
    intent: CreateCombined
    combined_id: str
    trade_nos: tuple[str, ...]

    @property
    def weight(self) -> int:
        """How much work it is, in single trades."""
        return len(self.intent.parts)

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield COMBINED, (self.asker.merchant_id, self.intent.out_trade_no)
        for part in self.intent.parts:
            merchant_id = part.merchant or self.asker.merchant_id
            yield MERCHANT, (merchant_id,)
            yield TRADE, (merchant_id, part.out_trade_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        asking, intent = self.asker.check(sheet), self.intent
        trades = [_trade_of(intent, part) for part in intent.parts]
        _check_parts(trades)
        known: Combined | None = sheet.get(COMBINED, asking.merchant_id, intent.out_trade_no)
        if known is not None:
            return self._again(sheet, known, trades, now.business)
        rows: list[tuple[Table, Row]] = []
        for part, trade, trade_no in zip(intent.parts, trades, self.trade_nos, strict=True):
            opened = self._open(sheet, asking, part, trade, trade_no, now, lane)
            ensure(opened.outcome.created, "a part is new, as the combined order is")
            rows += opened.rows
        combined = Combined(
            merchant_id=asking.merchant_id,
            out_trade_no=intent.out_trade_no,
            combined_id=self.combined_id,
            protocol=self.asker.protocol,
            amount=sum(trade.amount.minor for trade in trades),
            currency=trades[0].amount.currency,
            notify_url=intent.notify_url or asking.notify_url,
            echo=json.dumps(dict(intent.echo), ensure_ascii=False, sort_keys=True),
            digest=_digest(intent),
            created_at=now.business,
            paid_at=None,
        )
        rows.append((COMBINED, combined))
        for n, trade in enumerate(trades, 1):
            row = CombinedTrade(combined.merchant_id, combined.out_trade_no, n, trade.merchant, trade.out_trade_no)
            rows.append((COMBINED_TRADE, row))
        return Decision(Opened(self.trade_nos[0], True), rows)

    def _again(self, sheet: Sheet, known: Combined, trades: list[CreateTrade], now: Instant) -> Decision:
        if not hmac.compare_digest(known.digest, _digest(self.intent)):
            raise Refused("TRADE_FROZEN", "this number was used for another combined order")
        name = combined_name(known.merchant_id, known.out_trade_no)
        found = [payable(sheet, trade.merchant, trade.out_trade_no, now, name) for trade in trades]
        return Decision(Opened(found[0].trade_no, False))

    def _open(
        self, sheet: Sheet, asking: Merchant, part: CombinedPart, trade: CreateTrade, trade_no: str, now: Now, lane: int
    ) -> Decision:
        merchant: Merchant | None = sheet.get(MERCHANT, trade.merchant)
        if merchant is not None and trade.merchant != asking.merchant_id:
            check_provider(merchant, asking, self.asker.protocol)
        provider = asking.merchant_id if part.provided else ""
        asker = Asker(trade.merchant, self.asker.protocol, provider=provider)
        return OpenTrade(asker, trade, trade_no).decide(sheet, now, lane)


def _check_parts(trades: list[CreateTrade]) -> None:
    if not 1 <= len(trades) <= PARTS_MAX:
        raise Refused("FIELD_INVALID", f"a combined order has 1 to {PARTS_MAX} parts")
    if len({(trade.merchant, trade.out_trade_no) for trade in trades}) < len(trades):
        raise Refused("FIELD_INVALID", "one order stands twice in a combined order")
    if len({trade.amount.currency for trade in trades}) > 1:
        raise Refused("CURRENCY_NOT_ALLOWED", "the parts of a combined order have one currency")


@record
class PaidTogether:
    """Every part was captured. ``payments`` are their numbers, in the order of the parts."""

    payments: tuple[str, ...]


@record
class PayTogether:
    """Pay every part of a combined order out of the buyer's balance, or none. Consumes the authorisation, which names
    the combined order and its sum (T61). ``parts`` are all of its parts, as they were looked up."""

    merchant_id: str
    out_trade_no: str
    parts: tuple[Part, ...]
    buyer_id: str
    authorisation_id: str
    currency: str = "CNY"

    @property
    def weight(self) -> int:
        """How much work it is, in single payments."""
        return len(self.parts)

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer_id,)
        yield AUTHORISATION, (self.authorisation_id,)
        yield COMBINED, (self.merchant_id, self.out_trade_no)
        yield ACCOUNT, (buyer_balance(self.buyer_id, self.currency),)
        for merchant_id, out_trade_no in self.parts:
            yield MERCHANT, (merchant_id,)
            yield TRADE, (merchant_id, out_trade_no)
            for key in capture_accounts(merchant_id, self.currency, lane):
                yield ACCOUNT, key

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        combined: Combined | None = sheet.get(COMBINED, self.merchant_id, self.out_trade_no)
        if combined is None:
            raise Refused("TRADE_NOT_FOUND", "no such combined order")
        name = combined_name(combined.merchant_id, combined.out_trade_no)
        trades = [payable(sheet, *part, now.business, name) for part in self.parts]
        # a trade has one whole and a sum above zero: distinct parts that make up the whole's sum are all of them
        ensure(len(set(self.parts)) == len(trades), "a part is paid once")
        ensure(sum(trade.amount for trade in trades) == combined.amount, "a combined order is paid as a whole")
        buyer = active_buyer(sheet, self.buyer_id)
        for trade in trades:
            check_payer(trade, buyer.buyer_id, buyer.login)
            check_method(trade, "balance")
        consumed = consume(sheet, self.authorisation_id, TOGETHER, buyer, combined, now)
        account: Account | None = sheet.get(ACCOUNT, buyer_balance(buyer.buyer_id, combined.currency))
        if account is None or account.balance < combined.amount or account.frozen:
            raise Refused("INSUFFICIENT_FUNDS", "the balance does not suffice")
        rows: list[tuple[Table, Row]] = []
        entries: list[Entry] = []
        payments: list[str] = []
        for n, trade in enumerate(trades, 1):
            word = f"{self.authorisation_id}:{n}"
            payment = balance_payment(trade, trade.product, self.buyer_id, buyer.login, word, now.business)
            merchant = open_merchant(sheet, trade.merchant_id)
            captured, entry = capture(trade, payment, merchant, account.code, now.business, lane)
            rows += captured
            entries.append(entry)
            payments.append(payment.payment_no)
        paid = replace(combined, paid_at=now.business)
        rows += [(AUTHORISATION, consumed), (COMBINED, paid), *_told(paid, now.business)]
        return Decision(PaidTogether(tuple(payments)), rows, entries)


def _told(combined: Combined, now: Instant) -> list[tuple[Table, Row]]:
    """The event of a paid combined order, where who asked is to be told."""
    if not combined.notify_url:
        return []
    said = {
        "kind": "combined",
        "number": combined.out_trade_no,
        "id": combined.combined_id,
        "protocol": combined.protocol,
    }
    number = COMBINED_EVENT + combined.out_trade_no
    return [(EVENT, ended_event(combined.merchant_id, number, "paid", combined.notify_url, said, now))]


@record
class CloseTogether:
    """End every unpaid part of a combined order; parts that are closed already stay so. ``parts`` are all of its parts;
    ``named`` are those that the request names, which must be the same. The outcome is None.

    Raises Refused TRADE_STATE where it was paid, FIELD_INVALID where a part is not named.
    """

    asker: Asker
    out_trade_no: str
    parts: tuple[Part, ...]
    named: tuple[Part, ...]

    @property
    def weight(self) -> int:
        """How much work it is, in single trades."""
        return len(self.parts)

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        for part in self.parts:
            yield TRADE, part

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        asking = self.asker.check(sheet)
        if sorted(self.named) != sorted(self.parts):
            raise Refused("FIELD_INVALID", "a combined order is closed as a whole: name each of its orders once")
        name = combined_name(asking.merchant_id, self.out_trade_no)
        rows: list[tuple[Table, Row]] = []
        for part in self.parts:
            trade = find_trade(sheet, *part)
            ensure(combined_of(trade) == name, "the parts are of this combined order")
            if trade.state != "closed" or trade.paid_attempt:
                rows += close(trade, "merchant", now.business)[1]
        return Decision(None, rows)
