"""What passes between merchant and wallet: second signatures of JSAPI and APP, and the code of a product (mode 1).

A code of mode 1 is signed by the merchant and names a product. When it is scanned, the platform asks the merchant, both
of them signing in the kind of the code's own signature, and he answers with the ``prepay_id`` of an order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tongbao.kernel.error import InvalidSignature, Refused, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v2 import codec
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.wire import http
from tongbao.wire.contract import Claim, Credentials
from tongbao.wire.form import encode_form, parse_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Carriage

PRODUCT: Final = "weixin://wxpay/bizpayurl?"


def sign_jsapi(credentials: Credentials, prepay_id: str, nonce: str, now: Instant) -> dict[str, str]:
    """The argument of ``getBrandWCPayRequest``, and of a mini program's payment."""
    key = credentials.ring.signing(credentials.values["sign_type"])
    fields = {
        "appId": credentials.values["appid"],
        "timeStamp": str(now // 1_000),
        "nonceStr": nonce,
        "package": f"prepay_id={prepay_id}",
        "signType": key.algorithm,
    }
    return {**fields, "paySign": codec.make_sign(fields, key)}


def sign_app(credentials: Credentials, prepay_id: str, nonce: str, now: Instant) -> dict[str, str]:
    """What an app hands over to the wallet's."""
    key = credentials.ring.signing(credentials.values["sign_type"])
    fields = {
        "appid": credentials.values["appid"],
        "partnerid": credentials.merchant,
        "prepayid": prepay_id,
        "package": "Sign=WXPay",
        "noncestr": nonce,
        "timestamp": str(now // 1_000),
    }
    return {**fields, "sign": codec.make_sign(fields, key)}


def sign_product(credentials: Credentials, product_id: str, nonce: str, now: Instant) -> str:
    """The text of a QR code of mode 1, which names a product and no order."""
    key = credentials.ring.signing(credentials.values["sign_type"])
    fields = {
        "appid": credentials.values["appid"],
        "mch_id": credentials.merchant,
        "product_id": product_id,
        "time_stamp": str(now // 1_000),
        "nonce_str": nonce,
    }
    return PRODUCT + encode_form(tuple({"sign": codec.make_sign(fields, key), **fields}.items())).decode("ascii")


def read_scan(body: bytes, credentials: Credentials) -> Mapping[str, str]:
    """What the platform asks the merchant when such a code was scanned: who (``openid``) wants which ``product_id``.
    Raises RemoteProtocolError."""
    fields = codec.read_fields(body)
    codec.authenticate(fields, credentials.values["sign_type"], credentials.ring)
    if fields.get("mch_id") != credentials.merchant:
        raise codec.invalid("mch_id", "is another merchant's", "SELLER_UNKNOWN")
    codec.check_app(fields, credentials.values["appid"])
    for name in ("openid", "product_id"):
        codec.text(fields, name, 128, needed=True)
    return fields


def answer_scan(credentials: Credentials, prepay_id: str, nonce: str, refusal: str = "") -> bytes:
    """The merchant's answer: the order that he opened for it, or why not."""
    key = credentials.ring.signing(credentials.values["sign_type"])
    fields = {
        "return_code": "SUCCESS",
        "appid": credentials.values["appid"],
        "mch_id": credentials.merchant,
        "nonce_str": nonce,
        "prepay_id": prepay_id,
        "result_code": "FAIL" if refusal else "SUCCESS",
        "err_code_des": refusal,
    }
    return codec.write_fields(codec.signed(fields, key))


# --- the platform's half -----------------------------------------------------------------------------------------

_CODE: Final = ("appid", "mch_id", "nonce_str", "product_id", "sign", "time_stamp")
_PRODUCT_ID: Final = re.compile(r"[0-9A-Za-z_\-|*@.]{1,32}", re.ASCII)
_KIND: Final = {32: m.MD5, 64: m.HMAC}
"""The length of a signature tells its kind, which a code does not name."""


@dataclass(frozen=True, slots=True)
class _Scanned:
    """What a code says. ``algorithm`` is that of its signature."""

    fields: Mapping[str, str] = field(repr=False)
    algorithm: str


class ProductCodes:
    """See ``tongbao.wire.contract.ProductEnd``."""

    def claim(self, text: str) -> Claim | None:
        head, _, rest = text.strip().partition("?")
        if f"{head}?" != PRODUCT:
            return None
        fields = dict(parse_form(rest.encode("utf-8")))
        if "product_id" not in fields:
            return None  # mode 2, whose code names an order
        for name in _CODE:
            codec.text(fields, name, 128, needed=True)
        codec.number(fields, "mch_id", codec.SERIAL, needed=True)
        codec.number(fields, "product_id", _PRODUCT_ID, needed=True)
        algorithm = _KIND.get(len(fields["sign"]))
        if algorithm is None:
            raise InvalidSignature("sign", "has the length of no kind of signature")
        return Claim(fields["mch_id"], "bizpayurl", Carriage.DEVICE, _Scanned(fields, algorithm))

    def check(self, claim: Claim, ring: KeyRing) -> None:
        scanned: _Scanned = claim.parsed
        codec.authenticate(scanned.fields, scanned.algorithm, ring)

    def ask(self, claim: Claim, buyer: str, target: str, ring: KeyRing, now: Instant) -> Request:
        scanned: _Scanned = claim.parsed
        fields = {
            "appid": scanned.fields["appid"],
            "openid": buyer,
            "mch_id": claim.merchant,
            "is_subscribe": "N",
            "product_id": scanned.fields["product_id"],
        }
        plain = codec.canonical(fields).encode("utf-8")
        fields["nonce_str"] = codec.derived_nonce(codec.shared(ring), plain, str(now).encode())
        key = codec.active(ring, scanned.algorithm)
        return http.post(target, codec.write_fields(codec.signed(fields, key)), codec.KIND)

    def read(self, claim: Claim, response: Response, ring: KeyRing) -> str:
        """The ``prepay_id``. A failure to communicate (``return_code``) is unsigned, and its words are nobody's."""
        scanned: _Scanned = claim.parsed
        if response.status != 200:
            raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
        fields = codec.read_fields(response.body)
        if fields.get("return_code") != "SUCCESS":
            raise RemoteProtocolError("return_code", "is not SUCCESS", "FIELD_INVALID")
        codec.authenticate(fields, scanned.algorithm, ring)
        for name, wanted in (("mch_id", claim.merchant), ("appid", scanned.fields["appid"])):
            if fields.get(name) != wanted:
                raise codec.invalid(name, "is not the one of the code", "SELLER_UNKNOWN")
        if fields.get("result_code") != "SUCCESS":
            raise Refused("TRADE_NOT_FOUND", codec.text(fields, "err_code_des", 128))
        return codec.number(fields, "prepay_id", codec.SERIAL, needed=True)
