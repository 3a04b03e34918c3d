"""A browser without a window, for scripted buyers: cookies, redirects, forms and links of real pages over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlencode, urljoin

from tongbao.wire.http import FORM, Request, Response, split_url
from tongbao.wire.world import CALL_LIMITS, Transport

HOPS_MAX: Final = 10
VOID: Final = frozenset({"input", "meta", "br", "img", "link"})


class PageSurprise(Exception):
    """A page is not what the script expected: says which address, and what was looked for."""


@dataclass
class Form:
    """A form as a person sees it. ``fields`` are the values it would send untouched; ``choices`` the options of each
    field that offers some."""

    action: str
    method: str
    charset: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._url = url
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.refresh = ""
        self.words: list[str] = []
        self._form: Form | None = None
        self._select = ""
        self._open: dict[str, str] | None = None
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag in ("script", "style"):
            self._hidden += 1
        act: dict[str, Callable[[dict[str, str]], None]] = {
            "form": self._open_form,
            "input": self._input,
            "textarea": self._input,
            "select": self._open_select,
            "option": self._option,
            "button": self._button,
            "a": lambda said: self.links.append(urljoin(self._url, said.get("href", ""))),
            "meta": self._meta,
        }
        if tag in act:
            act[tag](said)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag in ("script", "style"):
            self._hidden -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.words.append(data.strip())
        if self._open is not None:
            # an option without a value sends its text
            said, self._open = self._open, None
            self._choose(data.strip(), "selected" in said)

    def _open_form(self, said: dict[str, str]) -> None:
        charset = said.get("accept-charset") or "utf-8"
        self._form = Form(urljoin(self._url, said.get("action", "")), said.get("method", "get").upper(), charset)
        self.forms.append(self._form)

    def _input(self, said: dict[str, str]) -> None:
        form, name, kind = self._form, said.get("name", ""), said.get("type", "text")
        if form is None or not name or kind in ("submit", "button"):
            return
        if kind in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(said.get("value", "on"))
            if "checked" not in said:
                return
        form.fields[name] = said.get("value", "on" if kind == "checkbox" else "")

    def _open_select(self, said: dict[str, str]) -> None:
        self._select = said.get("name", "")

    def _option(self, said: dict[str, str]) -> None:
        if self._form is None or not self._select:
            return
        if "value" in said:
            self._choose(said["value"], "selected" in said)
        else:
            self._open = said

    def _choose(self, value: str, selected: bool) -> None:
        if self._form is None:
            return
        self._form.choices.setdefault(self._select, []).append(value)
        if selected or self._select not in self._form.fields:
            self._form.fields[self._select] = value

    def _button(self, said: dict[str, str]) -> None:
        if self._form is not None and said.get("name"):
            self._form.buttons.append((said["name"], said.get("value", "")))

    def _meta(self, said: dict[str, str]) -> None:
        if said.get("http-equiv", "").lower() == "refresh":
            _, _, target = said.get("content", "").partition("url=")
            self.refresh = urljoin(self._url, target.strip())


@dataclass
class Page:
    """A page that was reached: its address, status, forms, links, and the text a person reads."""

    url: str
    status: int
    forms: list[Form]
    links: list[str]
    refresh: str
    text: str
    trail: list[str]
    """Every address on the way here, the first request first."""

    def form(self, part: str) -> Form:
        """The first form whose target contains ``part``. Raises PageSurprise."""
        for form in self.forms:
            if part in form.action:
                return form
        raise PageSurprise(f"{self.url}: no form to {part!r} (status {self.status}); it says: {self.text[:300]}")

    def link(self, part: str) -> str:
        """The first link that contains ``part``. Raises PageSurprise."""
        for link in self.links:
            if part in link:
                return link
        raise PageSurprise(f"{self.url}: no link with {part!r}; it says: {self.text[:300]}")


class Browser:
    """One person's browser: its cookies (by host, as browsers keep them: ports do not count), and where it is."""

    def __init__(self, send: Transport, language: str = "zh") -> None:
        self._send = send
        self._language = language
        self._cookies: dict[str, dict[str, str]] = {}

    async def open(self, url: str) -> Page:
        """Go to an address and follow redirects."""
        return await self._go("GET", url, None)

    async def submit(self, form: Form, *, button: tuple[str, str] | None = None, **values: str) -> Page:
        """Fill in and send a form. Raises PageSurprise for a field the form does not have, or an option it lacks."""
        fields = dict(form.fields)
        for name, value in values.items():
            known = name in fields or name in form.choices
            if not known or (name in form.choices and value not in form.choices[name]):
                raise PageSurprise(f"the form to {form.action} does not take {name}={value!r}")
            fields[name] = value
        if button is not None:
            if button not in form.buttons:
                raise PageSurprise(f"the form to {form.action} has no button {button}")
            fields[button[0]] = button[1]
        body = urlencode(fields, encoding=form.charset).encode("ascii")
        if form.method == "GET":
            base = form.action.partition("?")[0]
            return await self._go("GET", f"{base}?{body.decode('ascii')}", None)
        return await self._go("POST", form.action, body)

    async def _go(self, method: str, url: str, body: bytes | None) -> Page:
        trail: list[str] = []
        for _ in range(HOPS_MAX):
            trail.append(url)
            answer = await self._send(self._request(method, url, body), CALL_LIMITS)
            self._keep(url, answer)
            if answer.status in (301, 302, 303, 307, 308):
                url = urljoin(url, answer.header("Location") or "")
                method, body = "GET", None
                continue
            reader = _Reader(url)
            reader.feed(answer.body.decode("utf-8", "replace"))
            refresh = reader.refresh
            if told := answer.header("Refresh"):
                refresh = urljoin(url, told.partition("url=")[2])
            return Page(url, answer.status, reader.forms, reader.links, refresh, " ".join(reader.words), trail)
        raise PageSurprise(f"{trail[0]} redirects without end")

    def _request(self, method: str, url: str, body: bytes | None) -> Request:
        scheme, authority, path, query = split_url(url)
        headers = [
            (b"Accept-Language", self._language.encode("ascii")),
            (b"User-Agent", b"tongbao-demo"),
        ]
        cookies = self._cookies.get(authority.partition(":")[0], {})
        if cookies:
            said = "; ".join(f"{name}={value}" for name, value in cookies.items())
            headers.append((b"Cookie", said.encode("latin-1")))
        if body is not None:
            headers.append((b"Content-Type", FORM.encode("ascii")))
            headers.append((b"Origin", f"{scheme}://{authority}".encode("ascii")))
        return Request(method, scheme, authority, path, query, tuple(headers), body or b"")

    def _keep(self, url: str, answer: Response) -> None:
        jar = self._cookies.setdefault(split_url(url)[1].partition(":")[0], {})
        for name, value in answer.headers:
            if name.lower() != b"set-cookie":
                continue
            pair, _, rest = value.decode("latin-1").partition(";")
            key, _, word = pair.strip().partition("=")
            if "max-age=0" in rest.lower():
                jar.pop(key, None)
            else:
                jar[key] = word
