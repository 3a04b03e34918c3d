"""Result codes: ours, the gateway's own words, and the five digits and texts that stand beside them. What the words
say to the merchant's half is in ``word``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import InvalidSignature, ProtocolError, Refused, TongbaoError
from tongbao.protocols.alipay_openapi import messages as m

SUCCESS: Final = "10000"
PAYING: Final = "10003"
UNKNOWN: Final = "20000"
BUSINESS: Final = "40004"
UNKNOW_ERROR: Final = "isp.unknow-error"

MESSAGE: Final[dict[str, str]] = {
    SUCCESS: "Success",
    PAYING: " order success pay inprocess",
    UNKNOWN: "Service Currently Unavailable",
    "20001": "Insufficient Token Permissions",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40003": "Insufficient Conditions",
    BUSINESS: "Business Failed",
    "40005": "Call Limited",
    "40006": "Insufficient Permissions",
}
"""Public code -> ``msg``; the leading blank of 10003 is the gateway's own."""

WIRE_CODE: Final[dict[str, str]] = {
    "MALFORMED": "isv.invalid-parameter",
    "TOO_LARGE": "isv.invalid-parameter",
    "BAD_CHARSET": "isv.invalid-charset",
    "DUPLICATE_PARAM": "isv.suspected-attack",
    "AMBIGUOUS_SPLIT": "isv.suspected-attack",
    "FIELD_MISSING": "ACQ.INVALID_PARAMETER",
    "FIELD_INVALID": "ACQ.INVALID_PARAMETER",
    "UNKNOWN_SERVICE": "isv.invalid-method",
    "AMOUNT_INVALID": "ACQ.INVALID_PARAMETER",
    "AMOUNT_CONFLICT": "ACQ.INVALID_PARAMETER",
    "AMOUNT_NOT_POSITIVE": "ACQ.INVALID_PARAMETER",
    "CURRENCY_NOT_ALLOWED": "ACQ.CURRENCY_NOT_SUPPORT",
    "URL_NOT_ALLOWED": "ACQ.INVALID_PARAMETER",
    "EXPIRY_INVALID": "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
    "LOGISTICS_INVALID": "ACQ.INVALID_PARAMETER",
    "BANK_UNKNOWN": "ACQ.INVALID_PARAMETER",
    "CLIENT_IP_INVALID": "ACQ.RISK_MERCHANT_IP_NOT_EXIST",
    "UNKNOWN_MERCHANT": "isv.invalid-app-id",
    "SIGN_MISSING": "isv.missing-signature",
    "SIGN_TYPE_NOT_ALLOWED": "isv.invalid-signature-type",
    "SIGN_INVALID": "isv.invalid-signature",
    "KEY_UNKNOWN": "isv.app-cert-not-exist",
    "KEY_REVOKED": "isv.app-cert-expired",
    "STALE": "isv.invalid-timestamp",
    "ANTI_PHISHING_INVALID": "isv.invalid-token",
    "ANTI_PHISHING_EXPIRED": "aop.auth-token-time-out",
    "NO_PRIVILEGE": "isv.insufficient-isv-permissions",
    "MERCHANT_DISABLED": "ACQ.PARTNER_ERROR",
    "SELLER_UNKNOWN": "ACQ.SELLER_NOT_EXIST",
    "BUYER_UNKNOWN": "ACQ.BUYER_NOT_EXIST",
    "BUYER_IS_SELLER": "ACQ.BUYER_SELLER_EQUAL",
    "RATE_LIMITED": "isv.app-call-limited",
    "TRADE_NOT_FOUND": "ACQ.TRADE_NOT_EXIST",
    "TRADE_STATE": "ACQ.TRADE_STATUS_ERROR",
    "TRADE_NOT_PAYABLE": "ACQ.TRADE_HAS_SUCCESS",
    "TRADE_AMOUNT_MISMATCH": "ACQ.CONTEXT_INCONSISTENT",
    "TRADE_PRICE_MISMATCH": "ACQ.CONTEXT_INCONSISTENT",
    "TRADE_QUANTITY_MISMATCH": "ACQ.CONTEXT_INCONSISTENT",
    "TRADE_SELLER_MISMATCH": "ACQ.CONTEXT_INCONSISTENT",
    "TRADE_BUYER_MISMATCH": "ACQ.TRADE_BUYER_NOT_MATCH",
    "TRADE_FROZEN": "ACQ.CONTEXT_INCONSISTENT",
    "METHOD_NOT_ALLOWED": "ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE",
    "BUYER_DISABLED": "ACQ.BUYER_ENABLE_STATUS_FORBID",
    "LOGIN_WRONG": "ACQ.PAYMENT_FAIL",
    "PASSWORD_WRONG": "ACQ.PAYMENT_FAIL",
    "PASSWORD_LOCKED": "ACQ.PAYMENT_FAIL",
    "AUTHORISATION_INVALID": "isv.code-invalid",
    "REVIEW_AGAIN": "ACQ.CONTEXT_INCONSISTENT",
    "INSUFFICIENT_FUNDS": "ACQ.BUYER_BALANCE_NOT_ENOUGH",
    "PAYMENT_NOT_FOUND": "ACQ.TRADE_NOT_EXIST",
    "PAYMENT_STATE": "ACQ.TRADE_STATUS_ERROR",
    "CASHIER_LINK_INVALID": "ACQ.ACCESS_FORBIDDEN",
    "REFUND_EXCEEDS": "ACQ.REASON_TRADE_REFUND_FEE_ERR",
    "REFUND_NOT_FOUND": "ACQ.TRADE_NOT_EXIST",
    "REFUND_MISMATCH": "ACQ.DISCORDANT_REPEAT_REQUEST",
    "REFUND_EXPIRED": "ACQ.TRADE_HAS_FINISHED",
    "MERCHANT_FUNDS": "ACQ.SELLER_BALANCE_NOT_ENOUGH",
    "SPLIT_EXCEEDS": "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR",
    "SPLIT_NOT_FOUND": "ACQ.TRADE_SETTLE_ERROR",
    "RECEIVER_UNKNOWN": "ACQ.ROYALTY_RECEIVER_INVALID",
    "PAYOUT_NOT_FOUND": "ORDER_NOT_EXIST",
    "PAYOUT_MISMATCH": "PAYMENT_INFO_INCONSISTENCY",
    "BATCH_INVALID": "INVALID_PARAMETER",
    "BATCH_NOT_FOUND": "ORDER_NOT_EXIST",
    "PAYEE_UNKNOWN": "PAYEE_NOT_EXIST",
    "PAYEE_NAME_MISMATCH": "PAYEE_USERINFO_ERROR",
    "PAYOUT_COOLING": "SECURITY_CHECK_FAILED",
    "LIMIT_EXCEEDED": "EXCEED_LIMIT_DM_MAX_AMOUNT",
    "BILL_NOT_READY": "BILL_NOT_EXIST",
    "BILL_NOT_FOUND": "NO_BILL_DATA",
    "BILL_DATE_INVALID": "INVAILID_ARGUMENTS",
    "CODE_INVALID": "ACQ.PAYMENT_AUTH_CODE_INVALID",
    "BUYER_PAYING": PAYING,
    "SIGNATURE_WEAK_LIMIT": "ACQ.TOTAL_FEE_EXCEED",
    "CERT_REQUIRED": "isv.missing-app-cert-sn",
    "NOT_FOUND": "ACQ.TRADE_NOT_EXIST",
    "ALREADY_EXISTS": "ACQ.CONTEXT_INCONSISTENT",
    "STATE_CONFLICT": "ACQ.TRADE_STATUS_ERROR",
    "MAKER_IS_CHECKER": "ACQ.ACCESS_FORBIDDEN",
    "IDEMPOTENCY_CONFLICT": "ACQ.DISCORDANT_REPEAT_REQUEST",
    "SYSTEM": UNKNOW_ERROR,
}
"""Our refusal code -> the gateway's sub code; total over ``REFUSALS``. 10003 and 10000 have none and stand alone."""

_BY_STATE: Final = {
    ("TRADE_NOT_PAYABLE", "unpaid"): "ACQ.TRADE_STATUS_ERROR",
    ("TRADE_NOT_PAYABLE", "closed"): "ACQ.TRADE_HAS_CLOSE",
    ("BILL_NOT_FOUND", "unborn"): "BILL_DATE_BEFORE_REGISTRATION",
    ("PAYEE_UNKNOWN", "self"): "PAYER_PAYEE_CANNOT_SAME",
}
"""Refusal code and the state of what is asked about -> a closer word. A shop that is not paid must not hear that it
is: it would ship (sheet alipay-openapi, section 7)."""

_FUNDS: Final = {code: "INVALID_PARAMETER" for code, word in WIRE_CODE.items() if word.startswith("ACQ.")}
_BILLS: Final = dict.fromkeys(_FUNDS, "INVAILID_ARGUMENTS")
"""Business words of these bear no ``ACQ.``; this is what they say where they have no closer one (sheet alipay-openapi,
6.12 and 6.14)."""

_COMMON: Final = dict.fromkeys(_FUNDS, "isv.invalid-parameter")
"""Consents and certificates have no business words at all, only those of the gateway (section 4)."""
_APP_STATE: Final = {"MERCHANT_DISABLED": "isv.invalid-app-state"}
CODES_OF: Final[dict[str, Mapping[str, str]]] = {
    m.REFUND: {
        "TRADE_AMOUNT_MISMATCH": "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
        "LIMIT_EXCEEDED": "ACQ.TRADE_NOT_ALLOW_REFUND",
    },
    m.REFUND_QUERY: {"REFUND_NOT_FOUND": SUCCESS},
    m.OAUTH: {
        **_COMMON,
        **_APP_STATE,
        "CODE_INVALID": "isv.code-invalid",
        "AUTHORISATION_INVALID": "isv.refresh-token-invalid",
    },
    m.CERTIFICATE: {**_COMMON, **_APP_STATE},
    m.TRANSFER: {
        **_FUNDS,
        "MERCHANT_FUNDS": "PAYER_BALANCE_NOT_ENOUGH",
        "MERCHANT_DISABLED": "PAYER_STATUS_ERROR",
        "STATE_CONFLICT": "PAYER_STATUS_ERROR",
        "IDEMPOTENCY_CONFLICT": "PAYMENT_INFO_INCONSISTENCY",
        "NO_PRIVILEGE": "PRODUCT_NOT_SIGN",
        "ALREADY_EXISTS": "BIZ_UNIQUE_EXCEPTION",
    },
    m.TRANSFER_QUERY: {**_FUNDS, **_APP_STATE},
    m.ACCOUNT: {**_FUNDS, **_APP_STATE, "NO_PRIVILEGE": "NO_PERMISSION_ACCOUNT"},
    m.BILL: {
        **_BILLS,
        **_APP_STATE,
        "RATE_LIMITED": "USER_RATE_LIMIT",
    },
    m.CLOSE: {"TRADE_NOT_PAYABLE": "ACQ.TRADE_STATUS_ERROR"},
    m.CANCEL: {
        "TRADE_STATE": "ACQ.TRADE_HAS_FINISHED",
        "STATE_CONFLICT": "ACQ.CANCEL_NOT_ALLOWED",
        "TRADE_NOT_FOUND": SUCCESS,
        "LIMIT_EXCEEDED": "ACQ.CANCEL_NOT_ALLOWED",
    },
}
"""Operation -> the words it has for itself."""

_FIELD_CODE: Final[dict[tuple[str, str], str]] = {
    ("FIELD_MISSING", "method"): "isv.missing-method",
    ("FIELD_MISSING", "app_id"): "isv.missing-app-id",
    ("FIELD_INVALID", "app_id"): "isv.invalid-app-id",
    ("FIELD_MISSING", "timestamp"): "isv.missing-timestamp",
    ("FIELD_INVALID", "timestamp"): "isv.invalid-timestamp",
    ("FIELD_MISSING", "version"): "isv.missing-version",
    ("FIELD_MISSING", "charset"): "isv.invalid-charset",
    ("SIGN_MISSING", "sign_type"): "isv.missing-signature-type",
    ("FIELD_INVALID", "format"): "isv.invalid-format",
    ("FIELD_INVALID", "version"): "isv.invalid-parameter",
    ("FIELD_INVALID", "encrypt_type"): "isv.invalid-encrypt-type",
    ("FIELD_INVALID", "biz_content"): "isv.invalid-encrypt",
    ("KEY_UNKNOWN", "encrypt_type"): "isv.missing-encrypt-key",
    ("KEY_UNKNOWN", "alipay_root_cert_sn"): "isv.invalid-alipay-root-cert-sn",
    ("KEY_UNKNOWN", "alipay_cert_sn"): "isv.alipay-cert-not-exist",
    ("FIELD_MISSING", "app_cert_sn"): "isv.missing-app-cert-sn",
    ("FIELD_MISSING", "alipay_root_cert_sn"): "isv.missing-alipay-root-cert-sn",
    ("MALFORMED", "biz_content"): "isv.illegal-json",
    ("AUTHORISATION_INVALID", "refresh_token"): "isv.refresh-token-invalid",
    ("FIELD_INVALID", "grant_type"): "isv.grant-type-invalid",
    ("FIELD_MISSING", "grant_type"): "isv.grant-type-invalid",
    ("FIELD_MISSING", "code"): "isv.code-invalid",
    ("FIELD_MISSING", "refresh_token"): "isv.refresh-token-invalid",
    ("MALFORMED", "suspected"): "isv.suspected-attack",
    ("LIMIT_EXCEEDED", "total_amount"): "ACQ.TOTAL_FEE_EXCEED",
    ("LIMIT_EXCEEDED", "refund_amount"): "ACQ.INVALID_PARAMETER",
    ("LIMIT_EXCEEDED", "amount"): "ACQ.INVALID_PARAMETER",
    ("TOO_LARGE", "goods_detail"): "ACQ.SUB_GOODS_SIZE_MAX_COUNT",
    ("AMOUNT_NOT_POSITIVE", "trans_amount"): "EXCEED_LIMIT_SM_MIN_AMOUNT",
    ("FIELD_MISSING", "remark"): "MEMO_REQUIRED_IN_TRANSFER_ERROR",
    ("BUYER_IS_SELLER", "identity"): "PAYER_PAYEE_CANNOT_SAME",
    ("BILL_NOT_FOUND", "bill_type"): "TYPE_NOT_SUPPORTED",
    ("NO_PRIVILEGE", "alipay_user_id"): "NO_PERMISSION_ACCOUNT",
    ("NO_PRIVILEGE", "alipay_open_id"): "NO_PERMISSION_ACCOUNT",
}
"""A closer word where the offending field is known."""

TEXT: Final[dict[str, str]] = {
    "isv.invalid-app-id": "无效的AppID参数",
    "isv.missing-app-id": "缺少AppID参数",
    "isv.missing-timestamp": "缺少时间戳参数",
    "isv.invalid-timestamp": "非法的时间戳参数",
    "isv.missing-method": "缺少方法名参数",
    "isv.invalid-method": "不存在的方法名",
    "isv.missing-version": "缺少版本参数",
    "isv.missing-signature": "缺少签名参数",
    "isv.missing-signature-type": "缺少签名类型参数",
    "isv.invalid-signature-type": "无效签名类型",
    "isv.invalid-charset": "字符集错误",
    "isv.invalid-format": "无效数据格式",
    "isv.invalid-parameter": "参数无效",
    "isv.invalid-encrypt": "解密异常",
    "isv.invalid-encrypt-type": "无效加密类型",
    "isv.missing-encrypt-key": "缺少加密配置",
    "isv.illegal-json": "JSON格式错误",
    "isv.suspected-attack": "可疑的攻击请求",
    "isv.app-cert-not-exist": "应用公钥证书不存在",
    "isv.app-cert-expired": "应用公钥证书已失效",
    "isv.alipay-cert-not-exist": "支付宝公钥证书不存在",
    "isv.missing-app-cert-sn": "缺少应用公钥证书序列号参数",
    "isv.missing-alipay-root-cert-sn": "缺少支付宝根证书序列号参数",
    "isv.invalid-alipay-root-cert-sn": "支付宝根证书序列号无效",
    "isv.insufficient-isv-permissions": "ISV权限不足",
    "isv.app-call-limited": "应用调用次数超限",
    "isv.code-invalid": "授权码code无效",
    "isv.grant-type-invalid": "grant_type参数不正确",
    "isv.refresh-token-invalid": "刷新令牌refresh_token无效",
    UNKNOW_ERROR: "服务暂不可用",
    "ACQ.TRADE_NOT_EXIST": "交易不存在",
    "ACQ.TRADE_HAS_SUCCESS": "交易已被支付",
    "ACQ.TRADE_HAS_CLOSE": "交易已经关闭",
    "ACQ.TRADE_HAS_FINISHED": "交易已完结",
    "ACQ.CANCEL_NOT_ALLOWED": "不允许撤销",
    "ACQ.TRADE_STATUS_ERROR": "交易状态不合法",
    "ACQ.SYSTEM_ERROR": "系统异常",
    "ACQ.INVALID_PARAMETER": "参数无效",
    "ACQ.CONTEXT_INCONSISTENT": "交易信息被篡改",
    "ACQ.TRADE_BUYER_NOT_MATCH": "交易买家不匹配",
    "ACQ.BUYER_BALANCE_NOT_ENOUGH": "买家余额不足",
    "ACQ.PAYMENT_AUTH_CODE_INVALID": "支付授权码无效",
    "ACQ.REASON_TRADE_REFUND_FEE_ERR": "退款金额无效",
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": "退款金额超限",
    "ACQ.TRADE_NOT_ALLOW_REFUND": "当前交易不允许退款",
    "ACQ.DISCORDANT_REPEAT_REQUEST": "不一致的请求",
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": "卖家余额不足",
    "ACQ.SELLER_NOT_EXIST": "卖家不存在",
    "ACQ.BUYER_NOT_EXIST": "买家不存在",
    "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR": "当前时间已超过允许支付的时间",
    "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR": "分账金额验证失败",
    "ACQ.ROYALTY_RECEIVER_INVALID": "分账收款方不合法",
    "ORDER_NOT_EXIST": "转账订单不存在",
    "PAYEE_NOT_EXIST": "收款账号不存在",
    "PAYEE_USERINFO_ERROR": "收款方姓名或其它信息不一致",
    "PAYER_BALANCE_NOT_ENOUGH": "付款方余额不足",
    "PAYMENT_INFO_INCONSISTENCY": "两次请求商户单号一样但是参数不一致",
    "NO_PERMISSION_ACCOUNT": "没有该账户的访问权限",
    "BILL_NOT_EXIST": "账单不存在",
    "NO_BILL_DATA": "没有账单数据",
    "INVAILID_ARGUMENTS": "入参不合法",
    "BILL_DATE_BEFORE_REGISTRATION": "账单日期早于商户入驻日期",
    "TYPE_NOT_SUPPORTED": "账单类型不支持",
    "EXCEED_LIMIT_SM_MIN_AMOUNT": "转账金额低于最低限额",
    "EXCEED_LIMIT_DM_MAX_AMOUNT": "转账金额超出限额",
    "MEMO_REQUIRED_IN_TRANSFER_ERROR": "转账金额达到限额，必须填写备注",
    "PAYER_PAYEE_CANNOT_SAME": "收付款方不能相同",
    "PAYER_STATUS_ERROR": "付款方账户状态异常",
    "ACQ.TOTAL_FEE_EXCEED": "订单总金额超过限额",
    "ACQ.SUB_GOODS_SIZE_MAX_COUNT": "商品明细数量超过上限",
    "isv.invalid-app-state": "应用状态不合法",
}
"""``sub_msg``; a word that is not listed stands for itself."""

PREFIXES: Final = ("isv.", "aop.", "isp.")
"""Those of common errors, which the REST interface leaves out."""


def refusal_code(error: TongbaoError) -> str:
    """The gateway's word for an error."""
    if isinstance(error, ProtocolError):
        if isinstance(error, InvalidSignature) and error.code == "SIGN_INVALID":
            return WIRE_CODE["SIGN_INVALID"]
        return _FIELD_CODE.get((error.code, error.field)) or WIRE_CODE.get(error.code, "ACQ.INVALID_PARAMETER")
    if not isinstance(error, Refused):
        return UNKNOW_ERROR
    return _BY_STATE.get((error.code, error.state)) or WIRE_CODE.get(error.code, UNKNOW_ERROR)


def word_of(operation: str, error: TongbaoError) -> str:
    """The word that one operation has for an error."""
    own, common = CODES_OF.get(operation, {}), refusal_code(error)
    if isinstance(error, Refused):
        if (operation, error.code, error.state) == (m.REFUND, "TRADE_STATE", "closed"):
            return "ACQ.TRADE_HAS_CLOSE"
        common = own.get(error.code, common)
    # a public parameter that is wrong is the gateway's affair, not the operation's
    elif (
        isinstance(error, ProtocolError)
        and not common.startswith(PREFIXES)
        and (error.code, error.field) not in _FIELD_CODE
    ):
        common = own.get(error.code, common)
    return common


_CONDITIONS: Final = frozenset(("isv.invalid-auth-relations", "isv.invalid-app-state"))


def public_code(word: str) -> str:
    """The five digits that go with a word."""
    if word in MESSAGE:
        return word
    if word.startswith("isv.missing-signature-config") or word in _CONDITIONS:
        return "40003"
    if word.startswith("isv.missing-") or word.endswith("-missing-encrypt-type"):
        return "40001"
    if word.startswith("isv.insufficient-") or word == "isv.self-invoke-forbidden":
        return "40006"
    if word.endswith("-call-limited"):
        return "40005"
    if word.endswith("unknow-error"):
        return UNKNOWN
    if word.startswith("aop."):
        return "20001"
    return "40002" if word.startswith("isv.") else BUSINESS


def http_status(word: str) -> int:
    """The REST interface's status of a word."""
    if word == PAYING:
        return 202
    if word == SUCCESS:
        return 200
    if word == WIRE_CODE["UNKNOWN_SERVICE"]:
        return 404  # no such URL (sheet alipay-openapi, 11.2)
    code = public_code(word)
    return {"20001": 401, "40006": 401, "40005": 429, UNKNOWN: 500}.get(code, 400)


def bare(word: str) -> str:
    """A word as the REST interface spells it: common errors without their prefix."""
    for prefix in PREFIXES:
        if word.startswith(prefix):
            return word.removeprefix(prefix)
    return word
