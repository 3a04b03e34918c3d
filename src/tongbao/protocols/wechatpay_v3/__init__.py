"""WeChat Pay API v3: JSON over REST paths, RSA signatures both ways, contents sealed with AES-256-GCM (2019 to now).

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.bill import Bill
from tongbao.protocols.wechatpay_v3.client import Client
from tongbao.protocols.wechatpay_v3.codec import public_key_id, serial_of
from tongbao.protocols.wechatpay_v3.server import Server
from tongbao.protocols.wechatpay_v3.setting import GATEWAY
from tongbao.wire.certificate import chain_pem
from tongbao.wire.contract import CredentialField, Manifest
from tongbao.wire.key import KeyRing
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import Presentation, Product

APPID = "wxd930ea5d5a258f4f"
"""The appid that a sandbox hands out; the platform takes any."""


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this interface needs, under names that its SDKs use.

    ``ring`` is the merchant's side: ``sign`` signs requests, ``verify`` checks the platform. ``base`` is the face's
    address without a slash at its end. ``extra`` may hold ``appid`` and ``notify_url``. Both ways of trust are handed
    out: the platform's certificates, and its public key with its id.
    """
    said = {
        "mchid": merchant,
        "appid": extra.get("appid", "") or APPID,
        "gateway": base,
        "notify_url": extra.get("notify_url", ""),
        "sub_mchid": extra.get("sub_mchid", ""),
        "sub_appid": extra.get("sub_appid", ""),
    }
    for key in ring.sign:
        if key.algorithm == m.AEAD and isinstance(key.material, bytes):
            said["apiv3_key"] = key.material.decode("ascii")
        elif key.algorithm == m.ALGORITHM and isinstance(key.material, RSAPrivateKey):
            said["private_key"] = private_pem(key.material)
            said["serial_no"] = serial_of(key)
            said["certificate"] = chain_pem(key.chain[:1])
    for key in ring.verify:
        if key.algorithm == m.ALGORITHM and isinstance(key.material, RSAPublicKey):
            said["wechatpay_public_key"] = public_pem(key.material)
            said["wechatpay_public_key_id"] = public_key_id(key)
            said["platform_certificate"] = chain_pem(key.chain[:1])
            said["platform_serial_no"] = serial_of(key) if key.chain else ""
    return {name: value for name, value in said.items() if value}


_SERVER = Server()

PROTOCOL = Manifest(
    name="wechatpay_v3",
    title="WeChat Pay, API v3",
    title_zh="微信支付 API v3",
    version="v3, as documented in August 2026",
    charset="utf-8",
    operations={route.operation: route.intent for route in m.ROUTES},
    paths=tuple(dict.fromkeys(route.path for route in m.ROUTES)),
    hosts=m.HOSTS,
    gateway=GATEWAY,
    timetable=(15, 15, 30, 180, 600, 1_200, 1_800, 1_800, 1_800, 3_600, 10_800, 10_800, 10_800, 21_600, 21_600),
    timetable_source="the interface's notification pages: fifteen repeats in 24 hours and 4 minutes",
    algorithms=(m.ALGORITHM,),
    weak=False,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("mchid", "id", "the merchant's number (商户号), 8 to 10 digits"),
        CredentialField("appid", "text", "the appid that is bound to the merchant"),
        CredentialField("apiv3_key", "secret", "the APIv3 key (APIv3密钥), 32 letters and digits"),
        CredentialField("private_key", "private_key", "the merchant's RSA key (apiclient_key.pem)"),
        CredentialField("serial_no", "text", "serial number of the merchant's certificate, 40 hex digits"),
        CredentialField(
            "certificate", "certificate", "the merchant's certificate (apiclient_cert.pem)", required=False
        ),
        CredentialField(
            "wechatpay_public_key", "public_key", "the platform's public key (微信支付公钥)", required=False
        ),
        CredentialField("wechatpay_public_key_id", "text", "its id, PUB_KEY_ID_ and digits", required=False),
        CredentialField(
            "platform_certificate", "certificate", "the platform's certificates (平台证书), PEM", required=False
        ),
        CredentialField("platform_serial_no", "text", "the serial number of the newest of them", required=False),
        CredentialField("gateway", "url", "address of the API, without a path", required=False),
        CredentialField("notify_url", "url", "where notifications go, unless a request says", required=False),
        CredentialField(
            "sub_mchid", "text", "the merchant in whose name a service provider asks (特约商户号)", required=False
        ),
        CredentialField("sub_appid", "text", "the appid of that merchant", required=False),
    ),
    server=_SERVER,
    client=Client(),
    bill=Bill(),
    sources=(
        "pay.weixin.qq.com, documents of API v3: signing, verification, orders, refunds, bills, transfers, errors",
        "the official Go and Java SDKs and public SDKs of the community, run against a server of our own",
        "the community's OpenAPI description of v2 and v3",
    ),
    unverified=(
        "the order of the checks before the signature's; 404 and 405 with an empty body (here always)",
        "whether answers of 4xx are ever signed (here never); words spelt with and without underscores",
        "whether a repeated request is refused by its nonce (here it is)",
        "the status of OUT_TRADE_NO_USED; what the answer to reverse holds",
        "whether v3 has code payment: the documents have it, the official examples say v2 alone",
        "whether orders of v2 and v3 are one space (here a merchant's are)",
        "that every repeat of a notification has the same id and body, as here",
        "that a redirect of notify_url is not followed (here it is not)",
        "the timetable of transfers' notifications, of which one page differs (here that of all others)",
        "the word for a transfer's number that was used for another (here INVALID_REQUEST)",
        "OAEP with SHA-1, as here and in every SDK: one page of the documents says SHA-256",
        "the sign of fees on a bill's refund rows (here below zero, on a row of its own)",
        "the fewest orders of a combined one (here 1); whether its close may name some of them (here all)",
        "the word for a merchant who is not the provider's (here NO_AUTH)",
        "whether a provider who sends sub_openid must also send sub_appid (here he must)",
        "whether a transfer to a wrong name is refused at once, as here, or fails later, as in a batch",
        "the fields of a batch's notification; close_reason; what lines of a withdrawn batch say (OVERDUE_CLOSE)",
        "the fields of a return's answer beside result and return_id",
        "whether a return for which its receiver lacks the money is refused, as here, or FAILED",
        "what is said of shares of an order not created for them (here INVALID_REQUEST, and amounts 0)",
    ),
    notifies=frozenset({("instant", "paid")}),
    said_as={"finished": "paid", "refund:failed": "closed"},
    unsaid=frozenset(
        {
            ("TradeFound.unpaid", "trade_no"),
            ("TradeFound.closed", "trade_no"),
            ("BillLine", "serial"),
            ("Notification", "payouts"),
        }
    ),
    codes=m.WIRE_CODE,
    merchant_example="1900000109",
    private=m.PRIVATE,
    certificates=True,
    public_keys=True,
    content_keys={m.AEAD: "text"},
    presentations=(Presentation.QR, Presentation.WALLET, Presentation.APP, Presentation.H5, Presentation.BARCODE),
    code_prefix="13",
    modes={"partner": {"sub_mchid": "1900000117", "sub_appid": "wx1f87d44db95cba7a"}},
    costly=_SERVER,
    own_buyers=True,
    notifies_refund="own",
    refund_may_stick=True,
    bare_errors=True,
    refunds_most=50,
    wait_seconds=7 * 86_400,
    split_no_of_merchant=True,
    splits_as_created=True,
    receiver_kinds=m.RECEIVER_KINDS,
    notifies_payout=True,
    notifies_closed_batch=True,
    download=m.DOWNLOAD.path,
    returns=False,
    acknowledged_by_status=frozenset({200, 204}),
    credentials_for=credentials_for,
)
