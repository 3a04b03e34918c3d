"""Rendering: one Jinja environment, one set of headers, one way to turn errors into pages."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, china_text
from tongbao.service.platform import Platform
from tongbao.web.guard import Buckets, Rate, who
from tongbao.web.page.asset import ASSETS
from tongbao.web.page.form import TOKEN_FIELD, PageError, check_origin, read_form
from tongbao.web.page.locale import HTML_LANGUAGE, LANGUAGE_NAMES, say
from tongbao.web.page.tile import make_tile
from tongbao.web.page.visitor import Doorman, Visitor

Handler = Callable[[Request, Visitor], Awaitable[Response]]

STATUS: Final = {
    "NOT_FOUND": 404,
    "TRADE_NOT_FOUND": 404,
    "PAYMENT_NOT_FOUND": 404,
    "CASHIER_LINK_INVALID": 404,
    "REVIEW_AGAIN": 409,
    "STATE_CONFLICT": 409,
    "TRADE_STATE": 409,
    "TRADE_NOT_PAYABLE": 409,
    "PASSWORD_LOCKED": 429,
    "RATE_LIMITED": 429,
    "SYSTEM": 503,
}
"""HTTP status of a refusal on a page; 422 for the others."""

PASSWORD_RATE: Final = Rate(1 / 3, 20)
"""Passwords that one address may try: 20 a minute."""

SYMBOLS: Final = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "HKD": "HK$", "JPY": "JP¥"}


def refusal_status(code: str) -> int:
    """The HTTP status of a refusal on a page."""
    return STATUS.get(code, 422)


def show_money(amount: int, currency: str = "CNY") -> str:
    """``¥1,234.50``: minor units with symbol and thousands."""
    text = Money(amount, currency).text()
    whole, point, part = text.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{SYMBOLS.get(currency, currency + ' ')}{int(whole.lstrip('-')):,}{point}{part}"


def show_time(instant: Instant | None) -> str:
    """Chinese wall-clock time, or a dash."""
    return "–" if instant is None else china_text(instant)


def content_policy(form_targets: tuple[str, ...] = (), style: str = "'self'") -> str:
    """The page's content security policy: nothing but our own style sheet and script ."""
    targets = " ".join(("'self'", *form_targets))
    return (
        f"default-src 'none'; style-src {style}; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action {targets}; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'"
    )


def page_headers(policy: str) -> dict[str, str]:
    """The headers every page of ours carries."""
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def make_environment() -> Environment:
    """Templates of page, cashier and console; always escaped, and an unknown name is an error."""
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(money=show_money, time=show_time)
    return environment


def _source(template: str) -> str:
    """``cashier/x.html`` is in the folder ``template`` of the room ``cashier``."""
    room, _, name = template.partition("/")
    return files("tongbao.web").joinpath(room, "template", name).read_text("utf-8")


ENVIRONMENT: Final = make_environment()


def render(template: str, language: str, **values: Any) -> str:
    """A template as text, in one language."""

    def t(key: str, **places: object) -> str:
        return say(language, key, **places)

    return ENVIRONMENT.get_template(template).render(
        t=t,
        t_in=say,
        lang=language,
        html_lang=HTML_LANGUAGE[language],
        languages=LANGUAGE_NAMES,
        assets=ASSETS,
        tile_of=lambda code: make_tile(code, language),
        **values,
    )


class Shell:
    """What the page apps share: the platform, the doorman, rendering and the handling of errors."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.doorman = Doorman(platform)
        self.strict = platform.settings.environment == "production"
        rate = PASSWORD_RATE if self.strict else Rate(1_000, 2_000)
        self._passwords = Buckets(rate, platform.world.clock.monotonic)

    def page(
        self,
        request: Request,
        visitor: Visitor,
        template: str,
        *,
        status: int = 200,
        form_targets: tuple[str, ...] = (),
        lang_path: str = "",
        refresh: tuple[int, str] | None = None,
        **values: Any,
    ) -> Response:
        """One page. ``lang_path`` is where the language switch leads (a page that answers a form has no address of its
        own); ``refresh`` is (seconds, address) of a page that reloads itself."""
        text = render(
            template,
            visitor.language,
            visitor=visitor,
            form_token=self.doorman.form_token(visitor),
            token_field=TOKEN_FIELD,
            lang_path=lang_path or _here(request),
            refresh=refresh,
            environment=self.platform.settings.environment,
            **values,
        )
        return HTMLResponse(text, status, page_headers(content_policy(form_targets)))

    def go(self, path: str) -> Response:
        """Answer a form with the address of the next page."""
        return RedirectResponse(path, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    async def form(self, request: Request, visitor: Visitor, fields: Mapping[str, int]) -> dict[str, str]:
        """The posted fields of a form of ours. Raises PageError."""
        check_origin(request, self.platform.settings.base_url, strict=self.strict)
        values = await read_form(request, fields)
        if not self.doorman.is_form_token(visitor, values.pop(TOKEN_FIELD)):
            raise PageError("CSRF", 403, "the form is not of this session")
        return values

    def count_password(self, request: Request) -> None:
        """One password is about to be tried from this address. Raises PageError RATE_LIMITED (T59, T60)."""
        if self._passwords.take(who(request.scope)):
            raise PageError("RATE_LIMITED", 429)

    def handle(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A Starlette endpoint of ``handler(request, visitor)``: cookies in and out, every error a page."""

        async def endpoint(request: Request) -> Response:
            visitor = await self.doorman.receive(request)
            try:
                response = await handler(request, visitor)
            except PageError as error:
                response = self.failure(request, visitor, error.code, error.status)
            except Refused as error:
                response = self.failure(request, visitor, error.code, refusal_status(error.code))
            except OutcomeUnknown:
                response = self.failure(request, visitor, "OUTCOME_UNKNOWN", 503)
            except Exception as error:  # noqa: BLE001 - logged; the reader learns only that we failed
                trace = "".join(traceback.format_exception(error))
                self.platform.world.log("page.failed", route=handler.__name__, trace=trace)
                response = self.failure(request, visitor, "SYSTEM", 500)
            self.doorman.see_off(request, visitor, response)
            return response

        return endpoint

    def failure(self, request: Request, visitor: Visitor, code: str, status: int) -> Response:
        """The page that says why nothing else can be shown. It tells a person, and holds no detail."""
        return self.page(request, visitor, "page/failure.html", status=status, code=code, lang_path="")

    async def lost(self, request: Request, visitor: Visitor) -> Response:
        """An address that leads nowhere."""
        raise PageError("NOT_FOUND", 404)


def _here(request: Request) -> str:
    """The address of this page without its language, for a GET; '' where it cannot be opened again."""
    if request.method != "GET":
        return ""
    query = "&".join(part for part in request.url.query.split("&") if part and not part.startswith("lang="))
    return f"{request.url.path}?{query}" if query else request.url.path
