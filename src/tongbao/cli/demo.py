"""``tongbao demo``: platform, banks, shop, worker and mailbox under one command; ``--once`` walks and exits."""

from __future__ import annotations

import argparse
import json
import sys
import webbrowser
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from tongbao.cli.after import Sequel, Told
from tongbao.cli.host import Hosted, HostSettings, host_sandbox
from tongbao.cli.reckoning import Reckoned, Reckoning
from tongbao.cli.sandbox import CREDENTIALS, add_options, host_settings
from tongbao.cli.walk import METHODS, Walk, Walker
from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.time import HOUR, SECOND, Instant, next_midnight
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect
from tongbao.merchant.verdict import VerdictKind
from tongbao.runtime.server import run
from tongbao.sandbox.state import write_private
from tongbao.service.audit import INVARIANTS, audit
from tongbao.shop.application import shop_app
from tongbao.shop.shop import Shop
from tongbao.store.sqlite import connect
from tongbao.web.house import Late
from tongbao.wire.loader import load_protocol, protocol_names

PORT: Final = 8600
MORNING: Final = 9 * HOUR
PORTS_TRIED: Final = 20


def add_commands(commands: Any) -> None:
    """Add ``demo``."""
    parser = commands.add_parser("demo", help="a shop, the platform, its banks and a mailbox, to walk through")
    add_options(parser, port=PORT)
    parser.add_argument("--once", action="store_true", help="a scripted buyer walks every way to pay; then exit")
    parser.add_argument("--json", action="store_true", help="with --once: one JSON object on standard output")
    parser.add_argument("--protocol", action="append", default=[], choices=protocol_names())
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.set_defaults(run=start)


def start(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Open the demonstration, or walk it once."""
    if chosen.once:
        return run(_walk_once(chosen))
    return run(_open(chosen, directory))


@asynccontextmanager
async def host_demo(
    settings: HostSettings, protocols: list[str], *, polls: bool = False
) -> AsyncIterator[tuple[Hosted, Shop]]:
    """A sandbox with the demonstration shop beside it; ``polls``: the shop asks about orders without evidence."""
    door = Late()
    async with host_sandbox(settings, [door]) as hosted:
        shop_world = replace(hosted.world, mail=hosted.sandbox.mailbox, send=hosted.world.send)
        directory = hosted.sandbox.directory
        configurations = {name: await configure(hosted, name) for name in protocols}
        database = Database(Dialect.SQLITE, partial(connect, str(directory / "shop.sqlite")))
        shop = Shop(
            shop_world,
            configurations,
            database,
            address=hosted.extra[0],
            mails=lambda: [kept.mail for kept in reversed(hosted.sandbox.mailbox.mails())],
            story_url=f"{hosted.base_url}/console/trades/{{trade_no}}",
            receipt_url=f"{hosted.base_url}/account/trades/{{trade_no}}",
        )

        async def work() -> int:
            asked = await shop.poll() if polls else []
            moved = sum(verdict.kind is VerdictKind.APPLIED for verdict in asked)
            return (await shop.run_jobs()).done + moved

        hosted.sandbox.also.append(work)
        door.put(shop_app(shop))
        yield hosted, shop


async def configure(hosted: Hosted, protocol: str) -> MerchantConfiguration:
    """The shop's configuration for one protocol, as it would read it from the credentials file."""
    said: dict[str, Any] = (await hosted.credentials())["protocols"][protocol]
    names = {item.name for item in load_protocol(protocol).credentials}
    credentials = {name: value for name, value in said.items() if name in names and isinstance(value, str)}
    return MerchantConfiguration(
        protocol=protocol,
        credentials=credentials,
        environment="sandbox",
        gateway=said.get("gateway") or said["base_url"],
    )


async def _open(chosen: argparse.Namespace, directory: Path) -> int:
    settings = host_settings(chosen)
    for port in range(settings.port, settings.port + PORTS_TRIED) if settings.port else (0,):
        try:
            async with host_demo(replace(settings, port=port), chosen.protocol or list(protocol_names())) as (
                hosted,
                shop,
            ):
                path = directory / CREDENTIALS
                write_private(path, json.dumps(await hosted.credentials(), ensure_ascii=False, indent=2))
                _greet(hosted, shop)
                if not chosen.no_browser:
                    webbrowser.open(shop.address)
                await hosted.stop.wait()
            return 0
        except ConfigurationError as error:
            if "cannot listen" not in error.reason or port == settings.port + PORTS_TRIED - 1:
                raise
    return 2


def _greet(hosted: Hosted, shop: Shop) -> None:
    print(f"shop      {shop.address}\nplatform  {hosted.base_url}\nmailbox   {shop.address}/desk/mailbox")
    print(f"ready {hosted.base_url}", flush=True)


def plan(protocols: list[str]) -> list[Walk]:
    """Every product and every method of every protocol, and two orders whose shop is unreachable."""
    walks = []
    for name in protocols:
        products = sorted(str(product) for product in load_protocol(name).products)
        for product in products:
            for method in METHODS:
                flow = ("escrow" if method == "balance" else "instant") if product == "dual" else ""
                walks.append(Walk(name, product, method, flow))
        first = "instant" if "instant" in products else products[0]
        walks += [Walk(name, first, "balance", unreachable=way) for way in ("query", "resend")]
    escrow = next((name for name in protocols if "escrow" in load_protocol(name).products), "")
    return [*walks, Walk(escrow, "escrow", "balance", disputed=True)] if escrow else walks


def seconds_to_morning(now: Instant) -> int:
    """Seconds of business time until nine o'clock of the next Chinese day, rounded up."""
    return -((now - next_midnight(now) - MORNING) // SECOND)


async def _walk_once(chosen: argparse.Namespace) -> int:
    out = sys.stderr if chosen.json else sys.stdout
    walks = plan(chosen.protocol or list(protocol_names()))
    names = sorted({walk.protocol for walk in walks})
    async with host_demo(replace(host_settings(chosen), port=0), names) as (hosted, shop):
        started = hosted.world.clock.monotonic()
        # late at night a bank enters a payment in the next day's statement, and planted differences would wait for it
        await hosted.sandbox.advance(seconds_to_morning(hosted.world.clock.business()))
        walker = Walker(hosted, shop, lambda line: print(line, file=out, flush=True))
        for walk in walks:
            await walker.walk(walk)
        sequel = Sequel(hosted, shop, lambda line: print(line, file=out, flush=True))
        told = await sequel.run(walks, next((walk for walk in walks if walk.disputed and not walk.wrong), None))
        platform = hosted.sandbox.house.platform
        found = await audit(platform)
        balanced = not await hosted.sandbox.house.bank_differences()
        reckoned = await Reckoning(hosted, lambda line: print(line, file=out, flush=True)).run(walks)
        seconds = int(hosted.world.clock.monotonic() - started)
    said = summarise(walks, told, reckoned)
    said["audit"] = "clean" if not found else [{"id": one.id, "rows": one.rows} for one in found]
    said["invariants_checked"] = len(INVARIANTS)
    said["seconds"] = seconds
    right = said["orders"] == said["ended_right"] and not found and balanced and not told.wrong and not reckoned.wrong
    if chosen.json:
        print(json.dumps(said, ensure_ascii=False, default=str))
    print(
        f"{said['ended_right']} of {said['orders']} orders ended as they should; audit "
        f"{'clean' if not found else [one.id for one in found]} ({said['invariants_checked']} invariants); "
        f"the banks' book {'agrees' if balanced else 'DOES NOT AGREE'}",
        file=out,
    )
    print(
        f"{told.refunds} refunds, {told.disputes} disputes, {told.payouts} payouts, {told.settlements} settlements, "
        f"{reckoned.bills} bills; {reckoned.planted} differences planted, {reckoned.found} found"
        + "".join(f"; WRONG: {line}" for line in (*told.wrong, *reckoned.wrong)),
        file=out,
    )
    return 0 if right else 1


def summarise(walks: list[Walk], told: Told, reckoned: Reckoned) -> dict[str, Any]:
    """Numbers of what really happened."""
    said: dict[str, Any] = {"orders": len(walks), "ended_right": sum(not walk.wrong for walk in walks)}
    for name in ("product", "method", "protocol"):
        groups: dict[str, dict[str, int]] = {}
        for walk in walks:
            group = groups.setdefault(getattr(walk, name), {"orders": 0, "ended_right": 0})
            group["orders"] += 1
            group["ended_right"] += not walk.wrong
        said[f"{name}s"] = groups
    said |= {name: getattr(told, name) for name in ("refunds", "disputes", "payouts", "settlements")}
    return said | {
        "bills": reckoned.bills,
        "differences_planted": reckoned.planted,
        "differences_found": reckoned.found,
    }
