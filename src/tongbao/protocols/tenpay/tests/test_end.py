"""What the laws cannot say of this gateway: published strings, the bill's file, confirmation with its trade."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from importlib.resources import files

import pytest

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import parse_china
from tongbao.protocols.tenpay import PROTOCOL
from tongbao.protocols.tenpay.codec import sign
from tongbao.wire.http import Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.movement import BillHead, BillLine, RefundTrade, RequestBill
from tongbao.wire.vocabulary import (
    Confirmed,
    ConfirmNotification,
    CreateTrade,
    FollowUp,
    Product,
    Rejection,
    TradeState,
    TradeView,
)

CLIENT, SERVER = PROTOCOL.client, PROTOCOL.server
SECRET = "k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4"
SETTINGS = {
    "partner": "1900000109",
    "key": SECRET,
    "input_charset": "UTF-8",
    "op_user_passwd": "111111",
}
RING = KeyRing(
    "1900000109",
    (Key("k", 1, "MD5", SECRET.encode()),),
    (Key("k", 1, "MD5", SECRET.encode()),),
)
NOW = parse_china("2026-01-01 12:00:00")
STRINGS = json.loads(files("tongbao.protocols.tenpay").joinpath("vectors", "strings.json").read_text("utf-8"))


@pytest.mark.parametrize(("name", "text", "digest"), STRINGS, ids=[row[0] for row in STRINGS])
def test_published_strings(name: str, text: str, digest: str) -> None:
    """Every string of the guide and the demos has its digest; the second is GBK, which is the default."""
    signed, _, secret = text.rpartition("&key=")
    codec = "gbk" if name in ("G2", "G6", "G10") else "utf-8"
    assert sign(signed, Key("k", 1, "MD5", secret.encode()), codec) == digest.upper()


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (b"success", True),
        (b"SUCCESS", False),
        (b"success\n", False),
        (b"\xef\xbb\xbfsuccess", False),
        (b"fail", False),
    ],
)
def test_F22_only_the_bare_word_is_a_yes(body: bytes, taken: bool) -> None:
    """A plugin that answers capitals, a blank or a mark of order hears the notice again."""
    assert SERVER.acknowledged(Response(200, (), body)) is taken


def test_T82_a_refusal_is_proven_by_its_signature_alone() -> None:
    """The gateway signs none: then it says nothing of a refund. One with a signature that is wrong is no answer."""
    credentials = CLIENT.load(SETTINGS)
    intent = RefundTrade(merchant="", refund_no="R1", out_trade_no="T1", amount=Money(1), total=Money(2))

    def said(proof: str = "") -> Response:
        tail = f"<sign>{proof}</sign>" if proof else ""
        return Response(200, (), f"<root><retcode>88221009</retcode><retmsg>no</retmsg>{tail}</root>".encode())

    proof = sign("retcode=88221009&retmsg=no", RING.sign[0], "utf-8")
    for answer, proven in ((said(), False), (said(proof), True)):
        refused = CLIENT.decode(intent, answer, credentials, NOW)
        assert isinstance(refused, Rejection)
        assert (refused.wire_code, refused.proven) == ("88221009", proven)
    with pytest.raises(InvalidSignature):
        CLIENT.decode(intent, said(proof[::-1]), credentials, NOW)


def test_a_confirmation_repeats_the_trade() -> None:
    """The demos look for trade_state in the answer, so a yes tells the trade as the notice did."""
    credentials = CLIENT.load(SETTINGS)
    intent = ConfirmNotification(merchant="", notification_id="n1")
    claim = SERVER.claim(CLIENT.encode(intent, credentials, NOW).request())
    view = TradeView(
        merchant="1900000109",
        out_trade_no="T1",
        trade_no="1900000109202601010000000001",
        state=TradeState.PAID,
        product=Product.INSTANT,
        amount=Money(19_800),
        paid_at=NOW,
    )
    answer = SERVER.answer(claim, Confirmed(True, trade=view), RING, NOW)
    assert b"<trade_state>0</trade_state>" in answer.body
    assert CLIENT.decode(intent, answer, credentials, NOW) == Confirmed(True, trade=view)


def test_an_expiry_is_what_it_was() -> None:
    """Minutes from creation travel as two times and are minutes again."""
    credentials = CLIENT.load(SETTINGS)
    intent = CreateTrade(
        merchant="",
        out_trade_no="T2",
        product=Product.INSTANT,
        subject="梨",
        amount=Money(1),
        expiry=None,
    )
    from_wire = SERVER.decode(SERVER.claim(CLIENT.encode(intent, credentials, NOW).request()), RING, NOW).intent
    assert isinstance(from_wire, CreateTrade)
    assert from_wire.expiry is None


def test_what_lives_elsewhere_is_asked_there() -> None:
    """Refunds and bills had hosts of their own; a sandbox has one for all."""
    bill = RequestBill(merchant="", day=date(2026, 1, 1))
    old = CLIENT.encode(bill, CLIENT.load(SETTINGS), NOW)
    here = CLIENT.encode(
        bill,
        CLIENT.load(SETTINGS | {"gateway": "http://127.0.0.1:9/tenpay/gateway/pay.htm"}),
        NOW,
    )
    assert old.url == "http://mch.tenpay.com/cgi-bin/mchdown_real_new.cgi"
    assert here.url == "http://127.0.0.1:9/tenpay/cgi-bin/mchdown_real_new.cgi"


def test_a_bill_is_where_the_answer_says() -> None:
    """Our platform sends on to the file; an error is a page with code and text."""
    credentials, bill = (
        CLIENT.load(SETTINGS),
        RequestBill(merchant="", day=date(2026, 1, 1)),
    )
    claim = SERVER.claim(CLIENT.encode(bill, credentials, NOW).request())
    sent = SERVER.answer(claim, FollowUp("http://127.0.0.1:9/bill/x"), RING, NOW)
    assert CLIENT.decode(bill, sent, credentials, NOW) == FollowUp("http://127.0.0.1:9/bill/x")
    with pytest.raises(RemoteProtocolError):
        CLIENT.decode(bill, Response(200, (), b"<html>hello</html>"), credentials, NOW)


def make_line(kind: str, sum_: int) -> BillLine:
    money, refund = Money(sum_), kind == "refund"
    return BillLine(
        kind=kind,
        at=NOW,
        income=Money(0) if refund else money,
        outcome=money if refund else Money(0),
        fee=Money(0),
        out_trade_no="T1",
        trade_no="1900000109202601010000000001",
        refund_no="R1" if refund else "",
        amount=Money(19_800),
        serial="1",
        subject="=1+1",
    )


def test_T64_a_bill_holds_no_formula_and_its_totals_are_checked() -> None:
    """Every cell begins with a backtick; a changed sum, a missing line and a missing end are found."""
    assert PROTOCOL.bill is not None
    head = BillHead(merchant="1900000109", day=date(2026, 1, 1))
    raw = b"".join(PROTOCOL.bill.write(head, [make_line("payment", 19_800), make_line("refund", 9_900)]))
    assert all(cell.startswith("`") for cell in raw.decode("gbk").splitlines()[1].split(","))
    read = list(PROTOCOL.bill.read([raw[:7], raw[7:]]))
    assert [(line.kind, line.income.minor, line.outcome.minor) for line in read] == [
        ("payment", 19_800, 0),
        ("refund", 0, 9_900),
    ]
    rows = raw.splitlines(keepends=True)
    for broken in (
        raw.replace(b"`198.00", b"`199.00", 1),
        b"".join(rows[:1] + rows[2:]),
        b"".join(rows[:-1]),
        b"",
    ):
        with pytest.raises(RemoteProtocolError):
            list(PROTOCOL.bill.read([broken]))
    with pytest.raises(LocalProtocolError):
        list(PROTOCOL.bill.write(replace(head, kind="account"), []))
