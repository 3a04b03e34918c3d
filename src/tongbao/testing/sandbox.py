"""A sandbox on a thread of this process: real HTTP on loopback, books in a temporary folder, gone in the end."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tongbao.kernel.error import ConfigurationError, TongbaoError
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.runtime.clock import RealClock
from tongbao.runtime.entropy import SystemEntropy
from tongbao.runtime.log import JsonLog
from tongbao.runtime.server import Address, Listener, serve
from tongbao.runtime.world import RealWorld, build_world
from tongbao.sandbox.credential import build_credentials
from tongbao.sandbox.mailbox import Mailbox
from tongbao.sandbox.state import make_state
from tongbao.web.house import HouseSettings, Sandbox
from tongbao.wire.address import AddressPolicy
from tongbao.wire.http import Request, split_url
from tongbao.wire.world import CALL_LIMITS

START_SECONDS: Final = 60
CONTROL_LIMITS: Final = replace(CALL_LIMITS, first_byte_seconds=300, total_seconds=300)
"""A long journey in time takes its time."""


class SandboxError(TongbaoError):
    """The control plane refused: the problem's title and detail."""


@dataclass(slots=True)
class _Running:
    sandbox: Sandbox
    world: RealWorld
    stop: asyncio.Event
    loop: asyncio.AbstractEventLoop
    credentials: dict[str, Any]


class LocalSandbox:
    """``with LocalSandbox() as sandbox:`` starts one; ``credentials`` is what ``tongbao sandbox`` would write.

    ``merchant``: a shop's own ids and test keys by protocol; ``seed``: repeatable numbers.
    """

    def __init__(self, *, seed: int | None = None, merchant: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._seed = seed
        self._merchant = merchant or {}
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._running: _Running | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> LocalSandbox:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers. Raises what prevented it."""
        self._thread = threading.Thread(target=self._run, name="tongbao-sandbox", daemon=True)
        self._thread.start()
        self._ready.wait(START_SECONDS)
        if self._failure is not None:
            raise self._failure
        if self._running is None:
            raise ConfigurationError("sandbox", f"did not start within {START_SECONDS} seconds")

    def stop(self) -> None:
        """Stop it and remove its books."""
        if self._running is not None:
            self._running.loop.call_soon_threadsafe(self._running.stop.set)
        if self._thread is not None:
            self._thread.join()

    @property
    def credentials(self) -> dict[str, Any]:
        """Addresses, ids and secrets of every protocol (schema 1)."""
        return self._now().credentials

    def _now(self) -> _Running:
        if self._running is None:
            raise ConfigurationError("sandbox", "is not running")
        return self._running

    @property
    def base_url(self) -> str:
        """The main address."""
        return str(self.credentials["base_url"])

    def configuration(self, protocol: str, **more: Any) -> MerchantConfiguration:
        """The merchant's configuration for one protocol; ``more`` as in MerchantConfiguration."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sandbox.json"
            path.write_text(json.dumps(self.credentials), "utf-8")
            return MerchantConfiguration.from_sandbox(path, protocol, **more)

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One call of the control plane, ``path`` below ``/_sandbox/``. Raises SandboxError."""
        scheme, host, raw_path, query = split_url(f"{self.base_url}/_sandbox/{path}")
        payload = json.dumps(dict(body or {})).encode()
        kind = (b"Content-Type", b"application/json")
        request = Request(method, scheme, host, raw_path, query, (kind,), payload)
        running = self._now()
        call = asyncio.run_coroutine_threadsafe(running.world.send(request, CONTROL_LIMITS), running.loop)
        answer = call.result()
        said = json.loads(answer.body)
        if answer.status >= 400:
            raise SandboxError(f"{said['title']}: {said['detail']}")
        return said

    def pay(self, out_trade_no: str, method: str = "balance", **more: str) -> Any:
        """Do what the buyer would do at the cashier; returns when it is committed and everybody was told."""
        return self.control("POST", f"trades/{quote(out_trade_no, safe='')}/pay", {"method": method, **more})

    def trade(self, out_trade_no: str) -> Any:
        """One trade as the platform sees it."""
        return self.control("GET", f"trades/{quote(out_trade_no, safe='')}")

    def advance(self, seconds: int) -> Any:
        """Move business time; returns when everything that fell due has run."""
        return self.control("POST", "clock", {"advance": seconds})

    def audit(self) -> Any:
        """``"clean"``, or what is wrong with the books."""
        return self.control("GET", "audit")["audit"]

    def reset(self) -> None:
        """Empty books; keys and addresses stay."""
        self.control("POST", "reset")

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - carried to the thread that started us
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        clock = RealClock()
        mailbox = Mailbox(clock)
        world = build_world(
            "sandbox",
            policy=AddressPolicy.sandbox(),
            mail=mailbox,
            log=JsonLog(sys.stderr, clock, "error"),
            seed=self._seed,
            clock=clock,
        )
        system = SystemEntropy()
        state = make_state(system, system, self._merchant)
        sandbox = Sandbox(world, state, mailbox, clock.advance)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[list[Address]] = loop.create_future()
        apps = [sandbox.main, *sandbox.faces.values()]
        serving = asyncio.create_task(
            serve(
                [Listener("127.0.0.1", 0, app) for app in apps],
                lambda addresses: ready.set_result(list(addresses)),
                stop,
                log=world.log,
                own_process=False,
            )
        )
        with tempfile.TemporaryDirectory(prefix="tongbao-") as folder:
            addresses = [address.url for address in await ready]
            faces = dict(zip(sandbox.faces, addresses[1:], strict=True))
            house = await sandbox.open(HouseSettings(addresses[0], faces, Path(folder)))
            credentials = await build_credentials(house.platform, state, faces)
            self._running = _Running(sandbox, world, stop, loop, credentials)
            self._ready.set()
            await serving
            await sandbox.close()
        await world.close()
