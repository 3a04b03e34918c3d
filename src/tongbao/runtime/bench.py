"""Signing together: what several answers want signed by RSA at the same moment is signed by one call.

Intel's multi-buffer library (``crypto_mb``, Apache-2.0; Debian 13: ``libcrypto-mb11``) makes eight RSA signatures at
once on processors with AVX-512 IFMA, in the time that OpenSSL takes for two or three. It is an optional library of the
system and is used only where the setting ``crypto_mb`` names it. No signature leaves that was not checked with its
public key: a fault in one half of the calculation would give the key away.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tongbao.kernel.error import ConfigurationError
from tongbao.wire.unsigned import Unsigned
from tongbao.wire.world import Log

LANES: Final = 8
FEWEST: Final = 3
"""Fewer are signed one by one: eight at once take as long as between two and three."""
VISIT: Final = 4 * LANES
"""Signatures in one visit to the thread: with eight in each the way there and back was a tenth of a create."""
SIZES: Final = (1_024, 2_048, 3_072, 4_096)
KEYS_MAX: Final = 256
"""Keys kept ready; the one unused for longest goes first, and our copy of its numbers is wiped."""

_PREFIXES: Final = {
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
}
"""DigestInfo up to the digest (RFC 8017, section 9.2, note 1)."""

_Eight = ctypes.c_void_p * LANES


Wanted = Unsigned[Any]
SignMany = Callable[[Sequence[Wanted]], Sequence[bytes | None]]
"""Signatures for messages that want them; None for what has to be signed alone."""


class _Key:
    """A key's numbers as the library wants them: words of 64 bits, the lowest first."""

    def __init__(self, key: RSAPrivateKey) -> None:
        numbers = key.private_numbers()
        public = numbers.public_numbers
        self.key = key
        self.size = key.key_size
        half = self.size // 2
        self.fits = (
            self.size in SIZES and public.e == 65_537 and numbers.p.bit_length() == numbers.q.bit_length() == half
        )
        values = (numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
        self.parts = [*[_words(value, half) for value in values], _words(public.n, self.size)] if self.fits else []
        self.alone = [_eight([part] * LANES) for part in self.parts]
        """The same for all lanes: most of what is signed together is signed by one key."""

    def wipe(self) -> None:
        """Overwrite this copy of the private numbers: nobody signs with the key any more, or it is made ready anew."""
        for part in self.parts[:-1]:
            ctypes.memset(part, 0, len(part))


def _words(value: int, bits: int) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(value.to_bytes(bits // 8, "little"), bits // 8)


def _eight(parts: Sequence[ctypes.Array[ctypes.c_char]]) -> ctypes.Array[ctypes.c_void_p]:
    return _Eight(*map(ctypes.addressof, parts))


class _Room:
    """Room for eight texts of one length, their signatures, and what these open to."""

    def __init__(self, length: int) -> None:
        self.texts, self.signatures, self.checks = (ctypes.create_string_buffer(length * LANES) for _ in range(3))
        self.places = [
            _Eight(*[ctypes.addressof(area) + lane * length for lane in range(LANES)])
            for area in (self.texts, self.signatures, self.checks)
        ]


class MultiBuffer:
    """The library; threads take turns. ``name`` is its file name or path. Raises ConfigurationError."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            library = ctypes.CDLL(name)
            fits = library.mbx_is_crypto_mb_applicable
            self._private, self._public = library.mbx_rsa_private_crt_mb8, library.mbx_rsa_public_mb8
            private, public = library.mbx_RSA_private_crt_Method, library.mbx_RSA_pub65537_Method
        except (OSError, AttributeError) as error:
            raise ConfigurationError("crypto_mb", f"{name} is no multi-buffer library: {error}") from error
        fits.argtypes, fits.restype = [ctypes.c_int64], ctypes.c_int
        if not fits(0):
            raise ConfigurationError("crypto_mb", "this processor has no AVX-512 IFMA, which the library needs")
        for method in (private, public):
            method.argtypes, method.restype = [ctypes.c_int], ctypes.c_void_p
        end = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._private.argtypes, self._private.restype = (*[_Eight] * 7, *end), ctypes.c_uint32
        self._public.argtypes, self._public.restype = (*[_Eight] * 3, *end), ctypes.c_uint32
        self._methods = {size: (private(size), public(size)) for size in SIZES}
        self._rooms = {size: _Room(size // 8) for size in SIZES}
        self._keys: OrderedDict[int, _Key] = OrderedDict()
        self._turn = threading.Lock()

    def sign(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        """Signatures in the same order; None where the library does not do such a key or digest, or failed."""
        with self._turn:
            return self._sign_all(wanted)

    def _sign_all(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        found: list[bytes | None] = [None] * len(wanted)
        by_size: dict[int, list[tuple[int, _Key, bytes]]] = {}
        for place, one in enumerate(wanted):
            key = self._key(one.key)
            if key.fits and one.digest.name in _PREFIXES:
                by_size.setdefault(key.size, []).append((place, key, _pad(one, key.size // 8)))
        for size, jobs in by_size.items():
            for start in range(0, len(jobs), LANES):
                part = jobs[start : start + LANES]
                if len(part) >= FEWEST:
                    for (place, _, _), signature in zip(part, self._sign_eight(size, part), strict=True):
                        found[place] = signature
        return found

    def _key(self, key: RSAPrivateKey) -> _Key:
        known = self._keys.get(id(key))
        if known is None:
            # the key itself is kept with its numbers, so that nobody else gets its id meanwhile
            known = self._keys[id(key)] = _Key(key)
            while len(self._keys) > KEYS_MAX:
                self._keys.popitem(last=False)[1].wipe()
        else:
            self._keys.move_to_end(id(key))
        return known

    def _sign_eight(self, size: int, jobs: Sequence[tuple[int, _Key, bytes]]) -> list[bytes | None]:
        length, room = size // 8, self._rooms[size]
        # an empty lane does what the first one does
        lanes = [*jobs, *[jobs[0]] * (LANES - len(jobs))]
        room.texts.raw = b"".join([text for _, _, text in lanes])
        keys = [key for _, key, _ in lanes]
        if keys.count(keys[0]) == LANES:
            *parts, moduli = keys[0].alone
        else:
            *parts, moduli = [_eight(same) for same in zip(*[key.parts for key in keys], strict=True)]
        private, public = self._methods[size]
        texts, signatures, checks = room.places
        failed = self._private(texts, signatures, *parts, size, private, None)
        failed |= self._public(signatures, checks, moduli, size, public, None)
        signed, opened = room.signatures.raw, room.checks.raw
        found: list[bytes | None] = []
        for lane, (_, _, text) in enumerate(jobs):
            place = slice(lane * length, (lane + 1) * length)
            right = not failed >> lane * 4 & 0xF and opened[place] == text
            found.append(signed[place] if right else None)
        return found


def _pad(wanted: Wanted, length: int) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017, section 9.2)."""
    info = _PREFIXES[wanted.digest.name] + hashlib.new(wanted.digest.name, wanted.text).digest()
    return b"\x00\x01" + b"\xff" * (length - len(info) - 3) + b"\x00" + info


def sign_together(wanted: Sequence[Wanted], sign: SignMany, log: Log) -> list[str | Exception]:
    """The signatures in base64, by ``sign`` where it is worth while and can, else each alone; what nobody can sign is
    told by what was raised. A library that breaks is logged, and nobody else hears of it."""
    found: Sequence[bytes | None] = [None] * len(wanted)
    if len(wanted) >= FEWEST:
        try:
            found = sign(wanted)
        except Exception as error:  # noqa: BLE001 - whatever troubles the library, each is signed without it
            log("bench.failed", error=type(error).__name__)
    return [
        _sign_alone(one) if raw is None else base64.b64encode(raw).decode("ascii")
        for one, raw in zip(wanted, found, strict=True)
    ]


def _sign_alone(message: Wanted) -> str | Exception:
    try:
        return message.signature()
    except Exception as error:  # noqa: BLE001 - raised again where it is awaited
        return error


Compute = Callable[[Callable[[], Any]], Awaitable[Any]]
_Waiting = tuple[Wanted, "asyncio.Future[str]"]


class Bench:
    """``World.sign``: eight signatures by one call, up to four calls in one visit to a thread of ``compute``. Whatever
    came meanwhile is for the next visit; nobody waits for company. Belongs to one event loop."""

    def __init__(self, compute: Compute, sign: SignMany, log: Log) -> None:
        self._compute = compute
        self._sign = sign
        self._log = log
        self._waiting: deque[_Waiting] = deque()
        self._part: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def sign(self, message: Wanted) -> str:
        """The signature that a message wants, in base64."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, future))
        if self._task is None:
            self._start()
        return await future

    def _start(self) -> None:
        self._task = asyncio.create_task(self._serve(), name="bench")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        for _, future in self._part:
            if future.done():
                continue  # answered, or nobody waits any more
            if error is None:
                future.cancel()
            else:
                future.set_exception(error)
        self._part = []
        if task.cancelled():
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()
        elif self._waiting:
            self._start()

    async def _serve(self) -> None:
        while self._waiting:
            many = min(len(self._waiting), VISIT)
            # what would leave lanes empty stays for the next visit, where others join it
            many = many // LANES * LANES or many
            self._part = [self._waiting.popleft() for _ in range(many)]
            wanted = [message for message, _ in self._part]
            signatures = await self._compute(lambda: sign_together(wanted, self._sign, self._log))  # noqa: B023 - awaited here
            for (_, future), signature in zip(self._part, signatures, strict=True):
                if future.cancelled():
                    continue
                if isinstance(signature, Exception):
                    future.set_exception(signature)
                else:
                    future.set_result(signature)
