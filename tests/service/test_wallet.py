"""Payment codes and what a wallet opens: once, for a minute, up to a cap (T62)."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.platform import BUYER, MERCHANT, House, Stage, make_intent, make_merchant, refusal
from tongbao.kernel.time import HOUR, MINUTE, SECOND
from tongbao.service.act import act
from tongbao.service.code import CODE_CAP, CODE_GRACE, CODE_TIME
from tongbao.service.wallet import consent, issue_code, open_scanned, pay_by_code, trades_asked
from tongbao.wire.contract import Verified
from tongbao.wire.movement import ExchangeCode, IdentityFound
from tongbao.wire.vocabulary import Presentation, TradeFound, TradeOpened, TradeState


def test_T62_a_code_pays_once_even_when_two_tills_read_it_at_once(stage: Stage) -> None:
    """Of many trades that one code is used on in parallel, exactly one is paid."""

    async def scene(house: House) -> list[str]:
        code = await issue_code(house.platform, BUYER, "28")
        for n in range(8):
            await house.open(f"W{n}")
        tries = (refusal(pay_by_code(house.platform, MERCHANT, f"W{n}", code)) for n in range(8))
        return sorted(await asyncio.gather(*tries))

    assert stage.play(scene) == ["", *["CODE_INVALID"] * 7]


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (CODE_TIME - SECOND, ("", "finished")),
        (CODE_TIME + CODE_GRACE, ("", "finished")),
        (CODE_TIME + CODE_GRACE + 1, ("CODE_INVALID", "unpaid")),
    ],
)
def test_T62_a_code_is_dead_after_its_minute_and_the_tills_way(
    stage: Stage, age: int, expected: tuple[str, str]
) -> None:
    """What a till read in the sixty seconds for which a wallet shows it is taken, if it is here within ten seconds of
    wire time after them; later nothing is paid with it."""

    async def scene(house: House) -> tuple[str, str]:
        code = await issue_code(house.platform, BUYER, "28")
        await house.open("LATE")
        house.clock.pass_wire(age)
        return await refusal(pay_by_code(house.platform, MERCHANT, "LATE", code)), (await house.trade("LATE")).state

    assert (CODE_TIME, CODE_GRACE) == (60 * SECOND, 10 * SECOND)
    assert stage.play(scene) == expected


def test_T62_above_the_cap_the_buyer_agrees_in_his_wallet(stage: Stage) -> None:
    """The code is used up, nothing is paid, and the trade waits in the buyer's wallet until he pays it there."""

    async def scene(house: House) -> tuple[str, str, list[str], str, list[str]]:
        code = await issue_code(house.platform, BUYER, "28")
        await house.open("DEAR", amount=CODE_CAP + 1)
        first = await refusal(pay_by_code(house.platform, MERCHANT, "DEAR", code))
        again = await refusal(pay_by_code(house.platform, MERCHANT, "DEAR", code))
        asked = [trade.out_trade_no for trade in await trades_asked(house.platform, BUYER)]
        await house.pay("DEAR")
        left = [trade.out_trade_no for trade in await trades_asked(house.platform, BUYER)]
        return first, again, asked, (await house.trade("DEAR")).state, left

    assert stage.play(scene) == ("BUYER_PAYING", "CODE_INVALID", ["DEAR"], "finished", [])


def test_a_barcode_request_is_answered_with_the_paid_trade(stage: Stage) -> None:
    """The merchant's one request opens and pays the trade; asked again with another code it is not paid twice."""

    async def scene(house: House) -> tuple[TradeState | None, str]:
        code = await issue_code(house.platform, BUYER, "28")
        told = await house.ask(make_intent("BAR", presentation=Presentation.BARCODE, code=code))
        assert isinstance(told, TradeFound)
        other = await issue_code(house.platform, BUYER, "28")
        again = await refusal(house.ask(make_intent("BAR", presentation=Presentation.BARCODE, code=other)))
        return told.trade.state, again

    assert stage.play(scene) == (TradeState.FINISHED, "TRADE_NOT_PAYABLE")


def test_what_a_wallet_scans_is_the_trade_and_a_changed_code_is_none(stage: Stage) -> None:
    """The word inside a QR code leads to its trade wherever it stands, and nowhere with one letter changed."""

    async def scene(house: House) -> tuple[str, str, str]:
        told = await house.ask(make_intent("SCAN", presentation=Presentation.QR))
        assert isinstance(told, TradeOpened)
        trade = await open_scanned(house.platform, f"weixin://wxpay/bizpayurl?pr={told.code}")
        jsapi = await open_scanned(house.platform, f'{{"package":"prepay_id=wx20250101080000{told.code}"}}')
        forged = told.code[:-1] + ("0" if told.code[-1] != "0" else "1")
        return trade.out_trade_no, jsapi.out_trade_no, await refusal(open_scanned(house.platform, f"x/{forged}"))

    assert stage.play(scene) == ("SCAN", "SCAN", "TRADE_NOT_FOUND")


def test_a_consent_is_exchanged_once_by_its_own_merchant(stage: Stage) -> None:
    """The word names the buyer once; a second use, and another merchant's, are refused, and so is an old one."""

    async def scene(house: House) -> tuple[str, str, str]:
        word = await consent(house.platform, BUYER, MERCHANT)
        found = await house.ask(ExchangeCode(merchant=MERCHANT, code=word))
        assert isinstance(found, IdentityFound)
        bent = found.refresh[:-1] + ("0" if found.refresh[-1] != "0" else "1")
        assert await refusal(house.ask(ExchangeCode(merchant=MERCHANT, refresh=bent))) == "AUTHORISATION_INVALID"
        again = await refusal(house.ask(ExchangeCode(merchant=MERCHANT, code=word)))
        old = await consent(house.platform, BUYER, MERCHANT)
        house.clock.pass_wire(5 * MINUTE + 1)
        return found.buyer.id, again, await refusal(house.ask(ExchangeCode(merchant=MERCHANT, code=old)))

    assert stage.play(scene) == (BUYER, "CODE_INVALID", "CODE_INVALID")


def test_every_merchant_knows_a_buyer_under_another_number(stage: Stage) -> None:
    """The number told to a merchant leads back to the buyer for him alone."""

    async def scene(house: House) -> tuple[int, str | None, str | None, bool]:
        seal = house.platform.seal
        mine, other = seal.open_id(MERCHANT, BUYER), seal.open_id("2088000000000009", BUYER)
        return len(mine), seal.read_open_id(MERCHANT, mine), seal.read_open_id(MERCHANT, other), mine == other

    assert stage.play(scene) == (28, BUYER, None, False)


@pytest.mark.parametrize(
    ("protocol", "place", "hours"),
    [
        ("alipay_openapi", Presentation.QR, 3),
        ("alipay_openapi", Presentation.WALLET, 3),
        ("alipay_openapi", Presentation.PAGE, 15 * 24),
        ("wechatpay_v3", Presentation.QR, 7 * 24),
        ("wechatpay_v2", Presentation.H5, 7 * 24),
        ("alipay_mapi", Presentation.PAGE, 15 * 24),
    ],
)
def test_a_trade_waits_as_its_protocol_says(
    protocol: str, place: Presentation, hours: int, sqlite_stage: Stage
) -> None:
    """Where the request says nothing: three hours at the Open Platform (sheet alipay-openapi, section 5) for what is
    paid face to face; seven days at WeChat Pay (sheet wechatpay, section 8)."""

    async def scene(house: House) -> int | None:
        await house.furnish(merchant=make_merchant(protocols=json.dumps([protocol])))
        await act(house.platform, protocol, Verified(make_intent("F", presentation=place), None))
        trade = await house.trade("F")
        return None if trade.due_at is None else trade.due_at - trade.created_at

    assert sqlite_stage.play(scene, furnished=False) == hours * HOUR
