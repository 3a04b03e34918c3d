"""Returns of shares: what an answer must say, and what it may leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.protocol.bench import NOW, Pair, make_pair
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.http import Response
from tongbao.wire.movement import MovementState, QuerySplitReturn, ReturnSplit, SplitReturnFound
from tongbao.wire.vocabulary import Outcome

ASKED = ReturnSplit(
    merchant="", return_no="B1", giver_id="1900000117", amount=Money(60), split_no="S1", split_id="2025", memo="退回"
)
QUERY = QuerySplitReturn(merchant="", return_no="B1", split_no="S1")
LEAST = {"result": "SUCCESS", "return_id": "2025010112345678901234567890"}


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair("wechatpay_v3", m.ALGORITHM)


def read(pair: Pair, intent: ReturnSplit | QuerySplitReturn, said: Mapping[str, Any]) -> Outcome:
    """What our half makes of an answer that the platform signed."""
    body, key = codec.write_body(said), next(key for key in pair.ring.sign if key.chain)
    answer = Response(200, codec.signed_headers(body, key, codec.platform_name(key), "nonce", NOW).sign(), body)
    return pair.manifest.client.decode(intent, answer, pair.credentials, NOW)


def test_an_answer_may_say_result_and_number_alone(pair: Pair) -> None:
    """Money has moved then: where the answer is silent the question speaks."""
    found = read(pair, ASKED, LEAST)
    assert isinstance(found, SplitReturnFound)
    view = found.split_return
    assert (view.state, view.return_id) == (MovementState.SUCCEEDED, LEAST["return_id"])
    assert (view.return_no, view.split_no, view.split_id) == (ASKED.return_no, ASKED.split_no, ASKED.split_id)
    assert (view.giver_id, view.amount) == (ASKED.giver_id, ASKED.amount)
    queried = read(pair, QUERY, LEAST)
    assert isinstance(queried, SplitReturnFound)
    assert (queried.split_return.return_no, queried.split_return.amount) == ("B1", None)


@pytest.mark.parametrize("missing", sorted(LEAST))
def test_result_and_number_must_be_said(pair: Pair, missing: str) -> None:
    """Without either the answer tells nothing."""
    with pytest.raises(RemoteProtocolError) as caught:
        read(pair, ASKED, {name: value for name, value in LEAST.items() if name != missing})
    assert caught.value.field == missing


@pytest.mark.parametrize(
    ("said", "field", "queried"),
    [
        ({"out_return_no": "B2"}, "return_no", True),
        ({"out_order_no": "S2"}, "split_no", True),
        ({"order_id": "2026"}, "split_id", False),
        ({"return_mchid": "1900000125"}, "giver_id", False),
        ({"amount": 61}, "amount", False),
    ],
)
def test_what_is_said_beside_them_is_compared(pair: Pair, said: dict[str, Any], field: str, queried: bool) -> None:
    """Another return, order, giver or sum is an answer to something else."""
    for intent in (ASKED, QUERY) if queried else (ASKED,):
        with pytest.raises(RemoteProtocolError) as caught:
            read(pair, intent, LEAST | said)
        assert caught.value.field == field
