"""The strict JSON reader (threats T17): UTF-8 text to plain values, with nothing that two readers could see two ways.

No name twice in an object, no NaN, no number with a fraction or exponent as a float: such numbers stay the text that
was written (``Decimals``), so that money is never rounded on its way in.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from tongbao.kernel.error import RemoteProtocolError

DEPTH: Final = 16
DIGITS: Final = 18


class Decimals(str):
    """A number with a fraction or exponent, as it was written."""

    __slots__ = ()


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS:
        raise ValueError("a number has more than 18 digits")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return read


_READER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Decimals, parse_int=_integer, parse_constant=_constant
)


def _check_depth(text: str, depth: int) -> None:
    level = deepest = 0
    quoted = escaped = False
    for sign in text:
        if quoted:
            if escaped:
                escaped = False
            elif sign == "\\":
                escaped = True
            elif sign == '"':
                quoted = False
        elif sign == '"':
            quoted = True
        elif sign in "[{":
            level += 1
            deepest = max(deepest, level)
        elif sign in "]}":
            level -= 1
    if deepest > depth:
        raise ValueError(f"nested deeper than {depth}")


def read_json(text: str | bytes, field: str = "", *, depth: int = DEPTH) -> Any:
    """The value of a JSON text. Integers are int, other numbers ``Decimals``. Raises RemoteProtocolError MALFORMED
    naming ``field``, BAD_CHARSET for bytes that are not UTF-8."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RemoteProtocolError(field, "bytes are not utf-8", "BAD_CHARSET") from error
    try:
        # counting the openers costs little; only a text that could be too deep is walked sign by sign
        if text.count("{") + text.count("[") > depth:
            _check_depth(text, depth)
        return _READER.decode(text)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(field, f"is no JSON that can be read: {str(error)[:80]}", "MALFORMED") from error


def read_object(text: str | bytes, field: str = "", *, depth: int = DEPTH) -> dict[str, Any]:
    """The same where only an object will do."""
    value = read_json(text, field, depth=depth)
    if not isinstance(value, dict):
        raise RemoteProtocolError(field, "is no JSON object", "MALFORMED")
    return value


def write_json(value: Any) -> str:
    """Compact JSON with every character as itself. Values that JSON lacks are a mistake of the caller."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
