"""The platform's certificates, kept for many merchants and several processes, and fetched again when it is time.

Each merchant at each address has certificates of his own: nothing is shared between merchants. A certificate is kept
only after the protocol's own half has proven it (by the content key and a verified answer). Files are replaced whole,
readable by their owner alone, and read again when another process has changed them. No trouble with a file fails an
exchange, whose money may have moved: one that cannot be read is none, and what cannot be stored lives in memory.
Whoever meets an unknown serial number may ask once in five minutes, so that nobody can make a shop ask without end
(T20); all others who meet it while that question is on its way wait for its end, so that a new certificate fails no
exchange. The five minutes hold for all serial numbers together, for whoever makes them up has as many as he likes:
where a second new certificate is met within them, in a protocol that gives one at a time, what comes under it is
refused until they are over. A notification that names no certificate, and that none which is known has signed, makes
the shop inquire as rarely.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cryptography.x509 import Certificate

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.time import HOUR, MINUTE, Instant, later
from tongbao.wire.certificate import certificate_key, chain_pem, is_valid, load_chain
from tongbao.wire.contract import Credentials
from tongbao.wire.key import Key

REFRESH: Final = 12 * HOUR
"""How old kept certificates may grow before they are due."""

AGAIN: Final = 5 * MINUTE
"""How long after one question the next may be asked because of an unknown serial number."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question for the certificates that is on its way. Who got it as ``mine`` asks, and must end it, whatever came
    of it; everybody else may wait until it is ``over``."""

    mine: bool
    over: Future[bool]

    def end(self, learnt: bool = False) -> None:
        """Whoever waits goes on; ``learnt``: certificates came."""
        if not self.over.done():
            self.over.set_result(learnt)

    @property
    def learnt(self) -> bool:
        """Whether it is over, and certificates came."""
        return self.over.done() and self.over.result()


@dataclass(slots=True)
class _Asked:
    """When a question was last put, and its end."""

    at: Instant | None = None
    over: Future[bool] | None = None


@dataclass(slots=True)
class _Kept:
    """What is known for one merchant. ``stamp`` is the file's time (when its certificates were fetched, by the clock of
    who did) and its number on the disk. ``own``: those that this process has kept beside others; another process may
    write over them that had not read them. ``inquired``: because of a notification that names no certificate."""

    keys: tuple[Key, ...] = ()
    own: tuple[Key, ...] = ()
    stamp: tuple[int, int] = (-1, -1)
    fetched: _Asked = field(default_factory=_Asked)
    inquired: _Asked = field(default_factory=_Asked)
    fresh_at: Instant | None = None


class TrustStore:
    """``folder`` keeps the certificates over restarts and for other processes; without it they live in memory.

    Safe to share between threads, configurations and protocols. Give it to ``MerchantConfiguration(trust=...)``.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = Path(folder) if folder is not None else None
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def known(self, credentials: Credentials) -> Credentials:
        """The credentials with the kept certificates behind the configured keys."""
        keys = self._read(credentials).keys
        mine = {_serial(key) for key in credentials.ring.verify}
        more = tuple(key for key in keys if _serial(key) not in mine)
        if not more:
            return credentials
        return replace(credentials, ring=replace(credentials.ring, verify=(*credentials.ring.verify, *more)))

    def keep(self, credentials: Credentials, certificates: Sequence[str], now: Instant, *, beside: bool = False) -> int:
        """Keep what the platform says now, and nothing of before; how many they are. ``beside``: it gives one at a
        time, which says nothing of others, so that those of before stay as long as they are valid: what they have
        signed may still be on its way. They verify by the algorithm of the merchant's own signatures. Where the folder
        cannot be written, they are kept in memory. Raises ConfigurationError for what is no certificate."""
        algorithm = _algorithm(credentials)
        keys = tuple(_key(load_chain(text, "trust")[0], algorithm) for text in certificates)
        if not keys:
            return 0
        with self._lock:
            kept = self._read_alone(credentials)
            before = tuple(key for key in kept.keys if is_valid(key.chain[0], now)) if beside else ()
            kept.keys, kept.fresh_at = _both(keys, before), now
            kept.own = kept.keys if beside else ()
            if self._folder is not None:
                path = self._folder / _name(credentials)
                try:
                    kept.stamp = _write(path, chain_pem(key.chain[0] for key in kept.keys), now)
                except OSError:
                    with suppress(OSError):  # what may stand there is older than these
                        kept.stamp = _stamp(path)
        return len(keys)

    def begin(
        self, credentials: Credentials, now: Instant, *, asked: bool = False, inquiry: bool = False
    ) -> Question | None:
        """Whose it is to ask: his who gets a question that is ``mine``; nobody's where it is None, because it is too
        soon after the last time. ``asked``: a person wants it, so that it is never too soon. ``inquiry``: not for the
        certificates, but about a notification; these have turns of their own. A question that does not end is waited
        for until the next may be put: who asked may be gone."""
        with self._lock:
            kept = self._kept.setdefault(_name(credentials), _Kept())
            last = kept.inquired if inquiry else kept.fetched
            soon = last.at is not None and now < later(last.at, AGAIN)
            if soon and last.over is not None and not last.over.done():
                return Question(False, last.over)
            if soon and not asked:
                return None
            last.at, last.over = now, Future()
            return Question(True, last.over)

    def is_due(self, credentials: Credentials, now: Instant) -> bool:
        """Whether to fetch the certificates again: none were fetched, by this process or another one that shares the
        folder, or they have grown old, or are of a time to come (the clock ran ahead that told when they were fetched).
        With a configured public key, only those that are kept already: during a change notifications may still come
        under a certificate, and under the next one. A merchant with the public key alone may have none to fetch, so
        that then nobody asks more often than once in an hour."""
        kept = self._read(credentials)
        if any(not key.chain and not isinstance(key.material, bytes) for key in credentials.ring.verify):
            asked = kept.fetched.at
            if not kept.keys or (asked is not None and now < later(asked, HOUR)):
                return False
        fresh = kept.fresh_at
        if fresh is None and kept.stamp[0] >= 0:
            fresh = Instant(kept.stamp[0] // 1_000_000)
        return fresh is None or not fresh <= now < later(fresh, REFRESH)

    def _read(self, credentials: Credentials) -> _Kept:
        with self._lock:
            return self._read_alone(credentials)

    def _read_alone(self, credentials: Credentials) -> _Kept:
        """For who has the lock."""
        name = _name(credentials)
        kept = self._kept.setdefault(name, _Kept())
        if self._folder is None:
            return kept
        path = self._folder / name
        with suppress(OSError, UnicodeDecodeError, ConfigurationError):  # a file that cannot be read is none
            stamp = _stamp(path)
            if stamp != kept.stamp:
                algorithm = _algorithm(credentials)
                stored = tuple(_key(leaf, algorithm) for leaf in load_chain(path.read_text("ascii"), "trust"))
                kept.keys, kept.stamp = _both(stored, kept.own), stamp
        return kept


def _algorithm(credentials: Credentials) -> str:
    """The algorithm of the merchant's own signatures, which is the platform's too."""
    for key in credentials.ring.sign:
        if not isinstance(key.material, bytes):
            return key.algorithm
    raise ConfigurationError("trust", "this protocol has no certificates")


def _both(first: Sequence[Key], then: Sequence[Key]) -> tuple[Key, ...]:
    """Each once."""
    ids = {key.id for key in first}
    return (*first, *(key for key in then if key.id not in ids))


def _serial(key: Key) -> str:
    return f"{key.chain[0].serial_number:X}" if key.chain else key.id


def _key(leaf: Certificate, algorithm: str) -> Key:
    return Key(f"{leaf.serial_number:X}", 1, algorithm, certificate_key(leaf, "trust"), chain=(leaf,))


def _name(credentials: Credentials) -> str:
    """One file for each protocol, address and merchant; none of them can name a path."""
    where = hashlib.sha256(f"{credentials.protocol} {credentials.gateway} {credentials.merchant}".encode()).hexdigest()
    return f"{credentials.protocol}-{where[:24]}.pem"


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino


def _write(path: Path, text: str, now: Instant) -> tuple[int, int]:
    """Write beside the place, for the owner alone, and rename it there; the stamp of what was written. Its time is
    ``now``: how old certificates are is told by one clock, whichever process asks."""
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.utime(fresh, ns=(now * 1_000_000, now * 1_000_000))
        stamp = _stamp(Path(fresh))  # of what is ours: another process may write there at once, and is to be read then
        Path(fresh).replace(path)
    finally:
        Path(fresh).unlink(missing_ok=True)
    return stamp
