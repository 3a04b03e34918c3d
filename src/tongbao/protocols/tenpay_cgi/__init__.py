"""Tenpay (财付通), the older interface of 2005 to 2012 (``cmdno=1``): a signed form, one address for notice and return.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.tenpay_cgi import messages as m
from tongbao.protocols.tenpay_cgi.client import Client
from tongbao.protocols.tenpay_cgi.codec import ALGORITHM, GBK
from tongbao.protocols.tenpay_cgi.server import Server
from tongbao.wire.contract import CredentialField, Manifest, Onward
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this interface needs, under the names of the official handlers.

    ``ring`` is the merchant's side; ``base`` is the face's address without a slash at its end; ``extra`` may hold
    ``notify_url`` and ``charset``.
    """
    said = {
        "bargainor_id": merchant,
        "gateway": base + m.PAY_PATH,
        "query_gateway": base + m.QUERY_PATH,
        "cs": extra.get("charset", ""),
        "return_url": extra.get("notify_url", ""),
    }
    for key in ring.sign:
        if key.algorithm == ALGORITHM and isinstance(key.material, bytes):
            said["key"] = key.material.decode("ascii")
    return {name: value for name, value in said.items() if value}


SERVER, CLIENT = Server(), Client()

PROTOCOL = Manifest(
    name="tenpay_cgi",
    title="Tenpay, the older interface (cmdno=1)",
    title_zh="财付通旧接口（cmdno=1）",
    version="v1.0 (2005 to 2012)",
    charset=GBK,
    operations=m.OPERATIONS,
    paths=(m.PAY_PATH, m.QUERY_PATH),
    hosts=("www.tenpay.com",),
    gateway=m.GATEWAY,
    timetable=(60, 300, 1_800, 7_200, 21_600),
    timetable_source="none was published: the platform's default, a handful of attempts over some hours",
    algorithms=(ALGORITHM,),
    weak=True,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("bargainor_id", "id", "the merchant's number (商户号), 10 digits"),
        CredentialField("key", "secret", "the key (密钥) of 32 characters"),
        CredentialField("gateway", "url", "address of pay_gate.cgi, where the browser pays", required=False),
        CredentialField("query_gateway", "url", "address of cfbi_query_order_v3.cgi, for queries", required=False),
        CredentialField("cs", "text", "GBK (default) or UTF-8", required=False),
        CredentialField("return_url", "url", "the one address for notices and browsers", required=False),
    ),
    server=SERVER,
    client=CLIENT,
    onward=Onward(CLIENT.send_onward, SERVER.onward),
    one_address=True,
    sources=(
        "official handlers in PHP and ASP, in public copies; shop plugins (ecshop and others)",
        "Ruby and PHP clients and their test suites",
    ),
    unverified=(
        "number of repeated calls",
        "the field cs; whether empty fields stand in an answer's signature",
        "return codes of a query other than 00, and pay_result of an unpaid trade",
    ),
    charsets=("GBK", "UTF-8"),
    merchant_example="1900000109",
    private=m.PRIVATE,
    codes=m.WIRE_CODE,
    notifies=frozenset({("instant", "paid"), ("instant", "finished")}),
    said_as=m.SAID_AS,
    unsaid=frozenset({("CreateTrade", "subject"), ("Notification", "trade_no"), ("TradeFound", "trade_no")}),
    acknowledged_by_prefix=True,
    credentials_for=credentials_for,
)
