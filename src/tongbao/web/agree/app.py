"""The application under ``/agree``: one page a batch, shown by a link and answered once."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.kernel.time import Instant
from tongbao.service.payout_act import close_batch, find_payout_batch, open_payouts_url
from tongbao.service.payout_batch import StartBatch
from tongbao.service.platform import Platform
from tongbao.service.refund_act import lines_of, open_batch_url
from tongbao.service.refund_batch import ConfirmRefundBatch
from tongbao.service.visit import OpenVisit
from tongbao.trade.payout import BatchState
from tongbao.web.page.shell import Shell
from tongbao.web.page.visitor import Visitor, digest
from tongbao.wire.asgi import Application

SEGMENT: Final = "agree"
ANSWER_MOST: Final = 5
YES: Final = "yes"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page says of a batch. Sums are minor units; ``open`` while it waits for the merchant."""

    kind: str
    batch_no: str
    merchant_id: str
    merchant: str
    count: int
    total: int
    fee: int
    currency: str
    open: bool
    state: str
    taken_at: Instant


def agree_app(platform: Platform) -> Application:
    """The page. Raises ConfigurationError in production, where no merchant's person can sign in yet."""
    if platform.settings.environment == "production":
        raise ConfigurationError("agree", "merchants' people cannot sign in yet, so nobody could agree here")
    shell = Shell(platform)
    desk = AgreeDesk(shell)
    routes = [
        Route("/agree/{kind:str}/{word:str}", shell.handle(desk.show), methods=["GET"]),
        Route("/agree/{kind:str}/{word:str}", shell.handle(desk.decide), methods=["POST"]),
        Route("/{rest:path}", shell.handle(shell.lost), methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes)


class AgreeDesk:
    """The handlers."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._platform = shell.platform

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The batch, with a yes and a no while it waits."""
        return self._page(request, visitor, await self._open(request, visitor))

    async def decide(self, request: Request, visitor: Visitor) -> Response:
        """The merchant's answer, once."""
        form = await self._shell.form(request, visitor, {"answer": ANSWER_MOST})
        shown = await self._open(request, visitor)
        agrees = form["answer"] == YES
        actor = f"{shown.merchant_id}/page"
        if shown.kind == "refunds":
            await self._platform.submit(ConfirmRefundBatch(shown.merchant_id, shown.batch_no, actor, agrees))
        elif agrees:
            await self._platform.submit(StartBatch(shown.merchant_id, shown.batch_no, actor, "agreed on the page"))
        else:
            await close_batch(self._platform, shown.merchant_id, shown.batch_no, actor, "refused on the page")
        return self._shell.go(request.url.path)

    async def _open(self, request: Request, visitor: Visitor) -> Shown:
        """What lies behind the link, in the browser that opened it first. Raises Refused."""
        kind, word = str(request.path_params["kind"]), str(request.path_params["word"])
        shown = await self._read(kind, word)
        visit = await self._platform.submit(
            OpenVisit(digest(word), visitor.digest, shown.merchant_id, f"{kind}:{shown.batch_no}")
        )
        if not hmac.compare_digest(visit.browser, visitor.digest):
            raise Refused("CASHIER_LINK_INVALID", "opened in another browser")
        return shown

    async def _read(self, kind: str, word: str) -> Shown:
        if kind == "refunds":
            batch = await open_batch_url(self._platform, word)
            lines = await lines_of(self._platform, batch)
            merchant = await self._platform.merchant(batch.merchant_id)
            return Shown(
                kind,
                batch.batch_no,
                batch.merchant_id,
                merchant.name,
                len(lines),
                sum(line.amount for line in lines),
                0,
                lines[0].currency if lines else "CNY",
                batch.state == "asked",
                batch.state,
                batch.created_at,
            )
        if kind != "payouts":
            raise Refused("CASHIER_LINK_INVALID", "no such kind of batch")
        merchant_id, batch_no = open_payouts_url(self._platform, word)
        payouts = await find_payout_batch(self._platform, merchant_id, batch_no)
        merchant = await self._platform.merchant(merchant_id)
        waits = payouts.state in (BatchState.LOADING, BatchState.PROPOSED)
        return Shown(
            kind,
            batch_no,
            merchant_id,
            merchant.name,
            payouts.count,
            payouts.total,
            payouts.fee,
            "CNY",
            payouts.state == BatchState.PROPOSED,
            "asked" if waits else str(payouts.state),
            payouts.created_at,
        )

    def _page(self, request: Request, visitor: Visitor, shown: Shown) -> Response:
        return self._shell.page(request, visitor, "agree/agree.html", batch=shown, path=request.url.path)
