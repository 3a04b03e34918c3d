"""npm wechatpay-axios-plugin and wechatpay-node-v3, unchanged but for address and keys."""

from __future__ import annotations

import json

import pytest

from tests.contract.harness import Account, Broken, Ear, Script, pinned
from tests.contract.wechat import City, city, combined, order, refund, said_in
from tongbao.protocols.wechatpay_v2.client import YES
from tongbao.protocols.wechatpay_v3.bill import Bill

PAY = "v3/pay/transactions"
NUMBER = "T20250101000001"
OTHER = "T20250101000002"


def axios(town: City, trust: str) -> Script:
    said = town.credentials
    certs = {
        "certificate": {said["platform_serial_no"]: said["wechatpay_public_key"]},
        "public_key": {said["wechatpay_public_key_id"]: said["wechatpay_public_key"]},
    }
    options = {
        "mchid": said["mchid"],
        "serial": said["serial_no"],
        "privateKey": said["private_key"],
        "certs": certs[trust],
        "baseURL": f"{town.gateway}/",
        "headers": {"Wechatpay-Serial": said["wechatpay_public_key_id"]} if trust == "public_key" else {},
    }
    return Script.node("wechatpay", "wechatpay_axios.mjs", options=options)


@pytest.mark.slow
@pytest.mark.parametrize("trust", ["certificate", "public_key"])
def test_axios_plugin(trust: str) -> None:
    """Create, pay, notification verified and opened, query, refund and its notification, close, bill with its hash."""
    version = pinned("npm wechatpay-axios-plugin")
    with city("wechatpay_v3", Ear(b"", status=204)) as town, axios(town, trust) as sdk, Account(
        "npm wechatpay-axios-plugin", version, f"WeChat Pay v3, trust by {trust.replace('_', ' ')}"
    ) as account:  # fmt: skip
        town.trust(trust)
        me = {name: town.credentials[name] for name in ("appid", "mchid")}
        mchid = {"params": {"mchid": me["mchid"]}}

        def ask(verb: str, path: str, *args: object) -> dict[str, object]:
            answer: dict[str, object] = sdk.ask("request", verb=verb, path=path, args=args)
            account.passed(f"{verb} {path.replace(NUMBER, '{out_trade_no}').replace(OTHER, '{out_trade_no}')}")
            return answer

        said = ask("post", f"{PAY}/native", {**me, **order(NUMBER, town.ear.url)})
        assert str(said["data"]["code_url"]).startswith("weixin://wxpay/bizpayurl?pr=")  # type: ignore[index]
        ask("post", f"{PAY}/jsapi", {**me, **order("T20250101JSAPI", town.ear.url, payer={"openid": town.openid()})})
        found = ask("get", f"{PAY}/out-trade-no/{NUMBER}", mchid)["data"]
        assert found["trade_state"] == "NOTPAY"  # type: ignore[index]
        piped = {**me, **order("O1|a*b_-", town.ear.url)}
        sdk.ask("request", verb="post", path=f"{PAY}/native", args=[piped])
        found = sdk.ask("request", verb="get", path=f"{PAY}/out-trade-no/O1|a*b_-", args=[mchid])["data"]
        assert found["out_trade_no"] == "O1|a*b_-"
        account.passed("get v3/pay/transactions/out-trade-no/{out_trade_no} with | and *")
        _, headers, raw = town.pay(NUMBER)
        secret = town.credentials["apiv3_key"]
        paid = sdk.ask("notification", headers=headers, body=raw.decode(), secret=secret)
        assert (paid["out_trade_no"], paid["trade_state"]) == (NUMBER, "SUCCESS")
        account.passed("Rsa.verify and Aes.AesGcm.decrypt (TRANSACTION.SUCCESS)")
        with pytest.raises(Broken):
            sdk.ask("notification", headers=headers, body=raw.decode().replace("SUCC", "SUCK"), secret=secret)
        said = ask("post", "v3/refund/domestic/refunds", refund(NUMBER, "R1", town.ear.url))
        assert said["data"]["out_refund_no"] == "R1"  # type: ignore[index]
        _, headers, raw = town.ear.wait(2)
        assert said_in(raw)["event_type"] == "REFUND.SUCCESS"
        assert ask("get", "v3/refund/domestic/refunds/R1")["data"]["status"] == "SUCCESS"  # type: ignore[index]
        ask("post", f"{PAY}/native", {**me, **order(OTHER, town.ear.url)})
        assert ask("post", f"{PAY}/out-trade-no/{OTHER}/close", {"mchid": me["mchid"]})["status"] == 204
        with pytest.raises(Broken) as caught:
            sdk.ask("request", verb="get", path=f"{PAY}/out-trade-no/T20250101000009", args=[mchid])
        assert caught.value.kind == "ORDER_NOT_EXIST"
        if trust == "certificate":
            assert ask("get", "v3/certificates")["status"] == 200
        else:
            with pytest.raises(Broken) as caught:
                sdk.ask("request", verb="get", path="v3/certificates", args=[])
            assert caught.value.kind == "RESOURCE_NOT_EXISTS"
        day = town.next_day()
        for packed in ({}, {"tar_type": "GZIP"}):
            told = ask("get", "v3/bill/tradebill", {"params": {"bill_date": day, **packed}})["data"]
            file = sdk.ask("download", url=told["download_url"])  # type: ignore[index]
            assert file["sha1"] == told["hash_value"]  # type: ignore[index]
            assert [line.kind for line in Bill().read([file["text"].encode()])][:2] == ["payment", "refund"]
        account.passed("get v3/billdownload/file, plain and gzip")


@pytest.mark.slow
def test_axios_plugin_for_others() -> None:
    """By the same chain of paths: as a service provider, and orders of two merchants in one payment."""
    version = pinned("npm wechatpay-axios-plugin")
    with (
        city("wechatpay_v3", Ear(b"", status=204)) as town,
        axios(town, "certificate") as sdk,
        Account(
            "npm wechatpay-axios-plugin", version, "WeChat Pay v3, service provider and combined orders"
        ) as account,
    ):
        partner, combine = "v3/pay/partner/transactions", "v3/combine-transactions"
        secret, appid, mchid = (town.credentials[name] for name in ("apiv3_key", "appid", "mchid"))
        ends, sub = {"sp_mchid": mchid, "sub_mchid": town.sub_merchant}, {"sub_mchid": town.sub_merchant}

        def ask(verb: str, path: str, *args: object) -> dict[str, object]:
            answer: dict[str, object] = sdk.ask("request", verb=verb, path=path, args=args)
            account.passed(f"{verb} {path.replace(NUMBER, '{out_trade_no}').replace('W1', '{combine_out_trade_no}')}")
            return answer

        ask("post", f"{partner}/native", {"sp_appid": appid, **ends, **order(NUMBER, town.ear.url)})
        _, headers, raw = town.pay(NUMBER)
        paid = sdk.ask("notification", headers=headers, body=raw.decode(), secret=secret)
        assert (paid["sub_mchid"], paid["trade_state"]) == (town.sub_merchant, "SUCCESS")
        found = ask("get", f"{partner}/out-trade-no/{NUMBER}", {"params": ends})["data"]
        assert found["transaction_id"] == paid["transaction_id"]  # type: ignore[index]
        body = combined("W1", town, ("A1", 100, {}), ("B1", 250, sub))
        ask("post", f"{combine}/native", {"combine_appid": appid, "combine_mchid": mchid, **body})
        _, headers, raw = town.pay("A1")
        paid = sdk.ask("notification", headers=headers, body=raw.decode(), secret=secret)
        assert [one["trade_state"] for one in paid["sub_orders"]] == ["SUCCESS"] * 2
        found = ask("get", f"{combine}/out-trade-no/W1")["data"]
        assert found["sub_orders"] == paid["sub_orders"]  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["MD5", "HMAC-SHA256"])
def test_axios_plugin_v2(kind: str) -> None:
    """The older interface by the same package: both kinds of signature, each answer and notification verified in the
    kind of its request; a request that names one kind and is signed in the other is refused."""
    version = pinned("npm wechatpay-axios-plugin")
    with city("wechatpay_v2", Ear(YES, kind="text/xml")) as town:
        said, other = town.credentials, town.sandbox.credentials["protocols"]["wechatpay_v3"]
        options = {
            "mchid": said["mch_id"],
            "serial": other["serial_no"],
            "privateKey": other["private_key"],
            "certs": {other["platform_serial_no"]: other["wechatpay_public_key"]},
            "secret": said["key"],
            "baseURL": f"{town.gateway}/",
        }
        me = {"appid": said["appid"], "mch_id": said["mch_id"]}
        me |= {"sign_type": kind} if kind != "MD5" else {}
        with (
            Script.node("wechatpay", "wechatpay_axios.mjs", options=options) as sdk,
            Account("npm wechatpay-axios-plugin", version, f"WeChat Pay v2, {kind}") as account,
        ):

            def ask(path: str, **more: object) -> dict[str, str]:
                answer = sdk.ask("request", verb="post", path=f"v2/{path}", args=[{**me, **more}])
                account.passed(f"post v2/{path}")
                told: dict[str, str] = answer["data"]
                return told

            wanted = {"body": "测试商品", "total_fee": 10_100, "spbill_create_ip": "192.0.2.7"}
            wanted |= {"notify_url": town.ear.url, "trade_type": "NATIVE", "product_id": "P1"}
            opened = ask("pay/unifiedorder", out_trade_no=NUMBER, **wanted)
            assert opened["code_url"].startswith("weixin://wxpay/bizpayurl?pr=")
            assert len(opened["sign"]) == (32 if kind == "MD5" else 64)
            _, _, raw = town.pay(NUMBER)
            paid = sdk.ask("payment", body=raw.decode())
            assert len(paid["sign"]) == len(opened["sign"])
            assert (paid["out_trade_no"], paid["total_fee"]) == (NUMBER, "10100")
            with pytest.raises(Broken):
                sdk.ask("payment", body=raw.decode().replace("10100", "10101"))
            account.passed("Transformer.toObject and Hash.sign (payment)")
            assert ask("pay/orderquery", out_trade_no=NUMBER)["trade_state"] == "SUCCESS"
            back = {"out_refund_no": "R1", "total_fee": 10_100, "refund_fee": 100, "notify_url": town.ear.url}
            assert ask("secapi/pay/refund", out_trade_no=NUMBER, **back)["refund_fee"] == "100"
            _, _, raw = town.ear.wait(2)
            assert sdk.ask("refund", body=raw.decode())["out_refund_no"] == "R1"
            account.passed("Aes.AesEcb.decrypt (refund)")
            ask("pay/unifiedorder", out_trade_no=OTHER, **wanted)
            assert ask("pay/closeorder", out_trade_no=OTHER)["result_code"] == "SUCCESS"
            with pytest.raises(Broken):
                sdk.ask(
                    "request", verb="post", path="v2/pay/orderquery", args=[{**me, "out_trade_no": "T20250101000009"}]
                )
            # the package signs an unknown kind with MD5
            asked = {**me, "sign_type": "HMAC-SHA1", "out_trade_no": NUMBER}
            with pytest.raises(Broken):
                sdk.ask("request", verb="post", path="v2/pay/orderquery", args=[asked])


@pytest.mark.slow
def test_node_v3() -> None:
    """The same with a library that never verifies answers: notifications are verified when it is told to."""
    version = pinned("npm wechatpay-node-v3")
    with city("wechatpay_v3", Ear(b"", status=204)) as town:
        said = town.credentials
        options = {
            "appid": said["appid"],
            "mchid": said["mchid"],
            "publicKey": said["certificate"],
            "privateKey": said["private_key"],
            "key": said["apiv3_key"],
        }
        with (
            Script.node("wechatpay", "wechatpay_node.mjs", options=options, gateway=town.gateway) as sdk,
            Account("npm wechatpay-node-v3", version, "WeChat Pay v3") as account,
        ):

            def ask(name: str, *args: object) -> dict[str, object]:
                answer: dict[str, object] = sdk.ask("method", name=name, args=args)
                assert "error" not in answer, answer
                account.passed(name)
                return answer["data"] if isinstance(answer.get("data"), dict) else answer  # type: ignore[return-value]

            assert "code_url" in ask("transactions_native", order(NUMBER, town.ear.url))
            opened = ask("transactions_jsapi", order("T2025010100J", town.ear.url, payer={"openid": town.openid()}))
            assert str(opened["package"]).startswith("prepay_id=wx")
            scene = {"payer_client_ip": "192.0.2.7", "h5_info": {"type": "Wap"}}
            assert "h5_url" in ask("transactions_h5", order("T2025010100H", town.ear.url, scene_info=scene))
            assert ask("query", {"out_trade_no": NUMBER})["trade_state"] == "NOTPAY"
            _, headers, raw = town.pay(NUMBER)
            check_notification(sdk, headers, raw, said["apiv3_key"])
            account.passed("verifySign, with certificates fetched by it, and decipher_gcm")
            assert ask("refunds", refund(NUMBER, "R1", town.ear.url))["out_refund_no"] == "R1"
            _, headers, raw = town.ear.wait(2)
            check_notification(sdk, headers, raw, said["apiv3_key"])
            assert ask("find_refunds", "R1")["status"] == "SUCCESS"
            ask("transactions_native", order(OTHER, town.ear.url))
            assert ask("close", OTHER)["status"] == 204
            assert len(sdk.ask("method", name="get_certificates", args=[said["apiv3_key"]])) == 1
            account.passed("get_certificates")
            for place, (name, answer) in enumerate(
                (("native", "code_url"), ("jsapi", "package"), ("app", "prepayid"), ("h5", "h5_url"))
            ):
                whole = combined(f"W{place}", town, (f"A{place}", 100, {}), (f"B{place}", 250, {}))
                assert answer in ask(f"combine_transactions_{name}", whole)
            assert len(ask("combine_query", "W0")["sub_orders"]) == 2  # type: ignore[arg-type]
            named = [{"mchid": said["mchid"], "out_trade_no": number} for number in ("A0", "B0")]
            assert ask("combine_close", "W0", named)["status"] == 204
            day = town.next_day()
            told = ask("tradebill", {"bill_date": day})
            assert str(told["download_url"]).startswith("https://api.mch.weixin.qq.com/v3/billdownload/file?token=")
            file = sdk.ask("download", url=told["download_url"])
            assert file["sha1"] == told["hash_value"]
            account.passed("downloadBill")


def check_notification(sdk: Script, headers: dict[str, str], raw: bytes, secret: str) -> None:
    """Verified over the bytes and over the parsed body written again; opened to the order it is about."""
    params = {
        "timestamp": headers["Wechatpay-Timestamp"],
        "nonce": headers["Wechatpay-Nonce"],
        "serial": headers["Wechatpay-Serial"],
        "signature": headers["Wechatpay-Signature"],
        "apiSecret": secret,
    }
    assert sdk.ask("verify", params={**params, "body": raw.decode()}) is True
    assert sdk.ask("verify", params={**params, "body": json.loads(raw)}) is True
    assert sdk.ask("verify", params={**params, "body": raw.decode() + " "}) is False
    resource = said_in(raw)["resource"]
    names = ("ciphertext", "associated_data", "nonce")
    content = sdk.ask("decipher", secret=secret, **{name: resource[name] for name in names})
    assert content["out_trade_no"] == NUMBER
