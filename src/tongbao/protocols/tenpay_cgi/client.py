"""The merchant's half."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tongbao.kernel.error import ConfigurationError, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.tenpay_cgi import messages as m
from tongbao.protocols.tenpay_cgi.codec import (
    ALGORITHM,
    CODECS,
    GBK,
    LIMITS,
    Fields,
    authenticate,
    check_borders,
    read_fields,
    sign,
)
from tongbao.protocols.tenpay_cgi.request import MERCHANT, read_intent, write_intent
from tongbao.protocols.tenpay_cgi.view import read_event, read_trade
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.field import check_writable, required
from tongbao.wire.form import Pairs, encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.party import Party
from tongbao.wire.setting import check_addresses, find_query_gateway
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
)
from tongbao.wire.xml import XmlLimits, read_xml

_PLAIN: Final = ("bargainor_id", "gateway", "query_gateway", "cs", "return_url")


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        merchant = values["bargainor_id"]
        if MERCHANT.fullmatch(merchant) is None:
            raise ConfigurationError("bargainor_id", "is not the 10 digits of a merchant's number")
        values["cs"] = (values["cs"] or "GBK").upper()
        if values["cs"] not in CODECS:
            raise ConfigurationError("cs", "is neither GBK nor UTF-8")
        values["gateway"] = values["gateway"] or m.GATEWAY
        values["query_gateway"] = values["query_gateway"] or _query_address(values["gateway"])
        check_addresses(values, ("gateway", "query_gateway", "return_url"))
        secret = load_secret(settings.get("key") or "", "key", published=m.PUBLISHED_KEYS)
        key = Key(merchant, 1, ALGORITHM, secret)
        return Credentials("tenpay_cgi", merchant, values["gateway"], values, KeyRing(merchant, (key,), (key,)))

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        """The one address of a payment is that of notices; the page there sends the browser on, so the address of
        return is not said."""
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        intent = _complete(intent, credentials)
        charset = credentials.values["cs"]
        codec = CODECS[charset]
        operation, fields = write_intent(intent, credentials.merchant, charset, now)
        fields = {name: value for name, value in fields.items() if value or name in ("attach", "return_url")}
        names = m.PAY_NAMES if operation == m.PAY else m.QUERY_NAMES
        _check_said(operation, intent, fields, codec)
        fields[m.PROOF] = sign(fields, names, credentials.ring.signing(ALGORITHM), codec)
        pairs: Pairs = tuple(fields.items())
        if len(encode_form(pairs, codec)) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        if operation == m.QUERY:
            return Call(
                Carriage.SERVER, "POST", find_query_gateway(credentials, "query_gateway", _query_address), pairs, codec
            )
        return Call(Carriage.BROWSER, "POST", credentials.gateway, pairs, codec)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if not isinstance(intent, QueryTrade):
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        if response.status != 200:
            raise RemoteProtocolError("", f"the answer's status is {response.status}", "MALFORMED")
        codec = CODECS[credentials.values["cs"]]
        root = read_xml(response.body, codec, XmlLimits(size=16_384, elements=32))
        if root.name != "root":
            raise RemoteProtocolError("", "the answer is no root", "MALFORMED")
        fields = root.leaves()
        code = required(fields, "retcode")
        if code != m.OK:
            return Rejection(m.NEUTRAL_CODE.get(code, "SYSTEM"), code)
        # the one public sample names another merchant than its digest: the merchant's own number counts
        authenticate(fields | {"bargainor_id": credentials.merchant}, m.ANSWER_NAMES, credentials.ring, codec)
        view = read_trade(fields, credentials.merchant)
        if view.out_trade_no != intent.out_trade_no:
            raise RemoteProtocolError("sp_billno", "the answer is about another trade", "MALFORMED")
        return TradeFound(view)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Nothing in the message tells notice and return apart, so its role is that of the address it came to."""
        return _read_result(request, credentials, Role.NOTIFICATION)

    def acknowledge(self, accepted: bool) -> Response:
        return http.text(f"<html><head>{m.MARK if accepted else ''}", charset=GBK, kind="text/html")

    def send_onward(self, address: str) -> Response:
        """Yes, and a script that moves the buyer's browser to ``address``, as the official handler wrote it."""
        script = f"<script>window.location.href={json.dumps(address)};</script>"
        page = f"<html><head>{m.MARK}{script}</head><body></body></html>"
        return http.text(page, charset=GBK, kind="text/html")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return _read_result(request, credentials, Role.RETURN)


def _query_address(gateway: str) -> str:
    return m.QUERY_GATEWAY if gateway == m.GATEWAY else gateway.removesuffix(m.PAY_PATH) + m.QUERY_PATH


def _complete(intent: Intent, credentials: Credentials) -> Intent:
    """The intent with what the settings say wherever it is silent. The payee is always the merchant."""
    if not intent.merchant:
        intent = replace(intent, merchant=credentials.merchant)
    if not isinstance(intent, CreateTrade):
        return intent
    return replace(
        intent,
        seller=Party() if intent.seller == Party(credentials.merchant) else intent.seller,
        notify_url=intent.notify_url or credentials.values.get("return_url", "") or intent.return_url,
    )


def _check_said(operation: str, intent: Intent, fields: Fields, codec: str) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    check_writable(fields, codec)
    try:
        check_borders(fields, m.PAY_NAMES if operation == m.PAY else m.QUERY_NAMES)
        read = read_intent(operation, fields)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    lost = find_loss(intent, read, ("echo", "subject", "return_url", "trade_no"))
    if lost:
        raise LocalProtocolError(lost, "the interface cannot say this", "FIELD_INVALID")


def _read_result(request: Request, credentials: Credentials, role: Role) -> Notification:
    """The message is a GET (or, of some sandboxes, a POST); what no table knows is the shop's own address."""
    if request.method not in ("GET", "POST"):
        raise RemoteProtocolError("", "a result is a GET or a POST", "MALFORMED")
    codec = CODECS[credentials.values["cs"]]
    fields = read_fields((request.body if request.method == "POST" else request.raw_query,), codec)
    authenticate(fields, m.RESULT_NAMES, credentials.ring, codec)
    return read_event(fields, credentials.merchant, role)
