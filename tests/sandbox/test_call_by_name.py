"""Alipay's methods by name, and those without money, over real HTTP: both shells, both interfaces, both modes."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page import read_blocks
from tongbao.kernel.error import InvalidSignature, LocalProtocolError, OutcomeUnknown, Refused
from tongbao.kernel.money import Money
from tongbao.merchant.client import AsyncClient, Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.transport import AsyncHttpTransport, HttpTransport
from tongbao.protocols.alipay_openapi.mode import serial_of
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.certificate import load_chain
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import IdentityFound
from tongbao.wire.vocabulary import Presentation
from tongbao.wire.world import CALL_LIMITS, Limits

pytestmark = pytest.mark.slow

NAME = "alipay_openapi"
LOGIN = "buyers/buyer@tongbao.example"
KINDS = {"v2 key": {"mode": "key"}, "v2 certificate": {"mode": "certificate"}, "v3": {"interface": "v3"}}
Change = Callable[[Response], Response]


def unchanged(response: Response) -> Response:
    return response


@dataclass(frozen=True)
class Shell:
    """One client of the two, over its own real transport, behind which an answer may be changed on its way."""

    configuration: MerchantConfiguration
    waits: bool

    def do(self, call: Callable[[Any], Any], change: Change = unchanged) -> Any:
        """What the call gives."""
        return asyncio.run(self._later(call, change)) if self.waits else self._now(call, change)

    def _now(self, call: Callable[[Any], Any], change: Change) -> Any:
        transport = HttpTransport(self.configuration)

        def send(request: Request, limits: Limits) -> Response:
            return change(transport(request, limits))

        try:
            return call(Client(self.configuration, send=send))
        finally:
            transport.close()

    async def _later(self, call: Callable[[Any], Any], change: Change) -> Any:
        transport = AsyncHttpTransport(self.configuration)

        async def send(request: Request, limits: Limits = CALL_LIMITS) -> Response:
            return change(await transport(request, limits))

        try:
            result = call(AsyncClient(self.configuration, send=send))
            return await result if isinstance(result, Awaitable) else result
        finally:
            await transport.close()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def waits(request: pytest.FixtureRequest) -> bool:
    """Which of the two clients."""
    return bool(request.param)


def shell(box: LocalSandbox, waits: bool, **more: str) -> Shell:
    """The shop, configured by what the sandbox hands out and ``more`` settings."""
    said = box.configuration(NAME)
    return Shell(replace(said, credentials={**said.credentials, **more}), waits)


def altered(old: bytes, new: bytes) -> Change:
    """An answer with other words in it."""

    def change(response: Response) -> Response:
        assert old in response.body
        return replace(response, body=response.body.replace(old, new))

    return change


def unsigned(response: Response) -> Response:
    """An answer without its signature."""
    headers = tuple(pair for pair in response.headers if pair[0].lower() != b"alipay-signature")
    body = response.body
    if b',"sign":"' in body:
        head, _, rest = body.partition(b',"sign":"')
        body = head + rest.partition(b'"')[2]
    assert (headers, body) != (response.headers, response.body)
    return Response(response.status, headers, body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_method_by_its_name(box: LocalSandbox, waits: bool, kind: str) -> None:
    """The answer as the gateway says it, verified: changed or bare of its signature it is none. A refusal is told."""
    shop = shell(box, waits, **KINDS[kind])
    shop.do(lambda client: client.create("N1", Money(12_34), "茶", presentation=Presentation.QR))
    box.pay("N1")

    def ask(client: Any) -> Any:
        return client.call("alipay.trade.query", {"out_trade_no": "N1"})

    answer = shop.do(ask)
    assert (answer["out_trade_no"], answer["total_amount"], answer["trade_status"]) == ("N1", "12.34", "TRADE_SUCCESS")
    number = {"out_trade_no": "N1"}
    acted = shop.do(lambda client: client.call("alipay.trade.query", number, public={"app_auth_token": "t1"}))
    assert acted == answer
    for change in (altered(b"12.34", b"12.35"), altered(b"TRADE_SUCCESS", b"TRADE_CLOSED"), unsigned):
        with pytest.raises(InvalidSignature):
            shop.do(ask, change)
    with pytest.raises(Refused) as caught:
        shop.do(lambda client: client.call("alipay.trade.query", {"out_trade_no": "N2"}))
    assert caught.value.code == "TRADE_NOT_FOUND"


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_method_hears_the_gateways_own_error(box: LocalSandbox, waits: bool, kind: str) -> None:
    """Its words reach the shop. They are believed as signed; without a signature they prove nothing about a method of
    which we know nothing, and with a wrong one they are no answer (T82)."""
    shop = shell(box, waits, **KINDS[kind])

    def ask(client: Any) -> Any:
        return client.call("alipay.marketing.nothing.do", {"a": "1"})

    with pytest.raises(Refused) as caught:
        shop.do(ask)
    assert (caught.value.code, "isv.invalid-method" in caught.value.detail) == ("UNKNOWN_SERVICE", True)
    with pytest.raises(OutcomeUnknown, match="SIGN_INVALID"):
        shop.do(ask, altered(b"isv.invalid-method", b"isv.invalid-methods"))
    with pytest.raises(OutcomeUnknown) as unknown:
        shop.do(ask, unsigned)
    assert unknown.value.refusal is not None
    assert "isv.invalid-method" in unknown.value.refusal.detail


def test_T82_an_unsigned_refusal_of_a_refund_by_name_proves_nothing(box: LocalSandbox, waits: bool) -> None:
    """As it does of a refund by its own method; what only asks is refused by it."""
    shop = shell(box, waits)
    with pytest.raises(OutcomeUnknown) as unknown:
        shop.do(
            lambda client: client.call("alipay.trade.refund", {"out_trade_no": "N3", "refund_amount": "1"}), unsigned
        )
    assert unknown.value.refusal is not None
    with pytest.raises(Refused):
        shop.do(lambda client: client.call("alipay.trade.query", {"out_trade_no": "N3"}), unsigned)


@pytest.mark.parametrize("kind", KINDS)
def test_a_buyers_consent_is_exchanged(box: LocalSandbox, waits: bool, kind: str) -> None:
    """``alipay.system.oauth.token``: once by the code, then by the refresh word; the answer must be signed."""
    shop = shell(box, waits, **KINDS[kind])
    said = {"protocol": NAME, "merchant": shop.configuration.merchant}
    consent = box.control("POST", f"{LOGIN}/consent", said)
    found = shop.do(lambda client: client.exchange_code(consent["code"]))
    assert isinstance(found, IdentityFound)
    assert (found.buyer.id, bool(found.token), found.seconds > 0) == (consent["buyer"], True, True)
    again = shop.do(lambda client: client.exchange_code(refresh=found.refresh))
    assert again.buyer == found.buyer
    with pytest.raises(InvalidSignature):
        shop.do(lambda client: client.exchange_code(refresh=found.refresh), altered(found.buyer.id.encode(), b"2088"))
    with pytest.raises(Refused) as caught:
        shop.do(lambda client: client.exchange_code(consent["code"]))
    assert (caught.value.code, "isv.code-invalid" in caught.value.detail) == ("AUTHORISATION_INVALID", True)
    for wrong in ({}, {"code": "x", "refresh": "y"}):
        with pytest.raises(LocalProtocolError):
            shop.do(methodcaller("exchange_code", **wrong))


def test_the_platforms_certificate_is_fetched(box: LocalSandbox, waits: bool) -> None:
    """``alipay.open.app.alipaycert.download``: the one that is asked for, proven by the configured root; none in key
    mode, which has no root. WeChat Pay gives all of them. A protocol without certificates says so, and asks nobody."""
    shop = shell(box, waits, mode="certificate")
    known = load_chain(shop.configuration.credentials["alipay_cert"], "alipay_cert")[0]
    (found,) = shop.do(lambda client: client.fetch_certificates(serial_of(known)))
    assert load_chain(found, "found") == (known,)
    assert shell(box, waits, mode="key").do(lambda client: client.fetch_certificates(serial_of(known))) == ()
    wechat = Shell(box.configuration("wechatpay_v3"), waits)
    configured = load_chain(wechat.configuration.credentials["platform_certificate"], "platform_certificate")
    (found,) = wechat.do(lambda client: client.fetch_certificates())
    assert load_chain(found, "found") == configured
    for act in (lambda client: client.fetch_certificates("1"), lambda client: client.exchange_code("x")):
        with pytest.raises(LocalProtocolError):
            Shell(box.configuration("alipay_mapi"), waits).do(act)


def test_the_manuals_example(box: LocalSandbox, tmp_path: Path) -> None:
    """Both languages show it, and it does what they say."""
    (block,), other = (
        [block for block in read_blocks(f"{tongue}/how-to/use-alipay-libraries.md") if block.kind == "python"]
        for tongue in ("en", "zh")
    )
    assert other == [block]
    (tmp_path / block.file).write_text(block.text, "utf-8")
    ask = runpy.run_path(str(tmp_path / block.file))["ask"]
    shop = box.configuration(NAME)
    with Client(shop) as client:
        client.create("N1", Money(100), "茶", presentation=Presentation.QR)
    assert ask(shop, "N1") == "WAIT_BUYER_PAY"
    assert ask(shop, "N2").startswith("TRADE_NOT_FOUND: ACQ.TRADE_NOT_EXIST")
