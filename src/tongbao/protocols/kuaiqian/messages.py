"""Wire names, states, bank codes and the words for refusals of 99bill's RMB gateway, as tables."""

from __future__ import annotations

from typing import Final

from tongbao.wire.movement import MovementState, QueryRefund, RefundTrade
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import CreateTrade, Method, QueryTrade, TradeState

PAY: Final = "recvMerchantInfoAction"
QUERY: Final = "gatewayOrderQuery"
REFUND: Final = "receiveDrawbackAction"
REFUND_QUERY: Final = "gatewayRefundQuery"
OPERATIONS: Final[dict[str, type]] = {
    PAY: CreateTrade,
    QUERY: QueryTrade,
    REFUND: RefundTrade,
    REFUND_QUERY: QueryRefund,
}

PAY_PATH: Final = "/gateway/recvMerchantInfoAction.htm"
QUERY_PATH: Final = "/apipay/services/gatewayOrderQuery"
REFUND_PATH: Final = "/webapp/receiveDrawbackAction.do"
LATER_REFUND_PATH: Final = "/gatewayapi/receiveDrawbackAction.do"
REFUND_QUERY_PATH: Final = "/gatewayapi/services/gatewayRefundQuery"
PATH_OF: Final[dict[str, str]] = {
    PAY: PAY_PATH,
    QUERY: QUERY_PATH,
    REFUND: REFUND_PATH,
    REFUND_QUERY: REFUND_QUERY_PATH,
}
GATEWAY: Final = f"https://www.99bill.com{PAY_PATH}"
SANDBOX_GATEWAY: Final = f"https://sandbox.99bill.com{PAY_PATH}"
VERSION: Final = "v2.0"

# --- what is signed, in this order, without empty ones ---------------------------------------------------------------

PAY_NAMES: Final = (
    "inputCharset", "pageUrl", "bgUrl", "version", "language", "signType", "merchantAcctId", "payerName",
    "payerContactType", "payerContact", "payerIdType", "payerId", "payerIP", "orderId", "orderAmount", "orderTime",
    "orderTimestamp", "productName", "productNum", "productId", "productDesc", "ext1", "ext2", "payType", "bankId",
    "period", "cardIssuer", "cardNum", "remitType", "remitCode", "redoFlag", "pid", "submitType", "orderTimeOut",
    "extDataType", "extDataContent",
)  # fmt: skip
RESULT_NAMES: Final = (
    "merchantAcctId", "version", "language", "signType", "payType", "bankId", "orderId", "orderTime", "orderAmount",
    "bindCard", "bindMobile", "dealId", "bankDealId", "dealTime", "payAmount", "fee", "ext1", "ext2", "payResult",
    "errCode",
)  # fmt: skip
QUERY_NAMES: Final = (
    "inputCharset", "version", "signType", "merchantAcctId", "queryType", "queryMode", "startTime", "endTime",
    "requestPage", "orderId",
)  # fmt: skip
HEAD_NAMES: Final = (
    "version", "signType", "merchantAcctId", "errCode", "currentPage", "pageCount", "pageSize", "recordCount",
)  # fmt: skip
ITEM_NAMES: Final = (
    "orderId", "orderAmount", "orderTime", "dealTime", "payResult", "payType", "payAmount", "fee", "dealId",
)  # fmt: skip
REFUND_NAMES: Final = (
    "merchant_id", "version", "command_type", "orderid", "amount", "postdate", "txOrder",
)  # fmt: skip
REFUND_QUERY_NAMES: Final = (
    "version", "signType", "merchantAcctId", "startDate", "endDate", "orderId", "requestPage", "rOrderId",
)  # fmt: skip
REFUND_ITEM_NAMES: Final = ("orderId", "ROrderId", "orderAmout", "status")
"""What our answer to a query for refunds signs of one (unverified; ``orderAmout`` is spelled so)."""

SIGNED: Final[dict[str, tuple[str, ...]]] = {
    PAY: PAY_NAMES, QUERY: QUERY_NAMES, REFUND: REFUND_NAMES, REFUND_QUERY: REFUND_QUERY_NAMES,
}  # fmt: skip
PROOF: Final = "signMsg"
REFUND_PROOF: Final = "mac"
REFUND_VERSION: Final = "bill_drawback_api_1"
REFUND_COMMAND: Final = "001"
ITEM_PROOF: Final = "signInfo"
BORDERS: Final = frozenset((*PAY_NAMES, *RESULT_NAMES, *QUERY_NAMES, *HEAD_NAMES, *REFUND_QUERY_NAMES, "key"))
"""Names that no value may spell as ``&name=``: two messages would share one signature."""

PRIVATE: Final = frozenset(
    ("signmsg", "signinfo", "mac", "key", "refund_key", "payername", "payercontact", "payerid", "payerip",
     "cardnum", "bindcard", "bindmobile", "ext1", "ext2")
)  # fmt: skip

# --- states ----------------------------------------------------------------------------------------------------------

PAID: Final = "10"
FAILED: Final = "11"
RESULT_STATES: Final[dict[str, TradeState]] = {
    PAID: TradeState.PAID,
    FAILED: TradeState.UNPAID,
    "00": TradeState.UNPAID,
    "01": TradeState.UNPAID,
}
"""00 and 01 say that an order was taken or not, never that it was paid."""
RESULT_WORD: Final[dict[TradeState, str]] = {
    TradeState.PAID: PAID,
    TradeState.FINISHED: PAID,
    TradeState.UNPAID: FAILED,
    TradeState.CLOSED: FAILED,
}
SAID_AS: Final[dict[str, str]] = {
    TradeState.FINISHED: TradeState.PAID,
    TradeState.CLOSED: TradeState.UNPAID,
    "refund:closed": "failed",
}
REFUND_STATES: Final[dict[str, MovementState]] = {
    "0": MovementState.ACCEPTED,
    "1": MovementState.SUCCEEDED,
    "2": MovementState.FAILED,
}
REFUND_WORD: Final[dict[MovementState, str]] = {
    MovementState.ACCEPTED: "0",
    MovementState.SUCCEEDED: "1",
    MovementState.FAILED: "2",
    MovementState.CLOSED: "2",
}

# --- ways of paying and banks ----------------------------------------------------------------------------------------

ANY_WAY: Final = "00"
BY_BANK: Final = "10"
BY_BALANCE: Final = "12"
WAYS: Final = frozenset((ANY_WAY, BY_BANK, "11", BY_BALANCE, "13", "14", "21", "21-1", "21-2"))
METHOD_OF: Final[dict[str, Method]] = {
    BY_BALANCE: Method.BALANCE,
    "13": Method.OUTLET,
    "21-1": Method.DEBIT,
    "21-2": Method.CREDIT,
}
WAY_OF: Final[dict[Method, str]] = {method: word for word, method in METHOD_OF.items()}

BANK_OF: Final[dict[str, str]] = {
    "ICBC": "ICBC", "CMB": "CMB", "CCB": "CCB", "ABC": "ABC", "BOC": "BOC", "BOC_SH": "BOC", "BOC_GZ": "BOC",
    "SPDB": "SPDB", "BCOM": "COMM", "CMBC": "CMBC", "SDB": "PAB", "PAB": "PAB", "GDB": "GDB", "CITIC": "CITIC",
    "HXB": "HXB", "CIB": "CIB", "SHRCC": "SHRCB", "SRCB": "SHRCB", "CPSRB": "PSBC", "POST": "PSBC", "PSBC": "PSBC",
    "CEB": "CEB", "BOB": "BOB", "BJRCB": "BJRCB", "SHB": "BOS",
}  # fmt: skip
"""``bankId`` -> bank of our directory. Other codes name none of its banks and are accepted."""
BANK_CODE: Final[dict[str, str]] = {
    "ICBC": "ICBC", "CMB": "CMB", "CCB": "CCB", "ABC": "ABC", "BOC": "BOC", "SPDB": "SPDB", "COMM": "BCOM",
    "CMBC": "CMBC", "PAB": "PAB", "GDB": "GDB", "CITIC": "CITIC", "HXB": "HXB", "CIB": "CIB", "SHRCB": "SRCB",
    "PSBC": "PSBC", "CEB": "CEB", "BOB": "BOB", "BJRCB": "BJRCB", "BOS": "SHB",
}  # fmt: skip

# --- refusals --------------------------------------------------------------------------------------------------------

ERROR: Final = "00000"
NO_ORDER: Final = "31003"
NOT_PAID: Final = "31005"
NO_REFUND: Final = "10012"
BUSY: Final = "30001"

WIRE_CODE: Final[dict[str, str]] = dict.fromkeys(REFUSALS, ERROR) | {
    "BAD_CHARSET": "10001",
    "URL_NOT_ALLOWED": "10003",
    "UNKNOWN_MERCHANT": "10006",
    "AMOUNT_INVALID": "10011",
    "AMOUNT_NOT_POSITIVE": "10011",
    "METHOD_NOT_ALLOWED": "10019",
    "BANK_UNKNOWN": "10021",
    "SIGN_TYPE_NOT_ALLOWED": "10023",
    "NO_PRIVILEGE": "10024",
    "TRADE_AMOUNT_MISMATCH": "10037",
    "TRADE_FROZEN": "10037",
    "TRADE_NOT_PAYABLE": "30004",
    "SIGN_MISSING": "20001",
    "SIGN_INVALID": "20001",
    "MERCHANT_DISABLED": "20002",
    "INSUFFICIENT_FUNDS": "50009",
    "TRADE_NOT_FOUND": NO_ORDER,
    "NOT_FOUND": NO_ORDER,
    "REFUND_NOT_FOUND": NO_REFUND,
    "RATE_LIMITED": BUSY,
    "SYSTEM": BUSY,
}
"""Our refusal -> ``errCode``; what the tables have no word for is 00000, unknown."""
NEUTRAL_CODE: Final[dict[str, str]] = {
    "10001": "BAD_CHARSET",
    "10003": "URL_NOT_ALLOWED",
    "10006": "UNKNOWN_MERCHANT",
    "10011": "AMOUNT_INVALID",
    "10019": "METHOD_NOT_ALLOWED",
    "10021": "BANK_UNKNOWN",
    "10023": "SIGN_TYPE_NOT_ALLOWED",
    "10024": "NO_PRIVILEGE",
    "10037": "TRADE_FROZEN",
    "11003": "SIGN_INVALID",
    "20001": "SIGN_INVALID",
    "20002": "MERCHANT_DISABLED",
    "30004": "TRADE_NOT_PAYABLE",
    "50009": "INSUFFICIENT_FUNDS",
    NO_ORDER: "TRADE_NOT_FOUND",
    NO_REFUND: "REFUND_NOT_FOUND",
}

ERROR_TITLE: Final = "快钱支付出错"

# Keys printed in demos and test suites. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(("ZUZNJB8MF63GA83J", "APPSECRET"))
