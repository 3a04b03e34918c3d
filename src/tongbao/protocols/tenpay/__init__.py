"""Tenpay (财付通), the payment gateway of 2010 to 2015: a signed form, notices with an id to confirm, queries in XML.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.tenpay import messages as m
from tongbao.protocols.tenpay.bill import Bill
from tongbao.protocols.tenpay.client import Client
from tongbao.protocols.tenpay.codec import ALGORITHM, GBK
from tongbao.protocols.tenpay.server import Server
from tongbao.wire.contract import CredentialField, Manifest
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this gateway needs, under the names of the guide and its demos.

    ``ring`` is the merchant's side; ``base`` is the face's address without a slash at its end; ``extra`` may hold
    ``return_url``, ``notify_url`` and ``charset``.
    """
    said = {
        "partner": merchant,
        "gateway": base + m.PATH_OF[m.PAY],
        "input_charset": extra.get("charset", ""),
        "return_url": extra.get("return_url", ""),
        "notify_url": extra.get("notify_url", ""),
        "op_user_passwd": "111111",
    }
    for key in ring.sign:
        if key.algorithm == ALGORITHM and isinstance(key.material, bytes):
            said["key"] = key.material.decode("ascii")
    return {name: value for name, value in said.items() if value}


PROTOCOL = Manifest(
    name="tenpay",
    title="Tenpay, payment gateway",
    title_zh="财付通支付网关",
    version="1.0 (2010 to 2015)",
    charset=GBK,
    operations=m.OPERATIONS,
    paths=(*m.PATH_OF.values(), m.SHORT_PATH),
    hosts=("gw.tenpay.com", "mch.tenpay.com", "api.mch.tenpay.com"),
    gateway=m.GATEWAY,
    timetable=(60, 120, 180, 240, 300, 420, 480),
    timetable_source="the guide's example, eight attempts in thirty minutes; the gaps are ours",
    algorithms=(ALGORITHM,),
    weak=True,
    confirms=True,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("partner", "id", "the merchant's number (商户号), 10 digits"),
        CredentialField("key", "secret", "the key (密钥) of 32 characters"),
        CredentialField(
            "gateway",
            "url",
            "address of pay.htm, where the browser pays",
            required=False,
        ),
        CredentialField("input_charset", "text", "GBK (default) or UTF-8", required=False),
        CredentialField(
            "return_url",
            "url",
            "where the browser returns, unless a request says another",
            required=False,
        ),
        CredentialField(
            "notify_url",
            "url",
            "where notices go, unless a request says another",
            required=False,
        ),
        CredentialField(
            "op_user_passwd",
            "text",
            "the operator's password, which a refund carries",
            required=False,
        ),
    ),
    server=Server(),
    client=Client(),
    bill=Bill(),
    sources=(
        "the official guide of 2013 and its PHP and Java demos, in public copies",
        "Ruby, PHP and Python clients and their test suites",
    ),
    unverified=(
        "gaps between the eight attempts",
        "whether lengths count bytes",
        "return codes beside 0, 88222005, 88222014, 88221009 and 03020003",
        "whether a target's own query takes part in a signature (here: not)",
        "what the summary line of a bill is called",
    ),
    charsets=("GBK", "UTF-8"),
    merchant_example="1900000109",
    private=m.PRIVATE,
    codes=m.WIRE_CODE,
    notifies=frozenset({("instant", "paid"), ("instant", "finished")}),
    said_as=m.SAID_AS,
    credentials_for=credentials_for,
)
