"""99bill (快钱), the RMB gateway v2.0: a signed form, one result for notice and return, a query in SOAP.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.client import Client
from tongbao.protocols.kuaiqian.codec import ALGORITHM, UTF_8
from tongbao.protocols.kuaiqian.server import Server
from tongbao.wire.contract import CredentialField, Manifest, Onward
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this gateway needs, under the names of the official demos.

    ``ring`` is the merchant's side; ``base`` is the face's address without a slash at its end; ``extra`` may hold
    ``return_url`` and ``notify_url``.
    """
    said = {
        "merchantAcctId": merchant,
        "gateway": base + m.PAY_PATH,
        "query_gateway": base + m.QUERY_PATH,
        "pageUrl": extra.get("return_url", ""),
        "bgUrl": extra.get("notify_url", ""),
    }
    for key in ring.sign:
        if key.algorithm == ALGORITHM and isinstance(key.material, bytes):
            said["key"] = key.material.decode("ascii")
    return {name: value for name, value in said.items() if value}


SERVER, CLIENT = Server(), Client()

PROTOCOL = Manifest(
    name="kuaiqian",
    title="99bill, RMB gateway",
    title_zh="快钱人民币网关",
    version="v2.0 (2008 to 2016)",
    charset=UTF_8,
    operations=m.OPERATIONS,
    paths=(m.PAY_PATH, m.QUERY_PATH),
    hosts=("www.99bill.com", "sandbox.99bill.com"),
    gateway=m.GATEWAY,
    timetable=(60, 300, 1_800, 7_200, 21_600),
    timetable_source="none was published: the platform's default, a handful of attempts over some hours",
    algorithms=(ALGORITHM,),
    weak=True,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("merchantAcctId", "id", "the RMB account: the member code of 11 digits and 01"),
        CredentialField("key", "secret", "the key of the RMB gateway, which must be the query's key too"),
        CredentialField("gateway", "url", "address of recvMerchantInfoAction.htm, where the browser pays", False),
        CredentialField("query_gateway", "url", "address of gatewayOrderQuery, for queries", required=False),
        CredentialField("inputCharset", "text", "1 UTF-8 (default), 2 GBK, 3 GB2312", required=False),
        CredentialField("pageUrl", "url", "where the browser returns, unless a request says another", required=False),
        CredentialField("bgUrl", "url", "where notices go, unless a request says another", required=False),
    ),
    server=SERVER,
    client=CLIENT,
    onward=Onward(CLIENT.send_onward, SERVER.onward),
    sources=(
        "copies of the official demos in PHP, Java and .NET",
        "Ruby clients and their test suites (yzhang/kuaiqian, xixilive/midpay_kuaiqian, huxinghai/kuaiqian)",
        "shop plugins and omnipay-99bill, for the newer order of fields",
    ),
    unverified=(
        "schedule of repeated notices",
        "charset of a result (here: that of the order)",
        "lengths of texts",
        "errors of a query (one table)",
    ),
    merchant_example="1001213884201",
    private=m.PRIVATE,
    codes=m.WIRE_CODE,
    notifies=frozenset({("instant", "paid"), ("instant", "finished")}),
    said_as=m.SAID_AS,
    credentials_for=credentials_for,
)
