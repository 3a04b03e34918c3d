"""Payment codes: what a buyer's wallet shows for a minute and a shop's scanner reads, once (T62).

A code is a row of ``authorisation``: granted without a password, for no trade yet, up to a cap, for the sixty seconds
of wire time that it is shown and a little longer. Using it turns the row into the authorisation of exactly the payment
that it made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import MINUTE, SECOND
from tongbao.ledger.account import Account, buyer_balance
from tongbao.service.capture import balance_payment, capture, capture_accounts
from tongbao.service.command import Needs
from tongbao.service.pay import Paid, active_buyer, check_method, check_payer, open_merchant, payable
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import ACCOUNT, AUTHORISATION, BUYER, MERCHANT, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.party import Authorisation
from tongbao.trade.record import Trade

CODE_TIME: Final = 1 * MINUTE
"""How long a wallet shows a payment code, in milliseconds of wire time (T62)."""

CODE_GRACE: Final = 10 * SECOND
"""How much longer a code is taken than it is shown: what a till reads in the last second must still travel to us.
Milliseconds of wire time."""

CODE_CAP: Final = 100_000
"""Minor units that a code pays without a password; above it the buyer agrees in his wallet."""

CODE_DIGITS: Final = 18


def code_key(code: str) -> str:
    """The authorisation's key of a payment code."""
    return f"code:{code}"


@dataclass(frozen=True, slots=True)
class IssueCode:
    """Put down the code that a buyer's wallet shows from now on. ``code``: 18 digits, the first two the brand's."""

    buyer_id: str
    code: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer_id,)
        yield AUTHORISATION, (code_key(self.code),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        buyer = active_buyer(sheet, self.buyer_id)
        if sheet.get(AUTHORISATION, code_key(self.code)) is not None:
            raise Refused("ALREADY_EXISTS", "this code was used before")
        word = Authorisation(
            code_key(self.code), buyer.buyer_id, "code", "", "", CODE_CAP, self.currency, "granted", now.wire
        )
        return Decision(self.code, [(AUTHORISATION, word)])


@dataclass(frozen=True, slots=True)
class PayByCode:
    """Pay a trade out of the balance of whoever shows ``code``; ``buyer_id`` is who that was when it was looked up.

    The code is used up by the first command that reaches it, whatever comes of it. Above the cap the trade stays
    unpaid, the buyer's wallet asks him, and the outcome is Refused BUYER_PAYING.
    """

    merchant_id: str
    out_trade_no: str
    code: str
    buyer_id: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield BUYER, (self.buyer_id,)
        yield AUTHORISATION, (code_key(self.code),)
        yield TRADE, (self.merchant_id, self.out_trade_no)
        yield ACCOUNT, (buyer_balance(self.buyer_id, self.currency),)
        for key in capture_accounts(self.merchant_id, self.currency, lane):
            yield ACCOUNT, key

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = payable(sheet, self.merchant_id, self.out_trade_no, now.business)
        word: Authorisation | None = sheet.get(AUTHORISATION, code_key(self.code))
        if word is None or (word.act, word.state, word.buyer_id) != ("code", "granted", self.buyer_id):
            raise Refused("CODE_INVALID", "unknown or used")
        if now.wire - word.wire_at > CODE_TIME + CODE_GRACE:
            raise Refused("CODE_INVALID", "too old")
        spent = replace(
            word, act="ask", merchant_id=trade.merchant_id, out_trade_no=trade.out_trade_no, amount=trade.amount
        )
        try:
            return self._pay(sheet, trade, spent, now, lane)
        except Refused as refusal:
            # nobody may try one code on many trades: a refusal uses it up as a payment does
            state = "reserved" if refusal.code == "BUYER_PAYING" else "denied"
            return Decision(refusal, [(AUTHORISATION, replace(spent, state=state))])

    def _pay(self, sheet: Sheet, trade: Trade, spent: Authorisation, now: Now, lane: int) -> Decision:
        merchant = open_merchant(sheet, self.merchant_id)
        buyer = active_buyer(sheet, self.buyer_id)
        check_payer(trade, buyer.buyer_id, buyer.login)
        check_method(trade, "balance")
        if trade.product == "dual":
            raise Refused("METHOD_NOT_ALLOWED", "at a counter a trade is instant")
        account: Account | None = sheet.get(ACCOUNT, buyer_balance(buyer.buyer_id, trade.currency))
        if account is None or account.balance < trade.amount or account.frozen:
            raise Refused("INSUFFICIENT_FUNDS", "the balance does not suffice")
        if trade.amount > CODE_CAP:
            raise Refused("BUYER_PAYING", "the sum needs the buyer's pay password")
        payment = balance_payment(
            trade, trade.product, buyer.buyer_id, buyer.login, spent.authorisation_id, now.business
        )
        rows: list[tuple[Table, Row]]
        rows, entry = capture(trade, payment, merchant, account.code, now.business, lane)
        paid: Trade = next(row for table, row in rows if table is TRADE)
        used = replace(spent, act="pay", state="used")
        return Decision(Paid(trade.trade_no, paid.state, payment.payment_no), [*rows, (AUTHORISATION, used)], [entry])


@dataclass(frozen=True, slots=True)
class Consent:
    """A buyer lets a merchant know his number: put down the single-use ``code`` that the merchant exchanges."""

    buyer_id: str
    merchant_id: str
    code: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield BUYER, (self.buyer_id,)
        yield AUTHORISATION, (f"consent:{self.code}",)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        open_merchant(sheet, self.merchant_id)
        buyer = active_buyer(sheet, self.buyer_id)
        if sheet.get(AUTHORISATION, f"consent:{self.code}") is not None:
            raise Refused("ALREADY_EXISTS", "this code was used before")
        # the table's sums are above zero; a consent moves none
        word = Authorisation(
            f"consent:{self.code}",
            buyer.buyer_id,
            "consent",
            self.merchant_id,
            "",
            1,
            self.currency,
            "granted",
            now.wire,
        )
        return Decision(self.code, [(AUTHORISATION, word)])


@dataclass(frozen=True, slots=True)
class UseConsent:
    """Exchange a consent's code, once, within five minutes. The outcome is the buyer's number."""

    merchant_id: str
    code: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield AUTHORISATION, (f"consent:{self.code}",)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        word: Authorisation | None = sheet.get(AUTHORISATION, f"consent:{self.code}")
        if word is None or (word.state, word.merchant_id) != ("granted", self.merchant_id):
            raise Refused("CODE_INVALID", "unknown, used, or another merchant's")
        if now.wire - word.wire_at > 5 * MINUTE:
            raise Refused("CODE_INVALID", "too old")
        return Decision(word.buyer_id, [(AUTHORISATION, replace(word, state="used"))])
