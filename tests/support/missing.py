"""What this machine lacks: tests skipped for it are counted and named at the end, or fail where nothing may lack."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest

MARK = "not on this machine: "
"""Every skip made here begins with this, so that the summary can tell it from others."""


def required() -> bool:
    """Whether a test that cannot run is a failure (``TONGBAO_REQUIRE_ALL=1``, as in continuous integration)."""
    return os.environ.get("TONGBAO_REQUIRE_ALL", "") not in ("", "0")


def missing(what: str, *, optional: bool = False) -> NoReturn:
    """Skip the running test because this machine has no ``what`` (or fail it, where everything is required and it is
    not ``optional``: what a processor lacks, or a release of the system does not carry, nobody can install)."""
    if required() and not optional:
        pytest.fail(f"{MARK}{what}, and TONGBAO_REQUIRE_ALL is set", pytrace=False)
    pytest.skip(f"{MARK}{what}")


def count(reasons: Iterable[str]) -> Counter[str]:
    """How many skips each missing thing caused; other reasons are left out."""
    found: Counter[str] = Counter()
    for reason in reasons:
        _, mark, what = reason.partition(MARK)
        if mark:
            found[what.strip()] += 1
    return found


def summarise(found: Counter[str]) -> list[str]:
    """The lines of the closing account; none if nothing was missing."""
    if not found:
        return []
    lines = [f"{number:5} not run: no {what}" for what, number in found.most_common()]
    total = sum(found.values())
    return [*lines, f"{total:5} tests of this project did NOT run here. TONGBAO_REQUIRE_ALL=1 makes them fail instead."]
