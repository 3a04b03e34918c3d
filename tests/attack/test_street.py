"""Attacks on the faces of every folder: mutated requests, and sums that are none, signed by the merchant himself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.attack.corpus import bad_amounts
from tests.attack.mutation import is_form, pairs_of, with_pairs
from tests.attack.signer import learn
from tests.attack.street import SUMS, bombard, folders, make_trader, street
from tests.protocol.bench import NOW
from tests.web.house import run
from tongbao.wire.http import Request

ROUNDS = 5_000


@pytest.mark.slow
def test_mutated_requests_of_every_folder_open_only_what_was_signed(tmp_path: Path) -> None:
    """Thousands of them; ``make soak`` sends a hundred thousand."""
    assert asyncio.run(bombard(tmp_path, 1, ROUNDS)).total() == ROUNDS


def sums_of(request: Request) -> list[bytes]:
    """Fields that carry the sample's sum."""
    return [name for name, value in pairs_of(request) if value in SUMS]


def sends_sums(name: str) -> bool:
    """Whether a creation is a form with the sum in a field of its own (and not within a document in a field)."""
    request = make_trader(name, 2).create("201504011203050123450001", 1_000, NOW)
    return is_form(request) and bool(sums_of(request))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in folders() if sends_sums(name)])
def test_T34_no_text_of_the_corpus_is_an_amount_at_any_face(tmp_path: Path, name: str) -> None:
    """Signed by the merchant himself, so that only the sum is wrong: refused every time, and a right one is taken."""

    async def test() -> None:
        async with street(tmp_path, [name]) as scene:
            place, trader = scene.town, make_trader(name, 2)
            genuine = trader.create("201504011203050123450001", 1_000, scene.now)
            sign = learn(trader.manifest, trader.secret.encode(), genuine)
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
