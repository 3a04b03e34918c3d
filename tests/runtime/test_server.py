"""The server over raw sockets: exact names, targets, framing, limits, certificates, draining."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.harness import (
    Authority,
    Collected,
    client_tls,
    connect,
    exchange,
    read_all,
    read_answer,
    serving,
)
from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.connection import ServerLimits
from tongbao.runtime.server import Address, Listener, server_tls
from tongbao.wire.asgi import Cut, Message, Receive, Scope, Send, plain
from tongbao.wire.http import Request, Response, text

seen: list[Request] = []


async def echo(request: Request, peer: str) -> Response:
    """Remember the request; answer its body, or 'true'."""
    seen.append(request)
    if request.raw_path == b"/fail":
        raise ValueError("on purpose")
    if request.raw_path == b"/cut":
        raise Cut
    return Response(200, ((b"Wechatpay-Serial", b"ABC"), (b"X-lower", b"1")), request.body or b"true")


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """An answer of a length that is not known beforehand."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


@pytest.fixture(scope="module", params=["asyncio", "fastest"])
def address(request: pytest.FixtureRequest) -> Iterator[Address]:
    """One server in each event loop, for the tests of this file that do not need another."""
    with serving([Listener("127.0.0.1", 0, plain(echo))], loop=request.param) as found:
        yield found[0]


def last() -> Request:
    return seen[-1]


def test_header_names_are_written_as_given(address: Address) -> None:
    """Some SDKs look for Wechatpay-Serial letter by letter."""
    head = exchange(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"Wechatpay-Serial: ABC" in lines
    assert b"X-lower: 1" in lines
    assert b"Content-Length: 4" in lines
    assert b"Connection: close" in lines
    assert not any(line.lower().startswith(b"server:") for line in lines)
    assert sum(line.startswith(b"Date: ") for line in lines) == 1


def test_request_is_handed_over_raw(address: Address) -> None:
    """Bytes of path, query and headers arrive as sent: %2F, plus, doubled keys, GBK in percent form, case."""
    exchange(
        address,
        b"POST /a%2Fb/../c;d=1?x=%C4%E3+&x=2&=&a HTTP/1.1\r\nhOsT: shop.example:8080\r\nX-Odd:  v \r\nx-odd: \r\n"
        b"Content-Length: 5\r\nConnection: close\r\n\r\n\xef\xbb\xbfab",
    )
    request = last()
    assert request.method == "POST"
    assert request.scheme == "http"
    assert request.host == "shop.example:8080"
    assert request.raw_path == b"/a%2Fb/../c;d=1"
    assert request.raw_query == b"x=%C4%E3+&x=2&=&a"
    assert request.headers[:3] == ((b"hOsT", b"shop.example:8080"), (b"X-Odd", b"v"), (b"x-odd", b""))
    assert request.body == b"\xef\xbb\xbfab"
    assert request.peer_cert is None


@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        (b"http://mapi.alipay.com/gateway.do?service=x", "mapi.alipay.com", b"/gateway.do", b"service=x"),
        (b"HTTPS://h:8443", "h:8443", b"/", b""),
        (b"http://h?q=1", "h", b"/", b"q=1"),
        (b"http://[::1]:80/", "[::1]:80", b"/", b""),
    ],
)
def test_absolute_target(address: Address, target: bytes, host: str, path: bytes, query: bytes) -> None:
    """The authority of an absolute target wins over the Host header, once and in both header lists."""
    exchange(address, b"GET " + target + b" HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n")
    request = last()
    assert (request.host, request.raw_path, request.raw_query) == (host, path, query)
    assert [value for name, value in request.headers if name.lower() == b"host"] == [host.encode()]


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNK = b"2\r\nab\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"Content-Length: 2, 2\r\n\r\nab",
        POST + b"Content-Length: +2\r\n\r\nab",
        POST + b"Content-Length: -2\r\n\r\nab",
        POST + b"Content-Length: 0x2\r\n\r\nab",
        POST + b"Content-Length: 99999999999999999999999999\r\n\r\nab",
        POST + b"Content-Length : 2\r\n\r\nab",
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + CHUNK,
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
        POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK,
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNK,
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNK,
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNK,
        POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + CHUNK,
        POST + b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n" + CHUNK,
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
        POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: u@b\r\n\r\n",
        b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://u:p@h/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://h/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
)
def test_T66_what_two_parsers_could_read_in_two_ways_is_refused(address: Address, data: bytes) -> None:
    """400, the connection closed, and the application never called."""
    before = len(seen)
    answer = exchange(address, data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert seen[before:] == []


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2"])
def test_other_versions_are_refused(address: Address, version: bytes) -> None:
    """What is not 1.0 or 1.1 gets an error and nothing else."""
    before = len(seen)
    assert exchange(address, b"GET / " + version + b"\r\nHost: a\r\n\r\n")[:10] in (b"HTTP/1.1 5", b"HTTP/1.1 4")
    assert seen[before:] == []


def test_old_shop_reads_the_answer_line_by_line(address: Address) -> None:
    """fsockopen, HTTP/1.0, no User-Agent, no Host: a length, no chunks, the body exactly, then the end."""
    answer = exchange(
        address,
        b"POST /notify HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 4\r\n\r\ntrue\r\n",
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"true"
    assert b"\r\nContent-Length: 4" in head
    assert b"\r\nConnection: close" in head
    assert b"chunked" not in head.lower()
    assert last().host == f"127.0.0.1:{address.port}"


def test_keep_alive_and_leading_blank_lines(address: Address) -> None:
    """Two requests on one connection; a stray CRLF after a body, as old clients send it, does no harm."""
    with connect(address) as peer:
        peer.sendall(POST + b"Content-Length: 2\r\n\r\nab\r\n")
        head, body, rest = read_answer(peer)
        assert (body, rest) == (b"ab", b"")
        assert b"connection" not in head.lower()
        peer.sendall(POST + b"Content-Length: 2\r\nConnection: close\r\n\r\ncd")
        assert read_answer(peer)[1] == b"cd"
        assert read_all(peer) == b""


def test_pipelined_requests_are_answered_in_order(address: Address) -> None:
    """Three at once, then one that is broken: three answers, then the end."""
    requests = b"".join(POST + b"Content-Length: 1\r\n\r\n%d" % number for number in range(3))
    answer = exchange(address, requests + b"broken\r\n\r\n")
    assert [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"0", b"1", b"2"]


def test_bytes_in_single_steps(address: Address) -> None:
    """Every byte in a segment of its own gives the same request."""
    with connect(address) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST /slow?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc":
            peer.sendall(bytes((byte,)))
        assert read_answer(peer)[1] == b"abc"
    assert (last().raw_path, last().raw_query) == (b"/slow", b"q=1")


def test_half_closed_client_still_gets_its_answer(address: Address) -> None:
    """A client that shuts down its writing side after the request is answered."""
    with connect(address) as peer:
        peer.sendall(POST + b"Content-Length: 2\r\n\r\nab")
        peer.shutdown(socket.SHUT_WR)
        assert read_all(peer).endswith(b"\r\n\r\nab")


def test_F36_request_cut_at_each_byte_reaches_no_rule(address: Address) -> None:
    """Cut anywhere, the application is not called; what was begun is answered 400."""
    whole = b"POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ntrue"
    before = len(seen)
    for length in range(1, len(whole)):
        with connect(address) as peer:
            peer.sendall(whole[:length])
            peer.shutdown(socket.SHUT_WR)
            assert read_all(peer).startswith(b"HTTP/1.1 400 ")
    assert seen[before:] == []


def test_chunked_body_is_read_and_trailers_dropped(address: Address) -> None:
    """A chunked request is whole for the application; a trailer is not a header."""
    chunks = b"2;x=y\r\nab\r\n1\r\nc\r\n0\r\nX-Trailer: 1\r\n\r\n"
    exchange(address, POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks)
    assert last().body == b"abc"
    assert last().header("x-trailer") is None


def test_continue_is_sent_before_the_body(address: Address) -> None:
    """Clients that wait for 100 (curl with long forms) are told to go on."""
    with connect(address) as peer:
        peer.sendall(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert peer.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"ab")
        assert read_all(peer).endswith(b"\r\n\r\nab")


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_upgrade_offer_is_answered_as_http_1_1_with_its_body(address: Address, cut: int) -> None:
    """Java's client offers h2c with its first POST; the body is not lost, however it arrives."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    head = POST + offer + b"Content-Length: 2\r\n\r\n"
    with connect(address) as peer:
        peer.sendall(head + b"ab"[:cut])
        peer.sendall(b"ab"[cut:])
        assert read_all(peer).endswith(b"\r\n\r\nab")
    assert last().body == b"ab"


def test_upgrade_offer_without_body(address: Address) -> None:
    """The same with a GET."""
    answer = exchange(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert answer.endswith(b"\r\n\r\ntrue")


def test_head_has_the_length_and_no_body(address: Address) -> None:
    """HEAD: the headers of GET, nothing after them."""
    answer = exchange(address, b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"\r\nContent-Length: 4\r\n" in answer


def limits(**changes: float) -> ServerLimits:
    return ServerLimits(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (POST + b"Content-Length: 65537\r\n\r\n", b"413"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n10001\r\n" + b"a" * 65_537, b"413"),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 17_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 17_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 4_000 + b"\r\n", b"431"),
    ],
)
def test_sizes_are_limited(address: Address, data: bytes, status: bytes) -> None:
    """Body 64 KiB, head 16 KiB, target 8 KiB; the answer says which and the connection ends."""
    before = len(seen)
    assert exchange(address, data)[9:12] == status
    assert seen[before:] == []


def test_whole_64_kib_body_passes(address: Address) -> None:
    """The limit itself is allowed."""
    answer = exchange(address, POST + b"Content-Length: 65536\r\nConnection: close\r\n\r\n" + b"a" * 65_536)
    assert answer.endswith(b"\r\n\r\n" + b"a" * 65_536)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"GET / HT", b"HTTP/1.1 408 "),
        (POST + b"Content-Length: 2\r\n\r\na", b"HTTP/1.1 408 "),
        (b"", b""),
    ],
)
def test_slow_clients_are_let_go(data: bytes, answer: bytes) -> None:
    """A head, a body or a silence that takes longer than its limit ends the connection."""
    quick = limits(head_seconds=0.1, body_seconds=0.1, idle_seconds=0.1, linger_seconds=0.1)
    with serving([Listener("127.0.0.1", 0, plain(echo), limits=quick)]) as found, connect(found[0]) as peer:
        peer.sendall(data)
        assert read_all(peer)[: len(answer) or 1] == answer


def test_failure_of_the_application_is_a_500_and_logged() -> None:
    """The client learns nothing of it; the log has the trace."""
    log = Collected()
    with serving([Listener("127.0.0.1", 0, plain(echo))], log) as found:
        answer = exchange(found[0], b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"purpose" not in answer
    assert [event for event, _ in log.events] == ["http.failed"]
    assert "on purpose" in str(log.events[0][1]["trace"])


def test_an_application_may_cut_its_connection_off() -> None:
    """Not a byte is written, and nothing has failed; an answer before it on the same connection is whole."""
    log = Collected()
    with serving([Listener("127.0.0.1", 0, plain(echo))], log) as found:
        assert exchange(found[0], b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n") == b""
        both = exchange(found[0], b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
    assert both.endswith(b"\r\n\r\ntrue")
    assert log.events == []


def test_streamed_answers_are_chunked_for_1_1_and_closed_for_1_0() -> None:
    """No length can be given: chunks for who understands them."""
    with serving([Listener("127.0.0.1", 0, stream)]) as found:
        new = exchange(found[0], b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        old = exchange(found[0], b"GET / HTTP/1.0\r\n\r\n")
    assert new.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert old.endswith(b"\r\n\r\nonetwo")
    assert b"chunked" not in old


def test_header_injection_is_an_error_not_a_header() -> None:
    """A CR in a value never reaches the wire (T65)."""

    async def inject(request: Request, peer: str) -> Response:
        return Response(200, ((b"Location", b"/a\r\nSet-Cookie: b"),), b"")

    log = Collected()
    with serving([Listener("127.0.0.1", 0, plain(inject))], log) as found:
        answer = exchange(found[0], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"Set-Cookie" not in answer


@pytest.mark.parametrize(
    ("parts", "start"),
    [([b"short"], b"HTTP/1.1 500 "), ([b"far too long"], b"HTTP/1.1 500 "), ([b"one", b"two"], b"HTTP/1.1 200 ")],
)
def test_wrong_length_of_the_application_is_never_passed_off(parts: list[bytes], start: bytes) -> None:
    """Too few or too many bytes: an error while nothing is written yet, else the connection is cut in the middle."""

    async def wrong(scope: Scope, receive: Receive, send: Send) -> None:
        head: Message = {"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"9")]}
        await send(head)
        for number, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})

    log = Collected()
    with serving([Listener("127.0.0.1", 0, wrong)], log) as found:
        answer = exchange(found[0], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(start)
    assert b"onetwo" not in answer
    assert [event for event, _ in log.events] == ["http.failed"]


def test_several_listeners_plain_and_tls_side_by_side(tmp_path: Path) -> None:
    """Each address has its own application; a client certificate is handed over, and not required."""
    authority = Authority(tmp_path)
    clients = Authority(tmp_path, "client authority")
    server = server_tls(*authority.issue("localhost"), clients.path)

    async def name(request: Request, peer: str) -> Response:
        seen.append(request)
        return text("two")

    listeners = [Listener("127.0.0.1", 0, plain(echo)), Listener("127.0.0.1", 0, plain(name), server)]
    ask = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with serving(listeners) as found:
        assert found[0].url == f"http://127.0.0.1:{found[0].port}"
        assert found[1].url == f"https://127.0.0.1:{found[1].port}"
        assert exchange(found[0], ask).endswith(b"true")
        context = client_tls(authority)
        with context.wrap_socket(connect(found[1]), server_hostname="localhost") as peer:
            peer.sendall(ask)
            assert read_all(peer).endswith(b"two")
        assert last().peer_cert is None
        assert last().scheme == "https"
        certificate, key = clients.issue("merchant")
        context.load_cert_chain(certificate, key)
        with context.wrap_socket(connect(found[1]), server_hostname="localhost") as peer:
            peer.sendall(ask)
            assert read_all(peer).endswith(b"two")
        der = last().peer_cert
        assert der is not None
        assert der in ssl.PEM_cert_to_DER_cert(certificate.read_text())


def test_address_in_use_is_said_and_nothing_is_left_listening() -> None:
    """The operator reads which address; the listeners before it are closed again."""
    with serving([Listener("127.0.0.1", 0, plain(echo))]) as found:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        taken = Listener("127.0.0.1", found[0].port, plain(echo))
        with (
            pytest.raises(ConfigurationError, match=f"127.0.0.1:{found[0].port}: cannot listen here"),
            serving([Listener("127.0.0.1", port, plain(echo)), taken]),
        ):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_drain_finishes_what_is_in_work_and_closes_what_is_idle() -> None:
    """A request begun before the stop is answered; an idle connection ends at once."""
    entered, leave = threading.Event(), threading.Event()

    async def slow(request: Request, peer: str) -> Response:
        entered.set()
        await asyncio.to_thread(leave.wait, 10)
        return text("done")

    answers: list[bytes] = []
    with serving([Listener("127.0.0.1", 0, plain(slow))]) as found:
        idle = connect(found[0])
        busy = connect(found[0])
        busy.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(10)

        def watch() -> None:
            answers.append(idle.recv(10))
            leave.set()
            answers.append(read_all(busy))

        watcher = threading.Thread(target=watch)
        watcher.start()
    watcher.join(10)
    idle.close()
    busy.close()
    assert answers[0] == b""
    assert answers[1].endswith(b"\r\n\r\ndone")
    assert b"\r\nConnection: close\r\n" in answers[1]


def test_drain_has_an_end() -> None:
    """A request that never ends is cut when the drain time is over."""
    entered = threading.Event()

    async def endless(request: Request, peer: str) -> Response:
        entered.set()
        await asyncio.Event().wait()
        return text("never")

    with serving([Listener("127.0.0.1", 0, plain(endless))], drain_seconds=0.1) as found:
        peer = connect(found[0])
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(10)
    with peer:
        assert peer.recv(10) == b""
