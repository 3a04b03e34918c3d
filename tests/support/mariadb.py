"""A real MariaDB from the host's binaries, in a temporary folder on a loopback port."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

from tests.support.missing import missing
from tests.support.process import Account, Process, find_account, find_port, make_folder, remove_folder, run

_SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/usr/libexec"])


@dataclass(frozen=True, slots=True)
class MariaDB:
    """How to reach one database: by ``host`` and ``port``, or by the unix ``socket``."""

    host: str
    port: int
    socket: str
    user: str
    password: str
    database: str = ""

    def connect(self) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """A new connection over TCP, with explicit transactions."""
        return pymysql.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, database=self.database or None
        )


def find_programs() -> tuple[str, str] | None:
    """The paths of mariadbd and mariadb-install-db; None unless both are there."""
    server = shutil.which("mariadbd", path=_SEARCH)
    install = shutil.which("mariadb-install-db", path=_SEARCH)
    return (server, install) if server and install else None


@contextmanager
def start() -> Iterator[MariaDB]:
    """Start a server with new, empty data; stop and delete it afterwards. LookupError if there are no programs."""
    programs = find_programs()
    if programs is None:
        raise LookupError("no MariaDB programs")
    server, install = programs
    account = find_account("mysql")
    folder = make_folder("tongbao-my-", account)
    try:
        data = f"--datadir={folder / 'data'}"
        options = ["--no-defaults", data, f"--user={account.name}", "--auth-root-authentication-method=normal"]
        run([install, *options, "--skip-test-db", "--skip-name-resolve"], account, folder)
        process, root = _start(server, folder, account)
        try:
            yield _create_user(root)
        finally:
            process.stop()
    finally:
        remove_folder(folder)


def _start(program: str, folder: Path, account: Account) -> tuple[Process, MariaDB]:
    """Start and wait until it answers; another port if somebody was faster."""
    log = ""
    for _ in range(5):
        root = MariaDB("127.0.0.1", find_port(), str(folder / "socket"), "root", "")
        command = [
            program,
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--socket={root.socket}",
            f"--port={root.port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={folder / 'pid'}",
            f"--tmpdir={folder}",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=32M",
        ]
        process = Process(command, account, folder, "TERM")
        if _wait(process, root):
            return process, root
        log = process.tail()
        process.stop()
    raise RuntimeError(f"MariaDB does not start:\n{log}")


def _wait(process: Process, root: MariaDB) -> bool:
    for _ in range(600):
        if not process.running:
            return False
        try:
            root.connect().close()
        except pymysql.err.OperationalError:
            time.sleep(0.1)
        else:
            return True
    return False


def _create_user(root: MariaDB) -> MariaDB:
    """An ordinary user that may do everything in the databases made for the tests, and nothing else."""
    user, password = "shop", secrets.token_hex(16)
    with root.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER %s@'127.0.0.1' IDENTIFIED BY %s", (user, password))
        cursor.execute("CREATE USER %s@'localhost' IDENTIFIED BY %s", (user, password))
        for host in ("127.0.0.1", "localhost"):
            cursor.execute("GRANT ALL ON `tongbao\\_%%`.* TO %s@%s", (user, host))
    return MariaDB(root.host, root.port, root.socket, user, password)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """The MariaDB server of this test process; its user may create databases named ``tongbao_...``."""
    if find_programs() is None:
        missing("MariaDB")
    with start() as server:
        yield server


@pytest.fixture
def mariadb(mariadb_server: MariaDB) -> Iterator[MariaDB]:
    """A fresh, empty MariaDB database."""
    database = f"tongbao_{secrets.token_hex(8)}"
    with mariadb_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{database}`")
    server = mariadb_server
    yield MariaDB(server.host, server.port, server.socket, server.user, server.password, database)
    with mariadb_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE `{database}`")
