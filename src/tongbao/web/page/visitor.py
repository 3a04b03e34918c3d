"""Who is at the other end of the connection: a browser by its cookie, and the buyer who signed in with it (T51, T60).

A browser cookie is 128 random bits. A buyer's cookie is another 128 bits, the time it was last seen, and our proof of
both, so that idleness needs no row written per page; the session's row says whose it is, since when, and whether it
has ended. Cookies are HttpOnly, SameSite=Lax and, over https, Secure under a ``__Host-`` name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant
from tongbao.service.link import base36
from tongbao.service.platform import Platform
from tongbao.service.visit import SESSION_IDLE, SESSION_TIME, EndSession, OpenSession
from tongbao.store.schema import SESSION
from tongbao.trade.party import Buyer
from tongbao.web.page.locale import COOKIE, LANGUAGES, choose_language

_TOKEN: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SESSION: Final = re.compile(r"([0-9a-f]{32})-([0-9a-z]{9})-([\w-]{43})", re.ASCII)


@dataclass(slots=True)
class Visitor:
    """One request's browser and, where somebody signed in, the buyer. ``session`` is '' for nobody."""

    browser: str
    language: str
    session: str = ""
    buyer: Buyer | None = None

    @property
    def digest(self) -> str:
        """What the books know of the browser cookie."""
        return digest(self.browser)


def digest(token: str) -> str:
    """SHA-256 of a cookie's token: rows hold this, never the token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Doorman:
    """Knows visitors by their cookies and hands out new ones."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._secure = platform.settings.base_url.startswith("https://")
        prefix = "__Host-" if self._secure else ""
        self._browser_name = f"{prefix}tb_browser"
        self._buyer_name = f"{prefix}tb_buyer"

    async def receive(self, request: Request) -> Visitor:
        """The visitor behind a request; a browser without a cookie of ours gets a new one with the answer."""
        browser = request.cookies.get(self._browser_name, "")
        if _TOKEN.fullmatch(browser) is None:
            browser = self._platform.new_token()
        visitor = Visitor(browser, choose_language(request))
        await self._recognise(visitor, request.cookies.get(self._buyer_name, ""))
        return visitor

    async def _recognise(self, visitor: Visitor, cookie: str) -> None:
        match = _SESSION.fullmatch(cookie)
        if match is None or not self._platform.seal.is_token(match[3], "seen", match[1], match[2]):
            return
        now = self._platform.world.clock.wire()
        if now - int(match[2], 36) > SESSION_IDLE:
            return
        rows = await self._platform.database.load(SESSION, [(digest(match[1]),)])
        if not rows or rows[0].kind != "buyer" or now - rows[0].wire_at > SESSION_TIME:
            return
        try:
            buyer = await self._platform.buyer(rows[0].subject)
        except Refused:
            return
        if buyer.status == "active":
            visitor.session, visitor.buyer = match[1], buyer

    async def sign_in(self, visitor: Visitor, buyer: Buyer) -> None:
        """A new session for ``buyer``; an earlier one of this browser ends (T60)."""
        await self.sign_out(visitor)
        session = self._platform.new_token()
        await self._platform.submit(OpenSession(digest(session), "buyer", buyer.buyer_id))
        visitor.session, visitor.buyer = session, buyer

    async def sign_out(self, visitor: Visitor) -> None:
        """The session is over at once, in the books too."""
        if visitor.session:
            await self._platform.submit(EndSession(digest(visitor.session)))
        visitor.session, visitor.buyer = "", None

    def form_token(self, visitor: Visitor) -> str:
        """The word that a form of this browser and session must carry (T51)."""
        return self._platform.seal.token("form", visitor.browser, visitor.session)

    def is_form_token(self, visitor: Visitor, text: str) -> bool:
        """Whether a form carries that word."""
        return self._platform.seal.is_token(text, "form", visitor.browser, visitor.session)

    def see_off(self, request: Request, visitor: Visitor, response: Response) -> None:
        """Set the cookies that go with an answer."""
        if request.cookies.get(self._browser_name) != visitor.browser:
            self._set(response, self._browser_name, visitor.browser)
        if visitor.session:
            seen = base36(Instant(self._platform.world.clock.wire()), 9)
            proof = self._platform.seal.token("seen", visitor.session, seen)
            self._set(response, self._buyer_name, f"{visitor.session}-{seen}-{proof}")
        elif request.cookies.get(self._buyer_name):
            response.delete_cookie(self._buyer_name, secure=self._secure, httponly=True, samesite="lax")
        if request.query_params.get("lang", "") in LANGUAGES:
            self._set(response, COOKIE, visitor.language, 31_536_000)

    def _set(self, response: Response, name: str, value: str, seconds: int | None = None) -> None:
        response.set_cookie(name, value, seconds, secure=self._secure, httponly=True, samesite="lax")
