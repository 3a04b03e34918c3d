"""The shop's pages and addresses as one ASGI application."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from tongbao.contrib.starlette import Handler, notify_handler, read_request
from tongbao.merchant.verdict import Accepted
from tongbao.shop import account, browse, checkout, desk
from tongbao.shop.shop import Shop
from tongbao.shop.visit import Door, Problem, Visit, harden, make_environment

STATIC: Final = Path(__file__).parent / "static"

PAGES: Final = (
    ("GET", "/", browse.show_shelf),
    ("GET", "/goods/{sku}", browse.show_good),
    ("GET", "/cart", browse.show_cart),
    ("POST", "/cart", browse.add_to_cart),
    ("POST", "/cart/change", browse.change_cart),
    ("GET", "/orders", account.show_orders),
    ("POST", "/orders", checkout.store_order),
    ("GET", "/orders/{number}", account.show_order),
    ("GET", "/orders/{number}/confirm", checkout.show_confirmation),
    ("POST", "/orders/{number}/charset", checkout.change_charset),
    ("POST", "/orders/{number}/query", account.query_order),
    ("POST", "/orders/{number}/close", account.close_order),
    ("GET", "/result/{number}/{seal}", account.show_result),
    ("GET", "/desk", desk.show_desk),
    ("GET", "/desk/orders/{number}", desk.show_desk_order),
    ("POST", "/desk/orders/{number}/query", desk.query_desk_order),
    ("POST", "/desk/orders/{number}/close", desk.close_desk_order),
    ("POST", "/desk/orders/{number}/ship", desk.ship_order),
    ("GET", "/desk/invalid", desk.show_invalid),
    ("GET", "/desk/mailbox", desk.show_mailbox),
)
"""Every page: method, path, handler. The addresses of the platforms' messages come beside them."""


def shop_app(shop: Shop) -> Starlette:
    """The application. It has no life of its own: a duty loop beside it calls ``shop.run_jobs`` and ``shop.poll``."""
    door = Door(shop, make_environment())

    def watch(accepted: Accepted) -> None:
        verdict = accepted.verdict
        said = {"kind": str(verdict.kind), "step": verdict.step, "reason": verdict.reason, "order": verdict.order_no}
        shop.world.log("shop.notification", **said)

    accept = notify_handler(shop.receiver, watch)

    async def notified(request: Request) -> Response:
        if not shop.reachable:
            return PlainTextResponse("503 Service Unavailable\n", 503)
        return await accept(request)

    async def returned(request: Request) -> Response:
        seen = await shop.receiver.accept_return(await read_request(request), inquire=False)

        async def page(visit: Visit) -> Response:
            return await account.show_return(visit, seen)

        return await door.show(request, page)

    async def unknown(visit: Visit) -> Response:
        raise Problem(404, "problem_unknown")

    async def unknown_path(request: Request, error: Exception) -> Response:
        return await door.show(request, unknown)

    routes = [Route(path, door(page), methods=[method]) for method, path, page in PAGES]
    routes.append(Route("/shop.css", show_file("shop.css", "text/css"), methods=["GET"]))
    routes.append(Route("/shop.svg", show_file("shop.svg", "image/svg+xml"), methods=["GET"]))
    for name in shop.ways:
        routes.append(Route(f"/pay/{name}/notify", notified, methods=["GET", "POST"]))
        routes.append(Route(f"/pay/{name}/return", returned, methods=["GET", "POST"]))
    return Starlette(routes=routes, exception_handlers={404: unknown_path})


def show_file(name: str, kind: str) -> Handler:
    """The handler of a file that every visitor may keep for a while."""

    async def handle(request: Request) -> Response:
        response = FileResponse(STATIC / name, media_type=kind, headers={"cache-control": "max-age=300"})
        harden(response)
        return response

    return handle
