"""The platform's half."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from html import escape
from typing import Any, Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, Refused, RemoteProtocolError, TongbaoError
from tongbao.kernel.time import Instant, parse_china
from tongbao.protocols.alipay_openapi import code as c
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.codec import (
    CODECS,
    EVENT_UNSIGNED,
    REQUEST_UNSIGNED,
    RSA2,
    Message,
    authenticate,
    canonical,
    charset_of,
    check_shift,
    decode_fields,
    merge,
    signed,
)
from tongbao.protocols.alipay_openapi.envelope import ERROR_NODE, Voice, node_name, plain_texts, write_answer
from tongbao.protocols.alipay_openapi.field import Content, read_money, say
from tongbao.protocols.alipay_openapi.mode import root_serial, serial_of
from tongbao.protocols.alipay_openapi.outcome import write_outcome
from tongbao.protocols.alipay_openapi.payee import check_account, own_numbers
from tongbao.protocols.alipay_openapi.request import read_intent
from tongbao.protocols.alipay_openapi.rest import (
    SCHEME,
    Rest,
    check_path,
    check_rest,
    read_body,
    read_rest,
    write_rest,
    write_rest_failure,
)
from tongbao.protocols.alipay_openapi.secret import ALGORITHM, content_key, revealed
from tongbao.protocols.alipay_openapi.view import NO_AMOUNTS, write_notification, write_return
from tongbao.wire import http
from tongbao.wire.certificate import is_valid
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form
from tongbao.wire.http import FORM, Request, Response
from tongbao.wire.json import read_object
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.unsigned import Unsigned, sign_now
from tongbao.wire.vocabulary import Carriage, Notification, Outcome, Rejection, TradeOpened, TradeView

_APP: Final = re.compile(r"[0-9A-Za-z]{1,32}", re.ASCII)
_SERIAL: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ADDRESSES: Final = ("notify_url", "return_url", "biz_content", "sign")
_FORGED: Final = "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，网关生成的验签字符串为："


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        path = request.raw_path.decode("latin-1")
        if path.startswith(m.REST_PREFIX):
            return _claim_rest(request, path)
        return _claim_form(request)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        parsed: Message | Rest = claim.parsed
        if parsed.error is not None and not _after_signature(claim):
            raise parsed.error
        if isinstance(parsed, Rest):
            serial = parsed.items.get("app_cert_sn", "")
            keys = _pick(ring, RSA2, serial, parsed.root_serial, now, rootless=True)
            key = check_rest(parsed, keys, now)
            by_certificate = bool(serial)
            echo = {"charset": "utf-8", "sign_type": RSA2, "method": claim.operation}
            once = f"{parsed.items['nonce']}:{parsed.items['timestamp']}"
        else:
            key = _check_form(parsed, ring, now)
            by_certificate = bool(parsed.fields.get("app_cert_sn"))
            once = ""
            echo = {"charset": parsed.charset, "sign_type": parsed.fields["sign_type"], "method": claim.operation}
        if parsed.error is not None:
            raise parsed.error
        if m.SERVICES[claim.operation].by_certificate and not by_certificate:
            raise RemoteProtocolError("app_cert_sn", "is missing, and money leaves the merchant", "CERT_REQUIRED")
        content = _content(claim, ring)
        if claim.operation == m.ACCOUNT:
            check_account(content, claim.merchant)
        intent = read_intent(claim.operation, claim.merchant, content, echo)
        return Verified(own_numbers(intent, claim.merchant), key, once)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        return sign_now(self.prepare_answer(claim, outcome, ring, now))

    def prepare_answer(
        self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant
    ) -> Response | Unsigned[Response]:
        if isinstance(outcome, Rejection):
            return self._say(claim, c.word_of(claim.operation, Refused(outcome.code)), outcome.detail, ring, now)
        if isinstance(outcome, TradeOpened) and claim.carriage is not Carriage.SERVER:
            # an app hands its order over: the wallet's page of that trade
            return http.Response(302, ((b"Location", outcome.cashier_url.encode("ascii")), (b"Content-Length", b"0")))
        asked = _content(claim, ring) if ring is not None else {}
        content = write_outcome(claim.operation, asked, outcome, ring)
        if isinstance(claim.parsed, Rest):
            status = c.http_status(str(content.pop("code") or c.SUCCESS))
            hidden = content_key(ring) if claim.parsed.hidden and ring is not None else None
            filled = {name: value for name, value in content.items() if value}
            key, serial = _signer(claim, ring)
            return write_rest(status, filled, key, serial, hidden, now)
        if content["code"]:
            content["msg"] = c.MESSAGE[content["code"]]
        return write_answer(content, _voice(claim, ring, now, success=True))

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        return sign_now(self._refuse(claim, error, ring, now))

    def _refuse(
        self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant
    ) -> Response | Unsigned[Response]:
        if claim is None:
            return _failure(c.refusal_code(error), "", Voice(ERROR_NODE, trace=_trace("", now)))
        word = c.word_of(claim.operation, error)
        message = c.TEXT.get(word, word)
        if isinstance(error, InvalidSignature) and error.code == "SIGN_INVALID" and isinstance(claim.parsed, Message):
            text = canonical(claim.parsed.raw, REQUEST_UNSIGNED).decode(CODECS[claim.charset], "replace")
            message = _FORGED + escape(text, quote=False)
        return self._say(claim, word, message, ring, now)

    def _say(
        self, claim: Claim, word: str, message: str, ring: KeyRing | None, now: Instant
    ) -> Response | Unsigned[Response]:
        if isinstance(claim.parsed, Rest):
            status = c.http_status(word)
            key, serial = _signer(claim, ring)
            if status >= 300:
                return write_rest_failure(status, word, message or word, key, serial, now)
            # a word without a refusal: nothing was found to be done, or the buyer is still paying
            return write_rest(status, _rest_of_failure(claim, word), key, serial, None, now)
        return _failure(word, message, _voice(claim, ring, now, success=False), _rest_of_failure(claim, word))

    def refusal_code(self, error: TongbaoError) -> str:
        return c.refusal_code(error)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return self.prepare_notification(notification, target, ring, now).sign()

    def prepare_notification(
        self, notification: Notification, target: str, ring: KeyRing, now: Instant
    ) -> Unsigned[Request]:
        charset, key = _tongue(notification.trade, ring)
        fields = write_notification(notification, ring.merchant, charset, now)

        def post(done: dict[str, str]) -> Request:
            pairs = tuple(done.items())
            return http.post(target, encode_form(pairs, CODECS[charset]), f"{FORM}; charset={charset}")

        return signed(fields, CODECS[charset], key, EVENT_UNSIGNED).then(post)

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and response.body == b"success"

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        charset, key = _tongue(notification.trade, ring)
        fields = write_return(notification, ring.merchant, charset, now)
        pairs = tuple(signed(fields, CODECS[charset], key, EVENT_UNSIGNED).sign().items())
        text = encode_form(pairs, CODECS[charset]).decode("ascii")
        target = target.partition("#")[0]
        return http.get(f"{target}{'&' if '?' in target else '?'}{text}")

    def trail(self, request: Request) -> SignatureTrail | None:
        path = request.raw_path.decode("latin-1")
        try:
            if (request.header("authorization") or "").startswith(SCHEME) and path.startswith(m.REST_PREFIX):
                rest = read_rest(request, path)
                return SignatureTrail(RSA2, rest.text.decode("utf-8", "replace"), rest.signature)
            own = b"notify_type=" in request.body
            raw = merge((request.body,) if own else (request.raw_query, request.body))
            if raw.get(b"method", b"").endswith(b".return"):
                raw = {name: value for name, value in raw.items() if name.decode("latin-1") in m.RETURN_NAMES}
                own = True
            if b"sign" not in raw:
                return None
            charset = charset_of(raw.get(b"charset", b"utf-8").decode("latin-1"))
        except RemoteProtocolError:
            return None
        text = canonical(raw, EVENT_UNSIGNED if own else REQUEST_UNSIGNED).decode(CODECS[charset], "replace")
        algorithm, signature = (raw.get(name, b"").decode("latin-1") for name in (b"sign_type", b"sign"))
        return SignatureTrail(algorithm, text, signature, charset)


# --- reading -----------------------------------------------------------------------------------------------------


def _claim_rest(request: Request, path: str) -> Claim:
    method = m.method_of(path)
    try:
        rest = read_rest(request, path)
        app = rest.items.get("app_id", "")
        if _APP.fullmatch(app) is None:
            raise RemoteProtocolError("app_id", "is no application's", "FIELD_INVALID" if app else "FIELD_MISSING")
    except RemoteProtocolError as error:
        # whoever asks for nothing of ours hears that, also where he has not said who he is
        wrong = check_path(request.method, path) or error
        nothing = Rest(method, request.method, b"", b"", "", "", "", {}, error=wrong)
        return Claim("", method, Carriage.SERVER, nothing)
    return Claim(app, method, Carriage.SERVER, rest)


def _claim_form(request: Request) -> Claim:
    """The claim of a form request. What is wrong with it is told under the method's own name, so it is kept."""
    raw = merge((request.raw_query, request.body) if request.method == "POST" else (request.raw_query,))
    method = raw.get(b"method", b"").decode("latin-1")
    if not method:
        raise RemoteProtocolError("method", "is missing", "FIELD_MISSING")
    app = raw.get(b"app_id", b"").decode("latin-1")
    carriage = m.SERVICES[method].carriage if method in m.SERVICES else Carriage.SERVER
    charset, fields, wrong = "utf-8", {}, None
    try:
        if _APP.fullmatch(app) is None:
            raise RemoteProtocolError("app_id", "is no application's", "FIELD_INVALID" if app else "FIELD_MISSING")
        if b"charset" not in raw:
            raise RemoteProtocolError("charset", "is missing", "FIELD_MISSING")
        charset = charset_of(raw[b"charset"].decode("latin-1"))
        fields = decode_fields(raw, CODECS[charset])
        if method not in m.SERVICES:  # among them what is no method's name at all
            raise RemoteProtocolError("method", "is no method of this platform", "UNKNOWN_SERVICE")
    except RemoteProtocolError as error:
        wrong = error
    known = app if _APP.fullmatch(app) else ""
    # what no library would look for is told beside it
    told = method if m.is_name(method) else ""
    return Claim(known, told, carriage, Message(raw, fields, charset, wrong), charset)


def _after_signature(claim: Claim) -> bool:
    """Whether what is wrong with a claim is told only to whoever has signed it: that there is no such method. The
    application, and its signature, come first (sheet alipay-openapi, 2.3), and whoever signs nothing costs us none."""
    parsed: Message | Rest = claim.parsed
    return parsed.error is not None and parsed.error.code == "UNKNOWN_SERVICE" and claim.merchant != ""


def _check_form(message: Message, ring: KeyRing, now: Instant) -> Key:
    fields = message.fields
    keys = ring
    sign_type = fields.get("sign_type", "")
    if fields.get("app_cert_sn") or fields.get("alipay_root_cert_sn"):
        serial, root = fields.get("app_cert_sn", ""), fields.get("alipay_root_cert_sn", "")
        own = _pick(ring, sign_type, serial, root, now)
        keys = KeyRing(ring.merchant, tuple(own), ())
    key = authenticate(message.raw, fields, keys, REQUEST_UNSIGNED)
    if fields.get("format", "json").lower() != "json":
        raise RemoteProtocolError("format", "is not JSON", "FIELD_INVALID")
    if fields.get("version", "") != "1.0":
        code = "FIELD_INVALID" if fields.get("version") else "FIELD_MISSING"
        raise RemoteProtocolError("version", "is not 1.0", code)
    _check_time(fields.get("timestamp", ""))
    if fields.get("encrypt_type", ALGORITHM) not in (ALGORITHM, ""):
        raise RemoteProtocolError("encrypt_type", "is not AES", "FIELD_INVALID")
    check_shift(fields, m.COMMON, _ADDRESSES)
    return key


def _check_time(text: str) -> None:
    """``timestamp`` has its form; libraries write the time of whatever zone their host is in, so it is not compared."""
    if not text:
        raise RemoteProtocolError("timestamp", "is missing", "FIELD_MISSING")
    try:
        if len(text) != 19:
            raise ValueError
        parse_china(text)
    except ValueError as error:
        raise RemoteProtocolError("timestamp", "is not yyyy-MM-dd HH:mm:ss", "FIELD_INVALID") from error


def _pick(ring: KeyRing, algorithm: str, serial: str, root: str, now: Instant, *, rootless: bool = False) -> list[Key]:
    """In certificate mode the keys of the named certificate, which must be in its term and whose roots must be the
    named ones; else all. Where ``rootless`` no roots need be named: they say whom the merchant trusts, not who he is.
    A certificate whose key was revoked is told as that, also while another is live (T84); a request that names none is
    looked at with the live keys alone, so that there a revoked key is one that does not fit.
    """
    keys = list(ring.verifying(algorithm))
    if not serial and not root:
        return keys
    if not serial or not (root or rootless):
        name = "app_cert_sn" if root else "alipay_root_cert_sn"
        # nothing was verified, so that it counts as a signature that does not fit
        raise InvalidSignature(name, "is missing", "FIELD_MISSING")
    mine = _named(keys, serial)
    if not mine and _named([key for key in ring.verify if key.algorithm == algorithm], serial):
        raise InvalidSignature("app_cert_sn", "names a certificate that is revoked or not active yet", "KEY_REVOKED")
    if not mine:
        raise InvalidSignature("app_cert_sn", "names no certificate of this application", "KEY_UNKNOWN")
    if root and any(root_serial(key.chain[1:]) != root for key in mine):
        raise InvalidSignature("alipay_root_cert_sn", "names other roots", "KEY_UNKNOWN")
    if not all(is_valid(key.chain[0], now) for key in mine):
        raise InvalidSignature("app_cert_sn", "names a certificate that is past its term", "KEY_REVOKED")
    return mine


def _named(keys: list[Key], serial: str) -> list[Key]:
    if _SERIAL.fullmatch(serial) is None:
        return []
    return [key for key in keys if key.chain and serial_of(key.chain[0]) == serial]


def _content(claim: Claim, ring: KeyRing | None) -> Content:
    """The business content, decrypted where it is hidden, with the addresses that stand beside it."""
    parsed: Message | Rest = claim.parsed
    if not parsed.content:
        if isinstance(parsed, Rest):
            parsed.content.append(read_body(parsed, ring or KeyRing("", (), ())))
        else:
            parsed.content.append(_read_content(claim.operation, parsed, ring))
    return parsed.content[0]


def _read_content(operation: str, message: Message, ring: KeyRing | None) -> Content:
    fields = message.fields
    beside = {name: fields[name] for name in ("notify_url", "return_url") if fields.get(name)}
    if operation in m.TOP_LEVEL:
        return {name: fields.get(name, "") for name in m.TOP_LEVEL[operation]}
    text = fields.get("biz_content", "")
    if fields.get("encrypt_type") and text:
        text = revealed(text, content_key(ring or KeyRing("", (), ())), "biz_content", CODECS[message.charset])
    content: Mapping[str, Any] = plain_texts(read_object(text, "biz_content") if text else {}, "biz_content")
    return {**content, **beside}


# --- writing -----------------------------------------------------------------------------------------------------


def _trace(text: str, now: Instant) -> str:
    return hashlib.sha256(f"{now}{text}".encode()).hexdigest()[:30]


def _signer(claim: Claim, ring: KeyRing | None) -> tuple[Key | None, str]:
    """The key that answers, of the request's algorithm, and its certificate's SN where the request came with one. None
    where nobody looked at the request's signature: anybody could have us make ours, which costs much."""
    parsed: Message | Rest = claim.parsed
    if parsed.error is not None and not _after_signature(claim):
        return None, ""
    if isinstance(parsed, Rest):
        algorithm, by_certificate = RSA2, bool(parsed.items.get("app_cert_sn"))
    else:
        algorithm = parsed.fields.get("sign_type", RSA2)
        by_certificate = bool(parsed.fields.get("app_cert_sn"))
    live = [key for key in ring.sign if key.state is KeyState.ACTIVE and key.algorithm != ALGORITHM] if ring else []
    key = next((key for key in live if key.algorithm == algorithm), live[0] if live else None)
    serial = serial_of(key.chain[0]) if key is not None and key.chain and by_certificate else ""
    return key, serial


def _voice(claim: Claim, ring: KeyRing | None, now: Instant, *, success: bool) -> Voice:
    parsed: Message = claim.parsed
    key, serial = _signer(claim, ring)
    own = claim.operation != "" and (success or claim.operation != m.OAUTH)
    node = node_name(claim.operation) if own else ERROR_NODE
    hidden = content_key(ring) if success and parsed.fields.get("encrypt_type") and ring is not None else None
    return Voice(node, claim.charset, key, serial, hidden, _trace(parsed.fields.get("sign", ""), now))


def _failure(
    word: str, message: str, voice: Voice, more: Mapping[str, str] | None = None
) -> Response | Unsigned[Response]:
    code = c.public_code(word)
    content = {"code": code, "msg": c.MESSAGE[code]}
    if word != code:
        content |= {"sub_code": word, "sub_msg": message or c.TEXT.get(word, word)}
    return write_answer({**content, **(more or {})}, voice)


_MORE: Final[dict[str, Mapping[str, str]]] = {
    m.PAY: NO_AMOUNTS,
    m.REFUND: {"refund_fee": "0.00", "send_back_fee": "0.00"},
}


def _rest_of_failure(claim: Claim, word: str) -> dict[str, str]:
    """What failed payments, refunds and cancellations say beside their code, and payments that wait for their buyer; a
    cancellation is to be asked for again while the platform cannot say what became of it. Nothing of a content that has
    not been verified is opened or repeated: whoever caught a hidden one would have it read to him."""
    parsed: Message | Rest = claim.parsed
    if claim.operation not in (m.PAY, m.REFUND, m.CANCEL) or not parsed.content:
        return {}
    number = parsed.content[0].get("out_trade_no", "")
    said = {"out_trade_no": number} if isinstance(number, str) else {}
    if word == c.PAYING and claim.operation == m.PAY:
        said["total_amount"] = say(read_money(parsed.content[0], "total_amount"))
    if claim.operation == m.CANCEL:
        return {**said, "retry_flag": "Y" if word == c.UNKNOW_ERROR else "N"}
    return {**said, **_MORE[claim.operation]}


def _tongue(view: TradeView, ring: KeyRing) -> tuple[str, Key]:
    """Charset and key of a trade's return and notifications: those of the request that created it."""
    charset, algorithm = view.echo.get("charset", "utf-8"), view.echo.get("sign_type", RSA2)
    live = [key for key in ring.sign if key.state is KeyState.ACTIVE and key.algorithm != ALGORITHM]
    key = next((key for key in live if key.algorithm == algorithm), live[0] if live else None)
    if key is None:
        raise LocalProtocolError("sign_type", "there is no active key to sign with", "SIGN_TYPE_NOT_ALLOWED")
    return charset if charset in CODECS else "utf-8", key
