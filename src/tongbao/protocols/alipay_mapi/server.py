"""The platform's half."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import (
    InvalidSignature,
    LocalProtocolError,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    TongbaoError,
)
from tongbao.kernel.time import Instant
from tongbao.protocols.alipay_mapi import code as c
from tongbao.protocols.alipay_mapi import counter
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.protocols.alipay_mapi.answer import write_failure, write_page, write_success, write_text
from tongbao.protocols.alipay_mapi.bill import write_rows
from tongbao.protocols.alipay_mapi.codec import (
    CODECS,
    LIMITS,
    MD5,
    Message,
    authenticate,
    canonical,
    check_shift,
    decode_fields,
    merge,
    signed,
)
from tongbao.protocols.alipay_mapi.device import Order, is_order, read_order
from tongbao.protocols.alipay_mapi.request import read_intent
from tongbao.protocols.alipay_mapi.result import write_batch_notice, write_found_refunds
from tongbao.protocols.alipay_mapi.view import write_base, write_notification, write_return, write_trade
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.form import encode_form, split_form
from tongbao.wire.http import FORM, Request, Response
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.movement import BatchTaken, MovementsFound, RefundFound
from tongbao.wire.vocabulary import (
    Carriage,
    Confirmed,
    Done,
    Notification,
    Outcome,
    Rejection,
    TimestampIssued,
    TradeFound,
    TradeOpened,
)

_PARTNER: Final = re.compile(r"[0-9A-Za-z]{1,32}", re.ASCII)
_CHARSET: Final = re.compile(r"charset=([A-Za-z0-9._-]{1,20})", re.ASCII)
MASK: Final = "********"


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        handed = request.body if request.method == "POST" else request.raw_query
        if is_order(handed):
            return _order(handed)
        parts = (request.raw_query, request.body) if request.method == "POST" else (request.raw_query,)
        try:
            return self._claim(request, parts)
        except RemoteProtocolError as error:
            # a window waits for the answer to these services: decode raises what was found, and it becomes a page
            service = _readable(parts)
            entry = m.SERVICES.get(service)
            if entry is None or entry.carriage is not Carriage.BROWSER:
                raise
            return Claim("", service, entry.carriage, error)

    def _claim(self, request: Request, parts: tuple[bytes, ...]) -> Claim:
        raw = merge(parts)
        if request.raw_path.endswith(m.OLD_CONFIRM_PATH.encode("ascii")):
            service = m.CONFIRM
        else:
            service = raw.get(b"service", b"").decode("latin-1")
        entry = m.SERVICES.get(service)
        if entry is None:
            raise RemoteProtocolError("service", "is missing or unknown", "UNKNOWN_SERVICE")
        if service == m.CONFIRM:
            return _question(raw)
        charset = _charset(raw, needed=entry.signed)
        fields = decode_fields(raw, CODECS[charset])
        partner = fields.get("partner", "")
        if _PARTNER.fullmatch(partner) is None:
            raise RemoteProtocolError(
                "partner", "is no merchant's number", "FIELD_INVALID" if partner else "FIELD_MISSING"
            )
        return Claim(partner, service, entry.carriage, Message(raw, fields, charset), charset)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        if isinstance(claim.parsed, RemoteProtocolError):
            raise claim.parsed
        if isinstance(claim.parsed, Order):
            order = claim.parsed
            signer = authenticate(order.text, order.signature, order.message.fields["sign_type"], ring)
            return Verified(read_intent(claim.operation, order.message.fields), signer)
        message: Message = claim.parsed
        fields = message.fields
        key = None
        if m.SERVICES[claim.operation].signed:
            text = canonical(message.raw)
            sign_type = fields.get("sign_type", "")
            signature = fields.get("sign", "")
            if sign_type == MD5 and signature.isascii():
                signature = signature.lower()
            key = authenticate(text, signature, sign_type, ring)
            if text.count(b"&") >= len(fields) - len(m.UNSIGNED):
                check_shift(fields, m.REQUEST_NAMES, m.ADDRESSES)
        return Verified(read_intent(claim.operation, fields), key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if isinstance(outcome, Confirmed):
            return _word("true" if outcome.genuine else "false" if outcome.understood else "invalid")
        if isinstance(outcome, Rejection):
            return self.refuse(claim, Refused(outcome.code, outcome.detail), ring, now)
        if isinstance(claim.parsed, Order):
            return _handed(claim.parsed, outcome, ring)
        message: Message = claim.parsed
        echo = {name: value for name, value in message.fields.items() if name not in ("sign", "sign_type")}
        key = _reply_key(message.fields, ring)
        if isinstance(outcome, TradeOpened) and claim.operation == m.PRECREATE:
            leaves = counter.write_opened(outcome, message.fields["out_trade_no"])
            return write_success(echo, "alipay", leaves, claim.charset, key)
        if isinstance(outcome, TradeFound) and claim.operation == m.SCANNED:
            return write_success(echo, "alipay", counter.write_paid(outcome.trade), claim.charset, key)
        if isinstance(outcome, TradeFound):
            return write_success(echo, "trade", write_trade(outcome.trade), claim.charset, key)
        if isinstance(outcome, TimestampIssued):
            return write_success(echo, "timestamp", {"encrypt_key": outcome.key}, claim.charset, key)
        if isinstance(outcome, RefundFound) and claim.operation == m.REFUND_QUERY:
            details = write_found_refunds(outcome.refunds, message.fields.get("batch_no", ""))
            if not details:
                return self.refuse(claim, Refused("REFUND_NOT_FOUND"), ring, now)
            return write_text({"is_success": "T", "result_details": details}, claim.charset, key)
        if isinstance(outcome, BatchTaken):
            return write_success(echo, "", {}, claim.charset, None)
        if isinstance(outcome, MovementsFound):
            return self._movements(claim, echo, outcome, key)
        if isinstance(outcome, Done):
            base = write_base(outcome.trade) if outcome.trade is not None and claim.operation == m.SHIP else {}
            return write_success(echo, "tradeBase", base, claim.charset, key)
        what = "opened trade" if isinstance(outcome, TradeOpened) else "follow-up"
        raise LocalProtocolError("", f"the interface has no answer for an {what}")

    def _movements(self, claim: Claim, echo: Mapping[str, str], found: MovementsFound, key: Key | None) -> Response:
        if claim.operation == m.ACCOUNT:
            return write_page(echo, found, claim.charset, key)
        if found.more:
            return write_failure(c.WIRE_CODE["LIMIT_EXCEEDED"], claim.charset)
        leaves = {"count": str(len(found.lines)), "csv_data": write_rows(found.lines)}
        return write_success(echo, "csv_result", leaves, claim.charset, key)

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        code = self.refusal_code(error)
        if claim is None:
            return write_failure(code, "utf-8")
        if claim.operation == m.CONFIRM:
            well_formed = _PARTNER.fullmatch(claim.merchant) is not None
            return _word("false" if isinstance(error, Refused) and well_formed else "invalid")
        code = self._code_within(claim.operation, error) or code
        if claim.operation in m.COUNTER and isinstance(error, Refused) and ring is not None and ring.sign:
            message: Message = claim.parsed
            number, scanned = message.fields.get("out_trade_no", ""), claim.operation == m.SCANNED
            leaves = counter.write_failed(code, number, error.code, scanned=scanned)
            return write_success({}, "alipay", leaves, claim.charset, _reply_key(message.fields, ring))
        if claim.operation == m.REFUND_QUERY:
            return write_text({"is_success": "F", "error_code": code}, claim.charset, None)
        return write_failure(code, claim.charset)

    def _code_within(self, service: str, error: TongbaoError) -> str:
        """The service's own word for an error, where it has one."""
        if isinstance(error, ProtocolError):
            return c.FIELD_CODE_OF.get(service, {}).get((error.code, error.field), "")
        return c.CODES_OF.get(service, {}).get(error.code, "") if isinstance(error, Refused) else ""

    def refusal_code(self, error: TongbaoError) -> str:
        if isinstance(error, ProtocolError):
            return c.FIELD_CODE.get((error.code, error.field)) or c.WIRE_CODE.get(error.code, "ILLEGAL_ARGUMENT")
        return c.WIRE_CODE.get(error.code, "SYSTEM_ERROR") if isinstance(error, Refused) else "SYSTEM_ERROR"

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        if notification.payout is not None:
            raise LocalProtocolError("payout", "the interface tells of payouts in batches only")
        batch = notification.batch
        charset, key = _voice(batch.echo if batch is not None else notification.trade.echo, ring)
        if batch is not None:
            written = write_batch_notice(notification, batch, now)
        else:
            written = write_notification(notification, now)
        fields = signed(written, CODECS[charset], key)
        body = encode_form(tuple(fields.items()), CODECS[charset])
        return http.post(target, body, f"{FORM}; charset={charset}")

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and response.body.strip(b" \t\r\n") == b"success"

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        charset, key = _voice(notification.trade.echo, ring)
        fields = signed(write_return(notification, now), CODECS[charset], key)
        text = encode_form(tuple(fields.items()), CODECS[charset]).decode("ascii")
        target = target.partition("#")[0]
        return http.get(f"{target}{'&' if '?' in target else '?'}{text}")

    def trail(self, request: Request) -> SignatureTrail | None:
        handed = request.body or request.raw_query
        if is_order(handed):
            try:
                order = read_order(handed)
            except RemoteProtocolError:
                return None
            text = order.text.decode(CODECS[order.message.charset], "replace")
            return SignatureTrail(order.message.fields["sign_type"], text, order.signature, order.message.charset)
        own = b"notify_type=" in request.body or b"notify_type=" in request.raw_query
        try:
            if own and request.method == "POST":
                raw = merge((request.body,))
            else:
                raw = merge((request.raw_query, request.body))
            if own and request.method != "POST":
                raw = {name: value for name, value in raw.items() if _known(name)}
        except RemoteProtocolError:
            return None
        if b"sign" not in raw:
            return None
        charset = _spoken(request, raw)
        algorithm = raw.get(b"sign_type", b"").decode("latin-1")
        text = canonical(raw).decode(CODECS[charset], "replace")
        return SignatureTrail(
            algorithm, text + (MASK if algorithm == MD5 else ""), raw[b"sign"].decode("latin-1"), charset
        )


def _readable(parts: tuple[bytes, ...]) -> str:
    """The service's name out of a request that is otherwise wrong; '' where there is none or more than one."""
    try:
        names = {value for part in parts for name, value in split_form(part, LIMITS) if name == b"service"}
    except RemoteProtocolError:
        return ""
    return names.pop().decode("latin-1") if len(names) == 1 else ""


def _order(raw: bytes) -> Claim:
    """The claim of an order string."""
    order = read_order(raw)
    partner = order.message.fields.get("partner", "")
    if _PARTNER.fullmatch(partner) is None:
        raise RemoteProtocolError("partner", "is no merchant's number", "FIELD_INVALID" if partner else "FIELD_MISSING")
    return Claim(partner, m.APP, Carriage.DEVICE, order, order.message.charset)


def _handed(order: Order, outcome: Outcome, ring: KeyRing | None) -> Response:
    """The answer to an order string that was sent here and not handed over to a wallet: which trade it opened."""
    if not isinstance(outcome, TradeOpened):
        raise LocalProtocolError("", f"an order string has no answer for {type(outcome).__name__}")
    leaves = {"trade_no": outcome.trade_no, "out_trade_no": order.message.fields.get("out_trade_no", "")}
    return write_success({}, "trade", leaves, order.message.charset, _reply_key(order.message.fields, ring))


def _question(raw: Mapping[bytes, bytes]) -> Claim:
    """The claim of notify_verify: whatever is wrong with its fields, the answer is one word."""
    try:
        fields = decode_fields(raw, "utf-8")
    except RemoteProtocolError:
        fields = {}
    message = Message(raw, fields, "utf-8")
    return Claim(fields.get("partner", ""), m.CONFIRM, Carriage.SERVER, message)


def _known(name: bytes) -> bool:
    return name in m.UNSIGNED or name.decode("latin-1") in m.RETURN_NAMES


def _charset(raw: Mapping[bytes, bytes], *, needed: bool) -> str:
    """``_input_charset`` in lower case (T15: one of the table, or refused)."""
    word = raw.get(b"_input_charset", b"").decode("latin-1")
    if not word:
        if needed:
            raise RemoteProtocolError("_input_charset", "is missing", "FIELD_MISSING")
        return "utf-8"
    if word.lower() not in CODECS:
        raise RemoteProtocolError("_input_charset", "is none of utf-8, gbk, gb2312", "BAD_CHARSET")
    return word.lower()


def _spoken(request: Request, raw: Mapping[bytes, bytes]) -> str:
    """The charset in which to show a message: announced in a field or in the header, else the one that fits."""
    match = _CHARSET.search(request.header("content-type") or "")
    for word in (raw.get(b"_input_charset", b"").decode("latin-1"), match[1] if match else ""):
        if word.lower() in CODECS:
            return word.lower()
    try:
        canonical(raw).decode("utf-8")
    except UnicodeDecodeError:
        return "gbk"
    return "utf-8"


def _word(word: str) -> Response:
    """One word, no newline, with its length, as clients read that compare the whole body or the first line."""
    return Response(
        200,
        ((b"Content-Type", b"text/plain; charset=utf-8"), (b"Content-Length", str(len(word)).encode())),
        word.encode(),
    )


def _active(ring: KeyRing, algorithm: str) -> Key | None:
    live = [key for key in ring.sign if key.state is KeyState.ACTIVE]
    wanted = (algorithm, MD5)
    return next((key for name in wanted for key in live if key.algorithm == name), live[0] if live else None)


def _reply_key(fields: Mapping[str, str], ring: KeyRing | None) -> Key | None:
    """The key for an answer: of the request's kind, or MD5's where the request was not signed."""
    return None if ring is None else _active(ring, fields.get("sign_type", ""))


def _voice(echo: Mapping[str, str], ring: KeyRing) -> tuple[str, Key]:
    """Charset and key of the messages about a trade or a batch: those of the request that created it."""
    charset = echo.get("_input_charset", "utf-8").lower()
    key = _active(ring, echo.get("sign_type", ""))
    if key is None:
        raise InvalidSignature("sign_type", "there is no active key to sign with", "SIGN_TYPE_NOT_ALLOWED")
    return charset if charset in CODECS else "utf-8", key
