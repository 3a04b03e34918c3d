"""What must not be read in a log: keys, signatures, passwords, card numbers, whole phone numbers and mail addresses.

By field name first, then by pattern within every text, since secrets hide in addresses, forms and exceptions (T65).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

GONE: Final = "[redacted]"
TEXT_MAX: Final = 8_192
DEPTH_MAX: Final = 6
ITEMS_MAX: Final = 200

_SECRET: Final = (
    "key|sign|signature|hmac|secret|password|passwd|passphrase|pwd|token|authorization|cookie|credential|credentials"
    "|cvv|cvv2|cvc|pin|otp|certificate|private|canonical|ciphertext"
)
_SECRET_NAME: Final = re.compile(
    rf"(?:.*[_.-])?(?:{_SECRET})s?(?:[_.-](?:value|text|pem|hex|base64|string|input|data|hash|salt|msg))*"
    r"|.*(?:password|passwd|secret)|string_to_sign|to_sign|appkey|apikey|md5key|apiv3key",
)
_PHONE_NAME: Final = re.compile(r"(?:.*_)?(?:phone|mobile|tel|telephone)(?:_(?:no|number))?")
_CARD_NAME: Final = re.compile(r"(?:.*_)?(?:card|pan|bank_account|id_card)(?:_(?:no|num|number|id))?")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_PEM: Final = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_LABEL: Final = (
    r"(?:[\w.-]{0,40}(?:password|passwd|secret|token|hmac|signature|cookie|pwd)|(?:[a-z0-9]{1,20}_){0,6}(?:sign|key|pin|cvv2?)|appkey"
    r"|apikey|wechatpay-signature|authorization)"
)
_PAIR: Final = re.compile(rf"(?<![\w%-])({_LABEL})(=)([^&\s\"'<>;,]+)", re.IGNORECASE)
_ESCAPED_PAIR: Final = re.compile(
    rf"(?:(?<![\w-])|(?<=%26)|(?<=%3F))({_LABEL})(%3D)((?:(?!%26)[^&\s\"'<>;,])+)", re.IGNORECASE
)
_QUOTED: Final = re.compile(
    rf"([\"']?{_LABEL}[\"']?\s*(?:=|:)\s*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')", re.IGNORECASE
)
_ELEMENT: Final = re.compile(rf"(<({_LABEL})(?:\s[^>]*)?>)(.*?)(</\2>)", re.IGNORECASE | re.DOTALL)
# by the end of a header's name: what stands before it stays, however long it is, and costs nothing to look at
_HEADER: Final = re.compile(r"((?:authorization|cookie|-signature|token)\s*:\s)([^\r\n]+)", re.IGNORECASE)
_LONG: Final = re.compile(r"[A-Za-z0-9+/_-]{100,}={0,2}")
_DIGITS: Final = re.compile(r"(?<![\dA-Za-z])[3-6]\d(?:[ -]?\d){11,17}(?![\dA-Za-z])")
_MOBILE: Final = re.compile(r"(?<![\dA-Za-z])(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?(\d{4})(?![\dA-Za-z])")
_MAIL: Final = re.compile(r"\b([A-Za-z0-9])[A-Za-z0-9._%+-]*((?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")


def redact(fields: Mapping[str, object]) -> dict[str, object]:
    """The same fields, fit to be written: only texts, numbers, booleans, None, lists and mappings remain."""
    return {name: _value(name, value, 0) for name, value in fields.items()}


def redact_text(text: str) -> str:
    """A text without what the patterns know as secret; at most 8,192 characters of it."""
    if len(text) > TEXT_MAX:
        text = f"{text[:TEXT_MAX]}... ({len(text)} characters)"
    text = _PEM.sub("[redacted PEM]", text)
    text = _HEADER.sub(rf"\1{GONE}", text)
    text = _QUOTED.sub(lambda found: f"{found[1]}{found[2][0]}{GONE}{found[2][0]}", text)
    text = _ELEMENT.sub(rf"\1{GONE}\4", text)
    text = _PAIR.sub(rf"\1\2{GONE}", text)
    text = _ESCAPED_PAIR.sub(rf"\1\2{GONE}", text)
    text = _LONG.sub(lambda found: f"[redacted {len(found[0])} characters]", text)
    text = _DIGITS.sub(_card, text)
    text = _MOBILE.sub(r"*******\1", text)
    return _MAIL.sub(r"\1***\2", text)


def _card(found: re.Match[str]) -> str:
    digits = [int(letter) for letter in found[0] if letter.isdigit()]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    if (sum(digits[-1::-2]) + sum(doubled)) % 10:
        return found[0]
    return f"****{''.join(str(digit) for digit in digits[-4:])}"


def _tail(value: object) -> str:
    digits = re.sub(r"\D", "", str(value))
    return f"****{digits[-4:]}" if len(digits) > 4 else GONE


def _value(name: str, value: object, depth: int) -> object:
    small = _CAMEL.sub("_", name[:200]).lower()
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAME.fullmatch(small):
        return GONE
    if _PHONE_NAME.fullmatch(small) or _CARD_NAME.fullmatch(small):
        return _tail(value)
    return _plain(value, depth)


def _plain(value: object, depth: int) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, int):
        text = str(value)
        clean = redact_text(text)
        return value if clean == text else clean
    if isinstance(value, float):
        return value
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value[: TEXT_MAX + 1]).decode("latin-1"))
    if depth >= DEPTH_MAX:
        return "..."
    if isinstance(value, Mapping):
        pairs = list(value.items())[:ITEMS_MAX]
        return {redact_text(str(name)): _value(str(name), item, depth + 1) for name, item in pairs}
    if isinstance(value, Sequence | set | frozenset):
        return [_item(item, depth + 1) for item in list(value)[:ITEMS_MAX]]
    return redact_text(f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else repr(value))


def _item(value: object, depth: int) -> object:
    """One of a list; a pair of texts is a name and a value, as headers and forms are."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str | bytes):
        name = value[0] if isinstance(value[0], str) else value[0].decode("latin-1")
        return [redact_text(name), None if value[1] is None else _value(name.replace("-", "_"), value[1], depth)]
    return None if value is None else value if isinstance(value, bool) else _plain(value, depth)
