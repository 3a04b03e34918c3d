"""What the merchant signs for the wallet: second signatures of JSAPI and APP, the code of a product (mode 1)."""

from __future__ import annotations

from collections.abc import Mapping

from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v2 import codec
from tongbao.wire.contract import Credentials
from tongbao.wire.form import encode_form

PRODUCT: str = "weixin://wxpay/bizpayurl?"


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
