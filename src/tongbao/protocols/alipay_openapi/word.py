"""The merchant's half: what the gateway's words say in ours, and which of them leave the outcome open.

Every word of sheet alipay-openapi, sections 4 and 6, is here or in ``code.WIRE_CODE``. A word that neither has is as
definite as its public code: only 20000, and a word that says so itself, is an outcome that nobody knows (section 4).
"""

from __future__ import annotations

from typing import Final

from tongbao.protocols.alipay_openapi.code import BUSINESS, PAYING, PREFIXES, UNKNOWN, WIRE_CODE

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    # the message, and who asks
    "FIELD_MISSING": (
        "isv.missing-method", "isv.missing-app-id", "isv.missing-version", "isv.missing-timestamp",
        "isv.missing-alipay-root-cert-sn", "isv.decryption-error-missing-encrypt-type",
        "MEMO_REQUIRED_IN_TRANSFER_ERROR",
    ),
    "FIELD_INVALID": (
        "isv.invalid-parameter", "isv.invalid-format", "isv.invalid-encrypt",
        "isv.invalid-encrypt-type", "isv.invalid-digest", "isv.invalid-file-extension", "isv.invalid-file-size",
        "isv.upload-fail", "isv.decryption-error-unknown", "isv.decryption-error-not-valid-encrypt-key",
        "isv.decryption-error-not-valid-encrypt-type", "isv.grant-type-invalid", "INVALID_PARAMETER",
        "ILLEGAL_ARGUMENT", "EXIST_FORBIDDEN_WORD", "INVALID_STORE_ID", "STORE_INFO_INVALID",
        "SUB_GOODS_SIZE_MAX_COUNT", "REMARK_HAS_SENSITIVE_WORD", "TRANSFER_SCENE_NAME_ILLEGAL", "TYPE_NOT_SUPPORTED",
        "USER_LOGONID_DUP", "OVERDRAFT_ASSIGN_ACCOUNT_INVALID",
    ),
    "MALFORMED": ("isv.illegal-json", "isv.suspected-attack"),
    "AMOUNT_INVALID": ("REFUND_FEE_ERROR", "EXCEED_LIMIT_SM_MIN_AMOUNT"),
    "SIGN_MISSING": ("isv.missing-signature-type",),
    "SIGN_TYPE_NOT_ALLOWED": ("isv.missing-default-signature-type",),
    "KEY_UNKNOWN": (
        "isv.missing-signature-key", "isv.missing-signature-config", "isv.missing-encrypt-key",
        "isv.invalid-alipay-root-cert-sn", "isv.alipay-cert-not-exist",
    ),
    "RATE_LIMITED": ("isv.method-call-limited", "USER_RATE_LIMIT", "SYSTEM_RATE_LIMIT", "FREQUENCY_LIMITED"),
    "NO_PRIVILEGE": (
        "isv.insufficient-user-permissions", "isv.self-invoke-forbidden", "isv.forbidden-api",
        "isv.invalid-auth-relations", "isv.not-support-app-auth", "aop.invalid-app-auth-token-no-api",
        "aop.no-product-reg-by-partner", "ACCESS_FORBIDDEN", "PRODUCT_NOT_SIGN", "NO_PERMISSION_ACCOUNT",
        "NO_ORDER_PERMISSION", "NOT_SUPPORT_ROYALTY", "MERCHANT_AGREEMENT_NOT_EXIST", "MERCHANT_AGREEMENT_INVALID",
        "OVERDRAFT_AGREEMENT_NOT_MATCH", "REFUNDALLOC_UNAUTH_LIMIT", "OPEN_ID_NOT_TINY_APP", "UNBOUND_APPLICATION",
    ),
    "AUTHORISATION_INVALID": (
        "isv.code-invalid", "isv.invalid-token", "isv.refresh-token-invalid", "isv.refresh-token-time-out",
        "isv.refreshed-token-invalid", "isv.unmatched-app-id", "aop.invalid-auth-token", "aop.auth-token-time-out",
        "aop.invalid-app-auth-token", "aop.app-auth-token-time-out", "AGREEMENT_NOT_EXIST", "AGREEMENT_INVALID",
        "AGREEMENT_STATUS_NOT_NORMAL", "AGREEMENT_ERROR", "AUTH_NO_ERROR", "AUTH_TOKEN_IS_NOT_EXIST",
        "AUTHOREE_IS_NOT_MATCH", "USER_AGREEMENT_VERIFY_FAIL",
    ),
    "MERCHANT_DISABLED": (
        "isv.invalid-app-state", "isv.not-online-app", "SELLER_BEEN_BLOCKED", "MERCHANT_STATUS_NOT_NORMAL",
        "PAYER_STATUS_ERROR",
    ),
    "SELLER_UNKNOWN": ("INVALID_RECEIVE_ACCOUNT", "REFUND_ACCOUNT_NOT_EXIST"),
    "BUYER_UNKNOWN": ("isv.invalid-openid",),
    "BUYER_IS_SELLER": ("PAYER_PAYEE_CANNOT_SAME", "PAYER_PAYEE_EQUAL", "ROYALTY_ACCOUNTS_EQUAL"),
    # the trade, and paying
    "TRADE_NOT_FOUND": ("TRADE_NOT_EXIST",),
    "TRADE_FROZEN": ("CONTEXT_INCONSISTENT",),
    "TRADE_BUYER_MISMATCH": ("USER_NOT_MATCH_ERR",),
    "TRADE_NOT_PAYABLE": ("TRADE_HAS_CLOSE",),
    "TRADE_STATE": (
        "TRADE_STATUS_ERROR", "REASON_TRADE_STATUS_INVALID", "REASON_ILLEGAL_STATUS", "REASON_TRADE_BEEN_FREEZEN",
        "TRADE_NOT_ALLOW_REFUND", "NOT_ALLOW_PARTIAL_REFUND", "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
        "ALLOC_REFUSE_AFTER_REFUND", "ALREADY_FINISH_ALLOC", "ILLEGAL_SETTLE_STATE",
    ),
    "METHOD_NOT_ALLOWED": (
        "PAYMENT_FAIL", "PULL_MOBILE_CASHIER_FAIL", "PAYMENT_REQUEST_HAS_RISK", "ERROR_BALANCE_PAYMENT_DISABLE",
        "MOBILE_PAYMENT_SWITCH_OFF", "USER_FACE_PAYMENT_SWITCH_OFF", "ENTERPRISE_PAY_BIZ_ERROR",
    ),
    "BUYER_DISABLED": ("BUYER_ERROR",),
    "INSUFFICIENT_FUNDS": ("BUYER_BANKCARD_BALANCE_NOT_ENOUGH", "AUTH_AMOUNT_NOT_ENOUGH", "MONEY_NOT_ENOUGH"),
    "LIMIT_EXCEEDED": (
        "TOTAL_FEE_EXCEED", "BEYOND_PAY_RESTRICTION", "BEYOND_PER_RECEIPT_RESTRICTION",
        "BEYOND_PER_RECEIPT_SINGLE_RESTRICTION", "BEYOND_PER_RECEIPT_DAY_RESTRICTION",
        "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR", "PRODUCT_AMOUNT_LIMIT_ERROR",
        "EXCEED_LIMIT_PERSONAL_SM_AMOUNT", "EXCEED_LIMIT_ENT_SM_AMOUNT", "EXCEED_LIMIT_MM_MAX_AMOUNT",
        "EXCEED_LIMIT_UNRN_DM_AMOUNT", "REQUEST_AMOUNT_EXCEED",
    ),
    "STATE_CONFLICT": (
        "CANCEL_NOT_ALLOWED", "APPLY_PC_MERCHANT_CODE_ERROR", "DEFAULT_SETTLE_RULE_NOT_EXIST",
        "CUSTOMER_VALIDATE_ERROR", "ILLEGAL_STATUS", "ORDER_ALREADY_CLOSED", "ORDER_ALREADY_FINISH",
    ),
    # money after the payment
    "REFUND_EXCEEDS": ("REFUND_AMT_NOT_EQUAL_TOTAL",),
    "REFUND_EXPIRED": ("TRADE_CANCEL_TIME_OUT",),
    "REFUND_MISMATCH": ("DISCORDANT_REPEAT_REQUEST",),
    "MERCHANT_FUNDS": (
        "BALANCE_IS_NOT_ENOUGH", "PAYER_BALANCE_NOT_ENOUGH", "TXN_RESULT_ACCOUNT_BALANCE_NOT_ENOUGH",
    ),
    "RECEIVER_UNKNOWN": ("ROYALTY_ACCOUNT_NOT_EXIST", "REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST"),
    "PAYEE_UNKNOWN": ("PAYEE_ACC_OCUPIED", "PAYEE_ACCOUNT_STATUS_ERROR"),
    "PAYEE_NAME_MISMATCH": ("PAYEE_CERT_INFO_ERROR",),
    "PAYOUT_NOT_FOUND": ("ORDER_NOT_EXIST",),
    "PAYOUT_MISMATCH": ("BIZ_UNIQUE_EXCEPTION",),
    "IDEMPOTENCY_CONFLICT": ("DUP_OUT_REQUEST_NO",),
    "ALREADY_EXISTS": ("UNIQUE_VIOLATION", "FREEZE_ALREADY_SUCCESS"),
    "NOT_FOUND": (
        "AUTH_ORDER_NOT_EXIST", "AUTH_OPERATION_NOT_EXIST", "ALIPAY_ACCOUNT_NOT_EXIST",
        "TRUSTEESHIP_ACCOUNT_NOT_EXIST",
    ),
    "BILL_NOT_READY": ("BILL_NOT_EXIST",),
    "BILL_DATE_INVALID": ("INVAILID_ARGUMENTS", "BILL_DATE_BEFORE_REGISTRATION"),
    # nobody knows
    "SYSTEM": ("aop.unknow-error", "SYSTEM_ERROR", "UNKNOWN_ERROR", "REQUEST_PROCESSING"),
}  # fmt: skip
"""Our code -> the gateway's words that say so, beside that of ``code.WIRE_CODE``; business words without ``ACQ.``,
which several are told with and without."""

_BUSINESS: Final = ("ACQ.", "AQC.")
_OPEN: Final = ("SYSTEM_ERROR", "UNKNOWN_ERROR", "PROCESSING", "unknow-error")
"""How a word ends that leaves the outcome open."""


def _plain(word: str) -> str:
    return word[4:] if word.startswith(_BUSINESS) else word


NEUTRAL_CODE: Final = {_plain(wire): ours for ours, wire in WIRE_CODE.items()} | {
    word: ours for ours, words in _WORDS.items() for word in words
}
"""The gateway's word, without ``ACQ.`` -> our code."""

_BY_PUBLIC: Final = {
    "20001": "AUTHORISATION_INVALID",
    "40001": "FIELD_MISSING",
    "40002": "FIELD_INVALID",
    "40003": "NO_PRIVILEGE",
    BUSINESS: "STATE_CONFLICT",
    "40005": "RATE_LIMITED",
    "40006": "NO_PRIVILEGE",
}
"""Public code -> what a word says that is not listed."""

_STATE: Final = {"TRADE_HAS_SUCCESS": "paid", "TRADE_HAS_CLOSE": "closed"}
"""How a trade stands that cannot be paid, by the word for that (section 7)."""

_BARE: Final = {word.removeprefix(prefix): word for prefix in PREFIXES for word in NEUTRAL_CODE if "." in word}
_BY_STATUS: Final = {401: "40006", 403: "40006", 429: "40005"}


def neutral(word: str, public: str = BUSINESS) -> str:
    """Our refusal code for the gateway's word, told with the ``public`` code: SYSTEM where the outcome is unknown, and
    for a public code that is not listed either. What the public code leaves open, no word closes."""
    if public == PAYING:
        return "BUYER_PAYING"
    if public == UNKNOWN or word.endswith(_OPEN):
        return "SYSTEM"
    return NEUTRAL_CODE.get(_plain(word)) or _BY_PUBLIC.get(public, "SYSTEM")


def state_of(word: str, code: str) -> str:
    """The state of the trade that the gateway's word for our ``code`` tells, as in ``Refused.state``; '' for none."""
    return _STATE.get(_plain(word), "") if code == "TRADE_NOT_PAYABLE" else ""


def whole(code: str) -> str:
    """A word as the REST interface spells it -> the gateway's: the inverse of ``code.bare``."""
    return _BARE.get(code, code)


def public_of(status: int) -> str:
    """The public code that the REST interface's status stands for (section 11.2)."""
    return UNKNOWN if status >= 500 else _BY_STATUS.get(status, BUSINESS)
