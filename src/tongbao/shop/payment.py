"""From a stored order to the signed request that the buyer's browser carries, and to a look behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from tongbao.kernel.error import LocalProtocolError
from tongbao.merchant.client import PaymentOptions
from tongbao.merchant.order import Order
from tongbao.merchant.page import html_form
from tongbao.shop.shelf import SHELF
from tongbao.shop.shop import Shop, Way
from tongbao.shop.table import Choice, Line
from tongbao.wire.contract import Call, SignatureTrail
from tongbao.wire.form import parse_form
from tongbao.wire.vocabulary import Carriage, Consignee, Expiry, Method, Presentation, Product

HINTED: Final = frozenset({Product.INSTANT})
"""Products whose request can say how the buyer wants to pay; the others leave it to the cashier."""

DISPENSABLE: Final = frozenset({"show_url", "expiry", "consignee", "method", "bank", "client_ip"})
"""Options a request can do without: then the platform's time limit holds, and its cashier asks how to pay."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The request as the browser will carry it. ``trail`` shows how it was signed, secrets masked; ``changed`` is the
    field a developer changed after signing, '' for none; ``unsaid`` are the options the protocol has no word for."""

    way: Way
    call: Call
    trail: SignatureTrail | None
    changed: str = ""
    unsaid: frozenset[str] = frozenset()


def title_lines(lines: Sequence[Line], language: str) -> str:
    """What an order is called at the platform: the first good, and how many other pieces there are."""
    count = sum(line.quantity for line in lines)
    first = SHELF[lines[0].sku].title[language]
    if count == 1:
        return first
    return f"{first} 等 {count} 件" if language == "zh" else f"{first} and {count - 1} more"


def _options(order: Order, choice: Choice, way: Way, shop: Shop) -> PaymentOptions:
    product = Product(choice.product)
    options = PaymentOptions(product=product, show_url=f"{shop.address}/orders/{order.order_no}")
    if choice.expiry_seconds is not None:
        options["expiry"] = Expiry(choice.expiry_seconds)
    if product in HINTED and choice.method:
        options["method"] = Method(choice.method)
        if choice.bank:
            options["bank"] = choice.bank
    if product not in HINTED and (choice.consignee or choice.place):
        options["consignee"] = Consignee(name=choice.consignee, address=choice.place)
    return options


def prepare(shop: Shop, way: Way, order: Order, choice: Choice) -> Prepared:
    """Sign the request for a stored order. Raises LocalProtocolError where protocol or charset cannot say it."""

    def sign(options: PaymentOptions) -> Call:
        call = way.client.payment(order.order_no, order.amount, order.subject, **options)
        html_form(call, auto=False)  # raises where a browser could not carry a field unchanged
        return call

    call, _, unsaid = _say_what_can_be_said(_options(order, choice, way, shop), sign)
    return Prepared(way, call, way.endpoint.configuration.manifest.server.trail(call.request()), unsaid=unsaid)


def opens_between_servers(way: Way) -> bool:
    """Whether the shop's server opens the trade, and the browser only follows a link to it."""
    return Presentation.PAGE not in way.endpoint.configuration.manifest.presentations


async def open_between_servers(shop: Shop, way: Way, order: Order, choice: Choice, client_ip: str) -> Prepared:
    """Open the trade of a stored order (or find it open) and take the buyer to its page. Raises LocalProtocolError,
    Refused, OutcomeUnknown, RemoteProtocolError, NotSent."""
    configuration = way.endpoint.configuration
    wanted = PaymentOptions(presentation=Presentation.H5, client_ip=client_ip)
    wanted["return_url"] = f"{shop.address}/orders/{order.order_no}"

    def sign(options: PaymentOptions) -> Call:
        intent = way.client.trade(order.order_no, order.amount, order.subject, **options)
        return configuration.manifest.client.encode(intent, configuration.keys, shop.world.clock.wire())

    options = PaymentOptions(**{**_options(order, choice, way, shop), **wanted})
    call, said, unsaid = _say_what_can_be_said(options, sign)
    opened = await way.client.create(order.order_no, order.amount, order.subject, **said)
    url, _, query = opened.cashier_url.partition("?")
    link = Call(Carriage.BROWSER, "GET", url, parse_form(query.encode("ascii")))
    return Prepared(way, link, configuration.manifest.server.trail(call.request()), unsaid=unsaid)


def _say_what_can_be_said(
    options: PaymentOptions, sign: Callable[[PaymentOptions], Call]
) -> tuple[Call, PaymentOptions, frozenset[str]]:
    """What the protocol has no word for and the payment can do without is left out. Answers what that was."""
    unsaid: set[str] = set()
    while True:
        try:
            return sign(options), options, frozenset(unsaid)
        except LocalProtocolError as error:
            # Not every protocol knows every bank; without it the kind of card may still be said.
            name = "bank" if error.field == "method" and "bank" in options else error.field
            if name not in DISPENSABLE or name not in options:
                raise
            cast(dict[str, object], options).pop(name)
            unsaid.add(name)


def change_field(prepared: Prepared, name: str, value: str) -> Prepared:
    """The same request with one field changed after signing, for a developer who wants to see it refused.

    Raises LocalProtocolError where there is no such field.
    """
    if name not in dict(prepared.call.fields):
        raise LocalProtocolError(name, "is no field of this request")
    fields = tuple((field, value if field == name else old) for field, old in prepared.call.fields)
    return replace(prepared, call=replace(prepared.call, fields=fields), changed=name)
