"""The buyer's pages after the payment: orders, one order, and the result page that waits for evidence."""

from __future__ import annotations

from starlette.responses import Response

from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.merchant.database import Transaction
from tongbao.merchant.order import Order, OrderState
from tongbao.merchant.verdict import ReturnSeen
from tongbao.shop.checkout import find_owned
from tongbao.shop.shop import Shop
from tongbao.shop.table import close_unopened, read_knowledge, read_numbers
from tongbao.shop.visit import Problem, Visit, is_sealed, redirect, seal
from tongbao.wire.bank import BANKS
from tongbao.wire.world import NotSent

REFRESH_SECONDS = 3


async def show_orders(visit: Visit) -> Response:
    """This visitor's orders, newest first."""

    def work(transaction: Transaction) -> list[Order]:
        numbers = read_numbers(transaction, visit.visitor)
        found = [visit.shop.book.find(transaction, number) for number in numbers]
        return [order for order in found if order is not None]

    return await visit.render("orders.html", orders=await visit.shop.read(work))


async def show_order(visit: Visit) -> Response:
    """One order and what the shop knows about it."""
    owned = await find_owned(visit)
    number = owned.order.order_no
    known = await visit.shop.read(lambda transaction: read_knowledge(transaction, number))
    return await visit.render(
        "order.html",
        order=owned.order,
        choice=owned.choice,
        lines=owned.lines,
        banks=BANKS,
        known=known,
        keeper=False,
        back=f"/orders/{number}",
        said=visit.request.query_params.get("said", ""),
        links=order_links(visit.shop, owned.order),
    )


def order_links(shop: Shop, order: Order) -> dict[str, str]:
    """Addresses at the platform for one order's page; '' where there is nothing to see yet."""
    number = order.trade_no
    escrowed = order.state is OrderState.SHIPPED
    return {
        "story": shop.story_url.replace("{trade_no}", number) if number else "",
        "receipt": shop.receipt_url.replace("{trade_no}", number) if number and escrowed else "",
    }


async def query_order(visit: Visit) -> Response:
    """Ask the platform now; its signed answer is evidence of its own."""
    owned = await find_owned(visit)
    said = await ask(visit.shop, owned.order.order_no)
    return redirect(f"/orders/{owned.order.order_no}?said={said}")


async def close_order(visit: Visit) -> Response:
    """The buyer gives an unpaid order up."""
    owned = await find_owned(visit)
    said = await close(visit.shop, owned.order)
    return redirect(f"/orders/{owned.order.order_no}?said={said}")


async def ask(shop: Shop, number: str) -> str:
    """Query one order's trade; answers a word for the page."""
    verdict = await shop.receiver.confirm_by_query(number)
    if verdict.accepted:
        return "said_not_paid" if verdict.reason == "NOT_PAID_YET" else "said_asked"
    return "said_no_trade" if verdict.reason == "TRADE_NOT_FOUND" else "said_no_answer"


async def close(shop: Shop, order: Order) -> str:
    """Close the trade at the platform; the order follows by evidence, or at once where no trade was ever opened."""
    if order.state is not OrderState.PENDING:
        return "said_too_late"
    way = shop.ways[order.endpoint]
    try:
        await way.client.close_trade(order.order_no)
    except Refused as refusal:
        if refusal.code != "TRADE_NOT_FOUND":
            return "said_refused"
        now = shop.world.clock.business()
        await shop.run(lambda transaction: close_unopened(transaction, order.order_no, now))
        return "said_closed"
    except (NotSent, OutcomeUnknown, RemoteProtocolError, LocalProtocolError):
        return "said_no_answer"
    await shop.receiver.confirm_by_query(order.order_no)
    return "said_closed"


async def show_return(visit: Visit, seen: ReturnSeen) -> Response:
    """Where the browser comes home: on to the result page, whose address carries nothing of the platform's message."""
    if not seen.order_no:
        raise Problem(400, "problem_return")
    return redirect(f"/result/{seen.order_no}/{seal(visit.shop, 'result', seen.order_no)}")


async def show_result(visit: Visit) -> Response:
    """ "Confirming" until there is evidence. It reads the order, and nothing else: it never marks anything (I26)."""
    number = visit.path["number"]
    if not is_sealed(visit.shop, "result", number, visit.path["seal"]):
        raise Problem(404, "problem_unknown")
    order = await visit.shop.read(lambda transaction: visit.shop.book.find(transaction, number))
    if order is None:
        raise Problem(404, "problem_unknown")
    refresh = REFRESH_SECONDS if order.state is OrderState.PENDING else 0
    return await visit.render("result.html", order=order, refresh=refresh)
