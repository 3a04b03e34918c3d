"""99bill (快钱), the RMB gateway v2.0: a signed form, one result for notice and return, a query in SOAP.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.client import Client
from tongbao.protocols.kuaiqian.codec import ALGORITHMS, MD5, REFUND_KEY, RSA, UTF_8, WORD_OF
from tongbao.protocols.kuaiqian.server import Server
from tongbao.wire.contract import CredentialField, Manifest, Onward
from tongbao.wire.key import KeyRing
from tongbao.wire.sign import private_pem, public_pem
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
        if isinstance(key.material, bytes):
            said["refund_key" if key.algorithm == REFUND_KEY else "key"] = key.material.decode("ascii")
        elif key.algorithm == RSA and isinstance(key.material, RSAPrivateKey):
            said["private_key"] = private_pem(key.material)
    for key in ring.verify:
        if key.algorithm == RSA and isinstance(key.material, RSAPublicKey):
            said["bill99_public_key"] = public_pem(key.material)
    said["signType"] = extra.get("sign_type", "") or WORD_OF[MD5 if "key" in said else RSA]
    return {name: value for name, value in said.items() if value}


SERVER, CLIENT = Server(), Client()

PROTOCOL = Manifest(
    name="kuaiqian",
    title="99bill, RMB gateway",
    title_zh="快钱人民币网关",
    version="v2.0 (2008 to 2016)",
    charset=UTF_8,
    operations=m.OPERATIONS,
    paths=(*m.PATH_OF.values(), m.LATER_REFUND_PATH),
    hosts=("www.99bill.com", "sandbox.99bill.com"),
    gateway=m.GATEWAY,
    sandbox_gateway=m.SANDBOX_GATEWAY,
    timetable=(60, 300, 1_800, 7_200, 21_600),
    timetable_source="none was published: the platform's default, a handful of attempts over some hours",
    algorithms=ALGORITHMS,
    content_keys={REFUND_KEY: "text"},
    weak=True,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("merchantAcctId", "id", "the RMB account: the member code of 11 digits and 01"),
        CredentialField("key", "secret", "the key of the RMB gateway and its query (signType 1)", required=False),
        CredentialField("signType", "text", "1 MD5 (default where there is a key) or 4 PKI", required=False),
        CredentialField("private_key", "private_key", "the merchant's RSA key (signType 4)", required=False),
        CredentialField("bill99_public_key", "public_key", "99bill's public key (signType 4)", required=False),
        CredentialField("refund_key", "secret", "the key of refunds", required=False),
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
        "queries under PKI; what of a refund's answer is signed, and its root's name",
    ),
    merchant_example="1001213884201",
    private=m.PRIVATE,
    codes=m.WIRE_CODE,
    notifies=frozenset({("instant", "paid"), ("instant", "finished")}),
    said_as=m.SAID_AS,
    unsaid=frozenset({("RefundTrade", "state")}),
    credentials_for=credentials_for,
)
