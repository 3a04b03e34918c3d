"""Wire names, orders of signing, enumerations and codes of YeePay's bank gateway, as tables. The README says whence."""

from __future__ import annotations

from typing import Final

from tongbao.wire.movement import MovementState, QueryRefund, RefundTrade
from tongbao.wire.vocabulary import CloseTrade, CreateTrade, Method, QueryTrade, TradeState

BUY: Final = "Buy"
QUERY: Final = "QueryOrdDetail"
CANCEL: Final = "CancelOrd"
REFUND: Final = "RefundOrd"
REFUND_QUERY: Final = "RefundResults"

OPERATIONS: Final[dict[str, type]] = {
    BUY: CreateTrade,
    QUERY: QueryTrade,
    CANCEL: CloseTrade,
    REFUND: RefundTrade,
    REFUND_QUERY: QueryRefund,
}

NODE_PATH: Final = "/app-merchant-proxy/node"
COMMAND_PATH: Final = "/app-merchant-proxy/command"

GATEWAY: Final = f"https://www.yeepay.com{NODE_PATH}"
QUERY_GATEWAY: Final = f"https://cha.yeepay.com{COMMAND_PATH}"

# --- what is signed, in this order; what a message lacks counts as empty -------------------------------------------

REQUEST_NAMES: Final[dict[str, tuple[str, ...]]] = {
    BUY: (
        "p0_Cmd", "p1_MerId", "p2_Order", "p3_Amt", "p4_Cur", "p5_Pid", "p6_Pcat", "p7_Pdesc", "p8_Url", "p9_SAF",
        "pa_MP", "pb_ServerNotifyUrl", "pd_FrpId", "pm_Period", "pn_Unit", "pr_NeedResponse", "pt_UserName",
        "pt_PostalCode", "pt_Address", "pt_TeleNo", "pt_Mobile", "pt_Email", "pt_LeaveMessage",
    ),
    QUERY: ("p0_Cmd", "p1_MerId", "p2_Order", "pv_Ver", "p3_ServiceType"),
    CANCEL: ("p0_Cmd", "p1_MerId", "pb_TrxId", "pv_Ver"),
    REFUND: ("p0_Cmd", "p1_MerId", "p2_Order", "pb_TrxId", "p3_Amt", "p4_Cur", "p5_Desc"),
    REFUND_QUERY: ("p0_Cmd", "p1_MerId", "p2_Order", "pb_TrxId"),
}  # fmt: skip

CALLBACK_NAMES: Final = (
    "p1_MerId", "r0_Cmd", "r1_Code", "r2_TrxId", "r3_Amt", "r4_Cur", "r5_Pid", "r6_Order", "r7_Uid", "r8_MP",
    "r9_BType",
)  # fmt: skip

ANSWER_NAMES: Final[dict[str, tuple[str, ...]]] = {
    QUERY: (
        "r0_Cmd", "r1_Code", "r2_TrxId", "r3_Amt", "r4_Cur", "r5_Pid", "r6_Order", "r8_MP", "rw_RefundRequestID",
        "rx_CreateTime", "ry_FinshTime", "rz_RefundAmount", "rb_PayStatus", "rc_RefundCount", "rd_RefundAmt",
    ),
    CANCEL: ("r0_Cmd", "r1_Code"),
    REFUND: ("r0_Cmd", "r1_Code", "r2_TrxId", "r3_Amt", "r4_Cur"),
    REFUND_QUERY: ("r0_Cmd", "r1_Code", "r2_TrxId", "r4_Order", "refundStatus", "refundFrpStatus"),
}  # fmt: skip
"""The old answer to a query lacks the four from rw to rz; absent equals empty, so one order serves both."""

NEW_NAMES: Final = ("rw_RefundRequestID", "rx_CreateTime", "ry_FinshTime", "rz_RefundAmount")

UNSIGNED_NAMES: Final = (
    "rb_BankId", "ro_BankOrderId", "rp_PayDate", "ru_Trxtime", "rq_CardNo", "rq_SourceFee", "rq_TargetFee",
)  # fmt: skip
"""Fields of a callback that no signature covers."""

NEW_VERSION: Final = "3.0"
OLD_VERSION: Final = "1.0"
ORDER_SERVICE: Final = "2"

LENGTHS: Final[dict[str, int]] = {
    "p2_Order": 50,
    "p3_Amt": 20,
    "p4_Cur": 10,
    "p5_Pid": 20,
    "p6_Pcat": 20,
    "p7_Pdesc": 20,
    "p8_Url": 200,
    "p9_SAF": 1,
    "pa_MP": 200,
    "pb_ServerNotifyUrl": 50,
    "pd_FrpId": 50,
    "pr_NeedResponse": 1,
    "pt_UserName": 50,
    "pt_PostalCode": 20,
    "pt_Address": 255,
    "pt_TeleNo": 50,
    "pt_Mobile": 50,
    "pt_Email": 100,
    "pt_LeaveMessage": 100,
    "pb_TrxId": 50,
    "p5_Desc": 1000,
}
"""Characters. Names not listed are ignored, so only the size of the whole message binds them."""

PRIVATE: Final = frozenset(
    (
        "hmac", "hmac_safe", "keyvalue", "pt_username", "pt_postalcode", "pt_address", "pt_teleno", "pt_mobile",
        "pt_email", "pt_leavemessage", "r7_uid", "ro_bankorderid", "rq_cardno",
    )
)  # fmt: skip

NAMELESS: Final = "商品名称"
"""What the platform calls goods that came without a name."""
DASH: Final = "-"
"""What it says for them in a callback."""

# --- states --------------------------------------------------------------------------------------------------------

STATE_OF: Final[dict[str, TradeState]] = {
    "INIT": TradeState.UNPAID,
    "SUCCESS": TradeState.PAID,
    "CANCELED": TradeState.CLOSED,
}
"""Other words read as no state at all: nothing may be decided by them."""

STATUS_OF: Final[dict[TradeState, str]] = {state: word for word, state in STATE_OF.items()} | {
    TradeState.FINISHED: "SUCCESS"
}
STATUS_WORDS: Final = (*STATE_OF, "AUTHORIZED", "FAILED")

SAID_AS: Final[dict[str, str]] = {TradeState.FINISHED: TradeState.PAID}

# --- refunds -------------------------------------------------------------------------------------------------------

REFUND_STATE_OF: Final[dict[str, MovementState]] = {
    "1": MovementState.ACCEPTED,
    "2": MovementState.SUCCEEDED,
    "3": MovementState.FAILED,
    "4": MovementState.CLOSED,
}
"""``refundFrpStatus``: on its way, done, failed, come back."""
REFUND_STATUS_OF: Final = {state: word for word, state in REFUND_STATE_OF.items()}
TAKEN: Final = "1"

# --- paying --------------------------------------------------------------------------------------------------------

UNIT: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 30 * 86_400, "year": 365 * 86_400}
"""Seconds of each ``pn_Unit``."""
PERIOD_DEFAULT: Final = 7
UNIT_DEFAULT: Final = "day"
EXPIRY_MAX: Final = 180 * 86_400

_PERSONAL: Final = {
    "ICBC": "ICBC", "CMBCHINA": "CMB", "CCB": "CCB", "BOCO": "COMM", "CIB": "CIB", "CMBC": "CMBC", "CEB": "CEB",
    "BOC": "BOC", "PINGANBANK": "PAB", "ECITIC": "CITIC", "GDB": "GDB", "SHB": "BOS", "SPDB": "SPDB", "HXB": "HXB",
    "BCCB": "BOB", "ABC": "ABC", "POST": "PSBC",
}  # fmt: skip
_MERGED: Final = {"SDB": "PAB"}
_DEBIT: Final = frozenset(("CMBC", "HXB", "BCCB", "POST"))
_COMPANY: Final = (
    "ICBC", "CMBCHINA", "ABC", "CCB", "CEB", "BOC", "SDB", "SPDB", "CMBC", "BOCO", "HXB", "ECITIC", "CIB", "GDB",
)  # fmt: skip
_ALL: Final = _PERSONAL | _MERGED

MEMBER: Final = "1000000-NET"
ONE_CLICK: Final = "YJZF-NET-B2C"

CHANNEL_OF: Final[dict[str, tuple[str, Method | None]]] = {
    MEMBER: ("", Method.BALANCE),
    ONE_CLICK: ("", None),
    **{f"{word}-NET-B2B": (_ALL[word], None) for word in _COMPANY},
    **{f"{word}-NET": (bank, Method.DEBIT if word in _DEBIT else None) for word, bank in _ALL.items()},
    **{f"{word}-NET-B2C": (bank, Method.DEBIT if word in _DEBIT else None) for word, bank in _ALL.items()},
}
"""``pd_FrpId`` -> (bank in our directory, way of paying where the code says one)."""

CHANNEL_CODE: Final[dict[tuple[str, Method | None], str]] = {
    ("", Method.BALANCE): MEMBER,
    **{(bank, None): f"{word}-NET-B2C" for word, bank in _PERSONAL.items()},
    **{(bank, Method.DEBIT): f"{word}-NET-B2C" for word, bank in _PERSONAL.items() if word in _DEBIT},
}

# --- codes ---------------------------------------------------------------------------------------------------------

OK: Final = "1"
NOT_FOUND: Final = "50"

WIRE_CODE: Final[dict[str, str]] = {
    "MALFORMED": "-1",
    "TOO_LARGE": "-1",
    "BAD_CHARSET": "-1",
    "DUPLICATE_PARAM": "-1",
    "AMBIGUOUS_SPLIT": "-1",
    "FIELD_MISSING": "-1",
    "FIELD_INVALID": "-1",
    "UNKNOWN_SERVICE": "-1",
    "AMOUNT_INVALID": "66",
    "AMOUNT_CONFLICT": "66",
    "AMOUNT_NOT_POSITIVE": "66",
    "CURRENCY_NOT_ALLOWED": "66",
    "URL_NOT_ALLOWED": "-1",
    "EXPIRY_INVALID": "-1",
    "LOGISTICS_INVALID": "-1",
    "BANK_UNKNOWN": "95",
    "CLIENT_IP_INVALID": "6801",
    "UNKNOWN_MERCHANT": "-2",
    "SIGN_MISSING": "-1",
    "SIGN_TYPE_NOT_ALLOWED": "-1",
    "SIGN_INVALID": "-1",
    "KEY_UNKNOWN": "-1",
    "KEY_REVOKED": "-1",
    "STALE": "-1",
    "ANTI_PHISHING_INVALID": "-1",
    "ANTI_PHISHING_EXPIRED": "-1",
    "NO_PRIVILEGE": "95",
    "MERCHANT_DISABLED": "2",
    "SELLER_UNKNOWN": "-2",
    "BUYER_UNKNOWN": "-1",
    "BUYER_IS_SELLER": "-1",
    "RATE_LIMITED": "6801",
    "TRADE_NOT_FOUND": NOT_FOUND,
    "TRADE_STATE": "53",
    "TRADE_NOT_PAYABLE": "53",
    "TRADE_AMOUNT_MISMATCH": "11",
    "TRADE_PRICE_MISMATCH": "11",
    "TRADE_QUANTITY_MISMATCH": "11",
    "TRADE_SELLER_MISMATCH": "11",
    "TRADE_BUYER_MISMATCH": "11",
    "TRADE_FROZEN": "11",
    "METHOD_NOT_ALLOWED": "95",
    "BUYER_DISABLED": "2",
    "LOGIN_WRONG": "-1",
    "PASSWORD_WRONG": "-1",
    "PASSWORD_LOCKED": "-1",
    "AUTHORISATION_INVALID": "-1",
    "REVIEW_AGAIN": "11",
    "INSUFFICIENT_FUNDS": "18",
    "PAYMENT_NOT_FOUND": "32",
    "PAYMENT_STATE": "7",
    "CASHIER_LINK_INVALID": "-1",
    "REFUND_EXCEEDS": "10",
    "REFUND_NOT_FOUND": NOT_FOUND,
    "REFUND_MISMATCH": "11",
    "REFUND_EXPIRED": "53",
    "MERCHANT_FUNDS": "18",
    "SPLIT_EXCEEDS": "66",
    "SPLIT_NOT_FOUND": NOT_FOUND,
    "RECEIVER_UNKNOWN": "-1",
    "PAYOUT_NOT_FOUND": NOT_FOUND,
    "PAYOUT_MISMATCH": "11",
    "BATCH_INVALID": "66",
    "BATCH_NOT_FOUND": NOT_FOUND,
    "PAYEE_UNKNOWN": "-1",
    "PAYEE_NAME_MISMATCH": "-1",
    "PAYOUT_COOLING": "95",
    "LIMIT_EXCEEDED": "95",
    "BILL_NOT_READY": NOT_FOUND,
    "BILL_NOT_FOUND": NOT_FOUND,
    "BILL_DATE_INVALID": "-1",
    "CODE_INVALID": "-1",
    "BUYER_PAYING": "7",
    "SIGNATURE_WEAK_LIMIT": "95",
    "CERT_REQUIRED": "95",
    "NOT_FOUND": NOT_FOUND,
    "ALREADY_EXISTS": "11",
    "STATE_CONFLICT": "7",
    "MAKER_IS_CHECKER": "95",
    "IDEMPOTENCY_CONFLICT": "11",
    "SYSTEM": "-1",
}
"""Our refusal code -> the platform's number, taken from the lists of all its commands; total over the refusals."""

NEUTRAL_CODE: Final[dict[str, str]] = {
    "-1": "MALFORMED",
    "-2": "UNKNOWN_MERCHANT",
    "2": "MERCHANT_DISABLED",
    "7": "PAYMENT_STATE",
    "10": "REFUND_EXCEEDS",
    "11": "TRADE_FROZEN",
    "18": "INSUFFICIENT_FUNDS",
    "32": "PAYMENT_NOT_FOUND",
    "50": "TRADE_NOT_FOUND",
    "53": "TRADE_STATE",
    "66": "AMOUNT_INVALID",
    "95": "METHOD_NOT_ALLOWED",
    "6801": "RATE_LIMITED",
}
"""The platform's number -> ours, for the merchant's half."""

CODES_OF: Final[dict[str, dict[str, str]]] = {
    REFUND: {
        "TRADE_NOT_FOUND": "32",
        "TRADE_STATE": "526",
        "REFUND_EXPIRED": "83",
        "NO_PRIVILEGE": "10803",
        "MERCHANT_FUNDS": "900",
    },
    REFUND_QUERY: {"TRADE_NOT_FOUND": "-3", "REFUND_NOT_FOUND": "-3"},
}
"""Command -> numbers of its own list."""
NEUTRAL_CODE_OF: Final[dict[str, dict[str, str]]] = {
    REFUND: {number: code for code, number in CODES_OF[REFUND].items()}
    | {
        "7": "TRADE_STATE",
        "18": "MERCHANT_FUNDS",
        "50": "TRADE_NOT_FOUND",
        "55": "REFUND_EXPIRED",
        "11": "REFUND_MISMATCH",
        "-1": "SYSTEM",  # no number of this list; elsewhere it is "unknown" too
    },
    REFUND_QUERY: {"-3": "REFUND_NOT_FOUND"},
}
"""The same backwards, with the other numbers that its list has."""

SIGN_PAGE: Final = "抱歉,交易签名无效"
ERROR_PAGE: Final = "抱歉,交易无法受理"

# Keys printed in manuals, demos and test suites. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(
    (
        "69cl522AV6q613Ii4W6u8K6XuW8vM1N6bFgyv769220IuYe9u37N4y7rI4Pl",
        "U26po59182dV8d7654bo24o5z369408u4sQ3To9j6QuopAbo3gwj4h33mro4",
        "8UPp0KE8sq73zVP370vko7C39403rtK1YwX40Td6irH216036H27Eb12792t",
        "Xke1a0TqZE2Q8ku943LgC425247y3zuu09vLh78S4U0142rp60h3s6egNY3j",
        "fdsiojosdgdjioioj",
    )
)
