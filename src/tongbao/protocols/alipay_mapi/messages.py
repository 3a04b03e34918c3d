"""Wire names, enumerations and codes of Alipay's classic interface, as tables. Section numbers are the README's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tongbao.wire.movement import PayOutBatch, QueryMovements, QueryRefund, RefundBatch
from tongbao.wire.vocabulary import (
    Carriage,
    CloseTrade,
    ConfirmNotification,
    CreateTrade,
    Freight,
    Method,
    Presentation,
    Product,
    QueryTrade,
    RequestTimestamp,
    ShipTrade,
    TradeState,
)


@dataclass(frozen=True, slots=True)
class Service:
    """One value of ``service``: its intent, who carries it, whether it is signed; of a trade what it is and where."""

    intent: type
    carriage: Carriage
    signed: bool = True
    product: Product | None = None
    presentation: Presentation = Presentation.PAGE


CONFIRM: Final = "notify_verify"
TIMESTAMP: Final = "query_timestamp"
QUERY: Final = "single_trade_query"
CLOSE: Final = "close_trade"
SHIP: Final = "send_goods_confirm_by_platform"
H5: Final = "alipay.wap.create.direct.pay.by.user"
REFUND: Final = "refund_fastpay_by_platform_nopwd"
REFUND_PWD: Final = "refund_fastpay_by_platform_pwd"
REFUND_QUERY: Final = "refund_fastpay_query"
PAYOUT: Final = "batch_trans_notify_no_pwd"
PAYOUT_PWD: Final = "batch_trans_notify"
ACCOUNT: Final = "account.page.query"
EXPORT: Final = "export_trade_account_report"

SERVICES: Final[dict[str, Service]] = {
    "create_direct_pay_by_user": Service(CreateTrade, Carriage.BROWSER, product=Product.INSTANT),
    "create_partner_trade_by_buyer": Service(CreateTrade, Carriage.BROWSER, product=Product.ESCROW),
    "trade_create_by_buyer": Service(CreateTrade, Carriage.BROWSER, product=Product.DUAL),
    H5: Service(CreateTrade, Carriage.BROWSER, product=Product.INSTANT, presentation=Presentation.H5),
    QUERY: Service(QueryTrade, Carriage.SERVER),
    CLOSE: Service(CloseTrade, Carriage.SERVER),
    SHIP: Service(ShipTrade, Carriage.SERVER),
    REFUND: Service(RefundBatch, Carriage.SERVER),
    REFUND_PWD: Service(RefundBatch, Carriage.BROWSER),
    REFUND_QUERY: Service(QueryRefund, Carriage.SERVER),
    PAYOUT: Service(PayOutBatch, Carriage.SERVER),
    PAYOUT_PWD: Service(PayOutBatch, Carriage.BROWSER),
    ACCOUNT: Service(QueryMovements, Carriage.SERVER),
    EXPORT: Service(QueryMovements, Carriage.SERVER),
    TIMESTAMP: Service(RequestTimestamp, Carriage.SERVER, signed=False),
    CONFIRM: Service(ConfirmNotification, Carriage.SERVER, signed=False),
}

SERVICE_OF: Final = {(entry.product, entry.presentation): name for name, entry in SERVICES.items() if entry.product}

GATEWAY_PATH: Final = "/gateway.do"
OLD_GATEWAY_PATH: Final = "/cooperate/gateway.do"
OLD_CONFIRM_PATH: Final = "/trade/notify_query.do"

UNSIGNED: Final = frozenset((b"sign", b"sign_type"))

ADDRESSES: Final = {
    "notify_url": 190,
    "return_url": 200,
    "error_notify_url": 200,
    "show_url": 400,
    "dback_notify_url": 190,
}

LENGTHS: Final[dict[str, int]] = {
    **ADDRESSES,
    "out_trade_no": 64,
    "out_order_no": 64,
    "trade_no": 64,
    "subject": 256,
    "body": 1000,
    "payment_type": 4,
    "seller_id": 16,
    "seller_email": 100,
    "seller_account_name": 100,
    "buyer_id": 16,
    "buyer_email": 100,
    "buyer_account_name": 100,
    "extra_common_param": 100,
    "anti_phishing_key": 64,
    "exter_invoke_ip": 15,
    "receive_name": 128,
    "receive_address": 256,
    "receive_zip": 20,
    "receive_phone": 30,
    "receive_mobile": 30,
    "token": 40,
    "logistics_name": 64,
    "invoice_no": 32,
    "notify_id": 512,
    "royalty_parameters": 1000,
    "batch_no": 32,
    "seller_user_id": 16,
    "email": 100,
    "account_name": 128,
    "merchant_out_order_no": 64,
    "iw_account_log_id": 64,
    "trans_code": 100,
}
"""Characters. Names not listed are ignored, so only the size of the whole message binds them."""

UNLIMITED: Final = 1_000_000

PAYEE_LENGTH: Final = 100
PAYEE_NAME_LENGTH: Final = 128
MEMO_LENGTH: Final = 200
"""Characters of the parts of one payout; the last is ours."""

REQUEST_NAMES: Final = frozenset(LENGTHS) | frozenset(
    (
        "service", "partner", "_input_charset", "total_fee", "price", "quantity", "discount", "paymethod",
        "defaultbank", "enable_paymethod", "disable_paymethod", "it_b_pay", "logistics_type", "logistics_fee",
        "logistics_payment", "logistics_type_1", "logistics_fee_1", "logistics_payment_1", "logistics_type_2",
        "logistics_fee_2", "logistics_payment_2", "transport_type", "create_transport_type", "trade_role",
        "royalty_type", "royalty_parameters", "batch_num", "batch_fee", "detail_data", "refund_date", "pay_date",
        "use_freeze_amount", "page_no", "page_size", "gmt_start_time", "gmt_end_time", "gmt_create_start",
        "gmt_create_end", "no_coupon",
    )
)  # fmt: skip
"""Names that mean something here: a value may not spell one of them as ``&name=`` (README, peculiarities)."""

RETURN_NAMES: Final = frozenset(
    (
        "is_success", "exterface", "notify_type", "notify_id", "notify_time", "out_trade_no", "trade_no",
        "trade_status", "subject", "body", "payment_type", "total_fee", "seller_id", "seller_email", "buyer_id",
        "buyer_email", "extra_common_param", "bank_seq_no", "price", "quantity", "discount", "gmt_create",
        "gmt_payment", "gmt_send_goods", "gmt_logistics_modify", "gmt_close", "logistics_type", "logistics_fee",
        "logistics_payment", "is_total_fee_adjust", "use_coupon", "refund_status", "gmt_refund", "buyer_actions",
        "seller_actions", "receive_name", "receive_address", "receive_zip", "receive_phone", "receive_mobile",
    )
)  # fmt: skip
"""Names of a return and of a trade's notification. In a return all others in the address are the shop's own."""

NOTICE_NAMES: Final = RETURN_NAMES | frozenset(
    (
        "batch_no", "success_num", "result_details", "unfreezed_deta", "unfreezed_details", "pay_user_id",
        "pay_user_name", "pay_account_no", "success_details", "fail_details",
    )
)  # fmt: skip
"""Names of all notifications."""

PRIVATE: Final = frozenset(
    (
        "sign", "key", "anti_phishing_key", "buyer_id", "buyer_email", "buyer_account_name", "receive_name",
        "receive_address", "receive_zip", "receive_phone", "receive_mobile", "seller_email", "seller_account_name",
        "token", "exter_invoke_ip", "bank_seq_no", "detail_data", "account_name", "email", "royalty_parameters",
        "pay_user_name", "success_details", "fail_details",
    )
)  # fmt: skip

# --- states ------------------------------------------------------------------------------------------------------

STATE_OF: Final[dict[str, TradeState]] = {
    "WAIT_BUYER_PAY": TradeState.UNPAID,
    "TRADE_SUCCESS": TradeState.PAID,
    "WAIT_SELLER_SEND_GOODS": TradeState.ESCROWED,
    "WAIT_BUYER_CONFIRM_GOODS": TradeState.SHIPPED,
    "TRADE_FINISHED": TradeState.FINISHED,
    "TRADE_CLOSED": TradeState.CLOSED,
}
"""Other words (TRADE_PENDING, COD_*, ...) read as no state at all: nothing may be decided by them."""

STATUS_OF: Final[dict[TradeState, str]] = {state: word for word, state in STATE_OF.items()}

ACTIONS: Final[dict[TradeState, tuple[str, str]]] = {
    TradeState.UNPAID: ("PAY", "MODIFY_TRADE"),
    TradeState.ESCROWED: ("REFUND", "SEND_GOODS"),
    TradeState.SHIPPED: ("REFUND,CONFIRM_GOODS", "EXTEND_TIMEOUT"),
}
"""What buyer and seller may do next in an escrow trade (buyer_actions, seller_actions)."""

REFUND_WORD: Final[dict[str, str]] = {
    "asked": "WAIT_SELLER_AGREE",
    "refused": "SELLER_REFUSE_BUYER",
    "returning": "WAIT_BUYER_RETURN_GOODS",
    "returned": "WAIT_SELLER_CONFIRM_GOODS",
    "paying_back": "WAIT_ALIPAY_REFUND",
    "success": "REFUND_SUCCESS",
    "closed": "REFUND_CLOSED",
}
REFUND_STATE: Final = {word: state for state, word in REFUND_WORD.items()} | {
    "ALIPAY_CHECK": "paying_back",
    "OVERED_REFUND": "paying_back",
}

# --- shipping and paying -----------------------------------------------------------------------------------------

KIND_OF: Final = {"POST": "post", "EXPRESS": "express", "EMS": "ems", "DIRECT": "none", "VIRTUAL": "none"}
LOGISTICS_OF: Final = {"post": "POST", "express": "EXPRESS", "ems": "EMS", "none": "DIRECT"}
FREIGHT_OF: Final = {
    "SELLER_PAY": Freight.SELLER,
    "BUYER_PAY": Freight.BUYER,
    "BUYER_PAY_AFTER_RECEIVE": Freight.ON_DELIVERY,
}
FREIGHT_WORD: Final = {freight: word for word, freight in FREIGHT_OF.items()}

METHOD_OF: Final[dict[str, Method]] = {
    "directPay": Method.BALANCE,
    "creditPay": Method.CREDIT,
    "cartoon": Method.DEBIT,
    "cash": Method.OUTLET,
    "CASH": Method.OUTLET,
}
"""``paymethod`` beside ``bankPay``, which goes with ``defaultbank``. Outlets appear in both cases in real clients."""
PAYMETHOD_OF: Final = {
    Method.BALANCE: "directPay",
    Method.CREDIT: "creditPay",
    Method.DEBIT: "cartoon",
    Method.OUTLET: "cash",
}
ALLOWED_OF: Final[dict[str, tuple[Method, ...]]] = {
    "directPay": (Method.BALANCE,),
    "bankPay": (Method.DEBIT, Method.CREDIT),
    "cartoon": (Method.DEBIT,),
    "debitCardExpress": (Method.DEBIT,),
    "creditCardExpress": (Method.CREDIT,),
    "cash": (Method.OUTLET,),
    "CASH": (Method.OUTLET,),
    "coupon": (),
    "point": (),
    "voucher": (),
}
"""Words of ``enable_paymethod`` and ``disable_paymethod``."""
ALLOWED_WORD: Final = {
    Method.BALANCE: "directPay",
    Method.DEBIT: "debitCardExpress",
    Method.CREDIT: "creditCardExpress",
    Method.OUTLET: "cash",
}

_MIXED: Final = {
    "ICBCB2C": "ICBC", "CMB": "CMB", "CCB": "CCB", "ABC": "ABC", "BOCB2C": "BOC", "SPDB": "SPDB", "CIB": "CIB",
    "GDB": "GDB", "CMBC": "CMBC", "CITIC": "CITIC", "CEBBANK": "CEB", "COMM": "COMM", "POSTGC": "PSBC",
    "SPABANK": "PAB", "HZCBB2C": "HZCB", "SHBANK": "BOS", "NBBANK": "NBCB", "BJRCB": "BJRCB", "BJBANK": "BOB",
    "FDB": "FDB", "SHRCB": "SHRCB",
}  # fmt: skip
_DEBIT: Final = {
    "CMB-DEBIT": "CMB", "CCB-DEBIT": "CCB", "ICBC-DEBIT": "ICBC", "COMM-DEBIT": "COMM", "GDB-DEBIT": "GDB",
    "BOC-DEBIT": "BOC", "CEB-DEBIT": "CEB", "SPDB-DEBIT": "SPDB", "PSBC-DEBIT": "PSBC", "WZCBB2C-DEBIT": "WZCB",
    "SPA-DEBIT": "PAB",
}  # fmt: skip
_OLD: Final = {
    "fdb101": "FDB", "SDB": "PAB", "ICBCBTB": "ICBC", "ABCBTB": "ABC", "CCBBTB": "CCB", "SPDBB2B": "SPDB",
    "BOCBTB": "BOC", "CMBBTB": "CMB",
}  # fmt: skip
_FOREIGN: Final = {"abc1003": "ABC", "abc1004": "ABC"}

BANK_OF: Final[dict[str, tuple[str, Method | None]]] = {
    **{code: (bank, None) for code, bank in (_MIXED | _OLD).items()},
    **{code: (bank, Method.DEBIT) for code, bank in _DEBIT.items()},
    **{code: (bank, Method.CREDIT) for code, bank in _FOREIGN.items()},
}
"""``defaultbank`` -> (bank in our directory, kind of card where the code says one)."""
BANK_CODE: Final[dict[tuple[str, Method | None], str]] = {
    **{(bank, None): code for code, bank in _MIXED.items()},
    **{(bank, Method.DEBIT): code for code, bank in _DEBIT.items()},
}

PAYMENT_TYPES: Final = frozenset(("1", "2", "3", "4", "5", "6", "7", "8", "47"))

# --- codes -------------------------------------------------------------------------------------------------------

WIRE_CODE: Final[dict[str, str]] = {
    "MALFORMED": "ILLEGAL_ARGUMENT",
    "TOO_LARGE": "ILLEGAL_LENGTH",
    "BAD_CHARSET": "ILLEGAL_ENCODING",
    "DUPLICATE_PARAM": "ILLEGAL_ARGUMENT",
    "AMBIGUOUS_SPLIT": "ILLEGAL_ARGUMENT",
    "FIELD_MISSING": "PARAMTER_IS_NULL",
    "FIELD_INVALID": "ILLEGAL_ARGUMENT",
    "UNKNOWN_SERVICE": "ILLEGAL_SERVICE",
    "AMOUNT_INVALID": "ILLEGAL_MONEY_FORMAT",
    "AMOUNT_CONFLICT": "ILLEGAL_FEE_PARAM",
    "AMOUNT_NOT_POSITIVE": "TOTAL_FEE_LESSEQUAL_ZERO",
    "CURRENCY_NOT_ALLOWED": "ILLEGAL_ARGUMENT",
    "URL_NOT_ALLOWED": "ILLEGAL_ARGUMENT",
    "EXPIRY_INVALID": "ILLEGAL_OUTTIME_ARGUMENT",
    "LOGISTICS_INVALID": "LOGISTICS_CHOOSE_ERROR",
    "BANK_UNKNOWN": "DEFAULT_BANK_INVALID",
    "CLIENT_IP_INVALID": "ILLEGAL_EXTER_INVOKE_IP",
    "UNKNOWN_MERCHANT": "ILLEGAL_PARTNER",
    "SIGN_MISSING": "ILLEGAL_SIGN",
    "SIGN_TYPE_NOT_ALLOWED": "ILLEGAL_SIGN_TYPE",
    "SIGN_INVALID": "ILLEGAL_SIGN",
    "KEY_UNKNOWN": "ILLEGAL_SECURITY_PROFILE",
    "KEY_REVOKED": "ILLEGAL_SECURITY_PROFILE",
    "STALE": "EXTERFACE_INVOKE_CONTEXT_EXPIRED",
    "ANTI_PHISHING_INVALID": "ILLEGAL_ANTI_PHISHING_KEY",
    "ANTI_PHISHING_EXPIRED": "ANTI_PHISHING_KEY_TIMEOUT",
    "NO_PRIVILEGE": "HAS_NO_PRIVILEGE",
    "MERCHANT_DISABLED": "ILLEGAL_USER",
    "SELLER_UNKNOWN": "SELLER_NOT_EXIST",
    "BUYER_UNKNOWN": "BUYER_NOT_EXIST",
    "BUYER_IS_SELLER": "BUYER_SELLER_EQUAL",
    "RATE_LIMITED": "ILLEGAL_REQUEST",
    "TRADE_NOT_FOUND": "TRADE_NOT_EXIST",
    "TRADE_STATE": "TRADE_STATUS_NOT_AVAILD",
    "TRADE_NOT_PAYABLE": "TRADE_NOT_ALLOWED_PAY",
    "TRADE_AMOUNT_MISMATCH": "TRADE_TOTALFEE_NOT_MATCH",
    "TRADE_PRICE_MISMATCH": "TRADE_PRICE_NOT_MATCH",
    "TRADE_QUANTITY_MISMATCH": "TRADE_QUANTITY_NOT_MATCH",
    "TRADE_SELLER_MISMATCH": "TRADE_SELLER_NOT_MATCH",
    "TRADE_BUYER_MISMATCH": "TRADE_BUYER_NOT_MATCH",
    "TRADE_FROZEN": "TRADE_DATA_MATCH_ERROR",
    "METHOD_NOT_ALLOWED": "PRODUCT_NOT_ALLOWED",
    "BUYER_DISABLED": "PAY_CHECK_FAIL",
    "LOGIN_WRONG": "PAY_CHECK_FAIL",
    "PASSWORD_WRONG": "PAY_CHECK_FAIL",
    "PASSWORD_LOCKED": "PAY_CHECK_FAIL",
    "AUTHORISATION_INVALID": "SESSION_TIMEOUT",
    "REVIEW_AGAIN": "TRADE_DATA_MATCH_ERROR",
    "INSUFFICIENT_FUNDS": "PAY_CHECK_FAIL",
    "PAYMENT_NOT_FOUND": "TRADE_NOT_FOUND",
    "PAYMENT_STATE": "FAIL_CREATE_CASHIER_PAY_ORDER",
    "CASHIER_LINK_INVALID": "SESSION_TIMEOUT",
    "REFUND_EXCEEDS": "REFUND_TRADE_FEE_ERROR",
    "REFUND_NOT_FOUND": "REFUND_NOT_EXIST",
    "REFUND_MISMATCH": "DUPLICATE_BATCH_NO",
    "REFUND_EXPIRED": "BATCH_REFUND_STATUS_ERROR",
    "MERCHANT_FUNDS": "TXN_RESULT_ACCOUNT_BALANCE_NOT_ENOUGH",
    "SPLIT_EXCEEDS": "REFUND_ROYALTY_FEE_ERROR",
    "SPLIT_NOT_FOUND": "ILLEGAL_REQUEST",
    "RECEIVER_UNKNOWN": "ROYALTY_RECEIVE_EMAIL_NOT_EXIST",
    "PAYOUT_NOT_FOUND": "ILLEGAL_REQUEST",
    "PAYOUT_MISMATCH": "BATCH_OUT_BIZ_NO_DUPLICATE",
    "BATCH_INVALID": "DETAIL_DATA_FORMAT_ERROR",
    "BATCH_NOT_FOUND": "ILLEGAL_REQUEST",
    "PAYEE_UNKNOWN": "ILLEGAL_REQUEST",
    "PAYEE_NAME_MISMATCH": "ILLEGAL_REQUEST",
    "PAYOUT_COOLING": "ILLEGAL_REQUEST",
    "LIMIT_EXCEEDED": "SINGLE_DETAIL_DATA_EXCEED_LIMIT",
    "BILL_NOT_READY": "ILLEGAL_REQUEST",
    "BILL_NOT_FOUND": "ILLEGAL_REQUEST",
    "BILL_DATE_INVALID": "ILLEGAL_ARGUMENT",
    "CODE_INVALID": "SESSION_TIMEOUT",
    "BUYER_PAYING": "PAY_CHECK_FAIL",
    "SIGNATURE_WEAK_LIMIT": "HAS_NO_PRIVILEGE",
    "CERT_REQUIRED": "HAS_NO_PRIVILEGE",
    "NOT_FOUND": "ILLEGAL_REQUEST",
    "ALREADY_EXISTS": "ILLEGAL_REQUEST",
    "STATE_CONFLICT": "ILLEGAL_REQUEST",
    "MAKER_IS_CHECKER": "HAS_NO_PRIVILEGE",
    "IDEMPOTENCY_CONFLICT": "TRADE_DATA_MATCH_ERROR",
    "SYSTEM": "SYSTEM_ERROR",
}
"""Our refusal code -> the interface's word; total over ``REFUSALS``."""

FIELD_CODE: Final[dict[tuple[str, str], str]] = {
    ("FIELD_MISSING", "subject"): "SUBJECT_MUST_NOT_BE_NULL",
    ("FIELD_MISSING", "partner"): "ILLEGAL_PARTNER",
    ("FIELD_INVALID", "partner"): "ILLEGAL_PARTNER",
    ("FIELD_MISSING", "service"): "ILLEGAL_SERVICE",
    ("FIELD_MISSING", "_input_charset"): "ILLEGAL_CHARSET",
    ("BAD_CHARSET", "_input_charset"): "ILLEGAL_CHARSET",
    ("SIGN_MISSING", "sign_type"): "ILLEGAL_SIGN_TYPE",
    ("FIELD_MISSING", "defaultbank"): "DEFAULT_BANK_INVALID",
    ("FIELD_INVALID", "defaultbank"): "DEFAULT_BANK_INVALID",
    ("FIELD_INVALID", "payment_type"): "ILLEGAL_PAYMENT_TYPE",
    ("FIELD_INVALID", "quantity"): "ILLEGAL_INTEGER_FORMAT",
    ("FIELD_INVALID", "extra_common_param"): "ILLEGAL_EXTRA_COMMON_PARAM",
    ("FIELD_INVALID", "royalty_type"): "ROYALTY_TYPE_ERROR",
    ("TOO_LARGE", "token"): "TOKEN_LEN_TOO_LONG",
    ("AMOUNT_INVALID", "logistics_fee"): "ILLEGAL_LOGISTICS_FORMAT",
    ("FIELD_INVALID", "royalty_parameters"): "ROYALTY_FORAMT_ERROR",
    ("FIELD_MISSING", "royalty_parameters"): "ROYALTY_FORAMT_ERROR",
    ("TOO_LARGE", "royalty_parameters"): "ROYALTY_LENGTH_ERROR",
    ("AMOUNT_INVALID", "royalty_parameters"): "ROYALTY_FORAMT_ERROR",
    ("AMOUNT_NOT_POSITIVE", "royalty_parameters"): "ROYALTY_FORAMT_ERROR",
    ("FIELD_INVALID", "batch_no"): "BATCH_NO_FORMAT_ERROR",
    ("FIELD_INVALID", "gmt_end_time"): "ILLEGAL_DATA_FORMAT",
    ("FIELD_INVALID", "gmt_start_time"): "ILLEGAL_DATA_FORMAT",
    ("FIELD_INVALID", "gmt_create_start"): "ILLEGAL_DATA_FORMAT",
    ("FIELD_INVALID", "gmt_create_end"): "ILLEGAL_DATA_FORMAT",
    ("FIELD_INVALID", "page_no"): "ILLEGAL_INTEGER_FORMAT",
    ("FIELD_INVALID", "page_size"): "ILLEGAL_INTEGER_FORMAT",
}
"""A closer word where the offending field is known."""

_ALIASES: Final[dict[str, str]] = {
    "ILLEGAL_ARGUMENT": "FIELD_INVALID",
    "PARAMTER_IS_NULL": "FIELD_MISSING",
    "SUBJECT_MUST_NOT_BE_NULL": "FIELD_MISSING",
    "ILLEGAL_SIGN": "SIGN_INVALID",
    "ILLEGAL_CHARSET": "BAD_CHARSET",
    "ILLEGAL_INTEGER_FORMAT": "FIELD_INVALID",
    "ILLEGAL_NUMBER_FORMAT": "FIELD_INVALID",
    "ILLEGAL_DATA_FORMAT": "FIELD_INVALID",
    "REGEXP_MATCH_FAIL": "FIELD_INVALID",
    "ILLEGAL_PAYMENT_TYPE": "FIELD_INVALID",
    "ILLEGAL_EXTRA_COMMON_PARAM": "FIELD_INVALID",
    "ILLEGAL_LOGISTICS_FORMAT": "LOGISTICS_INVALID",
    "TOKEN_LEN_TOO_LONG": "TOO_LARGE",
    "ILLEGAL_SECURITY_PROFILE": "KEY_UNKNOWN",
    "ILLEGAL_PARTNER_EXTERFACE": "NO_PRIVILEGE",
    "EXTERFACE_IS_CLOSED": "NO_PRIVILEGE",
    "HAS_NO_PRIVILEGE": "NO_PRIVILEGE",
    "SELF_TIMEOUT_NOT_SUPPORT": "EXPIRY_INVALID",
    "TRADE_DATA_MATCH_ERROR": "TRADE_FROZEN",
    "TRADE_NOT_FOUND": "TRADE_NOT_FOUND",
    "PAY_CHECK_FAIL": "METHOD_NOT_ALLOWED",
    "SESSION_TIMEOUT": "AUTHORISATION_INVALID",
    "ILLEGAL_REQUEST": "MALFORMED",
    "SYSTEM_EXCEPTION": "SYSTEM",
    "ROYALTY_FORAMT_ERROR": "FIELD_INVALID",
    "ROYALTY_TYPE_ERROR": "FIELD_INVALID",
    "ROYALTY_LENGTH_ERROR": "TOO_LARGE",
    "BATCH_NO_FORMAT_ERROR": "FIELD_INVALID",
}
_OF_REFUND: Final[dict[tuple[str, str], str]] = {
    ("FIELD_INVALID", "refund_date"): "REFUND_DATE_ERROR",
    ("FIELD_MISSING", "refund_date"): "REFUND_DATE_ERROR",
    ("FIELD_INVALID", "batch_no"): "BATCH_NO_FORMAT_ERROR",
    ("FIELD_INVALID", "batch_num"): "BATCH_NUM_ERROR",
    ("TOO_LARGE", "batch_num"): "BATCH_NUM_EXCEED_LIMIT",
    ("BATCH_INVALID", "batch_num"): "BATCH_NUM_NOT_EQUAL_TOTAL",
    ("FIELD_INVALID", "detail_data"): "DETAIL_DATA_FORMAT_ERROR",
    ("FIELD_MISSING", "detail_data"): "DETAIL_DATA_FORMAT_ERROR",
    ("DUPLICATE_PARAM", "detail_data"): "DUBL_TRADE_NO_IN_SAME_BATCH",
    ("TOO_LARGE", "detail_data"): "BATCH_MEMO_LENGTH_EXCEED_LIMIT",
    ("AMOUNT_INVALID", "detail_data"): "REFUND_AMOUNT_NOT_VALID",
    ("AMOUNT_NOT_POSITIVE", "detail_data"): "REFUND_AMOUNT_NOT_VALID",
    ("SELLER_UNKNOWN", "seller_user_id"): "NOT_THIS_PARTNERS_TRADE",
}
_OF_PAYOUT: Final[dict[tuple[str, str], str]] = {
    ("FIELD_INVALID", "batch_no"): "BATCH_OUT_BIZ_NO_LIMIT_ERROR",
    ("FIELD_INVALID", "batch_num"): "TOTAL_COUNT_NOT_MATCH",
    ("TOO_LARGE", "batch_num"): "FILE_CONTENT_LIMIT",
    ("BATCH_INVALID", "batch_num"): "TOTAL_COUNT_NOT_MATCH",
    ("BATCH_INVALID", "batch_fee"): "TOTAL_AMOUNT_NOT_MATCH",
    ("AMOUNT_INVALID", "batch_fee"): "AMOUNT_FORMAT_ERROR",
    ("AMOUNT_NOT_POSITIVE", "batch_fee"): "AMOUNT_FORMAT_ERROR",
    ("FIELD_MISSING", "email"): "PAYER_IS_NULL",
    ("FIELD_MISSING", "account_name"): "PAYER_IS_NULL",
    ("FIELD_MISSING", "detail_data"): "FILE_CONTENT_NULL",
    ("FIELD_INVALID", "detail_data"): "ILLEGAL_CONTENT_FORMAT",
    ("DUPLICATE_PARAM", "detail_data"): "DETAIL_OUT_BIZ_NO_REPEATE",
    ("TOO_LARGE", "detail_data"): "RECEIVE_ACCOUNT_ERROR",
    ("PAYEE_UNKNOWN", "detail_data"): "RECEIVE_ACCOUNT_ERROR",
    ("AMOUNT_INVALID", "detail_data"): "RECEIVE_MONEY_ERROR",
    ("AMOUNT_NOT_POSITIVE", "detail_data"): "RECEIVE_MONEY_ERROR",
}
FIELD_CODE_OF: Final = {REFUND: _OF_REFUND, REFUND_PWD: _OF_REFUND, PAYOUT: _OF_PAYOUT, PAYOUT_PWD: _OF_PAYOUT}
"""The closer word within one service."""

REFUND_DONE: Final = "SUCCESS"
REFUND_RUNNING: Final = "PROCESSING"
REFUND_FAILED: Final = "REFUND_FAIL"
REFUND_CODE: Final[dict[str, str]] = {
    "TRADE_NOT_FOUND": "TRADE_NOT_EXISTS",
    "TRADE_STATE": "TRADE_STATUS_ERROR",
    "REFUND_EXCEEDS": "REFUND_TRADE_FEE_ERROR",
    "REFUND_EXPIRED": "TRADE_HAS_FINISHED",
    "REFUND_MISMATCH": "DUPLICATE_BATCH_NO",
    "MERCHANT_FUNDS": "TXN_RESULT_ACCOUNT_BALANCE_NOT_ENOUGH",
    "MERCHANT_DISABLED": "SELLER_STATUS_NOT_ALLOW",
    "NO_PRIVILEGE": "PARTNER_NOT_SIGN_PROTOCOL",
    "AMOUNT_INVALID": "REFUND_AMOUNT_NOT_VALID",
    "SPLIT_EXCEEDS": "REFUND_ROYALTY_FEE_ERROR",
    "RECEIVER_UNKNOWN": "ROYALTYER_NOT_SIGN_PROTOCOL",
    "SELLER_UNKNOWN": "NOT_THIS_PARTNERS_TRADE",
    "BATCH_INVALID": "BATCH_NUM_NOT_EQUAL_TOTAL",
    "SYSTEM": REFUND_FAILED,
}
"""Our refusal code -> the word for it in answers to refunds and in their results; others are REFUND_FAIL there."""
NEUTRAL_CODE_OF_REFUND: Final[dict[str, str]] = {word: code for code, word in REFUND_CODE.items()} | {
    "TRADE_HAS_CLOSED": "TRADE_STATE",
    "REASON_TRADE_REFUND_FEE_ERR": "REFUND_EXCEEDS",
    "REFUND_TRADE_FAILED": "SYSTEM",
    "ACCOUNT_NOT_EXISTS": "RECEIVER_UNKNOWN",
    "EMAIL_USERID_NOT_MATCH": "RECEIVER_UNKNOWN",
    "TXN_RESULT_ACCOUNT_STATUS_NOT_VALID": "MERCHANT_DISABLED",
    "SELLER_NOT_SIGN_PROTOCOL": "NO_PRIVILEGE",
    "BATCH_NO_FORMAT_ERROR": "FIELD_INVALID",
    "BATCH_NUM_ERROR": "FIELD_INVALID",
    "REFUND_DATE_ERROR": "FIELD_INVALID",
    "DETAIL_DATA_FORMAT_ERROR": "FIELD_INVALID",
    "BATCH_NUM_EXCEED_LIMIT": "TOO_LARGE",
    "BATCH_MEMO_LENGTH_EXCEED_LIMIT": "TOO_LARGE",
    "DUBL_TRADE_NO_IN_SAME_BATCH": "DUPLICATE_PARAM",
}

PAYOUT_FAILED: Final = "SYSTEM_ERROR"
PAYOUT_CODE: Final[dict[str, str]] = {
    "PAYEE_UNKNOWN": "RECEIVE_USER_NOT_EXIST",
    "PAYEE_NAME_MISMATCH": "ACCOUN_NAME_NOT_MATCH",
    "BUYER_DISABLED": "ILLEGAL_USER_STATUS",
    "MERCHANT_FUNDS": "TRANSFER_AMOUNT_NOT_ENOUGH",
    "LIMIT_EXCEEDED": "DAILY_QUOTA_LIMIT_EXCEED",
    "PAYOUT_MISMATCH": "BATCH_OUT_BIZ_NO_DUPLICATE",
    "AMOUNT_INVALID": "RECEIVE_MONEY_ERROR",
    "BATCH_INVALID": "FILE_SUMMARY_NOT_MATCH",
    "MERCHANT_DISABLED": "PAYER_ACCOUNT_IS_RELEASED",
    "PAYOUT_COOLING": "PERMIT_CHECK_PERM_LIMITED",
    "STATE_CONFLICT": "SYSTEM_DISUSE_FILE",
    "SYSTEM": PAYOUT_FAILED,
}
"""Our refusal code -> the word for it in answers to payouts and in their results; others are SYSTEM_ERROR there."""
NEUTRAL_CODE_OF_PAYOUT: Final[dict[str, str]] = {word: code for code, word in PAYOUT_CODE.items()} | {
    "USER_NOT_EXIST": "PAYEE_UNKNOWN",
    "PAYEE_ACCOUNT_IS_RELEASED": "BUYER_DISABLED",
    "ERROR_OTHER_NOT_REALNAMED": "PAYEE_NAME_MISMATCH",
    "ERROR_OTHER_CERTIFY_LEVEL_LIMIT": "LIMIT_EXCEEDED",
    "MERCHANT_DISUSE_FILE": "STATE_CONFLICT",
    "TOTAL_COUNT_NOT_MATCH": "BATCH_INVALID",
    "TOTAL_AMOUNT_NOT_MATCH": "BATCH_INVALID",
    "AMOUNT_FORMAT_ERROR": "AMOUNT_INVALID",
    "RECEIVE_ACCOUNT_ERROR": "PAYEE_UNKNOWN",
    "DETAIL_OUT_BIZ_NO_REPEATE": "DUPLICATE_PARAM",
}

CODES_OF: Final = {REFUND: REFUND_CODE, REFUND_PWD: REFUND_CODE, PAYOUT: PAYOUT_CODE, PAYOUT_PWD: PAYOUT_CODE}
"""Service -> the words that it uses instead of those of ``WIRE_CODE``."""

# --- lines of an account -----------------------------------------------------------------------------------------

KINDS_OF: Final[dict[str, tuple[str, ...]]] = {
    "6001": ("payment", "refund"),
    "3012": ("fee", "fee_return"),
    "3011": ("split", "payout"),
    "5103": ("payout_return",),
    "5004": ("settlement",),
    "4003": (),
}
"""``trans_code`` -> kinds of lines; top-ups do not happen to merchants here."""

KIND_WORD: Final[dict[str, str]] = {
    "payment": "在线支付",
    "refund": "退款",
    "fee": "收费",
    "fee_return": "退费",
    "split": "分润",
    "payout": "转账",
    "payout_return": "转账退回",
    "settlement": "结算",
    "adjustment": "其它",
    "chargeback": "拒付",
}
KIND_OF_WORD: Final = {word: kind for kind, word in KIND_WORD.items()} | {"提现": "payout", "交易退款": "refund"}

BILL_WORD: Final = "账务明细"

NEUTRAL_CODE: Final[dict[str, str]] = {wire: ours for ours, wire in WIRE_CODE.items()} | _ALIASES
NEUTRAL_CODE_OF: Final = {
    **dict.fromkeys((REFUND, REFUND_PWD, REFUND_QUERY), NEUTRAL_CODE_OF_REFUND),
    **dict.fromkeys((PAYOUT, PAYOUT_PWD), NEUTRAL_CODE_OF_PAYOUT),
}
"""The interface's word -> ours, for the merchant's half; words not listed read as SYSTEM with the word kept."""

# Keys printed in manuals, demos and test suites. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(
    ("abcdefghijklmnopqrstuvwxyz012345", "10000000000000000000000000000000", "20000000000000000000000000000000")
)
