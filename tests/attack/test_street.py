"""Attacks on the faces of every folder: mutated requests, and sums that are none, signed by the merchant himself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.attack.arena import kinds
from tests.attack.corpus import bad_amounts
from tests.attack.mutation import is_form, pairs_of, with_pairs
from tests.attack.signer import learn
from tests.attack.street import SUMS, Way, bombard, folders, make_trader, street, ways_of
from tests.protocol.bench import NOW, is_asymmetric
from tests.web.house import run
from tongbao.wire.http import Request
from tongbao.wire.loader import load_protocol, protocol_names

ROUNDS = 5_000


@pytest.mark.slow
def test_mutated_requests_of_every_folder_open_only_what_was_signed(tmp_path: Path) -> None:
    """Thousands of them; ``make soak`` sends a hundred thousand."""
    answers, faces = asyncio.run(bombard(tmp_path, 1, ROUNDS))
    assert answers.total() == faces.total() == ROUNDS
    assert min(faces[name] for name in folders()) > ROUNDS / len(folders()) / 2


@pytest.mark.slow
def test_the_street_has_every_folder_and_every_way_to_speak_it() -> None:
    """Found by listing: nobody sells whose face is not attacked, by each of its signatures and over REST, and no shop's
    acceptance is left out."""
    ways = [way for name in folders() for way in ways_of(name)]
    assert {(way.name, way.algorithm) for way in ways} == {kind[1:3] for kind in kinds()}
    assert set(folders()) == {name for name in protocol_names() if load_protocol(name).products}
    (rest,) = [way for way in ways if way.rest]
    paths = {request.raw_path.partition(b"/alipay_openapi")[2] for request in make_trader(rest, 0).speak(NOW)}
    assert len([path for path in paths if path.startswith(b"/v3/alipay/")]) > 5


def sums_of(request: Request) -> list[bytes]:
    """Fields that carry the sample's sum."""
    return [name for name, value in pairs_of(request) if value in SUMS]


def shared_ways() -> list[Way]:
    """Those whose merchant shares a secret with the platform."""
    return [way for name in folders() for way in ways_of(name) if not is_asymmetric(way.algorithm)]


def sends_sums(way: Way) -> bool:
    """Whether a creation is a form with the sum in a field of its own (and not within a document in a field)."""
    request = make_trader(way, 0).create("201504011203050123450001", 1_000, NOW)
    return is_form(request) and bool(sums_of(request))


@pytest.mark.slow
@pytest.mark.parametrize("way", [way for way in shared_ways() if sends_sums(way)], ids=str)
def test_T34_no_text_of_the_corpus_is_an_amount_at_any_face(tmp_path: Path, way: Way) -> None:
    """Signed by the merchant himself, so that only the sum is wrong: refused every time, and a right one is taken."""

    async def test() -> None:
        async with street(tmp_path, [way]) as scene:
            place, trader = scene.town, make_trader(way, 0)
            genuine = trader.create("201504011203050123450001", 1_000, scene.now)
            sign = learn(trader.manifest, trader.secrets[-1].encode(), genuine)
            fields = sums_of(genuine)
            assert fields
            charset = trader.manifest.charset
            requests = []
            for text in bad_amounts():
                raw = text.encode(charset, "ignore")
                if raw.decode(charset) == text:
                    changed = [(field, raw if field in fields else value) for field, value in pairs_of(genuine)]
                    requests.append(sign(with_pairs(genuine, changed)))
            answers = await place.ask_all(requests)
            assert len(requests) > 350
            assert max(answer.status for answer in answers) < 500
            assert await place.trades() == []
            right = [(field, SUMS[value] if field in fields else value) for field, value in pairs_of(genuine)]
            await place.ask(sign(with_pairs(genuine, right)))
            assert [trade[3] for trade in await place.trades()] == [1_001]

    run(test)
