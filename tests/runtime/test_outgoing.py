"""The guarded way out, against hand-written servers on loopback that misbehave in every way known."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.runtime.harness import LOOPS, Authority, serving
from tongbao.kernel.error import LocalProtocolError
from tongbao.runtime.outgoing import GuardedTransport, write_request
from tongbao.runtime.server import Listener, server_tls
from tongbao.wire.address import AddressPolicy, parse_url
from tongbao.wire.asgi import plain
from tongbao.wire.http import FORM, Request, Response, get, post, text
from tongbao.wire.world import CALL_LIMITS, Limits, NoAnswer, NotSent

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SANDBOX = AddressPolicy.sandbox()
ONLY_TWO = AddressPolicy(False, False, frozenset(("http", "https")), frozenset(), (ip_network("127.0.0.2/32"),))
"""127.0.0.2 stands for the public world, every other address for the inside."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess"


@dataclass
class Peer:
    """A listening server and what it saw."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def peer(script: Script, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Peer]:
    """Run ``script`` for every connection once the head of a request has come."""
    seen = Peer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen.heads.append(head)
                await script(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, host, port)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        await asyncio.sleep(0.01)


def answering(data: bytes, *, close: bool = True) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()
            await reader.read()

    return script


loops = ["asyncio"]


@pytest.fixture(params=sorted(LOOPS), autouse=True)
def each_loop(request: pytest.FixtureRequest) -> None:
    """Every test of this file runs in both event loops."""
    loops[0] = request.param


def run(main: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loops[0]]) as runner:
        runner.run(main)


def resolving(*answers: Sequence[str] | OSError) -> Callable[[str], Awaitable[Sequence[str]]]:
    """A resolver that gives one of ``answers`` after the other, then the last for ever."""
    left = list(answers)

    async def resolve(host: str) -> Sequence[str]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    return resolve


def test_request_goes_out_exactly_and_answer_comes_back_raw() -> None:
    """Header names keep case and order both ways; nothing is added but host, length, encoding and connection."""

    async def main() -> None:
        answer = b"HTTP/1.1 200 OK\r\nWechatpay-Serial: A\r\nwechatpay-nonce: b \r\nContent-Length: 2\r\n\r\n\xc4\xe3"
        async with peer(answering(answer)) as other:
            transport = GuardedTransport(SANDBOX)
            request = post(f"http://127.0.0.1:{other.port}/n?a=%2F&b", b"k=v", FORM, [(b"X-CaSe", b"1")])
            response = await transport(request)
            await transport.close()
        assert response == Response(
            200,
            ((b"Wechatpay-Serial", b"A"), (b"wechatpay-nonce", b"b"), (b"Content-Length", b"2")),
            b"\xc4\xe3",
        )
        assert other.heads[0] == (
            f"POST /n?a=%2F&b HTTP/1.1\r\nHost: 127.0.0.1:{other.port}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nX-CaSe: 1\r\nAccept-Encoding: identity\r\n"
            "Content-Length: 3\r\nConnection: close\r\n\r\n"
        ).encode("ascii")

    run(main())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_T75_redirects_are_not_followed(status: int) -> None:
    """The answer is the redirect itself; nobody connects to where it points."""

    async def main() -> None:
        async with peer(answering(OK)) as trap:
            where = f"Location: http://127.0.0.1:{trap.port}/\r\nContent-Length: 0\r\n\r\n"
            async with peer(answering(f"HTTP/1.1 {status} Moved\r\n{where}".encode("ascii"))) as other:
                response = await GuardedTransport(SANDBOX)(get(f"http://127.0.0.1:{other.port}/"))
            assert response.status == status
            assert trap.connections == 0

    run(main())


def test_T78_a_gzip_bomb_stays_small() -> None:
    """What says it is compressed is handed over as it is."""
    bomb = gzip.compress(b"0" * 1_000_000)

    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
        async with peer(answering(head + bomb)) as other:
            response = await GuardedTransport(SANDBOX)(get(f"http://127.0.0.1:{other.port}/"))
        assert response.body == bomb

    run(main())


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same within the head."""
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A body without end, not announced."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"a" * 65_536)
        await writer.drain()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
    raise ConnectionError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (drip, "TIMEOUT"),
        (drip_head, "TIMEOUT"),
        (silence, "TIMEOUT"),
        (flood, "TOO_LARGE"),
        (reset, "CLOSED"),
        (answering(b""), "CLOSED"),
        (answering(b"HTTP/1.1 200 OK\r\nConten"), "CLOSED"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsucces"), "CLOSED"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"), "CLOSED"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n"), "TOO_LARGE"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"), "TOO_LARGE"),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 4_097), "TOO_LARGE"),
        (answering(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000 + b"\r\n"), "TOO_LARGE"),
        (answering(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"), "TOO_LARGE"),
        (answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000), "TOO_LARGE"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), "CLOSED"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "CLOSED"),
        (answering(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), "CLOSED"),
        (answering(b"SSH-2.0-OpenSSH_9\r\n"), "CLOSED"),
    ],
)
def test_T78_misbehaving_servers_give_no_answer(script: Script, reason: str) -> None:
    """Slow, endless, huge, cut or nonsense: the outcome is unknown, in bounded time and memory."""
    limits = Limits(first_byte_seconds=0.3, total_seconds=0.6)

    async def main() -> None:
        async with peer(script) as other:
            transport = GuardedTransport(SANDBOX)
            with pytest.raises(NoAnswer) as caught:
                await transport(get(f"http://127.0.0.1:{other.port}/"), limits)
            assert caught.value.reason == reason
            assert len(other.heads) == 1
            await transport.close()

    run(main())


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nsuccess", b"success"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsuc\r\n4\r\ncess\r\n0\r\n\r\n", b"success"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"success"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + b"a" * 4_096, b"a" * 4_096),
    ],
)
def test_answers_of_old_and_new_servers_are_read(data: bytes, body: bytes) -> None:
    """Ended by length, by chunks or by closing; interim answers are skipped."""

    async def main() -> None:
        async with peer(answering(data)) as other:
            response = await GuardedTransport(SANDBOX)(get(f"http://127.0.0.1:{other.port}/"))
        assert response.body == body
        assert response.status == int(data.rpartition(b"HTTP/1.")[2][2:5])

    run(main())


def test_not_sent_when_nobody_listens() -> None:
    """A refused connection: nothing can have been seen."""

    async def main() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(NotSent) as caught:
            await GuardedTransport(SANDBOX)(get(f"http://127.0.0.1:{port}/"))
        assert caught.value.reason == "CONNECT"

    run(main())


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([OSError(-3, "Temporary failure in name resolution")], "RESOLVE"),
        ([[]], "RESOLVE"),
        ([["127.0.0.1"]], "BLOCKED_ADDRESS"),
        ([["::1", "127.0.0.1", "169.254.169.254"]], "BLOCKED_ADDRESS"),
        ([["::ffff:127.0.0.1"]], "BLOCKED_ADDRESS"),
        ([["64:ff9b::7f00:2"]], "BLOCKED_ADDRESS"),
        ([["nonsense"]], "BLOCKED_ADDRESS"),
    ],
)
def test_T74_a_failing_or_hostile_resolver_never_leads_to_a_connection(
    answers: list[Sequence[str] | OSError], reason: str
) -> None:
    """Nothing is tried that was not checked: the trap at the inside address sees nobody."""

    async def main() -> None:
        async with peer(answering(OK)) as trap:
            transport = GuardedTransport(ONLY_TWO, resolve=resolving(*answers))
            with pytest.raises(NotSent) as caught:
                await transport(get(f"http://shop.example:{trap.port}/"))
            assert caught.value.reason == reason
            assert trap.connections == 0

    run(main())


def test_T74_a_resolver_that_hangs_is_not_waited_for() -> None:
    """The time for connecting includes the name."""

    async def hang(host: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    async def main() -> None:
        with pytest.raises(NotSent) as caught:
            await GuardedTransport(ONLY_TWO, resolve=hang)(get("http://shop.example/"), Limits(connect_seconds=0.1))
        assert caught.value.reason == "RESOLVE"

    run(main())


@pytest.mark.parametrize("reuse", [False, True])
def test_T73_rebinding_never_reaches_the_inside(reuse: bool) -> None:
    """The name points outside, inside, outside, ...; every connection was to the address that was checked."""

    async def main() -> None:
        async with peer(answering(OK, close=not reuse), "127.0.0.2") as good:
            async with peer(answering(OK), "127.0.0.1", good.port) as trap:
                answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1"]]
                transport = GuardedTransport(ONLY_TWO, resolve=resolving(*answers), reuse=reuse)
                ends: list[int | str] = []
                for _ in range(4):
                    try:
                        ends.append((await transport(get(f"http://shop.example:{good.port}/"))).status)
                    except NotSent as error:
                        ends.append(error.reason)
                await transport.close()
            assert ends == ([200] * 4 if reuse else [200, "BLOCKED_ADDRESS", 200, "BLOCKED_ADDRESS"])
            assert trap.connections == 0
            assert good.connections == (1 if reuse else 2)
            assert {head.split(b"\r\n")[1] for head in good.heads} == {b"Host: shop.example:%d" % good.port}

    run(main())


def test_T73_mixed_answers_use_only_the_allowed_one() -> None:
    """A and AAAA of one name, one of them inside."""

    async def main() -> None:
        async with (
            peer(answering(OK), "127.0.0.2") as good,
            peer(answering(OK), "127.0.0.1", good.port) as trap,
        ):
            resolve = resolving(["::1", "127.0.0.1", "10.0.0.1", "127.0.0.2"])
            response = await GuardedTransport(ONLY_TWO, resolve=resolve)(get(f"http://a.example:{good.port}/"))
            assert (response.status, trap.connections, good.connections) == (200, 0, 1)

    run(main())


def test_the_next_address_is_tried_when_one_refuses() -> None:
    """localhost is often ::1 first, and servers of shops listen on 127.0.0.1 only."""

    async def main() -> None:
        async with peer(answering(OK)) as other:
            resolve = resolving(["127.0.0.9", "127.0.0.1"])
            response = await GuardedTransport(SANDBOX, resolve=resolve)(get(f"http://localhost:{other.port}/"))
        assert response.body == b"success"

    run(main())


def test_reused_connections_carry_no_desync() -> None:
    """Bytes nobody asked for end a connection instead of becoming the next answer."""

    async def main() -> None:
        forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        async with peer(answering(OK + forged, close=False)) as other:
            transport = GuardedTransport(SANDBOX, reuse=True)
            bodies = [(await transport(get(f"http://127.0.0.1:{other.port}/"))).body for _ in range(3)]
            await transport.close()
        assert bodies == [b"success"] * 3
        assert other.connections == 3

    run(main())


def test_many_at_once_share_few_connections() -> None:
    """64 in flight, 640 requests: each gets its own answer."""

    async def echo(request: Request, caller: str) -> Response:
        return text(request.body.decode())

    with serving([Listener("127.0.0.1", 0, plain(echo))]) as found:

        async def main() -> None:
            transport = GuardedTransport(SANDBOX, reuse=True)

            async def worker(number: int) -> None:
                for round_number in range(10):
                    body = f"{number}-{round_number}".encode()
                    response = await transport(post(found[0].url + "/", body, "text/plain"), CALL_LIMITS)
                    assert response.body == body

            await asyncio.gather(*(worker(number) for number in range(64)))
            await transport.close()

        run(main())


def test_T81_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead proxy in the environment changes nothing."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)

    async def main() -> None:
        async with peer(answering(OK)) as other:
            assert (await GuardedTransport(SANDBOX)(get(f"http://127.0.0.1:{other.port}/"))).status == 200

    run(main())


@pytest.mark.parametrize("case", ["right", "self-signed", "wrong name", "expired"])
def test_T81_tls_is_always_verified(case: str, tmp_path: Path) -> None:
    """Only a certificate of a trusted authority, for this name, in its time, is spoken to."""
    authority = Authority(tmp_path)
    stranger = Authority(tmp_path, "stranger")
    issuer = stranger if case == "self-signed" else authority
    files = issuer.issue("other.example" if case == "wrong name" else "localhost", expired=case == "expired")
    asked: list[Request] = []

    async def answer(request: Request, caller: str) -> Response:
        asked.append(request)
        return text("success")

    with serving([Listener("127.0.0.1", 0, plain(answer), server_tls(*files))]) as found:

        async def main() -> None:
            transport = GuardedTransport(SANDBOX, authority=authority.path.read_text())
            request = get(f"https://localhost:{found[0].port}/")
            if case == "right":
                assert (await transport(request)).body == b"success"
                return
            with pytest.raises(NotSent) as caught:
                await transport(request)
            assert caught.value.reason == "TLS"

        run(main())
    assert len(asked) == (1 if case == "right" else 0)


def test_urls_outside_the_policy_are_not_sent() -> None:
    """The shape is checked again at each call, not only at registration (T72)."""

    async def main() -> None:
        transport = GuardedTransport(AddressPolicy.production(), resolve=resolving(["127.0.0.1"]))
        for url in ("http://shop.example.com/", "https://127.0.0.1/", "https://localhost/", "https://a.example:22/"):
            with pytest.raises(NotSent) as caught:
                await transport(get(url))
            assert caught.value.reason == "BLOCKED_ADDRESS"

    run(main())


TARGET = parse_url("http://127.0.0.1:8000/", SANDBOX)


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET\r\nX: y", "http", "a", b"/"),
        Request("get", "http", "a", b"/"),
        Request("GET", "http", "a", b"x"),
        Request("GET", "http", "a", b"/a?b"),
        Request("GET", "http", "a", b"/", b"a#b"),
        Request("GET", "http", "a", b"/", b"", ((b"X", b"a\r\nY: b"),)),
        Request("GET", "http", "a", b"/", b"", ((b"X\r\nY", b"a"),)),
        Request("GET", "http", "a", b"/", b"", ((b"", b"a"),)),
    ],
)
def test_T65_what_would_not_stay_one_request_is_our_own_error(request_: Request) -> None:
    """Nothing a caller puts in can add a header or a second request."""
    with pytest.raises(LocalProtocolError):
        write_request(request_, TARGET, keep=False)


def test_unsafe_bytes_of_a_target_are_percent_encoded() -> None:
    """A notification address with Chinese in its path is called as browsers would; framing headers stay ours."""
    request = Request(
        "POST", "http", "a", "/通 知".encode(), b"a=\xc4\xe3\r\n", ((b"content-length", b"99"), (b"HOST", b"evil"))
    )
    assert write_request(request, TARGET, keep=True) == (
        b"POST /%E9%80%9A%20%E7%9F%A5?a=%C4%E3%0D%0A HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
        b"Accept-Encoding: identity\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
    )
