"""Demonstration buyers whose passwords stand beside the fields, outside production only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from tongbao.kernel.error import ConfigurationError
from tongbao.service.platform import Platform


@dataclass(frozen=True, slots=True)
class Hint:
    """One buyer of a sandbox, with everything needed to be him."""

    login: str
    password: str
    pay_password: str


def check_hints(platform: Platform, hints: Sequence[Hint]) -> tuple[Hint, ...]:
    """The hints, where they may be shown. Raises ConfigurationError in production (T71)."""
    if hints and platform.settings.environment == "production":
        raise ConfigurationError("hints", "passwords are never shown in production")
    return tuple(hints)


def chosen_hint(request: Request, hints: Sequence[Hint]) -> Hint | None:
    """The hint whose chip was pressed (``?fill=1``)."""
    number = request.query_params.get("fill", "")
    if number.isascii() and number.isdigit() and len(number) < 3 and 0 < int(number) <= len(hints):
        return hints[int(number) - 1]
    return None


def hint_for(login: str, hints: Sequence[Hint]) -> Hint | None:
    """The hint of that buyer."""
    return next((hint for hint in hints if hint.login == login), None)
