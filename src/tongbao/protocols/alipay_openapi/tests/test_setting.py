"""Settings: keys in every form in which they are handed out, serial numbers, and errors that say what is wrong."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.protocol.bench import NOW, make_pair
from tests.protocol.vector import vectors
from tongbao.kernel.error import ConfigurationError
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi.mode import root_serial, serial_of
from tongbao.protocols.alipay_openapi.secret import hide, reveal
from tongbao.wire.certificate import chain_pem, is_trusted, load_chain
from tongbao.wire.sign import load_rsa_private, load_rsa_public
from tongbao.wire.vocabulary import QueryTrade

SETTINGS = make_pair("alipay_openapi", "RSA2", "utf-8").settings
KEY = load_rsa_private(SETTINGS["app_private_key"], "app_private_key")
PUBLIC = load_rsa_public(SETTINGS["alipay_public_key"], "alipay_public_key")


def bare(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def in_line(name: str) -> str:
    """What stands in a PEM text, as consoles hand it out."""
    return "".join(SETTINGS[name].splitlines()[1:-1])


PRIVATE_FORMS = {
    f"{form}-{name}": text
    for form, kind in (("PKCS8", PrivateFormat.PKCS8), ("PKCS1", PrivateFormat.TraditionalOpenSSL))
    for name, text in (
        ("PEM", KEY.private_bytes(Encoding.PEM, kind, NoEncryption()).decode("ascii")),
        ("base64", bare(KEY.private_bytes(Encoding.DER, kind, NoEncryption()))),
    )
}
PUBLIC_FORMS = {
    "SPKI-PEM": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii"),
    "SPKI-base64": bare(PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
    "PKCS1-PEM": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode("ascii"),
    "PKCS1-base64": bare(PUBLIC.public_bytes(Encoding.DER, PublicFormat.PKCS1)),
}


@pytest.mark.parametrize("private", PRIVATE_FORMS)
@pytest.mark.parametrize("public", PUBLIC_FORMS)
def test_keys_in_every_form(private: str, public: str) -> None:
    """PEM or one line of base64, PKCS#1 or PKCS#8: the same key, and the same signature."""
    said = {**SETTINGS, "mode": "key"}
    plain = PROTOCOL.client.load(said)
    other = {**said, "app_private_key": PRIVATE_FORMS[private], "alipay_public_key": PUBLIC_FORMS[public]}
    loaded = PROTOCOL.client.load(other)
    query = QueryTrade(merchant="", out_trade_no="T1")
    assert PROTOCOL.client.encode(query, loaded, NOW) == PROTOCOL.client.encode(query, plain, NOW)


def test_certificates_in_every_form() -> None:
    """PEM with or without blank lines, and one line of base64."""
    app = load_chain(SETTINGS["app_cert"], "app_cert")[0]
    der = bare(app.public_bytes(Encoding.DER))
    for text in (SETTINGS["app_cert"], f"\n\n{SETTINGS['app_cert']}\n\n", der):
        said = PROTOCOL.client.load({**SETTINGS, "app_cert": text, "mode": "certificate"})
        assert said.ring.sign[0].chain[0] == app


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("app_id", "abc", "16 digits"),
        ("app_private_key", SETTINGS["alipay_public_key"], "public key; the private key"),
        ("app_private_key", PUBLIC_FORMS["SPKI-base64"], "public key; the private key"),
        ("app_private_key", PUBLIC_FORMS["PKCS1-base64"], "public key; the private key"),
        ("app_private_key", SETTINGS["app_private_key"][:400], "copied whole"),
        ("app_private_key", SETTINGS["app_cert"], "certificate; the private key"),
        ("app_private_key", in_line("app_cert"), "certificate; the private key"),
        ("alipay_public_key", SETTINGS["app_private_key"], "private key; the public key"),
        ("alipay_public_key", PRIVATE_FORMS["PKCS1-base64"], "private key; the public key"),
        ("alipay_public_key", PRIVATE_FORMS["PKCS8-base64"], "private key; the public key"),
        ("alipay_public_key", SETTINGS["alipay_cert"], "alipay_cert"),
        ("alipay_public_key", in_line("alipay_cert"), "alipay_cert"),
        ("alipay_public_key", "", "empty"),
        ("sign_type", "MD5", "RSA2"),
        ("charset", "big5", "utf-8"),
        ("mode", "cert", "certificate"),
        ("interface", "v4", "v3"),
        ("gateway", "openapi.alipay.com", "absolute"),
        ("encrypt_key", "aYA0GP8JEW+D7/UFaskCWA==", "sample"),
        ("encrypt_key", "c2hvcnQ=", "16 bytes"),
        ("encrypt_type", "DES", "AES"),
        ("app_cert", "-----BEGIN PUBLIC KEY-----", "public key; the certificate"),
        ("app_cert", PRIVATE_FORMS["PKCS8-base64"], "private key; the certificate"),
        ("app_cert", "-----BEGIN CERTIFICATE REQUEST-----", "request; the certificate"),
        ("app_cert", f"{SETTINGS['app_cert'][:300]}密{SETTINGS['app_cert'][301:]}", "copied whole"),
    ],
)
def test_errors_say_what_is_wrong(field: str, value: str, reason: str) -> None:
    """The field and the reason; never the value of a secret."""
    with pytest.raises(ConfigurationError) as caught:
        PROTOCOL.client.load({**SETTINGS, "mode": "key", field: value})
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert len(value) < 40 or value not in str(caught.value)
    if "key" in field or "cert" in field:  # nor within reach
        assert (caught.value.__context__, caught.value.__cause__) == (None, None)


def test_the_own_public_key_is_not_the_platforms() -> None:
    """The commonest mistake of all has an error of its own."""
    own = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    with pytest.raises(ConfigurationError) as caught:
        PROTOCOL.client.load({**SETTINGS, "mode": "key", "alipay_public_key": own})
    assert "application's own" in caught.value.reason


@pytest.mark.parametrize("mode", ["key", "certificate"])
def test_T84_the_next_key_is_another_of_the_platforms(mode: str) -> None:
    """Neither the present one nor the application's own, and not without the present one: a slip is found when it is
    written down, in certificate mode, which trusts neither, too."""
    own = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    present = SETTINGS["alipay_public_key"]
    for said, field, reason in (
        ({"alipay_public_key_next": present}, "alipay_public_key_next", "the key of alipay_public_key"),
        ({"alipay_public_key_next": own}, "alipay_public_key_next", "application's own"),
        ({"alipay_public_key_next": PRIVATE_FORMS["PKCS8-PEM"]}, "alipay_public_key_next", "private key"),
        ({"alipay_public_key_next": present, "alipay_public_key": ""}, "alipay_public_key", "empty"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            PROTOCOL.client.load({**SETTINGS, "mode": mode, **said})
        assert caught.value.field == field
        assert reason in caught.value.reason


def test_certificates_must_fit() -> None:
    """The application's certificate is of its key, the platform's is another, and both are checked on loading."""
    other = make_pair("alipay_openapi", "RSA2", "utf-8", 1).settings
    for field, value in (("app_cert", other["app_cert"]), ("alipay_cert", SETTINGS["app_cert"])):
        with pytest.raises(ConfigurationError) as caught:
            PROTOCOL.client.load({**SETTINGS, "mode": "certificate", field: value})
        assert caught.value.field == field


def test_short_keys_are_refused() -> None:
    """RSA2 wants 2,048 bits."""
    small = generate_private_key(65_537, 1_024)
    text = bare(small.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ConfigurationError) as caught:
        PROTOCOL.client.load({**SETTINGS, "mode": "key", "app_private_key": text})
    assert "1024 bits" in caught.value.reason


def test_defaults_are_productions() -> None:
    """Without an address the client speaks to production, in key mode where a public key is given."""
    said = {name: SETTINGS[name] for name in ("app_id", "app_private_key", "alipay_public_key")}
    loaded = PROTOCOL.client.load(said)
    assert loaded.gateway == "https://openapi.alipay.com/gateway.do"
    assert (loaded.values["mode"], loaded.values["sign_type"]) == ("key", "RSA2")


def test_serial_numbers_are_the_libraries() -> None:
    """Known values: certificates of a test authority whose numbers three libraries computed alike; no EC roots."""
    vector = next(one for one in vectors() if one.name == "request_query_certificate")
    chain = load_chain(vector.data["keys"][0]["certificates"], "certificates")
    assert serial_of(chain[0]) == "c5f2d19e8682f8405b7a505fa83aa29a"
    assert len(chain) == 4
    assert root_serial(chain[1:]) == "3aff512f70aef4d5d364ccba962c77ef_22746bd3abbbaed7d6128c887e13e964"
    assert is_trusted(chain[0], chain[1:2], NOW) is False
    assert load_chain(chain_pem(chain), "chain") == chain


def test_contents_are_encrypted_as_published() -> None:
    """AES-128-CBC with a zero IV: the published texts both ways."""
    key = base64.b64decode("aYA0GP8JEW+D7/UFaskCWA==")
    for plain, cipher in (
        ('{"out_trade_no":"X"}', "HJjZXDcVHUcOrByocVgEmkblFr1h4B96FEECMJxlc+w="),
        (
            '{"code":"10000","msg":"Success","aes_key":"cW8mcZgoMGUVp5g7uv7bHw=="}',
            "4AOYHE0rpPnRnghunsGo+mY02DzANFLwNJJCiHfrNh2oaB2pn33PwOEOvH8mjhkE3Wh/jR+3jHM9nvoFvOsY/SqZbZzamRg9Eh3VkRqOhSM=",
        ),
    ):
        assert hide(plain.encode("utf-8"), key) == cipher
        assert reveal(cipher, key, "x") == plain.encode("utf-8")
