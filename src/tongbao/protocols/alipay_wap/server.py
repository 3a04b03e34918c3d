"""The platform's half."""

from __future__ import annotations

import re
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
from tongbao.protocols.alipay_wap import messages as m
from tongbao.protocols.alipay_wap.answer import write_created, write_error, write_found, write_refusal, write_word
from tongbao.protocols.alipay_wap.codec import (
    LIMITS,
    Fields,
    authenticate,
    canonical,
    check_shift,
    ordered,
    read_form,
    sign,
    write_document,
)
from tongbao.protocols.alipay_wap.request import read_intent
from tongbao.protocols.alipay_wap.view import write_answer, write_notice, write_return
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form, split_form
from tongbao.wire.http import FORM, Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.vocabulary import (
    Carriage,
    Confirmed,
    Notification,
    Outcome,
    Rejection,
    TradeFound,
    TradeOpened,
)

_PARTNER: Final = re.compile(r"[0-9A-Za-z]{1,32}", re.ASCII)
MASK: Final = "********"


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
        try:
            fields = read_form(parts)
        except RemoteProtocolError as error:
            # a window waits for the answer to this service: decode raises what was found, and it becomes a page
            if not _enters(parts):
                raise
            return Claim("", m.ENTER, Carriage.BROWSER, error)
        service = fields.get("service", "")
        if service not in m.OPERATIONS:
            raise RemoteProtocolError("service", "is missing or unknown", "UNKNOWN_SERVICE")
        carriage = Carriage.BROWSER if service == m.ENTER else Carriage.SERVER
        partner = fields.get("partner", "")
        if service != m.CONFIRM and _PARTNER.fullmatch(partner) is None:
            problem = RemoteProtocolError(
                "partner", "is no merchant's number", "FIELD_INVALID" if partner else "FIELD_MISSING"
            )
            if service != m.ENTER:
                raise problem
            return Claim("", service, carriage, problem)
        return Claim(partner, service, carriage, fields)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        if isinstance(claim.parsed, RemoteProtocolError):
            raise claim.parsed
        fields: Fields = claim.parsed
        if claim.operation == m.CONFIRM:
            return Verified(read_intent(m.CONFIRM, fields), None)
        proof, without = ("sign_type", ("sign", "sign_type")) if claim.operation == m.QUERY else ("sec_id", ("sign",))
        if not fields.get(proof):
            raise InvalidSignature(proof, "is missing", "SIGN_MISSING")
        if fields[proof] != m.ALGORITHM:
            raise InvalidSignature(proof, f"is not {m.ALGORITHM}", "SIGN_TYPE_NOT_ALLOWED")
        texts = [canonical(fields, without)]
        if claim.operation != m.QUERY and "_input_charset" in fields:
            texts.append(canonical(fields, (*without, "_input_charset")))
        key = authenticate(texts, fields.get("sign", ""), ring)
        check_shift(fields)
        return Verified(read_intent(claim.operation, fields), key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if isinstance(outcome, Confirmed):
            return write_word("true" if outcome.genuine else "false" if outcome.understood else "invalid")
        if isinstance(outcome, Rejection):
            return self.refuse(claim, Refused(outcome.code, outcome.detail), ring, now)
        fields: Fields = claim.parsed
        if isinstance(outcome, TradeOpened) and claim.operation == m.CREATE and outcome.code:
            return write_created(fields, outcome.code, _key(ring))
        if isinstance(outcome, TradeFound) and claim.operation == m.QUERY:
            return write_found(fields, write_answer(outcome.trade), _key(ring))
        raise LocalProtocolError("", f"{claim.operation} has no answer for {type(outcome).__name__}")

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        word = self.refusal_code(error)
        code = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        if claim is not None and claim.operation == m.CONFIRM:
            well_formed = _PARTNER.fullmatch(claim.merchant) is not None
            return write_word("false" if isinstance(error, Refused) and well_formed else "invalid")
        if claim is not None and claim.operation == m.QUERY:
            return write_refusal(m.QUERY_CODES.get(code, word))
        asked: Fields = claim.parsed if claim is not None and isinstance(claim.parsed, dict) else {}
        return write_error(asked, word, error.field if isinstance(error, ProtocolError) else "")

    def refusal_code(self, error: TongbaoError) -> str:
        if isinstance(error, ProtocolError):
            return "PARTNER_ILLEGAL" if error.field == "partner" else m.word_of(error.code)
        return m.word_of(error.code) if isinstance(error, Refused) else m.word_of("SYSTEM")

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        if notification.batch is not None or notification.payout is not None:
            raise LocalProtocolError("batch", "the interface tells of trades only")
        data = write_document(m.NOTICE_ROOT, write_notice(notification, now))
        fields = {"service": m.CREATE, "v": m.NOTICE_VERSION, "sec_id": m.ALGORITHM, "notify_data": data}
        fields["sign"] = sign(ordered(fields), _key(ring))
        return http.post(target, encode_form(tuple(fields.items())), f"{FORM}; charset=utf-8")

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and response.body.strip(b" \t\r\n") == b"success"

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        fields = write_return(notification.trade)
        fields |= {"sign": sign(canonical(fields), _key(ring)), "sign_type": m.ALGORITHM}
        target = target.partition("#")[0]
        return http.get(f"{target}{'&' if '?' in target else '?'}{encode_form(tuple(fields.items())).decode('ascii')}")

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            fields = read_form((request.body,) if request.body else (request.raw_query,))
        except RemoteProtocolError:
            return None
        if not fields.get("sign"):
            return None
        if "notify_data" in fields:
            text = ordered(fields)
        elif "result" in fields:
            text = canonical({name: value for name, value in fields.items() if name in m.RETURN_NAMES})
        else:
            text = canonical(fields, ("sign", "sign_type"))
        return SignatureTrail(m.ALGORITHM, text + MASK, fields["sign"])


def _enters(parts: tuple[bytes, ...]) -> bool:
    """Whether a request that is otherwise wrong is one that a browser carries."""
    try:
        names = {value for part in parts for name, value in split_form(part, LIMITS) if name == b"service"}
    except RemoteProtocolError:
        return False
    return names == {m.ENTER.encode("ascii")}


def _key(ring: KeyRing | None) -> Key:
    if ring is None:
        raise LocalProtocolError("sign", "an answer needs the merchant's key", "SIGN_TYPE_NOT_ALLOWED")
    return ring.signing(m.ALGORITHM)
