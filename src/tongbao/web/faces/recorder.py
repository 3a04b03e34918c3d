"""Who wants to keep the raw requests that merchants made, for the page that shows one order's seven steps."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from tongbao.kernel.time import Instant
from tongbao.wire.http import Request, Response


class Recorder(Protocol):
    """Told of requests that were carried out. ``kind``: ``create`` (a trade was opened) or ``confirm`` (a merchant
    asked whether a notification's id is genuine; ``answer`` is what he was told). Must neither raise nor block."""

    def request(
        self,
        kind: str,
        merchant: str,
        out_trade_no: str,
        request: Request,
        answer: Response | None = None,
    ) -> None: ...


class NoRecorder:
    """Keeps nothing: the default, and the only one for production."""

    def request(
        self,
        kind: str,
        merchant: str,
        out_trade_no: str,
        request: Request,
        answer: Response | None = None,
    ) -> None:
        return


NOTHING: Final = NoRecorder()


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it came. ``at`` is wire time."""

    kind: str
    at: Instant
    request: Request
    answer: Response | None = None


class MemoryRecorder:
    """Keeps the last requests of the last trades in memory, for sandbox and demonstration: they name buyers."""

    def __init__(self, now: Callable[[], Instant], trades: int = 500, requests: int = 20) -> None:
        self._now = now
        self._trades = trades
        self._requests = requests
        self._kept: OrderedDict[tuple[str, str], list[Recorded]] = OrderedDict()

    def request(
        self,
        kind: str,
        merchant: str,
        out_trade_no: str,
        request: Request,
        answer: Response | None = None,
    ) -> None:
        mine = self._kept.setdefault((merchant, out_trade_no), [])
        mine.append(Recorded(kind, self._now(), request, answer))
        del mine[: -self._requests]
        self._kept.move_to_end((merchant, out_trade_no))
        if len(self._kept) > self._trades:
            self._kept.popitem(last=False)

    def of(self, merchant: str, out_trade_no: str) -> tuple[Recorded, ...]:
        """What was recorded for one trade, oldest first."""
        return tuple(self._kept.get((merchant, out_trade_no), ()))
