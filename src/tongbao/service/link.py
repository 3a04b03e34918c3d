"""Words only the platform can write: notification ids, cashier links, anti-phishing keys. No row is needed to check
one.

All are keyed digests (HMAC-SHA256) under one secret of the installation, with a label each, so that none passes for
another. Times in them are wire time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from tongbao.kernel.time import MINUTE, SECOND, Instant

CASHIER_TIME: Final = 30 * MINUTE
"""How long a cashier link opens a cashier (T56)."""

RETURN_TIME: Final = 1 * MINUTE
"""How long a browser return's id is confirmed (the classic interface's one minute)."""

PHISHING_TIME: Final = 5 * MINUTE
"""How long an anti-phishing key lives; the interface's notes give no figure."""

SKEW: Final = 2 * SECOND
"""How far another node's clock may be ahead (F31)."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)


_CUT: Final = tuple(36 ** (50 - width) for width in range(51))
"""By width: what leaves the first digits of the 50 that a digest has in base 36."""


def base36(number: int, width: int) -> str:
    """``number`` in base 36, zero-padded to ``width`` characters."""
    pairs = []
    while number:
        number, pair = divmod(number, 1296)
        pairs.append(_PAIRS[pair])
    pairs.reverse()
    return "".join(pairs).lstrip("0").rjust(width, "0")


class Seal:
    """Writes and checks the installation's words. ``secret`` holds at least 32 random bytes and is never shown."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise ValueError("the installation's secret has at least 32 bytes")
        self._keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def _mac(self, label: str, *parts: str) -> bytes:
        # the key is taken in once: half of what a short text costs
        mac = self._keyed.copy()
        mac.update("\x1f".join((label, *parts)).encode())
        return mac.digest()

    def _short(self, label: str, width: int, *parts: str) -> str:
        return base36(int.from_bytes(self._mac(label, *parts)) // _CUT[width], width)

    def event_id(self, trade_no: str, seq: int) -> str:
        """34 characters: the trade's number and the event's in base 36, and 14 characters that nobody can guess."""
        return f"{base36(int(trade_no), 18)}{base36(seq, 2)}{self._short('event', 14, trade_no, str(seq))}"

    def return_id(self, trade_no: str, at: Instant) -> str:
        """41 characters for one browser return made at ``at`` (wire time)."""
        head = f"{base36(int(trade_no), 18)}{base36(at, 9)}"
        return f"{head}{self._short('return', 14, trade_no, str(at))}"

    def read_event_id(self, text: str) -> tuple[str, int] | None:
        """(trade_no, seq) of an id of ours, or None."""
        if len(text) != 34 or not _is_base36(text):
            return None
        trade_no, seq = str(int(text[:18], 36)).zfill(28), int(text[18:20], 36)
        return (trade_no, seq) if hmac.compare_digest(self.event_id(trade_no, seq).encode(), text.encode()) else None

    def read_return_id(self, text: str, now: Instant) -> str | None:
        """The trade_no of a return's id of ours that is at most a minute old, or None."""
        if len(text) != 41 or not _is_base36(text):
            return None
        trade_no, at = str(int(text[:18], 36)).zfill(28), Instant(int(text[18:27], 36))
        genuine = hmac.compare_digest(self.return_id(trade_no, at).encode(), text.encode())
        return trade_no if genuine and -SKEW <= now - at <= RETURN_TIME else None

    def cashier_word(self, trade_no: str, at: Instant) -> str:
        """The path segment that opens this trade's cashier: 128 bits of proof behind number and time."""
        proof = base64.urlsafe_b64encode(self._mac("cashier", trade_no, str(at))[:16]).decode().rstrip("=")
        return f"{trade_no}-{base36(at, 9)}-{proof}"

    def read_cashier_word(self, text: str, now: Instant) -> str | None:
        """The trade_no of a cashier link that is not too old, or None."""
        parts = text.split("-", 2)
        if len(parts) != 3 or len(parts[0]) != 28 or not _is_base36(parts[0] + parts[1]) or len(parts[1]) != 9:
            return None
        at = Instant(int(parts[1], 36))
        genuine = hmac.compare_digest(self.cashier_word(parts[0], at).encode(), text.encode("utf-8", "replace"))
        return parts[0] if genuine and -SKEW <= now - at <= CASHIER_TIME else None

    def trade_code(self, trade_no: str) -> str:
        """32 characters that name a trade to a buyer without a link: in QR codes, and as a prepared payment's number.
        The same for a trade each time."""
        return f"{base36(int(trade_no), 18)}{self._short('trade', 14, trade_no)}"

    def read_trade_code(self, text: str) -> str | None:
        """The trade_no of a code of ours, or None."""
        if len(text) != 32 or not _is_base36(text):
            return None
        trade_no = str(int(text[:18], 36)).zfill(28)
        return trade_no if hmac.compare_digest(self.trade_code(trade_no).encode(), text.encode()) else None

    def open_id(self, merchant: str, buyer_id: str) -> str:
        """28 characters: the number under which one merchant knows a buyer; no other merchant's is like it.

        Whom it means can be read back by us alone: the proof masks the number, so two merchants cannot compare."""
        proof = self._short("openid", 16, merchant, buyer_id)
        return f"o{base36((int(buyer_id) + self._mask(merchant, proof)) % 36**11, 11)}{proof}"

    def read_open_id(self, merchant: str, text: str) -> str | None:
        """The buyer_id of such a number told to this merchant, or None."""
        if len(text) != 28 or text[0] != "o" or not _is_base36(text):
            return None
        number = (int(text[1:12], 36) - self._mask(merchant, text[12:])) % 36**11
        buyer_id = str(number).zfill(16)
        return buyer_id if hmac.compare_digest(self.open_id(merchant, buyer_id).encode(), text.encode()) else None

    def _mask(self, merchant: str, proof: str) -> int:
        return int.from_bytes(self._mac("openid-mask", merchant, proof)) % 36**11

    def refresh(self, label: str, merchant: str, buyer_id: str, at: Instant) -> str:
        """A word under which a merchant may go on asking about a buyer (``access``) or renew that (``refresh``)."""
        return f"{buyer_id}{base36(at, 9)}{self._short(label, 30, merchant, buyer_id, str(at))}"

    def read_refresh(self, text: str, merchant: str, now: Instant, seconds: int) -> str | None:
        """The buyer_id of a refresh word of ours that is at most ``seconds`` old, or None."""
        if len(text) != 55 or not _is_base36(text) or not text[:16].isdigit():
            return None
        buyer_id, at = text[:16], Instant(int(text[16:25], 36))
        genuine = hmac.compare_digest(self.refresh("refresh", merchant, buyer_id, at).encode(), text.encode())
        return buyer_id if genuine and -SKEW <= now - at <= seconds * SECOND else None

    def phishing_key(self, merchant: str, at: Instant) -> str:
        """32 hex characters: the second it was asked for, and 24 of proof."""
        second = at // SECOND
        return f"{second:08x}{self._mac('phishing', merchant, str(second)).hex()[:24]}"

    def read_phishing_key(self, text: str, merchant: str, now: Instant) -> str:
        """'' when the key is good; otherwise the refusal code that says what is wrong with it."""
        if len(text) != 32 or not _is_base36(text):
            return "ANTI_PHISHING_INVALID"
        try:
            second = int(text[:8], 16)
        except ValueError:
            return "ANTI_PHISHING_INVALID"
        at = Instant(second * SECOND)
        if not hmac.compare_digest(self.phishing_key(merchant, at).encode(), text.encode()):
            return "ANTI_PHISHING_INVALID"
        return "" if -SKEW <= now - at <= PHISHING_TIME else "ANTI_PHISHING_EXPIRED"

    def pack(self, label: str, text: str, at: Instant) -> str:
        """``text`` as one path segment that only we can have written, at ``at`` (wire time)."""
        proof = base64.urlsafe_b64encode(self._mac(f"pack:{label}", text, str(at))[:16]).decode().rstrip("=")
        packed = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return f"{packed}.{base36(at, 9)}.{proof}"

    def unpack(self, label: str, word: str, now: Instant, milliseconds: int) -> str | None:
        """The text of a segment of ours that is at most ``milliseconds`` old, or None."""
        packed, _, rest = word.partition(".")
        at36 = rest.partition(".")[0]
        if len(at36) != 9 or not _is_base36(at36):
            return None
        try:
            text = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
        except ValueError:
            return None
        at = Instant(int(at36, 36))
        genuine = hmac.compare_digest(self.pack(label, text, at).encode(), word.encode("utf-8", "replace"))
        return text if genuine and -SKEW <= now - at <= milliseconds else None

    def token(self, label: str, *parts: str) -> str:
        """43 characters over exactly these parts: form tokens, review tokens (T51, T61), state words for banks."""
        return base64.urlsafe_b64encode(self._mac(f"token:{label}", *parts)).decode().rstrip("=")

    def is_token(self, text: str, label: str, *parts: str) -> bool:
        """Whether ``text`` is that token."""
        return hmac.compare_digest(self.token(label, *parts).encode(), text.encode("utf-8", "replace"))


def _is_base36(text: str) -> bool:
    return all(letter in _DIGITS for letter in text)
