"""The process that is measured when notifications are sent: the worker's deliverer over open books, nothing else.

Reads ``{"where": ..., "authority": ...}`` from standard input, sends all that is due, writes what it measured.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from dataclasses import replace
from typing import Any

from benchmarks.house import Books, make_platform, make_world
from tongbao.runtime.outgoing import GuardedTransport
from tongbao.runtime.server import run
from tongbao.wire.address import AddressPolicy
from tongbao.worker.deliver import FLYING_MAX, Deliverer


async def main(where: str, authority: str) -> dict[str, Any]:
    send = GuardedTransport(AddressPolicy.sandbox(), authority=authority or None, reuse=True)
    world = replace(make_world(), send=send)
    database = await Books(where).open()
    platform = make_platform(world, database)
    deliverer = Deliverer(platform)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    cpu, begun, sent = time.process_time(), time.perf_counter(), 0
    while True:
        done = await deliverer.round(FLYING_MAX)
        sent += done
        if not done and not deliverer.deferred and not await deliverer.drain():
            break
        await asyncio.sleep(0.001)
    seconds = time.perf_counter() - begun
    cpu = time.process_time() - cpu
    await send.close()
    await database.close()
    await world.close()
    return {"sent": sent, "seconds": seconds, "cpu": cpu}


if __name__ == "__main__":
    said = json.load(sys.stdin)
    print(json.dumps(run(main(said["where"], said["authority"]))))
