"""A platform at the other end of the shop's wire: the protocol's real server half over trades in a dictionary."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.clock import Hands
from tongbao.kernel.error import Refused, TongbaoError
from tongbao.kernel.time import MINUTE, Instant, later
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.wire import http
from tongbao.wire.http import Request, Response
from tongbao.wire.key import KeyRing
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseTrade,
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    Done,
    Intent,
    Method,
    Notification,
    Outcome,
    QueryTrade,
    ShipTrade,
    TradeFound,
    TradeState,
    TradeView,
)
from tongbao.wire.world import CALL_LIMITS, Limits, Mail, NotSent

KEY = "u7dJq2mWz9Lp4sXc8vRb"
PARTNER = "2088000000000042"
GATEWAY = "http://127.0.0.1:9/gateway.do"
NOW = Instant(1_764_000_000_000)


def configure(**more: Any) -> MerchantConfiguration:
    """What the shop agreed with the platform."""
    settings: dict[str, Any] = {
        "protocol": "alipay_mapi",
        "credentials": {"partner": PARTNER, "key": KEY, "charset": "utf-8"},
        "environment": "sandbox",
        "gateway": GATEWAY,
    }
    return MerchantConfiguration(**{**settings, **more})


@dataclass
class Chance:
    """Bytes that are never twice the same, and the same in every run."""

    drawn: int = 0

    def token(self, length: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_128(str(self.drawn).encode()).digest(length)


@dataclass
class Mailbox:
    """Keeps what it is given; says no as long as ``down``."""

    mails: list[Mail] = field(default_factory=list)
    down: bool = False

    async def __call__(self, mail: Mail) -> None:
        if self.down:
            raise OSError("no mail system")
        self.mails.append(mail)


@dataclass
class Platform:
    """Answers the shop's calls; opens a trade from the request a browser carries, and pays it."""

    clock: Hands
    configuration: MerchantConfiguration = field(default_factory=configure)
    trades: dict[str, TradeView] = field(default_factory=dict)
    targets: dict[str, CreateTrade] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    asked: list[Intent] = field(default_factory=list)
    down: bool = False

    @property
    def _ring(self) -> KeyRing:
        own = self.configuration.keys.ring
        return KeyRing(PARTNER, own.sign, own.verify)

    @property
    def _server(self) -> Any:
        return self.configuration.manifest.server

    async def __call__(self, request: Request, limits: Limits = CALL_LIMITS) -> Response:
        """The shop's call between servers."""
        if self.down:
            raise NotSent("CONNECT")
        claim = self._server.claim(request)
        try:
            intent = self._server.decode(claim, self._ring, self.clock.wire()).intent
            self.asked.append(intent)
            outcome = self._act(intent)
        except TongbaoError as error:
            return _response(self._server.refuse(claim, error, self._ring, self.clock.wire()))
        return _response(self._server.answer(claim, outcome, self._ring, self.clock.wire()))

    def _act(self, intent: Intent) -> Outcome:
        if isinstance(intent, ConfirmNotification):
            return Confirmed(intent.notification_id in self.live)
        assert isinstance(intent, QueryTrade | CloseTrade | ShipTrade)
        for number, trade in self.trades.items():
            if number == intent.out_trade_no or trade.trade_no == intent.trade_no:
                if isinstance(intent, QueryTrade):
                    return TradeFound(trade)
                state = TradeState.CLOSED if isinstance(intent, CloseTrade) else TradeState.SHIPPED
                self.move(number, state)
                return Done(self.trades[number])
        raise Refused("TRADE_NOT_FOUND")

    def open(self, request: Request) -> str:
        """Step 5: a browser brings the signed request. Answers the order's number; raises what is wrong with it."""
        verified = self._server.decode(self._server.claim(request), self._ring, self.clock.wire())
        intent = verified.intent
        assert isinstance(intent, CreateTrade)
        self.targets[intent.out_trade_no] = intent
        self.trades[intent.out_trade_no] = TradeView(
            merchant=PARTNER,
            out_trade_no=intent.out_trade_no,
            trade_no=f"20251124{len(self.trades):020d}",
            state=TradeState.UNPAID,
            product=intent.product,
            subject=intent.subject,
            amount=intent.amount,
            price=intent.price,
            quantity=intent.quantity,
            discount=intent.discount,
            shipping=intent.shipping[0] if intent.shipping else None,
            seller=Party(PARTNER, "shop@example.com"),
            buyer=Party("2088100000000007", "buyer@example.com"),
            created_at=self.clock.now,
            moved_at=self.clock.now,
            echo=intent.echo,
        )
        return intent.out_trade_no

    def move(self, number: str, state: TradeState) -> None:
        """Steps 6 and later: the trade as it stands from now on."""
        trade = replace(self.trades[number], state=state, moved_at=self.clock.now, method=Method.BALANCE)
        paid_at = trade.paid_at or (self.clock.now if state is not TradeState.CLOSED else None)
        self.trades[number] = replace(trade, paid_at=paid_at, shipped_at=_if(state is TradeState.SHIPPED, self.clock))

    def notify(self, number: str, **changes: Any) -> Request:
        """Step 7: the notification of the trade as it stands, or a genuinely signed one that says something else."""
        return self._message(self._server.notify, number, self.targets[number].notify_url, changes)

    def send_home(self, number: str, **changes: Any) -> Request:
        """Step 7: the browser's signed way home."""
        return self._message(self._server.return_to, number, self.targets[number].return_url, changes)

    def _message(self, write: Callable[..., Request], number: str, url: str, changes: dict[str, Any]) -> Request:
        trade = replace(self.trades[number], **changes)
        name = hashlib.sha256(f"{number}:{self.trades[number].state}".encode()).hexdigest()[:34]
        self.live.add(name)
        said = Notification(id=name, at=self.clock.now, trade=trade)
        return write(said, url, self._ring, later(self.clock.now, MINUTE))


def _if(condition: bool, clock: Hands) -> Instant | None:
    return clock.now if condition else None


def _response(answer: Response) -> Response:
    assert answer.status == 200
    return answer


def post_fields(url: str, fields: list[tuple[str, str]], charset: str) -> Request:
    """What a browser sends when it submits a form of that charset."""
    body = "&".join(f"{_quote(name, charset)}={_quote(value, charset)}" for name, value in fields)
    return http.post(url, body.encode("ascii"), http.FORM)


def _quote(text: str, charset: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode(charset))
