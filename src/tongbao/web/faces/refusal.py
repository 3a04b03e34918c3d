"""Writing refusals down without letting a flood of them fill the disk (T89, the refusal contract)."""

from __future__ import annotations

import hashlib
from typing import Final

from tongbao.kernel.error import ProtocolError, Refused, TongbaoError
from tongbao.kernel.identifier import hex_token
from tongbao.kernel.time import Instant
from tongbao.service.party import RecordRefusal
from tongbao.service.platform import Platform
from tongbao.store.record import Refusal
from tongbao.web.guard import Buckets, Limits
from tongbao.wire.form import unquote
from tongbao.wire.http import Request

_NAMES: Final = 60
_NAME: Final = 40
_DETAIL: Final = 200


class RefusalBook:
    """One row for each refusal while the budget lasts; beyond it they are counted, and the next row says how many."""

    def __init__(self, platform: Platform, limits: Limits) -> None:
        clock = platform.world.clock.monotonic
        self._platform = platform
        self._all = Buckets(limits.refusals, clock)
        self._peers = Buckets(limits.refusals_peer, clock)
        self.unwritten = 0
        self._untold = 0

    async def write(
        self, surface: str, operation: str, merchant_id: str, peer: str, request: Request, error: TongbaoError
    ) -> None:
        """Record one refusal. Never raises: an answer does not depend on it."""
        if self._peers.take(peer) or self._all.take(""):
            self.unwritten += 1
            self._untold += 1
            return
        row = Refusal(
            refusal_id=hex_token(self._platform.world.entropy),
            at=Instant(0),  # the committer's own reading is written
            surface=surface,
            operation=printable(operation, _NAME),
            code=code_of(error),
            detail=self._detail(error),
            merchant_id=printable(merchant_id, _NAME),
            peer=peer,
            fields=",".join(field_names(request)),
            body_digest=hashlib.sha256(request.body or request.raw_query).hexdigest(),
        )
        self._untold = 0
        try:
            await self._platform.submit(RecordRefusal(row))
        except Exception as failure:  # noqa: BLE001 - the refusal itself stands, written down or not
            self._platform.world.log("refusal.unwritten", surface=surface, code=row.code, error=repr(failure))

    def _detail(self, error: TongbaoError) -> str:
        said = printable(str(error), _DETAIL)
        return f"{said} (and {self._untold} more, not written down)" if self._untold else said


def code_of(error: TongbaoError) -> str:
    """The refusal code behind any error."""
    return error.code if isinstance(error, Refused | ProtocolError) else "SYSTEM"


def printable(said: str, length: int) -> str:
    """One line of at most ``length`` characters without controls (T65)."""
    return "".join(letter if letter.isprintable() else "?" for letter in said[:length])


def field_names(request: Request) -> list[str]:
    """The names of a request's form fields, query first, without any value."""
    parts = [request.raw_query]
    if request.body.lstrip()[:1] not in (b"<", b"{", b"["):
        parts.append(request.body)
    names = []
    for part in parts:
        for piece in part.split(b"&", _NAMES)[:_NAMES]:
            name, mark, _ = piece.partition(b"=")
            if mark:
                names.append(printable(unquote(name[: 3 * _NAME]).decode("utf-8", "replace"), _NAME))
    return names[:_NAMES]
