"""Service providers: who may act in whose name, whose the money is, who is told."""

from __future__ import annotations

import json

import pytest

from tests.support.platform import BUYER, MERCHANT, PROTOCOL, House, Stage, make_intent, make_merchant, refusal
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, business_date
from tongbao.ledger.account import merchant_pending
from tongbao.service.act import act
from tongbao.service.agree import ChangeAgreement
from tongbao.service.bill_act import fetch_bill, make_bill, open_bill, request_bill
from tongbao.service.create import Asker
from tongbao.service.party import ChangeMerchant, RegisterMerchant
from tongbao.service.refund_act import refunds_of
from tongbao.service.view import hearer_of
from tongbao.wire.contract import Verified
from tongbao.wire.movement import BillHead, FetchBill, QueryRefund, RefundFound, RefundTrade, RequestBill
from tongbao.wire.vocabulary import CloseTrade, FollowUp, Intent, Outcome, QueryTrade

pytestmark = pytest.mark.slow
SUB = "2088000000000017"
V3 = "wechatpay_v3"


async def _asked(house: House, intent: Intent, provider: str = MERCHANT) -> Outcome:
    """What a provider's verified request comes to."""
    return await act(house.platform, PROTOCOL, Verified(intent, None, provider=provider))


async def _agree(house: House, *providers: str) -> None:
    agreed = json.dumps({"providers": list(providers)})
    await house.submit(ChangeAgreement(SUB, agreed, "maker", "checker", "a contract with the provider"))


async def _sub_merchant(house: House, *providers: str) -> None:
    await house.submit(RegisterMerchant(make_merchant(SUB, refund_days=90), "maker"))
    await house.submit(ChangeMerchant(SUB, "approved", "checker", "papers seen"))
    await _agree(house, *providers)


def test_a_providers_trade_is_the_merchants(stage: Stage) -> None:
    """The money goes to the merchant in whose name was asked, less his fee; nothing to the provider, who is told."""

    async def scene(house: House) -> tuple[int, int, str]:
        await _sub_merchant(house, MERCHANT)
        await _asked(house, make_intent("P1", merchant=SUB))
        await house.pay("P1", merchant=SUB)
        trade = await house.trade("P1", SUB)
        theirs = await house.platform.balance(merchant_pending(SUB, "CNY"))
        asked = RefundTrade(merchant=SUB, refund_no="R1", out_trade_no="P1", amount=Money(300))
        refunded = await _asked(house, asked)
        assert isinstance(refunded, RefundFound)
        found = await _asked(house, QueryRefund(merchant=SUB, refund_no="R1"))
        assert isinstance(found, RefundFound)
        assert found.refunds == refunded.refunds
        return theirs + trade.fee, await house.platform.balance(merchant_pending(MERCHANT, "CNY")), hearer_of(trade)

    whole, provider, hearer = stage.play(scene)
    assert (whole, provider, hearer) == (1_000, 0, MERCHANT)


def test_T57_a_provider_acts_only_for_who_agreed(stage: Stage) -> None:
    """Without an agreement, or after its end, nothing is opened, seen, closed or given back."""

    async def scene(house: House) -> list[str]:
        await _sub_merchant(house)
        query, close = QueryTrade(merchant=SUB, out_trade_no="P1"), CloseTrade(merchant=SUB, out_trade_no="P1")
        refund = RefundTrade(merchant=SUB, refund_no="R1", out_trade_no="P1", amount=Money(300))
        intents: tuple[Intent, ...] = (make_intent("P1", merchant=SUB), query, close, refund)
        before = [await refusal(_asked(house, intent)) for intent in intents]
        await _agree(house, MERCHANT)
        await _asked(house, intents[0])
        await house.pay("P1", merchant=SUB)
        await _agree(house, "2088000000000099")
        after = [await refusal(_asked(house, intent)) for intent in intents]
        assert await refunds_of(house.platform, await house.trade("P1", SUB)) == []
        return before + after

    assert set(stage.play(scene)) == {"NO_PRIVILEGE"}


def test_a_provider_sees_only_what_he_asked_for(stage: Stage) -> None:
    """A merchant's own trades are nothing to his provider, and another provider's neither (T57)."""

    async def scene(house: House) -> tuple[list[str], str, str]:
        await _sub_merchant(house, MERCHANT)
        await house.open("OWN", merchant=SUB)
        asked: tuple[Intent, ...] = (
            QueryTrade(merchant=SUB, out_trade_no="OWN"),
            CloseTrade(merchant=SUB, out_trade_no="OWN"),
            RefundTrade(merchant=SUB, refund_no="R1", out_trade_no="OWN", amount=Money(300)),
        )
        told = [await refusal(_asked(house, intent)) for intent in asked]
        same = await refusal(_asked(house, make_intent("OWN", merchant=SUB)))
        return told, same, (await house.trade("OWN", SUB)).state

    assert stage.play(scene) == (["TRADE_NOT_FOUND"] * 3, "TRADE_FROZEN", "unpaid")


def test_a_providers_bill_holds_what_he_asked_for(sqlite_stage: Stage) -> None:
    """The merchant's own trades, and another provider's, are on the merchant's bill alone; the address of either's bill
    is good for who was told it (T57, T90). His account is no business of his provider."""

    async def scene(house: House) -> tuple[list[str], list[str], list[str]]:
        await _sub_merchant(house, MERCHANT)
        await _asked(house, make_intent("HIS", merchant=SUB))
        await house.open("OWN", merchant=SUB)
        for number in ("HIS", "OWN"):
            await house.pay(number, merchant=SUB)
        day = business_date(house.clock.business())
        house.clock.advance(DAY)
        words = []
        for asker in (Asker(SUB, "", provider=MERCHANT), Asker(SUB, "")):
            told = await request_bill(house.platform, asker, RequestBill(merchant="", day=day))
            assert isinstance(told, FollowUp)
            words.append(told.url.rpartition("/")[2])
        files = [b"".join((await open_bill(house.platform, word)).chunks()).decode() for word in words]
        held = ["".join(number for number in ("HIS", "OWN") if number in text) for text in files]
        fetched = [
            await refusal(fetch_bill(house.platform, Asker(merchant, PROTOCOL), FetchBill(merchant="", word=word)))
            for merchant in (MERCHANT, SUB)
            for word in words
        ]
        account = RequestBill(merchant=SUB, day=day, kind="account")
        return held, fetched, [await refusal(_asked(house, account))]

    held, fetched, account = sqlite_stage.play(scene)
    assert held == ["HIS", "HISOWN"]
    assert fetched == ["", "NOT_FOUND", "NOT_FOUND", ""]
    assert account == ["NO_PRIVILEGE"]


def test_T57_each_bill_names_the_buyer_as_its_hearer_knows_him(sqlite_stage: Stage) -> None:
    """The provider's own number of him, and the merchant beside the provider; the merchant's in the merchant's own."""

    async def scene(house: House) -> tuple[list[list[str]], list[str]]:
        await _sub_merchant(house, MERCHANT)
        await _asked(house, make_intent("HIS", merchant=SUB))
        await house.pay("HIS", merchant=SUB)
        day = business_date(house.clock.business())
        house.clock.advance(DAY)
        rows = []
        for provider in (MERCHANT, ""):
            made = await make_bill(house.platform, V3, BillHead(merchant=SUB, day=day, provider=provider))
            rows.append(b"".join(made.chunks()).decode().split("\r\n")[1].split(",`"))
        return [row[2:4] + row[7:8] for row in rows], [
            house.platform.seal.open_id(who, BUYER) for who in (MERCHANT, SUB)
        ]

    (theirs, own), (known, told) = sqlite_stage.play(scene)
    assert (theirs, own) == ([MERCHANT, SUB, known], [SUB, "0", told])


def test_a_provider_who_is_shut_acts_for_nobody(stage: Stage) -> None:
    """A provider whom an operator has frozen opens no trades in anybody's name."""

    async def scene(house: House) -> str:
        await _sub_merchant(house, MERCHANT)
        await house.submit(ChangeMerchant(MERCHANT, "frozen", "checker", "under review"))
        return await refusal(_asked(house, make_intent("P1", merchant=SUB)))

    assert stage.play(scene) == "MERCHANT_DISABLED"
