"""Opening a platform for the commands that run or operate a real one: settings, database, secrets, World."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.clock import RealClock
from tongbao.runtime.environment import read_settings
from tongbao.runtime.lock import hold_lock
from tongbao.runtime.log import JsonLog
from tongbao.runtime.mail import SmtpMailer, SmtpSettings
from tongbao.runtime.world import build_world
from tongbao.service.password import COST_PRODUCTION, COST_SANDBOX
from tongbao.service.platform import Platform, PlatformSettings, Secrets
from tongbao.store.migrate import pending
from tongbao.store.postgresql import PostgresqlDatabase
from tongbao.store.sqlite import SqliteDatabase
from tongbao.store.step import Database
from tongbao.wire.address import AddressPolicy
from tongbao.wire.http import split_url


@dataclass(frozen=True, slots=True)
class OpenSettings:
    """What a platform is opened with; names as in the settings file (``tongbao.toml``) or, in capitals after
    ``TONGBAO_``, in the environment."""

    database: str
    base_url: str
    secret: bytes
    environment: str
    host: str
    port: int
    lane: int
    log_level: str
    crypto_mb: str

    @property
    def is_postgresql(self) -> bool:
        """Whether ``database`` names a server rather than a file."""
        return self.database.startswith(("postgresql://", "postgres://"))

    def __repr__(self) -> str:
        return f"OpenSettings({self.environment}, {self.base_url})"


def read(path: Path | None, environ: Mapping[str, str]) -> OpenSettings:
    """Settings from a file and the environment. Raises ConfigurationError naming the setting."""
    said = read_settings(path, environ)
    environment = said.get("environment", "production")
    secret = said.get("secret", "")
    try:
        root = bytes.fromhex(secret)
    except ValueError as error:
        raise ConfigurationError("secret", "is not hexadecimal") from error
    if len(root) < 32 or len(set(root)) < 8:
        raise ConfigurationError(
            "secret",
            "is 64 or more random hexadecimal digits: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    base_url = said.get("base_url", "").rstrip("/")
    try:
        scheme, _, path_bytes, _ = split_url(base_url)
    except ValueError as error:
        raise ConfigurationError("base_url", str(error)) from error
    if environment == "production" and scheme != "https":
        raise ConfigurationError("base_url", "is https in production")
    if path_bytes not in (b"/", b""):
        raise ConfigurationError("base_url", "has no path")
    if not said.get("database"):
        raise ConfigurationError("database", "is a file or a postgresql:// address")
    return OpenSettings(
        said["database"],
        base_url,
        root,
        environment,
        said.get("host", "127.0.0.1"),
        _number(said, "port", 8600),
        _number(said, "lane", 0),
        said.get("log_level", "info"),
        said.get("crypto_mb", ""),
    )


def _number(said: Mapping[str, str], name: str, default: int) -> int:
    text = said.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError(name, "is not a whole number")
    return int(text)


def _mailer(environ: Mapping[str, str], path: Path | None) -> SmtpMailer:
    said = read_settings(path, environ)
    return SmtpMailer(SmtpSettings(host=said.get("smtp.host", said.get("smtp_host", "localhost"))))


def _expect_file(database: Path) -> None:
    """Reading creates no file. Raises ConfigurationError."""
    if not database.is_file():
        raise ConfigurationError("database", "has no tables yet: run tongbao migrate")


async def open_database(settings: OpenSettings, stack: AsyncExitStack, *, writing: bool = True) -> Database:
    """The database, up to date and ours to write, or only to read beside the one who writes (no lock). Raises
    ConfigurationError."""
    database: SqliteDatabase | PostgresqlDatabase
    if settings.is_postgresql:
        database = PostgresqlDatabase(settings.database)
        await database.open()
    else:
        if writing:
            stack.enter_context(hold_lock(Path(settings.database)))
        else:
            _expect_file(Path(settings.database))
        database = SqliteDatabase(settings.database)
    stack.push_async_callback(database.close)
    try:
        rows = await database.read("migration.last")
    except Exception as error:
        raise ConfigurationError("database", "has no tables yet: run tongbao migrate") from error
    if pending(set(range(1, int(rows[0][0] or 0) + 1))):
        raise ConfigurationError("database", "is of an older version: run tongbao migrate")
    return database


@asynccontextmanager
async def open_platform(
    path: Path | None, environ: Mapping[str, str], *, lane_offset: int = 0
) -> AsyncIterator[tuple[Platform, OpenSettings]]:
    """A started platform while the block runs. Commands beside a running server take a lane of their own."""
    settings = read(path, environ)
    async with AsyncExitStack() as stack:
        clock = RealClock()
        sandbox = settings.environment != "production"
        policy = AddressPolicy.sandbox() if sandbox else AddressPolicy.production()
        mailer = _mailer(environ, path)
        stack.callback(mailer.close)
        world = build_world(
            settings.environment,
            policy=policy,
            mail=mailer,
            log=JsonLog(sys.stderr, clock, settings.log_level),
            clock=clock,
            crypto_mb=settings.crypto_mb,
        )
        stack.push_async_callback(world.close)
        database = await open_database(settings, stack)
        cost = COST_SANDBOX if settings.environment == "test" else COST_PRODUCTION
        platform = Platform(
            world,
            database,
            Secrets.derive(settings.secret),
            PlatformSettings(
                settings.base_url,
                settings.environment,
                cost,
                settings.lane + lane_offset,
                f"{os.uname().nodename}:{lane_offset}",
                embedded=not settings.is_postgresql,
            ),
            {},
        )
        await platform.start()
        stack.push_async_callback(platform.stop)
        yield platform, settings
