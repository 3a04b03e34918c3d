"""Paying from the balance: sign in, review, pay password; and what happens when any of it is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.web.house import BUYER, MERCHANT, RETURN, House, house, run
from tests.web.surfer import Surfer, open_trade, sign_in
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.time import MINUTE, Instant
from tongbao.ledger.account import buyer_balance
from tongbao.service.link import CASHIER_TIME, base36
from tongbao.service.party import RegisterBuyer, TopUp
from tongbao.service.password import hash_password
from tongbao.store.schema import SESSION
from tongbao.trade.party import Buyer
from tongbao.web.cashier.app import cashier_app
from tongbao.web.cashier.hint import Hint
from tongbao.web.page.visitor import digest
from tongbao.wire.vocabulary import Product

Test = Callable[[House, Surfer], Awaitable[None]]

AGAIN = "The order changed since it was shown to you. Please review it again."
HINTS = (Hint("buyer@example.com", "login123", "741852"),)


def play(folder: Path, test: Test) -> None:
    """Run ``test`` with a browser over a cashier."""

    async def main() -> None:
        async with house(folder) as home:
            await test(home, Surfer(cashier_app(home.platform, HINTS)))

    run(main)


async def state(home: House, number: str) -> str:
    return (await home.platform.find_trade(MERCHANT, number)).state


@pytest.mark.parametrize(
    ("product", "after"), [(Product.INSTANT, "paid"), (Product.ESCROW, "escrowed"), (Product.DUAL, "escrowed")]
)
def test_a_buyer_pays_from_his_balance(tmp_path: Path, product: Product, after: str) -> None:
    """Login, review, pay password: the trade is paid, and the result names the shop's host and leads home."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "B1", product)
        shown = (await surfer.get(path)).text
        for word in ("测试商店", "青瓷茶具", "¥128.50", "B1"):
            assert word in shown
        assert (await sign_in(surfer, path)).status == 303
        page = await surfer.get(f"{path}?pay=balance")
        assert "Pay ¥128.50 to 测试商店" in page.text
        assert "¥10,000.00" in page.text
        paid = await surfer.send(page.form("/pay"), pay_password="741852")
        assert (paid.status, paid.location, await state(home, "B1")) == (303, f"{path}/result", after)
        result = await surfer.get(paid.location)
        assert "Payment complete" in result.text
        assert ("Tongbao holds the money" in result.text) is (after == "escrowed")
        assert "127.0.0.1:9" in result.text
        assert result.refresh == f"{path}/home"
        going = await surfer.get(result.refresh)
        assert (going.status, going.location.startswith(f"{RETURN}?")) == (302, True)
        assert "sign=" in going.location
        assert await home.platform.balance(buyer_balance(BUYER, "CNY")) == 1_000_000 - 12_850
        assert (await surfer.get(path)).location == f"{path}/result"

    play(tmp_path, test)


def test_T60_a_wrong_login_says_the_same_whatever_is_wrong(tmp_path: Path) -> None:
    """An unknown login and a wrong password give one answer, keep what was typed, and never the password."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "B2")
        wrong = await sign_in(surfer, path, "wrong-word")
        form = (await surfer.get(f"{path}?pay=balance")).form("/login")
        unknown = await surfer.send(form, login="nobody@example.com", password="wrong-word")
        assert wrong.alert == unknown.alert
        assert wrong.alert.startswith("The login or the password is wrong, or there were too many tries.")
        assert (wrong.status, wrong.form("/login").fields["login"]) == (422, "buyer@example.com")
        assert "wrong-word" not in wrong.body + unknown.body

    play(tmp_path, test)


def test_T60_a_session_is_new_at_each_login_and_over_at_logout(tmp_path: Path) -> None:
    """No session before the login; another after the next; an old cookie is worth nothing once it is signed out."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "B3")
        surfer.cookies["tb_buyer"] = f"{'a' * 32}-{'0' * 9}-{'x' * 43}"
        assert (await surfer.get(path)).form("/login").fields["login"] == ""
        await sign_in(surfer, path)
        first = surfer.cookies["tb_buyer"]
        page = await surfer.get(f"{path}?pay=balance")
        assert (await surfer.send(page.form("/logout"))).status == 303
        assert "tb_buyer" not in surfer.cookies
        await sign_in(surfer, path)
        assert surfer.cookies["tb_buyer"][:32] != first[:32]
        old = Surfer(surfer.app, {**surfer.cookies, "tb_buyer": first})
        assert (await old.get(f"{path}?pay=balance")).form("/login").fields["login"] == ""

    play(tmp_path, test)


def test_a_session_ends_by_idleness_and_by_age(tmp_path: Path) -> None:
    """A cookie not seen for half an hour, or one whose session is older than twelve hours, signs nobody in."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "B4")
        await sign_in(surfer, path)
        token = surfer.cookies["tb_buyer"][:32]
        rows = await home.platform.database.load(SESSION, [(digest(token),)])
        assert rows[0].subject == BUYER

        def cookie(age: int) -> str:
            seen = base36(Instant(home.platform.world.clock.wire() - age), 9)
            return f"{token}-{seen}-{home.platform.seal.token('seen', token, seen)}"

        for age, inside in ((29 * MINUTE, True), (31 * MINUTE, False)):
            page = await Surfer(surfer.app, {**surfer.cookies, "tb_buyer": cookie(age)}).get(f"{path}?pay=balance")
            assert ("Available balance" in page.text) is inside
        forged = cookie(0)[:-1] + ("A" if cookie(0)[-1] != "A" else "B")
        page = await Surfer(surfer.app, {**surfer.cookies, "tb_buyer": forged}).get(f"{path}?pay=balance")
        assert page.form("/login").fields["login"] == ""

    play(tmp_path, test)


def test_T59_the_pay_password_is_counted_and_locked(tmp_path: Path) -> None:
    """Each wrong one says how many are left; after the fifth paying is locked, even with the right one; signing in
    still works."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "B5")
        await sign_in(surfer, path)
        form = (await surfer.get(f"{path}?pay=balance")).form("/pay")
        for left in (4, 3, 2, 1):
            answer = await surfer.send(form, pay_password="000000")
            assert (answer.status, answer.alert) == (
                422,
                f"The pay password is wrong. You can try {left} more times.",
            )
        for word in ("000000", "741852"):
            answer = await surfer.send(form, pay_password=word)
            assert (answer.status, "is locked" in answer.alert) == (429, True)
        assert await state(home, "B5") == "unpaid"
        assert (await sign_in(Surfer(surfer.app, {"tb_browser": surfer.cookies["tb_browser"]}), path)).status == 303

    play(tmp_path, test)


def test_the_login_is_locked_after_too_many_tries(tmp_path: Path) -> None:
    """Ten wrong passwords lock the login for a while; the page never says that it is, since an unknown one is not
    (T60): it says the same from the first try on."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "B6")
        said = {(answer.status, answer.alert) for answer in [await sign_in(surfer, path, "wrong") for _ in range(11)]}
        answer = await sign_in(surfer, path)
        assert said == {(answer.status, answer.alert)}
        assert (answer.status, "too many tries" in answer.alert) == (422, True)

    play(tmp_path, test)


def test_too_little_money_is_said_before_and_after(tmp_path: Path) -> None:
    """The page says what is missing; the attempt itself is refused and the trade stays unpaid."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "B7", amount=1_000_001)
        await sign_in(surfer, path)
        page = await surfer.get(f"{path}?pay=balance")
        assert "¥0.01 short" in page.text
        answer = await surfer.send(page.form("/pay"), pay_password="741852")
        assert answer.alert == "The balance does not suffice. Top it up, or pay another way."
        assert await state(home, "B7") == "unpaid"

    play(tmp_path, test)


def test_T61_what_is_signed_is_what_was_shown(tmp_path: Path) -> None:
    """A review token of another trade or flow, or none at all, gives REVIEW_AGAIN and moves nothing."""

    async def test(home: House, surfer: Surfer) -> None:
        _, cheap = await open_trade(home, "B8", amount=1)
        _, path = await open_trade(home, "B9", Product.DUAL)
        await sign_in(surfer, path)
        form = (await surfer.get(f"{path}?pay=balance&flow=escrow")).form("/pay")
        other = (await surfer.get(f"{cheap}?pay=balance")).form("/pay").fields["review"]
        instant = (await surfer.get(f"{path}?pay=balance&flow=instant")).form("/pay").fields["review"]
        for review in ("", "x" * 43, other, instant):
            answer = await surfer.send(form, review=review, pay_password="741852")
            assert (answer.status, answer.alert) == (
                409,
                "The order changed since it was shown to you. Please review it again.",
            )
        answer = await surfer.send(form, flow="instant", pay_password="741852")
        assert (answer.status, await state(home, "B9")) == (409, "unpaid")

    play(tmp_path, test)


def test_a_dual_trade_is_paid_as_the_buyer_chooses(tmp_path: Path) -> None:
    """Escrow is preselected; who chooses instant pays instantly."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "C1", Product.DUAL)
        await sign_in(surfer, path)
        page = await surfer.get(f"{path}?pay=balance")
        assert page.form("/pay").fields["flow"] == "escrow"
        page = await surfer.get(f"{path}?pay=balance&flow=instant")
        await surfer.send(page.form("/pay"), pay_password="741852")
        assert await state(home, "C1") == "paid"

    play(tmp_path, test)


def test_T56_a_link_is_of_one_browser_and_of_half_an_hour(tmp_path: Path) -> None:
    """Unknown, changed, too old, or opened elsewhere before: one and the same answer, 404, on every page below it."""

    async def test(home: House, surfer: Surfer) -> None:
        trade, path = await open_trade(home, "C2")
        assert (await surfer.get(path)).status == 200
        old = Instant(home.platform.world.clock.wire() - CASHIER_TIME - 1_000)
        aged = f"/cashier/{home.platform.seal.cashier_word(trade.trade_no, old)}"
        stranger = Surfer(surfer.app)
        answers = []
        for who, link in ((stranger, path), (surfer, aged), (surfer, path[:-1]), (surfer, "/cashier/x")):
            for tail in ("", "/result", "/home", "/bank/1"):
                answer = await who.get(link + tail)
                answers.append((answer.status, "CASHIER_LINK_INVALID" in answer.body, "测试商店" in answer.body))
        assert set(answers) == {(404, True, False)}

    play(tmp_path, test)


def test_a_closed_or_expired_trade_shows_its_end(tmp_path: Path) -> None:
    """After its time a link leads to a page that says so; nothing can be paid, and the countdown has said it before."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "C3", minutes=5)
        await sign_in(surfer, path)
        page = await surfer.get(f"{path}?pay=balance")
        assert 'data-left="' in page.body
        home.clock.advance(6 * MINUTE)
        assert (await surfer.get(path)).location == f"{path}/result"
        assert "The time to pay is over" in (await surfer.get(f"{path}/result")).text
        answer = await surfer.send(page.form("/pay"), pay_password="741852")
        assert (answer.location, await state(home, "C3")) == (f"{path}/result", "unpaid")

    play(tmp_path, test)


def test_T54_what_a_merchant_writes_is_text(tmp_path: Path) -> None:
    """A subject full of markup is shown as it is."""
    polyglot = "\"><svg/onload=alert(1)>{{7*7}}<script>alert(1)</script>'"

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "C4", subject=polyglot)
        await sign_in(surfer, path)
        for pane in ("balance", "card", "outlet"):
            body = (await surfer.get(f"{path}?pay={pane}")).body
            assert "<svg/onload" not in body
            assert "<script>" not in body
            assert "{{7*7}}" in body

    play(tmp_path, test)


def test_T71_no_passwords_are_shown_in_production(tmp_path: Path) -> None:
    """Demonstration buyers' words beside the fields are refused at the start there, and are chips elsewhere."""

    async def main() -> None:
        async with house(tmp_path, environment="production") as home:
            with pytest.raises(ConfigurationError):
                cashier_app(home.platform, HINTS)

    run(main)

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "C5")
        filled = (await surfer.get(f"{path}?pay=balance&fill=1")).form("/login")
        assert (filled.fields["login"], filled.fields["password"]) == ("buyer@example.com", "login123")
        assert (await surfer.send(filled)).status == 303
        assert (await surfer.get(f"{path}?fill=99999")).status == 200

    folder = tmp_path / "second"
    folder.mkdir()
    play(folder, test)


def test_T57_a_trade_of_another_buyer_is_as_unknown_as_none(tmp_path: Path) -> None:
    """In the account only one's own trades open; a foreign number and no number give the same page."""

    async def test(home: House, surfer: Surfer) -> None:
        zero = Instant(0)
        word = hash_password("login123", b"s" * 16, 4)
        pay = hash_password("741852", b"s" * 16, 4, home.platform.secrets.pepper)
        other = Buyer(
            "2088000000000055", "o@example.com", "member", "active", "", "en", word, pay, 0, zero, 0, zero, zero
        )
        await home.platform.submit(RegisterBuyer(other))
        await home.platform.submit(TopUp(other.buyer_id, 50_000, "CNY", "ICBC", "t2", "op1"))
        trade, path = await open_trade(home, "C6")
        await sign_in(surfer, path)
        await surfer.send((await surfer.get(f"{path}?pay=balance")).form("/pay"), pay_password="741852")
        thief = Surfer(surfer.app)
        await thief.send((await thief.get("/account")).form("/login"), login="o@example.com", password="login123")
        foreign = await thief.get(f"/account/trades/{trade.trade_no}")
        nothing = await thief.get(f"/account/trades/{'0' * 28}")
        assert (foreign.status, nothing.status) == (404, 404)
        assert foreign.text == nothing.text
        own = await surfer.get(f"/account/trades/{trade.trade_no}")
        assert (own.status, "青瓷茶具" in own.text) == (200, True)
        assert (await Surfer(surfer.app).get(f"/account/trades/{trade.trade_no}")).location == "/account"

    play(tmp_path, test)
