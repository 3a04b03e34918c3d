"""PyPI ``python-alipay-sdk`` (AliPay and DCAliPay): the whole way of an order; it verifies every answer itself."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

from tests.contract.alipay import City, city
from tests.contract.alipay_walk import (
    learn_number,
    pay_otherwise,
    platform_serial,
    read_certificate,
    send_money,
    serials,
    share,
)
from tests.contract.harness import Account, Broken, Script, pinned
from tongbao.protocols.alipay_openapi import messages as m

pytestmark = pytest.mark.slow
PACKAGE = "PyPI python-alipay-sdk"
VERSION = pinned(PACKAGE)


def options(town: City, mode: str, sign_type: str = "RSA2") -> dict[str, Any]:
    own = town.credentials
    said = {
        "appid": own["app_id"],
        "app_notify_url": town.ear.url,
        "app_private_key_string": own["app_private_key"],
        "sign_type": sign_type,
    }
    if mode == "key":
        return said | {"alipay_public_key_string": own["alipay_public_key"]}
    return said | {
        "app_public_key_cert_string": own["app_cert"],
        "alipay_public_key_cert_string": own["alipay_cert"],
        "alipay_root_cert_string": own["alipay_root_cert"],
    }


BOTH = frozenset((m.PRECREATE, m.PAY, m.CREATE, m.QUERY, m.CANCEL, m.CLOSE, m.REFUND, m.REFUND_QUERY, m.SETTLE))
"""Methods that have a function of their own; so has the transfer, in certificate mode."""
ABOLISHED = {
    "api_alipay_fund_trans_toaccount_transfer": {
        "out_biz_no": "T9",
        "payee_type": "ALIPAY_LOGONID",
        "payee_account": "a@example.com",
        "amount": "1.00",
    },
    "api_alipay_fund_trans_order_query": {"out_biz_no": "T9"},
    "api_alipay_ebpp_invoice_token_batchquery": {"invoice_token": "1"},
}
"""Functions for methods that this platform does not offer: the older transfers, and invoices."""


class Library:
    """Calls by the library's functions, and by ``server_api`` where it has none, and what came back of each."""

    def __init__(self, sdk: Script, account: Account, mode: str) -> None:
        self._sdk, self._account = sdk, account
        self._functions = BOTH | {m.TRANSFER} if mode == "certificate" else BOTH
        self.called: set[str] = set()

    def __call__(self, method: str, content: dict[str, Any]) -> dict[str, Any]:
        """See ``Ask``."""
        name = f"api_{method.replace('.', '_')}"
        if method in self._functions:
            return self.call(name, name, kwargs=_flat(method, content))
        if method in m.TOP_LEVEL:
            return self.call(f"server_api {method}", "server_api", args=[method], kwargs=content)
        return self.call(f"server_api {method}", "server_api", args=[method, content])

    def call(self, told: str, name: str, **arguments: Any) -> dict[str, Any]:
        """What a function gave. A failure outside its method's node is an error of the library: its word is in it."""
        self.called.add(name)
        try:
            answer: dict[str, Any] = self._sdk.ask("method", name=name, **arguments)
        except Broken as refused:
            found = re.search(r'"sub_code":"([^"]+)"', refused.detail)
            if refused.kind != "AliPayException" or found is None:
                raise
            answer = {"sub_code": found[1]}
        self._account.passed(told, answer.get("sub_code", ""))
        return answer

    def text(self, told: str, name: str, **arguments: Any) -> str:
        """The signed text that a function made; it asks nobody."""
        self.called.add(name)
        made = str(self._sdk.ask("method", name=name, **arguments))
        self._account.passed(told)
        return made


def _flat(method: str, content: dict[str, Any]) -> dict[str, Any]:
    """A content as the arguments of the method's function."""
    if method == m.TRANSFER:
        made = ("payee_info", "product_code", "biz_scene")  # by the function itself
        return {**{name: value for name, value in content.items() if name not in made}, **content["payee_info"]}
    return {"royalty_parameters": [], **content} if method == m.SETTLE else content


@pytest.mark.parametrize(
    ("mode", "sign_type"), [("key", "RSA2"), ("certificate", "RSA2"), ("key", "RSA")], ids=["key", "certificate", "RSA"]
)
def test_python_walks_an_order(mode: str, sign_type: str) -> None:
    """Create, pay, notification, query, refund, refund query, close, cancel, shares, a consent, certificate, bill,
    transfer, with sums as JSON numbers, by GET: all that the classes for a merchant himself have."""
    with (
        city() as town,
        Script.python(
            "python-alipay-sdk",
            "python_alipay.py",
            options=options(town, mode, sign_type),
            gateway=town.credentials["gateway"],
        ) as sdk,
        Account(PACKAGE, VERSION, f"{mode} mode, {sign_type}") as account,
    ):
        ask = Library(sdk, account, mode)
        _walk(town, sdk, account, ask)
        receiver = learn_number(town, ask)
        pay_otherwise(town, ask, receiver)
        share(town, ask, receiver)
        _pages(town, ask)
        _certificates(town, sdk, account, ask, mode)
        bill = ask(m.BILL, {"bill_type": "trade", "bill_date": town.next_day()})
        with urlopen(bill["bill_download_url"]) as answer, ZipFile(BytesIO(answer.read())) as archive:
            assert any("P1" in archive.read(name).decode("gbk") for name in archive.namelist())
        send_money(ask, receiver, by_certificate=mode == "certificate")
        assert ask("alipay.trade.nothing", {})["sub_code"] == "isv.invalid-method"
        for name, arguments in ABOLISHED.items():
            assert ask.call(name, name, kwargs=arguments)["sub_code"] == "isv.invalid-method"
        assert set(sdk.ask("functions")) <= ask.called
        assert town.sandbox.audit() == "clean"


def _walk(town: City, sdk: Script, account: Account, ask: Library) -> None:
    order = {"subject": "测试 {x", "total_amount": 12.34}
    assert ask(m.PRECREATE, {**order, "out_trade_no": "P1"})["qr_code"].startswith("http")
    data = town.pay("P1")
    assert sdk.ask("verify", data=data) is True
    assert sdk.ask("verify", data={**data, "total_amount": "0.01"}) is False
    account.passed("verify")
    number = {"out_trade_no": "P1"}
    assert ask(m.QUERY, number)["trade_status"] == "TRADE_SUCCESS"
    assert ask(m.REFUND, {**number, "refund_amount": 2.34, "out_request_no": "R1"})["fund_change"] == "Y"
    told = ask(m.REFUND_QUERY, {**number, "out_request_no": "R1"})
    assert (told["refund_status"], told["refund_amount"]) == ("REFUND_SUCCESS", "2.34")
    assert ask(m.CLOSE, number)["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
    ask(m.PRECREATE, {**order, "out_trade_no": "P2"})
    assert ask(m.CLOSE, {"out_trade_no": "P2"})["code"] == "10000"
    ask(m.PRECREATE, {**order, "out_trade_no": "P3"})
    assert ask(m.CANCEL, {"out_trade_no": "P3"})["action"] == "close"
    assert "action" not in ask(m.CANCEL, {"out_trade_no": "nothing"})


def _pages(town: City, ask: Library) -> None:
    """Texts that the caller puts behind the gateway's address, or hands to an app."""
    gateway = town.credentials["gateway"]
    order = {"subject": "测试", "total_amount": 1}
    for name, number in (("api_alipay_trade_page_pay", "P5"), ("api_alipay_trade_wap_pay", "P6")):
        said = {**order, "out_trade_no": number, "return_url": "http://127.0.0.1:9/back"}
        with urlopen(f"{gateway}?{ask.text(name, name, kwargs=said)}") as page:
            assert "/cashier/" in page.url
    name = "api_alipay_trade_app_pay"
    text = ask.text(name, name, kwargs={**order, "out_trade_no": "P7"})
    with urlopen(gateway, data=text.encode("ascii")) as page:
        assert "/cashier/" in page.url
    text = ask.text(f"client_api {m.PAGE_PAY}", "client_api", args=[m.PAGE_PAY, {**order, "out_trade_no": "P8"}])
    with urlopen(f"{gateway}?{text}") as page:
        assert "/cashier/" in page.url


def _certificates(town: City, sdk: Script, account: Account, ask: Library, mode: str) -> None:
    """The platform's certificate; in certificate mode also the serial numbers that the library computes, and its own
    function, whose text the caller puts behind the gateway's address."""
    serial = platform_serial(town)
    read_certificate(town, ask(m.CERTIFICATE, {"alipay_cert_sn": serial})["alipay_cert_content"])
    if mode != "certificate":
        return
    for name, value in serials(town).items():
        assert sdk.ask("attribute", name=name) == value
        account.passed(name)
    name = "api_alipay_open_app_alipaycert_download"
    with urlopen(f"{town.credentials['gateway']}?{ask.text(name, name, args=[serial])}") as answer:
        told = json.loads(answer.read())["alipay_open_app_alipaycert_download_response"]
    read_certificate(town, told["alipay_cert_content"])
