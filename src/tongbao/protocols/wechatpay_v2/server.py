"""The platform's half."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from tongbao.kernel.error import (
    InvalidSignature,
    LocalProtocolError,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    TongbaoError,
)
from tongbao.kernel.time import Instant, china_compact
from tongbao.protocols.wechatpay_v2 import codec
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.protocols.wechatpay_v2.client import PREPAID, SCAN
from tongbao.protocols.wechatpay_v2.request import read_intent
from tongbao.protocols.wechatpay_v2.view import (
    write_paid,
    write_refund,
    write_refund_notice,
    write_refunds,
    write_trade,
    write_transfer,
    write_transfer_found,
)
from tongbao.wire import http
from tongbao.wire.certificate import common_names
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.movement import BillOpened, Cancelled, PayOutFound, RefundFound
from tongbao.wire.vocabulary import (
    PAID_STATES,
    Carriage,
    Done,
    Notification,
    Outcome,
    Rejection,
    TradeFound,
    TradeOpened,
)

NO_CERTIFICATE: Final = (
    b"<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>\r\n"
    b"<center><h1>400 Bad Request</h1></center>\r\n<center>No required SSL certificate was sent</center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_CERTIFICATE: Final = "client certificate"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The server's own reading of a request."""

    service: m.Service
    fields: Mapping[str, str] = field(repr=False)
    certificate: bytes | None = field(default=None, repr=False)

    @property
    def algorithm(self) -> str:
        """The signature's kind: MD5 unless the request names another."""
        return self.fields.get("sign_type", "") or m.MD5


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        service = m.SERVICES.get(request.raw_path.decode("latin-1"))
        if service is None:
            raise RemoteProtocolError("path", "is no address of the interface", "UNKNOWN_SERVICE")
        if request.method != "POST":
            raise RemoteProtocolError("method", "is not POST", "UNKNOWN_SERVICE")
        if service.certified and request.scheme == "https" and request.peer_cert is None:
            # over plain HTTP, which only a sandbox serves, no certificate can be shown and none is asked for
            raise RemoteProtocolError(_CERTIFICATE, "was not shown", "CERT_REQUIRED")
        fields = codec.read_fields(request.body)
        merchant = fields.get(service.merchant, "")
        if codec.SERIAL.fullmatch(merchant) is None:
            raise RemoteProtocolError(
                service.merchant, "is no merchant's number", "FIELD_INVALID" if merchant else "FIELD_MISSING"
            )
        return Claim(merchant, service.path, Carriage.SERVER, Parsed(service, fields, request.peer_cert))

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        parsed: Parsed = claim.parsed
        key = codec.authenticate(parsed.fields, parsed.algorithm, ring)
        if parsed.certificate is not None and parsed.service.certified:
            _check_certificate(parsed.certificate, claim.merchant)
        return Verified(read_intent(parsed.service, parsed.fields, claim.merchant), key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if isinstance(outcome, Rejection):
            return self.refuse(claim, Refused(outcome.code, outcome.detail), ring, now)
        parsed: Parsed = claim.parsed
        if isinstance(outcome, BillOpened):
            kind = b"application/x-gzip" if outcome.compressed else b"text/plain; charset=utf-8"
            return Response(200, ((b"Content-Type", kind),), chunks=outcome.chunks)
        try:
            said = _base(parsed) | {"result_code": "SUCCESS"} | _content(outcome, parsed, now)
        except Refused as refused:
            return self.refuse(claim, refused, ring, now)
        return _respond(said, parsed, ring, now)

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        """HTTP 200 and a word, but for a missing certificate, which the web server before the interface refuses."""
        if isinstance(error, RemoteProtocolError) and error.field == _CERTIFICATE and claim is None:
            headers = ((b"Content-Type", b"text/html"), (b"Content-Length", str(len(NO_CERTIFICATE)).encode("ascii")))
            return Response(400, headers, NO_CERTIFICATE)
        parsed: Parsed | None = claim.parsed if claim is not None else None
        word = _word(error, parsed.service.path if parsed is not None else "")
        able = ring is not None and any(key.algorithm == parsed.algorithm for key in ring.sign) if parsed else False
        bill = parsed is not None and parsed.service is m.BILL
        if parsed is None or word in m.UNSIGNED or bill or (parsed.service.signed and not able):
            more = {"error_code": "20002"} if bill else {}
            return _plain({"return_code": "FAIL", "return_msg": _returned(word, error)} | more)
        said = _base(parsed) | {"result_code": "FAIL", "err_code": word, "err_code_des": _described(word, error)}
        if parsed.service is m.REVERSE:
            said["recall"] = "Y" if word == m.WIRE_CODE["SYSTEM"] else "N"
        if not parsed.service.signed:
            said["return_msg"] = "支付失败"
        return _respond(said, parsed, ring, now)

    def refusal_code(self, error: TongbaoError) -> str:
        return _word(error)

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        """A payment signed as its order was; a refund's end encrypted. The interface tells of nothing else."""
        if notification.batch is not None or notification.payout is not None:
            raise LocalProtocolError("", "the interface tells of payments and refunds only")
        echo = notification.trade.echo
        head = {"return_code": "SUCCESS", "appid": echo.get("appid", ""), "mch_id": ring.merchant}
        if notification.refund is not None:
            secret = codec.shared(ring)
            plain = codec.write_fields(write_refund_notice(notification.refund), "root")
            info = base64.b64encode(codec.hide(plain, codec.notice_key(secret))).decode("ascii")
            head |= {"nonce_str": codec.derived_nonce(secret, plain, str(now).encode()), "req_info": info}
            return http.post(target, codec.write_fields(_filled(head)), codec.KIND)
        if notification.trade.state not in PAID_STATES:
            # what was given back since is told by a query and by the refund's own notice, never as a new payment
            raise LocalProtocolError("state", "only a successful payment is told of")
        paid, key = write_paid(notification.trade), _voice(echo, ring)
        fields = head | {"result_code": "SUCCESS"} | paid
        # what is signed without a nonce is as hard to guess as the key: the nonce follows from it and the moment
        first = codec.make_sign(fields, key)
        fields["nonce_str"] = codec.derived_nonce(first.encode("ascii"), str(now).encode())
        return http.post(target, codec.write_fields(codec.signed(fields, key)), codec.KIND)

    def acknowledged(self, response: Response) -> bool:
        if response.status != 200:
            return False
        try:
            return codec.read_fields(response.body).get("return_code") == "SUCCESS"
        except RemoteProtocolError:
            return False

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        """The browser goes home with nothing but the shop's own address."""
        return http.get(target.partition("#")[0])

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            fields = codec.read_fields(request.body)
        except RemoteProtocolError:
            return None
        if "req_info" in fields:
            shown = {name: value for name, value in fields.items() if name != "req_info"}
            return SignatureTrail("AES-256-ECB", codec.canonical(shown), "")
        if not fields.get("sign"):
            return None
        algorithm = m.HMAC if len(fields["sign"]) == 64 else m.MD5
        return SignatureTrail(algorithm, f"{codec.canonical(fields)}&key={codec.MASK}", fields["sign"])


def _filled(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _check_certificate(raw: bytes, merchant: str) -> None:
    """The client certificate's common name is the merchant's number; who issued it, the TLS layer has checked."""
    try:
        names = common_names(x509.load_der_x509_certificate(raw))
    except ValueError as error:
        raise RemoteProtocolError(_CERTIFICATE, "cannot be read", "CERT_REQUIRED") from error
    if names != [merchant]:
        raise RemoteProtocolError(_CERTIFICATE, "is another merchant's", "CERT_REQUIRED")


def _voice(echo: Mapping[str, str], ring: KeyRing) -> Key:
    """The key of the order's own signature kind; any other where there is none."""
    live = [key for key in ring.sign if key.state is KeyState.ACTIVE and key.algorithm in m.ALGORITHMS]
    wanted = echo.get("sign_type", m.MD5)
    found = next((key for key in live if key.algorithm == wanted), live[0] if live else None)
    if found is None:
        raise InvalidSignature("sign_type", "there is no active key to sign with", "SIGN_TYPE_NOT_ALLOWED")
    return found


# --- answers -----------------------------------------------------------------------------------------------------


def _base(parsed: Parsed) -> dict[str, str]:
    service, fields = parsed.service, parsed.fields
    return {
        "return_code": "SUCCESS",
        "return_msg": "OK",
        service.appid: fields.get(service.appid, ""),
        service.merchant: fields.get(service.merchant, ""),
        "device_info": fields.get("device_info", ""),
    }


def _respond(said: Mapping[str, str], parsed: Parsed, ring: KeyRing | None, now: Instant) -> Response:
    secret = codec.shared(ring) if ring is not None else b""
    nonce = codec.derived_nonce(secret, codec.canonical(said).encode("utf-8", "surrogatepass"), str(now).encode())
    fields = {**said, "nonce_str": nonce}
    if parsed.service.signed:
        return _plain(codec.signed(fields, codec.active(ring, parsed.algorithm)))
    return _plain(fields)


def _plain(fields: Mapping[str, str]) -> Response:
    body = codec.write_fields(_filled(fields))
    headers = ((b"Content-Type", b"text/plain"), (b"Content-Length", str(len(body)).encode("ascii")))
    return Response(200, headers, body)


def _content(outcome: Outcome, parsed: Parsed, now: Instant) -> dict[str, str]:
    """The fields of a successful answer. Raises LocalProtocolError."""
    if isinstance(outcome, TradeOpened):
        return _opened(outcome, parsed.fields.get("trade_type", ""), now)
    if isinstance(outcome, TradeFound):
        return write_paid(outcome.trade) if parsed.service is m.MICROPAY else write_trade(outcome.trade)
    if isinstance(outcome, Done):
        return {"result_msg": "OK"}
    if isinstance(outcome, Cancelled):
        return {"recall": "N"}
    if isinstance(outcome, RefundFound):
        if not outcome.refunds:
            raise Refused("REFUND_NOT_FOUND", "offset: there are not so many")
        if parsed.service is m.QUERY_REFUND:
            return write_refunds(outcome.refunds, outcome.total)
        return write_refund(outcome.refunds[0])
    if isinstance(outcome, PayOutFound) and outcome.payouts:
        write = write_transfer if parsed.service is m.TRANSFER else write_transfer_found
        return write(outcome.payouts[0])
    raise LocalProtocolError("", f"the interface has no answer for {type(outcome).__name__}")


def _opened(outcome: TradeOpened, kind: str, now: Instant) -> dict[str, str]:
    said = {"trade_type": kind, "prepay_id": f"{PREPAID}{china_compact(now)}{outcome.code}"}
    if kind == "NATIVE":
        said["code_url"] = f"{SCAN}{outcome.code}"
    if kind == "MWEB":
        # with a query, since merchants append &redirect_url= to it
        said["mweb_url"] = f"{outcome.cashier_url}?prepay_id={said['prepay_id']}"
    return said


# --- refusals ----------------------------------------------------------------------------------------------------


def _word(error: TongbaoError, path: str = "") -> str:
    if isinstance(error, Refused) and error.state in m.ENDED_WORD:
        return m.ENDED_WORD[error.state]
    if isinstance(error, ProtocolError | Refused):
        return m.CODES_OF.get(path, {}).get(error.code) or m.WIRE_CODE.get(error.code, "PARAM_ERROR")
    return "SYSTEMERROR"


def _returned(word: str, error: TongbaoError) -> str:
    text = m.RETURNED.get(word, word)
    name = error.field if isinstance(error, ProtocolError) and word in ("LACK_PARAMS", "PARAM_ERROR") else ""
    return f"{text}{name}" if name.isascii() and name.isidentifier() else text


def _described(word: str, error: TongbaoError) -> str:
    text = m.DESCRIBED.get(word) or m.RETURNED.get(word, "请求错误")
    if isinstance(error, ProtocolError) and error.field.isidentifier():
        return f"{text}: {error.field}"
    return text
