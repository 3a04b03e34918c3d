"""Signing together: as if each had signed alone, whatever comes in between."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    generate_private_key,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.hashes import SHA512, HashAlgorithm

from tests.support.missing import missing
from tests.support.world import HandClock, Journal, ToldBank, make_world
from tongbao.cli.host import HostSettings, host_sandbox
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.money import Money
from tongbao.merchant.client import AsyncClient
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.runtime.bench import FEWEST, LANES, VISIT, Bench, MultiBuffer, sign_together
from tongbao.wire.sign import SHA1, SHA256
from tongbao.wire.unsigned import Unsigned
from tongbao.wire.vocabulary import Presentation

HEARD = "http://127.0.0.1:9/heard"
NAMES = ("libcrypto_mb.so.11", "libcrypto_mb.so.13")


@cache
def make_key(bits: int = 1_024, number: int = 0) -> RSAPrivateKey:
    """A throw-away key; the same for the same arguments."""
    return generate_private_key(65_537, bits)


@pytest.fixture(scope="module")
def library() -> Iterator[MultiBuffer]:
    """The real one, from ``TONGBAO_TEST_CRYPTO_MB`` or the system."""
    for name in filter(None, (os.environ.get("TONGBAO_TEST_CRYPTO_MB", ""), *NAMES)):
        try:
            yield MultiBuffer(name)
        except ConfigurationError:
            continue
        return
    missing("multi-buffer library (Debian 13: libcrypto-mb11) with AVX-512 IFMA", optional=True)


def ask(text: bytes, key: RSAPrivateKey | None = None, digest: HashAlgorithm = SHA256) -> Unsigned[str]:
    """A message that is its text and its signature."""
    return Unsigned(text, key or make_key(), digest, lambda signature: f"{text!r}:{signature}")


def sign_each(wanted: Sequence[Unsigned[Any]]) -> list[bytes | None]:
    """One by one."""
    return [base64.b64decode(one.signature()) for one in wanted]


def test_signatures_are_made_by_whoever_can() -> None:
    """Together where there are enough of them; what cannot be signed together is signed alone."""
    asked = [ask(b"%d" % number) for number in range(FEWEST)]
    known = [one.signature() for one in asked]
    log = Journal().log
    assert sign_together(asked, sign_each, log) == known
    assert sign_together(asked, lambda wanted: [None, *sign_each(wanted)[1:]], log) == known
    assert sign_together(asked[1:], lambda wanted: [], log) == known[1:]


def test_a_bench_serves_all_who_wait() -> None:
    """So many in one visit that no lane is empty, whoever is left next; who went away, or asks what nobody can do, is
    nobody else's trouble, nor is a library that breaks."""
    sizes: list[int] = []
    journal = Journal()

    def sign(wanted: Sequence[Unsigned[Any]]) -> list[bytes | None]:
        sizes.append(len(wanted))
        if any(one.text == b"3" for one in wanted):
            raise ValueError("the library is broken")
        return sign_each(wanted)

    async def compute(function: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(function)

    async def play() -> list[Any]:
        bench = Bench(compute, sign, journal.log)
        tasks = [asyncio.create_task(bench.sign(ask(b"%d" % n))) for n in range(40)]
        odd: Any = Unsigned(b"x", None, SHA256, str)  # type: ignore[arg-type]
        tasks.insert(5, asyncio.create_task(bench.sign(odd)))
        await asyncio.sleep(0)
        tasks[8].cancel()
        tasks[40].cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        return [*ends, await bench.sign(ask(b"last"))]

    *ends, last = asyncio.run(play())
    assert isinstance(ends.pop(5), AttributeError)
    there = [n for n in range(40) if n not in (7, 39)]
    assert [ends[n] for n in there] == [ask(b"%d" % n).signature() for n in there]
    assert [type(ends[7]), type(ends[39])] == [asyncio.CancelledError] * 2
    assert last == ask(b"last").signature()
    assert sizes == [VISIT, LANES]  # and the last one alone
    assert {event for event, _ in journal.events} == {"bench.failed"}
    assert {fields["error"] for _, fields in journal.events} <= {"ValueError", "AttributeError"}


def test_nobody_waits_for_a_bench_that_is_gone() -> None:
    """The loop ends before it has begun, and in the middle, or there are no threads any more: nobody is left behind."""

    async def still(function: Callable[[], Any]) -> Any:
        await asyncio.sleep(60)

    async def gone(function: Callable[[], Any]) -> Any:
        raise RuntimeError("closed")

    async def play() -> list[Any]:
        broken = Bench(gone, sign_each, Journal().log)
        ends = await asyncio.gather(*[broken.sign(ask(b"%d" % n)) for n in range(10)], return_exceptions=True)
        assert [str(end) for end in ends] == ["closed"] * 10
        ends = []
        slow = Bench(still, sign_each, Journal().log)
        for turns in (1, 5):
            waiting = [asyncio.create_task(slow.sign(ask(b"%d" % n))) for n in range(10)]
            for _ in range(turns):
                await asyncio.sleep(0)
            next(task for task in asyncio.all_tasks() if task.get_name() == "bench").cancel()
            ends += await asyncio.gather(*waiting, return_exceptions=True)
        return ends

    assert [type(end) for end in asyncio.run(play())] == [asyncio.CancelledError] * 20


def test_a_world_finishes_what_waits_for_a_signature() -> None:
    """On the bench where there is one, else on a thread alone; what waits for nothing is given as it is."""

    async def play() -> list[str]:
        world = make_world(1, ToldBank(b"root"), HandClock(), Journal())
        benched = replace(world, sign=Bench(world.compute, sign_each, world.log).sign)
        messages: list[str | Unsigned[str]] = ["whole", *[ask(b"%d" % n) for n in range(5)]]
        return [
            *[await world.finish(message) for message in messages],
            *await asyncio.gather(*[benched.finish(message) for message in messages]),
        ]

    whole = ["whole", *[ask(b"%d" % n).sign() for n in range(5)]]
    assert asyncio.run(play()) == whole * 2


@pytest.mark.parametrize("name", ["libcrypto_mb_nowhere.so", "libc.so.6"])
def test_what_is_no_such_library_is_named(name: str) -> None:
    """At the start, not at the first signature."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        MultiBuffer(name)
    assert caught.value.field == "crypto_mb"


@pytest.mark.parametrize("bits", [1_024, 2_048, 3_072, 4_096])
@pytest.mark.parametrize("many", [3, 8, 19])
def test_signatures_are_those_of_openssl(library: MultiBuffer, bits: int, many: int) -> None:
    """Of several keys and both digests, in full and in part."""
    wanted = [ask(b"t%d" % n, make_key(bits, n % 3), (SHA256, SHA1)[n % 2]) for n in range(many)]
    found = library.sign(wanted)
    assert [one for one in found if one is not None] == sign_each(wanted)[: len([one for one in found if one])]
    assert len([one for one in found if one is None]) == (many % LANES if many % LANES < FEWEST else 0)
    mixed = [ask(b"m", make_key(size), SHA256) for size in (1_024, bits) * 4]
    assert library.sign(mixed) == sign_each(mixed)


def test_what_the_library_does_not_do_is_left_to_others(library: MultiBuffer) -> None:
    """Other exponents, sizes and digests; a key whose smaller prime comes first is signed for, or left alone."""
    sizes = [generate_private_key(65_537, bits) for bits in (1_536, 1_025)]
    for key in (generate_private_key(3, 2_048), *sizes):
        assert library.sign([ask(b"x", key, SHA256)] * 4) == [None] * 4
    assert library.sign([ask(b"x", make_key(), SHA512())] * 4) == [None] * 4
    numbers = make_key(2_048).private_numbers()
    p, q = numbers.q, numbers.p
    turned = RSAPrivateNumbers(
        p, q, numbers.d, numbers.dmq1, numbers.dmp1, rsa_crt_iqmp(p, q), numbers.public_numbers
    ).private_key()
    wanted = [ask(b"x", turned, SHA256)] * 4
    assert library.sign(wanted) in (sign_each(wanted), [None] * 4)


def test_a_wrong_signature_is_never_given(library: MultiBuffer) -> None:
    """One half of the calculation goes wrong, by which the key could be found: that lane gives nothing."""
    keys = [generate_private_key(65_537, 2_048) for _ in range(4)]
    wanted = [ask(b"x", key, SHA256) for key in keys]
    assert library.sign(wanted) == sign_each(wanted)
    part = library._keys[id(keys[2])].parts[2]
    part[0] = bytes([part.raw[0] ^ 1])
    assert library.sign(wanted) == [*sign_each(wanted)[:2], None, sign_each(wanted)[3]]


@pytest.mark.slow
def test_a_sandbox_signs_together(library: MultiBuffer, tmp_path: Path) -> None:
    """Answers to a crowd, each verified by the client: many keys, of both signing interfaces, at once."""
    path = tmp_path / "credentials.json"

    async def play() -> int:
        async with host_sandbox(HostSettings(crypto_mb=library.name)) as hosted, AsyncExitStack() as stack:
            path.write_text(json.dumps(await hosted.credentials()))
            clients = []
            for name in ("alipay_openapi", "wechatpay_v3"):
                configuration = MerchantConfiguration.from_sandbox(path, name)
                clients.append(await stack.enter_async_context(AsyncClient(configuration)))
            asked = [
                client.create(f"TOGETHER{place}N{n}", Money(100), "x", presentation=Presentation.QR, notify_url=HEARD)
                for n in range(24)
                for place, client in enumerate(clients)
            ]
            return len({opened.code for opened in await asyncio.gather(*asked)})

    assert asyncio.run(play()) == 48


def test_a_key_that_is_not_kept_is_wiped(library: MultiBuffer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its private numbers are overwritten; it signs again when it comes again."""
    monkeypatch.setattr("tongbao.runtime.bench.KEYS_MAX", 2)
    own = MultiBuffer(library.name)
    keys = [make_key(2_048, number) for number in range(3)]
    asked = [[ask(b"x", key)] * 4 for key in keys]
    assert own.sign(asked[0]) == sign_each(asked[0])
    kept = own._keys[id(keys[0])]
    for one in (*asked[1:], asked[0]):
        assert own.sign(one) == sign_each(one)
    assert [set(part.raw) for part in kept.parts[:-1]] == [{0}] * 5
