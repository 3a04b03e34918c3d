"""A part of a combined order at the cashier: it is never offered alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.house import MERCHANT, NOTIFY, PROTOCOL, house, run
from tests.web.surfer import Surfer
from tongbao.kernel.money import Money
from tongbao.service.act import act, cashier_url
from tongbao.web.cashier.app import cashier_app
from tongbao.wire.contract import Verified
from tongbao.wire.http import split_url
from tongbao.wire.vocabulary import CombinedPart, CreateCombined

pytestmark = pytest.mark.slow


def test_the_cashier_sends_a_part_to_the_wallet(tmp_path: Path) -> None:
    """A cashier's link to a part leads to the wallet's page of the whole."""

    async def main() -> None:
        async with house(tmp_path) as home:
            parts = tuple(CombinedPart(out_trade_no=one, subject="茶", amount=Money(100)) for one in ("P1", "P2"))
            whole = CreateCombined(merchant=MERCHANT, out_trade_no="W1", parts=parts, notify_url=NOTIFY)
            await act(home.platform, PROTOCOL, Verified(whole, None))
            trade = await home.platform.find_trade(MERCHANT, "P2")
            _, _, path, _ = split_url(cashier_url(home.platform, trade.trade_no))
            page = await Surfer(cashier_app(home.platform)).get(path.decode())
            code = home.platform.seal.trade_code(trade.trade_no)
            assert (page.status, page.location) == (303, f"/wallet/trades/{code}")

    run(main)
