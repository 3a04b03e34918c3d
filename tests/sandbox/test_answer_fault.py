"""A shop rehearses the most dangerous hour of the trade: it has moved money, or has not, and nobody says which."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tongbao.kernel.error import OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import business_date
from tongbao.merchant.client import Client
from tongbao.merchant.system import SystemClock
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.contract import Call
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import MovementState
from tongbao.wire.party import Party, Payee
from tongbao.wire.sign import private_pem
from tongbao.wire.vocabulary import Presentation, TradeState

pytestmark = [pytest.mark.xdist_group("sandbox"), pytest.mark.slow]

COUNTER = ["alipay_openapi", "alipay_openapi/v3", "wechatpay_v2", "wechatpay_v3"]
REFUND_ONLY = ["kuaiqian", "yeepay", "tenpay"]
DEEDS = {"unknown_done": True, "unknown_undone": False, "cut_done": True, "unsigned": True}
"""Fault -> whether what was asked is done."""


@dataclass
class Till:
    """A shop of one protocol, and the sandbox that it is before."""

    box: LocalSandbox
    client: Client
    protocol: str

    def order(self, what: str, **more: Any) -> None:
        """Have one fault, once."""
        self.box.control("POST", "faults", {"faults": [{"what": what, "times": 1, **more}]})

    def is_spent(self) -> bool:
        """Whether the fault that was ordered has struck."""
        return all(fault["times"] == 0 for fault in self.box.control("GET", "faults")["faults"])

    def code(self) -> str:
        """What the buyer's wallet shows."""
        return str(self.box.control("POST", f"buyers/{self.login}/code", {"protocol": self.protocol})["code"])

    @property
    def login(self) -> str:
        return str(self.box.credentials["buyers"][0]["login"])

    def sell(self, number: str, method: str = "balance") -> str:
        """An order of ten yuan that the buyer pays; the platform's number of it."""
        if self.protocol in ("alipay_openapi", "wechatpay_v2", "wechatpay_v3"):
            self.client.create(number, Money(1_000), "茶", presentation=Presentation.QR)
        elif self.protocol == "alipay_wap":
            self.client.create(number, Money(1_000), "茶", presentation=Presentation.H5)
        else:
            answer = browse(self.client.payment(number, Money(1_000), "茶"))
            assert answer.status_code in (200, 302), answer.text
        self.box.pay(number, method)
        return str(self.box.trade(number)["trade_no"])


def browse(call: Call) -> httpx.Response:
    """What a buyer's browser does with a payment."""
    asked = call.request()
    headers = [(name.decode(), value.decode()) for name, value in asked.headers]
    return httpx.request(asked.method, asked.url, content=asked.body, headers=headers, trust_env=False)


@contextmanager
def open_till(box: LocalSandbox, shop: str) -> Iterator[Till]:
    """``shop`` is a protocol's name; behind a slash the interface of it."""
    protocol, _, interface = shop.partition("/")
    configuration = box.configuration(
        protocol, notify_url="http://127.0.0.1:9/notify", return_url="http://127.0.0.1:9/return"
    )
    if interface:
        said = {**configuration.credentials, "interface": interface}
        configuration = replace(configuration, credentials=said)
    with Client(configuration) as client:
        yield Till(box, client, protocol)


@pytest.fixture
def till(box: LocalSandbox, request: pytest.FixtureRequest) -> Iterator[Till]:
    """A shop before empty books."""
    with open_till(box, request.param) as found:
        yield found


def is_unknown(till: Till, what: str, deed: Callable[[], object]) -> None:
    """The deed's outcome is unknown, by the fault alone."""
    till.order(what)
    with pytest.raises(OutcomeUnknown):
        deed()
    assert till.is_spent()


def is_passed_over(till: Till, what: str, deed: Callable[[], object]) -> None:
    """The protocol signs no answer to that: there is no signature to lose, and the fault waits for another."""
    till.order(what)
    deed()
    assert not till.is_spent()


@pytest.mark.parametrize("what", sorted(DEEDS))
@pytest.mark.parametrize("till", COUNTER, indirect=True)
def test_F07_a_till_that_does_not_know_asks_and_charges_once(till: Till, what: str) -> None:
    """The query tells the truth; what was not done may be done under the same number, nothing is done twice."""
    client, code = till.client, till.code()
    is_unknown(till, what, lambda: client.scan("SCAN-1", Money(200), "茶", code))
    if DEEDS[what]:
        assert client.query("SCAN-1").state is TradeState.PAID
    else:
        with pytest.raises(Refused, match="TRADE_NOT_FOUND"):
            client.query("SCAN-1")
        assert client.scan("SCAN-1", Money(200), "茶", code).state is TradeState.PAID
    assert [trade["out_trade_no"] for trade in till.box.control("GET", "trades")] == ["SCAN-1"]
    assert till.box.audit() == "clean"


@pytest.mark.parametrize("what", sorted(DEEDS))
@pytest.mark.parametrize("till", [*COUNTER, *REFUND_ONLY], indirect=True)
def test_F28_a_refund_whose_outcome_is_unknown_is_made_once(till: Till, what: str) -> None:
    """Asked again under its number it is the same refund, whatever became of the first request."""
    trade_no = till.sell("ORDER-1")
    number = f"109{till.client.configuration.merchant}20261126001" if till.protocol == "tenpay" else "REFUND-1"

    def refund() -> object:
        return till.client.refund(number, Money(300), order_no="ORDER-1", trade_no=trade_no, total=Money(1_000))

    if what == "unsigned" and till.protocol == "kuaiqian":
        is_passed_over(till, what, refund)
        return
    is_unknown(till, what, refund)
    assert till.box.trade("ORDER-1")["refunded"] == (300 if DEEDS[what] else 0)
    refund()
    till.box.advance(1)
    found = till.client.query_refund(number, order_no="ORDER-1", trade_no=trade_no)
    assert [one.state for one in found] == [MovementState.SUCCEEDED]
    assert till.box.trade("ORDER-1")["refunded"] == 300
    assert till.box.audit() == "clean"


@pytest.mark.parametrize("what", sorted(DEEDS))
@pytest.mark.parametrize("till", COUNTER, indirect=True)
def test_F28_a_payout_whose_outcome_is_unknown_is_made_once(till: Till, what: str) -> None:
    """As with refunds: the number is the payout."""
    till.sell("ORDER-1")
    till.box.advance(5 * 86_400)  # a weekend may lie between: then his money is settled
    buyer = till.client.query("ORDER-1").buyer
    payee = Payee(Party(buyer.id), name=str(till.box.credentials["buyers"][0]["name"]))

    title = {} if till.protocol == "wechatpay_v2" else {"title": "佣金"}

    def pay_out() -> object:
        return till.client.pay_out("PAYOUT1", payee, Money(100), memo="佣金", **title)

    if what == "unsigned" and till.protocol == "wechatpay_v2":
        is_passed_over(till, what, pay_out)
        return
    is_unknown(till, what, pay_out)
    if DEEDS[what]:
        assert [one.amount for one in till.client.query_payout("PAYOUT1")] == [Money(100)]
    else:
        with pytest.raises(Refused, match="PAYOUT_NOT_FOUND"):
            till.client.query_payout("PAYOUT1")
    pay_out()
    till.box.advance(60)
    assert [one.amount for one in till.client.query_payout("PAYOUT1")] == [Money(100)]
    assert till.box.audit() == "clean"


@dataclass
class Ear:
    """A transport that keeps the last answer as it came."""

    response: Response | None = None

    def __call__(self, request: Request, limits: Any) -> Response:
        headers = [(name.decode(), value.decode()) for name, value in request.headers]
        said = httpx.request(request.method, request.url, content=request.body, headers=headers, trust_env=False)
        self.response = Response(said.status_code, tuple(said.headers.raw), said.content)
        return self.response

    def heard(self) -> dict[str, Any]:
        """Its body as JSON."""
        assert self.response is not None
        found: dict[str, Any] = json.loads(self.response.body)
        return found


@contextmanager
def listening(till: Till, **more: str) -> Iterator[tuple[Client, Ear]]:
    """The same shop with an ear on the wire, and other settings."""
    ear = Ear()
    configuration = till.client.configuration
    configuration = replace(configuration, credentials={**configuration.credentials, **more})
    with Client(configuration, send=ear) as client:
        yield client, ear


def forged() -> dict[str, str]:
    """Settings of somebody who has not the shop's key."""
    return {"mode": "key", "app_private_key": private_pem(generate_private_key(65_537, 2_048))}


@pytest.mark.parametrize("till", ["alipay_openapi"], indirect=True)
def test_refusals_stand_under_error_response_unsigned(till: Till) -> None:
    """Those of the gateway and of business alike, with their words; successes and buyers who pay are passed over."""
    code = till.code()
    till.order("error_response", target="alipay_openapi")
    with listening(till) as (client, ear):
        with pytest.raises(Refused, match="BUYER_PAYING"):
            client.scan("A1", Money(200_000), "茶", code)
        assert client.query("A1").state is TradeState.UNPAID
        assert not till.is_spent()
        with pytest.raises(Refused, match="TRADE_NOT_FOUND"):
            client.query("A2")
        assert till.is_spent()
        assert list(ear.heard()) == ["error_response"]
        assert ear.heard()["error_response"]["sub_code"] == "ACQ.TRADE_NOT_EXIST"
        till.order("error_response")
        with pytest.raises(OutcomeUnknown) as unknown:
            client.refund("R1", Money(100), order_no="A2")
        assert unknown.value.refusal is not None
        assert unknown.value.refusal.code == "TRADE_NOT_FOUND"
    with listening(till, **forged()) as (forger, ear):
        till.order("error_response")
        with pytest.raises(Refused, match="SIGN_INVALID"):
            forger.query("A1")
        assert list(ear.heard()) == ["error_response"]
        assert ear.heard()["error_response"]["code"] == "40002"


SIGNED_ANSWERS = [
    "alipay_mapi", "alipay_openapi", "alipay_openapi/v3", "alipay_wap", "chinabank", "cncard", "kuaiqian", "tenpay",
    "tenpay_cgi", "wechatpay_v2", "wechatpay_v3", "yeepay",
]  # fmt: skip


@pytest.mark.parametrize("till", SIGNED_ANSWERS, indirect=True)
def test_T82_an_unsigned_answer_is_believed_by_no_shop_of_ours(till: Till) -> None:
    """In every protocol that signs its answer to a query; the next one is signed again."""
    till.sell("ORDER-1")
    till.order("unsigned")
    with pytest.raises(RemoteProtocolError):
        till.client.query("ORDER-1")
    assert till.is_spent()
    assert till.client.query("ORDER-1").state is TradeState.PAID


@pytest.mark.parametrize(("till", "left"), [
    ("alipay_openapi", set()), ("alipay_openapi/v3", {"alipay-trace-id"}), ("wechatpay_v3", set()),
], indirect=["till"])  # fmt: skip
def test_nothing_of_a_signature_is_left(till: Till, left: set[str]) -> None:
    """Its headers go, and what stands beside the node; the contents stay."""
    till.sell("ORDER-1")
    till.order("unsigned")
    with listening(till) as (client, ear), pytest.raises(RemoteProtocolError):
        client.query("ORDER-1")
    assert ear.response is not None
    names = {name.decode().lower() for name, _ in ear.response.headers}
    assert {name for name in names if name.startswith(("alipay-", "wechatpay-"))} == left
    body = ear.heard()
    if till.client.configuration.credentials.get("interface") != "v3" and till.protocol == "alipay_openapi":
        assert list(body) == ["alipay_trade_query_response"]
    assert "ORDER-1" in json.dumps(body)


@pytest.mark.parametrize("till", ["alipay_openapi"], indirect=True)
def test_a_target_is_an_operation_a_protocol_or_a_part_of_the_address(till: Till) -> None:
    """A whole name of an operation: others, whose names begin alike, are not hit."""
    till.sell("ORDER-1")
    for elsewhere in ("alipay.trade.refund", "alipay.trade", "wechatpay_v2", "/v3/"):
        till.order("unknown_done", target=elsewhere)
        assert till.client.query("ORDER-1").state is TradeState.PAID
        assert not till.is_spent()
    for here in ("alipay.trade.query", "alipay_openapi", "/gateway.do", ""):
        till.order("unknown_done", target=here)
        with pytest.raises(Refused, match="SYSTEM"):
            till.client.query("ORDER-1")
        assert till.is_spent()


@dataclass
class MethodInQuery(Ear):
    """A transport that says the method in the address, as some libraries do."""

    def __call__(self, request: Request, limits: Any) -> Response:
        pairs = [*filter(None, request.raw_query.split(b"&")), *request.body.split(b"&")]
        method = [pair for pair in pairs if pair.startswith(b"method=")]
        body = b"&".join(pair for pair in pairs if pair not in method)
        return Ear.__call__(self, replace(request, raw_query=b"&".join(method), body=body), limits)


@pytest.mark.parametrize("till", ["alipay_openapi"], indirect=True)
def test_a_target_is_no_part_of_a_query(till: Till) -> None:
    """A method may be named there, and a question's name begins as the deed's does."""
    till.sell("ORDER-1")
    with Client(till.client.configuration, send=MethodInQuery()) as client:
        for elsewhere in ("alipay.trade", "method="):
            till.order("unknown_done", target=elsewhere)
            assert client.query("ORDER-1").state is TradeState.PAID
            assert not till.is_spent()
        till.order("unknown_done", target="alipay.trade.query")
        with pytest.raises(Refused, match="SYSTEM"):
            client.query("ORDER-1")
        assert till.is_spent()


@pytest.mark.parametrize("till", ["alipay_openapi"], indirect=True)
def test_pages_and_strangers_are_passed_over(till: Till) -> None:
    """A buyer's browser goes on to the cashier, and whoever cannot sign is refused as ever."""
    till.order("cut_done", times=-1)
    page = browse(till.client.payment("PAGE-1", Money(100), "茶"))
    assert page.status_code == 302
    with (
        listening(till, **forged()) as (forger, _),
        pytest.raises(Refused, match="SIGN_INVALID"),
    ):
        forger.query("PAGE-1")
    with pytest.raises(OutcomeUnknown):
        till.client.query("PAGE-1")


@pytest.mark.parametrize("till", ["alipay_openapi"], indirect=True)
def test_an_answer_may_be_unknown_and_unsigned_at_once(till: Till) -> None:
    """The gateway's own failure, as it is often seen: 20000 under error_response."""
    till.sell("ORDER-1")
    faults = [{"what": "error_response", "times": 1}, {"what": "unknown_done", "times": 1}]
    till.box.control("POST", "faults", {"faults": faults})
    with listening(till) as (client, ear), pytest.raises(OutcomeUnknown):
        client.refund("R1", Money(300), order_no="ORDER-1")
    assert ear.heard()["error_response"]["code"] == "20000"
    assert till.is_spent()
    assert till.box.trade("ORDER-1")["refunded"] == 300


@pytest.mark.parametrize("till", ["alipay_openapi"], indirect=True)
def test_buyers_who_must_agree_and_refunds_on_their_way_need_no_fault(till: Till) -> None:
    """10003 for a payment by code above the cap; fund_change N for a refund to a card, until its bank has taken it."""
    code = till.code()
    with listening(till) as (client, ear):
        with pytest.raises(Refused, match="BUYER_PAYING"):
            client.scan("SCAN-1", Money(100_001), "茶", code)
        assert ear.heard()["alipay_trade_pay_response"]["code"] == "10003"
        till.box.pay("SCAN-1")
        assert client.query("SCAN-1").state is TradeState.PAID
        till.sell("ORDER-1", "debit")
        client.refund("R1", Money(300), order_no="ORDER-1")
        assert ear.heard()["alipay_trade_refund_response"]["fund_change"] == "N"
        till.box.advance(1)
        client.query_refund("R1", order_no="ORDER-1")
        assert ear.heard()["alipay_trade_fastpay_refund_query_response"]["refund_status"] == "REFUND_SUCCESS"
    assert till.box.audit() == "clean"


@pytest.mark.parametrize("till", ["alipay_mapi"], indirect=True)
def test_a_batch_of_refunds_of_old_is_asked_about(till: Till) -> None:
    """alipay_mapi's word for it is REFUND_FAIL, which says nothing of the money."""
    trade_no, number = till.sell("ORDER-1"), f"{business_date(SystemClock().business()):%Y%m%d}001"
    till.order("unknown_done", target="refund_fastpay_by_platform_nopwd")
    with pytest.raises(OutcomeUnknown):
        till.client.refund(number, Money(300), trade_no=trade_no)
    till.box.advance(60)
    assert [one.state for one in till.client.query_refund(number)] == [MovementState.SUCCEEDED]
    assert till.box.trade("ORDER-1")["refunded"] == 300
    assert till.box.audit() == "clean"
