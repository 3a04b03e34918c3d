"""Alipay's Open Platform: application number, RSA keys or certificates, ``method=`` calls on one gateway, and REST.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.bill import Bill
from tongbao.protocols.alipay_openapi.client import Client, inquiry
from tongbao.protocols.alipay_openapi.code import CODES_OF, WIRE_CODE
from tongbao.protocols.alipay_openapi.codec import ALGORITHMS, CODECS
from tongbao.protocols.alipay_openapi.payee import SETTING, seller_of
from tongbao.protocols.alipay_openapi.secret import ALGORITHM
from tongbao.protocols.alipay_openapi.server import Server
from tongbao.protocols.alipay_openapi.setting import FIELDS, GATEWAY, SANDBOX_GATEWAY, credentials_for
from tongbao.wire.contract import Manifest, PayeeNumber
from tongbao.wire.vocabulary import Presentation, Product

_SERVER = Server()

PROTOCOL = Manifest(
    name="alipay_openapi",
    title="Alipay Open Platform",
    title_zh="支付宝开放平台",
    version="gateway.do 1.0 and REST v3, as of 2026",
    charset="utf-8",
    operations={name: service.intent for name, service in m.SERVICES.items()},
    paths=(m.GATEWAY_PATH, *m.METHOD_OF_PATH, m.REST_PATHS),
    hosts=("openapi.alipay.com", "openapi-sandbox.dl.alipaydev.com", "openapi.alipaydev.com"),
    gateway=GATEWAY,
    sandbox_gateway=SANDBOX_GATEWAY,
    timetable=(240, 600, 600, 3_600, 7_200, 21_600, 54_000),
    timetable_source="the platform's notes on asynchronous notices: 4, 10, 10 min, 1, 2, 6, 15 h",
    algorithms=ALGORITHMS,
    weak=False,
    confirms=False,
    products=frozenset((Product.INSTANT,)),
    credentials=FIELDS,
    server=_SERVER,
    client=Client(),
    bill=Bill(),
    sources=(
        "the platform's documentation of its interfaces",
        "the official libraries for Node.js, Python, Java and PHP, read and run against local servers",
        "community libraries for Python, Go and PHP",
    ),
    unverified=(
        "notification when a trade is closed or finished: the notes differ, so neither is sent",
        "a second precreate with the same data returns the same code while unpaid",
        "HTTP status of a payment that waits for its buyer in the REST interface: 202",
        "word of an unknown path in the REST interface, beside the documented 404: invalid-method",
        "refusal of an unknown method: signed and under the method's node, as every library tried can read",
        "sub codes of some refusals: the closest of the official lists",
    ),
    codes=WIRE_CODE,
    codes_of=CODES_OF,
    charsets=tuple(CODECS),
    merchant_example="2021000000000001",
    private=m.PRIVATE,
    notifies=frozenset({("instant", "paid")}),
    notifies_refund="trade",
    refund_no_of_trade=True,
    counter_seconds=3 * 3_600,
    unsaid=frozenset(
        {
            ("Return", "state"),
            ("RefundTrade", "amount"),
            ("RefundTrade", "state"),
            ("QueryRefund", "state"),
            ("Notification", "amount"),
            ("BillLine", "serial"),
            ("BillLine", "balance"),
        }
    ),
    code_prefix="28",
    certificates=True,
    inquiry=inquiry,
    content_keys={ALGORITHM: "base64"},
    presentations=tuple(Presentation),
    costly=_SERVER,
    credentials_for=credentials_for,
    payee=PayeeNumber(SETTING, seller_of),
)
