"""The platform's half."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final

from tongbao.kernel.error import LocalProtocolError, ProtocolError, Refused, RemoteProtocolError, TongbaoError
from tongbao.kernel.time import SECOND, Instant
from tongbao.protocols.tenpay_cgi import messages as m
from tongbao.protocols.tenpay_cgi.codec import (
    ALGORITHM,
    CODECS,
    GBK,
    Fields,
    authenticate,
    find_codec,
    join,
    read_fields,
    sign,
)
from tongbao.protocols.tenpay_cgi.request import MERCHANT, read_intent
from tongbao.protocols.tenpay_cgi.view import write_trade
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import Carriage, CreateTrade, Notification, Outcome, Rejection, TradeFound
from tongbao.wire.xml import Element, write_xml

_OPERATION_AT: Final = {m.PAY_PATH.encode("ascii"): m.PAY, m.QUERY_PATH.encode("ascii"): m.QUERY}
_TAKEN: Final = re.compile(
    rb"""\s*(?:<!DOCTYPE[^>]{0,200}>\s*)?<html[^>]{0,200}>\s*<head>(?:\s*<(?!/head|body)[^>]{0,500}>[^<]{0,500}){0,9}?\s*"""
    rb"""<meta\s+name="TENCENT_ONLINE_PAYMENT"\s+content="China TENCENT"\s*/?>""",
    re.IGNORECASE,
)
_ONWARD: Final = re.compile(r"""(?:window\.)?location(?:\.href)?\s*=\s*("(?:[^"\\]|\\.){1,500}"|'[^'\\]{1,500}')""")


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        operation = _OPERATION_AT.get(request.raw_path)
        if operation is None:
            raise RemoteProtocolError("", "no such address", "UNKNOWN_SERVICE")
        parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
        charset = find_codec(parts)
        fields = read_fields(parts, charset)
        merchant = fields.get("bargainor_id", "")
        if MERCHANT.fullmatch(merchant) is None:
            code = "FIELD_INVALID" if merchant else "FIELD_MISSING"
            raise RemoteProtocolError("bargainor_id", "is no merchant's number", code)
        return Claim(merchant, operation, Carriage.BROWSER if operation == m.PAY else Carriage.SERVER, fields, charset)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        fields: Fields = claim.parsed
        names = m.PAY_NAMES if claim.operation == m.PAY else m.QUERY_NAMES
        key = authenticate(fields, names, ring, claim.charset, any_case=True)
        intent = read_intent(claim.operation, fields)
        if isinstance(intent, CreateTrade):
            kept = {name: fields[name] for name in ("cs", "date", "transaction_id") if fields.get(name)}
            intent = replace(intent, echo=kept)
        return Verified(intent, key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if claim.operation == m.QUERY and ring is not None:
            if isinstance(outcome, TradeFound):
                return _found(claim, outcome, ring, now)
            if isinstance(outcome, Rejection):
                return _error(claim.charset, m.WIRE_CODE.get(outcome.code, m.OTHER), outcome.code)
        raise LocalProtocolError("", f"{claim.operation} has no answer for {type(outcome).__name__}")

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        word = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        return _error(claim.charset if claim else GBK, self.refusal_code(error), word)

    def refusal_code(self, error: TongbaoError) -> str:
        code = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        return m.WIRE_CODE.get(code, m.OTHER)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return _result(notification, target, ring, now)

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and _TAKEN.match(response.body) is not None

    def onward(self, answer: str) -> str:
        """The address to which the script of a shop's page moves the browser, '' for none."""
        found = _ONWARD.search(answer)
        if found is None:
            return ""
        said = found[1]
        try:
            return str(json.loads(said)) if said.startswith('"') else said[1:-1]
        except ValueError:
            return ""

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return _result(notification, target, ring, now)

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            parts = (request.raw_query, request.body)
            codec = find_codec(parts)
            fields = read_fields(parts, codec)
        except RemoteProtocolError:
            return None
        if not fields.get(m.PROOF):
            return None
        names = (
            m.RESULT_NAMES if "pay_result" in fields else m.QUERY_NAMES if fields.get("cmdno") == "2" else m.PAY_NAMES
        )
        return SignatureTrail(ALGORITHM, f"{join(fields, names)}&key=***", fields[m.PROOF], codec)


def _result(notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
    """The one message: notice and return are the same GET."""
    view = notification.trade
    if notification.refund is not None or notification.payout is not None or notification.batch is not None:
        raise LocalProtocolError("refund", "the interface tells of payments only")
    codec = CODECS.get(view.echo.get("cs", "").upper(), GBK)
    fields = write_trade(replace(view, merchant=view.merchant or ring.merchant), "1", codec, now)
    fields["pay_time"] = str((view.paid_at or now) // SECOND)
    fields[m.PROOF] = sign(fields, m.RESULT_NAMES, ring.signing(ALGORITHM), codec)
    text = encode_form(tuple((name, value) for name, value in fields.items() if value), codec).decode("ascii")
    bare = target.partition("#")[0]
    return http.get(f"{bare}{'&' if '?' in bare else '?'}{text}")


def _xml(charset: str, fields: Fields) -> Response:
    declared = "GBK" if charset == GBK else "UTF-8"
    children = tuple(Element(name, value) for name, value in fields.items())
    body = write_xml(Element("root", children=children), charset, declared)
    kind = f"text/xml; charset={declared}".encode("ascii")
    return Response(200, ((b"Content-Type", kind), (b"Content-Length", str(len(body)).encode("ascii"))), body)


def _found(claim: Claim, outcome: TradeFound, ring: KeyRing, now: Instant) -> Response:
    view = replace(outcome.trade, merchant=claim.merchant)
    fields = {"retcode": m.OK, "retmsg": "", "output_xml": "1", "charset": "GBK" if claim.charset == GBK else "UTF-8"}
    fields |= write_trade(view, "2", claim.charset, now)
    fields[m.PROOF] = sign(fields, m.ANSWER_NAMES, ring.signing(ALGORITHM), claim.charset)
    return _xml(claim.charset, fields)


def _error(charset: str, code: str, word: str) -> Response:
    """retcode and retmsg, unsigned."""
    return _xml(charset, {"retcode": code, "retmsg": REFUSALS.get(word, word)})
