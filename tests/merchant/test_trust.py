"""The certificates a merchant keeps: apart from other merchants', shared between processes, asked for rarely."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.protocol.bench import NOW, make_pair
from tests.support.clock import Hands
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.time import HOUR, Instant, later
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.trust import AGAIN, REFRESH, TrustStore
from tongbao.protocols.wechatpay_v3.codec import platform_name
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.certificate import chain_pem, load_chain
from tongbao.wire.contract import Credentials
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import CertificatesFound
from tongbao.wire.vocabulary import Done
from tongbao.wire.world import Limits

ALGORITHM = "WECHATPAY2-SHA256-RSA2048"


def bare(number: int = 0) -> Credentials:
    """A merchant's credentials without any key of the platform."""
    own = make_pair("wechatpay_v3", ALGORITHM, number=number).credentials
    return replace(own, ring=replace(own.ring, verify=own.ring.verify[:1]))


def certificate(number: int = 0) -> str:
    pair = make_pair("wechatpay_v3", ALGORITHM, number=number)
    return chain_pem(pair.ring.sign[-1].chain[:1])


def names(credentials: Credentials) -> list[str]:
    return [platform_name(key) for key in credentials.ring.verify if key.algorithm == ALGORITHM]


def asks(store: TrustStore, credentials: Credentials, now: Instant) -> bool:
    """Whether a question may be put; it is answered at once."""
    question = store.begin(credentials, now)
    if question is not None:
        assert question.mine
        question.end()
    return question is not None


def test_what_is_kept_is_one_merchants_own(tmp_path: Path) -> None:
    """Another merchant, and the same one at another address, have nothing of it."""
    store, own = TrustStore(tmp_path), bare()
    assert names(store.known(own)) == []
    assert store.keep(own, [certificate()], NOW) == 1
    assert len(names(store.known(own))) == 1
    assert names(store.known(replace(own, merchant="1900000111"))) == []
    assert names(store.known(replace(own, gateway="http://127.0.0.1:1"))) == []


def test_another_process_sees_it_and_a_change(tmp_path: Path) -> None:
    """The file is whole, its owner's alone, and read again when it changed; what is gone there is gone here."""
    one, two, own = TrustStore(tmp_path), TrustStore(tmp_path), bare()
    one.keep(own, [certificate()], NOW)
    first = names(two.known(own))
    assert len(first) == 1
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    one.keep(own, [certificate(1)], NOW)
    assert names(two.known(own)) != first
    assert len(names(two.known(own))) == 1


def test_T20_what_is_kept_beside_others_counts_for_its_own_term(tmp_path: Path) -> None:
    """Also what another process learnt; each once, and no longer than it is valid."""
    one, two, own = TrustStore(tmp_path), TrustStore(tmp_path), bare()
    for store, number in ((one, 0), (two, 1), (one, 1)):
        assert store.keep(own, [certificate(number)], NOW, beside=True) == 1
    assert sorted(names(two.known(own))) == sorted(names(one.known(own))) == sorted([make_name(0), make_name(1)])
    (leaf,) = load_chain(certificate(0), "test")
    over = Instant(int(leaf.not_valid_after_utc.timestamp() + 1) * 1_000)
    one.keep(own, [certificate(1)], over, beside=True)
    assert names(one.known(own)) == [make_name(1)]


def test_T20_what_was_learnt_survives_another_process_that_learns_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the file before ours stood there, and writes its own over it: ours counts on, and stands there again
    when the next is kept."""
    one, two, own = TrustStore(tmp_path), TrustStore(tmp_path), bare()
    flush = os.fsync

    def meanwhile(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", flush)
        two.keep(own, [certificate(1)], NOW, beside=True)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    one.keep(own, [certificate(0)], later(NOW, 1), beside=True)
    assert names(TrustStore(tmp_path).known(own)) == [make_name(0)]
    assert sorted(names(two.known(own))) == sorted([make_name(0), make_name(1)])
    two.keep(own, [certificate(2)], later(NOW, 2), beside=True)
    every = sorted(make_name(number) for number in range(3))
    assert [sorted(names(store.known(own))) for store in (one, two, TrustStore(tmp_path))] == [every] * 3


def test_kept_certificates_verify_by_the_merchants_own_algorithm(tmp_path: Path) -> None:
    """Also where it is not the interface's strongest, in the process that keeps them and in one that reads them."""
    pair, other = (make_pair("alipay_openapi", "RSA", "utf-8", number) for number in (0, 1))
    fresh = chain_pem(other.ring.sign[-1].chain[:1])
    for store in (TrustStore(tmp_path), TrustStore(tmp_path)):
        if store.is_due(pair.credentials, NOW):
            assert store.keep(pair.credentials, [fresh], NOW) == 1
        known = store.known(pair.credentials)
        assert [key.chain[0] for key in known.ring.verifying("RSA")][1:] == [other.ring.sign[-1].chain[0]]


def test_their_age_is_told_by_the_clock_that_fetched_them(tmp_path: Path) -> None:
    """Not by the disk's: in a process that reads them they grow old when they do in the one that fetched them. Where
    its clock ran ahead, so that they are of a time to come, they are fetched again."""
    own = bare()
    TrustStore(tmp_path).keep(own, [certificate()], NOW)
    reader = TrustStore(tmp_path)
    due = [reader.is_due(own, later(NOW, gap)) for gap in (-1_000, 0, REFRESH - 1, REFRESH)]
    assert due == [True, False, False, True]


def test_T20_beside_a_public_key_kept_certificates_are_renewed_and_none_are_begun() -> None:
    """A change takes days, in which a certificate may be followed by the next; where there are none any more, the
    question is put once in an hour."""
    store, none = TrustStore(), bare()
    full = make_pair("wechatpay_v3", ALGORITHM).credentials
    public = replace(next(key for key in full.ring.verify if key.algorithm == ALGORITHM), chain=())
    both = replace(none, ring=replace(none.ring, verify=(*none.ring.verify, public)))
    assert not store.is_due(both, NOW)
    store.keep(both, [certificate()], NOW)
    assert [store.is_due(both, later(NOW, gap)) for gap in (REFRESH - 1, REFRESH)] == [False, True]
    assert asks(store, both, later(NOW, REFRESH))
    assert [store.is_due(both, later(NOW, REFRESH + gap)) for gap in (AGAIN, HOUR - 1, HOUR)] == [False, False, True]


def test_configured_keys_come_first(tmp_path: Path) -> None:
    """A certificate that is configured is not there twice."""
    store, full = TrustStore(tmp_path), make_pair("wechatpay_v3", ALGORITHM).credentials
    store.keep(full, [certificate()], NOW)
    assert names(store.known(full)) == names(full)


def test_T20_unknown_serials_cause_no_storm() -> None:
    """Of many messages with unknown serial numbers one in five minutes asks the platform."""
    store, own = TrustStore(), bare()
    assert [asks(store, own, later(NOW, second * 1_000)) for second in (0, 1, 299)] == [True, False, False]
    assert asks(store, own, later(NOW, AGAIN))
    assert store.is_due(own, NOW)
    store.keep(own, [certificate()], NOW)
    assert [store.is_due(own, later(NOW, gap)) for gap in (0, REFRESH - 1, REFRESH)] == [False, False, True]


def test_T20_who_comes_while_one_asks_waits_for_him() -> None:
    """Everybody waits for the one question, also who was told to ask; another merchant does not. Who asked and is gone
    is waited for until the next question may be put, and no longer."""
    store, own = TrustStore(), bare()
    first = store.begin(own, NOW)
    assert first is not None
    assert first.mine
    others = [store.begin(own, later(NOW, AGAIN - 1), asked=asked) for asked in (False, True)]
    assert [(one.mine, one.over) for one in others if one is not None] == [(False, first.over)] * 2
    stranger = store.begin(replace(own, merchant="1900000111"), NOW)
    assert stranger is not None
    assert stranger.mine
    first.end()
    first.end()
    assert first.over.done()
    assert store.begin(own, later(NOW, AGAIN - 1)) is None
    again = store.begin(own, later(NOW, AGAIN - 1), asked=True)
    assert again is not None
    assert again.mine
    following = store.begin(own, later(NOW, 2 * AGAIN))
    assert following is not None
    assert following.mine


def test_no_certificate_is_kept_half() -> None:
    """What cannot be read is refused as a whole."""
    store, own = TrustStore(), bare()
    with pytest.raises(ConfigurationError):
        store.keep(own, [certificate(), "-----BEGIN CERTIFICATE-----"], NOW)
    assert names(store.known(own)) == []
    assert store.keep(own, [], NOW) == 0


@pytest.mark.parametrize("broken", [b"", b"\xff\xfe", "证书".encode(), b"-----BEGIN CERTIFICATE-----\nMII", None])
def test_F14_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path, broken: bytes | None) -> None:
    """Half a file of a full disk, another program's, a folder in its place: who knew the certificates goes on with
    them, who did not fetches them, and the next that are kept stand there again."""
    first, own = TrustStore(tmp_path), bare()
    first.keep(own, [certificate()], NOW)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir() if broken is None else path.write_bytes(broken)
    assert len(names(first.known(own))) == 1
    late = TrustStore(tmp_path)
    assert (names(late.known(own)), late.is_due(own, NOW)) == ([], True)
    assert late.keep(own, [certificate()], NOW) == 1
    assert (len(names(late.known(own))), late.is_due(own, NOW)) == (1, False)
    assert len(names(TrustStore(tmp_path).known(own))) == (broken is not None)


@pytest.mark.parametrize("place", ["gone", "a file"])
def test_F14_certificates_that_cannot_be_stored_live_in_memory(tmp_path: Path, place: str) -> None:
    """The folder went while the shop was running. What an older process had stored is not taken up again after them."""
    folder = tmp_path / "trust"
    store, own = TrustStore(folder), bare()
    store.keep(own, [certificate()], NOW)
    (path,) = folder.iterdir()
    path.unlink()
    folder.rmdir()
    if place == "a file":
        folder.write_text("")
    before = names(store.known(own))
    assert store.keep(own, [certificate(1)], later(NOW, 1)) == 1
    assert names(store.known(own)) != before
    assert not store.is_due(own, NOW + 1)  # type: ignore[arg-type]


def test_F14_a_full_disk_leaves_no_piece_and_what_stands_there_is_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer certificates count for who has them."""
    own = bare()
    TrustStore(tmp_path).keep(own, [certificate()], NOW)
    store = TrustStore(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    assert store.keep(own, [certificate(1)], NOW) == 1
    assert names(store.known(own)) == [make_name(1)]
    assert len(list(tmp_path.iterdir())) == 1


def full(descriptor: int) -> None:
    """What a disk without room says."""
    raise OSError(28, "No space left on device")


def make_name(number: int) -> str:
    """The serial number of that platform's certificate."""
    return platform_name(make_pair("wechatpay_v3", ALGORITHM, number=number).ring.sign[-1])


@pytest.mark.slow
def test_a_client_without_keys_learns_them(tmp_path: Path) -> None:
    """Neither certificate nor public key configured: the first answer with an unknown serial number makes the client
    fetch them, and a second client, as of another process, finds them kept."""
    with LocalSandbox() as sandbox:
        said = sandbox.configuration("wechatpay_v3")
        unknown = ("wechatpay_public_key", "wechatpay_public_key_id", "platform_certificate", "platform_serial_no")
        settings = {name: value for name, value in said.credentials.items() if name not in unknown}

        def client() -> Client:
            return Client(
                MerchantConfiguration(
                    protocol="wechatpay_v3",
                    credentials=settings,
                    environment="sandbox",
                    gateway=said.gateway,
                    trust=TrustStore(tmp_path),
                )
            )

        with client() as first:
            assert first.refresh_certificates()
        with client() as second:
            assert second.configuration.keys.ring.verify != second.configuration.loaded.ring.verify


class Platform:
    """The platform's half behind a shop's transport; ``broken`` is how it answers the question for certificates."""

    def __init__(self, clock: Hands) -> None:
        self.clock = clock
        self.pair = make_pair("wechatpay_v3", ALGORITHM)
        self.heard: list[str] = []
        self.broken = False

    def __call__(self, request: Request, limits: Limits) -> Response:
        server, ring = self.pair.manifest.server, self.pair.ring
        claim = server.claim(request)
        self.heard.append(request.raw_path.decode().rpartition("/")[2])
        if self.heard[-1] != "certificates":
            return server.answer(claim, Done(), ring, self.clock.now)
        return Response(502) if self.broken else server.answer(claim, CertificatesFound(), ring, self.clock.now)


def test_old_certificates_are_fetched_before_an_exchange(tmp_path: Path) -> None:
    """At first, and when twelve hours are over, by one of those who share a folder; an answer that is none stops
    nothing, and is not asked for again at once."""
    platform = Platform(clock := Hands(NOW))
    own = {**platform.pair.settings}
    for name in ("wechatpay_public_key", "wechatpay_public_key_id", "platform_certificate", "platform_serial_no"):
        own.pop(name, None)
    store = TrustStore(tmp_path)
    configuration = MerchantConfiguration(protocol="wechatpay_v3", credentials=own, environment="sandbox", trust=store)
    client = Client(configuration, send=platform, clock=clock)

    def close() -> list[str]:
        platform.heard.clear()
        client.close_trade("T20250101000001")
        return list(platform.heard)

    assert close() == ["certificates", "close"]
    assert close() == ["close"]
    clock.now = later(NOW, REFRESH)
    platform.broken = True
    assert [close(), close()] == [["certificates", "close"], ["close"]]
    with_public = replace(bare(), ring=platform.pair.credentials.ring)
    assert not TrustStore().is_due(with_public, NOW)
    (path,) = tmp_path.iterdir()
    os.utime(path, (NOW // 1_000, NOW // 1_000))
    assert [TrustStore(tmp_path).is_due(configuration.loaded, later(NOW, gap)) for gap in (0, REFRESH)] == [False, True]
