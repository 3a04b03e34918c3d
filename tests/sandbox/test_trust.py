"""By what the platform signs for a WeChat Pay merchant: its certificate, its public key, or both during a change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.contract.harness import Ear
from tongbao.kernel.error import InvalidSignature, Refused
from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.testing.sandbox import LocalSandbox, SandboxError
from tongbao.wire.vocabulary import Presentation

pytestmark = pytest.mark.slow
NAME = "wechatpay_v3"
PUBLIC = ("wechatpay_public_key", "wechatpay_public_key_id")
CERTIFIED = ("platform_certificate", "platform_serial_no")


def configured(box: LocalSandbox, notify_url: str, *without: str) -> MerchantConfiguration:
    said = box.configuration(NAME, notify_url=notify_url)
    return replace(said, credentials={name: value for name, value in said.credentials.items() if name not in without})


def change(box: LocalSandbox, trust: str, **more: str) -> Any:
    merchant = box.credentials["protocols"][NAME]["mchid"]
    return box.control("POST", "trust", {"protocol": NAME, "merchant": merchant, "trust": trust, **more})


def serials(box: LocalSandbox, client: Client, ear: Ear, prefix: str, count: int) -> list[str]:
    """The names under which notifications come: each order opened, paid and told of once."""
    seen = len(ear.heard)
    for place in range(count):
        client.create(f"{prefix}-ORDER-{place}", Money(100), "茶", presentation=Presentation.QR)
        box.pay(f"{prefix}-ORDER-{place}")
    ear.wait(seen + count)
    return [headers["Wechatpay-Serial"] for _, headers, _ in ear.heard[seen:]]


@pytest.mark.parametrize("trust", ["certificate", "public_key"])
def test_a_merchant_who_trusts_the_public_key_alone(box: LocalSandbox, trust: str) -> None:
    """His answers come under its id because he asks for it; notifications too once the platform signs by nothing else,
    and there are no certificates to fetch."""
    change(box, trust)
    said = box.credentials["protocols"][NAME]
    with Ear(b"", status=204) as ear, Client(configured(box, ear.url, *CERTIFIED)) as client:
        (serial,) = serials(box, client, ear, "P", 1)
        assert client.query("P-ORDER-0").is_paid
        if trust == "certificate":
            assert serial == said["platform_serial_no"]
            return
        assert serial == said["wechatpay_public_key_id"]
        with pytest.raises(Refused) as caught:
            client.call("GET /v3/certificates", {})
        assert "RESOURCE_NOT_EXISTS" in caught.value.detail
    with Client(configured(box, "http://127.0.0.1:9/notify", *PUBLIC)) as late, pytest.raises(InvalidSignature):
        late.query("P-ORDER-0")


def test_who_cannot_change(box: LocalSandbox) -> None:
    """A protocol without such a name, a stranger, a word that is none."""
    for more in ({"protocol": "alipay_openapi"}, {"merchant": "1900000999"}):
        with pytest.raises(SandboxError):
            change(box, "both", **more)
    with pytest.raises(SandboxError, match="trust: one of certificate, both, public_key"):
        change(box, "nothing")
