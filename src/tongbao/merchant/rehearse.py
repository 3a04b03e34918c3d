"""A bill made wrong on purpose, so that a team can rehearse what it does then. What must be found is told first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.money import Money
from tongbao.merchant.match import Class
from tongbao.wire.movement import BillLine


@dataclass(frozen=True, slots=True)
class Planted:
    """The lines of the wrong bill, and (class, number) of every difference that is in it now."""

    lines: tuple[BillLine, ...]
    found: tuple[tuple[str, str], ...]


def plant(lines: Iterable[BillLine], each: int = 1) -> Planted:
    """Make ``each`` payments wrong in every way: left out, with another sum, twice, and one of a stranger.

    Raises ConfigurationError where the bill has fewer than three payments for each.
    """
    told = list(lines)
    payments = [line for line in told if line.kind == "payment" and line.out_trade_no]
    if each < 1 or len(payments) < 3 * each:
        raise ConfigurationError("each", f"the bill has {len(payments)} payments; {3 * each} are needed")
    found: list[tuple[str, str]] = []
    for place, line in enumerate(payments[: 3 * each]):
        at = told.index(line)
        if place % 3 == 0:
            del told[at]
            found.append((Class.MISSING_THERE, line.out_trade_no))
        elif place % 3 == 1:
            told[at] = replace(line, income=line.income + Money(1 + place, line.income.currency))
            found.append((Class.AMOUNT_DIFFERS, line.out_trade_no))
        else:
            told.insert(at, line)
            found.append((Class.DUPLICATE, line.out_trade_no))
    for place, line in enumerate(payments[:each]):
        stranger = f"STRANGER{place}"
        told.append(replace(line, out_trade_no=stranger, trade_no="", serial=f"{line.serial}-{stranger}"))
        found.append((Class.MISSING_HERE, stranger))
    return Planted(tuple(told), tuple(sorted((str(what), number) for what, number in found)))


def agree(planted: Planted, found: Sequence[tuple[str, str]]) -> bool:
    """Whether exactly what was planted was found."""
    return sorted(planted.found) == sorted(found)
