"""T37, I32: refunds and shares in any order end at exactly zero: nobody gains by a rounding, the platform least."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory import Memory
from tests.support.platform import BUYER, MERCHANT, PROTOCOL, make_buyer, make_intent, make_merchant
from tests.support.world import START
from tongbao.kernel.error import Refused
from tongbao.ledger.account import bank_clearing, buyer_balance, merchant_pending, open_account
from tongbao.service.bank import ReportInstruction
from tongbao.service.create import Asker, OpenTrade
from tongbao.service.pay import PayFromBalance, StartPayment
from tongbao.service.refund import RequestRefund
from tongbao.service.split import Back, ShareTrade
from tongbao.store.schema import ACCOUNT, AUTHORISATION, INSTRUCTION, SPLIT_PART, TRADE
from tongbao.store.schema import BUYER as BUYERS
from tongbao.store.schema import MERCHANT as MERCHANTS
from tongbao.trade.party import Authorisation
from tongbao.trade.record import Trade
from tongbao.trade.split import Wanted

ASKER = Asker(MERCHANT, PROTOCOL)
FRIENDS = ("2088000000000097", "2088000000000098")
NUMBER = "1" * 28


def paid(amount: int, rate: int, minimum: int, method: str) -> Memory:
    """A trade that was paid a moment ago, from a balance or by a card."""
    merchant = replace(make_merchant(), status="approved", refund_days=9, fee_rate=rate, fee_min=minimum)
    books = Memory(START).put(MERCHANTS, merchant)
    for number in (BUYER, *FRIENDS):
        books = books.put(BUYERS, make_buyer(number))
    books = books.put(ACCOUNT, replace(open_account(buyer_balance(BUYER, "CNY"), START), balance=amount))
    books = books.put(ACCOUNT, replace(open_account(bank_clearing("CCB", 0, "CNY"), START), balance=-amount))
    word = Authorisation("word", BUYER, "pay", MERCHANT, "A", amount, "CNY", "granted", START)
    books = books.put(AUTHORISATION, word)
    steps: list[Any] = [OpenTrade(ASKER, make_intent("A", amount=amount), NUMBER)]
    if method == "balance":
        steps.append(PayFromBalance(MERCHANT, "A", BUYER, "word"))
    else:
        steps.append(StartPayment(MERCHANT, "A", "debit", "ICBC", BUYER, "form"))
        steps.append(said(f"{NUMBER}01P", "succeeded", amount))
    for step in steps:
        books, outcome = books.submit(step)
        assert not isinstance(outcome, Refused), outcome
    return books


def said(number: str, result: str, amount: int) -> ReportInstruction:
    """A bank's word."""
    return ReportInstruction(number, MERCHANT, "A", 1, result, amount, "CNY", "ICBC", f"ref {number}")


def back(books: Memory, part: int = 1) -> Back | None:
    """Of every share still out, one ``part``-th."""
    rows = books.all(SPLIT_PART)
    found = ((row.receiver_id, (row.amount - row.returned) // part) for row in rows)
    wanted = tuple(one for one in found if one[1])
    return Back(wanted, tuple(rows)) if wanted else None


def take(books: Memory, step: tuple[str, int], n: int) -> Memory:
    """One step; it may be refused."""
    what, number = step
    trade: Trade = books.get(TRADE, MERCHANT, "A")
    left = trade.amount - trade.refunded
    if what == "refund":
        return books.submit(RequestRefund(ASKER, "A", f"r{n}", 1 + number % max(left, 1)))[0]
    if what == "share":
        wanted = tuple(Wanted("buyer", friend, "", 1 + (number + k) % max(left, 1)) for k, friend in enumerate(FRIENDS))
        return books.submit(ShareTrade(ASKER, "A", f"s{n}", f"{n:028d}", wanted, False, "asked", ""))[0]
    if what == "back":
        some = back(books, 1 + number % 3)
        total = sum(amount for _, amount in some.wanted) if some is not None else 0
        amount = min(left, total + number % 50)
        return books.submit(RequestRefund(ASKER, "A", f"b{n}", max(amount, 1), back=some))[0]
    waiting = sorted(one.instruction_no for one in books.all(INSTRUCTION) if one.state == "created")
    if not waiting:
        return books
    chosen = waiting[number % len(waiting)]
    result = "succeeded" if what == "yes" else "failed"
    return books.submit(said(chosen, result, books.get(INSTRUCTION, chosen).amount))[0]


STEPS = st.lists(
    st.tuples(st.sampled_from(["refund", "share", "back", "yes", "no"]), st.integers(0, 10**6)), max_size=12
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 10**6), st.integers(0, 900), st.integers(0, 3), st.sampled_from(["balance", "debit"]), STEPS)
def test_T37_any_order_of_refunds_and_shares_ends_at_zero(
    amount: int, rate: int, minimum: int, method: str, steps: list[tuple[str, int]]
) -> None:
    """Whatever came before, when all shares and all of the sum are back, every account is where it began."""
    books = paid(amount, rate, minimum, method)
    for n, step in enumerate(steps):
        books = take(books, step, n)
        assert sum(books.balances().values()) == 0
        assert all(value > 0 or code.startswith("bank:") for code, value in books.balances().items())
    for result in ("yes", "yes"):
        while any(one.state == "created" for one in books.all(INSTRUCTION)):
            books = take(books, (result, 0), 0)
        trade: Trade = books.get(TRADE, MERCHANT, "A")
        rest = trade.amount - trade.refunded
        if rest:
            # no more was ever shared than the merchant had of the trade, so that all shares fit into the last refund
            books, outcome = books.submit(RequestRefund(ASKER, "A", "", None, back=back(books)))
            assert not isinstance(outcome, Refused), outcome
    trade = books.get(TRADE, MERCHANT, "A")
    owed = sum(one.amount - one.returned for one in books.all(SPLIT_PART))
    assert (trade.state, trade.refunded, owed) == ("closed", amount, 0)
    balances = books.balances()
    assert [code for code in balances if "fee" in code or "refunding" in code or "escrow" in code] == []
    assert balances.get(merchant_pending(MERCHANT, "CNY"), 0) == 0
    assert balances.get(buyer_balance(BUYER, "CNY"), 0) == amount
    assert balances.get(bank_clearing("ICBC", 0, "CNY"), 0) == 0
