"""Profit sharing: at the payment and after, never more than there is, back at refunds, exactly to the last fen."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.support.platform import (
    BUYER,
    MERCHANT,
    OTHER,
    PROTOCOL,
    House,
    Stage,
    make_buyer,
    make_intent,
    make_merchant,
    refusal,
)
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.ledger.account import buyer_balance, merchant_available, merchant_pending
from tongbao.protocols.alipay_mapi.royalty import read_royalty, write_royalty
from tongbao.service.act import act
from tongbao.service.party import ChangeMerchant, RegisterMerchant
from tongbao.service.settlement import settle_day
from tongbao.service.split_act import run_splits
from tongbao.store.migrate import migrations
from tongbao.wire.contract import Verified
from tongbao.wire.movement import (
    MovementState,
    QuerySplit,
    QueryUnsplit,
    RefundTrade,
    Split,
    SplitFound,
    SplitTrade,
    UnsplitFound,
)
from tongbao.wire.party import Party

AGENT = "2088000000000044"


async def prepare(house: House) -> None:
    """Two more parties who can receive."""
    await house.add_buyer(make_buyer(AGENT, name="代理"), 0)
    await house.submit(RegisterMerchant(make_merchant(OTHER), "maker"))
    await house.submit(ChangeMerchant(OTHER, "approved", "checker", ""))


def part(who: str, amount: int = 0, rate: int = 0, **changes: Any) -> Split:
    return Split(receiver=Party(who), amount=Money(amount) if amount else None, rate=rate or None, **changes)


def ask(number: str, *parts: Split, trade: str = "A", finish: bool = False) -> SplitTrade:
    return SplitTrade(merchant=MERCHANT, split_no=number, splits=parts, out_trade_no=trade, finish=finish)


async def stand(house: House) -> tuple[int, int, int, int]:
    """Pending, available, the agent's, the other merchant's."""
    codes = (
        merchant_pending(MERCHANT, "CNY"),
        merchant_available(MERCHANT, "CNY"),
        buyer_balance(AGENT, "CNY"),
        merchant_available(OTHER, "CNY"),
    )
    found = [await house.platform.balance(code) for code in codes]
    return found[0], found[1], found[2], found[3]


async def paid(house: House, number: str = "A", amount: int = 1_000, **changes: Any) -> None:
    await house.open(number, amount=amount, **changes)
    await house.pay(number)


def test_shares_after_the_payment(stage: Stage) -> None:
    """Sums and rates; the same number is the same split; finished is finished; what is left bounds all of it."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house)
        first = await house.ask(ask("s1", part(AGENT, 100, memo="commission"), part(OTHER, rate=1_250)))
        again = await house.ask(ask("s1", part(AGENT, 100, memo="commission"), part(OTHER, rate=1_250)))
        found = await house.ask(QuerySplit(merchant=MERCHANT, split_no="s1"))
        assert isinstance(first, SplitFound)
        by_id = QuerySplit(merchant=MERCHANT, split_id=first.split.split_id)
        assert await house.ask(replace(by_id, trade_no=first.split.trade_no)) == await house.ask(by_id) == found
        for wrong in (replace(by_id, trade_no="1"), replace(by_id, split_id="s1"), replace(by_id, merchant=OTHER)):
            assert await refusal(house.ask(wrong)) == "SPLIT_NOT_FOUND"
        seen: list[Any] = [first == again == found, first.split.state, await stand(house)]
        seen.append(await refusal(house.ask(ask("s1", part(AGENT, 101)))))
        seen.append(await refusal(house.ask(ask("s2", part(AGENT, 770)))))
        seen.append(await refusal(house.ask(ask("s2", part(AGENT, 769), finish=True))))
        seen.append(await refusal(house.ask(ask("s3", part(AGENT, 1)))))
        return [*seen, await stand(house)]

    assert stage.play(scene) == [
        True,
        MovementState.SUCCEEDED,
        (769, 0, 100, 125),
        "IDEMPOTENCY_CONFLICT",
        "SPLIT_EXCEEDS",
        "",
        "TRADE_STATE",
        (0, 0, 869, 125),
    ]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (ask("s1", part("2088000000009999", 1)), "RECEIVER_UNKNOWN"),
        (ask("s1", part(MERCHANT, 1)), "RECEIVER_UNKNOWN"),
        (ask("s1", part(AGENT, 1, name="somebody else")), "RECEIVER_UNKNOWN"),
        (ask("s1", part(AGENT)), "AMOUNT_INVALID"),
        (ask("s1", part(AGENT, 1, rate=1)), "AMOUNT_INVALID"),
        (ask("s1", part(AGENT, rate=10_001)), "AMOUNT_INVALID"),
        (ask("s1", part(AGENT, -1)), "AMOUNT_INVALID"),
        (ask("s1", part(AGENT, 1, giver=Party(OTHER))), "FIELD_INVALID"),
        (ask("s1"), "FIELD_MISSING"),
        (ask("", part(AGENT, 1)), "FIELD_INVALID"),
        (ask("payment", part(AGENT, 1)), "FIELD_INVALID"),
        (ask("s1", part(AGENT, 1), trade="B"), "TRADE_STATE"),
        (ask("s1", part(AGENT, 1), trade="C"), "TRADE_NOT_FOUND"),
    ],
)
def test_T38_wrong_shares_are_refused(wrong: SplitTrade, code: str, sqlite_stage: Stage) -> None:
    """Nobody unknown receives, and nothing that is no sum is given."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house)
        await house.open("B")
        return [await refusal(house.ask(wrong)), await stand(house)]

    assert sqlite_stage.play(scene) == [code, (994, 0, 0, 0)]


def test_shares_agreed_at_creation(stage: Stage) -> None:
    """They are given once, when the trade is paid; a receiver nobody knows is refused at creation."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        seen: list[Any] = [await refusal(house.open("X", splits=(part("2088000000009999", 1),)))]
        seen.append(await refusal(house.open("X", splits=(part(AGENT, 1_001),))))
        await house.open("A", splits=(part(AGENT, 300), part(OTHER, rate=333)))
        seen.append(await run_splits(house.platform))
        await house.pay("A")
        seen += [await run_splits(house.platform), await run_splits(house.platform), await stand(house)]
        return seen

    assert stage.play(scene) == ["RECEIVER_UNKNOWN", "SPLIT_EXCEEDS", 0, 1, 0, (661, 0, 300, 33)]


def royalty(*items: str) -> tuple[Split, ...]:
    """Shares as ``royalty_parameters`` has them; what the client writes is what the server reads."""
    text = "|".join(items).replace("A@", f"{AGENT}@buyer.example").replace("O@", f"{OTHER}@shop.example")
    said = {"royalty_type": "10", "royalty_parameters": text}
    splits = read_royalty(said, Money(1_000))
    assert write_royalty(splits) == said
    return splits


@pytest.mark.slow
def test_a_receiver_passes_on_what_he_was_given(stage: Stage) -> None:
    """Everybody has what he keeps, at once, and gives back no more than that; who passes all on has no share."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        await prepare(house)
        levels = royalty("A@^3.00^agent", "A@^O@^1.20^shop", "O@^A@^0.20^thanks")
        await paid(house, splits=levels)
        await paid(house, "B", splits=royalty("A@^0.70^all of it", "A@^O@^0.70^goes on"))
        seen: list[Any] = [await run_splits(house.platform), await stand(house)]
        for who, amount, number in ((OTHER, 171, "r1"), (AGENT, 181, "r2"), (OTHER, 100, "r3"), (AGENT, 200, "r4")):
            wish = RefundTrade(merchant=MERCHANT, refund_no=number, out_trade_no="A", amount=Money(200))
            back = replace(wish, splits=(part(who, amount, giver=Party(MERCHANT)),))
            seen.append(await refusal(house.ask(back)))
        return [*seen, (await stand(house))[2:]]

    given = [2, (2 * 994 - 370, 0, 200, 170)]
    assert stage.play(scene, furnished=False) == [*given, "SPLIT_EXCEEDS", "", "", "SPLIT_EXCEEDS", (19, 70)]


@pytest.mark.slow
def test_T41_one_number_is_one_refund_with_its_shares(sqlite_stage: Stage) -> None:
    """The same shares again are the same refund; others, or none, under its number are refused by name."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        await prepare(house)
        await paid(house, splits=(part(AGENT, 300),))
        await run_splits(house.platform)
        wish = RefundTrade(merchant=MERCHANT, refund_no="r1", out_trade_no="A", amount=Money(200))
        backs = [(part(AGENT, sum_, giver=Party(MERCHANT)),) for sum_ in (100, 100, 99)]
        seen = [await refusal(house.ask(replace(wish, splits=splits))) for splits in (*backs, ())]
        return [*seen, (await stand(house))[2:]]

    expected = ["", "", "REFUND_MISMATCH", "REFUND_MISMATCH", (200, 0)]
    assert sqlite_stage.play(scene, furnished=False) == expected


@pytest.mark.parametrize(
    ("items", "code"),
    [
        (("A@^3.00^", "A@^O@^3.01^"), "SPLIT_EXCEEDS"),
        (("A@^O@^1.00^", "A@^3.00^"), "SPLIT_EXCEEDS"),
        (("A@^3.00^", "A@^O@^2.00^", "A@^O@^1.01^"), "SPLIT_EXCEEDS"),
        (("A@^3.00^", "nobody@buyer.example^O@^1.00^"), "RECEIVER_UNKNOWN"),
    ],
)
def test_T38_nobody_passes_on_more_than_he_has(items: tuple[str, ...], code: str, sqlite_stage: Stage) -> None:
    """Not before he received it, not twice, and not somebody who received nothing: refused at the trade's creation."""

    async def scene(house: House) -> str:
        await prepare(house)
        return await refusal(house.open("A", splits=royalty(*items)))

    assert sqlite_stage.play(scene) == code


@pytest.mark.parametrize(("to", "code"), [(OTHER, "FIELD_INVALID"), (MERCHANT, "")])
def test_a_share_comes_back_to_the_merchant_alone(to: str, code: str, sqlite_stage: Stage) -> None:
    """A refund that sends a share to somebody else moves nothing: the money is no other receiver's."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=30))
        await prepare(house)
        await paid(house)
        await house.ask(ask("s1", part(AGENT, 100)))
        backs = (part(AGENT, 100, giver=Party(to)),)
        wish = RefundTrade(merchant=MERCHANT, refund_no="r1", out_trade_no="A", amount=Money(100), splits=backs)
        return [await refusal(house.ask(wish)), (await stand(house))[2]]

    assert sqlite_stage.play(scene, furnished=False) == [code, 100 if code else 0]


def test_shares_that_cannot_be_given_are_a_case(stage: Stage) -> None:
    """All of the sum was promised and the fee is taken of it: the money stays the merchant's and a case says so."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house, splits=(part(AGENT, 1_000),))
        done = [await run_splits(house.platform), await run_splits(house.platform)]
        cases = await house.platform.database.read("case.open", {"most": 9})
        found = await house.ask(QuerySplit(merchant=MERCHANT, split_no="payment", out_trade_no="A"))
        assert isinstance(found, SplitFound)
        return [done, len(cases), found.split.code, await stand(house)]

    assert stage.play(scene) == [[1, 0], 1, "SPLIT_EXCEEDS", (994, 0, 0, 0)]


def test_money_that_waits_for_splits_is_not_settled(stage: Stage) -> None:
    """A trade with splits to come stays pending over every settlement until it is finished; others do not wait."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house, split_later=True)
        await paid(house, "B")
        house.clock.advance(DAY)
        await settle_day(house.platform, 20260301)
        seen: list[Any] = [await stand(house)]
        await house.ask(ask("s1", part(AGENT, 94)))
        house.clock.advance(DAY)
        await settle_day(house.platform, 20260302)
        seen.append(await stand(house))
        await house.ask(ask("s2", finish=True))
        house.clock.advance(DAY)
        await settle_day(house.platform, 20260303)
        return [*seen, await stand(house)]

    assert stage.play(scene) == [(994, 994, 0, 0), (900, 994, 94, 0), (0, 1_894, 94, 0)]


def test_a_settled_trade_is_shared_from_what_is_available(stage: Stage) -> None:
    """And the next settlement neither misses it nor counts it twice."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house)
        house.clock.advance(DAY)
        await settle_day(house.platform, 20260301)
        await house.ask(ask("s1", part(AGENT, 94)))
        await paid(house, "B")
        seen: list[Any] = [await stand(house)]
        house.clock.advance(DAY)
        await settle_day(house.platform, 20260302)
        return [*seen, await stand(house), BUYER != AGENT]

    assert stage.play(scene) == [(994, 900, 94, 0), (0, 1_894, 94, 0), True]


def test_T57_a_receiver_is_named_as_the_merchant_knows_him(sqlite_stage: Stage) -> None:
    """Over a protocol with buyers' numbers of its own a share goes to the person behind that number, who is told of
    under it again; another merchant's number of him is nobody."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house, split_later=True)
        seal = house.platform.seal
        mine, others = seal.open_id(MERCHANT, AGENT), seal.open_id(OTHER, AGENT)
        said = await act(house.platform, "wechatpay_v3", Verified(ask("s1", part(mine, 10), part(OTHER, 5)), None))
        assert isinstance(said, SplitFound)
        told = [split.receiver.id for split in said.split.splits]
        wrong = [
            ask("s2", one)
            for one in (
                part(others, 10),
                part(mine, 10, kind="MERCHANT_ID"),
                part(OTHER, 10, kind="PERSONAL_OPENID"),
            )
        ]
        codes = await over_wechat(house, *wrong, ask("s2", part(mine, 1, kind="PERSONAL_OPENID")))
        return [told == [mine, OTHER], await stand(house), codes]

    assert sqlite_stage.play(scene) == [True, (978, 0, 11, 5), ["RECEIVER_UNKNOWN"] * 3 + [""]]


def test_where_the_protocol_says_so_trades_alone_are_shared_that_were_created_to_be(sqlite_stage: Stage) -> None:
    """Of another nothing can be shared, nor is anything of it waiting; elsewhere the same trade is shared."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        await paid(house)
        await paid(house, "B", split_later=True)
        left = []
        for trade in "AB":
            asked = Verified(QueryUnsplit(merchant=MERCHANT, out_trade_no=trade), None)
            found = [await act(house.platform, name, asked) for name in ("wechatpay_v3", PROTOCOL)]
            left.append([one.amount.minor for one in found if isinstance(one, UnsplitFound)])
        wishes = (ask("s1", part(AGENT, 1)), ask("s1", finish=True), ask("s2", part(AGENT, 1), trade="B"))
        codes = await over_wechat(house, *wishes)
        return [left, codes, await refusal(house.ask(ask("s1", part(AGENT, 1))))]

    assert sqlite_stage.play(scene) == [[[0, 994], [994, 994]], ["TRADE_STATE", "TRADE_STATE", ""], ""]


async def over_wechat(house: House, *wishes: Any) -> list[str]:
    """What each is answered over a protocol whose split numbers are unique within all of a merchant's; at once."""
    acts = [refusal(act(house.platform, "wechatpay_v3", Verified(wish, None))) for wish in wishes]
    return await asyncio.gather(*acts)


@pytest.mark.slow
def test_T41_one_split_number_is_one_split_of_all_trades(stage: Stage) -> None:
    """Where the protocol says so: another trade under it is refused, also of many at once, and its own is the same."""

    async def scene(house: House) -> list[Any]:
        await prepare(house)
        for trade in "ABC":
            await paid(house, trade, split_later=True)
        wishes = [ask(number, part(AGENT, 100), trade=trade) for trade in "AB" for number in ("s1", "s2")]
        codes = await over_wechat(house, *wishes, *wishes)
        later = await over_wechat(house, *wishes, ask("s1", part(AGENT, 1), trade="C"), ask("s3", part(AGENT, 1)))
        # another protocol's numbers are unique within a trade, and stay so
        other = [await refusal(house.ask(ask("s1", part(AGENT, 1), trade="C")))]
        return [Counter(codes), Counter(later), other, (await stand(house))[2]]

    conflict = "IDEMPOTENCY_CONFLICT"
    assert stage.play(scene) == [Counter({"": 4, conflict: 4}), Counter({"": 3, conflict: 3}), [""], 202]


@pytest.mark.slow
def test_the_split_numbers_of_before_are_known(stage: Stage) -> None:
    """The migration writes of earlier splits what a split of now writes."""
    found = "SELECT scope, key, request_hash, outcome, at FROM answer WHERE scope LIKE 'split:%' ORDER BY key"

    async def scene(house: House) -> list[str]:
        await house.furnish(merchant=make_merchant(protocols=json.dumps(["wechatpay_v3"])))
        await prepare(house)
        codes = await over_wechat(house, make_intent("A", split_later=True), make_intent("B", splits=(part(AGENT, 5),)))
        await house.pay("A")
        await house.pay("B")
        await run_splits(house.platform)
        return codes + await over_wechat(house, ask("s1", part(AGENT, 100)), ask("s2", part(AGENT, 100)))

    assert stage.play(scene, furnished=False) == [""] * 4
    written = stage.execute(found)
    assert [(row[1], row[3]) for row in written] == [("s1", "A"), ("s2", "A")]
    stage.execute("DELETE FROM answer WHERE scope LIKE 'split:%'")
    sql = next(migration.sql for migration in migrations() if migration.name == "split_no")
    stage.execute(next(part for part in sql.split(";") if "INSERT INTO answer" in part))
    assert stage.execute(found) == written
