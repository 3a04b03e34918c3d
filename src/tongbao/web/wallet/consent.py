"""Consent: a shop's page in the wallet asks who its visitor is, and the buyer lets it know (or not)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tongbao.service.create import check_address
from tongbao.service.wallet import consent
from tongbao.trade.party import Merchant
from tongbao.web.cashier.hint import Hint
from tongbao.web.page.form import PageError
from tongbao.web.page.shell import Shell
from tongbao.web.page.visitor import Visitor
from tongbao.web.wallet.desk import WalletDesk

STATE_MOST: Final = 128


class ConsentDesk:
    """``GET /wallet/consent?merchant=&redirect_uri=&state=`` and its form. The code goes back as ``code`` (and
    ``auth_code``, as one of the brands calls it) with ``state`` unchanged."""

    def __init__(self, shell: Shell, hints: Sequence[Hint]) -> None:
        self._shell = shell
        self._platform = shell.platform
        self._wallet = WalletDesk(shell, hints)

    async def ask(self, request: Request, visitor: Visitor) -> Response:
        """Who asks, and what he will learn."""
        said = {name: request.query_params.get(name, "") for name in ("merchant", "redirect_uri", "state")}
        merchant = await self._merchant(said)
        if visitor.buyer is None:
            following = f"/wallet/consent?{urlencode(said)}"
            return self._wallet.login_page(request, visitor, {"login": "", "password": ""}, next_path=following)
        target = urlsplit(said["redirect_uri"])
        return self._shell.page(
            request,
            visitor,
            "wallet/consent.html",
            form_targets=(f"{target.scheme}://{target.netloc}",),
            name=merchant.name,
            said=said,
            host=target.netloc,
        )

    async def agree(self, request: Request, visitor: Visitor) -> Response:
        """The buyer agrees: back to the shop with a word that can be used once."""
        fields = {"merchant": 64, "redirect_uri": 1_024, "state": STATE_MOST}
        form = await self._shell.form(request, visitor, fields)
        merchant = await self._merchant(form)
        if visitor.buyer is None:
            return self._shell.go("/wallet")
        code = await consent(self._platform, visitor.buyer.buyer_id, merchant.merchant_id)
        target = urlsplit(form["redirect_uri"])
        query = [*parse_qsl(target.query, keep_blank_values=True), ("code", code), ("auth_code", code)]
        if form["state"]:
            query.append(("state", form["state"]))
        address = urlunsplit((target.scheme, target.netloc, target.path, urlencode(query), ""))
        return RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    async def _merchant(self, said: dict[str, str]) -> Merchant:
        """The merchant who asks, if he may take his visitors back there. Raises PageError, Refused."""
        if len(said["state"]) > STATE_MOST or not said["redirect_uri"]:
            raise PageError("MALFORMED", 400)
        merchant = await self._platform.merchant(said["merchant"])
        check_address("redirect_uri", said["redirect_uri"], merchant)
        return merchant
