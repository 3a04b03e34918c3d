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
APP: Final = "mobile.securitypay.pay"
PRECREATE: Final = "alipay.acquire.precreate"
SCANNED: Final = "alipay.acquire.createandpay"
COUNTER: Final = (PRECREATE, SCANNED)
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
    APP: Service(CreateTrade, Carriage.DEVICE, product=Product.INSTANT, presentation=Presentation.APP),
    PRECREATE: Service(CreateTrade, Carriage.SERVER, product=Product.INSTANT, presentation=Presentation.QR),
    SCANNED: Service(CreateTrade, Carriage.SERVER, product=Product.INSTANT, presentation=Presentation.BARCODE),
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

LENGTHS_OF: Final[dict[str, dict[str, int]]] = {APP: {**LENGTHS, "seller_id": LENGTHS["seller_email"]}}
"""In an order string the payee's number may be his login."""


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
        "gmt_create_end", "no_coupon", "product_code", "currency",
        "dynamic_id", "dynamic_id_type",
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
        "pay_user_name", "success_details", "fail_details", "dynamic_id",
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

# Keys printed in manuals, demos and test suites. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(
    ("abcdefghijklmnopqrstuvwxyz012345", "10000000000000000000000000000000", "20000000000000000000000000000000")
)
