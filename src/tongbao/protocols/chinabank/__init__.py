"""ChinaBank (网银在线), the interface at PayGate: a signed form, one message for return and notice, a query.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.chinabank import messages as m
from tongbao.protocols.chinabank.client import Client
from tongbao.protocols.chinabank.codec import ALGORITHM, CHARSETS, GBK
from tongbao.protocols.chinabank.server import Server
from tongbao.wire.contract import CredentialField, Manifest
from tongbao.wire.form import same_charset
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this gateway needs, under the names of the official demos.

    ``ring`` is the merchant's side; ``base`` is the face's address without a slash at its end; ``extra`` may hold
    ``return_url``, ``notify_url``, ``order_sample`` and ``charset``.
    """
    said = {
        "v_mid": merchant,
        "gateway": base + m.PAY_PATH,
        "query_gateway": base + m.QUERY_PATH,
        "v_url": extra.get("return_url", ""),
        "notify_url": extra.get("notify_url", ""),
        "order_sample": extra.get("order_sample", ""),
        "encoding": "" if same_charset(extra.get("charset", GBK), GBK) else "UTF-8",
    }
    for key in ring.sign:
        if key.algorithm == ALGORITHM and isinstance(key.material, bytes):
            said["key"] = key.material.decode("ascii")
    return {name: value for name, value in said.items() if value}


PROTOCOL = Manifest(
    name="chinabank",
    title="ChinaBank, B2C interface",
    title_zh="网银在线 B2C 接口",
    version="4.1 (2008 to 2015)",
    charset=GBK,
    operations=m.OPERATIONS,
    paths=(m.PAY_PATH, m.OLD_PAY_PATH, m.QUERY_PATH),
    hosts=("pay3.chinabank.com.cn", "pay.chinabank.com.cn", "tmapi.jdpay.com"),
    gateway=m.GATEWAY,
    timetable=(60, 300, 1_800, 7_200, 21_600),
    timetable_source="none is documented: the platform's default, a handful of attempts over some hours",
    algorithms=(ALGORITHM,),
    weak=True,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("v_mid", "id", "the merchant's number (商户编号), 4 to 12 digits"),
        CredentialField("key", "secret", "the MD5 key (MD5 私钥) chosen in the merchant's console"),
        CredentialField("gateway", "url", "address of PayGate, where the browser pays", required=False),
        CredentialField("query_gateway", "url", "address of receiveorder.jsp, for queries", required=False),
        CredentialField("v_url", "url", "where the browser returns, unless a request says another", required=False),
        CredentialField("notify_url", "url", "where notices go, sent in remark2 as [url:=...]", required=False),
        CredentialField(
            "order_sample", "text", "one of the shop's order numbers, if all have its shape", required=False
        ),
        CredentialField("encoding", "text", "UTF-8 where the shop's pages are; else GBK", required=False),
    ),
    server=Server(),
    client=Client(),
    sources=(
        "the official demos Send, Receive and AutoReceive (ASP, PHP), which quote the document V4.1, in public copies",
        "open-source shop plugins (ecshop, phpcms, MVMMALL, destoon)",
        "a public PHP test suite with requests, results, query answers and bank codes",
    ),
    unverified=(
        "schedule of repeated notices",
        "the address of notices and the return where a request names none",
        "texts of error pages; that answers other than paid are signed",
        "bank codes (one list of about 2014)",
    ),
    merchant_example="22951234",
    charsets=CHARSETS,
    private=m.PRIVATE,
    codes=m.WIRE_CODE,
    notifies=frozenset({("instant", "paid"), ("instant", "finished")}),
    said_as=m.SAID_AS,
    unsaid=frozenset({("CreateTrade", "subject"), ("Notification", "trade_no"), ("TradeFound", "trade_no")}),
    credentials_for=credentials_for,
)
