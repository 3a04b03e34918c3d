"""Which keys count: a platform's certificate that a client learns, a merchant's that was revoked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.protocol.bench import CHANCE, NOW, Pair, authority, make_pair, rsa_key
from tongbao.kernel.error import InvalidSignature
from tongbao.kernel.money import Money
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi.client import trust
from tongbao.sandbox.chain import MERCHANT, issue
from tongbao.wire.certificate import certificate_key, chain_pem
from tongbao.wire.contract import Credentials
from tongbao.wire.key import Key, KeyState
from tongbao.wire.vocabulary import Notification, QueryTrade, TradeFound, TradeState, TradeView

PAIR = make_pair("alipay_openapi", "RSA2", "utf-8")


def test_T20_a_root_issues_more_than_the_platforms_certificates() -> None:
    """Its next one counts. The application's own, which anybody has seen, and another merchant's do not, though the
    same root has issued them."""
    keys = PAIR.credentials
    fresh = rsa_key(7).public_key()
    known = trust(keys, issue(authority(), fresh, "renewed", "Platform", CHANCE), NOW)
    assert known.ring.verify[:-1] == keys.ring.verify
    own = next(key for key in keys.ring.sign if key.chain)
    for certificate, reason in (
        (chain_pem(own.chain[:1]), "the application's own"),
        (
            issue(authority(), certificate_key(own.chain[0], "app_cert"), "renewed", "Platform", CHANCE),
            "the application's own",
        ),
        (issue(authority(), fresh, "2021000000000009", MERCHANT, CHANCE), "another organisation's"),
    ):
        with pytest.raises(InvalidSignature) as caught:
            trust(keys, certificate, NOW)
        assert (caught.value.field, caught.value.code) == ("alipay_cert_content", "KEY_UNKNOWN")
        assert reason in caught.value.reason


@pytest.mark.parametrize("interface", ["v2", "v3"])
@pytest.mark.parametrize(("mode", "told"), [("key", "SIGN_INVALID"), ("certificate", "KEY_REVOKED")])
def test_T84_a_revoked_key_is_told_where_the_request_names_it(mode: str, told: str, interface: str) -> None:
    """Beside a live key: a certificate is named, and its refusal says that it is revoked; in key mode the revoked
    key is not tried. Where no other is live, it is revoked in both. A certificate that nobody has is none."""
    keys = PROTOCOL.client.load({**PAIR.settings, "mode": mode, "interface": interface})
    asked = PROTOCOL.client.encode(QueryTrade(merchant="", out_trade_no="T1"), keys, NOW).request()
    live = make_pair("alipay_openapi", "RSA2", "utf-8", 1).ring.verify[-1]
    dead = replace(PAIR.ring.verify[-1], state=KeyState.REVOKED)

    def code(*ring: Key) -> str:
        with pytest.raises(InvalidSignature) as caught:
            PROTOCOL.server.decode(PROTOCOL.server.claim(asked), replace(PAIR.ring, verify=ring), NOW)
        return caught.value.code

    assert [code(dead, live), code(live, dead), code(dead)] == [told, told, "KEY_REVOKED"]
    assert code(live) == ("SIGN_INVALID" if mode == "key" else "KEY_UNKNOWN")


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_T84_the_platforms_key_changes_in_key_mode(interface: str) -> None:
    """While both are configured, answers and notifications by either count, and nobody else's; once the old one is out
    of the settings, what it signs is refused."""
    old, new, stranger = (make_pair("alipay_openapi", "RSA2", "utf-8", number) for number in (0, 1, 2))
    said = {**old.settings, "mode": "key", "interface": interface}
    following = new.settings["alipay_public_key"]
    before, during, after = (
        PROTOCOL.client.load({**said, **more})
        for more in ({}, {"alipay_public_key_next": following}, {"alipay_public_key": following})
    )
    query = QueryTrade(merchant="", out_trade_no="T1")
    view = TradeView(
        merchant=old.credentials.merchant, out_trade_no="T1", trade_no="2026010222001400000000000001", subject="tea",
        state=TradeState.PAID, amount=Money(1_234), paid_at=NOW,
    )  # fmt: skip
    claim = PROTOCOL.server.claim(PROTOCOL.client.encode(query, before, NOW).request())

    def heard(keys: Credentials, pair: Pair) -> list[str]:
        ring = replace(PAIR.ring, sign=pair.ring.sign)
        answer = PROTOCOL.server.answer(claim, TradeFound(view), ring, NOW)
        note = PROTOCOL.server.notify(
            Notification(id="n1", at=NOW, trade=view), "https://shop.example.com/n", ring, NOW
        )
        codes = []
        for hear in (
            lambda: PROTOCOL.client.decode(query, answer, keys, NOW),
            lambda: PROTOCOL.client.decode_notification(note, keys, NOW),
        ):
            try:
                hear()
            except InvalidSignature as error:
                codes.append(error.code)
            else:
                codes.append("")
        return codes

    good, bad = ["", ""], ["SIGN_INVALID"] * 2
    assert [heard(keys, old) for keys in (before, during, after)] == [good, good, bad]
    assert [heard(keys, new) for keys in (before, during, after)] == [bad, good, good]
    assert heard(during, stranger) == bad
