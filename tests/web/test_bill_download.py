"""T90: a bill over HTTP. Its word is the only key, it is streamed as it was made, and nothing else is told."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

from tests.web.house import BUYER, MERCHANT, PROTOCOL, ask, house, run
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, business_date
from tongbao.service import checkout
from tongbao.service.act import act
from tongbao.service.bill_act import bill_url, make_bill
from tongbao.web.app import build_web
from tongbao.web.page.error import Pages
from tongbao.wire.bill import PLAIN
from tongbao.wire.contract import Verified
from tongbao.wire.http import Request, get, post, split_url
from tongbao.wire.movement import BillHead
from tongbao.wire.vocabulary import CreateTrade, Product


def test_T90_a_bill_is_fetched_over_http(tmp_path: Path) -> None:
    """As it is and packed, with its name; HEAD tells of it; a foreign word, or another method, gets nothing."""
    said: list[Any] = []

    async def main() -> None:
        async with house(tmp_path) as home:
            web = build_web(home.platform, Pages())
            wish = CreateTrade(
                merchant=MERCHANT, out_trade_no="A", product=Product.INSTANT, subject="茶", amount=Money(1_000)
            )
            await act(home.platform, PROTOCOL, Verified(wish, None))
            trade = await home.platform.find_trade(MERCHANT, "A")
            buyer = await home.platform.buyer(BUYER)
            await checkout.pay_from_balance(home.platform, trade, buyer, "741852")
            head = BillHead(merchant=MERCHANT, day=business_date(home.now))
            home.clock.advance(DAY)
            made = await make_bill(home.platform, "", head)
            plain = await ask(web.main, get(bill_url(home.platform, "", head)))
            packed = await ask(web.main, get(bill_url(home.platform, "", head, compressed=True)))
            scheme, host, path, query = split_url(bill_url(home.platform, "", head))
            looked = await ask(web.main, Request("HEAD", scheme, host, path, query))
            posted = await ask(web.main, post(bill_url(home.platform, "", head), b"", "text/plain"))
            forged = await ask(web.main, get(f"{bill_url(home.platform, '', head)}x"))
            said.extend(
                [
                    plain.status,
                    hashlib.sha1(plain.body, usedforsecurity=False).hexdigest() == made.digest,
                    [line.out_trade_no for line in PLAIN.read([plain.body])],
                    plain.header("content-type"),
                    PLAIN.file_name(head) in (plain.header("content-disposition") or ""),
                    gzip.decompress(packed.body) == plain.body,
                    packed.header("content-type"),
                    (looked.status, looked.body, looked.header("content-length") == str(made.length)),
                    posted.status,
                    (forged.status, forged.body),
                ]
            )

    run(main)
    assert said == [
        200,
        True,
        ["A"],
        "text/csv",
        True,
        True,
        "application/gzip",
        (200, b"", True),
        405,
        (404, b"404 Not Found\n"),
    ]
