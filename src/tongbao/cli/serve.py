"""``tongbao serve``, ``worker``, ``migrate``: run a platform of your own."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tongbao.cli.house import open_platform, read
from tongbao.kernel.money import Money
from tongbao.runtime.server import Address, Listener, run, serve
from tongbao.service.platform import Platform
from tongbao.store.migrate import migrate_postgresql, migrate_sqlite
from tongbao.trade.agreement import WEAK_MOST
from tongbao.web.agree.app import SEGMENT as AGREE
from tongbao.web.agree.app import agree_app
from tongbao.web.app import build_web
from tongbao.web.cashier.app import SEGMENTS, cashier_app
from tongbao.web.page.error import Pages
from tongbao.web.wallet.app import SEGMENTS as WALLET
from tongbao.web.wallet.app import wallet_app
from tongbao.worker.duty import Worker

WORKER_LANE: Final = 1
"""A worker beside a server writes on the lane after the server's."""


def add_commands(commands: Any) -> None:
    """Add the three."""
    for name, text, act in (
        ("serve", "serve faces and cashier (and run the duties, on SQLite or with --worker)", start),
        ("worker", "run the duties: deliver, expire, release, inquire (PostgreSQL)", start_worker),
        ("migrate", "bring the database up to date", migrate),
    ):
        parser = commands.add_parser(name, help=text)
        parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (TOML)")
        parser.set_defaults(run=act)
        if name == "serve":
            parser.add_argument("--worker", action="store_true", help="run the duties in this process too")


def migrate(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Apply what is missing."""
    settings = read(chosen.config, environ)
    if settings.is_postgresql:
        done = asyncio.run(migrate_postgresql(settings.database))
    else:
        done = migrate_sqlite(settings.database)
    print(f"applied: {', '.join(map(str, done)) if done else 'nothing, it is up to date'}")
    return 0


def start(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Serve until interrupted."""
    return run(_serve(chosen, environ))


async def _serve(chosen: argparse.Namespace, environ: Mapping[str, str]) -> int:
    async with open_platform(chosen.config, environ) as (platform, settings):
        cashier = cashier_app(platform)
        web = build_web(
            platform,
            Pages(),
            routes={
                **dict.fromkeys(SEGMENTS, cashier),
                **dict.fromkeys(WALLET, wallet_app(platform)),
                AGREE: agree_app(platform),
            },
            fallback=cashier,
        )
        stop = asyncio.Event()
        duties = None
        if chosen.worker or not settings.is_postgresql:
            duties = asyncio.create_task(Worker(platform).loop(stop), name="worker")

        for warning in await weak_warnings(platform):
            print(f"warning: {warning}", file=sys.stderr, flush=True)

        def announce(addresses: Any) -> None:
            first: Address = addresses[0]
            print(f"ready {first.url}", flush=True)

        watch = asyncio.create_task(_stop_when_fenced(platform, stop), name="fence")
        await serve([Listener(settings.host, settings.port, web.main)], announce, stop, log=platform.world.log)
        if duties is not None:
            await duties
        return await _result(watch)


async def weak_warnings(platform: Platform) -> list[str]:
    """One sentence for each protocol over which merchants still sign with MD5 (T12)."""
    rows = await platform.database.read("key.weak")
    return [
        f"{count} merchant(s) sign with MD5 over {protocol}: such a trade is at most {Money(WEAK_MOST).text()} yuan "
        "unless agreed otherwise; move them to RSA where the protocol has it"
        for protocol, count in rows
    ]


async def _stop_when_fenced(platform: Platform, stop: asyncio.Event) -> None:
    """A process whose lane another has taken cannot write any more: it ends, and its supervisor starts it anew."""
    try:
        await platform.committer.ended()
    finally:
        stop.set()


async def _result(watch: asyncio.Task[None]) -> int:
    """Raises Fenced, where that was why the process ended."""
    if watch.done():
        await watch
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    return 0


def start_worker(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Run duties until interrupted."""
    return run(_work(chosen, environ))


async def _work(chosen: argparse.Namespace, environ: Mapping[str, str]) -> int:
    async with open_platform(chosen.config, environ, lane_offset=WORKER_LANE) as (platform, _):
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        watch = asyncio.create_task(_stop_when_fenced(platform, stop), name="fence")
        print("ready", flush=True)
        await Worker(platform).loop(stop)
        return await _result(watch)
