"""Whose turn it is in the server's loop."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from tests.runtime.harness import WAIT, connect, read_all, read_answer, serving
from tongbao.runtime.connection import STARTED_AT_ONCE
from tongbao.runtime.server import Listener
from tongbao.wire.asgi import plain
from tongbao.wire.http import Request, Response, text


@pytest.mark.parametrize("loop", ["asyncio", "fastest"])
def test_requests_that_come_together_leave_the_loop_to_others_in_between(loop: str) -> None:
    """However many wait, few are started in one turn of the loop: a database's answer is not behind all of them."""
    held, leave = threading.Event(), threading.Event()
    turns = [0]
    begun: Counter[int] = Counter()

    def turn() -> None:
        turns[0] += 1
        if sum(begun.values()) < 39:
            asyncio.get_running_loop().call_soon(turn)

    async def application(request: Request, peer: str) -> Response:
        if request.raw_path == b"/hold":
            turn()
            held.set()
            leave.wait(WAIT)  # the loop stands still until all others are at its door
        elif turns[0]:
            begun[turns[0]] += 1
        return text("done")

    with serving([Listener("127.0.0.1", 0, plain(application))], loop=loop) as found:
        first, *others = [connect(found[0]) for _ in range(40)]
        for one in others:  # let in before
            one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_answer(one)[1] == b"done"
        first.sendall(b"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert held.wait(WAIT)
        for one in others:
            one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        leave.set()
        assert all(read_all(one).endswith(b"done") for one in (first, *others))
        for one in (first, *others):
            one.close()
    assert sum(begun.values()) == 39
    assert max(begun.values()) <= STARTED_AT_ONCE
