"""The memory of nonces: once within the window, forgotten after it, never larger than it may be."""

from __future__ import annotations

from typing import get_args

from tongbao.kernel.time import SECOND
from tongbao.protocols.alipay_openapi import rest as alipay_rest
from tongbao.protocols.wechatpay_v3 import messages as wechatpay_messages
from tongbao.service.once import WINDOW_SECONDS, Onces
from tongbao.service.seen import LOOKING
from tongbao.wire.vocabulary import Intent


def test_T24_a_word_is_taken_once_within_the_window() -> None:
    """The second time is a repeat until the window has passed; another word is none."""
    onces = Onces(window_seconds=600)
    assert onces.take("a", 0.0)
    assert not onces.take("a", 0.0)
    assert onces.take("b", 300.0)
    assert not onces.take("a", 599.0)
    assert onces.take("a", 600.0)
    assert not onces.take("b", 899.0)


def test_T24_the_window_is_as_long_as_a_request_is_fresh() -> None:
    """Ahead of our clock and behind it, in whichever interface allows more."""
    assert 2 * max(alipay_rest.WINDOW, wechatpay_messages.WINDOW) < WINDOW_SECONDS * SECOND


def test_the_memory_is_bounded() -> None:
    """With too many words the oldest are forgotten, and only they."""
    onces = Onces(window_seconds=600, most=3)
    assert all(onces.take(word, 0.0) for word in "abcd")
    assert onces.take("a", 1.0)
    assert not onces.take("d", 1.0)


def test_T24_whoever_only_asks_is_known_to_look() -> None:
    """Every question, and nothing that makes, moves or ends something, is let off being written down."""
    kinds = {kind for kind in get_args(Intent) if isinstance(kind, type)}
    asking = {kind for kind in kinds if kind.__name__.startswith(("Query", "Fetch", "Request", "Confirm"))}
    assert asking == LOOKING
