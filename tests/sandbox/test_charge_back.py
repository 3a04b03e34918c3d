"""A sandbox's buyer denies his card's payment: his bank takes it back, and says so in its statement of the day."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.test_control import order
from tongbao.testing.sandbox import LocalSandbox, SandboxError

pytestmark = [pytest.mark.xdist_group("sandbox"), pytest.mark.slow]

DAY = 86_400


def deny(box: LocalSandbox, number: str, **said: Any) -> Any:
    return box.control("POST", f"trades/{number}/charge_back", said)


def cases(box: LocalSandbox, number: str) -> dict[str, str]:
    return {one["case"]: one["state"] for one in box.control("GET", f"story/{number}")["cases"]}


def test_I45_a_denied_payment_is_in_the_statement_of_the_day() -> None:
    """Of one payment a part, of another all that its refund has left; both books agree before the statement as after
    it. Tomorrow each is a case, and what was taken back cannot be refunded."""
    with LocalSandbox(seed=9) as box:
        for number, method in (("D1", "debit"), ("D2", "credit"), ("D3", "balance"), ("D4", "outlet")):
            order(box, number, "http://127.0.0.1:9/notify")
            box.pay(number, method)
        box.control("POST", "trades/D2/act", {"act": "refund", "amount": 234})
        taken = [deny(box, "D1", amount=400), deny(box, "D2")]
        assert [(one["amount"], bool(one["ref"])) for one in taken] == [(400, True), (1_000, True)]
        assert (box.audit(), cases(box, "D1")) == ("clean", {})
        box.advance(DAY)
        assert box.audit() == "clean"
        for number, one in zip(("D1", "D2"), taken, strict=True):
            assert cases(box, number) == {f"chargeback:{one['bank']}:{one['ref']}": "open"}
        assert {one["differences"] for one in box.control("GET", "differences")} == {0}
        with pytest.raises(SandboxError, match="REFUND_EXCEEDS"):
            box.control("POST", "trades/D1/act", {"act": "refund", "amount": 835})
        box.control("POST", "trades/D1/act", {"act": "refund", "amount": 834})
        box.advance(DAY)
        assert box.audit() == "clean"


@pytest.mark.parametrize(
    ("number", "said", "code"),
    [
        ("D1", {"amount": 1_235}, "PAYMENT_STATE"),
        ("D1", {"amount": 0}, "PAYMENT_STATE"),
        ("D1", {"amount": "1"}, "FIELD_INVALID"),
        ("D1", {"sum": 1}, "FIELD_INVALID"),
        ("D3", {}, "PAYMENT_STATE"),
        ("D4", {}, "PAYMENT_STATE"),
        ("D5", {}, "TRADE_NOT_FOUND"),
        ("D6", {}, "PAYMENT_STATE"),
        ("D2", {"amount": 1}, "PAYMENT_STATE"),
    ],
)
def test_T38_what_no_bank_takes_back(denied: LocalSandbox, number: str, said: dict[str, Any], code: str) -> None:
    """More than was paid, nothing, what no card paid, nobody's trade, or the same payment twice."""
    with pytest.raises(SandboxError, match=code):
        deny(denied, number, **said)
    assert denied.audit() == "clean"


@pytest.fixture(scope="module")
def denied() -> Any:
    """A sandbox where D1 is paid by card, D3 and D4 otherwise, D6 not at all, and D2 was taken back in part."""
    with LocalSandbox(seed=9) as box:
        for number, method in (("D1", "debit"), ("D2", "debit"), ("D3", "balance"), ("D4", "outlet"), ("D6", "")):
            order(box, number, "http://127.0.0.1:9/notify")
            if method:
                box.pay(number, method)
        deny(box, "D2", amount=1)
        yield box
