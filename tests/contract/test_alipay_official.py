"""PyPI ``alipay-sdk-python``, the official one: the whole way of an order; it verifies every answer itself.

Its address must carry no port and it asks with the whole address in the request line, so the sandbox has a door at port
80 of a loopback address. It cannot encrypt on today's Python.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen
from zipfile import ZipFile

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.contract.alipay import City, Door, city, post_form
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
from tongbao.wire.sign import load_rsa_private

pytestmark = pytest.mark.slow
PACKAGE = "PyPI alipay-sdk-python"
VERSION = pinned(PACKAGE)


def options(town: City, sign_type: str, host: str) -> dict[str, Any]:
    """The library's own settings; it takes PKCS#1 keys only."""
    own = town.credentials
    key = load_rsa_private(own["app_private_key"], "app_private_key")
    pkcs1 = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode("ascii")
    return {
        "server_url": f"http://{host}/gateway.do",
        "app_id": own["app_id"],
        "app_private_key": pkcs1,
        "alipay_public_key": own["alipay_public_key"],
        "sign_type": sign_type,
    }


@pytest.mark.parametrize("sign_type", ["RSA2", "RSA"])
def test_official_python_walks_an_order(sign_type: str) -> None:
    """Create, pay, notification, query, refund, refund query, close, cancel, shares, a consent, certificate, bill."""
    with city() as town:
        port = urlsplit(town.credentials["base_url"]).port or 0
        with (
            Door(port) as door,
            Script.python(
                "alipay-sdk-python", "alipay_official.py", options=options(town, sign_type, door.host)
            ) as sdk,
            Account(PACKAGE, VERSION, f"key mode, {sign_type}") as account,
        ):
            _walk(town, sdk, account)


class Library:
    """Calls by ``execute``, with the classes that the library has for a method, and what came back of each."""

    def __init__(self, sdk: Script, account: Account) -> None:
        self._sdk, self._account = sdk, account

    def __call__(self, method: str, content: dict[str, Any]) -> dict[str, Any]:
        """See ``Ask``."""
        more = {"notify_url": content["notify_url"]} if "notify_url" in content else {}
        said = {name: value for name, value in content.items() if name not in more}
        asked = {"kind": kind_of(method), "content": said, "more": more, "plain": method in m.TOP_LEVEL}
        answer: dict[str, Any] = self._sdk.ask("execute", **asked)
        assert answer["success"] is not bool(answer["sub_code"])
        self._account.passed(f"execute {kind_of(method)}Request", answer["sub_code"])
        return answer


def kind_of(method: str) -> str:
    """``alipay.trade.query`` -> ``AlipayTradeQuery``, with which the names of its classes begin."""
    return "".join(word.title() for word in method.split("."))


def _walk(town: City, sdk: Script, account: Account) -> None:
    ask = Library(sdk, account)
    order = {"out_trade_no": "O1", "total_amount": "12.34", "subject": "测试 50% {"}
    made = ask(m.PRECREATE, {**order, "notify_url": town.ear.url})
    assert made["success"]
    assert made["qr_code"].startswith("http")
    data = town.pay("O1")
    assert sdk.ask("verify", data=data) is True
    account.passed("verify_with_rsa")
    with pytest.raises(Broken):
        sdk.ask("verify", data={**data, "total_amount": "0.01"})
    number = {"out_trade_no": "O1"}
    found = ask(m.QUERY, number)
    assert (found["trade_status"], found["total_amount"]) == ("TRADE_SUCCESS", "12.34")
    refund = {**number, "refund_amount": "2.34", "out_request_no": "R1"}
    assert ask(m.REFUND, refund)["fund_change"] == "Y"
    told = ask(m.REFUND_QUERY, {**number, "out_request_no": "R1"})
    assert (told["refund_status"], told["refund_amount"]) == ("REFUND_SUCCESS", "2.34")
    assert ask(m.CLOSE, number)["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
    ask(m.PRECREATE, {**order, "out_trade_no": "O2"})
    assert ask(m.CLOSE, {"out_trade_no": "O2"})["out_trade_no"] == "O2"
    ask(m.PRECREATE, {**order, "out_trade_no": "O3"})
    assert ask(m.CANCEL, {"out_trade_no": "O3"})["action"] == "close"
    receiver = learn_number(town, ask)
    pay_otherwise(town, ask, receiver)
    share(town, ask, receiver)
    assert ask("alipay.fund.auth.order.freeze", {"out_order_no": "O4"})["sub_code"] == "isv.invalid-method"
    _pages(town, sdk, account, order)
    read_certificate(town, ask(m.CERTIFICATE, {"alipay_cert_sn": platform_serial(town)})["alipay_cert_content"])
    bill = ask(m.BILL, {"bill_type": "trade", "bill_date": town.next_day()})
    with urlopen(bill["bill_download_url"]) as answer, ZipFile(BytesIO(answer.read())) as archive:
        assert any("O1" in archive.read(name).decode("gbk") for name in archive.namelist())
    send_money(ask, receiver, by_certificate=False)
    assert town.sandbox.audit() == "clean"


def _pages(
    town: City, sdk: Script, account: Account, order: dict[str, Any], other: dict[str, str] | None = None
) -> None:
    """Requests that a browser or an app carries: the gateway leads them to the cashier. ``other`` parameters go with
    each of them."""
    for number, (method, product) in enumerate(((m.PAGE_PAY, "FAST_INSTANT_TRADE_PAY"), (m.WAP_PAY, "QUICK_WAP_WAY"))):
        page = {"kind": kind_of(method), "other": other or {}}
        content = {**order, "out_trade_no": f"O{number}G", "product_code": product}
        with urlopen(sdk.ask("page_execute", verb="GET", content=content, **page)) as shown:
            assert "/cashier/" in shown.url
        account.passed(f"page_execute GET {kind_of(method)}Request")
        content["out_trade_no"] = f"O{number}P"
        assert "/cashier/" in post_form(sdk.ask("page_execute", verb="POST", content=content, **page))
        account.passed(f"page_execute POST {kind_of(method)}Request")
    content = {**order, "out_trade_no": "O2A"}
    text = sdk.ask("sdk_execute", kind=kind_of(m.APP_PAY), content=content, other=other or {})
    with urlopen(town.credentials["gateway"], data=text.encode("ascii")) as shown:
        assert "/cashier/" in shown.url
    account.passed("sdk_execute AlipayTradeAppPayRequest")


def test_official_python_has_no_certificate_mode() -> None:
    """It has no setting for certificates and reads no answer that names one: between a node and its signature there
    may be nothing. A caller who adds the serial numbers himself gets pages and order strings, whose answers it does not
    read; what it asks for itself is done, and it cannot say so."""
    with city() as town:
        port = urlsplit(town.credentials["base_url"]).port or 0
        with (
            Door(port) as door,
            Script.python("alipay-sdk-python", "alipay_official.py", options=options(town, "RSA2", door.host)) as sdk,
            Account(PACKAGE, VERSION, "serial numbers added by the caller, RSA2") as account,
        ):
            order = {"out_trade_no": "O1", "total_amount": "12.34", "subject": "x"}
            _pages(town, sdk, account, order, serials(town))
            asked = {"kind": kind_of(m.CREATE), "content": {**order, "buyer_logon_id": town.buyer}}
            with pytest.raises(Broken) as unread:
                sdk.ask("execute", **asked, other=serials(town))
            assert unread.value.kind == "ResponseException"
            assert "response shape maybe illegal" in unread.value.detail
            assert '"msg":"Success"' in unread.value.detail
            found = sdk.ask("execute", kind=kind_of(m.QUERY), content={"out_trade_no": "O1"})
            assert found["trade_status"] == "WAIT_BUYER_PAY"


def test_official_python_cannot_encrypt() -> None:
    """Its own encryption hands the cipher a text where it wants bytes: nothing is sent."""
    with city() as town:
        secret = {"encrypt_type": "AES", "encrypt_key": town.credentials["encrypt_key"]}
        own = options(town, "RSA2", "127.0.0.1") | secret
        with Script.python("alipay-sdk-python", "alipay_official.py", options=own) as sdk:
            with pytest.raises(Broken) as failed:
                sdk.ask("execute", kind=kind_of(m.QUERY), content={"out_trade_no": "O1"})
            assert failed.value.kind == "TypeError"
