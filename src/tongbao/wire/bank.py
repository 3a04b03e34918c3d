"""The platform's directory of banks: codes of ours, names, and which cards each is offered with.

Protocol folders map their own bank codes to these. The codes are the ones cards and clearing houses commonly use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bank:
    """``code`` is ours; ``debit`` and ``credit`` say which cards it is offered with at the cashier."""

    code: str
    name: str
    name_zh: str
    debit: bool = True
    credit: bool = True


BANKS: Final[dict[str, Bank]] = {
    bank.code: bank
    for bank in (
        Bank("ICBC", "Industrial and Commercial Bank of China", "中国工商银行"),
        Bank("CCB", "China Construction Bank", "中国建设银行"),
        Bank("ABC", "Agricultural Bank of China", "中国农业银行"),
        Bank("BOC", "Bank of China", "中国银行"),
        Bank("CMB", "China Merchants Bank", "招商银行"),
        Bank("COMM", "Bank of Communications", "交通银行"),
        Bank("PSBC", "Postal Savings Bank of China", "中国邮政储蓄银行"),
        Bank("SPDB", "Shanghai Pudong Development Bank", "浦发银行"),
        Bank("CIB", "Industrial Bank", "兴业银行"),
        Bank("GDB", "China Guangfa Bank", "广发银行"),
        Bank("CMBC", "China Minsheng Bank", "中国民生银行"),
        Bank("CITIC", "China CITIC Bank", "中信银行"),
        Bank("CEB", "China Everbright Bank", "中国光大银行"),
        Bank("PAB", "Ping An Bank", "平安银行"),
        Bank("HXB", "Hua Xia Bank", "华夏银行"),
        Bank("BOB", "Bank of Beijing", "北京银行"),
        Bank("BOS", "Bank of Shanghai", "上海银行"),
        Bank("HZCB", "Bank of Hangzhou", "杭州银行"),
        Bank("NBCB", "Bank of Ningbo", "宁波银行"),
        Bank("WZCB", "Bank of Wenzhou", "温州银行", credit=False),
        Bank("BJRCB", "Beijing Rural Commercial Bank", "北京农商银行"),
        Bank("SHRCB", "Shanghai Rural Commercial Bank", "上海农商银行"),
        Bank("FDB", "Fudian Bank", "富滇银行", credit=False),
    )
}

OUTLET: Final = "OUTLET"
"""The pseudo bank behind the counters (网点) that take cash for a code."""
