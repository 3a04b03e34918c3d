"""The platform's half."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tongbao.kernel.error import (
    InvalidSignature,
    LocalProtocolError,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    TongbaoError,
)
from tongbao.kernel.time import Instant
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import (
    ALGORITHM,
    HASHED,
    HASHED_BY_SOME,
    WIRE,
    Fields,
    authenticate,
    glue,
    read_fields,
    sign,
)
from tongbao.protocols.yeepay.request import read_intent
from tongbao.protocols.yeepay.view import (
    BROWSER,
    SERVER,
    write_answer,
    write_callback,
    write_lines,
    write_refund,
    write_refund_result,
    write_unsigned,
)
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form
from tongbao.wire.http import FORM, Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.movement import MovementState, RefundFound
from tongbao.wire.vocabulary import (
    Carriage,
    CreateTrade,
    Done,
    Notification,
    Outcome,
    Rejection,
    TradeFound,
    TradeView,
)

_MERCHANT: Final = re.compile(r"[0-9A-Za-z]{1,11}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Server:
    """See ``tongbao.wire.contract.ServerEnd``. ``returns`` is how the browser goes home: GET, or POST as in 2018."""

    returns: str = "GET"

    def claim(self, request: Request) -> Claim:
        parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
        fields = read_fields(parts)
        command = fields.get("p0_Cmd", "")
        if command not in m.OPERATIONS:
            raise RemoteProtocolError("p0_Cmd", "is missing or unknown", "UNKNOWN_SERVICE")
        merchant = fields.get("p1_MerId", "")
        if _MERCHANT.fullmatch(merchant) is None:
            code = "FIELD_INVALID" if merchant else "FIELD_MISSING"
            raise RemoteProtocolError("p1_MerId", "is no merchant's number", code)
        carriage = Carriage.BROWSER if command == m.BUY else Carriage.SERVER
        return Claim(merchant, command, carriage, fields, WIRE)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        fields: Fields = claim.parsed
        names = m.REQUEST_NAMES[claim.operation]
        proof = authenticate(fields, names, ring, charsets=HASHED_BY_SOME, any_case=True)
        intent = read_intent(claim.operation, fields, now)
        if isinstance(intent, CreateTrade):
            echo = {"pd_FrpId": fields.get("pd_FrpId", ""), "hashed": proof.charset}
            intent = replace(intent, echo={name: value for name, value in echo.items() if value})
        return Verified(intent, proof.key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if isinstance(outcome, Rejection):
            return self._refusal(claim, _number(claim.operation, outcome.code), ring)
        if isinstance(outcome, TradeFound) and claim.operation == m.QUERY:
            fields: Fields = claim.parsed
            return _signed_lines(m.QUERY, write_answer(outcome.trade, new=bool(fields.get("pv_Ver"))), ring)
        if isinstance(outcome, RefundFound) and claim.operation in (m.REFUND, m.REFUND_QUERY):
            return self._refund(claim, outcome, ring)
        if isinstance(outcome, Done) and claim.operation == m.CANCEL:
            return _signed_lines(m.CANCEL, {"r0_Cmd": m.CANCEL, "r1_Code": m.OK}, ring)
        raise LocalProtocolError("", f"{claim.operation} has no answer for {type(outcome).__name__}")

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        if isinstance(error, InvalidSignature) or claim is None:
            return _page(m.SIGN_PAGE if isinstance(error, InvalidSignature) else m.ERROR_PAGE, self.refusal_code(error))
        code = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        return self._refusal(claim, _number(claim.operation, code), ring)

    def refusal_code(self, error: TongbaoError) -> str:
        code = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        return m.WIRE_CODE.get(code, "-1")

    def _refund(self, claim: Claim, found: RefundFound, ring: KeyRing | None) -> Response:
        """A refund that was taken on, or what became of one. One that failed already is refused, not taken on."""
        asked: Fields = claim.parsed
        if not found.refunds:
            return self._refusal(claim, _number(claim.operation, "REFUND_NOT_FOUND"), ring)
        refund = found.refunds[0]
        ended = refund.state in (MovementState.FAILED, MovementState.CLOSED)
        if claim.operation == m.REFUND:
            if ended:
                return self._refusal(claim, _number(m.REFUND, refund.code or "PAYMENT_STATE"), ring)
            return _signed_lines(m.REFUND, write_refund(refund, asked["pb_TrxId"]), ring)
        return _signed_lines(m.REFUND_QUERY, write_refund_result(refund, asked["pb_TrxId"]), ring)

    def _refusal(self, claim: Claim, code: str, ring: KeyRing | None) -> Response:
        if ring is None or not ring.sign or claim.operation not in m.ANSWER_NAMES:
            return _page(m.ERROR_PAGE, code)
        return _signed_lines(claim.operation, {"r0_Cmd": claim.operation, "r1_Code": code}, ring)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        if notification.batch is not None or notification.payout is not None:
            raise LocalProtocolError("batch", "the gateway tells of payments only")
        return http.get(_address(target, _callback(notification.trade, SERVER, ring, now)))

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and response.body[:7].upper() == b"SUCCESS"

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        fields = _callback(notification.trade, BROWSER, ring, now)
        if self.returns == "POST":
            body = encode_form(tuple(fields.items()), WIRE)
            return http.post(target.partition("#")[0], body, f"{FORM}; charset={WIRE}")
        return http.get(_address(target, fields))

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            fields = read_fields((request.raw_query, request.body))
        except RemoteProtocolError:
            return None
        names = m.CALLBACK_NAMES if fields.get("r0_Cmd") else m.REQUEST_NAMES.get(fields.get("p0_Cmd", ""))
        if names is None or not fields.get("hmac"):
            return None
        return SignatureTrail(ALGORITHM, glue(fields, names), fields["hmac"], HASHED)


def _number(command: str, code: str) -> str:
    """The number for a refusal in the answer to a command."""
    return m.CODES_OF.get(command, {}).get(code) or m.WIRE_CODE.get(code, "-1")


def _callback(view: TradeView, role: str, ring: KeyRing, now: Instant) -> dict[str, str]:
    """All fields of a callback, signed in the charset in which the trade's request was."""
    key = ring.signing(ALGORITHM)
    fields = write_callback(replace(view, merchant=view.merchant or ring.merchant), role)
    charset = view.echo.get("hashed", HASHED)
    signatures = sign(fields, m.CALLBACK_NAMES, key, charset if charset in HASHED_BY_SOME else HASHED)
    return fields | write_unsigned(view, now) | signatures


def _address(target: str, fields: Mapping[str, str]) -> str:
    text = encode_form(tuple(fields.items()), WIRE).decode("ascii")
    bare = target.partition("#")[0]
    return f"{bare}{'&' if '?' in bare else '?'}{text}"


def _signed_lines(command: str, fields: dict[str, str], ring: KeyRing | None) -> Response:
    if ring is None:
        raise LocalProtocolError("hmac", "an answer needs the merchant's key", "SIGN_TYPE_NOT_ALLOWED")
    return write_lines(fields | sign(fields, m.ANSWER_NAMES[command], ring.signing(ALGORITHM)))


def _page(title: str, code: str) -> Response:
    """The page of an error, which clients know by its first sign."""
    return http.text(
        f"<html><head><title>{title}</title></head><body>{title} ({code})</body></html>\n",
        charset=WIRE,
        kind="text/html",
    )
