"""The platform's half."""

from __future__ import annotations

import re
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
from tongbao.protocols.cncard import messages as m
from tongbao.protocols.cncard.codec import ALGORITHM, GBK, PROOF, Fields, authenticate, glue, read_fields, sign
from tongbao.protocols.cncard.request import read_intent
from tongbao.protocols.cncard.view import join_address, write_answer, write_error, write_reply, write_result
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.http import Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Carriage, CreateTrade, Notification, Outcome, Rejection, TradeFound

_MERCHANT: Final = re.compile(r"[0-9]{4,12}", re.ASCII)
_TAKEN: Final = re.compile(rb"\s*<result>1</result>\s*<reURL>[^<>]*</reURL>\s*")


@dataclass(frozen=True, slots=True)
class Server:
    """See ``tongbao.wire.contract.ServerEnd``. ``bare_sums``: a sum below one yuan is told without its zero, ``.01``,
    as the platform of 2008 did."""

    bare_sums: bool = False

    def claim(self, request: Request) -> Claim:
        parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
        fields = read_fields(parts)
        operation = m.QUERY if request.raw_path.endswith(m.QUERY_PATH.encode("ascii")) else m.PAY
        merchant = fields.get("c_mid", "")
        if _MERCHANT.fullmatch(merchant) is None:
            code = "FIELD_INVALID" if merchant else "FIELD_MISSING"
            raise RemoteProtocolError("c_mid", "is no merchant's number", code)
        carriage = Carriage.BROWSER if operation == m.PAY else Carriage.SERVER
        return Claim(merchant, operation, carriage, fields, GBK)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        fields: Fields = claim.parsed
        names = m.PAY_NAMES if claim.operation == m.PAY else m.QUERY_NAMES
        key = authenticate(fields, names, ring, any_case=True)
        if ring.merchant != claim.merchant:
            # a digit may move between the merchant's number and the order's: whose key it is says whose order it is
            raise InvalidSignature("c_mid", "the key is another merchant's")
        intent = read_intent(claim.operation, fields)
        if isinstance(intent, CreateTrade):
            echo = {"c_ymd": fields["c_ymd"], "c_memo2": fields.get("c_memo2", "")}
            intent = replace(intent, echo={name: value for name, value in echo.items() if value})
        return Verified(intent, key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if claim.operation == m.QUERY and ring is not None:
            if isinstance(outcome, TradeFound):
                asked: Fields = claim.parsed
                view = outcome.trade
                if view.echo.get("c_ymd", asked["c_ymd"]) != asked["c_ymd"]:
                    return _refusal(claim, m.NO_ORDER, ring)
                return _reply(claim, write_answer(replace(view, merchant=claim.merchant), asked["c_ymd"]), ring)
            if isinstance(outcome, Rejection):
                return _refusal(claim, m.WIRE_CODE.get(outcome.code, m.ERROR), ring)
        raise LocalProtocolError("", f"{claim.operation} has no answer for {type(outcome).__name__}")

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        return _refusal(claim, self.refusal_code(error), ring)

    def refusal_code(self, error: TongbaoError) -> str:
        code = error.code if isinstance(error, ProtocolError | Refused) else "SYSTEM"
        return m.WIRE_CODE.get(code, m.ERROR)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return self._result(notification, target, ring, now)

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and _TAKEN.fullmatch(response.body) is not None

    def onward(self, answer: str) -> str:
        """The address in a merchant's acknowledgement, '' for none."""
        found = re.search(r"<reURL>\s*([^<>\s]*)\s*</reURL>", answer)
        return found[1] if found else ""

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return self._result(notification, target, ring, now)

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            fields = read_fields((request.body or request.raw_query,))
        except RemoteProtocolError:
            return None
        if not fields.get(PROOF):
            return None
        names = m.RESULT_NAMES if "c_succmark" in fields else m.PAY_NAMES if "c_retflag" in fields else m.QUERY_NAMES
        return SignatureTrail(ALGORITHM, glue(fields, names), fields[PROOF], GBK)

    def _result(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        """The one message: the server's notice and the browser's return say the same, both by GET."""
        view = notification.trade
        fields = write_result(replace(view, merchant=view.merchant or ring.merchant), now)
        if self.bare_sums:
            fields["c_orderamount"] = fields["c_orderamount"].removeprefix("0")
        fields[PROOF] = sign(fields, m.RESULT_NAMES, ring.signing(ALGORITHM))
        return http.get(join_address(target, fields))


def _reply(claim: Claim, fields: dict[str, str], ring: KeyRing) -> Response:
    asked: Fields = claim.parsed
    signature = sign(fields, m.ANSWER_NAMES, ring.signing(ALGORITHM))
    return write_reply(fields | {PROOF: signature}, asked.get("c_returl", ""))


def _refusal(claim: Claim | None, code: str, ring: KeyRing | None) -> Response:
    """A signed "no such order" to a query that may be told so, else a page."""
    if code != m.NO_ORDER or claim is None or claim.operation != m.QUERY or ring is None or not ring.sign:
        return write_error(m.ERROR if code == m.NO_ORDER else code)
    fields = {
        "c_mid": claim.merchant,
        "c_order": claim.parsed["c_order"],
        "c_orderamount": "0.00",
        "c_ymd": claim.parsed["c_ymd"],
        "c_succmark": m.NO_ORDER,
        "c_moneytype": "0",
    }
    return _reply(claim, fields, ring)
