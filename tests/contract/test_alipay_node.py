"""npm ``alipay-sdk``: the whole way of an order, in key mode, in certificate mode, and by the REST interface."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

from tests.contract.alipay import City, city, post_form
from tests.contract.alipay_walk import learn_number, pay_otherwise, platform_serial, read_certificate, send_money, share
from tests.contract.harness import Account, Broken, Script, pinned
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi import messages as m

pytestmark = pytest.mark.slow
PACKAGE = "npm alipay-sdk"
VERSION = pinned(PACKAGE)


def options(town: City, mode: str, **more: Any) -> dict[str, Any]:
    """The library's own settings, out of the sandbox's credentials."""
    own = town.credentials
    said = {
        "appId": own["app_id"],
        "privateKey": own["app_private_key"],
        "keyType": "PKCS8",
        "gateway": own["gateway"],
        "endpoint": own["base_url"],
        **more,
    }
    if mode == "key":
        return said | {"alipayPublicKey": own["alipay_public_key"]}
    return said | {
        "appCertContent": own["app_cert"],
        "alipayPublicCertContent": own["alipay_cert"],
        "alipayRootCertContent": own["alipay_root_cert"],
    }


def read_bill(url: str) -> str:
    """The bill behind an address, and our own reader's agreement with it."""
    with urlopen(url) as answer:
        raw = answer.read()
    assert PROTOCOL.bill is not None
    assert list(PROTOCOL.bill.read([raw]))
    with ZipFile(BytesIO(raw)) as archive:
        return "\n".join(archive.read(name).decode("gbk") for name in archive.namelist())


@pytest.mark.parametrize(
    ("mode", "sign_type"), [("key", "RSA2"), ("certificate", "RSA2"), ("key", "RSA")], ids=["key", "certificate", "RSA"]
)
def test_node_walks_an_order(mode: str, sign_type: str) -> None:
    """Create, pay, notification, query, refund, refund query, close, bill: every answer verified by the library."""
    with (
        city() as town,
        Script.node("alipay-sdk", "alipay_node.mjs", options=options(town, mode, signType=sign_type)) as sdk,
        Account(PACKAGE, VERSION, f"{mode} mode, {sign_type}") as account,
    ):

        def execute(method: str, content: dict[str, Any], **params: Any) -> dict[str, Any]:
            asked = {**params, "bizContent": content}
            answer: dict[str, Any] = sdk.ask("exec", method=method, params=asked, options={"validateSign": True})
            account.passed(f"exec {method}", answer.get("subCode", ""))
            return answer

        order = {"outTradeNo": "N1", "totalAmount": "12.34", "subject": "测试 50% {off"}
        made = execute("alipay.trade.precreate", order, notify_url=town.ear.url)
        assert made["qrCode"].startswith("http")
        assert execute("alipay.trade.query", {"outTradeNo": "N1"})["tradeStatus"] == "WAIT_BUYER_PAY"
        data = town.pay("N1")
        assert (data["trade_status"], data["total_amount"], data["sign_type"]) == ("TRADE_SUCCESS", "12.34", sign_type)
        assert sdk.ask("checkNotifySignV2", data=data) is True
        assert sdk.ask("checkNotifySignV2", data={**data, "total_amount": "0.01"}) is False
        account.passed("checkNotifySignV2")
        found = execute("alipay.trade.query", {"outTradeNo": "N1"})
        assert (found["tradeStatus"], found["totalAmount"]) == ("TRADE_SUCCESS", "12.34")
        refund = {"outTradeNo": "N1", "refundAmount": "2.34", "outRequestNo": "R1"}
        assert execute("alipay.trade.refund", refund)["fundChange"] == "Y"
        back = town.notified(2)
        assert (back["out_biz_no"], back["refund_fee"], back["trade_status"]) == ("R1", "2.34", "TRADE_SUCCESS")
        assert sdk.ask("checkNotifySignV2", data=back) is True
        again = execute("alipay.trade.refund", refund)
        assert (again["fundChange"], again["refundFee"]) == ("N", "2.34")
        told = execute("alipay.trade.fastpay.refund.query", {"outTradeNo": "N1", "outRequestNo": "R1"})
        assert (told["refundStatus"], told["refundAmount"]) == ("REFUND_SUCCESS", "2.34")
        assert execute("alipay.trade.close", {"outTradeNo": "N1"})["subCode"] == "ACQ.TRADE_STATUS_ERROR"
        execute("alipay.trade.precreate", {**order, "outTradeNo": "N2"})
        assert execute("alipay.trade.close", {"outTradeNo": "N2"})["code"] == "10000"
        execute("alipay.trade.precreate", {**order, "outTradeNo": "N3"})
        assert execute("alipay.trade.cancel", {"outTradeNo": "N3"})["action"] == "close"
        buyer = walk_further(town, execute, order)
        day = town.next_day()
        bill = execute("alipay.data.dataservice.bill.downloadurl.query", {"billType": "trade", "billDate": day})
        assert "N1" in read_bill(bill["billDownloadUrl"])
        pay_out(execute, buyer, mode)
        assert execute("alipay.trade.nothing", {})["subCode"] == "isv.invalid-method"
        pages(town, sdk, account, order)
        assert town.sandbox.audit() == "clean"


def walk_further(town: City, execute: Any, order: dict[str, Any]) -> str:
    """Codes that the buyer shows, trades for a known buyer; the buyer's number."""
    paid = execute("alipay.trade.pay", {**order, "outTradeNo": "N4", "scene": "bar_code", "authCode": town.code()})
    assert (paid["code"], paid["totalAmount"]) == ("10000", "12.34")
    wrong = execute("alipay.trade.pay", {**order, "outTradeNo": "N5", "authCode": "280000000000000000"})
    assert wrong["subCode"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"
    created = execute("alipay.trade.create", {**order, "outTradeNo": "N6", "buyerId": paid["buyerUserId"]})
    assert created["tradeNo"]
    return str(paid["buyerUserId"])


def pay_out(execute: Any, buyer: str, mode: str) -> None:
    """Money leaves the merchant once it is settled, in certificate mode only."""
    payee = {"identityType": "ALIPAY_USER_ID", "identity": buyer}
    sent = execute(
        "alipay.fund.trans.uni.transfer",
        {
            "outBizNo": "P1",
            "transAmount": "1.00",
            "productCode": "TRANS_ACCOUNT_NO_PWD",
            "bizScene": "DIRECT_TRANSFER",
            "orderTitle": "佣金",
            "payeeInfo": payee,
        },
    )
    if mode == "key":
        assert sent["subCode"] == "isv.missing-app-cert-sn"
        return
    assert sent.get("status") in ("SUCCESS", "DEALING"), sent
    name = {"outBizNo": "P1", "bizScene": "DIRECT_TRANSFER"}
    known = execute("alipay.fund.trans.common.query", {**name, "productCode": "TRANS_ACCOUNT_NO_PWD"})
    assert known["orderId"] == sent["orderId"]
    assert "availableAmount" in execute("alipay.fund.account.query", {"accountType": "ACCTRANS_ACCOUNT"})


def follow(link: str) -> str:
    """Where a browser is that has followed a link."""
    with urlopen(link) as page:
        return str(page.url)


def pages(town: City, sdk: Script, account: Account, order: dict[str, Any]) -> None:
    """Requests that a browser or an app carries: the gateway leads them to the cashier."""
    for name, product in (("page", "FAST_INSTANT_TRADE_PAY"), ("wap", "QUICK_WAP_WAY")):
        method = f"alipay.trade.{name}.pay"
        for verb in ("GET", "POST"):
            params = {"bizContent": {**order, "outTradeNo": f"N-{name}-{verb}", "productCode": product}}
            made = sdk.ask("pageExec", method=method, verb=verb, params=params)
            shown = post_form(made) if verb == "POST" else follow(made)
            assert "/cashier/" in shown
            account.passed(f"pageExec {verb} {method}")
    handed = sdk.ask("sdkExec", method="alipay.trade.app.pay", params={"bizContent": {**order, "outTradeNo": "N8"}})
    with urlopen(town.credentials["gateway"], data=handed.encode("ascii")) as page:
        assert "/cashier/" in page.url
    account.passed("sdkExec alipay.trade.app.pay")


class Rest:
    """Calls by ``curl``: the methods' own paths, and what came back of each."""

    def __init__(self, sdk: Script, account: Account) -> None:
        self._sdk, self._account = sdk, account

    def __call__(self, method: str, content: dict[str, Any]) -> dict[str, Any]:
        """See ``Ask``."""
        return self.curl(m.SERVICES[method].verb, m.rest_path(method), content)

    def curl(self, verb: str, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """The fields of an answer, or of a refusal its word as ``sub_code``."""
        asked = {"query": content} if verb == "GET" else {"body": content}
        try:
            answer: dict[str, Any] = self._sdk.ask("curl", verb=verb, path=path, options=asked)["data"]
        except Broken as refused:
            answer = {"sub_code": refused.kind}
        self._account.passed(f"curl {verb} {path}", answer.get("sub_code", ""))
        return answer


@pytest.mark.parametrize("mode", ["key", "certificate"])
def test_node_asks_by_rest(mode: str) -> None:
    """The same order by ``curl``, on every path of the platform: answers verified, errors with their words."""
    with (
        city() as town,
        Script.node("alipay-sdk", "alipay_node.mjs", options=options(town, mode)) as sdk,
        Account(PACKAGE, VERSION, f"REST, {mode} mode") as account,
    ):
        ask = Rest(sdk, account)
        order = {"out_trade_no": "V1", "total_amount": "12.34", "subject": "测试", "notify_url": town.ear.url}
        assert ask(m.PRECREATE, order)["qr_code"].startswith("http")
        data = town.pay("V1")
        assert sdk.ask("checkNotifySignV2", data=data) is True
        account.passed("checkNotifySignV2")
        number = {"out_trade_no": "V1"}
        assert ask(m.QUERY, number)["trade_status"] == "TRADE_SUCCESS"
        assert ask.curl("GET", m.rest_path(m.QUERY), number)["trade_status"] == "TRADE_SUCCESS"
        refund = {**number, "refund_amount": "2.34", "out_request_no": "R1"}
        assert ask(m.REFUND, refund)["fund_change"] == "Y"
        assert ask(m.REFUND_QUERY, {**number, "out_request_no": "R1"})["refund_status"] == "REFUND_SUCCESS"
        assert ask(m.CLOSE, number)["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
        ask(m.PRECREATE, {**order, "out_trade_no": "V2"})
        assert ask(m.CLOSE, {"out_trade_no": "V2"})["out_trade_no"] == "V2"
        ask(m.PRECREATE, {**order, "out_trade_no": "V3"})
        assert ask(m.CANCEL, {"out_trade_no": "V3"})["action"] == "close"
        receiver = learn_number(town, ask)
        pay_otherwise(town, ask, receiver)
        share(town, ask, receiver)
        day = town.next_day()
        assert "V1" in read_bill(ask(m.BILL, {"bill_type": "trade", "bill_date": day})["bill_download_url"])
        send_money(ask, receiver, by_certificate=mode == "certificate")
        assert town.sandbox.audit() == "clean"


UNOFFERED = {
    "POST": (
        "trade/page/pay",
        "trade/refund/apply",
        "trade/order/pay",
        "trade/orderinfo/sync",
        "trade/royalty/relation/bind",
        "trade/royalty/relation/unbind",
        "trade/royalty/relation/batchquery",
        "fund/trans/refund",
        "fund/auth/order/freeze",
        "fund/auth/order/unfreeze",
        "fund/auth/order/voucher/create",
        "fund/auth/operation/cancel",
        "fund/auth/operation/detail/query",
        "open/auth/token/app",
        "user/info/share",
        "trade/nothing",
    ),
    "GET": ("trade/royalty/rate/query", "trade/order/onsettle/query"),
}
"""Paths of the REST interface (sheet, 11.3) whose methods this platform does not offer, and one of no method."""


def test_node_is_refused_where_nothing_is_offered() -> None:
    """An error that the library can read, on every other path that is known of the REST interface."""
    with (
        city() as town,
        Script.node("alipay-sdk", "alipay_node.mjs", options=options(town, "key")) as sdk,
        Account(PACKAGE, VERSION, "REST, not offered") as account,
    ):
        ask = Rest(sdk, account)
        for verb, paths in UNOFFERED.items():
            for path in paths:
                assert ask.curl(verb, f"/v3/alipay/{path}", {"a": "1"})["sub_code"] == "invalid-method"


@pytest.mark.parametrize("mode", ["key", "certificate"])
def test_node_encrypts_contents(mode: str) -> None:
    """AES contents both ways; the library checks no signature of an encrypted answer, but reads it."""
    with city() as town:
        own = options(town, mode, encryptKey=town.credentials["encrypt_key"])
        with (
            Script.node("alipay-sdk", "alipay_node.mjs", options=own) as sdk,
            Account(PACKAGE, VERSION, f"encrypted contents, {mode} mode") as account,
        ):
            order = {"outTradeNo": "E1", "totalAmount": "12.34", "subject": "测试"}
            for method, content in (("alipay.trade.precreate", order), ("alipay.trade.query", {"outTradeNo": "E1"})):
                asked = {"needEncrypt": True, "bizContent": content}
                answer = sdk.ask("exec", method=method, params=asked)
                assert (answer["code"], answer["outTradeNo"]) == ("10000", "E1")
                account.passed(f"exec {method}, needEncrypt")
            said = sdk.ask(
                "curl",
                verb="POST",
                path="/v3/alipay/trade/query",
                options={"body": {"out_trade_no": "E1"}, "needEncrypt": True},
            )
            assert said["data"]["total_amount"] == "12.34"
            account.passed("curl POST /v3/alipay/trade/query, needEncrypt")


def test_node_has_an_older_check() -> None:
    """``checkNotifySign`` decodes once more than it should: it passes what holds no percent sign."""
    with (
        city() as town,
        Script.node("alipay-sdk", "alipay_node.mjs", options=options(town, "key")) as sdk,
        Account(PACKAGE, VERSION, "older check") as account,
    ):
        content = {"outTradeNo": "O1", "totalAmount": "1.00", "subject": "plain"}
        sdk.ask("exec", method="alipay.trade.precreate", params={"bizContent": content, "notify_url": town.ear.url})
        assert sdk.ask("checkNotifySign", data=town.pay("O1")) is True
        account.passed("checkNotifySign")


def test_node_shares_and_knows() -> None:
    """Shares of a paid trade and their end, a buyer's consent for his number, the platform's certificate."""
    with (
        city() as town,
        Script.node("alipay-sdk", "alipay_node.mjs", options=options(town, "certificate")) as sdk,
        Account(PACKAGE, VERSION, "shares, consent, certificates") as account,
    ):

        def execute(method: str, content: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
            asked = params if content is None else {**params, "bizContent": content}
            answer: dict[str, Any] = sdk.ask("exec", method=method, params=asked, options={"validateSign": True})
            account.passed(f"exec {method}", answer.get("subCode", ""))
            return answer

        word = town.consent()
        known = execute("alipay.system.oauth.token", grantType="authorization_code", code=word)
        renewed = execute("alipay.system.oauth.token", grantType="refresh_token", refreshToken=known["refreshToken"])
        assert renewed["userId"] == known["userId"]
        with pytest.raises(Broken):  # a failure stands in error_response, which the library cannot verify
            execute("alipay.system.oauth.token", grantType="authorization_code", code=word)
        told = execute("alipay.open.app.alipaycert.download", {"alipayCertSn": platform_serial(town)})
        read_certificate(town, told["alipayCertContent"])
        order = {"outTradeNo": "S1", "totalAmount": "10.00", "subject": "x"}
        later = {"extendParams": {"royaltyFreeze": "true"}}
        execute("alipay.trade.precreate", {**order, **later}, notify_url=town.ear.url)
        number = town.pay("S1")["trade_no"]
        share = {"transIn": known["userId"], "transInType": "userId", "amount": "1.00", "desc": "分账"}
        asked = {"outRequestNo": "A1", "tradeNo": number}
        given = execute("alipay.trade.order.settle", {**asked, "royaltyParameters": [share]})
        found = execute("alipay.trade.order.settle.query", asked)
        assert found["settleNo"] == given["settleNo"]
        assert [one["state"] for one in found["royaltyDetailList"]] == ["SUCCESS"]
        much = {**share, "amount": "99.00"}
        refused = execute("alipay.trade.order.settle", {**asked, "outRequestNo": "A2", "royaltyParameters": [much]})
        assert refused["subCode"] == "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR"
        finish = {"extendParams": {"royaltyFinish": "true"}}
        assert execute("alipay.trade.order.settle", {**asked, "outRequestNo": "A3", **finish})["code"] == "10000"
        assert town.sandbox.audit() == "clean"
