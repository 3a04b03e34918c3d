"""T46, T59, T60, T61: passwords, and the single-use agreement to one exact act."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.platform import (
    BUYER,
    LOGIN_PASSWORD,
    MERCHANT,
    OTHER,
    PAY_PASSWORD,
    House,
    Stage,
    make_buyer,
    refusal,
)
from tongbao.kernel.error import Refused
from tongbao.kernel.time import SECOND
from tongbao.service import checkout
from tongbao.service.escrow import ConfirmReceipt
from tongbao.service.password import (
    ReserveAuthorisation,
    SettleAuthorisation,
    check_password,
    hash_password,
)
from tongbao.service.pay import PayFromBalance
from tongbao.trade.party import AUTHORISATION_TIME, LOCK_TIME, PASSWORD_TRIES


async def say(house: House, password: str) -> str:
    """What a try at the pay password comes to."""
    trade = await house.trade("A")
    try:
        await checkout.authorise(house.platform, BUYER, "pay", trade, password)
    except Refused as refused:
        return f"{refused.code} {refused.detail}".removesuffix(" too many wrong pay passwords")
    return "granted"


def test_T59_five_wrong_tries_lock_for_three_hours(stage: Stage) -> None:
    """Each wrong try says how many are left; the fifth locks; the lock ends by wire time, not by business time."""

    async def scene(house: House) -> list[str]:
        await house.open("A")
        said = [await say(house, "000000") for _ in range(PASSWORD_TRIES)]
        said.append(await say(house, PAY_PASSWORD))
        house.clock.advance(2 * LOCK_TIME)
        said.append(await say(house, PAY_PASSWORD))
        house.clock.pass_wire(LOCK_TIME + SECOND)
        said.append(await say(house, PAY_PASSWORD))
        return said

    wrong = [f"PASSWORD_WRONG {left} tries left" for left in (4, 3, 2, 1)]
    locked = ["PASSWORD_LOCKED 0 tries left", "PASSWORD_LOCKED", "PASSWORD_LOCKED", "granted"]
    assert stage.play(scene) == [*wrong, *locked]


def test_T59_a_right_try_starts_the_count_again(stage: Stage) -> None:
    """Four wrong, one right, four wrong: no lock. The login goes on working while the pay password is locked."""

    async def scene(house: House) -> list[str]:
        await house.open("A")
        said = []
        for _ in range(2):
            said += [(await say(house, "000000")).split()[0] for _ in range(4)]
            said.append(await say(house, PAY_PASSWORD))
        for _ in range(5):
            await say(house, "000000")
        buyer = await checkout.log_in(house.platform, f"{BUYER}@buyer.example", LOGIN_PASSWORD)
        return [*said, buyer.buyer_id]

    assert stage.play(scene) == [*[*["PASSWORD_WRONG"] * 4, "granted"] * 2, BUYER]


def test_T60_an_unknown_login_is_answered_like_a_wrong_password(stage: Stage) -> None:
    """Same code and words for both; ten wrong ones lock the login for a while, and the lock looks the same, too."""

    async def scene(house: House) -> list[str]:
        async def try_login(login: str, password: str) -> str:
            try:
                await checkout.log_in(house.platform, login, password)
            except Refused as refused:
                return str(refused)
            return "in"

        mine = f"{BUYER}@buyer.example"
        said = [await try_login("nobody@buyer.example", "x"), *[await try_login(mine, "x") for _ in range(12)]]
        assert len(set(said)) == 1
        said = [said[0], await try_login(mine, LOGIN_PASSWORD)]
        house.clock.pass_wire(LOCK_TIME // 12 + SECOND)
        return [*said, await try_login(mine, LOGIN_PASSWORD)]

    wrong = "LOGIN_WRONG: login or password is wrong, or too many tries; wait"
    assert stage.play(scene) == [wrong, wrong, "in"]


def test_a_guest_has_no_password(stage: Stage) -> None:
    """Who is known by a mobile number only can neither log in nor agree to pay from a balance."""

    async def scene(house: House) -> list[str]:
        trade = await house.open("A")
        number = await checkout.guest(house.platform, "13800138000")
        assert await checkout.guest(house.platform, "13800138000") == number
        return [
            await refusal(checkout.log_in(house.platform, "13800138000", "")),
            await refusal(checkout.authorise(house.platform, number, "pay", trade, "")),
        ]

    assert stage.play(scene) == ["LOGIN_WRONG", "PASSWORD_WRONG"]


async def grant(house: House, act: str = "pay", number: str = "A", buyer: str = BUYER) -> str:
    return await checkout.authorise(house.platform, buyer, act, await house.trade(number), PAY_PASSWORD)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("none", ""),
        ("another trade", "AUTHORISATION_INVALID"),
        ("another merchant", "AUTHORISATION_INVALID"),
        ("another buyer", "AUTHORISATION_INVALID"),
        ("another act", "AUTHORISATION_INVALID"),
        ("only reserved", "AUTHORISATION_INVALID"),
        ("denied", "AUTHORISATION_INVALID"),
        ("unknown", "AUTHORISATION_INVALID"),
        ("too old", "AUTHORISATION_INVALID"),
        ("just in time", ""),
    ],
)
def test_T61_an_agreement_is_for_exactly_one_act(wrong: str, code: str, stage: Stage) -> None:
    """Buyer, act, merchant, trade, sum and currency must be those that were agreed to, within five minutes."""

    async def scene(house: House) -> str:
        await house.add_buyer(make_buyer("2088000000000098"), 5_000)
        await house.open("A")
        await house.open("B")
        number = await grant(
            house,
            "confirm" if wrong == "another act" else "pay",
            "B" if wrong == "another trade" else "A",
            "2088000000000098" if wrong == "another buyer" else BUYER,
        )
        if wrong in ("only reserved", "denied"):
            number = "word"
            await house.submit(ReserveAuthorisation(number, BUYER, "pay", MERCHANT, "A"))
        if wrong == "denied":
            await refusal(house.submit(SettleAuthorisation(number, BUYER, False)))
        house.clock.pass_wire({"too old": AUTHORISATION_TIME + 1, "just in time": AUTHORISATION_TIME}.get(wrong, 0))
        target = OTHER if wrong == "another merchant" else MERCHANT
        pay = PayFromBalance(target, "A", BUYER, "nothing" if wrong == "unknown" else number)
        said = await refusal(house.submit(pay))
        return "AUTHORISATION_INVALID" if wrong == "another merchant" and said == "TRADE_NOT_FOUND" else said

    assert stage.play(scene) == code


def test_T61_an_agreement_is_used_once(stage: Stage) -> None:
    """A confirmation cannot be repeated with the same word, and a used word cannot be settled again."""

    async def scene(house: House) -> list[str]:
        await house.open("A", "escrow")
        await house.pay("A")
        await house.ship("A")
        word = await grant(house, "confirm")
        confirm = ConfirmReceipt(MERCHANT, "A", BUYER, word)
        settle = SettleAuthorisation(word, BUYER, True)
        reserve = ReserveAuthorisation(word, BUYER, "confirm", MERCHANT, "A")
        return [await refusal(house.submit(command)) for command in (settle, confirm, confirm, settle, reserve)]

    again, state = "AUTHORISATION_INVALID", "TRADE_STATE"
    said = stage.play(scene)
    assert said[:2] == [again, ""]
    assert said[2] in (again, state)
    assert said[3:] == [again, "ALREADY_EXISTS"]


def test_a_foreign_buyer_confirms_nothing(stage: Stage) -> None:
    """The goods are confirmed by who paid; for anybody else there is no such trade."""

    async def scene(house: House) -> str:
        await house.add_buyer(make_buyer("2088000000000098"), 0)
        await house.open("A", "escrow")
        await house.pay("A")
        await house.ship("A")
        word = await grant(house, "confirm", buyer="2088000000000098")
        return await refusal(house.submit(ConfirmReceipt(MERCHANT, "A", "2088000000000098", word)))

    assert stage.play(scene) == "TRADE_NOT_FOUND"


@pytest.mark.parametrize(
    ("stored", "given", "right"),
    [
        (hash_password("741852", b"s" * 16, 2, b"p" * 32), ("741852", b"p" * 32), True),
        (hash_password("741852", b"s" * 16, 2, b"p" * 32), ("741852", b""), False),
        (hash_password("741852", b"s" * 16, 2, b"p" * 32), ("741852", b"q" * 32), False),
        (hash_password("741852", b"s" * 16, 2), ("741853", b""), False),
        (hash_password("", b"s" * 16, 2), ("", b""), True),
        (hash_password("密码 é", b"s" * 16, 2), ("密码 é", b""), True),
        ("", ("", b""), False),
        ("plain:741852", ("741852", b""), False),
        ("scrypt:x", ("x", b""), False),
    ],
)
def test_a_hash_answers(stored: str, given: tuple[Any, ...], right: bool) -> None:
    """Only the same password with the same pepper; an empty or foreign stored form is never right."""
    assert check_password(given[0], stored, given[1]) is right
