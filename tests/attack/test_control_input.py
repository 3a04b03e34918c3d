"""Numbers that people and programs hand to the control plane and the commands: one spelling each (T34)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.old_shop import fetch
from tongbao.cli.main import main
from tongbao.testing.sandbox import LocalSandbox

TEXTS = (
    "1e3", "1.0", "NaN", "Infinity", "-Infinity", "true", '"1"', '"１"', "null", "[]", "{}", "1_0", "+1", "01", "0x1",
    "１",
)  # fmt: skip


@pytest.fixture(scope="module")
def box() -> Iterator[LocalSandbox]:
    """A running sandbox."""
    with LocalSandbox(seed=31) as sandbox:
        yield sandbox


@pytest.mark.slow
def test_T34_T17_the_control_plane_takes_whole_numbers_only(box: LocalSandbox) -> None:
    """Every other spelling, and every body that is no plain JSON object, is the caller's error, never ours."""
    url = f"{box.base_url}/_sandbox"
    for path, field in (("clock", "advance"), ("faults", "seed")):
        for text in TEXTS:
            assert fetch(f"{url}/{path}", f'{{"{field}": {text}}}')[0] == 400, (path, text)
    for body in ("[" * 50_000, '{"advance":' * 5_000, "9" * 10_000, '{"advance": ' + "9" * 5_000 + "}", "{", "\ud800"):
        assert fetch(f"{url}/clock", body)[0] == 400, body[:20]
    assert fetch(f"{url}/clock", '{"advance": 0}')[0] == 200


@pytest.mark.parametrize("text", ["1_0", "１０", "+10", " 10", "10 ", "-1", "1e1", "0x10", "010", "", "10.0", "9" * 30])
@pytest.mark.parametrize("option", ["--fee-rate", "--refund-days"])
def test_T34_commands_take_whole_numbers_only(text: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A fee or a term in another spelling is refused before anything is opened."""
    words = ["merchant", "create", "--as", "op", "--name", "a", "--login", "a@b.example", "--protocol", "alipay_mapi"]
    with pytest.raises(SystemExit) as ended:
        main([*words, f"{option}={text}"])
    assert ended.value.code == 2
    assert f"argument {option}: is not a whole number" in capsys.readouterr().err
