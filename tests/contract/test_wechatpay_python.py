"""PyPI wechatpayv3, unchanged but for address and keys, in both ways of trust."""

from __future__ import annotations

import base64
import gzip
import hashlib
from typing import Any

import pytest

from tests.contract.harness import Account, Ear, Script, pinned
from tests.contract.wechat import City, city, combined, order, refund
from tongbao.protocols.wechatpay_v3.bill import Bill

NAME = "wechatpayv3"
VERSION = pinned("PyPI wechatpayv3")


def script(town: City, trust: str, **more: Any) -> Script:
    said = town.credentials
    options = {
        "mchid": said["mchid"],
        "private_key": said["private_key"],
        "cert_serial_no": said["serial_no"],
        "apiv3_key": said["apiv3_key"],
        "appid": said["appid"],
        "notify_url": town.ear.url,
        **more,
    }
    if trust == "public_key":
        options |= {"public_key": said["wechatpay_public_key"], "public_key_id": said["wechatpay_public_key_id"]}
    return Script.python(
        NAME,
        "wechatpayv3_python.py",
        options=options,
        trust=trust,
        gateway=town.gateway,
        certificate=said["platform_certificate"],
        serial=said["platform_serial_no"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("trust", ["certificate", "public_key"])
def test_wechatpayv3(trust: str) -> None:
    """Create, pay, notification verified and opened, query, refund and its notification, close, bill with its hash."""
    with city("wechatpay_v3", Ear(b"", status=204)) as town, script(town, trust) as sdk, Account(
        "PyPI wechatpayv3", VERSION, f"WeChat Pay v3, trust by {trust.replace('_', ' ')}"
    ) as account:  # fmt: skip
        town.trust(trust)
        number = "T20250101000001"
        body = order(number, town.ear.url)
        code, said = sdk.ask("method", name="pay", kwargs=body)
        assert (code, said["code_url"][:29]) == (200, "weixin://wxpay/bizpayurl?pr=" + said["code_url"][28])
        account.passed("pay (NATIVE)")
        for kind, more, answer in (
            ("JSAPI", {"payer": {"openid": town.openid()}}, "prepay_id"),
            ("APP", {}, "prepay_id"),
            ("H5", {"scene_info": {"payer_client_ip": "192.0.2.7", "h5_info": {"type": "Wap"}}}, "h5_url"),
        ):
            asked = order(f"T2025010100{kind}", town.ear.url, **more)
            code, said = sdk.ask("method", name="pay", kwargs={**asked, "pay_type": kind})
            assert (code, list(said)) == (200, [answer])
            account.passed(f"pay ({kind})")
        code, said = sdk.ask("method", name="query", kwargs={"out_trade_no": number})
        assert (code, said["trade_state"], "transaction_id" in said) == (200, "NOTPAY", False)
        _, headers, raw = town.pay(number)
        told = sdk.ask("callback", headers=headers, body=raw.decode())
        assert told["event_type"] == "TRANSACTION.SUCCESS"
        paid = told["resource"]
        assert (paid["out_trade_no"], paid["amount"]["total"], paid["payer"]["openid"]) == (
            number,
            10_100,
            town.openid(),
        )
        account.passed("callback (TRANSACTION.SUCCESS)")
        assert sdk.ask("callback", headers=headers, body=raw.decode().replace("SUCCESS", "SUCCES5")) is None
        probe = {**headers, "Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + headers["Wechatpay-Signature"][19:]}
        assert sdk.ask("callback", headers=probe, body=raw.decode()) is None
        account.passed("callback refuses a changed message and the probe")
        code, said = sdk.ask("method", name="query", kwargs={"transaction_id": paid["transaction_id"]})
        assert (code, said["trade_state"]) == (200, "SUCCESS")
        account.passed("query")
        code, said = sdk.ask("method", name="refund", kwargs=refund(number, "R1", town.ear.url))
        assert (code, said["status"] in ("SUCCESS", "PROCESSING"), said["amount"]["refund"]) == (200, True, 100)
        account.passed("refund")
        _, headers, raw = town.ear.wait(2)
        told = sdk.ask("callback", headers=headers, body=raw.decode())
        assert (told["event_type"], told["resource"]["out_refund_no"]) == ("REFUND.SUCCESS", "R1")
        account.passed("callback (REFUND.SUCCESS)")
        code, said = sdk.ask("method", name="query_refund", kwargs={"out_refund_no": "R1"})
        assert (code, said["status"], said["refund_id"]) == (200, "SUCCESS", told["resource"]["refund_id"])
        account.passed("query_refund")
        sdk.ask("method", name="pay", kwargs=order("T20250101000002", town.ear.url))
        assert sdk.ask("method", name="close", kwargs={"out_trade_no": "T20250101000002"}) == [204, {"bytes": ""}]
        account.passed("close")
        code, said = sdk.ask("method", name="query", kwargs={"out_trade_no": "T20250101000009"})
        assert (code, said["code"]) == (404, "ORDER_NOT_EXIST")
        if trust == "certificate":
            assert sdk.ask("forget") == 0
            assert sdk.ask("callback", headers=headers, body=raw.decode())["event_type"] == "REFUND.SUCCESS"
            assert sdk.ask("known") == [town.credentials["platform_serial_no"]]
            account.passed("certificates are fetched for an unknown serial number")
        check_codes(town, sdk, account)
        check_bills(town, sdk, account)
        check_transfers(town, sdk, account)
        check_batches(town, sdk, account)
        check_sharing(town, sdk, account)
        check_abnormal(town, sdk, account)


def check_abnormal(town: City, sdk: Script, account: Account) -> None:
    """A refund to a card that was closed: told as abnormal, and taken back. Another card is refused by the field."""
    number = "T2025010100X1"
    sdk.ask("method", name="pay", kwargs=order(number, town.ear.url))
    town.sandbox.pay(number, "debit", card="6200000000000075")
    seen = len(town.ear.heard)
    sdk.ask("method", name="refund", kwargs=refund(number, "RX1", town.ear.url))
    town.sandbox.advance(1)
    _, headers, raw = town.ear.wait(seen + 1)
    told = sdk.ask("callback", headers=headers, body=raw.decode())
    assert (told["event_type"], told["resource"]["refund_status"]) == ("REFUND.ABNORMAL", "ABNORMAL")
    account.passed("callback (REFUND.ABNORMAL)")
    asked = {"refund_id": told["resource"]["refund_id"], "out_refund_no": "RX1"}
    other = {"type": "USER_BANK_CARD", "bank_type": "ICBC_DEBIT", "bank_account": "6200000000000018", "real_name": "王"}
    code, said = sdk.ask("method", name="abnormal_refund", kwargs={**asked, **other})
    assert (code, said["code"], said["detail"]["field"]) == (400, "PARAM_ERROR", "/type")
    code, said = sdk.ask("method", name="abnormal_refund", kwargs={**asked, "type": "MERCHANT_BANK_CARD"})
    assert (code, said["status"], said["out_refund_no"]) == (200, "CLOSED", "RX1")
    account.passed("abnormal_refund (MERCHANT_BANK_CARD)")


def check_codes(town: City, sdk: Script, account: Account) -> None:
    """A code that the buyer shows: paid at once; above what his wallet pays unasked, 202, and it is undone."""

    def scan(number: str, fen: int) -> dict[str, Any]:
        asked = {name: value for name, value in order(number, "", fen).items() if name != "notify_url"}
        shop = {"store_info": {"out_id": "A1"}, "device_ip": "192.0.2.7"}
        return {**asked, "payer": {"auth_code": town.code()}, "scene_info": shop, "pay_type": "CODEPAY"}

    code, said = sdk.ask("method", name="pay", kwargs=scan("T2025010100S1", 100))
    assert (code, said["trade_state"], said["payer"]["openid"]) == (200, "SUCCESS", town.openid())
    code, said = sdk.ask("method", name="pay", kwargs=scan("T2025010100S2", 300_000))
    assert (code, said["trade_state"]) == (202, "USERPAYING")
    account.passed("pay (CODEPAY)")
    code, said = sdk.ask("method", name="codepay_reverse", kwargs={"out_trade_no": "T2025010100S2"})
    assert (code, said["out_trade_no"]) == (200, "T2025010100S2")
    code, said = sdk.ask("method", name="query", kwargs={"out_trade_no": "T2025010100S2"})
    assert (code, said["trade_state"]) == (200, "REVOKED")
    account.passed("codepay_reverse")


def check_bills(town: City, sdk: Script, account: Account) -> None:
    """Both bills of a day, downloaded by the package, with their hash and what they say."""
    day = town.next_day()
    code, said = sdk.ask("method", name="trade_bill", kwargs={"bill_date": day})
    assert code == 200
    code, file = sdk.ask("method", name="download_bill", kwargs={"url": said["download_url"]})
    plain = gzip.decompress(base64.b64decode(file["bytes"]))
    assert (code, hashlib.sha1(plain).hexdigest()) == (200, said["hash_value"])
    lines = list(Bill().read([plain]))
    kinds = [line.kind for line in lines if line.kind not in ("fee", "fee_return")]
    assert {line.buyer.id for line in lines} == {town.openid()}
    assert kinds == ["payment", "refund", "payment"]
    account.passed("trade_bill")
    account.passed("download_bill")
    code, said = sdk.ask("method", name="fundflow_bill", kwargs={"bill_date": day})
    code, file = sdk.ask("method", name="download_bill", kwargs={"url": said["download_url"]})
    assert (code, bool(list(Bill().read([gzip.decompress(base64.b64decode(file["bytes"]))])))) == (200, True)
    account.passed("fundflow_bill")


def check_transfers(town: City, sdk: Script, account: Account) -> None:
    """Money to a buyer, whose name the package hides and reveals; the notification of its end."""
    scene = [{"info_type": "活动名称", "info_content": "新会员有礼"}]
    said = {"out_bill_no": "B1", "transfer_scene_id": "1000", "openid": town.openid(), "transfer_amount": 100}
    more = {"transfer_remark": "奖励", "user_name": "王小明", "notify_url": town.ear.url}
    seen = len(town.ear.heard)
    code, told = sdk.ask(
        "method", name="mch_transfer_bills", kwargs={**said, **more, "transfer_scene_report_infos": scene}
    )
    assert (code, told["out_bill_no"]) == (200, "B1"), told
    account.passed("mch_transfer_bills")
    _, headers, raw = town.ear.wait(seen + 1)
    event = sdk.ask("callback", headers=headers, body=raw.decode())
    assert (event["event_type"], event["resource"]["state"]) == ("MCHTRANSFER.BILL.FINISHED", "SUCCESS")
    account.passed("callback (MCHTRANSFER.BILL.FINISHED)")
    code, told = sdk.ask("method", name="mch_transfer_bills_query", kwargs={"out_bill_no": "B1"})
    assert (code, told["state"], told["transfer_amount"]) == (200, "SUCCESS", 100)
    assert sdk.ask("decrypt", text=told["user_name"]) == "王小明"
    account.passed("mch_transfer_bills_query, and decrypt")
    wrong = {**said, **more, "out_bill_no": "B2", "user_name": "李四", "transfer_scene_report_infos": scene}
    code, told = sdk.ask("method", name="mch_transfer_bills", kwargs=wrong)
    assert (code, told["code"]) == (400, "INVALID_REQUEST"), told


def check_batches(town: City, sdk: Script, account: Account) -> None:
    """Money to a buyer three times under one number: one line has another name and comes back; the end is told."""
    lines = [
        {"out_detail_no": f"L{n}", "transfer_amount": 100 * n, "transfer_remark": "奖励", "openid": town.openid()}
        for n in (1, 2, 3)
    ]
    lines[1]["user_name"], lines[2]["user_name"] = "王小明", "李四"
    asked = {"out_batch_no": "X1", "batch_name": "四月奖励", "batch_remark": "奖励与补贴", "total_amount": 600}
    more = {"total_num": 3, "transfer_detail_list": lines, "notify_url": town.ear.url}
    seen = len(town.ear.heard)
    code, told = sdk.ask("method", name="transfer_batch", kwargs={**asked, **more})
    assert (code, told["out_batch_no"]) == (200, "X1"), told
    number = told["batch_id"]
    account.passed("transfer_batch")
    _, headers, raw = town.ear.wait(seen + 1)
    event = sdk.ask("callback", headers=headers, body=raw.decode())
    ended = event["resource"]
    assert (event["event_type"], ended["batch_id"]) == ("MCHTRANSFER.BATCH.FINISHED", number)
    assert (ended["success_num"], ended["success_amount"], ended["fail_num"], ended["fail_amount"]) == (2, 300, 1, 300)
    account.passed("callback (MCHTRANSFER.BATCH.FINISHED)")
    failed: list[dict[str, Any]] = []
    for name, kwargs in (
        ("transfer_query_batchid", {"batch_id": number}),
        ("transfer_query_out_batch_no", {"out_batch_no": "X1"}),
    ):
        code, told = sdk.ask("method", name=name, kwargs={**kwargs, "need_query_detail": True, "detail_status": "FAIL"})
        whole, failed = told["transfer_batch"], told["transfer_detail_list"]
        assert (code, whole["batch_status"], whole["batch_name"]) == (200, "FINISHED", "四月奖励")
        assert [(line["out_detail_no"], line["detail_status"]) for line in failed] == [("L3", "FAIL")]
        code, told = sdk.ask("method", name=name, kwargs=kwargs)
        assert (code, "transfer_detail_list" in told) == (200, False)
        account.passed(name)
    code, told = sdk.ask(
        "method", name="transfer_query_detail_id", kwargs={"batch_id": number, "detail_id": failed[0]["detail_id"]}
    )
    assert (code, told["detail_status"], told["fail_reason"]) == (200, "FAIL", "NAME_NOT_CORRECT"), told
    account.passed("transfer_query_detail_id")
    code, told = sdk.ask(
        "method", name="transfer_query_out_detail_no", kwargs={"out_batch_no": "X1", "out_detail_no": "L2"}
    )
    assert (code, told["detail_status"], told["transfer_amount"]) == (200, "SUCCESS", 200), told
    assert sdk.ask("decrypt", text=told["user_name"]) == "王小明"
    account.passed("transfer_query_out_detail_no, and decrypt")
    code, told = sdk.ask(
        "method", name="transfer_batch", kwargs={**asked, **more, "out_batch_no": "X2", "total_num": 2}
    )
    assert (code, told["code"]) == (400, "PARAM_ERROR"), told


def check_sharing(town: City, sdk: Script, account: Account) -> None:
    """A paid order's money shared with a person; what is left is set free."""
    number = "T20250101000003"
    shared = {**order(number, town.ear.url), "settle_info": {"profit_sharing": True}}
    sdk.ask("method", name="pay", kwargs=shared)
    _, headers, raw = town.pay(number)
    paid = sdk.ask("callback", headers=headers, body=raw.decode())["resource"]["transaction_id"]
    receiver = {"type": "PERSONAL_OPENID", "account": town.openid(), "name": "王小明", "amount": 500}
    asked = {"transaction_id": paid, "out_order_no": "P1", "unfreeze_unsplit": False}
    receivers = [{**receiver, "description": "分给王小明"}]
    code, told = sdk.ask("method", name="profitsharing_order", kwargs={**asked, "receivers": receivers})
    assert (code, told["out_order_no"]) == (200, "P1"), told
    account.passed("profitsharing_order")
    query = {"transaction_id": paid, "out_order_no": "P1"}
    code, told = sdk.ask("method", name="profitsharing_order_query", kwargs=query)
    assert (code, told["state"], told["receivers"][0]["amount"]) == (200, "FINISHED", 500), told
    account.passed("profitsharing_order_query")
    check_returns(town, sdk, account, paid)
    free = {"transaction_id": paid, "out_order_no": "P2", "description": "解冻全部剩余资金"}
    code, told = sdk.ask("method", name="profitsharing_unfreeze", kwargs=free)
    assert (code, told["out_order_no"]) == (200, "P2"), told
    account.passed("profitsharing_unfreeze")


def check_returns(town: City, sdk: Script, account: Account, paid: str) -> None:
    """A share of a merchant given back in part, with what is left to share before and after."""

    def left() -> int:
        code, told = sdk.ask("method", name="profitsharing_amount_query", kwargs={"transaction_id": paid})
        assert (code, told["transaction_id"]) == (200, paid), told
        return int(told["unsplit_amount"])

    before = left()
    account.passed("profitsharing_amount_query")
    receiver = {"type": "MERCHANT_ID", "account": town.sub_merchant, "amount": 300, "description": "分给商户"}
    asked = {"transaction_id": paid, "out_order_no": "P3", "unfreeze_unsplit": False, "receivers": [receiver]}
    code, told = sdk.ask("method", name="profitsharing_order", kwargs=asked)
    assert (code, left()) == (200, before - 300), told
    back = {"out_order_no": "P3", "out_return_no": "B1", "return_mchid": town.sub_merchant, "amount": 200}
    back["description"] = "分账退回"
    code, told = sdk.ask("method", name="profitsharing_return", kwargs=back)
    assert (code, told["result"], left()) == (200, "SUCCESS", before - 100), told
    account.passed("profitsharing_return")
    query = {"out_order_no": "P3", "out_return_no": "B1"}
    code, again = sdk.ask("method", name="profitsharing_return_query", kwargs=query)
    assert (code, again) == (200, told)
    account.passed("profitsharing_return_query")
    code, told = sdk.ask("method", name="profitsharing_return", kwargs={**back, "out_return_no": "B2"})
    assert (code, told["code"], left()) == (400, "INVALID_REQUEST", before - 100), told


@pytest.mark.slow
def test_wechatpayv3_as_a_service_provider() -> None:
    """In another merchant's name: create, pay, notification, query, refund and its notification, close, bill."""
    with (
        city("wechatpay_v3", Ear(b"", status=204)) as town,
        script(town, "public_key", partner_mode=True) as sdk,
        Account("PyPI wechatpayv3", VERSION, "WeChat Pay v3, service provider") as account,
    ):
        sub, number = {"sub_mchid": town.sub_merchant}, "T20250101000001"
        code, said = sdk.ask("method", name="pay", kwargs={**order(number, town.ear.url), **sub})
        assert (code, list(said)) == (200, ["code_url"])
        account.passed("pay (NATIVE)")
        known = {"sub_appid": "wx1f87d44db95cba7a"}
        payers: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
            ("T2025010100J1", {"sp_openid": town.openid()}, {}),
            ("T2025010100J2", {"sub_openid": town.openid(town.sub_merchant)}, known),
        )
        for at, payer, appid in payers:
            asked = {**order(at, town.ear.url), **sub, **appid, "payer": payer, "pay_type": "JSAPI"}
            code, said = sdk.ask("method", name="pay", kwargs=asked)
            assert (code, list(said)) == (200, ["prepay_id"]), said
        account.passed("pay (JSAPI)")
        scene = {"scene_info": {"payer_client_ip": "192.0.2.7", "h5_info": {"type": "Wap"}}}
        for kind, answer in (("APP", "prepay_id"), ("H5", "h5_url")):
            asked = {**order(f"T2025010100{kind}", town.ear.url), **scene, **sub, "pay_type": kind}
            code, said = sdk.ask("method", name="pay", kwargs=asked)
            assert (code, list(said)) == (200, [answer]), said
            account.passed(f"pay ({kind})")
        _, headers, raw = town.pay(number)
        paid = sdk.ask("callback", headers=headers, body=raw.decode())["resource"]
        ends = {name: paid[name] for name in ("sp_mchid", "sub_mchid", "out_trade_no")}
        assert ends == {"sp_mchid": town.merchant, "out_trade_no": number, **sub}
        assert (paid["payer"], "mchid" in paid) == ({"sp_openid": town.openid()}, False)
        account.passed("callback (TRANSACTION.SUCCESS)")
        code, said = sdk.ask("method", name="query", kwargs={"transaction_id": paid["transaction_id"], **sub})
        assert (code, said["trade_state"], said["sub_mchid"]) == (200, "SUCCESS", town.sub_merchant)
        _, headers, raw = town.pay("T2025010100J2")
        payer = sdk.ask("callback", headers=headers, body=raw.decode())["resource"]["payer"]
        assert payer == {"sp_openid": town.openid(), "sub_openid": town.openid(town.sub_merchant)}
        code, said = sdk.ask("method", name="query", kwargs={"out_trade_no": "T2025010100H5", **sub})
        assert (code, said["trade_state"], said["sp_mchid"]) == (200, "NOTPAY", town.merchant)
        account.passed("query")
        seen = len(town.ear.heard)
        code, said = sdk.ask("method", name="refund", kwargs={**refund(number, "R1", town.ear.url), **sub})
        assert (code, said["out_refund_no"]) == (200, "R1"), said
        account.passed("refund")
        _, headers, raw = town.ear.wait(seen + 1)
        told = sdk.ask("callback", headers=headers, body=raw.decode())
        assert (told["event_type"], told["resource"]["sub_mchid"]) == ("REFUND.SUCCESS", town.sub_merchant)
        account.passed("callback (REFUND.SUCCESS)")
        code, said = sdk.ask("method", name="query_refund", kwargs={"out_refund_no": "R1", **sub})
        assert (code, said["status"]) == (200, "SUCCESS")
        account.passed("query_refund")
        closed = sdk.ask("method", name="close", kwargs={"out_trade_no": "T2025010100APP", **sub})
        assert closed == [204, {"bytes": ""}]
        account.passed("close")
        stranger = {**order("T20250101000009", town.ear.url), "sub_mchid": "1900000199"}
        code, said = sdk.ask("method", name="pay", kwargs=stranger)
        assert (code, said["code"]) == (400, "MCH_NOT_EXISTS"), said
        code, said = sdk.ask("method", name="query", kwargs={"out_trade_no": "T20250101000009", **sub})
        assert (code, said["code"]) == (404, "ORDER_NOT_EXIST")
        day = town.next_day()
        code, said = sdk.ask("method", name="trade_bill", kwargs={"bill_date": day, **sub})
        assert code == 200, said
        code, file = sdk.ask("method", name="download_bill", kwargs={"url": said["download_url"]})
        plain = gzip.decompress(base64.b64decode(file["bytes"]))
        assert (code, hashlib.sha1(plain).hexdigest()) == (200, said["hash_value"])
        assert {line.out_trade_no for line in Bill().read([plain])} == {number, "T2025010100J2"}
        account.passed("trade_bill")
        account.passed("download_bill")
        assert town.sandbox.audit() == "clean"


@pytest.mark.slow
def test_wechatpayv3_combines_orders() -> None:
    """Orders of two merchants: created, paid by one payment, told, queried, one refunded; others closed."""
    with (
        city("wechatpay_v3", Ear(b"", status=204)) as town,
        script(town, "public_key") as sdk,
        Account("PyPI wechatpayv3", VERSION, "WeChat Pay v3, combined orders") as account,
    ):
        sub = {"sub_mchid": town.sub_merchant}
        for place, (kind, answer) in enumerate(
            (("NATIVE", "code_url"), ("JSAPI", "prepay_id"), ("APP", "prepay_id"), ("H5", "h5_url"))
        ):
            whole = combined(f"W{place}", town, (f"A{place}", 100, {}), (f"B{place}", 250, sub))
            code, said = sdk.ask("method", name="combine_pay", kwargs={**whole, "pay_type": kind})
            assert (code, list(said)) == (200, [answer]), said
            account.passed(f"combine_pay ({kind})")
        code, said = sdk.ask("method", name="combine_query", kwargs={"combine_out_trade_no": "W0"})
        assert (code, [one["trade_state"] for one in said["sub_orders"]]) == (200, ["NOTPAY"] * 2)
        _, headers, raw = town.pay("B0")
        told = sdk.ask("callback", headers=headers, body=raw.decode())
        paid = told["resource"]
        assert (told["event_type"], paid["combine_out_trade_no"]) == ("TRANSACTION.SUCCESS", "W0")
        assert (paid["combine_mchid"], paid["combine_payer_info"]) == (town.merchant, {"openid": town.openid()})
        sums = [
            (one["out_trade_no"], one["amount"]["payer_amount"], one.get("sub_mchid")) for one in paid["sub_orders"]
        ]
        assert sums == [("A0", 100, None), ("B0", 250, town.sub_merchant)]
        account.passed("callback (TRANSACTION.SUCCESS)")
        code, said = sdk.ask("method", name="combine_query", kwargs={"combine_out_trade_no": "W0"})
        assert (code, said["sub_orders"]) == (200, paid["sub_orders"])
        account.passed("combine_query")
        seen = len(town.ear.heard)
        code, said = sdk.ask("method", name="refund", kwargs=refund("A0", "R1", town.ear.url, 40, 100))
        assert (code, said["amount"]["refund"]) == (200, 40), said
        _, headers, raw = town.ear.wait(seen + 1)
        assert sdk.ask("callback", headers=headers, body=raw.decode())["resource"]["out_trade_no"] == "A0"
        account.passed("refund")
        named = [{"mchid": town.merchant, "out_trade_no": "A1"}, {"mchid": town.merchant, "out_trade_no": "B1", **sub}]
        part = {"combine_out_trade_no": "W1", "sub_orders": named[:1]}
        code, said = sdk.ask("method", name="combine_close", kwargs=part)
        assert (code, said["code"]) == (400, "PARAM_ERROR"), said
        closed = sdk.ask("method", name="combine_close", kwargs={**part, "sub_orders": named})
        assert closed == [204, {"bytes": ""}]
        account.passed("combine_close")
        code, said = sdk.ask("method", name="combine_query", kwargs={"combine_out_trade_no": "W1"})
        assert (code, [one["trade_state"] for one in said["sub_orders"]]) == (200, ["CLOSED"] * 2)
        code, said = sdk.ask("method", name="combine_query", kwargs={"combine_out_trade_no": "W9"})
        assert (code, said["code"]) == (404, "ORDER_NOT_EXIST")
        assert town.sandbox.audit() == "clean"
