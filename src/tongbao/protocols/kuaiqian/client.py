"""The merchant's half."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian import soap
from tongbao.protocols.kuaiqian.codec import (
    ALGORITHM_OF,
    CODECS,
    LIMITS,
    MD5,
    REFUND_KEY,
    RSA,
    UTF_8,
    WORD_OF,
    Fields,
    authenticate,
    check_borders,
    read_fields,
    refund_mac,
    sign,
)
from tongbao.protocols.kuaiqian.refund import read_item as read_refund_item
from tongbao.protocols.kuaiqian.refund import read_refund, read_taken
from tongbao.protocols.kuaiqian.request import MERCHANT, check_lengths, read_intent, write_intent
from tongbao.protocols.kuaiqian.view import read_event, read_item
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.field import check_writable, invalid, required
from tongbao.wire.form import Pairs, encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.movement import QueryRefund, RefundFound, RefundTrade
from tongbao.wire.setting import check_addresses, complete, find_query_gateway
from tongbao.wire.sign import load_rsa_private, load_rsa_public, load_secret
from tongbao.wire.vocabulary import (
    Carriage,
    CreateTrade,
    Intent,
    Notification,
    Outcome,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
    TradeState,
    TradeView,
)

_PLAIN: Final = ("merchantAcctId", "gateway", "query_gateway", "inputCharset", "signType", "pageUrl", "bgUrl")


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
        merchant = values["merchantAcctId"]
        if MERCHANT.fullmatch(merchant) is None:
            raise ConfigurationError("merchantAcctId", "is not the account of a merchant (member code and 01)")
        values["gateway"] = values["gateway"] or m.GATEWAY
        values["query_gateway"] = values["query_gateway"] or _query_address(values["gateway"])
        values["inputCharset"] = values["inputCharset"] or "1"
        if values["inputCharset"] not in CODECS:
            raise ConfigurationError("inputCharset", "is neither 1, 2 nor 3")
        check_addresses(values, ("gateway", "query_gateway", "pageUrl", "bgUrl"))
        values["signType"] = values["signType"] or WORD_OF[MD5 if settings.get("key") else RSA]
        if values["signType"] not in ALGORITHM_OF:
            raise ConfigurationError("signType", "is neither 1, MD5, nor 4, PKI")
        ring = _ring(merchant, ALGORITHM_OF[values["signType"]], settings)
        return Credentials("kuaiqian", merchant, values["gateway"], values, ring)

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        intent = complete(intent, credentials, "bgUrl", "pageUrl")
        word = (credentials.values.get("inputCharset") or "1") if isinstance(intent, CreateTrade) else "1"
        sign_type = _sign_type(credentials)
        operation, fields = write_intent(intent, credentials.merchant, word, sign_type, now)
        codec = CODECS[word]
        _check_said(operation, intent, fields, codec)
        address = _address(credentials, operation)
        if operation == m.REFUND:
            fields[m.REFUND_PROOF] = refund_mac(fields, credentials.ring.signing(REFUND_KEY))
            return Call(Carriage.SERVER, "POST", address, tuple(fields.items()), UTF_8)
        key = credentials.ring.signing(ALGORITHM_OF[sign_type])
        fields[m.PROOF] = sign(fields, m.SIGNED[operation], key, codec)
        if operation != m.PAY:
            headers = ((b"Content-Type", b"text/xml; charset=utf-8"), (b"SOAPAction", b'""'))
            body = soap.write_query(fields, operation)
            return Call(Carriage.SERVER, "POST", address, (), UTF_8, headers, body=body)
        pairs: Pairs = tuple(fields.items())
        if len(encode_form(pairs, codec)) > LIMITS.size:
            raise LocalProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
        return Call(Carriage.BROWSER, "POST", credentials.gateway, pairs, codec)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if isinstance(intent, RefundTrade):
            taken = read_taken(read_refund(response), credentials.merchant, intent.refund_no)
            if isinstance(taken, str):
                return Rejection(m.NEUTRAL_CODE.get(taken, "SYSTEM"), taken)
            return RefundFound((taken,))
        if isinstance(intent, QueryRefund):
            return _read_refunds(response, credentials)
        if not isinstance(intent, QueryTrade):
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        head, items = soap.read_reply(response)
        code = head.get("errCode", "")
        if code and not head.get(m.PROOF) and not code.startswith("31"):
            return Rejection("SYSTEM", code)
        algorithm = _agreed(head, credentials)
        authenticate(head, m.HEAD_NAMES, credentials.ring)
        if required(head, "merchantAcctId") != credentials.merchant:
            raise invalid("merchantAcctId", "the answer is another merchant's")
        if code not in ("", m.NOT_PAID):
            return Rejection(m.NEUTRAL_CODE.get(code, "SYSTEM"), code)
        if not items and code:
            return TradeFound(
                TradeView(merchant=credentials.merchant, out_trade_no=intent.out_trade_no, state=TradeState.UNPAID)
            )
        if len(items) != 1 or required(items[0], "orderId") != intent.out_trade_no:
            raise RemoteProtocolError("orderId", "the answer is not about the one order", "MALFORMED")
        authenticate(items[0], m.ITEM_NAMES, credentials.ring, proof=m.ITEM_PROOF, algorithm=algorithm)
        view = read_item(items[0], credentials.merchant)
        if (view.state is TradeState.PAID) != (not code):
            raise invalid("payResult", "contradicts errCode")
        return TradeFound(view)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        """Nothing in the message tells notice and return apart, so its role is that of the address it came to."""
        return _read_result(request, credentials, Role.NOTIFICATION)

    def acknowledge(self, accepted: bool) -> Response:
        return http.text(f"<result>{1 if accepted else 0}</result>", kind="text/html")

    def send_onward(self, address: str) -> Response:
        """Yes, and the buyer goes to ``address``."""
        return http.text(f"<result>1</result><redirecturl>{address}</redirecturl>", kind="text/html")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return _read_result(request, credentials, Role.RETURN)


def _query_address(gateway: str) -> str:
    """Beside the gateway."""
    return gateway.removesuffix(m.PAY_PATH) + m.QUERY_PATH


def _ring(merchant: str, algorithm: str, settings: Mapping[str, str]) -> KeyRing:
    """The keys of the kind of signature that is agreed, and the refund's own."""
    sign: list[Key] = []
    verify: list[Key] = []
    if algorithm == MD5:
        secret = load_secret(settings.get("key") or "", "key", published=m.PUBLISHED_KEYS)
        sign.append(Key(merchant, 1, MD5, secret))
        verify.append(sign[0])
    else:
        sign.append(Key(merchant, 1, RSA, load_rsa_private(settings.get("private_key") or "", "private_key")))
        public = load_rsa_public(settings.get("bill99_public_key") or "", "bill99_public_key")
        verify.append(Key("99bill", 1, RSA, public))
    if "refund_key" in settings:
        secret = load_secret(settings["refund_key"], "refund_key", published=m.PUBLISHED_KEYS)
        sign.append(Key(f"{merchant}-refund", 1, REFUND_KEY, secret))
    return KeyRing(merchant, tuple(verify), tuple(sign))


def _sign_type(credentials: Credentials) -> str:
    return credentials.values.get("signType") or WORD_OF[MD5]


def _agreed(head: Fields, credentials: Credentials) -> str:
    """The algorithm of an answer, which is the agreed one. Raises InvalidSignature."""
    if head.get("signType", "") != _sign_type(credentials):
        raise InvalidSignature("signType", "is not the agreed one", "SIGN_TYPE_NOT_ALLOWED")
    return ALGORITHM_OF[head["signType"]]


def _read_refunds(response: Response, credentials: Credentials) -> Outcome:
    head, items = soap.read_reply(response, m.REFUND_QUERY)
    code = head.get("errCode", "")
    if code and not head.get(m.PROOF):
        return Rejection(m.NEUTRAL_CODE.get(code, "SYSTEM"), code)
    algorithm = _agreed(head, credentials)
    authenticate(head, m.HEAD_NAMES, credentials.ring)
    if required(head, "merchantAcctId") != credentials.merchant:
        raise invalid("merchantAcctId", "the answer is another merchant's")
    if code:
        return Rejection(m.NEUTRAL_CODE.get(code, "SYSTEM"), code)
    for item in items:
        authenticate(item, m.REFUND_ITEM_NAMES, credentials.ring, proof=m.ITEM_PROOF, algorithm=algorithm)
    found = tuple(read_refund_item(item, credentials.merchant) for item in items)
    return RefundFound(found, total=len(found))


def _address(credentials: Credentials, operation: str) -> str:
    if operation == m.PAY:
        return credentials.gateway
    if operation == m.QUERY:
        return find_query_gateway(credentials, "query_gateway", _query_address)
    return credentials.gateway.removesuffix(m.PAY_PATH) + m.PATH_OF[operation]


def _check_said(operation: str, intent: Intent, fields: Fields, codec: str) -> None:
    """Read the fields as the platform will; raise LocalProtocolError where they do not say the whole intent."""
    check_writable(fields, codec)
    try:
        check_lengths(fields)
        check_borders(fields, m.PAY_NAMES)
        read = read_intent(operation, fields)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    lost = find_loss(intent, read, ("echo", "trade_no") if isinstance(intent, QueryTrade) else ("echo",))
    if lost:
        raise LocalProtocolError(lost, "the gateway cannot say this", "FIELD_INVALID")


def _read_result(request: Request, credentials: Credentials, role: Role) -> Notification:
    """Receiver steps 3 to 10. What no table knows is the shop's own address."""
    if request.method not in ("GET", "POST"):
        raise RemoteProtocolError("", "a result is a GET or a POST", "MALFORMED")
    codec = CODECS.get(credentials.values.get("inputCharset", ""), UTF_8)
    fields = read_fields((request.body if request.method == "POST" else request.raw_query,), codec)
    if "signType" not in fields:
        raise InvalidSignature("signType", "is missing", "SIGN_MISSING")
    _agreed(fields, credentials)
    authenticate(fields, m.RESULT_NAMES, credentials.ring, codec)
    return read_event(fields, credentials.merchant, role)
