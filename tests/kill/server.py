"""The platform's process that is killed: runtime's server, the real faces, the worker's duties, the committer.

As ``both`` it does all of it, as ``web`` it serves and leaves the duties to another, as ``worker`` it only has those.

Beside the faces it has ``POST /hand/pay``, which stands for the cashier: the buyer's password is checked, the trade is
paid from his balance, and the answer comes after the commit.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from tests.support.platform import COST, MERCHANT, PAY_PASSWORD, ROOT
from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.runtime.clock import RealClock
from tongbao.runtime.log import JsonLog
from tongbao.runtime.server import Address, Listener, run, serve
from tongbao.runtime.world import build_world
from tongbao.service import checkout
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.store.postgresql import PostgresqlDatabase
from tongbao.store.sqlite import SqliteDatabase
from tongbao.web.app import build_web
from tongbao.web.faces.page import PlainPages
from tongbao.wire.address import AddressPolicy
from tongbao.wire.asgi import Application, plain
from tongbao.wire.http import Request, Response, text
from tongbao.wire.world import Mail
from tongbao.worker.duty import Worker

STATUS = {"SYSTEM": 503, "TRADE_NOT_PAYABLE": 409}


async def no_mail(mail: Mail) -> None:
    """Nobody is written to."""


def hand(platform: Platform) -> Application:
    """``/hand/pay`` takes a trade's number and a buyer's.

    200 paid, 409 not payable (any more), 503 ask again, 422 refused.
    """

    async def handle(request: Request, peer: str) -> Response:
        try:
            number, buyer = request.body.decode("ascii").split(" ")
            trade = await platform.find_trade(MERCHANT, number)
            await checkout.pay_from_balance(platform, trade, await platform.buyer(buyer), PAY_PASSWORD)
        except Refused as refusal:
            return text(refusal.code, status=STATUS.get(refusal.code, 422))
        except OutcomeUnknown:
            return text("UNKNOWN", status=503)
        return text("PAID")

    return plain(handle)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(where: str, port: int, lane: int, role: str) -> None:
    """Serve and work until killed. ``where`` is a SQLite file or a PostgreSQL address."""
    clock = RealClock()
    world = build_world(
        "test",
        policy=AddressPolicy.sandbox(),
        mail=no_mail,
        log=JsonLog(sys.stderr, clock, "error"),
        clock=clock,
    )
    database = PostgresqlDatabase(where) if where.startswith("postgresql:") else SqliteDatabase(where)
    if isinstance(database, PostgresqlDatabase):
        await database.open()
    settings = PlatformSettings(f"http://127.0.0.1:{port}", "test", COST, lane, f"killed {lane}", embedded=True)
    platform = Platform(world, database, Secrets.derive(ROOT), settings, {})
    await platform.start()
    stop = asyncio.Event()
    if role == "worker":
        _say("ready worker")
        await Worker(platform).loop(stop)
        return
    duties = asyncio.create_task(Worker(platform).loop(stop)) if role == "both" else None
    web = build_web(platform, PlainPages(), routes={"hand": hand(platform)})

    def ready(addresses: Sequence[Address]) -> None:
        _say(f"ready {addresses[0].url}")

    await serve([Listener("127.0.0.1", port, web.main)], ready, stop, log=world.log)
    stop.set()
    if duties is not None:
        await duties
    await platform.stop()
    await database.close()
    await world.close()


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
