"""PyPI ``python-alipay-sdk`` (AliPay and DCAliPay): the whole way of an order; it verifies every answer itself."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

from tests.contract.alipay import City, city
from tests.contract.harness import Account, Script, version_of

pytestmark = pytest.mark.slow
PACKAGE = "PyPI python-alipay-sdk"
VERSION = version_of("python-alipay-sdk")


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


@pytest.mark.parametrize(
    ("mode", "sign_type"), [("key", "RSA2"), ("certificate", "RSA2"), ("key", "RSA")], ids=["key", "certificate", "RSA"]
)
def test_python_walks_an_order(mode: str, sign_type: str) -> None:
    """Create, pay, notification, query, refund, refund query, close, bill, with sums as JSON numbers, by GET."""
    flow = f"{mode} mode, {sign_type}"
    with (
        city() as town,
        Script.python(
            "python-alipay-sdk",
            "python_alipay.py",
            options=options(town, mode, sign_type),
            gateway=town.credentials["gateway"],
        ) as sdk,
        Account(PACKAGE, VERSION, flow) as account,
    ):

        def call(name: str, **arguments: Any) -> Any:
            answer = sdk.ask("method", name=name, kwargs=arguments)
            account.passed(name, answer.get("sub_code", "") if isinstance(answer, dict) else "")
            return answer

        def create(number: str) -> None:
            made = call("api_alipay_trade_precreate", subject="测试 {x", out_trade_no=number, total_amount=12.34)
            assert made["qr_code"].startswith("http")

        create("P1")
        data = town.pay("P1")
        assert sdk.ask("verify", data=data) is True
        assert sdk.ask("verify", data={**data, "total_amount": "0.01"}) is False
        account.passed("verify")
        assert call("api_alipay_trade_query", out_trade_no="P1")["trade_status"] == "TRADE_SUCCESS"
        refund = {"out_trade_no": "P1", "refund_amount": 2.34, "out_request_no": "R1"}
        assert call("api_alipay_trade_refund", **refund)["fund_change"] == "Y"
        told = call("api_alipay_trade_fastpay_refund_query", out_request_no="R1", out_trade_no="P1")
        assert (told["refund_status"], told["refund_amount"]) == ("REFUND_SUCCESS", "2.34")
        assert call("api_alipay_trade_close", out_trade_no="P1")["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
        create("P2")
        assert call("api_alipay_trade_close", out_trade_no="P2")["code"] == "10000"
        assert call("api_alipay_trade_cancel", out_trade_no="nothing")["code"] == "10000"
        paid = call(
            "api_alipay_trade_pay",
            out_trade_no="P3",
            scene="bar_code",
            auth_code=town.code(),
            subject="测试",
            total_amount=1,
        )
        assert (paid["code"], paid["total_amount"]) == ("10000", "1.00")
        buyer = paid["buyer_user_id"]
        made = call("api_alipay_trade_create", subject="x", out_trade_no="P4", total_amount=1, buyer_id=buyer)
        assert made["trade_no"]
        _pages(town, call)
        day = town.next_day()
        bill = sdk.ask(
            "method",
            name="server_api",
            args=["alipay.data.dataservice.bill.downloadurl.query", {"bill_type": "trade", "bill_date": day}],
        )
        with urlopen(bill["bill_download_url"]) as answer, ZipFile(BytesIO(answer.read())) as archive:
            assert any("P1" in archive.read(name).decode("gbk") for name in archive.namelist())
        account.passed("server_api alipay.data.dataservice.bill.downloadurl.query")
        nothing = sdk.ask("method", name="server_api", args=["alipay.trade.nothing", {}])
        assert nothing["sub_code"] == "isv.invalid-method"
        account.passed("server_api alipay.trade.nothing", nothing["sub_code"])
        if mode == "certificate":
            serial = sdk.ask("attribute", name="alipay_root_cert_sn")
            assert serial
            account.passed("alipay_root_cert_sn")
        assert town.sandbox.audit() == "clean"


def _pages(town: City, call: Any) -> None:
    """Texts that the caller puts behind the gateway's address, or hands to an app."""
    gateway = town.credentials["gateway"]
    order = {"subject": "测试", "total_amount": 1}
    for name, number in (("api_alipay_trade_page_pay", "P5"), ("api_alipay_trade_wap_pay", "P6")):
        text = call(name, out_trade_no=number, return_url="http://127.0.0.1:9/back", **order)
        with urlopen(f"{gateway}?{text}") as page:
            assert "/cashier/" in page.url
    text = call("api_alipay_trade_app_pay", out_trade_no="P7", **order)
    with urlopen(gateway, data=text.encode("ascii")) as page:
        assert "/cashier/" in page.url
