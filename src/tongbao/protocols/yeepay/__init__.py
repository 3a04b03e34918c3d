"""YeePay's bank gateway (网银标准版): numbered parameters, positional HMAC-MD5, one callback for browser and server.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.client import Client
from tongbao.protocols.yeepay.codec import ALGORITHM, WIRE
from tongbao.protocols.yeepay.server import Server
from tongbao.wire.contract import CredentialField, Manifest
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this gateway needs, under the names of the official demos.

    ``ring`` is the merchant's side; ``base`` is the face's address without a slash at its end; ``extra`` may hold
    ``return_url``, ``notify_url`` and ``order_sample``.
    """
    said = {
        "p1_MerId": merchant,
        "gateway": base + m.NODE_PATH,
        "queryURL": base + m.COMMAND_PATH,
        "return_url": extra.get("return_url", ""),
        "notify_url": extra.get("notify_url", ""),
        "order_sample": extra.get("order_sample", ""),
    }
    for key in ring.sign:
        if key.algorithm == ALGORITHM and isinstance(key.material, bytes):
            said["keyValue"] = key.material.decode("ascii")
    return {name: value for name, value in said.items() if value}


PROTOCOL = Manifest(
    name="yeepay",
    title="YeePay, bank gateway, standard edition",
    title_zh="易宝支付网银标准版",
    version="1.28 (2018)",
    charset=WIRE,
    operations=m.OPERATIONS,
    paths=(m.NODE_PATH, m.COMMAND_PATH),
    hosts=("www.yeepay.com", "cha.yeepay.com"),
    gateway=m.GATEWAY,
    timetable=(180, 180, 180),
    timetable_source="the gateway's manual since 2016: repeated 3 times, 3 minutes apart",
    algorithms=(ALGORITHM,),
    weak=True,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("p1_MerId", "id", "the merchant's number (商户编号), 11 digits"),
        CredentialField("keyValue", "secret", "the merchant's key (商户密钥), normally 60 characters"),
        CredentialField("gateway", "url", "address of node, where the browser pays", required=False),
        CredentialField("queryURL", "url", "address of command, for queries and cancelling", required=False),
        CredentialField("return_url", "url", "p8_Url, unless a request says another", required=False),
        CredentialField("notify_url", "url", "pb_ServerNotifyUrl, at most 50 characters", required=False),
        CredentialField(
            "order_sample", "text", "one of the shop's order numbers, if all have its shape", required=False
        ),
        CredentialField("query_version", "text", "3.0 (the default), or 1.0 for the old query", required=False),
    ),
    server=Server(),
    client=Client(),
    sources=(
        "the gateway's manual (网银标准版开发手册), V1.28 of 2018",
        "the official demos in ASP, PHP, Java and C#, as kept in public copies",
        "open-source shop plugins and a public PHP test suite with signatures",
    ),
    unverified=(
        "order of the console's address and pb_ServerNotifyUrl",
        "goods name returned for goods without a name",
        "length of month and year in pn_Unit; plain ICBC-NET codes",
        "numbers of errors that only show a page; form of signed refusals",
        "refundFrpStatus 4 as a refund without effect",
    ),
    merchant_example="10001234567",
    private=m.PRIVATE,
    codes=m.WIRE_CODE,
    codes_of=m.CODES_OF,
    unsaid=frozenset({("RefundTrade", "state"), ("QueryRefund", "amount")}),
    notifies=frozenset({("instant", "paid"), ("instant", "finished")}),
    said_as=m.SAID_AS,
    acknowledged_by_prefix=True,
    credentials_for=credentials_for,
)
