"""What a buyer would do with his own hands, done by a program: pay by any method, confirm receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tongbao.kernel.error import Refused
from tongbao.sandbox.population import BUYERS, Card, DemoBuyer
from tongbao.service.checkout import confirm_receipt, pay_from_balance, start_payment
from tongbao.service.platform import Platform
from tongbao.trade.record import Trade

METHODS = ("balance", "debit", "credit", "outlet")
CARDS = ("debit", "credit")
"""Methods whose payments a buyer can deny at his bank."""


class Banks(Protocol):
    """The simulated banks, as somebody standing before their pages and counters."""

    async def pay_directly(self, url: str, number: str, password: str) -> object:
        """Do what the buyer does at the bank's page behind ``url``. Raises Refused."""
        ...

    async def payment_of(self, code: str) -> str:
        """The platform's number of the payment behind a cash code; empty where the code is unknown."""
        ...

    async def take_cash(self, code: str) -> object:
        """Pay the sum behind a cash code at a counter. Raises Refused."""
        ...

    async def charge_back(self, number: str, amount: int | None) -> tuple[str, int]:
        """Deny the payment of an instruction: the bank's reference, and how much of it (minor units) the bank took
        back; None means all that is left. Raises Refused."""
        ...


@dataclass(frozen=True, slots=True)
class Hand:
    """A scripted buyer over one platform and its simulated banks."""

    platform: Platform
    banks: Banks

    def buyer(self, login: str) -> DemoBuyer:
        """A demo buyer by login, the first where none is named. Raises Refused BUYER_UNKNOWN."""
        for buyer in BUYERS:
            if login in ("", buyer.login):
                return buyer
        raise Refused("BUYER_UNKNOWN", f"buyer: one of {', '.join(buyer.login for buyer in BUYERS)}")

    def card(self, buyer: DemoBuyer, method: str, number: str) -> Card:
        """The named card, or the first good one of that kind. Raises Refused."""
        for card in buyer.cards:
            if number == card.number or (not number and card.kind == method and card.outcome == "ok"):
                return card
        raise Refused("METHOD_NOT_ALLOWED", f"card: {buyer.login} has no such {method} card")

    async def pay(
        self,
        trade: Trade,
        method: str,
        login: str = "",
        *,
        card: str = "",
        cash: str = "",
        flow: str = "",
        code: str = "",
    ) -> dict[str, Any]:
        """Pay a trade. ``cash`` ``later`` leaves an outlet's code unpaid; ``code`` pays such a code at the counter and
        makes no new payment. A dual trade without a ``flow`` is paid ``instant``. Answers method, payment (and ``code``
        for an outlet). Raises Refused."""
        if method not in METHODS:
            raise Refused("METHOD_NOT_ALLOWED", f"method: one of {', '.join(METHODS)}")
        if code:
            return await self._pay_code(trade, method, code)
        buyer = self.buyer(login)
        if trade.product == "dual" and not flow:
            flow = "instant"
        if method == "balance":
            row = await self.platform.buyer(buyer.buyer_id)
            paid = await pay_from_balance(self.platform, trade, row, buyer.pay_password, flow)
            payment_no = paid.payment_no
        else:
            chosen = self.card(buyer, method, card) if method != "outlet" else None
            handover = await start_payment(
                self.platform,
                trade,
                method,
                chosen.bank if chosen else "",
                buyer.buyer_id,
                self.platform.new_token(),
                f"{self.platform.settings.base_url}/",
                flow,
            )
            payment_no, code = handover.payment_no, handover.code
            if chosen is not None:
                await self.banks.pay_directly(handover.url, chosen.number, chosen.password)
            elif cash != "later":
                await self.banks.take_cash(code)
        return {"method": method, "payment": payment_no, "code": code}

    async def _pay_code(self, trade: Trade, method: str, code: str) -> dict[str, Any]:
        payments = await self.platform.payments_of(trade)
        number = await self.banks.payment_of(code)
        if method != "outlet" or number not in {payment.payment_no for payment in payments}:
            raise Refused("FIELD_INVALID", "code: is no outlet code of this trade")
        await self.banks.take_cash(code)
        return {"method": method, "payment": number, "code": code}

    async def payment_state(self, trade: Trade, payment_no: str) -> str:
        """Where a payment of a trade stands: ``pending``, ``captured``, ``failed``, ``late``, ``returned``, ..."""
        payments = await self.platform.payments_of(trade)
        return next(payment.state for payment in payments if payment.payment_no == payment_no)

    async def charge_back(self, trade: Trade, amount: int | None) -> dict[str, Any]:
        """Deny the card's payment of a trade at its bank, of ``amount`` minor units or of all that is left. The
        platform hears of it by the bank's statement of the day. Raises Refused PAYMENT_STATE."""
        for payment in await self.platform.payments_of(trade):
            if payment.counts and payment.method in CARDS:
                ref, taken = await self.banks.charge_back(f"{payment.payment_no}P", amount)
                return {"bank": payment.bank, "ref": ref, "payment": payment.payment_no, "amount": taken}
        raise Refused("PAYMENT_STATE", "no card has paid this trade")

    async def confirm(self, trade: Trade) -> None:
        """Confirm receipt of an escrow trade as the buyer who paid it. Raises Refused."""
        for buyer in BUYERS:
            if buyer.buyer_id == trade.buyer_id:
                await confirm_receipt(
                    self.platform, trade, await self.platform.buyer(buyer.buyer_id), buyer.pay_password
                )
                return
        raise Refused("BUYER_UNKNOWN", "the trade was not paid by a demo buyer with an account")
