"""Signed strings without borders (T10): the strict shape of every field, and all ways a string can be cut by them.

The plain ``hmac`` covers values glued with nothing between, so digits may move from a number into the sum beside it
under one signature. The merchant's half therefore asks: is there a second legal way to cut this very string? If there
is, the message proves nothing and is refused. ``hmac_safe`` marks borders, but leaves out what is empty; what doubt
that leaves is asked for in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import Fields, Proof, glue, join

WORK_MAX: Final = 100_000
"""Cuts tried on one string; what needs more is as good as ambiguous."""

_MONEY: Final = r"(?:0|[1-9][0-9]{0,10})\.[0-9]{1,2}"
_TIME: Final = r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
_TRADE: Final = r"[0-9A-Za-z]{1,50}"
_CLOSED_TRADE: Final = r"[0-9]{10,49}[A-Z]"
_ORDER: Final = r"[0-9A-Za-z_-]{1,50}"
_MARK: Final = "#"


@dataclass(frozen=True, slots=True)
class Shape:
    """What one field may hold: a pattern for the whole value and the longest length; ``optional`` may be empty."""

    name: str
    pattern: re.Pattern[str]
    longest: int
    optional: bool = False

    def fits(self, value: str) -> bool:
        return self.optional if not value else len(value) <= self.longest and bool(self.pattern.fullmatch(value))


def _shape(name: str, pattern: str, longest: int, *, optional: bool = False) -> Shape:
    return Shape(name, re.compile(pattern, re.ASCII | re.DOTALL), longest, optional)


def _word(name: str, *words: str) -> Shape:
    return _shape(name, "|".join([re.escape(word) for word in words]), max(len(word) for word in words))


def order_pattern(sample: str) -> str:
    """The shape of a shop's order numbers from one of them: digits for digits, letters for letters, marks for marks."""
    classes = {"0": "[0-9]", "A": "[A-Z]", "a": "[a-z]"}
    kinds = ["0" if sign.isdigit() else "A" if sign.isupper() else "a" if sign.islower() else sign for sign in sample]
    return "".join([classes.get(kind, re.escape(kind)) for kind in kinds])


def is_order(text: str) -> bool:
    """Whether this can be a merchant's order number: letters, digits, ``_`` and ``-``, at most 50."""
    return re.fullmatch(_ORDER, text, re.ASCII) is not None


def callback_shapes(merchant: str, sample: str, *, marked: bool) -> tuple[Shape, ...]:
    """Shapes of a callback, in its order. ``sample`` is one of the shop's order numbers, '' where their shape is not
    known; without marks the platform's number must show by itself where it ends (digits, then one capital)."""
    return (
        _word("p1_MerId", merchant),
        _word("r0_Cmd", m.BUY),
        _shape("r1_Code", "[0-9]", 1),
        _shape("r2_TrxId", _TRADE if marked else _CLOSED_TRADE, 50),
        _shape("r3_Amt", _MONEY, 14),
        _word("r4_Cur", "RMB"),
        _shape("r5_Pid", ".+", 60),
        _shape("r6_Order", order_pattern(sample) if sample and not marked else _ORDER, 50),
        _shape("r7_Uid", "[0-9]+", 20, optional=True),
        _shape("r8_MP", ".+", 200, optional=True),
        _word("r9_BType", "1", "2"),
    )


def answer_shapes(order: str, *, new: bool, marked: bool) -> tuple[Shape, ...]:
    """Shapes of an answer to a query about ``order``: new ones say when the trade was made, and may say more."""
    kept = (
        _word("r0_Cmd", m.QUERY),
        _word("r1_Code", m.OK),
        _shape("r2_TrxId", _TRADE if marked else _CLOSED_TRADE, 50),
        _shape("r3_Amt", _MONEY, 14),
        _word("r4_Cur", "RMB"),
        _shape("r5_Pid", ".+", 60),
        _word("r6_Order", order),
        _shape("r8_MP", ".+", 200, optional=True),
    )
    added = (
        _shape("rw_RefundRequestID", "(?!)", 0, optional=True),
        _shape("rx_CreateTime", _TIME if new else "(?!)", 14, optional=not new),
        _shape("ry_FinshTime", _TIME if new else "(?!)", 14, optional=True),
        _shape("rz_RefundAmount", _MONEY if new else "(?!)", 14, optional=True),
    )
    return (
        *kept,
        *added,
        _word("rb_PayStatus", *m.STATUS_WORDS),
        _shape("rc_RefundCount", "0|[1-9][0-9]{0,3}", 4),
        _shape("rd_RefundAmt", _MONEY, 14),
    )


def refund_shapes(trade_no: str) -> tuple[Shape, ...]:
    """Shapes of the answer to a refund of a trade that was named."""
    return (
        _word("r0_Cmd", m.REFUND),
        _word("r1_Code", m.OK),
        _word("r2_TrxId", trade_no),
        _shape("r3_Amt", _MONEY, 14),
        _word("r4_Cur", "RMB"),
    )


def refund_query_shapes(trade_no: str, refund_no: str) -> tuple[Shape, ...]:
    """Shapes of the answer to a query about a refund that was named."""
    return (
        _word("r0_Cmd", m.REFUND_QUERY),
        _word("r1_Code", m.OK),
        _word("r2_TrxId", trade_no),
        _word("r4_Order", refund_no),
        _word("refundStatus", m.TAKEN),
        _word("refundFrpStatus", *m.REFUND_STATE_OF),
    )


Split = tuple[str, ...]


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


class _Walk:
    """One search. ``dead`` remembers from where no way leads on, so that the work is bounded by length and shapes."""

    def __init__(self, text: str, shapes: Sequence[Shape], mark: str) -> None:
        self.text, self.shapes, self.mark = text, shapes, mark
        self.dead: set[tuple[int, int]] = set()
        self.work = 0

    def walk(self, index: int, start: int) -> Iterator[Split]:
        if index == len(self.shapes):
            if start == len(self.text):
                yield ()
            return
        if (index, start) in self.dead:
            return
        alive = False
        for value, stop in self.values(self.shapes[index], start):
            for rest in self.walk(index + 1, stop):
                alive = True
                yield (value, *rest)
        if not alive:
            self.dead.add((index, start))

    def values(self, shape: Shape, start: int) -> Iterator[tuple[str, int]]:
        if shape.optional:
            yield "", start
        begin = start
        if self.mark and start:
            if self.text[start : start + 1] != self.mark:
                return
            begin = start + 1
        for stop in range(begin + 1, min(len(self.text), begin + shape.longest) + 1):
            if self.mark and self.text[stop : stop + 1] not in ("", self.mark):
                continue
            self.work += 1
            if self.work > WORK_MAX:
                raise RemoteProtocolError(shape.name, "has too many readings", "AMBIGUOUS_SPLIT")
            if shape.pattern.fullmatch(self.text, begin, stop):
                yield self.text[begin:stop], stop


def list_splits(
    fields: Fields, shapes: Sequence[Shape], legal: Callable[[Split], bool], *, marked: bool
) -> Iterator[Split]:
    """Every legal cut of the string that these fields sign; with marks, of both strings at once."""
    names = [shape.name for shape in shapes]
    whole = glue(fields, names)
    text = join(fields, names) if marked else whole
    for split in _Walk(text, shapes, _MARK if marked else "").walk(0, 0):
        if legal(split) and (not marked or "".join(split) == whole):
            yield split


def check_split(
    fields: Fields, shapes: Sequence[Shape], legal: Callable[[Split], bool], proof: Proof, loose: Sequence[Shape] = ()
) -> None:
    """Refuse fields that have not their shape, and a string that can be cut in a second way.

    ``loose`` are the shapes that suffice beside ``hmac_safe``: who keeps those only cannot do without it. Raises
    RemoteProtocolError, with code AMBIGUOUS_SPLIT naming the first field whose border is in doubt.
    """
    own = tuple([fields.get(shape.name, "") for shape in shapes])
    for shape, value, wide in zip(shapes, own, loose or shapes, strict=True):
        if not value and not shape.optional:
            raise RemoteProtocolError(shape.name, "is missing", "FIELD_MISSING")
        if not wide.fits(value):
            raise RemoteProtocolError(shape.name, "has not the shape of this field", "FIELD_INVALID")
        if not shape.fits(value):
            raise RemoteProtocolError(
                shape.name, "does not show where it ends, and hmac_safe is missing", "AMBIGUOUS_SPLIT"
            )
    others = [split for split in islice(list_splits(fields, shapes, legal, marked=proof.safe), 2) if split != own]
    if others:
        moved = [shape.name for shape, one, two in zip(shapes, own, others[0], strict=True) if one != two]
        raise RemoteProtocolError(moved[0], f"the same signature covers another {', '.join(moved)}", "AMBIGUOUS_SPLIT")
    if not legal(own):
        raise RemoteProtocolError(shapes[-1].name, "fields contradict each other", "FIELD_INVALID")
