"""The platform's half."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tongbao.kernel.error import LocalProtocolError, ProtocolError, Refused, RemoteProtocolError, TongbaoError
from tongbao.kernel.time import Instant
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian import soap
from tongbao.protocols.kuaiqian.codec import (
    ALGORITHM_OF,
    CODECS,
    LIMITS,
    MD5,
    UTF_8,
    WORD_OF,
    Fields,
    authenticate,
    authenticate_refund,
    join,
    read_fields,
    sign,
)
from tongbao.protocols.kuaiqian.refund import REFUSED, TAKEN, write_refund
from tongbao.protocols.kuaiqian.refund import write_item as write_refund_item
from tongbao.protocols.kuaiqian.request import MEMBER, MERCHANT, read_intent
from tongbao.protocols.kuaiqian.view import write_item, write_result
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form, split_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.movement import RefundFound
from tongbao.wire.vocabulary import Carriage, CreateTrade, Notification, Outcome, Rejection, TradeFound, TradeState

_REFUND_PATHS: Final = frozenset(path.encode("ascii") for path in (m.REFUND_PATH, m.LATER_REFUND_PATH))
_TAKEN: Final = re.compile(rb"<result>1</result>(?:<redirecturl>[^<>\s]{0,2048}</redirecturl>)?")


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        if request.method == "POST" and request.body.lstrip()[:1] == b"<":
            operation = m.REFUND_QUERY if request.raw_path == m.REFUND_QUERY_PATH.encode("ascii") else m.QUERY
            fields = soap.read_query(request.body, operation)
            carriage, charset = Carriage.SERVER, UTF_8
        else:
            parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
            charset = _charset(parts)
            fields = read_fields(parts, charset)
            refund = request.raw_path in _REFUND_PATHS
            operation, carriage = (m.REFUND, Carriage.SERVER) if refund else (m.PAY, Carriage.BROWSER)
        name, shape = ("merchant_id", MEMBER) if operation == m.REFUND else ("merchantAcctId", MERCHANT)
        merchant = fields.get(name, "")
        if shape.fullmatch(merchant) is None:
            code = "FIELD_INVALID" if merchant else "FIELD_MISSING"
            raise RemoteProtocolError(name, "is no merchant's account", code)
        return Claim(f"{merchant}01" if operation == m.REFUND else merchant, operation, carriage, fields, charset)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        fields: Fields = claim.parsed
        codec = CODECS.get(fields.get("inputCharset", ""), claim.charset)
        if claim.operation == m.REFUND:
            key = authenticate_refund(fields, ring)
        else:
            key = authenticate(fields, m.SIGNED[claim.operation], ring, codec, any_case=True)
        intent = read_intent(claim.operation, fields)
        if isinstance(intent, CreateTrade):
            kept = ("inputCharset", "signType", "language", "orderTime", "ext2")
            intent = replace(intent, echo={name: fields[name] for name in kept if fields.get(name)})
        return Verified(intent, key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if claim.operation == m.QUERY and ring is not None:
            if isinstance(outcome, TradeFound):
                return _found(claim, outcome, ring, now)
            if isinstance(outcome, Rejection):
                return _refusal(claim, m.WIRE_CODE.get(outcome.code, m.ERROR), ring)
        if claim.operation == m.REFUND and isinstance(outcome, RefundFound | Rejection):
            return _taken(claim, outcome)
        if claim.operation == m.REFUND_QUERY and ring is not None:
            if isinstance(outcome, RefundFound) and outcome.refunds:
                return _reply(claim, "", [write_refund_item(view) for view in outcome.refunds], ring)
            if isinstance(outcome, RefundFound | Rejection):
                code = outcome.code if isinstance(outcome, Rejection) else "REFUND_NOT_FOUND"
                return _refusal(claim, m.WIRE_CODE.get(code, m.ERROR), ring)
        raise LocalProtocolError("", f"{claim.operation} has no answer for {type(outcome).__name__}")

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        return _refusal(claim, self.refusal_code(error), ring)

    def refusal_code(self, error: TongbaoError) -> str:
        code = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        return m.WIRE_CODE.get(code, m.ERROR)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return _result(notification, target, ring, now)

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and _TAKEN.fullmatch(response.body) is not None

    def onward(self, answer: str) -> str:
        """The address in a merchant's acknowledgement, '' for none."""
        found = re.search(r"<redirecturl>\s*([^<>\s]*)\s*</redirecturl>", answer)
        return found[1] if found else ""

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return _result(notification, target, ring, now)

    def trail(self, request: Request) -> SignatureTrail | None:
        names: Sequence[str]
        try:
            if request.body.lstrip()[:1] == b"<":
                refunds = request.raw_path == m.REFUND_QUERY_PATH.encode("ascii")
                operation = m.REFUND_QUERY if refunds else m.QUERY
                fields, names, codec = soap.read_query(request.body, operation), m.SIGNED[operation], UTF_8
            else:
                parts = (request.body or request.raw_query,)
                codec = _charset(parts)
                fields = read_fields(parts, codec)
                names = m.RESULT_NAMES if "payResult" in fields else m.PAY_NAMES
        except RemoteProtocolError:
            return None
        if not fields.get(m.PROOF):
            return None
        algorithm = ALGORITHM_OF.get(fields.get("signType", ""), MD5)
        tail = "&key=***" if algorithm == MD5 else ""
        return SignatureTrail(algorithm, f"{join(fields, names)}{tail}", fields[m.PROOF], codec)


def _charset(parts: tuple[bytes, ...]) -> str:
    """The codec that a form names in one of its fields; UTF-8 where it names none."""
    for part in parts:
        for name, value in split_form(part, LIMITS):
            if name == b"inputCharset":
                word = value.decode("latin-1")
                if word not in CODECS:
                    raise RemoteProtocolError("inputCharset", "is neither 1, 2 nor 3", "BAD_CHARSET")
                return CODECS[word]
    return UTF_8


def _result(notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
    """The one message: notice and return are the same GET."""
    if notification.refund is not None or notification.payout is not None or notification.batch is not None:
        raise LocalProtocolError("refund", "the gateway tells of payments only")
    view = notification.trade
    codec = CODECS.get(view.echo.get("inputCharset", ""), UTF_8)
    fields = write_result(replace(view, merchant=view.merchant or ring.merchant), codec, now)
    fields[m.PROOF] = sign(fields, m.RESULT_NAMES, _signing(fields["signType"], ring), codec)
    text = encode_form(tuple(fields.items()), codec).decode("ascii")
    bare = target.partition("#")[0]
    return http.get(f"{bare}{'&' if '?' in bare else '?'}{text}")


def _signing(word: str, ring: KeyRing) -> Key:
    """The key for a ``signType``. Raises InvalidSignature where the merchant has none of that kind."""
    return ring.signing(ALGORITHM_OF.get(word, MD5))


def _word(claim: Claim, ring: KeyRing) -> str:
    """The ``signType`` of an answer: the question's, or one that can be signed where that cannot; '' where none can."""
    able = [WORD_OF[key.algorithm] for key in ring.sign if key.algorithm in WORD_OF and key.state is KeyState.ACTIVE]
    asked: str = claim.parsed.get("signType", "")
    return asked if asked in able else next(iter(able), "")


def _reply(claim: Claim, error: str, items: list[dict[str, str]], ring: KeyRing) -> Response:
    count = str(len(items)) if items and not error else ""
    pages = {"currentPage": "1", "pageCount": "1", "pageSize": "20", "recordCount": count} if count else {}
    word = _word(claim, ring)
    head = {"version": m.VERSION, "signType": word, "merchantAcctId": claim.merchant}
    head |= {"errCode": error} if error else pages
    key = _signing(word, ring)
    names = m.REFUND_ITEM_NAMES if claim.operation == m.REFUND_QUERY else m.ITEM_NAMES
    signed = [item | {m.ITEM_PROOF: sign(item, names, key)} for item in items]
    return soap.write_reply(head | {m.PROOF: sign(head, m.HEAD_NAMES, key)}, signed, claim.operation)


def _taken(claim: Claim, outcome: RefundFound | Rejection) -> Response:
    """The answer to a refund: what was asked, and yes or no."""
    fields = claim.parsed
    said = {
        "MERCHANT": fields["merchant_id"],
        "ORDERID": fields.get("orderid", ""),
        "TXORDER": fields.get("txOrder", ""),
    }
    amount = fields.get("amount", "")
    if isinstance(outcome, Rejection):
        code = m.WIRE_CODE.get(outcome.code, m.ERROR)
        return write_refund(said | {"AMOUNT": amount, "RESULT": REFUSED, "CODE": code})
    view = outcome.refunds[0]
    if view.amount is not None:
        amount = view.amount.text()
    said |= {"ORDERID": view.out_trade_no, "TXORDER": view.refund_no}
    return write_refund(said | {"AMOUNT": amount, "RESULT": TAKEN, "CODE": ""})


def _found(claim: Claim, outcome: TradeFound, ring: KeyRing, now: Instant) -> Response:
    paid = outcome.trade.state in (TradeState.PAID, TradeState.FINISHED)
    return _reply(claim, "" if paid else m.NOT_PAID, [write_item(outcome.trade, now)], ring)


def _refusal(claim: Claim | None, code: str, ring: KeyRing | None) -> Response:
    """A signed error to a query, a plain no to a refund, else a page."""
    if claim is not None and claim.operation == m.REFUND:
        return write_refund({"MERCHANT": claim.merchant[:-2], "RESULT": REFUSED, "CODE": code})
    if claim is not None and claim.operation in (m.QUERY, m.REFUND_QUERY):
        if ring is not None and _word(claim, ring):
            return _reply(claim, code, [], ring)
        head = {"version": m.VERSION, "merchantAcctId": claim.merchant, "errCode": code}
        return soap.write_reply(head, [], claim.operation)
    title = f"{m.ERROR_TITLE} ({code})"
    return http.text(f"<html><head><title>{title}</title></head><body>{title}</body></html>\n", kind="text/html")
