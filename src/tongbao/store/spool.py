"""Files that are made once and read often: bills. A folder of finished files, each whole or not there (F05)."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

CHUNK: Final = 65_536
KEPT: Final = 200
"""Finished files that are kept; the one that was made first goes first. Whatever is gone is made again."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A finished file: where it is, its length in bytes, its SHA-1 in hex (what protocols tell of bills)."""

    path: Path
    length: int
    digest: str

    def chunks(self) -> Iterator[bytes]:
        """The file in pieces of 64 KiB."""
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


class Draft:
    """Rows on their way into a file: written as they come, read back in order, gone when the draft is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, rows: Iterable[Any]) -> None:
        """Rows of JSON values."""
        self._file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)

    def rows(self) -> Iterator[Any]:
        """All rows that were added."""
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)

    def close(self) -> None:
        """Throw the rows away."""
        self._file.close()


class Spool:
    """Finished files by name in ``folder``, or in a folder that goes with the process for ''."""

    def __init__(self, folder: str = "") -> None:
        self._given = folder
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._digests: dict[str, str] = {}

    @property
    def _folder(self) -> Path:
        """The folder, made when it is first needed."""
        if not self._given and self._own is None:
            self._own = tempfile.TemporaryDirectory(prefix="tongbao-spool-", ignore_cleanup_errors=True)
        folder = Path(self._own.name if self._own else self._given)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def draft(self) -> Draft:
        """An empty draft beside the finished files."""
        return Draft(tempfile.TemporaryFile(dir=self._folder))

    def find(self, name: str) -> Spooled | None:
        """The finished file of that name, or None."""
        path = self._path(name)
        try:
            length = path.stat().st_size
        except FileNotFoundError:
            return None
        if name not in self._digests:
            spooled = Spooled(path, length, "")
            digest = hashlib.sha1(usedforsecurity=False)
            for chunk in spooled.chunks():
                digest.update(chunk)
            self._digests[name] = digest.hexdigest()
        return Spooled(path, length, self._digests[name])

    def make(self, name: str, write: Callable[[], Iterable[bytes]]) -> Spooled:
        """The file that ``write`` gives, beside its place first and then renamed into it: readers see all or
        nothing."""
        digest = hashlib.sha1(usedforsecurity=False)
        descriptor, fresh = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in write():
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(fresh).replace(self._path(name))
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise
        self._digests[name] = digest.hexdigest()
        self._forget()
        return Spooled(self._path(name), self._path(name).stat().st_size, self._digests[name])

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.bill"

    def _forget(self) -> None:
        files = sorted(self._folder.glob("*.bill"), key=lambda path: path.stat().st_mtime_ns)
        for path in files[:-KEPT]:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder where it was our own."""
        if self._own is not None:
            self._own.cleanup()
