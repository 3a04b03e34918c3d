"""The strict shape of every signed field, and which cuts of the glued strings are legal (T10).

A sum has two decimals and an order number no dot, so the first dot of a string marks the sum's end; where the number
ends and the sum begins, nothing marks. The two memos have no border at all and are read as one text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.protocols.cncard import messages as m
from tongbao.protocols.cncard.codec import Fields
from tongbao.wire.split import Shape, check_split, list_splits, sample_pattern, shape, word

_ORDER: Final = r"[0-9A-Za-z_-]{1,50}"
_SUM: Final = r"(?:0|[1-9][0-9]{0,10})?\.[0-9]{2}"
_POSITIVE: Final = rf"(?!0?\.00\Z){_SUM}"
_DATE: Final = r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"

OWN_SAMPLE: Final = "0" * 24
"""Numbers of 24 digits, as Tongbao's own shop makes them, have one length: they show where they end."""
_OWN: Final = re.compile(sample_pattern(OWN_SAMPLE), re.ASCII)


def is_order(text: str) -> bool:
    """Whether this can be an order number: letters, digits, ``_`` and ``-``, at most 50."""
    return re.fullmatch(_ORDER, text, re.ASCII) is not None


def is_date(text: str) -> bool:
    """Whether this is yyyymmdd."""
    return re.fullmatch(_DATE, text, re.ASCII) is not None


def date_in(number: str) -> str:
    """The date with which an order number begins, '' where it begins with none."""
    return number[:8] if is_date(number[:8]) else ""


def result_shapes(merchant: str, order: str) -> tuple[Shape, ...]:
    """Shapes of a result, in the order of signing; both memos are the last one."""
    return (
        word("c_mid", merchant),
        shape("c_order", order, 50),
        shape("c_orderamount", _POSITIVE, 14),
        shape("c_ymd", _DATE, 8),
        shape("c_transnum", "[0-9]{1,40}", 40),
        word("c_succmark", *m.RESULT_STATES),
        word("c_moneytype", "0"),
        shape("c_memo1", ".+", 1_000, optional=True),
    )


def answer_shapes(merchant: str, order: str) -> tuple[Shape, ...]:
    """Shapes of the answer to a query about ``order``."""
    return (
        word("c_mid", merchant),
        word("c_order", order),
        shape("c_orderamount", _SUM, 14),
        shape("c_ymd", _DATE, 8),
        word("c_succmark", m.NO_ORDER, *m.ANSWER_STATES),
        word("c_moneytype", "0"),
        shape("c_memo1", ".+", 1_000, optional=True),
    )


def _values(fields: Fields, shapes: Sequence[Shape]) -> tuple[str, ...]:
    memos = "".join([fields.get(name, "") for name in m.MEMOS])
    return (*[fields.get(one.name, "") for one in shapes[:-1]], memos)


def check_result(fields: Fields, merchant: str, sample: str) -> None:
    """Refuse a result with a field out of shape, or whose string has a second reading. ``sample`` is one of the shop's
    numbers, '' where their shape is not known; with it, or where the number is of 24 digits, only numbers of that one
    shape count."""
    pattern = sample_pattern(sample or OWN_SAMPLE)
    if not sample and _OWN.fullmatch(fields.get("c_order", "")) is None:
        pattern = _ORDER
    shapes = result_shapes(merchant, pattern)
    check_split(_values(fields, shapes), shapes)


def check_answer(fields: Fields, merchant: str, order: str) -> None:
    """The same for the answer to a query about ``order``, whose number is known."""
    shapes = answer_shapes(merchant, order)
    check_split(_values(fields, shapes), shapes)


def check_pay(fields: Fields) -> None:
    """Refuse a request whose number and sum together hold a number of 24 digits, while its own number is none.

    Other numbers could be cut elsewhere too; old shops sign nothing better, so the platform takes them.
    """
    number, amount = fields["c_order"], fields["c_orderamount"]
    if _OWN.fullmatch(number) is not None:
        return
    shapes = (shape("c_order", sample_pattern(OWN_SAMPLE), 24), shape("c_orderamount", _POSITIVE, 14))
    if any(list_splits(number + amount, shapes)):
        raise RemoteProtocolError("c_order", "the same signature covers another c_orderamount", "AMBIGUOUS_SPLIT")
