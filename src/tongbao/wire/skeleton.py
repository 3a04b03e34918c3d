"""A first version of a protocol folder: it speaks an invented little language, and says so wherever a fact is missing.

The invented language has one kind of trade, a query, a notification and a return, all of them forms signed with
HMAC-SHA256. It obeys the laws but for the facts: sources and vectors, which a person must find.
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol, Self

from tongbao.kernel.error import ConfigurationError
from tongbao.wire.template import FILES

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)


class Place(Protocol):
    """What is asked of a directory; ``pathlib.Path`` is one."""

    def __truediv__(self, name: str) -> Self: ...

    def exists(self) -> bool: ...

    def mkdir(self, *, parents: bool) -> None: ...

    def write_text(self, data: str, *, encoding: str) -> Any: ...


def skeleton_files(name: str) -> dict[str, str]:
    """File name -> text of a new folder. Raises ConfigurationError for a name that is none for a Python package."""
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError("name", "is not lower-case letters and digits, words joined by _")
    host = name.replace("_", "-")
    return {file: text.replace("@NAME@", name).replace("@HOST@", host) for file, text in FILES.items()}


def write_skeleton(root: Place, name: str) -> list[str]:
    """Write a new folder below ``root``, the place of ``tongbao.protocols``, and return the names of its files.

    For ``tongbao protocol new`` alone. Raises ConfigurationError when the name is no name or the folder exists.
    """
    files = skeleton_files(name)
    folder = root / name
    if folder.exists():
        raise ConfigurationError("name", f"{folder} exists already")
    (folder / "vectors").mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return list(files)
