"""What banks tell the platform by themselves: repeated, given up, doubled, forged, contradicted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.web.branch import CARDS, Branch, play
from tests.web.house import BASE, ask
from tongbao.kernel.time import HOUR, MINUTE, SECOND
from tongbao.service.channel import MAC_HEADER, BankWord, dump_word, mac
from tongbao.wire.http import Request, post


def test_notices_are_repeated_until_answered(tmp_path: Path) -> None:
    """The platform is down: the bank tries again at growing gaps; when it is up again the payment is captured, once."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        here.home.net.down.add("platform.test:8000")
        await here.bank.pay_directly(handover.url, CARDS["ok"])
        for gap in (10 * SECOND, MINUTE):
            here.home.clock.advance(gap)
            await here.bank.run_due()
        assert len(here.notices()) == 3
        assert len({request.body for request in here.notices()}) == 1
        assert await here.payment_states("A1") == ["pending"]
        here.home.net.down.clear()
        here.home.clock.advance(5 * MINUTE)
        await here.bank.run_due()
        await here.bank.run_due()
        assert len(here.notices()) == 4
        assert await here.payment_states("A1") == ["captured"]
        await here.check_books()

    play(tmp_path, test)


def test_notices_are_given_up_at_last(tmp_path: Path) -> None:
    """After its timetable the bank waits to be asked."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        here.home.net.down.add("platform.test:8000")
        await here.bank.pay_directly(handover.url, CARDS["ok"])
        for _ in range(12):
            here.home.clock.advance(2 * HOUR)
            await here.bank.run_due()
        assert len(here.notices()) == 6
        assert await here.bank.next_due() is None

    play(tmp_path, test)


def test_F24_a_duplicate_notice_changes_nothing(tmp_path: Path) -> None:
    """Fifty copies of a genuine notice: each answered 200, one entry, one payment."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        await here.bank.pay_directly(handover.url, CARDS["ok"])
        (notice,) = here.notices()
        for _ in range(50):
            assert (await ask(here.web.main, notice)).status == 200
        entries = await here.home.platform.database.read(
            "entry.of_trade", {"merchant_id": (await here.trade("A1")).merchant_id, "out_trade_no": "A1"}
        )
        assert len({row[2] for row in entries}) == 1
        await here.check_books()

    play(tmp_path, test)


def forge(here: Branch, number: str, bank: str, path: str, *, key: str = "", amount: int = 1_000) -> Request:
    """A notice about ``number`` that says ``bank``, under the secret of bank ``key``."""
    word = dump_word(BankWord(number, "succeeded", amount, "CNY", "F1"))
    body = json.dumps({"bank": bank, **word}).encode()
    stamp = mac(here.bank.secret(key or bank), body).encode()
    return post(f"{BASE}/channel/{path}/notice", body, "application/json", ((MAC_HEADER, stamp),))


def test_forged_notices_are_refused(tmp_path: Path) -> None:
    """Wrong MAC, no MAC, changed body, another bank's genuine MAC, another bank's instruction, unknown numbers, junk:
    refused and recorded, nothing paid."""

    async def test(here: Branch) -> None:
        number = (await here.start("A1")).instruction_no
        right = forge(here, number, "ICBC", "ICBC")
        bad = [
            (forge(here, number, "ICBC", "ICBC", key="CCB"), 401),
            (replace(right, headers=right.headers[:1]), 401),
            (replace(right, headers=(right.headers[0], (MAC_HEADER, "é".encode("latin-1")))), 401),
            (replace(right, body=right.body.replace(b"1000", b"1001")), 401),
            (forge(here, number, "CCB", "CCB"), 401),
            (forge(here, number, "CCB", "ICBC"), 401),
            (forge(here, "0" * 30 + "P", "ICBC", "ICBC"), 404),
            (forge(here, number, "ICBC", "NOBANK"), 404),
            (replace(right, body=b""), 400),
            (replace(right, body=b"[]"), 400),
            (replace(right, body=b"{}"), 401),
            (replace(right, method="GET", body=b""), 405),
            (replace(right, raw_path=b"/channel/ICBC/other"), 404),
        ]
        statuses = [(await ask(here.web.main, request)).status for request, _ in bad]
        assert statuses == [status for _, status in bad]
        assert await here.payment_states("A1") == ["pending"]
        rows = await here.home.platform.database.read("refusal.recent", {"most": 50})
        assert {row[2] for row in rows} == {"channel"}
        assert len(rows) == 11
        assert (await ask(here.web.main, right)).status == 200
        assert await here.payment_states("A1") == ["captured"]

    play(tmp_path, test)


def test_a_notice_of_another_sum_opens_a_case(tmp_path: Path) -> None:
    """A genuine notice that says another sum moves nothing: a person looks at it (T27)."""

    async def test(here: Branch) -> None:
        number = (await here.start("A1")).instruction_no
        assert (await ask(here.web.main, forge(here, number, "ICBC", "ICBC", amount=1))).status == 200
        assert await here.payment_states("A1") == ["pending"]
        assert await here.cases("A1") == [("bank_disagrees", "open")]

    play(tmp_path, test)
