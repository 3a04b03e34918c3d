"""``alipay_openapi`` tells a shop that does not answer ``success`` again, when Alipay's notes say it will (I23)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.contract.harness import Ear
from tongbao.kernel.money import Money
from tongbao.kernel.time import SECOND, Instant, parse_china
from tongbao.merchant.client import Client
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.http import FORM, post
from tongbao.wire.vocabulary import Presentation, TradeState

pytestmark = pytest.mark.slow

MINUTE, HOUR = 60, 3_600
PUBLISHED = [4 * MINUTE, 10 * MINUTE, 10 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 15 * HOUR]
"""Gaps in seconds as the platform's notes give them (sheet alipay-openapi, 8.1); eight sends in all."""
SLACK = 5
"""Seconds that the sandbox's clock, which runs on beside every step of ours, may show beyond a gap."""


def sell(box: LocalSandbox, ear: Ear) -> None:
    """A trade that is paid; the first notification of it has been answered."""
    with Client(box.configuration(PROTOCOL.name, notify_url=ear.url)) as client:
        client.create("N1", Money(100), "茶", presentation=Presentation.QR)
    box.pay("N1")
    ear.wait()


def told(box: LocalSandbox) -> Any:
    (one,) = box.control("GET", "notifications")
    return one


def gaps(told: Any) -> list[int]:
    at = [parse_china(attempt["at"]) for attempt in told["attempts"]]
    return [(later - earlier) // SECOND for earlier, later in pairwise(at)]


def in_time(seen: list[int], published: list[int]) -> bool:
    return len(seen) == len(published) and all(
        due <= gap <= due + SLACK for gap, due in zip(seen, published, strict=True)
    )


def test_I23_the_published_timetable_is_kept(box: LocalSandbox) -> None:
    """Eight times within 25 hours, none sooner; each a genuine message of one id; then the event is given up."""
    with Ear(word=b"fail") as ear:
        sell(box, ear)
        for number, gap in enumerate(PUBLISHED, 1):
            box.advance(gap - 5 * SLACK)
            assert len(ear.heard) == number
            box.advance(5 * SLACK)
            ear.wait(number + 1)
        box.advance(48 * HOUR)
        assert len(ear.heard) == 8
    seen = told(box)
    assert in_time(gaps(seen), PUBLISHED), gaps(seen)
    assert sum(gaps(seen)) < 25 * HOUR
    assert seen["notify_state"] == "dead"
    said: dict[str, Any] = box.credentials["protocols"][PROTOCOL.name]
    known = {field.name for field in PROTOCOL.credentials}
    shop = PROTOCOL.client.load({name: value for name, value in said.items() if name in known})
    now = Instant(int(box.control("GET", "clock")["wire"]))
    read = [PROTOCOL.client.decode_notification(post(ear.url, body, FORM), shop, now) for _, _, body in ear.heard]
    assert {(one.id, one.trade.state) for one in read} == {(seen["notify_id"], TradeState.PAID)}


@pytest.mark.parametrize("word", [b"success", b"success\n", b"SUCCESS"])
def test_I23_only_the_word_itself_ends_it(box: LocalSandbox, word: bytes) -> None:
    """The third delivery is answered well: ``success``, those seven bytes, and nothing comes after it."""
    answers: list[int] = []

    def judge(headers: dict[str, str], body: bytes) -> bool:
        answers.append(len(body))
        return len(answers) > 2

    with Ear(word=word, judge=judge) as ear:
        sell(box, ear)
        box.advance(25 * HOUR)
        seen = told(box)
    ended = word == b"success"
    assert in_time(gaps(seen), PUBLISHED[:2] if ended else PUBLISHED), gaps(seen)
    assert seen["notify_state"] == ("delivered" if ended else "dead")
