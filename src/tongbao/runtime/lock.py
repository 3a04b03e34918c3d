"""One writing process per SQLite file: the second is refused and told who is first."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tongbao.kernel.error import ConfigurationError


@contextmanager
def hold_lock(database: Path) -> Iterator[None]:
    """Hold ``<database>.lock`` while the block runs. Raises ConfigurationError naming the process that holds it.

    The lock is the operating system's (``flock``): it ends with the process, however that ends, and the file that
    stays behind means nothing. It does not reach over network file systems; SQLite does not belong there either."""
    path = database.with_name(database.name + ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError("database", f"{path} cannot be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise ConfigurationError("database", f"{database} is being written by process {holder}") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)
