"""The clients over real HTTP: both shells send the same bytes, and trust nothing they should not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from inspect import Signature, signature
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.merchant.conftest import KEY, configure
from tests.merchant.server import Answer, serve
from tests.merchant.trial import Platform
from tests.support.clock import Hands
from tongbao.kernel.error import InvalidSignature, LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.merchant.client import AsyncClient, Client
from tongbao.wire.http import Request, Response
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.vocabulary import Done, Method, Presentation, Product, TradeState
from tongbao.wire.world import CALL_LIMITS, NotSent

Call = Callable[[Any], Any]


def run_sync(call: Call, **settings: Any) -> Any:
    """The call with the synchronous client."""
    with Client(configure(**settings), clock=Hands()) as client:
        return call(client)


def run_async(call: Call, **settings: Any) -> Any:
    """The call with the asynchronous client."""

    async def main() -> Any:
        async with AsyncClient(configure(**settings), clock=Hands()) as client:
            result = call(client)
            return await result if isinstance(result, Awaitable) else result

    return asyncio.run(main())


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Both shells in turn."""
    chosen: Callable[..., Any] = request.param
    return chosen


@pytest.fixture
def platform() -> Platform:
    """A platform with one paid trade and one live notification."""
    platform = Platform(KEY.encode())
    platform.trade("A1")
    platform.live.add("n1")
    return platform


def answering(platform: Platform) -> Answer:
    return lambda request: platform(request, CALL_LIMITS)


def test_every_exchange_over_real_http(run: Callable[..., Any], platform: Platform) -> None:
    """Query, close, ship, confirm, timestamp: typed answers over loopback."""
    with serve(answering(platform)) as server:
        gateway = f"{server.url}/gate?x=%2F"

        def ask(call: Call) -> Any:
            return run(call, gateway=gateway)

        trade = ask(lambda client: client.query("A1"))
        assert (trade.state, trade.amount, trade.trade_no) == (TradeState.PAID, Money(1000), "TA1")
        assert ask(lambda client: client.confirm_notification("n1")) is True
        assert ask(lambda client: client.confirm_notification("n2")) is False
        assert ask(lambda client: client.request_timestamp()) == "stamp-1"
        assert ask(lambda client: client.close_trade("A1")) == Done()
        assert ask(lambda client: client.ship("A1", carrier="SF", tracking_no="1")) == Done()
        with pytest.raises(Refused, match="TRADE_NOT_FOUND"):
            ask(lambda client: client.query("Z9"))
    assert {(seen.method, seen.raw_path, seen.raw_query) for seen in server.seen} == {("POST", b"/gate", b"x=%2F")}
    assert {seen.header("accept-encoding") for seen in server.seen} == {"identity"}


def test_both_shells_send_the_same_bytes(platform: Platform) -> None:
    """One source: the requests of the two clients are equal, headers included."""
    with serve(answering(platform)) as server:
        for run in (run_sync, run_async):
            run(lambda client: client.query("A1"), gateway=f"{server.url}/gate")
    assert server.seen[0] == server.seen[1]


def test_a_payment_needs_no_network() -> None:
    """The call carries the configuration's addresses, and options override them."""
    with Client(configure(), clock=Hands()) as client:
        fields = dict(client.payment("A1", Money(1000), "tea").fields)
        assert (fields["amount"], fields["notify"], fields["return"]) == (
            "10.00",
            "http://shop.example/notify",
            "http://shop.example/return",
        )
        call = client.payment("A1", Money(1000), "tea", return_url="http://shop.example/other")
        assert dict(call.fields)["return"] == "http://shop.example/other"
        assert call.link().startswith("http://127.0.0.1:1/gate?op=pay&")
        with pytest.raises(LocalProtocolError, match="order: is longer"):
            client.payment("A" * 65, Money(1000), "tea")
        with pytest.raises(LocalProtocolError, match="use payment"):
            client.create("A1", Money(1000), "tea")


def test_words_may_be_texts() -> None:
    """``presentation="qr"`` is ``Presentation.QR`` all the way; a word that does not exist is refused by its name."""
    client = Client(configure(), clock=Hands())
    said: dict[str, Any] = {"presentation": "qr", "product": "escrow", "method": "debit"}
    intent = client.trade("A1", Money(100), "tea", **said)
    assert (intent.presentation, intent.product, intent.method) == (
        Presentation.QR,
        Product.ESCROW,
        Method.DEBIT,
    )
    assert type(intent.presentation) is Presentation
    wrong: dict[str, Any] = {"presentation": "poster"}
    with pytest.raises(LocalProtocolError, match=r"presentation.* is none of page, h5"):
        client.trade("A1", Money(100), "tea", **wrong)


def test_a_misspelt_option_is_refused_before_anything_is_sent() -> None:
    """It is never as if it had not been said, which would be another refund, another bill."""
    calls: tuple[tuple[str, tuple[Any, ...], str], ...] = (
        ("refund", ("r1", Money(1)), "order"),
        ("query_refund", ("r1",), "order"),
        ("split", ("s1", ()), "finished"),
        ("pay_out", ("p1", None, Money(1)), "note"),
        ("movements", (0, 1), "kind"),
        ("bill", (None,), "month"),
    )
    with Client(configure(), clock=Hands()) as client:
        for method, said, wrong in calls:
            with pytest.raises(TypeError, match=f"unexpected keyword argument '{wrong}'"):
                getattr(client, method)(*said, **{wrong: ""})


@pytest.mark.slow
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_T75_redirects_are_never_followed(run: Callable[..., Any], status: int) -> None:
    """The second address is never asked."""
    with serve(lambda request: Response(200)) as inside:
        target = f"{inside.url}/".encode()
        with (
            serve(lambda request: Response(status, ((b"Location", target),))) as server,
            pytest.raises(RemoteProtocolError, match="redirects"),
        ):
            run(lambda client: client.query("A1"), gateway=server.url)
        assert inside.seen == []


def test_T82_an_answer_signed_by_somebody_else_is_refused(run: Callable[..., Any], platform: Platform) -> None:
    """A foreign key, and no signature at all."""
    platform.answer_key = b"somebody else's key"
    with serve(answering(platform)) as server, pytest.raises(InvalidSignature):
        run(lambda client: client.query("A1"), gateway=server.url)
    unsigned = Response(200, (), b"order=A1&trade=TA1&state=paid&amount=10.00")
    with serve(lambda request: unsigned) as server, pytest.raises(InvalidSignature):
        run(lambda client: client.query("A1"), gateway=server.url)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 5_000_000,
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops",
    ],
    ids=["silence", "cut", "huge", "noise", "proxy error"],
)
def test_F37_sent_without_an_answer_is_unknown(run: Callable[..., Any], answer: bytes) -> None:
    """Silence, a cut body, a flood, noise and a proxy's error page: the outcome is unknown, never failed."""
    with serve(lambda request: answer) as server, pytest.raises(OutcomeUnknown):
        run(lambda client: client.close_trade("A1"), gateway=server.url)
    assert len(server.seen) == 1


def test_a_request_that_never_left_says_so(run: Callable[..., Any]) -> None:
    """Nobody listens: NotSent, so that it may be repeated."""
    with serve(lambda request: None) as server:
        gateway = server.url
    with pytest.raises(NotSent, match="CONNECT"):
        run(lambda client: client.query("A1"), gateway=gateway)


def test_T81_proxies_come_from_the_configuration_alone(
    run: Callable[..., Any], platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxy variables that point nowhere change nothing; a configured proxy is used, with the whole address."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serve(answering(platform)) as server:
        assert run(lambda client: client.query("A1"), gateway=server.url).trade_no == "TA1"
        through = run(lambda client: client.query("A1"), gateway="http://far.example/gate", proxy=server.url)
        assert through.trade_no == "TA1"
    assert server.seen[1].raw_path == b"http://far.example/gate"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for 127.0.0.1, and a server context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "ca.pem"
    pem = built.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "both.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    return path, context


def test_T81_an_unknown_certificate_is_refused_and_a_given_ca_trusted(
    run: Callable[..., Any], platform: Platform, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    """Verification cannot be switched off; ``ca_file`` names whom to trust."""
    path, context = certificate
    with serve(answering(platform), context) as server:
        with pytest.raises(NotSent, match="TLS"):
            run(lambda client: client.query("A1"), gateway=server.url)
        trusted = run(lambda client: client.query("A1"), gateway=server.url, ca_file=str(path))
        assert trusted.trade_no == "TA1"
        wrong = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(NotSent, match="TLS"):
            run(lambda client: client.query("A1"), gateway=wrong, ca_file=str(path))


def test_a_world_transport_fits_the_asynchronous_client(platform: Platform) -> None:
    """``send`` of a World replaces the HTTP client."""

    async def main() -> str:
        client = AsyncClient(configure(), send=platform.send, clock=Hands())
        trade = await client.query("A1")
        await client.close()
        return trade.trade_no

    assert asyncio.run(main()) == "TA1"


def test_an_answer_of_another_kind_is_refused(platform: Platform) -> None:
    """A platform that answers a query without a state breaks the protocol."""
    del platform.trades["A1"]["state"]

    def send(request: Request, limits: Any) -> Response:
        return platform(request, limits)

    with pytest.raises(RemoteProtocolError):
        Client(configure(), send=send, clock=Hands()).query("A1")


METHODS: dict[str, tuple[str, ...]] = {
    "CreateTrade": ("payment", "create", "scan"),
    "EnterTrade": ("create",),
    "CreateCombined": ("create_combined",),
    "QueryCombined": ("query_combined",),
    "CloseCombined": ("close_combined",),
    "QueryTrade": ("query",),
    "CloseTrade": ("close_trade",),
    "ShipTrade": ("ship",),
    "ConfirmNotification": ("confirm_notification",),
    "RequestTimestamp": ("request_timestamp",),
    "FetchCertificates": ("fetch_certificates", "refresh_certificates"),
    "ExchangeCode": ("exchange_code",),
    "RefundTrade": ("refund",),
    "RefundBatch": ("refund_batch", "refund_batch_page"),
    "QueryRefund": ("query_refund",),
    "RecoverRefund": ("recover_refund",),
    "CancelTrade": ("cancel",),
    "SplitTrade": ("split",),
    "QuerySplit": ("query_split",),
    "ReturnSplit": ("return_split",),
    "QuerySplitReturn": ("query_split_return",),
    "QueryUnsplit": ("query_unsplit",),
    "PayOut": ("pay_out",),
    "QueryPayOut": ("query_payout",),
    "PayOutBatch": ("payout_batch", "payout_batch_page"),
    "QueryPayOutBatch": ("query_payout_batch",),
    "QueryBalance": ("balance",),
    "QueryMovements": ("movements",),
    "RequestBill": ("bill",),
    "FetchBill": ("bill",),
}
"""Which methods of the clients ask for what a protocol offers."""


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_operation_of_every_protocol_has_a_typed_method(client: type) -> None:
    """Whatever a folder offers, by a method whose answer has a type; no folder offers what no method asks for."""
    offered = {kind.__name__ for name in protocol_names() for kind in load_protocol(name).operations.values()}
    assert offered == set(METHODS)
    for name in {name for names in METHODS.values() for name in names}:
        assert signature(getattr(client, name)).return_annotation not in ("Any", "object", "", "None", Signature.empty)
