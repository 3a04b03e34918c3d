"""A trade as the fields of a result and of the answer to a query, and back."""

from __future__ import annotations

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.tenpay_cgi import messages as m
from tongbao.protocols.tenpay_cgi.codec import Fields, read_fen, write_fen
from tongbao.protocols.tenpay_cgi.request import DEAL, deal_number, read_order
from tongbao.wire.field import invalid, is_text, required
from tongbao.wire.vocabulary import Notification, Product, Role, TradeState, TradeView


def _say(text: str, codec: str) -> str:
    """A text, or nothing where the wire cannot say it whole: silence is no lie."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return ""
    return text if is_text(text) and len(text) <= 127 else ""


def write_trade(view: TradeView, cmdno: str, codec: str, now: Instant) -> dict[str, str]:
    """The fields that tell of a trade, without a signature. Raises LocalProtocolError."""
    if not view.out_trade_no:
        raise LocalProtocolError("out_trade_no", "is missing")
    if view.product not in (None, Product.INSTANT) or view.state is None or view.state not in m.RESULT_WORD:
        raise LocalProtocolError("state", "the interface has no word for it")
    word = m.RESULT_WORD[view.state]
    day = view.echo.get("date") or china_compact(view.created_at or now)[:8]
    return {
        "cmdno": cmdno,
        "pay_result": word,
        "pay_info": m.INFO[word],
        "date": day,
        "bargainor_id": view.merchant,
        "transaction_id": view.echo.get("transaction_id", deal_number(view.merchant, day, view.out_trade_no)),
        "sp_billno": view.out_trade_no,
        "total_fee": write_fen(view.amount),
        "fee_type": "1",
        "attach": _say(view.passback, codec),
    }


def read_trade(fields: Fields, merchant: str) -> TradeView:
    """The trade that a message tells of. Raises RemoteProtocolError naming the field."""
    number = read_order(fields)
    deal = fields.get("transaction_id", "")
    if deal and DEAL.fullmatch(deal) is None:
        raise invalid("transaction_id", "is not 28 digits")
    if required(fields, "fee_type") != "1":
        raise invalid("fee_type", "is not 1, CNY", "CURRENCY_NOT_ALLOWED")
    word = required(fields, "pay_result")
    if not (word.isascii() and word.isdigit() and len(word) <= 10):
        raise invalid("pay_result", "is no number")
    return TradeView(
        merchant=merchant,
        out_trade_no=number,
        trade_no=number,
        state=TradeState.PAID if word == m.PAID else TradeState.UNPAID,
        product=Product.INSTANT,
        amount=read_fen(fields, "total_fee"),
        passback=fields.get("attach", ""),
        echo={"transaction_id": deal} if deal else {},
    )


def read_event(fields: Fields, merchant: str, role: Role) -> Notification:
    """Notice and return are one message. Raises RemoteProtocolError."""
    if required(fields, "cmdno") != "1":
        raise invalid("cmdno", "is not 1, a payment")
    said = fields.get("bargainor_id", "")
    if said not in ("", merchant):
        raise invalid("bargainor_id", "the message is another merchant's")
    free = {name: fields[name] for name in m.UNSIGNED_RESULT if name in fields}
    return Notification(id="", at=None, trade=read_trade(fields, merchant), role=role, unsigned=free)
