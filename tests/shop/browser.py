"""A visitor without scripts: links, forms and cookies over the ASGI application, and the pages' HTML taken apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx
from starlette.applications import Starlette

from tongbao.wire.http import Request

ADDRESS = "http://127.0.0.1:8"


@dataclass
class Form:
    """One form of a page: where it goes and what it says."""

    action: str
    method: str
    charset: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class Parts(HTMLParser):
    """Forms and links of a page, and any script or inline style there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.scripts = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.scripts += tag in ("script", "style") or "style" in said or any(name.startswith("on") for name in said)
        if tag == "form":
            charset = said.get("accept-charset", "utf-8")
            self.forms.append(Form(said.get("action", ""), said.get("method", "get"), charset))
        elif tag == "input" and self.forms and said.get("name"):
            if said.get("type") != "radio" or "checked" in said:
                self.forms[-1].fields.append((said["name"], said.get("value", "")))
        elif tag == "a":
            self.links[said.get("id") or said.get("href", "")] = said.get("href", "")


class Visitor:
    """A browser with cookies. Redirects are followed; ``page`` is the last answer."""

    def __init__(self, application: Starlette, runner: asyncio.Runner, language: str = "en") -> None:
        transport = httpx.ASGITransport(application)
        self._client = httpx.AsyncClient(
            transport=transport, base_url=ADDRESS, follow_redirects=True, headers={"Accept-Language": language}
        )
        self._runner = runner

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.get(path, **more))

    def post(self, path: str, data: Mapping[str, str], **more: Any) -> httpx.Response:
        return self._runner.run(self._client.post(path, data=data, **more))

    def submit(self, page: httpx.Response, action: str, **changes: str) -> httpx.Response:
        """Submit the first form of a page that goes to ``action``."""
        form = next(form for form in Parts(page.text).forms if form.action == action)
        return self.post(action, {**dict(form.fields), **changes})

    def carry(self, request: Request) -> httpx.Response:
        """A message as another party sends it, byte by byte."""
        return self._runner.run(self._client.send(self._build(request)))

    def carry_all(self, requests: Iterable[Request]) -> list[httpx.Response]:
        """The same for many messages at once."""

        async def together() -> list[httpx.Response]:
            return await asyncio.gather(*[self._client.send(self._build(request)) for request in requests])

        return self._runner.run(together())

    def _build(self, request: Request) -> httpx.Request:
        target = request.raw_path.decode() + (f"?{request.raw_query.decode()}" if request.raw_query else "")
        headers = [(name, value) for name, value in request.headers]
        return self._client.build_request(request.method, target, content=request.body, headers=headers)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
