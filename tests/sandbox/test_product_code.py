"""Codes that name a product (QR mode 1): the wallet scans one, the platform asks the shop, the buyer pays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.product_shop import ProductShop
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.protocols.wechatpay_v2.wallet import answer_scan
from tongbao.testing.sandbox import LocalSandbox, SandboxError
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Presentation, Product

pytestmark = pytest.mark.slow

BUYER = "buyers/buyer@tongbao.example"
LAUGHS = b'<!DOCTYPE xml [<!ENTITY a "SUCCESS">]><xml><return_code>&a;</return_code></xml>'
"""A declaration, which no answer may have (T18)."""


def open_shop(box: LocalSandbox, sign_type: str) -> ProductShop:
    known = box.configuration("wechatpay_v2")
    return ProductShop(replace(known, credentials={**known.credentials, "sign_type": sign_type}))


def register(box: LocalSandbox, shop: ProductShop, url: str = "") -> None:
    """Where the platform asks this shop."""
    merchant = shop.configuration.merchant
    box.control("POST", "products", {"protocol": "wechatpay_v2", "merchant": merchant, "url": url or shop.url})


def scan(box: LocalSandbox, text: str) -> Any:
    return box.control("POST", f"{BUYER}/scan", {"text": text})


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_a_scanned_product_becomes_an_order_and_is_paid(box: LocalSandbox, sign_type: str) -> None:
    """The shop hears who wants what, in the code's own kind of signature; each scan is an order of its own."""
    with open_shop(box, sign_type) as shop:
        register(box, shop)
        known = box.control(
            "POST", f"{BUYER}/consent", {"protocol": "wechatpay_v2", "merchant": shop.configuration.merchant}
        )
        for number in ("P7-1", "P7-2"):
            assert scan(box, shop.code("P7"))["out_trade_no"] == number
            box.pay(number)
            assert box.trade(number)["state"] in ("paid", "finished")
        assert {said["product_id"] for said in shop.asked} == {"P7"}
        assert {said["openid"] for said in shop.asked} == {known["buyer"]}
        assert len({said["nonce_str"] for said in shop.asked}) == 2
        assert {len(said["sign"]) for said in shop.asked} == {32 if sign_type == "MD5" else 64}
        assert box.audit() == "clean"


def test_a_code_that_the_merchant_did_not_sign_asks_nobody(box: LocalSandbox) -> None:
    """A changed product, a strange merchant or a missing signature: refused before anything leaves."""
    with open_shop(box, "MD5") as shop:
        register(box, shop)
        good = shop.code("P7")
        for wrong in (
            good.replace("P7", "P8"),
            good.replace(shop.configuration.merchant, "1999999999"),
            good.replace("&sign=", "&gone=").replace("?sign=", "?gone="),
            good + "&product_id=P8",
        ):
            with pytest.raises(SandboxError):
                scan(box, wrong)
        assert shop.asked == []


def test_T18_T57_what_the_shop_answers_is_not_believed_blindly(box: LocalSandbox) -> None:
    """Unsigned, changed, declared, another's order, no order, a refusal in the shop's words, silence: nothing opens."""
    with open_shop(box, "MD5") as shop:
        register(box, shop)
        keys = shop.configuration.keys
        for status, body, words in (
            (200, b"<xml><return_code>SUCCESS</return_code></xml>", ""),
            (200, LAUGHS, ""),
            (200, answer_scan(keys, "wx00", "N").replace(b"wx00", b"wx01"), ""),
            (500, answer_scan(keys, "wx00", "N"), ""),
            (200, answer_scan(keys, "wx20250101080000" + "a" * 32, "N"), ""),
            (200, answer_scan(keys, "", "N", "已售罄"), "已售罄"),
        ):
            shop.twist = lambda _, status=status, body=body: (status, body)  # type: ignore[misc]
            with pytest.raises(SandboxError) as caught:
                scan(box, shop.code("P9"))
            assert words in str(caught.value)
    with pytest.raises(SandboxError):
        scan(box, shop.code("P9"))


def test_a_merchant_without_an_address_is_not_asked(box: LocalSandbox) -> None:
    """His codes open nothing until he has given one, and it must be one that he may use."""
    with open_shop(box, "MD5") as shop:
        with pytest.raises(SandboxError, match="NO_PRIVILEGE"):
            scan(box, shop.code("P1"))
        with pytest.raises(SandboxError):
            register(box, shop, "ftp://127.0.0.1/x")
        register(box, shop, "http://169.254.169.254/latest")
        with pytest.raises(SandboxError):
            scan(box, shop.code("P1"))
        assert shop.asked == []


@pytest.mark.parametrize("protocol", ["wechatpay_v2", "wechatpay_v3"])
@pytest.mark.parametrize("presentation", [Presentation.QR, Presentation.WALLET, Presentation.APP])
def test_what_an_order_is_answered_with_opens_it_in_the_wallet(
    box: LocalSandbox, protocol: str, presentation: Presentation
) -> None:
    """The text of the QR code and the prepared payment's number, as the platform writes them, are the order."""
    known = box.configuration(protocol)
    consent = box.control("POST", f"{BUYER}/consent", {"protocol": protocol, "merchant": known.merchant})
    order = CreateTrade(
        merchant="",
        out_trade_no="T20250101000001",
        product=Product.INSTANT,
        subject="测试商品",
        amount=Money(101),
        presentation=presentation,
        notify_url="http://127.0.0.1:9/n",
        buyer=Party(consent["buyer"] if presentation is Presentation.WALLET else ""),
    )
    with Client(known) as client:
        opened: Any = client.ask(order)
    for text in {opened.cashier_url, opened.prepaid, f"prepay_id={opened.prepaid or opened.cashier_url}"} - {""}:
        assert scan(box, text)["out_trade_no"] == order.out_trade_no
