"""A database server of our own: in a temporary folder, as an ordinary user, gone when the test process is gone."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_GUARD: Final = """
exec 3<&0
"$@" <&- 3<&- & server=$!
(read gone; : >gone; kill -s "$SIGNAL" $server) <&3 & guard=$!
exec 3<&-
wait $server; status=$?
kill $guard 2>/dev/null
if [ -e gone ]; then rm -rf "$PWD"; fi
exit $status
"""
"""Runs the server; stops it and deletes its folder when our end of the standard input closes, however we ended."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server: ourselves, or, when we are root, a user without rights (servers refuse to run as root)."""

    uid: int
    gid: int
    name: str

    @property
    def other(self) -> bool:
        """Whether this is somebody else than the running process."""
        return self.uid != os.geteuid()


def find_account(*names: str) -> Account:
    """The first existing user of ``names`` when we are root, else ourselves."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in (*names, "nobody"):
        if name in known:
            return Account(known[name].pw_uid, known[name].pw_gid, name)
    raise LookupError("root, and no user to run a server as")


def make_folder(prefix: str, account: Account) -> Path:
    """A new private folder that ``account`` owns and can reach, with a path short enough for a unix socket."""
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if len(parent) < 60 and is_reachable(Path(parent), account):
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            if account.other:
                os.chown(folder, account.uid, account.gid)
            return folder
    raise OSError("no temporary folder that a server can use")


def is_reachable(path: Path, account: Account) -> bool:
    """Whether ``account`` may enter the folder ``path`` and every folder above it."""
    if not account.other:
        return os.access(path, os.X_OK)
    resolved = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents))


def remove_folder(folder: Path) -> None:
    """Delete a server's folder."""
    shutil.rmtree(folder, ignore_errors=True)


def find_port() -> int:
    """A TCP port that is free on the loopback address now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(command: Sequence[str | Path], account: Account, folder: Path) -> str:
    """Run a preparing command to its end as ``account``; RuntimeError with its output if it failed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        user=_other(account, account.uid),
        group=_other(account, account.gid),
        extra_groups=[] if account.other else None,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


class Process:
    """One running server. ``stop_signal`` is what makes it shut down at once but in order."""

    def __init__(self, command: Sequence[str | Path], account: Account, folder: Path, stop_signal: str) -> None:
        self.log = folder / "server.log"
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", *(str(part) for part in command)],
                cwd=folder,
                env={**_environment(folder), "SIGNAL": stop_signal},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=_other(account, account.uid),
                group=_other(account, account.gid),
                extra_groups=[] if account.other else None,
            )

    @property
    def running(self) -> bool:
        """Whether the server has not ended yet."""
        return self._guard.poll() is None

    def tail(self) -> str:
        """The end of what the server wrote."""
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """Shut the server down and wait for it; after half a minute it is killed."""
        if self._guard.stdin:
            self._guard.stdin.close()
        try:
            self._guard.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._guard.pid, 9)
            self._guard.wait()


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C"}


def _other(account: Account, number: int) -> int | None:
    """What subprocess wants as user or group: nothing, where it stays the same."""
    return number if account.other else None
