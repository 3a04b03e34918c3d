"""Each receiver step by itself: what it refuses, and with which reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.merchant.conftest import Shop, configure, make_shop
from tests.merchant.trial import TRIAL, TrialClient
from tests.support.clock import NOW
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, Instant, later
from tongbao.merchant import step
from tongbao.merchant.book import OrderTable
from tongbao.merchant.database import Database
from tongbao.merchant.endpoint import HEADER_BYTES_MAX, MESSAGE_BYTES_MAX, Endpoint, EndpointTable
from tongbao.merchant.order import Order, OrderState
from tongbao.merchant.receiver import Receiver
from tongbao.merchant.verdict import Stop, VerdictKind
from tongbao.wire.contract import Credentials
from tongbao.wire.http import Request, Response, post
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import Notification, Role, TradeState, TradeView

FORM = "application/x-www-form-urlencoded"
TRADE = TradeView(
    merchant="m1", out_trade_no="A1", trade_no="TA1", state=TradeState.PAID, amount=Money(1000), seller=Party("m1")
)
ORDER = Order(order_no="A1", amount=Money(1000), endpoint="trial", environment="sandbox")


def endpoint(**more: Any) -> Endpoint:
    return Endpoint(name="trial", configuration=more.pop("configuration", None) or configure(), **more)


def refusal(work: Callable[[], Any]) -> tuple[int, str]:
    """Step and reason with which ``work`` stops."""
    with pytest.raises(Stop) as caught:
        work()
    return caught.value.step, caught.value.reason


def test_step_01_refuses_what_is_too_long() -> None:
    """Body, query and headers have caps, checked before anything is read."""
    long = b"a" * (MESSAGE_BYTES_MAX + 1)
    assert refusal(lambda: step.step_01_cap_size(post("http://s/n", long, FORM))) == (1, "TOO_LARGE")
    assert refusal(lambda: step.step_01_cap_size(Request("GET", "http", "s", b"/n", long))) == (1, "TOO_LARGE")
    wide = Request("POST", "http", "s", b"/n", headers=((b"x", b"y" * HEADER_BYTES_MAX),))
    assert refusal(lambda: step.step_01_cap_size(wide)) == (1, "TOO_LARGE")
    step.step_01_cap_size(post("http://s/n", long[:-1], FORM))


def test_step_02_keeps_the_bytes() -> None:
    """The raw message is the very request, with the hash of its body, or of its query where it has no body."""
    request = post("http://s/n?x=%2F", b"a=%C4%E3", FORM)
    raw = step.step_02_keep_raw(request)
    assert raw.request is request
    assert raw.payload == b"a=%C4%E3"
    assert raw.sha256 == hashlib.sha256(b"a=%C4%E3").hexdigest()
    assert step.step_02_keep_raw(Request("GET", "http", "s", b"/n", b"a=1")).payload == b"a=1"


def test_step_03_parses_strictly() -> None:
    """Ordered pairs of the body alone; XML and JSON are left to their protocol; other methods carry nothing."""
    raw = step.step_02_keep_raw(post("http://s/n?b=9", b"b=1&a=%252B&c=", FORM))
    assert step.step_03_parse_strictly(raw) == ((b"b", b"1"), (b"a", b"%2B"), (b"c", b""))
    for text in (b" <xml/>", b'{"a":1}'):
        assert step.step_03_parse_strictly(step.step_02_keep_raw(post("http://s/n", text, FORM))) == ()
    put = step.step_02_keep_raw(Request("PUT", "http", "s", b"/n", body=b"a=1"))
    assert refusal(lambda: step.step_03_parse_strictly(put)) == (3, "MALFORMED")
    many = step.step_02_keep_raw(post("http://s/n", b"a&" * 101, FORM))
    assert refusal(lambda: step.step_03_parse_strictly(many)) == (3, "TOO_LARGE")


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        (((b"a", b"1"), (b"a", b"1")), "DUPLICATE_PARAM"),
        (((b"a[]", b"1"),), "MALFORMED"),
        (((b"a[b]", b"1"),), "MALFORMED"),
    ],
)
def test_step_04_refuses_duplicates_and_structures(pairs: Any, reason: str) -> None:
    """T07, T08: a name twice, or a name with brackets, is refused before anybody verifies."""
    assert refusal(lambda: step.step_04_refuse_duplicates(pairs)) == (4, reason)


def test_step_05_finds_the_endpoint_by_path_alone() -> None:
    """The path decides, byte for byte; neither the host nor the message has a say."""
    table = EndpointTable([endpoint()])
    assert step.step_05_find_endpoint(post("http://elsewhere/notify?x=1", b"", FORM), table).name == "trial"
    for url in ("http://shop.example/notify/", "http://shop.example/%6Eotify", "http://shop.example/Notify"):
        request = post(url, b"merchant=m1", FORM)
        assert refusal(partial(step.step_05_find_endpoint, request, table)) == (5, "UNKNOWN_SERVICE")


def ringed(*keys: Key) -> Endpoint:
    """An endpoint whose keys are these."""

    class Client(TrialClient):
        def load(self, settings: Any) -> Credentials:
            return replace(super().load(settings), ring=KeyRing("m1", keys, keys))

    return endpoint(configuration=configure(given=replace(TRIAL, client=Client())))


def test_step_06_pins_the_algorithm() -> None:
    """T05: an endpoint without keys, or with a key of a foreign algorithm, accepts nothing."""
    assert refusal(lambda: step.step_06_pin_algorithm(ringed())) == (6, "SIGN_TYPE_NOT_ALLOWED")
    foreign = Key("k", 1, "MD5", b"x" * 20)
    assert refusal(lambda: step.step_06_pin_algorithm(ringed(foreign))) == (6, "SIGN_TYPE_NOT_ALLOWED")
    step.step_06_pin_algorithm(endpoint())


def test_step_07_wants_a_live_key_that_is_not_empty() -> None:
    """T01, T84: revoked or future keys do not count, and one empty key spoils the ring."""
    revoked = Key("k", 1, "HMAC", b"x" * 20, KeyState.REVOKED)
    assert refusal(lambda: step.step_07_pick_keys(ringed(revoked))) == (7, "KEY_REVOKED")
    blank = Key("k", 1, "HMAC", b"  ")
    assert refusal(lambda: step.step_07_pick_keys(ringed(Key("j", 1, "HMAC", b"x" * 20), blank))) == (7, "KEY_UNKNOWN")
    step.step_07_pick_keys(ringed(Key("k", 1, "HMAC", b"x" * 20, KeyState.RETIRING)))


@pytest.mark.parametrize("given", [None, True, 1, -1, "yes", Response(200), RuntimeError("broken"), ValueError()])
def test_step_08_T04_lets_only_a_notification_pass(given: object) -> None:
    """Whatever a verifier returns or raises that is not a Notification refuses the message."""

    class Client(TrialClient):
        def decode_notification(self, request: Request, credentials: Credentials, now: Instant) -> Notification:
            if isinstance(given, Exception):
                raise given
            return given  # type: ignore[return-value]

    broken = endpoint(configuration=configure(given=replace(TRIAL, client=Client())))
    raw = step.step_02_keep_raw(post("http://shop.example/notify", b"a=1", FORM))
    assert refusal(lambda: step.step_08_verify(raw, broken, NOW)) == (8, "SIGN_INVALID")


def test_step_09_T09_drops_what_is_unsigned() -> None:
    """Nothing unsigned survives this step."""
    notification = Notification(id="n", at=NOW, trade=TRADE, unsigned={"remark": "paid!"})
    assert step.step_09_drop_unsigned(notification).unsigned == {}


def test_step_10_checks_freshness() -> None:
    """The future is always refused; the past only where the endpoint says how old a message may be."""
    fresh = endpoint(freshness_seconds=300)
    old = Notification(id="n", at=later(NOW, -301_000), trade=TRADE)
    assert refusal(lambda: step.step_10_check_freshness(old, fresh, NOW)) == (10, "STALE")
    step.step_10_check_freshness(old, endpoint(), NOW)
    step.step_10_check_freshness(replace(old, at=later(NOW, -300_000)), fresh, NOW)
    future = replace(old, at=later(NOW, 300_001))
    assert refusal(lambda: step.step_10_check_freshness(future, endpoint(), NOW)) == (10, "STALE")
    timeless = replace(old, at=None)
    assert refusal(lambda: step.step_10_check_freshness(timeless, fresh, NOW)) == (10, "STALE")
    step.step_10_check_freshness(timeless, endpoint(), NOW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"merchant": "m2"}, "WRONG_RECIPIENT"),
        ({"merchant": "", "seller": Party("m2")}, "WRONG_RECIPIENT"),
        ({"seller": Party("m2")}, "WRONG_RECIPIENT"),
    ],
)
def test_step_11_T25_refuses_another_recipient(change: dict[str, Any], reason: str) -> None:
    """Every name the message says must be ours."""
    notification = Notification(id="n", at=NOW, trade=replace(TRADE, **change))
    assert refusal(lambda: step.step_11_check_recipient(notification, endpoint())) == (11, reason)


def test_step_11_T25_compares_the_configured_seller() -> None:
    """A configured payee's number and login are both compared, where both say them."""
    ours = endpoint(configuration=configure(seller_id="s9", seller_login="pay@example.com"))
    good = Notification(id="n", at=NOW, trade=replace(TRADE, seller=Party("s9", "pay@example.com")))
    step.step_11_check_recipient(good, ours)
    for seller in (Party("s9", "else@example.com"), Party("m1", "pay@example.com")):
        bad = replace(good, trade=replace(TRADE, seller=seller))
        assert refusal(partial(step.step_11_check_recipient, bad, ours)) == (11, "WRONG_RECIPIENT")


def test_step_11_nobody_named_needs_a_secret_of_his_own() -> None:
    """A message that names nobody passes only where the key is this merchant's alone."""
    nameless = Notification(id="n", at=NOW, trade=replace(TRADE, merchant="", seller=Party()))
    step.step_11_check_recipient(nameless, endpoint())
    public: Any = object()
    shared = ringed(Key("platform", 1, "HMAC", public))
    assert refusal(lambda: step.step_11_check_recipient(nameless, shared)) == (11, "WRONG_RECIPIENT")


def test_step_11_T31_a_return_is_no_evidence() -> None:
    """A message whose signed role is that of a return is refused however genuine it is."""
    seen = Notification(id="n", at=NOW, trade=TRADE, role=Role.RETURN)
    assert refusal(lambda: step.step_11_check_recipient(seen, endpoint())) == (11, "RETURN_IS_NO_EVIDENCE")


@pytest.mark.parametrize(
    ("trade", "order", "reason"),
    [
        ({}, None, "ORDER_UNKNOWN"),
        ({"out_trade_no": "a1"}, {}, "ORDER_UNKNOWN"),
        ({"out_trade_no": ""}, {}, "FIELD_MISSING"),
        ({"trade_no": ""}, {}, "FIELD_MISSING"),
        ({"state": None}, {}, "FIELD_MISSING"),
        ({}, {"endpoint": "other"}, "WRONG_ENDPOINT"),
        ({}, {"environment": "production"}, "WRONG_ENVIRONMENT"),
        ({"amount": None}, {}, "AMOUNT_MISSING"),
        ({"amount": Money(999)}, {}, "AMOUNT_MISMATCH"),
        ({"amount": Money(1001)}, {}, "AMOUNT_MISMATCH"),
        ({"amount": Money(100_000)}, {}, "AMOUNT_MISMATCH"),
        ({"amount": Money(1000, "USD")}, {}, "CURRENCY_MISMATCH"),
        ({"seller": Party("m2")}, {"seller": Party("m1")}, "SELLER_MISMATCH"),
        ({"seller": Party("", "b@x")}, {"seller": Party("", "a@x")}, "SELLER_MISMATCH"),
        ({"seller": Party("m1")}, {"seller": Party("", "a@x")}, "SELLER_MISMATCH"),
        ({}, {"trade_no": "TB2"}, "ORDER_HAS_ANOTHER_TRADE"),
    ],
)
def test_step_12_T26_T27_T29_T30_matches_the_order(
    trade: dict[str, Any], order: dict[str, Any] | None, reason: str
) -> None:
    """Existence, endpoint, environment, amount, currency, seller and trade number must all be the order's own."""
    found = None if order is None else replace(ORDER, **order)
    said = replace(TRADE, **trade)
    assert refusal(lambda: step.step_12_match_order(said, found, endpoint(), ())) == (12, reason)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"order_no": "B2", "provider": "trial:m1", "trade_no": "TA1"}, "TRADE_OF_ANOTHER_ORDER"),
        ({"order_no": "A1", "provider": "trial:m1", "trade_no": "TB2"}, "ORDER_HAS_ANOTHER_TRADE"),
        ({"order_no": "A1", "provider": "other:m1", "trade_no": "TA1"}, "ORDER_HAS_ANOTHER_TRADE"),
    ],
)
def test_step_12_T26_binds_one_trade_to_one_order(row: dict[str, str], reason: str) -> None:
    """A trade number that paid once belongs to that order for ever, and the other way round."""
    assert refusal(lambda: step.step_12_match_order(TRADE, ORDER, endpoint(), [row])) == (12, reason)
    own = {"order_no": "A1", "provider": "trial:m1", "trade_no": "TA1"}
    assert step.step_12_match_order(TRADE, ORDER, endpoint(), [own]) == ORDER


PROOFS = [
    ({"live": set()}, {}, "NOT_CONFIRMED"),
    ({}, {"id": ""}, "NOT_CONFIRMED"),
    ({"down": "connect"}, {}, "PROOF_UNAVAILABLE"),
    ({"down": "silent"}, {}, "PROOF_UNAVAILABLE"),
    ({"answer_key": b"another key altogether"}, {}, "PROOF_INVALID"),
    ({"answer_status": 302}, {}, "PROOF_INVALID"),
    ({"trades": {}}, {}, "QUERY_DISAGREES"),
]


@pytest.mark.parametrize(("platform", "changes", "reason"), PROOFS)
def test_step_13_T12_T82_wants_proof_from_the_platform(
    shop: Shop, platform: dict[str, Any], changes: dict[str, str], reason: str
) -> None:
    """No word, a wrong word, an unsigned or foreign-signed word and a redirect all refuse; the order stays pending."""
    shop.order()
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW, **changes)
    for name, value in platform.items():
        setattr(shop.platform, name, value)
    accepted = shop.receiver.accept_notification(message)
    verdict = accepted.verdict
    assert (verdict.kind, verdict.step, verdict.reason) == (VerdictKind.REFUSED, 13, reason)
    assert accepted.response.body == b"no"
    assert shop.stored().state is OrderState.PENDING


@pytest.mark.parametrize(
    "found",
    [
        {"state": "unpaid"},
        {"state": "closed"},
        {"amount": "10.01"},
        {"trade": "TX"},
        {"order": "B2"},
        {"merchant": "m2"},
        {"seller": "m2"},
    ],
)
def test_step_13_the_query_must_agree(shop: Shop, found: dict[str, str]) -> None:
    """State, amount, both numbers, merchant and seller of the signed query must be those of the notification."""
    shop.order()
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW)
    shop.platform.trades["A1"] |= found
    verdict = shop.receiver.accept_notification(message).verdict
    assert (verdict.step, verdict.reason) == (13, "QUERY_DISAGREES")
    assert shop.stored().state is OrderState.PENDING


def test_step_13_a_trade_that_moved_on_agrees(shop: Shop) -> None:
    """Between notification and query the trade may have gone further in its own direction."""
    shop.order()
    shop.platform.trade("A1", state="escrowed")
    message = shop.platform.notify("A1", at=NOW)
    shop.platform.trades["A1"]["state"] = "finished"
    assert shop.receiver.accept_notification(message).verdict.kind is VerdictKind.APPLIED


def test_step_13_can_be_narrowed_by_the_endpoint(sqlite_database: Database) -> None:
    """An account without a query confirms only; nothing else is asked."""
    shop = make_shop(sqlite_database, query=False)
    shop.order()
    shop.platform.trade("A1")
    assert shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW)).verdict.accepted
    assert shop.platform.asked == ["confirm"]


def test_step_14_a_failing_hook_undoes_everything(any_shop: Shop) -> None:
    """The shop's hook raises: no inbox row, no effect, no job, order pending, failure word; later it is applied."""
    shop = any_shop
    shop.order()
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW)
    shop.database.run(lambda transaction: transaction.execute("DROP TABLE stock_taken"))
    accepted = shop.receiver.accept_notification(message)
    assert (accepted.verdict.kind, accepted.verdict.step) == (VerdictKind.FAILED, 14)
    assert accepted.response.body == b"no"
    counts = [shop.count(name) for name in ("payment_inbox", "payment_effect", "payment_outbox")]
    assert (counts, shop.stored().state) == ([0, 0, 0], OrderState.PENDING)
    shop.database.run(lambda transaction: transaction.execute("CREATE TABLE stock_taken (order_no varchar(64))"))
    assert shop.receiver.accept_notification(message).response.body == b"yes"
    assert shop.count("stock_taken") == 1


def test_step_14_checks_the_order_again_under_the_lock(sqlite_database: Database) -> None:
    """The order's amount changed between step 12 and the lock: refused, nothing changed (T28)."""
    shop = make_shop(sqlite_database)
    shop.order()
    shop.platform.trade("A1")

    def edit(*arguments: Any) -> Response:
        shop.database.run(lambda transaction: transaction.execute("UPDATE orders SET amount_minor = 2000"))
        return shop.platform(*arguments)

    shop.receiver = Receiver([shop.endpoint], OrderTable(), sqlite_database, clock=shop.clock, send=edit)
    verdict = shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW)).verdict
    assert (verdict.kind, verdict.step, verdict.reason) == (VerdictKind.REFUSED, 12, "AMOUNT_MISMATCH")
    assert shop.stored().state is OrderState.PENDING


def test_step_15_a_commit_that_fails_is_not_success(sqlite_database: Database) -> None:
    """An error in the commit itself answers the failure word."""

    def crash(name: str) -> None:
        if name == "15.before_commit":
            raise OSError("connection lost")

    shop = make_shop(sqlite_database, crashpoint=crash)
    shop.order()
    shop.platform.trade("A1")
    accepted = shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW))
    assert (accepted.verdict.kind, accepted.response.body) == (VerdictKind.FAILED, b"no")
    assert shop.stored().state is OrderState.PENDING


def test_step_16_the_success_word_comes_after_the_commit(sqlite_database: Database) -> None:
    """When the answer is made, another connection already sees the order paid (I24)."""
    seen: list[OrderState] = []

    def look(name: str) -> None:
        if name == "16.before_answer":
            seen.append(shop.stored().state)

    shop = make_shop(sqlite_database, crashpoint=look)
    shop.order()
    shop.platform.trade("A1")
    assert shop.receiver.accept_notification(shop.platform.notify("A1", at=NOW)).response.body == b"yes"
    assert seen == [OrderState.PAID]


def test_step_16_an_unknown_path_gets_no_word_of_any_protocol(shop: Shop) -> None:
    """Nobody's address answers 404 and records the message."""
    answer = shop.receiver.accept_notification(post("http://shop.example/other", b"a=1", FORM))
    assert (answer.response.status, answer.verdict.reason) == (404, "UNKNOWN_SERVICE")
    assert shop.count("payment_invalid") == 1


def test_a_refused_message_is_recorded_with_its_reason_and_no_secret(shop: Shop) -> None:
    """The row names endpoint, step, reason and the body's hash; our key, sent back to us, is masked."""
    key = shop.platform.key.decode()
    body = f"order=A1&state=paid&key={key}&sign=00".encode()
    shop.receiver.accept_notification(post("http://shop.example/notify", body, FORM))
    row = shop.rows("SELECT endpoint, step, reason, order_no, body_sha256, body, received_at FROM payment_invalid")[0]
    assert row["body"] == "order=A1&state=paid&key=***&sign=00"
    assert (row["endpoint"], row["step"], row["reason"], row["order_no"]) == ("trial", 8, "SIGN_INVALID", "")
    assert (len(row["body_sha256"]), row["received_at"]) == (64, NOW)


@pytest.mark.slow
def test_T89_a_flood_of_invalid_messages_is_sampled(shop: Shop) -> None:
    """Beyond the budget of a minute nothing more is stored; the next minute stores again."""
    bad = post("http://shop.example/notify", b"sign=00", FORM)
    for _ in range(605):
        shop.receiver.accept_notification(bad)
    assert shop.count("payment_invalid") == 600
    shop.clock.now = later(NOW, DAY)
    shop.receiver.accept_notification(bad)
    assert shop.count("payment_invalid") == 601
