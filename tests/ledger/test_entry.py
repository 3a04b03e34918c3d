"""Entries balance by construction, and their seal covers everything they say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongbao.kernel.error import BrokenInvariant
from tongbao.kernel.money import MINOR_MAX
from tongbao.kernel.time import Instant
from tongbao.ledger import account
from tongbao.ledger.entry import Entry, Posting, seal

POSTINGS = st.builds(
    lambda order, amount: Posting(f"buyer:{order[0]}:balance:CNY", f"buyer:{order[1]}:balance:CNY", amount),
    st.permutations(range(5)),
    st.integers(1, MINOR_MAX),
)


@pytest.mark.parametrize(
    ("debit", "credit", "amount"),
    [
        ("a:CNY", "b:CNY", 0),
        ("a:CNY", "b:CNY", -1),
        ("a:CNY", "b:CNY", MINOR_MAX + 1),
        ("a:CNY", "a:CNY", 1),
        ("a:CNY", "b:USD", 1),
    ],
)
def test_I01_I05_I06_a_wrong_posting_cannot_be_written(debit: str, credit: str, amount: int) -> None:
    """Nothing, less than nothing, too much, to oneself, between currencies."""
    with pytest.raises(BrokenInvariant):
        Posting(debit, credit, amount)


def test_I05_an_empty_entry_cannot_be_written() -> None:
    """An entry has postings."""
    with pytest.raises(BrokenInvariant):
        Entry("k", "pay", "m", "o", ())


@given(st.lists(POSTINGS, min_size=1, max_size=10))
def test_I01_the_changes_of_an_entry_cancel_out(postings: list[Posting]) -> None:
    """Whatever the postings are."""
    assert sum(Entry("k", "pay", "m", "o", tuple(postings)).deltas().values()) == 0


def test_I07_the_seal_covers_everything() -> None:
    """Each part of an entry, its place, its time and the link before it change the link; nothing runs together."""
    entry = Entry("pay:1", "pay", "m1", "o1", (Posting("a:CNY", "b:CNY", 12), Posting("b:CNY", "c:CNY", 1)))
    links = [seal("", 0, 1, Instant(5), entry), seal("x", 0, 1, Instant(5), entry), seal("", 1, 1, Instant(5), entry)]
    links += [seal("", 0, 2, Instant(5), entry), seal("", 0, 1, Instant(6), entry)]
    first, second = entry.postings
    for changes in (
        {"key": "pay:2"},
        {"kind": "late"},
        {"merchant_id": "m1o", "out_trade_no": "1"},
        {"out_trade_no": "o2"},
        {"postings": (second, first)},
        {"postings": (first,)},
        {"postings": (replace(first, amount=13), second)},
        {"postings": (replace(first, debit="z:CNY"), second)},
    ):
        links.append(seal("", 0, 1, Instant(5), replace(entry, **changes)))
    assert len(set(links)) == len(links)


def test_the_chart_of_accounts() -> None:
    """Names say owner, purpose and currency; only banks and merchants may owe us, and one lane another."""
    codes = [
        account.buyer_balance("b", "CNY"),
        account.merchant_pending("m", "CNY"),
        account.merchant_available("m", "CNY"),
        account.merchant_escrow("m", "CNY"),
        account.merchant_reserve("m", "CNY"),
        account.merchant_refunding("m", "CNY"),
        account.platform_fee(3, "CNY"),
        account.merchant_receivable("m", "CNY"),
        account.platform_loss(3, "CNY"),
        account.platform_suspense(3, "CNY"),
        account.bank_clearing("ICBC", 3, "USD"),
    ]
    assert len(set(codes)) == len(codes)
    assert [account.may_go_negative(code) for code in codes] == [False] * 6 + [True] * 5
    assert {account.currency_of(code) for code in codes} == {"CNY", "USD"}
    opened = account.open_account(codes[-1], Instant(9))
    assert (opened.balance, opened.currency, opened.may_go_negative, opened.frozen) == (0, "USD", True, False)
