"""The guard: headers on every answer, whose Host we answer by, health, and token buckets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.web.house import BASE, MERCHANT, PROTOCOL, House, ask, house, new_rsa, put_key, run
from tongbao.kernel.error import ConfigurationError
from tongbao.web.app import Web, build_web
from tongbao.web.faces.page import PlainPages
from tongbao.web.guard import Buckets, Limits, Rate, bare_host, is_inside
from tongbao.wire.asgi import Handler, plain
from tongbao.wire.contract import Manifest
from tongbao.wire.http import FORM, Request, Response, get, post, text


async def front(request: Request, peer: str) -> Response:
    """A page of another room, with a content policy of its own."""
    return Response(200, ((b"content-security-policy", b"default-src 'self'"), *text("").headers), request.raw_path)


def play(folder: Path, environment: str, test: Callable[[House, Web], Awaitable[None]], **more: Any) -> None:
    """A web with a cashier and a front page in one environment."""

    async def main() -> None:
        async with house(folder, environment) as home:
            routes = {"cashier": plain(front)}
            await test(home, build_web(home.platform, PlainPages(), routes=routes, fallback=plain(front), **more))

    run(main)


@pytest.mark.parametrize(
    "path", ["/", "/cashier/x", "/alipay_mapi/gateway.do", "/alipay_mapi/x", "/healthz", "/bank/x"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_T52_headers_are_on_every_answer(tmp_path: Path, path: str, scheme: str) -> None:
    """Errors included; a page's own policy stands; HSTS over TLS only; no server names itself."""

    async def test(home: House, web: Web) -> None:
        answer = await ask(web.main, replace(get(BASE + path), scheme=scheme))
        for name in ("x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "permissions-policy"):
            assert answer.header(name)
        names = [name.lower() for name, _ in answer.headers]
        assert names.count(b"content-security-policy") == 1
        own = answer.header("content-security-policy") == "default-src 'self'"
        assert own or "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")
        assert answer.header("cache-control") == "no-store"
        assert (answer.header("strict-transport-security") is not None) == (scheme == "https")
        assert answer.header("server") is None

    play(tmp_path, "test", test)


@pytest.mark.parametrize(
    ("environment", "host", "path", "status"),
    [
        ("production", "platform.test:8000", "/cashier/x", 200),
        ("production", "PLATFORM.test", "/cashier/x", 200),
        ("production", "static.example.com", "/cashier/x", 200),
        ("production", "evil.example", "/cashier/x", 421),
        ("production", "127.0.0.1", "/cashier/x", 421),
        ("production", "mapi.alipay.com", "/gateway.do", 421),
        ("production", "evil.example", "/alipay_mapi/gateway.do", 421),
        ("production", "evil.example", "/healthz", 200),
        ("production", "evil.example", "/readyz", 200),
        ("sandbox", "evil.example", "/alipay_mapi/gateway.do", 200),
        ("sandbox", "evil.example", "/cashier/x", 421),
        ("sandbox", "evil.example", "/bank/ICBC/pay", 421),
        ("sandbox", "127.0.0.1:9", "/cashier/x", 200),
        ("sandbox", "[::1]:9", "/cashier/x", 200),
        ("sandbox", "localhost:9", "/cashier/x", 200),
        ("sandbox", "host.docker.internal", "/cashier/x", 200),
        ("sandbox", "mapi.alipay.com", "/gateway.do", 200),
    ],
)
def test_T63_unknown_hosts_are_misdirected(tmp_path: Path, environment: str, host: str, path: str, status: int) -> None:
    """Production answers by its own names; a sandbox also by literals, local names, any name at a face's prefix, and
    the names gateways once had. Health comes ahead of it all."""

    async def test(home: House, web: Web) -> None:
        request = replace(get(f"http://x{path}"), host=host)
        assert (await ask(web.main, request)).status == status

    play(tmp_path, environment, test, hosts=["static.example.com"])


def test_a_face_of_its_own_takes_any_host_in_a_sandbox_only(tmp_path: Path) -> None:
    """The listener of one face: any Host in a sandbox, the platform's own in production."""

    async def test(home: House, web: Web) -> None:
        answer = await ask(web.faces[PROTOCOL], get("http://whatever.example/gateway.do"))
        assert answer.status == (421 if home.platform.settings.environment == "production" else 200)

    for environment in ("sandbox", "production"):
        folder = tmp_path / environment
        folder.mkdir()
        play(folder, environment, test)


@pytest.mark.slow
def test_nothing_stands_before_a_face_in_production(tmp_path: Path) -> None:
    """A sandbox's faults are asked in the face's place; a production host that is given such a thing does not start."""

    def around(manifest: Manifest, inner: Handler) -> Handler:
        async def instead(request: Request, peer: str) -> Response:
            return text(f"{manifest.name} {(await inner(request, peer)).status}")

        return instead

    async def test(home: House, web: Web) -> None:
        answer = await ask(web.faces[PROTOCOL], get(f"{BASE}/gateway.do"))
        assert answer.body == f"{PROTOCOL} 200".encode()

    for environment in ("sandbox", "production"):
        folder = tmp_path / environment
        folder.mkdir()
        if environment == "production":
            with pytest.raises(ConfigurationError, match="between a face and its shops"):
                play(folder, environment, test, around=around)
        else:
            play(folder, environment, test, around=around)


def test_ready_says_no_when_the_books_are_closed(tmp_path: Path) -> None:
    """Alive is not ready: without the database ``/readyz`` is 503 and ``/healthz`` 200."""

    async def test(home: House, web: Web) -> None:
        assert (await ask(web.main, get(f"{BASE}/readyz"))).body == b"ready\n"
        await home.platform.database.close()
        assert (await ask(web.main, get(f"{BASE}/readyz"))).status == 503
        assert (await ask(web.main, get(f"{BASE}/healthz"))).body == b"ok\n"

    play(tmp_path, "test", test)


def test_forms_are_slower_than_looking(tmp_path: Path) -> None:
    """Pages may be looked at often; forms (logins, passwords) have a bucket of their own per address (T59, T60)."""

    async def test(home: House, web: Web) -> None:
        look, form = get(f"{BASE}/cashier/x"), replace(get(f"{BASE}/cashier/x"), method="POST")
        assert [(await ask(web.main, form)).status for _ in range(4)] == [200, 200, 200, 429]
        assert (await ask(web.main, form)).header("retry-after") is not None
        assert (await ask(web.main, look)).status == 200
        assert (await ask(web.main, form, peer="2001:db8::5")).status == 200
        assert {(await ask(web.main, form, peer=f"2001:db8::{n}")).status for n in range(6)} == {200, 429}

    play(tmp_path, "test", test, limits=Limits(forms=Rate(0.001, 3)))


def test_buckets_refill_and_forget() -> None:
    """A bucket gives its burst, then one at a time as time passes; the most unused name is dropped at the limit."""
    now = [0.0]
    buckets = Buckets(Rate(2, 3), lambda: now[0], most=2)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.wait("a") == 0.5
    now[0] = 0.5
    assert [buckets.wait("a"), buckets.take("a"), buckets.take("a")] == [0, 0, 0.5]
    buckets.take("b")
    buckets.take("c")
    assert buckets.take("a") == 0
    now[0] = 1_000
    assert [buckets.take("b") for _ in range(4)] == [0, 0, 0, 0.5]


@pytest.mark.parametrize(
    ("authority", "name", "inside"),
    [
        ("LocalHost:80", "localhost", True),
        ("a.example.", "a.example", False),
        ("[2001:db8::1]:443", "2001:db8::1", True),
        ("10.0.0.7", "10.0.0.7", True),
        ("shop.localhost", "shop.localhost", True),
        ("10.0.0.7.evil.example", "10.0.0.7.evil.example", False),
        ("", "", True),
    ],
)
def test_names_that_cannot_be_rebound(authority: str, name: str, inside: bool) -> None:
    """What stands in a Host header, and whether a page from outside could make a browser send it to us (T73)."""
    assert bare_host(authority) == name
    assert is_inside(name) is inside


@pytest.mark.slow
@pytest.mark.parametrize("taken_out", ["", "sign=AAAA&", "alipay_root_cert_sn=1&"])
def test_T89_a_forger_who_waits_costs_no_signature(tmp_path: Path, taken_out: str) -> None:
    """Ours costs more than looking at his: what is wrong is told signed until he has to wait, and unsigned then. What
    was refused before there was anything to verify counts, too."""
    said = "method=alipay.trade.query&charset=utf-8&sign_type=RSA2&sign=AAAA&app_cert_sn=1&alipay_root_cert_sn=1&"
    said += f"timestamp=2026-01-01+00:00:00&version=1.0&app_id={MERCHANT}"

    async def test(home: House, web: Web) -> None:
        private, public = new_rsa()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        await put_key(home.platform, "theirs", "RSA2", "verify", public, "alipay_openapi")
        await put_key(home.platform, "ours", "RSA2", "sign", pem, "alipay_openapi")
        request = post(f"{BASE}/gateway.do", said.replace(taken_out, "").encode("ascii"), FORM)
        told = [await ask(web.faces["alipay_openapi"], request) for _ in range(4)]
        assert [(one.status, b'"sign":"' in one.body) for one in told] == [(200, True)] * 2 + [(429, False)] * 2

    play(tmp_path, "test", test, limits=Limits(forged=Rate(0.01, 2)))
