"""A small, real, signed protocol for these tests (HMAC-SHA256 over a form), and a platform that speaks it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, parse_major
from tongbao.kernel.time import Instant
from tongbao.wire.contract import Call, CredentialField, Credentials, Manifest, ServerEnd
from tongbao.wire.form import Pairs, encode_form, parse_form
from tongbao.wire.http import FORM, Request, Response, post, text
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    Carriage,
    CloseTrade,
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    Done,
    Intent,
    Notification,
    Outcome,
    QueryTrade,
    Rejection,
    RequestTimestamp,
    Role,
    ShipTrade,
    TimestampIssued,
    TradeFound,
    TradeState,
    TradeView,
)
from tongbao.wire.world import Limits, NoAnswer, NotSent

ALGORITHM = "HMAC"
UNSIGNED = frozenset({"sign", "remark"})
OPERATIONS = {
    "pay": CreateTrade,
    "query": QueryTrade,
    "close": CloseTrade,
    "ship": ShipTrade,
    "confirm": ConfirmNotification,
    "timestamp": RequestTimestamp,
}
NAMES = {kind: name for name, kind in OPERATIONS.items()}


def sign(pairs: Mapping[str, str], key: bytes) -> str:
    """The rule of this protocol: every field but sign and remark, by name."""
    covered = "&".join(f"{name}={value}" for name, value in sorted(pairs.items()) if name not in UNSIGNED)
    return hmac.new(key, covered.encode(), hashlib.sha256).hexdigest()


def signed(pairs: Mapping[str, str], key: bytes) -> Pairs:
    return (*pairs.items(), ("sign", sign(pairs, key)))


def verify(fields: Mapping[str, str], ring: KeyRing) -> None:
    given = fields.get("sign", "").encode()
    for key in ring.verifying(ALGORITHM):
        assert isinstance(key.material, bytes)
        if hmac.compare_digest(given, sign(fields, key.material).encode()):
            return
    raise InvalidSignature


def read_trade(fields: Mapping[str, str]) -> TradeView:
    try:
        amount = parse_major(fields["amount"], fields.get("currency", "CNY")) if "amount" in fields else None
        refunded = parse_major(fields["refunded"]) if "refunded" in fields else None
        state = TradeState(fields["state"])
    except (InvalidAmount, ValueError, KeyError) as error:
        raise RemoteProtocolError("", "malformed trade") from error
    return TradeView(
        merchant=fields.get("merchant", ""),
        out_trade_no=fields.get("order", ""),
        trade_no=fields.get("trade", ""),
        state=state,
        amount=amount,
        refunded=refunded,
        seller=Party(fields.get("seller", ""), fields.get("seller_login", "")),
        paid_at=Instant(int(fields["paid_at"])) if "paid_at" in fields else None,
    )


class TrialClient:
    """The merchant's half."""

    def load(self, settings: Mapping[str, str]) -> Credentials:
        for name in ("mid", "key"):
            if name not in settings:
                raise ConfigurationError(name, "is missing")
        key = Key("default", 1, ALGORITHM, settings["key"].encode())
        ring = KeyRing(settings["mid"], (key,), (key,))
        gateway = settings.get("gateway", "https://pay.trial.cn/gate")
        return Credentials("trial", settings["mid"], gateway, {"mid": settings["mid"]}, ring)

    def encode(self, intent: Intent, credentials: Credentials, now: Instant) -> Call:
        fields = {"op": NAMES[type(intent)], "merchant": credentials.merchant, "at": str(now)}
        if isinstance(intent, CreateTrade):
            if len(intent.out_trade_no) > 64:
                raise LocalProtocolError("order", "is longer than 64")
            fields |= {"order": intent.out_trade_no, "amount": intent.amount.text(), "subject": intent.subject}
            fields |= {"notify": intent.notify_url, "return": intent.return_url}
        elif isinstance(intent, ConfirmNotification):
            fields["id"] = intent.notification_id
        elif isinstance(intent, QueryTrade | CloseTrade | ShipTrade):
            fields |= {"order": intent.out_trade_no, "trade": intent.trade_no}
        carriage = Carriage.BROWSER if isinstance(intent, CreateTrade) else Carriage.SERVER
        material = cast(bytes, credentials.ring.signing(ALGORITHM).material)
        return Call(carriage, "POST", credentials.gateway, signed(fields, material))

    def decode(self, intent: Intent, response: Response, credentials: Credentials, now: Instant) -> Outcome:
        fields = dict(parse_form(response.body))
        verify(fields, credentials.ring)
        if fields.get("error"):
            return Rejection(fields["error"], fields["error"].lower())
        if isinstance(intent, ConfirmNotification):
            return Confirmed(fields.get("genuine") == "true")
        if isinstance(intent, QueryTrade):
            return TradeFound(read_trade(fields))
        if isinstance(intent, RequestTimestamp):
            return TimestampIssued(fields["stamp"])
        return Done()

    def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return self._read(request.body, credentials)

    def decode_return(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
        return replace(self._read(request.raw_query, credentials), role=Role.RETURN)

    def _read(self, raw: bytes, credentials: Credentials) -> Notification:
        fields = dict(parse_form(raw))
        verify(fields, credentials.ring)
        return Notification(
            id=fields.get("id", ""),
            at=Instant(int(fields["at"])) if "at" in fields else None,
            trade=read_trade(fields),
            role=Role(fields.get("role", "notification")),
            unsigned={"remark": fields["remark"]} if "remark" in fields else {},
        )

    def acknowledge(self, accepted: bool) -> Response:
        return text("yes" if accepted else "no")


TRIAL = Manifest(
    name="trial",
    title="Trial",
    title_zh="试用",
    version="1",
    charset="utf-8",
    operations=OPERATIONS,
    paths=("/gate",),
    hosts=("pay.trial.cn",),
    gateway="https://pay.trial.cn/gate",
    timetable=(60,),
    timetable_source="",
    algorithms=(ALGORITHM,),
    weak=True,
    confirms=True,
    products=frozenset({"instant"}),
    credentials=(
        CredentialField("mid", "id", "merchant number"),
        CredentialField("key", "secret", "shared secret"),
        CredentialField("gateway", "url", "address", required=False),
    ),
    server=cast(ServerEnd, None),
    client=TrialClient(),
)


@dataclass
class Platform:
    """The other side: holds trades, answers queries and confirmations, writes notifications, counts questions."""

    key: bytes
    merchant: str = "m1"
    trades: dict[str, dict[str, str]] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    down: str = ""
    answer_key: bytes = b""
    answer_status: int = 200

    def trade(self, order: str, amount: str = "10.00", state: str = "paid", **more: str) -> dict[str, str]:
        """A trade as it stands now at the platform."""
        fields = {"merchant": self.merchant, "order": order, "trade": f"T{order}", "state": state, "amount": amount}
        self.trades[order] = {**fields, "seller": self.merchant, **more}
        return self.trades[order]

    def fields(self, number: str, /, *, at: int, **changes: str) -> dict[str, str]:
        """The fields of a notification about a trade, live at the platform."""
        fields = {"id": f"n-{number}-{self.trades[number]['state']}", "at": str(at), **self.trades[number], **changes}
        self.live.add(fields["id"])
        return fields

    def notify(self, number: str, /, *, at: int, url: str = "http://shop.example/notify", **changes: str) -> Request:
        """A genuine notification, or with ``changes`` a genuinely signed one that says something else."""
        return post(url, self.body(self.fields(number, at=at, **changes)), FORM)

    def body(self, fields: Mapping[str, str]) -> bytes:
        return encode_form(signed(fields, self.key))

    def __call__(self, request: Request, limits: Limits) -> Response:
        if self.down:
            raise NotSent("CONNECT") if self.down == "connect" else NoAnswer("TIMEOUT")
        fields = dict(parse_form(request.body))
        self.asked.append(fields["op"])
        answer = self._answer(fields)
        raw = encode_form(signed(answer, self.answer_key or self.key))
        return Response(self.answer_status, ((b"Content-Type", FORM.encode()),), raw)

    def _answer(self, fields: Mapping[str, str]) -> dict[str, str]:
        if sign(fields, self.key) != fields.get("sign"):
            return {"error": "SIGN_INVALID"}
        if fields["op"] == "confirm":
            return {"genuine": "true" if fields["id"] in self.live else "false"}
        if fields["op"] == "timestamp":
            return {"stamp": "stamp-1"}
        trade = self.trades.get(fields["order"])
        return dict(trade) if trade is not None else {"error": "TRADE_NOT_FOUND"}

    async def send(self, request: Request, limits: Limits = Limits()) -> Response:  # noqa: B008 - frozen
        """The same as a World's transport."""
        return self(request, limits)


def unreachable(*_: Any) -> Response:
    """A transport for tests in which nothing may be sent."""
    raise AssertionError("nothing may be sent here")
