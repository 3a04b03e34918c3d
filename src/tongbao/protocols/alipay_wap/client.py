"""The merchant's half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.alipay_wap import messages as m
from tongbao.protocols.alipay_wap.answer import read_created, read_found
from tongbao.protocols.alipay_wap.codec import (
    LIMITS,
    authenticate,
    canonical,
    check_shift,
    ordered,
    read_document,
    read_form,
    sign,
)
from tongbao.protocols.alipay_wap.request import read_intent, write_intent
from tongbao.protocols.alipay_wap.view import read_notice, read_return, read_trade
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.field import invalid, required
from tongbao.wire.form import encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.party import Party
from tongbao.wire.setting import check_addresses
from tongbao.wire.sign import load_secret
from tongbao.wire.vocabulary import (
    Carriage,
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    EnterTrade,
    Intent,
    Notification,
    Outcome,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeOpened,
)

_PLAIN: Final = ("partner", "seller_account_name", "gateway", "query_gateway", "return_url", "notify_url")
_WORDS: Final = {b"true": Confirmed(True), b"false": Confirmed(False), b"invalid": Confirmed(False, understood=False)}


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        partner = values["partner"]
        if not partner.isascii() or not partner.isalnum() or len(partner) > 16:
            raise ConfigurationError("partner", "is not the 16 digits of a merchant's number")
        values["gateway"] = values["gateway"] or m.GATEWAY
        values["query_gateway"] = values["query_gateway"] or _query_address(values["gateway"])
        check_addresses(values, ("gateway", "query_gateway", "return_url", "notify_url"))
        values["seller_account_name"] = values["seller_account_name"] or partner
        secret = load_secret(settings.get("key") or "", "key", published=m.PUBLISHED_KEYS)
        key = Key(partner, 1, m.ALGORITHM, secret)
        return Credentials("alipay_wap", partner, values["gateway"], values, KeyRing(partner, (key,), (key,)))

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        values = credentials.values
        intent = _complete(intent, credentials)
        fields = {**write_intent(intent, now), "partner": credentials.merchant}
        fields = {name: value for name, value in sorted(fields.items()) if value}
        _check_said(intent, fields)
        if isinstance(intent, ConfirmNotification):
            return Call(Carriage.SERVER, "GET", values["query_gateway"], tuple(fields.items()))
        key = credentials.ring.signing(m.ALGORITHM)
        fields["sign"] = sign(canonical(fields), key)
        address = credentials.gateway
        if isinstance(intent, QueryTrade):
            fields["sign_type"] = m.ALGORITHM
            address = values["query_gateway"]
        if len(encode_form(tuple(fields.items()))) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        carriage = Carriage.BROWSER if isinstance(intent, EnterTrade) else Carriage.SERVER
        return Call(carriage, "POST", address, tuple(fields.items()))

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if isinstance(intent, ConfirmNotification):
            word = _WORDS.get(response.body) if response.status == 200 else None
            if word is None:
                raise RemoteProtocolError("", "the answer is none of true, false, invalid", "MALFORMED")
            return word
        if isinstance(intent, CreateTrade):
            token, refusal, detail = read_created(response, credentials.merchant, credentials.ring)
            if refusal:
                return Rejection(m.NEUTRAL_CODE.get(refusal, "SYSTEM"), refusal, detail)
            page = self.encode(EnterTrade(merchant="", code=token), credentials, now)
            return TradeOpened("", page.link(), token)
        if not isinstance(intent, QueryTrade):
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        leaves, refusal = read_found(response, credentials.ring)
        if refusal:
            code = m.NEUTRAL_QUERY_CODE.get(refusal) or m.NEUTRAL_CODE.get(refusal, "SYSTEM")
            return Rejection(code, refusal)
        view = replace(read_trade(leaves), merchant=credentials.merchant)
        for name in ("trade_no", "out_trade_no"):
            if getattr(intent, name) not in ("", getattr(view, name)):
                raise RemoteProtocolError(name, "the answer is about another trade", "MALFORMED")
        return TradeFound(view)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Only the body counts. The document is read after its signature is verified (T18)."""
        if request.method != "POST":
            raise RemoteProtocolError("", "a notification is a POST", "MALFORMED")
        fields = read_form((request.body,))
        authenticate((ordered(fields),), fields.get("sign", ""), credentials.ring)
        expected = {"service": m.CREATE, "v": m.NOTICE_VERSION, "sec_id": m.ALGORITHM}
        for name, word in expected.items():
            if fields.get(name) != word:
                raise invalid(name, f"is not {word}")
        data = required(fields, "notify_data")
        return read_notice(read_document(data, "notify_data", m.NOTICE_ROOT))

    def acknowledge(self, accepted: bool) -> Response:
        return http.text("success" if accepted else "fail")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Two numbers under a signature; all other names in the address are the shop's own."""
        source = request.body if request.method == "POST" else request.raw_query
        fields = read_form((source,))
        kept = {name: value for name, value in fields.items() if name in m.RETURN_NAMES}
        if fields.get("sign_type", "") != m.ALGORITHM:
            raise InvalidSignature("sign_type", f"is not {m.ALGORITHM}", "SIGN_TYPE_NOT_ALLOWED")
        authenticate((canonical(kept),), fields.get("sign", ""), credentials.ring)
        check_shift(kept)
        if any("&" in value or "=" in value for value in kept.values()):
            raise invalid("out_trade_no", "holds a mark that moves a border", "AMBIGUOUS_SPLIT")
        own = {*m.RETURN_NAMES, "sign", "sign_type"}
        return read_return(kept, {name: value for name, value in fields.items() if name not in own})


def _query_address(gateway: str) -> str:
    """Where queries go: the main gateway in production, else beside this one."""
    return m.QUERY_GATEWAY if gateway == m.GATEWAY else gateway.removesuffix(m.REST_PATH) + m.GATEWAY_PATH


def _complete(intent: Intent, credentials: Credentials) -> Intent:
    """The intent with what the settings say wherever it is silent."""
    if not intent.merchant:
        intent = replace(intent, merchant=credentials.merchant)
    if not isinstance(intent, CreateTrade):
        return intent
    values = credentials.values
    name = values.get("seller_account_name", "") or credentials.merchant
    seller = Party(name) if name == credentials.merchant else Party("", name)
    return replace(
        intent,
        seller=intent.seller or seller,
        notify_url=intent.notify_url or values.get("notify_url", ""),
        return_url=intent.return_url or values.get("return_url", ""),
    )


def _check_said(intent: Intent, fields: Mapping[str, str]) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    try:
        check_shift(fields)
        read = read_intent(fields["service"], fields)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    if isinstance(intent, ConfirmNotification):
        return  # an id with percent signs is another platform's, and says what it says
    lost = find_loss(intent, read)
    if lost:
        raise LocalProtocolError(lost, "the interface cannot say this", "FIELD_INVALID")
