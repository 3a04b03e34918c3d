"""The cashier's main page and its forms: sign in, pay from the balance, go to a bank, ask for an outlet's code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.ledger.account import buyer_balance
from tongbao.service import checkout
from tongbao.service.view import combined_of
from tongbao.trade.party import PASSWORD_TRIES
from tongbao.web.cashier.hint import Hint, chosen_hint, hint_for
from tongbao.web.cashier.link import Opening, keep_home, open_link
from tongbao.web.cashier.order import (
    FLOWS,
    first_pane,
    is_reviewed,
    minutes_until,
    offered_kinds,
    offered_panes,
    review_token,
)
from tongbao.web.page.form import PASSWORD_MOST
from tongbao.web.page.locale import say
from tongbao.web.page.shell import Shell, refusal_status
from tongbao.web.page.tile import make_tiles
from tongbao.web.page.visitor import Visitor
from tongbao.wire.bank import BANKS

_MAIL: Final = re.compile(r"[^\s@\"<>,;]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+", re.ASCII)
_MOBILE: Final = re.compile(r"1[3-9]\d{9}", re.ASCII)
_EMPTY: Final = {"login": "", "password": "", "contact": "", "kind": "", "bank": ""}


def is_contact(text: str) -> bool:
    """Whether a text looks like an e-mail address or a Chinese mobile number."""
    return len(text) <= 100 and (_MAIL.fullmatch(text) is not None or _MOBILE.fullmatch(text) is not None)


class PayDesk:
    """The handlers under ``/cashier/WORD`` that take the buyer from the open trade to a payment."""

    def __init__(self, shell: Shell, hints: Sequence[Hint]) -> None:
        self._shell = shell
        self._platform = shell.platform
        self._hints = hints

    async def choose(self, request: Request, visitor: Visitor) -> Response:
        """The order, and how to pay it. A trade that cannot be paid any more goes to its result."""
        opening = await open_link(self._platform, request, visitor)
        if opening.trade.state != "unpaid" or opening.order.left == 0:
            return self._shell.go(f"{opening.path}/result")
        if combined_of(opening.trade):
            # a part is never paid alone, and the wallet shows the whole
            return self._shell.go(f"/wallet/trades/{self._platform.seal.trade_code(opening.trade.trade_no)}")
        pane = request.query_params.get("pay", "")
        values = dict(_EMPTY)
        filled = chosen_hint(request, self._hints)
        if filled is not None:
            values |= {"login": filled.login, "password": filled.password}
        shown = await self._show(request, visitor, opening, pane, request.query_params.get("flow", ""), values)
        return keep_home(request, shown, opening.path)

    async def log_in(self, request: Request, visitor: Visitor) -> Response:
        """Step one of paying from the balance."""
        form = await self._shell.form(request, visitor, {"login": 128, "password": PASSWORD_MOST, "flow": 16})
        self._shell.count_password(request)
        opening = await open_link(self._platform, request, visitor)
        try:
            buyer = await checkout.log_in(self._platform, form["login"], form["password"])
        except Refused as refusal:
            return await self._again(request, visitor, opening, "balance", form, refusal.code)
        await self._shell.doorman.sign_in(visitor, buyer)
        return self._shell.go(self._address(opening, "balance", form["flow"]))

    async def log_out(self, request: Request, visitor: Visitor) -> Response:
        """Somebody else wants to pay."""
        await self._shell.form(request, visitor, {})
        opening = await open_link(self._platform, request, visitor)
        await self._shell.doorman.sign_out(visitor)
        return self._shell.go(f"{opening.path}?pay=balance")

    async def pay(self, request: Request, visitor: Visitor) -> Response:
        """Step two: the pay password over exactly what was shown."""
        form = await self._shell.form(request, visitor, {"pay_password": PASSWORD_MOST, "flow": 16, "review": 64})
        self._shell.count_password(request)
        opening = await open_link(self._platform, request, visitor)
        if visitor.buyer is None:
            return await self._again(request, visitor, opening, "balance", form, "SESSION_OVER")
        if not self._agrees(opening, visitor, form):
            return await self._again(request, visitor, opening, "balance", form, "REVIEW_AGAIN")
        try:
            await checkout.pay_from_balance(
                self._platform, opening.trade, visitor.buyer, form["pay_password"], form["flow"]
            )
        except Refused as refusal:
            if refusal.code == "TRADE_NOT_PAYABLE":
                return self._shell.go(f"{opening.path}/result")
            visitor.buyer = await self._platform.buyer(visitor.buyer.buyer_id)
            return await self._again(request, visitor, opening, "balance", form, refusal.code)
        return self._shell.go(f"{opening.path}/result")

    async def go_to_bank(self, request: Request, visitor: Visitor) -> Response:
        """A bank card without an account: on to the bank's page."""
        fields = {"contact": 100, "kind": 8, "bank": 16, "flow": 16, "review": 64, "intent": 40}
        form = await self._shell.form(request, visitor, fields)
        opening = await open_link(self._platform, request, visitor)
        wrong = self._wrong(opening, visitor, form)
        if not wrong and form["kind"] not in offered_kinds(opening.terms):
            wrong = "METHOD_NOT_ALLOWED"
        if not wrong and form["bank"] not in BANKS:
            wrong = "BANK_MISSING" if not form["bank"] else "BANK_UNKNOWN"
        if wrong:
            return await self._again(request, visitor, opening, "card", form, wrong)
        return await self._start(request, visitor, opening, "card", form, form["kind"], form["bank"])

    async def ask_code(self, request: Request, visitor: Visitor) -> Response:
        """A code to name at a counter that takes cash."""
        fields = {"contact": 100, "flow": 16, "review": 64, "intent": 40}
        form = await self._shell.form(request, visitor, fields)
        opening = await open_link(self._platform, request, visitor)
        wrong = self._wrong(opening, visitor, form)
        if wrong:
            return await self._again(request, visitor, opening, "outlet", form, wrong)
        return await self._start(request, visitor, opening, "outlet", form, "outlet", "")

    def _wrong(self, opening: Opening, visitor: Visitor, form: Mapping[str, str]) -> str:
        if not self._agrees(opening, visitor, form):
            return "REVIEW_AGAIN"
        return "" if is_contact(form["contact"]) else "CONTACT_INVALID"

    def _agrees(self, opening: Opening, visitor: Visitor, form: Mapping[str, str]) -> bool:
        return is_reviewed(self._platform, form["review"], opening.order, "pay", form["flow"], visitor.browser)

    async def _start(
        self,
        request: Request,
        visitor: Visitor,
        opening: Opening,
        pane: str,
        form: Mapping[str, str],
        method: str,
        bank: str,
    ) -> Response:
        platform, back = self._platform, f"{self._platform.settings.base_url}{opening.path}/result"
        try:
            payer = await checkout.guest(platform, form["contact"], visitor.language)
            handover = await checkout.start_payment(
                platform, opening.trade, method, bank, payer, form["intent"], back, form["flow"]
            )
        except Refused as refusal:
            if refusal.code == "TRADE_NOT_PAYABLE":
                return self._shell.go(f"{opening.path}/result")
            return await self._again(request, visitor, opening, pane, form, refusal.code)
        except OutcomeUnknown:
            return await self._again(request, visitor, opening, pane, form, "OUTCOME_UNKNOWN")
        if method == "outlet":
            return self._shell.go(f"{opening.path}/result")
        return self._shell.go(f"{opening.path}/bank/{int(handover.payment_no[-2:])}")

    async def _again(
        self,
        request: Request,
        visitor: Visitor,
        opening: Opening,
        pane: str,
        form: Mapping[str, str],
        code: str,
    ) -> Response:
        """The same page with what was typed (but no password) and what is wrong with it."""
        language = visitor.language
        values = _EMPTY | {name: form[name] for name in ("login", "contact", "kind", "bank") if name in form}
        problem: dict[str, Any] = {"error": say(language, f"refusal.{code}")}
        if code == "CONTACT_INVALID":
            problem = {"error": "", "field_errors": {"contact": problem["error"]}}
        if code == "PASSWORD_WRONG" and visitor.buyer is not None:
            left = PASSWORD_TRIES - visitor.buyer.attempts
            problem["error"] = say(language, "pay.wrong", left=left)
        if code == "PASSWORD_LOCKED" and visitor.buyer is not None:
            minutes = minutes_until(self._platform, visitor.buyer.locked_until)
            problem["error"] = say(language, "pay.locked", minutes=minutes)
        return await self._show(
            request,
            visitor,
            opening,
            pane,
            form.get("flow", ""),
            values,
            status=refusal_status(code),
            intent=form.get("intent", ""),
            **problem,
        )

    async def _show(
        self,
        request: Request,
        visitor: Visitor,
        opening: Opening,
        pane: str,
        flow: str,
        values: dict[str, str],
        *,
        status: int = 200,
        error: str = "",
        intent: str = "",
        field_errors: Mapping[str, str] | None = None,
    ) -> Response:
        platform, terms, order = self._platform, opening.terms, opening.order
        panes, kinds = offered_panes(terms), offered_kinds(terms)
        pane = pane if pane in panes else first_pane(terms)
        flow = "" if order.product != "dual" else flow if flow in FLOWS else FLOWS[0]
        named = str(terms.method) if terms.method is not None else ""
        values["kind"] = values["kind"] or (named if named in kinds else kinds[0] if kinds else "")
        values["bank"] = values["bank"] or terms.bank
        # a buyer whom the merchant named is the only one who can pay
        values["login"] = values["login"] or terms.buyer.login
        values["contact"] = values["contact"] or terms.buyer.login
        balance, pay_hint = 0, ""
        if visitor.buyer is not None:
            values["contact"] = values["contact"] or visitor.buyer.login
            balance = await platform.balance(buyer_balance(visitor.buyer.buyer_id, order.currency))
            hint = hint_for(visitor.buyer.login, self._hints)
            pay_hint = say(visitor.language, "hint.pay", pay_password=hint.pay_password) if hint else ""
        return self._shell.page(
            request,
            visitor,
            "cashier/choice.html",
            status=status,
            lang_path=self._address(opening, pane, flow),
            path=opening.path,
            order=order,
            panes=panes,
            pane=pane,
            flows=FLOWS if order.product == "dual" else (),
            flow=flow,
            kinds=kinds,
            banks=make_tiles(visitor.language, values["bank"]),
            wanted_bank=terms.bank,
            values=values,
            balance=balance,
            hints=self._hints,
            pay_hint=pay_hint,
            review=review_token(platform, order, "pay", flow, visitor.browser),
            intent=intent or platform.new_token(),
            error=error,
            field_errors=field_errors or {"contact": ""},
        )

    def _address(self, opening: Opening, pane: str, flow: str) -> str:
        tail = f"&flow={flow}" if flow in FLOWS else ""
        return f"{opening.path}?pay={pane}{tail}"
