"""Strict forms (T08, T14, T15), messages as values, and their description for logs (T65)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.wire.describe import describe
from tongbao.wire.form import FormLimits, encode_form, parse_form, split_form, unquote
from tongbao.wire.http import Request, Response, get, post, split_url
from tongbao.wire.loss import find_loss
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Product, QueryTrade

VALUE = st.text(st.characters(codec="gbk", exclude_categories=("Cc", "Cs")), max_size=20)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.dictionaries(VALUE.filter(bool), VALUE, max_size=10), st.sampled_from(("utf-8", "gbk", "gb18030")))
def test_written_is_read(fields: dict[str, str], charset: str) -> None:
    """Any names and values come back in order, in every charset."""
    pairs = tuple(fields.items())
    assert parse_form(encode_form(pairs, charset), charset) == pairs


_ANY = st.text("%=+&aAfF09 _~\r\n\x00\xff", max_size=12)
_PART = st.text("%+aAfF09 _~\n\x00\xff", max_size=6) | st.sampled_from(("%26", "%3D", "%00", "=", "", "%0a%0D", "%%41"))
_FIELD = st.tuples(_PART, _PART).map("=".join)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(_ANY, max_size=6) | st.lists(_FIELD, max_size=6))
def test_T14_pieces_are_decoded_each_by_itself(pieces: list[str]) -> None:
    """However fields are decoded together, each is what it is when decoded alone, by the plain rule."""
    raw = "&".join(pieces).encode("latin-1")
    plain = []
    for piece in [one for one in raw.split(b"&") if one]:
        name, _, value = piece.partition(b"=")
        plain.append(tuple(re.sub(rb"%([0-9a-fA-F]{2})", _byte, part.replace(b"+", b" ")) for part in (name, value)))
    assert split_form(raw) == tuple(plain)


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def test_T14_decoded_exactly_once() -> None:
    """``%252B`` is ``%2B``, plus is a blank, a lone percent sign stays."""
    assert unquote(b"%252B+%2B%zz%") == b"%2B +%zz%"
    assert parse_form(b"a=%252B&&b&=c&") == (("a", "%2B"), ("b", ""), ("", "c"))


@pytest.mark.parametrize(
    "raw", [b"a=1&a=2", b"a=1&%61=2", b"a=%00", b"a=%FF", b"a=%ED%A0%80", b"a=%EF%BF%BD", b"%81=1"]
)
def test_T08_T15_refused(raw: bytes) -> None:
    """Duplicates after decoding, NUL, foreign bytes, surrogates and replacement characters are refused."""
    with pytest.raises(RemoteProtocolError):
        parse_form(raw)


def test_limits() -> None:
    """Whole text, number of fields and each field are bounded."""
    for raw in (b"a" * 11, b"a&b&c&d", b"a=123456"):
        with pytest.raises(RemoteProtocolError) as caught:
            split_form(raw, FormLimits(size=10, fields=3, field=5))
        assert caught.value.code == "TOO_LARGE"


@pytest.mark.parametrize(
    "url",
    [
        "", "/n", "shop.example.com/n", "//shop.example.com/n", "ftp://a/", "http://", "http:///n", "http://u:p@h/",
        "http://h/a b",
        "http://h\\a/", "javascript:alert(1)", "http://h/\n", "http:/h/"],
)  # fmt: skip
def test_addresses_are_absolute(url: str) -> None:
    """Relative, schemeless, decorated and broken addresses are refused."""
    with pytest.raises(ValueError, match=r"."):
        split_url(url)


def test_messages_hide_their_content() -> None:
    """The repr of a message shows where it goes, never what it carries."""
    request = post("http://h/p?token=geheim", b"key=geheim", "text/plain", ((b"Cookie", b"geheim"),))
    assert "geheim" not in repr(request) + repr(Response(200, ((b"Set-Cookie", b"geheim"),), b"geheim"))
    assert request.url == "http://h/p?token=geheim"


def test_T65_description_is_one_safe_line() -> None:
    """Private values are hidden whatever the case of their name, controls never reach a log, long values are cut."""
    request = post("http://h/p?sign=geheim&a=1", b"SIGN=geheim&b=%0d%0ax&c=" + b"y" * 100 + b"&plain", "text/plain")
    line = describe(request, frozenset({"sign"}))
    assert line == (f"POST http://h/p sign=*** a=1 SIGN=*** b=??x c={'y' * 64}... (5 bytes without a name)")
    assert (
        describe(post("http://h/p", b'{"key": "geheim"}', "application/json"), frozenset())
        == "POST http://h/p 17 bytes"
    )
    assert describe(Response(404, (), b"abc"), frozenset()) == "HTTP 404, 3 bytes"
    many = describe(get("http://h/?" + "&".join(f"a{number}=1" for number in range(70))), frozenset())
    assert many.endswith("and 10 more")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=100), st.binary(max_size=100))
def test_description_never_fails(query: bytes, body: bytes) -> None:
    """Any bytes can be described, in one printable line."""
    line = describe(Request("POST", "http", "h", b"/", query, (), body), frozenset({"a"}))
    assert line.isprintable()


def test_loss_names_the_member() -> None:
    """What one value says and another does not is named; silence is no loss, nor is the protocol's own echo."""
    asked = CreateTrade(
        merchant="m", out_trade_no="1", product=Product.INSTANT, subject="s", amount=Money(1), seller=Party("2")
    )
    told = CreateTrade(
        merchant="m",
        out_trade_no="1",
        product=Product.INSTANT,
        subject="s",
        amount=Money(1),
        seller=Party("2", "x"),
        echo={"a": "b"},
    )
    assert find_loss(asked, told) == ""
    assert find_loss(told, asked) == "seller"
    assert find_loss(QueryTrade(merchant="m", trade_no="1"), QueryTrade(merchant="m", trade_no="2")) == "trade_no"
