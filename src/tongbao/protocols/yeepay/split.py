"""Signed strings without borders (T10): the strict shape of every field; ``wire.split`` finds all ways to cut them.

The plain ``hmac`` covers values glued with nothing between, so digits may move from a number into the sum beside it
under one signature. The merchant's half therefore asks: is there a second legal way to cut this very string? If there
is, the message proves nothing and is refused. ``hmac_safe`` marks borders, but leaves out what is empty; what doubt
that leaves is asked for in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import Fields, Proof, glue, join
from tongbao.wire.split import Shape, Split, check_alone, check_shapes, list_splits, sample_pattern, shape, word

_MONEY: Final = r"(?:0|[1-9][0-9]{0,10})\.[0-9]{1,2}"
_TIME: Final = r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
_TRADE: Final = r"[0-9A-Za-z]{1,50}"
_CLOSED_TRADE: Final = r"[0-9]{10,49}[A-Z]"
_ORDER: Final = r"[0-9A-Za-z_-]{1,50}"
_MARK: Final = "#"


def is_order(text: str) -> bool:
    """Whether this can be a merchant's order number: letters, digits, ``_`` and ``-``, at most 50."""
    return re.fullmatch(_ORDER, text, re.ASCII) is not None


def callback_shapes(merchant: str, sample: str, *, marked: bool) -> tuple[Shape, ...]:
    """Shapes of a callback, in its order. ``sample`` is one of the shop's order numbers, '' where their shape is not
    known; without marks the platform's number must show by itself where it ends (digits, then one capital)."""
    return (
        word("p1_MerId", merchant),
        word("r0_Cmd", m.BUY),
        shape("r1_Code", "[0-9]", 1),
        shape("r2_TrxId", _TRADE if marked else _CLOSED_TRADE, 50),
        shape("r3_Amt", _MONEY, 14),
        word("r4_Cur", "RMB"),
        shape("r5_Pid", ".+", 60),
        shape("r6_Order", sample_pattern(sample) if sample and not marked else _ORDER, 50),
        shape("r7_Uid", "[0-9]+", 20, optional=True),
        shape("r8_MP", ".+", 200, optional=True),
        word("r9_BType", "1", "2"),
    )


def answer_shapes(order: str, *, new: bool, marked: bool) -> tuple[Shape, ...]:
    """Shapes of an answer to a query about ``order``: new ones say when the trade was made, and may say more."""
    kept = (
        word("r0_Cmd", m.QUERY),
        word("r1_Code", m.OK),
        shape("r2_TrxId", _TRADE if marked else _CLOSED_TRADE, 50),
        shape("r3_Amt", _MONEY, 14),
        word("r4_Cur", "RMB"),
        shape("r5_Pid", ".+", 60),
        word("r6_Order", order),
        shape("r8_MP", ".+", 200, optional=True),
    )
    added = (
        shape("rw_RefundRequestID", "(?!)", 0, optional=True),
        shape("rx_CreateTime", _TIME if new else "(?!)", 14, optional=not new),
        shape("ry_FinshTime", _TIME if new else "(?!)", 14, optional=True),
        shape("rz_RefundAmount", _MONEY if new else "(?!)", 14, optional=True),
    )
    return (
        *kept,
        *added,
        word("rb_PayStatus", *m.STATUS_WORDS),
        shape("rc_RefundCount", "0|[1-9][0-9]{0,3}", 4),
        shape("rd_RefundAmt", _MONEY, 14),
    )


def refund_shapes(trade_no: str) -> tuple[Shape, ...]:
    """Shapes of the answer to a refund of a trade that was named."""
    return (
        word("r0_Cmd", m.REFUND),
        word("r1_Code", m.OK),
        word("r2_TrxId", trade_no),
        shape("r3_Amt", _MONEY, 14),
        word("r4_Cur", "RMB"),
    )


def refund_query_shapes(trade_no: str, refund_no: str) -> tuple[Shape, ...]:
    """Shapes of the answer to a query about a refund that was named."""
    return (
        word("r0_Cmd", m.REFUND_QUERY),
        word("r1_Code", m.OK),
        word("r2_TrxId", trade_no),
        word("r4_Order", refund_no),
        word("refundStatus", m.TAKEN),
        word("refundFrpStatus", *m.REFUND_STATE_OF),
    )


def is_any(split: Split) -> bool:
    """Nothing contradicts within it."""
    return bool(split)


def is_callback(split: Split) -> bool:
    """A member's number alone cannot be told from a passback alone, so it only goes beside one."""
    return not split[8] or bool(split[9])


def is_answer(split: Split) -> bool:
    """A paid trade of the new answer has a time of payment; an unpaid and a cancelled one have none."""
    created, paid, status = split[9], split[10], split[12]
    if not created:
        return not paid
    return bool(paid) == (status == "SUCCESS") or status in ("AUTHORIZED", "FAILED")


def list_readings(
    fields: Fields, shapes: Sequence[Shape], legal: Callable[[Split], bool], *, marked: bool
) -> Iterator[Split]:
    """Every legal cut of the string that these fields sign; with marks, of both strings at once."""
    names = [one.name for one in shapes]
    whole = glue(fields, names)
    splits = list_splits(join(fields, names), shapes, _MARK) if marked else list_splits(whole, shapes)
    for split in splits:
        if legal(split) and (not marked or "".join(split) == whole):
            yield split


def check_fields(
    fields: Fields, shapes: Sequence[Shape], legal: Callable[[Split], bool], proof: Proof, loose: Sequence[Shape] = ()
) -> None:
    """Refuse fields that have not their shape, and a string that can be cut in a second way.

    ``loose`` are the shapes that suffice beside ``hmac_safe``: who keeps those only cannot do without it. Raises
    RemoteProtocolError, with code AMBIGUOUS_SPLIT naming the first field whose border is in doubt.
    """
    own = tuple([fields.get(one.name, "") for one in shapes])
    for strict, value, wide in zip(shapes, own, loose or shapes, strict=True):
        check_shapes((value,), (wide,))
        if not strict.fits(value):
            raise RemoteProtocolError(
                strict.name, "does not show where it ends, and hmac_safe is missing", "AMBIGUOUS_SPLIT"
            )
    check_alone(own, list_readings(fields, shapes, legal, marked=proof.safe), shapes)
    if not legal(own):
        raise RemoteProtocolError(shapes[-1].name, "fields contradict each other", "FIELD_INVALID")
