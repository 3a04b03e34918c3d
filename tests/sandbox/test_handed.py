"""An order string that a merchant's app hands to the wallet: a request like any other, refused where others are."""

from __future__ import annotations

import pytest

from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.protocols.alipay_openapi.client import order_string
from tongbao.testing.sandbox import LocalSandbox, SandboxError
from tongbao.wire.movement import Split
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Presentation

pytestmark = pytest.mark.slow


def order(box: LocalSandbox, number: str, *shares: Split) -> str:
    """The signed text of an app's order."""
    with Client(box.configuration("alipay_openapi")) as client:
        return order_string(
            client.payment(number, Money(1_000), "测试商品", presentation=Presentation.APP, splits=shares)
        )


def hand(box: LocalSandbox, text: str) -> str:
    """The number of the trade that the wallet opens."""
    said = box.control("POST", "buyers/buyer@tongbao.example/scan", {"text": text})
    return str(said["out_trade_no"])


def test_an_order_string_opens_its_trade_once(box: LocalSandbox) -> None:
    """The same text again is the same trade, and a changed one is none."""
    text = order(box, "H1")
    assert (hand(box, text), hand(box, text)) == ("H1", "H1")
    box.pay("H1")
    with pytest.raises(SandboxError, match="SIGN_INVALID"):
        hand(box, text.replace("H1", "H2"))
    assert box.audit() == "clean"


def test_shares_that_cannot_be_given_are_refused_as_at_the_gateway(box: LocalSandbox) -> None:
    """A receiver whom nobody agreed on: neither the wallet nor the gateway opens the trade."""
    text = order(box, "H3", Split(receiver=Party("2088999999999999"), amount=Money(100)))
    with pytest.raises(SandboxError, match="RECEIVER_UNKNOWN"):
        hand(box, text)
    with pytest.raises(SandboxError, match="TRADE_NOT_FOUND"):
        box.trade("H3")
