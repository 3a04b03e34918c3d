"""The console's handlers."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from tongbao.kernel.error import Refused
from tongbao.service import outbox
from tongbao.store.record import Case, Refusal
from tongbao.store.schema import CASE, EVENT, TRADE
from tongbao.store.table import Key
from tongbao.trade.record import Event, Trade
from tongbao.web.cashier.order import show_order
from tongbao.web.console.message import show_request
from tongbao.web.console.port import Mails, Records, Tamper
from tongbao.web.console.story import Told, tell
from tongbao.web.page.form import PageError
from tongbao.web.page.shell import Shell
from tongbao.web.page.visitor import Visitor
from tongbao.wire.world import NoAnswer, NotSent

MOST: Final = 100
"""Rows of a list, newest first."""

TAMPER_FIELDS: Final = ("total_fee", "out_trade_no", "trade_status", "seller_id", "notify_id")
"""What a demonstration changes first, where the message has it."""


class Desk:
    """Reads and shows; sends a notification again."""

    def __init__(self, shell: Shell, records: Records, mails: Mails, tamper: Tamper | None) -> None:
        self._shell = shell
        self._platform = shell.platform
        self._records = records
        self._mails = mails
        self._tamper = tamper

    def _page(self, request: Request, visitor: Visitor, name: str, status: int = 200, **values: Any) -> Response:
        return self._shell.page(
            request, visitor, f"console/{name}.html", status=status, here=name, can_tamper=bool(self._tamper), **values
        )

    async def front(self, request: Request, visitor: Visitor) -> Response:
        """The front door of a sandbox leads to the console."""
        return self._shell.go("/console")

    async def trades(self, request: Request, visitor: Visitor) -> Response:
        """The newest trades, or those with one number."""
        wanted = request.query_params.get("q", "").strip()[:64]
        read = self._platform.database.read
        if wanted:
            rows = await read("trade.by_out_trade_no", {"out_trade_no": wanted})
            rows = rows or await read("trade.by_no", {"trade_no": wanted})
        else:
            rows = await read("trade.recent", {"most": MOST})
        found: list[Trade] = await self._load(TRADE, [(row[0], row[1]) for row in rows])
        orders = [(trade, await show_order(self._platform, trade)) for trade in found]
        return self._page(request, visitor, "trades", orders=orders, wanted=wanted)

    async def trade(self, request: Request, visitor: Visitor) -> Response:
        """The seven steps of one order."""
        return await self._story_page(request, visitor, await self._trade(request))

    async def resend(self, request: Request, visitor: Visitor) -> Response:
        """One event's notification once more, with its old id."""
        form = await self._shell.form(request, visitor, {"seq": 6})
        trade = await self._trade(request)
        await outbox.resend(self._platform, trade.merchant_id, trade.out_trade_no, _number(form["seq"]))
        return self._shell.go(f"/console/trades/{trade.trade_no}#step-7")

    async def tamper(self, request: Request, visitor: Visitor) -> Response:
        """One field of a genuine notification changed under its old signature, sent, and what the shop said."""
        form = await self._shell.form(request, visitor, {"seq": 6, "field": 64, "value": 256})
        trade = await self._trade(request)
        if self._tamper is None:
            raise PageError("NOT_FOUND", 404)
        outcome: dict[str, Any] = {"field": form["field"], "value": form["value"], "problem": "", "sent": None}
        try:
            sent = await self._tamper(
                trade.merchant_id, trade.out_trade_no, _number(form["seq"]), form["field"], form["value"]
            )
        except Refused as refusal:
            outcome["problem"] = refusal.detail or refusal.code
        except (NotSent, NoAnswer) as error:
            outcome["problem"] = str(error)
        else:
            shown = show_request(self._platform.protocol(trade.protocol), sent.request)
            outcome["sent"] = {"message": shown, "before": sent.before, "status": sent.status, "answer": sent.answer}
        return await self._story_page(request, visitor, trade, outcome)

    async def notifications(self, request: Request, visitor: Visitor) -> Response:
        """What merchants are being told, newest first."""
        rows = await self._platform.database.read("event.recent", {"most": MOST})
        events: list[Event] = await self._load(EVENT, [tuple(row) for row in rows])
        found: list[Trade] = await self._load(TRADE, list(dict.fromkeys((row[0], row[1]) for row in rows)))
        trades = {(trade.merchant_id, trade.out_trade_no): trade for trade in found}
        return self._page(
            request,
            visitor,
            "notifications",
            events=[(event, trades[event.merchant_id, event.out_trade_no]) for event in events],
        )

    async def refusals(self, request: Request, visitor: Visitor) -> Response:
        """Invalid requests: who, what, why; never their bodies."""
        rows = await self._platform.database.read("refusal.recent", {"most": MOST})
        return self._page(request, visitor, "refusals", refusals=[Refusal(*row) for row in rows])

    async def cases(self, request: Request, visitor: Visitor) -> Response:
        """What a person must look at."""
        rows = await self._platform.database.read("case.open", {"most": MOST})
        found: list[Case] = await self._load(CASE, [(row[0],) for row in rows])
        return self._page(request, visitor, "cases", cases=found)

    async def mails(self, request: Request, visitor: Visitor) -> Response:
        """The mailbox of the demonstration, newest first."""
        return self._page(request, visitor, "mails", mails=list(self._mails())[:MOST])

    async def _load(self, table: Any, keys: list[Key]) -> list[Any]:
        """Rows in the order of ``keys``."""
        found = await self._platform.database.load(table, sorted(keys)) if keys else []
        by_key = {table.key_of(row): row for row in found}
        return [by_key[key] for key in keys if key in by_key]

    async def _trade(self, request: Request) -> Trade:
        try:
            return await self._platform.trade_by_no(str(request.path_params["trade_no"]))
        except Refused as refusal:
            raise PageError("NOT_FOUND", 404) from refusal

    async def _story_page(
        self, request: Request, visitor: Visitor, trade: Trade, outcome: dict[str, Any] | None = None
    ) -> Response:
        story = await tell(self._platform, self._records, trade)
        return self._page(
            request,
            visitor,
            "trade",
            lang_path=f"/console/trades/{trade.trade_no}",
            story=story,
            order=story.order,
            trade=trade,
            outcome=outcome,
            tamper_fields={told.event.seq: tamper_fields(told) for told in story.events},
        )


def tamper_fields(told: Told) -> list[str]:
    """The fields of a notification in the order in which somebody would try them."""
    names = [name for name, _ in told.message.fields] if told.message else []
    return sorted(names, key=lambda name: TAMPER_FIELDS.index(name) if name in TAMPER_FIELDS else len(TAMPER_FIELDS))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise PageError("FIELD_INVALID", 400, "seq")
    return int(text)
