"""Alipay's older interface for phones: a trade prepared between servers, then entered by the buyer's browser.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.alipay_wap import messages as m
from tongbao.protocols.alipay_wap.client import Client
from tongbao.protocols.alipay_wap.server import Server
from tongbao.wire.contract import CredentialField, Manifest
from tongbao.wire.key import KeyRing
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import Presentation, Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this interface needs, under the interface's own names.

    ``ring`` is the merchant's side; ``base`` is the face's address without a slash at its end; ``extra`` may hold
    ``seller_email``, ``return_url`` and ``notify_url``.
    """
    said = {
        "partner": merchant,
        "seller_account_name": extra.get("seller_email", ""),
        "gateway": base + m.REST_PATH,
        "query_gateway": base + m.GATEWAY_PATH,
        "return_url": extra.get("return_url", ""),
        "notify_url": extra.get("notify_url", ""),
    }
    for key in ring.sign:
        if key.algorithm == m.ALGORITHM and isinstance(key.material, bytes):
            said["key"] = key.material.decode("ascii")
    return {name: value for name, value in said.items() if value}


PROTOCOL = Manifest(
    name="alipay_wap",
    title="Alipay, older interface for phones (WAP)",
    title_zh="支付宝老手机网站支付",
    version="2.0",
    charset="utf-8",
    operations=m.OPERATIONS,
    paths=(m.REST_PATH, m.GATEWAY_PATH),
    hosts=("wappaygw.alipay.com",),
    gateway=m.GATEWAY,
    timetable=(240, 600, 600, 3_600, 7_200, 21_600, 54_000),
    timetable_source="the notes of its sibling on the main gateway: eight sends within 25 hours",
    algorithms=(m.ALGORITHM,),
    weak=True,
    confirms=True,
    products=frozenset({Product.INSTANT}),
    presentations=(Presentation.H5,),
    credentials=(
        CredentialField("partner", "id", "the merchant's number (合作者身份 ID, PID), 16 digits"),
        CredentialField("key", "secret", "the security code (安全校验码) for sign_type MD5"),
        CredentialField(
            "seller_account_name", "text", "the payee's login; the partner where it is missing", required=False
        ),
        CredentialField("gateway", "url", "address of rest.htm", required=False),
        CredentialField("query_gateway", "url", "address of gateway.do, for queries and notify_verify", required=False),
        CredentialField("return_url", "url", "call_back_url, unless a request says another", required=False),
        CredentialField("notify_url", "url", "where notifications go, unless a request says", required=False),
    ),
    server=Server(),
    client=Client(),
    sources=(
        "a mirror of the interface's parameter table",
        "the official demos and open-source merchant clients of the time",
        "a published test suite with signatures",
    ),
    unverified=(
        "numbers of error words other than 0005",
        "notifications other than of payments; lengths of addresses",
        "range of pay_expire; whether _input_charset in the address is signed",
    ),
    codes={code: m.word_of(code) for code in REFUSALS},
    codes_of={m.QUERY: m.QUERY_CODES},
    merchant_example="2088000000000001",
    private=m.PRIVATE,
    notifies=frozenset({("instant", "paid"), ("instant", "finished")}),
    unsaid=frozenset({("Return", "state"), ("Return", "amount")}),
    credentials_for=credentials_for,
)
