"""Routes, wire words, states and codes of the interface, as tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tongbao.wire.movement import (
    BatchStage,
    CancelTrade,
    FetchBill,
    FetchCertificates,
    MovementState,
    PayOut,
    PayOutBatch,
    QueryPayOut,
    QueryPayOutBatch,
    QueryRefund,
    QuerySplit,
    QuerySplitReturn,
    QueryUnsplit,
    RecoverRefund,
    RefundTrade,
    RequestBill,
    ReturnSplit,
    SplitTrade,
)
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import (
    PAID_STATES,
    CloseCombined,
    CloseTrade,
    CreateCombined,
    CreateTrade,
    Presentation,
    QueryCombined,
    QueryTrade,
    TradeState,
)

ALGORITHM: Final = "WECHATPAY2-SHA256-RSA2048"
AEAD: Final = "AEAD_AES_256_GCM"
HOSTS: Final = ("api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "api.wechatpay.cn", "api2.wechatpay.cn")
WINDOW: Final = 300_000
"""How far a signed time may be from now, in milliseconds, either way."""

PAY: Final = "/v3/pay/transactions"
PARTNER: Final = "/v3/pay/partner/transactions"
COMBINE: Final = "/v3/combine-transactions"
COMBINE_NUMBER: Final = f"{COMBINE}/out-trade-no/{{combine_out_trade_no}}"
BY_NUMBER: Final = f"{PAY}/out-trade-no/{{out_trade_no}}"
REFUNDS: Final = "/v3/refund/domestic/refunds"
TRANSFERS: Final = "/v3/fund-app/mch-transfer/transfer-bills"
BATCHES: Final = "/v3/transfer/batches"
BATCH_BY_NUMBER: Final = f"{BATCHES}/out-batch-no/{{out_batch_no}}"
BATCH_BY_ID: Final = f"{BATCHES}/batch-id/{{batch_id}}"
SHARING: Final = "/v3/profitsharing/orders"
RETURNS: Final = "/v3/profitsharing/return-orders"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its method, its path with ``{name}`` segments, and the intent it carries."""

    method: str
    path: str
    intent: type
    pattern: re.Pattern[bytes]

    @property
    def operation(self) -> str:
        """Method and path, as the coverage page lists them."""
        return f"{self.method} {self.path}"


def _route(method: str, path: str, intent: type) -> Route:
    parts = re.split(r"{([a-z_]+)}", path)
    pattern = "".join(
        f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part) for place, part in enumerate(parts)
    )  # fmt: skip
    return Route(method, path, intent, re.compile(pattern.encode("ascii")))


NATIVE: Final = _route("POST", f"{PAY}/native", CreateTrade)
JSAPI: Final = _route("POST", f"{PAY}/jsapi", CreateTrade)
APP: Final = _route("POST", f"{PAY}/app", CreateTrade)
H5: Final = _route("POST", f"{PAY}/h5", CreateTrade)
CODEPAY: Final = _route("POST", f"{PAY}/codepay", CreateTrade)
QUERY: Final = _route("GET", BY_NUMBER, QueryTrade)
QUERY_ID: Final = _route("GET", f"{PAY}/id/{{transaction_id}}", QueryTrade)
CLOSE: Final = _route("POST", f"{BY_NUMBER}/close", CloseTrade)
REVERSE: Final = _route("POST", f"{BY_NUMBER}/reverse", CancelTrade)
REFUND: Final = _route("POST", REFUNDS, RefundTrade)
QUERY_REFUND: Final = _route("GET", f"{REFUNDS}/{{out_refund_no}}", QueryRefund)
RECOVER: Final = _route("POST", f"{REFUNDS}/{{refund_id}}/apply-abnormal-refund", RecoverRefund)
CERTIFICATES: Final = _route("GET", "/v3/certificates", FetchCertificates)
TRADE_BILL: Final = _route("GET", "/v3/bill/tradebill", RequestBill)
FLOW_BILL: Final = _route("GET", "/v3/bill/fundflowbill", RequestBill)
DOWNLOAD: Final = _route("GET", "/v3/billdownload/file", FetchBill)
TRANSFER: Final = _route("POST", TRANSFERS, PayOut)
QUERY_TRANSFER: Final = _route("GET", f"{TRANSFERS}/out-bill-no/{{out_bill_no}}", QueryPayOut)
QUERY_TRANSFER_ID: Final = _route("GET", f"{TRANSFERS}/transfer-bill-no/{{transfer_bill_no}}", QueryPayOut)
BATCH: Final = _route("POST", BATCHES, PayOutBatch)
QUERY_BATCH: Final = _route("GET", BATCH_BY_NUMBER, QueryPayOutBatch)
QUERY_BATCH_ID: Final = _route("GET", BATCH_BY_ID, QueryPayOutBatch)
QUERY_LINE: Final = _route("GET", f"{BATCH_BY_NUMBER}/details/out-detail-no/{{out_detail_no}}", QueryPayOut)
QUERY_LINE_ID: Final = _route("GET", f"{BATCH_BY_ID}/details/detail-id/{{detail_id}}", QueryPayOut)
SHARE: Final = _route("POST", SHARING, SplitTrade)
UNFREEZE: Final = _route("POST", f"{SHARING}/unfreeze", SplitTrade)
QUERY_SHARE: Final = _route("GET", f"{SHARING}/{{out_order_no}}", QuerySplit)
RETURN_SHARE: Final = _route("POST", RETURNS, ReturnSplit)
QUERY_RETURN: Final = _route("GET", f"{RETURNS}/{{out_return_no}}", QuerySplitReturn)
UNSPLIT: Final = _route("GET", "/v3/profitsharing/transactions/{transaction_id}/amounts", QueryUnsplit)

COMBINE_NATIVE: Final = _route("POST", f"{COMBINE}/native", CreateCombined)
COMBINE_JSAPI: Final = _route("POST", f"{COMBINE}/jsapi", CreateCombined)
COMBINE_APP: Final = _route("POST", f"{COMBINE}/app", CreateCombined)
COMBINE_H5: Final = _route("POST", f"{COMBINE}/h5", CreateCombined)
QUERY_COMBINED: Final = _route("GET", COMBINE_NUMBER, QueryCombined)
CLOSE_COMBINED: Final = _route("POST", f"{COMBINE_NUMBER}/close", CloseCombined)

PARTNER_OF: Final = {
    route: _route(route.method, route.path.replace(PAY, PARTNER), route.intent)
    for route in (NATIVE, JSAPI, APP, H5, QUERY, QUERY_ID, CLOSE)
}
"""What a merchant asks himself -> how his service provider asks it for him."""

DIRECT_OF: Final = {theirs: own for own, theirs in PARTNER_OF.items()}

SIGNERS_OWN: Final = (CERTIFICATES, DOWNLOAD)
"""What a service provider asks in his own name, whomever he speaks for."""

ROUTES: Final = (
    NATIVE, JSAPI, APP, H5, CODEPAY, QUERY, QUERY_ID, CLOSE, REVERSE, REFUND, QUERY_REFUND, RECOVER, CERTIFICATES,
    TRADE_BILL, FLOW_BILL, DOWNLOAD, TRANSFER, QUERY_TRANSFER, QUERY_TRANSFER_ID, BATCH, QUERY_BATCH, QUERY_BATCH_ID,
    QUERY_LINE, QUERY_LINE_ID, SHARE, UNFREEZE, QUERY_SHARE, RETURN_SHARE, QUERY_RETURN, UNSPLIT, COMBINE_NATIVE,
    COMBINE_JSAPI, COMBINE_APP, COMBINE_H5, QUERY_COMBINED, CLOSE_COMBINED, *PARTNER_OF.values(),
)  # fmt: skip
"""An earlier route is tried first: ``unfreeze`` stands before the order of that number (which cannot be asked for)."""

ROUTE_OF: Final = {route.operation: route for route in ROUTES}
CREATING: Final = {
    Presentation.QR: NATIVE,
    Presentation.WALLET: JSAPI,
    Presentation.APP: APP,
    Presentation.H5: H5,
    Presentation.BARCODE: CODEPAY,
}
COMBINING: Final = {
    Presentation.QR: COMBINE_NATIVE,
    Presentation.WALLET: COMBINE_JSAPI,
    Presentation.APP: COMBINE_APP,
    Presentation.H5: COMBINE_H5,
}
PRESENTED: Final = {route.operation: where for table in (CREATING, COMBINING) for where, route in table.items()}
SINGLE_OF: Final = {route: CREATING[where] for where, route in COMBINING.items()}
"""How a combined order is opened -> how an ordinary one is, whose answer is the same."""
TYPE_OF: Final = {
    Presentation.QR: "NATIVE",
    Presentation.WALLET: "JSAPI",
    Presentation.APP: "APP",
    Presentation.H5: "MWEB",
    Presentation.BARCODE: "MICROPAY",
}
"""``trade_type`` by where the buyer met the trade."""

STATE_OF: Final = {
    "SUCCESS": TradeState.PAID,
    "REFUND": TradeState.PAID,
    "NOTPAY": TradeState.UNPAID,
    "USERPAYING": TradeState.UNPAID,
    "ACCEPT": TradeState.UNPAID,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
    "PAYERROR": TradeState.UNPAID,
}
STATE_SAID: Final = {
    "SUCCESS": "支付成功",
    "REFUND": "转入退款",
    "NOTPAY": "订单未支付",
    "CLOSED": "订单已关闭",
    "REVOKED": "订单已撤销",
    "USERPAYING": "用户支付中，需要输入密码",
}

REFUND_STATE_OF: Final = {
    "PROCESSING": MovementState.ACCEPTED,
    "SUCCESS": MovementState.SUCCEEDED,
    "ABNORMAL": MovementState.ACCEPTED,
    "CLOSED": MovementState.CLOSED,
}
REFUND_WORD: Final = {
    MovementState.ACCEPTED: "PROCESSING",
    MovementState.SUCCEEDED: "SUCCESS",
    MovementState.FAILED: "CLOSED",
    MovementState.CLOSED: "CLOSED",
}
STUCK: Final = "ABNORMAL"
"""The money has left the merchant and did not arrive; by hand it may still succeed (sheet wechatpay, section 10)."""
TO_MERCHANT: Final = "MERCHANT_BANK_CARD"
"""Where the money of an abnormal refund may go here; USER_BANK_CARD, another card of the buyer's, is not taken."""

TRANSFER_STATE_OF: Final = {
    "ACCEPTED": MovementState.ACCEPTED,
    "PROCESSING": MovementState.ACCEPTED,
    "WAIT_USER_CONFIRM": MovementState.ACCEPTED,
    "TRANSFERING": MovementState.ACCEPTED,
    "CANCELING": MovementState.ACCEPTED,
    "SUCCESS": MovementState.SUCCEEDED,
    "FAIL": MovementState.FAILED,
    "CANCELLED": MovementState.CLOSED,
}
TRANSFER_WORD: Final = {
    MovementState.ACCEPTED: "PROCESSING",
    MovementState.SUCCEEDED: "SUCCESS",
    MovementState.FAILED: "FAIL",
    MovementState.CLOSED: "CANCELLED",
}
FAIL_REASON: Final = {
    "PAYEE_NAME_MISMATCH": "NAME_NOT_CORRECT",
    "PAYEE_UNKNOWN": "OPENID_INVALID",
    "LIMIT_EXCEEDED": "TRANSFER_QUOTA_EXCEED",
    "BUYER_DISABLED": "ACCOUNT_FROZEN",
    "MERCHANT_FUNDS": "MERCHANT_REJECT",
}
REASON_FAILED: Final = {word: code for code, word in FAIL_REASON.items()}

BATCH_STAGE: Final = {
    "ACCEPTED": BatchStage.TAKEN,
    "WAIT_PAY": BatchStage.WAITING,
    "PROCESSING": BatchStage.RUNNING,
    "FINISHED": BatchStage.DONE,
    "CLOSED": BatchStage.CLOSED,
}
BATCH_WORD: Final = {stage: word for word, stage in BATCH_STAGE.items()}
LINE_STATE_OF: Final = {
    "INIT": MovementState.ACCEPTED,
    "WAIT_PAY": MovementState.ACCEPTED,
    "PROCESSING": MovementState.ACCEPTED,
    "SUCCESS": MovementState.SUCCEEDED,
    "FAIL": MovementState.FAILED,
}
LINE_WANTED: Final = {
    "ALL": None,
    "SUCCESS": MovementState.SUCCEEDED,
    "FAIL": MovementState.FAILED,
    "WAIT_PAY": MovementState.ACCEPTED,
}
"""``detail_status`` of a question -> which lines it wants."""

LINE_CLOSED: Final = "OVERDUE_CLOSE"
"""Why a line of a batch that was withdrawn has failed."""

BATCH_CLOSED: Final = "MERCHANT_REVOCATION"
"""``close_reason`` of a batch that the merchant's second person turned down."""

SHARE_STATE_OF: Final = {"PROCESSING": MovementState.ACCEPTED, "FINISHED": MovementState.SUCCEEDED}
SHARE_RESULT: Final = {
    MovementState.ACCEPTED: "PENDING",
    MovementState.SUCCEEDED: "SUCCESS",
    MovementState.FAILED: "CLOSED",
    MovementState.CLOSED: "CLOSED",
}
RETURN_STATE_OF: Final = {
    "PROCESSING": MovementState.ACCEPTED,
    "SUCCESS": MovementState.SUCCEEDED,
    "FAILED": MovementState.FAILED,
}
RETURN_RESULT: Final = {state: word for word, state in RETURN_STATE_OF.items()} | {MovementState.CLOSED: "FAILED"}
RECEIVER_KINDS: Final = {"MERCHANT_ID": "merchant", "PERSONAL_OPENID": "buyer", "PERSONAL_SUB_OPENID": "buyer"}

BANK_TYPE: Final = {
    "ICBC": "ICBC", "CMB": "CMB", "CCB": "CCB", "ABC": "ABC", "BOC": "BOC", "COMM": "COMM", "SPDB": "SPDB",
    "CIB": "CIB", "CEB": "CEB", "CITIC": "CITIC", "CMBC": "CMBC", "GDB": "GDB", "PSBC": "PSBC", "SPABANK": "PAB",
}  # fmt: skip
"""Bank of the directory -> first part of ``bank_type``; others are OTHERS."""

# --- notifications -----------------------------------------------------------------------------------------------

TRANSACTION_EVENT: Final = "TRANSACTION.SUCCESS"
REFUND_EVENT: Final = {word: f"REFUND.{word}" for word in ("SUCCESS", STUCK, "CLOSED")}
TRANSFER_EVENT: Final = "MCHTRANSFER.BILL.FINISHED"
BATCH_EVENT: Final = {
    BatchStage.DONE: "MCHTRANSFER.BATCH.FINISHED",
    BatchStage.CLOSED: "MCHTRANSFER.BATCH.CLOSED",
}
SUMMARY: Final = {
    TRANSACTION_EVENT: "支付成功",
    "REFUND.SUCCESS": "退款成功",
    "REFUND.ABNORMAL": "退款异常",
    "REFUND.CLOSED": "退款关闭",
    TRANSFER_EVENT: "商家转账单据终态通知",
    "MCHTRANSFER.BATCH.FINISHED": "商家转账批次完成通知",
    "MCHTRANSFER.BATCH.CLOSED": "商家转账批次关闭通知",
}
ORIGINAL: Final = {
    TRANSACTION_EVENT: "transaction",
    **dict.fromkeys(REFUND_EVENT.values(), "refund"),
    TRANSFER_EVENT: "mch_payment",
    **dict.fromkeys(BATCH_EVENT.values(), "mch_payment"),
}

# --- refusals ----------------------------------------------------------------------------------------------------

_WORDS: Final = {
    "MALFORMED": "PARAM_ERROR",
    "TOO_LARGE": "PARAM_ERROR",
    "BAD_CHARSET": "PARAM_ERROR",
    "DUPLICATE_PARAM": "PARAM_ERROR",
    "FIELD_MISSING": "PARAM_ERROR",
    "FIELD_INVALID": "PARAM_ERROR",
    "AMOUNT_INVALID": "PARAM_ERROR",
    "AMOUNT_NOT_POSITIVE": "PARAM_ERROR",
    "CURRENCY_NOT_ALLOWED": "PARAM_ERROR",
    "URL_NOT_ALLOWED": "PARAM_ERROR",
    "EXPIRY_INVALID": "PARAM_ERROR",
    "CLIENT_IP_INVALID": "PARAM_ERROR",
    "BILL_DATE_INVALID": "PARAM_ERROR",
    "BATCH_INVALID": "PARAM_ERROR",
    "BUYER_UNKNOWN": "PARAM_ERROR",
    "UNKNOWN_SERVICE": "NOT_FOUND",
    "PAYOUT_NOT_FOUND": "NOT_FOUND",
    "BATCH_NOT_FOUND": "NOT_FOUND",
    "UNKNOWN_MERCHANT": "MCH_NOT_EXISTS",
    "SIGN_MISSING": "SIGN_ERROR",
    "SIGN_TYPE_NOT_ALLOWED": "SIGN_ERROR",
    "SIGN_INVALID": "SIGN_ERROR",
    "KEY_UNKNOWN": "SIGN_ERROR",
    "KEY_REVOKED": "SIGN_ERROR",
    "STALE": "SIGN_ERROR",
    "NO_PRIVILEGE": "NO_AUTH",
    "MERCHANT_DISABLED": "NO_AUTH",
    "RECEIVER_UNKNOWN": "NO_AUTH",
    "SELLER_UNKNOWN": "APPID_MCHID_NOT_MATCH",
    "RATE_LIMITED": "FREQUENCY_LIMITED",
    "TRADE_NOT_FOUND": "ORDER_NOT_EXIST",
    "TRADE_AMOUNT_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_PRICE_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_QUANTITY_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_SELLER_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_BUYER_MISMATCH": "OUT_TRADE_NO_USED",
    "TRADE_FROZEN": "OUT_TRADE_NO_USED",
    "BUYER_DISABLED": "USER_ACCOUNT_ABNORMAL",
    "REFUND_NOT_FOUND": "RESOURCE_NOT_EXISTS",
    "SPLIT_NOT_FOUND": "RESOURCE_NOT_EXISTS",
    "NOT_FOUND": "RESOURCE_NOT_EXISTS",
    "REFUND_EXPIRED": "TRADE_OVERDUE",
    "MERCHANT_FUNDS": "NOT_ENOUGH",
    "INSUFFICIENT_FUNDS": "NOT_ENOUGH",
    "BILL_NOT_READY": "STATEMENT_CREATING",
    "BILL_NOT_FOUND": "NO_STATEMENT_EXIST",
    "LIMIT_EXCEEDED": "RULE_LIMIT",
    "PAYOUT_COOLING": "RULE_LIMIT",
    "BUYER_PAYING": "USER_PAYING",
    "SYSTEM": "SYSTEM_ERROR",
}
WIRE_CODE: Final = {code: _WORDS.get(code, "INVALID_REQUEST") for code in REFUSALS}
"""Our refusal code -> the interface's word. Total over ``REFUSALS``."""

ENDED_WORD: Final[dict[str, str]] = {TradeState.CLOSED: "ORDER_CLOSED", **dict.fromkeys(PAID_STATES, "ORDERPAID")}
"""The word for an order that cannot be paid or closed, by the state that a refusal names. A shop that is not paid must
not hear that it is: it would ship."""

STATUS: Final = {
    "USER_PAYING": 202,
    "SIGN_ERROR": 401,
    "NO_AUTH": 403,
    "RULE_LIMIT": 403,
    "NOT_ENOUGH": 403,
    "OUT_TRADE_NO_USED": 403,
    "USER_ACCOUNT_ABNORMAL": 403,
    "TRADE_OVERDUE": 403,
    "ORDER_NOT_EXIST": 404,
    "RESOURCE_NOT_EXISTS": 404,
    "NOT_FOUND": 404,
    "FREQUENCY_LIMITED": 429,
    "SYSTEM_ERROR": 500,
}
"""HTTP status of an error word; 400 for all others."""

NEUTRAL_CODE: Final = {
    "PARAMERROR": "FIELD_INVALID",
    "INVALIDREQUEST": "TRADE_FROZEN",
    "NOTFOUND": "PAYOUT_NOT_FOUND",
    "MCHNOTEXISTS": "UNKNOWN_MERCHANT",
    "SIGNERROR": "SIGN_INVALID",
    "NOAUTH": "NO_PRIVILEGE",
    "APPIDMCHIDNOTMATCH": "SELLER_UNKNOWN",
    "FREQUENCYLIMITED": "RATE_LIMITED",
    "RATELIMITEXCEEDED": "RATE_LIMITED",
    "ORDERNOTEXIST": "TRADE_NOT_FOUND",
    "ORDERPAID": "TRADE_NOT_PAYABLE",
    "ORDERCLOSED": "TRADE_NOT_PAYABLE",
    "OUTTRADENOUSED": "TRADE_FROZEN",
    "USERACCOUNTABNORMAL": "BUYER_DISABLED",
    "RESOURCENOTEXISTS": "NOT_FOUND",
    "TRADEOVERDUE": "REFUND_EXPIRED",
    "NOTENOUGH": "MERCHANT_FUNDS",
    "STATEMENTCREATING": "BILL_NOT_READY",
    "NOSTATEMENTEXIST": "BILL_NOT_FOUND",
    "RULELIMIT": "LIMIT_EXCEEDED",
    "USERPAYING": "BUYER_PAYING",
    "SYSTEMERROR": "SYSTEM",
    "REFUNDFEEMISMATCH": "REFUND_EXCEEDS",
}
"""The interface's word without underscores (older pages spell them so) -> our code."""

MESSAGE: Final = {
    "PARAM_ERROR": "参数错误",
    "INVALID_REQUEST": "无效请求",
    "SIGN_ERROR": "签名错误",
    "NO_AUTH": "商户无权限",
    "ORDER_NOT_EXIST": "订单不存在",
    "ORDERPAID": "该订单已支付",
    "ORDER_CLOSED": "该订单已关闭",
    "OUT_TRADE_NO_USED": "商户订单号重复",
    "RESOURCE_NOT_EXISTS": "查询的资源不存在",
    "NOT_FOUND": "记录不存在",
    "FREQUENCY_LIMITED": "频率超限",
    "SYSTEM_ERROR": "系统异常，请用相同参数重新调用",
    "MCH_NOT_EXISTS": "商户号不存在",
    "APPID_MCHID_NOT_MATCH": "appid和mch_id不匹配",
    "NOT_ENOUGH": "商户可用余额不足",
    "STATEMENT_CREATING": "账单生成中",
    "NO_STATEMENT_EXIST": "账单文件不存在",
    "RULE_LIMIT": "业务规则限制",
    "USER_PAYING": "用户支付中，需要输入密码",
    "USER_ACCOUNT_ABNORMAL": "用户账户异常",
    "TRADE_OVERDUE": "订单已经超过退款期限",
}

PUBLISHED_KEYS: Final = frozenset(
    (
        "0123456789abcdef0123456789ABCDEF",
        "0123456789abcdef0123456789abcdef",
        "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb",
        "192006250b4c09247ec02edce69f6a2d",
    )
)
"""APIv3 keys that everybody can read in a manual or a test suite (T01)."""

_PRIVATE: Final = (
    "signature", "authorization", "wechatpay-signature", "openid", "sp_openid", "sub_openid", "user_name",
    "user_id_card",     "ciphertext", "apiv3_key", "token",
)  # fmt: skip
PRIVATE: Final = frozenset(_PRIVATE)
