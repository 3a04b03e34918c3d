"""Keys and certificates among a merchant's settings: in themselves, or as the path of the file that holds them.

Nothing here raises: an error that is told from within another keeps that one, and what it holds, within reach (T01).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Final

KINDS: Final = frozenset(("private_key", "public_key", "certificate"))
"""Kinds of settings that may be named by a path."""
PATH_MAX: Final = 1_024
"""Characters of a path to a key or certificate; what is longer is taken for the key in itself."""
_BOM: Final = "\ufeff"
_DER: Final = re.compile(r"\s*M[A-P][A-Za-z0-9+/\s]{100}", re.ASCII)
"""How every key and certificate begins in base64, RSA or not (DER: a sequence)."""


def read_key(value: str) -> tuple[str, str]:
    """The text of a key or certificate, and what is wrong where there is none to be had. A path is relative to the
    process's working directory; ``~`` is its user's home."""
    if not _names_file(value):
        return _plain(value), ""
    raw, wrong = _read(value)
    if wrong:
        return "", f"is neither a key nor the path of a file that can be read: {wrong}"
    if not raw.isascii():
        return "", "is the path of a file that holds neither PEM nor base64"
    return _plain(raw.decode("ascii")), ""


def read_text(path: str) -> tuple[str, str]:
    """What stands in a file, without the mark of its encoding, and what is wrong where it cannot be read."""
    raw, wrong = _read(path)
    try:
        return raw.decode("utf-8"), wrong
    except UnicodeDecodeError:
        return "", "it is no text in UTF-8"


def _read(path: str) -> tuple[bytes, str]:
    try:
        return Path(path).expanduser().read_bytes().removeprefix(BOM_UTF8), ""
    except OSError as error:
        return b"", error.strerror or "it cannot be opened"
    except (ValueError, RuntimeError):  # a path with a zero in it, a home that nobody has
        return b"", "no path at all"


def _names_file(value: str) -> bool:
    if not value.strip() or len(value) > PATH_MAX or "\n" in value:
        return False
    return "-----BEGIN" not in value and _DER.match(value.removeprefix(_BOM)) is None


def _plain(text: str) -> str:
    r"""A key's text without the mark of an encoding, and with line ends where an environment or a JSON file that was
    written by hand had to say ``\n``: no key has a backslash."""
    text = text.removeprefix(_BOM)
    if "-----BEGIN" in text and "\\" in text:
        return text.replace("\\r\\n", "\n").replace("\\n", "\n")
    return text
