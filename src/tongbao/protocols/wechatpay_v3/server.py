"""The platform's half."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tongbao.kernel.error import (
    InvalidSignature,
    LocalProtocolError,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    TongbaoError,
)
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.batch import read_query_batch, write_found, write_line, write_taken
from tongbao.protocols.wechatpay_v3.client import PREPAID, SCAN
from tongbao.protocols.wechatpay_v3.combine import write_combined
from tongbao.protocols.wechatpay_v3.event import write_event
from tongbao.protocols.wechatpay_v3.partner import read_request
from tongbao.protocols.wechatpay_v3.request import Cover, Parts, plain
from tongbao.protocols.wechatpay_v3.sharing import write_left, write_returned
from tongbao.protocols.wechatpay_v3.view import write_refund, write_share, write_trade, write_transfer
from tongbao.wire import http
from tongbao.wire.certificate import chain_pem
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import parse_form, unquote
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.movement import (
    BatchFound,
    BatchTaken,
    BillOpened,
    Cancelled,
    CertificatesFound,
    PayOut,
    PayOutFound,
    RefundFound,
    SplitFound,
    SplitReturnFound,
    UnsplitFound,
)
from tongbao.wire.unsigned import Unsigned, sign_now
from tongbao.wire.vocabulary import (
    Carriage,
    CombinedFound,
    Done,
    FollowUp,
    Notification,
    Outcome,
    Presentation,
    Rejection,
    TradeFound,
    TradeOpened,
)

_LANGUAGE: Final = (b"Content-Language", b"zh-CN")
_CACHE: Final = (b"Cache-Control", b"no-cache, must-revalidate")
_NO_BODY: Final = frozenset(("GET",))
_ASKED: Final = ("Accept", "User-Agent")
_SERIAL: Final = "Wechatpay-Serial"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The server's own reading of a request: who proves what with which words, and under which name he wants to be
    answered (``serial``; '' where he does not say)."""

    route: m.Route
    path: Mapping[str, str]
    target: bytes = field(repr=False)
    body: bytes = field(repr=False)
    proof: codec.Proof = field(repr=False)
    serial: str = ""
    origin: str = ""
    """Scheme and host of the request, as the merchant wrote them."""


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        """In the platform's order: path, method, needed headers, the form of ``Authorization``."""
        matches = [(route, route.pattern.fullmatch(request.raw_path)) for route in m.ROUTES]
        known = [(route, match) for route, match in matches if match is not None]
        if not known:
            raise RemoteProtocolError("path", "is no path of the interface", "UNKNOWN_SERVICE")
        right = [(route, match) for route, match in known if route.method == request.method]
        if not right:
            raise RemoteProtocolError("method", "is not the one of this path", "UNKNOWN_SERVICE")
        route, match = right[0]
        for name in _ASKED:
            if not request.header(name):
                raise RemoteProtocolError(name, "is missing", "FIELD_MISSING")
        proof = codec.read_authorization(_only(request, "Authorization"))
        path = {name: _segment(name, raw) for name, raw in match.groupdict().items()}
        target = request.raw_path + (b"?" + request.raw_query if request.raw_query else b"")
        scheme = "https" if request.host in m.HOSTS else request.scheme
        origin = f"{scheme}://{request.host}"
        parsed = Parsed(route, path, target, request.body, proof, _only(request, _SERIAL), origin)
        return Claim(proof.mchid, route.operation, Carriage.SERVER, parsed)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        parsed: Parsed = claim.parsed
        proof = parsed.proof
        codec.check_fresh(proof.timestamp, "timestamp", now)
        text = codec.request_text(parsed.route.method, parsed.target, proof.timestamp, proof.nonce_str, parsed.body)
        keys = codec.choose(ring.verify, proof.serial_no, "serial_no", now)
        key = next((key for key in keys if codec.verify(text, proof.signature, key)), None)
        if key is None:
            raise InvalidSignature("signature", "sign not match")
        if parsed.serial and not _named(ring, parsed.serial):
            raise RemoteProtocolError(_SERIAL, "names no key of the platform", "FIELD_INVALID")
        intent, provider = read_request(_parts(parsed), claim.merchant, _revealing(ring, parsed.serial))
        return Verified(intent, key, f"{proof.timestamp}:{proof.nonce_str}", provider)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        return sign_now(self.prepare_answer(claim, outcome, ring, now))

    def prepare_answer(
        self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant
    ) -> Response | Unsigned[Response]:
        if isinstance(outcome, Rejection):
            return self._refuse(claim, Refused(outcome.code, outcome.detail), ring, now)
        if isinstance(outcome, CertificatesFound) and not _certified(ring):
            # a merchant who has the public key alone has no certificates to fetch
            return self._refuse(
                claim, Refused("NOT_FOUND", "no usable platform certificate; use the public key"), ring, now
            )
        if isinstance(outcome, BillOpened):
            kind = b"application/x-gzip" if outcome.compressed else b"text/plain; charset=utf-8"
            return Response(200, ((b"Content-Type", kind), _CACHE), chunks=outcome.chunks)
        parsed: Parsed = claim.parsed
        if isinstance(outcome, Done):
            return _signed(204, b"", parsed, ring, now)
        return _signed(200, codec.write_body(_content(outcome, claim, ring, now)), parsed, ring, now)

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        return sign_now(self._refuse(claim, error, ring, now))

    def _refuse(
        self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant
    ) -> Response | Unsigned[Response]:
        """Unsigned, as the platform's own errors are; nothing at all for a path or method that is none. Two refusals
        are no errors here and signed: a buyer must still agree (his order is told), and an order is closed already
        (closing may be repeated)."""
        if claim is None and isinstance(error, RemoteProtocolError) and error.field in ("path", "method"):
            return Response(404 if error.field == "path" else 405, ((b"Content-Length", b"0"),))
        word = _word(error)
        if word == "USER_PAYING" and claim is not None and claim.parsed.route is m.CODEPAY:
            return _signed(202, codec.write_body(_paying(claim)), claim.parsed, ring, now)
        if word == "ORDER_CLOSED" and claim is not None and _single(claim.parsed.route) is m.CLOSE:
            return _signed(204, b"", claim.parsed, ring, now)
        said: dict[str, Any] = {"code": word, "message": _message(word, error)}
        if isinstance(error, ProtocolError) and error.field not in (*_ASKED, _SERIAL):
            said["detail"] = _detail(error, claim)
        body = codec.write_body(said)
        headers = (
            (b"Content-Type", codec.JSON.encode("ascii")),
            (b"Content-Length", str(len(body)).encode("ascii")),
            (b"Request-ID", _request_id(body, now, 268_435_461).encode("ascii")),
            _LANGUAGE,
            _CACHE,
        )
        return Response(m.STATUS.get(word, 400), headers, body)

    def refusal_code(self, error: TongbaoError) -> str:
        return _word(error)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        return self.prepare_notification(notification, target, ring, now).sign()

    def prepare_notification(
        self, notification: Notification, target: str, ring: KeyRing, now: Instant
    ) -> Unsigned[Request]:
        body = write_event(notification, ring.merchant, codec.content_key(ring), now)
        key = _notifying(ring, notification.id)
        nonce = codec.derived_nonce(codec.content_key(ring), b"notification", str(now).encode(), body)
        headers = codec.signed_headers(body, key, codec.platform_name(key), nonce, now)
        accept = ((b"Accept", b"*/*"), (b"User-Agent", b"Mozilla/4.0"))
        return headers.then(lambda proof: http.post(target, body, "application/json", (*accept, *proof)))

    def acknowledged(self, response: Response) -> bool:
        """The status decides, whatever the body says."""
        return response.status in (200, 204)

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        """The browser goes home with nothing but the shop's own address."""
        return http.get(target.partition("#")[0])

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            return _trail(request)
        except RemoteProtocolError:
            return None


def _only(request: Request, name: str) -> str:
    """A header's value, '' where it is missing. Raises InvalidSignature where it stands twice."""
    wanted = name.lower().encode("ascii")
    found = [value for key, value in request.headers if key.lower() == wanted]
    if len(found) > 1:
        raise InvalidSignature(name, "appears twice", "DUPLICATE_PARAM")
    return found[0].decode("latin-1").strip() if found else ""


def _segment(name: str, raw: bytes) -> str:
    if re.search(rb"%(?![0-9A-Fa-f]{2})", raw):
        raise RemoteProtocolError(name, "is not percent-encoded", "MALFORMED")
    try:
        return unquote(raw.replace(b"+", b"%2B")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(name, "is not UTF-8", "BAD_CHARSET") from error


def _parts(parsed: Parsed) -> Parts:
    query = dict(parse_form(parsed.target.partition(b"?")[2]))
    if parsed.route.method in _NO_BODY:
        return Parts(parsed.route, parsed.path, query)
    return Parts(parsed.route, parsed.path, query, codec.read_body(parsed.body) if parsed.body.strip() else {})


def _revealing(ring: KeyRing, serial: str) -> Cover:
    def reveal(text: str) -> str:
        if not serial:
            raise RemoteProtocolError(_SERIAL, "must name the key of the encrypted fields", "FIELD_MISSING")
        return codec.reveal(text, _named(ring, serial), "user_name")

    return reveal


def _covering(ring: KeyRing | None) -> Cover:
    """Encrypts to the merchant's own key."""
    keys = codec.live(ring.verify, m.ALGORITHM) if ring else []
    if not keys:
        raise InvalidSignature("serial_no", "the merchant has no live key", "KEY_REVOKED")
    return lambda text: codec.hide(text, keys[0])


# --- answers -----------------------------------------------------------------------------------------------------


def _signers(ring: KeyRing) -> list[Key]:
    """The platform's keys that may sign."""
    able = (KeyState.ACTIVE, KeyState.RETIRING)
    return [key for key in ring.sign if key.algorithm == m.ALGORITHM and key.state in able]


def _named(ring: KeyRing, name: str) -> list[Key]:
    """The keys of that name, also one that is handed out and does not sign yet: fields may be encrypted to it. One with
    a certificate may be named as a public key too: both are handed out."""
    known = [key for key in ring.sign if key.algorithm == m.ALGORITHM and key.state is not KeyState.REVOKED]
    public = name.startswith(codec.PUBLIC_KEY)
    return [key for key in known if codec.is_called(key, name) or (public and codec.public_key_id(key) == name)]


def _asked_for(ring: KeyRing, name: str) -> Key | None:
    """The key that signs an answer because the request names it: a public key alone is asked for. The serial number of
    a certificate says what the request is encrypted to, and whoever knows no newer one must meet it (sheet wechatpay,
    7.4 and 19.3)."""
    if not name.startswith(codec.PUBLIC_KEY):
        return None
    able = _signers(ring)
    return next((key for key in _named(ring, name) if key in able), None)


def _active(ring: KeyRing) -> list[Key]:
    """The keys that sign where nobody asks for another: certificates before the public key. Raises InvalidSignature."""
    active = [key for key in _signers(ring) if key.state is KeyState.ACTIVE]
    return sorted(active, key=lambda key: not key.chain) or [ring.signing(m.ALGORITHM)]


def _notifying(ring: KeyRing, number: str) -> Key:
    """Which key signs a notification. While a merchant changes from certificates to the public key, some of his
    notifications come under each (the real change moves them step by step): here half of them, by their number, so that
    a repeat is signed as the first delivery was."""
    active = _active(ring)
    bare = [key for key in active if not key.chain]
    moved = bare and hashlib.sha256(number.encode()).digest()[0] % 2
    return bare[0] if moved else active[0]


def _signed(status: int, body: bytes, parsed: Parsed, ring: KeyRing | None, now: Instant) -> Unsigned[Response]:
    """Signed by the public key that the request names, else by the active certificate, else by the public key."""
    if ring is None:
        raise InvalidSignature(_SERIAL, "there is no key to sign with", "KEY_UNKNOWN")
    asked = _asked_for(ring, parsed.serial)
    key = asked or _active(ring)[0]
    name = parsed.serial if asked else codec.platform_name(key)
    nonce = codec.derived_nonce(codec.content_key(ring), b"answer", str(now).encode(), parsed.target, body)
    headers = (
        *(((b"Content-Type", codec.JSON.encode("ascii")),) if body else ()),
        *(((b"Content-Length", str(len(body)).encode("ascii")),) if status != 204 else ()),
        _LANGUAGE,
        _CACHE,
        (b"Request-ID", _request_id(parsed.target + body, now, 0).encode("ascii")),
    )
    proof = codec.signed_headers(body, key, name, nonce, now)
    return proof.then(lambda done: Response(status, (*headers, *done), body))


def _request_id(body: bytes, now: Instant, number: int) -> str:
    return f"08{codec.derived_nonce(str(now).encode(), body).upper()}-{number}"


def _content(outcome: Outcome, claim: Claim, ring: KeyRing | None, now: Instant) -> dict[str, Any]:
    """The body of a successful answer. Raises LocalProtocolError."""
    parsed: Parsed = claim.parsed
    if isinstance(outcome, TradeOpened):
        return _opened(outcome, _single(parsed.route), now)
    if isinstance(outcome, TradeFound):
        return write_trade(outcome.trade, claim.merchant)
    if isinstance(outcome, CombinedFound):
        return write_combined(outcome.combined, claim.merchant)
    if isinstance(outcome, Cancelled):
        body = codec.read_body(parsed.body)
        return {"appid": body.get("appid", ""), "mchid": claim.merchant, "out_trade_no": outcome.out_trade_no}
    if isinstance(outcome, RefundFound) and outcome.refunds:
        return write_refund(outcome.refunds[0])
    if isinstance(outcome, BatchTaken):
        return write_taken(outcome)
    if isinstance(outcome, BatchFound):
        return write_found(outcome, read_query_batch(_parts(parsed), claim.merchant, plain))
    if isinstance(outcome, PayOutFound) and outcome.payouts:
        if parsed.route in (m.QUERY_LINE, m.QUERY_LINE_ID):
            return write_line(outcome.payouts[0], claim.merchant, _covering(ring))
        whole = parsed.route.intent is not PayOut
        return write_transfer(outcome.payouts[0], claim.merchant, _covering(ring), whole=whole)
    if isinstance(outcome, SplitFound):
        return write_share(outcome.split)
    if isinstance(outcome, SplitReturnFound):
        return write_returned(outcome.split_return)
    if isinstance(outcome, UnsplitFound):
        return write_left(outcome)
    if isinstance(outcome, FollowUp):
        return {"hash_type": "SHA1", "hash_value": outcome.expected_digest, "download_url": _download(outcome, parsed)}
    if isinstance(outcome, CertificatesFound):
        return {"data": [_certificate(key, ring, now) for key in _certified(ring)]}
    raise LocalProtocolError("", f"the interface has no answer for {type(outcome).__name__}")


def _paying(claim: Claim) -> dict[str, Any]:
    """The order whose buyer must still agree in his wallet, as the answer of a scanned code tells it."""
    body = codec.read_body(claim.parsed.body)
    return {
        "appid": body.get("appid", ""),
        "mchid": claim.merchant,
        "out_trade_no": body.get("out_trade_no", ""),
        "trade_type": m.TYPE_OF[Presentation.BARCODE],
        "trade_state": "USERPAYING",
        "trade_state_desc": m.STATE_SAID["USERPAYING"],
    }


def _download(outcome: FollowUp, parsed: Parsed) -> str:
    """The signed address of a bill, at the host by which the merchant called; packed files say so in it."""
    word = outcome.url.partition("?")[0].rpartition("/")[2]
    packed = "&tartype=gzip" if b"tar_type=GZIP" in parsed.target else ""
    return f"{parsed.origin}{m.DOWNLOAD.path}?token={word}{packed}"


def _single(route: m.Route) -> m.Route:
    """The ordinary order's route whose answer this one has."""
    return m.DIRECT_OF.get(route) or m.SINGLE_OF.get(route) or route


def _opened(outcome: TradeOpened, route: m.Route, now: Instant) -> dict[str, str]:
    if route is m.NATIVE:
        return {"code_url": f"{SCAN}{outcome.code}"}
    if route is m.H5:
        # with a query, since merchants append &redirect_url= to it
        return {"h5_url": f"{outcome.cashier_url}?prepay_id={PREPAID}{china_compact(now)}{outcome.code}"}
    return {"prepay_id": f"{PREPAID}{china_compact(now)}{outcome.code}"}


def _certified(ring: KeyRing | None) -> list[Key]:
    """The platform's keys that have certificates; the next one is told of before it signs."""
    return [key for key in ring.sign if key.chain and key.state is not KeyState.REVOKED] if ring else []


def _certificate(key: Key, ring: KeyRing | None, now: Instant) -> dict[str, Any]:
    leaf = key.chain[0]
    from_, until = (
        Instant(int(moment.timestamp()) * 1_000) for moment in (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    )
    sealed = codec.seal_fresh(chain_pem((leaf,)).encode("ascii"), "certificate", codec.content_key(ring))
    return {
        "serial_no": codec.serial_of(key),
        "effective_time": codec.write_time(from_),
        "expire_time": codec.write_time(until),
        "encrypt_certificate": {"algorithm": m.AEAD, **sealed},
    }


# --- refusals ----------------------------------------------------------------------------------------------------


def _word(error: TongbaoError) -> str:
    if isinstance(error, ProtocolError):
        return "INVALID_REQUEST" if error.field in _ASKED else m.WIRE_CODE.get(error.code, "PARAM_ERROR")
    if isinstance(error, Refused):
        return m.ENDED_WORD.get(error.state) or m.WIRE_CODE.get(error.code, "INVALID_REQUEST")
    return "SYSTEM_ERROR"


def _message(word: str, error: TongbaoError) -> str:
    if word == "SIGN_ERROR" and isinstance(error, ProtocolError):
        if error.code == "STALE" and error.field == "nonce":
            return "Http头Authorization中的nonce_str已被使用过"
        if error.code == "STALE":
            return "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
        if error.field == "Authorization":
            return "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
        if error.field == "serial_no":
            return "商户证书序列号有误。请使用签名私钥匹配的证书序列号"
    if isinstance(error, ProtocolError) and error.field == _SERIAL:
        return "平台证书序列号Wechatpay-Serial错误"
    if isinstance(error, ProtocolError) and error.field in _ASKED:
        return "Http头缺少Accept或User-Agent"
    text = m.MESSAGE.get(word, "请求错误")
    reason = error.detail if isinstance(error, Refused) else ""
    return f"{text} ({reason})" if reason else text


def _detail(error: ProtocolError, claim: Claim | None) -> dict[str, str]:
    """Where the mistake is, as a JSON pointer; for signatures, that they do not match."""
    if _word(error) == "SIGN_ERROR":
        return {"issue": error.reason, "field": error.field, "location": "authorization"}
    query = claim is not None and claim.operation.startswith("GET")
    return {
        "field": f"/{error.field.replace('.', '/')}",
        "issue": error.reason,
        "location": "query" if query else "body",
    }


# --- the doctor --------------------------------------------------------------------------------------------------


def _trail(request: Request) -> SignatureTrail | None:
    if request.header("Wechatpay-Signature"):
        text = codec.answer_text(
            request.header("Wechatpay-Timestamp") or "", request.header("Wechatpay-Nonce") or "", request.body
        )
        signature = request.header("Wechatpay-Signature") or ""
        return SignatureTrail(m.ALGORITHM, text.decode("utf-8", "replace"), signature)
    proof = codec.read_authorization(_only(request, "Authorization"))
    target = request.raw_path + (b"?" + request.raw_query if request.raw_query else b"")
    text = codec.request_text(request.method, target, proof.timestamp, proof.nonce_str, request.body)
    return SignatureTrail(m.ALGORITHM, text.decode("utf-8", "replace"), proof.signature)
