"""The files of a new protocol folder, as text: ``@NAME@`` stands for its name, ``@HOST@`` for it in an address."""

from __future__ import annotations

from typing import Final

_INIT: Final = '''"""@NAME@: fill in which interface this is, whose, and of which years.

See the README beside this file for era, sources, peculiarities and what is not covered. Must never be registered
anywhere: the folder is found by listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tongbao.protocols.@NAME@ import messages as m
from tongbao.protocols.@NAME@.client import GATEWAY, Client
from tongbao.protocols.@NAME@.codec import ALGORITHM
from tongbao.protocols.@NAME@.server import Server
from tongbao.wire.contract import CredentialField, Manifest
from tongbao.wire.key import KeyRing
from tongbao.wire.vocabulary import Product


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this interface needs, under its own names. ``base`` is the face's address."""
    secret = ring.signing(ALGORITHM).material
    text = secret.decode("ascii") if isinstance(secret, bytes) else ""
    said = {"merchant": merchant, "key": text, "gateway": base + m.PATH}
    return said | {name: extra[name] for name in ("return_url", "notify_url") if extra.get(name)}


PROTOCOL = Manifest(
    name="@NAME@",
    title="@NAME@ (fill in its name)",
    title_zh="@NAME@（待填）",
    version="fill in",
    charset="utf-8",
    operations=m.OPERATIONS,
    paths=(m.PATH,),
    hosts=("@HOST@.example.invalid",),
    gateway=GATEWAY,
    sandbox_gateway="",  # the brand's own sandbox, where it has one
    timetable=(60, 300, 3_600),
    timetable_source="invented: fill in the documented gaps between deliveries",
    algorithms=(ALGORITHM,),
    weak=False,
    confirms=False,
    products=frozenset({Product.INSTANT}),
    credentials=(
        CredentialField("merchant", "id", "the merchant's number"),
        CredentialField("key", "secret", "the shared secret"),
        CredentialField("gateway", "url", "address of the gateway", required=False),
        CredentialField("return_url", "url", "where the buyer's browser goes home", required=False),
        CredentialField("notify_url", "url", "where notifications go", required=False),
    ),
    server=Server(),
    client=Client(),
    sources=(),
    unverified=("everything: this folder was generated, and its language is invented",),
    codes=m.WIRE_CODE,
    private=m.PRIVATE,
    credentials_for=credentials_for,
)
'''

_MESSAGES: Final = '''"""Wire names, enumerations and codes of @NAME@, as tables. All are invented: fill them in."""

from __future__ import annotations

from typing import Final

from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import CreateTrade, QueryTrade, TradeState

PATH: Final = "/@HOST@/gateway"

PAY: Final = "pay"
QUERY: Final = "query"
OPERATIONS: Final[dict[str, type]] = {PAY: CreateTrade, QUERY: QueryTrade}

STATE_OF: Final = {
    "WAITING": TradeState.UNPAID,
    "PAID": TradeState.PAID,
    "DONE": TradeState.FINISHED,
    "CLOSED": TradeState.CLOSED,
}
STATE_WORD: Final = {state: word for word, state in STATE_OF.items()}

EVENT_NAMES: Final = frozenset(
    ("id", "time", "number", "serial", "state", "title", "amount", "seller", "buyer", "attach", "sign")
)
"""Names of a return and of a notification; whatever else stands in a return's address is the shop's own."""

PRIVATE: Final = frozenset(("sign", "key", "buyer"))

WIRE_CODE: Final = {code: code for code in REFUSALS}
"""Our refusal code -> the protocol's word. Total over ``REFUSALS``."""

NEUTRAL_CODE: Final = {word: code for code, word in WIRE_CODE.items()}
'''

_CODEC: Final = '''"""Canonical string, signing and reading of forms: what both ends of @NAME@ share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.time import Instant, china_text, parse_china
from tongbao.protocols.@NAME@ import messages as m
from tongbao.wire.field import required
from tongbao.wire.form import Pairs, parse_form
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.party import Party
from tongbao.wire.sign import equal, hmac_hex
from tongbao.wire.vocabulary import Notification, Role, TradeView

ALGORITHM: Final = "HMAC-SHA256"

_NOT_TEXT: Final = re.compile("[\\\\x00-\\\\x1f\\\\x7f\\\\ud800-\\\\udfff\\\\ufffd\\\\ufffe\\\\uffff]")


def canonical(fields: Mapping[str, str]) -> bytes:
    """The bytes that are signed: each name and value with its length, so that no border can move (T10)."""
    parts = [f"{len(name)}:{name}{len(value)}:{value}" for name, value in sorted(fields.items()) if name != "sign"]
    return "".join(parts).encode("utf-8")


def signed(fields: Mapping[str, str], key: Key) -> Pairs:
    """The fields that say something, in order, with their signature. Raises LocalProtocolError."""
    filled = {name: value for name, value in fields.items() if value}
    for name, value in filled.items():
        if _NOT_TEXT.search(value):
            raise LocalProtocolError(name, "holds control characters", "BAD_CHARSET")
    if not isinstance(key.material, bytes) or not key.material:
        raise LocalProtocolError("sign", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return (*filled.items(), ("sign", hmac_hex("sha256", canonical(filled), key.material)))


def read_form(raw: bytes) -> dict[str, str]:
    """Strict fields of a form. Raises RemoteProtocolError."""
    fields = dict(parse_form(raw))
    for name, value in fields.items():
        if not name.isidentifier():
            raise RemoteProtocolError(name[:40], "is no field name", "MALFORMED")
        if _NOT_TEXT.search(value):
            raise RemoteProtocolError(name, "holds control characters", "BAD_CHARSET")
    return fields


def authenticate(fields: Mapping[str, str], ring: KeyRing) -> Key:
    """The key that signed the fields. Raises InvalidSignature."""
    signature = fields.get("sign", "")
    if not signature:
        raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
    text = canonical(fields)
    for key in ring.verifying(ALGORITHM):
        secret = key.material
        if isinstance(secret, bytes) and secret and equal(hmac_hex("sha256", text, secret), signature):
            return key
    raise InvalidSignature


def read_money(fields: Mapping[str, str], name: str) -> Money:
    try:
        money = parse_major(required(fields, name))
    except InvalidAmount as error:
        raise RemoteProtocolError(name, str(error), "AMOUNT_INVALID") from error
    if money.minor <= 0:
        raise RemoteProtocolError(name, "is not above zero", "AMOUNT_NOT_POSITIVE")
    return money


def write_view(view: TradeView) -> dict[str, str]:
    """A trade as fields. Raises LocalProtocolError where the language cannot say it."""
    if view.state not in m.STATE_WORD or view.amount is None:
        raise LocalProtocolError("state", "the language has no word for it")
    return {
        "number": view.out_trade_no,
        "serial": view.trade_no,
        "state": m.STATE_WORD[view.state],
        "title": view.subject,
        "amount": view.amount.text(),
        "seller": view.seller.id,
        "buyer": view.buyer.id,
        "attach": view.passback,
    }


def read_view(fields: Mapping[str, str]) -> TradeView:
    """A trade from fields. Raises RemoteProtocolError naming the field."""
    return TradeView(
        out_trade_no=required(fields, "number"),
        trade_no=required(fields, "serial"),
        state=m.STATE_OF.get(required(fields, "state")),
        subject=fields.get("title", ""),
        amount=read_money(fields, "amount"),
        seller=Party(fields.get("seller", "")),
        buyer=Party(fields.get("buyer", "")),
        passback=fields.get("attach", ""),
    )


def write_event(notification: Notification, now: Instant) -> dict[str, str]:
    return {"id": notification.id, "time": china_text(now)} | write_view(notification.trade)


def read_event(fields: Mapping[str, str], role: Role, unsigned: Mapping[str, str]) -> Notification:
    """A notification or return from verified fields. Raises RemoteProtocolError naming the field."""
    try:
        at = parse_china(required(fields, "time"))
    except ValueError as error:
        raise RemoteProtocolError("time", "is no time", "FIELD_INVALID") from error
    return Notification(id=required(fields, "id"), at=at, trade=read_view(fields), role=role, unsigned=unsigned)
'''

_SERVER: Final = '''"""The platform's half of @NAME@."""

from __future__ import annotations

from collections.abc import Mapping

from tongbao.kernel.error import LocalProtocolError, ProtocolError, Refused, RemoteProtocolError, TongbaoError
from tongbao.kernel.time import Instant
from tongbao.protocols.@NAME@ import codec
from tongbao.protocols.@NAME@ import messages as m
from tongbao.wire import http
from tongbao.wire.contract import Claim, SignatureTrail, Verified
from tongbao.wire.field import required
from tongbao.wire.form import encode_form
from tongbao.wire.http import FORM, Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    Carriage,
    CreateTrade,
    Intent,
    Notification,
    Outcome,
    Product,
    QueryTrade,
    Rejection,
    TradeFound,
)


def read_intent(fields: Mapping[str, str]) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    merchant = required(fields, "merchant")
    if fields.get("operation") == m.QUERY:
        number, serial = fields.get("number", ""), fields.get("serial", "")
        if not number and not serial:
            raise RemoteProtocolError("number", "is missing, and so is serial", "FIELD_MISSING")
        return QueryTrade(merchant=merchant, trade_no=serial, out_trade_no=number)
    for name in ("notify_url", "return_url"):
        if fields.get(name):
            try:
                http.split_url(fields[name])
            except ValueError as error:
                raise RemoteProtocolError(name, str(error), "URL_NOT_ALLOWED") from error
    return CreateTrade(
        merchant=merchant,
        out_trade_no=required(fields, "number"),
        product=Product.INSTANT,
        subject=required(fields, "title"),
        amount=codec.read_money(fields, "amount"),
        seller=Party(merchant),
        notify_url=fields.get("notify_url", ""),
        return_url=fields.get("return_url", ""),
        passback=fields.get("attach", ""),
    )


class Server:
    """See ``tongbao.wire.contract.ServerEnd``."""

    def claim(self, request: Request) -> Claim:
        fields = codec.read_form(request.body if request.method == "POST" else request.raw_query)
        operation = fields.get("operation", "")
        if operation not in m.OPERATIONS:
            raise RemoteProtocolError("operation", "is missing or unknown", "UNKNOWN_SERVICE")
        carriage = Carriage.BROWSER if operation == m.PAY else Carriage.SERVER
        return Claim(required(fields, "merchant"), operation, carriage, fields)

    def decode(self, claim: Claim, ring: KeyRing, now: Instant) -> Verified:
        fields: Mapping[str, str] = claim.parsed
        key = codec.authenticate(fields, ring)
        return Verified(read_intent(fields), key)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        if isinstance(outcome, Rejection):
            return self.refuse(claim, Refused(outcome.code), ring, now)
        if not isinstance(outcome, TradeFound) or ring is None:
            raise LocalProtocolError("", "the language has no answer for this")
        pairs = codec.signed({"code": "OK"} | codec.write_view(outcome.trade), ring.signing(codec.ALGORITHM))
        return http.text(encode_form(pairs).decode("ascii"), kind=FORM)

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        return http.text(f"code={self.refusal_code(error)}", kind=FORM)

    def refusal_code(self, error: TongbaoError) -> str:
        return m.WIRE_CODE.get(error.code, "SYSTEM") if isinstance(error, (Refused, ProtocolError)) else "SYSTEM"

    def notify(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        pairs = codec.signed(codec.write_event(notification, now), ring.signing(codec.ALGORITHM))
        return http.post(target, encode_form(pairs), f"{FORM}; charset=utf-8")

    def acknowledged(self, response: Response) -> bool:
        return response.status == 200 and response.body == b"OK"

    def return_to(self, notification: Notification, target: str, ring: KeyRing, now: Instant) -> Request:
        pairs = codec.signed(codec.write_event(notification, now), ring.signing(codec.ALGORITHM))
        target = target.partition("#")[0]
        return http.get(f"{target}{'&' if '?' in target else '?'}{encode_form(pairs).decode('ascii')}")

    def trail(self, request: Request) -> SignatureTrail | None:
        try:
            fields = codec.read_form(request.body or request.raw_query)
        except RemoteProtocolError:
            return None
        if "sign" not in fields:
            return None
        if "id" in fields:
            fields = {name: value for name, value in fields.items() if name in m.EVENT_NAMES}
        return SignatureTrail(codec.ALGORITHM, codec.canonical(fields).decode("utf-8"), fields["sign"])
'''

_CLIENT: Final = '''"""The merchant's half of @NAME@."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tongbao.kernel.error import ConfigurationError, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.protocols.@NAME@ import codec
from tongbao.protocols.@NAME@ import messages as m
from tongbao.protocols.@NAME@.server import read_intent
from tongbao.wire import http
from tongbao.wire.contract import Call, Credentials
from tongbao.wire.field import required
from tongbao.wire.form import encode_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loss import find_loss
from tongbao.wire.party import Party
from tongbao.wire.setting import check_addresses
from tongbao.wire.sign import load_secret
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
)

GATEWAY: Final = "https://@HOST@.example.invalid" + m.PATH


class Client:
    """See ``tongbao.wire.contract.ClientEnd``."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        values = {name: settings.get(name) or "" for name in ("merchant", "gateway", "return_url", "notify_url")}
        if not values["merchant"].isalnum():
            raise ConfigurationError("merchant", "is no merchant's number")
        values["gateway"] = values["gateway"] or GATEWAY
        check_addresses(values, ("gateway", "return_url", "notify_url"))
        key = Key(values["merchant"], 1, codec.ALGORITHM, load_secret(settings.get("key") or "", "key"))
        ring = KeyRing(values["merchant"], (key,), (key,))
        return Credentials("@NAME@", values["merchant"], values["gateway"], values, ring)

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        if intent.merchant not in ("", credentials.merchant):
            raise LocalProtocolError("merchant", "these are another merchant's credentials")
        intent = replace(intent, merchant=credentials.merchant)
        fields = {"merchant": credentials.merchant}
        if isinstance(intent, CreateTrade):
            intent = replace(
                intent,
                seller=intent.seller or Party(credentials.merchant),
                notify_url=intent.notify_url or credentials.values["notify_url"],
                return_url=intent.return_url or credentials.values["return_url"],
            )
            fields |= {"operation": m.PAY, "number": intent.out_trade_no, "title": intent.subject}
            fields |= {"amount": intent.amount.text(), "attach": intent.passback}
            fields |= {"notify_url": intent.notify_url, "return_url": intent.return_url}
        elif isinstance(intent, QueryTrade):
            fields |= {"operation": m.QUERY, "number": intent.out_trade_no, "serial": intent.trade_no}
        else:
            raise LocalProtocolError("", f"the language has no {type(intent).__name__}")
        try:
            lost = find_loss(intent, read_intent(fields))
        except RemoteProtocolError as error:
            raise LocalProtocolError(error.field, error.reason, error.code) from error
        if lost:
            raise LocalProtocolError(lost, "the language cannot say this", "FIELD_INVALID")
        pairs = codec.signed(fields, credentials.ring.signing(codec.ALGORITHM))
        try:
            codec.read_form(encode_form(pairs))
        except RemoteProtocolError as error:
            raise LocalProtocolError(error.field, error.reason, error.code) from error
        carriage = Carriage.BROWSER if fields["operation"] == m.PAY else Carriage.SERVER
        return Call(carriage, "POST", credentials.gateway, pairs)

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        if not isinstance(intent, QueryTrade):
            raise LocalProtocolError("", "the answer to this request is a page for the buyer's browser")
        if response.status != 200:
            raise RemoteProtocolError("", f"HTTP status {response.status}", "MALFORMED")
        fields = codec.read_form(response.body)
        code = required(fields, "code")
        if code != "OK":
            return Rejection(m.NEUTRAL_CODE.get(code, "SYSTEM"), code)
        codec.authenticate(fields, credentials.ring)
        view = codec.read_view(fields)
        for name in ("trade_no", "out_trade_no"):
            if getattr(intent, name) not in ("", getattr(view, name)):
                raise RemoteProtocolError(name, "the answer is about another trade", "MALFORMED")
        return TradeFound(view)

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        fields = codec.read_form(request.body)
        codec.authenticate(fields, credentials.ring)
        return codec.read_event(fields, Role.NOTIFICATION, {})

    def acknowledge(self, accepted: bool) -> Response:
        return http.text("OK" if accepted else "FAIL")

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        fields = codec.read_form(request.raw_query)
        kept = {name: value for name, value in fields.items() if name in m.EVENT_NAMES}
        codec.authenticate(kept, credentials.ring)
        rest = {name: value for name, value in fields.items() if name not in m.EVENT_NAMES}
        return codec.read_event(kept, Role.RETURN, rest)
'''

_README: Final = """# @NAME@

This folder was generated. **Its language is invented**; replace it by the real one, file by file, and keep the laws
green: `pytest tests/protocol -k @NAME@`.

## Era and sources
Fill in: whose interface, which years and versions, and where each fact comes from. Put the sources into the manifest
too (`sources` in `__init__.py`); until then the law about manifests fails.

## Vectors
`vectors/` wants one JSON file per message, at least one request, one notification and one return, with published or
test keys; `tests/protocol/vector.py` describes the format. Until then the law about vectors fails.

## Peculiarities
Fill in what surprises.

## What the server tolerates
Name the vector that is each oddity's witness (`vectors/oddity_NAME.json` or `vectors/NAME.json`, with an `oddity`) in a
row of this table; a law compares both.

| oddity | witness |
|---|---|

## Unverified
Everything.

## Not covered
Fill in the services, fields and products that are left out. `bill` in the manifest stays None until there is a file
format (then: `bill.py`).
"""

FILES: Final[dict[str, str]] = {
    "__init__.py": _INIT,
    "messages.py": _MESSAGES,
    "codec.py": _CODEC,
    "client.py": _CLIENT,
    "server.py": _SERVER,
    "README.md": _README,
}
