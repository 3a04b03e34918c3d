"""The keeper's desk: all orders, shipping, stock, invalid requests and the mailbox. It has no login (see ``Shop``)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.merchant.database import Transaction
from tongbao.merchant.order import Order, OrderState
from tongbao.merchant.record import recent_invalid
from tongbao.shop.account import ask, close, order_links
from tongbao.shop.shop import Shop
from tongbao.shop.table import Knowledge, read_choice, read_knowledge, read_lines, read_stock
from tongbao.shop.visit import Problem, Visit, redirect
from tongbao.wire.bank import BANKS
from tongbao.wire.world import Mail, NotSent

CARRIERS: Sequence[str] = ("顺丰速运", "EMS", "中通快递", "圆通速递")


async def show_desk(visit: Visit) -> Response:
    """The newest orders of everybody, and the stock."""
    orders, stock = await visit.shop.read(
        lambda transaction: (visit.shop.book.recent(transaction, 100), read_stock(transaction))
    )
    return await visit.render("desk.html", orders=orders, stock=stock)


async def _find(visit: Visit) -> Order:
    number = visit.path["number"]
    order = await visit.shop.read(lambda transaction: visit.shop.book.find(transaction, number))
    if order is None:
        raise Problem(404, "problem_unknown")
    return order


async def show_desk_order(visit: Visit) -> Response:
    """One order as the keeper sees it."""
    order = await _find(visit)

    def work(transaction: Transaction) -> tuple[object, object, Knowledge]:
        number = order.order_no
        return read_choice(transaction, number), read_lines(transaction, number), read_knowledge(transaction, number)

    choice, lines, known = await visit.shop.read(work)
    return await visit.render(
        "order.html",
        order=order,
        choice=choice,
        lines=lines,
        banks=BANKS,
        known=known,
        keeper=True,
        carriers=CARRIERS,
        back=f"/desk/orders/{order.order_no}",
        said=visit.request.query_params.get("said", ""),
        links=order_links(visit.shop, order),
    )


async def query_desk_order(visit: Visit) -> Response:
    """Ask the platform now."""
    order = await _find(visit)
    return redirect(f"/desk/orders/{order.order_no}?said={await ask(visit.shop, order.order_no)}")


async def close_desk_order(visit: Visit) -> Response:
    """Close an unpaid order."""
    order = await _find(visit)
    return redirect(f"/desk/orders/{order.order_no}?said={await close(visit.shop, order)}")


async def ship_order(visit: Visit) -> Response:
    """Tell the platform that the goods of an escrow order are on their way."""
    order = await _find(visit)
    carrier, tracking = visit.form.get("carrier", ""), visit.form.get("tracking", "")
    if carrier not in CARRIERS or not (tracking.isascii() and tracking.isalnum() and len(tracking) <= 32):
        return redirect(f"/desk/orders/{order.order_no}?said=said_tracking")
    return redirect(f"/desk/orders/{order.order_no}?said={await ship(visit.shop, order, carrier, tracking)}")


async def ship(shop: Shop, order: Order, carrier: str, tracking: str) -> str:
    """Ship one order by its platform's own number; answers a word for the page. The order follows by evidence."""
    if order.state is not OrderState.PAID or order.trade_state != "escrowed":
        return "said_too_late"
    way = shop.ways[order.endpoint]
    try:
        await way.client.ship(trade_no=order.trade_no, carrier=carrier, tracking_no=tracking)
    except Refused:
        return "said_refused"
    except (NotSent, OutcomeUnknown, RemoteProtocolError, LocalProtocolError):
        return "said_no_answer"
    await shop.receiver.confirm_by_query(order.order_no)
    return "said_shipped"


async def show_invalid(visit: Visit) -> Response:
    """Invalid requests with their reasons, newest first."""
    rows = await visit.shop.read(lambda transaction: recent_invalid(transaction, 100))
    return await visit.render("invalid.html", rows=rows)


async def show_mailbox(visit: Visit) -> Response:
    """Mails the shop has sent, newest first, where the mailbox can be read."""
    if visit.shop.mails is None:
        raise Problem(404, "problem_unknown")
    mails: list[Mail] = list(reversed(visit.shop.mails()))
    return await visit.render("mailbox.html", mails=mails)
