"""The merchant's half."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import (
    ConfigurationError,
    LocalProtocolError,
    RemoteProtocolError,
)
from tongbao.kernel.time import Instant
from tongbao.protocols.tenpay import messages as m
from tongbao.protocols.tenpay.codec import (
    ALGORITHM,
    CODECS,
    LIMITS,
    Fields,
    authentic,
    check_borders,
    find_codec,
    join,
    join_bill,
    read_fields,
    sign,
)
from tongbao.protocols.tenpay.request import MERCHANT, read_intent, write_intent
from tongbao.protocols.tenpay.view import common, read_refund, read_refunds, read_trade
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.field import check_writable, required
from tongbao.wire.form import Pairs, encode_form
from tongbao.wire.http import Request, Response, split_url
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.movement import QueryRefund, RefundFound, RefundTrade, RequestBill
from tongbao.wire.setting import check_addresses, complete
from tongbao.wire.sign import load_secret
from tongbao.wire.vocabulary import (
    Carriage,
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    FollowUp,
    Intent,
    Notification,
    Outcome,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
)
from tongbao.wire.xml import read_xml

_PLAIN: Final = (
    "partner",
    "gateway",
    "input_charset",
    "return_url",
    "notify_url",
    "op_user_passwd",
)
_BILL_ERROR: Final = re.compile(rb"<body>\s*([0-9]{1,12}):([^<]{0,200})</body>", re.IGNORECASE)


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        partner = values["partner"]
        if MERCHANT.fullmatch(partner) is None:
            raise ConfigurationError("partner", "is not the 10 digits of a merchant's number")
        values["input_charset"] = (values["input_charset"] or "GBK").upper()
        if values["input_charset"] not in CODECS:
            raise ConfigurationError("input_charset", "is neither GBK nor UTF-8")
        values["gateway"] = values["gateway"] or m.GATEWAY
        check_addresses(values, ("gateway", "return_url", "notify_url"))
        secret = load_secret(settings.get("key") or "", "key", published=m.PUBLISHED_KEYS)
        key = Key(partner, 1, ALGORITHM, secret)
        return Credentials(
            "tenpay",
            partner,
            values["gateway"],
            values,
            KeyRing(partner, (key,), (key,)),
        )

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        intent = complete(intent, credentials)
        charset = credentials.values["input_charset"]
        codec = CODECS[charset]
        password = credentials.values.get("op_user_passwd", "")
        operation, fields = write_intent(intent, credentials.merchant, password, now)
        if operation != m.BILL:
            fields = common(charset) | {"partner": credentials.merchant} | fields
        fields = {name: value for name, value in fields.items() if value}
        _check_said(operation, intent, fields, codec)
        key = credentials.ring.signing(ALGORITHM)
        if operation == m.BILL:
            fields[m.PROOF] = sign(join_bill(fields), key, codec).lower()
        else:
            fields[m.PROOF] = sign(join(fields), key, codec)
        pairs: Pairs = tuple(fields.items())
        if len(encode_form(pairs, codec)) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        carriage = Carriage.BROWSER if operation == m.PAY else Carriage.SERVER
        return Call(carriage, "POST", _address(credentials.gateway, operation), pairs, codec)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if isinstance(intent, CreateTrade):
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        if isinstance(intent, RequestBill):
            return _read_bill(response)
        codec = CODECS[credentials.values["input_charset"]]
        if response.status != 200:
            raise RemoteProtocolError("", f"the answer's status is {response.status}", "MALFORMED")
        root = read_xml(response.body, codec)
        if root.name != "root":
            raise RemoteProtocolError("", "the answer is no root", "MALFORMED")
        fields = root.leaves()
        code = required(fields, "retcode")
        signed = m.PROOF in fields or code == m.OK
        if signed:
            authentic(fields, credentials.ring, codec)
        if code != m.OK:
            return _refused(intent, code, proven=signed)
        if required(fields, "partner") != credentials.merchant:
            raise RemoteProtocolError("partner", "the answer is another merchant's", "FIELD_INVALID")
        return _read_answer(intent, fields, credentials.merchant)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """By GET the message is the query, by POST the body; nothing else of the address is read."""
        return _read_result(request, credentials, Role.NOTIFICATION)

    def acknowledge(self, accepted: bool) -> Response:
        return http.text("success" if accepted else "fail")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return _read_result(request, credentials, Role.RETURN)


def _address(gateway: str, operation: str) -> str:
    """Beside the gateway, except where the old platform had another host."""
    if gateway == m.GATEWAY and operation in m.OWN_HOSTS:
        return m.OWN_HOSTS[operation] + m.PATH_OF[operation]
    return gateway.removesuffix(m.PATH_OF[m.PAY]) + m.PATH_OF[operation]


def _check_said(operation: str, intent: Intent, fields: Fields, codec: str) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    check_writable(fields, codec)
    try:
        check_borders(fields)
        read = read_intent(operation, fields)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    lost = find_loss(intent, read, ("echo",))
    if lost:
        raise LocalProtocolError(lost, "the gateway cannot say this", "FIELD_INVALID")


def _refused(intent: Intent, code: str, *, proven: bool) -> Outcome:
    """A refusal; the gateway signs none (sheet tenpay, section A4), so that it proves nothing (T82)."""
    if isinstance(intent, ConfirmNotification):
        if code == m.NOTIFY_UNKNOWN:
            return Confirmed(False)
        if code == m.OTHER:
            return Confirmed(False, understood=False)
    return Rejection(m.NEUTRAL_CODE.get(code, "SYSTEM"), code, proven=proven)


def _read_answer(intent: Intent, fields: Fields, merchant: str) -> Outcome:
    if isinstance(intent, ConfirmNotification):
        return Confirmed(
            True,
            trade=read_trade(fields, merchant) if fields.get("trade_state") else None,
        )
    if isinstance(intent, QueryTrade):
        view = read_trade(fields, merchant)
        for field, asked, told in (
            ("transaction_id", intent.trade_no, view.trade_no),
            (
                "out_trade_no",
                "" if intent.trade_no else intent.out_trade_no,
                view.out_trade_no,
            ),
        ):
            if asked not in ("", told):
                raise RemoteProtocolError(field, "the answer is about another trade", "MALFORMED")
        return TradeFound(view)
    if isinstance(intent, RefundTrade):
        refund = read_refund(fields, merchant)
        if refund.refund_no != intent.refund_no:
            raise RemoteProtocolError("out_refund_no", "the answer is about another refund", "MALFORMED")
        return RefundFound((refund,))
    if isinstance(intent, QueryRefund):
        found = read_refunds(fields, merchant)
        return RefundFound(found, total=len(found))
    raise LocalProtocolError("", f"the gateway has no answer to {type(intent).__name__}")


def _read_bill(response: Response) -> Outcome:
    """Where the bill is, or why there is none: a small page whose body is code and text."""
    address = response.header("location") or ""
    if response.status == 302 and address:
        try:
            split_url(address)
        except ValueError as error:
            raise RemoteProtocolError("", f"the bill's address {error}", "MALFORMED") from error
        return FollowUp(address)
    match = _BILL_ERROR.search(response.body[:2_000]) if response.status == 200 else None
    if match is None:
        raise RemoteProtocolError("", "the answer is neither a bill's address nor an error", "MALFORMED")
    code = match[1].decode("ascii")
    return Rejection(m.NEUTRAL_CODE.get(code, "SYSTEM"), code)


def _read_result(request: Request, credentials: Credentials, role: Role) -> Notification:
    if request.method not in ("GET", "POST"):
        raise RemoteProtocolError("", "a result is a GET or a POST", "MALFORMED")
    parts = (request.body if request.method == "POST" else request.raw_query,)
    codec = find_codec(parts)
    fields = read_fields(parts, codec)
    authentic(fields, credentials.ring, codec)
    trade = read_trade(fields, credentials.merchant)
    return Notification(id=required(fields, "notify_id"), at=None, trade=trade, role=role)
