"""The sub codes that requests are refused with, as the platform's notes list them for each method (sheet
alipay-openapi, 6)."""

from __future__ import annotations

import pytest

from tongbao.kernel.error import ProtocolError, Refused, RemoteProtocolError, TongbaoError
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.code import public_code, word_of
from tongbao.protocols.alipay_openapi.payee import seller_of
from tongbao.protocols.alipay_openapi.request import GOODS_MAX, read_intent
from tongbao.wire.refusal import REFUSALS

APP = "2026000000000001"
ORDER = {"out_trade_no": "T1", "subject": "x", "total_amount": "1.00"}
TRANSFER = {
    "out_biz_no": "P1",
    "trans_amount": "1.00",
    "product_code": "TRANS_ACCOUNT_NO_PWD",
    "payee_info": {"identity": "2088000000000002", "identity_type": "ALIPAY_USER_ID"},
}
OWN = {"identity": seller_of(APP), "identity_type": "ALIPAY_USER_ID"}
DAY = {"bill_date": "2026-01-01"}


@pytest.mark.parametrize(
    ("method", "content", "word"),
    [
        (m.PRECREATE, {**ORDER, "total_amount": "100000000.01"}, "ACQ.TOTAL_FEE_EXCEED"),
        (m.PRECREATE, {**ORDER, "total_amount": "1e3"}, "ACQ.INVALID_PARAMETER"),
        (m.PRECREATE, {**ORDER, "goods_detail": [{}] * (GOODS_MAX + 1)}, "ACQ.SUB_GOODS_SIZE_MAX_COUNT"),
        (m.TRANSFER, {**TRANSFER, "trans_amount": "0.05"}, "EXCEED_LIMIT_SM_MIN_AMOUNT"),
        (m.TRANSFER, {**TRANSFER, "trans_amount": "100000000.01"}, "EXCEED_LIMIT_DM_MAX_AMOUNT"),
        (m.TRANSFER, {**TRANSFER, "trans_amount": "x"}, "INVALID_PARAMETER"),
        (m.TRANSFER, {**TRANSFER, "trans_amount": "60000.00"}, "MEMO_REQUIRED_IN_TRANSFER_ERROR"),
        (m.TRANSFER, {**TRANSFER, "payee_info": OWN}, "PAYER_PAYEE_CANNOT_SAME"),
        (m.BILL, {"bill_type": "nothing", **DAY}, "TYPE_NOT_SUPPORTED"),
        (m.BILL, {"bill_type": "trade"}, "INVAILID_ARGUMENTS"),
        (m.BILL, {"bill_type": "trade", "bill_date": "1.1."}, "INVAILID_ARGUMENTS"),
        (m.CERTIFICATE, {}, "isv.invalid-parameter"),
        (m.OAUTH, {"grant_type": "password"}, "isv.grant-type-invalid"),
    ],
)
def test_a_content_is_refused_by_the_word_of_the_notes(method: str, content: dict[str, object], word: str) -> None:
    """Each with one thing wrong; what is asked for without it is taken."""
    with pytest.raises(RemoteProtocolError) as refused:
        read_intent(method, APP, content, {})
    assert word_of(method, refused.value) == word


@pytest.mark.parametrize("method", [m.TRANSFER, m.TRANSFER_QUERY, m.ACCOUNT, m.BILL, m.CERTIFICATE, m.OAUTH])
def test_methods_beside_the_trades_have_no_word_of_trades(method: str) -> None:
    """Whatever our reason is: their words bear no ``ACQ.``."""
    errors: list[TongbaoError] = [make(code) for code in REFUSALS for make in (Refused, _broken)]
    assert not [word for word in (word_of(method, error) for error in errors) if word.startswith("ACQ.")]
    assert word_of(m.TRANSFER, Refused("MERCHANT_DISABLED")) == "PAYER_STATUS_ERROR"
    assert word_of(m.TRANSFER, Refused("STATE_CONFLICT")) == "PAYER_STATUS_ERROR"
    assert word_of(m.TRANSFER, Refused("PAYEE_UNKNOWN", "", "self")) == "PAYER_PAYEE_CANNOT_SAME"
    assert word_of(m.OAUTH, Refused("MERCHANT_DISABLED")) == "isv.invalid-app-state"
    assert word_of(m.BILL, Refused("BILL_NOT_FOUND", "", "unborn")) == "BILL_DATE_BEFORE_REGISTRATION"


def _broken(code: str) -> ProtocolError:
    return RemoteProtocolError("field", "is wrong", code)


def test_digits_of_words_that_look_like_others() -> None:
    """Sheet alipay-openapi, section 4."""
    assert public_code("isv.decryption-error-missing-encrypt-type") == "40001"
    assert public_code("isv.invalid-app-state") == "40003"
    assert public_code("isv.decryption-error-not-valid-encrypt-key") == "40002"
