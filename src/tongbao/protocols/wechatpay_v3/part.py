"""A request taken apart, as both halves hold it between bytes and meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.field import Fields, invalid, missing

Cover = Callable[[str], str]
"""Hides or reveals a person's field."""

_NAME_FROM: Final = 200_000
_NAME_TO: Final = 30


@dataclass(frozen=True, slots=True)
class Parts:
    """A request taken apart: which operation, the texts in its path, its query, its body."""

    route: m.Route
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


def plain(text: str) -> str:
    """A person's field as it is: for the encoder's own check."""
    return text


def read_name(body: Fields, amount: int, cover: Cover) -> str:
    """The payee's name, which the interface takes from 0.30 yuan on and wants from 2,000 yuan on (``amount`` is fen;
    its pages of transfers). Raises RemoteProtocolError naming the field."""
    covered = body.text("user_name", 1_024)
    if covered and amount < _NAME_TO:
        raise invalid(body.at("user_name"), "is not taken below 0.30 yuan")
    if not covered and amount >= _NAME_FROM:
        raise missing(body.at("user_name"))
    return cover(covered) if covered else ""
