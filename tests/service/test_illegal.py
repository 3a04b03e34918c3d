"""T48: every command in every state. What is not allowed is refused by name, and changes nothing at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.platform import BUYER, MERCHANT, PAY_PASSWORD, House, Stage, make_intent, make_merchant, refusal
from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.service import checkout
from tongbao.service.claim import BuyerAskRefund
from tongbao.service.escrow import ConfirmReceipt, ExtendRelease
from tongbao.service.party import ChangeMerchant
from tongbao.service.pay import PayFromBalance
from tongbao.store.schema import TABLES
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Expiry, Method, Product

STATES: Final = ("unpaid", "overdue", "paid", "escrowed", "shipped", "finished", "closed")

ACTS: Final[dict[str, Callable[[House], Awaitable[Any]]]] = {
    "create again": lambda house: house.ask(make_intent("A", house.notes["product"])),
    "pay": lambda house: house.submit(PayFromBalance(MERCHANT, "A", BUYER, house.notes["word"])),
    "start": lambda house: house.start("A"),
    "ship": lambda house: house.ship("A"),
    "confirm": lambda house: house.submit(ConfirmReceipt(MERCHANT, "A", BUYER, house.notes["yes"])),
    "close": lambda house: house.close("A"),
    "refund": lambda house: house.refund("A", 1),
    "ask refund": lambda house: house.submit(BuyerAskRefund(MERCHANT, "A", BUYER, 1)),
    "extend": lambda house: house.submit(ExtendRelease(MERCHANT, "A", BUYER)),
}

TABLE: Final[dict[str, tuple[str, ...]]] = {
    # act: the refusal in each of STATES, '' where it is allowed
    "create again": ("", *("TRADE_NOT_PAYABLE",) * 6),
    "pay": ("", *("TRADE_NOT_PAYABLE",) * 6),
    "start": ("", *("TRADE_NOT_PAYABLE",) * 6),
    "ship": ("TRADE_STATE", "TRADE_STATE", "TRADE_STATE", "", "", "TRADE_STATE", "TRADE_STATE"),
    # before it is paid, a trade is no buyer's yet
    "confirm": (
        "TRADE_NOT_FOUND",
        "TRADE_NOT_FOUND",
        "TRADE_STATE",
        "TRADE_STATE",
        "",
        "TRADE_STATE",
        "TRADE_NOT_FOUND",
    ),
    "close": ("", "", *("TRADE_STATE",) * 5),
    # a trade that escrow has released is refundable for so many days more
    "refund": ("TRADE_STATE", "TRADE_STATE", "", "", "", "", "TRADE_STATE"),
    "ask refund": (*("TRADE_NOT_FOUND",) * 2, "TRADE_STATE", "", "", "TRADE_STATE", "TRADE_NOT_FOUND"),
    "extend": (*("TRADE_NOT_FOUND",) * 2, "TRADE_STATE", "TRADE_STATE", "", "TRADE_STATE", "TRADE_NOT_FOUND"),
}


async def reach(house: House, state: str) -> None:
    """Trade A in a state, with a good agreement for paying and one for confirming in hand."""
    house.notes["product"] = "escrow" if state in ("escrowed", "shipped", "finished") else "instant"
    trade = await house.open("A", house.notes["product"])
    if state in ("paid", "escrowed", "shipped", "finished"):
        await house.pay("A")
    if state in ("shipped", "finished"):
        await house.ship("A")
    if state == "finished":
        await house.confirm("A")
    if state == "closed":
        await house.close("A")
    if state == "overdue":
        house.clock.advance(16 * DAY)
    for name, act in (("word", "pay"), ("yes", "confirm")):
        house.notes[name] = await checkout.authorise(house.platform, BUYER, act, trade, PAY_PASSWORD)


def dump(stage: Stage) -> dict[str, list[Any]]:
    """Every row of every table but the lanes', whose batch counter also counts refusals."""
    return {
        table.name: sorted(stage.execute(f"SELECT * FROM {table.name}"), key=repr)
        for table in TABLES
        if table.name != "lane"
    }


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("act", ACTS)
def test_T48_every_act_in_every_state(act: str, state: str, stage: Stage) -> None:
    """Allowed, or refused by the name in the table; on a refusal no row of any table differs (I39)."""

    async def scene(house: House) -> str:
        await house.furnish(merchant=make_merchant(refund_days=3))
        await reach(house, state)
        before = await asyncio.to_thread(dump, stage)
        code, told = "", ""
        try:
            await ACTS[act](house)
        except Refused as refused:
            code, told = refused.code, refused.state
        # a shop may hear that a trade is paid only where it is
        over = "unpaid" if act == "refund" else "closed"
        named = code == "TRADE_NOT_PAYABLE" or (act in ("close", "refund") and code == "TRADE_STATE")
        assert told == ("" if not named else over if state == "overdue" else state)
        after = await asyncio.to_thread(dump, stage)
        assert (before == after) == (code != "" or act == "create again" or (act, state) == ("ship", "shipped"))
        return code

    assert stage.play(scene, furnished=False) == TABLE[act][STATES.index(state)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"amount": 1_001}, "TRADE_AMOUNT_MISMATCH"),
        ({"product": "escrow"}, "TRADE_FROZEN"),
        ({"product": "dual"}, "TRADE_FROZEN"),
        ({"price": 500}, "TRADE_PRICE_MISMATCH"),
        ({"quantity": 2}, "TRADE_QUANTITY_MISMATCH"),
        ({"buyer": "2088000000000098"}, "TRADE_BUYER_MISMATCH"),
        ({"seller": MERCHANT}, "TRADE_SELLER_MISMATCH"),
        ({"seller": "2088000000000098"}, "SELLER_UNKNOWN"),
        ({"expiry": 3_600}, "TRADE_FROZEN"),
        ({"expiry": 59}, "EXPIRY_INVALID"),
        ({"amount": 0}, "AMOUNT_NOT_POSITIVE"),
        ({"amount": -1}, "AMOUNT_NOT_POSITIVE"),
        ({"currency": "USD"}, "CURRENCY_NOT_ALLOWED"),
        ({"bank": "NOBANK"}, "BANK_UNKNOWN"),
        ({"subject": "other words"}, ""),
        ({"notify_url": "/relative"}, "URL_NOT_ALLOWED"),
        ({"notify_url": "shop.example/notify"}, "URL_NOT_ALLOWED"),
        ({"return_url": "http://good@evil.example/"}, "URL_NOT_ALLOWED"),
        ({"return_url": "javascript:alert(1)"}, "URL_NOT_ALLOWED"),
        ({"error_url": "http://shop.example/\r\nX: y"}, "URL_NOT_ALLOWED"),
    ],
)
def test_T28_a_number_that_is_used_again(changes: dict[str, Any], code: str, sqlite_stage: Stage) -> None:
    """What is frozen at creation stays: the same number with another value is refused by the name of the value."""

    async def scene(house: House) -> tuple[str, tuple[Any, ...]]:
        first = await house.open("A")
        said = await refusal(house.ask(again(**changes)))
        trade = await house.trade("A")
        assert trade == first
        return said, (trade.amount, trade.currency, trade.product)

    assert sqlite_stage.play(scene) == (code, (1_000, "CNY", "instant"))


def again(**changes: Any) -> Any:
    """The first request with something else in it."""
    kinds: dict[str, Callable[[Any], Any]] = {
        "price": Money,
        "buyer": Party,
        "seller": Party,
        "expiry": Expiry,
        "product": Product,
    }
    values = {name: kinds.get(name, lambda same: same)(value) for name, value in changes.items()}
    amount = Money(values.pop("amount", 1_000), values.pop("currency", "CNY"))
    return replace(make_intent("A"), amount=amount, **values)


@pytest.mark.parametrize("status", ["frozen", "closed"])
def test_a_merchant_who_may_not_act(status: str, sqlite_stage: Stage) -> None:
    """A frozen or closed merchant opens, ships, closes nothing, and nobody can pay him by any way."""

    async def scene(house: House) -> set[str]:
        await house.open("A")
        await house.open("B", "escrow")
        await house.pay("B")
        await house.submit(ChangeMerchant(MERCHANT, status, "operator", "test"))
        acts = [house.ask(make_intent("C")), house.pay("A"), house.start("A"), house.ship("B"), house.close("A")]
        return {await refusal(act) for act in acts}

    assert sqlite_stage.play(scene) == {"MERCHANT_DISABLED"}


@pytest.mark.parametrize(
    ("merchant", "intent", "code"),
    [
        ({"products": '["escrow"]'}, {}, "NO_PRIVILEGE"),
        ({"protocols": '["tongbao"]'}, {}, "NO_PRIVILEGE"),
        ({"anti_phishing": True}, {}, "ANTI_PHISHING_INVALID"),
        ({"hosts": '["shop.example"]'}, {"notify_url": "http://evil.example/"}, "URL_NOT_ALLOWED"),
        ({"hosts": '["shop.example"]'}, {"notify_url": "http://SHOP.example:8080/n"}, ""),
        ({"hosts": '["shop.example"]', "return_url": "http://evil.example/"}, {}, "URL_NOT_ALLOWED"),
        ({}, {"buyer": Party(MERCHANT)}, "BUYER_IS_SELLER"),
        ({}, {"anti_phishing_key": "0" * 32}, "ANTI_PHISHING_INVALID"),
    ],
)
def test_what_a_contract_does_not_allow(
    merchant: dict[str, Any], intent: dict[str, Any], code: str, sqlite_stage: Stage
) -> None:
    """Products, protocols, hosts and extra proofs are the merchant's contract, checked at every creation."""

    async def scene(house: House) -> str:
        await house.furnish(merchant=make_merchant(**merchant))
        return await refusal(house.ask(replace(make_intent("A"), **intent)))

    assert sqlite_stage.play(scene, furnished=False) == code


def test_only_the_named_ways_and_the_named_buyer_pay(sqlite_stage: Stage) -> None:
    """A merchant may say who pays and how; whatever else is tried is refused by name."""

    async def scene(house: House) -> list[str]:
        await house.open("A", methods=(Method.CREDIT,))
        await house.open("B", buyer=Party("2088000000000098"))
        await house.open("C", buyer=Party("", f"{BUYER}@buyer.example"))
        return [
            await refusal(act)
            for act in (
                house.pay("A"),
                house.start("A", "debit"),
                house.start("A", "outlet", ""),
                house.start("A", "credit"),
                house.pay("B"),
                house.start("B"),
                house.pay("C"),
            )
        ]

    no, other = "METHOD_NOT_ALLOWED", "TRADE_BUYER_MISMATCH"
    assert sqlite_stage.play(scene) == [no, no, no, "", other, other, ""]
