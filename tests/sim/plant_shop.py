"""Faults planted in the shop, the bank and the buyer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tongbao.merchant.acceptance import Acceptance, Hooks
from tongbao.merchant.book import OrderTable
from tongbao.merchant.database import Database, Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.mail import mail_job
from tongbao.merchant.order import Order, Payment
from tongbao.merchant.receiver import AsyncReceiver
from tongbao.merchant.verdict import Accepted, Verdict, VerdictKind
from tongbao.sim.bank import Liar
from tongbao.sim.buyer import Buyer, TopUp
from tongbao.sim.loop import Life, pause
from tongbao.sim.seller import Seller, apply
from tongbao.store.bankbook import Desk
from tongbao.store.bankbook import Order as BankOrder
from tongbao.web.bank.rule import card_account, platform_account
from tongbao.wire.http import Request
from tongbao.wire.vocabulary import TradeView
from tongbao.wire.world import World


def shop_with(
    receiver: type[AsyncReceiver] = AsyncReceiver, core: type[Acceptance] | None = None, **options: Any
) -> Callable[..., AsyncReceiver]:
    """A shop built with another receiver, another core or other hooks."""

    def make(seller: Seller, life: Life, world: World, endpoint: Endpoint, database: Database) -> AsyncReceiver:
        def crash(name: str) -> None:
            seller.crashpoint(life, name)

        chosen: dict[str, Any] = {"apply": apply, "after_commit": (mail_job,), **options}
        made = receiver(
            [endpoint], OrderTable(), database,
            clock=world.clock, crashpoint=crash, send=world.send, compute=world.compute, **chosen,
        )  # fmt: skip
        if core is not None:
            made._core = core([endpoint], OrderTable(), database, world.clock, Hooks(crashpoint=crash, **chosen))
        made.__dict__["seller"], made.__dict__["life"], made.__dict__["world"] = seller, life, world
        return made

    return make


class SaysYesFirst(AsyncReceiver):
    """Answers success, and accepts afterwards."""

    async def accept_notification(self, raw: Request) -> Accepted:
        life, seller = self.__dict__["life"], self.__dict__["seller"]
        seller.universe.spawn(life, self._afterwards(raw))
        endpoint = next(iter(self.endpoints.names.values()))
        verdict = Verdict(kind=VerdictKind.APPLIED, step=16)
        return Accepted(endpoint.configuration.manifest.client.acknowledge(True), verdict)

    async def _afterwards(self, raw: Request) -> None:
        await pause(1)
        await super().accept_notification(raw)


class PacksLater(AsyncReceiver):
    """The effect is a transaction of its own, after the acceptance's."""

    async def accept_notification(self, raw: Request) -> Accepted:
        accepted = await super().accept_notification(raw)
        if accepted.verdict.kind is VerdictKind.APPLIED:
            self.__dict__["seller"].crashpoint(self.__dict__["life"], "between")
            self.database.run(lambda transaction: pack(transaction, accepted.verdict.order_no))
        return accepted


def pack(transaction: Transaction, number: str) -> None:
    """The effect, where the order is paid and was not packed."""
    known = transaction.rows("SELECT 1 FROM parcel WHERE order_no = :order_no", {"order_no": number})
    if not known:
        transaction.execute("INSERT INTO parcel VALUES (:order_no, 1)", {"order_no": number})


class Careless(Acceptance):
    """Does not compare the sum."""

    def _trust(self, transaction: Transaction, trade: TradeView) -> TradeView:
        order = self._book.find(transaction, trade.out_trade_no)
        return trade if order is None else replace(trade, amount=order.amount)

    def _look_up(self, trade: TradeView, endpoint: Endpoint) -> Any:
        inner = super()._look_up

        def work(transaction: Transaction) -> Any:
            return inner(self._trust(transaction, trade), endpoint)(transaction)

        return work

    def _step_14_apply(
        self, transaction: Transaction, trade: TradeView, endpoint: Endpoint, payment: Payment, body_sha256: str
    ) -> Any:
        return super()._step_14_apply(transaction, self._trust(transaction, trade), endpoint, payment, body_sha256)


class Repeats(AsyncReceiver):
    """Ships again with every repeated notification."""

    async def accept_notification(self, raw: Request) -> Accepted:
        accepted = await super().accept_notification(raw)
        if accepted.verdict.kind is VerdictKind.DUPLICATE:
            number = accepted.verdict.order_no
            self.database.run(
                lambda transaction: transaction.execute("INSERT INTO parcel VALUES (:number, 1)", {"number": number})
            )
        return accepted


def no_effect(transaction: Transaction, order: Order, payment: Payment) -> None:
    """The shop's hook forgets what it is for."""


class DoubleBank(Liar):
    """Takes the money off the card twice."""

    async def _settle(self, instruction_no: str, number: str) -> BankOrder:
        order = await super()._settle(instruction_no, number)
        now = self.world.clock.business()

        def again(desk: Desk) -> None:
            if order.state == "succeeded" and not desk.posted(f"again:{instruction_no}"):
                desk.post(
                    f"again:{instruction_no}", "pay", order.bank, card_account(number), platform_account(order.bank),
                    order.amount, now,
                )  # fmt: skip

        await self.book.transact(again)
        return order


class NewKey(Buyer):
    """Repeats an unknown outcome under a new key."""

    def key_for(self, top_up: TopUp) -> str:
        return f"{top_up.key} {self.random.random()}"
