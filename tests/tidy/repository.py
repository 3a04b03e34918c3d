"""The rules about any file of the repository: nothing secret, nothing about where it was made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tests.tidy.source import Finding

# Written so that this file does not find itself.
_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\n|\s|[\"'])*(?=[A-Za-z0-9+/]{40})")
_HOST: Final = re.compile(
    r"pypi\.org|python(?:hosted)|npmjs\.(?:org|com)|npm(?:mirror)|proxy\.golang\.org|crates\.io\b"
    r"|deb\.debian\.org|maven\.org|tuna\.tsinghua"
)
_PATH: Final = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work/(?:main|shared))/|C:\\Users\\")
_TEXT_MAX: Final = 4_000_000


def find_private_key(path: str, text: str) -> Iterator[Finding]:
    """A private key may stand only in a file called throwaway, or among the vectors of a protocol."""
    where = PurePosixPath(path)
    if "throwaway" in where.name or "vectors" in where.parts[:-1]:
        return
    for found in _KEY.finditer(text):
        yield _finding(path, text, found, "a private key: make it in the test, or call the file *throwaway*")


def find_origin(path: str, text: str) -> Iterator[Finding]:
    """No package index and no folder of somebody's machine is named."""
    for pattern, what in ((_HOST, "a package index's host"), (_PATH, "a path of one machine")):
        for found in pattern.finditer(text):
            yield _finding(path, text, found, f"{found[0]} is {what}: leave it out")


def read_text(data: bytes) -> str:
    """The text of a file, whatever its encoding; empty for binary and for very long ones."""
    return "" if b"\0" in data[:8192] or len(data) > _TEXT_MAX else data.decode("utf-8", "replace")


def _finding(path: str, text: str, found: re.Match[str], message: str) -> Finding:
    return Finding(path, text.count("\n", 0, found.start()) + 1, message)
