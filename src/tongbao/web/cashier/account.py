"""The buyer's own small account: balance, trades, and confirming that goods have arrived."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from tongbao.kernel.error import Refused
from tongbao.ledger.account import buyer_balance
from tongbao.service import checkout
from tongbao.store.schema import TRADE
from tongbao.trade.party import PASSWORD_TRIES
from tongbao.trade.record import Trade
from tongbao.web.cashier.claim import claim_standing, own_trade
from tongbao.web.cashier.hint import Hint, chosen_hint, hint_for
from tongbao.web.cashier.order import is_reviewed, minutes_until, review_token, show_order
from tongbao.web.page.form import PASSWORD_MOST
from tongbao.web.page.locale import say
from tongbao.web.page.shell import Shell, refusal_status
from tongbao.web.page.visitor import Visitor

TRADES_MAX = 50
"""Trades shown on the account's page, newest first."""


class AccountDesk:
    """The handlers under ``/account``."""

    def __init__(self, shell: Shell, hints: Sequence[Hint]) -> None:
        self._shell = shell
        self._platform = shell.platform
        self._hints = hints

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """Balance and trades, or the login form."""
        if visitor.buyer is None:
            filled = chosen_hint(request, self._hints)
            values = {"login": filled.login, "password": filled.password} if filled else {"login": "", "password": ""}
            return self._login_page(request, visitor, values)
        keys = await self._platform.database.read(
            "trade.of_buyer", {"buyer_id": visitor.buyer.buyer_id, "most": TRADES_MAX}
        )
        found: list[Trade] = await self._platform.database.load(TRADE, [(row[0], row[1]) for row in keys])
        found.sort(key=lambda trade: (trade.created_at, trade.trade_no), reverse=True)
        orders = [await show_order(self._platform, trade) for trade in found]
        return self._shell.page(
            request,
            visitor,
            "cashier/account.html",
            balance=await self._platform.balance(buyer_balance(visitor.buyer.buyer_id, "CNY")),
            waiting=[order for order in orders if order.state == "shipped"],
            trades=orders,
        )

    async def log_in(self, request: Request, visitor: Visitor) -> Response:
        """Sign in outside the cashier."""
        form = await self._shell.form(request, visitor, {"login": 128, "password": PASSWORD_MOST})
        self._shell.count_password(request)
        try:
            buyer = await checkout.log_in(self._platform, form["login"], form["password"])
        except Refused as refusal:
            values = {"login": form["login"], "password": ""}
            error = say(visitor.language, f"refusal.{refusal.code}")
            return self._login_page(request, visitor, values, error=error, status=refusal_status(refusal.code))
        await self._shell.doorman.sign_in(visitor, buyer)
        return self._shell.go("/account")

    async def log_out(self, request: Request, visitor: Visitor) -> Response:
        """The session is over."""
        await self._shell.form(request, visitor, {})
        await self._shell.doorman.sign_out(visitor)
        return self._shell.go("/account")

    async def trade(self, request: Request, visitor: Visitor) -> Response:
        """One trade of this buyer; anybody else's is as unknown as none (T57)."""
        if visitor.buyer is None:
            return self._shell.go("/account")
        return await self._trade_page(request, visitor, await own_trade(self._platform, request, visitor))

    async def confirm(self, request: Request, visitor: Visitor) -> Response:
        """The goods are here: let the money go, with the pay password over exactly what is shown."""
        form = await self._shell.form(request, visitor, {"pay_password": PASSWORD_MOST, "review": 64})
        self._shell.count_password(request)
        if visitor.buyer is None:
            return self._shell.go("/account")
        trade = await own_trade(self._platform, request, visitor)
        order = await show_order(self._platform, trade)
        if not is_reviewed(self._platform, form["review"], order, "confirm", "", visitor.browser):
            raise Refused("REVIEW_AGAIN")
        try:
            await checkout.confirm_receipt(self._platform, trade, visitor.buyer, form["pay_password"])
        except Refused as refusal:
            visitor.buyer = await self._platform.buyer(visitor.buyer.buyer_id)
            error = self._wrong_password(visitor, refusal.code)
            status = refusal_status(refusal.code)
            return await self._trade_page(request, visitor, trade, error=error, status=status)
        return self._shell.go(f"/account/trades/{trade.trade_no}")

    def _wrong_password(self, visitor: Visitor, code: str) -> str:
        if visitor.buyer is not None and code == "PASSWORD_WRONG":
            return say(visitor.language, "pay.wrong", left=PASSWORD_TRIES - visitor.buyer.attempts)
        if visitor.buyer is not None and code == "PASSWORD_LOCKED":
            minutes = minutes_until(self._platform, visitor.buyer.locked_until)
            return say(visitor.language, "pay.locked", minutes=minutes)
        return say(visitor.language, f"refusal.{code}")

    async def _trade_page(
        self, request: Request, visitor: Visitor, trade: Trade, *, error: str = "", status: int = 200
    ) -> Response:
        order = await show_order(self._platform, trade)
        hint = hint_for(visitor.buyer.login, self._hints) if visitor.buyer else None
        return self._shell.page(
            request,
            visitor,
            "cashier/account_trade.html",
            status=status,
            lang_path=f"/account/trades/{trade.trade_no}",
            order=order,
            refunded=trade.refunded,
            release_at=trade.due_at if trade.state == "shipped" else None,
            standing=await claim_standing(self._platform, trade),
            error=error,
            review=review_token(self._platform, order, "confirm", "", visitor.browser),
            pay_hint=say(visitor.language, "hint.pay", pay_password=hint.pay_password) if hint else "",
        )

    def _login_page(
        self, request: Request, visitor: Visitor, values: dict[str, str], *, error: str = "", status: int = 200
    ) -> Response:
        return self._shell.page(
            request,
            visitor,
            "cashier/account_login.html",
            status=status,
            lang_path="/account",
            values=values,
            error=error,
            hints=self._hints,
        )
