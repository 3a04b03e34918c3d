"""Paying: from a balance with a single-use authorisation, or by starting a payment at a bank or an outlet."""

from __future__ import annotations

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import MINUTE, SECOND, Instant
from tongbao.ledger.account import Account, buyer_balance
from tongbao.service.capture import balance_payment, capture, capture_accounts, choose_flow
from tongbao.service.command import Needs
from tongbao.service.view import combined_of, named_buyer, named_methods
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import ACCOUNT, AUTHORISATION, BUYER, INSTRUCTION, MERCHANT, PAYMENT, TRADE
from tongbao.store.sheet import Sheet
from tongbao.trade.combine import Combined
from tongbao.trade.party import AUTHORISATION_TIME, Authorisation, Buyer, Merchant
from tongbao.trade.record import ATTEMPTS_MAX, Instruction, Payment, Trade, payment_number
from tongbao.wire.bank import BANKS, OUTLET

INQUIRE_FIRST = 5 * SECOND
"""When a bank is first asked about a payment that was handed to it (F28)."""

OUTLET_INQUIRE = 30 * MINUTE
"""Outlets take cash hours later; they are asked rarely."""


@record
class Paid:
    """A payment was captured. ``trade_no`` and the state the trade is in now."""

    trade_no: str
    state: str
    payment_no: str


@record
class Started:
    """A payment is on its way to a bank. ``code`` is the outlet's cash code where there is one."""

    payment_no: str
    instruction_no: str
    bank: str
    code: str


def payable(sheet: Sheet, merchant_id: str, out_trade_no: str, now: Instant, combined: str = "") -> Trade:
    """The trade, if it can be paid now: alone, or as a part of that ``combined`` order. Raises Refused."""
    trade: Trade | None = sheet.get(TRADE, merchant_id, out_trade_no)
    if trade is None:
        raise Refused("TRADE_NOT_FOUND", "no such trade")
    if trade.state != "unpaid":
        raise Refused("TRADE_NOT_PAYABLE", f"the trade is {trade.state}", trade.state)
    if trade.due_at is not None and trade.due_at <= now:
        raise Refused("TRADE_NOT_PAYABLE", "the time to pay is over", "closed")
    if trade.attempts >= ATTEMPTS_MAX:
        raise Refused("TRADE_NOT_PAYABLE", "too many attempts to pay", trade.state)
    if combined_of(trade) != combined:
        reason = "the trade is part of a combined order, which is paid as a whole"
        raise Refused("TRADE_NOT_PAYABLE", reason, trade.state)
    return trade


def check_payer(trade: Trade, buyer_id: str, login: str) -> None:
    """A merchant may have named who pays; nobody else can, and never the seller. Raises Refused."""
    number, named = named_buyer(trade)
    if number not in ("", buyer_id) or named not in ("", login):
        raise Refused("TRADE_BUYER_MISMATCH", "the merchant named another buyer")
    if buyer_id == trade.merchant_id:
        raise Refused("BUYER_IS_SELLER", "the seller cannot pay himself")


def check_method(trade: Trade, method: str) -> None:
    """A merchant may have named the only ways of paying he takes. Raises Refused METHOD_NOT_ALLOWED."""
    allowed = named_methods(trade)
    if allowed and method not in allowed:
        raise Refused("METHOD_NOT_ALLOWED", f"the merchant does not take {method}")


def open_merchant(sheet: Sheet, merchant_id: str) -> Merchant:
    """The merchant, if money may be taken for him now. Raises Refused MERCHANT_DISABLED."""
    merchant: Merchant = sheet.get(MERCHANT, merchant_id)
    if merchant.status != "approved":
        raise Refused("MERCHANT_DISABLED", f"the merchant is {merchant.status}")
    return merchant


@record
class PayFromBalance:
    """Pay a trade out of the buyer's balance. Consumes the authorisation, which names exactly this act (T61)."""

    merchant_id: str
    out_trade_no: str
    buyer_id: str
    authorisation_id: str
    flow: str = ""
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield BUYER, (self.buyer_id,)
        yield AUTHORISATION, (self.authorisation_id,)
        yield TRADE, (self.merchant_id, self.out_trade_no)
        yield ACCOUNT, (buyer_balance(self.buyer_id, self.currency),)
        for key in capture_accounts(self.merchant_id, self.currency, lane):
            yield ACCOUNT, key

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = payable(sheet, self.merchant_id, self.out_trade_no, now.business)
        merchant = open_merchant(sheet, self.merchant_id)
        buyer = active_buyer(sheet, self.buyer_id)
        check_payer(trade, buyer.buyer_id, buyer.login)
        check_method(trade, "balance")
        consumed = consume(sheet, self.authorisation_id, "pay", buyer, trade, now)
        source = buyer_balance(buyer.buyer_id, trade.currency)
        account: Account | None = sheet.get(ACCOUNT, source)
        if account is None or account.balance < trade.amount or account.frozen:
            raise Refused("INSUFFICIENT_FUNDS", "the balance does not suffice")
        flow = choose_flow(trade, self.flow)
        payment = balance_payment(trade, flow, buyer.buyer_id, buyer.login, self.authorisation_id, now.business)
        rows, entry = capture(trade, payment, merchant, source, now.business, lane)
        paid: Trade = next(row for table, row in rows if table is TRADE)
        outcome = Paid(trade.trade_no, paid.state, payment.payment_no)
        return Decision(outcome, [*rows, (AUTHORISATION, consumed)], [entry])


def active_buyer(sheet: Sheet, buyer_id: str) -> Buyer:
    """The buyer, if he may act. Raises Refused."""
    buyer: Buyer | None = sheet.get(BUYER, buyer_id)
    if buyer is None:
        raise Refused("BUYER_UNKNOWN", "no such buyer")
    if buyer.status != "active":
        raise Refused("BUYER_DISABLED", f"the account is {buyer.status}")
    return buyer


def consume(
    sheet: Sheet, authorisation_id: str, act: str, buyer: Buyer, trade: Trade | Combined, now: Now
) -> Authorisation:
    """The authorisation marked used, if it was granted for exactly this act, sum and trade. Raises Refused."""
    word: Authorisation | None = sheet.get(AUTHORISATION, authorisation_id)
    fits = word is not None and (
        word.state,
        word.buyer_id,
        word.act,
        word.merchant_id,
        word.out_trade_no,
        word.amount,
        word.currency,
    ) == ("granted", buyer.buyer_id, act, trade.merchant_id, trade.out_trade_no, trade.amount, trade.currency)
    if word is None or not fits:
        raise Refused("AUTHORISATION_INVALID", "unknown, used, or for something else")
    if now.wire - word.wire_at > AUTHORISATION_TIME:
        raise Refused("AUTHORISATION_INVALID", "too old")
    return replace(word, state="used")


@record
class StartPayment:
    """Hand a trade to a bank (``debit`` or ``credit``) or to an outlet, for a buyer known by number and login.

    ``intent`` is the cashier form's own number: the same form sent twice starts one payment (I31).
    """

    merchant_id: str
    out_trade_no: str
    method: str
    bank: str
    buyer_id: str
    intent: str
    flow: str = ""
    code: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield BUYER, (self.buyer_id,)
        yield TRADE, (self.merchant_id, self.out_trade_no)
        trade: Trade | None = sheet.peek(TRADE, self.merchant_id, self.out_trade_no)
        if trade is not None:
            # commands of one batch may each start an attempt, so look a little beyond the last
            for attempt in range(1, min(trade.attempts + 4, ATTEMPTS_MAX) + 1):
                yield PAYMENT, (self.merchant_id, self.out_trade_no, attempt)
                yield INSTRUCTION, (f"{payment_number(trade.trade_no, attempt)}P",)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = payable(sheet, self.merchant_id, self.out_trade_no, now.business)
        open_merchant(sheet, self.merchant_id)
        buyer = active_buyer(sheet, self.buyer_id)
        check_payer(trade, buyer.buyer_id, buyer.login)
        check_method(trade, self.method)
        _check_bank(self.method, self.bank)
        for earlier in range(1, trade.attempts + 1):
            before: Payment | None = sheet.get(PAYMENT, self.merchant_id, self.out_trade_no, earlier)
            if before is not None and before.intent == self.intent:
                known: Instruction = sheet.get(INSTRUCTION, f"{before.payment_no}P")
                return Decision(Started(before.payment_no, known.instruction_no, known.bank, known.code))
        attempt = trade.attempts + 1
        number = payment_number(trade.trade_no, attempt)
        bank = OUTLET if self.method == "outlet" else self.bank
        payment = Payment(
            merchant_id=trade.merchant_id,
            out_trade_no=trade.out_trade_no,
            attempt=attempt,
            payment_no=number,
            method=self.method,
            bank=bank,
            flow=choose_flow(trade, self.flow),
            state="pending",
            amount=trade.amount,
            currency=trade.currency,
            buyer_id=buyer.buyer_id,
            buyer_login=buyer.login,
            intent=self.intent,
            bank_ref="",
            counts=False,
            created_at=now.business,
            ended_at=None,
        )
        instruction = Instruction(
            instruction_no=f"{number}P",
            merchant_id=trade.merchant_id,
            out_trade_no=trade.out_trade_no,
            attempt=attempt,
            kind="pay",
            bank=bank,
            method=self.method,
            amount=trade.amount,
            currency=trade.currency,
            state="created",
            bank_ref="",
            reason="",
            code=self.code if self.method == "outlet" else "",
            tries=0,
            created_at=now.business,
            moved_at=now.business,
            inquire_at=Instant(now.business + (OUTLET_INQUIRE if self.method == "outlet" else INQUIRE_FIRST)),
        )
        started = replace(trade, attempts=attempt, moved_at=now.business)
        outcome = Started(number, instruction.instruction_no, bank, instruction.code)
        return Decision(outcome, [(TRADE, started), (PAYMENT, payment), (INSTRUCTION, instruction)])


def _check_bank(method: str, code: str) -> None:
    if method == "outlet":
        return
    bank = BANKS.get(code)
    if bank is None:
        raise Refused("BANK_UNKNOWN", code)
    offered = {"debit": bank.debit, "credit": bank.credit}
    if not offered.get(method, False):
        raise Refused("METHOD_NOT_ALLOWED", f"{method} is not offered by {code}")
