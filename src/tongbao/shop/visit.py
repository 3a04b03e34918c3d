"""One request to a page: who visits, in which language, what the form says, and the answer with its safe headers."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.identifier import hex_token
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, china_text
from tongbao.shop.shelf import SHELF
from tongbao.shop.shop import Shop
from tongbao.shop.table import read_cart
from tongbao.shop.word import WORDS
from tongbao.wire.form import FormLimits, parse_form

FORM_LIMITS: Final = FormLimits(size=16_384, fields=60, field=4_096)
COOKIE: Final = "shop_visitor"
LANGUAGE_COOKIE: Final = "shop_language"
LANGUAGES: Final = ("zh", "en")

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action {target}"
)
"""No script at all. Browsers apply form-action to redirects too, so the page whose form leads to a platform, and from
there to its cashier and a bank, allows any web address; every other page only the shop."""

_VISITOR = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Problem(Exception):  # noqa: N818 - what the visitor is told, not a failure of the program
    """The page cannot be shown: an HTTP status and the word that says why."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(f"{status} {word}")
        self.status = status
        self.word = word


def make_environment() -> Environment:
    """Templates with autoescape always on; a name that is not given is an error."""
    folder = Path(__file__).parent / "template"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = _show_money
    environment.filters["time"] = _show_time
    return environment


def _show_money(money: Money) -> str:
    return f"¥{money.text()}" if money.currency == "CNY" else f"{money.text()} {money.currency}"


def _show_time(instant: Instant | int | None) -> str:
    return china_text(Instant(instant)) if instant is not None else "—"


@dataclass(slots=True)
class Visit:
    """``visitor`` is the random name in the cookie; ``form`` the posted fields, '' for none."""

    shop: Shop
    templates: Environment
    request: Request
    visitor: str
    language: str
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Mapping[str, Any]:
        return self.request.path_params

    def word(self, key: str, **values: object) -> str:
        """The text of that key in the visitor's language."""
        return WORDS[self.language][key].format(**values)

    @property
    def csrf(self) -> str:
        """The word that forms of this visitor carry (T51)."""
        return seal(self.shop, "csrf", self.visitor)

    async def render(self, template: str, *, status: int = 200, target: str = "'self'", **values: object) -> Response:
        """The page; ``target`` is where its forms may lead."""
        cart = await self.shop.read(lambda transaction: read_cart(transaction, self.visitor))
        page = self.templates.get_template(template).render(
            t=self.word,
            language=self.language,
            csrf=self.csrf,
            here=self.request.url.path,
            count=sum(line.quantity for line in cart),
            shelf=SHELF,
            has_mailbox=self.shop.mails is not None,
            reachable=self.shop.reachable,
            **values,
        )
        response = HTMLResponse(page, status)
        response.headers["content-security-policy"] = POLICY.format(target=target)
        return response


def seal(shop: Shop, purpose: str, value: str) -> str:
    """A word that only this shop can make for ``value``."""
    return hmac.new(shop.secret, f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()[:32]


def is_sealed(shop: Shop, purpose: str, value: str, given: str) -> bool:
    """Whether the shop made that word."""
    return hmac.compare_digest(seal(shop, purpose, value).encode(), given.encode())


def redirect(path: str) -> Response:
    """Go on to another page of the shop, by GET."""
    return RedirectResponse(path, 303)


Page = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Door:
    """Turns pages into handlers: who is it, does the form come from us, and the headers of the answer."""

    shop: Shop
    templates: Environment

    def __call__(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """The handler of a page."""

        async def handle(request: Request) -> Response:
            return await self.answer(request, page)

        return handle

    async def answer(self, request: Request, page: Page) -> Response:
        """Read and check a form of ours, then show the page."""

        async def checked(visit: Visit) -> Response:
            if request.method == "POST":
                visit.form = await _read_form(request)
                self._check_form(visit)
            return await page(visit)

        return await self.show(request, checked)

    async def show(self, request: Request, page: Page) -> Response:
        """Show the page, or say what is wrong. The body of ``request`` is not looked at."""
        visit, fresh = self._open(request)
        try:
            response = await page(visit)
        except Problem as problem:
            response = await visit.render("problem.html", status=problem.status, word=problem.word)
        except ClientDisconnect:
            return Response(status_code=400)
        if fresh:
            self._remember(response, COOKIE, visit.visitor)
        if request.query_params.get("lang") in LANGUAGES:
            self._remember(response, LANGUAGE_COOKIE, visit.language)
        harden(response)
        return response

    def _open(self, request: Request) -> tuple[Visit, bool]:
        visitor = request.cookies.get(COOKIE, "")
        fresh = _VISITOR.fullmatch(visitor) is None
        if fresh:
            visitor = hex_token(self.shop.world.entropy)
        return Visit(self.shop, self.templates, request, visitor, choose_language(request)), fresh

    def _check_form(self, visit: Visit) -> None:
        headers = visit.request.headers
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Problem(403, "problem_csrf")
        if not is_sealed(self.shop, "csrf", visit.visitor, visit.form.get("csrf", "")):
            raise Problem(403, "problem_csrf")

    def _remember(self, response: Response, name: str, value: str) -> None:
        secure = self.shop.address.startswith("https:")
        response.set_cookie(name, value, max_age=180 * 86_400, httponly=True, samesite="lax", secure=secure)


def harden(response: Response) -> None:
    """The headers that every answer of the shop has."""
    response.headers.setdefault("content-security-policy", POLICY.format(target="'none'"))
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["referrer-policy"] = "same-origin"
    response.headers["cache-control"] = response.headers.get("cache-control", "no-store")


async def _read_form(request: Request) -> dict[str, str]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_LIMITS.size:
            raise Problem(413, "problem_form")
    try:
        return {name: value.strip() for name, value in parse_form(bytes(body), limits=FORM_LIMITS)}
    except RemoteProtocolError as error:
        raise Problem(400, "problem_form") from error


def choose_language(request: Request) -> str:
    """As asked for in the address, as chosen before, as the browser prefers, else Chinese."""
    for said in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if said in LANGUAGES:
            return said
    for part in request.headers.get("accept-language", "").lower().split(","):
        if part.strip()[:2] in LANGUAGES:
            return part.strip()[:2]
    return "zh"
