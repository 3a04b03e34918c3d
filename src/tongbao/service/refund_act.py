"""What a merchant may ask about money given back: one function per intent, gathered in ``service.act``."""

from __future__ import annotations

from typing import Any, Final

ACTS: Final[dict[type, Any]] = {}
