"""The process that is measured: runtime's server, the real faces and guard, the committer, one database.

Beside the faces it has ``POST /bench/pay``, which stands for the cashier's last step: it hands ``PayFromBalance`` to
the platform with an authorisation that was granted before, and answers after the commit. ``POST /bench/nothing`` takes
a whole request and answers it as the cashier's address is answered, without protocol, rules or database: what is left
is the limit of one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields

from benchmarks.house import Books, make_platform, make_world
from tongbao.runtime.server import Address, Listener, run, serve
from tongbao.service.pay import PayFromBalance
from tongbao.service.platform import Platform
from tongbao.web.app import build_web
from tongbao.web.faces.page import PlainPages, see_other
from tongbao.web.guard import Limits, Rate
from tongbao.wire.asgi import Application, plain
from tongbao.wire.http import Request, Response, text


def authorisation_of(out_trade_no: str) -> str:
    """The number under which a trade's payment was agreed to."""
    return f"a-{out_trade_no}"


def bench(platform: Platform) -> Application:
    """``/bench/pay``, ``/bench/nothing`` and ``/bench/stats``."""

    async def handle(request: Request, peer: str) -> Response:
        if request.raw_path == b"/bench/stats":
            return text(json.dumps([platform.committer.batches, platform.committer.commands]))
        if request.raw_path == b"/bench/nothing":
            return see_other("http://127.0.0.1:9/cashier/nothing")
        merchant, number, buyer = request.body.decode("ascii").split(" ")
        await platform.submit(PayFromBalance(merchant, number, buyer, authorisation_of(number)))
        return Response(200, ((b"Content-Length", b"0"),))

    return plain(handle)


async def main(where: str, lane: int) -> None:
    world = make_world()
    database = await Books(where).open()
    platform = make_platform(world, database, lane)
    await platform.start()
    never = Rate(1e9, 1e9)
    limits = Limits(**{field.name: never for field in fields(Limits)})
    routes = {"bench": bench(platform)}
    web = build_web(platform, PlainPages(), routes=routes, protocols=("alipay_mapi",), limits=limits)

    def ready(addresses: Sequence[Address]) -> None:
        sys.stdout.write(json.dumps({"pid": os.getpid(), "host": addresses[0].host, "port": addresses[0].port}) + "\n")
        sys.stdout.flush()

    await serve([Listener("127.0.0.1", 0, web.main)], ready, asyncio.Event(), log=world.log)
    await platform.stop()
    await database.close()
    await world.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("where")
    parser.add_argument("--lane", type=int, default=0)
    arguments = parser.parse_args()
    run(main(arguments.where, arguments.lane))
