"""Passwords in three steps: reserve the attempt, hash outside, settle it (T46, T59). Costs and salts are in the hash.

A text is ``scrypt:log2n:r:p:salt:hash`` in hex. Pay passwords are peppered first, so that the rows alone do not give
them away (six digits are few: threats M10).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant
from tongbao.service.command import Needs
from tongbao.service.pay import active_buyer
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import AUTHORISATION, BUYER, COMBINED, TRADE
from tongbao.store.sheet import Sheet
from tongbao.trade.combine import Combined
from tongbao.trade.party import LOCK_TIME, PASSWORD_TRIES, Authorisation, Buyer, count_try
from tongbao.trade.record import Trade

COST_PRODUCTION: Final = 17
"""log2 of scrypt's N in production (threats E)."""

COST_SANDBOX: Final = 12
"""The same in a sandbox, where passwords are printed beside the login field."""

TOGETHER: Final = "together"
"""The act of paying a combined order."""

LOGIN_DETAIL: Final = "login or password is wrong, or too many tries; wait"

STRONG_SHORTEST: Final = 8
"""Characters of a payment password. Buyers have six digits for one purchase; this one moves a merchant's balance."""

STRONG_LONGEST: Final = 128
"""More than that no page takes."""

STRONG_DISTINCT: Final = 4
"""Different characters of a payment password."""

RUNS: Final = ("0123456789" * 2, "9876543210" * 2, "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "password")
"""What a payment password is no piece of: rows of digits, letters and keys, and the word itself."""


def check_strength(password: str) -> None:
    """Raises Refused FIELD_INVALID for a payment password of another length, and for one that is guessed first: a
    repeat, or a run of digits or letters."""
    if not STRONG_SHORTEST <= len(password) <= STRONG_LONGEST:
        raise Refused("FIELD_INVALID", f"payment password: has {STRONG_SHORTEST} to {STRONG_LONGEST} characters")
    plain = password.lower()
    if len(set(plain)) < STRONG_DISTINCT or any(plain in run for run in RUNS):
        raise Refused("FIELD_INVALID", "payment password: is a repeat or a run that is guessed first")


def hash_password(password: str, salt: bytes, cost: int, pepper: bytes = b"") -> str:
    """The stored form. Slow on purpose (0.3 s at cost 17): call it in ``World.compute``."""
    return f"scrypt:{cost}:8:1:{salt.hex()}:{_scrypt(password, salt, cost, 8, 1, pepper).hex()}"


def check_password(password: str, stored: str, pepper: bytes = b"") -> bool:
    """Whether ``password`` is the one behind ``stored``; False for an empty stored form. Slow on purpose."""
    parts = stored.split(":")
    if len(parts) != 6 or parts[0] != "scrypt":
        return False
    cost, r, p = int(parts[1]), int(parts[2]), int(parts[3])
    made = _scrypt(password, bytes.fromhex(parts[4]), cost, r, p, pepper)
    return hmac.compare_digest(made, bytes.fromhex(parts[5]))


def _scrypt(password: str, salt: bytes, cost: int, r: int, p: int, pepper: bytes) -> bytes:
    raw = password.encode("utf-8", "surrogatepass")
    if pepper:
        raw = hmac.digest(pepper, raw, hashlib.sha256)
    return hashlib.scrypt(raw, salt=salt, n=1 << cost, r=r, p=p, maxmem=256 * (1 << cost) * r, dklen=32)


@dataclass(frozen=True, slots=True)
class Reserved:
    """The attempt is counted; now the hash may be computed."""

    stored: str


@dataclass(frozen=True, slots=True)
class ReserveAuthorisation:
    """Count an attempt at the pay password before it is checked, for one exact act over one trade; ``TOGETHER`` is
    over a combined order."""

    authorisation_id: str
    buyer_id: str
    act: str
    merchant_id: str
    out_trade_no: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer_id,)
        yield AUTHORISATION, (self.authorisation_id,)
        yield (COMBINED if self.act == TOGETHER else TRADE), (self.merchant_id, self.out_trade_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        buyer = active_buyer(sheet, self.buyer_id)
        table = COMBINED if self.act == TOGETHER else TRADE
        trade: Trade | Combined | None = sheet.get(table, self.merchant_id, self.out_trade_no)
        if trade is None:
            raise Refused("TRADE_NOT_FOUND", "no such trade")
        if sheet.get(AUTHORISATION, self.authorisation_id) is not None:
            raise Refused("ALREADY_EXISTS", "this authorisation number was used before")
        if buyer.locked_until > now.wire:
            raise Refused("PASSWORD_LOCKED", "too many wrong pay passwords")
        word = Authorisation(
            self.authorisation_id,
            buyer.buyer_id,
            self.act,
            trade.merchant_id,
            trade.out_trade_no,
            trade.amount,
            trade.currency,
            "reserved",
            now.wire,
        )
        return Decision(Reserved(buyer.pay_hash), [(BUYER, count_try(buyer, now.wire)), (AUTHORISATION, word)])


@dataclass(frozen=True, slots=True)
class SettleAuthorisation:
    """The hash was computed: the right password resets the count and grants the word, a wrong one denies it."""

    authorisation_id: str
    buyer_id: str
    right: bool

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer_id,)
        yield AUTHORISATION, (self.authorisation_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        word: Authorisation | None = sheet.get(AUTHORISATION, self.authorisation_id)
        if word is None or word.state != "reserved" or word.buyer_id != self.buyer_id:
            raise Refused("AUTHORISATION_INVALID", "not reserved")
        buyer: Buyer = sheet.get(BUYER, self.buyer_id)
        if not self.right:
            left = 0 if buyer.locked_until > now.wire else PASSWORD_TRIES - buyer.attempts
            code = "PASSWORD_LOCKED" if left == 0 else "PASSWORD_WRONG"
            return Decision(Refused(code, f"{left} tries left"), [(AUTHORISATION, replace(word, state="denied"))])
        cleared = replace(buyer, attempts=0, locked_until=Instant(0))
        return Decision(None, [(BUYER, cleared), (AUTHORISATION, replace(word, state="granted", wire_at=now.wire))])


@dataclass(frozen=True, slots=True)
class ReserveLogin:
    """Count a login attempt before the password is checked; a locked login is refused as an unknown one is (T60)."""

    buyer_id: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        buyer: Buyer | None = sheet.get(BUYER, self.buyer_id)
        if buyer is None or buyer.kind != "member" or buyer.status != "active":
            raise Refused("LOGIN_WRONG", LOGIN_DETAIL)
        if buyer.login_locked_until > now.wire:
            raise Refused("LOGIN_WRONG", LOGIN_DETAIL)
        tried = buyer.login_attempts + 1
        full = tried >= 2 * PASSWORD_TRIES
        counted = replace(
            buyer,
            login_attempts=0 if full else tried,
            login_locked_until=Instant(now.wire + LOCK_TIME // 12) if full else buyer.login_locked_until,
        )
        return Decision(Reserved(buyer.login_hash), [(BUYER, counted)])


@dataclass(frozen=True, slots=True)
class SettleLogin:
    """The right password was given: the count starts again."""

    buyer_id: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        buyer: Buyer = sheet.get(BUYER, self.buyer_id)
        return Decision(None, [(BUYER, replace(buyer, login_attempts=0, login_locked_until=Instant(0)))])
