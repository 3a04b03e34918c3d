"""What a merchant's settings say beside the keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.money import Money
from tongbao.wire.contract import Credentials
from tongbao.wire.key import KeyRing
from tongbao.wire.party import Party
from tongbao.wire.setting import check_addresses, complete, find_query_gateway
from tongbao.wire.vocabulary import CreateTrade, Product, QueryTrade

VALUES = {"gateway": "https://a.example/pay", "query": "https://q.example/", "back": "https://shop.example/b"}
CREDENTIALS = Credentials("x", "1001", VALUES["gateway"], VALUES, KeyRing("1001", (), ()))


def test_an_address_is_one_where_it_is_given() -> None:
    """Empty settings are not looked at; the first that is no address is named."""
    check_addresses(VALUES | {"notify": ""}, ("gateway", "query", "notify"))
    with pytest.raises(ConfigurationError) as caught:
        check_addresses(VALUES | {"query": "q.example", "back": "b"}, ("gateway", "query", "back"))
    assert caught.value.field == "query"


def test_queries_follow_a_gateway_that_was_changed() -> None:
    """The configured address is used with the configured gateway alone: a sandbox's must not ask production."""
    where = [
        find_query_gateway(credentials, name, lambda gateway: f"{gateway}/query")
        for credentials in (CREDENTIALS, replace(CREDENTIALS, gateway="http://127.0.0.1/pay"))
        for name in ("query", "none")
    ]
    assert where == [
        "https://q.example/",
        "https://a.example/pay/query",
        "http://127.0.0.1/pay/query",
        "http://127.0.0.1/pay/query",
    ]


def test_an_intent_is_completed_where_it_is_silent() -> None:
    """Merchant and addresses come from the settings unless said; the merchant as payee is not said twice."""
    silent = CreateTrade(
        merchant="",
        out_trade_no="A1",
        product=Product.INSTANT,
        subject="tea",
        amount=Money(100, "CNY"),
        seller=Party("1001"),
    )
    filled = replace(silent, merchant="1001", seller=Party(), return_url=VALUES["back"])
    assert complete(silent, CREDENTIALS, "notify", "back") == filled
    said = replace(
        silent, merchant="2", seller=Party("3"), notify_url="https://n.example/", return_url="https://r.example/"
    )
    assert complete(said, CREDENTIALS, "back", "back") == said
    query = QueryTrade(merchant="", out_trade_no="A1")
    assert complete(query, CREDENTIALS) == replace(query, merchant="1001")
