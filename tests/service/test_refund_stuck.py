"""A refund whose bank does not take it, where the interface has a word for that: it is stuck until somebody says
where its money goes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.service.test_refund_told import events
from tests.support.platform import BUYER, FEE_RATE, MERCHANT, PLENTY, House, Stage, make_intent, make_merchant, refusal
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.ledger.account import buyer_balance, merchant_available
from tongbao.service.act import act
from tongbao.service.chargeback import TakeChargeback
from tongbao.service.correction import CloseCase, DecideCorrection, ProposeCorrection, ProposeStuck
from tongbao.service.refund_act import refunds_of
from tongbao.store.record import Case
from tongbao.store.schema import CASE
from tongbao.wire.contract import Verified
from tongbao.wire.movement import (
    CancelTrade,
    MovementState,
    QueryRefund,
    RecoverRefund,
    RefundFound,
    RefundTrade,
    RefundView,
)

V3 = "wechatpay_v3"
OWN = "http://shop.example/refund"


async def ask(house: House, intent: Any, protocol: str = V3) -> RefundView:
    """What a merchant's request about one refund comes to."""
    outcome = await act(house.platform, protocol, Verified(intent, None))
    assert isinstance(outcome, RefundFound)
    return outcome.refunds[0]


async def stick(house: House, protocol: str = V3, amount: int = 400) -> RefundView:
    """A card's payment of which a part goes back, and its bank does not take it."""
    await house.furnish(merchant=make_merchant(refund_days=9, protocols=json.dumps([protocol])))
    await act(house.platform, protocol, Verified(make_intent("A"), None))
    await house.say(await house.start("A"))
    refund = RefundTrade(merchant=MERCHANT, refund_no="r1", out_trade_no="A", amount=Money(amount), notify_url=OWN)
    await ask(house, refund, protocol)
    await house.say(f"{(await house.payments('A'))[0].payment_no}R0001", "failed", amount)
    return await ask(house, QueryRefund(merchant=MERCHANT, refund_no="r1"), protocol)


async def case(house: House, refund: RefundView) -> str:
    """How its case stands."""
    found: list[Case] = await house.platform.database.load(CASE, [(f"stuck:{refund.refund_id}",)])
    return found[0].state if found else ""


async def open_cases(house: House) -> int:
    return len(await house.platform.database.read("case.open", {"most": 9}))


def test_T41_what_the_bank_charged_back_is_not_given_again(sqlite_stage: Stage) -> None:
    """The buyer's bank took the whole payment back while the refund was stuck: operators cannot give it to him as well,
    and the merchant can have it back."""

    async def scene(house: House) -> list[Any]:
        refund = await stick(house)
        payment = (await house.payments("A"))[0]
        number = f"{payment.payment_no}P"
        taken = TakeChargeback(payment.bank, "cb1", number, MERCHANT, "A", payment.amount, "olga", "otto", "denied")
        await house.submit(taken)
        await house.submit(ProposeStuck("s1", MERCHANT, "A", refund.refund_id, "olga", "the card is closed"))
        refused = await refusal(house.submit(DecideCorrection("s1", True, "otto")))
        before = (await house.balances()).get("stuck", 0)
        await ask(house, RecoverRefund(merchant=MERCHANT, refund_id=refund.refund_id, refund_no="r1"))
        return [refused, before, (await house.balances()).get("stuck", 0)]

    assert sqlite_stage.play(scene, furnished=False) == ["REFUND_EXCEEDS", 400, 0]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [V3, "wechatpay_v2"])
def test_I16_what_a_bank_does_not_take_waits_in_an_account_of_its_own(protocol: str, stage: Stage) -> None:
    """Gone from the merchant, not with the buyer: told once, one case, and the same number is the same refund. It
    cannot be given back a second time, and its case is closed by nothing but its end."""

    async def scene(house: House) -> list[Any]:
        refund = await stick(house, protocol)
        told = [(one.cause.partition(":")[0], one.target) for one in await events(house, "A")][-1]
        again = RefundTrade(merchant=MERCHANT, refund_no="r1", out_trade_no="A", amount=Money(400))
        assert (await ask(house, again, protocol)).stuck
        more = RefundTrade(merchant=MERCHANT, refund_no="r2", out_trade_no="A", amount=Money(601))
        codes = [await refusal(ask(house, more, protocol))]
        number = f"stuck:{refund.refund_id}"
        codes.append(await refusal(house.submit(CloseCase(number, "olga", "seen"))))
        wrong = ProposeCorrection(
            "x", number, merchant_available(MERCHANT, "CNY"), buyer_balance(BUYER, "CNY"), 1, "olga", "so", MERCHANT
        )
        codes.append(await refusal(house.submit(wrong)))
        trade, balances = await house.trade("A"), await house.balances()
        return [
            (refund.state, refund.stuck, refund.code, refund.ended_at),
            told,
            codes,
            (trade.state, trade.refunded, trade.refund_state),
            (balances["stuck"], balances.get("refunding", 0), balances["buyer"]),
            (await case(house, refund), await open_cases(house)),
        ]

    assert stage.play(scene, furnished=False) == [
        (MovementState.ACCEPTED, True, "", None),
        ("refund_stuck", OWN),
        ["REFUND_EXCEEDS", "STATE_CONFLICT", "STATE_CONFLICT"],
        ("paid", 400, "paying_back"),
        (400, 0, PLENTY),
        ("open", 1),
    ]


@pytest.mark.slow
def test_the_merchant_takes_it_back(stage: Stage) -> None:
    """By both numbers of it: everything is where it was, four times at once is once, and he may give back again. What
    is not stuck is not taken back."""

    async def scene(house: House) -> list[Any]:
        refund = await stick(house)
        asked = RecoverRefund(merchant=MERCHANT, refund_id=refund.refund_id, refund_no="r1")
        other = RecoverRefund(merchant=MERCHANT, refund_id=refund.refund_id, refund_no="r2")
        codes = [await refusal(ask(house, other))]
        ended = await asyncio.gather(*[ask(house, asked) for _ in range(4)])
        told = [(one.cause.partition(":")[0], one.target) for one in await events(house, "A")]
        trade, balances = await house.trade("A"), await house.balances()
        seen = [(trade.state, trade.refunded, trade.refund_state), balances.get("stuck", 0), balances["pending"]]
        cases = (await case(house, refund), await open_cases(house))
        again = await ask(house, RefundTrade(merchant=MERCHANT, refund_no="r2", out_trade_no="A", amount=Money(1_000)))
        early = RecoverRefund(merchant=MERCHANT, refund_id=again.refund_id, refund_no="r2")
        codes.append(await refusal(ask(house, early)))
        ends = {(one.state, one.stuck, one.code) for one in ended}
        return [codes, ends, told[-2:], *seen, cases]

    assert stage.play(scene, furnished=False) == [
        ["REFUND_NOT_FOUND", "STATE_CONFLICT"],
        {(MovementState.FAILED, False, "PAYMENT_STATE")},
        [("refund_stuck", OWN), ("refund_failed", OWN)],
        ("paid", 0, "closed"),
        0,
        1_000 - 1_000 * FEE_RATE // 10_000,
        ("closed", 0),
    ]


@pytest.mark.slow
def test_T67_two_operators_give_it_to_the_buyers_balance(stage: Stage) -> None:
    """One proposes and another posts: the refund has succeeded, whole, and all of it closes the trade."""

    async def scene(house: House) -> list[Any]:
        refund = await stick(house, amount=1_000)
        number = refund.refund_id
        proposed = ProposeStuck("s1", MERCHANT, "A", number, "olga", "the card is closed")
        other = ProposeStuck("s0", MERCHANT, "A", f"{number[:-1]}2", "olga", "none")
        codes = [await refusal(house.submit(other))]
        await house.submit(proposed)
        codes.append(await refusal(house.submit(DecideCorrection("s1", True, "olga"))))
        assert await house.submit(DecideCorrection("s1", True, "otto")) == "posted"
        codes.append(await refusal(house.submit(DecideCorrection("s1", True, "otto"))))
        late = RecoverRefund(merchant=MERCHANT, refund_id=refund.refund_id, refund_no="r1")
        codes.append(await refusal(ask(house, late)))
        done = await ask(house, QueryRefund(merchant=MERCHANT, refund_no="r1"))
        trade, balances = await house.trade("A"), await house.balances()
        told = (await events(house, "A"))[-1].target
        seen = [(done.state, done.stuck, done.method), (trade.state, trade.refunded), balances["buyer"], told]
        return [codes, *seen, (await case(house, refund), await open_cases(house)), balances.get("stuck", 0)]

    assert stage.play(scene, furnished=False) == [
        ["REFUND_NOT_FOUND", "MAKER_IS_CHECKER", "STATE_CONFLICT", "STATE_CONFLICT"],
        (MovementState.SUCCEEDED, False, "balance"),
        ("closed", 1_000),
        PLENTY + 1_000,
        OWN,
        ("closed", 0),
        0,
    ]


@pytest.mark.slow
def test_T41_merchant_and_operators_at_once_end_it_once(stage: Stage) -> None:
    """Whoever comes first has it: never both."""

    async def scene(house: House) -> bool:
        refund = await stick(house)
        await house.submit(ProposeStuck("s1", MERCHANT, "A", refund.refund_id, "olga", "the card is closed"))
        asked = RecoverRefund(merchant=MERCHANT, refund_id=refund.refund_id, refund_no="r1")
        codes = await asyncio.gather(
            refusal(ask(house, asked)), refusal(house.submit(DecideCorrection("s1", True, "otto")))
        )
        trade, balances = await house.trade("A"), await house.balances()
        return sorted(codes) == ["", "STATE_CONFLICT"] and balances["buyer"] == PLENTY + trade.refunded

    assert stage.play(scene, furnished=False) is True


@pytest.mark.slow
@pytest.mark.parametrize("taken_back", [True, False])
def test_I18_a_trade_may_be_finished_before_its_stuck_refund_ends(taken_back: bool, stage: Stage) -> None:
    """Nothing leaves a final state: the money goes where it is to go all the same."""

    async def scene(house: House) -> list[Any]:
        refund = await stick(house, amount=1_000)
        house.clock.advance(10 * DAY)
        await house.tick("A")
        before = (await house.trade("A")).state
        if taken_back:
            await ask(house, RecoverRefund(merchant=MERCHANT, refund_id=refund.refund_id, refund_no="r1"))
        else:
            await house.submit(ProposeStuck("s1", MERCHANT, "A", refund.refund_id, "olga", "the card is closed"))
            await house.submit(DecideCorrection("s1", True, "otto"))
        trade, balances = await house.trade("A"), await house.balances()
        return [before, trade.state, trade.refunded, balances["buyer"], balances.get("stuck", 0)]

    refunded = 0 if taken_back else 1_000
    assert stage.play(scene, furnished=False) == ["finished", "finished", refunded, PLENTY + refunded, 0]


@pytest.mark.slow
def test_what_is_taken_back_by_a_reversal_fails_as_ever(sqlite_stage: Stage) -> None:
    """It has no number of the merchant's that he could say where it goes by."""

    async def scene(house: House) -> list[Any]:
        await house.furnish(merchant=make_merchant(refund_days=9, protocols=json.dumps([V3])))
        await act(house.platform, V3, Verified(make_intent("A"), None))
        await house.say(await house.start("A"))
        await act(house.platform, V3, Verified(CancelTrade(merchant=MERCHANT, out_trade_no="A"), None))
        await house.say(f"{(await house.payments('A'))[0].payment_no}R0001", "failed")
        trade = await house.trade("A")
        return [trade.refunded, (await refunds_of(house.platform, trade))[0].state]

    assert sqlite_stage.play(scene, furnished=False) == [0, "failed"]


PLANTS = (
    ("I16", "UPDATE account SET balance = balance + 1 WHERE code LIKE '%:stuck:%'"),
    ("I16", "UPDATE refund SET code = ''"),
    ("I16", "UPDATE case_file SET state = 'closed' WHERE kind = 'refund_stuck'"),
    ("I16", "UPDATE case_file SET amount = 1 WHERE kind = 'refund_stuck'"),
    ("I14", "DELETE FROM entry WHERE kind = 'refund_stuck'"),
    ("I14", f"UPDATE posting SET credit = 'merchant:{MERCHANT}:pending:CNY' WHERE credit LIKE '%:stuck:%'"),
    ("I14", f"UPDATE posting SET debit = 'merchant:{MERCHANT}:pending:CNY' WHERE credit LIKE '%:stuck:%'"),
    ("I20", "DELETE FROM event WHERE cause LIKE 'refund_stuck:%'"),
    ("I13", "UPDATE trade SET refunded = 0"),
)
FROM_ASIDE = f"UPDATE posting SET debit = 'merchant:{MERCHANT}:refunding:CNY' WHERE debit LIKE '%:stuck:%'"
GIVEN = (
    ("I37", "UPDATE correction SET state = 'refused'"),
    ("I37", "UPDATE correction SET amount = amount - 1"),
    ("I37", "UPDATE correction SET decided_at = decided_at - 1"),
    ("I37", "UPDATE correction SET credit = 'buyer:other:balance:CNY'"),
    ("I37", "UPDATE correction SET case_id = 'stuck:other'"),
    ("I37", "DELETE FROM correction"),
    ("I14", "DELETE FROM entry WHERE kind = 'refund_stuck'"),
    ("I14", FROM_ASIDE),
)
TAKEN = (("I14", "DELETE FROM entry WHERE kind = 'refund_stuck'"), ("I14", FROM_ASIDE))
OPEN = tuple(("", *plant) for plant in PLANTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ended", "invariant", "statement"),
    [*OPEN, *(("given", *plant) for plant in GIVEN), *(("taken", *plant) for plant in TAKEN)],
)
def test_the_auditor_finds_what_is_wrong_with_a_stuck_refund(
    ended: str, invariant: str, statement: str, sqlite_stage: Stage
) -> None:
    """Its account is what is stuck, each has its entry, its event and its open case. It ended out of that account and
    no other, and is the buyer's by a correction of two persons alone."""

    async def scene(house: House) -> bool:
        refund = await stick(house)
        if ended == "given":
            await house.submit(ProposeStuck("s1", MERCHANT, "A", refund.refund_id, "olga", "the card is closed"))
            await house.submit(DecideCorrection("s1", True, "otto"))
        elif ended == "taken":
            await ask(house, RecoverRefund(merchant=MERCHANT, refund_id=refund.refund_id, refund_no="r1"))
        assert await house.audit() == []
        append_only = ("entry_no_delete", "posting_no_update")
        sqlite_stage.execute(*(f"DROP TRIGGER IF EXISTS {one}" for one in append_only), statement)
        return invariant in {finding.id for finding in await house.audit()}

    assert sqlite_stage.play(scene, furnished=False, audited=False) is True
