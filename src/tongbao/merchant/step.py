"""The receiver's steps 1 to 13, one function each, in the order in which they must run. Each raises Stop or is silent.

Whatever they say is decided by the shop's own configuration and order; the message only has to agree with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tongbao.kernel.error import (
    LocalProtocolError,
    OutcomeUnknown,
    RemoteProtocolError,
)
from tongbao.kernel.port import Clock
from tongbao.kernel.time import SECOND, Instant
from tongbao.merchant.endpoint import HEADER_BYTES_MAX, MESSAGE_BYTES_MAX, Endpoint, EndpointTable
from tongbao.merchant.exchange import Core, ask
from tongbao.merchant.order import Order
from tongbao.merchant.verdict import Stop
from tongbao.wire.form import FormLimits, split_form
from tongbao.wire.http import Request
from tongbao.wire.key import KeyState
from tongbao.wire.vocabulary import (
    PAID_STATES,
    Confirmed,
    ConfirmNotification,
    Notification,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
    TradeState,
    TradeView,
)
from tongbao.wire.world import NotSent

FUTURE_MS: Final = 300 * SECOND
"""A message from further in the future than this is refused (T24)."""

SUCCESSORS: Final = {
    TradeState.UNPAID: frozenset(TradeState),
    TradeState.PAID: PAID_STATES,
    TradeState.ESCROWED: frozenset({TradeState.ESCROWED, TradeState.SHIPPED, TradeState.FINISHED}),
    TradeState.SHIPPED: frozenset({TradeState.SHIPPED, TradeState.FINISHED}),
    TradeState.FINISHED: frozenset({TradeState.FINISHED}),
    TradeState.CLOSED: frozenset({TradeState.CLOSED}),
}
"""A trade may have moved on since it was notified: what the query may say for each notified state."""

_FORM_LIMITS: Final = FormLimits(size=MESSAGE_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Raw:
    """The message as it came, and the SHA-256 of its body (of its query where there is no body)."""

    request: Request
    sha256: str

    @property
    def payload(self) -> bytes:
        return self.request.body or self.request.raw_query


def step_01_cap_size(request: Request) -> None:
    """Refuse what is too long before anything reads it."""
    if len(request.body) > MESSAGE_BYTES_MAX or len(request.raw_query) > MESSAGE_BYTES_MAX:
        raise Stop(1, "TOO_LARGE", f"body or query is longer than {MESSAGE_BYTES_MAX} bytes")
    if sum(len(name) + len(value) for name, value in request.headers) > HEADER_BYTES_MAX:
        raise Stop(1, "TOO_LARGE", f"headers are longer than {HEADER_BYTES_MAX} bytes")


def step_02_keep_raw(request: Request) -> Raw:
    """Keep the bytes as they came; every later reading starts from them."""
    return Raw(request, hashlib.sha256(request.body or request.raw_query).hexdigest())


def step_03_parse_strictly(raw: Raw) -> tuple[tuple[bytes, bytes], ...]:
    """The ordered pairs of a form body, or of the query of a GET; empty for XML and JSON, which their protocol parses.

    A query beside a body is the shop's own address and never merged into the message (T08).
    """
    request = raw.request
    if request.method not in ("GET", "POST"):
        raise Stop(3, "MALFORMED", f"{request.method[:16]} carries no message")
    text = request.body if request.method == "POST" else request.raw_query
    if text.lstrip()[:1] in (b"<", b"{"):
        return ()
    try:
        return split_form(text, _FORM_LIMITS)
    except RemoteProtocolError as error:
        raise Stop(3, error.code, str(error)) from error


def step_04_refuse_duplicates(pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse names that appear twice after decoding, and structured names (T07, T08)."""
    seen = set()
    for name, _ in pairs:
        shown = name[:40].decode("latin-1")
        if name in seen:
            raise Stop(4, "DUPLICATE_PARAM", f"{shown} appears twice")
        if b"[" in name or b"]" in name:
            raise Stop(4, "MALFORMED", f"{shown} is a structured name")
        seen.add(name)


def step_05_find_endpoint(request: Request, endpoints: EndpointTable) -> Endpoint:
    """The configuration comes from the address the message was sent to, never from the message."""
    endpoint = endpoints.by_path(request.raw_path)
    if endpoint is None:
        raise Stop(5, "UNKNOWN_SERVICE", "no endpoint has this path")
    return endpoint


def step_06_pin_algorithm(endpoint: Endpoint) -> None:
    """The algorithms are those of the endpoint's own keys, and the protocol must know them (T05)."""
    manifest = endpoint.configuration.manifest
    algorithms = {key.algorithm for key in endpoint.configuration.keys.ring.verify} - set(manifest.content_keys)
    learns = endpoint.configuration.trust is not None
    if (not algorithms and not learns) or not algorithms <= set(manifest.algorithms):
        raise Stop(6, "SIGN_TYPE_NOT_ALLOWED", "the endpoint has no key of an algorithm of this protocol")


def step_07_pick_keys(endpoint: Endpoint) -> None:
    """At least one live key, none of them empty (T01, T84)."""
    live = [key for key in endpoint.configuration.keys.ring.verify if key.state in (KeyState.ACTIVE, KeyState.RETIRING)]
    if not live:
        raise Stop(7, "KEY_REVOKED", "no key of the endpoint may verify now")
    if any(isinstance(key.material, bytes) and not key.material.strip() for key in live):
        raise Stop(7, "KEY_UNKNOWN", "a key of the endpoint is empty")


def step_08_verify(raw: Raw, endpoint: Endpoint, now: Instant) -> Notification:
    """Verify over the raw bytes by the protocol's own rule; only a Notification passes, any exception refuses (T04)."""
    configuration = endpoint.configuration
    try:
        notification = configuration.manifest.client.decode_notification(raw.request, configuration.keys, now)
    except RemoteProtocolError as error:
        raise Stop(8, error.code, str(error)) from error
    except Exception as error:
        raise Stop(8, "SIGN_INVALID", f"verification broke: {type(error).__name__}") from error
    if type(notification) is not Notification:
        raise Stop(8, "SIGN_INVALID", "verification gave no notification")
    return notification


def step_09_drop_unsigned(notification: Notification) -> Notification:
    """What no signature covers goes no further (T09)."""
    return replace(notification, unsigned={}) if notification.unsigned else notification


def step_10_check_freshness(notification: Notification, endpoint: Endpoint, now: Instant) -> None:
    """Nothing from the future; nothing older than the endpoint allows, where it says so (T24)."""
    if notification.at is None:
        if endpoint.freshness_seconds is not None:
            raise Stop(10, "STALE", "the message has no signed time")
        return
    if notification.at > now + FUTURE_MS:
        raise Stop(10, "STALE", "the signed time is in the future")
    if endpoint.freshness_seconds is not None and notification.at < now - endpoint.freshness_seconds * SECOND:
        raise Stop(10, "STALE", "the signed time is too long ago")


def step_11_check_recipient(notification: Notification, endpoint: Endpoint) -> None:
    """The message is a notification, and for this merchant and seller: every name it says must be ours (T25, T31)."""
    if notification.role is not Role.NOTIFICATION:
        raise Stop(11, "RETURN_IS_NO_EVIDENCE", "a browser's return proves no payment")
    trade, ours = notification.trade, endpoint.configuration
    named = False
    if trade.merchant:
        named = True
        if trade.merchant != ours.merchant:
            raise Stop(11, "WRONG_RECIPIENT", "it is for another merchant")
    expected = ours.seller
    if trade.seller.id and expected.id:
        named = True
        if trade.seller.id != expected.id:
            raise Stop(11, "WRONG_RECIPIENT", "another seller got the money")
    if trade.seller.login and expected.login:
        named = True
        if trade.seller.login != expected.login:
            raise Stop(11, "WRONG_RECIPIENT", "another seller got the money")
    if not named and any(not isinstance(key.material, bytes) for key in ours.keys.ring.verify):
        # With a secret of his own, the signature itself names the merchant; with the platform's public key it does not.
        raise Stop(11, "WRONG_RECIPIENT", "it names nobody, and the key is not this merchant's alone")


def step_12_match_order(
    trade: TradeView, order: Order | None, endpoint: Endpoint, bound: Iterable[Mapping[str, Any]]
) -> Order:
    """The order exists, belongs to this endpoint and environment, and number, amount, currency, seller and trade number
    are exactly its own (T26, T27, T29, T30). ``bound`` are the rows that tie trade numbers to orders."""
    if not trade.out_trade_no or not trade.trade_no:
        raise Stop(12, "FIELD_MISSING", "it names no order, or no trade of the platform")
    if trade.state is None:
        raise Stop(12, "FIELD_MISSING", "it says no state")
    if order is None or order.order_no != trade.out_trade_no:
        raise Stop(12, "ORDER_UNKNOWN", "no such order")
    if order.endpoint and order.endpoint != endpoint.name:
        raise Stop(12, "WRONG_ENDPOINT", f"the order is to be paid through {order.endpoint}")
    if order.environment and order.environment != endpoint.configuration.environment:
        raise Stop(12, "WRONG_ENVIRONMENT", f"the order belongs to {order.environment}")
    if trade.amount is None:
        if trade.state in PAID_STATES:
            raise Stop(12, "AMOUNT_MISSING", "it says no amount")
    elif trade.amount.currency != order.amount.currency:
        raise Stop(12, "CURRENCY_MISMATCH", f"paid in {trade.amount.currency}")
    elif trade.amount.minor != order.amount.minor:
        raise Stop(12, "AMOUNT_MISMATCH", f"paid {trade.amount.text()}, the order says {order.amount.text()}")
    _match_seller(trade, order)
    if order.trade_no and order.trade_no != trade.trade_no:
        raise Stop(12, "ORDER_HAS_ANOTHER_TRADE", "the order is bound to another trade of the platform")
    for row in bound:
        if row["order_no"] != order.order_no:
            raise Stop(12, "TRADE_OF_ANOTHER_ORDER", "this trade has paid another order")
        if row["provider"] != endpoint.provider or row["trade_no"] != trade.trade_no:
            raise Stop(12, "ORDER_HAS_ANOTHER_TRADE", "another trade has paid this order")
    return order


def _match_seller(trade: TradeView, order: Order) -> None:
    expected, said = order.seller, trade.seller
    if expected.id and said.id and expected.id != said.id:
        raise Stop(12, "SELLER_MISMATCH", "another seller got the money than the order names")
    if expected.login and said.login and expected.login != said.login:
        raise Stop(12, "SELLER_MISMATCH", "another seller got the money than the order names")
    if expected and not (expected.id and said.id) and not (expected.login and said.login) and said:
        raise Stop(12, "SELLER_MISMATCH", "the message does not name the seller as the order does")


def step_13_prove(notification: Notification, endpoint: Endpoint, clock: Clock) -> Core[None]:
    """Ask the platform itself: is this notification yours, and does the trade stand as it says (T12)?

    Negative states need the same proof (T32). The addresses asked are the configuration's, never the message's (T33).
    """
    merchant = endpoint.configuration.merchant
    if endpoint.confirms:
        if not notification.id:
            raise Stop(13, "NOT_CONFIRMED", "it carries no id to ask for")
        outcome = yield from _ask(
            ConfirmNotification(merchant=merchant, notification_id=notification.id), endpoint, clock
        )
        if not isinstance(outcome, Confirmed) or outcome.genuine is not True:
            raise Stop(13, "NOT_CONFIRMED", "the platform does not know this notification, or no longer")
    if endpoint.queries:
        trade = notification.trade
        question = QueryTrade(merchant=merchant, out_trade_no=trade.out_trade_no, trade_no=trade.trade_no)
        outcome = yield from _ask(question, endpoint, clock)
        if isinstance(outcome, Rejection):
            raise Stop(13, "QUERY_DISAGREES", f"the query was refused: {outcome.code} {outcome.wire_code}")
        if not isinstance(outcome, TradeFound):
            raise Stop(13, "QUERY_DISAGREES", "the query gave no trade")
        check_agreement(trade, outcome.trade)


def check_agreement(notified: TradeView, found: TradeView) -> None:
    """The query must say the same numbers and amount, and a state that can follow the notified one."""
    if found.out_trade_no != notified.out_trade_no or found.trade_no != notified.trade_no:
        raise Stop(13, "QUERY_DISAGREES", "the query speaks of another trade")
    if found.merchant and notified.merchant and found.merchant != notified.merchant:
        raise Stop(13, "QUERY_DISAGREES", "the query speaks of another merchant")
    if notified.state is None or found.state not in SUCCESSORS[notified.state]:
        raise Stop(13, "QUERY_DISAGREES", f"notified {notified.state}, found {found.state}")
    if notified.amount is not None and found.amount != notified.amount:
        raise Stop(13, "QUERY_DISAGREES", "the query says another amount")
    for said, known in ((notified.seller.id, found.seller.id), (notified.seller.login, found.seller.login)):
        if said and known and said != known:
            raise Stop(13, "QUERY_DISAGREES", "the query names another seller")


def _ask(intent: ConfirmNotification | QueryTrade, endpoint: Endpoint, clock: Clock) -> Core[Any]:
    try:
        return (yield from ask(endpoint.configuration, intent, clock))
    except (NotSent, OutcomeUnknown) as error:
        raise Stop(13, "PROOF_UNAVAILABLE", str(error)) from error
    except RemoteProtocolError as error:
        raise Stop(13, "PROOF_INVALID", str(error)) from error
    except LocalProtocolError as error:
        raise Stop(13, "PROOF_UNAVAILABLE", str(error)) from error
