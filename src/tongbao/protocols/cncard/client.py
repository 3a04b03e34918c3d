"""The merchant's half."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import ConfigurationError, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.cncard import messages as m
from tongbao.protocols.cncard.codec import ALGORITHM, GBK, LIMITS, PROOF, Fields, authenticate, read_fields, sign
from tongbao.protocols.cncard.grammar import check_answer, check_result, is_order
from tongbao.protocols.cncard.request import read_intent, write_intent
from tongbao.protocols.cncard.view import read_answer, read_event, read_reply
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.field import check_writable, invalid, required
from tongbao.wire.form import Pairs, encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.setting import check_addresses, complete, find_query_gateway
from tongbao.wire.sign import load_secret
from tongbao.wire.vocabulary import (
    Carriage,
    Intent,
    Notification,
    Outcome,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
)

_PLAIN: Final = ("c_mid", "gateway", "query_gateway", "c_returl", "notify_url", "order_sample")
_NUMBER: Final = re.compile(r"[0-9]{4,12}", re.ASCII)


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        merchant = values["c_mid"]
        if _NUMBER.fullmatch(merchant) is None:
            raise ConfigurationError("c_mid", "is not the number of a merchant, 4 to 12 digits")
        values["gateway"] = values["gateway"] or m.GATEWAY
        values["query_gateway"] = values["query_gateway"] or _query_address(values["gateway"])
        if values["order_sample"] and not is_order(values["order_sample"]):
            raise ConfigurationError("order_sample", "holds more than letters, digits, _ and -")
        check_addresses(values, ("gateway", "query_gateway", "c_returl", "notify_url"))
        secret = load_secret(settings.get("c_pass") or "", "c_pass", published=m.PUBLISHED_KEYS)
        key = Key(merchant, 1, ALGORITHM, secret)
        return Credentials("cncard", merchant, values["gateway"], values, KeyRing(merchant, (key,), (key,)))

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        intent = complete(intent, credentials, "notify_url", "c_returl")
        operation, fields = write_intent(intent, now)
        fields = {name: value for name, value in ({"c_mid": credentials.merchant} | fields).items() if value}
        _check_said(operation, intent, fields)
        names = m.PAY_NAMES if operation == m.PAY else m.QUERY_NAMES
        pairs: Pairs = (*fields.items(), (PROOF, sign(fields, names, credentials.ring.signing(ALGORITHM))))
        if len(encode_form(pairs, GBK)) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        if operation == m.QUERY:
            return Call(
                Carriage.SERVER, "POST", find_query_gateway(credentials, "query_gateway", _query_address), pairs, GBK
            )
        return Call(Carriage.BROWSER, "POST", credentials.gateway, pairs, GBK)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if not isinstance(intent, QueryTrade):
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        fields = read_reply(response)
        if not fields:
            return Rejection("SYSTEM", m.ERROR)
        authenticate(fields, m.ANSWER_NAMES, credentials.ring)
        if required(fields, "c_order") != intent.out_trade_no:
            raise RemoteProtocolError("c_order", "the answer is about another trade", "MALFORMED")
        check_answer(fields, credentials.merchant, intent.out_trade_no)
        if fields["c_succmark"] == m.NO_ORDER:
            return Rejection("TRADE_NOT_FOUND", m.NO_ORDER)
        return TradeFound(read_answer(fields))

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Nothing in the message tells notice and return apart, so its role is that of the address it came to."""
        return _read_result(request, credentials, Role.NOTIFICATION)

    def acknowledge(self, accepted: bool) -> Response:
        if accepted:
            return http.text("<result>1</result><reURL></reURL>", charset=GBK, kind="text/html")
        return http.text(m.NOT_TAKEN, charset=GBK, kind="text/html")

    def send_onward(self, address: str) -> Response:
        """Yes, and the buyer goes to ``address``."""
        return http.text(f"<result>1</result><reURL>{address}</reURL>", charset=GBK, kind="text/html")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return _read_result(request, credentials, Role.RETURN)


def _query_address(gateway: str) -> str:
    """Beside the gateway."""
    return re.sub(r"/(?:purchase/getorder\.asp|cnpayment/pay/getorder\.aspx)$", m.QUERY_PATH, gateway)


def _check_said(operation: str, intent: Intent, fields: Fields) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    check_writable(fields, GBK)
    try:
        read = read_intent(operation, fields)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    # the platform words the goods itself; the merchant's number names the trade
    lost = find_loss(intent, read, ("echo", "subject", "trade_no"))
    if lost:
        raise LocalProtocolError(lost, "the gateway cannot say this", "FIELD_INVALID")


def _read_result(request: Request, credentials: Credentials, role: Role) -> Notification:
    """Receiver steps 3 to 10. What no table knows is the shop's own address."""
    if request.method not in ("GET", "POST"):
        raise RemoteProtocolError("", "a result is a GET or a POST", "MALFORMED")
    fields = read_fields((request.body if request.method == "POST" else request.raw_query,))
    authenticate(fields, m.RESULT_NAMES, credentials.ring)
    check_result(fields, credentials.merchant, credentials.values.get("order_sample", ""))
    for name in ("c_cause", "c_paygate"):
        if len(fields.get(name, "")) > 64 or "%" in fields.get(name, ""):
            raise invalid(name, "is no short text")
    return read_event(fields, role)
