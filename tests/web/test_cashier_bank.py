"""Paying without an account: to the bank's page and back, an outlet's code, and every end a payment can have."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.requests import Request

from tests.web.branch import CARDS, PASSWORD, Branch, branch
from tests.web.house import MERCHANT, PROTOCOL, run
from tests.web.surfer import Seen, Surfer, open_trade, sign_in
from tongbao.kernel.time import DAY, MINUTE
from tongbao.service.act import act
from tongbao.service.checkout import find_instruction
from tongbao.service.create import Asker
from tongbao.service.escrow import Close
from tongbao.service.view import terms_of
from tongbao.trade.record import Payment, Trade
from tongbao.web.cashier.app import cashier_app
from tongbao.web.cashier.link import Opening
from tongbao.web.cashier.order import show_order
from tongbao.web.cashier.pay import is_contact
from tongbao.web.cashier.result import ResultDesk, host_of, judge, say_reason
from tongbao.web.page.shell import Shell
from tongbao.wire.bank import BANKS
from tongbao.wire.contract import Verified
from tongbao.wire.form import encode_form
from tongbao.wire.http import Response
from tongbao.wire.vocabulary import Method, Product, ShipTrade

pytestmark = pytest.mark.slow

NOT_OFFERED = "This way of paying is not offered for this trade."
AGAIN = "The order changed since it was shown to you. Please review it again."

Test = Callable[[Branch, Surfer], Awaitable[None]]


def play(folder: Path, test: Test) -> None:
    """Run ``test`` with banks and a browser over a cashier."""

    async def main() -> None:
        async with branch(folder) as here:
            await test(here, Surfer(cashier_app(here.home.platform)))

    run(main)


async def pay_there(here: Branch, leaving: Seen, card: str) -> None:
    """Open the bank's page, pay with one of its cards (or leave), and let the bank tell the platform."""
    url = leaving.refresh
    await here.visit(url)
    if card:
        await here.fill(url, number=CARDS[card], password=PASSWORD, act="pay")
    else:
        await here.fill(url, act="leave")
    await here.advance(MINUTE)


async def go_to_bank(surfer: Surfer, path: str, bank: str = "ICBC", kind: str = "debit") -> Seen:
    """Fill in the card form; the page that leads to the bank."""
    form = (await surfer.get(f"{path}?pay=card")).form("/bank")
    answer = await surfer.send(form, contact="13800138000", kind=kind, bank=bank)
    assert answer.status == 303, answer.alert
    return await surfer.get(answer.location)


def test_a_buyer_pays_by_card(tmp_path: Path) -> None:
    """E-mail or mobile number, kind and bank; the bank's page; back at a result that is paid and leads home."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K1")
        leaving = await go_to_bank(surfer, path)
        assert "On your way to Industrial and Commercial Bank of China" in leaving.text
        waiting = await surfer.get(f"{path}/result")
        assert ("Waiting for the bank" in waiting.text, waiting.refresh) == (True, f"{path}/result")
        await pay_there(here, leaving, "ok")
        result = await surfer.get(f"{path}/result")
        assert ("Payment complete" in result.text, "Debit card" in result.text) == (True, True)
        assert (await surfer.get((await surfer.get(result.refresh)).location or path)).status in (404, 303)
        assert (await here.trade("K1")).state == "paid"

    play(tmp_path, test)


def test_eight_banks_are_open_and_the_others_folded(tmp_path: Path) -> None:
    """The bank that the merchant names, or that was chosen before an error, stands among the open ones; every bank is
    on the page, without scripts."""

    async def test(here: Branch, surfer: Surfer) -> None:
        for number, named in (("E1", ""), ("E2", "WZCB")):
            _, path = await open_trade(here.home, number, bank=named)
            body = (await surfer.get(f"{path}?pay=card")).body
            shown, _, folded = body.partition("<summary>15 more banks</summary>")
            banks = [re.findall(r'name="bank" value="(\w+)"', part) for part in (shown, folded)]
            assert [len(part) for part in banks] == [8, 15]
            assert set(banks[0]) | set(banks[1]) == set(BANKS)
            assert named in ("", banks[0][0])
        _, path = await open_trade(here.home, "E3")
        page = await surfer.get(f"{path}?pay=card")
        again = await surfer.send(page.form("/bank"), contact="nobody", kind="debit", bank="FDB")
        assert again.body.index('value="FDB" required checked') < again.body.index("<summary>15 more banks</summary>")

    play(tmp_path, test)


def test_a_guest_of_an_escrow_trade_is_told_when_the_money_goes(tmp_path: Path) -> None:
    """He has no account to confirm in, so the page says how long the money is held."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K0", Product.ESCROW)
        await pay_there(here, await go_to_bank(surfer, path), "ok")
        assert "10 days after shipping" in (await surfer.get(f"{path}/result")).text

    play(tmp_path, test)


def test_a_named_buyer_is_filled_in(tmp_path: Path) -> None:
    """Where the merchant named who pays, login and contact stand in the form; nobody else can pay."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "M1", buyer="lin@example.com")
        assert (await surfer.get(f"{path}?pay=balance")).form("/login").fields["login"] == "lin@example.com"
        form = (await surfer.get(f"{path}?pay=card")).form("/bank")
        assert form.fields["contact"] == "lin@example.com"
        answer = await surfer.send(form, contact="other@example.com", kind="debit", bank="ICBC")
        assert answer.alert == "This order names another buyer."

    play(tmp_path, test)


def test_the_banks_no_is_told_and_another_try_is_open(tmp_path: Path) -> None:
    """The bank's reason in the reader's language, nothing taken, and a way back to the choice."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K2")
        leaving = await go_to_bank(surfer, path)
        await pay_there(here, leaving, "")
        result = await surfer.get(f"{path}/result")
        assert ("did not go through" in result.text, "was cancelled on the bank’s page" in result.text) == (True, True)
        leaving = await go_to_bank(surfer, path)
        await pay_there(here, leaving, "ok")
        assert "Payment complete" in (await surfer.get(f"{path}/result")).text
        assert await here.payment_states("K2") == ["failed", "captured"]

    play(tmp_path, test)


def test_I31_the_same_form_twice_starts_one_payment(tmp_path: Path) -> None:
    """A double click leads to the same instruction."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K3")
        form = (await surfer.get(f"{path}?pay=card")).form("/bank")
        first = await surfer.send(form, contact="a@example.com", kind="debit", bank="ICBC")
        second = await surfer.send(form, contact="a@example.com", kind="debit", bank="ICBC")
        assert first.location == second.location == f"{path}/bank/1"
        assert await here.payment_states("K3") == ["pending"]

    play(tmp_path, test)


def test_the_bank_that_the_merchant_named_comes_first(tmp_path: Path) -> None:
    """With the pane, the kind of card and the bank of the merchant's request chosen; the buyer may choose another."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K4", bank="CMB", method=Method.CREDIT)
        page = await surfer.get(path)
        fields = page.form("/bank").fields
        assert (fields["bank"], fields["kind"]) == ("CMB", "credit")
        assert page.body.index('value="CMB"') < page.body.index('value="ICBC"')
        assert (await go_to_bank(surfer, path, "CCB", "credit")).status == 200

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("filled", "alert"),
    [
        ({"contact": "nobody"}, ""),
        ({"contact": "13800138000", "bank": ""}, "Choose a bank."),
        ({"contact": "13800138000", "bank": "NOBANK"}, "There is no such bank."),
        ({"contact": "13800138000", "bank": "OUTLET"}, "There is no such bank."),
        ({"contact": "13800138000", "bank": "ICBC", "kind": "outlet"}, NOT_OFFERED),
        ({"contact": "13800138000", "bank": "WZCB", "kind": "credit"}, NOT_OFFERED),
        ({"contact": "13800138000", "bank": "ICBC", "review": "x"}, AGAIN),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(tmp_path: Path, filled: dict[str, str], alert: str) -> None:
    """The form comes back with what was typed and what is wrong; no payment is started."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K5")
        form = (await surfer.get(f"{path}?pay=card")).form("/bank")
        answer = await surfer.send(form, **filled)
        assert (answer.status in (409, 422), answer.alert) == (True, alert)
        assert answer.form("/bank").fields["contact"] == filled["contact"]
        if not alert:
            assert 'aria-invalid="true"' in answer.body
        assert await here.payment_states("K5") == []

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a@example.com", True),
        ("li.ming+shop@mail.example.cn", True),
        ("13800138000", True),
        ("12800138000", False),
        ("1380013800", False),
        ("a@b", False),
        ("a b@example.com", False),
        ("a@example.com,b@example.com", False),
        ("<a@example.com>", False),
        ("\u0661" * 11, False),
        ("a" * 200 + "@example.com", False),
        ("", False),
    ],
)
def test_contacts_are_mail_addresses_or_mobile_numbers(text: str, right: bool) -> None:
    """The two forms in which a guest may name himself."""
    assert is_contact(text) is right


def test_an_outlets_code_is_shown_until_cash_comes(tmp_path: Path) -> None:
    """Twelve digits and how long they are valid; after the counter has taken the cash the page says paid."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K6", minutes=600)
        form = (await surfer.get(f"{path}?pay=outlet")).form("/outlet")
        assert (await surfer.send(form, contact="a@example.com")).location == f"{path}/result"
        result = await surfer.get(f"{path}/result")
        payment = (await here.home.platform.payments_of(await here.trade("K6")))[0]
        code = (await find_instruction(here.home.platform, f"{payment.payment_no}P")).code
        assert (len(code), code.isdigit()) == (12, True)
        assert f"{code[:4]} {code[4:8]} {code[8:]}" in result.text
        assert "valid until" in result.text
        assert result.refresh == f"{path}/result"

    play(tmp_path, test)


def test_a_silent_outlet_operator_is_not_a_failure(tmp_path: Path) -> None:
    """When the operator cannot be told of the code, the page says that the outcome is open, and the same form works
    again under the same number."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K7")
        form = (await surfer.get(f"{path}?pay=outlet")).form("/outlet")
        here.home.net.down.add("bank.test")
        answer = await surfer.send(form, contact="a@example.com")
        assert "not known yet" in answer.alert
        here.home.net.down.clear()
        assert (await surfer.send(answer.form("/outlet"))).location == f"{path}/result"
        assert await here.payment_states("K7") == ["pending"]

    play(tmp_path, test)


def test_T42_late_money_is_explained(tmp_path: Path) -> None:
    """A trade closed by the merchant says so; when the bank's money comes afterwards, the page says it goes back."""

    async def test(here: Branch, surfer: Surfer) -> None:
        platform = here.home.platform
        _, path = await open_trade(here.home, "K8")
        leaving = await go_to_bank(surfer, path)
        await platform.submit(Close(Asker(MERCHANT, PROTOCOL), "K8"))
        assert "The order is closed" in (await surfer.get(f"{path}/result")).text
        await pay_there(here, leaving, "ok")
        assert "your money comes back" in (await surfer.get(f"{path}/result")).text
        assert (await surfer.get(f"{path}/bank/1")).location == f"{path}/result"
        assert (await surfer.get(f"{path}/bank/7")).status == 404

    play(tmp_path, test)


def test_an_expired_trade_stays_expired(tmp_path: Path) -> None:
    """Once the clock has closed it, its page says that the time is over, and a merchant's closing says otherwise."""

    async def test(here: Branch, surfer: Surfer) -> None:
        _, path = await open_trade(here.home, "K9", minutes=5)
        await here.advance(DAY)
        assert (await here.trade("K9")).state == "closed"
        assert "The time to pay is over" in (await surfer.get(f"{path}/result")).text

    play(tmp_path, test)


def test_a_trade_without_a_return_address_ends_here(tmp_path: Path) -> None:
    """The result says that there is no way home, and /home leads back to it."""

    async def test(here: Branch, surfer: Surfer) -> None:
        platform = here.home.platform
        _, path = await open_trade(here.home, "L1", return_url="")
        await sign_in(surfer, path)
        await surfer.send((await surfer.get(f"{path}?pay=balance")).form("/pay"), pay_password="741852")
        merchant = await platform.merchant(MERCHANT)
        result = await surfer.get(f"{path}/result")
        # a missing address means the registered one, which this merchant has
        assert (host_of(merchant.return_url) in result.text) is True
        assert (await surfer.get(f"{path}/result?stay=1")).refresh == ""

    play(tmp_path, test)


def test_a_buyer_confirms_receipt_in_his_account(tmp_path: Path) -> None:
    """A shipped escrow trade waits in the account; a wrong pay password is counted, the right one lets the money go."""

    async def test(here: Branch, surfer: Surfer) -> None:
        platform = here.home.platform
        trade, path = await open_trade(here.home, "L2", Product.ESCROW)
        await sign_in(surfer, path)
        await surfer.send((await surfer.get(f"{path}?pay=balance")).form("/pay"), pay_password="741852")
        page = await surfer.get(f"/account/trades/{trade.trade_no}")
        assert "has not shipped yet" in page.text
        ship = ShipTrade(merchant=MERCHANT, out_trade_no="L2", carrier="顺丰速运", tracking_no="SF1")
        await act(platform, PROTOCOL, Verified(ship, None))
        account = await surfer.get("/account")
        assert ("Waiting for you to confirm receipt" in account.text, "¥9,871.50" in account.text) == (True, True)
        form = (await surfer.get(f"/account/trades/{trade.trade_no}")).form(trade.trade_no)
        wrong = await surfer.send(form, pay_password="000000")
        assert (wrong.status, "4 more times" in wrong.alert) == (422, True)
        assert (await surfer.send(form, pay_password="741852", review="x" * 43)).status == 409
        assert (await surfer.send(form, pay_password="741852")).status == 303
        assert (await here.trade("L2")).state == "finished"
        assert "Finished" in (await surfer.get(f"/account/trades/{trade.trade_no}")).text
        assert (await surfer.send(form, pay_password="741852")).status == 409

    play(tmp_path, test)


def test_a_standing_is_read_from_the_rows(tmp_path: Path) -> None:
    """A second payment that came too late is told beside the first; the bank's unknown words are shown as they are."""

    async def test(here: Branch, surfer: Surfer) -> None:
        trade, path = await open_trade(here.home, "L3")
        await go_to_bank(surfer, path)
        payments: list[Payment] = await here.home.platform.payments_of(await here.trade("L3"))
        paid: Trade = replace(trade, state="paid", paid_attempt=1)
        stray = replace(payments[0], attempt=2, state="late")
        standing = judge(paid, [replace(payments[0], state="captured"), stray], over=False)
        assert (standing.kind, standing.extra) == ("paid", True)
        assert judge(trade, [], over=False).kind == "unpaid"
        assert judge(trade, [], over=True).kind == "expired"

    play(tmp_path, test)
    assert say_reason("en", "cancelled") == "The payment was cancelled on the bank’s page."
    assert say_reason("en", "card <stolen>") == "card <stolen>"
    assert say_reason("zh", "") == "银行没有说明原因。"


def test_a_return_by_post_is_a_form(tmp_path: Path) -> None:
    """For protocols whose return is a POST: every field in its charset, and only the shop's origin is allowed."""

    async def test(here: Branch, surfer: Surfer) -> None:
        platform = here.home.platform
        trade, path = await open_trade(here.home, "M2")
        shell = Shell(platform)
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "scheme": "http"}
        request = Request({**scope, "server": ("p.test", 80)})
        visitor = await shell.doorman.receive(request)
        opening = Opening(path, trade, terms_of(trade), await show_order(platform, trade))
        body = encode_form((("subject", "茶<b>"), ("sign", "x")), "gbk")
        kind = "application/x-www-form-urlencoded; charset=gbk"
        answer = ResultDesk(shell).post_home(request, visitor, opening, "https://shop.test:8443/back?a=1", kind, body)
        form = Seen(Response(answer.status_code, (), bytes(answer.body))).forms[0]
        assert (form.action, form.fields) == ("https://shop.test:8443/back?a=1", {"subject": "茶<b>", "sign": "x"})
        assert 'accept-charset="gbk"' in bytes(answer.body).decode()
        assert "form-action 'self' https://shop.test:8443;" in answer.headers["content-security-policy"]

    play(tmp_path, test)
