"""The merchant's side over Alipay's Open Platform: whom a message is for, in messages as the real platform has them.

An application asks under its own number (2021...), and the money comes to another (2088...).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.merchant.conftest import make_shop
from tests.protocol.bench import make_pair
from tests.protocol.vector import Vector, vectors
from tests.support.clock import NOW, Hands
from tongbao.kernel.error import InvalidSignature, OutcomeUnknown, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import MINUTE, Instant, later
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.merchant.ending import check_recipient
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.order import OrderState
from tongbao.merchant.step import step_11_check_recipient
from tongbao.merchant.verdict import Stop, VerdictKind
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import MovementState, PayOutFound, PayOutView
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Rejection

SELLER, ORDER = "2088000000000001", "T20260101000001"
PAID = next(one for one in vectors() if (one.protocol, one.name) == ("alipay_openapi", "notification_paid"))
REFUND = next(one for one in vectors() if (one.protocol, one.name) == ("alipay_openapi", "notification_refund"))
TOLD_AT = Instant(PAID.data["event"]["at"])


def configured(seller: str = "", app: str = PAID.data["merchant"], own: str = "") -> MerchantConfiguration:
    """A shop that trusts the vectors' platform. ``seller`` is the credential, ``own`` the configuration's setting."""
    keys = {**PAID.data["keys"][0]}
    merchant = next(
        one.data["keys"][0] for one in vectors() if (one.protocol, one.name) == ("alipay_openapi", "request_account")
    )
    credentials = {"app_id": app, "app_private_key": merchant["private"], "alipay_public_key": keys["public"]}
    return MerchantConfiguration(
        protocol="alipay_openapi",
        credentials={**credentials, **({"seller_id": seller} if seller else {})},
        notify_url="https://shop.example.com/alipay/notify",
        seller_id=own,
    )


@pytest.mark.parametrize(("seller", "own"), [("", ""), (SELLER, ""), ("", SELLER)])
def test_T25_a_payment_is_accepted_by_the_payees_number(sqlite_database: Database, seller: str, own: str) -> None:
    """A notification as the platform writes it pays the order, whether or not the shop says who its payee is."""
    shop = make_shop(
        sqlite_database,
        configuration=configured(seller, own=own),
        query=False,
        clock=Hands(later(TOLD_AT, MINUTE)),
    )
    shop.order(ORDER, 1, environment="production")
    accepted = shop.receiver.accept_notification(PAID.request())
    assert (accepted.verdict.kind, accepted.verdict.reason) == (VerdictKind.APPLIED, "")
    assert shop.stored(ORDER).state is OrderState.PAID


@pytest.mark.parametrize("note", [PAID, REFUND], ids=lambda note: note.name)
@pytest.mark.parametrize(
    ("seller", "app", "good"),
    [
        ("", "", True),
        (SELLER, "", True),
        ("2088000000000009", "", False),
        (PAID.data["merchant"], "", False),
        ("", "2026000000000009", False),
        (SELLER, "2026000000000009", False),
    ],
)
def test_T25_another_application_or_payee_is_refused(note: Vector, seller: str, app: str, good: bool) -> None:
    """The application's number is always compared; the payee's wherever the shop says it."""
    configuration = configured(seller, app or PAID.data["merchant"])
    notification = PROTOCOL.client.decode_notification(note.request(), note.credentials(), TOLD_AT)
    endpoint = Endpoint(name="alipay", configuration=configuration)
    for check in (step_11_check_recipient, check_recipient):
        if good:
            check(notification, endpoint)
            continue
        with pytest.raises(Stop) as caught:
            check(notification, endpoint)
        assert caught.value.reason == "WRONG_RECIPIENT"


PAIR = make_pair("alipay_openapi", "RSA2", "utf-8")


@dataclass
class Gateway:
    """The interface's server end with a few payouts behind it, each with whether it goes to a card."""

    payouts: dict[tuple[str, bool], PayOutView]
    asked: list[Any] = field(default_factory=list)

    def __call__(self, request: Request, limits: Any) -> Response:
        claim = PROTOCOL.server.claim(request)
        intent: Any = PROTOCOL.server.decode(claim, PAIR.ring, NOW).intent
        self.asked.append(intent)
        found = self.payouts.get((intent.payout_no, intent.to_card))
        outcome = PayOutFound((found,)) if found is not None else Rejection("PAYOUT_NOT_FOUND")
        return PROTOCOL.server.answer(claim, outcome, PAIR.ring, NOW)


def payout(number: str, payee: Payee) -> PayOutView:
    """A payout that succeeded."""
    return PayOutView(
        payout_no=number, payout_id=f"20260101{number}", payee=payee, amount=Money(100), state=MovementState.SUCCEEDED,
        created_at=NOW, ended_at=NOW,
    )  # fmt: skip


def test_a_cards_payout_is_asked_for_under_its_own_product() -> None:
    """A number names a payout together with its product: whoever does not say it, has both asked, the account first."""
    card = payout("P1", Payee(name="王小明", card="6200000000000018", bank="ICBC"))
    account = payout("P2", Payee(Party("2088000000000099")))
    gateway = Gateway({("P1", True): card, ("P2", False): account})
    configuration = MerchantConfiguration(
        protocol="alipay_openapi", credentials=PAIR.settings, environment="sandbox", gateway="http://127.0.0.1:1/x"
    )
    client = Client(configuration, send=gateway, clock=Hands())
    for number, kind, kinds in (
        ("P1", None, [False, True]),
        ("P1", True, [True]),
        ("P2", None, [False]),
        ("P2", False, [False]),
    ):
        gateway.asked.clear()
        assert client.query_payout(number, to_card=kind)[0].payout_no == number
        assert [intent.to_card for intent in gateway.asked] == kinds
    for number, kind, kinds in (("P3", None, [False, True]), ("P1", False, [False]), ("P2", True, [True])):
        gateway.asked.clear()
        with pytest.raises(Refused) as caught:
            client.query_payout(number, to_card=kind)
        assert (caught.value.code, [intent.to_card for intent in gateway.asked]) == ("PAYOUT_NOT_FOUND", kinds)


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_T82_an_unsigned_refusal_ends_no_refund(sqlite_database: Database, interface: str) -> None:
    """Anybody on the way can say it: the row stays open, and the refund is asked for again under its number. A forged
    signature is no answer; a signed refusal ends a refund that was asked for once, and not one that may have been made
    at the first asking."""
    rings = [None, PAIR.ring]

    def send(request: Request, limits: Any) -> Response:
        claim = PROTOCOL.server.claim(request)
        answer = PROTOCOL.server.refuse(claim, Refused("REFUND_EXCEEDS"), rings[0], NOW)
        return replace(answer, body=answer.body.replace(b"ACQ.", b"ACQ.X")) if len(rings) == 1 else answer

    configuration = MerchantConfiguration(
        protocol="alipay_openapi", credentials={**PAIR.settings, "interface": interface}, environment="sandbox",
        gateway="http://127.0.0.1:1/gateway.do",
    )  # fmt: skip
    shop = make_shop(sqlite_database, configuration=configuration, send=send)
    shop.order("A1")
    paid = "UPDATE orders SET state = 'paid', evidence = 'NOTIFY', paid_at = 1, trade_no = order_no"
    shop.database.run(lambda transaction: transaction.execute(paid))
    with pytest.raises(OutcomeUnknown, match="ACQ"):
        shop.receiver.refund("A1", "R1", Money(100))
    assert shop.rows("SELECT state FROM payment_movement") == [{"state": "asked"}]
    rings.pop(0)
    with pytest.raises(OutcomeUnknown) as forged:
        shop.receiver.refund("A1", "R1", Money(100))
    assert (forged.value.refusal, type(forged.value.__cause__)) == (None, InvalidSignature)
    assert shop.rows("SELECT state FROM payment_movement") == [{"state": "asked"}]
    rings.append(None)
    for number in ("R1", "R2"):
        with pytest.raises(Refused, match="REFUND_EXCEEDS"):
            shop.receiver.refund("A1", number, Money(100))
    states = [row["state"] for row in shop.rows("SELECT state FROM payment_movement ORDER BY number")]
    assert states == ["asked", "failed"]
