"""The pages: languages, headers, forms that are not ours, orders that are not yours."""

from __future__ import annotations

import sqlite3

import httpx
import pytest

from tests.shop.browser import ADDRESS, Parts
from tests.shop.conftest import Town
from tests.shop.counter import configure
from tongbao.kernel.error import ConfigurationError
from tongbao.merchant.database import Database, Dialect
from tongbao.shop.shelf import SHELF
from tongbao.shop.shop import Shop
from tongbao.shop.word import WORDS

PATHS = ("/", "/goods/teapot", "/cart", "/orders", "/desk", "/desk/invalid", "/desk/mailbox", "/nowhere")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_speaks_both_languages_without_scripts(town: Town, language: str) -> None:
    """Each page is shown in the browser's language, has no script and no inline style, and safe headers (T52, T54)."""
    visitor = town.another(language)
    for path in PATHS:
        page = visitor.get(path)
        assert page.status_code == (404 if path == "/nowhere" else 200)
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in page.text
        assert Parts(page.text).scripts == 0
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
    visitor.close()


def test_language_can_be_changed_and_stays(town: Town) -> None:
    """The link in the header changes the language, and the next page remembers."""
    assert "茶与文房" in town.visitor.get("/?lang=zh").text
    assert "购物车" in town.visitor.get("/cart").text


def test_words_exist_in_both_languages() -> None:
    """No word is empty, and both languages have the same places for values."""
    assert WORDS["zh"].keys() == WORDS["en"].keys()
    for key, english in WORDS["en"].items():
        assert english
        assert sorted(part for part in english.split() if "{" in part and "}" not in part) == []
        assert english.count("{") == WORDS["zh"][key].count("{")


def test_every_good_has_a_picture_and_a_page(town: Town) -> None:
    """A dozen goods, among them one for a single fen."""
    assert len(SHELF) == 12
    assert min(good.price.minor for good in SHELF.values()) == 1
    for good in SHELF.values():
        page = town.visitor.get(f"/goods/{good.sku}")
        assert "<svg" in page.text.partition("<article")[2]


def test_T51_foreign_forms_are_refused(town: Town) -> None:
    """No token, another visitor's token, or a browser that says the form came from elsewhere: 403, nothing done."""
    page = town.visitor.get("/goods/teapot")
    form = dict(Parts(page.text).forms[0].fields)
    assert town.visitor.post("/cart", {**form, "csrf": ""}).status_code == 403
    assert town.another().post("/cart", form).status_code == 403
    assert town.visitor.post("/cart", form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert "Nothing here yet" in town.visitor.get("/cart").text
    assert town.visitor.post("/cart", form).status_code == 200


def test_T57_foreign_orders_are_unknown(town: Town) -> None:
    """Another visitor sees the same 404 for somebody's order as for no order; a result page needs its seal."""
    number, _ = town.place()
    other = town.another()
    for path in (f"/orders/{number}", f"/orders/{number}/confirm", f"/result/{number}/{'0' * 32}"):
        assert other.get(path).status_code == 404
    assert other.get(f"/orders/{number}").text == other.get("/orders/1").text.replace("/orders/1", f"/orders/{number}")
    assert number not in other.get("/orders").text
    assert number in town.visitor.get("/orders").text


@pytest.mark.parametrize(
    "wish",
    [
        {"email": "nobody"},
        {"email": "a@b.cc\r\nBcc: x@y.zz"},
        {"product": "gift"},
        {"method": "gold"},
        {"method": "debit", "bank": "NOBANK"},
        {"method": "credit", "bank": "FDB"},
        {"expiry": "7y"},
        {"place": "x" * 81},
    ],
)
def test_mistakes_in_the_form_are_told_and_store_nothing(town: Town, wish: dict[str, str]) -> None:
    """The form comes back with what is wrong; no order stands in the database."""
    cart = town.visitor.submit(town.visitor.get("/goods/sample"), "/cart")
    said = {"email": "buyer@example.com", "method": "", "bank": "", "expiry": "", "language": "en"}
    page: httpx.Response = town.visitor.submit(cart, "/orders", **{**said, **wish})
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert "No orders yet" in town.visitor.get("/orders").text


def test_amount_is_not_the_browsers_business(town: Town) -> None:
    """Whatever sum or price a form says, the shelf's price counts (T28, T58)."""
    cart = town.visitor.submit(town.visitor.get("/goods/vase"), "/cart", price="1", quantity="1")
    said = {"email": "b@example.com", "method": "", "bank": "", "expiry": "", "language": "en", "amount": "0.01"}
    assert "¥456.00" in town.visitor.submit(cart, "/orders", **said).text


def test_second_click_makes_no_second_order(town: Town) -> None:
    """The same cart form sent twice stores one order."""
    cart = town.visitor.submit(town.visitor.get("/goods/sample"), "/cart")
    said = {"email": "buyer@example.com", "method": "", "bank": "", "expiry": "", "language": "en"}
    town.visitor.submit(cart, "/orders", **said)
    town.visitor.submit(cart, "/orders", **said)
    with sqlite3.connect(town.path) as connection:
        count = connection.execute("SELECT COUNT(*) FROM orders").fetchone()[0]
    connection.close()
    assert count == 1


def test_T54_text_of_others_is_shown_as_text(town: Town) -> None:
    """What a buyer writes, or a forged message holds, stays text on every page."""
    number, _ = town.place(consignee="<b onclick=x>Wang</b>", product="escrow")
    town.visitor.post("/pay/alipay_mapi/notify", {"out_trade_no": "<script>alert(1)</script>"})
    for path in (f"/desk/orders/{number}", f"/orders/{number}/confirm", "/desk/invalid"):
        page = town.visitor.get(path)
        assert Parts(page.text).scripts == 0


def test_text_the_charset_lacks_is_told(town: Town) -> None:
    """A character that GBK has no bytes for is named on the page instead of being sent wrong."""
    number, page = town.place(product="escrow", consignee="王𠮷")
    page = town.visitor.submit(page, f"/orders/{number}/charset", charset="gbk")
    assert "cannot say the request" in page.text
    assert "receive_name" in page.text


def test_cart_counts_and_forgets(town: Town) -> None:
    """Adding adds up to 99 at most, zero and remove take out, odd quantities are refused."""
    cart = town.visitor.submit(town.visitor.get("/goods/brush"), "/cart", quantity="98")
    cart = town.visitor.submit(town.visitor.get("/goods/brush"), "/cart", quantity="5")
    assert 'value="99"' in cart.text
    assert town.visitor.submit(cart, "/cart/change", quantity="１").status_code == 400
    assert "Nothing here yet" in town.visitor.submit(cart, "/cart/change", quantity="0").text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"configurations": {}}, "configurations"),
        ({"address": "http://127.0.0.1/shop"}, "address"),
        ({"address": "shop.example"}, "address"),
        ({"database": Database(Dialect.POSTGRESQL, lambda: None)}, "database"),
    ],
)
def test_misconfigured_shop_does_not_open(town: Town, change: dict[str, object], named: str) -> None:
    """The error names the setting."""
    given: dict[str, object] = {
        "configurations": {"alipay_mapi": configure()},
        "database": town.database,
        "address": ADDRESS,
        **change,
    }
    with pytest.raises(ConfigurationError, match=named):
        Shop(town.world, **given)  # type: ignore[arg-type]


def test_T71_desk_without_login_stays_out_of_production(town: Town) -> None:
    """The demonstration shop refuses a production world."""
    object.__setattr__(town.world, "environment", "production")
    with pytest.raises(ConfigurationError, match="environment"):
        Shop(town.world, {"alipay_mapi": configure()}, town.database, address=ADDRESS)


def test_shop_keeps_its_seal_over_a_restart(town: Town) -> None:
    """Result pages and forms made before a restart are still good after it."""
    again = Shop(town.world, {"alipay_mapi": configure()}, town.database, address=ADDRESS)
    assert again.secret == town.shop.secret
