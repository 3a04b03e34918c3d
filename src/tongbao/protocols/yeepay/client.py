"""The merchant's half."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields as members
from typing import Final

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import (
    ALGORITHM,
    LIMITS,
    WIRE,
    Fields,
    Proof,
    authenticate,
    is_text,
    read_fields,
    sign,
)
from tongbao.protocols.yeepay.request import read_intent, write_intent
from tongbao.protocols.yeepay.split import (
    answer_shapes,
    callback_shapes,
    check_fields,
    is_answer,
    is_any,
    is_callback,
    is_order,
    refund_query_shapes,
    refund_shapes,
)
from tongbao.protocols.yeepay.view import read_answer, read_event, read_lines, read_refund, read_refund_result
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.field import invalid, required
from tongbao.wire.form import Pairs, encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.movement import QueryRefund, RefundFound, RefundTrade
from tongbao.wire.setting import check_addresses, complete, find_query_gateway
from tongbao.wire.sign import load_secret
from tongbao.wire.vocabulary import (
    Carriage,
    CloseTrade,
    CreateTrade,
    Done,
    Intent,
    Notification,
    Outcome,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
)

_PLAIN: Final = (
    "p1_MerId", "gateway", "queryURL", "return_url", "notify_url", "order_sample", "query_version",
)  # fmt: skip
_COMMAND: Final[dict[type, str]] = {
    QueryTrade: m.QUERY,
    CloseTrade: m.CANCEL,
    RefundTrade: m.REFUND,
    QueryRefund: m.REFUND_QUERY,
}
_NUMBER: Final = re.compile(r"[0-9A-Za-z]{1,11}", re.ASCII)
_LOOSE: Final = re.compile(r"[ -~]{0,64}", re.ASCII)


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        merchant = values["p1_MerId"]
        if _NUMBER.fullmatch(merchant) is None:
            raise ConfigurationError("p1_MerId", "is not the number of a merchant, at most 11 digits")
        values["gateway"] = values["gateway"] or m.GATEWAY
        values["queryURL"] = values["queryURL"] or _command_address(values["gateway"])
        values["query_version"] = values["query_version"] or m.NEW_VERSION
        if values["query_version"] not in (m.NEW_VERSION, m.OLD_VERSION):
            raise ConfigurationError("query_version", f"is neither {m.NEW_VERSION} nor {m.OLD_VERSION}")
        if values["order_sample"] and not is_order(values["order_sample"]):
            raise ConfigurationError("order_sample", "holds more than letters, digits, _ and -")
        check_addresses(values, ("gateway", "queryURL", "return_url", "notify_url"))
        secret = load_secret(settings.get("keyValue") or "", "keyValue", published=m.PUBLISHED_KEYS)
        key = Key(merchant, 1, ALGORITHM, secret)
        return Credentials("yeepay", merchant, values["gateway"], values, KeyRing(merchant, (key,), (key,)))

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        values = credentials.values
        intent = complete(intent, credentials)
        fields = write_intent(intent, values.get("query_version") or m.NEW_VERSION)
        fields |= {"p1_MerId": credentials.merchant}
        names = m.REQUEST_NAMES[fields["p0_Cmd"]]
        filled = {name: fields[name] for name in names if fields.get(name)}
        _check_said(intent, filled)
        signatures = sign(filled, names, credentials.ring.signing(ALGORITHM))
        pairs: Pairs = (*filled.items(), *signatures.items())
        if len(encode_form(pairs, WIRE)) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        if isinstance(intent, CreateTrade):
            return Call(Carriage.BROWSER, "POST", credentials.gateway, pairs, WIRE)
        if isinstance(intent, QueryRefund):
            return Call(Carriage.SERVER, "POST", credentials.gateway, pairs, WIRE)
        return Call(Carriage.SERVER, "POST", find_query_gateway(credentials, "queryURL", _command_address), pairs, WIRE)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        command = _COMMAND.get(type(intent))
        if command is None:
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        fields, proof = _authentic_lines(response, m.ANSWER_NAMES[command], credentials)
        if required(fields, "r0_Cmd") != command:
            raise invalid("r0_Cmd", "is the answer to another command")
        code = required(fields, "r1_Code")
        if code != m.OK:
            return _rejection(fields, code, command)
        if isinstance(intent, RefundTrade | QueryRefund):
            return _refund_found(intent, fields, proof, credentials)
        if isinstance(intent, QueryTrade):
            return _found(intent, fields, proof, credentials)
        return Done()

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """One codec for both: what came by a browser (``r9_BType`` 1) has the role of a return, wherever it came."""
        return _read_callback(request, credentials)

    def acknowledge(self, accepted: bool) -> Response:
        return http.text("SUCCESS" if accepted else "FAIL")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        event = _read_callback(request, credentials)
        if event.role is not Role.RETURN:
            raise invalid("r9_BType", "is a notice between servers")
        return event


def _command_address(gateway: str) -> str:
    """Where queries go: a host of their own in production, else beside the gateway."""
    return m.QUERY_GATEWAY if gateway == m.GATEWAY else re.sub(r"node$", "command", gateway)


def _check_said(intent: Intent, fields: Fields) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    for name, value in fields.items():
        if not is_text(value):
            raise LocalProtocolError(name, "holds control characters", "BAD_CHARSET")
        try:
            value.encode(WIRE)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(name, "holds characters that gbk lacks", "BAD_CHARSET") from error
    try:
        read = read_intent(fields["p0_Cmd"], fields, Instant(0))
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    for member in members(intent):
        asked, told = getattr(intent, member.name), getattr(read, member.name)
        if member.name == "echo" or asked in (None, "", ()) or asked == told or not asked:
            continue
        if member.name == "trade_no" and isinstance(intent, QueryTrade | CloseTrade):
            continue  # the merchant's number names the trade, and the answer is compared with both
        raise LocalProtocolError(member.name, "the gateway cannot say this", "FIELD_INVALID")


def _read_callback(request: Request, credentials: Credentials) -> Notification:
    """Receiver steps 3 to 10. What neither this table nor that of unsigned fields knows is the shop's own address."""
    if request.method not in ("GET", "POST"):
        raise RemoteProtocolError("", "a callback is a GET or a POST", "MALFORMED")
    fields = read_fields((request.body if request.method == "POST" else request.raw_query,))
    proof = authenticate(fields, m.CALLBACK_NAMES, credentials.ring)
    for name in m.UNSIGNED_NAMES:
        if _LOOSE.fullmatch(fields.get(name, "")) is None:
            raise invalid(name, "is not short and printable")
    sample = credentials.values.get("order_sample", "")
    shapes = callback_shapes(credentials.merchant, sample, marked=proof.safe)
    loose = callback_shapes(credentials.merchant, "", marked=True)
    check_fields(fields, shapes, is_callback, proof, loose)
    known = {*m.CALLBACK_NAMES, "hmac", "hmac_safe"}
    return read_event(fields, {name: value for name, value in fields.items() if name not in known})


def _authentic_lines(
    response: Response, names: tuple[str, ...], credentials: Credentials
) -> tuple[dict[str, str], Proof]:
    failure: RemoteProtocolError = InvalidSignature("hmac")
    for fields in read_lines(response):
        try:
            return fields, authenticate(fields, names, credentials.ring)
        except InvalidSignature as error:
            failure = error
    raise failure


def _rejection(fields: Fields, code: str, command: str) -> Rejection:
    """A refusal says its number alone; only "no such order", into which no success can be cut, may fill the rest."""
    neutral = m.NEUTRAL_CODE_OF.get(command, {}).get(code) or m.NEUTRAL_CODE.get(code)
    if neutral is None:
        raise invalid("r1_Code", "is no number of the list")
    rest = [name for name in m.ANSWER_NAMES[command][2:] if fields.get(name)]
    if rest and code != m.NOT_FOUND:
        raise RemoteProtocolError(rest[0], "goes beyond a refusal", "AMBIGUOUS_SPLIT")
    return Rejection(neutral, code)


def _found(intent: QueryTrade, fields: Fields, proof: Proof, credentials: Credentials) -> TradeFound:
    """The signature does not cover the question, so the answer itself must be about the trade that was asked for."""
    for name, asked in (("r6_Order", intent.out_trade_no), ("r2_TrxId", intent.trade_no)):
        if asked and required(fields, name) != asked:
            raise RemoteProtocolError(name, "the answer is about another trade", "MALFORMED")
    order = required(fields, "r6_Order")
    new = (credentials.values.get("query_version") or m.NEW_VERSION) == m.NEW_VERSION
    shapes = answer_shapes(order, new=new, marked=proof.safe)
    check_fields(fields, shapes, is_answer, proof, answer_shapes(order, new=new, marked=True))
    return TradeFound(read_answer(fields, credentials.merchant))


def _refund_found(
    intent: RefundTrade | QueryRefund, fields: Fields, proof: Proof, credentials: Credentials
) -> RefundFound:
    """About the refund that was asked for; its number is signed in the answer to a query only."""
    if required(fields, "r2_TrxId") != intent.trade_no or fields.get("r4_Order", intent.refund_no) != intent.refund_no:
        raise RemoteProtocolError("r2_TrxId", "the answer is about another refund", "MALFORMED")
    if isinstance(intent, RefundTrade):
        check_fields(fields, refund_shapes(intent.trade_no), is_any, proof)
        return RefundFound((read_refund(fields, credentials.merchant, intent.refund_no),))
    check_fields(fields, refund_query_shapes(intent.trade_no, intent.refund_no), is_any, proof)
    return RefundFound((read_refund_result(fields, credentials.merchant),), total=1)
