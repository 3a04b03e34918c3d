"""What a simulated bank decides, over its own book: orders, cards, money. Synchronous; one call is one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import DAY, HOUR, MINUTE, SECOND, Instant, business_day, later
from tongbao.service.channel import BankWord
from tongbao.store.bankbook import CARD, NOTICE, ORDER, UNBOUNDED, Card, Desk, Notice, Order
from tongbao.trade.party import LOCK_TIME, PASSWORD_TRIES
from tongbao.trade.payout import same_name
from tongbao.wire.bank import OUTLET

TEST_BIN: Final = "620000"
"""Every card of a simulated bank begins so. Real numbers are refused before anything is done with them."""

OUTCOMES: Final = ("ok", "insufficient", "slow", "lost", "late", "closed")

DELAYS: Final = {"slow": 60 * SECOND, "late": 3 * HOUR}
"""How long after the buyer's yes a bank executes; ``late`` is longer than the two hours an inquiry waits."""

PAGE_TIME: Final = 1 * HOUR
"""How long a buyer may stay on the bank's page before the order is over, in business time."""

COUNTER_TIME: Final = 16 * DAY
"""How long an outlet's cash code is taken."""

NOTICE_GAPS: Final = (10 * SECOND, 1 * MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR)
"""Gaps after each notice that was not answered by 200; after the last the bank waits to be asked."""


class BankRefused(Refused):
    """The bank says no; the order is as it was. ``key`` is the bank's own word (``text.SENTENCES`` has it as
    ``error.KEY``), ``code`` the nearest of the refusal table."""

    def __init__(self, key: str) -> None:
        super().__init__(_CODES.get(key, "STATE_CONFLICT"), key)
        self.key = key


_CODES: Final = {
    "password_wrong": "PASSWORD_WRONG",
    "card_locked": "PASSWORD_LOCKED",
    "card_unknown": "NOT_FOUND",
    "not_a_test_card": "FIELD_INVALID",
    "not_debit": "METHOD_NOT_ALLOWED",
    "not_credit": "METHOD_NOT_ALLOWED",
    "insufficient_funds": "INSUFFICIENT_FUNDS",
    "order_unknown": "PAYMENT_NOT_FOUND",
    "order_over": "PAYMENT_STATE",
    "order_changed": "TRADE_AMOUNT_MISMATCH",
    "code_unknown": "NOT_FOUND",
    "code_used": "PAYMENT_STATE",
    "form": "FIELD_MISSING",
    "foreign": "MALFORMED",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the platform's signed address says."""

    bank: str
    instruction_no: str
    method: str
    amount: int
    currency: str
    subject: str
    back_url: str
    notice_url: str


def word_of(order: Order | None, instruction_no: str) -> BankWord:
    """The bank's word on an order as it stands."""
    if order is None:
        return BankWord(instruction_no, "not_found")
    result = order.state if order.state in ("succeeded", "failed") else "pending"
    return BankWord(order.instruction_no, result, order.amount, order.currency, order.bank_ref, order.reason)


def card_account(number: str) -> str:
    return f"card:{number}"


def platform_account(bank: str) -> str:
    """The platform's account at a bank (its nostro, seen from the other side). It may be overdrawn: what comes in at
    one bank may go out at another."""
    return f"platform:{bank}"


def vault(bank: str) -> str:
    """The world outside: where a card's first balance and an outlet's cash come from."""
    return f"vault:{bank}"


# --- the platform asks -------------------------------------------------------------------------------------------


def open_order(desk: Desk, asked: Asked, now: Instant, code: str = "") -> Order:
    """The order behind a bank page (or, with ``code``, behind a cash code), made when it is first seen.

    Raises BankRefused when the number is known with another sum, or the code with another number."""
    known = desk.order(asked.instruction_no)
    if known is not None:
        if (known.bank, known.kind, known.amount, known.currency) != (asked.bank, "pay", asked.amount, asked.currency):
            raise BankRefused("order_changed")
        return known
    order = Order(
        instruction_no=asked.instruction_no,
        bank=asked.bank,
        kind="pay",
        method=asked.method,
        amount=asked.amount,
        currency=asked.currency,
        subject=asked.subject,
        code=code,
        pays="",
        notice_url=asked.notice_url,
        card="",
        state="open",
        reason="",
        bank_ref="",
        quiet=False,
        made_at=now,
        act_at=later(now, COUNTER_TIME if code else PAGE_TIME),
        ended_at=None,
    )
    if not desk.add(ORDER, order):
        raise BankRefused("order_changed")
    return order


def take_refund(desk: Desk, bank: str, number: str, pays: str, amount: int, currency: str, now: Instant) -> Order:
    """Give money back to where it came from, once per number; to a slow card after its delay. A refund of what was
    never paid fails for good, and so does one to a card that was closed since.

    Raises BankRefused when the number is known with another sum."""
    known = desk.order(number)
    if known is not None:
        if (known.kind, known.pays, known.amount, known.currency) != ("refund", pays, amount, currency):
            raise BankRefused("order_changed")
        act_on(desk, number, now)
        return desk.order(number) or known
    paid = desk.order(pays)
    reason = ""
    if paid is None or paid.bank != bank or paid.state != "succeeded" or paid.kind != "pay":
        reason = "not_paid"
    elif paid.currency != currency or _given_back(desk, pays) + amount > paid.amount:
        reason = "more_than_paid"
    card = desk.card(paid.card) if paid is not None else None
    if card is not None and card.outcome == "closed":
        reason = reason or "card_closed"
    delay = card.delay if card is not None and not reason and card.outcome == "slow" else 0
    refund = Order(
        instruction_no=number,
        bank=bank,
        kind="refund",
        method=paid.method if paid else "",
        amount=amount,
        currency=currency,
        subject=paid.subject if paid else "",
        code="",
        pays=pays,
        notice_url="",
        card=paid.card if paid else "",
        state="failed" if reason else "accepted",
        reason=reason,
        bank_ref="",
        quiet=True,
        made_at=now,
        act_at=None if reason else later(now, delay),
        ended_at=now if reason else None,
    )
    desk.add(ORDER, refund)
    act_on(desk, number, now)
    return desk.order(number) or refund


def _give_back(desk: Desk, order: Order, now: Instant) -> None:
    """Execute an accepted refund."""
    to = vault(order.bank) if order.bank == OUTLET else card_account(order.card)
    number = order.instruction_no
    seq = desk.post(f"refund:{number}", "refund", order.bank, platform_account(order.bank), to, order.amount, now)
    desk.save(ORDER, replace(order, state="succeeded", bank_ref=reference(now, seq), act_at=None, ended_at=now))


def _given_back(desk: Desk, number: str) -> int:
    """What of a payment has gone back, or will: its refunds, and what its holder's denial took, in minor units."""
    refunds = sum(back.amount for back in desk.refunds_of(number) if back.state in ("accepted", "succeeded"))
    return refunds + desk.posted(_denial(number))


def _denial(number: str) -> str:
    """The key of the entry that takes a payment back: there is one at most."""
    return f"chargeback:{number}"


def charge_back(desk: Desk, number: str, amount: int | None, now: Instant) -> tuple[str, int]:
    """The holder denies a payment: ``amount`` minor units of it (None: all that was not given back) go back to him, out
    of the platform's account, once per payment. The platform reads it in the statement. The bank's reference, and how
    much it was. Raises BankRefused where so much is not there to take."""
    paid = desk.order(number)
    if paid is None or paid.kind != "pay" or paid.state != "succeeded":
        raise BankRefused("order_unknown")
    key, left = _denial(number), paid.amount - _given_back(desk, number)
    taken = left if amount is None else amount
    if desk.posted(key) or not 0 < taken <= left:
        raise BankRefused("order_over")
    to = vault(paid.bank) if paid.bank == OUTLET else card_account(paid.card)
    seq = desk.post(key, "chargeback", paid.bank, platform_account(paid.bank), to, taken, now)
    return reference(now, seq), taken


def take_payout(
    desk: Desk, bank: str, number: str, card_no: str, name: str, amount: int, currency: str, now: Instant
) -> Order:
    """Send the platform's money to a card, once per number: at once, or later where the card is a slow one. A card that
    does not exist, is closed or somebody else's, fails for good.

    Raises BankRefused when the number is known with another sum or card."""
    known = desk.order(number)
    if known is not None:
        if (known.kind, known.card, known.amount, known.currency) != ("payout", card_no, amount, currency):
            raise BankRefused("order_changed")
        return known
    card = desk.card(card_no)
    reason = ""
    if card is None or card.bank != bank or card.outcome == "closed":
        reason = "account_unknown"
    elif name and not same_name(name, card.holder):
        reason = "name_mismatch"
    delay = card.delay if card is not None and not reason and card.outcome in DELAYS else 0
    order = Order(
        instruction_no=number,
        bank=bank,
        kind="payout",
        method="debit",
        amount=amount,
        currency=currency,
        subject="",
        code="",
        pays="",
        notice_url="",
        card=card_no,
        state="failed" if reason else "accepted",
        reason=reason,
        bank_ref="",
        quiet=True,
        made_at=now,
        act_at=None if reason else later(now, delay),
        ended_at=now if reason else None,
    )
    desk.add(ORDER, order)
    act_on(desk, number, now)
    return desk.order(number) or order


def is_silent(desk: Desk, card_no: str) -> bool:
    """Whether the bank's first answer about this card gets lost."""
    card = desk.card(card_no)
    return card is not None and card.outcome == "lost"


# --- the buyer acts ----------------------------------------------------------------------------------------------


def reserve_try(desk: Desk, order_no: str, number: str, wire: Instant) -> Card:
    """Count a password try before the hash is computed (T46). Raises BankRefused."""
    order = _still_open(desk, order_no)
    if not number.startswith(TEST_BIN):
        raise BankRefused("not_a_test_card")
    card = desk.card(number)
    if card is None or card.bank != order.bank:
        raise BankRefused("card_unknown")
    if card.kind != order.method:
        raise BankRefused(f"not_{order.method}")
    wrong = card.wrong
    if wrong >= PASSWORD_TRIES:
        if card.locked_until_wire > wire:
            raise BankRefused("card_locked")
        wrong = 0
    tried = replace(card, wrong=wrong + 1, locked_until_wire=later(wire, LOCK_TIME))
    desk.save(CARD, tried)
    return tried


def forget_tries(desk: Desk, number: str) -> None:
    """The password was right."""
    card = desk.card(number)
    if card is not None:
        desk.save(CARD, replace(card, wrong=0))


def settle(desk: Desk, order_no: str, number: str, now: Instant) -> Order:
    """The password was right: execute, take for later, or decline, as the card is made. Raises BankRefused."""
    order = _still_open(desk, order_no)
    card = desk.card(number)
    if card is None or card.bank != order.bank or card.kind != order.method:
        raise BankRefused("card_unknown")
    with_card = replace(order, card=number)
    if card.outcome in DELAYS:
        accepted = replace(with_card, state="accepted", act_at=later(now, card.delay))
        desk.save(ORDER, accepted)
        return accepted
    if card.outcome == "insufficient" or desk.available(card_account(number)) < order.amount:
        raise BankRefused("insufficient_funds")
    return _execute(desk, with_card, card_account(number), now, quiet=card.outcome == "lost")


def take_cash(desk: Desk, code: str, now: Instant) -> Order:
    """A clerk has counted the money. Raises BankRefused."""
    found = desk.order_by_code(code)
    if found is None:
        raise BankRefused("code_unknown")
    if found.state == "succeeded":
        raise BankRefused("code_used")
    order = _still_open(desk, found.instruction_no)
    return _execute(desk, order, vault(OUTLET), now, quiet=False)


def decline(desk: Desk, order_no: str, reason: str, now: Instant) -> Order:
    """End an order without payment: the buyer gave up, or has not enough. Raises BankRefused when it has ended."""
    return _fail(desk, _still_open(desk, order_no), reason, now)


def act_on(desk: Desk, order_no: str, now: Instant) -> None:
    """What the clock asks of one order: execute what was accepted, end what was abandoned."""
    order = desk.order(order_no)
    if order is None or order.act_at is None or order.act_at > now:
        return
    if order.state == "open":
        _fail(desk, order, "abandoned", now)
    elif order.kind == "payout":
        _send_out(desk, order, now)
    elif order.kind == "refund":
        _give_back(desk, order, now)
    elif desk.available(card_account(order.card)) < order.amount:
        _fail(desk, order, "insufficient_funds", now)
    else:
        _execute(desk, order, card_account(order.card), now, quiet=False)


def _still_open(desk: Desk, order_no: str) -> Order:
    order = desk.order(order_no)
    if order is None:
        raise BankRefused("order_unknown")
    if order.state != "open":
        raise BankRefused("order_over")
    return order


def _execute(desk: Desk, order: Order, source: str, now: Instant, *, quiet: bool) -> Order:
    target = platform_account(order.bank)
    desk.open_account(target, order.bank, UNBOUNDED)
    desk.open_account(vault(order.bank), order.bank, UNBOUNDED)
    seq = desk.post(f"pay:{order.instruction_no}", "pay", order.bank, source, target, order.amount, now)
    done = replace(order, state="succeeded", bank_ref=reference(now, seq), quiet=quiet, act_at=None, ended_at=now)
    return _end(desk, done, now)


def _send_out(desk: Desk, order: Order, now: Instant) -> Order:
    source = platform_account(order.bank)
    desk.open_account(source, order.bank, UNBOUNDED)
    seq = desk.post(
        f"payout:{order.instruction_no}", "payout", order.bank, source, card_account(order.card), order.amount, now
    )
    done = replace(order, state="succeeded", bank_ref=reference(now, seq), act_at=None, ended_at=now)
    return _end(desk, done, now)


def _fail(desk: Desk, order: Order, reason: str, now: Instant) -> Order:
    return _end(desk, replace(order, state="failed", reason=reason, act_at=None, ended_at=now), now)


def _end(desk: Desk, order: Order, now: Instant) -> Order:
    """Result and notice are one transaction."""
    desk.save(ORDER, order)
    if not order.quiet and order.notice_url:
        desk.add(NOTICE, Notice(order.instruction_no, 0, now, ""))
    return order


def reference(now: Instant, seq: int) -> str:
    """The bank's own number of a movement: its day and place in the book."""
    return f"{business_day(now)}{seq:010d}"


# --- notices and cards -------------------------------------------------------------------------------------------


def finish_notice(desk: Desk, order_no: str, answered: str, now: Instant) -> None:
    """Enter what came back. ``answered`` is ``200`` for yes; anything else plans the next try, or gives up."""
    notice = desk.notice(order_no)
    if notice is None or notice.next_at is None:
        return
    again = None
    if answered != "200" and notice.tries < len(NOTICE_GAPS):
        again = later(now, NOTICE_GAPS[notice.tries])
    desk.save(NOTICE, replace(notice, tries=notice.tries + 1, next_at=again, answered=answered))


def issue(desk: Desk, card: Card, balance: int) -> None:
    """A new card with ``balance`` minor units on it, or as its credit limit. A known number keeps its money."""
    account = card_account(card.number)
    if not desk.add(CARD, card):
        known = desk.card(card.number)
        if known is not None:
            desk.save(CARD, replace(card, opened_at=known.opened_at))
        return
    desk.open_account(account, card.bank, 0 if card.kind == "debit" else -balance)
    if card.kind == "debit" and balance:
        desk.open_account(vault(card.bank), card.bank, UNBOUNDED)
        desk.post(f"issue:{card.number}", "issue", card.bank, vault(card.bank), account, balance, card.opened_at)


def fund_platform(desk: Desk, bank: str, amount: int, key: str, now: Instant) -> None:
    """Money reaches the platform's account from outside (a buyer's top-up), once per ``key``."""
    if desk.posted(f"fund:{key}"):
        return
    desk.open_account(platform_account(bank), bank, UNBOUNDED)
    desk.open_account(vault(bank), bank, UNBOUNDED)
    desk.post(f"fund:{key}", "fund", bank, vault(bank), platform_account(bank), amount, now)
