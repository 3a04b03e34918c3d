"""A bank's statement, and how it can be made wrong on purpose, so that a team can rehearse what it does then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.service.channel import StatementLine
from tongbao.store.bankbook import Line
from tongbao.web.bank import rule

CLASSES: Final = ("missing_there", "missing_here", "amount_differs", "duplicate")
"""Ways in which a statement can disagree with the platform's books; it has no states of its own."""


def statement_lines(bank: str, lines: Sequence[Line]) -> list[StatementLine]:
    """What a bank tells the platform of its book: the movements of the platform's own account there."""
    account = rule.platform_account(bank)
    told = []
    for line in lines:
        if account not in (line.debit, line.credit):
            continue
        kind, _, number = line.key.partition(":")
        told.append(
            StatementLine(
                ref=rule.reference(line.at, line.seq),
                kind=kind,
                number=number,
                amount=line.amount,
                currency="CNY",
                income=line.credit == account,
                at=line.at,
            )
        )
    return told


class Lies:
    """What is planted, by bank and day. A statement that was planted says the same whenever it is asked for."""

    def __init__(self) -> None:
        self._planted: dict[tuple[str, int], list[StatementLine]] = {}

    def tell(self, bank: str, day: int, lines: list[StatementLine]) -> list[StatementLine]:
        """The statement as it is told."""
        return self._planted.get((bank, day), lines)

    def forget(self) -> None:
        """From now on the truth."""
        self._planted.clear()

    def plant(self, bank: str, day: int, lines: list[StatementLine], each: int) -> dict[str, list[str]]:
        """Make ``each`` lines wrong in every way. Raises Refused FIELD_INVALID where the day has too few of them."""
        ours = [line for line in lines if line.kind in ("pay", "refund", "payout")]
        if each < 1 or len(ours) < 3 * each:
            raise Refused("FIELD_INVALID", f"the day has {len(ours)} lines, {3 * each} are needed")
        found: dict[str, list[str]] = {name: [] for name in CLASSES}
        told = list(lines)
        for place, line in enumerate(ours[: 3 * each]):
            at = told.index(line)
            if place % 3 == 0:
                del told[at]
                found["missing_there"].append(line.number)
            elif place % 3 == 1:
                told[at] = replace(line, amount=line.amount + 1 + place)
                found["amount_differs"].append(line.number)
            else:
                told.insert(at + 1, replace(line, ref=f"{line.ref}D"))
                found["duplicate"].append(line.number)
        for place in range(each):
            stranger = replace(ours[place], ref=f"{ours[place].ref}S", number=f"STRANGER{place}", amount=100 + place)
            told.append(stranger)
            found["missing_here"].append(stranger.number)
        self._planted[bank, day] = told
        return found
