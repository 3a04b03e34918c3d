"""The referee of the forgery arena: sends, judges every answer and every change, and looks at the books in the end."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.attack.arena import ORDERS, Arena, Desk
from tests.attack.guide import Guide
from tests.attack.mutation import Hand, forge
from tongbao.kernel.money import Money
from tongbao.merchant.verdict import Accepted, VerdictKind
from tongbao.wire.http import Request

CORPUS_MAX: Final = 400

# what the platforms' truth allows each order to become, whatever is sent
ALLOWED: Final = {
    "A0001": {"pending", "paid"},
    "A0002": {"pending"},
    "A0003": {"pending", "paid"},
    "A0004": {"pending"},
    "A0005": {"pending", "paid", "finished"},
    "A0006": {"pending", "closed"},
}


@dataclass
class Referee:
    """Sends messages to the shop and judges every answer and every change."""

    arena: Arena
    counted: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    """How often at an endpoint of each folder, '' for none."""
    seen: set[tuple[str, ...]] = field(default_factory=set)
    digest: Any = field(default_factory=hashlib.sha256)

    def send(self, request: Request) -> tuple[Accepted, bool]:
        """The verdict, and whether this path through the acceptance is new."""
        connection = self.arena.connection
        before = connection.total_changes
        accepted = self.arena.receiver.accept_notification(request)
        changes = connection.total_changes - before
        verdict = accepted.verdict
        desk = self.arena.desk_at(request.raw_path)
        assert verdict.kind is not VerdictKind.FAILED, (verdict, request)
        said_yes = desk is not None and desk.manifest.server.acknowledged(accepted.response)
        assert said_yes == verdict.accepted, (verdict, accepted.response)
        if verdict.accepted:
            self._judge(desk, request, accepted)
        else:
            assert desk is not None or accepted.response.body == b"not found"
            # a refused message is one row among the invalid ones; a case one in the inbox; neither anything else
            assert changes == 1, (verdict, changes)
            assert verdict.reason
        if verdict.kind is VerdictKind.DUPLICATE:
            assert changes == 0
        self.counted[str(verdict.kind)] += 1
        self.asked[desk.manifest.name if desk is not None else ""] += 1
        path = (verdict.endpoint, str(verdict.kind), str(verdict.step), verdict.reason, verdict.detail)
        self.digest.update(repr(path).encode())
        new = path not in self.seen
        self.seen.add(path)
        return accepted, new

    def _judge(self, desk: Desk | None, request: Request, accepted: Accepted) -> None:
        """Whatever was accepted means, field by field, what the platform really said to this very endpoint."""
        assert desk is not None
        told = desk.read(request)
        assert told in desk.genuine, (desk.name, told)
        assert accepted.verdict.order_no == told.trade.out_trade_no

    def close(self) -> None:
        """The books at the end: nobody richer, every effect backed by the platform's own truth."""
        arena = self.arena
        for order_no, state, amount, currency in arena.rows(
            "SELECT order_no, state, amount_minor, currency FROM orders"
        ):
            number = order_no.rpartition("-")[2]
            assert state in ALLOWED[number], order_no
            assert (amount, currency) == (ORDERS[number], "CNY")
        truth = {number: (desk, trade) for desk in arena.desks for number, trade in desk.trades.items()}
        for order_no, kind, trade_no, amount in arena.rows(
            "SELECT order_no, kind, trade_no, amount_minor FROM payment_effect"
        ):
            desk, trade = truth[order_no]
            assert desk.known_as(trade) == trade_no, kind
            assert trade.amount == Money(amount)
        assert not arena.rows("SELECT 1 FROM payment_effect GROUP BY order_no, kind HAVING COUNT(*) > 1")
        refused = arena.rows("SELECT COUNT(*) FROM payment_invalid WHERE reason <> '' AND body_sha256 <> ''")[0][0]
        assert refused == self.counted["refused"]
        self._search_secrets()

    def _search_secrets(self) -> None:
        secrets = [secret.decode() for desk in self.arena.desks for secret in desk.secrets]
        for table in ("payment_invalid", "payment_inbox", "payment_outbox", "orders"):
            for row in self.arena.rows(f"SELECT * FROM {table}"):
                text = repr(row)
                assert not any(secret in text for secret in secrets), table


def attack(arena: Arena, seed: int, rounds: int, guide: Guide | None = None) -> Referee:
    """``rounds`` forgeries; every folder's messages are as often the start of one as any other's. What led to a verdict
    not seen before, and with a ``guide`` what took a step through the code that none before it took, becomes a start
    for further ones."""
    chance = Random(seed)
    referee = Referee(arena)
    corpus = [request for _, request in arena.sent]
    genuine: dict[str, list[Request]] = {}
    for desk, request in arena.sent:
        genuine.setdefault(desk.manifest.name, []).append(request)
    names = list(genuine)
    hand = Hand(chance, corpus[:], [desk.endpoint.path for desk in arena.desks])
    for _ in range(rounds):
        arena.pass_time(chance.choice((110, 150, 400)))
        start = chance.choice(corpus[-CORPUS_MAX:] if chance.random() < 0.4 else genuine[chance.choice(names)])
        forged = forge(hand, start)
        if guide is None:
            _, new = referee.send(forged)
        else:
            with guide:
                _, new = referee.send(forged)
            new = new or guide.walked
        if new:
            corpus.append(forged)
    referee.close()
    return referee
