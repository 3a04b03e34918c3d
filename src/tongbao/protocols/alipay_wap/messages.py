"""Wire names, states and words for refusals of Alipay's older interface for phones, as tables."""

from __future__ import annotations

from typing import Final

from tongbao.wire.vocabulary import ConfirmNotification, CreateTrade, EnterTrade, QueryTrade, TradeState

CREATE: Final = "alipay.wap.trade.create.direct"
ENTER: Final = "alipay.wap.auth.authAndExecute"
CONFIRM: Final = "notify_verify"
QUERY: Final = "single_trade_query"

OPERATIONS: Final[dict[str, type]] = {
    CREATE: CreateTrade,
    ENTER: EnterTrade,
    CONFIRM: ConfirmNotification,
    QUERY: QueryTrade,
}

REST_PATH: Final = "/service/rest.htm"
GATEWAY_PATH: Final = "/gateway.do"
GATEWAY: Final = f"https://wappaygw.alipay.com{REST_PATH}"
QUERY_GATEWAY: Final = f"https://mapi.alipay.com{GATEWAY_PATH}"

ALGORITHM: Final = "MD5"
FORMAT: Final = "xml"
VERSION: Final = "2.0"
NOTICE_VERSION: Final = "1.0"
TOKEN_WORD: Final = "requestToken"
"""What stands in a return in the place of the token."""

CREATE_ROOT: Final = "direct_trade_create_req"
CREATED_ROOT: Final = "direct_trade_create_res"
ENTER_ROOT: Final = "auth_and_execute_req"
ERROR_ROOT: Final = "err"
NOTICE_ROOT: Final = "notify"

LENGTHS: Final[dict[str, int]] = {
    "out_trade_no": 64,
    "trade_no": 64,
    "subject": 256,
    "seller_account_name": 100,
    "call_back_url": 200,
    "notify_url": 200,
    "merchant_url": 200,
    "out_user": 32,
    "request_token": 64,
    "notify_id": 512,
}
"""Characters; those of addresses and of the token are ours."""

KNOWN: Final = frozenset(
    (
        "service",
        "partner",
        "format",
        "v",
        "sec_id",
        "req_data",
        "req_id",
        "res_data",
        "res_error",
        "notify_data",
        "sign",
    )
)
"""Names of fields: no value may spell one of them as ``&name=``."""
NOTICE_NAMES: Final = ("service", "v", "sec_id", "notify_data")
"""What is signed of a notification, in this order, which is not that of the alphabet."""
RETURN_NAMES: Final = ("out_trade_no", "request_token", "result", "trade_no")

PRIVATE: Final = frozenset(("sign", "key", "req_data", "notify_data", "res_data", "request_token"))

STATE_OF: Final[dict[str, TradeState]] = {
    "WAIT_BUYER_PAY": TradeState.UNPAID,
    "TRADE_SUCCESS": TradeState.PAID,
    "TRADE_FINISHED": TradeState.FINISHED,
    "TRADE_CLOSED": TradeState.CLOSED,
}
"""Other words read as no state at all: nothing may be decided by them."""
STATUS_OF: Final[dict[TradeState, str]] = {state: word for word, state in STATE_OF.items()}

# --- codes ---------------------------------------------------------------------------------------------------------

_DATA: Final = "REQ_DATA_ILLEGAL"
_BUSINESS: Final = "BIZ_PARAMS_ILLEGAL"
_COMMON: Final = "COMMON_PARAMS_ILLEGAL"
_SIGN: Final = "SIGN_ILLEGAL"
_SYSTEM: Final = "SYSTEM_EXCEPTION"

_CLOSER: Final[dict[str, str]] = {
    "MALFORMED": _DATA,
    "TOO_LARGE": "BIZ_PARAMS_TOO_LONG",
    "BAD_CHARSET": _DATA,
    "DUPLICATE_PARAM": _COMMON,
    "AMBIGUOUS_SPLIT": _COMMON,
    "UNKNOWN_SERVICE": "SERVICE_NOT_EXIST",
    "UNKNOWN_MERCHANT": "PARTNER_ILLEGAL",
    "MERCHANT_DISABLED": "PARTNER_ILLEGAL",
    "NO_PRIVILEGE": "PARTNER_ILLEGAL",
    "SIGN_MISSING": _SIGN,
    "SIGN_INVALID": _SIGN,
    "SIGN_TYPE_NOT_ALLOWED": "SEC_ID_NOT_EXIST",
    "KEY_UNKNOWN": _SIGN,
    "KEY_REVOKED": _SIGN,
    "SELLER_UNKNOWN": "SELLER_ACCOUNT_NOT_MATCH",
    "TRADE_SELLER_MISMATCH": "SELLER_ACCOUNT_NOT_MATCH",
    "RATE_LIMITED": _SYSTEM,
    "SYSTEM": _SYSTEM,
}


def word_of(code: str) -> str:
    """The interface's word for a refusal: ten words stand for all of them."""
    return _CLOSER.get(code, _BUSINESS)


NEUTRAL_CODE: Final[dict[str, str]] = {
    _DATA: "MALFORMED",
    _BUSINESS: "FIELD_INVALID",
    _COMMON: "MALFORMED",
    _SIGN: "SIGN_INVALID",
    _SYSTEM: "SYSTEM",
    "BIZ_PARAMS_TOO_LONG": "TOO_LARGE",
    "SERVICE_NOT_EXIST": "UNKNOWN_SERVICE",
    "PARTNER_ILLEGAL": "UNKNOWN_MERCHANT",
    "SEC_ID_NOT_EXIST": "SIGN_TYPE_NOT_ALLOWED",
    "SELLER_ACCOUNT_NOT_MATCH": "SELLER_UNKNOWN",
}
NUMBER_OF: Final = {"PARTNER_ILLEGAL": "0005"}
"""The only printed number of a word; others are told as 0000."""

QUERY_CODES: Final[dict[str, str]] = {
    "TRADE_NOT_FOUND": "TRADE_NOT_EXIST",
    "SIGN_INVALID": "ILLEGAL_SIGN",
    "SIGN_MISSING": "ILLEGAL_SIGN",
    "SIGN_TYPE_NOT_ALLOWED": "ILLEGAL_SIGN_TYPE",
    "UNKNOWN_MERCHANT": "ILLEGAL_PARTNER",
    "FIELD_MISSING": "PARAMTER_IS_NULL",
    "FIELD_INVALID": "ILLEGAL_ARGUMENT",
    "SYSTEM": "SYSTEM_ERROR",
}
"""The words of the main gateway, which answers the query."""
NEUTRAL_QUERY_CODE: Final = {word: code for code, word in QUERY_CODES.items()} | {"ILLEGAL_SIGN": "SIGN_INVALID"}

# Keys printed in manuals, demos and test suites. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(
    ("abcdefghijklmnopqrstuvwxyz012345", "10000000000000000000000000000000", "20000000000000000000000000000000")
)
