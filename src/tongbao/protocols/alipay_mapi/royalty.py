"""Shares of a trade's money (分润) as one text: ``payee^sum^memo|...``, or ``payer^payee^sum^memo`` further down."""

from __future__ import annotations

from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.protocols.alipay_mapi.field import Fields, read_party, write_party
from tongbao.wire.field import invalid
from tongbao.wire.movement import Split
from tongbao.wire.party import Party

TYPE: Final = "10"
_ITEMS: Final = 10
_NAME: Final = "royalty_parameters"


def _read_item(item: str) -> Split:
    parts = item.split("^")
    if len(parts) not in (3, 4):
        raise invalid(_NAME, "holds an item of other than three or four parts")
    *parties, sum_text, memo = parts
    if not all(parties):
        raise invalid(_NAME, "holds an item without an account")
    try:
        amount = parse_major(sum_text)
    except InvalidAmount as error:
        raise invalid(_NAME, str(error), "AMOUNT_INVALID") from error
    if amount.minor <= 0:
        raise invalid(_NAME, "holds a sum that is not above zero", "AMOUNT_NOT_POSITIVE")
    giver = read_party(parties[0]) if len(parties) > 1 else Party()
    return Split(receiver=read_party(parties[-1]), amount=amount, memo=memo, giver=giver)


def read_royalty(fields: Fields, total: Money) -> tuple[Split, ...]:
    """The shares. What the merchant himself gives is at most the trade's sum; others give what they received."""
    kind, text = fields.get("royalty_type", ""), fields.get(_NAME, "")
    if not kind and not text:
        return ()
    if kind != TYPE:
        raise invalid("royalty_type", f"is not {TYPE}")
    if not text:
        raise RemoteProtocolError(_NAME, "is missing", "FIELD_MISSING")
    items = text.split("|")
    if len(items) > _ITEMS:
        raise RemoteProtocolError(_NAME, f"holds more than {_ITEMS} items", "TOO_LARGE")
    splits = tuple([_read_item(item) for item in items])
    given = Money(0)
    for split in splits:
        if not split.giver and split.amount is not None:
            given += split.amount
    if total < given:
        raise RemoteProtocolError(_NAME, "shares more than the trade's sum", "SPLIT_EXCEEDS")
    return splits


def write_royalty(splits: tuple[Split, ...]) -> dict[str, str]:
    """The two fields. Raises LocalProtocolError."""
    if not splits:
        return {}
    items = []
    for split in splits:
        if split.amount is None:
            raise LocalProtocolError("splits", "a share is a sum here, not a rate")
        giver = [write_party(split.giver, "splits")] if split.giver else []
        items.append("^".join([*giver, write_party(split.receiver, "splits"), split.amount.text(), split.memo]))
    return {"royalty_type": TYPE, _NAME: "|".join(items)}
