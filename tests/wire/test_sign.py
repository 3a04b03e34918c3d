"""Signing schemes and key loading (T01, T03, T04, T16, T23)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tongbao.kernel.error import ConfigurationError
from tongbao.wire.sign import (
    SHA1,
    SHA256,
    decode_base64,
    equal,
    hmac_hex,
    load_rsa_private,
    load_rsa_public,
    load_secret,
    md5_suffix,
    private_pem,
    public_pem,
    rsa_sign,
    rsa_verify,
)

KEY = rsa.generate_private_key(65_537, 2_048)


def test_published_digests() -> None:
    """MD5 with a suffix as a published suite has it; HMAC as RFC 2202 and RFC 4231 have it."""
    assert md5_suffix(b"partner=123&service=test", b"1" + b"0" * 31) == "bbd13b52823b576291595f472ebcfbc2"
    assert hmac_hex("md5", b"Hi There", b"\x0b" * 16) == "9294727a3638bb1c13f48ef8158bfc9d"
    assert hmac_hex("sha256", b"what do ya want for nothing?", b"Jefe") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_T23_comparison_takes_any_text() -> None:
    """Texts that are not ASCII, of different length or half characters compare, and only equals are equal."""
    assert equal("abc", b"abc")
    for other in ("", "ab", "abd", "abc ", "ABC", "测试", "\ud800"):
        assert not equal("abc", other)


@pytest.mark.parametrize("digest", [SHA1, SHA256])
def test_rsa(digest: object) -> None:
    """A signature verifies over its own text, key and digest only."""
    chosen, other = (SHA1, SHA256) if digest is SHA1 else (SHA256, SHA1)
    signature = rsa_sign(b"text", KEY, chosen)
    assert rsa_verify(b"text", signature, KEY.public_key(), chosen)
    assert not rsa_verify(b"text!", signature, KEY.public_key(), chosen)
    assert not rsa_verify(b"text", signature, KEY.public_key(), other)
    assert not rsa_verify(b"text", signature, rsa.generate_private_key(65_537, 2_048).public_key(), chosen)
    for junk in ("", "AAAA", "=", "ab", "é", signature[:-4], signature + "AAAA"):
        assert not rsa_verify(b"text", junk, KEY.public_key(), chosen)


@pytest.mark.parametrize("text", ["YR==", "YQ", "YQ=", "YQ==\n", " YQ==", "Y Q==", "-_-_", "YQ===", "é"])
def test_T16_base64_has_one_spelling(text: str) -> None:
    """Padding bits, missing padding, blanks and the URL alphabet are no base64."""
    assert decode_base64(text) is None


def test_base64() -> None:
    """The canonical spelling is read."""
    assert decode_base64("YQ==") == b"a"


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("changeme", "placeholder"),
        ("<password>", "placeholder"),
        ("0" * 32, "placeholder"),
        ("short1", "shorter"),
        ("0123456789abcde", "shorter"),
        ("0123456789abcdef ", "blanks"),
        ("密钥密钥密钥密钥密钥", "characters"),
        ("published-in-a-manual-0001", "sample"),
    ],
)
def test_T01_worthless_secrets(secret: str, reason: str) -> None:
    """A secret that anybody could guess is refused, naming the field and the reason, never the secret."""
    with pytest.raises(ConfigurationError) as caught:
        load_secret(secret, "key", published=("published-in-a-manual-0001",))
    assert caught.value.field == "key"
    assert reason in caught.value.reason
    assert not secret.strip() or secret not in str(caught.value)


def test_keys_load_in_every_form() -> None:
    """PEM in both private formats and the bare base64 that platforms hand out lead to the same key."""
    numbers = KEY.private_numbers()
    traditional = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode("ascii")
    bare = "".join(private_pem(KEY).splitlines()[1:-1])
    for text in (private_pem(KEY), traditional, bare, f"\n{private_pem(KEY)}\n"):
        assert load_rsa_private(text, "private_key").private_numbers() == numbers
    public = public_pem(KEY.public_key())
    for text in (public, "".join(public.splitlines()[1:-1])):
        assert load_rsa_public(text, "public_key").public_numbers() == KEY.public_key().public_numbers()


def line(key: ec.EllipticCurvePublicKey) -> str:
    """A public key as consoles hand it out."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode("ascii")


def test_wrong_keys_say_what_is_wrong() -> None:
    """Each mistake with a key file has its own sentence, and the field's name."""
    private, public = private_pem(KEY), public_pem(KEY.public_key())
    curve = ec.generate_private_key(ec.SECP256R1())
    other = curve.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
    locked = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    ).decode("ascii")
    for text, reason in (
        ("", "empty"),
        ("not base64!", "neither PEM nor base64"),
        (private.replace("M", "密", 1), "copied whole"),
        ("".join(private.splitlines()[1:-1])[:-3], "copied whole"),
        ("QUJD", "copied whole"),
        (private[:200], "copied whole"),
        (public, "is a public key; the private key"),
        ("".join(public.splitlines()[1:-1]), "is a public key; the private key"),
        (other, "not an RSA key"),
        (locked, "password"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            load_rsa_private(text, "private_key")
        assert (caught.value.field, reason in caught.value.reason) == ("private_key", True)
        assert (caught.value.__context__, caught.value.__cause__) == (None, None)  # they could hold the text (T01)
    for text, reason in (
        ("", "empty"),
        (private, "is a private key; the public key"),
        ("".join(private.splitlines()[1:-1]), "is a private key; the public key"),
        (locked, "is a private key; the public key"),
        (public[:100], "copied whole"),
        (line(curve.public_key()), "not an RSA key"),
        (other, "is a private key; the public key"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            load_rsa_public(text, "public_key")
        assert (caught.value.field, reason in caught.value.reason) == ("public_key", True)
        assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    with pytest.raises(ConfigurationError):
        load_rsa_private(private, "private_key", smallest=4_096)
    with pytest.raises(ConfigurationError):
        load_rsa_public(public, "public_key", smallest=4_096)
