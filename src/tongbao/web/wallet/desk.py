"""The wallet's own pages: home, payment code, what was scanned, and paying it with the pay password."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.kernel.time import SECOND
from tongbao.ledger.account import buyer_balance
from tongbao.service import checkout
from tongbao.service.act import cashier_url
from tongbao.service.code import CODE_CAP, CODE_TIME
from tongbao.service.handed import open_order
from tongbao.service.scan import ShopRefused, ShopSilent, claim_product, open_product
from tongbao.service.wallet import issue_code, trades_asked
from tongbao.trade.party import PASSWORD_TRIES
from tongbao.trade.record import Trade
from tongbao.web.cashier.hint import Hint, chosen_hint, hint_for
from tongbao.web.cashier.order import is_reviewed, minutes_until, review_token, show_order, show_whole
from tongbao.web.page.form import PASSWORD_MOST, PageError
from tongbao.web.page.locale import say
from tongbao.web.page.shell import Shell, refusal_status
from tongbao.web.page.visitor import Visitor
from tongbao.web.wallet.drawing import draw_bars, draw_squares
from tongbao.wire.loader import load_protocol, protocol_names

SCANNED_MOST: Final = 4_096
"""The longest text that is taken for a scanned code or a handed-over request."""

SHOWN_SECONDS: Final = CODE_TIME // SECOND
"""How long a payment code is on the page, which counts down to the next one."""


def brands() -> dict[str, tuple[str, str]]:
    """Protocols whose wallets show payment codes: name -> (Chinese title, English title)."""
    return {
        name: (manifest.title_zh, manifest.title)
        for name in protocol_names()
        if (manifest := load_protocol(name)).code_prefix
    }


def own_path(text: str) -> str:
    """``text`` where it is an address of the wallet, else its home: a request's word sends nobody elsewhere."""
    return text if text == "/wallet" or text.startswith("/wallet/") else "/wallet"


def _scan_code(error: Exception) -> str:
    """Under which name the catalogue has what came of a scanned text that opened no trade."""
    if isinstance(error, ShopSilent):
        return "SHOP_SILENT"
    if isinstance(error, ShopRefused):
        return "SHOP_REFUSED"
    return error.code if isinstance(error, Refused) else "SCANNED_NOTHING"


class WalletDesk:
    """The handlers under ``/wallet``."""

    def __init__(self, shell: Shell, hints: Sequence[Hint]) -> None:
        self._shell = shell
        self._platform = shell.platform
        self._hints = hints

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The home page, or the login form."""
        if visitor.buyer is None:
            filled = chosen_hint(request, self._hints)
            values = {"login": filled.login, "password": filled.password} if filled else {"login": "", "password": ""}
            return self.login_page(request, visitor, values, next_path=own_path(request.query_params.get("next", "")))
        return await self._home(request, visitor)

    async def log_in(self, request: Request, visitor: Visitor) -> Response:
        """Sign in, and go on where the buyer was going."""
        form = await self._shell.form(request, visitor, {"login": 128, "password": PASSWORD_MOST, "next": 2_048})
        self._shell.count_password(request)
        following = own_path(form["next"])
        try:
            buyer = await checkout.log_in(self._platform, form["login"], form["password"])
        except Refused as refusal:
            values = {"login": form["login"], "password": ""}
            error = say(visitor.language, f"refusal.{refusal.code}")
            return self.login_page(
                request, visitor, values, next_path=following, error=error, status=refusal_status(refusal.code)
            )
        await self._shell.doorman.sign_in(visitor, buyer)
        return self._shell.go(following)

    async def log_out(self, request: Request, visitor: Visitor) -> Response:
        """The session is over."""
        await self._shell.form(request, visitor, {})
        await self._shell.doorman.sign_out(visitor)
        return self._shell.go("/wallet")

    async def show_code(self, request: Request, visitor: Visitor) -> Response:
        """A fresh payment code of one brand; the page shows the next one when its minute is over (T62)."""
        brand = str(request.path_params["brand"])
        if brand not in brands():
            raise PageError("NOT_FOUND", 404)
        if visitor.buyer is None:
            return self._shell.go("/wallet")
        self._shell.count_password(request)
        code = await issue_code(self._platform, visitor.buyer.buyer_id, load_protocol(brand).code_prefix)
        return self._shell.page(
            request,
            visitor,
            "wallet/code.html",
            lang_path=f"/wallet/code/{brand}",
            refresh=(SHOWN_SECONDS, f"/wallet/code/{brand}"),
            brand=brands()[brand][0 if visitor.language == "zh" else 1],
            code=code,
            digits=" ".join(code[n : n + 4] for n in range(0, len(code), 4)),
            bars=draw_bars(code),
            squares=draw_squares(code),
            shown=SHOWN_SECONDS,
            cap=CODE_CAP,
        )

    async def open(self, request: Request, visitor: Visitor) -> Response:
        """What the wallet scanned, or what an app handed over."""
        form = await self._shell.form(request, visitor, {"scanned": SCANNED_MOST})
        if visitor.buyer is None:
            return self._shell.go("/wallet")
        try:
            trade = await self._find(request, form["scanned"], visitor.buyer.buyer_id)
        except (Refused, RemoteProtocolError, ShopSilent) as error:
            text = say(visitor.language, f"refusal.{_scan_code(error)}")
            return await self._home(request, visitor, error=text, status=422)
        return self._shell.go(f"/wallet/trades/{self._platform.seal.trade_code(trade.trade_no)}")

    async def _find(self, request: Request, text: str, buyer_id: str) -> Trade:
        product = claim_product(text)
        if product is not None:
            # a shop is asked each time: a wallet may not be made to ask without end
            self._shell.count_password(request)
            return await open_product(self._platform, *product, buyer_id)
        return await open_order(self._platform, text)

    async def scan(self, request: Request, visitor: Visitor) -> Response:
        """A phone's camera opened the address in a QR code."""
        trade = await self._opened(request)
        return self._shell.go(f"/wallet/trades/{self._platform.seal.trade_code(trade.trade_no)}")

    async def trade(self, request: Request, visitor: Visitor) -> Response:
        """The trade behind a code, to be paid from the balance."""
        trade = await self._opened(request)
        if visitor.buyer is None:
            values = {"login": "", "password": ""}
            return self.login_page(request, visitor, values, next_path=request.url.path)
        return await self._trade_page(request, visitor, trade)

    async def pay(self, request: Request, visitor: Visitor) -> Response:
        """Pay, with the pay password over exactly what is shown (T61)."""
        form = await self._shell.form(request, visitor, {"pay_password": PASSWORD_MOST, "review": 64})
        self._shell.count_password(request)
        trade = await self._opened(request)
        if visitor.buyer is None:
            return self._shell.go(request.url.path)
        order, _ = await show_whole(self._platform, trade)
        if not is_reviewed(self._platform, form["review"], order, "pay", "", visitor.browser):
            raise Refused("REVIEW_AGAIN")
        try:
            await checkout.pay_from_balance(self._platform, trade, visitor.buyer, form["pay_password"])
        except Refused as refusal:
            visitor.buyer = await self._platform.buyer(visitor.buyer.buyer_id)
            error = self._wrong(visitor, refusal.code)
            return await self._trade_page(request, visitor, trade, error=error, status=refusal_status(refusal.code))
        return self._shell.go(request.url.path)

    def _wrong(self, visitor: Visitor, code: str) -> str:
        if visitor.buyer is not None and code == "PASSWORD_WRONG":
            return say(visitor.language, "pay.wrong", left=PASSWORD_TRIES - visitor.buyer.attempts)
        if visitor.buyer is not None and code == "PASSWORD_LOCKED":
            minutes = minutes_until(self._platform, visitor.buyer.locked_until)
            return say(visitor.language, "pay.locked", minutes=minutes)
        return say(visitor.language, f"refusal.{code}")

    async def _opened(self, request: Request) -> Trade:
        trade_no = self._platform.seal.read_trade_code(str(request.path_params["code"]))
        if trade_no is None:
            raise PageError("NOT_FOUND", 404)
        return await self._platform.trade_by_no(trade_no)

    async def _home(self, request: Request, visitor: Visitor, *, error: str = "", status: int = 200) -> Response:
        assert visitor.buyer is not None
        asked = await trades_asked(self._platform, visitor.buyer.buyer_id)
        seal = self._platform.seal
        return self._shell.page(
            request,
            visitor,
            "wallet/home.html",
            status=status,
            lang_path="/wallet",
            error=error,
            balance=await self._platform.balance(buyer_balance(visitor.buyer.buyer_id, "CNY")),
            brands={name: titles[0 if visitor.language == "zh" else 1] for name, titles in brands().items()},
            asked=[(seal.trade_code(trade.trade_no), await show_order(self._platform, trade)) for trade in asked],
        )

    async def _trade_page(
        self, request: Request, visitor: Visitor, trade: Trade, *, error: str = "", status: int = 200
    ) -> Response:
        assert visitor.buyer is not None
        order, parts = await show_whole(self._platform, trade)
        hint = hint_for(visitor.buyer.login, self._hints)
        return self._shell.page(
            request,
            visitor,
            "wallet/trade.html",
            status=status,
            lang_path=request.url.path,
            order=order,
            parts=parts,
            error=error,
            path=request.url.path,
            open=order.state == "unpaid" and order.left != 0,
            dual=trade.product == "dual",
            cashier=cashier_url(self._platform, trade.trade_no),
            balance=await self._platform.balance(buyer_balance(visitor.buyer.buyer_id, trade.currency)),
            review=review_token(self._platform, order, "pay", "", visitor.browser),
            pay_hint=say(visitor.language, "hint.pay", pay_password=hint.pay_password) if hint else "",
        )

    def login_page(
        self,
        request: Request,
        visitor: Visitor,
        values: dict[str, str],
        *,
        next_path: str,
        error: str = "",
        status: int = 200,
    ) -> Response:
        """The wallet's login form; ``next_path`` is where it leads."""
        return self._shell.page(
            request,
            visitor,
            "wallet/login.html",
            status=status,
            lang_path=next_path if request.method == "GET" else "/wallet",
            values=values,
            error=error,
            following=next_path,
            fill_path=f"/wallet?next={quote(next_path)}",
            hints=self._hints,
        )
