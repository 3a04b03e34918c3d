"""``tongbao sim`` as a user calls it."""

from __future__ import annotations

import json

import pytest

from tongbao.cli.main import main


def test_one_seed_prints_its_digest_and_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, the seed and profile on the first line."""
    assert main(["sim", "--seed", "6", "--profile", "calm"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("seed 6 profile calm: holds; ")
    assert last.startswith("1 seeds, 0 broken, ")


@pytest.mark.slow
def test_another_world_is_played_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """The same seed is another world there."""
    assert main(["sim", "--world", "trust", "--seed", "6", "--profile", "calm"]) == 0
    trust = capsys.readouterr().out
    assert trust.startswith("seed 6 profile calm: holds; ")
    assert main(["sim", "--seed", "6", "--profile", "calm"]) == 0
    assert capsys.readouterr().out != trust


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """For programs."""
    assert main(["sim", "--seed", "1", "--seeds", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["seeds"], said["broken"], sorted(said["digests"])) == (2, [], ["1", "2"])
