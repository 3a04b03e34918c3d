"""The page of a refused payment request tells the developer what is wrong, and nobody a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.house import BASE, MERCHANT, NOTIFY, PROTOCOL, SECRET, ask, house, run
from tongbao.kernel.error import InvalidSignature, OutcomeUnknown, Refused, RemoteProtocolError, TongbaoError
from tongbao.kernel.money import Money
from tongbao.web.app import build_web
from tongbao.web.page.error import Pages
from tongbao.wire.contract import Claim
from tongbao.wire.http import Request, get
from tongbao.wire.loader import load_protocol
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import Carriage, CreateTrade, Product, TradeOpened

POLYGLOT = "\"'><svg/onload=alert(1)><script>alert(2)</script>{{7*7}}"


def request(query: bytes = b"", language: bytes = b"en") -> Request:
    return Request("GET", "http", "p.test", b"/gateway.do", query, ((b"accept-language", language),))


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("language", [b"zh", b"en"])
def test_every_refusal_has_a_page(code: str, language: bytes) -> None:
    """Each code makes a complete page with the protocol's own word for it, in both languages."""
    manifest = load_protocol(PROTOCOL)
    error = Refused(code, "because")
    answer = Pages().error_page(manifest, None, error, request(language=language))
    body = answer.body.decode()
    assert 400 <= answer.status < 600
    assert manifest.server.refusal_code(error) in body
    assert f"<code>{code}</code>" in body
    assert "because" in body


def test_T54_nothing_of_the_request_becomes_markup() -> None:
    """Field, reason, merchant, operation and signed string are text on the page, whatever they hold."""
    claim = Claim(POLYGLOT, POLYGLOT, Carriage.BROWSER, None)
    query = b"service=create_direct_pay_by_user&partner=2088000000000001&_input_charset=utf-8&subject="
    query += POLYGLOT.encode().hex(" ").replace(" ", "%").encode().join((b"%", b"&sign=x&sign_type=MD5"))
    for error in (InvalidSignature(POLYGLOT, POLYGLOT), RemoteProtocolError(POLYGLOT, POLYGLOT, "FIELD_INVALID")):
        body = Pages().error_page(load_protocol(PROTOCOL), claim, error, request(query)).body.decode()
        assert "<script" not in body
        assert "<svg/onload" not in body
        assert "{{7*7}}" in body


@pytest.mark.parametrize("error", [OutcomeUnknown("secret-inside"), TongbaoError("secret-inside")])
def test_a_failure_of_ours_says_nothing_about_itself(error: TongbaoError) -> None:
    """What went wrong inside is for the log, not for the page."""
    answer = Pages().error_page(load_protocol(PROTOCOL), None, error, request())
    assert (answer.status, b"secret-inside" in answer.body) == (503, False)


def test_the_way_into_the_cashier_is_a_redirect() -> None:
    """The browser goes on by GET, without telling where it came from."""
    answer = Pages().open_cashier(TradeOpened("1" * 28, "http://p.test/cashier/word"))
    assert (answer.status, answer.header("location")) == (302, "http://p.test/cashier/word")
    assert answer.header("referrer-policy") == "no-referrer"


def test_T10_a_wrong_signature_is_explained_with_the_key_masked(tmp_path: Path) -> None:
    """Over the face: 403, ILLEGAL_SIGN, the string that was signed, the signature that came; never the key."""

    async def main() -> None:
        async with house(tmp_path) as home:
            web = build_web(home.platform, Pages())
            intent = CreateTrade(
                merchant=MERCHANT,
                out_trade_no="E1",
                product=Product.INSTANT,
                subject="茶",
                amount=Money(1_000),
                notify_url=NOTIFY,
            )
            call = home.credentials, home.platform.world.clock.wire()
            link = load_protocol(PROTOCOL).client.encode(intent, *call).link()
            good = await ask(web.main, get(link, ((b"accept", b"text/html"),)))
            assert (good.status, (good.header("location") or "").startswith(f"{BASE}/cashier/")) == (302, True)
            bad = await ask(web.main, get(link.replace("10.00", "0.01"), ((b"accept", b"text/html"),)))
            body = bad.body.decode()
            assert bad.status == 403
            for word in ("ILLEGAL_SIGN", "SIGN_INVALID", "total_fee=0.01", "subject=茶", "MD5"):
                assert word in body
            assert SECRET not in body
            assert "frame-ancestors 'none'" in (bad.header("content-security-policy") or "")

    run(main)
