"""A merchant's people: entered by one, confirmed by another, and no batch that needs them moves without them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.service.test_payout import EARNED, FEE, HIM, batch, earn, stand
from tests.support.platform import MERCHANT, House, Stage, refusal
from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import SECOND, Instant
from tongbao.service.merchant_operator import (
    AGREE_PAYOUTS,
    AGREE_REFUNDS,
    REFUSE_PAYOUTS,
    ApproveMerchantOperator,
    DisableMerchantOperator,
    PutMerchantOperator,
    ReserveAgreement,
    SettleAgreement,
)
from tongbao.service.merchant_operator_act import (
    decide_payouts,
    decide_refunds,
    operators_of,
    put_operator,
)
from tongbao.service.party import RegisterOperator
from tongbao.service.password import check_strength
from tongbao.service.payout_act import find_payout_batch, run_batches
from tongbao.service.payout_batch import CloseBatch, StartBatch
from tongbao.service.payout_file import upload
from tongbao.service.refund_act import find_batch, lines_of, run_refund_lines
from tongbao.service.refund_batch import ConfirmRefundBatch
from tongbao.trade.party import AUTHORISATION_TIME, LOCK_TIME, PASSWORD_TRIES, Operator
from tongbao.wire.movement import RefundBatch, RefundItem

PASSWORDS = {"li": "li-pays-4711", "wang": "wang-pays-0815"}
LARGE = batch(("1", HIM, 20_001), number="b1", asks_password=True)
SMALL = batch(("1", HIM, 1_000), number="b1", asks_password=True)


async def staff(house: House, *names: str) -> None:
    """The merchant's people, each entered by one operator of the platform and confirmed by another."""
    for name in names or tuple(PASSWORDS):
        version = await put_operator(house.platform, MERCHANT, name, PASSWORDS[name], "olga", "papers")
        await house.submit(ApproveMerchantOperator(MERCHANT, name, version, "otto", "called back"))


async def say(house: House, name: str, password: str = "", *, agrees: bool = True, number: str = "b1") -> str:
    """What an operator's answer to a batch of payouts comes to: its state, or the refusal as he reads it."""
    found = await find_payout_batch(house.platform, MERCHANT, number)
    try:
        said = await decide_payouts(
            house.platform, found, name, password or PASSWORDS[name], agrees=agrees, reason="seen"
        )
    except Refused as refused:
        return str(refused) if refused.code == "LOGIN_WRONG" else refused.code
    return f"{said.state} {said.missing}"


def test_T67_a_large_batch_needs_two_of_the_merchants_people(stage: Stage) -> None:
    """Not the key however often it asks, not one person twice: two persons, and then it runs once."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await staff(house)
        await house.ask(LARGE)
        seen: list[Any] = [await refusal(house.submit(StartBatch(MERCHANT, "b1")))]
        seen.append(await refusal(house.submit(StartBatch(MERCHANT, "b1", f"{MERCHANT}/op:li", "forged"))))
        await house.ask(batch(("1", HIM, 20_001), number="b1"))
        seen.append((await find_payout_batch(house.platform, MERCHANT, "b1")).state)
        seen += [await say(house, "li"), await say(house, "li"), await stand(house), await say(house, "wang")]
        found = await find_payout_batch(house.platform, MERCHANT, "b1")
        seen += [found.first, found.checker, await say(house, "li")]
        await run_batches(house.platform)
        return [*seen, await stand(house)]

    assert stage.play(scene, furnished=False) == [
        "MAKER_IS_CHECKER",
        "AUTHORISATION_INVALID",
        "proposed",
        "proposed 1",
        "MAKER_IS_CHECKER",
        (EARNED, 0, 0),
        "running 0",
        f"{MERCHANT}/op:li",
        f"{MERCHANT}/op:wang",
        "running 0",
        (EARNED - 20_001 - FEE, 0, 20_001),
    ]


def test_T67_a_small_batch_that_asks_needs_one(stage: Stage) -> None:
    """The service without password, called with the number of a batch that asked for one, does not start it."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await staff(house, "li")
        await house.ask(SMALL)
        await house.ask(batch(("1", HIM, 1_000), number="b1"))
        seen: list[Any] = [(await find_payout_batch(house.platform, MERCHANT, "b1")).state]
        return [*seen, await refusal(house.submit(StartBatch(MERCHANT, "b1"))), await say(house, "li")]

    assert stage.play(scene, furnished=False) == ["proposed", "MAKER_IS_CHECKER", "running 0"]


@pytest.mark.slow
def test_T67_people_who_agree_at_once_are_still_two(stage: Stage) -> None:
    """Each of the two from eight sides at once, the shop asking again: one was first, one last, money left once."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await staff(house)
        await house.ask(LARGE)
        answers = [say(house, name) for name in ("li", "wang") for _ in range(8)]
        await asyncio.gather(*answers, *[house.ask(LARGE) for _ in range(4)])
        for name in PASSWORDS:
            await say(house, name)
        await run_batches(house.platform)
        found = await find_payout_batch(house.platform, MERCHANT, "b1")
        return [{found.first, found.checker}, found.state, await stand(house)]

    both = {f"{MERCHANT}/op:li", f"{MERCHANT}/op:wang"}
    assert stage.play(scene, furnished=False) == [both, "done", (EARNED - 20_001 - FEE, 0, 20_001)]


@pytest.mark.slow
def test_T67_an_operator_of_either_house_is_one_person(sqlite_stage: Stage) -> None:
    """The merchant's person and the platform's are two; either may send the batch away, and then nobody starts it."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await staff(house, "li")
        await house.ask(LARGE)
        seen: list[Any] = [(await house.submit(StartBatch(MERCHANT, "b1", "carla", "asked by telephone"))).missing]
        seen.append(await say(house, "li", agrees=False))
        seen += [await say(house, "li"), await refusal(house.submit(StartBatch(MERCHANT, "b1", "otto", "late")))]
        await house.ask(batch(("1", HIM, 20_001), number="b2", asks_password=True))
        await say(house, "li", number="b2")
        seen.append((await house.submit(StartBatch(MERCHANT, "b2", "carla", "asked by telephone"))).state)
        return [*seen, await stand(house)]

    expected = [1, "closed 0", "STATE_CONFLICT", "STATE_CONFLICT", "running", (EARNED - 20_001 - FEE, 20_026, 0)]
    assert sqlite_stage.play(scene, furnished=False) == expected


def test_T67_who_entered_a_person_counts_as_one_with_him(sqlite_stage: Stage) -> None:
    """Olga, who may know li's password, agrees neither before nor after him, and he not to a file of hers; what another
    has given him a password for does not undo that he agreed with hers."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await staff(house)
        seen: list[Any] = []
        for number in ("b1", "b2"):
            await house.ask(batch(("1", HIM, 20_001), number=number, asks_password=True))
        await house.submit(StartBatch(MERCHANT, "b1", "olga", "asked by telephone"))
        seen.append(await say(house, "li"))
        seen.append(await say(house, "li", number="b2"))
        await put_operator(house.platform, MERCHANT, "li", "another-1-word", "otto", "forgotten")
        seen.append(await refusal(house.submit(StartBatch(MERCHANT, "b2", "olga", "asked by telephone"))))
        made = await upload(
            house.platform, MERCHANT, f"payout_no,payee,amount\n1,{HIM.party.login},1\n".encode(), "olga"
        )
        seen += [await say(house, "wang", number=made.batch_no), await stand(house)]
        return [*seen, (await house.submit(StartBatch(MERCHANT, "b2", "otto", "asked by telephone"))).state]

    maker = "MAKER_IS_CHECKER"
    assert sqlite_stage.play(scene, furnished=False) == [maker, "proposed 1", maker, maker, (EARNED, 0, 0), "running"]


def test_T60_nobody_learns_which_names_there_are(stage: Stage) -> None:
    """Unknown, wrong, locked, disabled and not yet confirmed: one sentence. The lock ends by wire time alone (T59)."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await staff(house)
        await put_operator(house.platform, MERCHANT, "new", "new-pays-5555", "olga", "papers")
        await house.submit(DisableMerchantOperator(MERCHANT, "wang", "olga", "left"))
        await house.ask(SMALL)
        said = [await say(house, "nobody", "x"), await say(house, "new", "new-pays-5555"), await say(house, "wang")]
        said += [await say(house, "li", "wrong") for _ in range(PASSWORD_TRIES)]
        said.append(await say(house, "li"))
        house.clock.advance(2 * LOCK_TIME)
        said.append(await say(house, "li"))
        house.clock.pass_wire(LOCK_TIME + SECOND)
        return [Counter(said), await say(house, "li")]

    wrong = "LOGIN_WRONG: operator or payment password is wrong, or too many tries; wait"
    assert stage.play(scene, furnished=False) == [{wrong: PASSWORD_TRIES + 5}, "running 0"]


@pytest.mark.slow
def test_T46_guesses_in_one_burst_are_counted(stage: Stage) -> None:
    """Of thirty guesses at once five are looked at, and then he is locked; a right one starts the count again (T59)."""

    async def scene(house: House) -> list[str]:
        await earn(house)
        await staff(house)
        await house.ask(LARGE)
        for _ in range(PASSWORD_TRIES - 1):
            await say(house, "wang", "wrong")
        seen = [await say(house, "wang")]
        await asyncio.gather(*[say(house, "li", f"guess {n}") for n in range(30)])
        return [*seen, (await say(house, "li")).split(":")[0]]

    assert stage.play(scene, furnished=False) == ["proposed 1", "LOGIN_WRONG"]
    rows = stage.execute(f"SELECT COUNT(*) FROM authorisation WHERE buyer_id = '{MERCHANT}/op:li' AND state = 'denied'")
    assert rows == [(PASSWORD_TRIES,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("another batch", "AUTHORISATION_INVALID"),
        ("another act", "AUTHORISATION_INVALID"),
        ("refunds", "AUTHORISATION_INVALID"),
        ("another person", "AUTHORISATION_INVALID"),
        ("only reserved", "AUTHORISATION_INVALID"),
        ("denied", "LOGIN_WRONG"),
        ("unknown", "AUTHORISATION_INVALID"),
        ("too old", "AUTHORISATION_INVALID"),
        ("disabled since", "NO_PRIVILEGE"),
        ("", ""),
    ],
)
def test_T61_a_word_is_for_exactly_one_decision(wrong: str, code: str, sqlite_stage: Stage) -> None:
    """Person, act and batch must be those it was granted for, within five minutes; and it is used once."""

    async def scene(house: House) -> list[str]:
        await earn(house)
        await staff(house)
        for number in ("b1", "b2"):
            await house.ask(batch(("1", HIM, 20_001), number=number, asks_password=True))
        act = {"another act": REFUSE_PAYOUTS, "refunds": AGREE_REFUNDS}.get(wrong, AGREE_PAYOUTS)
        number = "b2" if wrong == "another batch" else "b1"
        await house.submit(ReserveAgreement("word", MERCHANT, "li", act, number, 20_001, "CNY"))
        settle = SettleAgreement("word", MERCHANT, "li", wrong != "denied")
        settled = "" if wrong == "only reserved" else await refusal(house.submit(settle))
        house.clock.pass_wire(AUTHORISATION_TIME + 1 if wrong == "too old" else 0)
        if wrong == "disabled since":
            await house.submit(DisableMerchantOperator(MERCHANT, "li", "otto", "left"))
        name, word = "wang" if wrong == "another person" else "li", "other" if wrong == "unknown" else "word"
        start = StartBatch(MERCHANT, "b1", name, "seen", word=word)
        said = settled or await refusal(house.submit(start))
        again = [await refusal(house.submit(start)), await refusal(house.submit(settle))]
        assert "" not in again or wrong == "only reserved"
        return [said, (await find_payout_batch(house.platform, MERCHANT, "b1")).first]

    first = "" if code else f"{MERCHANT}/op:li"
    # a word for refunds that nobody asked for would be named by the auditor
    assert sqlite_stage.play(scene, furnished=False, audited=wrong != "refunds") == [code, first]


@pytest.mark.slow
@pytest.mark.parametrize("agrees", [True, False])
def test_T67_refunds_that_ask_need_one_person(agrees: bool, stage: Stage) -> None:
    """Agreed to or sent away under the person's name; without his word, or with a used one, nothing changes."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await staff(house, "li")
        trade = await house.trade("A")
        item = RefundItem(trade_no=trade.trade_no, amount=Money(300), reason="late")
        await house.ask(RefundBatch(merchant=MERCHANT, batch_no="r1", items=(item,), asks_password=True))
        found = await find_batch(house.platform, MERCHANT, "r1")
        lines = await lines_of(house.platform, found)
        answer: Any = {"agrees": agrees, "reason": "seen"}
        wrong = decide_refunds(house.platform, found, lines, "li", "wrong", **answer)
        seen: list[Any] = [await refusal(wrong)]
        seen.append(await refusal(house.submit(ConfirmRefundBatch(MERCHANT, "r1", f"{MERCHANT}/op:li", agrees))))
        seen.append(await refusal(house.submit(ConfirmRefundBatch(MERCHANT, "r1", "", agrees))))
        seen.append(await refusal(house.submit(ConfirmRefundBatch(MERCHANT, "r1", "li", agrees, "no word"))))
        right = await decide_refunds(house.platform, found, lines, "li", PASSWORDS["li"], **answer)
        seen += [right.state, right.agreed_by]
        again = decide_refunds(house.platform, found, lines, "li", PASSWORDS["li"], **answer)
        return [*seen, await refusal(again), await run_refund_lines(house.platform)]

    state = "running" if agrees else "closed"
    no_word, nobody = "AUTHORISATION_INVALID", "FIELD_MISSING"
    expected = [
        "LOGIN_WRONG",
        no_word,
        nobody,
        "AUTHORISATION_INVALID",
        state,
        f"{MERCHANT}/op:li",
        "STATE_CONFLICT",
        int(agrees),
    ]
    assert stage.play(scene, furnished=False) == expected


@pytest.mark.slow
def test_T67_who_enters_a_person_does_not_confirm_him(stage: Stage) -> None:
    """Not the first time, not after a new password, not by confirming another version than was seen."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        await house.ask(SMALL)
        platform = house.platform
        await put_operator(platform, MERCHANT, "li", PASSWORDS["li"], "olga", "papers")
        seen: list[Any] = [await refusal(house.submit(ApproveMerchantOperator(MERCHANT, "li", 1, "olga", "me again")))]
        seen.append(await refusal(house.submit(ApproveMerchantOperator(MERCHANT, "li", 2, "otto", "seen"))))
        seen.append(await house.submit(ApproveMerchantOperator(MERCHANT, "li", 1, "otto", "called back")))
        seen.append(await refusal(house.submit(ApproveMerchantOperator(MERCHANT, "li", 1, "otto", "twice"))))
        version = await put_operator(platform, MERCHANT, "li", "another-1-word", "otto", "forgotten")
        seen += [version, (await say(house, "li")).split(":")[0], (await say(house, "li", "another-1-word"))[:11]]
        seen.append(await refusal(house.submit(ApproveMerchantOperator(MERCHANT, "li", 2, "otto", "me again"))))
        await house.submit(ApproveMerchantOperator(MERCHANT, "li", 2, "olga", "called back"))
        seen += [(await say(house, "li"))[:11], await say(house, "li", "another-1-word")]
        seen += [[(row.name, row.status, row.attempts) for row in await operators_of(platform, MERCHANT)]]
        return seen

    conflict, maker = "STATE_CONFLICT", "MAKER_IS_CHECKER"
    first = [maker, "REVIEW_AGAIN", "active", conflict, 2, "LOGIN_WRONG", "LOGIN_WRONG", maker]
    assert stage.play(scene, furnished=False) == [*first, "LOGIN_WRONG", "running 0", [("li", "active", 0)]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (PutMerchantOperator("2088000000000404", "li", "scrypt:1:8:1:00:00", "olga", "x"), "UNKNOWN_MERCHANT"),
        (PutMerchantOperator(MERCHANT, "", "scrypt:1:8:1:00:00", "olga", "x"), "FIELD_INVALID"),
        (PutMerchantOperator(MERCHANT, " li", "scrypt:1:8:1:00:00", "olga", "x"), "FIELD_INVALID"),
        (PutMerchantOperator(MERCHANT, "l\u200bi", "scrypt:1:8:1:00:00", "olga", "x"), "FIELD_INVALID"),
        (PutMerchantOperator(MERCHANT, "l" * 33, "scrypt:1:8:1:00:00", "olga", "x"), "FIELD_INVALID"),
        (ApproveMerchantOperator(MERCHANT, "li", 1, "otto", "x"), "NOT_FOUND"),
        (DisableMerchantOperator(MERCHANT, "li", "otto", "x"), "NOT_FOUND"),
        (SettleAgreement("word", MERCHANT, "li", True), "NOT_FOUND"),
        (CloseBatch(MERCHANT, "b1", "li", "x", word="word"), "BATCH_NOT_FOUND"),
        (RegisterOperator(Operator("2088/op:li", "both", "", "scrypt:", "olga", Instant(0)), 1), "FIELD_INVALID"),
    ],
)
def test_a_person_who_is_none(command: Any, code: str, sqlite_stage: Stage) -> None:
    """Named by what is wrong with him, and no operator of the platform takes the name of a merchant's."""

    async def scene(house: House) -> str:
        return await refusal(house.submit(command))

    assert sqlite_stage.play(scene) == code


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("", False),
        ("a1b2c3d", False),
        ("12345678", False),
        ("98765432", False),
        ("11112222", False),
        ("Password", False),
        ("qwertyuiop", False),
        ("a1b2c3d4" * 16 + "e", False),
        ("a1b2c3d4", True),
        ("付款的密码是长的", True),
    ],
)
def test_T59_what_is_guessed_first_is_no_payment_password(password: str, good: bool) -> None:
    """Short ones, repeats and runs are refused before anything is stored."""
    if good:
        check_strength(password)
        return
    with pytest.raises(Refused, match="payment password"):
        check_strength(password)
