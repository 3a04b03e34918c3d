"""Cncard (云网支付@网), the port for merchants: a signed form, one result for notice and return, a query.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.cncard import messages as m
from tongbao.protocols.cncard.client import Client
from tongbao.protocols.cncard.codec import ALGORITHM, GBK
from tongbao.protocols.cncard.server import Server
from tongbao.wire.contract import CredentialField, Manifest, Onward
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this gateway needs, under the names of the official demos.

    ``ring`` is the merchant's side; ``base`` is the face's address without a slash at its end; ``extra`` may hold
    ``return_url``, ``notify_url`` and ``order_sample``.
    """
    said = {
        "c_mid": merchant,
        "gateway": base + m.PAY_PATH,
        "query_gateway": base + m.QUERY_PATH,
        "c_returl": extra.get("return_url", ""),
        "notify_url": extra.get("notify_url", ""),
        "order_sample": extra.get("order_sample", ""),
    }
    for key in ring.sign:
        if key.algorithm == ALGORITHM and isinstance(key.material, bytes):
            said["c_pass"] = key.material.decode("ascii")
    return {name: value for name, value in said.items() if value}


SERVER, CLIENT = Server(), Client()

PROTOCOL = Manifest(
    name="cncard",
    title="Cncard, port for merchants",
    title_zh="云网支付@网商户接口",
    version="1.7 (2008)",
    charset=GBK,
    operations=m.OPERATIONS,
    paths=(m.PAY_PATH, m.LATER_PAY_PATH, m.QUERY_PATH),
    hosts=("www.cncard.net",),
    gateway=m.GATEWAY,
    timetable=(60, 300, 1_800, 7_200, 21_600),
    timetable_source="none was published: the platform's default, a handful of attempts over some hours",
    algorithms=(ALGORITHM,),
    weak=True,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("c_mid", "id", "the merchant's number (商户编号), digits"),
        CredentialField("c_pass", "secret", "the payment key (支付密钥) of the merchant's console"),
        CredentialField("gateway", "url", "address of getorder.asp, where the browser pays", required=False),
        CredentialField("query_gateway", "url", "address of queryorder.asp, for queries", required=False),
        CredentialField("c_returl", "url", "where the browser returns, unless a request says another", required=False),
        CredentialField("notify_url", "url", "where notices go (notifytype 1)", required=False),
        CredentialField(
            "order_sample", "text", "one of the shop's order numbers, if all have its shape", required=False
        ),
    ),
    server=SERVER,
    client=CLIENT,
    onward=Onward(CLIENT.send_onward, SERVER.onward),
    sources=(
        "the official demos: ASP v1.6 and v1.7, PHP v1.1, .NET, in public copies",
        "open-source shop plugins (ecshop, ShopEx, phpcms, MVMMALL and others)",
        "ICanPay, for the query",
    ),
    unverified=(
        "schedule of repeated notices",
        "transport of a query's result, and its words for unpaid (000) and unknown (002)",
        "bytes under the signature of Chinese memos",
        "lengths; bank codes (one list)",
    ),
    merchant_example="1020440",
    private=m.PRIVATE,
    codes=m.WIRE_CODE,
    notifies=frozenset({("instant", "paid"), ("instant", "finished")}),
    said_as=m.SAID_AS,
    unsaid=frozenset({("CreateTrade", "subject"), ("Notification", "trade_no"), ("TradeFound", "trade_no")}),
    credentials_for=credentials_for,
)
