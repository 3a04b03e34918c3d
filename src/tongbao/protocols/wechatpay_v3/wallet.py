"""What a merchant signs for the wallet once an order stands: the arguments by which a page or an app calls it.

Source: the interface's pages on calling the wallet (调起支付); vectors in ``vectors/sign.json``.
"""

from __future__ import annotations

from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.contract import Credentials


def sign_jsapi(credentials: Credentials, prepay_id: str, nonce: str, now: Instant, appid: str = "") -> dict[str, str]:
    """The argument of ``getBrandWCPayRequest``, and of a mini program's payment.

    ``appid`` '' means the configured one; a service provider whose order named the buyer by ``sub_openid`` gives
    ``sub_appid``. Raises InvalidSignature where there is no key to sign with.
    """
    appid, timestamp = appid or credentials.values["appid"], str(now // 1_000)
    package = f"prepay_id={prepay_id}"
    return {
        "appId": appid,
        "timeStamp": timestamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": _sign(credentials, appid, timestamp, nonce, package),
    }


def sign_app(credentials: Credentials, prepay_id: str, nonce: str, now: Instant, appid: str = "") -> dict[str, str]:
    """What an app hands over to the wallet's; here the number is signed by itself. Else as ``sign_jsapi``."""
    appid, timestamp = appid or credentials.values["appid"], str(now // 1_000)
    return {
        "appid": appid,
        "partnerid": credentials.merchant,
        "prepayid": prepay_id,
        "package": "Sign=WXPay",
        "noncestr": nonce,
        "timestamp": timestamp,
        "sign": _sign(credentials, appid, timestamp, nonce, prepay_id),
    }


def _sign(credentials: Credentials, appid: str, timestamp: str, nonce: str, package: str) -> str:
    return codec.sign(codec.pay_text(appid, timestamp, nonce, package), credentials.ring.signing(m.ALGORITHM))
