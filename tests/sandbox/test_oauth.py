"""WeChat's web authorisation in a sandbox: from a page's link to the openid with which JSAPI orders are opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Presentation

pytestmark = pytest.mark.slow
SHOP = "http://127.0.0.1:9/home"


@pytest.fixture(name="web")
def fixture_web(box: LocalSandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=box.base_url, trust_env=False) as web:
        yield web


def code_of(box: LocalSandbox, web: httpx.Client, name: str, **more: str) -> str:
    """The page's link, which names the merchant to the wallet; there the buyer agrees."""
    said = box.credentials["protocols"][name]
    query = {"appid": said["appid"], "redirect_uri": SHOP, "response_type": "code", "scope": "snsapi_base", **more}
    answer = web.get("/connect/oauth2/authorize", params=query)
    assert answer.status_code == 302
    target = urlsplit(answer.headers["location"])
    asked = parse_qs(target.query)
    assert (target.path, asked["redirect_uri"]) == ("/wallet/consent", [SHOP])
    assert asked.get("state", [""]) == [more.get("state", "")]
    assert web.get(answer.headers["location"]).status_code == 200
    consented = {"protocol": name, "merchant": asked["merchant"][0]}
    return str(box.control("POST", "buyers/buyer@tongbao.example/consent", consented)["code"])


def token(box: LocalSandbox, web: httpx.Client, name: str, word: str, **more: str) -> Any:
    said = box.credentials["protocols"][name]
    secret = box.credentials["merchant"]["app_secrets"][said["appid"]]
    query = {"appid": said["appid"], "secret": secret, "code": word, "grant_type": "authorization_code"}
    return web.get("/sns/oauth2/access_token", params={**query, **more}).json()


@pytest.mark.parametrize("name", ["wechatpay_v2", "wechatpay_v3"])
def test_a_page_learns_the_openid_and_opens_an_order(box: LocalSandbox, web: httpx.Client, name: str) -> None:
    """The code is good once; its openid is this merchant's own and opens a JSAPI order; it can be refreshed."""
    code = code_of(box, web, name, state="a b&c")
    told = token(box, web, name, code)
    assert (told["expires_in"], told["scope"]) == (7_200, "snsapi_base")
    assert token(box, web, name, code)["errcode"] == 40029
    appid = box.credentials["protocols"][name]["appid"]
    query = {"appid": appid, "grant_type": "refresh_token", "refresh_token": told["refresh_token"]}
    assert web.get("/sns/oauth2/refresh_token", params=query).json()["openid"] == told["openid"]
    with Client(box.configuration(name, notify_url="http://127.0.0.1:9/notify")) as client:
        opened = client.create(
            "T-ORDER-1", Money(100), "茶", presentation=Presentation.WALLET, buyer=Party(told["openid"])
        )
    assert opened.cashier_url.startswith("wx") or opened.prepaid.startswith("wx")


def test_what_is_not_exchanged(box: LocalSandbox, web: httpx.Client) -> None:
    """An unknown appid, a wrong secret, another merchant's code, a word that is none."""
    code = code_of(box, web, "wechatpay_v3")
    name = "wechatpay_v3"
    for more, number in (
        ({"appid": "wx0000000000000000"}, 40013),
        ({"secret": "0" * 32}, 40125),
        ({"secret": "鑰"}, 40125),
        ({"grant_type": "password"}, 40035),
        ({"code": "x" * 3_000}, 40029),
    ):
        assert token(box, web, name, code, **more)["errcode"] == number
    assert token(box, web, "wechatpay_v2", code)["errcode"] == 40029
    assert "openid" in token(box, web, name, code)
    appid = box.credentials["protocols"][name]["appid"]
    for params in ({"appid": "wx0"}, {"appid": appid, "response_type": "token"}, {"appid": appid}):
        assert "errcode" in web.get("/connect/oauth2/authorize", params=params).json()
    query = {"appid": appid, "grant_type": "refresh_token", "refresh_token": "none"}
    assert web.get("/sns/oauth2/refresh_token", params=query).json()["errcode"] == 40030
