"""Every table the committer writes, in the order in which processes lock them.

A command may ask for tables of a later stage only after it has seen the earlier ones; within a stage rows are loaded
by (rank, key), so two processes meet in one order and cannot deadlock.
"""

from __future__ import annotations

from typing import Final

from tongbao.ledger.account import Account
from tongbao.store.record import (
    Answer,
    AuditRow,
    Case,
    EntryRow,
    Lane,
    PostingRow,
    Refusal,
    SeenWord,
    Session,
    Visit,
)
from tongbao.store.table import Table
from tongbao.trade.calendar import CalendarDay
from tongbao.trade.claim import Chargeback, Claim, Correction
from tongbao.trade.combine import Combined, CombinedTrade
from tongbao.trade.party import Authorisation, Buyer, Merchant, MerchantKey, MerchantOperator, Operator
from tongbao.trade.payout import Counter, Payout, PayoutBatch, PayoutCard, Switch
from tongbao.trade.reconcile import Bill, Gap, Statement
from tongbao.trade.record import Event, Instruction, Payment, Trade
from tongbao.trade.refund import Refund, RefundBatch, RefundLine, TradeReturn
from tongbao.trade.settlement import Settlement, SettlementDay, SettlementLine, Share
from tongbao.trade.split import SplitPart, SplitReturn, SplitRow

LANE: Final = Table("lane", Lane, ("lane",), rank=0, stage=0)

ANSWER: Final = Table("answer", Answer, ("scope", "key"), rank=1, stage=1)
SEEN_WORD: Final = Table("seen_word", SeenWord, ("word",), rank=27, stage=1)
MERCHANT: Final = Table("merchant", Merchant, ("merchant_id",), rank=2, stage=1, locked=False)
MERCHANT_KEY: Final = Table(
    "merchant_key", MerchantKey, ("merchant_id", "protocol", "key_id"), rank=3, stage=1, locked=False
)
MERCHANT_OPERATOR: Final = Table("merchant_operator", MerchantOperator, ("merchant_id", "name"), rank=19, stage=1)
OPERATOR: Final = Table("operator", Operator, ("name",), rank=18, stage=1)
SESSION: Final = Table("session", Session, ("session",), rank=4, stage=1)
VISIT: Final = Table("visit", Visit, ("link",), rank=5, stage=1)
BUYER: Final = Table("buyer", Buyer, ("buyer_id",), rank=6, stage=1)
AUTHORISATION: Final = Table("authorisation", Authorisation, ("authorisation_id",), rank=7, stage=1, blind=True)

TRADE: Final = Table(
    "trade",
    Trade,
    ("merchant_id", "out_trade_no"),
    rank=8,
    stage=2,
    frozen=("trade_no", "protocol", "product", "amount", "currency", "created_at", "terms", "terms_hash"),
)

PAYMENT: Final = Table(
    "payment",
    Payment,
    ("merchant_id", "out_trade_no", "attempt"),
    rank=9,
    stage=3,
    blind=True,
    frozen=("payment_no", "method", "bank", "flow", "amount", "currency", "intent", "created_at"),
)
INSTRUCTION: Final = Table(
    "instruction",
    Instruction,
    ("instruction_no",),
    rank=10,
    stage=3,
    blind=True,
    frozen=("merchant_id", "out_trade_no", "attempt", "kind", "bank", "method", "amount", "currency", "created_at"),
)
EVENT: Final = Table("event", Event, ("merchant_id", "out_trade_no", "seq"), rank=11, stage=5, blind=True)
CASE: Final = Table("case_file", Case, ("case_id",), rank=12, stage=3, blind=True)

# money given back: guarded by the trade's row, which is locked before
REFUND: Final = Table(
    "refund",
    Refund,
    ("merchant_id", "out_trade_no", "n"),
    rank=20,
    stage=3,
    blind=True,
    frozen=("refund_id", "refund_no", "batch_no", "cause", "attempt", "method", "bank", "amount", "currency"),
)
TRADE_RETURN: Final = Table("trade_return", TradeReturn, ("merchant_id", "out_trade_no"), rank=21, stage=3)
CLAIM: Final = Table("claim", Claim, ("merchant_id", "out_trade_no"), rank=22, stage=3)
REFUND_BATCH: Final = Table("refund_batch", RefundBatch, ("merchant_id", "batch_no"), rank=23, stage=1)
REFUND_LINE: Final = Table("refund_line", RefundLine, ("merchant_id", "batch_no", "n"), rank=24, stage=1, blind=True)
CORRECTION: Final = Table("correction", Correction, ("correction_id",), rank=25, stage=1)
CHARGEBACK: Final = Table("chargeback", Chargeback, ("bank", "bank_ref"), rank=26, stage=1)

# combined orders
COMBINED: Final = Table(
    "combined",
    Combined,
    ("merchant_id", "out_trade_no"),
    rank=27,
    stage=1,
    frozen=("combined_id", "protocol", "amount", "currency", "notify_url", "echo", "digest", "created_at"),
)
COMBINED_TRADE: Final = Table(
    "combined_trade", CombinedTrade, ("merchant_id", "out_trade_no", "n"), rank=28, stage=5, blind=True
)

ACCOUNT: Final = Table("account", Account, ("code",), rank=13, stage=4, frozen=("currency", "opened_at"))

ENTRY: Final = Table("entry", EntryRow, ("lane", "seq"), rank=14, stage=5, blind=True)
POSTING: Final = Table("posting", PostingRow, ("lane", "seq", "n"), rank=15, stage=5, blind=True)
AUDIT: Final = Table("audit", AuditRow, ("lane", "seq"), rank=16, stage=5, blind=True)
REFUSAL: Final = Table("refusal", Refusal, ("refusal_id",), rank=17, stage=5, blind=True)

# settlement, payouts, profit sharing
CALENDAR_DAY: Final = Table("calendar_day", CalendarDay, ("day",), rank=30, stage=1)
SETTLEMENT_DAY: Final = Table("settlement_day", SettlementDay, ("day",), rank=31, stage=1, frozen=("started_at",))
PAYOUT_CARD: Final = Table("payout_card", PayoutCard, ("merchant_id",), rank=32, stage=1)
SWITCH: Final = Table("switch", Switch, ("name",), rank=29, stage=1, locked=False)
COUNTER: Final = Table("counter", Counter, ("merchant_id", "name"), rank=33, stage=1)
SETTLEMENT: Final = Table(
    "settlement",
    Settlement,
    ("merchant_id", "settlement_no"),
    rank=34,
    stage=2,
    frozen=("kind", "day", "currency", "created_at"),
)
PAYOUT_BATCH: Final = Table(
    "payout_batch",
    PayoutBatch,
    ("merchant_id", "batch_no"),
    rank=35,
    stage=2,
    frozen=("batch_id", "count", "total", "currency", "digest", "source", "maker", "created_at", "asks"),
)
SPLIT: Final = Table("split", SplitRow, ("merchant_id", "out_trade_no", "split_no"), rank=36, stage=2)
SHARE: Final = Table("share", Share, ("merchant_id", "out_trade_no"), rank=37, stage=3, blind=True)
SPLIT_PART: Final = Table(
    "split_part",
    SplitPart,
    ("merchant_id", "out_trade_no", "split_no", "n"),
    rank=38,
    stage=3,
    blind=True,
    frozen=("receiver", "receiver_id", "amount"),
)
SPLIT_RETURN: Final = Table("split_return", SplitReturn, ("merchant_id", "return_no"), rank=41, stage=2)
PAYOUT: Final = Table(
    "payout",
    Payout,
    ("merchant_id", "batch_no", "payout_no"),
    rank=39,
    stage=3,
    frozen=(
        "payout_id",
        "n",
        "bank",
        "secret",
        "digest",
        "amount",
        "currency",
        "source",
        "maker",
        "created_at",
    ),
)
SETTLEMENT_LINE: Final = Table(
    "settlement_line",
    SettlementLine,
    ("merchant_id", "settlement_no", "out_trade_no"),
    rank=40,
    stage=5,
    blind=True,
)

# bills and statements
BILL: Final = Table("bill", Bill, ("merchant_id", "day", "kind", "currency"), rank=50, stage=1)
STATEMENT: Final = Table("statement", Statement, ("bank", "day"), rank=51, stage=1)
GAP: Final = Table(
    "gap", Gap, ("bank", "kind", "number", "side"), rank=52, stage=2, frozen=("amount", "currency", "at")
)

TABLES: Final[tuple[Table, ...]] = (
    BILL,
    STATEMENT,
    GAP,
    LANE,
    ANSWER,
    SEEN_WORD,
    MERCHANT,
    MERCHANT_KEY,
    MERCHANT_OPERATOR,
    OPERATOR,
    SESSION,
    VISIT,
    BUYER,
    AUTHORISATION,
    TRADE,
    PAYMENT,
    INSTRUCTION,
    EVENT,
    CASE,
    ACCOUNT,
    ENTRY,
    POSTING,
    AUDIT,
    REFUSAL,
    REFUND,
    TRADE_RETURN,
    CLAIM,
    REFUND_BATCH,
    REFUND_LINE,
    CORRECTION,
    CHARGEBACK,
    COMBINED,
    COMBINED_TRADE,
    CALENDAR_DAY,
    SETTLEMENT_DAY,
    PAYOUT_CARD,
    SWITCH,
    COUNTER,
    SETTLEMENT,
    PAYOUT_BATCH,
    SPLIT,
    SHARE,
    SPLIT_PART,
    SPLIT_RETURN,
    PAYOUT,
    SETTLEMENT_LINE,
)

STAGES: Final = (1, 2, 3, 4)
"""The rounds of loading: everything else is written only."""
