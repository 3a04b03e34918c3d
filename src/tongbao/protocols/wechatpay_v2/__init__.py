"""WeChat Pay API v2: flat XML, one shared key, MD5 or HMAC-SHA256 (2013 to now).

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.protocols.wechatpay_v2.client import GATEWAY, Client
from tongbao.protocols.wechatpay_v2.server import Server
from tongbao.protocols.wechatpay_v2.wallet import ProductCodes
from tongbao.wire.contract import CredentialField, Manifest
from tongbao.wire.key import KeyRing
from tongbao.wire.loader import load_protocol
from tongbao.wire.vocabulary import Presentation, Product

APPID = "wx2421b1c4370ec43b"
"""The appid that a sandbox hands out, another than v3's, whose merchant is another; the platform takes any."""


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this interface needs, under the interface's own names.

    ``ring`` is the merchant's side. ``base`` is the face's address without a slash at its end. ``extra`` may hold
    ``appid``, ``sign_type`` and ``notify_url``.
    """
    key = next(key for key in ring.sign if key.algorithm in m.ALGORITHMS and isinstance(key.material, bytes))
    said = {
        "mch_id": merchant,
        "appid": extra.get("appid", "") or APPID,
        "key": key.material.decode("ascii") if isinstance(key.material, bytes) else "",
        "sign_type": extra.get("sign_type", "") or key.algorithm,
        "gateway": base,
        "notify_url": extra.get("notify_url", ""),
    }
    return {name: value for name, value in said.items() if value}


PROTOCOL = Manifest(
    name="wechatpay_v2",
    title="WeChat Pay, API v2",
    title_zh="微信支付 API v2",
    version="v2, as documented in August 2026",
    charset="utf-8",
    operations={path: service.intent for path, service in m.SERVICES.items()},
    paths=tuple(m.SERVICES),
    hosts=("api.mch.weixin.qq.com", "api2.mch.weixin.qq.com"),
    gateway=GATEWAY,
    timetable=(15, 15, 30, 180, 600, 1_200, 1_800, 1_800, 1_800, 3_600, 10_800, 10_800, 10_800, 21_600, 21_600),
    timetable_source="the interface's notification pages: fifteen repeats in 24 hours and 4 minutes",
    algorithms=m.ALGORITHMS,
    weak=True,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("mch_id", "id", "the merchant's number (商户号), 8 to 10 digits"),
        CredentialField("appid", "text", "the appid that is bound to the merchant"),
        CredentialField("key", "secret", "the API key (API密钥), 32 characters"),
        CredentialField("sign_type", "text", "HMAC-SHA256 (the default) or MD5", required=False),
        CredentialField(
            "certificate",
            "certificate",
            "the merchant's client certificate (apiclient_cert.pem), which refunds and transfers want to be shown",
            required=False,
        ),
        CredentialField("private_key", "private_key", "its RSA key (apiclient_key.pem)", required=False),
        CredentialField("gateway", "url", "address of the API, without a path", required=False),
        CredentialField("notify_url", "url", "where notifications go, unless a request says", required=False),
    ),
    server=Server(),
    client=Client(),
    bill=load_protocol("wechatpay_v3").bill,
    sources=(
        "pay.weixin.qq.com, documents of API v2: orders, code payment, refunds, bills, transfers, notifications",
        "public SDKs of the community, run against a server of our own",
        "the community's OpenAPI description of v2 and v3; advisories about XML of 2018 and 2019",
    ),
    unverified=(
        "texts of return_msg; which mistakes are told by return_code and which by err_code",
        "whether answers of transfers are ever signed",
        "a transfer that is taken and not finished is answered SYSTEMERROR here, the word for asking again",
        "the Content-Type of answers (here text/plain)",
        "whether time_expire must be a minute ahead or more (here any time to come, up to 15 days)",
        "how long an unpaid order lives without time_expire (here 7 days, as in v3)",
        "how many refunds one answer of refundquery tells (here 50)",
        "whether total_refund_count is said without an offset (here it is)",
        "the word for a refund too many (here ERROR)",
        "whether orders of v2 and v3 are one space (here a merchant's are)",
        "that a redirect of notify_url is not followed (here it is not)",
    ),
    notifies=frozenset({("instant", "paid")}),
    said_as={"finished": "paid", "refund:failed": "closed"},
    unsaid=frozenset(
        {
            ("TradeFound.unpaid", "trade_no"),
            ("TradeFound.closed", "trade_no"),
            ("RefundTrade", "state"),
            ("PayOut", "state"),
            ("BillLine", "serial"),
        }
    ),
    codes=m.WIRE_CODE,
    codes_of=m.CODES_OF,
    merchant_example="1900000110",
    private=m.PRIVATE,
    client_certificate=("certificate", "private_key"),
    code_prefix="13",
    product_codes=ProductCodes(),
    presentations=(
        Presentation.QR, Presentation.WALLET, Presentation.APP, Presentation.H5, Presentation.BARCODE,
    ),
    own_buyers=True,
    notifies_refund="own",
    refund_may_stick=True,
    refunds_most=50,
    wait_seconds=7 * 86_400,
    returns=False,
    credentials_for=credentials_for,
)  # fmt: skip
