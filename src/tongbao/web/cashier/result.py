"""After the decision: the way to the bank, what became of the payment, and the way home to the shop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tongbao.kernel.error import Refused
from tongbao.kernel.time import DAY
from tongbao.service import checkout
from tongbao.store.schema import EVENT
from tongbao.trade.record import RELEASE_AFTER, Instruction, Payment, Trade
from tongbao.web.cashier.link import Opening, brought_home, open_link
from tongbao.web.page.form import PageError
from tongbao.web.page.locale import has_sentence, say
from tongbao.web.page.shell import Shell
from tongbao.web.page.tile import make_tile
from tongbao.web.page.visitor import Visitor
from tongbao.wire.form import parse_form
from tongbao.wire.http import split_url

REFRESH: Final = {"bank": 3, "outlet": 15}
"""Seconds after which a waiting page looks again."""

HOME_SECONDS: Final = 4
"""How long the page that names the shop is shown before the browser goes on."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a trade stands for its buyer. ``kind``: ``paid``, ``bank``, ``outlet``, ``failed``, ``late``, ``expired``,
    ``closed`` or ``unpaid``; ``payment`` is the attempt that says so."""

    kind: str
    payment: Payment | None
    extra: bool = False


def judge(trade: Trade, payments: list[Payment], *, over: bool) -> Standing:
    """Read a trade and its attempts. ``over``: the time to pay has run out. Shows, never decides."""
    last = payments[-1] if payments else None
    strays = any(payment.state in ("late", "returned") for payment in payments)
    if trade.paid_attempt:
        counting = next((payment for payment in payments if payment.attempt == trade.paid_attempt), None)
        return Standing("paid", counting, strays)
    if strays:
        return Standing("late", next(payment for payment in payments if payment.state in ("late", "returned")))
    if last is not None and last.state == "pending" and trade.state == "unpaid":
        return Standing("outlet" if last.method == "outlet" else "bank", last)
    if trade.state == "closed" or over:
        return Standing("expired" if over else "closed", last)
    if last is not None and last.state == "failed":
        return Standing("failed", last)
    return Standing("unpaid", last)


class ResultDesk:
    """The handlers under ``/cashier/WORD`` from the bank to the shop."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._platform = shell.platform

    async def leave(self, request: Request, visitor: Visitor) -> Response:
        """The page that names the bank to which the browser goes next."""
        opening = await open_link(self._platform, request, visitor)
        instruction = await self._instruction(opening.trade, int(request.path_params["attempt"]))
        if instruction.state not in ("created", "unknown") or opening.trade.state != "unpaid":
            return self._shell.go(f"{opening.path}/result")
        back = f"{self._platform.settings.base_url}{opening.path}/result"
        channel = self._platform.channel(instruction.bank)
        notice = checkout.notice_url(self._platform, instruction.bank)
        url = channel.page(instruction, opening.order.subject, back, notice)
        return self._shell.page(
            request,
            visitor,
            "cashier/leave.html",
            refresh=(1, url),
            path=opening.path,
            order=opening.order,
            bank=make_tile(instruction.bank, visitor.language),
            url=url,
        )

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """What became of it. A waiting page looks again by itself; a paid one goes home by itself."""
        opening = await open_link(self._platform, request, visitor)
        trade = opening.trade
        payments = await self._platform.payments_of(trade)
        standing = judge(trade, payments, over=opening.order.left == 0 or await self._expired(trade))
        if standing.kind == "unpaid":
            return self._shell.go(opening.path)
        paid = standing.kind == "paid"
        target = await checkout.home_address(self._platform, trade, brought_home(request)) if paid else ""
        refresh = None
        if standing.kind in REFRESH:
            refresh = (REFRESH[standing.kind], f"{opening.path}/result")
        elif target and not request.query_params.get("stay"):
            refresh = (HOME_SECONDS, f"{opening.path}/home")
        code = reason = ""
        if standing.payment is not None and standing.payment.method != "balance":
            instruction = await self._instruction(trade, standing.payment.attempt)
            code = instruction.code
            reason = say_reason(visitor.language, instruction.reason) if standing.kind == "failed" else ""
        return self._shell.page(
            request,
            visitor,
            "cashier/result.html",
            refresh=refresh,
            path=opening.path,
            order=opening.order,
            kind=standing.kind,
            payment=standing.payment,
            attempt=standing.payment.attempt if standing.payment else 0,
            extra_money=standing.extra,
            escrow=trade.flow == "escrow",
            release_days=RELEASE_AFTER // DAY,
            paid_at=trade.paid_at,
            code=code,
            reason=reason,
            host=host_of(target),
        )

    async def go_home(self, request: Request, visitor: Visitor) -> Response:
        """The signed return, made at this moment: its id lives for a minute only."""
        opening = await open_link(self._platform, request, visitor)
        going = await checkout.go_home(self._platform, opening.trade, brought_home(request))
        if going is None:
            return self._shell.go(f"{opening.path}/result?stay=1")
        if going.method == "GET":
            return RedirectResponse(going.url, 302, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        return self.post_home(request, visitor, opening, going.url, going.header("content-type") or "", going.body)

    def post_home(
        self, request: Request, visitor: Visitor, opening: Opening, url: str, kind: str, body: bytes
    ) -> Response:
        """The page with the form that carries a return by POST, for protocols that return so: ``body`` is a form in the
        charset that ``kind``, its media type, names."""
        charset = kind.partition("charset=")[2].strip() or "utf-8"
        scheme, authority, _, _ = split_url(url)
        return self._shell.page(
            request,
            visitor,
            "cashier/home.html",
            form_targets=(f"{scheme}://{authority}",),
            order=opening.order,
            host=authority,
            action=url,
            charset=charset,
            fields=parse_form(body, charset),
        )

    async def _expired(self, trade: Trade) -> bool:
        """Whether the clock closed the trade, as its last event says."""
        if trade.state != "closed":
            return False
        events = await self._platform.database.load(EVENT, [(trade.merchant_id, trade.out_trade_no, trade.version)])
        return bool(events) and events[0].cause == "expired"

    async def _instruction(self, trade: Trade, attempt: int) -> Instruction:
        payments = await self._platform.payments_of(trade)
        found = next((payment for payment in payments if payment.attempt == attempt), None)
        if found is None or found.method == "balance":
            raise PageError("NOT_FOUND", 404)
        try:
            return await checkout.find_instruction(self._platform, f"{found.payment_no}P")
        except Refused as refusal:
            raise PageError("NOT_FOUND", 404) from refusal


def say_reason(language: str, reason: str) -> str:
    """A bank's reason in the reader's language where we know it, else in the bank's own words."""
    key = f"bank.{reason.upper()}"
    return say(language, key) if has_sentence(key) else reason or say(language, "bank.NO_REASON")


def host_of(url: str) -> str:
    """Host and port of an address that was checked when the trade was made; '' for none."""
    return split_url(url)[1] if url else ""
