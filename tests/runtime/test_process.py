"""A server as a process of its own: signals, draining, exit status, and the port of its own choosing."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.runtime.harness import connect, exchange, read_all
from tongbao.runtime.server import Address

PROGRAM = """
import asyncio, gc, sys
from tongbao.runtime.server import Listener, run, serve
from tongbao.wire.asgi import plain
from tongbao.wire.http import text

async def answer(request, peer):
    if request.raw_path == b"/slow":
        print("entered", flush=True)
        await asyncio.sleep(0.3)
    return text("done")

def ready(addresses):
    print(addresses[0].port, flush=True)

async def main():
    await serve([Listener("127.0.0.1", 0, plain(answer))], ready, asyncio.Event(), log=lambda event, **fields: None)
    print("frozen" if gc.get_freeze_count() > 1000 else "not frozen", gc.get_threshold()[0] > 10000, flush=True)

run(main())
"""


@contextmanager
def program() -> Iterator[tuple[subprocess.Popen[str], Address]]:
    process = subprocess.Popen([sys.executable, "-W", "error", "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process, Address("http", "127.0.0.1", int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_well(number: signal.Signals) -> None:
    """What is in work is answered, nothing new is taken, the exit status is 0; memory was settled at the start."""
    with program() as (process, address):
        assert process.stdout is not None
        assert exchange(address, b"GET / HTTP/1.0\r\n\r\n").endswith(b"done")
        with connect(address) as peer:
            peer.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            assert process.stdout.readline() == "entered\n"
            process.send_signal(number)
            assert read_all(peer).endswith(b"\r\n\r\ndone")
        with pytest.raises(ConnectionRefusedError):
            connect(address)
        assert process.stdout.read() == "frozen True\n"
        assert process.wait(30) == 0


@pytest.mark.parametrize(("limits", "after"), [((100, 900), 900), ((100, 100), 100), ((400, 600), 600)])
def test_a_process_makes_room_for_its_connections(limits: tuple[int, int], after: int) -> None:
    """As many files as the system lets it open."""
    program = (
        "import resource\nfrom tongbao.runtime.server import run\n"
        "async def main():\n    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\nrun(main())"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(said.stdout) == after
