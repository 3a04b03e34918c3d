"""Steps 1 to 4 of a payment: the buyer asks, the shop stores the order, shows it, and the browser goes to pay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.merchant.database import Transaction
from tongbao.merchant.order import Order, OrderState
from tongbao.shop.browse import EXPIRIES, METHODS, PRODUCTS, render_cart
from tongbao.shop.payment import (
    HINTED,
    Prepared,
    change_field,
    open_between_servers,
    opens_between_servers,
    prepare,
    title_lines,
)
from tongbao.shop.shop import Way
from tongbao.shop.table import (
    Choice,
    Line,
    change_endpoint,
    read_cart,
    read_choice,
    read_lines,
    store_choice,
    sum_lines,
)
from tongbao.shop.visit import LANGUAGES, Problem, Visit, redirect
from tongbao.wire.bank import BANKS
from tongbao.wire.world import NotSent

_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,180}\.[A-Za-z]{2,24}", re.ASCII)
_TEXT_MAX: Final = 80


class Mistake(Exception):  # noqa: N818 - the buyer's, told in the form
    """What is wrong with the form, as a word."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked form."""

    way: Way
    email: str
    language: str
    product: str
    method: str
    bank: str
    expiry_seconds: int | None
    consignee: str
    place: str


def _one_of(form: dict[str, str], name: str, options: object, word: str) -> str:
    value = form.get(name, "")
    if value not in options:  # type: ignore[operator]
        raise Mistake(word)
    return value


def _text(form: dict[str, str], name: str) -> str:
    value = form.get(name, "")
    if len(value) > _TEXT_MAX or not value.isprintable():
        raise Mistake("mistake_place")
    return value


def read_wish(visit: Visit) -> Wish:
    """The form, checked. Raises Mistake."""
    form = dict(visit.form)
    way = visit.shop.way(form.get("protocol", "") or visit.shop.protocols[0])
    if way is None:
        raise Mistake("mistake_choice")
    email = form.get("email", "")
    if _EMAIL.fullmatch(email) is None:
        raise Mistake("mistake_email")
    product = _one_of(form, "product", PRODUCTS, "mistake_choice")
    if product not in way.endpoint.configuration.manifest.products:
        raise Mistake("mistake_product")
    method = _one_of(form, "method", METHODS, "mistake_choice")
    bank = form.get("bank", "") if method in ("debit", "credit") else ""
    if bank and bank not in BANKS:
        raise Mistake("mistake_choice")
    if bank and not (BANKS[bank].debit if method == "debit" else BANKS[bank].credit):
        raise Mistake("mistake_card")
    if product not in HINTED:
        method = bank = ""
    return Wish(
        way=way,
        email=email,
        language=_one_of(form, "language", LANGUAGES, "mistake_choice"),
        product=product,
        method=method,
        bank=bank,
        expiry_seconds=EXPIRIES[_one_of(form, "expiry", EXPIRIES, "mistake_choice")],
        consignee=_text(form, "consignee"),
        place=_text(form, "place"),
    )


async def store_order(visit: Visit) -> Response:
    """Step 2: the order stands in the shop's own database before the buyer sees an amount to pay."""
    try:
        wish = read_wish(visit)
    except Mistake as mistake:
        return await render_cart(visit, dict(visit.form), str(mistake))
    number = visit.shop.order_number()
    shop = visit.shop
    configuration = wish.way.endpoint.configuration

    def work(transaction: Transaction) -> bool:
        lines = read_cart(transaction, visit.visitor)
        if not lines:
            return False
        order = Order(
            order_no=number,
            amount=sum_lines(lines),
            endpoint=wish.way.endpoint.name,
            environment=configuration.environment,
            subject=title_lines(lines, wish.language),
            email=wish.email,
            language=wish.language,
        )
        shop.book.add(transaction, order, shop.world.clock.business())
        choice = Choice(
            order_no=number,
            visitor=visit.visitor,
            product=wish.product,
            method=wish.method,
            bank=wish.bank,
            expiry_seconds=wish.expiry_seconds,
            consignee=wish.consignee,
            place=wish.place,
        )
        store_choice(transaction, choice, lines)
        return True

    stored = await shop.run(work)
    # A second click finds the cart empty: the order it made stands among the visitor's orders.
    return redirect(f"/orders/{number}/confirm" if stored else "/orders")


@dataclass(frozen=True, slots=True)
class Owned:
    """An order of this visitor."""

    order: Order
    choice: Choice
    lines: list[Line]


async def find_owned(visit: Visit) -> Owned:
    """The order in the address, if it is this visitor's; a foreign one is as unknown as any (T57)."""
    number = visit.path["number"]

    def work(transaction: Transaction) -> Owned | None:
        order, choice = visit.shop.book.find(transaction, number), read_choice(transaction, number)
        if order is None or choice is None:
            return None
        return Owned(order, choice, read_lines(transaction, number))

    found = await visit.shop.read(work)
    if found is None or found.choice.visitor != visit.visitor:
        raise Problem(404, "problem_unknown")
    return found


async def show_confirmation(visit: Visit) -> Response:
    """Step 3: order and amount, the form with hidden fields and the link; and, folded, a developer's look behind."""
    owned = await find_owned(visit)
    if owned.order.state is not OrderState.PENDING:
        return redirect(f"/orders/{owned.order.order_no}")
    prepared, mistake, detail = None, "", ""
    try:
        prepared = await _prepare(visit, owned)
    except LocalProtocolError as error:
        mistake, detail = "mistake_protocol", str(error)
    way = visit.shop.ways[owned.order.endpoint]
    return await visit.render(
        "confirm.html",
        target="http: https:",
        order=owned.order,
        choice=owned.choice,
        lines=owned.lines,
        banks=BANKS,
        prepared=prepared,
        mistake=mistake,
        detail=detail,
        charsets=[other.charset for other in visit.shop.ways.values() if other.protocol == way.protocol],
        charset=way.charset,
        field=visit.request.query_params.get("field", ""),
        value=visit.request.query_params.get("value", ""),
        gateway=way.endpoint.configuration.keys.gateway,
        code=way.endpoint.configuration.manifest.server.refusal_code(InvalidSignature()),
    )


async def _prepare(visit: Visit, owned: Owned) -> Prepared:
    way = visit.shop.ways[owned.order.endpoint]
    if opens_between_servers(way):
        try:
            return await open_between_servers(visit.shop, way, owned.order, owned.choice, _peer(visit))
        except (Refused, OutcomeUnknown, RemoteProtocolError, NotSent) as error:
            raise LocalProtocolError("", f"the platform did not open the trade: {error}") from error
    prepared: Prepared = await visit.shop.world.compute(lambda: prepare(visit.shop, way, owned.order, owned.choice))
    name, value = visit.request.query_params.get("field", ""), visit.request.query_params.get("value", "")
    if not name:
        return prepared
    try:
        value[:400].encode(prepared.call.charset)
    except UnicodeEncodeError as error:
        raise LocalProtocolError(name, f"holds a character that {prepared.call.charset} cannot say") from error
    return change_field(prepared, name, value[:400].replace("\r", " ").replace("\n", " "))


def _peer(visit: Visit) -> str:
    """The buyer's address, as far as the shop can see it."""
    client = visit.request.client
    return client.host if client is not None else "127.0.0.1"


async def change_charset(visit: Visit) -> Response:
    """For developers: send this order's request, and receive its messages, in another charset."""
    owned = await find_owned(visit)
    mine = visit.shop.ways[owned.order.endpoint]
    way = visit.shop.way(mine.protocol, visit.form.get("charset", ""))
    if way is None:
        raise Problem(400, "problem_form")
    name, number = way.endpoint.name, owned.order.order_no
    await visit.shop.run(lambda transaction: change_endpoint(transaction, number, name))
    return redirect(f"/orders/{owned.order.order_no}/confirm#developers")
