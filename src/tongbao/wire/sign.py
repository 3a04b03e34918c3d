"""Signing schemes and key loading: the tools codecs are made of.

Hash concatenations and HMAC give lower-case hex, RSA gives standard base64. Verifiers return a plain bool that is
True only after the one comparison (T03, T04); they compare in constant time (T23) and never pick a key or an
algorithm themselves (T05, T20). Keys are parsed once: loading a private key costs more than signing with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Collection
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature as BadRsaSignature
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.kernel.error import ConfigurationError

SHA1: Final = hashes.SHA1()
SHA256: Final = hashes.SHA256()

_PADDING: Final = padding.PKCS1v15()
_SPACE: Final = re.compile(r"\s+")
_PLACEHOLDERS: Final = frozenset(
    ("test", "changeme", "change_me", "secret", "password", "key", "null", "none", "undefined", "todo", "xxx", "demo")
)


def md5_suffix(text: bytes, secret: bytes) -> str:
    """MD5 of the text immediately followed by the secret, as 32 lower-case hex digits."""
    return hashlib.md5(text + secret, usedforsecurity=False).hexdigest()


def hmac_hex(algorithm: str, text: bytes, secret: bytes) -> str:
    """RFC 2104 HMAC by a ``hashlib`` name (``md5``, ``sha256``), in lower-case hex."""
    return hmac.new(secret, text, algorithm).hexdigest()


def is_weak(algorithm: str) -> bool:
    """Whether a signature algorithm stands on MD5: platforms cap what it may ask for, and say so at the start (T12)."""
    return "MD5" in algorithm


def equal(left: str | bytes, right: str | bytes) -> bool:
    """Whether two texts are the same bytes, in time that does not tell where they differ."""
    one = left.encode("utf-8", "surrogatepass") if isinstance(left, str) else left
    two = right.encode("utf-8", "surrogatepass") if isinstance(right, str) else right
    return hmac.compare_digest(one, two)


def rsa_sign(text: bytes, key: RSAPrivateKey, digest: hashes.HashAlgorithm) -> str:
    """PKCS#1 v1.5 signature in base64."""
    return base64.b64encode(key.sign(text, _PADDING, digest)).decode("ascii")


def rsa_verify(text: bytes, signature: str, key: RSAPublicKey, digest: hashes.HashAlgorithm) -> bool:
    """Whether ``signature`` is the one canonical base64 text (T16) of a PKCS#1 v1.5 signature of ``text``."""
    raw = decode_base64(signature)
    if raw is None:
        return False
    try:
        key.verify(raw, text, _PADDING, digest)
    except BadRsaSignature:
        return False
    return True


def decode_base64(text: str) -> bytes | None:
    """The bytes of standard, padded, unbroken base64; None unless encoding them again gives the same text (T16)."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode("ascii") == text else None


# --- loading -----------------------------------------------------------------------------------------------------


def load_secret(text: str, field: str, *, shortest: int = 16, published: Collection[str] = ()) -> bytes:
    """A shared secret as ASCII bytes. Raises ConfigurationError for what must never sign money (T01).

    Refused: blank, blanks around or inside, not ASCII, a placeholder, one repeated character, a key printed in
    somebody's manual (``published``), fewer than ``shortest`` bytes.
    """
    if not text.strip():
        raise ConfigurationError(field, "is empty")
    if _SPACE.search(text) or not text.isascii() or not text.isprintable():
        raise ConfigurationError(field, "holds blanks or characters that no key has; was it copied whole?")
    if text.lower().strip("<>{}[]-_*.") in _PLACEHOLDERS or len(set(text)) == 1:
        raise ConfigurationError(field, "is a placeholder")
    if text in published:
        raise ConfigurationError(field, "is a sample key that everybody can read; use your own")
    if len(text) < shortest:
        raise ConfigurationError(field, f"is shorter than {shortest} characters")
    return text.encode("ascii")


PRIVATE: Final = "private key"
PUBLIC: Final = "public key"
CERTIFICATE: Final = "certificate"
REQUEST: Final = "certificate request"
_READERS: Final[tuple[tuple[str, Callable[[bytes], object]], ...]] = (
    (PRIVATE, lambda raw: serialization.load_der_private_key(raw, password=None)),
    (PUBLIC, serialization.load_der_public_key),
    (CERTIFICATE, x509.load_der_x509_certificate),
    (REQUEST, x509.load_der_x509_csr),
)
_BLOCK: Final = re.compile(r"-----BEGIN [A-Z0-9 ]+-----([A-Za-z0-9+/=\s]*)-----END")
_PART: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)


def kind_of(text: str) -> str:
    """Which of the four a PEM or base64 text is, by what it holds, else by what PEM calls it; '' for none."""
    block = _BLOCK.search(text)
    raw = decode_base64(_SPACE.sub("", block[1] if block else text))
    for kind, read in _READERS if raw else ():
        try:
            read(raw or b"")
        except TypeError:  # it wants a password
            return kind
        except (ValueError, UnsupportedAlgorithm):
            continue
        return kind
    return next((kind for kind, _ in _READERS if f"{kind.upper()}-----" in text), "")


def unreadable(text: str, wanted: str) -> str:
    """What is wrong with a text that is not the ``wanted`` one."""
    kind, bare = kind_of(text), _SPACE.sub("", text)
    if kind not in ("", wanted):
        return f"is a {kind}; the {wanted} belongs here"
    if not bare:
        return "is empty"
    if "-----BEGIN" not in text and _PART.fullmatch(bare) is None:
        return "is neither PEM nor base64"
    return f"is not a {wanted} that can be read; was it copied whole?"


def _load(text: str, field: str, wanted: str) -> object:
    """The key in a text. Errors have no cause: that of a decoder may hold the text, which may be a secret (T01)."""
    pem = "-----BEGIN" in text
    raw = (text.strip().encode("ascii") if text.isascii() else b"") if pem else decode_base64(_SPACE.sub("", text))
    try:
        if wanted == PRIVATE:
            read = serialization.load_pem_private_key if pem else serialization.load_der_private_key
            return read(raw or b"", password=None)
        return (serialization.load_pem_public_key if pem else serialization.load_der_public_key)(raw or b"")
    except TypeError:
        reason = "is protected by a password; store it without one"
    except (ValueError, UnsupportedAlgorithm):
        reason = unreadable(text, wanted)
    raise ConfigurationError(field, reason)


def load_rsa_private(text: str, field: str, *, smallest: int = 1024) -> RSAPrivateKey:
    """A private key from PEM (PKCS#1 or PKCS#8, not encrypted) or from the bare base64 that platforms hand out. Raises
    ConfigurationError, which names another kind of key or certificate, quotes nothing, and has no cause (T01)."""
    key = _load(text, field, PRIVATE)
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError(field, "is not an RSA key")
    if key.key_size < smallest:
        raise ConfigurationError(field, f"has {key.key_size} bits; at least {smallest} are needed")
    return key


def load_rsa_public(text: str, field: str, *, smallest: int = 1024) -> RSAPublicKey:
    """A public key from PEM or from the bare base64 that platforms hand out. Raises ConfigurationError likewise: what
    stands there may be the private key."""
    key = _load(text, field, PUBLIC)
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError(field, "is not an RSA key")
    if key.key_size < smallest:
        raise ConfigurationError(field, f"has {key.key_size} bits; at least {smallest} are needed")
    return key


def private_pem(key: RSAPrivateKey) -> str:
    """PKCS#8 PEM, for a credentials file."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def public_pem(key: RSAPublicKey) -> str:
    """SubjectPublicKeyInfo PEM, for a credentials file."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")
