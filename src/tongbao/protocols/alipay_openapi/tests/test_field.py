"""Single fields: lengths and shares, and texts of others that are longer than any field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.protocol.bench import NOW, make_pair
from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.field import text_of
from tongbao.protocols.alipay_openapi.money import read_split
from tongbao.wire.movement import CallByName
from tongbao.wire.vocabulary import Rejection


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_a_refusal_is_one_however_long_its_text_is(interface: str) -> None:
    """The explanation of a wrong signature holds the whole content, which is long where many goods are told."""
    pair, other = (make_pair("alipay_openapi", "RSA2", "utf-8", number) for number in (0, 1))
    keys = PROTOCOL.client.load({**pair.settings, "mode": "key", "interface": interface})
    asked = CallByName(merchant="", method=m.QUERY, content={"out_trade_no": "T1", "goods": "x" * 5_000})
    claim = PROTOCOL.server.claim(PROTOCOL.client.encode(asked, keys, NOW).request())
    with pytest.raises(InvalidSignature) as caught:
        PROTOCOL.server.decode(claim, replace(pair.ring, verify=other.ring.verify), NOW)
    answer = PROTOCOL.server.refuse(claim, caught.value, pair.ring, NOW)
    told = PROTOCOL.client.decode(asked, answer, keys, NOW)
    assert isinstance(told, Rejection)
    assert told.code == "SIGN_INVALID"
    assert len(told.detail) <= 4_096


def test_a_text_that_is_too_long_says_how_long_it_may_be() -> None:
    """Also where the field has no length of its own."""
    for name, most in (("passback_params", 512), ("strange", 4_096)):
        with pytest.raises(RemoteProtocolError) as caught:
            text_of({name: "x" * 5_000}, name)
        assert caught.value.reason == f"is longer than {most} characters"


@pytest.mark.parametrize(
    ("said", "rate"), [("1", 100), ("100", 10_000), ("030", 3_000), ("0", 0), ("101", 0), ("0100", 0), ("0100000", 0)]
)
def test_a_share_is_at_most_the_whole(said: str, rate: int) -> None:
    """Whatever zeros lead: more than three digits are refused, naming the field."""
    share = {"trans_in": "2088000000000044", "amount_percentage": said}
    if rate:
        assert read_split(share).rate == rate
        return
    with pytest.raises(RemoteProtocolError) as caught:
        read_split(share)
    assert caught.value.field == "amount_percentage"
