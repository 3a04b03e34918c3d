"""Values of the shared vocabulary as plain JSON, without what they do not say: how vectors write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date
from enum import Enum
from typing import Any

from tongbao.kernel.money import Money


def _silent(member: Field[Any], value: Any) -> bool:
    if value is None or value in ("", (), {}):
        return True
    if member.default_factory is not MISSING:
        return bool(value == member.default_factory())
    return bool(value == member.default)


def plain(value: Any) -> Any:
    """Money as text in major units, enumerations by value, dataclasses as objects of what they say."""
    if isinstance(value, Money):
        return value.text() if value.currency == "CNY" else f"{value.text()} {value.currency}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        said = {
            member.name: getattr(value, member.name)
            for member in fields(value)
            if not _silent(member, getattr(value, member.name))
        }
        return {name: plain(part) for name, part in said.items()}
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return value
