"""The merchant's half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant, business_date
from tongbao.protocols.alipay_mapi import code as c
from tongbao.protocols.alipay_mapi import counter
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.protocols.alipay_mapi.account import EXPORT_MAX
from tongbao.protocols.alipay_mapi.answer import LONG, Envelope, read_envelope, read_page, read_text
from tongbao.protocols.alipay_mapi.bill import read_rows
from tongbao.protocols.alipay_mapi.codec import (
    ALGORITHMS,
    CAREFUL_CODECS,
    CODECS,
    LIMITS,
    MD5,
    NOTICE_LIMITS,
    NOTIFICATION_LIMITS,
    RSA,
    authenticate,
    canonical,
    check_shift,
    decode_fields,
    merge,
    signed,
)
from tongbao.protocols.alipay_mapi.device import write_order
from tongbao.protocols.alipay_mapi.request import read_intent, write_intent, write_service
from tongbao.protocols.alipay_mapi.result import PAID_OUT, REFUNDED, read_batch_notice, read_found_refunds
from tongbao.protocols.alipay_mapi.view import read_base, read_event, read_view
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.form import encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.movement import (
    BatchTaken,
    MovementsFound,
    PayOutBatch,
    QueryMovements,
    QueryRefund,
    RefundBatch,
    RefundFound,
)
from tongbao.wire.party import Party
from tongbao.wire.setting import check_addresses
from tongbao.wire.sign import load_rsa_private, load_rsa_public, load_secret
from tongbao.wire.vocabulary import (
    Carriage,
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    Done,
    Intent,
    Notification,
    Outcome,
    Presentation,
    QueryTrade,
    Rejection,
    RequestTimestamp,
    Role,
    ShipTrade,
    TimestampIssued,
    TradeFound,
    TradeView,
)

GATEWAY: Final = "https://mapi.alipay.com/gateway.do"
SANDBOX_GATEWAY: Final = "https://mapi.alipaydev.com/gateway.do"
_WORDS: Final = {b"true": Confirmed(True), b"false": Confirmed(False), b"invalid": Confirmed(False, understood=False)}


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        partner = values["partner"]
        if not partner.isascii() or not partner.isalnum() or len(partner) > 16:
            raise ConfigurationError("partner", "is not the 16 digits of a merchant's number")
        values["sign_type"] = values["sign_type"] or MD5
        if values["sign_type"] not in ALGORITHMS:
            raise ConfigurationError("sign_type", f"is not one of {', '.join(ALGORITHMS)}")
        values["charset"] = (values["charset"] or "utf-8").lower()
        if values["charset"] not in CODECS:
            raise ConfigurationError("charset", f"is not one of {', '.join(CODECS)}")
        values["gateway"] = values["gateway"] or GATEWAY
        check_addresses(values, ("gateway", "return_url", "notify_url"))
        if not values["seller_id"] and not values["seller_email"]:
            values["seller_id"] = partner
        return Credentials(
            "alipay_mapi", partner, values["gateway"], values, _ring(partner, values["sign_type"], settings)
        )

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        values = credentials.values
        charset, codec = values["charset"], CAREFUL_CODECS[values["charset"]]
        intent = _complete(intent, credentials, now)
        fields = write_intent(intent) | {"partner": credentials.merchant, "_input_charset": charset}
        _check_said(intent, fields)
        service = m.SERVICES[fields["service"]]
        if not service.signed:
            plain = tuple((name, value) for name, value in sorted(fields.items()) if value)
            return Call(service.carriage, "GET", credentials.gateway, plain, codec)
        key = credentials.ring.signing(values["sign_type"])
        if service.carriage is Carriage.DEVICE:
            body = write_order(fields, codec, key)
            kind = ((b"Content-Type", f"text/plain; charset={charset}".encode("ascii")),)
            return Call(service.carriage, "POST", credentials.gateway, (), codec, kind, body=body)
        pairs = tuple(signed(fields, codec, key).items())
        if len(encode_form(pairs, codec)) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        query = (("_input_charset", charset),)
        return Call(service.carriage, "POST", credentials.gateway, pairs, codec, query=query)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if isinstance(intent, ConfirmNotification):
            word = _WORDS.get(response.body) if response.status == 200 else None
            if word is None:
                raise RemoteProtocolError("", "the answer is none of true, false, invalid", "MALFORMED")
            return word
        at_counter = isinstance(intent, CreateTrade) and intent.presentation in (Presentation.QR, Presentation.BARCODE)
        if (isinstance(intent, CreateTrade) and not at_counter) or getattr(intent, "asks_password", False):
            raise LocalProtocolError("", "the answer to this request is a page for a browser")
        charset, algorithm = credentials.values["charset"], credentials.values["sign_type"]
        if isinstance(intent, QueryRefund):
            return _refunds(intent, read_text(response, charset, algorithm, credentials.ring))
        if isinstance(intent, QueryMovements) and intent.page_size != EXPORT_MAX:
            page = read_page(response, charset, algorithm, credentials.ring)
            return _page(intent, page) if isinstance(page, MovementsFound) else _rejection(intent, page)
        limits = {"limits": LONG} if isinstance(intent, QueryMovements) else {}
        envelope = read_envelope(response, charset, algorithm, credentials.ring, **limits)
        if envelope.word == "F":
            # refused before the counter's rules were asked, and unsigned where every other answer is signed
            return replace(_rejection(intent, envelope.error), proven=envelope.signed or not at_counter)
        if isinstance(intent, RefundBatch | PayOutBatch):
            return BatchTaken(intent.batch_no)
        if isinstance(intent, CreateTrade):
            return _opened(replace(intent, merchant=credentials.merchant), envelope)
        if isinstance(intent, RequestTimestamp):
            return TimestampIssued(_leaf(envelope, "timestamp", "encrypt_key"))
        if envelope.leaves is None and not isinstance(intent, QueryTrade | QueryMovements):
            return Done()
        if not envelope.signed:
            raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
        if isinstance(intent, QueryMovements):
            return _export(envelope)
        if isinstance(intent, QueryTrade):
            _leaf(envelope, "trade", "trade_no")
            view = replace(read_view(envelope.leaves or {}), merchant=credentials.merchant)
            _check_same(intent, view)
            return TradeFound(view)
        if isinstance(intent, ShipTrade):
            _leaf(envelope, "tradeBase", "trade_no")
            view = read_base(envelope.leaves or {})
            _check_same(intent, view)
            return Done(view)
        return Done()

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Only the body counts: what the shop keeps in the query of its own notify_url is neither signed nor read.

        There is no freshness window (step 10): a notification may be repeated for a day, and its age is judged by
        asking notify_verify.
        """
        if request.method != "POST":
            raise RemoteProtocolError("", "a notification is a POST", "MALFORMED")
        fields = _authentic(merge((request.body,), NOTICE_LIMITS), credentials)
        if fields.get("notify_type") in (REFUNDED, PAID_OUT):
            return read_batch_notice(fields)
        if "is_success" in fields:  # a return's own field: what a browser brought stays a return, wherever it is sent
            return read_event(fields, Role.RETURN, {})
        return read_event(fields, Role.NOTIFICATION, {})

    def acknowledge(self, accepted: bool) -> Response:
        return http.text("success" if accepted else "fail")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Names that no return has are the shop's own (``?code=alipay``): they are set aside as unsigned."""
        source = request.body if request.method == "POST" else request.raw_query
        raw = merge((source,), NOTIFICATION_LIMITS)
        kept = {
            name: value for name, value in raw.items() if name in m.UNSIGNED or name.decode("latin-1") in m.RETURN_NAMES
        }
        rest = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw.items() if name not in kept}
        return read_event(_authentic(kept, credentials), Role.RETURN, rest)


_PLAIN: Final = (
    "partner", "seller_id", "seller_email", "sign_type", "charset", "gateway", "return_url", "notify_url",
)  # fmt: skip


def _ring(partner: str, algorithm: str, settings: Mapping[str, str]) -> KeyRing:
    if algorithm == MD5:
        secret = load_secret(settings.get("key") or "", "key", published=m.PUBLISHED_KEYS)
        both = Key(partner, 1, MD5, secret)
        return KeyRing(partner, (both,), (both,))
    mine = Key(partner, 1, RSA, load_rsa_private(settings.get("private_key") or "", "private_key"))
    theirs = Key("platform", 1, RSA, load_rsa_public(settings.get("alipay_public_key") or "", "alipay_public_key"))
    return KeyRing(partner, (theirs,), (mine,))


def _complete(intent: Intent, credentials: Credentials, now: Instant) -> Intent:
    """The intent with what the settings say wherever it is silent."""
    if not intent.merchant:
        intent = replace(intent, merchant=credentials.merchant)
    if isinstance(intent, RefundBatch):
        asked_at = intent.asked_at or now
        return replace(intent, asked_at=Instant(asked_at - asked_at % 1_000))
    if isinstance(intent, QueryMovements):
        since, until = intent.since, intent.until
        return replace(  # whole seconds are said: a little more is asked for than less
            intent,
            since=None if since is None else Instant(since - since % 1_000),
            until=None if until is None else Instant(until + -until % 1_000),
        )
    if isinstance(intent, PayOutBatch):
        return replace(intent, day=intent.day or business_date(now))
    if not isinstance(intent, CreateTrade):
        return intent
    values = credentials.values
    seller = Party(values["seller_id"], values["seller_email"])
    if intent.presentation is Presentation.APP and seller.id:
        seller = Party(seller.id)
    return replace(
        intent,
        seller=intent.seller or seller,
        notify_url=intent.notify_url or values["notify_url"],
        return_url=intent.return_url or values["return_url"],
    )


def _check_said(intent: Intent, fields: Mapping[str, str]) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    try:
        check_shift(fields, m.REQUEST_NAMES, m.ADDRESSES)
        read = read_intent(fields["service"], {name: value for name, value in fields.items() if value})
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    if isinstance(intent, ConfirmNotification):
        return  # an id with percent signs is another platform's, and says what it says
    lost = find_loss(intent, read)
    if lost:
        raise LocalProtocolError(lost, "the interface cannot say this", "FIELD_INVALID")


def _authentic(raw: Mapping[bytes, bytes], credentials: Credentials) -> dict[str, str]:
    """Receiver steps 4 to 9 for fields already split: the signed ones, as text. The algorithm is the configured one."""
    fields = decode_fields(raw, CODECS[credentials.values["charset"]])
    algorithm, sign_type = credentials.values["sign_type"], fields.pop("sign_type", "")
    signature = fields.pop("sign", "")
    if not signature or not sign_type:
        raise InvalidSignature("sign" if not signature else "sign_type", "is missing", "SIGN_MISSING")
    if sign_type != algorithm:
        raise InvalidSignature("sign_type", f"is not {algorithm}", "SIGN_TYPE_NOT_ALLOWED")
    authenticate(canonical(raw), signature, algorithm, credentials.ring)
    check_shift(fields, m.NOTICE_NAMES, ())
    return {name: value for name, value in fields.items() if value}


def _leaf(envelope: Envelope, element: str, name: str) -> str:
    value = (envelope.leaves or {}).get(name, "")
    if envelope.word != "T" or envelope.name != element or not value:
        raise RemoteProtocolError(name, f"is missing from {element}", "FIELD_MISSING")
    return value


def _rejection(intent: Intent, word: str) -> Rejection:
    """The refusal in our words; a service's own list comes first."""
    service = write_service(intent)
    code = c.NEUTRAL_CODE_OF.get(service, {}).get(word) or c.NEUTRAL_CODE.get(word, "SYSTEM")
    return Rejection(code, word)


def _opened(intent: CreateTrade, envelope: Envelope) -> Outcome:
    """What became of a trade at a counter: its QR code, its payment, or the refusal of the rules; all are signed."""
    result = _leaf(envelope, "alipay", "result_code")
    if not envelope.signed:
        raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
    leaves = envelope.leaves or {}
    if result == counter.DONE and intent.presentation is Presentation.QR:
        return counter.read_opened(leaves, intent.out_trade_no)
    if result == counter.PAID and intent.presentation is Presentation.BARCODE:
        return TradeFound(counter.read_paid(leaves, intent.out_trade_no, intent.merchant))
    word = leaves.get("detail_error_code", "")
    if result == counter.PAYING:
        return Rejection("BUYER_PAYING", word)
    word = _leaf(envelope, "alipay", "detail_error_code")
    return Rejection(c.NEUTRAL_CODE.get(word, "SYSTEM"), word)


def _refunds(intent: QueryRefund, fields: Mapping[str, str]) -> Outcome:
    if fields["is_success"] == "F":
        return _rejection(intent, fields["error_code"])
    refunds = read_found_refunds(fields)
    for view in refunds:
        for name in ("batch_no", "trade_no"):
            if getattr(intent, name) not in ("", getattr(view, name)):
                raise RemoteProtocolError(name, "the answer is about another refund", "MALFORMED")
    return RefundFound(refunds, total=len(refunds))


def _page(intent: QueryMovements, page: MovementsFound) -> MovementsFound:
    if page.page != intent.page or (intent.page_size and page.page_size != intent.page_size):
        raise RemoteProtocolError("page_no", "the answer is another page", "MALFORMED")
    return page


def _export(envelope: Envelope) -> MovementsFound:
    lines = read_rows(_leaf(envelope, "csv_result", "csv_data"))
    if _leaf(envelope, "csv_result", "count") != str(len(lines)):
        raise RemoteProtocolError("count", "is not the number of lines", "BATCH_INVALID")
    return MovementsFound(lines, 1, EXPORT_MAX, more=False)


def _check_same(intent: QueryTrade | ShipTrade, view: TradeView) -> None:
    """The signature does not cover the question, so the answer itself must be about the trade that was asked for."""
    for name in ("trade_no", "out_trade_no"):
        asked = getattr(intent, name)
        if asked and asked != getattr(view, name):
            raise RemoteProtocolError(name, "the answer is about another trade", "MALFORMED")
