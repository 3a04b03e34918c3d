"""What the laws cannot say of this interface: published strings, the page that says yes, the deal's number."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from tongbao.kernel.money import Money
from tongbao.kernel.time import parse_china
from tongbao.protocols.tenpay_cgi import messages as m
from tongbao.protocols.tenpay_cgi.client import Client
from tongbao.protocols.tenpay_cgi.codec import join
from tongbao.protocols.tenpay_cgi.request import deal_number
from tongbao.protocols.tenpay_cgi.server import Server
from tongbao.wire.form import parse_form
from tongbao.wire.http import Response
from tongbao.wire.sign import md5_suffix
from tongbao.wire.vocabulary import CreateTrade, Product, QueryTrade

CLIENT, SERVER = Client(), Server()
SETTINGS = {"bargainor_id": "1900000109", "key": "k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4"}
NOW = parse_china("2026-01-01 12:00:00")
NAMES = {"pay": m.PAY_NAMES, "result": m.RESULT_NAMES, "query": m.QUERY_NAMES, "answer": m.ANSWER_NAMES}
STRINGS = json.loads(files("tongbao.protocols.tenpay_cgi").joinpath("vectors", "strings.json").read_text("utf-8"))


@pytest.mark.parametrize(("name", "text", "digest", "kind"), STRINGS, ids=[row[0] for row in STRINGS])
def test_published_strings(name: str, text: str, digest: str, kind: str) -> None:
    """Every string has its digest over GBK, and its fields are joined as the table says."""
    signed, _, secret = text.rpartition("&key=")
    assert md5_suffix(f"{signed}&key=".encode("gbk"), secret.encode()).upper() == digest.upper()
    if "pay_result.php?" not in signed:
        assert join(dict(parse_form(signed.encode())), NAMES[kind]) == signed


OFFICIAL = (
    b'<html><head>\r\n<meta name="TENCENT_ONLINE_PAYMENT" content="China TENCENT">'
    b"<script language=\"javascript\">\r\nwindow.location.href='http://shop.example/show.php';\r\n</script>"
    b"</head><body></body></html>"
)


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (OFFICIAL, True),
        (b"<!DOCTYPE html>\n<html lang='zh'>\n<head><title>ok</title>" + m.MARK.encode() + b"</head></html>", True),
        (b"<html><head></head><body>" + m.MARK.encode() + b"</body></html>", False),
        (b"<html><head><title>ok</title></head></html>", False),
        (m.MARK.encode(), False),
        (b"success", False),
    ],
)
def test_F22_a_mark_in_the_head_of_a_page_is_a_yes(body: bytes, taken: bool) -> None:
    """The mark counts in the head of the page and nowhere else."""
    assert SERVER.acknowledged(Response(200, (), body)) is taken


def test_the_page_sends_the_browser_on() -> None:
    """The address stands in the page's script, in either kind of quotes, and our own page says it so."""
    assert SERVER.onward(OFFICIAL.decode()) == "http://shop.example/show.php"
    address = 'https://shop.example/a?b="c"&d=</script>'
    assert SERVER.onward(CLIENT.send_onward(address).body.decode("gbk")) == address
    assert SERVER.onward("<script>alert(1)</script>") == ""


def test_a_deal_has_the_same_number_in_payment_and_query() -> None:
    """Merchant, date and ten digits that follow from the order's number; the date is the order's own if it has one."""
    credentials = CLIENT.load(SETTINGS)
    sale = CreateTrade(merchant="", out_trade_no="20251231A7", product=Product.INSTANT, subject="梨", amount=Money(1))
    paid = dict(CLIENT.encode(sale, credentials, NOW).fields)
    asked = dict(CLIENT.encode(QueryTrade(merchant="", out_trade_no="20251231A7"), credentials, NOW).fields)
    assert paid["transaction_id"] == asked["transaction_id"] == deal_number("1900000109", "20251231", "20251231A7")
    assert (paid["date"], len(paid["transaction_id"])) == ("20251231", 28)
