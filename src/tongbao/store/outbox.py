"""What the delivery of notifications writes, as tables: many ends of deliveries in one statement.

Must never be loaded through: ``FINISH`` is a part of the event table under the key of one claim.
"""

from __future__ import annotations

from typing import Final

from tongbao.kernel.record import record
from tongbao.kernel.time import Instant
from tongbao.store.record import Attempt
from tongbao.store.table import Table


@record
class Finish:
    """How a delivery ended, for the event as it was claimed under ``lease_token``: whoever lost the claim changes
    nothing (F40). ``lease_until`` is None: the event is given back."""

    merchant_id: str
    out_trade_no: str
    seq: int
    lease_token: int
    notify_state: str
    attempts: int
    next_at: Instant | None
    lease_until: Instant | None = None


FINISH: Final = Table("event", Finish, ("merchant_id", "out_trade_no", "seq", "lease_token"), rank=11, stage=5)
ATTEMPT: Final = Table("attempt", Attempt, ("merchant_id", "out_trade_no", "seq", "n"), rank=19, stage=5, blind=True)
