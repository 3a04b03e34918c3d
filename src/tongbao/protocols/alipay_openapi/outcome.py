"""The answers as pairs of inverse functions: outcome to content, and content to outcome."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.code import PAYING, SUCCESS, WIRE_CODE
from tongbao.protocols.alipay_openapi.field import (
    Content,
    buyer_field,
    detail_of,
    filled,
    list_of,
    mask_login,
    read_money,
    read_time,
    required,
    say,
    say_time,
    text_of,
)
from tongbao.protocols.alipay_openapi.mode import serial_of
from tongbao.protocols.alipay_openapi.money import read_back, read_split, write_back, write_split
from tongbao.protocols.alipay_openapi.view import NO_AMOUNTS, funds_of, read_trade, write_payment, write_trade
from tongbao.protocols.alipay_openapi.word import neutral, state_of
from tongbao.wire.certificate import chain_pem
from tongbao.wire.http import origin_of
from tongbao.wire.key import KeyRing
from tongbao.wire.movement import (
    Answered,
    BalanceFound,
    CallByName,
    Cancelled,
    CancelTrade,
    CertificatesFound,
    ExchangeCode,
    FetchCertificates,
    IdentityFound,
    MovementState,
    PayOut,
    PayOutFound,
    PayOutView,
    QueryBalance,
    QueryPayOut,
    QueryRefund,
    QuerySplit,
    RefundFound,
    RefundTrade,
    RefundView,
    RequestBill,
    SplitFound,
    SplitTrade,
    SplitView,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import (
    CloseTrade,
    CreateTrade,
    Done,
    FollowUp,
    Intent,
    Method,
    Outcome,
    Presentation,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeOpened,
    TradeState,
    TradeView,
)

QR_PATH: Final = "/qr/"
_PAID: Final = frozenset((TradeState.PAID, TradeState.FINISHED))


def qr_code(opened: TradeOpened) -> str:
    """What a QR code holds: an address of the platform that names the trade to a wallet which scans it."""
    if not opened.code:
        return opened.cashier_url
    return f"{origin_of(opened.cashier_url)}{QR_PATH}{opened.code}"


# --- what the platform writes ------------------------------------------------------------------------------------


def write_outcome(method: str, asked: Content, outcome: Outcome, ring: KeyRing | None) -> dict[str, Any]:
    """The content of an answer, with ``code``; an unpaid trade of a payment by code is 10003. ``asked`` is the
    request's content. Raises LocalProtocolError."""
    if isinstance(outcome, TradeOpened):
        return _write_opened(method, asked, outcome)
    if isinstance(outcome, TradeFound):
        if method == m.PAY:
            paid = outcome.trade.state in _PAID
            return {"code": SUCCESS if paid else PAYING} | write_payment(outcome.trade)
        return {"code": SUCCESS} | write_trade(outcome.trade)
    if isinstance(outcome, Done):
        view = outcome.trade or TradeView()
        numbers = {name: getattr(view, name) or text_of(asked, name) for name in ("trade_no", "out_trade_no")}
        return {"code": SUCCESS} | numbers
    return {"code": SUCCESS} | _write_after(method, asked, outcome, ring)


def _write_opened(method: str, asked: Content, opened: TradeOpened) -> dict[str, Any]:
    number = text_of(asked, "out_trade_no")
    if method == m.PRECREATE:
        return {"code": SUCCESS, "out_trade_no": number, "qr_code": qr_code(opened)}
    said = {"out_trade_no": number, "trade_no": opened.trade_no}
    if method == m.PAY:
        return {"code": PAYING, "total_amount": text_of(asked, "total_amount")} | said | NO_AMOUNTS
    return {"code": SUCCESS} | said


def _write_after(method: str, asked: Content, outcome: Outcome, ring: KeyRing | None) -> dict[str, Any]:
    if isinstance(outcome, RefundFound):
        return _write_refund(outcome) if method == m.REFUND else _write_refund_found(asked, outcome)
    if isinstance(outcome, Cancelled):
        said = {"trade_no": outcome.trade_no, "out_trade_no": outcome.out_trade_no, "action": outcome.action}
        return said | {"retry_flag": "N"}
    if isinstance(outcome, SplitFound):
        return _write_split(method, outcome.split)
    if isinstance(outcome, PayOutFound):
        return _write_payout(method, outcome)
    if isinstance(outcome, BalanceFound):
        return {"available_amount": say(outcome.available), "freeze_amount": say(outcome.held)}
    if isinstance(outcome, FollowUp):
        return {"bill_download_url": outcome.url}
    if isinstance(outcome, CertificatesFound):
        return {"alipay_cert_content": _certificate(outcome.serial, ring)}
    if isinstance(outcome, IdentityFound):
        return {
            "code": "",
            "user_id": outcome.buyer.id,
            "access_token": outcome.token,
            "expires_in": str(outcome.seconds or ""),
            "refresh_token": outcome.refresh,
            "re_expires_in": str(outcome.refresh_seconds or ""),
        }
    raise LocalProtocolError("", f"the interface has no answer for {type(outcome).__name__}")


def _write_refund(found: RefundFound) -> dict[str, Any]:
    refund = found.refunds[0] if found.refunds else RefundView()
    view = found.trade if isinstance(found.trade, TradeView) else TradeView()
    refunded = refund.refunded if refund.refunded is not None else view.refunded
    # what a bank has only taken on is no money given back yet: the shop is to ask (sheet alipay-openapi, 6.10)
    moved = found.changed and refund.state is MovementState.SUCCEEDED
    back = TradeView(amount=refund.amount, method=Method(refund.method or Method.BALANCE), bank=refund.bank)
    return {
        "trade_no": refund.trade_no or view.trade_no,
        "out_trade_no": refund.out_trade_no or view.out_trade_no,
        "buyer_logon_id": mask_login(view.buyer.login),
        **buyer_field(view.buyer.id, "buyer_user_id"),
        "fund_change": "Y" if moved else "N",
        "refund_fee": say(refunded),
        "gmt_refund_pay": say_time(refund.ended_at),
        "refund_detail_item_list": funds_of(back, camel=False) if moved else [],
    }


def _write_refund_found(asked: Content, found: RefundFound) -> dict[str, Any]:
    if not found.refunds:
        return {}
    refund = found.refunds[0]
    options = asked.get("query_options") or []
    return {
        "trade_no": refund.trade_no,
        "out_trade_no": refund.out_trade_no,
        "out_request_no": refund.refund_no,
        "refund_amount": say(refund.amount),
        "total_amount": say(refund.total),
        "refund_reason": refund.reason,
        "refund_status": "REFUND_SUCCESS" if refund.state is MovementState.SUCCEEDED else "",
        "gmt_refund_pay": say_time(refund.ended_at) if "gmt_refund_pay" in options else "",
        "refund_royaltys": [
            write_back(split) | {"refund_amount": say(split.amount), "result_code": "SUCCESS"}
            for split in refund.splits
        ],
    }


def _write_split(method: str, split: SplitView) -> dict[str, Any]:
    if method == m.SETTLE:
        return {"trade_no": split.trade_no, "settle_no": split.split_id}
    state = m.SPLIT_WORD.get(split.state) if split.state else None
    return {
        "out_request_no": split.split_no,
        "settle_no": split.split_id,
        "operation_dt": say_time(split.created_at),
        "royalty_detail_list": [
            filled(write_split(one) | {"operation_type": one.kind or "transfer", "state": state or ""})
            for one in split.splits
        ],
    }


def _write_payout(method: str, found: PayOutFound) -> dict[str, Any]:
    if not found.payouts:
        raise LocalProtocolError("payouts", "is empty")
    payout = found.payouts[0]
    state = m.PAYOUT_WORD[payout.state] if payout.state else ""
    said = {
        "out_biz_no": payout.payout_no,
        "order_id": payout.payout_id,
        "pay_fund_order_id": payout.payout_id,
        "status": state,
    }
    if method == m.TRANSFER:
        return said | {"amount": say(payout.amount), "trans_date": say_time(payout.ended_at or payout.created_at)}
    return said | {
        "trans_amount": say(payout.amount),
        "pay_date": say_time(payout.ended_at),
        "order_fee": say(payout.fee),
        "error_code": WIRE_CODE.get(payout.code, payout.code),
        "receiver_user_id": payout.payee.party.id,
    }


def _certificate(serial: str, ring: KeyRing | None) -> str:
    for key in ring.sign if ring is not None else ():
        for certificate in key.chain[:1]:
            if serial_of(certificate) == serial:
                return base64.b64encode(chain_pem(key.chain[:1]).encode("ascii")).decode("ascii")
    return ""


# --- what the merchant reads -------------------------------------------------------------------------------------


def read_outcome(intent: Intent, content: Content) -> Outcome:
    """The outcome of a node. Raises RemoteProtocolError naming the field.

    The caller has seen to it that a success is signed.
    """
    code = text_of(content, "code")
    if isinstance(intent, CallByName) and (code == SUCCESS or (not code and is_codeless(intent.method))):
        _check_named(intent, content)
        return Rejection("SYSTEM", SUCCESS, "call again") if _is_to_be_repeated(intent, content) else Answered(content)
    if isinstance(intent, ExchangeCode) and not code and content.get("access_token"):
        return IdentityFound(
            Party(text_of(content, "user_id") or text_of(content, "open_id")),
            required(content, "access_token"),
            text_of(content, "refresh_token"),
            _seconds(content, "expires_in"),
            _seconds(content, "re_expires_in"),
        )
    if code != SUCCESS:
        return read_rejection(intent, content)
    if isinstance(intent, CreateTrade):
        return _read_opened(intent, content)
    if isinstance(intent, QueryTrade | CloseTrade):
        _check_trade(intent, content)
        if isinstance(intent, CloseTrade) and not (text_of(content, "trade_no") and text_of(content, "out_trade_no")):
            return Done()
        view = replace(read_trade(content), merchant=intent.merchant)
        return TradeFound(view) if isinstance(intent, QueryTrade) else Done(view)
    return _read_after(intent, content)


def read_rejection(intent: Intent, content: Content) -> Rejection:
    """A refusal: the sub code where there is one, and SYSTEM where nobody knows what became of what was asked."""
    public = required(content, "code")
    _check_refused(intent, content)
    word = text_of(content, "sub_code") or public
    # a payment waits for its buyer; anything else that is taken and not done (REST's 202) is to be asked for again
    waits = public == PAYING and not _is(intent, CreateTrade, m.PAY)
    code = "SYSTEM" if waits or _is_to_be_repeated(intent, content) else neutral(word, public)
    return Rejection(code, word, detail_of(content, "sub_msg"), state=state_of(word, code))


def is_codeless(method: str) -> bool:
    """Whether a success of that method may bear no code: a consent's does not, and of methods that are not ours nobody
    knows. The name of a node is not signed, so that elsewhere it would be the answer to another method."""
    return method in m.TOP_LEVEL or method not in m.SERVICES


def _is(intent: Intent, kind: type[Intent], method: str) -> bool:
    """Whether it is of that kind, or calls that method by its name."""
    return isinstance(intent, kind) or (isinstance(intent, CallByName) and intent.method == method)


def _is_to_be_repeated(intent: Intent, content: Content) -> bool:
    """Whether a cancellation, refused or not, is to be asked for again: then it has not ended (section 6.8)."""
    if not _is(intent, CancelTrade, m.CANCEL):
        return False
    flag = text_of(content, "retry_flag")
    if flag not in ("", "Y", "N"):
        raise RemoteProtocolError("retry_flag", "is neither Y nor N", "FIELD_INVALID")
    return flag == "Y"


def _seconds(content: Content, name: str) -> int:
    text = text_of(content, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _read_opened(intent: CreateTrade, content: Content) -> Outcome:
    _check_same(intent.out_trade_no, content, "out_trade_no")
    if intent.presentation is Presentation.QR:
        address = required(content, "qr_code")
        return TradeOpened("", address, address.rpartition("/")[2])
    if intent.presentation is Presentation.BARCODE:
        view = read_trade(content)
        if view.amount is None:
            raise RemoteProtocolError("total_amount", "is missing", "FIELD_MISSING")
        return TradeFound(replace(view, state=TradeState.PAID))
    return TradeOpened(required(content, "trade_no"), "")


def _check_same(asked: str, content: Content, name: str, *others: str) -> None:
    """The answer must name what was asked for, under ``name`` or another name of the same: its signature does not cover
    the question, and the answer to another question is as well signed (T82). Nothing was asked by an empty number."""
    if asked and asked not in (required(content, name), *(text_of(content, other) for other in others)):
        raise RemoteProtocolError(name, "the answer is about something else", "MALFORMED")


def _check_if_said(asked: str, content: Content, name: str) -> None:
    """The same for a number that answers need not say."""
    if asked and text_of(content, name):
        _check_same(asked, content, name)


def _asked(intent: Intent, name: str) -> str:
    """A number under which something was asked for, by the protocol's name for it; '' for none."""
    if isinstance(intent, CallByName):
        said = intent.content.get(name) if intent.method in m.SERVICES else None
        return said if isinstance(said, str) else ""
    return getattr(intent, "payout_no" if name == "out_biz_no" else name, "") or ""


def _number_of_trade(intent: Intent) -> tuple[str, str]:
    """The number by which a trade was asked for, and its field: the platform's wins over the merchant's."""
    name = "trade_no" if _asked(intent, "trade_no") else "out_trade_no"
    return _asked(intent, name), name


def _check_trade(intent: Intent, content: Content) -> None:
    number, name = _number_of_trade(intent)
    _check_same(number, content, name)


def _check_refused(intent: Intent, content: Content) -> None:
    """Refusals name what they are about now and then, by either number of a trade; then it must be what was asked for
    (captured ones of refunds bear ``out_trade_no`` alone: sheet alipay-openapi, 6.10)."""
    for name in ("trade_no", "out_trade_no", "out_biz_no"):
        _check_if_said(_asked(intent, name), content, name)


def _check_named(intent: CallByName, content: Content) -> None:
    """The same of what a method of ours says by its name, whose answers nobody takes apart. The platform's number wins
    over the merchant's, where both were asked by and it is said (sections 6 and 6.15)."""
    for names in (("trade_no", "out_trade_no"), ("pay_fund_order_id", "order_id", "out_biz_no")):
        asked = [name for name in names if _asked(intent, name)]
        name = next((name for name in asked if text_of(content, name)), "")
        _check_if_said(_asked(intent, name), content, name)
    for name in ("out_request_no", "settle_no"):
        _check_if_said(_asked(intent, name), content, name)


def _read_after(intent: Intent, content: Content) -> Outcome:
    if isinstance(intent, RefundTrade):
        return _read_refund(intent, content)
    if isinstance(intent, QueryRefund):
        return _read_refund_found(intent, content)
    if isinstance(intent, CancelTrade):
        return _read_cancelled(intent, content)
    if isinstance(intent, SplitTrade | QuerySplit):
        return _read_split(intent, content)
    if isinstance(intent, PayOut | QueryPayOut):
        return _read_payout(intent, content)
    if isinstance(intent, QueryBalance):
        zero = read_money({"zero": "0.00"}, "zero")
        available, held = read_money(content, "available_amount"), read_money(content, "freeze_amount")
        if available is None or zero is None:
            raise RemoteProtocolError("available_amount", "is missing", "FIELD_MISSING")
        return BalanceFound(available, held or zero)
    if isinstance(intent, RequestBill):
        return FollowUp(required(content, "bill_download_url"))
    if isinstance(intent, FetchCertificates):
        return CertificatesFound(intent.serial)
    raise RemoteProtocolError("", f"{type(intent).__name__} is answered by a page")


def _read_cancelled(intent: CancelTrade, content: Content) -> Cancelled | Rejection:
    """The answer must name the trade that was asked for: an answer to another cancellation is as well signed (T82)."""
    if _is_to_be_repeated(intent, content):
        return Rejection("SYSTEM", SUCCESS, "call again")
    trade_no, number = text_of(content, "trade_no"), text_of(content, "out_trade_no")
    if intent.trade_no and trade_no:
        _check_same(intent.trade_no, content, "trade_no")
    else:
        _check_same(intent.out_trade_no, content, "out_trade_no")
    if not trade_no:
        # a success that did nothing: there is no such trade. Asked by the platform's number alone, it may be of any
        return Rejection("TRADE_NOT_FOUND", SUCCESS, proven=bool(intent.out_trade_no))
    action = text_of(content, "action")
    if action not in ("", "close", "refund"):
        raise RemoteProtocolError("action", "is neither close nor refund")
    return Cancelled(trade_no, number, action)


def _read_refund(intent: RefundTrade, content: Content) -> RefundFound:
    _check_trade(intent, content)
    changed = text_of(content, "fund_change") == "Y"
    refunded = read_money(content, "refund_fee")
    if changed and refunded is None:
        raise RemoteProtocolError("refund_fee", "is missing", "FIELD_MISSING")
    if changed and refunded is not None and intent.amount is not None and refunded < intent.amount:
        # the answer does not name the refund: at least it tells of no less than was asked for
        raise RemoteProtocolError("refund_fee", "is less than was asked for", "MALFORMED")
    refund = RefundView(
        trade_no=required(content, "trade_no"),
        out_trade_no=required(content, "out_trade_no"),
        state=MovementState.SUCCEEDED if changed else None,
        refunded=refunded,
        ended_at=read_time(content, "gmt_refund_pay"),
    )
    return RefundFound((refund,), changed=changed)


def _read_refund_found(intent: QueryRefund, content: Content) -> Outcome:
    amount = read_money(content, "refund_amount")
    if amount is None:
        # of a refund that is not there the platform says nothing but that (section 6.11)
        _check_refused(intent, content)
        _check_if_said(intent.refund_no, content, "out_request_no")
        return Rejection("REFUND_NOT_FOUND", SUCCESS)
    # the number is unique within its trade only
    _check_trade(intent, content)
    _check_same(intent.refund_no, content, "out_request_no")
    refund = RefundView(
        refund_no=text_of(content, "out_request_no"),
        trade_no=text_of(content, "trade_no"),
        out_trade_no=text_of(content, "out_trade_no"),
        state=MovementState.SUCCEEDED if text_of(content, "refund_status") == "REFUND_SUCCESS" else None,
        amount=amount,
        total=read_money(content, "total_amount"),
        reason=text_of(content, "refund_reason"),
        ended_at=read_time(content, "gmt_refund_pay"),
        splits=tuple(read_back(share) for share in list_of(content, "refund_royaltys")),
    )
    return RefundFound((refund,), total=1)


def _read_split(intent: SplitTrade | QuerySplit, content: Content) -> SplitFound:
    if isinstance(intent, SplitTrade):
        # the answer names the trade, the one to a question the split (sections 6.17)
        _check_same(intent.trade_no, content, "trade_no")
        _check_if_said(intent.split_no, content, "out_request_no")
    else:
        _check_same(intent.split_no, content, "out_request_no")
        _check_if_said(intent.trade_no, content, "trade_no")
        _check_if_said(intent.split_id, content, "settle_no")
    shares = list_of(content, "royalty_detail_list")
    states = {m.SPLIT_STATE.get(text_of(share, "state")) for share in shares}
    view = SplitView(
        split_no=text_of(content, "out_request_no"),
        split_id=text_of(content, "settle_no"),
        trade_no=text_of(content, "trade_no"),
        state=states.pop() if len(states) == 1 else None,
        splits=tuple(read_split(share) for share in shares),
        finished=isinstance(intent, SplitTrade) and intent.finish,
        created_at=read_time(content, "operation_dt"),
    )
    return SplitFound(view)


def _read_payout(intent: PayOut | QueryPayOut, content: Content) -> PayOutFound:
    number = intent.payout_id if isinstance(intent, QueryPayOut) else ""
    _check_same(number, content, "order_id", "pay_fund_order_id")
    if number:
        _check_if_said(intent.payout_no, content, "out_biz_no")
    else:
        _check_same(intent.payout_no, content, "out_biz_no")
    word = required(content, "status")
    code = text_of(content, "error_code")
    view = PayOutView(
        payout_no=text_of(content, "out_biz_no"),
        payout_id=required(content, "order_id"),
        payee=Payee(Party(text_of(content, "receiver_user_id"))),
        amount=read_money(content, "amount") or read_money(content, "trans_amount"),
        fee=read_money(content, "order_fee"),
        state=m.PAYOUT_STATE.get(word),
        code=neutral(code) if code else "",
        ended_at=read_time(content, "pay_date"),
    )
    return PayOutFound((view,))
