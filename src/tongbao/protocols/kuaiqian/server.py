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
    ALGORITHM,
    CODECS,
    LIMITS,
    MD5_WORD,
    UTF_8,
    Fields,
    authenticate,
    join,
    read_fields,
    sign,
)
from tongbao.protocols.kuaiqian.request import MERCHANT, read_intent
from tongbao.protocols.kuaiqian.view import write_item, write_result
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form, split_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Carriage, CreateTrade, Notification, Outcome, Rejection, TradeFound, TradeState

_TAKEN: Final = re.compile(rb"<result>1</result>(?:<redirecturl>[^<>\s]{0,2048}</redirecturl>)?")


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        if request.method == "POST" and request.body.lstrip()[:1] == b"<":
            fields = soap.read_query(request.body)
            operation, carriage, charset = m.QUERY, Carriage.SERVER, UTF_8
        else:
            parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
            charset = _charset(parts)
            fields = read_fields(parts, charset)
            operation, carriage = m.PAY, Carriage.BROWSER
        merchant = fields.get("merchantAcctId", "")
        if MERCHANT.fullmatch(merchant) is None:
            code = "FIELD_INVALID" if merchant else "FIELD_MISSING"
            raise RemoteProtocolError("merchantAcctId", "is no merchant's account", code)
        return Claim(merchant, operation, carriage, fields, charset)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        fields: Fields = claim.parsed
        names = m.PAY_NAMES if claim.operation == m.PAY else m.QUERY_NAMES
        codec = CODECS.get(fields.get("inputCharset", ""), claim.charset)
        key = authenticate(fields, names, ring, codec, any_case=True)
        intent = read_intent(claim.operation, fields)
        if isinstance(intent, CreateTrade):
            kept = ("inputCharset", "language", "orderTime", "ext2")
            intent = replace(intent, echo={name: fields[name] for name in kept if fields.get(name)})
        return Verified(intent, key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if claim.operation == m.QUERY and ring is not None:
            if isinstance(outcome, TradeFound):
                return _found(claim, outcome, ring, now)
            if isinstance(outcome, Rejection):
                return _refusal(claim, m.WIRE_CODE.get(outcome.code, m.ERROR), ring)
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
                fields, names, codec = soap.read_query(request.body), m.QUERY_NAMES, UTF_8
            else:
                parts = (request.body or request.raw_query,)
                codec = _charset(parts)
                fields = read_fields(parts, codec)
                names = m.RESULT_NAMES if "payResult" in fields else m.PAY_NAMES
        except RemoteProtocolError:
            return None
        if not fields.get(m.PROOF):
            return None
        return SignatureTrail(ALGORITHM, f"{join(fields, names)}&key=***", fields[m.PROOF], codec)


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
    view = notification.trade
    codec = CODECS.get(view.echo.get("inputCharset", ""), UTF_8)
    fields = write_result(replace(view, merchant=view.merchant or ring.merchant), codec, now)
    fields[m.PROOF] = sign(fields, m.RESULT_NAMES, ring.signing(ALGORITHM), codec)
    text = encode_form(tuple(fields.items()), codec).decode("ascii")
    bare = target.partition("#")[0]
    return http.get(f"{bare}{'&' if '?' in bare else '?'}{text}")


def _reply(claim: Claim, error: str, item: dict[str, str] | None, ring: KeyRing) -> Response:
    count = "1" if item and not error else ""
    pages = {"currentPage": "1", "pageCount": "1", "pageSize": "20", "recordCount": count} if count else {}
    head = {"version": m.VERSION, "signType": MD5_WORD, "merchantAcctId": claim.merchant}
    head |= {"errCode": error} if error else pages
    key = ring.signing(ALGORITHM)
    if item:
        item = item | {m.ITEM_PROOF: sign(item, m.ITEM_NAMES, key)}
    return soap.write_reply(head | {m.PROOF: sign(head, m.HEAD_NAMES, key)}, item)


def _found(claim: Claim, outcome: TradeFound, ring: KeyRing, now: Instant) -> Response:
    paid = outcome.trade.state in (TradeState.PAID, TradeState.FINISHED)
    return _reply(claim, "" if paid else m.NOT_PAID, write_item(outcome.trade, now), ring)


def _refusal(claim: Claim | None, code: str, ring: KeyRing | None) -> Response:
    """A signed error to a query, else a page."""
    if claim is not None and claim.operation == m.QUERY and ring is not None and ring.sign:
        return _reply(claim, code, None, ring)
    if claim is not None and claim.operation == m.QUERY:
        return soap.write_reply({"version": m.VERSION, "merchantAcctId": claim.merchant, "errCode": code}, None)
    title = f"{m.ERROR_TITLE} ({code})"
    return http.text(f"<html><head><title>{title}</title></head><body>{title}</body></html>\n", kind="text/html")
