"""A merchant's settings, checked, with keys parsed once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tongbao.kernel.error import ConfigurationError
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.certificate import certificate_key, load_chain
from tongbao.wire.contract import Credentials
from tongbao.wire.http import split_url
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import load_rsa_private, load_rsa_public, load_secret

GATEWAY: Final = "https://api.mch.weixin.qq.com"
_MCHID: Final = re.compile(r"[0-9]{8,10}", re.ASCII)
_APPID: Final = re.compile(r"[0-9A-Za-z_-]{6,32}", re.ASCII)
_SERIAL: Final = re.compile(r"[0-9A-Fa-f]{8,40}", re.ASCII)
_KEY_ID: Final = re.compile(r"PUB_KEY_ID_[0-9A-Za-z]{1,40}", re.ASCII)
_PLAIN: Final = (
    "mchid", "appid", "serial_no", "wechatpay_public_key_id", "gateway", "notify_url", "sub_mchid", "sub_appid",
)  # fmt: skip


def load_credentials(settings: Mapping[str, str]) -> Credentials:
    """The credentials in settings by the manifest's field names. Raises ConfigurationError naming the field."""
    values = {name: (settings.get(name) or "").strip() for name in _PLAIN}
    secret = load_secret(settings.get("apiv3_key") or "", "apiv3_key", shortest=32, published=m.PUBLISHED_KEYS)
    if len(secret) != 32:
        raise ConfigurationError("apiv3_key", "does not have 32 characters")
    mchid = values["mchid"]
    if not _MCHID.fullmatch(mchid):
        raise ConfigurationError("mchid", "is not the 8 to 10 digits of a merchant's number")
    if not _APPID.fullmatch(values["appid"]):
        raise ConfigurationError("appid", "is no appid")
    merchant = _whose(values)
    values["gateway"] = (values["gateway"] or GATEWAY).rstrip("/")
    for name in ("gateway", "notify_url"):
        if values[name]:
            try:
                split_url(values[name])
            except ValueError as error:
                raise ConfigurationError(name, str(error)) from error
    content = Key("apiv3_key", 1, m.AEAD, secret)
    own, theirs = _own_key(values, settings), _platform_keys(values, settings)
    ring = KeyRing(mchid, (content, *theirs), (content, own))
    return Credentials("wechatpay_v3", merchant, values["gateway"], values, ring)


def _whose(values: dict[str, str]) -> str:
    """The merchant's number: a service provider's settings name another one, in whose name he asks. Then ``sp_mchid``
    is the provider's. Raises ConfigurationError."""
    merchant = values["sub_mchid"]
    if not merchant:
        if values["sub_appid"]:
            raise ConfigurationError("sub_appid", "stands without sub_mchid")
        return values["mchid"]
    if not _MCHID.fullmatch(merchant) or merchant == values["mchid"]:
        raise ConfigurationError("sub_mchid", "is not the 8 to 10 digits of another merchant's number")
    if values["sub_appid"] and not _APPID.fullmatch(values["sub_appid"]):
        raise ConfigurationError("sub_appid", "is no appid")
    values["sp_mchid"] = values["mchid"]
    return merchant


def _own_key(values: Mapping[str, str], settings: Mapping[str, str]) -> Key:
    private = load_rsa_private(settings.get("private_key") or "", "private_key", smallest=2_048)
    serial = values["serial_no"]
    if settings.get("certificate"):
        chain = load_chain(settings["certificate"], "certificate")
        if certificate_key(chain[0], "certificate").public_numbers() != private.public_key().public_numbers():
            raise ConfigurationError("certificate", "does not belong to the private key")
        if serial and serial.upper() != f"{chain[0].serial_number:X}":
            raise ConfigurationError("serial_no", "is not the certificate's serial number")
        return Key(serial or f"{chain[0].serial_number:X}", 1, m.ALGORITHM, private, chain=chain)
    if not _SERIAL.fullmatch(serial) and not serial.isidentifier():
        raise ConfigurationError("serial_no", "is not the serial number of the merchant's certificate")
    return Key(serial, 1, m.ALGORITHM, private)


def _platform_keys(values: Mapping[str, str], settings: Mapping[str, str]) -> tuple[Key, ...]:
    """The keys that are trusted: the public key first, then the certificates. Raises ConfigurationError."""
    keys: list[Key] = []
    name, text = values["wechatpay_public_key_id"], settings.get("wechatpay_public_key")
    if name or text is not None:
        public = load_rsa_public(text or "", "wechatpay_public_key", smallest=2_048)
        if not _KEY_ID.fullmatch(name):
            raise ConfigurationError("wechatpay_public_key_id", "is not PUB_KEY_ID_ and what follows it")
        keys.append(Key(name, 1, m.ALGORITHM, public))
    if settings.get("platform_certificate"):
        for leaf in load_chain(settings["platform_certificate"], "platform_certificate"):
            public = certificate_key(leaf, "platform_certificate", smallest=2_048)
            keys.append(Key(f"{leaf.serial_number:X}", 1, m.ALGORITHM, public, chain=(leaf,)))
    return tuple(keys)
