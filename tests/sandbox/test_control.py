"""The control plane: what other programs drive the sandbox by."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tongbao.kernel.money import Money
from tongbao.merchant.client import Client
from tongbao.sandbox.control import TABLE
from tongbao.sandbox.fault import CALL_FAULTS
from tongbao.testing.sandbox import LocalSandbox, SandboxError
from tongbao.wire.vocabulary import Product

pytestmark = pytest.mark.xdist_group("sandbox")


class Shop(BaseHTTPRequestHandler):
    """A shop that answers every notification with its word and remembers it."""

    word = b"success"
    got: list[bytes] = []  # noqa: RUF012 - one shop per test, made anew by the fixture

    def do_POST(self) -> None:
        self.got.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.word)))
        self.end_headers()
        self.wfile.write(self.word)

    def log_message(self, *args: Any) -> None:
        """Nothing: the test's output stays readable."""


@pytest.fixture
def shop() -> Iterator[tuple[type[Shop], str]]:
    """A shop's notification address."""
    handler = type("Handler", (Shop,), {"got": [], "word": b"success"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/notify"
    server.shutdown()
    thread.join()
    server.server_close()


def order(box: LocalSandbox, number: str, notify: str, product: Product = Product.INSTANT, fen: int = 1234) -> None:
    """Create a trade as a shop's browser would."""
    with Client(box.configuration("alipay_mapi", notify_url=notify, return_url="http://127.0.0.1:9/return")) as client:
        call = client.payment(number, Money(fen), "茶", product=product)
    answer = httpx.get(call.link(), trust_env=False)
    assert answer.status_code == 302, answer.text


@pytest.mark.slow
@pytest.mark.parametrize("method", ["balance", "debit", "credit", "outlet"])
def test_pay_by_every_method(box: LocalSandbox, shop: tuple[type[Shop], str], method: str) -> None:
    """POST pay does what the buyer would do; the shop is notified before it answers."""
    order(box, f"P-{method}", shop[1])

    paid = box.pay(f"P-{method}", method)

    assert (paid["state"], paid["method"]) == ("paid", method)
    assert box.trade(f"P-{method}")["payment"] == paid["payment"]
    assert len(shop[0].got) == 1
    assert box.audit() == "clean"


@pytest.mark.slow
def test_cash_later_leaves_the_code_unpaid(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """An outlet payment with cash later waits at the counter."""
    order(box, "C1", shop[1])

    paid = box.pay("C1", "outlet", cash="later")

    assert (paid["state"], len(paid["code"])) == ("unpaid", 12)


@pytest.mark.slow
def test_an_open_code_is_paid_at_the_counter(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """A code left open is paid by its code, without a second payment; a foreign code is refused."""
    order(box, "C2", shop[1])
    open_code = box.pay("C2", "outlet", cash="later")
    assert open_code["payment_state"] == "pending"
    with pytest.raises(SandboxError, match="FIELD_INVALID"):
        box.pay("C2", "outlet", code="000000000000")

    paid = box.pay("C2", "outlet", code=open_code["code"])

    assert (paid["state"], paid["payment_state"], paid["payment"]) == ("paid", "captured", open_code["payment"])


@pytest.mark.slow
def test_pay_tells_where_the_payment_stands(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """A poor card's payment failed; cash for a closed trade is a conflict."""
    order(box, "P1", shop[1])
    poor = next(
        card["number"]
        for buyer in box.credentials["buyers"]
        for card in buyer["cards"]
        if card["outcome"] == "insufficient"
    )
    assert box.pay("P1", "debit", card=poor)["payment_state"] == "failed"

    order(box, "P2", shop[1])
    code = box.pay("P2", "outlet", cash="later")["code"]
    with Client(box.configuration("alipay_mapi")) as client:
        client.close_trade("P2")
    with pytest.raises(SandboxError, match="PAYMENT_STATE"):
        box.pay("P2", "outlet", code=code)
    assert box.audit() == "clean"


@pytest.mark.slow
def test_numbers_are_percent_encoded(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """A merchant's number with a slash and Chinese letters is one path segment."""
    order(box, "订单/7 a", shop[1])

    assert box.trade("订单/7 a")["out_trade_no"] == "订单/7 a"
    assert box.pay("订单/7 a")["state"] == "paid"


def test_unknown_trade_is_a_problem_document(box: LocalSandbox) -> None:
    """Errors are problem details with a status of their own."""
    answer = httpx.get(f"{box.base_url}/_sandbox/trades/none", trust_env=False)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "TRADE_NOT_FOUND"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", {"advance": "ten"}),
        ("clock", {"advance": -1}),
        ("clock", {"forward": 1}),
        ("faults", {"faults": [{"what": "meteor"}]}),
        ("faults", {"faults": "lose_answer"}),
        ("faults", {"faults": [{"what": "unsigned", "percent": 101}]}),
        ("faults", {"faults": [{"what": "unsigned", "target": 1}]}),
        ("faults", {"faults": [{"what": "unsigned", "times": -2}]}),
        ("faults", {"faults": [{"what": "unsigned", "who": "all"}]}),
    ],
)
def test_bad_input_names_the_field(box: LocalSandbox, path: str, body: dict[str, Any]) -> None:
    """Nothing is half done on a wrong order, and the field is named."""
    with pytest.raises(SandboxError, match=r"FIELD_INVALID: (advance|forward|what|faults|percent|target|times|who):"):
        box.control("POST", path, body)


@pytest.mark.slow
def test_clock_runs_what_falls_due(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """A day later the unreachable shop was tried on the protocol's own timetable; wire time did not move."""
    shop[0].word = b"fail"
    order(box, "T1", shop[1])
    box.pay("T1")
    before = box.control("GET", "clock")

    after = box.advance(25 * 3600)

    assert after["business"] - before["business"] >= 25 * 3_600_000
    assert after["wire"] - before["wire"] < 60_000
    (told,) = box.control("GET", "notifications")
    assert [attempt["class"] for attempt in told["attempts"]] == ["OTHER_ANSWER"] * 8
    assert told["notify_state"] == "dead"
    assert len(shop[0].got) == 8


@pytest.mark.slow
def test_expiry_closes_an_unpaid_trade(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """Time travel past the term closes the trade; it cannot be paid any more."""
    order(box, "E1", shop[1])

    box.advance(16 * 86_400)

    assert box.trade("E1")["state"] == "closed"
    with pytest.raises(SandboxError, match="TRADE_NOT_PAYABLE"):
        box.pay("E1")


@pytest.mark.slow
def test_resend_answers_with_the_attempt(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """A delivered notification is sent again with its old id."""
    order(box, "R1", shop[1])
    box.pay("R1")
    (told,) = box.control("GET", "notifications")

    again = box.control("POST", f"notifications/{told['id']}/resend")

    assert (again["attempt"]["n"], again["attempt"]["class"]) == (2, "SUCCESS")
    assert again["notify_id"] == told["notify_id"]
    assert len(shop[0].got) == 2


@pytest.mark.slow
@pytest.mark.parametrize("what", sorted(CALL_FAULTS))
def test_every_fault_bites_and_heals(box: LocalSandbox, shop: tuple[type[Shop], str], what: str) -> None:
    """A fault on the first delivery is seen in the attempt (or doubles the message); the next one is delivered."""
    order(box, f"F-{what}", shop[1])
    box.control("POST", "faults", {"faults": [{"what": what, "target": "/notify", "times": 1}], "seed": 5})
    box.pay(f"F-{what}")
    box.advance(600)

    (told,) = box.control("GET", "notifications")
    classes = [attempt["class"] for attempt in told["attempts"]]

    assert told["notify_state"] == "delivered"
    if what == "twice":
        assert len(shop[0].got) == 2
    elif what in ("tamper", "probe"):  # the shop here looks at neither body nor header
        assert classes == ["SUCCESS"]
    else:
        assert len(classes) == 2


@pytest.mark.slow
def test_lost_and_late_cards_come_right(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """A bank whose answer is lost is inquired; one that pays after the trade has ended gives the money back."""
    order(box, "L1", shop[1])
    assert box.pay("L1", "debit", card="6200000000000059")["state"] == "unpaid"
    box.advance(600)
    assert box.trade("L1")["state"] == "paid"

    order(box, "L2", shop[1])
    assert box.pay("L2", "credit", card="6200000000000067")["payment_state"] == "pending"
    with Client(box.configuration("alipay_mapi")) as client:
        client.close_trade("L2")
    box.advance(4 * 3_600)
    story = box.control("GET", "story/L2")

    assert story["trade"]["state"] == "closed"
    assert [payment["state"] for payment in story["payments"]] == ["returned"]
    assert story["cases"]
    assert all(case["state"] == "closed" for case in story["cases"])
    assert box.audit() == "clean"


@pytest.mark.slow
def test_escrow_is_confirmed(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """An escrow trade paid from a balance, shipped by the shop and confirmed by the buyer is finished."""
    order(box, "G1", shop[1], Product.ESCROW)
    assert box.pay("G1")["state"] == "escrowed"
    with Client(box.configuration("alipay_mapi")) as client:
        client.ship(trade_no=client.query("G1").trade_no, carrier="顺丰", tracking_no="SF1")

    assert box.control("POST", "trades/G1/confirm")["state"] == "finished"


@pytest.mark.slow
def test_reset_keeps_keys_and_addresses(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """After a reset the books are empty and the same credentials work."""
    order(box, "K1", shop[1])
    box.pay("K1")

    box.reset()

    assert box.control("GET", "trades") == []
    order(box, "K1", shop[1])
    assert box.pay("K1")["state"] == "paid"


@pytest.mark.slow
def test_the_table_tells_every_route(box: LocalSandbox) -> None:
    """The documented table answers: no entry of it is a 404 or 405."""
    for line in TABLE:
        method, path = line.split(" ", 1)
        url = f"{box.base_url}/_sandbox/{path.replace('{out_trade_no}', 'x').replace('{id}', 'a:b:1')}"
        answer = httpx.request(method, url, content=json.dumps({}), trust_env=False, timeout=60)
        titles = ("TRADE_NOT_FOUND", "BUYER_UNKNOWN", "NOT_FOUND", "FIELD_INVALID")
        assert answer.status_code == 200 or answer.json()["title"] in titles, line


@pytest.mark.slow
def test_after_the_payment(box: LocalSandbox, shop: tuple[type[Shop], str]) -> None:
    """POST act: refunds to a balance and a card, then an escrow trade that two operators divide."""
    order(box, "R1", shop[1])
    box.pay("R1", "balance")
    first = box.control("POST", "trades/R1/act", {"act": "refund", "amount": 234, "reason": "late"})
    assert (first["state"], first["refunded"], first["refund_state"]) == ("paid", 234, "success")
    order(box, "R2", shop[1])
    box.pay("R2", "debit")
    whole = box.control("POST", "trades/R2/act", {"act": "refund"})
    assert (whole["state"], whole["refunds"][0]["state"], whole["refunds"][0]["method"]) == (
        "closed",
        "succeeded",
        "debit",
    )

    order(box, "R3", shop[1], Product.ESCROW)
    box.pay("R3", "balance")
    steps: list[dict[str, Any]] = [
        {"act": "ship"},
        {"act": "ask_refund"},
        {"act": "refuse", "reason": "it is new"},
        {"act": "dispute"},
        {"act": "propose", "amount": 400},
        {"act": "decide", "amount": 400},
    ]
    told = [box.control("POST", "trades/R3/act", step) for step in steps]

    assert [one["claim"] for one in told] == ["", "asked", "refused", "disputed", "disputed", "decided"]
    assert (told[-1]["state"], told[-1]["refunded"]) == ("finished", 400)
    for wrong in ({"act": "dance"}, {"act": "propose"}, {"act": "refund", "amount": "5"}):
        with pytest.raises(SandboxError, match="FIELD_INVALID"):
            box.control("POST", "trades/R3/act", wrong)
    assert box.audit() == "clean"
