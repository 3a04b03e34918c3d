"""Key rings for the faces: loaded from the read pool, opened and parsed once, kept for a second (T84).

The committer checks key and version again against the row of its own transaction, so a revocation holds at once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.port import Clock
from tongbao.service.vault import Vault
from tongbao.store.step import Database
from tongbao.wire.certificate import Chain, load_chain, split_pem
from tongbao.wire.key import Key, KeyRing, KeyState, Material
from tongbao.wire.sign import load_rsa_private, load_rsa_public

FRESH_SECONDS: Final = 1
RINGS_MAX: Final = 10_000
LOOK_MAX: Final = 2_000
"""Merchants whose keys one query reads."""


@dataclass(slots=True)
class _Kept:
    ring: KeyRing
    rows: tuple[object, ...]
    until: float
    used: float


class RingCache:
    """Rings by merchant and protocol. A ring without keys is a merchant without this protocol (or no merchant).
    ``parse`` reads one stored secret; parsing an RSA key costs fifty times what signing with it does."""

    def __init__(
        self, database: Database, vault: Vault, clock: Clock, parse: Callable[[bytes], Material] | None = None
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._parse = parse or parse_material
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._wanted: dict[str, dict[str, None]] = defaultdict(dict)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._read: dict[str, dict[str, KeyRing]] = defaultdict(dict)

    async def ring(self, merchant_id: str, protocol: str) -> KeyRing:
        """The platform's view: ``verify`` checks what the merchant sends, ``sign`` signs what he is sent."""
        kept = self._kept.get((merchant_id, protocol))
        if kept is not None:
            kept.used = now = self._clock.monotonic()
            if kept.until > now:
                return kept.ring
        # as the committer does: whoever comes while one query runs shares the next one with all the others
        self._wanted[protocol][merchant_id] = None
        async with self._locks[protocol]:
            if merchant_id in self._wanted[protocol] or merchant_id not in self._read[protocol]:
                self._wanted[protocol][merchant_id] = None
                await self._look(protocol)
            return self._read[protocol][merchant_id]

    async def _look(self, protocol: str) -> None:
        """Read the keys of every merchant that is waited for. Whoever waits and is not wanted any more was looked for
        after he came."""
        now = self._clock.monotonic()
        wanted, self._wanted[protocol] = self._wanted[protocol], {}
        # whoever was asked for lately will be again: one query for all of them instead of one for each
        for (name, spoken), kept in self._kept.items():
            if spoken == protocol and kept.used > now - FRESH_SECONDS and 2 * (kept.until - now) < FRESH_SECONDS:
                wanted[name] = None
                if len(wanted) >= LOOK_MAX:
                    break
        try:
            rows = await self._database.read("key.of_merchants", {"merchants": list(wanted), "protocol": protocol})
        except BaseException:
            self._wanted[protocol].update(wanted)
            raise
        found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for merchant_id, *row in rows:
            found[merchant_id].append(tuple(row))
        if len(self._read[protocol]) >= RINGS_MAX:
            self._read[protocol].clear()
        for name in wanted:
            self._read[protocol][name] = self._keep(name, protocol, found[name], now)

    def _keep(self, merchant_id: str, protocol: str, rows: list[tuple[Any, ...]], now: float) -> KeyRing:
        kept = self._kept.get((merchant_id, protocol))
        seen = tuple(rows)
        if kept is not None and kept.rows == seen:
            kept.until = now + FRESH_SECONDS
            return kept.ring
        ring = self._build(merchant_id, protocol, rows)
        if len(self._kept) >= RINGS_MAX:
            self._kept.clear()
        if rows:
            self._kept[(merchant_id, protocol)] = _Kept(ring, seen, now + FRESH_SECONDS, now)
        return ring

    def forget(self) -> None:
        """Drop what is kept, after keys were changed by this process."""
        self._kept.clear()

    def _build(self, merchant_id: str, protocol: str, rows: list[tuple[object, ...]]) -> KeyRing:
        verify: list[Key] = []
        sign: list[Key] = []
        for key_id, version, algorithm, use, secret, state, _, _ in rows:
            if use == "client":
                continue
            raw = self._vault.open(str(secret), merchant_id, protocol, str(key_id))
            material = self._parse(raw)
            own, live = KeyState(str(state)), int(str(version))
            key = Key(str(key_id), live, str(algorithm), material, own, parse_chain(raw))
            if use in ("verify", "both"):
                verify.append(key)
            if use in ("sign", "both"):
                sign.append(key)
        return KeyRing(merchant_id, tuple(verify), tuple(sign))


def parse_material(raw: bytes) -> Material:
    """A stored secret as codecs want it: PEM becomes a parsed key, anything else stays a shared secret."""
    if raw.startswith(b"-----BEGIN"):
        text, _ = split_pem(raw.decode("ascii"))
        return load_rsa_private(text, "key") if "PRIVATE" in text else load_rsa_public(text, "key")
    return raw


def parse_chain(raw: bytes) -> Chain:
    """The certificates that are stored behind a key; () where there are none."""
    if b"-----BEGIN CERTIFICATE" not in raw:
        return ()
    return load_chain(split_pem(raw.decode("ascii"))[1], "key")
