"""Secrets at rest: AES-256-GCM envelopes ``v1:kid:nonce:text`` bound to the row that holds them (I38)."""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.port import Entropy


class Vault:
    """Opens and closes envelopes with the installation's key-encryption key (32 bytes)."""

    def __init__(self, key: bytes, entropy: Entropy) -> None:
        if len(key) != 32:
            raise ConfigurationError("key_encryption_key", "must be 32 bytes")
        self._cipher = AESGCM(key)
        self._kid = hashlib.sha256(key).hexdigest()[:8]
        self._entropy = entropy

    def close(self, secret: bytes, *row: str) -> str:
        """An envelope of ``secret`` that opens only for the same row."""
        nonce = self._entropy.token(12)
        text = self._cipher.encrypt(nonce, secret, "\x1f".join((self._kid, *row)).encode())
        return f"v1:{self._kid}:{base64.b64encode(nonce).decode()}:{base64.b64encode(text).decode()}"

    def open(self, envelope: str, *row: str) -> bytes:
        """The secret. Raises ConfigurationError when the envelope was closed under another key or for another row."""
        parts = envelope.split(":")
        if len(parts) != 4 or parts[0] != "v1":
            raise ConfigurationError("key_encryption_key", "what is stored is not an envelope")
        _, kid, nonce, text = parts
        if kid != self._kid:
            raise ConfigurationError("key_encryption_key", f"the secret was closed under key {kid}, not {self._kid}")
        try:
            return self._cipher.decrypt(
                base64.b64decode(nonce, validate=True),
                base64.b64decode(text, validate=True),
                "\x1f".join((kid, *row)).encode(),
            )
        except (InvalidTag, ValueError) as error:
            raise ConfigurationError("key_encryption_key", "an envelope does not open for its row") from error
