"""The seven steps from the shop's side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.shop.browser import Parts
from tests.shop.conftest import Town
from tests.shop.counter import post_fields
from tongbao.kernel.error import InvalidSignature
from tongbao.kernel.money import Money
from tongbao.kernel.time import MINUTE, later
from tongbao.merchant.order import Evidence, OrderState
from tongbao.merchant.record import recent_invalid
from tongbao.wire.http import Request
from tongbao.wire.vocabulary import Product, TradeState

pytestmark = pytest.mark.slow


def test_purchase_ends_paid_by_notification(town: Town) -> None:
    """Stored before shown, confirming after the return, paid by the verified notification, one mail."""
    number, page = town.place()
    assert town.order(number).state is OrderState.PENDING
    assert town.order(number).amount == Money(25_600)
    assert "¥256.00" in page.text
    assert town.checkout(page) == number
    town.platform.move(number, TradeState.PAID)
    result = town.visitor.carry(town.platform.send_home(number))
    assert "Confirming your payment" in result.text
    assert 'http-equiv="refresh"' in result.text
    assert town.deliver(number) == "success"
    order = town.order(number)
    assert (order.state, order.evidence) == (OrderState.PAID, Evidence.NOTIFY)
    after = town.visitor.get(str(result.url.path))
    assert "Thank you, it is paid" in after.text
    assert "refresh" not in after.text
    assert town.run(town.shop.run_jobs()).done == 1
    assert [mail.to for mail in town.mailbox.mails] == ["buyer@example.com"]


@pytest.mark.parametrize("by_link", [False, True])
@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
@pytest.mark.parametrize("product", list(Product))
def test_form_and_link_say_the_same(town: Town, product: Product, charset: str, by_link: bool) -> None:
    """For each product and charset the platform reads number, sum and name as stored, from the form and the link."""
    number, page = town.place(product=str(product), language="zh")
    if charset == "gbk":
        page = town.visitor.submit(page, f"/orders/{number}/charset", charset="gbk")
    assert town.checkout(page, by_link=by_link) == number
    asked = town.platform.targets[number]
    assert (asked.product, asked.amount, asked.subject) == (product, Money(25_600), "明前龙井 50 克 等 2 件")
    assert asked.echo["_input_charset"] == charset
    town.platform.move(number, TradeState.PAID if product is Product.INSTANT else TradeState.ESCROWED)
    assert town.deliver(number) == "success"
    assert town.order(number).state is OrderState.PAID


def test_I26_return_alone_marks_nothing(town: Town) -> None:
    """However often the browser comes home with a valid signature, the order stays pending and no goods leave."""
    number = town.buy()
    for _ in range(3):
        assert "Confirming" in town.visitor.carry(town.platform.send_home(number)).text
    assert town.order(number).state is OrderState.PENDING
    assert town.order(number).evidence is None
    assert town.stock() == (40, 0)
    assert town.run(town.shop.run_jobs()).done == 0


def test_T31_forged_return_shows_nothing(town: Town) -> None:
    """A return whose signature is wrong names no order, changes none, and is on the keeper's list."""
    number = town.buy()
    home = town.platform.send_home(number)
    forged = replace(home, raw_query=home.raw_query.replace(b"total_fee=256.00", b"total_fee=0.01"))
    page = town.visitor.carry(forged)
    assert page.status_code == 400
    assert number not in page.text
    assert town.order(number).state is OrderState.PENDING
    assert "SIGN_INVALID" in town.visitor.get("/desk/invalid").text


def test_I25_twenty_notifications_take_the_goods_once(town: Town) -> None:
    """Stock falls once, one mail is written, and every repeat is answered with success."""
    number = town.buy(quantity=3)
    request = town.platform.notify(number)
    together = town.visitor.carry_all([request] * 10)
    assert [answer.text for answer in together] == ["success"] * 10
    assert [town.deliver(number) for _ in range(10)] == ["success"] * 10
    assert town.stock() == (37, 0)
    assert town.run(town.shop.run_jobs()).done == 1
    assert town.run(town.shop.run_jobs()).done == 0
    assert len(town.mailbox.mails) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda request: replace(request, body=request.body.replace(b"256.00", b"0.01")), "SIGN_INVALID"),
        (lambda request: replace(request, body=request.body.partition(b"&sign=")[0]), "SIGN_MISSING"),
        (lambda request: replace(request, body=request.body + b"&trade_status=TRADE_FINISHED"), "DUPLICATE_PARAM"),
        (lambda request: replace(request, body=request.body.replace(b"sign_type=MD5", b"sign_type=RSA")), "SIGN_TYPE"),
    ],
)
def test_forged_notifications_are_refused_and_listed(town: Town, change: object, reason: str) -> None:
    """Nothing moves, the answer is no, and the reason is on the keeper's page."""
    number = town.buy()
    forged: Request = change(town.platform.notify(number))  # type: ignore[operator]
    assert forged != town.platform.notify(number)
    assert town.visitor.carry(forged).text == "fail"
    assert town.order(number).state is OrderState.PENDING
    assert town.stock() == (40, 0)
    assert reason in town.visitor.get("/desk/invalid").text


def test_T27_genuine_signature_over_another_sum_is_refused(town: Town) -> None:
    """Signed by the platform, but a fen short: not this order's payment."""
    number = town.buy()
    assert town.deliver(number, amount=Money(25_599)) == "fail"
    assert town.order(number).state is OrderState.PENDING
    assert "AMOUNT_MISMATCH" in town.visitor.get("/desk/invalid").text


def test_notification_the_platform_does_not_know_is_refused(town: Town) -> None:
    """A good signature is not enough: the platform is asked whether the notification is its own."""
    number = town.buy()
    request = town.platform.notify(number)
    town.platform.live.clear()
    assert town.visitor.carry(request).text == "fail"
    reasons = [row.reason for row in town.database.read(recent_invalid)]
    assert reasons == ["NOT_CONFIRMED"]


def test_unreachable_shop_is_healed_by_polling(town: Town) -> None:
    """503 while it is down, and the page confirms on; a minute later the duty asks, and the order is paid by QUERY."""
    number = town.buy()
    town.shop.reachable = False
    assert town.visitor.carry(town.platform.notify(number)).status_code == 503
    assert "Confirming" in town.visitor.carry(town.platform.send_home(number)).text
    assert town.run(town.shop.poll()) == []
    town.clock.now = later(town.clock.now, 2 * MINUTE)
    assert [verdict.accepted for verdict in town.run(town.shop.poll())] == [True]
    assert (town.order(number).state, town.order(number).evidence) == (OrderState.PAID, Evidence.QUERY)
    town.shop.reachable = True
    assert town.deliver(number) == "success"
    assert town.stock() == (38, 0)


def test_mail_is_written_once_however_often_it_is_tried(town: Town) -> None:
    """A mail system that is down postpones the job; when it is back there is one mail, in the buyer's language."""
    number = town.buy(language="zh")
    town.deliver(number)
    town.mailbox.down = True
    assert town.run(town.shop.run_jobs()).postponed == 1
    town.mailbox.down = False
    town.clock.now = later(town.clock.now, MINUTE)
    assert town.run(town.shop.run_jobs()).done == 1
    assert [mail.subject for mail in town.mailbox.mails] == [f"订单 {number} 已付款"]
    assert f"订单 {number} 已付款" in town.visitor.get("/desk/mailbox").text


def test_goods_sold_beyond_the_stock_are_owed(town: Town) -> None:
    """Money that was taken is never refused for want of goods."""
    town.deliver(town.buy(sku="vase", quantity=7))
    assert town.stock("vase") == (0, 2)


def test_escrow_is_shipped_from_the_desk(town: Town) -> None:
    """Escrowed money counts as paid; the keeper ships, the platform is told, and the order follows its answer."""
    number = town.buy(TradeState.ESCROWED, product="escrow")
    assert town.deliver(number) == "success"
    page = town.visitor.get(f"/desk/orders/{number}")
    after = town.visitor.submit(page, f"/desk/orders/{number}/ship", carrier="EMS", tracking="EE123456789CN")
    assert "goods are on their way" in after.text
    assert town.order(number).state is OrderState.SHIPPED
    assert town.stock() == (38, 0)
    links = Parts(town.visitor.get(f"/orders/{number}").text).links
    assert f"http://127.0.0.1:9/receipt/{town.order(number).trade_no}" in links
    assert f"http://127.0.0.1:9/trades/{town.order(number).trade_no}" in links
    town.platform.move(number, TradeState.FINISHED)
    assert town.deliver(number) == "success"
    assert town.order(number).state is OrderState.FINISHED


def test_asking_and_cancelling_by_hand(town: Town) -> None:
    """Before any trade: no such trade, and the order can be closed. With one: not paid yet, and both are closed."""
    number, page = town.place()
    order = town.visitor.get(f"/orders/{number}")
    assert "no such trade yet" in town.visitor.submit(order, f"/orders/{number}/query").text
    assert town.checkout(page) == number
    assert "not paid yet" in town.visitor.submit(order, f"/orders/{number}/query").text
    assert "Closed" in town.visitor.submit(order, f"/orders/{number}/close").text
    assert town.order(number).state is OrderState.CLOSED
    assert town.platform.trades[number].state is TradeState.CLOSED
    other, _ = town.place()
    town.visitor.submit(town.visitor.get(f"/orders/{other}"), f"/orders/{other}/close")
    assert town.order(other).state is OrderState.CLOSED


def test_unreachable_platform_changes_nothing(town: Town) -> None:
    """Query, close and ship say that no answer came, and the order stays."""
    number = town.buy()
    town.platform.down = True
    order = town.visitor.get(f"/orders/{number}")
    for act in ("query", "close"):
        assert "No usable answer" in town.visitor.submit(order, f"/orders/{number}/{act}").text
    assert town.deliver(number) == "fail"
    assert town.order(number).state is OrderState.PENDING


def test_changed_field_is_sent_with_the_old_signature(town: Town) -> None:
    """The developers' box prepares a request whose sum was changed after signing, and the platform refuses it."""
    number, _ = town.place()
    page = town.visitor.get(f"/orders/{number}/confirm", params={"field": "total_fee", "value": "0.01"})
    form = next(form for form in Parts(page.text).forms if form.action.startswith("http://127.0.0.1:9/"))
    assert dict(form.fields)["total_fee"] == "0.01"
    assert "expect ILLEGAL_SIGN" in page.text
    with pytest.raises(InvalidSignature):
        town.platform.open(post_fields(form.action, form.fields, form.charset))
    assert town.platform.trades == {}
    genuine = town.visitor.get(f"/orders/{number}/confirm")
    assert town.checkout(genuine) == number


def test_T65_the_key_is_never_shown(town: Town) -> None:
    """Neither the confirmation page with its string to sign nor any other page holds the key."""
    number = town.buy()
    town.deliver(number)
    pending, page = town.place()
    assert "String to sign" in page.text
    for path in (f"/orders/{pending}/confirm", f"/orders/{number}", f"/desk/orders/{number}", "/desk/invalid", "/desk"):
        assert "u7dJq2mWz9Lp4sXc8vRb" not in town.visitor.get(path).text


@pytest.mark.parametrize(("method", "bank"), [("balance", ""), ("debit", "ICBC"), ("credit", ""), ("outlet", "")])
def test_method_hint_reaches_the_platform(town: Town, method: str, bank: str) -> None:
    """What the buyer chose beforehand is what the platform reads; the expiry too."""
    number, page = town.place(method=method, bank=bank, expiry="30m")
    assert town.checkout(page) == number
    asked = town.platform.targets[number]
    assert (str(asked.method), asked.bank) == (method, bank)
    assert asked.expiry is not None
    assert asked.expiry.seconds == 1_800


def test_card_the_protocol_has_no_word_for_is_left_to_the_cashier(town: Town) -> None:
    """The buyer is told, the request says the kind of card only, and the payment goes on."""
    number, page = town.place(method="credit", bank="CMB")
    assert "choose it at the cashier" in page.text
    assert town.checkout(page) == number
    assert (str(town.platform.targets[number].method), town.platform.targets[number].bank) == ("credit", "")
