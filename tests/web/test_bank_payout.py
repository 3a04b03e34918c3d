"""Payouts at the simulated banks over their real endpoint: paid, refused, slow, silent; both books agree (I45)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.branch import BALANCE, CARDS, Branch, branch
from tests.web.house import MERCHANT, PROTOCOL, run
from tongbao.kernel.money import Money
from tongbao.kernel.time import HOUR, MINUTE, SECOND, business_day
from tongbao.ledger.account import merchant_available, merchant_payout
from tongbao.service.act import act
from tongbao.service.payout_act import find_payout
from tongbao.service.settlement import settle_day
from tongbao.wire.contract import Verified
from tongbao.wire.movement import PayOut
from tongbao.wire.party import Party, Payee


async def earn(here: Branch) -> None:
    """Ten yuan, less the fee, available to the merchant."""
    handover = await here.start("A1")
    await here.bank.pay_directly(handover.url, CARDS["ok"])
    day = business_day(here.home.now)
    here.home.clock.advance(24 * HOUR)
    await settle_day(here.home.platform, day)


async def ask(here: Branch, card: str, name: str = "王小明", bank: str = "ICBC", number: str = "p1") -> None:
    payee = Payee(Party(), name, bank, card)
    await act(
        here.home.platform,
        PROTOCOL,
        Verified(PayOut(merchant=MERCHANT, payout_no=number, payee=payee, amount=Money(500)), None),
    )


async def end(here: Branch) -> tuple[str, str, int, int]:
    """State, code, what is available beyond the beginning, what is aside."""
    payout = await find_payout(here.home.platform, MERCHANT, "", "p1")
    available = await here.home.platform.balance(merchant_available(MERCHANT, "CNY"))
    aside = await here.home.platform.balance(merchant_payout(MERCHANT, "CNY"))
    return payout.state, payout.code, available, aside


@pytest.mark.parametrize(
    ("card", "name", "bank", "waits", "state", "code"),
    [
        (CARDS["ok"], "王小明", "ICBC", 0, "succeeded", ""),
        (CARDS["credit"], "王 小明", "ICBC", 0, "succeeded", ""),
        (CARDS["slow"], "王小明", "ICBC", 5 * MINUTE, "succeeded", ""),
        (CARDS["late"], "王小明", "ICBC", 4 * HOUR, "succeeded", ""),
        (CARDS["lost"], "王小明", "ICBC", 5 * SECOND, "succeeded", ""),
        (CARDS["ok"], "李四", "ICBC", 0, "failed", "PAYEE_NAME_MISMATCH"),
        (CARDS["ok"], "王小明", "CMB", 0, "failed", "PAYEE_UNKNOWN"),
        ("6200000000009999", "王小明", "ICBC", 0, "failed", "PAYEE_UNKNOWN"),
    ],
)
def test_I45_a_payout_ends_as_its_card_is_made(
    tmp_path: Path, card: str, name: str, bank: str, waits: int, state: str, code: str
) -> None:
    """What the bank does is what the books say, and what it refused is the merchant's again."""

    async def test() -> None:
        async with branch(tmp_path) as here:
            await earn(here)
            before = (
                await here.home.platform.balance(merchant_available(MERCHANT, "CNY")),
                await here.bank.balance(card),
            )
            await ask(here, card, name, bank)
            await here.advance(0)
            if waits:
                assert (await end(here))[0] == "sent"
                await here.advance(waits)
            gone = 500 if state == "succeeded" else 0
            assert await end(here) == (state, code, before[0] - gone, 0)
            assert await here.bank.balance(card) == before[1] + gone
            await here.check_books()

    run(test)


def test_F28_one_number_is_paid_once(tmp_path: Path) -> None:
    """The bank is asked twice under one number and pays once; another sum under it is refused."""

    async def test() -> None:
        async with branch(tmp_path) as here:
            now = here.home.now
            for _ in range(2):
                word = await here.bank.take_payout("ICBC", "n1", CARDS["ok"], "王小明", 500, "CNY")
                assert word is not None
                assert word.result == "succeeded"
            with pytest.raises(Exception, match="order_changed"):
                await here.bank.take_payout("ICBC", "n1", CARDS["ok"], "王小明", 501, "CNY")
            assert await here.bank.balance(CARDS["ok"]) == BALANCE + 500
            assert [line.kind for line in await here.bank.statement("ICBC", business_day(now))][-1] == "payout"

    run(test)
