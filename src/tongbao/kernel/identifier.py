"""Identifiers made from entropy: what they look like and how much of them is chance (T57, T86)."""

from __future__ import annotations

from tongbao.kernel.port import Entropy
from tongbao.kernel.time import Instant, business_day


def digits(entropy: Entropy, length: int) -> str:
    """``length`` decimal digits. The bias of taking a 16 bytes longer number modulo 10^length is below 2^-64."""
    return str(int.from_bytes(entropy.token(length // 2 + 16)) % 10**length).zfill(length)


def trade_number(entropy: Entropy, now: Instant) -> str:
    """A 28-digit number: the Chinese day and 20 random digits. Opaque to merchants."""
    return f"{business_day(now):08d}{digits(entropy, 20)}"


def hex_token(entropy: Entropy, length: int = 16) -> str:
    """``length`` random bytes in lower-case hex: 128 bits by default, for addresses and public ids."""
    return entropy.token(length).hex()
