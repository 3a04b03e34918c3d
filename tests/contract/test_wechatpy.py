"""PyPI wechatpy (API v2) and the v2 half of npm wechatpay-axios-plugin, unchanged but for address and keys."""

from __future__ import annotations

import pytest

from tests.contract.harness import Account, Broken, Ear, Script, pinned
from tests.contract.wechat import City, city
from tongbao.protocols.wechatpay_v2 import PROTOCOL
from tongbao.protocols.wechatpay_v2.client import YES

NUMBER = "T20250101000001"
OTHER = "T20250101000002"


def script(town: City) -> Script:
    said = town.credentials
    options = {"appid": said["appid"], "api_key": said["key"], "mch_id": said["mch_id"]}
    return Script.python("wechatpy", "wechatpy_python.py", options=options, gateway=town.gateway)


@pytest.mark.slow
def test_wechatpy() -> None:
    """Create, pay, notification verified, query, refund and its notification opened, close, micropay, bill."""
    with (
        city("wechatpay_v2", Ear(YES, kind="text/xml")) as town,
        script(town) as sdk,
        Account("PyPI wechatpy", pinned("PyPI wechatpy"), "WeChat Pay v2, MD5") as account,
    ):

        def ask(api: str, name: str, **more: object) -> dict[str, object]:
            answer: dict[str, object] = sdk.ask("method", api=api, name=name, kwargs=more)
            account.passed(f"{api}.{name}")
            return answer

        order = {"body": "测试商品", "total_fee": 10_100, "notify_url": town.ear.url, "client_ip": "192.0.2.7"}
        said = ask("order", "create", trade_type="NATIVE", out_trade_no=NUMBER, product_id="P1", **order)
        assert str(said["code_url"]).startswith("weixin://wxpay/bizpayurl?pr=")
        assert sdk.ask("check", fields=said) is True
        openid = town.openid()
        said = ask("order", "create", trade_type="JSAPI", out_trade_no="T20250101JSAPI", user_id=openid, **order)
        assert set(ask("jsapi", "get_jsapi_params", prepay_id=said["prepay_id"])) >= {"paySign", "package"}
        assert ask("order", "query", out_trade_no=NUMBER)["trade_state"] == "NOTPAY"
        _, _, raw = town.pay(NUMBER)
        paid = sdk.ask("payment", body=raw.decode())
        assert (paid["out_trade_no"], paid["total_fee"], paid["openid"]) == (NUMBER, 10_100, openid)
        account.passed("parse_payment_result")
        with pytest.raises(Broken):
            sdk.ask("payment", body=raw.decode().replace("10100", "10101"))
        assert ask("order", "query", transaction_id=paid["transaction_id"])["trade_state"] == "SUCCESS"
        back = {"total_fee": 10_100, "refund_fee": 100, "out_refund_no": "R1", "out_trade_no": NUMBER}
        assert ask("refund", "apply", notify_url=town.ear.url, **back)["out_refund_no"] == "R1"
        _, _, raw = town.ear.wait(2)
        told = sdk.ask("refunded", body=raw.decode())
        assert (told["out_refund_no"], told["refund_status"]) == ("R1", "SUCCESS")
        account.passed("parse_refund_notify_result")
        assert ask("refund", "query", out_refund_no="R1")["refund_status_0"] == "SUCCESS"
        ask("order", "create", trade_type="NATIVE", out_trade_no=OTHER, product_id="P1", **order)
        assert ask("order", "close", out_trade_no=OTHER)["result_code"] == "SUCCESS"
        with pytest.raises(Broken) as caught:
            sdk.ask("method", api="order", name="query", kwargs={"out_trade_no": "T20250101000009"})
        assert caught.value.kind == "ORDERNOTEXIST"
        counter = {"body": "测试商品", "total_fee": 100, "client_ip": "192.0.2.7"}
        said = ask("micropay", "create", auth_code=town.code(), out_trade_no="M1", **counter)
        assert (said["trade_type"], said["result_code"]) == ("MICROPAY", "SUCCESS")
        assert ask("order", "reverse", out_trade_no="M1")["recall"] == "N"
        bill = PROTOCOL.bill
        assert bill is not None
        file = str(ask("tools", "download_bill", bill_date=town.next_day()))
        kinds = [line.kind for line in bill.read([file.encode("utf-8")])]
        assert kinds[:2] == ["payment", "refund"]
        payee = {"user_id": openid, "check_name": "NO_CHECK", "client_ip": "192.0.2.7"}
        sent = ask("transfer", "transfer", amount=200, desc="佣金", out_trade_no="P1", **payee)
        assert sent["payment_no"]
        assert ask("transfer", "query", out_trade_no="P1")["status"] in ("SUCCESS", "PROCESSING")
