"""A platform with real books in a file, for the web room's tests: one merchant, one buyer, a clock that moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from tongbao.kernel.time import Instant
from tongbao.runtime.clock import RealClock
from tongbao.runtime.entropy import SystemEntropy, random_source
from tongbao.runtime.server import Address, Listener, serve
from tongbao.service.channel import SimulatedChannel
from tongbao.service.party import ChangeMerchant, PutKey, RegisterBuyer, RegisterMerchant, TopUp
from tongbao.service.password import hash_password
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.store.migrate import migrate_sqlite
from tongbao.store.sqlite import SqliteDatabase
from tongbao.trade.party import Buyer, Merchant, MerchantKey
from tongbao.wire.asgi import Application
from tongbao.wire.contract import Credentials
from tongbao.wire.http import Request, Response
from tongbao.wire.loader import load_protocol
from tongbao.wire.sign import public_pem
from tongbao.wire.world import Limits, Mail, NotSent, World

PROTOCOL = "alipay_mapi"
MERCHANT = "2088000000000001"
STRANGER = "2088000000000009"
SECRET = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3y01"
BUYER = "2088000000000099"
BASE = "http://platform.test:8000"
NOTIFY = "http://127.0.0.1:9/notify"
RETURN = "http://127.0.0.1:9/return"


@dataclass
class Net:
    """The network between the parties, in one process: by host name, to applications; and a record of all that went."""

    apps: dict[str, Application] = field(default_factory=dict)
    sent: list[Request] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    async def __call__(self, request: Request, limits: Limits = Limits()) -> Response:  # noqa: B008 - a value
        host = request.host
        self.sent.append(request)
        if host in self.down or host not in self.apps:
            raise NotSent("CONNECT", host)
        return await ask(self.apps[host], request)


async def ask(app: Application, request: Request, peer: str = "192.0.2.7") -> Response:
    """One request to an ASGI application; the answer as a value."""
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.raw_path.decode("latin-1"),
        "raw_path": request.raw_path,
        "query_string": request.raw_query,
        "headers": [(b"host", request.host.encode()), *((n.lower(), v) for n, v in request.headers)],
        "client": (peer, 50_000),
        "server": ("127.0.0.1", 80),
    }
    parts: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body}

    async def send(message: Mapping[str, Any]) -> None:
        parts.append(message)

    await app(scope, receive, send)
    body = b"".join(part.get("body", b"") for part in parts[1:])
    return Response(parts[0]["status"], tuple(parts[0]["headers"]), body)


@dataclass
class House:
    """Everything a test touches."""

    platform: Platform
    world: World
    clock: RealClock
    net: Net
    logged: list[tuple[str, dict[str, object]]]
    mails: list[Mail]
    credentials: Credentials

    @property
    def now(self) -> Instant:
        return self.clock.business()


def _credentials(sign_type: str, private: str = "") -> Credentials:
    settings = {"partner": MERCHANT, "seller_email": "seller@example.com", "sign_type": sign_type}
    settings |= {"key": SECRET} if sign_type == "MD5" else {"private_key": private}
    settings["gateway"] = f"{BASE}/{PROTOCOL}/gateway.do"
    return load_protocol(PROTOCOL).client.load(settings)


@asynccontextmanager
async def house(
    folder: Path, environment: str = "test", base_url: str = BASE, bank_url: str = "http://bank.test/bank"
) -> AsyncIterator[House]:
    """A running platform with its books in ``folder``."""
    path = str(folder / "books.sqlite")
    migrate_sqlite(path)
    clock = RealClock()
    net = Net()
    logged: list[tuple[str, dict[str, object]]] = []
    mails: list[Mail] = []
    tasks: set[asyncio.Task[None]] = set()

    async def take_mail(mail: Mail) -> None:
        mails.append(mail)

    async def compute(function: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(function)

    def spawn(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def log(event: str, **fields: object) -> None:
        logged.append((event, fields))

    world = World(
        clock, SystemEntropy(), net, take_mail, log, random_source(1), compute, asyncio.sleep, spawn, environment
    )
    secrets = Secrets.derive(b"x" * 32)
    database = SqliteDatabase(path)
    channels = {} if environment == "production" else {"*": SimulatedChannel(bank_url, secrets.bank)}
    platform = Platform(world, database, secrets, PlatformSettings(base_url, environment, 4), channels)
    await platform.start()
    try:
        await furnish(platform)
        yield House(platform, world, clock, net, logged, mails, _credentials("MD5"))
    finally:
        await asyncio.gather(*tasks, return_exceptions=True)
        await platform.stop()
        await database.close()


async def furnish(platform: Platform) -> None:
    """One approved merchant with an MD5 key, one buyer with 10,000 yuan."""
    zero = Instant(0)
    await platform.submit(
        RegisterMerchant(
            Merchant(
                MERCHANT, "测试商店", "applied", "test", "seller@example.com", '["instant","escrow","dual"]',
                f'["{PROTOCOL}"]', "[]", NOTIFY, RETURN, 90, 60, 1, 0, False, "{}", "", "", zero, 0,
            ),
            "op1",
        )
    )  # fmt: skip
    await platform.submit(ChangeMerchant(MERCHANT, "approved", "op2", "ok"))
    await put_key(platform, "md5-1", "MD5", "both", SECRET.encode())
    buyer = Buyer(
        BUYER, "buyer@example.com", "member", "active", "买家", "zh", hash_password("login123", b"s" * 16, 4),
        hash_password("741852", b"s" * 16, 4, platform.secrets.pepper), 0, zero, 0, zero, zero,
    )  # fmt: skip
    await platform.submit(RegisterBuyer(buyer))
    await platform.submit(TopUp(BUYER, 1_000_000, "CNY", "ICBC", "t1", "op1"))


async def put_key(
    platform: Platform, key_id: str, algorithm: str, use: str, material: bytes, protocol: str = PROTOCOL
) -> None:
    """A key of the merchant's, in its envelope."""
    envelope = platform.vault.close(material, MERCHANT, protocol, key_id)
    zero = Instant(0)
    key = MerchantKey(MERCHANT, protocol, key_id, 0, algorithm, use, envelope, "active", zero, zero)
    await platform.submit(PutKey(key, "op1"))
    platform.rings.forget()


def new_rsa() -> tuple[RSAPrivateKey, bytes]:
    """A private key and the PEM of its public half."""
    key = generate_private_key(65_537, 2_048)
    return key, public_pem(key.public_key()).encode("ascii")


@asynccontextmanager
async def listening(*apps: Application) -> AsyncIterator[list[Address]]:
    """Real servers on loopback ports, one for each application."""
    stop, ready = asyncio.Event(), asyncio.Event()
    found: list[Address] = []

    def on_ready(addresses: Sequence[Address]) -> None:
        found.extend(addresses)
        ready.set()

    def log(event: str, **fields: object) -> None:
        raise AssertionError(event, fields)

    listeners = [Listener("127.0.0.1", 0, app) for app in apps]
    task = asyncio.create_task(serve(listeners, on_ready, stop, log=log, own_process=False, drain_seconds=2))
    await asyncio.wait((asyncio.create_task(ready.wait()), task), return_when=asyncio.FIRST_COMPLETED)
    try:
        yield found
    finally:
        stop.set()
        await task


async def speak(address: Address, data: bytes) -> bytes:
    """Write bytes to a socket and read until the server closes."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(data)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return answer


def run(make: Callable[[], Awaitable[None]]) -> None:
    """Run one test's coroutine to its end."""

    async def main() -> None:
        await make()

    asyncio.run(main())
