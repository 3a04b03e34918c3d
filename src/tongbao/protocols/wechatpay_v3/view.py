"""Orders, refunds, transfers and shares as JSON: written by the platform's half, read by the merchant's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.codec import write_time
from tongbao.protocols.wechatpay_v3.field import Fields, filled, invalid, missing
from tongbao.protocols.wechatpay_v3.request import Cover
from tongbao.wire.contract import Credentials
from tongbao.wire.movement import MovementState, PayOutView, RefundView, Split, SplitView
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import PAID_STATES, Method, Presentation, Product, TradeState, TradeView

_ACCOUNT: Final = "支付用户零钱"
_ANY: Final = 4_096


def _time(at: Instant | None) -> str:
    return write_time(at) if at is not None else ""


def _needed(fields: Fields, *names: str) -> list[str]:
    return [fields.text(name, _ANY, needed=True) for name in names]


def _sum(fields: Fields, name: str) -> Money:
    found = fields.money(name, needed=True)
    if found is None:
        raise missing(fields.at(name))
    return found


# --- orders ------------------------------------------------------------------------------------------------------


def write_state(view: TradeView) -> str:
    """``trade_state`` of a trade: REFUND once anything was given back, though the trade be closed by it. An order paid
    with a shown code is ended by ``reverse`` alone, after which it is REVOKED. Raises LocalProtocolError."""
    scanned = view.echo.get("trade_type") == m.TYPE_OF[Presentation.BARCODE]
    if view.was_paid:
        if view.cancelled:
            return "REVOKED"
        gone = view.state is TradeState.CLOSED or (view.refunded is not None and view.refunded.minor > 0)
        return "REFUND" if gone else "SUCCESS"
    if view.state is TradeState.CLOSED:
        return "REVOKED" if scanned else "CLOSED"
    if view.state is TradeState.UNPAID:
        return "USERPAYING" if scanned else "NOTPAY"
    raise LocalProtocolError("state", "is missing")


def write_bank(method: str | None, bank: str) -> str:
    """``bank_type`` of what paid: a card of a known bank; all else is OTHERS."""
    word = m.BANK_TYPE.get(bank)
    return f"{word}_{method.upper()}" if word and method in (Method.DEBIT, Method.CREDIT) else "OTHERS"


def _ends(view: TradeView, mchid: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Whose an order is, and who pays it: as the merchant is told it, or his service provider (``mchid``)."""
    appid, payer = view.echo.get("appid", ""), view.buyer.id
    if view.merchant in ("", mchid):
        return {"appid": appid, "mchid": mchid}, {"openid": payer}
    sub_appid = view.echo.get("sub_appid", "")
    ends = {"sp_appid": appid, "sp_mchid": mchid, "sub_appid": sub_appid, "sub_mchid": view.merchant}
    return ends, {"sp_openid": payer, "sub_openid": view.buyer_alias if sub_appid else ""}


def read_owner(fields: Fields) -> tuple[str, str]:
    """(merchant, service provider or '') of an order or a refund's notification. Raises RemoteProtocolError."""
    if "sp_mchid" in fields.said:
        return fields.text("sub_mchid", _ANY, needed=True), fields.text("sp_mchid", _ANY, needed=True)
    return fields.text("mchid", _ANY, needed=True), ""


def check_apps(fields: Fields, credentials: Credentials) -> None:
    """Every application that is named is the one in the settings (T25; sheet wechatpay, section 16). Raises
    RemoteProtocolError."""
    values = credentials.values
    own = dict.fromkeys(("appid", "sp_appid", "combine_appid"), values["appid"])
    for name, wanted in {**own, "sub_appid": values.get("sub_appid", "")}.items():
        if wanted and fields.text(name, _ANY) not in ("", wanted):
            raise invalid(fields.at(name), "is another application's", "SELLER_UNKNOWN")


def write_trade(view: TradeView, mchid: str) -> dict[str, Any]:
    """An order as query and notification tell it to ``mchid``, its merchant or his service provider: what is not known
    yet is absent, never null or empty."""
    if view.amount is None or not view.out_trade_no:
        raise LocalProtocolError("out_trade_no" if view.amount else "amount", "is missing")
    state, (ends, payer) = write_state(view), _ends(view, mchid)
    said = {
        **ends,
        "out_trade_no": view.out_trade_no,
        "trade_state": state,
        "trade_state_desc": m.STATE_SAID[state],
        "amount": {"total": view.amount.minor, "currency": view.amount.currency},
    }
    if not view.was_paid:
        return filled(said)
    total, currency = view.amount.minor, view.amount.currency
    paid = {
        "transaction_id": view.trade_no,
        "trade_type": view.echo.get("trade_type", "NATIVE"),
        "bank_type": write_bank(view.method, view.bank),
        "attach": view.passback,
        "success_time": _time(view.paid_at),
        "payer": filled(payer),
        "amount": {"total": total, "payer_total": total, "currency": currency, "payer_currency": currency},
    }
    return filled(said | paid)


def write_event_trade(view: TradeView, mchid: str) -> dict[str, Any]:
    """The order of ``TRANSACTION.SUCCESS``: the moment of payment, whatever came later. Raises LocalProtocolError."""
    if view.state not in PAID_STATES:
        raise LocalProtocolError("state", "only a successful payment is told of")
    said = write_trade(view, mchid)
    return said | {"trade_state": "SUCCESS", "trade_state_desc": m.STATE_SAID["SUCCESS"]}


def read_bank(text: str) -> tuple[Method | None, str]:
    """The card's kind and bank behind ``write_bank``; nothing for any other."""
    bank, _, kind = text.rpartition("_")
    known = {word: code for code, word in m.BANK_TYPE.items()}
    if bank in known and kind in ("DEBIT", "CREDIT"):
        return Method(kind.lower()), known[bank]
    return None, ""


def read_trade(said: Mapping[str, Any]) -> TradeView:
    """What an order object says. Raises RemoteProtocolError naming the field."""
    fields = Fields(said)
    number, word = _needed(fields, "out_trade_no", "trade_state")
    (mchid, provider), payer = read_owner(fields), fields.child("payer")
    if word not in m.STATE_OF:
        raise invalid("trade_state", "is no state of an order")
    state = m.STATE_OF[word]
    amount = fields.child("amount", needed=state is TradeState.PAID)
    total = amount.money("total", needed=state is TradeState.PAID)
    amount.currency()
    if state is TradeState.PAID:
        _needed(fields, "transaction_id")
    method, bank = read_bank(fields.text("bank_type"))
    return TradeView(
        merchant=mchid,
        out_trade_no=number,
        trade_no=fields.text("transaction_id"),
        state=state,
        product=Product.INSTANT,
        amount=total,
        seller=Party(mchid),
        buyer=Party(payer.text("sp_openid" if provider else "openid")),
        buyer_alias=payer.text("sub_openid") if provider else "",
        paid_at=fields.time("success_time"),
        refund_state="success" if word == "REFUND" else "",
        method=method,
        bank=bank,
        passback=fields.text("attach", _ANY),
    )


# --- refunds -----------------------------------------------------------------------------------------------------


def _channel(view: RefundView) -> str:
    return view.method if view.method in ("ORIGINAL", "BALANCE", "OTHER_BALANCE", "OTHER_BANKCARD") else "ORIGINAL"


def write_refund(view: RefundView) -> dict[str, Any]:
    """A refund as its creation and its query answer it. Raises LocalProtocolError."""
    if view.state is None or view.amount is None or view.total is None:
        raise LocalProtocolError("state", "or a sum is missing")
    total, refund = view.total.minor, view.amount.minor
    said = {
        "refund_id": view.refund_id,
        "out_refund_no": view.refund_no,
        "transaction_id": view.trade_no,
        "out_trade_no": view.out_trade_no,
        "channel": _channel(view),
        "user_received_account": _ACCOUNT,
        "success_time": _time(view.ended_at) if view.state is MovementState.SUCCEEDED else "",
        "create_time": _time(view.created_at),
        "status": m.STUCK if view.stuck else m.REFUND_WORD[view.state],
        "funds_account": "AVAILABLE",
    }
    amount = {
        "total": total,
        "refund": refund,
        "payer_total": total,
        "payer_refund": refund,
        "settlement_refund": refund,
        "settlement_total": total,
        "discount_refund": 0,
        "currency": view.amount.currency,
    }
    return filled(said) | {"amount": amount, "promotion_detail": []}


def write_event_refund(view: RefundView, mchid: str) -> dict[str, Any]:
    """A refund's end as a notification tells it. Raises LocalProtocolError."""
    said = write_refund(view)
    amount = said["amount"]
    own = view.merchant in ("", mchid)
    told = {
        **({"mchid": mchid} if own else {"sp_mchid": mchid, "sub_mchid": view.merchant}),
        **{name: said.get(name) for name in ("out_trade_no", "transaction_id", "out_refund_no", "refund_id")},
        "refund_status": said["status"],
        "success_time": said.get("success_time"),
        "user_received_account": _ACCOUNT,
        "amount": {name: amount[name] for name in ("total", "refund", "payer_total", "payer_refund")},
    }
    return filled(told)


def read_refund(said: Mapping[str, Any], mchid: str) -> RefundView:
    """What a refund says, in an answer (``status``) or a notification (``refund_status``)."""
    fields = Fields(said)
    name = "status" if "status" in said else "refund_status"
    word, number, refund_no, serial, refund_id = _needed(
        fields, name, "out_trade_no", "out_refund_no", "transaction_id", "refund_id"
    )
    if word not in m.REFUND_STATE_OF:
        raise invalid(name, "is no state of a refund")
    amount = fields.child("amount", needed=True)
    channel = fields.text("channel", 16)
    return RefundView(
        merchant=mchid,
        refund_no=refund_no,
        refund_id=refund_id,
        trade_no=serial,
        out_trade_no=number,
        state=m.REFUND_STATE_OF[word],
        stuck=word == m.STUCK,
        amount=_sum(amount, "refund"),
        total=_sum(amount, "total"),
        created_at=fields.time("create_time"),
        ended_at=fields.time("success_time"),
        method="" if channel == "ORIGINAL" else channel,
    )


# --- transfers ---------------------------------------------------------------------------------------------------


def write_transfer(view: PayOutView, mchid: str, cover: Cover, *, whole: bool) -> dict[str, Any]:
    """A transfer: ``whole`` for its query, else what its creation answers. Raises LocalProtocolError."""
    if view.state is None:
        raise LocalProtocolError("state", "is missing")
    failed = view.state is MovementState.FAILED
    said: dict[str, Any] = {
        "out_bill_no": view.payout_no,
        "transfer_bill_no": view.payout_id,
        "create_time": _time(view.created_at),
        "state": m.TRANSFER_WORD[view.state],
        "fail_reason": m.FAIL_REASON.get(view.code, "TRANSFER_RISK") if failed else "",
    }
    if not whole:
        return filled(said)
    if view.amount is None:
        raise LocalProtocolError("amount", "is missing")
    more = {
        "mch_id": mchid,
        "transfer_amount": view.amount.minor,
        "transfer_remark": view.memo,
        "openid": view.payee.party.id,
        "user_name": cover(view.payee.name) if view.payee.name else "",
        "update_time": _time(view.ended_at or view.created_at),
    }
    return filled(said | more)


def write_event_transfer(view: PayOutView, mchid: str) -> dict[str, Any]:
    """A transfer's end as a notification tells it: names of persons are not in it."""
    said = write_transfer(view, mchid, str, whole=True)
    names = (
        "out_bill_no", "transfer_bill_no", "state", "transfer_amount", "fail_reason", "openid", "create_time",
        "update_time",
    )  # fmt: skip
    return filled({"mchid": mchid, **{name: said.get(name) for name in names}})


def read_transfer(said: Mapping[str, Any], mchid: str, cover: Cover) -> PayOutView:
    """What a transfer says, in an answer or a notification."""
    fields = Fields(said)
    number, serial, word = _needed(fields, "out_bill_no", "transfer_bill_no", "state")
    if word not in m.TRANSFER_STATE_OF:
        raise invalid("state", "is no state of a transfer")
    for name in ("mch_id", "mchid"):
        if fields.text(name) not in ("", mchid):
            raise RemoteProtocolError(name, "is another merchant's", "FIELD_INVALID")
    covered, reason = fields.text("user_name", _ANY), fields.text("fail_reason")
    state = m.TRANSFER_STATE_OF[word]
    ended = state is not MovementState.ACCEPTED
    return PayOutView(
        merchant=mchid,
        payout_no=number,
        payout_id=serial,
        payee=Payee(Party(fields.text("openid")), cover(covered) if covered else ""),
        amount=fields.money("transfer_amount"),
        state=state,
        memo=fields.text("transfer_remark"),
        code=m.REASON_FAILED.get(reason, "") if reason else "",
        created_at=fields.time("create_time"),
        ended_at=fields.time("update_time") if ended else None,
    )


# --- profit sharing ----------------------------------------------------------------------------------------------


def write_share(view: SplitView) -> dict[str, Any]:
    """A split and what became of each receiver. Raises LocalProtocolError."""
    if view.state is None:
        raise LocalProtocolError("state", "is missing")
    receivers = [
        filled(
            {
                "amount": split.amount.minor if split.amount else 0,
                "description": split.memo,
                "type": split.kind,
                "account": split.receiver.id,
                "result": m.SHARE_RESULT[view.state],
                "detail_id": f"{view.split_id}{place:03d}",
                "create_time": _time(view.created_at),
                "finish_time": _time(view.ended_at),
            }
        )
        for place, split in enumerate(view.splits, 1)
    ]
    said = {
        "transaction_id": view.trade_no,
        "out_order_no": view.split_no,
        "order_id": view.split_id,
        "state": "PROCESSING" if view.state is MovementState.ACCEPTED else "FINISHED",
        "receivers": receivers,
    }
    return filled(said)


def read_share(said: Mapping[str, Any], mchid: str) -> SplitView:
    """What a profit sharing order says."""
    fields = Fields(said)
    serial, number, order_id, word = _needed(fields, "transaction_id", "out_order_no", "order_id", "state")
    if word not in m.SHARE_STATE_OF:
        raise invalid("state", "is no state of profit sharing")
    receivers = fields.children("receivers", 100)
    splits = tuple(
        Split(
            receiver=Party(receiver.text("account", needed=True)),
            amount=receiver.money("amount", smallest=0),
            memo=receiver.text("description", _ANY),
            kind=receiver.text("type"),
        )
        for receiver in receivers
    )
    return SplitView(
        merchant=mchid,
        split_no=number,
        split_id=order_id,
        trade_no=serial,
        state=m.SHARE_STATE_OF[word],
        splits=splits,
        created_at=receivers[0].time("create_time") if receivers else None,
        ended_at=receivers[0].time("finish_time") if receivers else None,
    )
