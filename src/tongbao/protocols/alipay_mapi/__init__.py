"""Alipay's classic interface: partner number, MD5 key, ``service=`` calls on one gateway address (2008 to 2016).

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.protocols.alipay_mapi import code as c
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.protocols.alipay_mapi.bill import Bill
from tongbao.protocols.alipay_mapi.client import GATEWAY, SANDBOX_GATEWAY, Client
from tongbao.protocols.alipay_mapi.codec import ALGORITHMS, CODECS, MD5, RSA
from tongbao.protocols.alipay_mapi.server import Server
from tongbao.wire.contract import CredentialField, Manifest
from tongbao.wire.key import KeyRing
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import Presentation, Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this interface needs, under the interface's own names.

    ``ring`` is the merchant's side: ``sign`` signs requests, ``verify`` checks the platform. ``base`` is the face's
    address without a slash at its end. ``extra`` may hold ``seller_email``, ``sign_type``, ``charset``,
    ``return_url`` and ``notify_url``.
    """
    said = {
        "partner": merchant,
        "seller_id": merchant,
        "seller_email": extra.get("seller_email", ""),
        "charset": extra.get("charset", "utf-8"),
        "gateway": base + m.GATEWAY_PATH,
        "notify_query": base + m.OLD_CONFIRM_PATH,
        "return_url": extra.get("return_url", ""),
        "notify_url": extra.get("notify_url", ""),
    }
    for key in ring.sign:
        if key.algorithm == MD5 and isinstance(key.material, bytes):
            said["key"] = key.material.decode("ascii")
        elif key.algorithm == RSA and isinstance(key.material, RSAPrivateKey):
            said["private_key"] = private_pem(key.material)
    for key in ring.verify:
        if key.algorithm == RSA and isinstance(key.material, RSAPublicKey):
            said["alipay_public_key"] = public_pem(key.material)
    said["sign_type"] = extra.get("sign_type", "") or (MD5 if "key" in said else RSA)
    return {name: value for name, value in said.items() if value}


PROTOCOL = Manifest(
    name="alipay_mapi",
    title="Alipay, classic interface (MAPI)",
    title_zh="支付宝老接口（即时到账、担保交易、双功能）",
    version="direct 4.7, escrow 1.8, dual 1.9",
    charset="utf-8",
    operations={name: service.intent for name, service in m.SERVICES.items()},
    paths=(m.GATEWAY_PATH, m.OLD_GATEWAY_PATH, m.OLD_CONFIRM_PATH),
    hosts=("mapi.alipay.com", "www.alipay.com", "notify.alipay.com", "mapi.alipaydev.com"),
    gateway=GATEWAY,
    sandbox_gateway=SANDBOX_GATEWAY,
    timetable=(240, 600, 600, 3_600, 7_200, 21_600, 54_000),
    timetable_source="the interface's notes: 4, 10, 10 min, 1, 2, 6, 15 h; eight sends within 25 hours",
    algorithms=ALGORITHMS,
    weak=True,
    confirms=True,
    products=frozenset(Product),
    credentials=(
        CredentialField("partner", "id", "the merchant's number (合作者身份 ID, PID), 16 digits"),
        CredentialField("key", "secret", "the security code (安全校验码) for sign_type MD5", required=False),
        CredentialField("seller_id", "id", "the payee's number; the partner where it is missing", required=False),
        CredentialField("seller_email", "text", "the payee's login, instead of seller_id", required=False),
        CredentialField("sign_type", "text", "MD5 (the default) or RSA", required=False),
        CredentialField("private_key", "private_key", "the merchant's RSA key, for sign_type RSA", required=False),
        CredentialField("alipay_public_key", "public_key", "the platform's RSA key, for sign_type RSA", required=False),
        CredentialField("charset", "text", "_input_charset: utf-8 (the default), gbk or gb2312", required=False),
        CredentialField("gateway", "url", "address of gateway.do", required=False),
        CredentialField(
            "notify_query", "url", "older address that answers true or false to a notify_id", required=False
        ),
        CredentialField(
            "return_url", "url", "where the buyer's browser goes home, unless a request says", required=False
        ),
        CredentialField("notify_url", "url", "where notifications go, unless a request says", required=False),
    ),
    batches_by_browser=True,
    server=Server(),
    client=Client(),
    sources=(
        "the interface's integration guides for direct payment, escrow and dual trades",
        "open-source merchant clients and shop plugins of the time",
        "published test suites with signatures",
    ),
    unverified=(
        "sign in the answer to query_timestamp; lifetime of the anti-phishing key",
        "encoding of XML answers to gbk callers",
        "blanks around the word success; HTTP status other than 200",
        "next actions named while an escrow trade is unpaid",
        "lists of error words of refunds and payouts; text and signature of refund_fastpay_query",
        "what is signed in account.page.query; words of its lines; frame of the daily file",
        "leaves of a refused alipay.acquire.precreate",
    ),
    # a dual trade that was paid at once hears TRADE_FINISHED then, and nothing new when its refund term ends
    said_as={"dual:finished": "paid", "refund:closed": "failed", "payout:closed": "failed"},
    codes=c.WIRE_CODE,
    codes_of=c.CODES_OF,
    notifies_refund="trade",
    presentations=(
        Presentation.PAGE,
        Presentation.H5,
        Presentation.APP,
        Presentation.QR,
        Presentation.BARCODE,
    ),
    bill=Bill(),
    charsets=tuple(CODECS),
    merchant_example="2088000000000001",
    private=m.PRIVATE,
    credentials_for=credentials_for,
)
