"""The desks behind the cashier: what sellers, buyers and operators say about money that was paid, as plain ASGI.

``POST /desk/ACT`` with JSON. Answers as the till's: 200 with the outcome, 409 with a refusal's code, 503 where the
outcome is unknown.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.service.claim import BuyerAskRefund, OpenDispute, SellerAnswer
from tongbao.service.create import Asker
from tongbao.service.dispute import DecideDispute, ProposeDecision
from tongbao.service.platform import Platform
from tongbao.service.refund import RequestRefund
from tongbao.sim.till import answer_json
from tongbao.wire.http import Request, Response

Said = Mapping[str, Any]


def _asker(said: Said) -> Asker:
    return Asker(said["merchant"], said["protocol"])


ACTS: Final[dict[str, Callable[[Said], object]]] = {
    "refund": lambda said: RequestRefund(_asker(said), said["order"], said["number"], said["amount"]),
    "claim": lambda said: BuyerAskRefund(said["merchant"], said["order"], said["buyer"], said["amount"], reason="torn"),
    "dispute": lambda said: OpenDispute(said["merchant"], said["order"], said["buyer"], "it is torn"),
    "answer": lambda said: SellerAnswer(_asker(said), said["order"], said["agrees"], "seen"),
    "propose": lambda said: ProposeDecision(said["merchant"], said["order"], said["amount"], "op1", "looked at it"),
    "decide": lambda said: DecideDispute(
        said["merchant"], said["order"], said["amount"], agrees=True, actor="op2", reason="so it is"
    ),
}


class Desk:
    """All desks, on one gateway's platform."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    async def handle(self, request: Request, peer: str) -> Response:
        """One form."""
        act, said = request.raw_path.decode("latin-1").split("/")[2], json.loads(request.body)
        try:
            await self.platform.submit(ACTS[act](said))
            return answer_json(200, done=act)
        except Refused as refused:
            return answer_json(409, code=refused.code)
        except OutcomeUnknown:
            return answer_json(503, code="UNKNOWN")
        except Exception as error:  # noqa: BLE001 - logged; whoever asked learns only that we failed
            self.platform.world.log("till.failed", trace="".join(traceback.format_exception(error)))
            return answer_json(500, code="FAILED")
