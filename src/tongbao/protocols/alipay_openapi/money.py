"""Requests about money after the payment: refunds, shares, payouts, balances, bills, certificates, consents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.field import (
    Content,
    filled,
    invalid,
    list_of,
    part_of,
    read_address,
    read_money,
    read_order,
    read_sum,
    required,
    say,
    text_of,
    write_sum,
)
from tongbao.protocols.alipay_openapi.payee import seller_of
from tongbao.wire.movement import (
    CancelTrade,
    ExchangeCode,
    FetchCertificates,
    PayOut,
    QueryBalance,
    QueryPayOut,
    QueryRefund,
    QuerySplit,
    RefundTrade,
    RequestBill,
    Split,
    SplitTrade,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Intent

BILL_KIND: Final = {"trade": "trade", "signcustomer": "account"}
BILL_TYPE: Final = {kind: word for word, kind in BILL_KIND.items()}
_LOGIN_TYPES: Final = frozenset(("loginName", "ALIPAY_LOGON_ID"))
_SHARES_MAX: Final = 50


def read_split(share: Content) -> Split:
    """One share of a trade's money: a sum, or whole percents."""
    kind = text_of(share, "royalty_type")
    percent = text_of(share, "amount_percentage")
    if percent and not (percent.isascii() and percent.isdigit() and len(percent) <= 3 and 1 <= int(percent) <= 100):
        raise invalid("amount_percentage", "is not from 1 to 100")
    return Split(
        receiver=_party(share, "trans_in"),
        amount=read_money(share, "amount"),
        rate=int(percent) * 100 if percent else None,
        memo=text_of(share, "desc"),
        giver=_party(share, "trans_out"),
        name=text_of(share, "trans_in_name"),
        kind="" if kind == "transfer" else kind,
    )


def _party(share: Content, name: str) -> Party:
    value = text_of(share, name)
    if not value:
        return Party()
    return Party("", value) if text_of(share, f"{name}_type") in _LOGIN_TYPES else Party(value)


def _say_party(party: Party, name: str) -> dict[str, str]:
    if not party:
        return {}
    if party.id and party.login:
        raise LocalProtocolError(name, "is named by number or by login, not by both")
    kind = "userId" if party.id else "loginName"
    return {name: party.id or party.login, f"{name}_type": kind}


def write_split(split: Split) -> dict[str, str]:
    """The inverse of ``read_split``. Raises LocalProtocolError."""
    if split.rate is not None and (split.rate % 100 or not 100 <= split.rate <= 10_000):
        raise LocalProtocolError("rate", "amount_percentage counts whole percents from 1 to 100")
    return filled(
        {
            "royalty_type": split.kind or "transfer",
            **_say_party(split.giver, "trans_out"),
            **_say_party(split.receiver, "trans_in"),
            "trans_in_name": split.name,
            "amount": say(split.amount),
            "amount_percentage": "" if split.rate is None else str(split.rate // 100),
            "desc": split.memo,
        }
    )


def read_back(share: Content) -> Split:
    """What a refund takes back of a share: ``trans_out`` is its receiver, who gives it back now, ``trans_in`` the
    merchant."""
    return mirrored(read_split(share))


def write_back(split: Split) -> dict[str, str]:
    """The inverse of ``read_back``. Raises LocalProtocolError."""
    return write_split(mirrored(split))


def mirrored(split: Split) -> Split:
    """The two parties of a share, changed for one another."""
    return replace(split, receiver=split.giver, giver=split.receiver)


def _splits(content: Content, name: str) -> tuple[Split, ...]:
    shares = list_of(content, name)
    if len(shares) > _SHARES_MAX:
        raise RemoteProtocolError(name, f"holds more than {_SHARES_MAX} shares", "TOO_LARGE")
    return tuple(read_split(share) for share in shares)


def _numbers(content: Content) -> dict[str, str]:
    said = {"trade_no": text_of(content, "trade_no"), "out_trade_no": text_of(content, "out_trade_no")}
    if not any(said.values()):
        raise RemoteProtocolError("out_trade_no", "is missing, and so is trade_no", "FIELD_MISSING")
    return said


# --- refunds -----------------------------------------------------------------------------------------------------


def _read_refund(merchant: str, content: Content) -> RefundTrade:
    """Without a number of its own a refund is of the whole trade, and the merchant's number of the trade is its number
    (sheet alipay-openapi, 6.10): the platform looks it up where the request names the trade by the platform's."""
    numbers, amount = _numbers(content), read_sum(content, "refund_amount")
    own = text_of(content, "out_request_no")
    return RefundTrade(
        merchant=merchant,
        refund_no=own or numbers["out_trade_no"],
        amount=amount,
        total=None if own else amount,
        reason=text_of(content, "refund_reason"),
        notify_url=read_address(content, "notify_url"),
        splits=tuple(mirrored(split) for split in _splits(content, "refund_royalty_parameters")),
        **numbers,
    )


def _write_refund(intent: RefundTrade) -> dict[str, Any]:
    whole = intent.total is not None and intent.refund_no in ("", intent.out_trade_no)
    return {
        "trade_no": intent.trade_no,
        "out_trade_no": intent.out_trade_no,
        "refund_amount": write_sum(intent.amount, "amount"),
        "out_request_no": "" if whole else intent.refund_no,
        "refund_reason": intent.reason,
        "refund_royalty_parameters": [write_back(split) for split in intent.splits],
        "notify_url": intent.notify_url,
    }


def _read_refund_query(merchant: str, content: Content) -> QueryRefund:
    said = _numbers(content)
    return QueryRefund(
        merchant=merchant,
        refund_no=required(content, "out_request_no"),
        trade_no=said["trade_no"],
        out_trade_no=said["out_trade_no"],
    )


def _write_refund_query(intent: QueryRefund) -> dict[str, Any]:
    return {
        "trade_no": intent.trade_no,
        "out_trade_no": intent.out_trade_no,
        "out_request_no": intent.refund_no,
        "query_options": ["gmt_refund_pay"],
    }


def _read_cancel(merchant: str, content: Content) -> CancelTrade:
    return CancelTrade(merchant=merchant, **_numbers(content))


def _write_cancel(intent: CancelTrade) -> dict[str, Any]:
    return {"trade_no": intent.trade_no, "out_trade_no": intent.out_trade_no}


# --- shares ------------------------------------------------------------------------------------------------------


def _read_settle(merchant: str, content: Content) -> SplitTrade:
    finish = text_of(part_of(content, "extend_params"), "royalty_finish") == "true"
    splits = _splits(content, "royalty_parameters")
    if not splits and not finish:
        raise RemoteProtocolError("royalty_parameters", "is missing", "FIELD_MISSING")
    for split in splits:
        if not split.receiver or (split.amount is None) is (split.rate is None):
            raise invalid("royalty_parameters", "a share has a receiver, and a sum or a percentage")
    return SplitTrade(
        merchant=merchant,
        split_no=required(content, "out_request_no"),
        splits=splits,
        trade_no=required(content, "trade_no"),
        finish=finish,
    )


def _write_settle(intent: SplitTrade) -> dict[str, Any]:
    return {
        "out_request_no": intent.split_no,
        "trade_no": intent.trade_no,
        "royalty_parameters": [write_split(split) for split in intent.splits],
        "extend_params": {"royalty_finish": "true"} if intent.finish else {},
    }


def _read_settle_query(merchant: str, content: Content) -> QuerySplit:
    number = text_of(content, "settle_no")
    if number and not text_of(content, "out_request_no"):
        return QuerySplit(merchant=merchant, split_id=number, trade_no=text_of(content, "trade_no"))
    return QuerySplit(
        merchant=merchant, split_no=required(content, "out_request_no"), trade_no=required(content, "trade_no")
    )


def _write_settle_query(intent: QuerySplit) -> dict[str, Any]:
    return {"settle_no": intent.split_id, "out_request_no": intent.split_no, "trade_no": intent.trade_no}


# --- payouts -----------------------------------------------------------------------------------------------------


def read_payee(info: Content) -> Payee:
    """``payee_info``: a number, a login or a bank card."""
    kind, identity = required(info, "identity_type"), required(info, "identity")
    name = text_of(info, "name")
    if kind == "BANKCARD_ACCOUNT":
        about = part_of(info, "bankcard_ext_info")
        if not name:
            raise RemoteProtocolError("name", "is missing", "FIELD_MISSING")
        return Payee(
            name=name, card=identity, bank=text_of(about, "bank_code"), branch=text_of(about, "inst_branch_name")
        )
    if kind == "ALIPAY_LOGON_ID":
        if not name:
            raise RemoteProtocolError("name", "is missing", "FIELD_MISSING")
        return Payee(Party("", identity), name)
    if kind in ("ALIPAY_USER_ID", "ALIPAY_OPEN_ID"):
        return Payee(Party(identity), name)
    raise invalid("identity_type", "is no word of the list")


def write_payee(payee: Payee) -> dict[str, Any]:
    """The inverse of ``read_payee``. Raises LocalProtocolError."""
    if payee.card:
        about = filled({"bank_code": payee.bank, "inst_branch_name": payee.branch, "account_type": "2"})
        return filled(
            {
                "identity": payee.card,
                "identity_type": "BANKCARD_ACCOUNT",
                "name": payee.name,
                "bankcard_ext_info": about,
            }
        )
    if payee.party.id and payee.party.login:
        raise LocalProtocolError("payee", "is named by number or by login, not by both")
    kind = "ALIPAY_USER_ID" if payee.party.id else "ALIPAY_LOGON_ID"
    return filled({"identity": payee.party.id or payee.party.login, "identity_type": kind, "name": payee.name})


_PRODUCTS: Final = ("TRANS_ACCOUNT_NO_PWD", "TRANS_BANKCARD_NO_PWD")
"""To an account, to a bank card."""
_SCENE: Final = "DIRECT_TRANSFER"
_LEAST: Final = 10
"""Fen that a transfer moves at least."""
_REMARKED: Final = 5_000_000
"""Fen from which on a transfer says what it is for (sheet alipay-openapi, 6.14)."""


def _read_transfer(merchant: str, content: Content) -> PayOut:
    product = required(content, "product_code")
    if product not in _PRODUCTS:
        raise invalid("product_code", "is no product that is offered here")
    amount = read_sum(content, "trans_amount")
    if amount.minor < _LEAST:
        raise invalid("trans_amount", "is below 0.1", "AMOUNT_NOT_POSITIVE")
    if amount.minor >= _REMARKED:
        required(content, "remark")
    payee = read_payee(part_of(content, "payee_info"))
    if payee.party.id in (merchant, seller_of(merchant)):
        raise invalid("identity", "is the payer's own", "BUYER_IS_SELLER")
    if product != _PRODUCTS[bool(payee.card)]:
        raise invalid("identity_type", "does not go with the product")
    return PayOut(
        merchant=merchant,
        payout_no=read_order(content, "out_biz_no"),
        payee=payee,
        amount=amount,
        memo=text_of(content, "remark"),
        title=text_of(content, "order_title"),
        notify_url=read_address(content, "notify_url"),
    )


def _write_transfer(intent: PayOut) -> dict[str, Any]:
    product = _PRODUCTS[bool(intent.payee.card)]
    if intent.amount.minor >= _REMARKED and not intent.memo:
        raise LocalProtocolError("memo", "is missing, and the sum is 50,000 yuan or more", "FIELD_MISSING")
    return {
        "out_biz_no": intent.payout_no,
        "trans_amount": write_sum(intent.amount, "amount"),
        "product_code": product,
        "biz_scene": _SCENE,
        "order_title": intent.title,
        "payee_info": write_payee(intent.payee),
        "remark": intent.memo,
        "notify_url": intent.notify_url,
    }


def _read_transfer_query(merchant: str, content: Content) -> QueryPayOut:
    number = text_of(content, "pay_fund_order_id") or text_of(content, "order_id")
    own = text_of(content, "out_biz_no")
    if not number and not own:
        raise RemoteProtocolError("out_biz_no", "is missing, and so is order_id", "FIELD_MISSING")
    # a merchant's number names a payout only together with its product and scene
    product, scene = (
        text_of(content, name) if number else required(content, name) for name in ("product_code", "biz_scene")
    )
    if product not in ("", *_PRODUCTS):
        raise invalid("product_code", "is no product that is offered here")
    if scene not in ("", _SCENE):
        raise invalid("biz_scene", f"is not {_SCENE}")
    to_card = product == _PRODUCTS[True] if product else None
    return QueryPayOut(merchant=merchant, payout_no=own, payout_id=number, to_card=to_card)


def _write_transfer_query(intent: QueryPayOut) -> dict[str, Any]:
    said = {"order_id": intent.payout_id, "out_biz_no": intent.payout_no}
    if intent.to_card is None and intent.payout_id:
        return said
    return said | {"product_code": _PRODUCTS[bool(intent.to_card)], "biz_scene": _SCENE}


def _read_account(merchant: str, content: Content) -> QueryBalance:
    if text_of(content, "account_type") not in ("", "ACCTRANS_ACCOUNT"):
        raise invalid("account_type", "is not ACCTRANS_ACCOUNT")
    return QueryBalance(merchant=merchant)


def _write_account(intent: QueryBalance) -> dict[str, Any]:
    return {"account_type": "ACCTRANS_ACCOUNT"}


# --- the rest ----------------------------------------------------------------------------------------------------


def _read_bill(merchant: str, content: Content) -> RequestBill:
    kind = BILL_KIND.get(required(content, "bill_type"))
    if kind is None:
        raise RemoteProtocolError("bill_type", "is no kind of bill that is offered here", "BILL_NOT_FOUND")
    text = required(content, "bill_date")
    monthly = len(text) == 7
    try:
        day = date.fromisoformat(f"{text}-01" if monthly else text)
        if day.isoformat()[: len(text)] != text:
            raise ValueError
    except ValueError as error:
        raise invalid("bill_date", "is neither yyyy-MM-dd nor yyyy-MM", "BILL_DATE_INVALID") from error
    return RequestBill(merchant=merchant, day=day, kind=kind, monthly=monthly)


def _write_bill(intent: RequestBill) -> dict[str, Any]:
    if intent.kind not in BILL_TYPE:
        raise LocalProtocolError("kind", "is neither trade nor account", "BILL_NOT_FOUND")
    day = intent.day.isoformat()
    return {"bill_type": BILL_TYPE[intent.kind], "bill_date": day[:7] if intent.monthly else day}


def _read_certificate(merchant: str, content: Content) -> FetchCertificates:
    return FetchCertificates(merchant=merchant, serial=required(content, "alipay_cert_sn"))


def _write_certificate(intent: FetchCertificates) -> dict[str, Any]:
    if not intent.serial:
        raise LocalProtocolError("serial", "is missing", "FIELD_MISSING")
    return {"alipay_cert_sn": intent.serial}


def _read_token(merchant: str, content: Content) -> ExchangeCode:
    kind = required(content, "grant_type")
    if kind == "authorization_code":
        return ExchangeCode(merchant=merchant, code=required(content, "code"))
    if kind == "refresh_token":
        return ExchangeCode(merchant=merchant, refresh=required(content, "refresh_token"))
    raise invalid("grant_type", "is neither authorization_code nor refresh_token")


def _write_token(intent: ExchangeCode) -> dict[str, Any]:
    if intent.code:
        return {"grant_type": "authorization_code", "code": intent.code}
    return {"grant_type": "refresh_token", "refresh_token": intent.refresh}


READERS: Final[dict[str, Callable[[str, Content], Intent]]] = {
    m.CANCEL: _read_cancel,
    m.REFUND: _read_refund,
    m.REFUND_QUERY: _read_refund_query,
    m.SETTLE: _read_settle,
    m.SETTLE_QUERY: _read_settle_query,
    m.BILL: _read_bill,
    m.TRANSFER: _read_transfer,
    m.TRANSFER_QUERY: _read_transfer_query,
    m.ACCOUNT: _read_account,
    m.CERTIFICATE: _read_certificate,
    m.OAUTH: _read_token,
}
WRITERS: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    m.CANCEL: _write_cancel,
    m.REFUND: _write_refund,
    m.REFUND_QUERY: _write_refund_query,
    m.SETTLE: _write_settle,
    m.SETTLE_QUERY: _write_settle_query,
    m.BILL: _write_bill,
    m.TRANSFER: _write_transfer,
    m.TRANSFER_QUERY: _write_transfer_query,
    m.ACCOUNT: _write_account,
    m.CERTIFICATE: _write_certificate,
    m.OAUTH: _write_token,
}
