"""WeChat Pay v2 over TLS: what moves money out wants the merchant's client certificate, and our client shows it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tongbao.cli.host import Hosted, HostSettings, host_sandbox
from tongbao.kernel.error import OutcomeUnknown
from tongbao.kernel.money import Money
from tongbao.merchant.client import AsyncClient
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.runtime.entropy import SystemEntropy
from tongbao.sandbox.authority import make_client_authority
from tongbao.wire.vocabulary import Presentation

NAME = "wechatpay_v2"
SHOWN = ("certificate", "private_key")


async def configured(hosted: Hosted, folder: Path) -> MerchantConfiguration:
    """As the credentials file says, at the HTTPS address."""
    document = await hosted.credentials()
    said = document["protocols"][NAME]
    ca = folder / "ca.pem"
    ca.write_text(document["ca"], "ascii")
    names = ("mch_id", "appid", "key", "sign_type", *SHOWN)
    return MerchantConfiguration(
        protocol=NAME,
        credentials={name: said[name] for name in names},
        environment="sandbox",
        gateway=said["tls_base_url"],
        notify_url="http://127.0.0.1:9/notify",
        ca_file=str(ca),
    )


@pytest.mark.slow
def test_a_refund_over_tls_shows_the_clients_certificate(tmp_path: Path) -> None:
    """With it money comes back; without it the answer is the web server's page; orders need none."""

    async def play() -> None:
        async with host_sandbox(HostSettings(tls_port=0)) as hosted:
            own = await configured(hosted, tmp_path)
            silent = replace(own, credentials={k: v for k, v in own.credentials.items() if k not in SHOWN})
            async with AsyncClient(own) as client, AsyncClient(silent) as without:
                await without.create("T-ORDER-1", Money(200), "茶", presentation=Presentation.QR)
                async with httpx.AsyncClient(trust_env=False) as buyer:
                    paid = await buyer.post(f"{hosted.base_url}/_sandbox/trades/T-ORDER-1/pay", json={})
                assert paid.json()["state"] in ("paid", "finished")
                with pytest.raises(OutcomeUnknown, match="CA_ERROR"):
                    await without.refund("R1", Money(50), order_no="T-ORDER-1", total=Money(200))
                back = await client.refund("R1", Money(50), order_no="T-ORDER-1", total=Money(200))
                assert back.amount == Money(50)

    asyncio.run(play())


@pytest.mark.slow
def test_client_certificates_last_and_a_new_merchant_has_one(tmp_path: Path) -> None:
    """The same over restarts; with a merchant who has none yet, all are issued anew under one authority."""
    first = make_client_authority(tmp_path, ["1900000110"], SystemEntropy())
    again = make_client_authority(tmp_path, ["1900000110"], SystemEntropy())
    assert first == again
    more = make_client_authority(tmp_path, ["1900000110", "1900000111"], SystemEntropy())
    assert set(more.issued) == {"1900000110", "1900000111"}
    assert more.issued["1900000110"] != first.issued["1900000110"]
