"""The merchant's half."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v2 import codec
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.protocols.wechatpay_v2.request import read_intent, write_intent
from tongbao.protocols.wechatpay_v2.view import (
    read_refund,
    read_refund_notice,
    read_refunds,
    read_trade,
    read_transfer,
    read_transfer_found,
)
from tongbao.wire.certificate import certificate_key, common_names, load_chain
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.http import Request, Response, split_url
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.movement import (
    Answered,
    BillOpened,
    CallByName,
    Cancelled,
    CancelTrade,
    FetchBill,
    PayOut,
    PayOutFound,
    QueryPayOut,
    QueryRefund,
    RefundFound,
    RefundTrade,
)
from tongbao.wire.party import Party
from tongbao.wire.sign import load_rsa_private, load_secret
from tongbao.wire.vocabulary import (
    Carriage,
    CloseTrade,
    CreateTrade,
    Done,
    Intent,
    Notification,
    Outcome,
    Presentation,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeOpened,
    TradeView,
)

GATEWAY: Final = "https://api.mch.weixin.qq.com"
SCAN: Final = "weixin://wxpay/bizpayurl?pr="
PREPAID: Final = "wx"
TIME_DIGITS: Final = 14
YES: Final = b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
NO: Final = b"<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[FAIL]]></return_msg></xml>"
_MCH_ID: Final = re.compile(r"[0-9]{8,10}", re.ASCII)
_APPID: Final = re.compile(r"[0-9A-Za-z_-]{6,32}", re.ASCII)
_PLAIN: Final = ("mch_id", "appid", "sign_type", "gateway", "notify_url")
_PATH: Final = re.compile(r"(?:/[0-9A-Za-z_]{1,64}){1,5}", re.ASCII)
_FIELD: Final = re.compile(r"[A-Za-z_][0-9A-Za-z_]{0,63}", re.ASCII)
_OURS: Final = frozenset(("sign", "sign_type", "nonce_str"))
_GZIP: Final = b"\x1f\x8b"


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        secret = load_secret(settings.get("key") or "", "key", shortest=32, published=m.PUBLISHED_KEYS)
        if len(secret) != m.SECRET_LENGTH:
            raise ConfigurationError("key", f"does not have {m.SECRET_LENGTH} characters")
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        if not _MCH_ID.fullmatch(values["mch_id"]):
            raise ConfigurationError("mch_id", "is not the 8 to 10 digits of a merchant's number")
        if not _APPID.fullmatch(values["appid"]):
            raise ConfigurationError("appid", "is no appid")
        values["sign_type"] = values["sign_type"] or m.HMAC
        if values["sign_type"] not in m.ALGORITHMS:
            raise ConfigurationError("sign_type", f"is not one of {', '.join(m.ALGORITHMS)}")
        values["gateway"] = (values["gateway"] or GATEWAY).rstrip("/")
        for name in ("gateway", "notify_url"):
            if values[name]:
                try:
                    split_url(values[name])
                except ValueError as error:
                    raise ConfigurationError(name, str(error)) from error
        _check_certificate(settings, values["mch_id"])
        key = Key(values["mch_id"], 1, values["sign_type"], secret)
        ring = KeyRing(values["mch_id"], (key,), (key,))
        return Credentials("wechatpay_v2", values["mch_id"], values["gateway"], values, ring)

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        if isinstance(intent, CallByName):
            return _named(intent, credentials, now)
        intent = _complete(intent, credentials)
        service, said = write_intent(intent)
        key = credentials.ring.signing(credentials.values["sign_type"])
        fields = {
            service.appid: credentials.values["appid"],
            service.merchant: credentials.merchant,
            "sign_type": key.algorithm if key.algorithm != m.MD5 else "",
            **said,
        }
        fields["nonce_str"] = _nonce(credentials, service, fields, now)
        _check_said(intent, service, fields, credentials)
        body = codec.write_fields(codec.signed(fields, key))
        headers = ((b"Content-Type", codec.KIND.encode("ascii")),)
        return Call(Carriage.SERVER, "POST", f"{credentials.gateway}{service.path}", (), headers=headers, body=body)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if response.status == 400 and b"SSL certificate" in response.body:
            reason = "the address asks for the merchant's client certificate"
            return Rejection("CERT_REQUIRED", "CA_ERROR", reason, proven=False)
        if response.status != 200:
            raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
        if isinstance(intent, FetchBill) and not response.body.lstrip().startswith(b"<"):
            return BillOpened((response.body,), response.body.startswith(_GZIP))
        fields = codec.read_fields(response.body)
        refused = _rejection(intent, fields, credentials)
        if refused is not None:
            return refused
        _authenticate(intent, fields, credentials)
        if isinstance(intent, CallByName):
            for name in ("mch_id", "mchid"):
                if fields.get(name, credentials.merchant) != credentials.merchant:
                    raise RemoteProtocolError(name, "is another merchant's", "FIELD_INVALID")
            return Answered(fields)
        codec.check_app(fields, credentials.values["appid"])
        name = "mchid" if isinstance(intent, PayOut) else "mch_id"
        if fields.get(name) != credentials.merchant:
            raise RemoteProtocolError(name, "is another merchant's", "FIELD_INVALID")
        return _read(intent, fields, credentials.merchant)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """A payment is signed; a refund is only encrypted, in a way that proves nothing: believe it after a query."""
        if request.method != "POST":
            raise RemoteProtocolError("", "a notification is a POST", "MALFORMED")
        fields = codec.read_fields(request.body)
        if "req_info" in fields:
            return _refund_notice(fields, credentials)
        codec.authenticate(fields, credentials.values["sign_type"], credentials.ring)
        if fields.get("return_code") != "SUCCESS" or fields.get("result_code") != "SUCCESS":
            raise codec.invalid("result_code", "is not SUCCESS")
        if fields.get("mch_id") != credentials.merchant:
            raise RemoteProtocolError("mch_id", "is another merchant's", "SELLER_UNKNOWN")
        codec.check_app(fields, credentials.values["appid"])
        return Notification(id="", at=None, trade=read_trade(fields, credentials.merchant, paid=True))

    def acknowledge(self, accepted: bool) -> Response:
        body = YES if accepted else NO
        headers = ((b"Content-Type", codec.KIND.encode("ascii")), (b"Content-Length", str(len(body)).encode("ascii")))
        return Response(200, headers, body)

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """There is none: the buyer's browser comes home with nothing that proves anything."""
        raise RemoteProtocolError("", "the interface has no signed return", "SIGN_MISSING")


def _check_certificate(settings: Mapping[str, str], mch_id: str) -> None:
    """The client certificate that the transport will show: whole, with its own key, and this merchant's (sheet: the
    subject's common name is the merchant's number). Raises ConfigurationError."""
    text, secret = settings.get("certificate"), settings.get("private_key")
    if text is None and secret is None:
        return
    private = load_rsa_private(secret or "", "private_key", smallest=2_048)
    leaf = load_chain(text or "", "certificate")[0]
    if certificate_key(leaf, "certificate").public_numbers() != private.public_key().public_numbers():
        raise ConfigurationError("certificate", "does not belong to the private key")
    if common_names(leaf) != [mch_id]:
        raise ConfigurationError("certificate", "is another merchant's: its common name is not mch_id")


def _may_be_unsigned(intent: Intent) -> bool:
    """Whether the interface signs no answer to this (sheet wechatpay, section 2.1)."""
    if isinstance(intent, CallByName):
        return intent.method in m.UNSIGNED_ANSWERS
    return isinstance(intent, PayOut | QueryPayOut)


def _authenticate(intent: Intent, fields: Mapping[str, str], credentials: Credentials) -> None:
    """The signature of an answer, which must be right, and must be there where answers are signed. Raises
    InvalidSignature."""
    if fields.get("sign"):
        codec.authenticate(fields, credentials.values["sign_type"], credentials.ring)
    elif not _may_be_unsigned(intent):
        raise InvalidSignature("sign", "is missing", "SIGN_MISSING")


def _named(intent: CallByName, credentials: Credentials, now: Instant) -> Call:
    """Any request by its path, its fields as texts or whole numbers. Who asks is added, under the names that address or
    content have for merchant and appid. Raises LocalProtocolError."""
    if intent.public:
        raise LocalProtocolError("public", "nothing stands beside the content here", "FIELD_INVALID")
    if _PATH.fullmatch(intent.method) is None:
        raise LocalProtocolError("method", "is no path of the interface", "FIELD_INVALID")
    said: dict[str, str] = {}
    for name, value in intent.content.items():
        if _FIELD.fullmatch(name) is None or name in _OURS:
            raise LocalProtocolError(name, "is no name of a field, or one that is filled in here", "FIELD_INVALID")
        if type(value) not in (str, int):
            raise LocalProtocolError(name, "is neither text nor a whole number", "FIELD_INVALID")
        said[name] = str(value)
    service = m.SERVICES.get(intent.method) or m.Service(intent.method, CallByName)
    key = credentials.ring.signing(credentials.values["sign_type"])
    fields = {"sign_type": key.algorithm if key.algorithm != m.MD5 else "", **said}
    if not fields.keys() & {"appid", "mch_appid", "wxappid"}:
        fields[service.appid] = credentials.values["appid"]
    fields.setdefault("mchid" if "mchid" in said else service.merchant, credentials.merchant)
    if any(fields.get(name, credentials.merchant) != credentials.merchant for name in ("mch_id", "mchid")):
        raise LocalProtocolError("merchant", "these are another merchant's credentials")
    fields["nonce_str"] = _nonce(credentials, service, fields, now)
    body = codec.write_fields(codec.signed(fields, key))
    headers = ((b"Content-Type", codec.KIND.encode("ascii")),)
    return Call(Carriage.SERVER, "POST", f"{credentials.gateway}{intent.method}", (), headers=headers, body=body)


def _complete(intent: Intent, credentials: Credentials) -> Intent:
    """The intent with what the settings say wherever it is silent."""
    intent = replace(intent, merchant=credentials.merchant)
    if not isinstance(intent, CreateTrade):
        return intent
    if intent.seller == Party(credentials.merchant):
        intent = replace(intent, seller=Party())
    if intent.presentation is Presentation.BARCODE:
        return intent
    return replace(intent, notify_url=intent.notify_url or credentials.values["notify_url"])


def _nonce(credentials: Credentials, service: m.Service, fields: Mapping[str, str], now: Instant) -> str:
    if credentials.entropy is not None:
        return codec.derived_nonce(credentials.entropy.token(32))
    said = codec.canonical(fields).encode("utf-8", "surrogatepass")
    return codec.derived_nonce(codec.shared(credentials.ring), service.path.encode(), said, str(now).encode())


def _check_said(intent: Intent, service: m.Service, fields: Mapping[str, str], credentials: Credentials) -> None:
    """Read the request as the platform will; raise LocalProtocolError where it does not say the whole intent."""
    try:
        sent = codec.read_fields(codec.write_fields({name: value for name, value in fields.items() if value}))
        read = read_intent(service, sent, credentials.merchant)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    said: Any = intent
    if isinstance(intent, QueryTrade) and intent.out_trade_no:
        said = replace(intent, trade_no="")  # one number names the trade; the answer is compared with both
    if isinstance(intent, CreateTrade) and intent.presentation is Presentation.H5:
        said = replace(intent, return_url="")  # said behind the link that is answered
    lost = find_loss(said, read)
    if lost:
        raise LocalProtocolError(lost, "the interface cannot say this", "FIELD_INVALID")


def _rejection(intent: Intent, fields: Mapping[str, str], credentials: Credentials) -> Rejection | None:
    """A refusal: of the communication, which is never signed and proves nothing where answers are signed (T82), or of
    what was asked, which is signed like a success (sheet wechatpay, section 2.1)."""
    if fields.get("return_code") == "FAIL":
        text = fields.get("return_msg", "")
        word = next((word for word, begin in m.RETURNED.items() if text.startswith(begin)), "")
        word = word or (text if text in m.WIRE_CODE.values() else "FAIL")
        code, proven = m.NEUTRAL_CODE.get(word, "STATE_CONFLICT"), _may_be_unsigned(intent)
        return Rejection(code, word, text[:256], proven=proven)
    if fields.get("return_code") != "SUCCESS":
        raise codec.invalid("return_code", "is neither SUCCESS nor FAIL")
    if fields.get("result_code") == "FAIL":
        _authenticate(intent, fields, credentials)
        word = codec.text(fields, "err_code", 64, needed=True)
        code = m.NEUTRAL_CODE.get(word, "STATE_CONFLICT")
        if isinstance(intent, RefundTrade) and word == "INVALID_REQUEST":
            # other parameters than at the first call of this number (section 2.3): the refund may have happened
            code = "REFUND_MISMATCH"
        return Rejection(code, word, fields.get("err_code_des", "")[:256])
    if fields.get("result_code") != "SUCCESS":
        raise codec.invalid("result_code", "is neither SUCCESS nor FAIL")
    return None


def with_home(url: str, home: str) -> str:
    """An MWEB link with the address to which the buyer's browser goes afterwards."""
    return f"{url}{'&' if '?' in url else '?'}redirect_url={quote(home, safe='')}" if home else url


# --- reading answers ---------------------------------------------------------------------------------------------


def _compare(asked: Any, told: Any, *names: str) -> None:
    """The answer is about what was asked for."""
    for name in names:
        if getattr(asked, name) and getattr(asked, name) != getattr(told, name):
            raise RemoteProtocolError(name, "the answer is about another one", "MALFORMED")


def _opened(intent: CreateTrade, fields: Mapping[str, str]) -> TradeOpened:
    prepaid = codec.text(fields, "prepay_id", 64, needed=True)
    code = prepaid[len(PREPAID) + TIME_DIGITS :]
    url = prepaid
    if intent.presentation is Presentation.QR:
        url = codec.text(fields, "code_url", 512, needed=True)
    if intent.presentation is Presentation.H5:
        url = with_home(codec.text(fields, "mweb_url", 512, needed=True), intent.return_url)
    return TradeOpened("", url, code, prepaid)


def _read(intent: Intent, fields: Mapping[str, str], mch_id: str) -> Outcome:
    if isinstance(intent, CreateTrade):
        if intent.presentation is not Presentation.BARCODE:
            return _opened(intent, fields)
        paid = read_trade(fields, mch_id, paid=True)
        _compare(intent, paid, "out_trade_no", "amount")
        return TradeFound(paid)
    if isinstance(intent, QueryTrade):
        view = read_trade(fields, mch_id, paid=False)
        _compare(intent, view, "out_trade_no", *(["trade_no"] if view.trade_no else []))
        return TradeFound(view)
    if isinstance(intent, CloseTrade):
        return Done()
    if isinstance(intent, CancelTrade):
        if fields.get("recall", "N") == "Y":
            return Rejection("SYSTEM", "SYSTEMERROR", "call again")
        return Cancelled(intent.trade_no, intent.out_trade_no, "")
    return _read_after(intent, fields, mch_id)


def _read_after(intent: Intent, fields: Mapping[str, str], mch_id: str) -> Outcome:
    if isinstance(intent, RefundTrade):
        refund = read_refund(fields, mch_id)
        _compare(intent, refund, "refund_no", "trade_no", "out_trade_no", "amount", "total")
        return RefundFound((refund,))
    if isinstance(intent, QueryRefund):
        found = read_refunds(fields, mch_id)
        for refund in found.refunds if intent.refund_no or intent.refund_id else found.refunds[:1]:
            _compare(intent, refund, "refund_no", "refund_id", "trade_no", "out_trade_no")
        return found
    if isinstance(intent, PayOut):
        view = read_transfer(fields, mch_id)
        _compare(intent, view, "payout_no")
        return PayOutFound((replace(view, amount=intent.amount, payee=intent.payee, memo=intent.memo),))
    if isinstance(intent, QueryPayOut):
        view = read_transfer_found(fields, mch_id)
        _compare(intent, view, "payout_no")
        return PayOutFound((view,))
    raise LocalProtocolError("", f"the interface has no {type(intent).__name__}", "UNKNOWN_SERVICE")


def _refund_notice(fields: Mapping[str, str], credentials: Credentials) -> Notification:
    if fields.get("return_code") != "SUCCESS":
        raise codec.invalid("return_code", "is not SUCCESS")
    mch_id = credentials.merchant
    if fields.get("mch_id") != mch_id:
        raise RemoteProtocolError("mch_id", "is another merchant's", "SELLER_UNKNOWN")
    codec.check_app(fields, credentials.values["appid"])
    plain = codec.reveal(fields["req_info"], codec.notice_key(codec.shared(credentials.ring)))
    refund = read_refund_notice(codec.read_fields(plain, "root"), mch_id)
    trade = TradeView(
        merchant=mch_id,
        out_trade_no=refund.out_trade_no,
        trade_no=refund.trade_no,
        amount=refund.total,
        seller=Party(mch_id),
    )
    return Notification(id="", at=None, trade=trade, refund=refund)
