"""What only this interface has: its words, its envelope, its one-word answers, its tolerance and its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tongbao.kernel.error import ConfigurationError, LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, parse_china
from tongbao.protocols.alipay_mapi import PROTOCOL
from tongbao.protocols.alipay_mapi import code as c
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.protocols.alipay_mapi.codec import MD5, signed
from tongbao.wire.bank import BANKS
from tongbao.wire.form import encode_form, parse_form
from tongbao.wire.http import FORM, Response, get, post
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.party import Party
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import (
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    Done,
    Expiry,
    Method,
    Notification,
    Presentation,
    Product,
    QueryTrade,
    Rejection,
    TimestampIssued,
    TradeFound,
    TradeState,
    TradeView,
)

NOW = parse_china("2015-04-01 12:03:05")
PID = "2088000000000001"
KEY = Key("k", 1, MD5, b"k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4")
RING = KeyRing(PID, (KEY,), (KEY,))
SETTINGS = {"partner": PID, "key": "k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4"}
CREDENTIALS = PROTOCOL.client.load(SETTINGS)
GATEWAY = "https://mapi.alipay.com/gateway.do"
DIRECT = {
    "service": "create_direct_pay_by_user",
    "partner": PID,
    "_input_charset": "utf-8",
    "payment_type": "1",
    "out_trade_no": "T1",
    "subject": "测试",
    "total_fee": "10.00",
    "seller_id": PID,
}
ESCROW = {
    **{name: value for name, value in DIRECT.items() if name != "total_fee"},
    "service": "create_partner_trade_by_buyer",
    "price": "10.00",
    "quantity": "1",
    "logistics_type": "EXPRESS",
    "logistics_fee": "0.00",
    "logistics_payment": "SELLER_PAY",
}


def decode(fields: Mapping[str, str]) -> CreateTrade:
    request = post(GATEWAY, encode_form(tuple(signed(dict(fields), "utf-8", KEY).items())), FORM)
    intent = PROTOCOL.server.decode(PROTOCOL.server.claim(request), RING, NOW).intent
    assert isinstance(intent, CreateTrade)
    return intent


@pytest.mark.parametrize(
    ("changes", "wire"),
    [
        ({"subject": ""}, "SUBJECT_MUST_NOT_BE_NULL"),
        ({"out_trade_no": ""}, "PARAMTER_IS_NULL"),
        ({"out_trade_no": "1" * 65}, "ILLEGAL_LENGTH"),
        ({"subject": "测" * 257}, "ILLEGAL_LENGTH"),
        ({"total_fee": "1e3"}, "ILLEGAL_MONEY_FORMAT"),
        ({"total_fee": "100000000.01"}, "ILLEGAL_MONEY_FORMAT"),
        ({"total_fee": "0"}, "TOTAL_FEE_LESSEQUAL_ZERO"),
        ({"total_fee": "", "price": "1.00", "quantity": "0"}, "ILLEGAL_INTEGER_FORMAT"),
        ({"price": "10.00", "quantity": "1"}, "ILLEGAL_FEE_PARAM"),
        ({"payment_type": "9"}, "ILLEGAL_PAYMENT_TYPE"),
        ({"service": "no_such_service"}, "ILLEGAL_SERVICE"),
        ({"partner": ""}, "ILLEGAL_PARTNER"),
        ({"_input_charset": "latin1"}, "ILLEGAL_CHARSET"),
        ({"_input_charset": ""}, "ILLEGAL_CHARSET"),
        ({"it_b_pay": "16d"}, "ILLEGAL_OUTTIME_ARGUMENT"),
        ({"it_b_pay": "1.5h"}, "ILLEGAL_OUTTIME_ARGUMENT"),
        ({"paymethod": "bankPay"}, "DEFAULT_BANK_INVALID"),
        ({"paymethod": "bankPay", "defaultbank": "icbcb2c"}, "DEFAULT_BANK_INVALID"),
        ({"paymethod": "directPay", "defaultbank": "CMB"}, "DEFAULT_BANK_INVALID"),
        ({"paymethod": "barter"}, "ILLEGAL_ARGUMENT"),
        ({"enable_paymethod": "directPay", "disable_paymethod": "cash"}, "ILLEGAL_ARGUMENT"),
        ({"exter_invoke_ip": "::1"}, "ILLEGAL_EXTER_INVOKE_IP"),
        ({"extra_common_param": "a=b"}, "ILLEGAL_EXTRA_COMMON_PARAM"),
        ({"return_url": "/back"}, "ILLEGAL_ARGUMENT"),
        ({"notify_url": "javascript:alert(1)"}, "ILLEGAL_ARGUMENT"),
        ({"seller_id": ""}, "PARAMTER_IS_NULL"),
        ({"royalty_type": "1", "royalty_parameters": "a@b.c^1.00^"}, "ROYALTY_TYPE_ERROR"),
        ({"royalty_type": "10"}, "ROYALTY_FORAMT_ERROR"),
        ({"royalty_type": "10", "royalty_parameters": "a@b.c^1.00^" + "x" * 1_000}, "ROYALTY_LENGTH_ERROR"),
    ],
)
def test_direct_refusals(changes: dict[str, str], wire: str) -> None:
    """Each wrong field is answered by the interface's closest code."""
    with pytest.raises(RemoteProtocolError) as caught:
        decode(DIRECT | changes)
    assert PROTOCOL.server.refusal_code(caught.value) == wire


@pytest.mark.parametrize(
    ("changes", "wire"),
    [
        ({"total_fee": "10.00"}, "ILLEGAL_FEE_PARAM"),
        ({"price": "1000000.01"}, "ILLEGAL_MONEY_FORMAT"),
        ({"discount": "-10.00"}, "TOTAL_FEE_LESSEQUAL_ZERO"),
        ({"discount": "--1"}, "ILLEGAL_MONEY_FORMAT"),
        ({"quantity": ""}, "PARAMTER_IS_NULL"),
        ({"quantity": "999999999", "price": "1000000.00"}, "ILLEGAL_MONEY_FORMAT"),
        ({"logistics_type": ""}, "PARAMTER_IS_NULL"),
        ({"logistics_type": "PIGEON"}, "LOGISTICS_CHOOSE_ERROR"),
        ({"logistics_payment": "NOBODY"}, "LOGISTICS_CHOOSE_ERROR"),
        ({"logistics_fee": "x"}, "ILLEGAL_LOGISTICS_FORMAT"),
        ({"logistics_type_1": "EMS"}, "LOGISTICS_CHOOSE_ERROR"),
        (
            {"logistics_type_1": "EXPRESS", "logistics_fee_1": "1.00", "logistics_payment_1": "BUYER_PAY"},
            "LOGISTICS_CHOOSE_ERROR",
        ),
        ({"payment_type": "2"}, "ILLEGAL_PAYMENT_TYPE"),
    ],
)
def test_escrow_refusals(changes: dict[str, str], wire: str) -> None:
    """The same for the fields of escrow and dual trades."""
    for service in ("create_partner_trade_by_buyer", "trade_create_by_buyer"):
        with pytest.raises(RemoteProtocolError) as caught:
            decode(ESCROW | {"service": service} | changes)
        assert PROTOCOL.server.refusal_code(caught.value) == wire


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m", 60), ("90m", 5_400), ("24h", 86_400), ("15d", 1_296_000), ("1c", 0), ("21600m", 1_296_000)],
)
def test_expiry(text: str, seconds: int) -> None:
    """Every form of it_b_pay, with both ends of its range."""
    assert decode(DIRECT | {"it_b_pay": text}).expiry == Expiry(seconds)


def test_every_bank_code_is_in_the_directory() -> None:
    """Each documented defaultbank leads to a bank of the directory, and each bank has a code back."""
    for code, (bank, method) in m.BANK_OF.items():
        intent = decode(DIRECT | {"paymethod": "bankPay", "defaultbank": code})
        assert (intent.bank, intent.method) == (bank, method)
        assert bank in BANKS
    assert {bank for bank, _ in m.BANK_CODE} <= set(BANKS)


def test_ways_of_paying() -> None:
    """paymethod, enable_paymethod and disable_paymethod in neutral words."""
    assert decode(DIRECT | {"paymethod": "cash"}).method is Method.OUTLET
    assert decode(DIRECT | {"paymethod": "creditPay"}).method is Method.CREDIT
    assert decode(DIRECT | {"enable_paymethod": "directPay^bankPay"}).methods == (
        Method.BALANCE,
        Method.DEBIT,
        Method.CREDIT,
    )
    assert decode(DIRECT | {"disable_paymethod": "cash^creditCardExpress"}).methods == (Method.BALANCE, Method.DEBIT)


def test_echo_is_what_the_messages_home_need() -> None:
    """A created trade remembers charset, signature, service and kind of payment for its return and notifications."""
    echo = decode(DIRECT | {"paymethod": "bankPay", "defaultbank": "CMB"}).echo
    assert echo == {
        "_input_charset": "utf-8",
        "sign_type": "MD5",
        "service": "create_direct_pay_by_user",
        "payment_type": "1",
        "paymethod": "bankPay",
    }


def view(product: Product, state: TradeState) -> TradeView:
    return TradeView(
        out_trade_no="T1",
        trade_no="2015040100001000980012345678",
        product=product,
        state=state,
        amount=Money(1_000),
        subject="测试",
        seller=Party(PID, "seller@example.com"),
        created_at=NOW,
        bank_serial="B1",
        echo={"_input_charset": "gbk", "sign_type": "MD5", "payment_type": "1"},
    )


def notified(product: Product, state: TradeState) -> dict[str, str]:
    event = Notification(id="i" * 34, at=NOW, trade=view(product, state))
    return dict(parse_form(PROTOCOL.server.notify(event, "http://shop.example.com/n", RING, NOW).body, "gbk"))


@pytest.mark.parametrize(
    ("product", "state", "status", "actions"),
    [
        (Product.INSTANT, TradeState.UNPAID, "WAIT_BUYER_PAY", ("", "")),
        (Product.INSTANT, TradeState.PAID, "TRADE_SUCCESS", ("", "")),
        (Product.INSTANT, TradeState.FINISHED, "TRADE_FINISHED", ("", "")),
        (Product.INSTANT, TradeState.CLOSED, "TRADE_CLOSED", ("", "")),
        (Product.ESCROW, TradeState.UNPAID, "WAIT_BUYER_PAY", ("PAY", "MODIFY_TRADE")),
        (Product.ESCROW, TradeState.ESCROWED, "WAIT_SELLER_SEND_GOODS", ("REFUND", "SEND_GOODS")),
        (Product.ESCROW, TradeState.SHIPPED, "WAIT_BUYER_CONFIRM_GOODS", ("REFUND,CONFIRM_GOODS", "EXTEND_TIMEOUT")),
        (Product.ESCROW, TradeState.FINISHED, "TRADE_FINISHED", ("", "")),
        (Product.DUAL, TradeState.PAID, "TRADE_FINISHED", ("", "")),
        (Product.DUAL, TradeState.CLOSED, "TRADE_CLOSED", ("", "")),
    ],
)
def test_states(product: Product, state: TradeState, status: str, actions: tuple[str, str]) -> None:
    """Each state of each product has its word and its next actions; nothing empty is ever sent."""
    fields = notified(product, state)
    assert fields["trade_status"] == status
    assert (fields.get("buyer_actions", ""), fields.get("seller_actions", "")) == actions
    assert "" not in fields.values()
    assert (fields["price"], fields["quantity"], fields["discount"]) == ("10.00", "1", "0.00")
    assert (fields["is_total_fee_adjust"], fields["use_coupon"]) == ("N", "N")
    assert "bank_seq_no" not in fields


def test_refunds_are_told() -> None:
    """What went back shows as refund_status with its time; a query tells how much, with T and F for yes and no."""
    back = replace(view(Product.INSTANT, TradeState.PAID), refunded=Money(300), refunded_at=NOW)
    event = Notification(id="i" * 34, at=NOW, trade=back)
    fields = dict(parse_form(PROTOCOL.server.notify(event, "http://shop.example.com/n", RING, NOW).body, "gbk"))
    assert (fields["refund_status"], fields["gmt_refund"]) == ("REFUND_SUCCESS", "2015-04-01 12:03:05")
    query = QueryTrade(merchant=PID, out_trade_no="T1")
    body = answer(query, back).body.decode()
    assert "<to_buyer_fee>3.00</to_buyer_fee><to_seller_fee>7.00</to_seller_fee>" in body
    assert "<is_total_fee_adjust>F</is_total_fee_adjust><use_coupon>F</use_coupon>" in body


def answer(intent: QueryTrade, found: TradeView) -> Response:
    claim = PROTOCOL.server.claim(PROTOCOL.client.encode(intent, CREDENTIALS, NOW).request())
    return PROTOCOL.server.answer(claim, TradeFound(found), RING, NOW)


def test_return_is_alphabetical_and_appended() -> None:
    """The return's fields are sorted, sign and sign_type come last, and the shop's own query stays in front."""
    event = Notification(id="i" * 34, at=NOW, trade=view(Product.INSTANT, TradeState.PAID))
    back = PROTOCOL.server.return_to(event, "http://shop.example.com/respond.php?code=alipay#top", RING, NOW)
    names = [name for name, _ in parse_form(back.raw_query, "gbk")]
    assert names[0] == "code"
    assert names[1:-2] == sorted(names[1:-2])
    assert names[-2:] == ["sign", "sign_type"]


def ask(url: str, method: str = "GET", body: bytes = b"") -> Response:
    """What a shop hears that asks about a notification the platform holds for genuine."""
    request = get(url) if method == "GET" else post(url, body, FORM)
    claim = PROTOCOL.server.claim(request)
    try:
        intent = PROTOCOL.server.decode(claim, RING, NOW).intent
    except RemoteProtocolError as error:
        return PROTOCOL.server.refuse(claim, error, RING, NOW)
    assert isinstance(intent, ConfirmNotification)
    return PROTOCOL.server.answer(claim, Confirmed(intent.notification_id == "abc-1"), RING, NOW)


def test_confirmation_is_one_word() -> None:
    """notify_verify and the older address answer one word without newline, with its length, never chunked."""
    new, old = f"{GATEWAY}?service=notify_verify&", "http://notify.alipay.com/trade/notify_query.do"
    fields = f"partner={PID}&notify_id="
    assert ask(f"{new}{fields}abc-1").body == b"true"
    assert ask(f"{new}{fields}abc%252D1").body == b"true"
    assert ask(f"{new}{fields}other").body == b"false"
    assert ask(f"{new}{fields}").body == b"invalid"
    assert ask(f"{new}partner=&notify_id=abc-1").body == b"invalid"
    assert ask(f"{new}{fields}%FF").body == b"invalid"
    assert ask(f"{old}?{fields}abc-1").body == b"true"
    assert ask(old, "POST", f"{fields}abc-1".encode()).body == b"true"
    response = ask(f"{new}{fields}abc-1")
    assert response.header("content-length") == "4"
    assert response.header("transfer-encoding") is None
    claim = PROTOCOL.server.claim(get(f"{new}{fields}abc-1"))
    assert PROTOCOL.server.refuse(claim, Refused("UNKNOWN_MERCHANT"), None, NOW).body == b"false"


def test_timestamp_holds_nothing_but_the_key() -> None:
    """Old demos concatenate all text below response/timestamp, so nothing else stands there."""
    claim = PROTOCOL.server.claim(get(f"{GATEWAY}?service=query_timestamp&partner={PID}"))
    body = PROTOCOL.server.answer(claim, TimestampIssued("0123456789abcdef"), RING, NOW).body.decode()
    assert "<response><timestamp><encrypt_key>0123456789abcdef</encrypt_key></timestamp></response>" in body


def test_envelope_echoes_the_request_in_its_order() -> None:
    """The request comes back parameter by parameter, in the order received, without its signature."""
    fields = {"trade_no": "1", "_input_charset": "utf-8", "transport_type": "EMS", "service": m.SHIP, "partner": PID}
    fields |= {"invoice_no": "9", "logistics_name": "<顺丰>&"}
    pairs = (*fields.items(), ("sign", signed(fields, "utf-8", KEY)["sign"]), ("sign_type", "MD5"))
    claim = PROTOCOL.server.claim(post(GATEWAY, encode_form(pairs), FORM))
    PROTOCOL.server.decode(claim, RING, NOW)
    body = PROTOCOL.server.answer(claim, Done(), RING, NOW).body.decode()
    assert body == (
        '<?xml version="1.0" encoding="utf-8"?><alipay><is_success>T</is_success><request>'
        '<param name="trade_no">1</param><param name="_input_charset">utf-8</param>'
        '<param name="transport_type">EMS</param><param name="service">send_goods_confirm_by_platform</param>'
        f'<param name="partner">{PID}</param><param name="invoice_no">9</param>'
        '<param name="logistics_name">&lt;顺丰&gt;&amp;</param></request></alipay>'
    )


def test_failure_envelope() -> None:
    """The failure answer is is_success F and the code, unsigned, in the caller's charset."""
    claim = PROTOCOL.server.claim(get(f"{GATEWAY}?service=close_trade&partner={PID}&_input_charset=GBK"))
    response = PROTOCOL.server.refuse(claim, Refused("TRADE_STATE"), RING, NOW)
    assert response.status == 200
    assert response.header("content-type") == "text/xml; charset=GBK"
    assert response.body == (
        b'<?xml version="1.0" encoding="GBK"?><alipay><is_success>F</is_success>'
        b"<error>TRADE_STATUS_NOT_AVAILD</error></alipay>"
    )


@pytest.mark.parametrize("presentation", [Presentation.BARCODE, Presentation.QR])
def test_T82_a_failure_at_a_counter_proves_nothing(presentation: Presentation) -> None:
    """Its other answers are signed, and this one anybody may have said."""
    intent = CreateTrade(
        merchant=PID, out_trade_no="T1", product=Product.INSTANT, subject="测试", amount=Money(1_000),
        presentation=presentation, code="280123456789012345" if presentation is Presentation.BARCODE else "",
    )  # fmt: skip
    failed = Response(200, (), b"<alipay><is_success>F</is_success><error>ILLEGAL_PARTNER</error></alipay>")
    refused = PROTOCOL.client.decode(intent, failed, CREDENTIALS, NOW)
    assert isinstance(refused, Rejection)
    assert (refused.wire_code, refused.proven) == ("ILLEGAL_PARTNER", False)


def test_acknowledgement() -> None:
    """The seven characters of success, with blanks around them forgiven, and HTTP 200."""
    for body in (b"success", b" success\r\n"):
        assert PROTOCOL.server.acknowledged(Response(200, (), body))
    for body in (b"SUCCESS", b"fail", b"success<br>", b"success success"):
        assert not PROTOCOL.server.acknowledged(Response(200, (), body))


def test_codes_are_total_and_theirs() -> None:
    """Every refusal has a code, and every code of the interface that we know reads as a refusal of ours."""
    assert set(c.WIRE_CODE) == set(REFUSALS)
    assert set(c.NEUTRAL_CODE.values()) <= set(REFUSALS)
    assert set(c.WIRE_CODE.values()) | set(c.FIELD_CODE.values()) <= set(c.NEUTRAL_CODE)


def test_client_defaults_come_from_the_settings() -> None:
    """Payee and addresses that an intent does not name are those of the configuration."""
    own = {"notify_url": "https://shop.example.com/n", "seller_email": "s@example.com"}
    credentials = PROTOCOL.client.load({**SETTINGS, **own})
    bare = CreateTrade(merchant="", out_trade_no="T1", product=Product.INSTANT, subject="x", amount=Money(1))
    fields = dict(PROTOCOL.client.encode(bare, credentials, NOW).fields)
    assert fields["notify_url"] == "https://shop.example.com/n"
    assert fields["seller_email"] == "s@example.com"
    assert "return_url" not in fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partner", ""),
        ("partner", "20880000 0000001"),
        ("sign_type", "md5"),
        ("charset", "big5"),
        ("gateway", "mapi.alipay.com/gateway.do"),
        ("notify_url", "/notify"),
        ("return_url", "shop.example.com"),
        ("key", "changeme"),
    ],
)
def test_settings_name_the_field(field: str, value: str) -> None:
    """A wrong setting is refused by its own name."""
    with pytest.raises(ConfigurationError) as caught:
        PROTOCOL.client.load({**SETTINGS, field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "changes",
    [
        {"merchant": "2088000000000002"},
        {"expiry": Expiry(90)},
        {"expiry": Expiry(1_296_060)},
        {"out_trade_no": ""},
        {"subject": "a&total_fee=0.01"},
        {"subject": "tab\x00"},
        {"notify_url": "/n"},
        {"passback": "a&b"},
        {"amount": Money(0)},
        {"amount": Money(10_000_000_001)},
        {"discount": Money(-1)},
        {"bank": "HXB"},
        {"bank": "ICBC", "method": Method.CREDIT},
    ],
)
def test_client_says_what_it_cannot_say(changes: dict[str, object]) -> None:
    """What the interface has no words for is refused before anything is sent."""
    bare = CreateTrade(merchant="", out_trade_no="T1", product=Product.INSTANT, subject="x", amount=Money(1))
    with pytest.raises(LocalProtocolError):
        PROTOCOL.client.encode(replace(bare, **changes), CREDENTIALS, Instant(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("md5_first", [True, False])
def test_an_unsigned_question_is_answered_with_md5(md5_first: bool) -> None:
    """query_timestamp bears no sign_type: whoever has an MD5 key gets MD5, whatever else stands in the ring; without
    one, what there is."""
    secret = generate_private_key(65_537, 2_048)
    rsa = Key("r", 1, "RSA", secret)
    signing = (KEY, rsa) if md5_first else (rsa, KEY)
    claim = PROTOCOL.server.claim(get(f"{GATEWAY}?service=query_timestamp&partner={PID}"))

    answers = [
        PROTOCOL.server.answer(claim, TimestampIssued("word"), KeyRing(PID, (KEY,), keys), NOW).body
        for keys in (signing, (rsa,))
    ]
    assert [re.findall(rb"<sign_type>([A-Z0-9]+)</sign_type>", body) for body in answers] == [[b"MD5"], [b"RSA"]]
