"""Fields, the signed string, signing and verifying: what both ends share.

``name=value`` in the order of the table, without empty ones, joined by ``&``: with ``&key=`` and the key behind it MD5
over the bytes of the message's charset, in capitals; without them RSA with SHA-1 (PKI). A refund has a MAC of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, parse_china
from tongbao.protocols.kuaiqian import messages as m
from tongbao.wire import field
from tongbao.wire.field import invalid, required
from tongbao.wire.form import FormLimits
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import SHA1, equal, md5_suffix, rsa_sign, rsa_verify

Fields = Mapping[str, str]

MD5: Final = "MD5"
RSA: Final = "RSA"
ALGORITHMS: Final = (RSA, MD5)
WORD_OF: Final[dict[str, str]] = {MD5: "1", RSA: "4"}
"""Algorithm -> ``signType``."""
ALGORITHM_OF: Final[dict[str, str]] = {word: name for name, word in WORD_OF.items()}
REFUND_KEY: Final = "MD5-REFUND"
"""Algorithm of the shared key that proves refunds alone."""
UTF_8: Final = "utf-8"
CODECS: Final[dict[str, str]] = {"1": UTF_8, "2": "gbk", "3": "gbk"}
"""``inputCharset`` -> codec. GB2312 is read as the GBK that contains it."""
LIMITS: Final = FormLimits(size=32_768, fields=100, field=4_096)

_SUM: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_TIME: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})", re.ASCII)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_BORDER: Final = re.compile(r"&([A-Za-z0-9]+)=", re.ASCII)


def read_fields(parts: Iterable[bytes], codec: str) -> dict[str, str]:
    """The fields of query and body, within the limits of a page. Raises RemoteProtocolError."""
    return field.read_fields(parts, codec, LIMITS)


def join(fields: Fields, names: Sequence[str]) -> str:
    """The string under a signature, without the key."""
    return "&".join([f"{name}={fields[name]}" for name in names if fields.get(name)])


def check_borders(fields: Fields, names: Sequence[str]) -> None:
    """Refuse a signed value that spells the next field: two messages would share one signature (T10)."""
    for name in names:
        for match in _BORDER.finditer(fields.get(name, "")):
            if match[1] in m.BORDERS:
                raise RemoteProtocolError(name, f"spells another field, {match[0]}", "AMBIGUOUS_SPLIT")


def _text(fields: Fields, names: Sequence[str], codec: str) -> bytes:
    return join(fields, names).encode(codec)


def sign(fields: Fields, names: Sequence[str], key: Key, codec: str = UTF_8) -> str:
    """The signature. An empty secret signs nothing (T01). Raises LocalProtocolError."""
    if key.algorithm == MD5 and isinstance(key.material, bytes) and key.material:
        return md5_suffix(_text(fields, names, codec) + b"&key=", key.material).upper()
    if key.algorithm == RSA and isinstance(key.material, RSAPrivateKey):
        return rsa_sign(_text(fields, names, codec), key.material, SHA1)
    raise LocalProtocolError("key", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")


def _verify(fields: Fields, names: Sequence[str], signature: str, key: Key, codec: str) -> bool:
    if key.algorithm == MD5 and isinstance(key.material, bytes) and key.material:
        return equal(md5_suffix(_text(fields, names, codec) + b"&key=", key.material).upper(), signature)
    if key.algorithm == RSA and isinstance(key.material, RSAPublicKey):
        return rsa_verify(_text(fields, names, codec), signature, key.material, SHA1)
    return False


def authenticate(
    fields: Fields,
    names: Sequence[str],
    ring: KeyRing,
    codec: str = UTF_8,
    *,
    proof: str = m.PROOF,
    algorithm: str = "",
    any_case: bool = False,
) -> Key:
    """Who signed these fields. ``algorithm`` is what ``signType`` says unless given. ``any_case``: old clients wrote
    digests in small letters, the platform never did. Raises InvalidSignature."""
    signature = fields.get(proof, "")
    if not signature:
        raise InvalidSignature(proof, "is missing", "SIGN_MISSING")
    algorithm = algorithm or ALGORITHM_OF.get(fields.get("signType", ""), "")
    if not algorithm:
        raise InvalidSignature("signType", "is neither 1, MD5, nor 4, PKI", "SIGN_TYPE_NOT_ALLOWED")
    if any_case and algorithm == MD5:
        signature = signature.upper()
    if algorithm == MD5 and _HEX.fullmatch(signature) is None:
        raise InvalidSignature(proof, "is not 32 hexadecimal digits")
    for key in ring.verifying(algorithm):
        if _verify(fields, names, signature, key, codec):
            check_borders(fields, names)
            return key
    raise InvalidSignature(proof)


def refund_mac(fields: Fields, key: Key) -> str:
    """The MAC of a refund: fields and key glued without a separator, which their grammars make unambiguous (T10).
    Raises LocalProtocolError."""
    if key.algorithm != REFUND_KEY or not isinstance(key.material, bytes) or not key.material:
        raise LocalProtocolError("refund_key", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    text = "".join([f"{name}={fields.get(name, '')}" for name in m.REFUND_NAMES])
    return md5_suffix(f"{text}merchant_key=".encode(), key.material).upper()


def authenticate_refund(fields: Fields, ring: KeyRing) -> Key:
    """Who asked for a refund. Small letters are as good. Raises InvalidSignature."""
    signature = fields.get(m.REFUND_PROOF, "")
    if not signature:
        raise InvalidSignature(m.REFUND_PROOF, "is missing", "SIGN_MISSING")
    for key in ring.verifying(REFUND_KEY):
        if equal(refund_mac(fields, key), signature.upper()):
            return key
    raise InvalidSignature(m.REFUND_PROOF)


def read_fen(fields: Fields, name: str) -> Money:
    """A sum in fen, digits without a zero before them. Raises RemoteProtocolError."""
    text = required(fields, name)
    if _SUM.fullmatch(text) is None or (len(text) > 1 and text.startswith("0")):
        raise invalid(name, "is not a whole number of fen", "AMOUNT_INVALID")
    return Money(int(text))


def write_fen(money: Money | None) -> str:
    """A sum in fen. Raises LocalProtocolError."""
    if money is None or money.currency != "CNY" or not 0 <= money.minor <= 9_999_999_999:
        raise LocalProtocolError("amount", "is not a sum in yuan of at most ten digits of fen", "CURRENCY_NOT_ALLOWED")
    return str(money.minor)


def read_time(fields: Fields, name: str) -> Instant:
    """A Chinese time, ``yyyyMMddHHmmss``. Raises RemoteProtocolError."""
    match = _TIME.fullmatch(required(fields, name))
    if match is None:
        raise invalid(name, "is not a time of 14 digits")
    year, month, day, hour, minute, second = match.groups()
    try:
        return parse_china(f"{year}-{month}-{day} {hour}:{minute}:{second}")
    except ValueError as error:
        raise invalid(name, "is no time") from error
