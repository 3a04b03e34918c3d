"""What a message fails to carry: the check by which an encoder proves that the other end will read all it was told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from typing import Any


def find_loss(asked: Any, read: Any, ignored: Collection[str] = ("echo",)) -> str:
    """The first member in which ``asked`` says something and ``read`` says another thing; '' if there is none.

    Both are dataclass values of one type; members that are None, '' or () say nothing.
    """
    for member in fields(asked):
        if member.name in ignored:
            continue
        mine, theirs = getattr(asked, member.name), getattr(read, member.name)
        if mine == theirs or mine is None or mine in ("", ()):
            continue
        if is_dataclass(mine) and type(mine) is type(theirs) and not find_loss(mine, theirs, ignored):
            continue
        return member.name
    return ""
