"""PyPI ``alipay-sdk-python``, the official one: the whole way of an order; it verifies every answer itself.

Its address must carry no port and it asks with the whole address in the request line, so the sandbox has a door at port
80 of a loopback address. It knows no certificate mode and cannot encrypt on today's Python.
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
from tests.contract.harness import Account, Broken, Script, version_of
from tongbao.wire.sign import load_rsa_private

pytestmark = pytest.mark.slow
PACKAGE = "PyPI alipay-sdk-python"
VERSION = version_of("alipay-sdk-python")


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
    """Create, pay, notification, query, refund, refund query, close, bill."""
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


def _walk(town: City, sdk: Script, account: Account) -> None:
    def execute(name: str, fields: list[str], content: dict[str, Any], **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = sdk.ask(
            "execute",
            model=f"{name}Model",
            request=f"{name}Request",
            response=f"{name}Response",
            fields=fields,
            content=content,
            more=more,
        )
        account.passed(f"execute {name}Request", answer["sub_code"] or "")
        return answer

    order = {"out_trade_no": "O1", "total_amount": "12.34", "subject": "测试 {x"}
    made = execute("AlipayTradePrecreate", ["qr_code"], order, notify_url=town.ear.url)
    assert made["success"]
    assert made["qr_code"].startswith("http")
    data = town.pay("O1")
    assert sdk.ask("verify", data=data) is True
    account.passed("verify_with_rsa")
    with pytest.raises(Broken):
        sdk.ask("verify", data={**data, "total_amount": "0.01"})
    number = {"out_trade_no": "O1"}
    found = execute("AlipayTradeQuery", ["trade_status", "total_amount"], number)
    assert (found["trade_status"], found["total_amount"]) == ("TRADE_SUCCESS", "12.34")
    refund = {**number, "refund_amount": "2.34", "out_request_no": "R1"}
    assert execute("AlipayTradeRefund", ["fund_change"], refund)["fund_change"] == "Y"
    asked = {**number, "out_request_no": "R1"}
    told = execute("AlipayTradeFastpayRefundQuery", ["refund_status", "refund_amount"], asked)
    assert (told["refund_status"], told["refund_amount"]) == ("REFUND_SUCCESS", "2.34")
    assert execute("AlipayTradeClose", [], number)["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
    execute("AlipayTradePrecreate", [], {**order, "out_trade_no": "O2"})
    assert execute("AlipayTradeClose", ["out_trade_no"], {"out_trade_no": "O2"})["out_trade_no"] == "O2"
    coded = {**order, "out_trade_no": "O3", "scene": "bar_code", "auth_code": town.code()}
    assert execute("AlipayTradePay", ["total_amount"], coded)["total_amount"] == "12.34"
    unknown = execute("AlipayFundAuthOrderFreeze", [], {"out_order_no": "O4"})
    assert (unknown["success"], unknown["sub_code"]) == (False, "isv.invalid-method")
    _pages(town, sdk, account, order)
    day = town.next_day()
    content = {"bill_type": "trade", "bill_date": day}
    bill = execute("AlipayDataDataserviceBillDownloadurlQuery", ["bill_download_url"], content)
    with urlopen(bill["bill_download_url"]) as answer, ZipFile(BytesIO(answer.read())) as archive:
        assert any("O1" in archive.read(name).decode("gbk") for name in archive.namelist())
    assert town.sandbox.audit() == "clean"


def _pages(town: City, sdk: Script, account: Account, order: dict[str, Any]) -> None:
    page = {"model": "AlipayTradePagePayModel", "request": "AlipayTradePagePayRequest"}
    content = {**order, "out_trade_no": "O5", "product_code": "FAST_INSTANT_TRADE_PAY"}
    link = sdk.ask("page_execute", verb="GET", content=content, **page)
    with urlopen(link) as shown:
        assert "/cashier/" in shown.url
    account.passed("page_execute GET AlipayTradePagePayRequest")
    form = sdk.ask("page_execute", verb="POST", content={**content, "out_trade_no": "O6"}, **page)
    assert "/cashier/" in post_form(form)
    account.passed("page_execute POST AlipayTradePagePayRequest")
    app = {"model": "AlipayTradeAppPayModel", "request": "AlipayTradeAppPayRequest"}
    text = sdk.ask("sdk_execute", content={**order, "out_trade_no": "O7"}, **app)
    with urlopen(town.credentials["gateway"], data=text.encode("ascii")) as shown:
        assert "/cashier/" in shown.url
    account.passed("sdk_execute AlipayTradeAppPayRequest")
