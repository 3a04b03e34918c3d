"""The merchant's side over WeChat Pay: which refusals end a refund, and how it is asked for again
or given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.merchant.conftest import Shop, make_shop
from tests.protocol.bench import Pair, make_pair
from tests.support.clock import NOW
from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import MINUTE, later
from tongbao.merchant.client import Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Transaction
from tongbao.merchant.movement import MovementTable, list_movements
from tongbao.merchant.verdict import VerdictKind
from tongbao.protocols.wechatpay_v2 import codec as xml
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import MovementState, PayOut, QueryRefund, RefundFound, RefundTrade, RefundView
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Notification, TradeView
from tongbao.wire.world import NoAnswer

TRADE = "4200000000202501010000000001"
MADE = RefundView(
    refund_no="R1",
    refund_id="50000000000000000000000000001",
    trade_no=TRADE,
    out_trade_no="A1",
    state=MovementState.ACCEPTED,
    amount=Money(1_000),
    total=Money(1_000),
    created_at=NOW,
)
DONE = replace(MADE, state=MovementState.SUCCEEDED, ended_at=NOW)
ALGORITHM = {"wechatpay_v2": "HMAC-SHA256", "wechatpay_v3": "WECHATPAY2-SHA256-RSA2048"}


def make(
    database: Database,
    name: str,
    change: Callable[[Pair, Any, Response], Response],
    known: tuple[RefundView, ...] = (),
    refusal: str = "MERCHANT_FUNDS",
    made: tuple[RefundView, ...] = (),
) -> Shop:
    """A shop with a paid order A1, whose platform says those that are ``made`` to the first refunds and refuses every
    other, and has those that are ``known``; ``change`` is what becomes of its answer."""
    views = iter(made)
    pair = make_pair(name, ALGORITHM[name])
    server = pair.manifest.server

    def send(request: Request, limits: Any) -> Response:
        now = shop.clock.now
        claim = server.claim(request)
        intent = server.decode(claim, pair.ring, now).intent
        if known and isinstance(intent, QueryRefund):
            return change(pair, intent, server.answer(claim, RefundFound(known), pair.ring, now))
        view = next(views, None) if isinstance(intent, RefundTrade) else None
        if view is not None:
            return change(pair, intent, server.answer(claim, RefundFound((view,)), pair.ring, now))
        code = "REFUND_NOT_FOUND" if isinstance(intent, QueryRefund) else refusal
        return change(pair, intent, server.refuse(claim, Refused(code), pair.ring, now))

    configuration = MerchantConfiguration(
        protocol=name, credentials=dict(pair.settings), environment="sandbox", gateway="http://127.0.0.1:1"
    )
    shop = make_shop(database, configuration=configuration, send=send)
    shop.order("A1")
    paid = f"UPDATE orders SET state = 'paid', evidence = 'NOTIFY', paid_at = 1, trade_no = '{TRADE}'"
    shop.database.run(lambda transaction: transaction.execute(paid))
    return shop


def as_sent(_: Pair, __: Any, answer: Response) -> Response:
    return answer


def signed(pair: Pair, _: Any, answer: Response) -> Response:
    """Under the platform's certificate, as the real one never does with an error, though it may."""
    key = next(key for key in pair.ring.sign if key.chain)
    proof = codec.signed_headers(answer.body, key, codec.platform_name(key), "nonce", NOW).sign()
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
    ("name", "change", "raised", "state", "code"),
    [
        ("wechatpay_v3", as_sent, OutcomeUnknown, "asked", "MERCHANT_FUNDS"),
        ("wechatpay_v3", forged, OutcomeUnknown, "asked", ""),
        ("wechatpay_v3", signed, Refused, "failed", "MERCHANT_FUNDS"),
        ("wechatpay_v2", incommunicable, OutcomeUnknown, "asked", "INSUFFICIENT_FUNDS"),
        ("wechatpay_v2", uncertified, OutcomeUnknown, "asked", "CERT_REQUIRED"),
        ("wechatpay_v2", unsigned, OutcomeUnknown, "asked", ""),
        ("wechatpay_v2", as_sent, Refused, "failed", "INSUFFICIENT_FUNDS"),
    ],
)
def test_T82_only_a_signed_refusal_ends_a_refund(
    sqlite_database: Database, name: str, change: Any, raised: type[Exception], state: str, code: str
) -> None:
    """Anybody on the way can say the others: the row stays open, and its sum is not given back under another number.
    What was said is there to be read."""
    shop = make(sqlite_database, name, change)
    with pytest.raises(raised) as answered:
        shop.receiver.refund("A1", "R1", Money(1_000))
    assert shop.rows("SELECT state, code FROM payment_movement") == [{"state": state, "code": code}]
    if isinstance(answered.value, OutcomeUnknown):
        assert (answered.value.refusal.code if answered.value.refusal else "") == code
    with pytest.raises(Refused) as caught:
        shop.receiver.refund("A1", "R2", Money(1_000))
    assert (caught.value.code == "REFUND_EXCEEDS") == (state == "asked")


def proven(pair: Pair, intent: Any, answer: Response) -> Response:
    """As sent, and a refusal in v3 signed."""
    return answer if answer.status < 400 else signed(pair, intent, answer)


@pytest.mark.parametrize("name", sorted(ALGORITHM))
@pytest.mark.parametrize(
    ("lost", "refusal", "state"),
    [
        (False, "MERCHANT_FUNDS", "accepted"),
        (False, "FIELD_INVALID", "accepted"),
        (True, "NO_PRIVILEGE", "asked"),
        (True, "REFUND_EXPIRED", "asked"),
    ],
)
def test_F11_a_refusal_of_the_second_asking_ends_no_refund(
    sqlite_database: Database, name: str, lost: bool, refusal: str, state: str
) -> None:
    """It is signed, and says nothing of the first asking, which was taken on, or whose answer was lost: the row stays
    open, its sum is given to no other number, and the question ends it."""
    answers: list[Response] = []

    def lose(pair: Pair, intent: Any, answer: Response) -> Response:
        if isinstance(intent, RefundTrade):
            answers.append(answer)
            if lost and len(answers) == 1:
                raise NoAnswer("TIMEOUT")
        return proven(pair, intent, answer)

    shop = make(sqlite_database, name, lose, (DONE,), refusal, (MADE,))
    if lost:
        with pytest.raises(OutcomeUnknown):
            shop.receiver.refund("A1", "R1", Money(1_000))
    else:
        assert shop.receiver.refund("A1", "R1", Money(1_000)).state == "accepted"
    with pytest.raises(Refused) as caught:
        shop.receiver.refund("A1", "R1", Money(1_000))
    code = caught.value.code
    assert shop.rows("SELECT state, code FROM payment_movement") == [{"state": state, "code": code if lost else ""}]
    with pytest.raises(Refused, match="REFUND_EXCEEDS"):
        shop.receiver.refund("A1", "R2", Money(1_000))
    assert len(answers) == 2
    assert [row.number for row in shop.receiver.poll_movements(-1)] == ["R1"]
    assert shop.rows("SELECT state, code FROM payment_movement") == [{"state": "succeeded", "code": ""}]


def test_T41_a_refusal_ends_no_refund_that_was_asked_for_again_meanwhile(sqlite_database: Database) -> None:
    """The first asking is refused late, when a second one is under way that may be answered otherwise."""
    asked: list[RefundTrade] = []

    def ask_again(pair: Pair, intent: Any, answer: Response) -> Response:
        asked.append(intent)
        if len(asked) == 2:
            raise NoAnswer("TIMEOUT")
        shop.clock.now = later(NOW, MINUTE)
        with pytest.raises(OutcomeUnknown):
            shop.receiver.refund("A1", "R1", Money(1_000))
        return answer

    shop = make(sqlite_database, "wechatpay_v2", ask_again)
    with pytest.raises(Refused, match="INSUFFICIENT_FUNDS"):
        shop.receiver.refund("A1", "R1", Money(1_000))
    assert shop.rows("SELECT state, code FROM payment_movement") == [{"state": "asked", "code": "INSUFFICIENT_FUNDS"}]


def scan(shop: Shop, **said: Any) -> Any:
    client = Client(shop.endpoint.configuration, send=shop.more["send"], clock=shop.clock)
    return client.scan("A20231114", Money(1_000), "tea", "130000000000000000", **said)


def test_a_payment_at_the_counter_leaves_out_the_address_of_the_settings(sqlite_database: Database) -> None:
    """WeChat Pay has no notification of it; an address that the call itself names cannot be said."""
    shop = make(sqlite_database, "wechatpay_v2", as_sent, refusal="CODE_INVALID")
    assert shop.endpoint.configuration.notify_url
    with pytest.raises(Refused, match="CODE_INVALID"):
        scan(shop)
    with pytest.raises(LocalProtocolError, match="notify_url"):
        scan(shop, notify_url="https://shop.example.com/counter")


def test_T82_a_refusal_at_the_counter_is_told_and_proves_nothing(sqlite_database: Database) -> None:
    """The refusal has no signature, so the payment is asked about; what it says is no less for that."""
    shop = make(sqlite_database, "wechatpay_v3", as_sent, refusal="BUYER_DISABLED")
    with pytest.raises(OutcomeUnknown) as caught:
        scan(shop)
    assert caught.value.refusal is not None
    assert caught.value.refusal.code == "BUYER_DISABLED"
    assert caught.value.refusal.detail.startswith("USER_ACCOUNT_ABNORMAL")


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


@pytest.mark.parametrize("name", sorted(ALGORITHM))
def test_F11_other_settings_change_nothing_in_a_refund_that_is_asked_for_again(
    sqlite_database: Database, name: str
) -> None:
    """The address of the settings is no refund's: one that names none says none, before they change and after."""
    asked: list[str] = []

    def lose(_: Pair, intent: Any, __: Response) -> Response:
        asked.append(intent.notify_url)
        raise NoAnswer("TIMEOUT")

    shop = make(sqlite_database, name, lose)
    for address in ("https://shop.example.com/1", "https://shop.example.com/2"):
        before = shop.endpoint.configuration
        said = replace(before, notify_url=address, credentials={**before.credentials, "notify_url": address})
        assert said.keys.values["notify_url"] == address
        moved = Shop(shop.database, shop.platform, replace(shop.endpoint, configuration=said), shop.clock, shop.more)
        with pytest.raises(OutcomeUnknown):
            moved.receiver.refund("A1", "R1", Money(100))
    assert asked == ["", ""]


HOWTO = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("tongue", ["en", "zh"])
@pytest.mark.parametrize(
    "kind",
    [
        "sqlite_database",
        pytest.param("postgresql_database", marks=pytest.mark.slow),
        pytest.param("mysql_database", marks=pytest.mark.slow),
    ],
)
def test_F23_a_refund_of_before_the_texts_is_asked_for_with_those_that_are_given(
    request: pytest.FixtureRequest, kind: str, tongue: str
) -> None:
    """The table of before, and the statements that the manual gives for it: what the row does not know it learns."""
    asked: list[tuple[str, str]] = []

    def lose(pair: Pair, intent: Any, answer: Response) -> Response:
        asked.append((intent.reason, intent.notify_url))
        raise NoAnswer("TIMEOUT")

    shop = make(request.getfixturevalue(kind), "wechatpay_v2", lose)
    page = (HOWTO / tongue / "how-to/refunds-and-payouts.md").read_text("utf-8")
    upgrade = [line.strip().rstrip(";") for line in page.splitlines() if line.strip().startswith("ALTER TABLE")]
    older = [f"ALTER TABLE payment_movement DROP COLUMN {name}" for name in ("reason", "notify_url")]
    first, other = ("破损", "https://shop.example.com/1"), ("其他", "https://shop.example.com/2")
    for number, (reason, address) in enumerate((first, first, other)):
        with pytest.raises(OutcomeUnknown):
            shop.receiver.refund("A1", "R1", Money(100), reason=reason, notify_url=address)
        for statement in () if number else (*older, *upgrade):
            shop.database.run(partial(Transaction.execute, statement=statement))
    assert asked == [first] * 3


@pytest.mark.parametrize(("name", "change"), [("wechatpay_v2", as_sent), ("wechatpay_v3", signed)])
def test_F23_that_a_number_had_other_parameters_ends_no_refund(
    sqlite_database: Database, name: str, change: Any
) -> None:
    """It is what WeChat Pay says where the refund may have happened at the first asking (sheet wechatpay, section
    10); to other requests the word says no more than that something was wrong."""
    shop = make(sqlite_database, name, change, refusal="REFUND_MISMATCH")
    with pytest.raises(Refused, match="REFUND_MISMATCH: INVALID_REQUEST"):
        shop.receiver.refund("A1", "R1", Money(1_000))
    assert shop.rows("SELECT state FROM payment_movement") == [{"state": "asked"}]
    with pytest.raises(Refused, match="REFUND_EXCEEDS"):
        shop.receiver.refund("A1", "R2", Money(1_000))


def incommunicable_or_not_there(pair: Pair, intent: Any, answer: Response) -> Response:
    return answer if isinstance(intent, QueryRefund) else incommunicable(pair, intent, answer)


@pytest.mark.parametrize(("name", "change"), [("wechatpay_v3", as_sent), ("wechatpay_v2", incommunicable_or_not_there)])
def test_a_person_gives_a_refund_up_that_was_never_made(sqlite_database: Database, name: str, change: Any) -> None:
    """Then its sum is free for another number. It is no end that the platform proved: what is told later is a case. In
    v3, which signs no refusal, the platform's word that it has none is no evidence: he says that he takes it (T82)."""
    shop = make(sqlite_database, name, change)
    with pytest.raises(OutcomeUnknown):
        shop.receiver.refund("A1", "R1", Money(1_000))
    shop.clock.now = later(NOW, 10 * MINUTE)
    signs = name == "wechatpay_v2"
    if not signs:
        with pytest.raises(OutcomeUnknown, match="unproven") as unknown:
            shop.receiver.give_up_refund("A1", "R1")
        assert unknown.value.refusal is not None
        assert (unknown.value.refusal.code, unknown.value.refusal.proven) == ("NOT_FOUND", False)
        assert shop.rows("SELECT state FROM payment_movement") == [{"state": "asked"}]
    row = shop.receiver.give_up_refund("A1", "R1", unproven=not signs)
    assert (row.state, row.code, row.evidence) == ("failed", "GIVEN_UP", "QUERY" if signs else "")
    assert shop.receiver.give_up_refund("A1", "R1") == row
    with pytest.raises(OutcomeUnknown):
        shop.receiver.refund("A1", "R2", Money(1_000))
    with pytest.raises(Refused, match="REFUND_NOT_FOUND"):
        shop.receiver.give_up_refund("A1", "R3")
    pair = make_pair(name, ALGORITHM[name])
    note = Notification(id="EV-1", at=shop.clock.now, trade=TradeView(), refund=DONE)
    address = shop.endpoint.configuration.notify_url
    told = pair.manifest.server.notify(note, address, pair.ring, shop.clock.now)
    verdict = shop.receiver.accept_notification(told).verdict
    if name == "wechatpay_v3":  # v2 asks whether it is so, and this platform does not know it
        assert (verdict.kind, verdict.reason) == (VerdictKind.CASE, "ENDED_OTHERWISE")
    assert shop.rows("SELECT state FROM payment_movement WHERE number = 'R1'") == [{"state": "failed"}]


def test_F29_what_was_asked_for_just_now_is_not_given_up(sqlite_database: Database) -> None:
    """Its answer may be under way: ten minutes after the last try, not after the first."""
    shop = make(sqlite_database, "wechatpay_v3", as_sent)
    for minute in (0, 9):
        shop.clock.now = later(NOW, minute * MINUTE)
        with pytest.raises(OutcomeUnknown):
            shop.receiver.refund("A1", "R1", Money(1_000))
    shop.clock.now = later(NOW, 18 * MINUTE)
    with pytest.raises(Refused, match="STATE_CONFLICT: it was asked for less than 600 seconds ago"):
        shop.receiver.give_up_refund("A1", "R1")
    shop.clock.now = later(NOW, 19 * MINUTE)
    assert shop.receiver.give_up_refund("A1", "R1", unproven=True).code == "GIVEN_UP"


def test_T41_a_refund_that_is_asked_for_meanwhile_is_not_given_up(sqlite_database: Database) -> None:
    """The platform says that it has none, and then it is asked again: the row stays open."""

    def ask_again(_: Pair, intent: Any, answer: Response) -> Response:
        if isinstance(intent, QueryRefund):
            with pytest.raises(OutcomeUnknown):
                shop.receiver.refund("A1", "R1", Money(1_000))
        return answer

    shop = make(sqlite_database, "wechatpay_v3", ask_again)
    with pytest.raises(OutcomeUnknown):
        shop.receiver.refund("A1", "R1", Money(1_000))
    shop.clock.now = later(NOW, 10 * MINUTE)
    with pytest.raises(Refused, match="STATE_CONFLICT: it was asked for again"):
        shop.receiver.give_up_refund("A1", "R1", unproven=True)
    assert shop.rows("SELECT state FROM payment_movement") == [{"state": "asked"}]


@pytest.mark.parametrize("state", [MovementState.ACCEPTED, MovementState.SUCCEEDED])
def test_F28_an_answer_that_comes_after_a_refund_was_given_up_is_believed(
    sqlite_database: Database, state: MovementState
) -> None:
    """The platform signed that it makes the refund: the row says so, and its sum is gone again."""

    def give_up(_: Pair, intent: Any, answer: Response) -> Response:
        if isinstance(intent, RefundTrade):
            shop.clock.now = later(NOW, 10 * MINUTE)
            assert shop.receiver.give_up_refund("A1", "R1", unproven=True).code == "GIVEN_UP"
            shop.clock.now = NOW
        return answer

    shop = make(sqlite_database, "wechatpay_v3", give_up, made=(DONE if state is MovementState.SUCCEEDED else MADE,))
    assert shop.receiver.refund("A1", "R1", Money(1_000)).state == state
    assert shop.rows("SELECT state, code, evidence FROM payment_movement") == [
        {"state": str(state), "code": "", "evidence": "ANSWER"}
    ]
    with pytest.raises(Refused, match="REFUND_EXCEEDS"):
        shop.receiver.refund("A1", "R2", Money(1_000))


@pytest.mark.parametrize(("refusal", "code"), [("PAYOUT_NOT_FOUND", "GIVEN_UP"), ("SYSTEM", "")])
def test_a_person_gives_up_a_payout_that_was_never_made(sqlite_database: Database, refusal: str, code: str) -> None:
    """A payout likewise, if the platform says that it has none."""
    shop = make(sqlite_database, "wechatpay_v2", as_sent, refusal=refusal)
    asked = PayOut(merchant="", payout_no="P1", payee=Payee(Party("o1"), ""), amount=Money(200), memo="佣金")
    shop.database.run(lambda rows: MovementTable().add(rows, list_movements(shop.endpoint, asked, NOW)))
    with pytest.raises(Refused, match="less than 600 seconds"):
        shop.receiver.give_up_payout("trial", "P1")
    shop.clock.now = later(NOW, 10 * MINUTE)
    with pytest.raises(Refused, match="PAYOUT_NOT_FOUND"):
        shop.receiver.give_up_payout("trial", "P2")
    if code:
        assert shop.receiver.give_up_payout("trial", "P1").state == "failed"
    else:
        with pytest.raises(OutcomeUnknown):
            shop.receiver.give_up_payout("trial", "P1")
    assert [row["code"] for row in shop.rows("SELECT code FROM payment_movement")] == [code]


def silent(_: Pair, intent: Any, answer: Response) -> Response:
    if isinstance(intent, QueryRefund):
        raise NoAnswer("TIMEOUT")
    return answer


@pytest.mark.parametrize(
    ("change", "amount", "state", "raised"),
    [
        (as_sent, 1_000, "asked", Refused),
        (as_sent, 1_000, "accepted", Refused),
        (as_sent, 999, "asked", Refused),
        (silent, 1_000, "asked", OutcomeUnknown),
    ],
)
def test_T41_what_the_platform_knows_is_not_given_up(
    sqlite_database: Database, change: Any, amount: int, state: str, raised: type[Exception]
) -> None:
    """Nor what it may know, where it does not answer, or another sum of it: the row stays open."""
    shop = make(sqlite_database, "wechatpay_v3", change, (replace(MADE, amount=Money(amount)),))
    with pytest.raises(OutcomeUnknown):
        shop.receiver.refund("A1", "R1", Money(1_000))
    shop.database.run(lambda rows: rows.execute(f"UPDATE payment_movement SET state = '{state}'"))
    shop.clock.now = later(NOW, 10 * MINUTE)
    with pytest.raises(raised):
        shop.receiver.give_up_refund("A1", "R1", unproven=True)
    assert shop.rows("SELECT state FROM payment_movement") == [{"state": state}]
