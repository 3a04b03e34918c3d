"""Paths, wire names, states and bank codes of Tenpay's older interface, as tables."""

from __future__ import annotations

from typing import Final

from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import CreateTrade, QueryTrade, TradeState

PAY: Final = "pay_gate"
QUERY: Final = "cfbi_query_order_v3"
OPERATIONS: Final[dict[str, type]] = {PAY: CreateTrade, QUERY: QueryTrade}

PAY_PATH: Final = "/cgi-bin/v1.0/pay_gate.cgi"
QUERY_PATH: Final = "/cgi-bin/cfbi_query_order_v3.cgi"
GATEWAY: Final = f"https://www.tenpay.com{PAY_PATH}"
QUERY_GATEWAY: Final = f"http://mch.tenpay.com{QUERY_PATH}"

PROOF: Final = "sign"
KEPT: Final = frozenset(("attach", "transaction_id"))
"""Fields that stand in the signed string even when they are empty."""
PAY_NAMES: Final = (
    "cmdno", "date", "bargainor_id", "transaction_id", "sp_billno", "total_fee", "fee_type", "return_url", "attach",
    "spbill_create_ip",
)  # fmt: skip
"""What a payment signs, in this order; the last one only where it is sent."""
RESULT_NAMES: Final = (
    "cmdno", "pay_result", "date", "transaction_id", "sp_billno", "total_fee", "fee_type", "attach",
)  # fmt: skip
QUERY_NAMES: Final = (
    "attach", "bargainor_id", "charset", "cmdno", "date", "output_xml", "sp_billno", "transaction_id",
)  # fmt: skip
ANSWER_NAMES: Final = (
    "attach", "bargainor_id", "cmdno", "date", "fee_type", "pay_info", "pay_result", "sp_billno", "total_fee",
    "transaction_id",
)  # fmt: skip
BORDERS: Final = frozenset((*PAY_NAMES, *RESULT_NAMES, *QUERY_NAMES, *ANSWER_NAMES, "key"))
"""Names that no text may spell as ``&name=``: two messages would share one signature (T10)."""
UNSIGNED_RESULT: Final = ("bargainor_id", "pay_info", "pay_time")
PRIVATE: Final = frozenset(("sign", "key", "attach", "purchaser_id", "spbill_create_ip"))

# --- states ----------------------------------------------------------------------------------------------------------

PAID: Final = "0"
NOT_PAID: Final = "1"
RESULT_WORD: Final[dict[TradeState, str]] = {
    TradeState.PAID: PAID,
    TradeState.FINISHED: PAID,
    TradeState.UNPAID: NOT_PAID,
    TradeState.CLOSED: NOT_PAID,
}
SAID_AS: Final[dict[str, str]] = {TradeState.FINISHED: TradeState.PAID, TradeState.CLOSED: TradeState.UNPAID}
INFO: Final[dict[str, str]] = {PAID: "OK", NOT_PAID: "not paid"}

# --- banks -----------------------------------------------------------------------------------------------------------

CASHIER: Final = "0"
BANK_OF: Final[dict[str, str]] = {
    "1001": "CMB", "1002": "ICBC", "1003": "CCB", "1004": "SPDB", "1005": "ABC", "1006": "CMBC", "1008": "PAB",
    "1009": "CIB", "1020": "COMM", "1022": "CEB", "1032": "BOB",
}  # fmt: skip
BANK_CODE: Final[dict[str, str]] = {bank: code for code, bank in BANK_OF.items()}

# --- refusals --------------------------------------------------------------------------------------------------------

OK: Final = "00"
OTHER: Final = "01"
"""For every refusal (no list of codes is known; unverified)."""
NO_TRADE: Final = "02"
WIRE_CODE: Final[dict[str, str]] = dict.fromkeys(REFUSALS, OTHER) | {"TRADE_NOT_FOUND": NO_TRADE, "NOT_FOUND": NO_TRADE}
NEUTRAL_CODE: Final[dict[str, str]] = {NO_TRADE: "TRADE_NOT_FOUND"}

MARK: Final = '<meta name="TENCENT_ONLINE_PAYMENT" content="China TENCENT">'
"""What the shop's page must have in its head when it has taken a result."""

# Keys printed in guides, demos and test suites. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(
    (
        "8934e7d15453e97507ef794cf7b0519d",
        "e82573dc7e6136ba414f2e2affbe39fa",
        "b4c881732169515577e42abdadec50b3",
        "06ffc412fd2c534b1dae92c0c015bali",
    )
)
