"""Agreements: read strictly, the closest row counts, fees with minimum and cap rounded as stated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.platform import make_merchant
from tongbao.kernel.error import Refused
from tongbao.trade.agreement import Agreement, Rate, read_agreement
from tongbao.trade.fee import trade_fee
from tongbao.trade.payout import Counter, count_up, same_name
from tongbao.trade.settlement import split_total
from tongbao.trade.split import SplitPart, Wanted, give_back, part_sums

RATES = {
    "rates": [
        {"rate": 100},
        {"product": "escrow", "rate": 200, "minimum": 10},
        {"method": "credit", "rate": 300, "cap": 50},
        {"product": "escrow", "method": "credit", "protocol": "yeepay", "rate": 0, "minimum": 7},
    ]
}


@pytest.mark.parametrize(
    ("product", "protocol", "method", "amount", "fee"),
    [
        ("instant", "alipay_mapi", "balance", 1_000, 10),
        ("instant", "alipay_mapi", "balance", 50, 0),  # half a fen goes to the even side
        ("instant", "alipay_mapi", "balance", 150, 2),
        ("escrow", "alipay_mapi", "balance", 100, 10),
        ("escrow", "alipay_mapi", "balance", 5, 5),  # never above the sum
        ("instant", "alipay_mapi", "credit", 10_000, 50),
        ("escrow", "yeepay", "credit", 10_000, 7),
    ],
)
def test_I32_the_row_that_names_most(product: str, protocol: str, method: str, amount: int, fee: int) -> None:
    """Among rows that fit the one that names most counts, the first among equals; rate, minimum, cap, sum."""
    merchant = make_merchant(settings=json.dumps(RATES), fee_rate=9_999)
    assert trade_fee(merchant, product, protocol, method, amount) == fee


def test_without_a_table_the_flat_fee_counts() -> None:
    """A merchant without rows pays his flat fee."""
    merchant = make_merchant(fee_rate=60, fee_min=1, fee_cap=5)
    assert [trade_fee(merchant, "instant", "p", "balance", sum_) for sum_ in (1, 100, 1_000, 10_000)] == [1, 1, 5, 5]


@pytest.mark.parametrize(
    "said",
    [
        "x",
        "[]",
        {"colour": 1},
        {"rates": {}},
        {"rates": [1]},
        {"rates": [{"rate": 10_001}]},
        {"rates": [{"rate": -1}]},
        {"rates": [{"rate": 1.5}]},
        {"rates": [{"rate": True}]},
        {"rates": [{"method": 1}]},
        {"reserve": {"rate": 1, "days": 367}},
        {"early": {"most": 1}},
        {"payout": {"check": 10**13 + 1}},
    ],
)
def test_what_is_no_agreement_is_refused_by_its_field(said: Any) -> None:
    """A slip of the pen is refused when it is entered."""
    with pytest.raises(Refused) as refused:
        read_agreement(said if isinstance(said, str) else json.dumps(said))
    assert refused.value.code == "FIELD_INVALID"


def test_an_empty_agreement_is_the_default() -> None:
    """Nothing agreed: no reserve, no early settlement, payouts free and without limits."""
    assert read_agreement("{}") == Agreement()


@pytest.mark.parametrize(("amount", "kind", "parts"), [(9_940, "daily", (0, 994)), (9_940, "early", (50, 989))])
def test_T37_fee_and_reserve_of_a_batch(amount: int, kind: str, parts: tuple[int, int]) -> None:
    """The fee of an early settlement first, the reserve of what is left, half to even."""
    agreement = Agreement(reserve_rate=1_000, early=Rate(50))
    assert split_total(amount, kind, agreement) == parts


def test_I33_a_counter_begins_anew_each_day() -> None:
    """It adds up within a day, refuses above the limit and forgets the day before."""
    first = count_up(None, "m", "payouts", 20260301, 60, 100)
    with pytest.raises(Refused, match="LIMIT_EXCEEDED"):
        count_up(first, "m", "payouts", 20260301, 41, 100)
    assert count_up(first, "m", "payouts", 20260301, 40, 100) == Counter("m", "payouts", 20260301, 100, 2)
    assert count_up(first, "m", "payouts", 20260302, 100, 100).count == 1
    assert count_up(first, "m", "payouts", 20260301, 10**9, 0).count == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("王小明", "王 小明", True),
        ("LI Na", "li na", True),
        ("ＬＩ", "li", True),
        ("王小明", "王晓明", False),
        ("", "王", False),
    ],
)
def test_names_are_compared_as_people_mean_them(one: str, other: str, same: bool) -> None:
    """Width, case and blanks do not count; letters do."""
    assert same_name(one, other) is same


def test_T37_rates_of_shares_are_rounded_half_to_even() -> None:
    """Of the trade's whole sum, each part by itself; more than is left is refused."""
    wanted = [Wanted("buyer", "1", "", rate=50), Wanted("buyer", "2", "", rate=150), Wanted("buyer", "3", "", amount=7)]
    assert part_sums(1_100, wanted, 100) == (6, 16, 7)
    with pytest.raises(Refused, match="SPLIT_EXCEEDS"):
        part_sums(1_100, wanted, 28)


def test_shares_come_back_from_the_newest_part_first() -> None:
    """Part by part, never more than each still has."""

    def part(n: int, amount: int, returned: int = 0) -> SplitPart:
        return SplitPart("m", "A", "s", n, "buyer", "1", "", amount, returned, "", "")

    parts = [part(1, 100), part(2, 50, 20)]
    assert give_back(parts, [("1", 70), ("1", 60)]) == ((parts[1], 30), (parts[0], 40), (parts[0], 60))
    with pytest.raises(Refused, match="SPLIT_EXCEEDS"):
        give_back(parts, [("1", 131)])
    with pytest.raises(Refused, match="RECEIVER_UNKNOWN"):
        give_back(parts, [("2", 1)])
