"""The merchant's half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import Certificate

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant, china_text
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.code import PAYING, SUCCESS
from tongbao.protocols.alipay_openapi.codec import (
    CAREFUL_CODECS,
    CODECS,
    EVENT_UNSIGNED,
    LIMITS,
    NOTIFICATION_LIMITS,
    REQUEST_UNSIGNED,
    RSA2,
    authenticate,
    check_shift,
    check_text,
    decode_fields,
    merge,
    signed,
)
from tongbao.protocols.alipay_openapi.envelope import node_name, plain_texts, read_answer
from tongbao.protocols.alipay_openapi.field import read_order, required
from tongbao.protocols.alipay_openapi.mode import root_serial, serial_of
from tongbao.protocols.alipay_openapi.named import plain_fields, read_named, token_header
from tongbao.protocols.alipay_openapi.outcome import is_codeless, read_outcome, read_rejection
from tongbao.protocols.alipay_openapi.payee import ask_account
from tongbao.protocols.alipay_openapi.request import read_intent, write_intent
from tongbao.protocols.alipay_openapi.rest import read_rest_answer, write_auth
from tongbao.protocols.alipay_openapi.secret import ALGORITHM, content_key, hide
from tongbao.protocols.alipay_openapi.setting import read_settings
from tongbao.protocols.alipay_openapi.view import read_event
from tongbao.protocols.alipay_openapi.word import public_of, whole
from tongbao.wire import http
from tongbao.wire.certificate import certificate_key, chain_pem, is_trusted, load_chain, organisation_of
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.form import Pairs, encode_form
from tongbao.wire.http import Request, Response, split_url
from tongbao.wire.json import write_json
from tongbao.wire.key import Key
from tongbao.wire.loss import find_loss
from tongbao.wire.movement import CallByName, CertificatesFound, FetchCertificates
from tongbao.wire.sign import decode_base64
from tongbao.wire.vocabulary import (
    Carriage,
    CreateTrade,
    Intent,
    Notification,
    Outcome,
    Presentation,
    QueryTrade,
    Rejection,
    Role,
)

_TOP: Final = ("notify_url", "return_url")


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        return read_settings(settings)

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another application's credentials")
        intent = _complete(intent, credentials)
        if isinstance(intent, CallByName):
            method, (content, public) = intent.method, read_named(intent)
            service = m.SERVICES.get(method, m.Service(CallByName, verb=""))
        else:
            method, content = write_intent(intent)
            public = {}
            service = m.SERVICES[method]
            _check_said(intent, method, content, credentials.merchant)
        if method == m.ACCOUNT:
            content = {**ask_account(credentials), **content}
        if credentials.values.get("interface") == "v3" and service.verb:
            return _encode_rest(method, service.verb, content, public, credentials, now)
        return _encode_form(method, service.carriage, content, public, credentials, now)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        method = _method_of(intent)
        service = m.SERVICES.get(method)
        if service is not None and service.carriage is not Carriage.SERVER:
            raise LocalProtocolError("", "the answer to this request is a page for the buyer")
        values, ring = credentials.values, credentials.ring
        if values.get("interface") == "v3" and service is not None and service.verb:
            return _decode_rest(intent, response, credentials)
        charset, algorithm = values.get("charset", "utf-8"), values.get("sign_type", RSA2)
        # the certificate that the platform signs with now may be the very one that is asked for: its roots prove it
        proven = isinstance(intent, FetchCertificates) and values.get("mode") == "certificate"
        answer = read_answer(response, node_name(method), charset, algorithm, ring, proven=proven)
        code = answer.content.get("code", "")
        # what a method that is not ours says when it is done, nobody knows: all but a refusal must be signed
        success = code == SUCCESS or (not code and is_codeless(method))
        if success and not answer.signed:
            raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
        if success and values.get("mode") == "certificate" and not answer.serial:
            raise InvalidSignature("alipay_cert_sn", "is missing", "SIGN_MISSING")
        if success and isinstance(intent, FetchCertificates):
            return CertificatesFound(intent.serial, _certificates(answer.content, intent.serial, credentials, now))
        outcome = read_outcome(intent, answer.content)
        # an unsigned failure is reported as one; it proves nothing, and nothing is booked by it
        return replace(outcome, proven=False) if isinstance(outcome, Rejection) and not answer.signed else outcome

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Only the body counts: what the shop keeps in the query of its own address is neither signed nor read."""
        if request.method != "POST":
            raise RemoteProtocolError("", "a notification is a POST", "MALFORMED")
        fields = _authentic(merge((request.body,), NOTIFICATION_LIMITS), credentials)
        back = fields.get("method", "").endswith(".return")
        return read_event(fields, Role.RETURN if back else Role.NOTIFICATION, {})

    def acknowledge(self, accepted: bool) -> Response:
        return http.text("success" if accepted else "fail")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Names that no return has are the shop's own: they are set aside as unsigned."""
        raw = merge((request.body if request.method == "POST" else request.raw_query,), NOTIFICATION_LIMITS)
        kept = {name: value for name, value in raw.items() if name.decode("latin-1") in m.RETURN_NAMES}
        rest = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw.items() if name not in kept}
        return read_event(_authentic(kept, credentials), Role.RETURN, rest)


def trust(credentials: Credentials, certificate: str, now: Instant) -> Credentials:
    """The credentials, knowing one more certificate of the platform (PEM), which a configured root must have issued.

    The roots issue merchants' certificates as well: so it must be the organisation's whose certificate is configured,
    and not the application's own (T20). For when an answer names a certificate that is not known: ask FetchCertificates
    for it, and go on with these. Raises RemoteProtocolError for a certificate that proves nothing.
    """
    roots = _roots(credentials)
    try:
        leaf = load_chain(certificate, "alipay_cert_content")[0]
        key = certificate_key(leaf, "alipay_cert_content")
    except ConfigurationError as error:
        raise RemoteProtocolError(error.field, error.reason) from error
    if not is_trusted(leaf, roots, now):
        raise InvalidSignature("alipay_cert_content", "is issued by none of the configured roots", "KEY_UNKNOWN")
    if any(_is_key_of(own, key) for own in credentials.ring.sign):
        raise InvalidSignature("alipay_cert_content", "is the application's own certificate", "KEY_UNKNOWN")
    if organisation_of(leaf) not in {organisation_of(one.chain[0]) for one in credentials.ring.verify if one.chain}:
        raise InvalidSignature("alipay_cert_content", "is another organisation's than alipay_cert", "KEY_UNKNOWN")
    algorithm = credentials.values.get("sign_type", RSA2)
    more = Key(serial_of(leaf), 1, algorithm, key, chain=(leaf, *roots))
    ring = credentials.ring
    return replace(credentials, ring=replace(ring, verify=(*ring.verify, more)))


def _is_key_of(own: Key, public: RSAPublicKey) -> bool:
    mine = own.material
    return isinstance(mine, RSAPrivateKey) and mine.public_key().public_numbers() == public.public_numbers()


def _roots(credentials: Credentials) -> tuple[Certificate, ...]:
    return next((key.chain[1:] for key in credentials.ring.verify if key.chain), ())


def _certificates(content: Mapping[str, Any], serial: str, credentials: Credentials, now: Instant) -> tuple[str, ...]:
    """The certificate in an answer, proven by the roots; none in key mode, which has no roots."""
    said = str(content.get("alipay_cert_content", ""))
    if not said or credentials.values.get("mode") != "certificate":
        return ()
    raw = decode_base64(said)
    if raw is None:
        raise RemoteProtocolError("alipay_cert_content", "is not base64", "FIELD_INVALID")
    text = raw.decode("latin-1")
    known = trust(credentials, text, now).ring.verify[-1]
    if serial_of(known.chain[0]) != serial:
        raise RemoteProtocolError("alipay_cert_content", "is another certificate than was asked for")
    return (chain_pem(known.chain[:1]),)


def inquiry(notification: Request, credentials: Credentials) -> QueryTrade | None:
    """What to ask about a notification that the known certificates have not signed: the trade that it names, since the
    answer names the platform's certificate. None where nothing would be learnt: in key mode, and about another
    application's."""
    if credentials.values.get("mode") != "certificate":
        return None
    try:
        fields = decode_fields(merge((notification.body,), NOTIFICATION_LIMITS), CODECS[credentials.values["charset"]])
        # a number that cannot be asked for is nobody's, and would use up the turn to ask
        number = read_order(fields)
    except RemoteProtocolError:
        return None
    if fields.get("app_id") != credentials.merchant:
        return None
    return QueryTrade(merchant=credentials.merchant, out_trade_no=number)


def order_string(call: Call) -> str:
    """What the merchant's app hands to the wallet's: the signed fields of ``alipay.trade.app.pay`` as one text."""
    return encode_form((*call.query, *call.fields), call.charset).decode("ascii")


def _method_of(intent: Intent) -> str:
    if isinstance(intent, CallByName):
        return intent.method
    if isinstance(intent, CreateTrade):
        return m.METHOD_OF_PRESENTATION[intent.presentation]
    method = m.METHOD_OF_INTENT.get(type(intent))
    if method is None:
        raise LocalProtocolError("intent", f"{type(intent).__name__} cannot be said here", "UNKNOWN_SERVICE")
    return method


def _complete(intent: Intent, credentials: Credentials) -> Intent:
    """The intent with what the settings say wherever it is silent."""
    if not intent.merchant:
        intent = replace(intent, merchant=credentials.merchant)
    if not isinstance(intent, CreateTrade):
        return intent
    values = credentials.values
    in_window = intent.presentation in (Presentation.PAGE, Presentation.H5)
    return replace(
        intent,
        notify_url=intent.notify_url or values.get("notify_url", ""),
        return_url=intent.return_url or (values.get("return_url", "") if in_window else ""),
    )


def _check_said(intent: Intent, method: str, content: Mapping[str, Any], merchant: str) -> None:
    """Read the content as the platform will; raise LocalProtocolError where it does not say the whole intent."""
    try:
        read = read_intent(method, merchant, plain_texts(dict(content), "biz_content"), {})
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    lost = find_loss(intent, read)
    if lost:
        raise LocalProtocolError(lost, "the interface cannot say this", "FIELD_INVALID")


def _serials(credentials: Credentials) -> dict[str, str]:
    """The serial numbers of certificate mode; {} in key mode."""
    if credentials.values.get("mode") != "certificate":
        return {}
    own = next((key.chain for key in credentials.ring.sign if key.chain), ())
    theirs = next((key.chain for key in credentials.ring.verify if key.chain), ())
    if not own or len(theirs) < 2:
        raise LocalProtocolError("mode", "there are no certificates", "CERT_REQUIRED")
    return {"app_cert_sn": serial_of(own[0]), "alipay_root_cert_sn": root_serial(theirs[1:])}


def _encode_form(
    method: str,
    carriage: Carriage,
    content: dict[str, Any],
    public: Mapping[str, str],
    credentials: Credentials,
    now: Instant,
) -> Call:
    values = credentials.values
    charset = values.get("charset", "utf-8")
    codec = CAREFUL_CODECS[charset]
    beside = plain_fields({name: content.pop(name) for name in _TOP if name in content})
    fields = {
        "app_id": credentials.merchant,
        "method": method,
        "format": "json",
        "charset": charset,
        "timestamp": china_text(now),
        "version": "1.0",
        **beside,
        **public,
        **_serials(credentials),
    }
    if method in m.TOP_LEVEL:
        fields |= plain_fields(content)
    elif content:
        fields["biz_content"] = write_json(content)
        check_text("biz_content", fields["biz_content"])
        if values.get("encrypt_type") == ALGORITHM and carriage is Carriage.SERVER:
            fields["biz_content"] = hide(_encoded(fields["biz_content"], codec), content_key(credentials.ring))
            fields["encrypt_type"] = ALGORITHM
    try:
        check_shift(fields, m.COMMON, (*_TOP, "biz_content"))
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    key = credentials.ring.signing(values.get("sign_type", RSA2))
    done = signed({**fields, "sign_type": key.algorithm}, codec, key, REQUEST_UNSIGNED).sign()
    # the charset stands in the address: a gateway may need it to read the body
    pairs = tuple((name, value) for name, value in done.items() if name != "charset")
    if len(encode_form(pairs, codec)) > LIMITS.size:
        raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
    return Call(carriage, "POST", credentials.gateway, pairs, codec, query=(("charset", charset),))


def _encoded(text: str, codec: str) -> bytes:
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raise LocalProtocolError("biz_content", f"holds characters that {codec} lacks", "BAD_CHARSET") from error


def _encode_rest(
    method: str,
    verb: str,
    content: dict[str, Any],
    public: Mapping[str, str],
    credentials: Credentials,
    now: Instant,
) -> Call:
    scheme, authority, path, _ = split_url(credentials.gateway)
    prefix = path.decode("ascii").removesuffix(m.GATEWAY_PATH).rstrip("/")
    url = f"{scheme}://{authority}{prefix}{m.rest_path(method)}"
    body = b""
    fields: Pairs = ()
    token, more = token_header(public)
    headers = list(more)
    target = m.rest_path(method)
    key = credentials.ring.signing(RSA2)
    if verb == "GET":
        fields = tuple(plain_fields(content).items())
        target += "?" + encode_form(fields).decode("ascii") if fields else ""
    else:
        body = write_json(content).encode("utf-8")
        kind = b"application/json"
        if credentials.values.get("encrypt_type") == ALGORITHM:
            body, kind = hide(body, content_key(credentials.ring)).encode("ascii"), b"text/plain"
            headers.append((b"alipay-encrypt-type", b"AES"))
        headers.append((b"Content-Type", kind))
    serials = _serials(credentials)
    items = {"app_id": credentials.merchant}
    if serials:
        items["app_cert_sn"] = serials["app_cert_sn"]
        headers.append((b"alipay-root-cert-sn", serials["alipay_root_cert_sn"].encode("ascii")))
    auth = write_auth(items, verb, target, body, key, now, credentials.entropy, token)
    headers += [(b"Authorization", auth.encode("ascii")), (b"Accept", b"application/json")]
    if verb == "GET":
        return Call(Carriage.SERVER, "GET", url, fields, headers=tuple(headers))
    return Call(Carriage.SERVER, verb, url, (), headers=tuple(headers), body=body)


def _decode_rest(intent: Intent, response: Response, credentials: Credentials) -> Outcome:
    serial = response.header("alipay-sn") or ""
    keys = list(credentials.ring.verifying(RSA2))
    signed = response.status in (200, 202) or response.header("alipay-signature") is not None
    if credentials.values.get("mode") == "certificate" and signed:
        keys = [key for key in keys if key.chain and serial_of(key.chain[0]) == serial]
        if not keys:
            reason = "names a certificate that is not known"
            raise InvalidSignature("alipay_cert_sn", reason, "KEY_UNKNOWN", serial[:64])
    hidden = content_key(credentials.ring) if credentials.values.get("encrypt_type") == ALGORITHM else None
    said = read_rest_answer(response, keys, hidden)
    if response.status == 202:
        return read_rejection(intent, {**said, "code": PAYING})
    if response.status != 200:
        failure = {**said, "code": public_of(response.status)}
        failure |= {"sub_code": whole(said["code"]), "sub_msg": said.get("message", "")}
        return replace(read_rejection(intent, failure), proven=signed)
    return read_outcome(intent, {**said, "code": "" if "access_token" in said else SUCCESS})


def _authentic(raw: Mapping[bytes, bytes], credentials: Credentials) -> dict[str, str]:
    """Receiver steps 4 to 9 for fields already split, as text. Charset and algorithm are the configured ones."""
    values = credentials.values
    fields = decode_fields(raw, CODECS[values.get("charset", "utf-8")])
    if fields.get("sign_type", "") not in ("", values.get("sign_type", RSA2)):
        raise InvalidSignature("sign_type", f"is not {values.get('sign_type', RSA2)}", "SIGN_TYPE_NOT_ALLOWED")
    authenticate(raw, fields, credentials.ring, EVENT_UNSIGNED)
    check_shift(fields, m.EVENT_NAMES, ())
    if required(fields, "app_id") != credentials.merchant:
        raise RemoteProtocolError("app_id", "is another application's", "UNKNOWN_MERCHANT")
    del fields["sign"], fields["sign_type"]
    return {name: value for name, value in fields.items() if value} if "" in fields.values() else fields
