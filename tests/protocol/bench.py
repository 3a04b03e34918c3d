"""A platform and a merchant wired together for one folder, one algorithm and one charset."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from tongbao.kernel.time import Instant, parse_china
from tongbao.sandbox.chain import issue, make_root
from tongbao.wire.certificate import Chain, load_chain
from tongbao.wire.contract import Call, Claim, Credentials, Manifest, Verified
from tongbao.wire.http import Request, get
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.movement import PayOutBatch, RefundBatch
from tongbao.wire.vocabulary import Carriage, CloseTrade, CreateTrade, Intent, Product, QueryTrade

NOW = parse_china("2015-04-01 12:03:05")
SECRETS = (
    "k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4",
    "z1x2c3v4b5n6m7a8s9d0f1g2h3j4k5l6",
    "p0o9i8u7y6t5r4e3w2q1a2s3d4f5g6h7",
    "m1n2b3v4c5x6z7l8k9j0h1g2f3d4s5a6",
)
CONTENT_SECRETS = {
    "text": SECRETS,
    "base64": (
        "azlmOHM3ZDZmNWc0aDNqMg==",
        "ejF4MmMzdjRiNW42bTdhOA==",
        "cDBvOWk4dTd5NnQ1cjRlMw==",
        "bTFuMmIzdjRjNXg2ejdsOA==",
    ),
}
NOTIFY_URL = "http://shop.example.com/notify"


@cache
def rsa_key(number: int) -> RSAPrivateKey:
    """A key made for this run; ``number`` tells them apart."""
    return generate_private_key(65_537, 2_048)


def products(manifest: Manifest) -> list[Product]:
    """What the folder sells, in the order of ``Product``."""
    return [product for product in Product if product in manifest.products]


def is_asymmetric(algorithm: str) -> bool:
    """Whether the two sides hold different keys."""
    return "RSA" in algorithm.upper()


@dataclass(frozen=True)
class Pair:
    """Both ends. ``ring`` is the platform's of this merchant, ``credentials`` the merchant's own."""

    manifest: Manifest
    algorithm: str
    charset: str
    ring: KeyRing
    credentials: Credentials
    settings: Mapping[str, Any]

    def ask(self, intent: Intent) -> list[tuple[Call, Claim, Verified]]:
        """The request as sent and read, in each form in which it may be carried."""
        call = self.manifest.client.encode(intent, self.credentials, NOW)
        requests = [call.request()]
        if call.carriage is Carriage.BROWSER and call.body is None:
            requests.append(get(call.link()))
        return [(call, *self.read(request)) for request in requests]

    def read(self, request: Request) -> tuple[Claim, Verified]:
        claim = self.manifest.server.claim(request)
        return claim, self.manifest.server.decode(claim, self.ring, NOW)

    def echo(self, intent: CreateTrade) -> Mapping[str, str]:
        """What the protocol wants back with a trade that this intent created."""
        created = self.ask(intent)[0][2].intent
        return created.echo if isinstance(created, CreateTrade) else {}


def make_rings(manifest: Manifest, algorithm: str, number: int = 0) -> tuple[KeyRing, KeyRing]:
    """The platform's ring and the merchant's, fresh for each ``number``, with the keys that hide contents first."""
    hiding = tuple(
        Key(f"content-{name}", 1, name, CONTENT_SECRETS[form][number].encode("ascii"))
        for name, form in manifest.content_keys.items()
    )
    platform, own = _signing_rings(manifest.merchant_example, algorithm, number, certified=manifest.certificates)
    return (
        KeyRing(platform.merchant, hiding + platform.verify, hiding + platform.sign),
        KeyRing(own.merchant, hiding + own.verify, hiding + own.sign),
    )


class _Chance:
    """Bytes that are the same in every run."""

    def __init__(self) -> None:
        self._drawn = 0

    def token(self, length: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(b"%d" % self._drawn).digest(length)


CHANCE = _Chance()


@cache
def authority() -> str:
    """A root for this run's certificates."""
    return make_root(CHANCE)


@cache
def issued(number: int) -> Chain:
    """The certificate of ``rsa_key(number)`` and the root's behind it."""
    return load_chain(issue(authority(), rsa_key(number).public_key(), f"party {number}", "Test", CHANCE), "chain")


def _signing_rings(merchant: str, algorithm: str, number: int, *, certified: bool) -> tuple[KeyRing, KeyRing]:
    if is_asymmetric(algorithm):
        mine, theirs = rsa_key(2 * number), rsa_key(2 * number + 1)
        signs, checks = Key("mine", 1, algorithm, mine), Key("mine", 1, algorithm, mine.public_key())
        answers, trusts = Key("platform", 1, algorithm, theirs), Key("platform", 1, algorithm, theirs.public_key())
        if certified:
            signs, checks = (replace(key, chain=issued(2 * number)) for key in (signs, checks))
            answers, trusts = (replace(key, chain=issued(2 * number + 1)) for key in (answers, trusts))
        return KeyRing(merchant, (checks,), (answers,)), KeyRing(merchant, (trusts,), (signs,))
    shared = Key("shared", 1, algorithm, SECRETS[number].encode("ascii"))
    ring = KeyRing(merchant, (shared,), (shared,))
    return ring, ring


@cache
def make_pair(name: str, algorithm: str, charset: str = "", number: int = 0, mode: str = "") -> Pair:
    """A pair whose merchant is configured from what ``credentials_for`` hands out, as the sandbox's is; ``mode`` is one
    of the folder's, '' for the ordinary one."""
    manifest = load_protocol(name)
    merchant = manifest.merchant_example
    platform, own = make_rings(manifest, algorithm, number)
    # without a return every request must name where notifications go
    extra = {} if manifest.returns else {"notify_url": NOTIFY_URL}
    extra |= {"charset": charset} if charset else {}
    extra |= dict(manifest.modes[mode]) if mode else {}
    settings = manifest.credentials_for(merchant, own, "http://127.0.0.1:8080", extra)
    credentials = manifest.client.load(settings)
    return Pair(manifest, algorithm, charset or manifest.charset, platform, credentials, settings)


def all_pairs() -> list[tuple[str, str, str]]:
    """Arguments of ``make_pair`` for every folder, algorithm and charset."""
    found = []
    for name in protocol_names():
        manifest = load_protocol(name)
        found += [
            (name, algorithm, charset) for algorithm in manifest.algorithms for charset in manifest.charsets or ("",)
        ]
    return found


def pair_params() -> list[ParameterSet]:
    """The same for pytest: of each folder, the weakest algorithm in the first charset is the quick one."""
    params = []
    for name, algorithm, charset in all_pairs():
        manifest = load_protocol(name)
        quick = algorithm == manifest.algorithms[-1] and (charset in manifest.charsets[:1] or not charset)
        params.append(pytest.param(name, algorithm, charset, marks=() if quick else (pytest.mark.slow,)))
    return params


EVERY_PAIR = pytest.mark.parametrize(("name", "algorithm", "charset"), pair_params())


def lost(asked: Any, told: Any, path: str = "") -> str:
    """Where both values speak and disagree: the path of the first such member, '' for none. ``echo`` is not speech."""
    if not is_dataclass(asked) or not is_dataclass(told):
        return path if asked != told else ""
    for member in fields(asked):
        if member.name in ("echo", "unsigned"):
            continue
        mine, theirs = getattr(asked, member.name), getattr(told, member.name)
        here = f"{path}{member.name}"
        if mine is None or theirs is None or mine in ("", ()) or theirs in ("", ()) or mine == theirs:
            continue
        if isinstance(mine, tuple) and isinstance(theirs, tuple) and len(mine) == len(theirs):
            inner = "".join([lost(one, two, f"{here}.") for one, two in zip(mine, theirs, strict=True) if one != two])
            if not inner:
                continue
            return inner
        if is_dataclass(mine) and is_dataclass(theirs) and type(mine) is type(theirs) and not hasattr(mine, "minor"):
            inner = lost(mine, theirs, f"{here}.")
            if not inner:
                continue
            return inner
        return here
    return ""


def silent(asked: Any, told: Any) -> str:
    """The first member that ``asked`` speaks of and ``told`` does not."""
    for member in fields(asked):
        mine, theirs = getattr(asked, member.name), getattr(told, member.name)
        if member.name != "echo" and mine not in (None, "", ()) and theirs in (None, "", ()):
            return member.name
    return ""


def untold(asked: Any, told: Any) -> str:
    """The same, but of a trade's two numbers one suffices to name it."""
    if isinstance(asked, QueryTrade | CloseTrade) and asked.out_trade_no and asked.trade_no:
        if told.out_trade_no:
            asked = replace(asked, trade_no=told.trade_no)
        elif told.trade_no:
            asked = replace(asked, out_trade_no="")
    return silent(asked, told)


def without_echo(intent: Intent) -> Intent:
    """The intent without what only the protocol needs."""
    return replace(intent, echo={}) if isinstance(intent, CreateTrade | RefundBatch | PayOutBatch) else intent


def second(instant: Instant | None) -> int | None:
    """Whole seconds: protocols of the time tell no more."""
    return None if instant is None else instant // 1_000
