"""The merchant's half."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.batch import read_found, read_line, read_taken
from tongbao.protocols.wechatpay_v3.combine import read_combined
from tongbao.protocols.wechatpay_v3.event import read_event
from tongbao.protocols.wechatpay_v3.field import Fields
from tongbao.protocols.wechatpay_v3.partner import read_request, speaker_of, write_request
from tongbao.protocols.wechatpay_v3.request import Cover, Parts, local, plain
from tongbao.protocols.wechatpay_v3.setting import load_credentials
from tongbao.protocols.wechatpay_v3.sharing import read_left, read_returned
from tongbao.protocols.wechatpay_v3.view import (
    check_apps,
    read_owner,
    read_refund,
    read_share,
    read_trade,
    read_transfer,
)
from tongbao.wire.certificate import certificate_key, load_chain
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.form import encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.movement import (
    Answered,
    BillOpened,
    CallByName,
    Cancelled,
    CancelTrade,
    CertificatesFound,
    FetchBill,
    FetchCertificates,
    PayOut,
    PayOutBatch,
    PayOutFound,
    QueryPayOut,
    QueryPayOutBatch,
    QueryRefund,
    QuerySplit,
    QuerySplitReturn,
    QueryUnsplit,
    RecoverRefund,
    RefundFound,
    RefundTrade,
    RequestBill,
    ReturnSplit,
    SplitFound,
    SplitReturnFound,
    SplitTrade,
)
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    Carriage,
    CloseCombined,
    CloseTrade,
    CombinedFound,
    CreateCombined,
    CreateTrade,
    Done,
    FollowUp,
    Intent,
    Notification,
    Outcome,
    Presentation,
    QueryCombined,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeOpened,
    TradeState,
    TradeView,
)

SCAN: Final = "weixin://wxpay/bizpayurl?pr="
"""What a QR code of a NATIVE order begins with; the trade's code follows."""

PREPAID: Final = "wx"
_TIME_DIGITS: Final = 14
_SAFE: Final = "-_.~"
_GZIP: Final = b"\x1f\x8b"
_NAMED: Final = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/v3/[!-~]{1,2000})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What an answer is read with: the question, whose it was, and how to reveal persons' fields."""

    intent: Any
    credentials: Credentials
    cover: Cover
    now: Instant


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        return load_credentials(settings)

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        if isinstance(intent, CallByName):
            return _named(intent, credentials, now)
        intent = _complete(intent, credentials)
        self._check_said(intent, credentials)
        cover = _Hiding(credentials.ring, now)
        parts = write_request(intent, speaker_of(credentials), cover)
        route = parts.route
        path = re.sub(r"{([a-z_]+)}", lambda name: quote(parts.path[name[1]], safe=_SAFE), route.path)
        query = encode_form(tuple(parts.query.items()))
        target = path.encode("ascii") + (b"?" + query if query else b"")
        body = b"" if parts.body is None else codec.write_body(parts.body)
        key = credentials.ring.signing(m.ALGORITHM)
        headers = _headers(credentials, route.method, target, body, key, now, cover.used)
        url = f"{credentials.gateway}{path}"
        if route.method == "GET":
            return Call(Carriage.SERVER, "GET", url, tuple(parts.query.items()), headers=headers)
        return Call(Carriage.SERVER, route.method, url, (), headers=headers, body=body)

    def _check_said(self, intent: Intent, credentials: Credentials) -> None:
        """Read the request as the platform will; raise LocalProtocolError where it does not say the whole intent."""
        speaker = speaker_of(credentials)
        parts = write_request(intent, speaker, plain)
        try:
            read, _ = read_request(_as_sent(parts), speaker.mchid, plain)
        except RemoteProtocolError as error:
            raise local(error) from error
        said: Any = replace(intent, merchant=read.merchant) if parts.route in m.SIGNERS_OWN else intent
        if isinstance(intent, QueryTrade) and intent.out_trade_no:
            said = replace(intent, trade_no="")  # one number names the trade; the answer is compared with both
        if isinstance(intent, CreateTrade | CreateCombined) and intent.presentation is Presentation.H5:
            said = replace(intent, return_url="")  # said behind the link that is answered
        if isinstance(intent, FetchBill) and "?" in intent.word:
            said = replace(intent, word="")  # of a whole address its token is said
        lost = find_loss(said, read)
        if lost:
            raise LocalProtocolError(lost, "the interface cannot say this", "FIELD_INVALID")

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        """Verify and read. Success must be signed, but for the first certificates, which the APIv3 key proves. A
        refusal (4xx, 5xx) is read signed or not; unsigned, as the platform sends it, it proves nothing (sheet
        wechatpay, section 7.3)."""
        ring = credentials.ring
        if isinstance(intent, CreateTrade) and response.status == 202 and intent.presentation is Presentation.BARCODE:
            codec.check_signed(response.headers, response.body, ring, now)
            said = codec.read_body(response.body)
            check_apps(Fields(said), credentials)
            return _asking(intent, credentials, said)
        if response.status not in (200, 204):
            return _rejection(intent, response, ring, now)
        if isinstance(intent, FetchBill):
            return BillOpened((response.body,), response.body.startswith(_GZIP))
        if isinstance(intent, FetchCertificates):
            return _read_certificates(response, credentials, now)
        codec.check_signed(response.headers, response.body, ring, now)
        if isinstance(intent, CallByName):
            return Answered(codec.read_body(response.body) if response.body else {})
        if isinstance(intent, CloseTrade | CloseCombined):
            if response.body:
                raise RemoteProtocolError("", "answers a close with a body", "MALFORMED")
            return Done()
        if response.status == 204:
            raise RemoteProtocolError("", "answers with nothing", "MALFORMED")
        reading = _Reading(intent, credentials, _Revealing(ring), now)
        read = _ANSWERS.get(type(intent))
        if read is None:
            raise LocalProtocolError("", f"the interface has no {type(intent).__name__}", "UNKNOWN_SERVICE")
        said = codec.read_body(response.body)
        check_apps(Fields(said), credentials)
        return read(reading, said)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        if request.method != "POST":
            raise RemoteProtocolError("", "a notification is a POST", "MALFORMED")
        at = codec.check_signed(request.headers, request.body, credentials.ring, now)
        return read_event(codec.read_body(request.body), credentials, at)

    def acknowledge(self, accepted: bool) -> Response:
        if accepted:
            return Response(204)
        body = codec.write_body({"code": "FAIL", "message": "失败"})
        return Response(500, ((b"Content-Type", codec.JSON.encode("ascii")),), body)

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """There is none: the buyer's browser comes home with nothing that proves anything."""
        raise RemoteProtocolError("", "the interface has no signed return", "SIGN_MISSING")


def _named(intent: CallByName, credentials: Credentials, now: Instant) -> Call:
    """Any request, by ``METHOD /v3/path?query``; its content is the body. Raises LocalProtocolError."""
    if intent.public:
        raise LocalProtocolError("public", "nothing stands beside the content here", "FIELD_INVALID")
    match = _NAMED.fullmatch(intent.method)
    if match is None or "#" in intent.method:
        raise LocalProtocolError("method", "is not a method, a blank and a path below /v3/", "FIELD_INVALID")
    method, target = match[1], match[2]
    body = codec.write_body(dict(intent.content)) if intent.content else b""
    if method == "GET" and body:
        raise LocalProtocolError("content", "a GET has no body; its fields belong to the query", "FIELD_INVALID")
    headers = _headers(credentials, method, target.encode("ascii"), body, credentials.ring.signing(m.ALGORITHM), now)
    return Call(Carriage.SERVER, method, f"{credentials.gateway}{target}", (), headers=headers, body=body)


class _Hiding:
    """Encrypts persons' fields to the platform's key, and remembers under which name, for ``Wechatpay-Serial``. The
    public key comes first where there is one; a certificate that has ended, or has not begun, encrypts nothing."""

    def __init__(self, ring: KeyRing, now: Instant) -> None:
        self._keys = codec.valid_now(codec.live(ring.verify, m.ALGORITHM), now)
        self.used = ""

    def __call__(self, text: str) -> str:
        if not self._keys:
            raise LocalProtocolError("name", "there is no key of the platform to encrypt it with", "KEY_UNKNOWN")
        self.used = codec.platform_name(self._keys[0])
        return codec.hide(text, self._keys[0])


class _Revealing:
    """Decrypts what the platform encrypted to the merchant's key."""

    def __init__(self, ring: KeyRing) -> None:
        self._keys = [key for key in ring.sign if key.algorithm == m.ALGORITHM]

    def __call__(self, text: str) -> str:
        return codec.reveal(text, self._keys, "name")


def _complete(intent: Intent, credentials: Credentials) -> Intent:
    """The intent with what the settings say wherever it is silent."""
    intent = replace(intent, merchant=credentials.merchant)
    if isinstance(intent, CreateTrade):
        if intent.seller == Party(credentials.merchant):
            intent = replace(intent, seller=Party())
        if intent.presentation is Presentation.BARCODE:
            return intent
        return replace(intent, notify_url=intent.notify_url or credentials.values["notify_url"])
    if isinstance(intent, CreateCombined):
        return replace(intent, notify_url=intent.notify_url or credentials.values["notify_url"])
    return intent


def _as_sent(parts: Parts) -> Parts:
    """The parts as they come out of JSON."""
    return parts if parts.body is None else replace(parts, body=codec.read_body(codec.write_body(parts.body)))


def _public_name(ring: KeyRing) -> str:
    """The id of the configured public key, by which every answer is wanted; '' where there are certificates only, and
    the platform may sign with the newest of them."""
    bare = (key.id for key in codec.live(ring.verify, m.ALGORITHM) if key.id.startswith(codec.PUBLIC_KEY))
    return next(bare, "")


def _headers(
    credentials: Credentials, method: str, target: bytes, body: bytes, key: Key, now: Instant, hidden: str = ""
) -> codec.Headers:
    """``hidden``: the name of the key with which fields of the body are encrypted, which is then named."""
    name = hidden or _public_name(credentials.ring)
    timestamp = str(now // 1_000)
    nonce = codec.request_nonce(credentials, method, target, body, now)
    text = codec.request_text(method, target, timestamp, nonce, body)
    proof = codec.Proof(speaker_of(credentials).mchid, codec.serial_of(key), timestamp, nonce, codec.sign(text, key))
    return (
        (b"Content-Type", b"application/json"),
        (b"Accept", b"application/json"),
        (b"User-Agent", b"tongbao"),
        *(((b"Wechatpay-Serial", name.encode("ascii")),) if name else ()),
        (b"Authorization", codec.write_authorization(proof).encode("ascii")),
    )


def _rejection(intent: Intent, response: Response, ring: KeyRing, now: Instant) -> Rejection:
    """A refusal, proven only by a signature. Raises RemoteProtocolError where it is none of the interface's, or where
    it bears a signature that is wrong."""
    if not (response.status == 202 or 400 <= response.status < 600):
        raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
    signed = response.header("Wechatpay-Signature") is not None
    if signed:
        codec.check_signed(response.headers, response.body, ring, now)
    fields = Fields(codec.read_body(response.body))
    word = fields.text("code", 64, needed=True)
    bare = word.replace("_", "")
    code = m.NEUTRAL_CODE.get(bare, "SYSTEM" if response.status >= 500 else "STATE_CONFLICT")
    if isinstance(intent, RefundTrade) and bare == "INVALIDREQUEST":
        # other parameters than at the first call of this number (section 10): the refund may have happened
        code = "REFUND_MISMATCH"
    return Rejection(code, word, fields.text("message", 4_096)[:256], proven=signed)


def with_home(url: str, home: str) -> str:
    """An H5 link with the address to which the buyer's browser goes afterwards."""
    return f"{url}{'&' if '?' in url else '?'}redirect_url={quote(home, safe='')}" if home else url


# --- reading answers ---------------------------------------------------------------------------------------------


def _opened(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    fields, where = Fields(said), reading.intent.presentation
    if where is Presentation.BARCODE:
        return TradeFound(_scanned(reading.intent, reading.credentials, said, TradeState.PAID))
    if where is Presentation.QR:
        url = fields.text("code_url", 512, needed=True)
        return TradeOpened("", url, url.removeprefix(SCAN) if url.startswith(SCAN) else "")
    if where is Presentation.H5:
        return TradeOpened("", with_home(fields.text("h5_url", 512, needed=True), reading.intent.return_url))
    number = fields.text("prepay_id", 64, needed=True)
    return TradeOpened("", number, number[len(PREPAID) + _TIME_DIGITS :])


def _compare(asked: Any, told: Any, *names: str) -> None:
    """The answer is about what was asked for."""
    for name in names:
        if getattr(asked, name) and getattr(asked, name) != getattr(told, name):
            raise RemoteProtocolError(name, "the answer is about another one", "MALFORMED")


def _own(view: TradeView, credentials: Credentials, said: Mapping[str, Any]) -> TradeView:
    """The order, if it is the merchant's, told to who asked. Raises RemoteProtocolError."""
    if read_owner(Fields(said)) != (credentials.merchant, credentials.values.get("sp_mchid", "")):
        raise RemoteProtocolError("mchid", "is another merchant's", "FIELD_INVALID")
    return view


def _scanned(intent: CreateTrade, credentials: Credentials, said: Mapping[str, Any], state: TradeState) -> TradeView:
    """The order that a scanned code was to pay. Raises RemoteProtocolError."""
    view = _own(read_trade(said), credentials, said)
    if view.state is not state:
        raise RemoteProtocolError("trade_state", "is not what the status says", "FIELD_INVALID")
    _compare(intent, view, "out_trade_no", *(["amount"] if view.amount else []))
    return view


def _asking(intent: CreateTrade, credentials: Credentials, said: Mapping[str, Any]) -> Outcome:
    """The buyer must still agree: the order's state is the answer, with 202."""
    _scanned(intent, credentials, said, TradeState.UNPAID)
    return Rejection("BUYER_PAYING", "USER_PAYING", Fields(said).text("trade_state_desc", 4_096)[:256])


def _combined(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    view = read_combined(said, reading.credentials.merchant)
    _compare(reading.intent, view, "out_trade_no")
    return CombinedFound(view)


def _reversed(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    fields = Fields(said)
    if fields.text("mchid", 64) not in ("", reading.credentials.merchant):
        raise RemoteProtocolError("mchid", "is another merchant's", "FIELD_INVALID")
    number = fields.text("out_trade_no", 64)
    if number not in ("", reading.intent.out_trade_no):
        raise RemoteProtocolError("out_trade_no", "the answer is about another one", "MALFORMED")
    return Cancelled("", reading.intent.out_trade_no, "")


def _found(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    view = _own(read_trade(said), reading.credentials, said)
    intent = reading.intent
    if intent.trade_no and not view.trade_no and intent.out_trade_no == view.out_trade_no:
        intent = replace(intent, trade_no="")  # an unpaid order does not tell its number
    _compare(intent, view, "out_trade_no", *(["trade_no"] if view.trade_no else []))
    return TradeFound(view)


def _refunded(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    view = read_refund(said, reading.credentials.merchant)
    if isinstance(reading.intent, RecoverRefund):
        _compare(reading.intent, view, "refund_no", "refund_id")
        return RefundFound((view,))
    _compare(reading.intent, view, "refund_no", "trade_no", "out_trade_no")
    if isinstance(reading.intent, RefundTrade):
        _compare(reading.intent, view, "amount", "total")
    return RefundFound((view,))


def _batch_taken(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    taken = read_taken(said)
    _compare(reading.intent, taken, "batch_no")
    return taken


def _batch_found(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    check_apps(Fields(said).child("transfer_batch"), reading.credentials)
    found = read_found(said, reading.credentials.merchant)
    _compare(reading.intent, found.batch, "batch_no")
    _compare(reading.intent, found.batch.head, "batch_id")
    return found


def _transferred(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    asked: Any = reading.intent
    if isinstance(asked, QueryPayOut) and (asked.batch_no or asked.batch_id):
        line = read_line(said, reading.credentials.merchant, reading.cover)
        _compare(asked, line, "batch_no", "payout_no", "payout_id")
        if asked.batch_id and Fields(said).text("batch_id") != asked.batch_id:
            raise RemoteProtocolError("batch_id", "the answer is about another one", "MALFORMED")
        return PayOutFound((line,))
    view = read_transfer(said, reading.credentials.merchant, reading.cover)
    _compare(reading.intent, view, "payout_no", *(["payout_id"] if isinstance(reading.intent, QueryPayOut) else []))
    if isinstance(reading.intent, PayOut):
        asked = reading.intent
        view = replace(view, amount=asked.amount, payee=asked.payee, memo=asked.memo)
    return PayOutFound((view,))


def _shared(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    view = read_share(said, reading.credentials.merchant)
    _compare(reading.intent, view, "split_no", "trade_no")
    return SplitFound(replace(view, finished=isinstance(reading.intent, SplitTrade) and reading.intent.finish))


def _returned(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    """What must be said are result and number (sheet wechatpay, section 15); what is said beside them is compared, and
    where the answer is silent the question speaks."""
    view, asked = read_returned(said, reading.credentials.merchant), reading.intent
    names = ["return_no", "split_no"]
    if isinstance(asked, ReturnSplit):
        names += ["split_id", "giver_id", "amount"]
    silent = [name for name in names if not getattr(view, name)]
    _compare(asked, view, *[name for name in names if name not in silent])
    return SplitReturnFound(replace(view, **{name: getattr(asked, name) for name in silent}))


def _left(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    found = read_left(said)
    _compare(reading.intent, found, "trade_no")
    return found


def _bill(reading: _Reading, said: Mapping[str, Any]) -> Outcome:
    fields = Fields(said)
    if fields.text("hash_type", 16) not in ("", "SHA1"):
        raise RemoteProtocolError("hash_type", "is not SHA1", "FIELD_INVALID")
    return FollowUp(fields.text("download_url", 2_048, needed=True), fields.text("hash_value", 128))


_ANSWERS: Final[dict[type, Callable[[_Reading, Mapping[str, Any]], Outcome]]] = {
    CreateTrade: _opened,
    QueryTrade: _found,
    CreateCombined: _opened,
    QueryCombined: _combined,
    CancelTrade: _reversed,
    RefundTrade: _refunded,
    QueryRefund: _refunded,
    RecoverRefund: _refunded,
    PayOut: _transferred,
    QueryPayOut: _transferred,
    PayOutBatch: _batch_taken,
    QueryPayOutBatch: _batch_found,
    SplitTrade: _shared,
    QuerySplit: _shared,
    ReturnSplit: _returned,
    QuerySplitReturn: _returned,
    QueryUnsplit: _left,
    RequestBill: _bill,
}


def _read_certificates(response: Response, credentials: Credentials, now: Instant) -> Outcome:
    """Open every certificate with the APIv3 key, then verify the answer by a key already trusted or by one of these:
    only who holds the APIv3 key can have sealed them. Raises RemoteProtocolError."""
    secret = codec.content_key(credentials.ring)
    found: list[str] = []
    fresh: list[Key] = []
    for item in Fields(codec.read_body(response.body)).children("data", 100):
        text = codec.unseal(item.child("encrypt_certificate", needed=True).said, secret)
        try:
            leaf = load_chain(text.decode("ascii", "replace"), "encrypt_certificate")[0]
            public = certificate_key(leaf, "encrypt_certificate", smallest=2_048)
        except ConfigurationError as error:
            raise RemoteProtocolError("data.encrypt_certificate", error.reason, "FIELD_INVALID") from error
        if item.text("serial_no", 64, needed=True).upper() != f"{leaf.serial_number:X}":
            raise RemoteProtocolError("data.serial_no", "is not the certificate's", "FIELD_INVALID")
        fresh.append(Key(f"{leaf.serial_number:X}", 1, m.ALGORITHM, public, chain=(leaf,)))
        found.append(text.decode("ascii", "replace"))
    if not fresh:
        raise InvalidSignature("data", "holds no certificate", "KEY_UNKNOWN")
    ring = credentials.ring
    codec.check_signed(response.headers, response.body, replace(ring, verify=(*ring.verify, *fresh)), now)
    return CertificatesFound("", tuple(found))
