"""Faces and notices when something breaks: a folder's own bug, books that are gone, a client that hangs up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.web.branch import CARDS, branch
from tests.web.house import BASE, MERCHANT, NOTIFY, PROTOCOL, House, ask, house, run
from tongbao.kernel.error import LocalProtocolError, TongbaoError
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant
from tongbao.service.act import act
from tongbao.web.app import Web, build_web
from tongbao.web.faces.face import Face, Gates
from tongbao.web.faces.page import PlainPages
from tongbao.web.faces.refusal import RefusalBook
from tongbao.web.guard import SANDBOX
from tongbao.wire.contract import Claim, ServerEnd, Verified
from tongbao.wire.http import Request, Response, get
from tongbao.wire.key import KeyRing
from tongbao.wire.loader import load_protocol
from tongbao.wire.vocabulary import CloseTrade, CreateTrade, Outcome, Product, QueryTrade


class Speechless:
    """A server end that understands everything and finds no words."""

    def __init__(self, whole: ServerEnd, *, refuses: bool) -> None:
        self._whole = whole
        self._refuses = refuses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def answer(self, claim: Claim, outcome: Outcome, ring: KeyRing | None, now: Instant) -> Response:
        raise LocalProtocolError("trade", "there is no word for it")

    def refuse(self, claim: Claim | None, error: TongbaoError, ring: KeyRing | None, now: Instant) -> Response:
        if self._refuses:
            return self._whole.refuse(claim, error, ring, now)
        raise ValueError("not even that")


def play(folder: Path, test: Callable[[House, Web], Awaitable[None]]) -> None:
    """A house and its web."""

    async def main() -> None:
        async with house(folder) as home:
            await test(home, build_web(home.platform, PlainPages()))

    run(main)


def encode(home: House, intent: QueryTrade | CloseTrade) -> Request:
    return load_protocol(PROTOCOL).client.encode(intent, home.credentials, home.world.clock.wire()).request()


async def open_trade(home: House) -> None:
    intent = CreateTrade(
        merchant=MERCHANT,
        out_trade_no="A1",
        product=Product.INSTANT,
        subject="茶",
        amount=Money(1_000),
        notify_url=NOTIFY,
    )
    await act(home.platform, PROTOCOL, Verified(intent, None))


@pytest.mark.parametrize(("refuses", "status", "body"), [(True, 200, b"SYSTEM_ERROR"), (False, 500, b"Internal")])
def test_a_folder_without_words_does_not_undo_the_act(tmp_path: Path, refuses: bool, status: int, body: bytes) -> None:
    """What was asked is done; the peer hears of a system error at most, and the log has the cause."""

    async def test(home: House, web: Web) -> None:
        await open_trade(home)
        whole = load_protocol(PROTOCOL)
        broken: Any = Speechless(whole.server, refuses=refuses)
        gates = Gates(SANDBOX, home.world.clock.monotonic)
        refusals = RefusalBook(home.platform, SANDBOX)
        face = Face(home.platform, replace(whole, server=broken), PlainPages(), refusals, gates)
        request = encode(home, CloseTrade(merchant=MERCHANT, out_trade_no="A1"))
        answer = await ask(face, replace(request, raw_path=b"/gateway.do"))
        assert answer.status == status
        assert body in answer.body
        assert b"no word for it" not in answer.body
        assert (await home.platform.find_trade(MERCHANT, "A1")).state == "closed"
        events = [event for event, _ in home.logged]
        assert events == (["face.failed"] if refuses else ["face.failed", "face.speechless"])

    play(tmp_path, test)


def test_compressed_requests_are_refused(tmp_path: Path) -> None:
    """A packed body is never unpacked (T69)."""

    async def test(home: House, web: Web) -> None:
        request = encode(home, QueryTrade(merchant=MERCHANT, out_trade_no="A1"))
        packed = replace(request, headers=(*request.headers, (b"Content-Encoding", b"gzip")))
        answer = await ask(web.main, packed)
        assert b"<is_success>F</is_success>" in answer.body
        plain = replace(request, headers=(*request.headers, (b"Content-Encoding", b"identity")))
        assert b"TRADE_NOT_EXIST" in (await ask(web.main, plain)).body

    play(tmp_path, test)


def test_F45_a_client_that_hangs_up_is_not_answered(tmp_path: Path) -> None:
    """When the connection goes before the body is whole, nothing is done and nothing is sent."""

    async def test(home: House, web: Web) -> None:
        request = encode(home, CloseTrade(merchant=MERCHANT, out_trade_no="A1"))
        await open_trade(home)
        sent: list[Any] = []
        parts: list[dict[str, Any]] = [
            {"type": "http.request", "body": request.body[:20], "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> dict[str, Any]:
            return parts.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": f"/{PROTOCOL}/gateway.do",
            "raw_path": request.raw_path,
            "query_string": request.raw_query,
            "headers": [(b"host", b"platform.test")],
            "client": None,
            "server": ("127.0.0.1", 80),
        }
        await web.main(scope, receive, send)
        assert sent == []
        assert (await home.platform.find_trade(MERCHANT, "A1")).state == "unpaid"

    play(tmp_path, test)


def test_other_kinds_of_connections_are_not_spoken(tmp_path: Path) -> None:
    """No lifespan, no sockets: a server learns it from the error."""

    async def test(home: House, web: Web) -> None:
        async def never() -> Any:
            raise AssertionError

        async def nothing(message: Any) -> None:
            raise AssertionError

        for kind in ("lifespan", "websocket"):
            with pytest.raises(RuntimeError, match=kind):
                await web.main({"type": kind}, never, nothing)

    play(tmp_path, test)


def test_a_notice_is_not_acknowledged_while_the_books_are_closed(tmp_path: Path) -> None:
    """The bank hears no 200 unless its word was committed, so it comes again (I24's other side)."""

    async def main() -> None:
        async with branch(tmp_path) as here:
            handover = await here.start("A1")
            await here.home.platform.stop()
            await here.bank.pay_directly(handover.url, CARDS["ok"])
            notice = await here.bank.book.transact(lambda desk: desk.notice(handover.instruction_no))
            assert notice is not None
            assert notice.answered in ("500", "503")
            assert notice.next_at is not None
            assert await here.payment_states("A1") == ["pending"]

    run(main)


def test_refusals_do_not_wait_for_their_row(tmp_path: Path) -> None:
    """When the row cannot be written the refusal is answered all the same, and the log says so."""

    async def test(home: House, web: Web) -> None:
        await home.platform.stop()
        answer = await ask(web.main, get(f"{BASE}/{PROTOCOL}/gateway.do?service=nonsense"))
        assert b"ILLEGAL_SERVICE" in answer.body
        assert [event for event, _ in home.logged] == ["refusal.unwritten"]

    play(tmp_path, test)
