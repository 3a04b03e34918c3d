"""What the laws cannot say: published strings, and the way from the first step to the second."""

from __future__ import annotations

import pytest

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, parse_china
from tongbao.protocols.alipay_wap import PROTOCOL
from tongbao.protocols.alipay_wap import messages as m
from tongbao.protocols.alipay_wap.codec import canonical, ordered, read_document, sign
from tongbao.wire.form import encode_form, parse_form
from tongbao.wire.http import FORM, get, post
from tongbao.wire.key import Key
from tongbao.wire.vocabulary import CreateTrade, EnterTrade, Presentation, Product, TradeOpened

NOW = parse_china("2013-04-28 12:00:00")
SETTINGS = {
    "partner": "2088000000000001",
    "key": "k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4",
    "return_url": "http://shop.example/b",
}


def test_the_fixed_order_of_a_published_suite() -> None:
    """service, v, sec_id, notify_data and the key give the published digest."""
    fields = {"notify_data": "notify_data", "sec_id": "MD5", "service": "test", "v": "1.0"}
    key = Key("k", 1, m.ALGORITHM, b"1" + b"0" * 31)
    assert sign(ordered(fields), key) == "d6ba38f47329b7f44c28a6c6c3b53174"


def test_the_first_answer_leads_to_the_second_step() -> None:
    """The address that the client makes of the token is the signed request of the second step."""
    client, server = PROTOCOL.client, PROTOCOL.server
    credentials = client.load(SETTINGS)
    asked = CreateTrade(
        merchant="",
        out_trade_no="W1",
        product=Product.INSTANT,
        subject="茶",
        amount=Money(100),
        presentation=Presentation.H5,
    )
    claim = server.claim(client.encode(asked, credentials, NOW).request())
    response = server.answer(claim, TradeOpened("1", "http://pay.example/cashier/x", "AbC123"), credentials.ring, NOW)
    opened = client.decode(asked, response, credentials, NOW)
    assert isinstance(opened, TradeOpened)
    assert opened.code == "AbC123"
    entered = server.claim(get(opened.cashier_url))
    intent = server.decode(entered, credentials.ring, NOW).intent
    assert intent == EnterTrade(merchant="2088000000000001", code="AbC123")


def test_every_request_has_a_number_of_its_own() -> None:
    """Two moments or two orders give two req_id, one moment and order give one."""
    client = PROTOCOL.client
    credentials = client.load(SETTINGS)

    def number(order: str, now: Instant) -> str:
        asked = CreateTrade(
            merchant="",
            out_trade_no=order,
            product=Product.INSTANT,
            subject="x",
            amount=Money(1),
            presentation=Presentation.H5,
        )
        return dict(client.encode(asked, credentials, now).fields)["req_id"]

    assert number("W1", NOW) == number("W1", NOW)
    assert len({number("W1", NOW), number("W2", NOW), number("W1", Instant(NOW + 1))}) == 3


BAD_SUMS = (
    "1e3",
    "1,000",
    "-1",
    "0",
    "0.00",
    "0.001",
    "٣.00",
    "１.00",
    " 1.00",
    "1.00 ",
    "+1.00",
    "100000000.01",
    "NaN",
    "",
)


@pytest.mark.parametrize("text", BAD_SUMS)
def test_T34_a_sum_within_the_document_is_read_strictly(text: str) -> None:
    """Signed by the merchant himself, so that only the sum is wrong."""
    client, server = PROTOCOL.client, PROTOCOL.server
    credentials = client.load(SETTINGS)
    asked = CreateTrade(
        merchant="",
        out_trade_no="W1",
        product=Product.INSTANT,
        subject="茶",
        amount=Money(4_321),
        presentation=Presentation.H5,
    )
    fields = dict(client.encode(asked, credentials, NOW).fields)
    fields["req_data"] = fields["req_data"].replace("43.21", text)
    fields["sign"] = sign(canonical(fields), credentials.ring.signing(m.ALGORITHM))
    claim = server.claim(post("http://pay.example/service/rest.htm", encode_form(tuple(fields.items())), FORM))
    with pytest.raises(RemoteProtocolError) as caught:
        server.decode(claim, credentials.ring, NOW)
    assert caught.value.field == "total_fee"


@pytest.mark.parametrize(("name", "said"), [("total_fee", "total_fee"), ("service\x00", ""), ("茶\x81", "")])
def test_a_refusal_says_no_name_again_that_xml_has_no_words_for(name: str, said: str) -> None:
    """A field that nobody should send is refused like any other."""
    answer = PROTOCOL.server.refuse(None, RemoteProtocolError(name, "is there twice", "DUPLICATE_PARAM"), None, NOW)
    assert answer.status == 200
    leaves = read_document(dict(parse_form(answer.body))["res_error"], "res_error", m.ERROR_ROOT)
    assert leaves.get("detail", "") == said
