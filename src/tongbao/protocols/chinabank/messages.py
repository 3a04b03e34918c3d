"""Wire names, states, bank codes and the words for refusals of ChinaBank's interface, as tables."""

from __future__ import annotations

from typing import Final

from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import CreateTrade, QueryTrade, TradeState

PAY: Final = "PayGate"
QUERY: Final = "receiveorder"

OPERATIONS: Final[dict[str, type]] = {PAY: CreateTrade, QUERY: QueryTrade}

PAY_PATH: Final = "/PayGate"
OLD_PAY_PATH: Final = "/select_bank"
QUERY_PATH: Final = "/receiveorder.jsp"

GATEWAY: Final = f"https://pay3.chinabank.com.cn{PAY_PATH}"

# --- what is signed, in this order, with the key behind ------------------------------------------------------------

PAY_NAMES: Final = ("v_amount", "v_moneytype", "v_oid", "v_mid", "v_url")
QUERY_NAMES: Final = ("v_oid",)
RESULT_NAMES: Final = ("v_oid", "v_pstatus", "v_amount", "v_moneytype")

PROOF: Final[dict[str, str]] = {PAY: "v_md5info", QUERY: "billNo_md5"}
RESULT_PROOF: Final = "v_md5str"

LENGTHS: Final[dict[str, int]] = {
    "v_oid": 64,
    "v_amount": 14,
    "v_moneytype": 3,
    "v_url": 200,
    "pmode_id": 8,
    "remark1": 500,
    "remark2": 500,
}
"""Characters. Fields that are not listed are not read, so only the size of the whole message binds them."""

PRIVATE: Final = frozenset(
    (
        "key", "v_md5info", "v_md5str", "v_md5", "v_md5money", "billno_md5", "remark1", "v_rcvname", "v_rcvaddr",
        "v_rcvtel", "v_rcvpost", "v_rcvemail", "v_rcvmobile", "v_ordername", "v_orderaddr", "v_ordertel", "v_orderpost",
        "v_orderemail", "v_ordermobile",
    )
)  # fmt: skip

# --- states --------------------------------------------------------------------------------------------------------

PAID: Final = "20"
FAILED: Final = "30"
NOT_PAID: Final = "10"
NO_ORDER: Final = "0"

RESULT_STATES: Final[dict[str, TradeState]] = {PAID: TradeState.PAID, FAILED: TradeState.UNPAID}
"""A failed attempt leaves the trade unpaid: it may be paid again."""
ANSWER_STATES: Final[dict[str, TradeState]] = RESULT_STATES | {NOT_PAID: TradeState.UNPAID}

RESULT_WORD: Final[dict[TradeState, str]] = {
    TradeState.PAID: PAID,
    TradeState.FINISHED: PAID,
    TradeState.UNPAID: FAILED,
    TradeState.CLOSED: FAILED,
}
ANSWER_WORD: Final[dict[TradeState, str]] = RESULT_WORD | {TradeState.UNPAID: NOT_PAID}
SAID_AS: Final[dict[str, str]] = {TradeState.FINISHED: TradeState.PAID, TradeState.CLOSED: TradeState.UNPAID}

STATUS_TEXT: Final[dict[str, str]] = {PAID: "支付完成", FAILED: "支付失败", NOT_PAID: "未支付", NO_ORDER: "无此订单"}

# --- banks ---------------------------------------------------------------------------------------------------------

BANK_OF: Final[dict[str, str]] = {
    "1025": "ICBC", "1051": "CCB", "105": "CCB", "103": "ABC", "104": "BOC", "301": "COMM", "3080": "CMB",
    "305": "CMBC", "314": "SPDB", "309": "CIB", "313": "CITIC", "312": "CEB", "311": "HXB", "3061": "GDB", "307": "PAB",
    "3230": "PSBC", "310": "BOB", "326": "BOS", "324": "HZCB", "302": "NBCB", "343": "SHRCB", "335": "BJRCB",
}  # fmt: skip
"""``pmode_id`` -> bank of our directory. Other digits name no bank and are accepted: the lists changed by the year."""

BANK_CODE: Final[dict[str, str]] = {bank: code for code, bank in BANK_OF.items() if code != "105"}

BANK_TEXT: Final[dict[str, str]] = {
    "ICBC": "工商银行", "CCB": "建设银行", "ABC": "农业银行", "BOC": "中国银行", "COMM": "交通银行", "CMB": "招商银行",
    "CMBC": "民生银行", "SPDB": "浦发银行", "CIB": "兴业银行", "CITIC": "中信银行", "CEB": "光大银行",
    "HXB": "华夏银行",
    "GDB": "广发银行", "PAB": "平安银行", "PSBC": "邮储银行", "BOB": "北京银行", "BOS": "上海银行", "HZCB": "杭州银行",
    "NBCB": "宁波银行", "SHRCB": "上海农商银行", "BJRCB": "北京农商银行",
}  # fmt: skip
"""What ``v_pmode`` says."""
BALANCE_TEXT: Final = "网银在线"

# --- refusals ------------------------------------------------------------------------------------------------------

ERROR: Final = "error"
WIRE_CODE: Final[dict[str, str]] = dict.fromkeys(REFUSALS, ERROR) | {
    "TRADE_NOT_FOUND": NO_ORDER,
    "NOT_FOUND": NO_ORDER,
}
"""No table of codes was ever published: a query can say that there is no such order; all else is a page."""

ERROR_TITLE: Final = "支付请求无法受理"

# Keys printed in demos and test suites. A merchant's configuration refuses them; vectors may use them.
PUBLISHED_KEYS: Final = frozenset(("test", "1234", "biwgh2iuh98763SS"))
