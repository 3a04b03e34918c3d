"""T43, I15: buyer, seller, arbiter, bank and timer act on an escrow trade in every order, to a depth of six. The bank
also takes the payment back, whole or in part, whatever else has become of it.

The rules depend on nothing but the rows, so two orders that lead to the same rows need be followed once only: what is
explored is every state that six acts can reach, by every act that is possible there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.memory import Memory
from tests.support.platform import BUYER, MERCHANT, PROTOCOL, make_buyer, make_intent, make_merchant
from tests.support.world import START
from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant
from tongbao.ledger.account import bank_clearing, buyer_balance, open_account
from tongbao.service.bank import ReportInstruction
from tongbao.service.chargeback import TakeChargeback
from tongbao.service.claim import BuyerAskRefund, OpenDispute, ReturnGoods, SellerAnswer, WithdrawClaim
from tongbao.service.create import Asker, OpenTrade
from tongbao.service.dispute import DecideDispute, ProposeDecision
from tongbao.service.escrow import ConfirmReceipt, ExtendRelease, Ship, TimerDue
from tongbao.service.pay import PayFromBalance, StartPayment
from tongbao.service.refund import RequestRefund
from tongbao.store.schema import (
    ACCOUNT,
    AUTHORISATION,
    CLAIM,
    INSTRUCTION,
    REFUND,
    TRADE,
    TRADE_RETURN,
)
from tongbao.store.schema import (
    BUYER as BUYERS,
)
from tongbao.store.schema import (
    MERCHANT as MERCHANTS,
)
from tongbao.trade.party import Authorisation
from tongbao.trade.record import Trade
from tongbao.trade.refund import TradeReturn
from tongbao.trade.state import CLAIM_OPEN

DEPTH: Final = 6
AMOUNT: Final = 1_000
WEALTH: Final = 5_000
ASKER: Final = Asker(MERCHANT, PROTOCOL)
OF: Final = (MERCHANT, "A")
ME: Final = (*OF, BUYER)


def word(act: str) -> Authorisation:
    """The buyer's agreement to one act."""
    return Authorisation(act, BUYER, act, *OF, AMOUNT, "CNY", "granted", START)


def start(method: str) -> Memory:
    """An escrow trade, paid a moment ago from the balance or through a bank."""
    merchant = replace(make_merchant(), status="approved", refund_days=30)
    account = replace(open_account(buyer_balance(BUYER, "CNY"), START), balance=WEALTH)
    outside = replace(open_account(bank_clearing("CCB", 0, "CNY"), START), balance=-WEALTH)
    books = Memory(START)
    for table, row in (
        (MERCHANTS, merchant),
        (BUYERS, make_buyer()),
        (ACCOUNT, account),
        (ACCOUNT, outside),
        (AUTHORISATION, word("pay")),
        (AUTHORISATION, word("confirm")),
    ):
        books = books.put(table, row)
    steps: list[Any] = [OpenTrade(ASKER, make_intent("A", "escrow", AMOUNT), "1" * 28)]
    if method == "balance":
        steps.append(PayFromBalance(*OF, BUYER, "pay"))
    else:
        steps.append(StartPayment(*OF, "debit", "ICBC", BUYER, "form"))
        steps.append(report(f"{'1' * 28}01P", "succeeded", AMOUNT))
    for step in steps:
        books, outcome = books.submit(step)
        assert not isinstance(outcome, Refused), outcome
    return books


def report(number: str, result: str, amount: int) -> ReportInstruction:
    """A bank's word."""
    return ReportInstruction(number, *OF, 1, result, amount, "CNY", "ICBC", f"ref {number}")


ACTS: Final[dict[str, Callable[[], Any]]] = {
    "buyer asks for all": lambda: BuyerAskRefund(*ME),
    "buyer asks for a part": lambda: BuyerAskRefund(*ME, 300),
    "buyer would return": lambda: BuyerAskRefund(*ME, 900, goods=True),
    "buyer withdraws": lambda: WithdrawClaim(*ME),
    "buyer returns": lambda: ReturnGoods(*ME, "SF", "1"),
    "buyer disputes": lambda: OpenDispute(*ME),
    "buyer confirms": lambda: ConfirmReceipt(*ME, "confirm"),
    "buyer extends": lambda: ExtendRelease(*ME),
    "seller ships": lambda: Ship(ASKER, "A", "SF", "1"),
    "seller agrees": lambda: SellerAnswer(ASKER, "A", True),
    "seller refuses": lambda: SellerAnswer(ASKER, "A", False),
    "seller gives all back": lambda: RequestRefund(ASKER, "A", ""),
    "seller gives a part back": lambda: RequestRefund(ASKER, "A", "", 250),
    "olga proposes": lambda: ProposeDecision(*OF, 400, "olga", "half the goods"),
    "olga proposes all": lambda: ProposeDecision(*OF, 250, "olga", "kind words"),
    "olga agrees with herself": lambda: DecideDispute(*OF, 400, True, "olga"),
    "otto agrees": lambda: DecideDispute(*OF, 400, True, "otto"),
    "otto agrees to less": lambda: DecideDispute(*OF, 250, True, "otto"),
    "otto sends back": lambda: DecideDispute(*OF, 400, False, "otto"),
    "timer comes early": lambda: TimerDue(*OF),
}


def take_back(ref: str, amount: int) -> TakeChargeback:
    """The bank takes back what it paid."""
    return TakeChargeback("ICBC", ref, f"{'1' * 28}01P", *OF, amount, "olga", "otto", "the holder denies it")


BANK_ACTS: Final[dict[str, Callable[[], Any]]] = {
    "bank takes all back": lambda: take_back("all", AMOUNT),
    "bank takes a part back": lambda: take_back("part", 400),
}


def act(books: Memory, name: str) -> tuple[Memory, Any]:
    """The books after one act."""
    trade: Trade = books.get(TRADE, *OF)
    if name == "timer comes":
        return (books.at(trade.due_at) if trade.due_at else books).submit(TimerDue(*OF))
    if name in BANK_ACTS:
        return books.submit(BANK_ACTS[name]())
    if name.startswith("bank"):
        open_ones = [one for one in books.all(INSTRUCTION) if one.state == "created"]
        if not open_ones:
            return books, Refused("PAYMENT_NOT_FOUND")
        first = min(open_ones, key=lambda one: one.instruction_no)
        result = "succeeded" if name == "bank pays" else "failed"
        return books.submit(report(first.instruction_no, result, first.amount))
    return books.submit(ACTS[name]())


def sketch(books: Memory) -> Any:
    """All that the rules look at, without numbers and times that only grow."""
    trade: Trade = books.get(TRADE, *OF)
    claim, back = books.get(CLAIM, *OF), books.get(TRADE_RETURN, *OF)
    due = None if trade.due_at is None else trade.due_at - books.now
    refunds = tuple((one.state, one.cause, one.amount, one.from_escrow) for one in books.all(REFUND))
    return (
        (trade.state, trade.refunded, trade.refund_state, due),
        claim and replace(claim, opened_at=Instant(0), moved_at=Instant(0)),
        back and replace(back, refunded_at=None),
        refunds,
        tuple(sorted(books.balances().items())),
    )


def check(books: Memory) -> None:
    """Nothing is made, lost or overdrawn, and escrow holds what the trade says."""
    balances = books.balances()
    assert sum(balances.values()) == 0
    assert all(amount > 0 or code.startswith("bank:") or ":receivable:" in code for code, amount in balances.items())
    trade: Trade = books.get(TRADE, *OF)
    held = trade.amount - trade.refunded if trade.state in ("escrowed", "shipped") else 0
    assert balances.get(f"merchant:{MERCHANT}:escrow:CNY", 0) == held
    aside = sum(one.amount for one in books.all(REFUND) if one.state == "accepted")
    assert balances.get(f"merchant:{MERCHANT}:refunding:CNY", 0) == aside
    claim = books.get(CLAIM, *OF)
    if claim is not None and claim.state in CLAIM_OPEN:
        assert trade.refund_state == {"disputed": "refused"}.get(claim.state, claim.state)
    given = sum(one.amount for one in books.all(REFUND) if one.state != "failed")
    assert given == trade.refunded <= trade.amount


def finish(books: Memory) -> Memory:
    """What is left to happen by itself, and what a seller and two operators must do at last."""
    for _ in range(20):
        trade: Trade = books.get(TRADE, *OF)
        claim = books.get(CLAIM, *OF)
        if any(one.state == "created" for one in books.all(INSTRUCTION)):
            books, outcome = act(books, "bank pays")
        elif trade.state in ("finished", "closed"):
            return books
        elif claim is not None and claim.state == "disputed":
            part = min(100, max(trade.amount - trade.refunded - _charged(books), 0))
            books, _ = books.submit(ProposeDecision(*OF, part, "olga", "at last"))
            books, outcome = books.submit(DecideDispute(*OF, part, True, "otto"))
        elif trade.due_at is not None:
            books, outcome = act(books, "timer comes")
        else:
            books, outcome = act(books, "seller ships")
        assert not isinstance(outcome, Refused), (outcome, trade, claim)
    raise AssertionError("it never ends")


def check_end(books: Memory, method: str) -> None:
    """Ended, nothing is under way: each has exactly what is his."""
    balances = books.balances()
    trade: Trade = books.get(TRADE, *OF)
    assert not [code for code in balances if ":escrow:" in code or ":refunding:" in code]
    assert trade.state != "closed" or trade.refunded == trade.amount
    his = ("platform:0:fee:CNY", f"merchant:{MERCHANT}:pending:CNY", f"merchant:{MERCHANT}:receivable:CNY")
    left = trade.amount - trade.refunded - _charged(books)
    assert sum(balances.get(code, 0) for code in his) == left
    buyers = balances.get(buyer_balance(BUYER, "CNY"), 0)
    outside = balances.get(bank_clearing("ICBC", 0, "CNY"), 0)
    spent = trade.amount - trade.refunded
    assert buyers + outside == (WEALTH - spent if method == "balance" else WEALTH + outside + _kept(books))
    assert method == "balance" or outside == -(left + _kept(books))


def _kept(books: Memory) -> int:
    """What went to the buyer's balance because his bank did not take it."""
    return sum(one.amount for one in books.all(REFUND) if one.back_to == "buyer")


def _charged(books: Memory) -> int:
    """What the bank has taken back."""
    back: TradeReturn | None = books.get(TRADE_RETURN, *OF)
    return back.charged_back if back is not None else 0


def explore(method: str, depth: int) -> tuple[int, set[str], set[str]]:
    """How many states were seen, which trades' ends were reached, and which acts ever succeeded."""
    names = [*ACTS, "timer comes", *(["bank pays", "bank refuses", *BANK_ACTS] if method == "debit" else [])]
    first = start(method)
    seen = {sketch(first)}
    frontier = [first]
    ends: set[str] = set()
    taken: set[str] = set()
    for _ in range(depth):
        ahead = []
        for books in frontier:
            for name in names:
                after, outcome = act(books, name)
                if isinstance(outcome, Refused):
                    continue
                taken.add(name)
                mark = sketch(after)
                if mark in seen:
                    continue
                seen.add(mark)
                check(after)
                ended = finish(after)
                check(ended)
                check_end(ended, method)
                ends.add(ended.get(TRADE, *OF).state)
                if after.get(TRADE, *OF).state not in ("finished", "closed") or method == "debit":
                    ahead.append(after)
        frontier = ahead
    return len(seen), ends, taken


@pytest.mark.parametrize("method", ["balance", pytest.param("debit", marks=pytest.mark.slow)])
def test_T43_every_interleaving_to_depth_six(method: str) -> None:
    """Money is conserved in every state, every story ends, and it ends with escrow at exactly zero; every act but the
    operator who would agree with herself succeeds somewhere."""
    states, ends, taken = explore(method, DEPTH)
    assert (states > 500, ends) == (True, {"finished", "closed"})
    never = {"olga agrees with herself"}
    assert {*ACTS, *(BANK_ACTS if method == "debit" else ())} - taken == never
