"""What the gateway's words say to the merchant's half: every word of sheet alipay-openapi, sections 4 and 6."""

from __future__ import annotations

from typing import Final

import pytest

from tongbao.merchant.asking import UNDECIDED
from tongbao.protocols.alipay_openapi.code import MESSAGE, bare, public_code
from tongbao.protocols.alipay_openapi.word import NEUTRAL_CODE, neutral, public_of, state_of, whole
from tongbao.wire.refusal import is_refusal

COMMON: Final = (
    "aop.app-auth-token-time-out", "aop.auth-token-time-out", "aop.invalid-app-auth-token",
    "aop.invalid-app-auth-token-no-api", "aop.invalid-auth-token", "aop.no-product-reg-by-partner",
    "aop.unknow-error", "isp.unknow-error", "isv.alipay-cert-not-exist", "isv.app-call-limited",
    "isv.app-cert-expired", "isv.app-cert-not-exist", "isv.code-invalid",
    "isv.decryption-error-missing-encrypt-type", "isv.decryption-error-not-valid-encrypt-key",
    "isv.decryption-error-not-valid-encrypt-type", "isv.decryption-error-unknown", "isv.forbidden-api",
    "isv.grant-type-invalid", "isv.illegal-json", "isv.insufficient-isv-permissions",
    "isv.insufficient-user-permissions", "isv.invalid-alipay-root-cert-sn", "isv.invalid-app-id",
    "isv.invalid-app-state", "isv.invalid-auth-relations", "isv.invalid-charset", "isv.invalid-digest",
    "isv.invalid-encrypt", "isv.invalid-encrypt-type", "isv.invalid-file-extension", "isv.invalid-file-size",
    "isv.invalid-format", "isv.invalid-method", "isv.invalid-openid", "isv.invalid-parameter",
    "isv.invalid-signature", "isv.invalid-signature-type", "isv.invalid-timestamp", "isv.invalid-token",
    "isv.method-call-limited", "isv.missing-alipay-root-cert-sn", "isv.missing-app-cert-sn", "isv.missing-app-id",
    "isv.missing-default-signature-type", "isv.missing-encrypt-key", "isv.missing-method", "isv.missing-signature",
    "isv.missing-signature-config", "isv.missing-signature-key", "isv.missing-signature-type",
    "isv.missing-timestamp", "isv.missing-version", "isv.not-online-app", "isv.not-support-app-auth",
    "isv.refresh-token-invalid", "isv.refresh-token-time-out", "isv.refreshed-token-invalid",
    "isv.self-invoke-forbidden", "isv.suspected-attack", "isv.unmatched-app-id", "isv.upload-fail",
)  # fmt: skip
"""Of the gateway itself."""

BUSINESS: Final = (
    "ACCESS_FORBIDDEN", "AGREEMENT_ERROR", "AGREEMENT_INVALID", "AGREEMENT_NOT_EXIST",
    "AGREEMENT_STATUS_NOT_NORMAL", "ALIPAY_ACCOUNT_NOT_EXIST", "ALLOC_AMOUNT_VALIDATE_ERROR",
    "ALLOC_REFUSE_AFTER_REFUND", "ALREADY_FINISH_ALLOC", "APPLY_PC_MERCHANT_CODE_ERROR", "AQC.SYSTEM_ERROR",
    "AUTHOREE_IS_NOT_MATCH", "AUTH_AMOUNT_NOT_ENOUGH", "AUTH_NO_ERROR", "AUTH_OPERATION_NOT_EXIST",
    "AUTH_ORDER_NOT_EXIST", "AUTH_TOKEN_IS_NOT_EXIST", "BALANCE_IS_NOT_ENOUGH", "BEYOND_PAY_RESTRICTION",
    "BEYOND_PER_RECEIPT_DAY_RESTRICTION", "BEYOND_PER_RECEIPT_RESTRICTION", "BEYOND_PER_RECEIPT_SINGLE_RESTRICTION",
    "BILL_DATE_BEFORE_REGISTRATION", "BILL_NOT_EXIST", "BIZ_UNIQUE_EXCEPTION", "BUYER_BALANCE_NOT_ENOUGH",
    "BUYER_BANKCARD_BALANCE_NOT_ENOUGH", "BUYER_ENABLE_STATUS_FORBID", "BUYER_ERROR", "BUYER_NOT_EXIST",
    "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR", "BUYER_SELLER_EQUAL",
    "CANCEL_NOT_ALLOWED", "CONTEXT_INCONSISTENT", "CURRENCY_NOT_SUPPORT", "CUSTOMER_VALIDATE_ERROR",
    "DEFAULT_SETTLE_RULE_NOT_EXIST", "DISCORDANT_REPEAT_REQUEST", "DUP_OUT_REQUEST_NO", "ENTERPRISE_PAY_BIZ_ERROR",
    "ERROR_BALANCE_PAYMENT_DISABLE", "EXCEED_LIMIT_DM_MAX_AMOUNT", "EXCEED_LIMIT_ENT_SM_AMOUNT",
    "EXCEED_LIMIT_MM_MAX_AMOUNT", "EXCEED_LIMIT_PERSONAL_SM_AMOUNT", "EXCEED_LIMIT_SM_MIN_AMOUNT",
    "EXCEED_LIMIT_UNRN_DM_AMOUNT", "EXIST_FORBIDDEN_WORD", "FREEZE_ALREADY_SUCCESS", "FREQUENCY_LIMITED",
    "ILLEGAL_ARGUMENT", "ILLEGAL_SETTLE_STATE", "ILLEGAL_STATUS", "INVAILID_ARGUMENTS", "INVALID_PARAMETER",
    "INVALID_RECEIVE_ACCOUNT", "INVALID_STORE_ID", "MEMO_REQUIRED_IN_TRANSFER_ERROR", "MERCHANT_AGREEMENT_INVALID",
    "MERCHANT_AGREEMENT_NOT_EXIST", "MERCHANT_STATUS_NOT_NORMAL", "MOBILE_PAYMENT_SWITCH_OFF", "MONEY_NOT_ENOUGH",
    "NOT_ALLOW_PARTIAL_REFUND", "NOT_SUPPORT_ROYALTY", "NOW_TIME_AFTER_EXPIRE_TIME_ERROR", "NO_BILL_DATA",
    "NO_ORDER_PERMISSION", "NO_PAYMENT_INSTRUMENTS_AVAILABLE", "NO_PERMISSION_ACCOUNT",
    "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND", "OPEN_ID_NOT_TINY_APP", "ORDER_ALREADY_CLOSED", "ORDER_ALREADY_FINISH",
    "ORDER_NOT_EXIST", "OVERDRAFT_AGREEMENT_NOT_MATCH", "OVERDRAFT_ASSIGN_ACCOUNT_INVALID", "PARTNER_ERROR",
    "PAYEE_ACCOUNT_STATUS_ERROR", "PAYEE_ACC_OCUPIED", "PAYEE_CERT_INFO_ERROR", "PAYEE_NOT_EXIST",
    "PAYEE_USERINFO_ERROR", "PAYER_BALANCE_NOT_ENOUGH", "PAYER_PAYEE_CANNOT_SAME", "PAYER_PAYEE_EQUAL",
    "PAYER_STATUS_ERROR", "PAYMENT_AUTH_CODE_INVALID", "PAYMENT_FAIL", "PAYMENT_INFO_INCONSISTENCY",
    "PAYMENT_REQUEST_HAS_RISK", "PRODUCT_AMOUNT_LIMIT_ERROR", "PRODUCT_NOT_SIGN", "PULL_MOBILE_CASHIER_FAIL",
    "REASON_ILLEGAL_STATUS", "REASON_TRADE_BEEN_FREEZEN", "REASON_TRADE_REFUND_FEE_ERR",
    "REASON_TRADE_STATUS_INVALID", "REFUNDALLOC_UNAUTH_LIMIT", "REFUND_ACCOUNT_NOT_EXIST",
    "REFUND_AMT_NOT_EQUAL_TOTAL", "REFUND_FEE_ERROR", "REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST",
    "REMARK_HAS_SENSITIVE_WORD", "REQUEST_AMOUNT_EXCEED", "REQUEST_PROCESSING", "RISK_MERCHANT_IP_NOT_EXIST",
    "ROYALTY_ACCOUNTS_EQUAL", "ROYALTY_ACCOUNT_NOT_EXIST", "ROYALTY_RECEIVER_INVALID", "SECURITY_CHECK_FAILED",
    "SELLER_BALANCE_NOT_ENOUGH", "SELLER_BEEN_BLOCKED", "SELLER_NOT_EXIST", "STORE_INFO_INVALID",
    "SUB_GOODS_SIZE_MAX_COUNT", "SYSTEM_ERROR", "SYSTEM_RATE_LIMIT", "TOTAL_FEE_EXCEED", "TRADE_BUYER_NOT_MATCH",
    "TRADE_CANCEL_TIME_OUT", "TRADE_HAS_CLOSE", "TRADE_HAS_FINISHED", "TRADE_HAS_SUCCESS", "TRADE_NOT_ALLOW_REFUND",
    "TRADE_NOT_EXIST", "TRADE_SETTLE_ERROR", "TRADE_STATUS_ERROR", "TRANSFER_SCENE_NAME_ILLEGAL",
    "TRUSTEESHIP_ACCOUNT_NOT_EXIST", "TXN_RESULT_ACCOUNT_BALANCE_NOT_ENOUGH", "TYPE_NOT_SUPPORTED",
    "UNBOUND_APPLICATION", "UNIQUE_VIOLATION", "UNKNOWN_ERROR", "USER_AGREEMENT_VERIFY_FAIL",
    "USER_FACE_PAYMENT_SWITCH_OFF", "USER_LOGONID_DUP", "USER_NOT_MATCH_ERR", "USER_RATE_LIMIT",
)  # fmt: skip
"""Of the methods, without `ACQ.`; `AQC.SYSTEM_ERROR` is theirs too."""

UNKNOWN: Final = {
    "aop.unknow-error",
    "isp.unknow-error",
    "AQC.SYSTEM_ERROR",
    "SYSTEM_ERROR",
    "UNKNOWN_ERROR",
    "REQUEST_PROCESSING",
}
"""After these nobody knows what became of it (sections 4 and 6.14)."""

REPEATED: Final = {
    "isv.app-call-limited",
    "isv.method-call-limited",
    "isv.invalid-signature",
    "isv.invalid-timestamp",
    "FREQUENCY_LIMITED",
    "SYSTEM_RATE_LIMIT",
    "USER_RATE_LIMIT",
    "DISCORDANT_REPEAT_REQUEST",
    "PAYMENT_INFO_INCONSISTENCY",
    "BIZ_UNIQUE_EXCEPTION",
    "DUP_OUT_REQUEST_NO",
    "UNIQUE_VIOLATION",
    "FREEZE_ALREADY_SUCCESS",
}
"""These refuse one asking, and another under the same number may have been heeded."""


def test_F28_every_published_word_is_as_definite_as_the_sheet_says() -> None:
    """All are listed, with and without `ACQ.`. After a definite refusal a refund that was asked for once has ended;
    after the others its row stays open."""
    for word in (*COMMON, *BUSINESS):
        public = public_code(word)
        code = neutral(word, public)
        assert word.removeprefix("AQC.") in NEUTRAL_CODE, word
        assert is_refusal(code), word
        assert (code == "SYSTEM") is (word in UNKNOWN), word
        assert (code in UNDECIDED) is (word in REPEATED), word
        if word in BUSINESS and "." not in word:
            assert neutral(f"ACQ.{word}") == code


@pytest.mark.parametrize(
    ("word", "public", "code"),
    [
        ("ACQ.TOTAL_FEE_EXCEED", "40004", "LIMIT_EXCEEDED"),
        ("ACQ.REFUND_FEE_ERROR", "40004", "AMOUNT_INVALID"),
        ("ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH", "40004", "INSUFFICIENT_FUNDS"),
        ("ACQ.PAYMENT_FAIL", "20000", "SYSTEM"),
        ("ACQ.TRADE_HAS_SUCCESS", "10003", "BUYER_PAYING"),
        ("ACQ.NEW_SYSTEM_ERROR", "40004", "SYSTEM"),
        ("ACQ.REFUND_PROCESSING", "40004", "SYSTEM"),
        ("ACQ.SOMETHING_NEW", "40004", "STATE_CONFLICT"),
        ("40004", "40004", "STATE_CONFLICT"),
        ("isv.something-new", "40001", "FIELD_MISSING"),
        ("isv.something-new", "40002", "FIELD_INVALID"),
        ("aop.something-new", "20001", "AUTHORISATION_INVALID"),
        ("something-new-limited", "40005", "RATE_LIMITED"),
        ("something-new", "40006", "NO_PRIVILEGE"),
        ("SOMETHING_NEW", "99999", "SYSTEM"),
    ],
)
def test_a_word_says_no_more_than_its_public_code(word: str, public: str, code: str) -> None:
    """What 20000 leaves open, no word closes; a word that is not listed is as definite as its public code."""
    assert neutral(word, public) == code


@pytest.mark.parametrize(
    ("word", "public", "state"),
    [
        ("ACQ.TRADE_HAS_SUCCESS", "40004", "paid"),
        ("TRADE_HAS_CLOSE", "40004", "closed"),
        ("ACQ.TRADE_STATUS_ERROR", "40004", ""),
        ("ACQ.TRADE_HAS_SUCCESS", "20000", ""),
        ("ACQ.TRADE_HAS_SUCCESS", "10003", ""),
    ],
)
def test_F28_a_word_says_how_the_trade_stands(word: str, public: str, state: str) -> None:
    """A till must tell a trade that is paid from one that is closed (section 7); what the public code leaves open says
    nothing of it."""
    assert state_of(word, neutral(word, public)) == state


def test_the_rest_interface_says_the_same() -> None:
    """Its words lack the prefix of common errors, and its status stands for the public code (section 11.2)."""
    assert [whole(bare(word)) for word in COMMON if word != "aop.unknow-error"] == [
        word for word in COMMON if word != "aop.unknow-error"
    ]
    assert whole("unknow-error") in UNKNOWN
    assert whole("ACQ.TRADE_NOT_EXIST") == "ACQ.TRADE_NOT_EXIST"
    assert {public_of(status) for status in (400, 401, 403, 404, 429, 500, 502, 503)} <= MESSAGE.keys()
    assert [public_of(status) for status in (400, 429, 500, 502)] == ["40004", "40005", "20000", "20000"]
