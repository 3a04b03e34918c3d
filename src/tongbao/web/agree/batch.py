"""What a page shows of a batch, read behind a link of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant
from tongbao.service.merchant_operator_act import decide_payouts, decide_refunds
from tongbao.service.payout_act import find_payout_batch, open_payouts_url, page_of_batch
from tongbao.service.payout_batch import persons_for
from tongbao.service.platform import Platform
from tongbao.service.refund_act import lines_of, open_batch_url
from tongbao.trade.agreement import read_agreement
from tongbao.trade.party import PERSON
from tongbao.trade.payout import BatchState, PayoutBatch
from tongbao.trade.refund import RefundBatch, RefundLine

LINES_SHOWN: Final = 20
"""Lines of a batch that its page shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: whom (or which trade) it is about, its sum in minor units, what was written beside it."""

    about: str
    amount: int
    memo: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page says of a batch. Sums are minor units. ``state``: ``asked``, ``half`` (one of two has agreed),
    ``loading``, ``running``, ``done``, ``closed``; ``persons``: how many must agree in all, ``first`` who has, with
    most of his name hidden. ``lines`` are the first of ``count``."""

    kind: str
    batch_no: str
    merchant_id: str
    merchant: str
    count: int
    total: int
    fee: int
    currency: str
    state: str
    persons: int
    first: str
    taken_at: Instant
    lines: tuple[Line, ...]

    @property
    def open(self) -> bool:
        """Whether somebody can decide now."""
        return self.state in ("asked", "half")


class PayoutsBehind:
    """A batch of payouts that asks for a person."""

    def __init__(self, platform: Platform, batch: PayoutBatch) -> None:
        self._platform = platform
        self._batch = batch

    async def show(self) -> Shown:
        """The batch as it stands."""
        batch = self._batch
        merchant = await self._platform.merchant(batch.merchant_id)
        state = {BatchState.LOADING: "loading", BatchState.PROPOSED: "half" if batch.first else "asked"}
        lines = await page_of_batch(self._platform, batch, 0, LINES_SHOWN)
        return Shown(
            "payouts",
            batch.batch_no,
            batch.merchant_id,
            merchant.name,
            batch.count,
            batch.total,
            batch.fee,
            batch.currency,
            state.get(BatchState(batch.state), batch.state),
            max(1, persons_for(batch, read_agreement(merchant.settings))),
            hide_name(batch.first),
            batch.created_at,
            tuple(Line(line.payee, line.amount, line.memo) for line in lines),
        )

    async def decide(self, name: str, password: str, *, agrees: bool, reason: str) -> None:
        """An operator's answer. Raises Refused."""
        await decide_payouts(self._platform, self._batch, name, password, agrees=agrees, reason=reason)


class RefundsBehind:
    """A batch of refunds that asks for a person."""

    def __init__(self, platform: Platform, batch: RefundBatch, lines: list[RefundLine]) -> None:
        self._platform = platform
        self._batch = batch
        self._lines = lines

    async def show(self) -> Shown:
        """The batch as it stands."""
        batch, lines = self._batch, self._lines
        merchant = await self._platform.merchant(batch.merchant_id)
        return Shown(
            "refunds",
            batch.batch_no,
            batch.merchant_id,
            merchant.name,
            len(lines),
            sum(line.amount for line in lines),
            0,
            lines[0].currency,
            batch.state,
            1,
            "",
            batch.created_at,
            tuple(Line(line.trade_no, line.amount, line.reason) for line in lines[:LINES_SHOWN]),
        )

    async def decide(self, name: str, password: str, *, agrees: bool, reason: str) -> None:
        """An operator's answer. Raises Refused."""
        await decide_refunds(self._platform, self._batch, self._lines, name, password, agrees=agrees, reason=reason)


async def read_link(platform: Platform, kind: str, word: str) -> PayoutsBehind | RefundsBehind:
    """The batch behind a link. Raises Refused CASHIER_LINK_INVALID, BATCH_NOT_FOUND."""
    if kind == "refunds":
        refunds = await open_batch_url(platform, word)
        return RefundsBehind(platform, refunds, await lines_of(platform, refunds))
    if kind == "payouts":
        return PayoutsBehind(platform, await find_payout_batch(platform, *open_payouts_url(platform, word)))
    raise Refused("CASHIER_LINK_INVALID", "no such kind of batch")


def hide_name(actor: str) -> str:
    """The beginning of a person's name; '' for nobody."""
    name = actor.rpartition(PERSON)[2]
    return f"{name[:1]}**" if name else ""
