"""The HTML form: escaped, in the call's charset, working without scripts, and refusing what browsers would change."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from tongbao.kernel.error import LocalProtocolError
from tongbao.merchant.page import html_form, html_page
from tongbao.wire.contract import Call
from tongbao.wire.vocabulary import Carriage

FIELDS = (
    ("subject", '"><script>alert(1)</script>&amp;'),
    ("submit", "x"),
    ("_input_charset", "gbk"),
    ("body", "茶 & 杯"),
)


def make(fields: tuple[tuple[str, str], ...] = FIELDS, charset: str = "gbk", method: str = "POST") -> Call:
    return Call(
        Carriage.BROWSER,
        method,
        "https://pay.example/gateway.do?a=1",
        fields,
        charset,
        query=(("_input_charset", "gbk"),),
    )


class Form(HTMLParser):
    """What a browser reads out of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.form: dict[str, str | None] = {}
        self.fields: list[tuple[str | None, str | None]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag == "form":
            self.form = given
        elif tag == "input":
            self.fields.append((given.get("name"), given.get("value")))


@pytest.mark.parametrize("language", ["zh", "en", "fr"])
def test_the_form_carries_exactly_the_fields(language: str) -> None:
    """What a parser reads back is what was signed; there is one button and one script."""
    read = Form(html_page(make(), language))
    assert tuple(read.fields) == FIELDS
    assert read.form == {
        "id": "tongbao-pay",
        "method": "post",
        "action": "https://pay.example/gateway.do?a=1&_input_charset=gbk",
        "accept-charset": "gbk",
    }
    assert (read.tags.count("button"), read.tags.count("script")) == (1, 1)


def test_the_words_are_in_the_buyers_language() -> None:
    """Chinese, English, and English for others."""
    assert "<button>前往支付</button>" in html_form(make(), "zh")
    assert "<button>Continue to payment</button>" in html_form(make(), "en")
    assert "<button>Continue to payment</button>" in html_form(make(), "fr")


def test_scripts_are_optional_and_carry_a_nonce() -> None:
    """Without ``auto`` there is no script; with a nonce it is on the tag; the method of a GET call is get."""
    assert "script>" not in html_form(make((("a", "b"),)), auto=False)
    assert '<script nonce="R&quot;1">' in html_form(make(), nonce='R"1')
    assert Form(html_form(make(method="GET"))).form["method"] == "get"


@pytest.mark.parametrize(
    ("fields", "charset", "reason"),
    [
        ((("body", "a\nb"),), "utf-8", "body: holds a line break"),
        ((("_charset_", "gbk"),), "utf-8", "_charset_: browsers replace"),
        ((("subject", "☕"),), "gbk", "subject: holds a character that gbk cannot say"),
    ],
)
def test_what_a_browser_would_change_is_refused(fields: tuple[tuple[str, str], ...], charset: str, reason: str) -> None:
    """Line breaks, the magic name and characters outside the charset would break the signature on the way."""
    with pytest.raises(LocalProtocolError, match=reason):
        html_form(make(fields, charset))
