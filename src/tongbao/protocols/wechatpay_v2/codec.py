"""What both ends share: the flat XML, the canonical string, MD5 and HMAC-SHA256, the refund notice's cipher.

A document is ``<xml>`` with children that hold text, each name once; nothing else passes (T18): ``tongbao.wire.xml``
knows no declaration of types and no entity beyond the five.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_minor
from tongbao.kernel.time import Instant, parse_china
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.wire.http import split_url
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.sign import decode_base64, equal, hmac_hex
from tongbao.wire.xml import XmlLimits, read_xml

LIMITS: Final = XmlLimits(size=65_536, elements=512, depth=2)
KIND: Final = "text/xml; charset=utf-8"
MASK: Final = "********"
NUMBER: Final = re.compile(r"[0-9A-Za-z_\-|*]{1,32}", re.ASCII)
REFUND_NUMBER: Final = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}", re.ASCII)
SERIAL: Final = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
WORD: Final = re.compile(r"[0-9A-Za-z_.\-@+]{1,128}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_SHIFT: Final = re.compile(r"&([A-Za-z_][A-Za-z0-9_]{0,63})=")
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffd-\uffff]")
_COMPACT: Final = re.compile(r"\d{14}", re.ASCII)
_BARE: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_LETTERS: Final = "0123456789abcdefghijklmnopqrstuv"
_LENGTHS: Final = {m.MD5: 32, m.HMAC: 64}


def missing(name: str) -> RemoteProtocolError:
    return RemoteProtocolError(name, "is missing", "FIELD_MISSING")


def invalid(name: str, reason: str, code: str = "FIELD_INVALID") -> RemoteProtocolError:
    return RemoteProtocolError(name, reason, code)


# --- XML ---------------------------------------------------------------------------------------------------------


def write_fields(fields: Mapping[str, str], root: str = "xml") -> bytes:
    """The document, without a blank anywhere: digits bare, everything else in CDATA. Raises LocalProtocolError."""
    parts = []
    for name, value in fields.items():
        if _NO_TEXT.search(value):
            raise LocalProtocolError(name, "holds characters that XML does not have", "BAD_CHARSET")
        if value != value.strip():
            raise LocalProtocolError(name, "begins or ends with white space, which readers exist that drop")
        inner = value if _BARE.fullmatch(value) else f"<![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]>"
        parts.append(f"<{name}>{inner}</{name}>")
    return f"<{root}>{''.join(parts)}</{root}>".encode()


def read_fields(raw: bytes, root: str = "xml") -> dict[str, str]:
    """Names and texts. Raises RemoteProtocolError."""
    if not raw.strip():
        raise RemoteProtocolError("", "there is no body", "MALFORMED")
    element = read_xml(raw, "utf-8", LIMITS)
    if element.name != root:
        raise RemoteProtocolError("", f"the root is not {root}", "MALFORMED")
    if element.text.strip():
        raise RemoteProtocolError("", "holds text and no fields", "MALFORMED")
    fields = element.leaves()
    for name, value in fields.items():
        if _NAME.fullmatch(name) is None:
            raise RemoteProtocolError(name[:40], "is no field name", "MALFORMED")
        if _NO_TEXT.search(value):
            raise RemoteProtocolError(name, "holds control characters", "BAD_CHARSET")
    return fields


# --- signatures --------------------------------------------------------------------------------------------------


def canonical(fields: Mapping[str, str]) -> str:
    """``name=value`` of every field that says something, but for ``sign``, in the order of bytes, joined by ``&``."""
    return "&".join([f"{name}={value}" for name, value in sorted(fields.items()) if value and name != "sign"])


def make_sign(fields: Mapping[str, str], key: Key) -> str:
    """Upper-case hex of MD5, or of HMAC-SHA256 (whose text ends with the key too)."""
    secret = key.material
    if not isinstance(secret, bytes) or len(secret) < 16 or key.algorithm not in m.ALGORITHMS:
        raise LocalProtocolError("sign", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    text = f"{canonical(fields)}&key=".encode("utf-8", "surrogatepass") + secret
    if key.algorithm == m.MD5:
        return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()
    return hmac_hex("sha256", text, secret).upper()


def check_shift(fields: Mapping[str, str]) -> None:
    """Refuse a value that spells the beginning of another field: the signed text could be cut in two ways (T10)."""
    for name, value in fields.items():
        if "&" in value and any(found in m.NAMES for found in _SHIFT.findall(value)):
            raise RemoteProtocolError(name, "spells another field in its text", "AMBIGUOUS_SPLIT")


def signed(fields: Mapping[str, str], key: Key) -> dict[str, str]:
    """The fields that say something, with their signature at the end. Raises LocalProtocolError."""
    filled = {name: value for name, value in fields.items() if value}
    try:
        check_shift(filled)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.field, error.reason, error.code) from error
    return {**filled, "sign": make_sign(filled, key)}


def authenticate(fields: Mapping[str, str], algorithm: str, ring: KeyRing) -> Key:
    """The key that signed the fields with this algorithm, which the caller knows (T05). Raises InvalidSignature."""
    signature = fields.get("sign", "")
    if not signature:
        raise InvalidSignature("sign", "is missing", "SIGN_MISSING")
    if algorithm not in m.ALGORITHMS or len(signature) != _LENGTHS[algorithm]:
        raise InvalidSignature("sign_type", f"the signature is none of {algorithm[:20]}", "SIGN_TYPE_NOT_ALLOWED")
    for key in ring.verifying(algorithm):
        if isinstance(key.material, bytes) and len(key.material) >= 16 and equal(make_sign(fields, key), signature):
            check_shift(fields)
            return key
    raise InvalidSignature


def active(ring: KeyRing | None, algorithm: str) -> Key:
    """The key to sign with. Raises InvalidSignature."""
    if ring is None:
        raise InvalidSignature("sign", "there is no key to sign with", "KEY_UNKNOWN")
    return ring.signing(algorithm)


def derived_nonce(secret: bytes, *parts: bytes) -> str:
    """32 letters that follow from what is said, its time and a secret."""
    digest = hmac.digest(secret, b"".join([b"%d:%b" % (len(part), part) for part in parts]), "sha256")
    return "".join(_LETTERS[code % 32] for code in digest)


# --- the refund notice -------------------------------------------------------------------------------------------


def notice_key(secret: bytes) -> bytes:
    """AES key of ``req_info``: the 32 letters of the lower-case MD5 of the merchant's key."""
    return hashlib.md5(secret, usedforsecurity=False).hexdigest().encode("ascii")


def hide(plain: bytes, key: bytes) -> bytes:
    """AES-256-ECB with PKCS#7. The interface's own choice: it keeps a secret, and proves nothing (T22)."""
    padder = PKCS7(128).padder()
    engine = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()
    return engine.update(padder.update(plain) + padder.finalize()) + engine.finalize()


def reveal(text: str, key: bytes) -> bytes:
    """What ``hide`` hid, from base64. Raises RemoteProtocolError."""
    raw = decode_base64(text)
    if not raw or len(raw) % 16:
        raise RemoteProtocolError("req_info", "is no base64 of whole blocks", "SIGN_INVALID")
    engine = Cipher(algorithms.AES256(key), modes.ECB()).decryptor()
    padder = PKCS7(128).unpadder()
    try:
        return padder.update(engine.update(raw) + engine.finalize()) + padder.finalize()
    except ValueError as error:
        raise RemoteProtocolError("req_info", "cannot be opened", "SIGN_INVALID") from error


def shared(ring: KeyRing) -> bytes:
    """The merchant's key, whatever it signs. Raises InvalidSignature."""
    for key in (*ring.sign, *ring.verify):
        if isinstance(key.material, bytes) and len(key.material) >= 16 and key.state is KeyState.ACTIVE:
            return key.material
    raise InvalidSignature("key", "the merchant has no key", "KEY_UNKNOWN")


# --- fields ------------------------------------------------------------------------------------------------------


def text(fields: Mapping[str, str], name: str, longest: int, *, needed: bool = False) -> str:
    value = fields.get(name, "")
    if needed and not value:
        raise missing(name)
    if len(value) > longest:
        raise invalid(name, f"is longer than {longest} characters", "TOO_LARGE")
    return value


def number(fields: Mapping[str, str], name: str, grammar: re.Pattern[str], *, needed: bool = False) -> str:
    value = fields.get(name, "")
    if needed and not value:
        raise missing(name)
    if value and grammar.fullmatch(value) is None:
        raise invalid(name, "is too long or has characters that such a number may not have")
    return value


def check_app(fields: Mapping[str, str], own: str) -> None:
    """The application that is named is the one in the settings (T25; sheet wechatpay, section 4.1); an empty element
    names none (section 2.2). Raises RemoteProtocolError."""
    for name in ("appid", "mch_appid"):
        if (fields.get(name) or own) != own:
            raise invalid(name, "is another application's", "SELLER_UNKNOWN")


def money(fields: Mapping[str, str], name: str, *, needed: bool = True) -> Money | None:
    """Whole fen, above zero."""
    value = fields.get(name, "")
    if not value:
        if needed:
            raise missing(name)
        return None
    try:
        found = parse_minor(value)
    except InvalidAmount as error:
        raise invalid(name, str(error), "AMOUNT_INVALID") from error
    if found.minor <= 0:
        raise invalid(name, "is not above zero", "AMOUNT_NOT_POSITIVE")
    return found


def total(fields: Mapping[str, str], name: str) -> Money:
    """Whole fen, above zero, which may not be absent."""
    found = money(fields, name)
    if found is None:
        raise missing(name)
    return found


def time(fields: Mapping[str, str], name: str, *, compact: bool = True) -> Instant | None:
    """A time of China, written compact (20250101120000) or with dashes and colons."""
    value = fields.get(name, "")
    if not value:
        return None
    if compact is not (_COMPACT.fullmatch(value) is not None):
        raise invalid(name, "is no time", "FIELD_INVALID")
    try:
        return parse_china(value)
    except ValueError as error:
        raise invalid(name, "is no time", "FIELD_INVALID") from error


def url(fields: Mapping[str, str], name: str, *, needed: bool = False) -> str:
    """An absolute address; a query is against the documents and taken all the same."""
    value = text(fields, name, 256, needed=needed)
    if value:
        try:
            split_url(value)
        except ValueError as error:
            raise invalid(name, str(error), "URL_NOT_ALLOWED") from error
    return value
