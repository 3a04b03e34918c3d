"""Methods, wire names, enumerations and codes of Alipay's Open Platform, as tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tongbao.wire.movement import (
    CancelTrade,
    ExchangeCode,
    FetchCertificates,
    MovementState,
    PayOut,
    QueryBalance,
    QueryPayOut,
    QueryRefund,
    QuerySplit,
    RefundTrade,
    RequestBill,
    SplitTrade,
)
from tongbao.wire.vocabulary import (
    Carriage,
    CloseTrade,
    CreateTrade,
    Method,
    Presentation,
    QueryTrade,
    TradeState,
)


@dataclass(frozen=True, slots=True)
class Service:
    """One value of ``method``: the intent it carries, who carries it, and its path in the REST interface.

    ``product`` is the ``product_code`` our client sends; ``verb`` the HTTP method of the path ('' where it has none);
    ``by_certificate``: money leaves the merchant, so key mode does not suffice.
    """

    intent: type
    carriage: Carriage = Carriage.SERVER
    presentation: Presentation | None = None
    product: str = ""
    verb: str = "POST"
    by_certificate: bool = False


PAGE_PAY: Final = "alipay.trade.page.pay"
WAP_PAY: Final = "alipay.trade.wap.pay"
APP_PAY: Final = "alipay.trade.app.pay"
PRECREATE: Final = "alipay.trade.precreate"
PAY: Final = "alipay.trade.pay"
CREATE: Final = "alipay.trade.create"
QUERY: Final = "alipay.trade.query"
CANCEL: Final = "alipay.trade.cancel"
CLOSE: Final = "alipay.trade.close"
REFUND: Final = "alipay.trade.refund"
REFUND_QUERY: Final = "alipay.trade.fastpay.refund.query"
SETTLE: Final = "alipay.trade.order.settle"
SETTLE_QUERY: Final = "alipay.trade.order.settle.query"
BILL: Final = "alipay.data.dataservice.bill.downloadurl.query"
TRANSFER: Final = "alipay.fund.trans.uni.transfer"
TRANSFER_QUERY: Final = "alipay.fund.trans.common.query"
ACCOUNT: Final = "alipay.fund.account.query"
CERTIFICATE: Final = "alipay.open.app.alipaycert.download"
OAUTH: Final = "alipay.system.oauth.token"

_WINDOW: Final = Carriage.BROWSER
SERVICES: Final[dict[str, Service]] = {
    PAGE_PAY: Service(CreateTrade, _WINDOW, Presentation.PAGE, "FAST_INSTANT_TRADE_PAY", verb=""),
    WAP_PAY: Service(CreateTrade, _WINDOW, Presentation.H5, "QUICK_WAP_WAY", verb=""),
    APP_PAY: Service(CreateTrade, Carriage.DEVICE, Presentation.APP, "QUICK_MSECURITY_PAY", verb=""),
    PRECREATE: Service(CreateTrade, presentation=Presentation.QR, product="FACE_TO_FACE_PAYMENT"),
    PAY: Service(CreateTrade, presentation=Presentation.BARCODE, product="FACE_TO_FACE_PAYMENT"),
    CREATE: Service(CreateTrade, presentation=Presentation.WALLET, product="FACE_TO_FACE_PAYMENT"),
    QUERY: Service(QueryTrade),
    CANCEL: Service(CancelTrade),
    CLOSE: Service(CloseTrade),
    REFUND: Service(RefundTrade),
    REFUND_QUERY: Service(QueryRefund),
    SETTLE: Service(SplitTrade),
    SETTLE_QUERY: Service(QuerySplit, verb="GET"),
    BILL: Service(RequestBill, verb="GET"),
    TRANSFER: Service(PayOut, by_certificate=True),
    TRANSFER_QUERY: Service(QueryPayOut, verb="GET"),
    ACCOUNT: Service(QueryBalance, verb="GET"),
    CERTIFICATE: Service(FetchCertificates, verb=""),
    OAUTH: Service(ExchangeCode),
}
METHOD_OF_PRESENTATION: Final = {entry.presentation: name for name, entry in SERVICES.items() if entry.presentation}
METHOD_OF_INTENT: Final = {entry.intent: name for name, entry in SERVICES.items() if entry.intent is not CreateTrade}
CREATING: Final = frozenset(METHOD_OF_PRESENTATION.values())

GATEWAY_PATH: Final = "/gateway.do"
REST_PREFIX: Final = "/v3/"
_NAME: Final = re.compile(r"[0-9A-Za-z_.]{1,128}", re.ASCII)
_METHOD: Final = re.compile(r"[a-z0-9]+(\.[a-z0-9]+){1,8}", re.ASCII)


def rest_path(method: str) -> str:
    """``alipay.trade.query`` -> ``/v3/alipay/trade/query``."""
    return f"{REST_PREFIX}{method.replace('.', '/')}"


METHOD_OF_PATH: Final = {rest_path(name): name for name, entry in SERVICES.items() if entry.verb}
REST_PATHS: Final = f"{REST_PREFIX}{{+method}}"
"""Every path of the REST interface, also those that name no method of this platform."""


def is_method(name: str) -> bool:
    """Whether a name may be a method's, known here or not (sheet alipay-openapi, 2.1)."""
    return len(name) <= 128 and _METHOD.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """Whether a refusal may repeat what stands where a method's name is due: libraries look for its node."""
    return _NAME.fullmatch(name) is not None


def method_of(path: str) -> str:
    """The inverse of ``rest_path``, for unknown methods too; '' where the path names none."""
    name = path.removeprefix(REST_PREFIX).replace("/", ".")
    return name if is_method(name) else ""


WORDS_OF_BOTH: Final = frozenset((QUERY,))
"""Methods whose path takes GET beside POST: libraries of 2022 ask that way."""

COMMON: Final = frozenset(
    (
        "app_id", "method", "format", "charset", "sign_type", "sign", "timestamp", "version", "notify_url",
        "return_url", "app_auth_token", "auth_token", "biz_content", "app_cert_sn", "alipay_root_cert_sn",
        "encrypt_type", "alipay_sdk", "grant_type", "code", "refresh_token",
    )
)  # fmt: skip
"""Public parameters."""
BESIDE: Final = frozenset(
    (
        "app_auth_token", "auth_token", "prod_code", "terminal_type", "terminal_info", "target_app_id",
        "ws_service_url",
    )
)  # fmt: skip
"""Public parameters that a caller may name: what remains (sheet alipay-openapi, 2.1) follows from settings or content.
"""
USER_SHARE: Final = "alipay.user.info.share"
"""A method not offered here whose one parameter, ``auth_token``, stands beside the content (sheet, 2.1)."""
TOP_LEVEL: Final = {OAUTH: ("grant_type", "code", "refresh_token")}
"""Methods whose fields stand beside the public parameters, not in ``biz_content``."""

RETURN_NAMES: Final = frozenset(
    (
        "charset", "out_trade_no", "method", "total_amount", "sign", "trade_no", "auth_app_id", "version", "app_id",
        "sign_type", "seller_id", "timestamp",
    )
)  # fmt: skip
"""Names of a return. Whatever else stands in its address is the shop's own."""

EVENT_NAMES: Final = RETURN_NAMES | frozenset(
    (
        "notify_time", "notify_type", "notify_id", "buyer_id", "buyer_open_id", "buyer_logon_id", "buyer_pay_amount",
        "fund_bill_list", "gmt_close", "gmt_create", "gmt_payment", "gmt_refund", "invoice_amount", "out_biz_no",
        "passback_params", "point_amount", "receipt_amount", "refund_fee", "send_back_fee", "seller_email", "subject",
        "body", "trade_status", "voucher_detail_list", "merchant_app_id",
    )
)  # fmt: skip
"""Names of notifications and returns: a value may not spell one of them as ``&name=``."""

PRIVATE: Final = frozenset(
    (
        "sign", "biz_content", "auth_code", "app_auth_token", "auth_token", "code", "refresh_token", "buyer_id",
        "buyer_logon_id", "buyer_open_id", "buyer_user_id", "seller_email", "authorization", "access_token",
        "identity", "name", "open_id", "user_id",
    )
)  # fmt: skip

LENGTHS: Final[dict[str, int]] = {
    "out_trade_no": 64,
    "trade_no": 64,
    "subject": 256,
    "body": 128,
    "seller_id": 28,
    "product_code": 64,
    "passback_params": 512,
    "auth_code": 64,
    "buyer_id": 28,
    "buyer_logon_id": 100,
    "buyer_open_id": 128,
    "out_request_no": 64,
    "refund_reason": 256,
    "out_biz_no": 64,
    "order_title": 128,
    "remark": 200,
    "quit_url": 400,
    "request_from_url": 256,
    "alipay_cert_sn": 64,
    "store_id": 32,
    "operator_id": 28,
    "terminal_id": 32,
    "alipay_store_id": 32,
    "merchant_order_no": 32,
}
"""Characters of business fields. Names not listed are ignored, so only the size of the whole message binds them."""

URL_LENGTH: Final = 256

# --- states ------------------------------------------------------------------------------------------------------

STATE_OF: Final[dict[str, TradeState]] = {
    "WAIT_BUYER_PAY": TradeState.UNPAID,
    "TRADE_SUCCESS": TradeState.PAID,
    "TRADE_FINISHED": TradeState.FINISHED,
    "TRADE_CLOSED": TradeState.CLOSED,
}
STATUS_OF: Final[dict[TradeState, str]] = {state: word for word, state in STATE_OF.items()}

PAYOUT_STATE: Final[dict[str, MovementState]] = {
    "SUCCESS": MovementState.SUCCEEDED,
    "FAIL": MovementState.FAILED,
    "DEALING": MovementState.ACCEPTED,
    "WAIT_PAY": MovementState.ACCEPTED,
    "INIT": MovementState.ACCEPTED,
    "REFUND": MovementState.FAILED,
    "CLOSED": MovementState.CLOSED,
}
PAYOUT_WORD: Final = {
    MovementState.SUCCEEDED: "SUCCESS",
    MovementState.FAILED: "FAIL",
    MovementState.ACCEPTED: "DEALING",
    MovementState.CLOSED: "CLOSED",
}
SPLIT_STATE: Final[dict[str, MovementState]] = {
    "SUCCESS": MovementState.SUCCEEDED,
    "FAIL": MovementState.FAILED,
    "PROCESSING": MovementState.ACCEPTED,
}
SPLIT_WORD: Final = {
    MovementState.SUCCEEDED: "SUCCESS",
    MovementState.FAILED: "FAIL",
    MovementState.ACCEPTED: "PROCESSING",
    MovementState.CLOSED: "FAIL",
}

# --- ways of paying ----------------------------------------------------------------------------------------------

CHANNELS: Final[dict[str, tuple[Method, ...]]] = {
    "balance": (Method.BALANCE,),
    "moneyFund": (Method.BALANCE,),
    "debitCardExpress": (Method.DEBIT,),
    "bankPay": (Method.DEBIT,),
    "creditCard": (Method.CREDIT,),
    "creditCardExpress": (Method.CREDIT,),
    "creditCardCartoon": (Method.CREDIT,),
    "credit_group": (Method.CREDIT,),
    "pcredit": (),
    "pcreditpayInstallment": (),
    "point": (),
    "coupon": (),
    "promotion": (),
    "voucher": (),
    "mdiscount": (),
    "honeyPay": (),
}
"""Words of ``enable_pay_channels`` and ``disable_pay_channels``; those that mean no way of ours leave the rest."""
CHANNEL_WORD: Final = {
    Method.BALANCE: "balance",
    Method.DEBIT: "debitCardExpress",
    Method.CREDIT: "creditCard",
    Method.OUTLET: "",
}
FUND_WORD: Final = {
    Method.BALANCE: "ALIPAYACCOUNT",
    Method.DEBIT: "BANKCARD",
    Method.CREDIT: "BANKCARD",
    Method.OUTLET: "PCARD",
}
FUND_TYPE: Final = {Method.DEBIT: "DEBIT_CARD", Method.CREDIT: "CREDIT_CARD"}
FUND_METHOD: Final = {"ALIPAYACCOUNT": Method.BALANCE, "MONEYFUND": Method.BALANCE, "PCARD": Method.OUTLET}
CARD_METHOD: Final = {"DEBIT_CARD": Method.DEBIT, "CREDIT_CARD": Method.CREDIT}
