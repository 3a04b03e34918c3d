"""The merchant's side over WeChat Pay: which refusals end a refund, and how it is asked for again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.merchant.conftest import Shop, make_shop
from tests.protocol.bench import Pair, make_pair
from tests.support.clock import NOW
from tongbao.kernel.error import OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.protocols.wechatpay_v2 import codec as xml
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.wire.http import Request, Response
from tongbao.wire.world import NoAnswer

ALGORITHM = {"wechatpay_v2": "HMAC-SHA256", "wechatpay_v3": "WECHATPAY2-SHA256-RSA2048"}


def make(database: Database, name: str, change: Callable[[Pair, Any, Response], Response]) -> Shop:
    """A shop with a paid order A1, whose platform refuses everything; ``change`` is what becomes of its answer."""
    pair = make_pair(name, ALGORITHM[name])
    server = pair.manifest.server

    def send(request: Request, limits: Any) -> Response:
        claim = server.claim(request)
        intent = server.decode(claim, pair.ring, NOW).intent
        return change(pair, intent, server.refuse(claim, Refused("MERCHANT_FUNDS"), pair.ring, NOW))

    configuration = MerchantConfiguration(
        protocol=name, credentials=dict(pair.settings), environment="sandbox", gateway="http://127.0.0.1:1"
    )
    shop = make_shop(database, configuration=configuration, send=send)
    shop.order("A1")
    paid = (
        "UPDATE orders SET state = 'paid', evidence = 'NOTIFY', paid_at = 1, trade_no = '4200000000202501010000000001'"
    )
    shop.database.run(lambda transaction: transaction.execute(paid))
    return shop


def as_sent(_: Pair, __: Any, answer: Response) -> Response:
    return answer


def signed(pair: Pair, _: Any, answer: Response) -> Response:
    """Under the platform's certificate, as the real one never does with an error, though it may."""
    key = next(key for key in pair.ring.sign if key.chain)
    proof = codec.signed_headers(answer.body, key, codec.platform_name(key), "nonce", NOW)
    return replace(answer, headers=(*answer.headers, *proof))


def forged(pair: Pair, intent: Any, answer: Response) -> Response:
    return replace(signed(pair, intent, answer), body=answer.body + b"\n")


def unsigned(_: Pair, __: Any, answer: Response) -> Response:
    said = {name: value for name, value in xml.read_fields(answer.body).items() if name != "sign"}
    return Response(200, (), xml.write_fields(said))


def incommunicable(_: Pair, __: Any, answer: Response) -> Response:
    return Response(200, (), xml.write_fields({"return_code": "FAIL", "return_msg": "NOTENOUGH"}))


def uncertified(_: Pair, __: Any, answer: Response) -> Response:
    return Response(400, (), b"<html><title>400 No required SSL certificate was sent</title></html>")


@pytest.mark.parametrize(
    ("name", "change", "raised", "state"),
    [
        ("wechatpay_v3", as_sent, OutcomeUnknown, "asked"),
        ("wechatpay_v3", forged, RemoteProtocolError, "asked"),
        ("wechatpay_v3", signed, Refused, "failed"),
        ("wechatpay_v2", incommunicable, OutcomeUnknown, "asked"),
        ("wechatpay_v2", uncertified, OutcomeUnknown, "asked"),
        ("wechatpay_v2", unsigned, RemoteProtocolError, "asked"),
        ("wechatpay_v2", as_sent, Refused, "failed"),
    ],
)
def test_T82_only_a_signed_refusal_ends_a_refund(
    sqlite_database: Database, name: str, change: Any, raised: type[Exception], state: str
) -> None:
    """Anybody on the way can say the others: the row stays open, and its sum is not given back under another number."""
    shop = make(sqlite_database, name, change)
    with pytest.raises(raised):
        shop.receiver.refund("A1", "R1", Money(1_000))
    assert shop.rows("SELECT state FROM payment_movement") == [{"state": state}]
    with pytest.raises(Refused) as caught:
        shop.receiver.refund("A1", "R2", Money(1_000))
    assert (caught.value.code == "REFUND_EXCEEDS") == (state == "asked")


@pytest.mark.parametrize("name", sorted(ALGORITHM))
def test_F11_a_refund_is_asked_for_again_with_the_same_texts(sqlite_database: Database, name: str) -> None:
    """Other texts under the same number are refused, though the refund may have happened: the first ones are sent."""
    asked: list[tuple[str, str]] = []

    def lose(pair: Pair, intent: Any, answer: Response) -> Response:
        asked.append((intent.reason, intent.notify_url))
        raise NoAnswer("TIMEOUT")

    shop = make(sqlite_database, name, lose)
    for reason, address in (("破损", "https://shop.example.com/1"), ("其他", "https://shop.example.com/2"), ("", "")):
        with pytest.raises(OutcomeUnknown):
            shop.receiver.refund("A1", "R1", Money(100), reason=reason, notify_url=address)
    assert asked == [("破损", "https://shop.example.com/1")] * 3
