"""A proven answer that says that nobody knows, or is about something else: neither is a refusal (F07, F28, T82)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.merchant.conftest import Shop, make_shop
from tests.protocol.bench import NOW, Pair, make_pair
from tests.support.clock import Hands
from tongbao.kernel.error import InvalidSignature, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import MINUTE, later
from tongbao.merchant.client import AsyncClient, Client
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database
from tongbao.merchant.movement import MovementTable, list_movements
from tongbao.protocols.alipay_openapi.client import Client as AlipayClient
from tongbao.wire.contract import Manifest
from tongbao.wire.http import Request, Response
from tongbao.wire.movement import Cancelled, MovementState, PayOut, RefundFound, RefundView, Split
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Outcome
from tongbao.wire.world import CALL_LIMITS, Limits

pytestmark = pytest.mark.slow

PAIR = make_pair("alipay_openapi", "RSA2", "utf-8")
THEIRS = "2026010222001400000000000001"

ASKED: dict[str, Callable[[Client], Any]] = {
    "scan": lambda client: client.scan("A1", Money(100), "茶", "281234567890123456"),
    "refund": lambda client: client.refund("R1", Money(100), order_no="A1"),
    "cancel": lambda client: client.cancel("A1"),
    "split": lambda client: client.split(
        "S1", [Split(receiver=Party("2088000000000005"), amount=Money(1))], trade_no=THEIRS
    ),
    "payout": lambda client: client.pay_out(
        "P1", Payee(Party("2088000000000099"), name="张三"), Money(100), title="佣金"
    ),
    "payment by name": lambda client: client.call(
        "alipay.trade.pay",
        {"out_trade_no": "A1", "total_amount": "1.00", "subject": "茶", "auth_code": "281234567890123456"},
    ),
    "transfer by name": lambda client: client.call("alipay.fund.trans.uni.transfer", {"out_biz_no": "P1"}),
    "cancellation by name": lambda client: client.call("alipay.trade.cancel", {"out_trade_no": "A1"}),
    "an unknown method by name": lambda client: client.call("alipay.marketing.card.open", {"a": "1"}),
}


@dataclass
class Gateway:
    """Alipay's server end, which says one thing to all that it is asked, proven."""

    said: Refused | Outcome

    def __call__(self, request: Request, limits: Any) -> Response:
        claim = PAIR.manifest.server.claim(request)
        if isinstance(self.said, Refused):
            return PAIR.manifest.server.refuse(claim, self.said, PAIR.ring, NOW)
        return PAIR.manifest.server.answer(claim, self.said, PAIR.ring, NOW)


def client(said: Refused | Outcome, interface: str = "v2", given: Manifest | None = None) -> Client:
    """A shop's client before such a gateway."""
    configuration = MerchantConfiguration(
        protocol="alipay_openapi", credentials={**PAIR.settings, "interface": interface}, environment="sandbox",
        gateway="http://127.0.0.1:1/gateway.do", given=given,
    )  # fmt: skip
    return Client(configuration, send=Gateway(said), clock=Hands())


@pytest.mark.parametrize("interface", ["v2", "v3"])
@pytest.mark.parametrize("what", sorted(ASKED))
def test_F28_a_till_that_hears_that_nobody_knows_asks_and_does_not_charge_again(what: str, interface: str) -> None:
    """Where money may have moved; the platform's word is there to be read. A definite refusal stays one."""
    with pytest.raises(OutcomeUnknown) as unknown:
        ASKED[what](client(Refused("SYSTEM"), interface))
    refusal = unknown.value.refusal
    assert refusal is not None
    assert (refusal.code, "unknow-error" in refusal.detail) == ("SYSTEM", True)
    with pytest.raises(Refused) as caught:
        ASKED[what](client(Refused("NO_PRIVILEGE"), interface))
    assert caught.value.code == "NO_PRIVILEGE"


@pytest.mark.parametrize("interface", ["v2", "v3"])
@pytest.mark.parametrize("state", ["paid", "closed"])
def test_F28_a_till_that_charges_again_hears_that_the_order_is_paid(state: str, interface: str) -> None:
    """Both refuse by the same code; a till that takes a paid order for a closed one charges under a new number."""
    with pytest.raises(Refused) as caught:
        client(Refused("TRADE_NOT_PAYABLE", state=state), interface).scan("A1", Money(100), "茶", "281234567890123456")
    assert (caught.value.code, caught.value.state) == ("TRADE_NOT_PAYABLE", state)


def unsigned(request: Request) -> Response:
    """A success that nobody has signed, in either interface."""
    method = parse_qs(request.body.decode("latin-1")).get("method")
    body = b'{"out_trade_no":"A1","trade_no":"1"}'
    if method:
        body = b'{"%s":{"code":"10000","msg":"Success"}}' % f"{method[0].replace('.', '_')}_response".encode()
    return Response(200, ((b"content-type", b"application/json"),), body)


NO_PROOF: dict[str, Callable[[Request], Response]] = {
    "unsigned success": unsigned,
    **{str(status): lambda request, status=status: Response(status) for status in (204, 302, 404, 408, 429)},  # type: ignore[misc]
    "another gate's page": lambda request: Response(200, (), b"<html>log in to the network</html>"),
}
"""What comes from somebody on the way, or from a platform that may have acted before it answered so."""


@pytest.mark.parametrize("interface", ["v2", "v3"])
@pytest.mark.parametrize("what", sorted(ASKED))
def test_F07_a_success_without_a_proof_is_unknown_where_money_may_have_moved(what: str, interface: str) -> None:
    """Sheet alipay-openapi, 15: unsigned successes are unknown, and to be asked about. A till that took it for an error
    of the line would charge again. Why it is none is told, and is the cause."""
    shop = client(Refused("SYSTEM"), interface)
    for name, said in NO_PROOF.items():
        shop._send = lambda request, limits, said=said: said(request)  # type: ignore[misc]
        with pytest.raises(OutcomeUnknown) as unknown:
            ASKED[what](shop)
        cause = unknown.value.__cause__
        assert isinstance(cause, RemoteProtocolError), name
        assert (unknown.value.refusal, cause.code in str(unknown.value), cause.field in str(unknown.value)) == (
            None, True, True,
        )  # fmt: skip
        assert isinstance(cause, InvalidSignature) or name != "unsigned success"


def test_F28_so_is_an_asynchronous_one() -> None:
    """The same core behind the other shell."""

    async def send(request: Request, limits: Limits = CALL_LIMITS) -> Response:
        return unsigned(request)

    async def pay() -> None:
        async with AsyncClient(client(Refused("SYSTEM")).configuration, send=send, clock=Hands()) as shop:
            with pytest.raises(OutcomeUnknown, match="SIGN_MISSING"):
                await shop.scan("A1", Money(100), "茶", "281234567890123456")
            with pytest.raises(OutcomeUnknown, match="SIGN_MISSING"):
                await shop.call("alipay.trade.refund", {"out_trade_no": "A1", "refund_amount": "1.00"})
            with pytest.raises(InvalidSignature):
                await shop.query("A1")

    asyncio.run(pay())


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("wechatpay_v2", "HMAC-SHA256"), ("wechatpay_v3", "WECHATPAY2-SHA256-RSA2048"), ("alipay_mapi", "MD5")],
)
def test_F07_so_it_is_in_every_protocol(name: str, algorithm: str) -> None:
    """A payment by code or a refund; a question about it is refused as it was."""

    def ask(shop: Client) -> Any:
        if name == "wechatpay_v3":
            return shop.refund("R1", Money(100), order_no="A1", total=Money(100))
        if name == "wechatpay_v2":
            return shop.scan("A1", Money(100), "茶", "131234567890123456", client_ip="127.0.0.1")
        return shop.scan("A1", Money(100), "茶", "281234567890123456")

    pair = make_pair(name, algorithm)
    configuration = MerchantConfiguration(
        protocol=name, credentials=dict(pair.settings), environment="sandbox", gateway="http://127.0.0.1:1"
    )
    for answer in (Response(404), Response(200, (), b"<xml><return_code>SUCCESS</return_code></xml>")):
        shop = Client(configuration, send=lambda request, limits, answer=answer: answer, clock=Hands())  # type: ignore[misc]
        with pytest.raises(OutcomeUnknown) as unknown:
            ask(shop)
        assert isinstance(unknown.value.__cause__, RemoteProtocolError)
        with pytest.raises(RemoteProtocolError):
            shop.query("A1")


@pytest.mark.parametrize("interface", ["v2", "v3"])
def test_what_only_asks_is_refused_by_it(interface: str) -> None:
    """Nothing has moved: asking again costs nothing."""
    asking: tuple[Callable[[Client], Any], ...] = (
        lambda shop: shop.query("A1"),
        lambda shop: shop.query_refund("R1", order_no="A1"),
        lambda shop: shop.call("alipay.trade.query", {"out_trade_no": "A1"}),
    )
    for ask in asking:
        with pytest.raises(Refused) as caught:
            ask(client(Refused("SYSTEM"), interface))
        assert caught.value.code == "SYSTEM"


@pytest.mark.parametrize("interface", ["v2", "v3"])
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("A2", ""), Cancelled(THEIRS, "A1", "close")),
        (("A2", ""), Cancelled("", "A1", "")),
        (("A2", THEIRS.replace("1", "2")), Cancelled(THEIRS, "A2", "refund")),
        (("", THEIRS.replace("1", "2")), Cancelled(THEIRS, "A1", "refund")),
    ],
)
def test_T82_an_answer_to_another_cancellation_undoes_nothing(
    asked: tuple[str, str], told: Cancelled, interface: str
) -> None:
    """It is as well signed. A shop that took it would send nothing, and the buyer would have paid."""
    with pytest.raises(OutcomeUnknown, match=r"another trade|something else"):
        client(told, interface).cancel(*asked)


@pytest.mark.parametrize("asked", [("A1", ""), ("A1", THEIRS), ("", THEIRS)])
def test_a_cancellation_is_told_by_either_number(asked: tuple[str, str]) -> None:
    """The platform's number where it was said, else the merchant's."""
    told = Cancelled(THEIRS, "A1", "refund")
    assert client(told).cancel(*asked) == told


def test_T82_a_cancellation_that_names_no_trade_proves_nothing() -> None:
    """*There is none* may have been said of any, where it was asked by the platform's number alone."""
    with pytest.raises(OutcomeUnknown) as unknown:
        client(Cancelled("", "", "")).cancel(trade_no=THEIRS)
    assert unknown.value.refusal is not None
    assert unknown.value.refusal.code == "TRADE_NOT_FOUND"
    with pytest.raises(Refused, match="TRADE_NOT_FOUND"):
        client(Cancelled("", "A1", "")).cancel("A1")


class Careless(AlipayClient):
    """A protocol's half that reads whatever trade a cancellation names."""

    def decode(self, intent: Any, response: Any, credentials: Any, now: Any) -> Outcome:
        return Cancelled(response.header("x-trade") or "", "A1", "close")


@pytest.mark.parametrize(
    ("asked", "good"), [(("A1", ""), True), (("A2", ""), False), (("", THEIRS), False), (("A1", THEIRS), True)]
)
def test_T82_no_protocol_undoes_another_trade(asked: tuple[str, str], good: bool) -> None:
    """Whatever a protocol's half lets pass: its answer names the trade that was asked for."""
    shop = client(Refused("SYSTEM"), given=replace(PAIR.manifest, client=Careless()))
    if good:
        assert shop.cancel(*asked) == Cancelled("", "A1", "close")
        return
    with pytest.raises(OutcomeUnknown, match="another trade"):
        shop.cancel(*asked)


def paid_shop(database: Database, pair: Pair, said: list[Any]) -> Shop:
    """A shop with a paid order A1, whose platform says those things one after another."""

    def send(request: Request, limits: Any) -> Response:
        server, one = pair.manifest.server, said.pop(0)
        claim = server.claim(request)
        if isinstance(one, Refused):
            return server.refuse(claim, one, pair.ring, NOW)
        intent: Any = server.decode(claim, pair.ring, NOW).intent
        view = replace(one, refund_no=intent.refund_no, trade_no=intent.trade_no or THEIRS)
        return server.answer(claim, RefundFound((view,), changed=True), pair.ring, NOW)

    configuration = MerchantConfiguration(
        protocol=pair.manifest.name, credentials=dict(pair.settings), environment="sandbox",
        gateway="http://127.0.0.1:1",
    )  # fmt: skip
    shop = make_shop(database, configuration=configuration, send=send)
    shop.order("A1")
    paid = f"UPDATE orders SET state = 'paid', evidence = 'NOTIFY', paid_at = 1, trade_no = '{THEIRS}'"
    shop.database.run(lambda transaction: transaction.execute(paid))
    return shop


@pytest.mark.parametrize(
    "pair", [PAIR, make_pair("wechatpay_v2", "HMAC-SHA256")], ids=lambda pair: str(pair.manifest.name)
)
def test_F28_a_refund_of_which_nobody_knows_stays_open_and_is_asked_for_again(
    sqlite_database: Database, pair: Pair
) -> None:
    """Under its own number, whose sum no other gets meanwhile; a definite refusal of a first asking ends one."""
    view = RefundView(
        refund_id="50000000382019052", out_trade_no="A1", state=MovementState.SUCCEEDED, amount=Money(600),
        total=Money(1_000), refunded=Money(600), created_at=NOW, ended_at=NOW,
    )  # fmt: skip
    shop = paid_shop(sqlite_database, pair, [Refused("SYSTEM"), view, Refused("MERCHANT_FUNDS")])
    with pytest.raises(OutcomeUnknown):
        shop.receiver.refund("A1", "R1", Money(600))
    assert shop.rows("SELECT state, code FROM payment_movement") == [{"state": "asked", "code": "SYSTEM"}]
    with pytest.raises(Refused, match="REFUND_EXCEEDS"):
        shop.receiver.refund("A1", "R2", Money(600))
    assert shop.receiver.refund("A1", "R1", Money(600)).state in ("accepted", "succeeded")
    with pytest.raises(Refused):
        shop.receiver.refund("A1", "R3", Money(400))
    states = {row["number"]: row["state"] for row in shop.rows("SELECT number, state FROM payment_movement")}
    assert states["R3"] == "failed"


def test_F28_a_refund_whose_answer_is_no_proof_is_ended_by_the_question(sqlite_database: Database) -> None:
    """Its row stays open without a code, as it does where no answer comes, and the poller asks how it stands."""
    view = RefundView(
        refund_id="50000000382019052", out_trade_no="A1", state=MovementState.SUCCEEDED, amount=Money(600),
        total=Money(1_000), refunded=Money(600), created_at=NOW, ended_at=NOW,
    )  # fmt: skip
    shop = paid_shop(sqlite_database, PAIR, [view])
    genuine, shop.receiver._send = shop.receiver._send, lambda request, limits: unsigned(request)
    with pytest.raises(OutcomeUnknown, match="SIGN_MISSING"):
        shop.receiver.refund("A1", "R1", Money(600))
    assert shop.rows("SELECT state, code FROM payment_movement") == [{"state": "asked", "code": ""}]
    shop.receiver._send = genuine
    assert [row.number for row in shop.receiver.poll_movements(-1)] == ["R1"]
    assert shop.rows("SELECT state, evidence FROM payment_movement") == [{"state": "succeeded", "evidence": "QUERY"}]


@pytest.mark.parametrize("interface", ["v2", "v3"])
@pytest.mark.parametrize(("signs", "evidence"), [((True, True), "QUERY"), ((False, True), ""), ((False, False), "")])
def test_T82_nobody_gives_a_payout_up_because_somebody_on_the_way_says_that_there_is_none(
    sqlite_database: Database, interface: str, signs: tuple[bool, bool], evidence: str
) -> None:
    """It would be made again under a new number, and both paid. Unsigned, also of one kind of payees only, it ends no
    row, unless a person says that he takes it so; then the row says that no question proved it."""
    left: list[bool] = []

    def send(request: Request, limits: Any) -> Response:
        claim = PAIR.manifest.server.claim(request)
        ring = PAIR.ring if left.pop(0) else None
        return PAIR.manifest.server.refuse(claim, Refused("PAYOUT_NOT_FOUND"), ring, NOW)

    shop = make_shop(sqlite_database, configuration=client(Refused("SYSTEM"), interface).configuration, send=send)
    asked = PayOut(merchant="", payout_no="P1", payee=Payee(Party("2088000000000099"), "张三"), amount=Money(200))
    shop.database.run(lambda rows: MovementTable().add(rows, list_movements(shop.endpoint, asked, NOW)))
    shop.clock.now = later(NOW, 10 * MINUTE)
    if not all(signs):
        left[:] = signs
        with pytest.raises(OutcomeUnknown, match="unproven"):
            shop.receiver.give_up_payout("trial", "P1")
        assert shop.rows("SELECT state, code FROM payment_movement") == [{"state": "asked", "code": ""}]
    left[:] = signs
    row = shop.receiver.give_up_payout("trial", "P1", unproven=not all(signs))
    assert (row.state, row.code, row.evidence) == ("failed", "GIVEN_UP", evidence)
