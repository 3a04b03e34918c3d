"""The page where a merchant's people agree to a batch: behind a link of ours, by name and payment password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.web.batch import OPERATORS, available, payouts, refunds, staff
from tests.web.house import MERCHANT, House, ask, house, run
from tests.web.surfer import Seen, Surfer
from tongbao.kernel.error import ConfigurationError
from tongbao.service.merchant_operator import DisableMerchantOperator
from tongbao.service.payout import ThrowSwitch
from tongbao.service.payout_act import find_payout_batch
from tongbao.service.payout_batch import CloseBatch, StartBatch
from tongbao.service.refund_act import find_batch
from tongbao.trade.party import PASSWORD_TRIES
from tongbao.web.agree.app import agree_app
from tongbao.web.cashier.hint import Hint
from tongbao.wire.http import get

Script = Callable[[House, Surfer], Awaitable[None]]


def play(folder: Path, script: Script, *, environment: str = "test", base_url: str = "") -> None:
    """Run a script with one surfer over the page of a merchant who has people and money."""

    async def test() -> None:
        said = {"base_url": base_url} if base_url else {}
        async with house(folder, environment, **said) as home:
            await staff(home)
            await script(home, Surfer(agree_app(home.platform)))

    run(test)


async def answer(surfer: Surfer, path: str, name: str, password: str = "", said: str = "yes") -> Seen:
    """Open the page and answer; without a password with the right one."""
    page = await surfer.get(path)
    form = page.form(path)
    return await surfer.send(form, operator=name, pay_password=password or OPERATORS[name], answer=said)


@pytest.mark.slow
def test_T67_two_people_start_a_large_batch(tmp_path: Path) -> None:
    """In production as anywhere: the first alone moves nothing, twice neither; the second has a link of his own."""

    async def script(home: House, surfer: Surfer) -> None:
        path = await payouts(home, "20260302LARGE", 7_000, 3_001)
        page = await surfer.get(path)
        assert "two people" in page.text
        assert "bu***@example.com" in page.text
        assert all(password not in page.body for password in OPERATORS.values())
        before = await available(home)
        first = await answer(surfer, path, "li")
        assert (first.status, first.location) == (303, path)
        assert "l** has agreed" in (await surfer.get(path)).text
        again = await answer(surfer, path, "li")
        assert (again.status, "second person" in again.alert) == (422, True)
        assert await available(home) == before
        other = Surfer(surfer.app)
        assert (await other.get(path)).status == 404
        fresh = await payouts(home, "20260302LARGE", 7_000, 3_001)
        assert (await answer(other, fresh, "wang")).status == 303
        batch = await find_payout_batch(home.platform, MERCHANT, "20260302LARGE")
        assert (batch.state, batch.first, batch.checker) == ("running", f"{MERCHANT}/op:li", f"{MERCHANT}/op:wang")
        assert await available(home) == before - 10_001 - 100
        assert (await surfer.get(path)).forms == []

    play(tmp_path, script, environment="production", base_url="https://pay.test")


@pytest.mark.slow
def test_T60_unknown_wrong_locked_and_disabled_look_alike(tmp_path: Path) -> None:
    """The same words, status and page; nothing of a password is logged, and nothing moves."""

    async def script(home: House, surfer: Surfer) -> None:
        path = await refunds(home, "20260302R1", 300)
        await home.platform.submit(DisableMerchantOperator(MERCHANT, "wang", "op1", "left"))
        said = [await answer(surfer, path, "nobody", "a guess"), await answer(surfer, path, "wang")]
        said += [await answer(surfer, path, "li", "a guess") for _ in range(PASSWORD_TRIES)]
        said.append(await answer(surfer, path, "li"))
        assert {(one.status, one.alert) for one in said} == {(422, said[0].alert)}
        assert "Operator or payment password is wrong" in said[0].alert
        assert "a guess" not in said[0].body
        assert (await find_batch(home.platform, MERCHANT, "20260302R1")).state == "asked"
        assert "a guess" not in repr(home.logged)
        assert OPERATORS["li"] not in repr(home.logged)

    play(tmp_path, script)


@pytest.mark.slow
def test_T51_a_form_of_another_page_decides_nothing(tmp_path: Path) -> None:
    """Without the token, with another browser's, from another site or by a GET: refused, right password or not."""

    async def script(home: House, surfer: Surfer) -> None:
        path = await refunds(home, "20260302R1", 300)
        right = {"operator": "li", "pay_password": OPERATORS["li"], "answer": "yes"}
        token = (await surfer.get(path)).form(path).fields
        same = ((b"sec-fetch-site", b"same-origin"),)
        answers = [
            await surfer.post(path, right, same),
            await Surfer(surfer.app).post(path, {**token, **right}, same),
            await surfer.post(path, {**token, **right}, ((b"sec-fetch-site", b"cross-site"),)),
            await surfer.post(path, {**token, **right}, ((b"origin", b"https://evil.example"),)),
        ]
        assert [one.status for one in answers] == [403] * 4
        await surfer.get(f"{path}?operator=li&pay_password={OPERATORS['li']}&answer=yes")
        assert (await surfer.post(path, {**token, **right, "answer": "maybe"}, same)).status == 422
        assert (await find_batch(home.platform, MERCHANT, "20260302R1")).state == "asked"

    play(tmp_path, script)


@pytest.mark.slow
def test_what_happened_meanwhile_is_shown(tmp_path: Path) -> None:
    """Decided by somebody else, no money, payouts stopped: the page says so, and what was agreed to stays."""

    async def script(home: House, surfer: Surfer) -> None:
        path = await payouts(home, "20260302BIG", 9_900_000)
        assert (await answer(surfer, path, "li")).status == 303
        poor = await answer(surfer, path, "wang")
        assert (poor.status, poor.alert) == (422, "The merchant's funds do not suffice.")
        await home.platform.submit(ThrowSwitch(True, "op1", "an exercise"))
        stopped = await answer(surfer, path, "wang")
        assert stopped.status == 503
        await home.platform.submit(ThrowSwitch(False, "op1", "over"))
        form = (await surfer.get(path)).form(path)
        await home.platform.submit(CloseBatch(MERCHANT, "20260302BIG", "op1", "asked by telephone"))
        late = await surfer.send(form, operator="wang", pay_password=OPERATORS["wang"], answer="yes")
        assert (late.status, late.forms) == (409, [])
        assert "Somebody has decided meanwhile" in late.alert
        assert "no money has moved" in (await surfer.get(path)).text
        small = await payouts(home, "20260302SMALL", 1_000)
        form = (await surfer.get(small)).form(small)
        await home.platform.submit(StartBatch(MERCHANT, "20260302SMALL", "op1", "asked by telephone"))
        sent = await surfer.send(form, operator="li", pay_password=OPERATORS["li"], answer="no")
        assert (sent.status, "Being carried out" in sent.text) == (409, True)

    play(tmp_path, script)


@pytest.mark.slow
def test_refunds_are_agreed_to_or_sent_away(tmp_path: Path) -> None:
    """Under the person's name, in either language; the page then has no form."""

    async def script(home: House, surfer: Surfer) -> None:
        for number, said, state in (("20260302R1", "yes", "running"), ("20260302R2", "no", "closed")):
            path = await refunds(home, number, 300)
            assert (await answer(surfer, path, "li", said=said)).status == 303
            batch = await find_batch(home.platform, MERCHANT, number)
            assert (batch.state, batch.agreed_by) == (state, f"{MERCHANT}/op:li")
            chinese = Surfer(surfer.app, surfer.cookies, "zh")
            assert (await chinese.get(path)).forms == []
            assert "批量退款" in (await chinese.get(f"{path}?lang=zh")).text

    play(tmp_path, script)


@pytest.mark.parametrize("path", ["refunds/x", "refunds/eA.0.0", "payouts/x", "loans/x", "refunds/"])
def test_T57_a_link_that_is_not_ours_shows_nothing(tmp_path: Path, path: str) -> None:
    """Forged, empty or of another kind: a page that says no, and no batch."""

    async def test() -> None:
        async with house(tmp_path) as home:
            answer = await ask(agree_app(home.platform), get(f"http://127.0.0.1:8080/agree/{path}"))
            assert 400 <= answer.status < 500

    run(test)


def test_T71_no_password_is_shown_in_production(tmp_path: Path) -> None:
    """The page runs there, and refuses to show a sandbox's people."""

    async def test() -> None:
        async with house(tmp_path, environment="production") as home:
            agree_app(home.platform)
            with pytest.raises(ConfigurationError, match="never shown"):
                agree_app(home.platform, [Hint("li", "", OPERATORS["li"])])

    run(test)
