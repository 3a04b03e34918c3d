"""Certificates of the platform that a client learns: issued by a configured root, and the platform's own."""

from __future__ import annotations

import pytest

from tests.protocol.bench import CHANCE, NOW, authority, make_pair, rsa_key
from tongbao.kernel.error import InvalidSignature
from tongbao.protocols.alipay_openapi.client import trust
from tongbao.sandbox.chain import MERCHANT, issue
from tongbao.wire.certificate import certificate_key, chain_pem

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
