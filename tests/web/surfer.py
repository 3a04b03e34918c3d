"""A browser without scripts: it keeps cookies, reads forms as they stand on the page, and sends them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from http.cookies import SimpleCookie

from tests.web.house import BASE, MERCHANT, NOTIFY, PROTOCOL, RETURN, House, ask
from tongbao.kernel.money import Money
from tongbao.service.act import act
from tongbao.trade.record import Trade
from tongbao.wire.asgi import Application
from tongbao.wire.contract import Verified
from tongbao.wire.form import encode_form
from tongbao.wire.http import FORM, Headers, Response, get, post
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Expiry, Method, Product, TradeOpened


@dataclass
class Form:
    """A form as it stands: where it goes, and what it would send untouched."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        if tag == "input" and self.forms and given.get("name"):
            radio = given.get("type") == "radio"
            if not radio or "checked" in given:
                self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@dataclass
class Seen:
    """One answer as a reader sees it."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def body(self) -> str:
        return self.response.body.decode("utf-8")

    @property
    def location(self) -> str:
        return self.response.header("location") or ""

    @property
    def forms(self) -> list[Form]:
        reader = _Reader()
        reader.feed(self.body)
        return reader.forms

    def form(self, end: str) -> Form:
        """The one form whose action ends so."""
        found = [form for form in self.forms if form.action.endswith(end)]
        assert len(found) == 1, (end, [form.action for form in self.forms])
        return found[0]

    @property
    def text(self) -> str:
        reader = _Reader()
        reader.feed(self.body)
        return re.sub(r"\s+", " ", " ".join(reader.text))

    @property
    def refresh(self) -> str:
        found = re.search(r'http-equiv="refresh" content="\d+;url=([^"]*)"', self.body)
        return unescape(found[1]) if found else ""

    @property
    def alert(self) -> str:
        found = re.search(r'role="alert"[^>]*><span[^>]*>!</span><p>([^<]*)</p>', self.body)
        return unescape(found[1]) if found else ""


@dataclass
class Surfer:
    """One browser over one application."""

    app: Application
    cookies: dict[str, str] = field(default_factory=dict)
    language: str = "en"

    async def get(self, path: str, headers: Headers = ()) -> Seen:
        return self._keep(await ask(self.app, get(self._absolute(path), (*self._headers(), *headers))))

    async def post(self, path: str, fields: dict[str, str], headers: Headers = ()) -> Seen:
        body = encode_form(tuple(fields.items()))
        return self._keep(await ask(self.app, post(self._absolute(path), body, FORM, (*self._headers(), *headers))))

    async def send(self, form: Form, **filled: str) -> Seen:
        """The form with some fields filled in, as a browser of today sends it."""
        headers = ((b"sec-fetch-site", b"same-origin"), (b"origin", b"null"))
        return await self.post(form.action, form.fields | filled, headers)

    def _absolute(self, path: str) -> str:
        return path if path.startswith("http") else f"{BASE}{path}"

    def _headers(self) -> Headers:
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return ((b"accept-language", self.language.encode()), (b"cookie", jar.encode()))

    def _keep(self, response: Response) -> Seen:
        for name, value in response.headers:
            if name.lower() == b"set-cookie":
                for morsel in SimpleCookie(value.decode()).values():
                    if morsel["max-age"] == "0":
                        self.cookies.pop(morsel.key, None)
                    else:
                        self.cookies[morsel.key] = morsel.value
        return Seen(response)


async def open_trade(
    home: House,
    number: str,
    product: Product = Product.INSTANT,
    *,
    amount: int = 12_850,
    subject: str = "青瓷茶具",
    bank: str = "",
    buyer: str = "",
    method: Method | None = None,
    return_url: str = RETURN,
    minutes: int = 30,
) -> tuple[Trade, str]:
    """A trade and the path of its cashier."""
    intent = CreateTrade(
        merchant=MERCHANT,
        out_trade_no=number,
        product=product,
        subject=subject,
        amount=Money(amount),
        notify_url=NOTIFY,
        return_url=return_url,
        expiry=Expiry(minutes * 60),
        bank=bank,
        buyer=Party(login=buyer),
        method=method,
        echo={"_input_charset": "utf-8", "sign_type": "MD5", "service": "create_direct_pay_by_user"},
    )
    opened = await act(home.platform, PROTOCOL, Verified(intent, None))
    assert isinstance(opened, TradeOpened)
    return await home.platform.find_trade(MERCHANT, number), opened.cashier_url.removeprefix(BASE)


async def sign_in(surfer: Surfer, path: str, password: str = "login123") -> Seen:
    """Step one on a cashier's page; the answer to the form."""
    page = await surfer.get(f"{path}?pay=balance")
    return await surfer.send(page.form("/login"), login="buyer@example.com", password=password)
