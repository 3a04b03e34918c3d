"""The merchant's half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian import soap
from tongbao.protocols.kuaiqian.codec import (
    ALGORITHM,
    CODECS,
    LIMITS,
    UTF_8,
    Fields,
    authenticate,
    check_borders,
    invalid,
    is_text,
    read_fields,
    required,
    sign,
)
from tongbao.protocols.kuaiqian.request import MERCHANT, check_lengths, read_intent, write_intent
from tongbao.protocols.kuaiqian.view import read_event, read_item
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.form import Pairs, encode_form
from tongbao.wire.http import Request, Response, split_url
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.party import Party
from tongbao.wire.sign import load_secret
from tongbao.wire.vocabulary import (
    Carriage,
    CreateTrade,
    Intent,
    Notification,
    Outcome,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
    TradeState,
    TradeView,
)

_PLAIN: Final = ("merchantAcctId", "gateway", "query_gateway", "inputCharset", "pageUrl", "bgUrl")


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        merchant = values["merchantAcctId"]
        if MERCHANT.fullmatch(merchant) is None:
            raise ConfigurationError("merchantAcctId", "is not the account of a merchant (member code and 01)")
        values["gateway"] = values["gateway"] or m.GATEWAY
        values["query_gateway"] = values["query_gateway"] or _query_address(values["gateway"])
        values["inputCharset"] = values["inputCharset"] or "1"
        if values["inputCharset"] not in CODECS:
            raise ConfigurationError("inputCharset", "is neither 1, 2 nor 3")
        for name in ("gateway", "query_gateway", "pageUrl", "bgUrl"):
            if values[name]:
                _check_address(name, values[name])
        secret = load_secret(settings.get("key") or "", "key", published=m.PUBLISHED_KEYS)
        key = Key(merchant, 1, ALGORITHM, secret)
        return Credentials("kuaiqian", merchant, values["gateway"], values, KeyRing(merchant, (key,), (key,)))

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        intent = _complete(intent, credentials)
        word = credentials.values.get("inputCharset") or "1"
        operation, fields = write_intent(
            intent, credentials.merchant, word if isinstance(intent, CreateTrade) else "1", now
        )
        codec = CODECS[fields["inputCharset"]]
        names = m.PAY_NAMES if operation == m.PAY else m.QUERY_NAMES
        _check_said(operation, intent, fields, codec)
        fields[m.PROOF] = sign(fields, names, credentials.ring.signing(ALGORITHM), codec)
        if operation == m.QUERY:
            headers = ((b"Content-Type", b"text/xml; charset=utf-8"), (b"SOAPAction", b'""'))
            body = soap.write_query(fields)
            return Call(Carriage.SERVER, "POST", _query_gateway(credentials), (), UTF_8, headers, body=body)
        pairs: Pairs = tuple(fields.items())
        if len(encode_form(pairs, codec)) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        return Call(Carriage.BROWSER, "POST", credentials.gateway, pairs, codec)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if not isinstance(intent, QueryTrade):
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        head, items = soap.read_reply(response)
        code = head.get("errCode", "")
        if code and not head.get(m.PROOF) and not code.startswith("31"):
            return Rejection("SYSTEM", code)
        authenticate(head, m.HEAD_NAMES, credentials.ring)
        if required(head, "merchantAcctId") != credentials.merchant:
            raise invalid("merchantAcctId", "the answer is another merchant's")
        if code not in ("", m.NOT_PAID):
            return Rejection(m.NEUTRAL_CODE.get(code, "SYSTEM"), code)
        if not items and code:
            return TradeFound(
                TradeView(merchant=credentials.merchant, out_trade_no=intent.out_trade_no, state=TradeState.UNPAID)
            )
        if len(items) != 1 or required(items[0], "orderId") != intent.out_trade_no:
            raise RemoteProtocolError("orderId", "the answer is not about the one order", "MALFORMED")
        authenticate(items[0], m.ITEM_NAMES, credentials.ring, proof=m.ITEM_PROOF)
        view = read_item(items[0], credentials.merchant)
        if (view.state is TradeState.PAID) != (not code):
            raise invalid("payResult", "contradicts errCode")
        return TradeFound(view)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Nothing in the message tells notice and return apart, so its role is that of the address it came to."""
        return _read_result(request, credentials, Role.NOTIFICATION)

    def acknowledge(self, accepted: bool) -> Response:
        return http.text(f"<result>{1 if accepted else 0}</result>", kind="text/html")

    def send_onward(self, address: str) -> Response:
        """Yes, and the buyer goes to ``address``."""
        return http.text(f"<result>1</result><redirecturl>{address}</redirecturl>", kind="text/html")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return _read_result(request, credentials, Role.RETURN)


def _check_address(name: str, url: str) -> None:
    try:
        split_url(url)
    except ValueError as error:
        raise ConfigurationError(name, str(error)) from error


def _query_address(gateway: str) -> str:
    """Beside the gateway."""
    return gateway.removesuffix(m.PAY_PATH) + m.QUERY_PATH


def _query_gateway(credentials: Credentials) -> str:
    """The configured one, unless the gateway was changed after the settings were read."""
    values = credentials.values
    same = values.get("gateway", credentials.gateway) == credentials.gateway
    return (values.get("query_gateway") if same else "") or _query_address(credentials.gateway)


def _complete(intent: Intent, credentials: Credentials) -> Intent:
    """The intent with what the settings say wherever it is silent. The payee is always the merchant."""
    if not intent.merchant:
        intent = replace(intent, merchant=credentials.merchant)
    if not isinstance(intent, CreateTrade):
        return intent
    values = credentials.values
    return replace(
        intent,
        seller=Party() if intent.seller == Party(credentials.merchant) else intent.seller,
        notify_url=intent.notify_url or values.get("bgUrl", ""),
        return_url=intent.return_url or values.get("pageUrl", ""),
    )


def _check_said(operation: str, intent: Intent, fields: Fields, codec: str) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    for name, value in fields.items():
        if not is_text(value):
            raise LocalProtocolError(name, "holds control characters", "BAD_CHARSET")
        try:
            value.encode(codec)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(name, f"holds characters that {codec} lacks", "BAD_CHARSET") from error
    try:
        check_lengths(fields)
        check_borders(fields, m.PAY_NAMES)
        read = read_intent(operation, fields)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    lost = find_loss(intent, read, ("echo", "trade_no"))
    if lost:
        raise LocalProtocolError(lost, "the gateway cannot say this", "FIELD_INVALID")


def _read_result(request: Request, credentials: Credentials, role: Role) -> Notification:
    """Receiver steps 3 to 10. What no table knows is the shop's own address."""
    if request.method not in ("GET", "POST"):
        raise RemoteProtocolError("", "a result is a GET or a POST", "MALFORMED")
    codec = CODECS.get(credentials.values.get("inputCharset", ""), UTF_8)
    fields = read_fields((request.body if request.method == "POST" else request.raw_query,), codec)
    if "signType" not in fields:
        raise InvalidSignature("signType", "is missing", "SIGN_MISSING")
    authenticate(fields, m.RESULT_NAMES, credentials.ring, codec)
    return read_event(fields, credentials.merchant, role)
