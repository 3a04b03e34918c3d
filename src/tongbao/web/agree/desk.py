"""The page's handlers: show a batch, take an operator's answer to it."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tongbao.kernel.error import Refused
from tongbao.service.visit import OpenVisit
from tongbao.web.agree.batch import PayoutsBehind, RefundsBehind, Shown, read_link
from tongbao.web.cashier.hint import Hint, chosen_hint
from tongbao.web.page.form import PASSWORD_MOST
from tongbao.web.page.locale import say
from tongbao.web.page.shell import Shell, refusal_status
from tongbao.web.page.visitor import Visitor, digest

NAME_MOST: Final = 64
ANSWER_MOST: Final = 5
REASONS: Final = {"yes": "agreed on the page", "no": "refused on the page"}
"""The answers, and the reason that the log keeps."""

SENTENCES: Final = {
    "LOGIN_WRONG": "agree.wrong",
    "MAKER_IS_CHECKER": "agree.same",
    "STATE_CONFLICT": "agree.meanwhile",
}
"""Refusals that have a sentence of this page's own."""


class AgreeDesk:
    """The handlers."""

    def __init__(self, shell: Shell, hints: Sequence[Hint]) -> None:
        self._shell = shell
        self._platform = shell.platform
        self._hints = hints

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The batch, with a form while it waits."""
        try:
            _, shown = await self._open(request, visitor)
        except Refused as refusal:
            return self._gone(request, visitor, refusal)
        filled = chosen_hint(request, self._hints)
        return self._page(
            request, visitor, shown, filled.login if filled else "", filled.pay_password if filled else ""
        )

    async def decide(self, request: Request, visitor: Visitor) -> Response:
        """An operator's answer. One that is refused leaves the page as it was, and says why."""
        fields = {"answer": ANSWER_MOST, "operator": NAME_MOST, "pay_password": PASSWORD_MOST}
        form = await self._shell.form(request, visitor, fields)
        try:
            behind, shown = await self._open(request, visitor)
        except Refused as refusal:
            return self._gone(request, visitor, refusal)
        name, answer = form["operator"], form["answer"]
        if answer not in REASONS:
            return self._again(request, visitor, shown, name, "FIELD_INVALID")
        self._shell.count_password(request)
        try:
            await behind.decide(name, form["pay_password"], agrees=answer == "yes", reason=REASONS[answer])
        except Refused as refusal:
            if refusal.code == "STATE_CONFLICT":
                _, shown = await self._open(request, visitor)
            return self._again(request, visitor, shown, name, refusal.code)
        return self._shell.go(request.url.path)

    async def _open(self, request: Request, visitor: Visitor) -> tuple[PayoutsBehind | RefundsBehind, Shown]:
        """What lies behind the link, in the browser that opened it first. Raises Refused."""
        kind, word = str(request.path_params["kind"]), str(request.path_params["word"])
        behind = await read_link(self._platform, kind, word)
        shown = await behind.show()
        visit = await self._platform.submit(
            OpenVisit(digest(word), visitor.digest, shown.merchant_id, f"{kind}:{shown.batch_no}")
        )
        if not hmac.compare_digest(visit.browser, visitor.digest):
            raise Refused("CASHIER_LINK_INVALID", "opened in another browser")
        return behind, shown

    def _again(self, request: Request, visitor: Visitor, shown: Shown, name: str, code: str) -> Response:
        sentence = say(visitor.language, SENTENCES.get(code, f"refusal.{code}"))
        # who has agreed already makes room for somebody else
        kept = "" if code == "MAKER_IS_CHECKER" else name
        return self._page(request, visitor, shown, kept, error=sentence, status=refusal_status(code))

    def _page(
        self,
        request: Request,
        visitor: Visitor,
        shown: Shown,
        name: str = "",
        password: str = "",
        *,
        error: str = "",
        status: int = 200,
    ) -> Response:
        return self._shell.page(
            request,
            visitor,
            "agree/agree.html",
            status=status,
            lang_path=request.url.path,
            batch=shown,
            path=request.url.path,
            name=name,
            password=password,
            error=error,
            hints=self._hints if shown.open else (),
        )

    def _gone(self, request: Request, visitor: Visitor, refusal: Refused) -> Response:
        """A link that opens nothing, whatever is wrong with it (T57)."""
        self._platform.world.log("agree.link_refused", code=refusal.code, detail=refusal.detail)
        return self._shell.page(request, visitor, "agree/gone.html", status=404, lang_path=request.url.path)
