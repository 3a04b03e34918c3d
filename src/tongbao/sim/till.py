"""The cashier without its pages: what a buyer's form does there, as plain ASGI over JSON, on a gateway's platform.

``POST /cashier/WORD/ACT``: ``pay``, ``start``, ``home``, ``confirm``, ``state``; ``POST /cashier/topup``;
``POST /cashier/scan``, which answers with the word of the cashier behind a QR code. 200 with the outcome, 409 with a
refusal's code, 503 where the outcome is unknown, 500 where something broke.
"""

from __future__ import annotations

import base64
import json
import traceback
from typing import Any

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.service import checkout
from tongbao.service.party import TopUp
from tongbao.service.platform import Platform
from tongbao.service.wallet import open_scanned
from tongbao.trade.record import Trade
from tongbao.wire.http import Request, Response, text


def answer_json(status: int, **fields: object) -> Response:
    """A JSON object."""
    return text(json.dumps(fields), status=status, kind="application/json")


class Till:
    """One gateway's cashier."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    async def handle(self, request: Request, peer: str) -> Response:
        """One form."""
        parts = request.raw_path.decode("latin-1").split("/")
        said = json.loads(request.body or b"{}")
        try:
            if parts[2] == "topup":
                return await self.top_up(said)
            if parts[2] == "scan":
                return await self.scan(said)
            trade_no = self.platform.seal.read_cashier_word(parts[2], self.platform.world.clock.wire())
            if trade_no is None:
                raise Refused("CASHIER_LINK_INVALID", "no such link")
            answer: Response = await getattr(self, f"do_{parts[3]}")(await self.platform.trade_by_no(trade_no), said)
            return answer
        except Refused as refused:
            return answer_json(409, code=refused.code)
        except OutcomeUnknown:
            return answer_json(503, code="UNKNOWN")
        except Exception as error:  # noqa: BLE001 - logged; the buyer learns only that we failed
            self.platform.world.log("till.failed", trace="".join(traceback.format_exception(error)))
            return answer_json(500, code="FAILED")

    async def do_pay(self, trade: Trade, said: dict[str, Any]) -> Response:
        """From the balance, with the pay password."""
        buyer = await self.platform.buyer(said["buyer"])
        paid = await checkout.pay_from_balance(self.platform, trade, buyer, said["password"])
        return answer_json(200, state=paid.state, payment=paid.payment_no)

    async def do_start(self, trade: Trade, said: dict[str, Any]) -> Response:
        """At a bank or an outlet."""
        base = self.platform.settings.base_url
        handed = await checkout.start_payment(
            self.platform, trade, said["method"], said["bank"], said["buyer"], said["form"], f"{base}/cashier/back"
        )
        return answer_json(200, url=handed.url, code=handed.code, instruction=handed.instruction_no)

    async def do_home(self, trade: Trade, said: dict[str, Any]) -> Response:
        """The signed way back to the shop."""
        request = await checkout.go_home(self.platform, trade)
        if request is None:
            return answer_json(409, code="NOT_PAID")
        body = base64.b64encode(request.body).decode("ascii")
        return answer_json(200, method=request.method, url=request.url, body=body)

    async def do_confirm(self, trade: Trade, said: dict[str, Any]) -> Response:
        """The goods have come."""
        buyer = await self.platform.buyer(said["buyer"])
        moved = await checkout.confirm_receipt(self.platform, trade, buyer, said["password"])
        return answer_json(200, state=moved.state)

    async def do_state(self, trade: Trade, said: dict[str, Any]) -> Response:
        """What the cashier's page would show."""
        return answer_json(200, state=trade.state, mine=trade.buyer_id == said["buyer"])

    async def scan(self, said: dict[str, Any]) -> Response:
        """What a wallet does with a code."""
        trade = await open_scanned(self.platform, said["code"])
        word = self.platform.seal.cashier_word(trade.trade_no, self.platform.world.clock.wire())
        return answer_json(200, word=word)

    async def top_up(self, said: dict[str, Any]) -> Response:
        """Money arrives from a bank, once for each key."""
        command = TopUp(said["buyer"], said["amount"], "CNY", said["bank"], said["key"], "teller")
        amount = await self.platform.submit(command)
        return answer_json(200, amount=amount)
