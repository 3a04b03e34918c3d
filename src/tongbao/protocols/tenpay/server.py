"""The platform's half."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tongbao.kernel.error import (
    LocalProtocolError,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    TongbaoError,
)
from tongbao.kernel.time import Instant
from tongbao.protocols.tenpay import messages as m
from tongbao.protocols.tenpay.codec import (
    ALGORITHM,
    CODECS,
    Fields,
    authentic,
    authenticate,
    find_codec,
    join,
    join_bill,
    read_fields,
    sign,
)
from tongbao.protocols.tenpay.request import MERCHANT, read_intent
from tongbao.protocols.tenpay.view import (
    common,
    write_refund,
    write_refunds,
    write_trade,
)
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form
from tongbao.wire.http import FORM, Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.movement import RefundFound
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import (
    Carriage,
    Confirmed,
    CreateTrade,
    FollowUp,
    Notification,
    Outcome,
    Rejection,
    TradeFound,
)
from tongbao.wire.xml import Element, write_xml

_ECHOED: Final = ("input_charset", "transport_fee", "product_fee")


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        operation = m.OPERATION_AT.get(request.raw_path)
        if operation is None:
            raise RemoteProtocolError("", "no such address", "UNKNOWN_SERVICE")
        parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
        charset = find_codec(parts)
        fields = read_fields(parts, charset)
        if operation == m.REFUND and request.scheme == "https" and request.peer_cert is None:
            raise RemoteProtocolError("", "a refund needs the merchant's client certificate", "CERT_REQUIRED")
        name = "spid" if operation == m.BILL else "partner"
        merchant = fields.get(name, "")
        if MERCHANT.fullmatch(merchant) is None:
            raise RemoteProtocolError(
                name,
                "is no merchant's number",
                "FIELD_INVALID" if merchant else "FIELD_MISSING",
            )
        carriage = Carriage.BROWSER if operation == m.PAY else Carriage.SERVER
        return Claim(merchant, operation, carriage, fields, charset)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        fields: Fields = claim.parsed
        if claim.operation == m.BILL:
            key = authenticate(
                join_bill(fields),
                fields.get(m.PROOF, ""),
                ring,
                claim.charset,
                any_case=True,
            )
        else:
            key = authentic(fields, ring, claim.charset, any_case=True)
        intent = read_intent(claim.operation, fields)
        if isinstance(intent, CreateTrade):
            intent = replace(
                intent,
                echo={name: fields[name] for name in _ECHOED if fields.get(name)},
            )
        return Verified(intent, key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if claim.operation == m.BILL:
            if isinstance(outcome, FollowUp):
                return Response(
                    302,
                    (
                        (b"Location", outcome.url.encode("ascii")),
                        (b"Content-Length", b"0"),
                    ),
                )
            if isinstance(outcome, Rejection):
                return _bill_error(m.WIRE_CODE.get(outcome.code, m.OTHER), outcome.code)
        elif isinstance(outcome, Rejection):
            return _error(claim.charset, m.WIRE_CODE.get(outcome.code, m.OTHER), outcome.code)
        elif isinstance(outcome, Confirmed):
            return _confirm(claim, outcome, ring, now)
        elif isinstance(outcome, TradeFound):
            back = outcome.trade.refunded is not None and outcome.trade.refunded.minor > 0
            view = replace(outcome.trade, merchant=claim.merchant)
            more = {
                "is_split": "false",
                "is_refund": "true" if back else "false",
                "cash_ticket_fee": "0",
            }
            return _reply(claim, write_trade(view, claim.charset, now) | more, ring)
        elif isinstance(outcome, RefundFound) and outcome.refunds:
            views = tuple(replace(view, merchant=claim.merchant) for view in outcome.refunds)
            return _reply(
                claim,
                write_refund(views[0]) if claim.operation == m.REFUND else write_refunds(views),
                ring,
            )
        elif isinstance(outcome, RefundFound):
            return _error(claim.charset, m.NO_REFUND, "REFUND_NOT_FOUND")
        raise LocalProtocolError("", f"{claim.operation} has no answer for {type(outcome).__name__}")

    def refuse(
        self,
        claim: Claim | None,
        error: TongbaoError,
        ring: KeyRing | None,
        now: Instant,
    ) -> Response:
        code = self.refusal_code(error)
        word = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        if claim is not None and claim.operation == m.BILL:
            return _bill_error(code, word)
        return _error(claim.charset if claim else "gbk", code, word)

    def refusal_code(self, error: TongbaoError) -> str:
        code = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        return m.WIRE_CODE.get(code, m.OTHER)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        text, codec = _message(notification, ring, now)
        kind = f"{FORM}; charset={codec}".encode("ascii")
        return http.post(target, text, kind.decode("ascii"))

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and response.body == b"success"

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        bare = target.partition("#")[0]
        text, _ = _message(notification, ring, now, bare.partition("?")[2].encode("utf-8"))
        return http.get(f"{bare}{'&' if '?' in bare else '?'}{text.decode('ascii')}")

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            parts = (request.raw_query, request.body)
            codec = find_codec(parts)
            fields = read_fields(parts, codec)
        except RemoteProtocolError:
            return None
        if not fields.get(m.PROOF):
            return None
        text = join_bill(fields) if "spid" in fields else join(fields)
        return SignatureTrail(ALGORITHM, f"{text}&key=***", fields[m.PROOF], codec)


def _message(notification: Notification, ring: KeyRing, now: Instant, own: bytes = b"") -> tuple[bytes, str]:
    """The one message of notice and return, signed, as a form in the charset of its order. ``own`` is the query that
    the merchant's address has itself: it takes part in the signature of a return, and is not repeated here."""
    if notification.refund is not None or notification.payout is not None or notification.batch is not None:
        raise LocalProtocolError("refund", "the gateway tells of payments only")
    view = notification.trade
    charset = view.echo.get("input_charset", "").upper()
    charset = charset if charset in CODECS else "GBK"
    codec = CODECS[charset]
    fields = write_trade(replace(view, merchant=view.merchant or ring.merchant), codec, now)
    if fields["trade_state"] != m.PAID:
        raise LocalProtocolError("state", "the gateway tells of payments only")
    fields = common(charset) | fields | {"notify_id": notification.id}
    fields = {name: value for name, value in fields.items() if value}
    try:
        kept = read_fields((own,), codec)
    except RemoteProtocolError as error:
        raise LocalProtocolError("return_url", "its own query cannot be signed", error.code) from error
    if kept.keys() & fields.keys():
        raise LocalProtocolError("return_url", "its own query has a field of the message")
    fields[m.PROOF] = sign(join(kept | fields), ring.signing(ALGORITHM), codec)
    return encode_form(tuple(fields.items()), codec), codec


def _xml(charset: str, fields: Fields) -> Response:
    declared = "GBK" if charset == "gbk" else "UTF-8"
    children = tuple(Element(name, value) for name, value in fields.items())
    body = write_xml(Element("root", children=children), charset, declared)
    kind = f"text/xml; charset={declared}".encode("ascii")
    return Response(
        200,
        ((b"Content-Type", kind), (b"Content-Length", str(len(body)).encode("ascii"))),
        body,
    )


def _reply(claim: Claim, fields: Fields, ring: KeyRing | None) -> Response:
    """A signed answer. Raises LocalProtocolError without a key."""
    if ring is None:
        raise LocalProtocolError("key", "an answer is signed")
    charset = "GBK" if claim.charset == "gbk" else "UTF-8"
    said = {"retcode": m.OK, "retmsg": ""} | common(charset) | dict(fields)
    filled = {name: value for name, value in said.items() if value or name == "retmsg"}
    filled[m.PROOF] = sign(join(filled), ring.signing(ALGORITHM), claim.charset)
    return _xml(claim.charset, filled)


def _confirm(claim: Claim, outcome: Confirmed, ring: KeyRing | None, now: Instant) -> Response:
    if not outcome.genuine:
        code = m.NOTIFY_UNKNOWN if outcome.understood else m.OTHER
        return _error(claim.charset, code, "notify_id unknown or expired")
    if outcome.trade is None:
        return _reply(claim, {"partner": claim.merchant}, ring)
    view = replace(outcome.trade, merchant=claim.merchant)
    return _reply(claim, write_trade(view, claim.charset, now), ring)


def _error(charset: str, code: str, word: str) -> Response:
    """retcode and retmsg, unsigned, as the guide has it."""
    return _xml(charset, {"retcode": code, "retmsg": REFUSALS.get(word, word)})


def _bill_error(code: str, word: str) -> Response:
    return http.text(
        f"<html><body>{code}:{REFUSALS.get(word, word)}</body></html>\n",
        charset="gbk",
        kind="text/html",
    )
