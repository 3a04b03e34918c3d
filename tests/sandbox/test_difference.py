"""F52 in the sandbox: differences are planted in a bank's statement, and tomorrow each of them is a case."""

from __future__ import annotations

import pytest

from tests.sandbox.test_control import order
from tongbao.kernel.time import DAY, HOUR, SECOND, next_midnight
from tongbao.testing.sandbox import LocalSandbox, SandboxError

pytestmark = pytest.mark.xdist_group("sandbox")


@pytest.mark.slow
@pytest.mark.parametrize(("hour", "tomorrow"), [(9, 4), (22, 3)])
def test_F52_planted_differences_are_found_tomorrow(hour: int, tomorrow: int) -> None:
    """Three payments by card, one difference of each class; the audit stays clean, for each of them has its case. What
    is missing late in the evening (F32) may stand in the next day's statement, and is found when it does not."""
    with LocalSandbox(seed=7) as box:
        now = box.control("GET", "clock")["business"]
        box.advance((next_midnight(now) + hour * HOUR - now) // SECOND)
        with pytest.raises(SandboxError):
            box.control("POST", "differences", {"bank": "ICBC", "each": 1})
        for number in ("D1", "D2", "D3"):
            order(box, number, "http://127.0.0.1:9/notify")
            box.control("POST", f"trades/{number}/pay", {"method": "debit"})
        planted = box.control("POST", "differences", {"bank": "ICBC", "each": 1})
        assert {name: len(numbers) for name, numbers in planted.items()} == {
            "missing_there": 1,
            "missing_here": 1,
            "amount_differs": 1,
            "duplicate": 1,
        }
        found = []
        for _ in range(2):
            box.advance(DAY // SECOND)
            told = [one for one in box.control("GET", "differences") if one["bank"] == "ICBC"]
            found.append(sum(one["differences"] for one in told))
        stories = [box.control("GET", f"story/D{n}")["reconciliation"][0] for n in (1, 2, 3)]
        assert found == [tomorrow, 4]
        assert sorted(story["state"] for story in stories) == ["case", "case", "case"]
        assert box.audit() == "clean"
