"""Order strings: what a merchant's app hands over to the wallet's app (mobile.securitypay.pay).

``name="value"`` joined by ``&`` in the order of the merchant, nothing encoded; behind it ``sign``, percent-encoded
base64 of RSA with SHA-1 over exactly what stands before, and ``sign_type``. A value holds no quotation mark: a string
has one reading.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.alipay_mapi.codec import CODECS, LIMITS, RSA, Message, check_text, decode_fields, sign
from tongbao.wire.form import quote, unquote
from tongbao.wire.key import Key

ORDER: Final = (
    "service", "partner", "seller_id", "out_trade_no", "subject", "body", "total_fee", "notify_url", "payment_type",
    "_input_charset", "it_b_pay", "show_url", "return_url",
)  # fmt: skip
"""The order in which the official samples write the fields."""

_OPENING: Final = re.compile(rb'service="mobile\.securitypay\.pay"&')
_SIGNED: Final = re.compile(rb'(.+)&sign="([A-Za-z0-9%+/=]{1,1024})"&sign_type="([A-Z0-9]{1,8})"', re.DOTALL)
_PIECE: Final = re.compile(rb'([A-Za-z_][A-Za-z0-9_]{0,39})="([^"]*)"(&|$)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Order:
    """An order string taken apart: what is signed, the signature, and the message with its fields."""

    text: bytes
    signature: str
    message: Message


def is_order(raw: bytes) -> bool:
    """Whether bytes begin like an order string."""
    return _OPENING.match(raw) is not None


def read_order(raw: bytes) -> Order:
    """Take an order string apart. Raises RemoteProtocolError."""
    if len(raw) > LIMITS.size:
        raise RemoteProtocolError("", f"longer than {LIMITS.size} bytes", "TOO_LARGE")
    whole = _SIGNED.fullmatch(raw)
    if whole is None:
        raise RemoteProtocolError("sign", "is missing, or not at the end", "SIGN_MISSING")
    found: dict[bytes, bytes] = {}
    place = 0
    while place < len(whole[1]):
        piece = _PIECE.match(whole[1], place)
        if piece is None:
            raise RemoteProtocolError("", 'is not name="value" joined by &', "MALFORMED")
        if piece[1] in found:
            raise RemoteProtocolError(piece[1].decode("ascii"), "appears twice", "DUPLICATE_PARAM")
        found[piece[1]] = piece[2]
        place = piece.end()
    if whole[1].endswith(b"&"):
        raise RemoteProtocolError("", "ends with nothing behind &", "MALFORMED")
    charset = found.get(b"_input_charset", b"").decode("latin-1").lower()
    if charset not in CODECS:
        raise RemoteProtocolError("_input_charset", "is none of utf-8, gbk, gb2312", "BAD_CHARSET")
    fields = decode_fields(found, CODECS[charset])
    fields["sign_type"] = whole[3].decode("ascii")
    return Order(whole[1], unquote(whole[2]).decode("latin-1"), Message(found, fields, charset))


def write_order(fields: Mapping[str, str], codec: str, key: Key) -> bytes:
    """The signed order string. Raises LocalProtocolError: only RSA signs one."""
    if key.algorithm != RSA:
        raise LocalProtocolError("sign_type", "an order string is signed by RSA only", "SIGN_TYPE_NOT_ALLOWED")
    pieces = []
    for name in (*ORDER, *sorted(fields.keys() - set(ORDER))):
        value = fields.get(name, "")
        if not value:
            continue
        check_text(name, value)
        if '"' in value:
            raise LocalProtocolError(name, "holds a quotation mark", "FIELD_INVALID")
        pieces.append(f'{name}="{value}"')
    try:
        text = "&".join(pieces).encode(codec)
    except UnicodeEncodeError as error:
        raise LocalProtocolError("", f"holds characters that {codec} lacks", "BAD_CHARSET") from error
    return text + f'&sign="{quote(sign(text, key), "ascii")}"&sign_type="{RSA}"'.encode("ascii")
