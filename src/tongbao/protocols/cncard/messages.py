"""Wire names, states, bank codes and the words for refusals of Cncard's port, as tables."""

from __future__ import annotations

from typing import Final

from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import CreateTrade, QueryTrade, TradeState

PAY: Final = "getorder"
QUERY: Final = "queryorder"

OPERATIONS: Final[dict[str, type]] = {PAY: CreateTrade, QUERY: QueryTrade}

PAY_PATH: Final = "/purchase/getorder.asp"
LATER_PAY_PATH: Final = "/cnpayment/pay/getorder.aspx"
QUERY_PATH: Final = "/purchase/queryorder.asp"

GATEWAY: Final = f"https://www.cncard.net{PAY_PATH}"

# --- what is signed, in this order, with the key behind; what a message lacks counts as empty ----------------------

PAY_NAMES: Final = (
    "c_mid", "c_order", "c_orderamount", "c_ymd", "c_moneytype", "c_retflag", "c_returl", "c_paygate", "c_memo1",
    "c_memo2", "notifytype", "c_language",
)  # fmt: skip
QUERY_NAMES: Final = ("c_mid", "c_order", "c_ymd", "c_returl")
RESULT_NAMES: Final = (
    "c_mid", "c_order", "c_orderamount", "c_ymd", "c_transnum", "c_succmark", "c_moneytype", "c_memo1", "c_memo2",
)  # fmt: skip
ANSWER_NAMES: Final = tuple(name for name in RESULT_NAMES if name != "c_transnum")

MEMOS: Final = ("c_memo1", "c_memo2")
"""Nothing marks the border between the two, so each may say what it likes as long as both together say the same."""

LENGTHS: Final[dict[str, int]] = {
    "c_order": 50,
    "c_orderamount": 14,
    "c_returl": 300,
    "c_paygate": 8,
    "c_memo1": 500,
    "c_memo2": 500,
}
"""Characters. None are documented; these bind what is read."""

PRIVATE: Final = frozenset(
    ("c_pass", "c_signstr", "c_name", "c_address", "c_tel", "c_post", "c_email", "c_memo1")
)  # fmt: skip

# --- states --------------------------------------------------------------------------------------------------------

PAID: Final = "Y"
FAILED: Final = "N"
RESULT_STATES: Final[dict[str, TradeState]] = {PAID: TradeState.PAID, FAILED: TradeState.UNPAID}
"""A failed attempt leaves the trade unpaid: it may be paid again."""
RESULT_WORD: Final[dict[TradeState, str]] = {
    TradeState.PAID: PAID,
    TradeState.FINISHED: PAID,
    TradeState.UNPAID: FAILED,
    TradeState.CLOSED: FAILED,
}

FOUND_PAID: Final = "001"
FOUND_UNPAID: Final = "000"
NO_ORDER: Final = "002"
ANSWER_STATES: Final[dict[str, TradeState]] = {FOUND_PAID: TradeState.PAID, FOUND_UNPAID: TradeState.UNPAID}
ANSWER_WORD: Final[dict[TradeState, str]] = {
    TradeState.PAID: FOUND_PAID,
    TradeState.FINISHED: FOUND_PAID,
    TradeState.UNPAID: FOUND_UNPAID,
    TradeState.CLOSED: FOUND_UNPAID,
}
SAID_AS: Final[dict[str, str]] = {TradeState.FINISHED: TradeState.PAID, TradeState.CLOSED: TradeState.UNPAID}

CAUSE: Final[dict[str, str]] = {PAID: "succ", FAILED: "fail", FOUND_PAID: "succ", FOUND_UNPAID: "unpaid"}

# --- banks ---------------------------------------------------------------------------------------------------------

_CCB: Final = (
    "2", "2021", "2022", "2023", "2024", "2025", "2027", "2028", "2029", "20314", "20351", "20371", "20411", "20431",
    "20451", "20471", "20512", "20531", "20532", "20571", "20574", "20591", "20592", "20731", "20755", "20771", "20791",
    "20851", "20871", "20898", "20931", "20951", "20991",
)  # fmt: skip
"""One bank by region: the digits after 2 are the phone's area code."""

BANK_OF: Final[dict[str, str]] = {
    "1": "CMB", "3": "ICBC", "31": "ICBC", "2000": "CCB", "86": "ABC", "901": "CMBC", "902": "CMBC", "94": "PAB",
    "42": "CIB", "47": "COMM", **dict.fromkeys(_CCB, "CCB"),
}  # fmt: skip
"""``c_paygate`` -> bank of our directory. Other digits name no bank and are accepted."""

BANK_CODE: Final[dict[str, str]] = {
    "CMB": "1", "ICBC": "3", "CCB": "2000", "ABC": "86", "CMBC": "901", "PAB": "94", "CIB": "42", "COMM": "47",
}  # fmt: skip

# --- refusals ------------------------------------------------------------------------------------------------------

ERROR: Final = "error"
WIRE_CODE: Final[dict[str, str]] = dict.fromkeys(REFUSALS, ERROR) | {
    "TRADE_NOT_FOUND": NO_ORDER,
    "NOT_FOUND": NO_ORDER,
}
"""No table of codes was ever published: a query can say that there is no such order; all else is a page."""

ERROR_TITLE: Final = "订单信息有误"
NOT_TAKEN: Final = "支付信息有误"

# Keys printed in demos. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(("123456", "Test"))
