"""F52 in the sandbox: differences are planted in a bank's statement, and tomorrow each of them is a case."""

from __future__ import annotations

import pytest

from tests.sandbox.test_control import order
from tongbao.testing.sandbox import LocalSandbox, SandboxError

pytestmark = pytest.mark.xdist_group("sandbox")


@pytest.mark.slow
def test_F52_planted_differences_are_found_tomorrow() -> None:
    """Three payments by card, one difference of each class; the audit stays clean, for each of them has its case."""
    with LocalSandbox(seed=7) as box:
        with pytest.raises(SandboxError):
            box.control("POST", "differences", {"bank": "ICBC", "each": 1})
        for number in ("D1", "D2", "D3"):
            order(box, number, "http://127.0.0.1:9/notify")
            box.control("POST", f"trades/{number}/pay", {"method": "debit"})
        planted = box.control("POST", "differences", {"bank": "ICBC", "each": 1})
        box.control("POST", "clock", {"advance": 86_400})
        found = {(one["bank"], one["differences"]) for one in box.control("GET", "differences")}
        stories = [box.control("GET", f"story/D{n}")["reconciliation"][0] for n in (1, 2, 3)]
        assert {name: len(numbers) for name, numbers in planted.items()} == {
            "missing_there": 1,
            "missing_here": 1,
            "amount_differs": 1,
            "duplicate": 1,
        }
        assert ("ICBC", 4) in found
        assert sorted(story["state"] for story in stories) == ["case", "case", "case"]
        assert box.control("GET", "audit") == {"audit": "clean"}
