"""Content encryption: AES-128-CBC with a zero IV and PKCS#7 padding, in base64. Verified first, opened afterwards."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from tongbao.kernel.error import ConfigurationError, InvalidSignature, RemoteProtocolError
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.sign import decode_base64

ALGORITHM: Final = "AES"
_IV: Final = CBC(bytes(16))
_BLOCK: Final = 16


def load_content_key(text: str, field: str) -> Key:
    """The key that the platform's console hands out: base64 of 16 bytes. Raises ConfigurationError."""
    raw = decode_base64(text)
    if raw is None or len(raw) != _BLOCK:
        raise ConfigurationError(field, "is not base64 of 16 bytes")
    if len(set(raw)) == 1:
        raise ConfigurationError(field, "is a placeholder")
    return Key("content", 1, ALGORITHM, text.encode("ascii"))


def content_key(ring: KeyRing) -> bytes:
    """The 16 bytes of a ring's live content key. Raises InvalidSignature KEY_UNKNOWN where there is none."""
    for key in ring.sign:
        if key.algorithm == ALGORITHM and key.state is KeyState.ACTIVE and isinstance(key.material, bytes):
            raw = decode_base64(key.material.decode("latin-1"))
            if raw is not None and len(raw) == _BLOCK:
                return raw
    raise InvalidSignature("encrypt_type", "there is no key for contents", "KEY_UNKNOWN")


def hide(text: bytes, key: bytes) -> str:
    """Encrypt."""
    padder = PKCS7(8 * _BLOCK).padder()
    padded = padder.update(text) + padder.finalize()
    cipher = Cipher(AES(key), _IV).encryptor()
    return base64.b64encode(cipher.update(padded) + cipher.finalize()).decode("ascii")


def reveal(text: str, key: bytes, field: str) -> bytes:
    """Decrypt. Raises RemoteProtocolError naming ``field``; every failure reads the same."""
    raw = decode_base64(text)
    try:
        if not raw or len(raw) % _BLOCK:
            raise ValueError
        cipher = Cipher(AES(key), _IV).decryptor()
        padder = PKCS7(8 * _BLOCK).unpadder()
        return padder.update(cipher.update(raw) + cipher.finalize()) + padder.finalize()
    except ValueError as error:
        raise RemoteProtocolError(field, "cannot be decrypted", "FIELD_INVALID") from error


def revealed(text: str, key: bytes, field: str, codec: str) -> str:
    """The same as text of a charset."""
    try:
        return reveal(text, key, field).decode(codec)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(field, "cannot be decrypted", "FIELD_INVALID") from error
