"""A merchant's settings: checked, keys parsed once, errors that name the field and say what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.kernel.error import ConfigurationError
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.codec import ALGORITHMS, CODECS, RSA, RSA2
from tongbao.protocols.alipay_openapi.payee import SETTING, seller_of
from tongbao.protocols.alipay_openapi.secret import ALGORITHM, load_content_key
from tongbao.wire.certificate import Chain, certificate_key, chain_pem, load_chain
from tongbao.wire.contract import CredentialField, Credentials
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.setting import check_addresses
from tongbao.wire.sign import CERTIFICATE, kind_of, load_rsa_private, load_rsa_public, private_pem, public_pem

GATEWAY: Final = "https://openapi.alipay.com/gateway.do"
SANDBOX_GATEWAY: Final = "https://openapi-sandbox.dl.alipaydev.com/gateway.do"

MODES: Final = ("key", "certificate")
INTERFACES: Final = ("v2", "v3")
PUBLISHED_CONTENT_KEYS: Final = frozenset(("aYA0GP8JEW+D7/UFaskCWA==",))
"""Content keys that stand in public test suites."""

_APP: Final = re.compile(r"[0-9]{8,32}", re.ASCII)
_PLAIN: Final = (
    "app_id", "sign_type", "charset", "gateway", "return_url", "notify_url", "mode", "interface", "encrypt_type",
    "seller_id",
)  # fmt: skip
_PUBLIC: Final = ("alipay_public_key", "alipay_public_key_next")
_SMALLEST: Final = {RSA2: 2_048, RSA: 1_024}

FIELDS: Final = (
    CredentialField("app_id", "id", "the application's number (APPID), 16 digits"),
    CredentialField("app_private_key", "private_key", "the application's RSA key, PKCS#1 or PKCS#8, PEM or base64"),
    CredentialField(
        "alipay_public_key", "public_key", "the platform's RSA key (not the application's own); key mode", False
    ),
    CredentialField(
        "alipay_public_key_next",
        "public_key",
        "the platform's next RSA key, during a change: what either has signed counts; key mode",
        False,
    ),
    CredentialField("app_cert", "certificate", "the application's certificate; certificate mode", False),
    CredentialField("alipay_cert", "certificate", "the platform's certificate; certificate mode", False),
    CredentialField("alipay_root_cert", "certificate", "the bundle of root certificates; certificate mode", False),
    CredentialField("mode", "text", "key or certificate; certificate where no public key is given", False),
    CredentialField("sign_type", "text", "RSA2 (the default) or RSA", False),
    CredentialField("charset", "text", "utf-8 (the default) or gbk", False),
    CredentialField("encrypt_key", "secret", "the key for contents: base64 of 16 bytes", False),
    CredentialField("encrypt_type", "text", "AES to encrypt contents; empty (the default) not to", False),
    CredentialField("interface", "text", "v2 (gateway.do, the default) or v3 (REST)", False),
    CredentialField("gateway", "url", "address of gateway.do; that of the environment where it is empty", False),
    CredentialField(
        "seller_id",
        "text",
        "the payee's number (2088...), in notifications and for the balance",
        False,
    ),
    CredentialField("return_url", "url", "where the buyer's browser goes home, unless a request says", False),
    CredentialField("notify_url", "url", "where notifications go, unless a request says", False),
)


def read_settings(settings: Mapping[str, str]) -> Credentials:
    """The merchant's settings. Raises ConfigurationError naming the field."""
    values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
    content = (settings.get("encrypt_key") or "").strip() if "encrypt_key" in settings else None
    if content is not None and content in PUBLISHED_CONTENT_KEYS:
        raise ConfigurationError("encrypt_key", "is a sample key that everybody can read; use your own")
    if _APP.fullmatch(values["app_id"]) is None:
        raise ConfigurationError("app_id", "is not the 16 digits of an application's number")
    for name, words, default in (
        ("sign_type", ALGORITHMS, RSA2),
        ("interface", INTERFACES, INTERFACES[0]),
        ("encrypt_type", ("", ALGORITHM), ""),
    ):
        values[name] = values[name] or default
        if values[name] not in words:
            raise ConfigurationError(name, f"is not one of {', '.join(word for word in words if word)}")
    values["charset"] = (values["charset"] or "utf-8").lower()
    if values["charset"] not in CODECS:
        raise ConfigurationError("charset", f"is not one of {', '.join(CODECS)}")
    values["gateway"] = values["gateway"] or GATEWAY
    check_addresses(values, ("gateway", "return_url", "notify_url"))
    values["mode"] = _mode(values["mode"], settings)
    keys = [load_content_key(content, "encrypt_key")] if content is not None else []
    if values["encrypt_type"] and not keys:
        raise ConfigurationError("encrypt_key", "is missing, and contents are to be encrypted")
    if values["interface"] == "v3" and values["sign_type"] != RSA2:
        raise ConfigurationError("sign_type", "is not RSA2, the only one of the interface v3")
    ring = _ring(values, settings, tuple(keys))
    return Credentials("alipay_openapi", values["app_id"], values["gateway"], values, ring)


def _mode(said: str, settings: Mapping[str, str]) -> str:
    mode = said or ("certificate" if settings.get("app_cert") and not settings.get("alipay_public_key") else "key")
    if mode not in MODES:
        raise ConfigurationError("mode", f"is not one of {', '.join(MODES)}")
    return mode


def _text(settings: Mapping[str, str], name: str) -> str:
    return settings.get(name) or ""


def _ring(values: Mapping[str, str], settings: Mapping[str, str], more: tuple[Key, ...]) -> KeyRing:
    app, algorithm = values["app_id"], values["sign_type"]
    smallest = _SMALLEST[algorithm]
    own = load_rsa_private(_text(settings, "app_private_key"), "app_private_key", smallest=smallest)
    if values["mode"] == "certificate":
        mine, theirs, public = _certificates(settings, own, smallest)
        following: list[RSAPublicKey] = []
        if any(name in settings for name in _PUBLIC):
            _platform_keys(settings, own, smallest)
    else:
        mine, theirs = (), ()
        public, *following = _platform_keys(settings, own, smallest)
        _check_spare(settings)
    signs = Key(app, 1, algorithm, own, chain=mine)
    trusts = Key("platform", 1, algorithm, public, chain=theirs)
    nexts = tuple(Key("platform-next", 1, algorithm, one) for one in following)
    return KeyRing(app, (trusts, *nexts, *more), (signs, *more))


def _check_spare(settings: Mapping[str, str]) -> None:
    """Certificates that key mode does not use must still be readable: a wrong file is found when it is written down."""
    for name in ("app_cert", "alipay_cert", "alipay_root_cert"):
        if settings.get(name):
            load_chain(_text(settings, name), name)


def _platform_keys(settings: Mapping[str, str], own: RSAPrivateKey, smallest: int) -> tuple[RSAPublicKey, ...]:
    """The platform's key, and during a change its next one."""
    public, following = _PUBLIC
    first = _public(settings, public, own, smallest)
    if following not in settings:
        return (first,)
    second = _public(settings, following, own, smallest)
    if second.public_numbers() == first.public_numbers():
        raise ConfigurationError(following, f"is the key of {public}; it is for another one, and left out otherwise")
    return first, second


def _public(settings: Mapping[str, str], name: str, own: RSAPrivateKey, smallest: int) -> RSAPublicKey:
    text = _text(settings, name)
    if kind_of(text) == CERTIFICATE:
        raise ConfigurationError(name, "is a certificate; it belongs into alipay_cert, with mode certificate")
    public = load_rsa_public(text, name, smallest=smallest)
    if public.public_numbers() == own.public_key().public_numbers():
        raise ConfigurationError(name, "is the application's own key; the platform's is shown beside it in the console")
    return public


def _certificates(settings: Mapping[str, str], own: RSAPrivateKey, smallest: int) -> tuple[Chain, Chain, RSAPublicKey]:
    mine, theirs, roots = (
        load_chain(_text(settings, name), name) for name in ("app_cert", "alipay_cert", "alipay_root_cert")
    )
    key = certificate_key(mine[0], "app_cert", smallest=smallest)
    if key.public_numbers() != own.public_key().public_numbers():
        raise ConfigurationError("app_cert", "is not the certificate of app_private_key")
    public = certificate_key(theirs[0], "alipay_cert", smallest=smallest)
    if public.public_numbers() == own.public_key().public_numbers():
        raise ConfigurationError("alipay_cert", "is the application's own certificate")
    return mine, (theirs[0], *roots), public


def credentials_for(merchant: str, ring: KeyRing, base: str, extra: Mapping[str, str]) -> dict[str, Any]:
    """What a client of this interface needs, under the interface's own names.

    ``ring`` is the merchant's side: ``sign`` signs requests, ``verify`` checks the platform. ``base`` is the face's
    address without a slash at its end. ``extra`` may hold ``mode``, ``sign_type``, ``charset``, ``interface``,
    ``return_url`` and ``notify_url``.
    """
    said: dict[str, str] = {"app_id": merchant, "gateway": base + m.GATEWAY_PATH, SETTING: seller_of(merchant)}
    said |= {name: extra.get(name, "") for name in ("charset", "interface", "return_url", "notify_url")}
    kinds: list[str] = []
    for key in ring.sign:
        if isinstance(key.material, RSAPrivateKey):
            kinds.append(key.algorithm)
            said["app_private_key"] = private_pem(key.material)
            said["app_cert"] = chain_pem(key.chain[:1])
        elif key.algorithm == ALGORITHM and isinstance(key.material, bytes):
            said["encrypt_key"] = key.material.decode("ascii")
    for key in ring.verify:
        if isinstance(key.material, RSAPublicKey):
            said["alipay_public_key"] = public_pem(key.material)
            said["alipay_cert"] = chain_pem(key.chain[:1])
            said["alipay_root_cert"] = chain_pem(key.chain[1:])
    said["sign_type"] = extra.get("sign_type", "") or (RSA2 if RSA2 in kinds else RSA)
    said["mode"] = extra.get("mode", "") or ("certificate" if said.get("app_cert") else "key")
    return {name: value for name, value in said.items() if value}
