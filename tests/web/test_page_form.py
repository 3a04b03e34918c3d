"""Forms are taken from our own pages only, and only with the fields they have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.web.house import BASE, House, ask, house, run
from tests.web.surfer import Surfer, open_trade
from tongbao.web.cashier.app import cashier_app
from tongbao.web.console import console_app
from tongbao.web.page.asset import ASSETS
from tongbao.wire.http import FORM, Headers, post

Test = Callable[[House, Surfer], Awaitable[None]]


def play(folder: Path, test: Test, base_url: str = BASE) -> None:
    """Run ``test`` with a browser over a cashier."""

    async def main() -> None:
        async with house(folder, base_url=base_url) as home:
            await test(home, Surfer(cashier_app(home.platform)))

    run(main)


@pytest.mark.parametrize(
    "headers",
    [
        ((b"sec-fetch-site", b"cross-site"),),
        ((b"sec-fetch-site", b"same-site"),),
        ((b"sec-fetch-site", b"none"),),
        ((b"origin", b"https://evil.example"),),
        ((b"origin", b"http://platform.test:8001"),),
        ((b"origin", b"null"), (b"sec-fetch-site", b"cross-site")),
    ],
)
def test_T51_a_form_of_another_site_is_refused(tmp_path: Path, headers: Headers) -> None:
    """Whatever the token says, a browser that tells of another origin is sent away with 403."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "F1")
        form = (await surfer.get(f"{path}?pay=balance")).form("/login")
        answer = await surfer.post(
            form.action, form.fields | {"login": "buyer@example.com", "password": "login123"}, headers
        )
        assert answer.status == 403
        assert "CSRF" in answer.body
        assert "tb_buyer" not in surfer.cookies

    play(tmp_path, test)


def test_T51_a_missing_stale_or_foreign_token_is_refused(tmp_path: Path) -> None:
    """The token belongs to one browser and one session: none, another browser's, and one from before the login fail."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "F2")
        form = (await surfer.get(f"{path}?pay=balance")).form("/login")
        other = (await Surfer(surfer.app).get("/account")).form("/login")
        right = {"login": "buyer@example.com", "password": "login123"}
        for token in ("", "x" * 43, other.fields["form_token"]):
            assert (await surfer.send(form, form_token=token, **right)).status == 403
        assert (await surfer.send(form, **right)).status == 303
        stale = (await surfer.get(path)).form("/pay")
        answer = await surfer.send(stale, form_token=form.fields["form_token"], pay_password="741852")
        assert (answer.status, (await home.platform.find_trade(*_key(home))).state) == (403, "unpaid")

    def _key(home: House) -> tuple[str, str]:
        return ("2088000000000001", "F2")

    play(tmp_path, test)


def test_T51_acts_are_post_only(tmp_path: Path) -> None:
    """No act of the cashier or the console answers a GET."""

    async def test(home: House, surfer: Surfer) -> None:
        trade, path = await open_trade(home, "F3")
        console = Surfer(console_app(home.platform))
        for act in ("login", "logout", "pay", "bank", "outlet"):
            assert (await surfer.get(f"{path}/{act}")).status in (404, 405)
        for act in ("/account/login", "/account/logout"):
            assert (await surfer.get(act)).status in (404, 405)
        for act in ("resend", "tamper"):
            assert (await console.get(f"/console/trades/{trade.trade_no}/{act}")).status in (404, 405)

    play(tmp_path, test)


def test_T58_a_field_that_a_form_has_not_is_refused(tmp_path: Path) -> None:
    """Every column of the books is tried in every form; an unknown field is a 400 and nothing happens."""
    columns = ("state", "amount", "merchant_id", "buyer_id", "status", "flow", "fee", "currency", "balance", "version")

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "F4")
        for pane, end in (("balance", "/login"), ("card", "/bank"), ("outlet", "/outlet")):
            form = (await surfer.get(f"{path}?pay={pane}")).form(end)
            for column in columns:
                if column not in form.fields:
                    answer = await surfer.send(form, **{column: "1"})
                    assert (answer.status, "UNKNOWN_FIELD" in answer.body) == (400, True)

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"login=a&login=b", FORM, 400),
        (b"login=%ff", FORM, 400),
        (b"login=" + b"a" * 129, FORM, 400),
        (b"x=" + b"a" * 20_000, FORM, 413),
        (b"&".join(b"f%d=1" % n for n in range(30)), FORM, 400),
        (b'{"login": "a"}', "application/json", 415),
        (b"", FORM, 403),
    ],
)
def test_a_malformed_form_is_a_page_of_its_own(tmp_path: Path, body: bytes, kind: str, status: int) -> None:
    """Twice the same field, another charset, too long, too many, another media type: each is answered by a page."""

    async def test(home: House, surfer: Surfer) -> None:
        answer = await ask(surfer.app, post(f"{BASE}/account/login", body, kind))
        assert answer.status == status
        assert answer.header("content-type") == "text/html; charset=utf-8"

    play(tmp_path, test)


def test_T52_every_answer_forbids_frames_and_caching(tmp_path: Path) -> None:
    """Pages, refusals and unknown addresses carry the policy; none allows a foreign source."""

    async def test(home: House, surfer: Surfer) -> None:
        _, path = await open_trade(home, "F5")
        for address in (path, f"{path}?pay=card", f"{path}/result", "/account", "/cashier/nothing", "/nowhere"):
            answer = (await surfer.get(address)).response
            if answer.status in (302, 303):
                continue
            policy = answer.header("content-security-policy") or ""
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.header("cache-control") == "no-store"
            assert answer.header("referrer-policy") == "no-referrer"

    play(tmp_path, test)


def test_T55_assets_are_served_under_their_hash(tmp_path: Path) -> None:
    """The style sheet and the script a page names are there, immutable; another hash is 404."""

    async def test(home: House, surfer: Surfer) -> None:
        page = await surfer.get("/account")
        for asset in ASSETS.values():
            assert asset.path in page.body
            answer = await surfer.get(asset.path)
            assert (answer.response.body, answer.status) == (asset.body, 200)
            assert "immutable" in (answer.response.header("cache-control") or "")
        assert (await surfer.get("/page/tongbao-000000000000.css")).status == 404

    play(tmp_path, test)


def test_cookies_are_secure_over_https(tmp_path: Path) -> None:
    """Over https the names are __Host-, with Secure, HttpOnly and Lax; a page's cookie holds nothing but chance."""

    async def test(home: House, surfer: Surfer) -> None:
        answer = (await surfer.get("/account")).response
        cookie = answer.header("set-cookie") or ""
        assert cookie.startswith("__Host-tb_browser=")
        assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}

    play(tmp_path, test, base_url="https://platform.test:8000")


def test_the_language_is_switched_and_kept(tmp_path: Path) -> None:
    """The address switches the language, a cookie keeps it, and the browser's wish decides before."""

    async def test(home: House, surfer: Surfer) -> None:
        assert '<html lang="en">' in (await surfer.get("/account")).body
        assert '<html lang="zh-CN">' in (await surfer.get("/account?lang=zh")).body
        assert '<html lang="zh-CN">' in (await surfer.get("/account")).body
        assert '<html lang="zh-CN">' in (await surfer.get("/account?lang=xx")).body

    play(tmp_path, test)
