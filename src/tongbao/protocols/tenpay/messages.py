"""Paths, wire names, states, bank codes and return codes of Tenpay's gateway, as tables."""

from __future__ import annotations

from typing import Final

from tongbao.wire.movement import MovementState, QueryRefund, RefundTrade, RequestBill
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import (
    ConfirmNotification,
    CreateTrade,
    Method,
    QueryTrade,
    TradeState,
)

PAY: Final = "pay"
CONFIRM: Final = "verifynotifyid"
CONFIRM_SHORT: Final = "simpleverifynotifyid"
QUERY: Final = "normalorderquery"
REFUND: Final = "refund"
REFUND_QUERY: Final = "normalrefundquery"
BILL: Final = "mchdown_real_new"

OPERATIONS: Final[dict[str, type]] = {
    PAY: CreateTrade,
    CONFIRM: ConfirmNotification,
    QUERY: QueryTrade,
    REFUND: RefundTrade,
    REFUND_QUERY: QueryRefund,
    BILL: RequestBill,
}
PATH_OF: Final[dict[str, str]] = {
    PAY: "/gateway/pay.htm",
    CONFIRM: "/gateway/verifynotifyid.xml",
    QUERY: "/gateway/normalorderquery.xml",
    REFUND: "/refundapi/gateway/refund.xml",
    REFUND_QUERY: "/gateway/normalrefundquery.xml",
    BILL: "/cgi-bin/mchdown_real_new.cgi",
}
SHORT_PATH: Final = "/gateway/simpleverifynotifyid.xml"
OPERATION_AT: Final[dict[bytes, str]] = {
    **{path.encode("ascii"): name for name, path in PATH_OF.items()},
    SHORT_PATH.encode("ascii"): CONFIRM,
}
GATEWAY: Final = f"https://gw.tenpay.com{PATH_OF[PAY]}"
OWN_HOSTS: Final[dict[str, str]] = {
    REFUND: "https://api.mch.tenpay.com",
    BILL: "http://mch.tenpay.com",
}
"""Operations that lived on another host than the gateway."""

# --- names -----------------------------------------------------------------------------------------------------------

PROOF: Final = "sign"
KNOWN: Final = frozenset(
    (
        "sign_type", "service_version", "input_charset", "sign", "sign_key_index", "bank_type", "body",
        "subject", "attach", "return_url", "notify_url", "buyer_id", "partner", "out_trade_no", "total_fee",
        "fee_type", "spbill_create_ip", "time_start", "time_expire", "transport_fee", "product_fee",
        "goods_tag", "trade_mode", "transport_desc", "trans_type", "agentid", "agent_type", "seller_id",
        "trade_state", "pay_info", "bank_billno", "notify_id", "transaction_id", "time_end", "discount",
        "buyer_alias", "out_refund_no", "refund_fee", "op_user_id", "op_user_passwd", "recv_user_id",
        "reccv_user_name", "use_spbill_no_flag", "refund_id", "retcode", "retmsg", "key",
    )
)  # fmt: skip
"""Names that no text may spell as ``&name=``: two messages would share one signature (T10)."""
ADDRESSES: Final = frozenset(("return_url", "notify_url"))
PRIVATE: Final = frozenset(
    ("sign", "key", "op_user_passwd", "buyer_id", "buyer_alias", "spbill_create_ip", "attach", "recv_user_id",
     "reccv_user_name")
)  # fmt: skip
BILL_NAMES: Final = ("spid", "trans_time", "stamp", "cft_signtype", "mchtype")
"""What a bill's request signs, in this order."""

# --- states ----------------------------------------------------------------------------------------------------------

PAID: Final = "0"
STATES: Final[dict[str, TradeState]] = {
    PAID: TradeState.PAID,
    "1": TradeState.UNPAID,
    "2": TradeState.UNPAID,
    "6": TradeState.CLOSED,
    "7": TradeState.UNPAID,
}
"""``trade_state``. What speaks of shipping (4, 5) or of a refund's course (8 to 10) belongs to escrow trades."""
STATE_WORD: Final[dict[TradeState, str]] = {
    TradeState.PAID: PAID,
    TradeState.FINISHED: PAID,
    TradeState.UNPAID: "1",
    TradeState.CLOSED: "6",
}
SAID_AS: Final[dict[str, str]] = {
    TradeState.FINISHED: TradeState.PAID,
    "refund:closed": "failed",
}

REFUND_STATES: Final[dict[str, MovementState]] = {
    "4": MovementState.SUCCEEDED,
    "10": MovementState.SUCCEEDED,
    "3": MovementState.FAILED,
    "5": MovementState.FAILED,
    "6": MovementState.FAILED,
    "7": MovementState.FAILED,
    "8": MovementState.ACCEPTED,
    "9": MovementState.ACCEPTED,
    "11": MovementState.ACCEPTED,
    "1": MovementState.ACCEPTED,
    "2": MovementState.ACCEPTED,
}
"""``refund_status``. 1 and 2 (undetermined) are asked for again under the same number; 7: the card is closed, the money
went back to the merchant, who pays it out by hand."""
REFUND_WORD: Final[dict[MovementState, str]] = {
    MovementState.SUCCEEDED: "4",
    MovementState.FAILED: "3",
    MovementState.CLOSED: "3",
    MovementState.ACCEPTED: "8",
}

# --- banks -----------------------------------------------------------------------------------------------------------

CASHIER: Final = "DEFAULT"
BANK_OF: Final[dict[str, tuple[str, Method | None]]] = {
    "ICBC": ("ICBC", None), "CCB": ("CCB", None), "ABC": ("ABC", None), "CMB": ("CMB", None), "SPDB": ("SPDB", None),
    "SDB": ("PAB", None), "PAB": ("PAB", None), "CIB": ("CIB", None), "CIB_D": ("CIB", Method.DEBIT),
    "CIB_C": ("CIB", Method.CREDIT), "BOB": ("BOB", None), "CEB": ("CEB", None), "CMBC": ("CMBC", None),
    "CITIC": ("CITIC", None), "GDB": ("GDB", None), "GDB_D": ("GDB", Method.DEBIT), "GDB_C": ("GDB", Method.CREDIT),
    "BOC": ("BOC", None), "COMM": ("COMM", None), "POSTGC": ("PSBC", None), "NBCB": ("NBCB", None),
    "NJCB": ("NJCB", None), "SRCB": ("SHRCB", None),
    "1001": ("CMB", None), "1002": ("ICBC", None), "1003": ("CCB", None), "1004": ("SPDB", None), "1005": ("ABC", None),
    "1006": ("CMBC", None), "1008": ("PAB", None), "1009": ("CIB", None), "1020": ("COMM", None), "1022": ("CEB", None),
    "1032": ("BOB", None),
}  # fmt: skip
"""``bank_type`` -> bank of our directory and kind of card. Other codes name none of its banks and are accepted."""
BANK_CODE: Final[dict[tuple[str, Method | None], str]] = {
    entry: code for code, entry in reversed(BANK_OF.items()) if not code.isdigit() and code != "SDB"
}

# --- refusals --------------------------------------------------------------------------------------------------------

OK: Final = "0"
OTHER: Final = "88222001"
"""For what no list that is known has a code (unverified)."""
NOTIFY_UNKNOWN: Final = "88222005"
NO_TRADE: Final = "88221009"
NO_REFUND: Final = "88222014"
BILL_WAITS: Final = "03020003"

WIRE_CODE: Final[dict[str, str]] = dict.fromkeys(REFUSALS, OTHER) | {
    "TRADE_NOT_FOUND": NO_TRADE,
    "NOT_FOUND": NO_TRADE,
    "REFUND_NOT_FOUND": NO_REFUND,
    "BILL_NOT_READY": BILL_WAITS,
}
NEUTRAL_CODE: Final[dict[str, str]] = {
    NO_TRADE: "TRADE_NOT_FOUND",
    NO_REFUND: "REFUND_NOT_FOUND",
    BILL_WAITS: "BILL_NOT_READY",
}

# Keys printed in guides, demos and test suites. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(
    (
        "8934e7d15453e97507ef794cf7b0519d",
        "e82573dc7e6136ba414f2e2affbe39fa",
        "b4c881732169515577e42abdadec50b3",
    )
)
