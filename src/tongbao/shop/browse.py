"""Pages before an order: the shelf, one good, the cart."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from tongbao.shop.payment import HINTED
from tongbao.shop.shelf import SHELF, Good
from tongbao.shop.table import QUANTITY_MAX, put_in_cart, read_cart, read_stock, sum_lines
from tongbao.shop.visit import Problem, Visit, redirect
from tongbao.wire.bank import BANKS
from tongbao.wire.vocabulary import Product

METHODS: Final = ("", "balance", "debit", "credit", "outlet")
PRODUCTS: Final = tuple(str(product) for product in Product)
EXPIRIES: Final = {"": None, "5m": 300, "30m": 1_800, "1d": 86_400, "midnight": 0}
"""When an unpaid order lapses, in seconds; None as the platform has it, 0 at the next Chinese midnight."""


async def show_shelf(visit: Visit) -> Response:
    """The catalogue."""
    stock = await visit.shop.read(read_stock)
    return await visit.render("shelf.html", stock=stock)


def _good(sku: str) -> Good:
    good = SHELF.get(sku)
    if good is None:
        raise Problem(404, "problem_unknown")
    return good


async def show_good(visit: Visit) -> Response:
    """One good."""
    good = _good(visit.path["sku"])
    stock = await visit.shop.read(read_stock)
    return await visit.render("good.html", good=good, stock=stock)


def _quantity(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise Problem(400, "problem_quantity")
    return min(int(text), QUANTITY_MAX)


async def add_to_cart(visit: Visit) -> Response:
    """Put a good in the cart and show the cart."""
    good, quantity = _good(visit.form.get("sku", "")), _quantity(visit.form.get("quantity", "1"))
    await visit.shop.run(lambda transaction: put_in_cart(transaction, visit.visitor, good.sku, quantity, add=True))
    return redirect("/cart")


async def change_cart(visit: Visit) -> Response:
    """Set a quantity; zero takes the good out."""
    good = _good(visit.form.get("sku", ""))
    quantity = 0 if visit.form.get("remove") else _quantity(visit.form.get("quantity", ""))
    await visit.shop.run(lambda transaction: put_in_cart(transaction, visit.visitor, good.sku, quantity, add=False))
    return redirect("/cart")


async def show_cart(visit: Visit) -> Response:
    """The cart with the form that asks for an order."""
    return await render_cart(visit, {}, "")


async def render_cart(visit: Visit, given: dict[str, str], mistake: str) -> Response:
    """The cart; ``given`` is what the form said, ``mistake`` the word for what is wrong with it."""
    lines = await visit.shop.read(lambda transaction: read_cart(transaction, visit.visitor))
    shop = visit.shop
    titles = {}
    for name in shop.protocols:
        way = shop.way(name)
        if way is not None:
            manifest = way.endpoint.configuration.manifest
            titles[name] = manifest.title_zh if visit.language == "zh" else manifest.title
    return await visit.render(
        "cart.html",
        status=400 if mistake else 200,
        lines=lines,
        total=sum_lines(lines),
        protocols=titles,
        products=[product for product in PRODUCTS if _is_offered(visit, product)],
        hinted=[str(product) for product in HINTED],
        methods=METHODS,
        banks=BANKS,
        expiries=list(EXPIRIES),
        given=given,
        mistake=mistake,
    )


def _is_offered(visit: Visit, product: str) -> bool:
    return any(product in way.endpoint.configuration.manifest.products for way in visit.shop.ways.values())
