"""What libraries ask of the sandbox's Alipay beside the way of one order. Each brings an ``Ask`` of its own."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Any

from tests.contract.alipay import City
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.mode import root_serial, serial_of
from tongbao.wire.certificate import load_chain

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
"""A method and its content -> the answer's fields; those of a refusal have ``sub_code`` among them."""


def serials(town: City) -> dict[str, str]:
    """The parameters that name a request's certificates."""
    own = town.credentials
    return {
        "app_cert_sn": serial_of(load_chain(own["app_cert"], "app_cert")[0]),
        "alipay_root_cert_sn": root_serial(load_chain(own["alipay_root_cert"], "alipay_root_cert")),
    }


def platform_serial(town: City) -> str:
    """The serial number of the platform's certificate."""
    return serial_of(load_chain(town.credentials["alipay_cert"], "alipay_cert")[0])


def learn_number(town: City, ask: Ask) -> str:
    """A buyer's consent for his number, its renewal, and the refusal of a code that was used."""
    asked = {"grant_type": "authorization_code", "code": town.consent()}
    known = ask(m.OAUTH, asked)
    renewed = ask(m.OAUTH, {"grant_type": "refresh_token", "refresh_token": known["refresh_token"]})
    assert renewed["user_id"] == known["user_id"]
    assert renewed["access_token"] != known["access_token"]
    assert ask(m.OAUTH, asked)["sub_code"].endswith("code-invalid")
    return str(known["user_id"])


def pay_otherwise(town: City, ask: Ask, buyer: str) -> None:
    """A code that the buyer shows, a code of nobody's, and a trade for a buyer whose number is known."""
    order = {"total_amount": "12.34", "subject": "测试"}
    shown = {**order, "out_trade_no": "C1", "scene": "bar_code", "auth_code": town.code()}
    paid = ask(m.PAY, shown)
    assert (paid["total_amount"], paid["buyer_user_id"]) == ("12.34", buyer)
    wrong = {**order, "out_trade_no": "C2", "scene": "bar_code", "auth_code": "280000000000000000"}
    assert ask(m.PAY, wrong)["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"
    made = ask(m.CREATE, {**order, "out_trade_no": "C3", "buyer_id": buyer})
    assert made["out_trade_no"] == "C3"
    assert ask(m.QUERY, {"trade_no": made["trade_no"]})["trade_status"] == "WAIT_BUYER_PAY"


def share(town: City, ask: Ask, receiver: str) -> None:
    """Shares of a trade that was paid and waits for them; too much is refused; then no more are to come."""
    order = {"out_trade_no": "S1", "total_amount": "10.00", "subject": "x", "extend_params": {"royalty_freeze": "true"}}
    ask(m.PRECREATE, order)
    town.sandbox.pay("S1")
    asked = {"out_request_no": "A1", "trade_no": ask(m.QUERY, {"out_trade_no": "S1"})["trade_no"]}
    part = {"trans_in": receiver, "trans_in_type": "userId", "amount": "1.00", "desc": "分账"}
    given = ask(m.SETTLE, {**asked, "royalty_parameters": [part]})
    found = ask(m.SETTLE_QUERY, asked)
    assert found["out_request_no"] == "A1"
    assert [(one["amount"], one["state"]) for one in found["royalty_detail_list"]] == [("1.00", "SUCCESS")]
    assert given["trade_no"] == asked["trade_no"]
    much = {**asked, "out_request_no": "A2", "royalty_parameters": [{**part, "amount": "99.00"}]}
    assert ask(m.SETTLE, much)["sub_code"] == "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR"
    finish = {**asked, "out_request_no": "A3", "extend_params": {"royalty_finish": "true"}}
    assert ask(m.SETTLE, finish)["trade_no"] == asked["trade_no"]


def send_money(ask: Ask, receiver: str, *, by_certificate: bool) -> None:
    """Settled money leaves the merchant, in certificate mode only; it is found again, and is gone from the balance."""
    kind = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
    payee = {"identity_type": "ALIPAY_USER_ID", "identity": receiver}
    order = {"out_biz_no": "T1", "trans_amount": "1.00", "order_title": "佣金", "payee_info": payee, **kind}
    before = ask(m.ACCOUNT, {"account_type": "ACCTRANS_ACCOUNT"})["available_amount"]
    sent = ask(m.TRANSFER, order)
    if not by_certificate:
        assert sent["sub_code"].endswith("missing-app-cert-sn")
        assert ask(m.TRANSFER_QUERY, {"out_biz_no": "T1", **kind})["sub_code"] == "ORDER_NOT_EXIST"
        assert ask(m.ACCOUNT, {"account_type": "ACCTRANS_ACCOUNT"})["available_amount"] == before
        return
    assert sent["status"] in ("SUCCESS", "DEALING")
    found = ask(m.TRANSFER_QUERY, {"out_biz_no": "T1", **kind})
    assert (found["order_id"], found["trans_amount"]) == (sent["order_id"], "1.00")
    left = ask(m.ACCOUNT, {"account_type": "ACCTRANS_ACCOUNT"})["available_amount"]
    assert cents(before) - cents(left) == 100


def cents(amount: str) -> int:
    """A sum in yuan, as answers tell it, in fen."""
    yuan, _, fen = amount.partition(".")
    return int(yuan) * 100 + int(fen)


def read_certificate(town: City, content: str) -> None:
    """What the download of the platform's certificate gave is that certificate."""
    assert b64decode(content).decode("ascii") == town.credentials["alipay_cert"]
