"""Services, wire words, states and codes of the interface, as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tongbao.wire.movement import (
    CancelTrade,
    FetchBill,
    MovementState,
    PayOut,
    QueryPayOut,
    QueryRefund,
    RefundTrade,
)
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import PAID_STATES, CloseTrade, CreateTrade, Presentation, QueryTrade, TradeState

MD5: Final = "MD5"
HMAC: Final = "HMAC-SHA256"
ALGORITHMS: Final = (HMAC, MD5)
SECRET_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Service:
    """One address: the intent it carries, whether a client certificate is asked for, whether its answers are signed,
    and what it calls merchant and appid."""

    path: str
    intent: type
    certified: bool = False
    signed: bool = True
    merchant: str = "mch_id"
    appid: str = "appid"


UNSIGNED_ANSWERS: Final = frozenset(
    (
        "/mmpaymkttransfers/promotion/transfers",
        "/mmpaymkttransfers/gettransferinfo",
        "/mmpaymkttransfers/sendredpack",
        "/mmpaymkttransfers/gethbinfo",
        "/mmpaysptrans/pay_bank",
        "/mmpaysptrans/query_bank",
        "/payitil/report",
        "/risk/getpublickey",
    )
)
"""Whose answers may come without a signature, by the documents of each (of the two for bank cards they differ)."""

ORDER: Final = Service("/pay/unifiedorder", CreateTrade)
MICROPAY: Final = Service("/pay/micropay", CreateTrade)
REVERSE: Final = Service("/secapi/pay/reverse", CancelTrade, certified=True)
QUERY: Final = Service("/pay/orderquery", QueryTrade)
CLOSE: Final = Service("/pay/closeorder", CloseTrade)
REFUND: Final = Service("/secapi/pay/refund", RefundTrade, certified=True)
QUERY_REFUND: Final = Service("/pay/refundquery", QueryRefund)
BILL: Final = Service("/pay/downloadbill", FetchBill, signed=False)
TRANSFER: Final = Service(
    "/mmpaymkttransfers/promotion/transfers", PayOut, certified=True, signed=False, merchant="mchid", appid="mch_appid"
)
QUERY_TRANSFER: Final = Service("/mmpaymkttransfers/gettransferinfo", QueryPayOut, certified=True, signed=False)

SERVICES: Final = {
    service.path: service
    for service in (
        ORDER, MICROPAY, REVERSE, QUERY, CLOSE, REFUND, QUERY_REFUND, BILL, TRANSFER, QUERY_TRANSFER,
    )
}  # fmt: skip

TYPE_OF: Final = {
    Presentation.QR: "NATIVE",
    Presentation.WALLET: "JSAPI",
    Presentation.APP: "APP",
    Presentation.H5: "MWEB",
}
PRESENTED: Final = {word: presentation for presentation, word in TYPE_OF.items()}

STATE_OF: Final = {
    "SUCCESS": TradeState.PAID,
    "REFUND": TradeState.PAID,
    "NOTPAY": TradeState.UNPAID,
    "USERPAYING": TradeState.UNPAID,
    "ACCEPT": TradeState.UNPAID,
    "PAYERROR": TradeState.UNPAID,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
}
STATE_SAID: Final = {
    "SUCCESS": "支付成功",
    "REFUND": "订单发生过退款，退款详情请查询退款单",
    "NOTPAY": "订单未支付",
    "USERPAYING": "用户支付中，需要输入密码",
    "CLOSED": "订单已关闭",
    "REVOKED": "订单已撤销",
}

REFUND_STATE_OF: Final = {
    "PROCESSING": MovementState.ACCEPTED,
    "SUCCESS": MovementState.SUCCEEDED,
    "CHANGE": MovementState.ACCEPTED,
    "REFUNDCLOSE": MovementState.CLOSED,
}
REFUND_WORD: Final = {
    MovementState.ACCEPTED: "PROCESSING",
    MovementState.SUCCEEDED: "SUCCESS",
    MovementState.FAILED: "REFUNDCLOSE",
    MovementState.CLOSED: "REFUNDCLOSE",
}
STUCK: Final = "CHANGE"
"""The money has left the merchant and did not arrive; by hand it may still succeed (sheet wechatpay, section 3.5)."""

TRANSFER_STATE_OF: Final = {
    "PROCESSING": MovementState.ACCEPTED,
    "SUCCESS": MovementState.SUCCEEDED,
    "FAILED": MovementState.FAILED,
}
TRANSFER_WORD: Final = {
    MovementState.ACCEPTED: "PROCESSING",
    MovementState.SUCCEEDED: "SUCCESS",
    MovementState.FAILED: "FAILED",
    MovementState.CLOSED: "FAILED",
}

_WORDS: Final = {
    "MALFORMED": "XML_FORMAT_ERROR",
    "DUPLICATE_PARAM": "XML_FORMAT_ERROR",
    "TOO_LARGE": "PARAM_ERROR",
    "BAD_CHARSET": "NOT_UTF8",
    "FIELD_MISSING": "LACK_PARAMS",
    "UNKNOWN_SERVICE": "REQUIRE_POST_METHOD",
    "UNKNOWN_MERCHANT": "MCHID_NOT_EXIST",
    "SIGN_MISSING": "SIGNERROR",
    "SIGN_TYPE_NOT_ALLOWED": "SIGNERROR",
    "SIGN_INVALID": "SIGNERROR",
    "KEY_UNKNOWN": "SIGNERROR",
    "KEY_REVOKED": "SIGNERROR",
    "STALE": "SIGNERROR",
    "SIGNATURE_WEAK_LIMIT": "NOAUTH",
    "CERT_REQUIRED": "CA_ERROR",
    "NO_PRIVILEGE": "NOAUTH",
    "MERCHANT_DISABLED": "NOAUTH",
    "SELLER_UNKNOWN": "APPID_MCHID_NOT_MATCH",
    "RATE_LIMITED": "FREQUENCY_LIMITED",
    "TRADE_NOT_FOUND": "ORDERNOTEXIST",
    "TRADE_STATE": "INVALID_REQUEST",
    "TRADE_NOT_PAYABLE": "INVALID_REQUEST",
    "TRADE_AMOUNT_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_PRICE_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_QUANTITY_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_SELLER_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_BUYER_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_FROZEN": "OUT_TRADE_NO_USED",
    "BUYER_DISABLED": "USER_ACCOUNT_ABNORMAL",
    "BUYER_UNKNOWN": "OPENID_ERROR",
    "PAYEE_UNKNOWN": "OPENID_ERROR",
    "INSUFFICIENT_FUNDS": "NOTENOUGH",
    "MERCHANT_FUNDS": "NOTENOUGH",
    "CODE_INVALID": "AUTH_CODE_INVALID",
    "BUYER_PAYING": "USERPAYING",
    "REFUND_NOT_FOUND": "REFUNDNOTEXIST",
    "REFUND_EXPIRED": "TRADE_OVERDUE",
    "PAYOUT_NOT_FOUND": "NOT_FOUND",
    "PAYEE_NAME_MISMATCH": "NAME_MISMATCH",
    "LIMIT_EXCEEDED": "AMOUNT_LIMIT",
    "BILL_NOT_FOUND": "NO_BILL_EXIST",
    "BILL_NOT_READY": "BILL_CREATING",
    "STATE_CONFLICT": "INVALID_REQUEST",
    "REFUND_EXCEEDS": "INVALID_REQUEST",
    "REFUND_MISMATCH": "INVALID_REQUEST",
    "SYSTEM": "SYSTEMERROR",
}
WIRE_CODE: Final = {code: _WORDS.get(code, "PARAM_ERROR") for code in REFUSALS}
"""Our refusal code -> the interface's word. Total over ``REFUSALS``."""

CODES_OF: Final[dict[str, dict[str, str]]] = {REFUND.path: {"LIMIT_EXCEEDED": "ERROR"}}
"""Address -> words of its own list (sheet wechatpay, section 3.4: a refund knows no AMOUNT_LIMIT)."""

ENDED_WORD: Final[dict[str, str]] = {TradeState.CLOSED: "ORDERCLOSED", **dict.fromkeys(PAID_STATES, "ORDERPAID")}
"""The word for an order that cannot be paid or closed, by the state that a refusal names. A shop that is not paid must
not hear that it is: it would ship."""

NEUTRAL_CODE: Final = {
    "XML_FORMAT_ERROR": "MALFORMED",
    "POST_DATA_EMPTY": "MALFORMED",
    "PARAM_ERROR": "FIELD_INVALID",
    "NOT_UTF8": "BAD_CHARSET",
    "LACK_PARAMS": "FIELD_MISSING",
    "REQUIRE_POST_METHOD": "UNKNOWN_SERVICE",
    "MCHID_NOT_EXIST": "UNKNOWN_MERCHANT",
    "APPID_NOT_EXIST": "SELLER_UNKNOWN",
    "APPID_MCHID_NOT_MATCH": "SELLER_UNKNOWN",
    "SIGNERROR": "SIGN_INVALID",
    "CA_ERROR": "CERT_REQUIRED",
    "NOAUTH": "NO_PRIVILEGE",
    "FREQUENCY_LIMITED": "RATE_LIMITED",
    "FREQ_LIMIT": "RATE_LIMITED",
    "ORDERNOTEXIST": "TRADE_NOT_FOUND",
    "ORDERPAID": "TRADE_NOT_PAYABLE",
    "ORDERCLOSED": "TRADE_NOT_PAYABLE",
    "OUT_TRADE_NO_USED": "TRADE_FROZEN",
    "USER_ACCOUNT_ABNORMAL": "BUYER_DISABLED",
    "OPENID_ERROR": "BUYER_UNKNOWN",
    "NOTENOUGH": "INSUFFICIENT_FUNDS",
    "AUTH_CODE_INVALID": "CODE_INVALID",
    "AUTH_CODE_ERROR": "CODE_INVALID",
    "AUTHCODEEXPIRE": "CODE_INVALID",
    "USERPAYING": "BUYER_PAYING",
    "REFUNDNOTEXIST": "REFUND_NOT_FOUND",
    "TRADE_OVERDUE": "REFUND_EXPIRED",
    "NOT_FOUND": "PAYOUT_NOT_FOUND",
    "NAME_MISMATCH": "PAYEE_NAME_MISMATCH",
    "AMOUNT_LIMIT": "LIMIT_EXCEEDED",
    "NO_BILL_EXIST": "BILL_NOT_FOUND",
    "BILL_CREATING": "BILL_NOT_READY",
    "INVALID_REQUEST": "STATE_CONFLICT",
    "SYSTEMERROR": "SYSTEM",
    "BIZERR_NEED_RETRY": "SYSTEM",
    "BANKERROR": "SYSTEM",
    "SEND_FAILED": "SYSTEM",
}
"""The interface's word -> our code. SYSTEM is what leaves the outcome open; so does a transfer's SEND_FAILED (sheet
wechatpay, section 3.8)."""

RETURNED: Final = {
    "SIGNERROR": "签名错误",
    "XML_FORMAT_ERROR": "XML格式错误",
    "POST_DATA_EMPTY": "post数据为空",
    "NOT_UTF8": "编码格式错误",
    "LACK_PARAMS": "缺少参数",
    "REQUIRE_POST_METHOD": "请使用post方法",
    "MCHID_NOT_EXIST": "商户号mch_id或sub_mch_id不存在",
    "PARAM_ERROR": "参数错误",
    "CA_ERROR": "证书出错，请登录微信支付商户平台下载证书",
    "NO_BILL_EXIST": "No Bill Exist",
    "BILL_CREATING": "Bill Creating",
}
"""Words that are told by ``return_msg`` where nothing can be signed -> the text that begins it."""

UNSIGNED: Final = frozenset(
    ("SIGNERROR", "XML_FORMAT_ERROR", "POST_DATA_EMPTY", "NOT_UTF8", "REQUIRE_POST_METHOD", "MCHID_NOT_EXIST")
)
"""Of these, what is always told so: the message itself, or who sent it, is in doubt."""

DESCRIBED: Final = {
    "ORDERNOTEXIST": "此交易订单号不存在",
    "ORDERPAID": "该订单已支付",
    "ORDERCLOSED": "该订单已关闭",
    "OUT_TRADE_NO_USED": "商户订单号重复",
    "USERPAYING": "需要用户输入支付密码",
    "AUTH_CODE_INVALID": "付款码已失效，请刷新再试",
    "NOTENOUGH": "余额不足",
    "NOAUTH": "商户无此接口权限",
    "REFUNDNOTEXIST": "不存在退款单",
    "SYSTEMERROR": "系统超时，请用相同参数重新调用",
    "TRADE_OVERDUE": "订单已经超过退款期限",
}

BANK_TYPE: Final = {
    "ICBC": "ICBC", "CMB": "CMB", "CCB": "CCB", "ABC": "ABC", "BOC": "BOC", "COMM": "COMM", "SPDB": "SPDB",
    "CIB": "CIB", "CEB": "CEB", "CITIC": "CITIC", "CMBC": "CMBC", "GDB": "GDB", "PSBC": "PSBC", "SPABANK": "PAB",
}  # fmt: skip
"""Bank of the directory -> first part of ``bank_type``; others are OTHERS."""

NAMES: Final = frozenset(
    (
        "appid", "mch_id", "nonce_str", "sign", "sign_type", "device_info", "body", "detail", "attach", "out_trade_no",
        "fee_type", "total_fee", "spbill_create_ip", "time_start", "time_expire", "goods_tag", "notify_url",
        "trade_type", "product_id", "limit_pay", "openid", "receipt", "profit_sharing", "scene_info", "auth_code",
        "transaction_id", "out_refund_no", "refund_fee", "refund_fee_type", "refund_desc", "refund_account",
        "refund_id",
        "return_code", "return_msg", "result_code", "err_code", "err_code_des", "prepay_id", "code_url", "mweb_url",
        "bank_type", "cash_fee", "cash_fee_type", "settlement_total_fee", "is_subscribe", "time_end", "trade_state",
        "trade_state_desc", "bill_date", "bill_type", "tar_type", "mch_appid", "mchid", "partner_trade_no", "amount",
        "desc", "check_name", "re_user_name", "op_user_id", "version", "offset", "recall",
    )
)  # fmt: skip
"""Names of the interface: no value may spell ``&name=`` with one of them, since signatures have no borders (T10)."""

PUBLISHED_KEYS: Final = frozenset(
    (
        "192006250b4c09247ec02edce69f6a2d",
        "0123456789abcdef0123456789abcdef",
        "8934e7d15453e97507ef794cf7b0519d",
    )
)
"""Keys that everybody can read in a manual or a test suite (T01)."""

PRIVATE: Final = frozenset(
    ("sign", "key", "openid", "auth_code", "re_user_name", "transfer_name", "req_info", "enc_bank_no", "enc_true_name")
)
