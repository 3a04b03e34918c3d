"""The strict shape of every signed field, and which cuts of the glued strings are legal (T10).

``CNY`` marks a border by its letters. The old ``0`` for yuan does not: beside it a sum must have two decimals. Only
paid and failed are told unasked, so that a status is two digits; the order number still runs into it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.protocols.chinabank import messages as m
from tongbao.protocols.chinabank.codec import Fields
from tongbao.wire.split import Shape, check_alone, check_shapes, list_splits, sample_pattern, shape, word

_ORDER: Final = r"[A-Za-z0-9_\-#$():;,.]{1,64}"
_SUM: Final = r"(?:0|[1-9][0-9]{0,10})(?:\.[0-9]{1,2})?"
_POSITIVE: Final = rf"(?!0(?:\.0{{1,2}})?\Z){_SUM}"
_WHOLE_CENTS: Final = re.compile(r"(?:0|[1-9][0-9]{0,10})\.[0-9]{2}", re.ASCII)

OWN_SAMPLE: Final = "0" * 24
"""Numbers of 24 digits, as Tongbao's own shop makes them, have one length: they show where they end."""


def is_order(text: str) -> bool:
    """Whether this can be an order number: letters, digits and ``_-#$():;,.``, at most 64."""
    return re.fullmatch(_ORDER, text, re.ASCII) is not None


def pay_shapes(merchant: str) -> tuple[Shape, ...]:
    """Shapes of a request of this merchant, in the order of signing."""
    return (
        shape("v_amount", _POSITIVE, 14),
        word("v_moneytype", "CNY", "0"),
        shape("v_oid", _ORDER, 64),
        word("v_mid", merchant),
        shape("v_url", r"https?://[!-~]+", 200, optional=True),
    )


def result_shapes(order: str = _ORDER) -> tuple[Shape, ...]:
    """Shapes of a return or a notice, in the order of signing; ``order`` is the pattern of the shop's numbers."""
    return (
        shape("v_oid", order, 64),
        word("v_pstatus", *m.RESULT_STATES),
        shape("v_amount", _POSITIVE, 14),
        word("v_moneytype", "CNY", "0"),
    )


def answer_shapes(order: str) -> tuple[Shape, ...]:
    """Shapes of the answer to a query about ``order``: the number is known, and no status begins another."""
    return (
        word("v_oid", order),
        word("v_pstatus", m.NO_ORDER, *m.ANSWER_STATES),
        shape("v_amount", _SUM, 14),
        word("v_moneytype", "CNY", "0"),
    )


def _is_legal(fields: Fields) -> bool:
    return fields["v_moneytype"] != "0" or _WHOLE_CENTS.fullmatch(fields["v_amount"]) is not None


def _check(fields: Fields, shapes: Sequence[Shape]) -> None:
    names = [one.name for one in shapes]
    own = tuple([fields.get(name, "") for name in names])
    check_shapes(own, shapes)
    if not _is_legal(fields):
        raise RemoteProtocolError("v_amount", "beside 0 for yuan it needs two decimals", "AMBIGUOUS_SPLIT")
    legal = (split for split in list_splits("".join(own), shapes) if _is_legal(dict(zip(names, split, strict=True))))
    check_alone(own, legal, shapes)


def check_pay(fields: Fields, merchant: str) -> None:
    """Refuse a request with a field out of shape, or whose string has a second reading."""
    _check(fields, pay_shapes(merchant))


def check_answer(fields: Fields, order: str) -> None:
    """The same for the answer to a query about ``order``."""
    _check(fields, answer_shapes(order))


def check_result(fields: Fields, sample: str) -> None:
    """The same for a return or notice. ``sample`` is one of the shop's numbers, '' where their shape is not known;
    with it, or where the number is of 24 digits, only numbers of that one shape count."""
    pattern = sample_pattern(sample or OWN_SAMPLE)
    if not sample and re.fullmatch(pattern, fields.get("v_oid", ""), re.ASCII) is None:
        pattern = _ORDER
    _check(fields, result_shapes(pattern))
