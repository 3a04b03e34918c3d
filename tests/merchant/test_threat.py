"""The receiver's part of the threat catalogue, end to end over the trial protocol."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.merchant.conftest import KEY, Shop, configure, make_shop
from tests.merchant.trial import Platform
from tests.support.clock import NOW
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, HOUR, MINUTE, later
from tongbao.merchant.acceptance import decide
from tongbao.merchant.database import Database
from tongbao.merchant.order import Evidence, Order, OrderState
from tongbao.merchant.verdict import Shown, VerdictKind
from tongbao.wire.form import encode_form
from tongbao.wire.http import FORM, Request, post
from tongbao.wire.vocabulary import TradeState, TradeView

URL = "http://shop.example/notify"


def clear(shop: Shop, statement: str) -> None:
    """Run one statement on the shop's database."""
    shop.database.run(lambda transaction: transaction.execute(statement))


def refused(shop: Shop, message: Request) -> tuple[int, str]:
    """Step and reason of a message that must change nothing but the list of invalid ones."""
    tables = ("payment_inbox", "payment_effect", "payment_outbox", "stock_taken")
    before = [shop.count(name) for name in tables]
    orders = shop.rows("SELECT * FROM orders ORDER BY order_no")
    invalid = shop.count("payment_invalid")
    accepted = shop.receiver.accept_notification(message)
    assert accepted.response.body == b"no"
    assert accepted.verdict.kind is VerdictKind.REFUSED
    assert [shop.count(name) for name in tables] == before
    assert shop.rows("SELECT * FROM orders ORDER BY order_no") == orders
    assert shop.count("payment_invalid") == invalid + 1
    return accepted.verdict.step, accepted.verdict.reason


@pytest.mark.parametrize("key", ["", " ", "null", "test", "changeme", "short", "a" * 32, " Kq7Zp2vX9mLw4TnB8sRd"])
def test_T01_empty_placeholder_and_short_secrets_do_not_load(key: str) -> None:
    """Neither environment starts with such a secret; the error names the field and never the secret."""
    with pytest.raises(ConfigurationError) as caught:
        configure(credentials={"mid": "m1", "key": key}, environment="production", gateway="https://pay.trial.cn/gate")
    assert caught.value.field == "credentials.key"
    assert not key.strip() or key not in caught.value.reason.split()


def test_T02_a_missing_blank_renamed_or_repeated_signature_is_refused(shop: Shop) -> None:
    """Nothing about the signature is optional."""
    shop.order()
    shop.platform.trade("A1")
    body = shop.platform.notify("A1", at=NOW).body
    head, _, signature = body.rpartition(b"&sign=")
    for changed in (
        head,
        head + b"&sign=",
        head + b"&Sign=" + signature,
        body + b"&sign=" + signature,
        head + b"&sign=" + signature.upper(),
        head + b"&sign=%20" + signature,
    ):
        assert refused(shop, post(URL, changed, FORM))[0] in (4, 8)


def test_T03_T63_headers_never_change_the_verdict(shop: Shop) -> None:
    """A forged message with every bypass header, and a genuine one with a strange host, get what they deserve."""
    shop.order()
    shop.platform.trade("A1")
    genuine = shop.platform.notify("A1", at=NOW)
    headers = (
        (b"X-Forwarded-For", b"127.0.0.1"), (b"X-Forwarded-Host", b"localhost"), (b"User-Agent", b"Alipay"),
        (b"Cookie", b"order=A1"), (b"X-Debug", b"1"),
    )  # fmt: skip
    forged = Request("POST", "http", "localhost", b"/notify", b"", headers, genuine.body.replace(b"10.00", b"10.01"))
    assert refused(shop, forged) == (8, "SIGN_INVALID")
    strange = Request("POST", "https", "evil.example", b"/notify", b"sign=1", headers, genuine.body)
    assert shop.receiver.accept_notification(strange).verdict.kind is VerdictKind.APPLIED


def test_T08_the_query_is_never_merged_into_a_signed_body(shop: Shop) -> None:
    """The lie in the query, and twice in the body, first and last."""
    shop.order()
    shop.platform.trade("A1")
    body = shop.platform.notify("A1", at=NOW).body
    assert refused(shop, post(f"{URL}?{body.decode()}", b"", FORM))[0] in (3, 8)
    assert refused(shop, post(URL, b"amount=0.01&" + body, FORM)) == (4, "DUPLICATE_PARAM")
    assert refused(shop, post(URL, body + b"&am%6Funt=0.01", FORM)) == (4, "DUPLICATE_PARAM")
    assert shop.receiver.accept_notification(post(f"{URL}?amount=0.01", body, FORM)).verdict.accepted


def test_T09_an_unsigned_field_changes_nothing(sqlite_database: Database) -> None:
    """With and without a lie in the unsigned field, every row is the same."""
    rows = []
    for remark in ("", "state=closed"):
        shop = make_shop(sqlite_database)
        shop.order()
        shop.platform.trade("A1")
        body = shop.platform.notify("A1", at=NOW).body + (b"&remark=" + remark.encode() if remark else b"")
        assert shop.receiver.accept_notification(post(URL, body, FORM)).verdict.accepted
        rows.append(shop.rows("SELECT * FROM orders"))
        for table in ("orders", "payment_inbox", "payment_effect", "payment_outbox"):
            clear(shop, f"DELETE FROM {table}")
        clear(shop, "DROP TABLE stock_taken")
    assert rows[0] == rows[1]


@pytest.mark.parametrize("after", [1_000, 6 * 60_000, 365 * DAY])
def test_T24_a_replay_has_no_second_effect(shop: Shop, after: int) -> None:
    """After a second, six minutes, a year: the success word, no effect, and nobody is asked again."""
    shop.order()
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW)
    assert shop.receiver.accept_notification(message).verdict.kind is VerdictKind.APPLIED
    asked = len(shop.platform.asked)
    shop.clock.now = later(NOW, after)
    again = shop.receiver.accept_notification(message)
    assert (again.verdict.kind, again.response.body) == (VerdictKind.DUPLICATE, b"yes")
    assert (len(shop.platform.asked), shop.count("stock_taken"), shop.count("payment_effect")) == (asked, 1, 1)


def test_T24_another_sending_of_the_same_event_is_a_duplicate(shop: Shop) -> None:
    """Time, id and signature of a repeat may differ; provider, trade number and state decide."""
    shop.order()
    shop.platform.trade("A1")
    shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
    again = shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW + 5, id="another"))
    assert again.verdict.kind is VerdictKind.DUPLICATE


def test_T25_the_genuine_message_of_another_merchant_is_refused(shop: Shop) -> None:
    """Signed with a key both share, but for somebody else."""
    shop.order()
    shop.platform.trade("A1")
    for change in ({"merchant": "m2"}, {"seller": "m2"}, {"merchant": "m2", "seller": "m2"}):
        assert refused(shop, shop.platform.notify("A1", at=NOW, **change)) == (11, "WRONG_RECIPIENT")


def test_T26_a_cheap_payment_does_not_pay_a_dear_order(shop: Shop) -> None:
    """The attacker pays 0.01 and rewrites, or genuinely re-labels, the message for an order of 2,000.00."""
    shop.order("CHEAP", 1)
    shop.order("DEAR", 200_000)
    shop.platform.trade("CHEAP", "0.01")
    genuine = shop.platform.notify("CHEAP", at=NOW)
    assert refused(shop, post(URL, genuine.body.replace(b"order=CHEAP", b"order=DEAR"), FORM)) == (8, "SIGN_INVALID")
    assert refused(shop, shop.platform.notify("CHEAP", at=NOW, order="DEAR")) == (12, "AMOUNT_MISMATCH")
    relabelled = shop.platform.notify("CHEAP", at=NOW, order="DEAR", amount="2000.00")
    assert refused(shop, relabelled) == (13, "QUERY_DISAGREES")


def test_T26_one_trade_pays_one_order(shop: Shop) -> None:
    """The same trade number cannot pay a second order of the same amount, even where the platform would say so."""
    shop.order("A1")
    shop.order("B2")
    shop.platform.trade("A1")
    assert shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW)).verdict.accepted
    shop.platform.trade("B2", trade="TA1")
    assert refused(shop, shop.platform.notify("B2", at=NOW)) == (12, "TRADE_OF_ANOTHER_ORDER")


@pytest.mark.parametrize("amount", ["9.99", "10.01", "1000.00", "0.10", "0.01"])
def test_T27_the_amount_must_be_equal_to_the_fen(shop: Shop, amount: str) -> None:
    """One fen less, one more, a hundred times, a part: no effect."""
    shop.order()
    shop.platform.trade("A1", amount)
    assert refused(shop, shop.platform.notify("A1", at=NOW)) == (12, "AMOUNT_MISMATCH")


@pytest.mark.parametrize("amount", ["+10.00", "1e1", "10.000", "１０.00", "10,00", "NaN", "", "-10.00", " 10.00"])
def test_T34_an_amount_that_is_no_amount_is_refused(shop: Shop, amount: str) -> None:
    """Lexical tricks fail in the parser, before any comparison."""
    shop.order()
    shop.platform.trade("A1")
    assert refused(shop, shop.platform.notify("A1", at=NOW, amount=amount))[0] == 8


def test_T28_an_order_edited_after_payment_is_not_paid(shop: Shop) -> None:
    """The order grew after the buyer had paid the old sum."""
    shop.order()
    shop.platform.trade("A1")
    shop.database.run(lambda transaction: transaction.execute("UPDATE orders SET amount_minor = 1100"))
    assert refused(shop, shop.platform.notify("A1", at=NOW)) == (12, "AMOUNT_MISMATCH")


@pytest.mark.parametrize("currency", ["USD", "JPY", "cny"])
def test_T29_the_currency_is_compared(shop: Shop, currency: str) -> None:
    """The same digits in another currency do not pay."""
    shop.order()
    shop.platform.trade("A1", "10" if currency == "JPY" else "10.00")
    assert refused(shop, shop.platform.notify("A1", at=NOW, currency=currency))[0] in (8, 12)


def test_T30_sandbox_and_production_do_not_mix(sqlite_database: Database) -> None:
    """An order of production is not paid by a sandbox endpoint, and configurations refuse the other's gateway."""
    shop = make_shop(sqlite_database)
    shop.order(environment="production")
    shop.platform.trade("A1")
    assert refused(shop, shop.platform.notify("A1", at=NOW)) == (12, "WRONG_ENVIRONMENT")
    with pytest.raises(ConfigurationError, match="gateway: a sandbox configuration would call"):
        configure(gateway="https://pay.trial.cn/gate")
    with pytest.raises(ConfigurationError, match="gateway: production takes https"):
        configure(environment="production", gateway="http://pay.trial.cn/gate")
    with pytest.raises(ConfigurationError, match="gateway: a local address"):
        configure(environment="production", gateway="https://127.0.0.1/gate")


def test_T31_I26_a_return_pays_nothing(shop: Shop) -> None:
    """A valid signed return shows the order as confirming; as a notification it is refused; the order stays pending."""
    shop.order()
    shop.platform.trade("A1")
    body = shop.platform.body(shop.platform.fields("A1", at=NOW, role="return"))
    seen = shop.receiver.accept_return(Request("GET", "http", "shop.example", b"/return", body))
    assert (seen.order_no, seen.shown) == ("A1", Shown.CONFIRMING)
    assert shop.stored().state is OrderState.PENDING
    assert refused(shop, post(URL, body, FORM)) == (11, "RETURN_IS_NO_EVIDENCE")
    assert shop.platform.asked == []


def test_T31_a_return_may_ask_the_platform(shop: Shop) -> None:
    """With ``inquire`` the signed answer of the platform, not the return, pays the order: evidence QUERY."""
    shop.order()
    shop.platform.trade("A1")
    body = shop.platform.body(shop.platform.fields("A1", at=NOW, role="return"))
    message = Request("GET", "http", "shop.example", b"/return", body)
    seen = shop.receiver.accept_return(message, inquire=True)
    assert (seen.order_no, seen.shown) == ("A1", Shown.PAID)
    assert shop.stored().evidence is Evidence.QUERY
    assert (shop.platform.asked, shop.count("stock_taken")) == (["query"], 1)


def test_T31_a_forged_return_shows_no_order(shop: Shop) -> None:
    """Neither a wrong signature nor an unknown order tells anything; both leave a row or nothing."""
    shop.order()
    shop.platform.trade("A1")
    body = shop.platform.body(shop.platform.fields("A1", at=NOW)).replace(b"10.00", b"10.01")
    forged = shop.receiver.accept_return(Request("GET", "http", "shop.example", b"/return", body), inquire=True)
    assert (forged.order_no, forged.shown, forged.reason) == ("", Shown.UNKNOWN, "SIGN_INVALID")
    assert shop.receiver.accept_return(Request("GET", "http", "s", b"/else", body)).reason == "UNKNOWN_SERVICE"
    shop.platform.trade("B2")
    body = shop.platform.body(shop.platform.fields("B2", at=NOW))
    unknown = shop.receiver.accept_return(Request("GET", "http", "shop.example", b"/return", body))
    assert (unknown.order_no, unknown.shown) == ("", Shown.UNKNOWN)
    assert (shop.platform.asked, shop.count("payment_invalid")) == ([], 2)


def test_T32_a_forged_close_harms_nothing(shop: Shop) -> None:
    """CLOSED with a stolen key but without the platform's word leaves the order pending."""
    shop.order()
    shop.platform.trade("A1")
    assert refused(shop, shop.platform.notify("A1", at=NOW, state="closed")) == (13, "QUERY_DISAGREES")


def test_T32_paid_never_regresses(shop: Shop) -> None:
    """A genuine CLOSED after PAID is acknowledged, recorded and without effect."""
    shop.order()
    shop.platform.trade("A1")
    shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
    shop.platform.trades["A1"]["state"] = "closed"
    late = shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
    assert (late.verdict.kind, late.verdict.reason) == (VerdictKind.RECORDED, "CLOSED_AFTER_PAID")
    assert (late.response.body, shop.stored().state) == (b"yes", OrderState.PAID)
    row = shop.rows("SELECT disposition, reason FROM payment_inbox WHERE event = 'closed'")
    assert row == [{"disposition": "recorded", "reason": "CLOSED_AFTER_PAID"}]


def test_T33_no_address_of_a_message_is_ever_asked(sqlite_database: Database) -> None:
    """Whatever addresses a message brings along, only the configured gateway is asked."""
    hosts = set()
    platform = Platform(KEY.encode())

    def send(request: Request, limits: object) -> object:
        hosts.add(request.url)
        return platform(request, limits)  # type: ignore[arg-type]

    shop = make_shop(sqlite_database, send=send)
    shop.platform = platform
    shop.order()
    platform.trade("A1")
    message = platform.notify("A1", at=NOW, gateway="http://canary.example/", verify_url="http://canary.example/")
    assert shop.receiver.accept_notification(message).verdict.accepted
    assert hosts == {"http://127.0.0.1:1/gate"}


def test_F25_finished_before_paid_pays_once(any_shop: Shop) -> None:
    """FINISHED arrives first and pays; the late PAID is acknowledged without effect and nothing goes backwards."""
    shop = any_shop
    shop.order()
    shop.platform.trade("A1", state="escrowed")
    early = shop.platform.notify("A1", at=NOW)
    shop.platform.trades["A1"]["state"] = "finished"
    assert shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW)).verdict.kind is VerdictKind.APPLIED
    late = shop.receiver.accept_notification(early)
    assert (late.verdict.kind, late.verdict.reason) == (VerdictKind.RECORDED, "OLDER_THAN_KNOWN")
    kinds = [row["kind"] for row in shop.rows("SELECT kind FROM payment_effect ORDER BY kind")]
    assert (shop.stored().state, kinds) == (OrderState.FINISHED, ["finished", "paid"])
    assert (shop.count("stock_taken"), shop.count("payment_outbox")) == (1, 1)


def test_F25_escrow_walks_through_all_its_states(shop: Shop) -> None:
    """Escrowed means paid ("ship now"), then shipped, then finished; the hook ran once."""
    shop.order()
    states = []
    for state in ("unpaid", "escrowed", "shipped", "finished"):
        shop.platform.trade("A1", state=state)
        assert shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW)).response.body == b"yes"
        states.append((str(shop.stored().state), shop.stored().trade_state))
    assert states == [("pending", ""), ("paid", "escrowed"), ("shipped", "shipped"), ("finished", "finished")]
    assert shop.count("stock_taken") == 1


def test_F25_paid_after_closed_is_a_case_until_a_person_decides(shop: Shop) -> None:
    """Money for a closed order: not applied, not acknowledged, kept as a case; reopened, the repeat is applied."""
    shop.order()
    shop.platform.trade("A1", state="closed")
    assert shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW)).verdict.kind is VerdictKind.APPLIED
    assert shop.stored().state is OrderState.CLOSED
    shop.platform.trade("A1", state="paid")
    for _ in range(2):
        late = shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
        if late.verdict.kind is not VerdictKind.CASE:
            break
        assert (late.verdict.reason, late.response.body) == ("PAID_AFTER_CLOSED", b"no")
        case = shop.rows("SELECT disposition, reason FROM payment_inbox WHERE event = 'paid'")
        assert case == [{"disposition": "case", "reason": "PAID_AFTER_CLOSED"}]
        shop.database.run(lambda transaction: transaction.execute("UPDATE orders SET state = 'pending'"))
    assert (shop.stored().state, shop.count("stock_taken")) == (OrderState.PAID, 1)
    assert shop.rows("SELECT disposition FROM payment_inbox WHERE event = 'paid'") == [{"disposition": "applied"}]


def test_F25_a_payment_given_back_whole_does_not_pay(shop: Shop) -> None:
    """First heard of when everything was refunded already: a case."""
    shop.order()
    shop.platform.trade("A1", refunded="10.00")
    verdict = shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW)).verdict
    assert (verdict.kind, verdict.reason) == (VerdictKind.CASE, "REFUNDED_WHOLE")
    assert shop.stored().state is OrderState.PENDING


def test_F25_a_refund_of_an_unknown_sum_does_not_pay() -> None:
    """Some platforms say that money went back and not how much: where nobody knew of the payment, a person decides."""
    order = Order(order_no="A1", amount=Money(1_000))
    told = TradeView(state=TradeState.PAID, amount=Money(1_000), refund_state="success")
    assert decide(order, told) == (None, VerdictKind.CASE, "REFUNDED_UNKNOWN")
    assert decide(order, replace(told, refunded=Money(1)))[0] is OrderState.PAID


def test_F25_a_refund_on_a_paid_order_is_another_event(shop: Shop) -> None:
    """The same state with a refund said along is recorded once, and the order stays paid."""
    shop.order()
    shop.platform.trade("A1")
    shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
    shop.platform.trade("A1", refunded="3.00")
    verdict = shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW, id="n2")).verdict
    assert (verdict.kind, verdict.event) == (VerdictKind.RECORDED, "paid:refund::300")
    assert shop.stored().state is OrderState.PAID


def test_F26_a_notification_before_its_order_is_repeated(any_shop: Shop) -> None:
    """The order row is not committed yet: failure word, a row; later success."""
    shop = any_shop
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW)
    early = shop.receiver.accept_notification(message)
    assert (early.verdict.reason, early.response.body) == ("ORDER_UNKNOWN", b"no")
    shop.order()
    assert shop.receiver.accept_notification(message).response.body == b"yes"


def test_F27_a_notification_weeks_late_is_applied_if_legal(shop: Shop) -> None:
    """Sixty days late: the order is still pending, so it is paid."""
    shop.order()
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW)
    shop.clock.now = later(NOW, 60 * DAY)
    assert shop.receiver.accept_notification(message).verdict.kind is VerdictKind.APPLIED


def test_F23_F07_a_lost_answer_is_answered_again(sqlite_database: Database) -> None:
    """The connection breaks after the commit: the platform repeats and gets the success word, no second effect."""

    def crash(name: str) -> None:
        if name == "15.after_commit" and not broken:
            broken.append(name)
            raise OSError("the reply of the commit was lost")

    broken: list[str] = []
    shop = make_shop(sqlite_database, crashpoint=crash)
    shop.order()
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW)
    first = shop.receiver.accept_notification(message)
    assert (first.verdict.kind, first.response.body) == (VerdictKind.FAILED, b"no")
    second = shop.receiver.accept_notification(message)
    assert (second.verdict.kind, second.response.body) == (VerdictKind.DUPLICATE, b"yes")
    assert shop.count("stock_taken") == 1


def crowd(shop: Shop, *numbers: str) -> None:
    """Orders a minute apart; the clock is then where each of them is old enough to be asked about."""
    for number in numbers:
        shop.order(number)
        shop.clock.now = later(shop.clock.now, MINUTE)
    shop.clock.now = later(shop.clock.now, 5 * MINUTE)


def asked(shop: Shop, limit: int) -> list[str]:
    """The orders one call asks about."""
    return [verdict.order_no for verdict in shop.receiver.poll(limit=limit)]


def test_a_crowd_of_abandoned_orders_hides_nobody(any_shop: Shop) -> None:
    """The newest are asked about at each call, the older ones in their turn, and from the top again after the last."""
    shop = any_shop
    crowd(shop, "P1", "G1", "G2", "G3", "G4", "G5", "G6")
    shop.platform.trade("P1")
    assert [asked(shop, 2) for _ in range(3)] == [["G6", "G5"], ["G6", "G4"], ["G6", "G3"]]
    crowd(shop, "P2")
    shop.platform.trade("P2")
    verdicts = {verdict.order_no: verdict.kind for verdict in shop.receiver.poll(limit=2)}
    assert verdicts == {"P2": VerdictKind.APPLIED, "G2": VerdictKind.REFUSED}
    assert [asked(shop, 2) for _ in range(2)] == [["G6", "G1"], ["G6", "P1"]]
    assert (shop.stored("P1").state, shop.stored("P2").state) == (OrderState.PAID, OrderState.PAID)
    assert asked(shop, 3) == ["G6", "G5", "G4"]
    assert asked(shop, 5) == ["G6", "G5", "G4", "G3", "G2"]
    assert asked(shop, 5) == ["G6", "G5", "G4", "G1", "G3"], "it came to the end and began again"
    assert asked(shop, 100) == ["G6", "G5", "G4", "G3", "G2", "G1"], "none is asked about twice in one call"
    clear(shop, "DELETE FROM orders WHERE order_no = 'G1'")
    assert asked(shop, 2) == ["G6", "G5"], "where it stopped is gone"
    assert asked(shop, 1) == ["G6"]


def test_orders_that_nobody_answers_for_hide_nobody(any_shop: Shop) -> None:
    """A dead endpoint costs no more than ``limit`` questions a call, and all get their turn when it is back."""
    shop = any_shop
    crowd(shop, "P1", "G1", "G2", "G3", "G4", "G5", "G6")
    shop.platform.trade("P1")
    shop.platform.down = "timeout"
    verdicts = shop.receiver.poll(limit=4)
    assert [verdict.order_no for verdict in verdicts] == ["G6", "G5", "G4", "G3"]
    assert {verdict.reason for verdict in verdicts} == {"PROOF_UNAVAILABLE"}
    shop.platform.down = ""
    assert asked(shop, 4) == ["G6", "G5", "G2", "G1"]
    assert asked(shop, 4) == ["G6", "G5", "P1", "G4"]
    assert shop.stored("P1").state is OrderState.PAID


def test_no_notification_came_so_the_query_pays(any_shop: Shop) -> None:
    """``poll`` asks about pending orders of a certain age; the late notification is then a duplicate."""
    shop = any_shop
    for number, state in (("A1", "paid"), ("B2", "unpaid"), ("C3", "closed"), ("D4", "paid")):
        shop.order(number)
        shop.platform.trade(number, state=state)
    del shop.platform.trades["D4"]
    assert shop.receiver.poll(older_than=300) == []
    shop.clock.now = later(NOW, HOUR)
    shop.order("E5")
    verdicts = {verdict.order_no: (verdict.kind, verdict.reason) for verdict in shop.receiver.poll(older_than=300)}
    assert verdicts == {
        "A1": (VerdictKind.APPLIED, ""),
        "B2": (VerdictKind.RECORDED, "NOT_PAID_YET"),
        "C3": (VerdictKind.APPLIED, ""),
        "D4": (VerdictKind.REFUSED, "TRADE_NOT_FOUND"),
    }
    paid = shop.stored("A1")
    assert (paid.state, paid.evidence, paid.paid_at) == (OrderState.PAID, Evidence.QUERY, shop.clock.now)
    assert (shop.stored("B2").state, shop.stored("C3").state) == (OrderState.PENDING, OrderState.CLOSED)
    late = shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
    assert (late.verdict.kind, shop.count("stock_taken")) == (VerdictKind.DUPLICATE, 1)


def test_T82_a_query_with_another_amount_pays_nothing(shop: Shop) -> None:
    """An inquiry passes the same twelve checks as a notification."""
    shop.order()
    shop.platform.trade("A1", "9.99")
    assert shop.receiver.confirm_by_query("A1").reason == "AMOUNT_MISMATCH"
    shop.platform.trade("A1", merchant="m2")
    assert shop.receiver.confirm_by_query("A1").reason == "WRONG_RECIPIENT"
    shop.platform.answer_key = b"somebody else's key"
    assert shop.receiver.confirm_by_query("A1").reason == "PROOF_INVALID"
    shop.platform.down = "connect"
    assert shop.receiver.confirm_by_query("A1").reason == "PROOF_UNAVAILABLE"
    assert shop.receiver.confirm_by_query("Z9").reason == "ORDER_UNKNOWN"
    assert shop.stored().state is OrderState.PENDING


def test_the_body_of_a_form_without_fields_is_refused(shop: Shop) -> None:
    """Empty bodies and bodies of nothing but separators have no signature."""
    for body in (b"", b"&&&", b"=", encode_form((("order", "A1"),))):
        assert refused(shop, post(URL, body, FORM))[0] == 8
