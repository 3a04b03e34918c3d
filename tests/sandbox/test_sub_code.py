"""``alipay_openapi``, over HTTP: each refusal has the sub code that the sheet's tables have for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.test_unknown_method import send, wire_time
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.payee import seller_of
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.contract import Credentials
from tongbao.wire.movement import CallByName
from tongbao.wire.vocabulary import Rejection

pytestmark = pytest.mark.slow

ORDER = {"out_trade_no": "S1", "total_amount": "1.00", "subject": "茶", "buyer_logon_id": "buyer@tongbao.example"}
TRANSFER = {
    "out_biz_no": "P1",
    "trans_amount": "1.00",
    "product_code": "TRANS_ACCOUNT_NO_PWD",
    "biz_scene": "DIRECT_TRANSFER",
    "payee_info": {"identity": "buyer@tongbao.example", "identity_type": "ALIPAY_LOGON_ID", "name": "x"},
}
GOODS = {"goods_id": "1", "goods_name": "茶", "quantity": 1, "price": "0.01"}
MYSELF = "(the application's own account)"

TABLE: list[tuple[str, dict[str, Any], str, str]] = [
    # section 6, the words of all methods that make orders
    (m.CREATE, {"total_amount": "100000000.01"}, "40004", "ACQ.TOTAL_FEE_EXCEED"),
    (m.PRECREATE, {"total_amount": "100000000.01"}, "40004", "ACQ.TOTAL_FEE_EXCEED"),
    (m.PRECREATE, {"total_amount": "0.00"}, "40004", "ACQ.INVALID_PARAMETER"),
    (m.CREATE, {"goods_detail": [GOODS] * 151}, "40004", "ACQ.SUB_GOODS_SIZE_MAX_COUNT"),
    (m.CREATE, {"buyer_id": "2088000000000042"}, "40004", "ACQ.BUYER_NOT_EXIST"),
    (m.CREATE, {"buyer_logon_id": "nobody@tongbao.example"}, "40004", "ACQ.BUYER_NOT_EXIST"),
    # section 5, the fields of an order
    (m.PRECREATE, {"subject": "a/b=c&d"}, "40004", "ACQ.INVALID_PARAMETER"),
    (m.PRECREATE, {"subject": "a/b"}, "40004", "ACQ.INVALID_PARAMETER"),
    (m.PRECREATE, {"store_id": "s" * 40}, "40002", "isv.invalid-parameter"),
    (m.PRECREATE, {"operator_id": "s" * 29}, "40002", "isv.invalid-parameter"),
    # section 6.12
    (m.BILL, {"bill_type": "zft_acc", "bill_date": "2020-01-01"}, "40004", "TYPE_NOT_SUPPORTED"),
    (m.BILL, {"bill_type": "nothing", "bill_date": "2020-01-01"}, "40004", "TYPE_NOT_SUPPORTED"),
    (m.BILL, {"bill_type": "trade", "bill_date": "2020-01-01"}, "40004", "BILL_DATE_BEFORE_REGISTRATION"),
    (m.BILL, {"bill_type": "trade", "bill_date": "2020-13-01"}, "40004", "INVAILID_ARGUMENTS"),
    (m.BILL, {"bill_type": "trade"}, "40004", "INVAILID_ARGUMENTS"),
    # section 6.14
    (m.TRANSFER, {"trans_amount": "0.05"}, "40004", "EXCEED_LIMIT_SM_MIN_AMOUNT"),
    (m.TRANSFER, {"trans_amount": "60000.00"}, "40004", "MEMO_REQUIRED_IN_TRANSFER_ERROR"),
    (m.TRANSFER, {"trans_amount": "1e3"}, "40004", "INVALID_PARAMETER"),
    (m.TRANSFER, {"payee_info": {"identity": MYSELF, "identity_type": "ALIPAY_USER_ID"}}, "40004",
     "PAYER_PAYEE_CANNOT_SAME"),
    (m.TRANSFER, {"payee_info": {"identity": "2088000000000042", "identity_type": "ALIPAY_USER_ID"}}, "40004",
     "PAYEE_NOT_EXIST"),
    # sections 6.16 and 6.19, by section 4
    (m.CERTIFICATE, {}, "40002", "isv.invalid-parameter"),
    (m.OAUTH, {"grant_type": "authorization_code"}, "40002", "isv.code-invalid"),
    (m.OAUTH, {"grant_type": "nothing"}, "40002", "isv.grant-type-invalid"),
]  # fmt: skip
"""Copied from sheet alipay-openapi: method, what is wrong with an otherwise good content, public code and sub code."""


@pytest.fixture(name="shop")
def fixture_shop(box: LocalSandbox) -> Credentials:
    said: dict[str, Any] = box.credentials["protocols"][PROTOCOL.name]
    known = {field.name for field in PROTOCOL.credentials}
    return PROTOCOL.client.load(
        {name: value for name, value in said.items() if name in known} | {"mode": "certificate"}
    )


def content_of(method: str, wrong: dict[str, Any], own: str) -> dict[str, Any]:
    """The content of a request in which only ``wrong`` is wrong."""
    good = ORDER if method in m.CREATING else TRANSFER if method == m.TRANSFER else {}
    said = {**good, **wrong}
    if "buyer_id" in wrong:
        del said["buyer_logon_id"]
    payee = said.get("payee_info", {})
    return {**said, "payee_info": {**payee, "identity": own}} if payee.get("identity") == MYSELF else said


def test_sub_codes_are_those_of_the_sheet(box: LocalSandbox, shop: Credentials) -> None:
    """Every row of the table, signed by its application in certificate mode."""
    told: list[tuple[str, dict[str, Any], str, str]] = []
    for method, wrong, _, _ in TABLE:
        asked = CallByName(merchant="", method=method, content=content_of(method, wrong, seller_of(shop.merchant)))
        call = PROTOCOL.client.encode(asked, shop, wire_time(box))
        answer = send(call.action(), body=call.request().body, **{"Content-Type": "application/x-www-form-urlencoded"})
        read = PROTOCOL.client.decode(asked, answer, shop, wire_time(box))
        assert isinstance(read, Rejection), (method, wrong)
        assert read.proven
        public = answer.body.partition(b'{"code":"')[2][:5].decode()
        told.append((method, wrong, public, read.wire_code))
    assert told == TABLE
