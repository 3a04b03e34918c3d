"""The platform's half."""

from __future__ import annotations

import re
from dataclasses import replace
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
from tongbao.protocols.chinabank import messages as m
from tongbao.protocols.chinabank.codec import (
    ALGORITHM,
    GBK,
    LIMITS,
    UTF_8,
    Fields,
    authenticate,
    charset_of,
    glue,
    read_fields,
    sign,
)
from tongbao.protocols.chinabank.grammar import check_pay
from tongbao.protocols.chinabank.request import read_intent
from tongbao.protocols.chinabank.view import write_error, write_page, write_result
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form, split_form
from tongbao.wire.http import FORM, Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import (
    Carriage,
    CreateTrade,
    Notification,
    Outcome,
    Rejection,
    TradeFound,
)

_MERCHANT: Final = re.compile(r"[0-9]{4,12}", re.ASCII)


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        charset = _charset(request.raw_query)
        parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
        fields = read_fields(parts, charset)
        operation = m.QUERY if m.PROOF[m.QUERY] in fields else m.PAY
        merchant = fields.get("v_mid", "")
        if _MERCHANT.fullmatch(merchant) is None:
            code = "FIELD_INVALID" if merchant else "FIELD_MISSING"
            raise RemoteProtocolError("v_mid", "is no merchant's number", code)
        carriage = Carriage.BROWSER if operation == m.PAY else Carriage.SERVER
        return Claim(merchant, operation, carriage, fields, charset)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        fields: Fields = claim.parsed
        names = m.PAY_NAMES if claim.operation == m.PAY else m.QUERY_NAMES
        key = authenticate(fields, names, m.PROOF[claim.operation], ring, claim.charset)
        if ring.merchant != claim.merchant:
            # the query's signature covers the order alone: whose key it is says whose order it is
            raise InvalidSignature("v_mid", "the key is another merchant's")
        intent = read_intent(claim.operation, fields)
        if isinstance(intent, CreateTrade):
            check_pay(fields, claim.merchant)
            echo = {
                "encoding": "" if claim.charset == GBK else claim.charset,
                "remark2": fields.get("remark2", ""),
                "v_moneytype": "0" if fields["v_moneytype"] == "0" else "",
            }
            intent = replace(intent, echo={name: value for name, value in echo.items() if value})
        return Verified(intent, key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if claim.operation == m.QUERY and ring is not None:
            if isinstance(outcome, TradeFound):
                return _page(claim, write_result(outcome.trade, m.ANSWER_WORD, GBK), ring)
            if isinstance(outcome, Rejection):
                return _refusal(claim, m.WIRE_CODE.get(outcome.code, m.ERROR), ring)
        raise LocalProtocolError("", f"{claim.operation} has no answer for {type(outcome).__name__}")

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        return _refusal(claim, self.refusal_code(error), ring)

    def refusal_code(self, error: TongbaoError) -> str:
        code = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        return m.WIRE_CODE.get(code, m.ERROR)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return _post(notification, target, ring)

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and response.body == b"ok"

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return _post(notification, target, ring)

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            said = (request.header("content-type") or "").lower().replace(" ", "")
            charset = UTF_8 if said.endswith("charset=utf-8") else _charset(request.raw_query)
            fields = read_fields((request.body or request.raw_query,), charset)
        except RemoteProtocolError:
            return None
        for proof, names in (
            (m.RESULT_PROOF, m.RESULT_NAMES),
            (m.PROOF[m.QUERY], m.QUERY_NAMES),
            (m.PROOF[m.PAY], m.PAY_NAMES),
        ):
            if fields.get(proof):
                return SignatureTrail(ALGORITHM, glue(fields, names), fields[proof], charset)
        return None


def _charset(raw_query: bytes) -> str:
    """The charset that the address names; a word of another kind is refused there."""
    words = [value for name, value in split_form(raw_query, LIMITS) if name == b"encoding"]
    return charset_of(words[0].decode("latin-1") if words else "")


def _post(notification: Notification, target: str, ring: KeyRing) -> Request:
    """The one message: the server's notice and the browser's form are the same bytes."""
    view = notification.trade
    charset = UTF_8 if view.echo.get("encoding") == UTF_8 else GBK
    fields = write_result(view, m.RESULT_WORD, charset)
    fields[m.RESULT_PROOF] = sign(fields, m.RESULT_NAMES, ring.signing(ALGORITHM), charset)
    body = encode_form(tuple(fields.items()), charset)
    return http.post(target.partition("#")[0], body, f"{FORM}; charset={charset}")


def _page(claim: Claim, fields: dict[str, str], ring: KeyRing) -> Response:
    asked: Fields = claim.parsed
    signature = sign(fields, m.RESULT_NAMES, ring.signing(ALGORITHM))
    return write_page(fields | {m.RESULT_PROOF: signature, "v_md5info": ""}, asked.get("v_url", ""))


def _refusal(claim: Claim | None, code: str, ring: KeyRing | None) -> Response:
    """A signed "no such order" to a query that may be told so, else a page."""
    if code != m.NO_ORDER or claim is None or claim.operation != m.QUERY or ring is None or not ring.sign:
        return write_error(m.ERROR if code == m.NO_ORDER else code)
    fields = {
        "v_oid": claim.parsed["v_oid"],
        "v_pstatus": m.NO_ORDER,
        "v_pstring": m.STATUS_TEXT[m.NO_ORDER],
        "v_amount": "0.00",
        "v_moneytype": "CNY",
    }
    return _page(claim, fields, ring)
