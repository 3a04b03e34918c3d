"""The merchant's half."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import ConfigurationError, LocalProtocolError, RemoteProtocolError
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
    read_fields,
    sign,
)
from tongbao.protocols.chinabank.grammar import check_answer, check_pay, check_result, is_order
from tongbao.protocols.chinabank.request import read_intent, write_intent
from tongbao.protocols.chinabank.view import read_event, read_page, read_result
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

_PLAIN: Final = ("v_mid", "gateway", "query_gateway", "v_url", "notify_url", "order_sample", "encoding")
_NUMBER: Final = re.compile(r"[0-9]{4,12}", re.ASCII)


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        merchant = values["v_mid"]
        if _NUMBER.fullmatch(merchant) is None:
            raise ConfigurationError("v_mid", "is not the number of a merchant, 4 to 12 digits")
        values["gateway"] = values["gateway"] or m.GATEWAY
        values["query_gateway"] = values["query_gateway"] or _query_address(values["gateway"])
        try:
            charset_of(values["encoding"])
        except RemoteProtocolError as error:
            raise ConfigurationError("encoding", error.reason) from error
        if values["order_sample"] and not is_order(values["order_sample"]):
            raise ConfigurationError("order_sample", "holds more than letters, digits and _-#$():;,.")
        check_addresses(values, ("gateway", "query_gateway", "v_url", "notify_url"))
        secret = load_secret(settings.get("key") or "", "key", published=m.PUBLISHED_KEYS)
        key = Key(merchant, 1, ALGORITHM, secret)
        return Credentials("chinabank", merchant, values["gateway"], values, KeyRing(merchant, (key,), (key,)))

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        charset = charset_of(credentials.values.get("encoding", ""))
        intent = complete(intent, credentials, "notify_url", "v_url")
        operation, fields = write_intent(intent)
        fields = {name: value for name, value in ({"v_mid": credentials.merchant} | fields).items() if value}
        _check_said(operation, intent, fields, charset)
        names = m.PAY_NAMES if operation == m.PAY else m.QUERY_NAMES
        signature = sign(fields, names, credentials.ring.signing(ALGORITHM), charset)
        pairs: Pairs = (*fields.items(), (m.PROOF[operation], signature))
        if len(encode_form(pairs, charset)) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        if operation == m.QUERY:
            return Call(
                Carriage.SERVER, "POST", find_query_gateway(credentials, "query_gateway", _query_address), pairs, GBK
            )
        return Call(Carriage.BROWSER, "POST", _encoded(credentials.gateway, charset), pairs, charset)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if not isinstance(intent, QueryTrade):
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        fields = read_page(response)
        if not fields:
            return Rejection("SYSTEM", m.ERROR)
        authenticate(fields, m.RESULT_NAMES, m.RESULT_PROOF, credentials.ring, GBK)
        if required(fields, "v_oid") != intent.out_trade_no:
            raise RemoteProtocolError("v_oid", "the answer is about another trade", "MALFORMED")
        check_answer(fields, intent.out_trade_no)
        if fields["v_pstatus"] == m.NO_ORDER:
            return Rejection("TRADE_NOT_FOUND", m.NO_ORDER)
        return TradeFound(read_result(fields, credentials.merchant, m.ANSWER_STATES))

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Nothing in the message tells notice and return apart, so its role is that of the address it came to."""
        return _read_result(request, credentials, Role.NOTIFICATION)

    def acknowledge(self, accepted: bool) -> Response:
        return http.text("ok" if accepted else "error")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return _read_result(request, credentials, Role.RETURN)


def _query_address(gateway: str) -> str:
    """Beside the gateway."""
    return re.sub(r"/(?:PayGate|select_bank)(?:\?.*)?$", m.QUERY_PATH, gateway)


def _encoded(gateway: str, charset: str) -> str:
    if charset == GBK:
        return gateway
    return f"{gateway}{'&' if '?' in gateway else '?'}encoding={UTF_8.upper()}"


def _check_said(operation: str, intent: Intent, fields: Fields, charset: str) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    check_writable(fields, charset)
    try:
        read = read_intent(operation, fields)
        if operation == m.PAY:
            check_pay(fields, intent.merchant)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    # the platform words the goods itself; the merchant's number names the trade
    lost = find_loss(intent, read, ("echo", "subject", "trade_no"))
    if lost:
        raise LocalProtocolError(lost, "the gateway cannot say this", "FIELD_INVALID")


def _read_result(request: Request, credentials: Credentials, role: Role) -> Notification:
    """Receiver steps 3 to 10. A query of the address beside a body is the shop's own."""
    if request.method not in ("GET", "POST"):
        raise RemoteProtocolError("", "a result is a POST, or a GET as in old demos", "MALFORMED")
    charset = charset_of(credentials.values.get("encoding", ""))
    fields = read_fields((request.body if request.method == "POST" else request.raw_query,), charset)
    authenticate(fields, m.RESULT_NAMES, m.RESULT_PROOF, credentials.ring, charset)
    check_result(fields, credentials.values.get("order_sample", ""))
    for name in ("v_pmode", "v_pstring"):
        if len(fields.get(name, "")) > 64 or "%" in fields.get(name, ""):
            raise invalid(name, "is no short text")
    return read_event(fields, credentials.merchant, role)
