"""A few idle connections, kept for the next transaction: for shops whose framework has no pool of its own."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any


class ConnectionPool:
    """``Database(dialect, pool.take, pool.give)``. Never waits: where none is idle a new one is opened, and at most
    ``keep`` are kept. A sqlite3 connection needs ``check_same_thread=False``; it is used by one thread at a time."""

    def __init__(self, connect: Callable[[], Any], keep: int = 8) -> None:
        self._connect = connect
        self._keep = keep
        self._idle: list[Any] = []
        self._lock = Lock()

    def take(self) -> Any:
        """An idle connection that still answers, the most recent first, or a new one."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect()
            if _usable(connection, ask=True):
                return connection
            _close(connection)

    def give(self, connection: Any) -> None:
        """Keep it, or close it where it is broken or enough are idle."""
        if _usable(connection, ask=False):
            with self._lock:
                if len(self._idle) < self._keep:
                    self._idle.append(connection)
                    return
        _close(connection)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            _close(connection)


def _usable(connection: Any, *, ask: bool) -> bool:
    """psycopg says ``closed`` and ``broken``, PyMySQL says ``open`` and answers ``ping``; sqlite3 says nothing."""
    if getattr(connection, "closed", False) or getattr(connection, "broken", False):
        return False
    if getattr(connection, "open", True) is False:
        return False
    ping = getattr(connection, "ping", None)
    if ask and callable(ping):
        try:
            ping(reconnect=False)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, another is opened
            return False
    return True


def _close(connection: Any) -> None:
    try:
        connection.close()
    except Exception:  # noqa: BLE001 - it is given up anyway
        return
