"""The merchant's client: what he asks of the platform, synchronously or not, from one source.

``payment`` makes the signed request that the buyer's browser carries; the other methods are exchanges between servers.
Answers' signatures are checked wherever the protocol signs them (T82).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, TypedDict, TypeVar, Unpack

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.port import Clock
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.desk import AsyncMoneyDesk, MoneyDesk
from tongbao.merchant.errand import Errands, expect
from tongbao.merchant.exchange import Core, Send, SyncSend, drive, drive_async
from tongbao.merchant.transport import AsyncHttpTransport, HttpTransport
from tongbao.wire.contract import Call
from tongbao.wire.http import Response
from tongbao.wire.movement import CertificatesFound, ExchangeCode, FetchCertificates, IdentityFound, Split
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    Carriage,
    CloseCombined,
    CloseTrade,
    CombinedFound,
    CombinedPart,
    CombinedView,
    Confirmed,
    ConfirmNotification,
    Consignee,
    CreateCombined,
    CreateTrade,
    Done,
    Expiry,
    Method,
    Presentation,
    Product,
    QueryCombined,
    QueryTrade,
    RequestTimestamp,
    Shipping,
    ShipTrade,
    TimestampIssued,
    TradeFound,
    TradeOpened,
    TradeView,
)
from tongbao.wire.world import Transport

T = TypeVar("T")


class PaymentOptions(TypedDict, total=False):
    """What a payment request may say besides number, amount and subject; see ``CreateTrade`` for each."""

    product: Product
    body: str
    price: Money
    quantity: int
    discount: Money
    shipping: tuple[Shipping, ...]
    consignee: Consignee
    seller: Party
    buyer: Party
    notify_url: str
    return_url: str
    error_url: str
    show_url: str
    expiry: Expiry
    method: Method
    methods: tuple[Method, ...]
    bank: str
    presentation: Presentation
    code: str
    splits: tuple[Split, ...]
    split_later: bool
    passback: str
    client_ip: str
    anti_phishing_key: str


class CombinedOptions(TypedDict, total=False):
    """What a combined order may say besides number and parts; see ``CreateCombined`` for each."""

    buyer: Party
    notify_url: str
    return_url: str
    expiry: Expiry
    presentation: Presentation
    client_ip: str


_WORDS: Final[Mapping[str, type[StrEnum]]] = {"product": Product, "method": Method, "presentation": Presentation}


def _read_words(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with their words out of an enumeration where a caller wrote them as texts. Raises
    LocalProtocolError naming the field."""
    read = dict(options)
    for name in _WORDS.keys() & read.keys():
        try:
            read[name] = _WORDS[name](read[name])
        except ValueError as error:
            raise LocalProtocolError(name, f"is none of {', '.join(_WORDS[name])}", "FIELD_INVALID") from error
    return read


class _Base(Errands):
    """All that needs no network."""

    def trade(self, order_no: str, amount: Money, subject: str, **options: Unpack[PaymentOptions]) -> CreateTrade:
        """The intent behind a payment: the configuration's addresses and seller where the options do not say others."""
        own = self.configuration
        seller = Party(own.seller_id, own.seller_login)
        # without a signed return the buyer goes where the options say, or nowhere
        home = own.return_url if own.manifest.returns else ""
        defaults = PaymentOptions(product=Product.INSTANT, notify_url=own.notify_url, return_url=home, seller=seller)
        said = _read_words(defaults | options)
        return CreateTrade(merchant=own.merchant, out_trade_no=order_no, subject=subject, amount=amount, **said)

    def payment(self, order_no: str, amount: Money, subject: str, **options: Unpack[PaymentOptions]) -> Call:
        """The signed request that the buyer's browser (or device) carries to the platform: ``.fields``, ``.link()``, or
        ``html_form(call)``. Raises LocalProtocolError naming the field the protocol cannot say."""
        intent = self.trade(order_no, amount, subject, **options)
        call = self.configuration.manifest.client.encode(intent, self.configuration.keys, self.clock.wire())
        if call.carriage is Carriage.SERVER:
            raise LocalProtocolError("", "this protocol opens trades between servers: use create")
        return call

    def _create(self, order_no: str, amount: Money, subject: str, options: PaymentOptions) -> Core[TradeOpened]:
        intent = self.trade(order_no, amount, subject, **options)
        call = self.configuration.manifest.client.encode(intent, self.configuration.keys, self.clock.wire())
        if call.carriage is not Carriage.SERVER:
            raise LocalProtocolError("", "in this protocol the buyer's browser carries the request: use payment")
        outcome = yield from self._ask(intent)
        with self._reading(intent):
            return expect(outcome, TradeOpened)

    def _scan(self, order_no: str, amount: Money, subject: str, code: str, options: PaymentOptions) -> Core[TradeView]:
        said = PaymentOptions(**{**options, "presentation": Presentation.BARCODE, "code": code})
        # not every protocol tells of such a payment: addresses of the settings are said where they can be
        bare = PaymentOptions(notify_url="", return_url="") | said
        intent = self._said([self.trade(order_no, amount, subject, **each) for each in (said, bare)])
        outcome = yield from self._ask(intent)
        with self._reading(intent):
            trade = expect(outcome, TradeFound).trade
            if trade.out_trade_no != order_no or trade.amount != amount:
                raise RemoteProtocolError("amount", "the answer is about another trade, or another sum")
        return trade

    def _create_combined(
        self, order_no: str, parts: Sequence[CombinedPart], options: CombinedOptions
    ) -> Core[TradeOpened]:
        said = _read_words(CombinedOptions(notify_url=self.configuration.notify_url) | options)
        intent = CreateCombined(merchant=self.configuration.merchant, out_trade_no=order_no, parts=tuple(parts), **said)
        return expect((yield from self._ask(intent)), TradeOpened)

    def _query_combined(self, order_no: str) -> Core[CombinedView]:
        intent = QueryCombined(merchant=self.configuration.merchant, out_trade_no=order_no)
        return expect((yield from self._ask(intent)), CombinedFound).combined

    def _close_combined(self, order_no: str, parts: Sequence[CombinedPart]) -> Core[Done]:
        named = tuple((part.merchant, part.out_trade_no, part.provided) for part in parts)
        intent = CloseCombined(merchant=self.configuration.merchant, out_trade_no=order_no, parts=named)
        return expect((yield from self._ask(intent)), Done)

    def _query(self, order_no: str, trade_no: str) -> Core[TradeView]:
        intent = QueryTrade(merchant=self.configuration.merchant, out_trade_no=order_no, trade_no=trade_no)
        outcome = yield from self._ask(intent)
        return expect(outcome, TradeFound).trade

    def _close(self, order_no: str, trade_no: str) -> Core[Done]:
        intent = CloseTrade(merchant=self.configuration.merchant, out_trade_no=order_no, trade_no=trade_no)
        outcome = yield from self._ask(intent)
        return expect(outcome, Done)

    def _ship(self, order_no: str, trade_no: str, carrier: str, tracking_no: str, kind: str) -> Core[Done]:
        intent = ShipTrade(
            merchant=self.configuration.merchant,
            out_trade_no=order_no,
            trade_no=trade_no,
            carrier=carrier,
            tracking_no=tracking_no,
            kind=kind,
        )
        outcome = yield from self._ask(intent)
        return expect(outcome, Done)

    def _confirm(self, notification_id: str) -> Core[bool]:
        intent = ConfirmNotification(merchant=self.configuration.merchant, notification_id=notification_id)
        outcome = yield from self._ask(intent)
        return expect(outcome, Confirmed).genuine is True

    def _timestamp(self) -> Core[str]:
        outcome = yield from self._ask(RequestTimestamp(merchant=self.configuration.merchant))
        return expect(outcome, TimestampIssued).key

    def _exchange_code(self, code: str, refresh: str) -> Core[IdentityFound]:
        outcome = yield from self._ask(ExchangeCode(merchant=self.configuration.merchant, code=code, refresh=refresh))
        return expect(outcome, IdentityFound)

    def _certificates(self, serial: str) -> Core[tuple[str, ...]]:
        outcome = yield from self._ask(FetchCertificates(merchant=self.configuration.merchant, serial=serial))
        return expect(outcome, CertificatesFound).certificates


class Client(_Base, MoneyDesk):
    """Synchronous. ``send`` replaces the HTTP transport (tests, an own pool); ``close`` gives the connections back.

    Every exchange may raise Refused (the platform said no), OutcomeUnknown (inquire, do not repeat under a new number),
    LocalProtocolError, or ``wire.world.NotSent`` (it never left); those that move no money also RemoteProtocolError (an
    answer that is unproven, broken or about something else: after the others that is an OutcomeUnknown, whose cause it
    is).
    """

    def __init__(
        self, configuration: MerchantConfiguration, *, send: SyncSend | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(configuration, clock)
        self._own = HttpTransport(configuration) if send is None else None
        self._send: SyncSend = send or self._own  # type: ignore[assignment]

    def _exchange(self, effect: Send) -> Response:
        return self._send(effect.request, effect.limits)

    def _drive(self, core: Core[T]) -> T:
        return drive(core, self._exchange)

    def create(self, order_no: str, amount: Money, subject: str, **options: Unpack[PaymentOptions]) -> TradeOpened:
        """Open a trade between servers, in protocols that do so."""
        return self._drive(self._create(order_no, amount, subject, options))

    def scan(
        self, order_no: str, amount: Money, subject: str, shown: str, **options: Unpack[PaymentOptions]
    ) -> TradeView:
        """Take a payment by the code that the buyer's wallet has ``shown``. Refused with BUYER_PAYING means that the
        trade stands and he must still agree in his wallet: query until it ends, or close it. So does OutcomeUnknown,
        whose ``refusal`` is what the platform said without a proof, or SYSTEM where it does not know itself; its own
        word is in ``detail``. ``refusal`` is None where no answer came, or none that proves what it says."""
        return self._drive(self._scan(order_no, amount, subject, shown, options))

    def create_combined(
        self, order_no: str, parts: Sequence[CombinedPart], **options: Unpack[CombinedOptions]
    ) -> TradeOpened:
        """Open several orders, maybe of several merchants, that one payment pays: all of them or none."""
        return self._drive(self._create_combined(order_no, parts, options))

    def query_combined(self, order_no: str) -> CombinedView:
        """A combined order and each of its orders."""
        return self._drive(self._query_combined(order_no))

    def close_combined(self, order_no: str, parts: Sequence[CombinedPart]) -> Done:
        """End an unpaid combined order; ``parts`` are those with which it was opened."""
        return self._drive(self._close_combined(order_no, parts))

    def query(self, order_no: str = "", trade_no: str = "") -> TradeView:
        """The trade by our order number, the platform's number, or both."""
        return self._drive(self._query(order_no, trade_no))

    def close_trade(self, order_no: str = "", trade_no: str = "") -> Done:
        """End an unpaid trade."""
        return self._drive(self._close(order_no, trade_no))

    def ship(
        self, order_no: str = "", trade_no: str = "", *, carrier: str, tracking_no: str = "", kind: str = "express"
    ) -> Done:
        """Tell the platform that the goods of an escrow trade are on their way."""
        return self._drive(self._ship(order_no, trade_no, carrier, tracking_no, kind))

    def confirm_notification(self, notification_id: str) -> bool:
        """Whether a notification id is really the platform's, for this merchant, and live."""
        return self._drive(self._confirm(notification_id))

    def request_timestamp(self) -> str:
        """A fresh anti-phishing key, for ``payment(anti_phishing_key=...)``."""
        return self._drive(self._timestamp())

    def exchange_code(self, code: str = "", *, refresh: str = "") -> IdentityFound:
        """Who consented: the buyer behind the ``code`` with which his browser came back (once), or behind an earlier
        answer's ``refresh`` word. Refused AUTHORISATION_INVALID where that is unknown, used or too old. In protocols
        where the gateway tells it (Alipay's ``alipay.system.oauth.token``)."""
        return self._drive(self._exchange_code(code, refresh))

    def fetch_certificates(self, serial: str = "") -> tuple[str, ...]:
        """The platform's certificates as PEM, each proven by the configured roots or content key; the one of ``serial``
        where the protocol gives one at a time. () where nothing is configured that could prove it (key mode). They are
        not kept: ``refresh_certificates`` does that."""
        return self._drive(self._certificates(serial))

    def refresh_certificates(self) -> bool:
        """Fetch the platform's certificates into the configuration's ``trust``; whether any came. False without a
        question in protocols that give one at a time (Alipay's), which is fetched when an answer names it."""
        return self._drive(self._learn())

    def close(self) -> None:
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Base, AsyncMoneyDesk):
    """The same for asyncio; ``send`` may be a World's transport.

    Requests are signed on the loop, which takes 0.2 ms with an RSA key of 2,048 bits. In a thread the same signature
    takes a third longer, and the loop is still held for a sixth of it: for a shop, whose platform answers in tens of
    milliseconds, that costs more than it gains. One that signs hundreds of requests a second gives a ``Client`` to
    threads of its own.
    """

    def __init__(
        self, configuration: MerchantConfiguration, *, send: Transport | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(configuration, clock)
        self._own = AsyncHttpTransport(configuration) if send is None else None
        self._send: Transport = send or self._own  # type: ignore[assignment]

    async def _drive(self, core: Core[T]) -> T:
        return await drive_async(core, self._exchange, _no_database)

    async def _exchange(self, effect: Send) -> Response:
        return await self._send(effect.request, effect.limits)

    async def create(
        self, order_no: str, amount: Money, subject: str, **options: Unpack[PaymentOptions]
    ) -> TradeOpened:
        """Open a trade between servers, in protocols that do so."""
        return await self._drive(self._create(order_no, amount, subject, options))

    async def scan(
        self, order_no: str, amount: Money, subject: str, shown: str, **options: Unpack[PaymentOptions]
    ) -> TradeView:
        """Take a payment by the code that the buyer's wallet has ``shown``; see ``Client.scan``."""
        return await self._drive(self._scan(order_no, amount, subject, shown, options))

    async def create_combined(
        self, order_no: str, parts: Sequence[CombinedPart], **options: Unpack[CombinedOptions]
    ) -> TradeOpened:
        """Open several orders that one payment pays; see ``Client.create_combined``."""
        return await self._drive(self._create_combined(order_no, parts, options))

    async def query_combined(self, order_no: str) -> CombinedView:
        """A combined order and each of its orders."""
        return await self._drive(self._query_combined(order_no))

    async def close_combined(self, order_no: str, parts: Sequence[CombinedPart]) -> Done:
        """End an unpaid combined order; ``parts`` are those with which it was opened."""
        return await self._drive(self._close_combined(order_no, parts))

    async def query(self, order_no: str = "", trade_no: str = "") -> TradeView:
        """The trade by our order number, the platform's number, or both."""
        return await self._drive(self._query(order_no, trade_no))

    async def close_trade(self, order_no: str = "", trade_no: str = "") -> Done:
        """End an unpaid trade."""
        return await self._drive(self._close(order_no, trade_no))

    async def ship(
        self, order_no: str = "", trade_no: str = "", *, carrier: str, tracking_no: str = "", kind: str = "express"
    ) -> Done:
        """Tell the platform that the goods of an escrow trade are on their way."""
        return await self._drive(self._ship(order_no, trade_no, carrier, tracking_no, kind))

    async def confirm_notification(self, notification_id: str) -> bool:
        """Whether a notification id is really the platform's, for this merchant, and live."""
        return await self._drive(self._confirm(notification_id))

    async def request_timestamp(self) -> str:
        """A fresh anti-phishing key, for ``payment(anti_phishing_key=...)``."""
        return await self._drive(self._timestamp())

    async def exchange_code(self, code: str = "", *, refresh: str = "") -> IdentityFound:
        """Who consented; see ``Client.exchange_code``."""
        return await self._drive(self._exchange_code(code, refresh))

    async def fetch_certificates(self, serial: str = "") -> tuple[str, ...]:
        """The platform's certificates as PEM; see ``Client.fetch_certificates``."""
        return await self._drive(self._certificates(serial))

    async def refresh_certificates(self) -> bool:
        """Fetch the platform's certificates into the configuration's ``trust``; see ``Client.refresh_certificates``."""
        return await self._drive(self._learn())

    async def close(self) -> None:
        if self._own is not None:
            await self._own.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _no_database(function: object) -> object:
    raise LocalProtocolError("", "a client has no database")
