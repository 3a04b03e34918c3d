"""The forgery arena: ten thousand messages nobody sent against the real acceptance, both protocols, SQLite."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.attack.arena import NOW, ORDERS, SECRETS, Arena, Desk, build_arena
from tests.attack.mutation import Hand, carry, forge, pairs_of, payload, with_pairs
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, HOUR
from tongbao.merchant.verdict import Accepted, VerdictKind
from tongbao.wire.http import Request
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.party import Party
from tongbao.wire.sign import md5_suffix, public_pem
from tongbao.wire.vocabulary import Notification, TradeState

CORPUS_MAX = 400
NO = frozenset({b"fail", b"FAIL", b"not found"})
YES = frozenset({b"success", b"SUCCESS"})

# what the platforms' truth allows each order to become, whatever is sent
ALLOWED = {
    "A0001": {"pending", "paid"},
    "A0002": {"pending"},
    "A0003": {"pending", "paid"},
    "A0004": {"pending"},
    "A0005": {"pending", "paid", "finished"},
    "A0006": {"pending", "closed"},
}


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """A fresh arena."""
    with build_arena(tmp_path / "shop.sqlite") as fresh:
        yield fresh


@dataclass
class Referee:
    """Sends messages to the shop and judges every answer and every change."""

    arena: Arena
    counted: Counter[str] = field(default_factory=Counter)
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
        if verdict.accepted:
            assert accepted.response.body in YES
            self._judge(desk, request, accepted)
        else:
            assert accepted.response.body in NO
            # a refused message is one row among the invalid ones; a case one in the inbox; neither anything else
            assert changes == 1, (verdict, changes)
            assert verdict.reason
        if verdict.kind is VerdictKind.DUPLICATE:
            assert changes == 0
        self.counted[str(verdict.kind)] += 1
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
        truth = {number: trade for desk in arena.desks for number, trade in desk.trades.items()}
        for order_no, kind, trade_no, amount in arena.rows(
            "SELECT order_no, kind, trade_no, amount_minor FROM payment_effect"
        ):
            assert truth[order_no].trade_no == trade_no, kind
            assert truth[order_no].amount == Money(amount)
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


def attack(arena: Arena, seed: int, rounds: int) -> Referee:
    """``rounds`` forgeries. What led to a verdict not seen before becomes a start for further ones."""
    chance = Random(seed)
    referee = Referee(arena)
    corpus = [request for _, request in arena.sent]
    hand = Hand(chance, corpus[:], [desk.endpoint.path for desk in arena.desks])
    for _ in range(rounds):
        arena.pass_time(chance.choice((110, 150, 400)))
        start = chance.choice(corpus[-CORPUS_MAX:] if chance.random() < 0.4 else corpus[: len(arena.sent)])
        forged = forge(hand, start)
        _, new = referee.send(forged)
        if new:
            corpus.append(forged)
    referee.close()
    return referee


@pytest.mark.slow
def test_ten_thousand_forged_messages_move_nothing(arena: Arena, caplog: pytest.LogCaptureFixture) -> None:
    """Orders move by what the platform really said alone; every refusal is recorded; no secret is written or logged."""
    with caplog.at_level(logging.DEBUG):
        referee = attack(arena, 20260301, 10_000)
    assert sum(referee.counted.values()) == 10_000
    assert referee.counted["refused"] > 8_000
    assert referee.counted["applied"] > 5
    assert referee.counted["failed"] == 0
    assert len(referee.seen) > 200
    assert not any(secret in caplog.text for secret in SECRETS)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_forged_messages_move_nothing(arena: Arena, seed: int) -> None:
    """The same with ten other seeds."""
    assert attack(arena, seed, 10_000).counted["failed"] == 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_verdicts(tmp_path: Path) -> None:
    """An attack can be repeated: where the first differs, a seed would prove nothing."""
    digests = []
    for name in ("first", "second"):
        with build_arena(tmp_path / f"{name}.sqlite") as arena:
            digests.append(attack(arena, 7, 500).digest.hexdigest())
    assert digests[0] == digests[1]


def test_T25_the_genuine_message_of_another_merchant(arena: Arena) -> None:
    """Every message at every other endpoint: only the diagonal is accepted, though some trust the same key."""
    referee = Referee(arena)
    accepted = Counter[tuple[str, str]]()
    for sender, request in arena.sent:
        if request.body or sender.manifest.name == "yeepay":
            for desk in arena.desks:
                answer, _ = referee.send(replace(request, raw_path=desk.endpoint.path))
                accepted[(sender.name, desk.name)] += answer.verdict.accepted
    assert all(bool(count) == (pair[0] == pair[1]) for pair, count in accepted.items()), accepted
    referee.close()


@pytest.mark.parametrize("name", ["md5", "rsa", "yee"])
def test_T26_T27_even_the_platforms_own_signature_does_not_pay_another_sum(arena: Arena, name: str) -> None:
    """Messages with a right signature that say what never was: the order and the query refuse them."""
    desk = next(desk for desk in arena.desks if desk.name == name)
    referee = Referee(arena)
    cheap = desk.trades[f"{name}-A0001"]
    for lie, reasons in (
        (replace(cheap, out_trade_no=f"{name}-A0002"), {"AMOUNT_MISMATCH"}),
        (replace(cheap, out_trade_no=f"{name}-A0002", amount=Money(200_000)), {"QUERY_DISAGREES", "PROOF_INVALID"}),
        (replace(cheap, out_trade_no=f"{name}-B0001"), {"ORDER_UNKNOWN"}),
        (replace(cheap, amount=Money(2)), {"AMOUNT_MISMATCH"}),
        (replace(cheap, amount=Money(100)), {"AMOUNT_MISMATCH"}),
        (replace(desk.trades[f"{name}-A0002"], state=TradeState.PAID, paid_at=NOW), {"QUERY_DISAGREES"}),
        (replace(desk.trades[f"{name}-A0006"], state=TradeState.PAID, paid_at=NOW), {"QUERY_DISAGREES"}),
        (replace(desk.trades[f"{name}-A0003"], out_trade_no=f"{name}-A0004"), {"QUERY_DISAGREES", "PROOF_INVALID"}),
    ):
        answer, _ = referee.send(desk.lie(lie) if desk.live else carry(arena.sent[0][1], b""))
        assert answer.verdict.reason in reasons, (lie, answer.verdict)
    referee.close()


@pytest.mark.parametrize("name", ["rsa", "rsab"])
def test_T25_one_platform_key_serves_all_so_the_seller_decides(arena: Arena, name: str) -> None:
    """Signed by the platform, for this order's number and sum, but the money went to somebody else."""
    desk = next(desk for desk in arena.desks if desk.name == name)
    referee = Referee(arena)
    trade = replace(desk.trades[f"{name}-A0002"], state=TradeState.PAID, paid_at=NOW)
    for seller in (Party("2088000000000066"), Party("2088000000000066", "thief@example.com")):
        answer, _ = referee.send(desk.lie(replace(trade, seller=seller)))
        assert (answer.verdict.step, answer.verdict.reason) == (11, "WRONG_RECIPIENT")
    referee.close()


@pytest.mark.parametrize("name", ["rsa", "rsab"])
def test_T05_a_downgrade_to_md5_with_the_public_key_as_secret(arena: Arena, name: str) -> None:
    """Whoever knows the platform's public key cannot sign with its text."""
    desk = next(desk for desk in arena.desks if desk.name == name)
    referee = Referee(arena)
    public = desk.endpoint.configuration.keys.ring.verify[0].material
    for secret in (public_pem(public).encode(), public_pem(public).encode().strip(), b"", b"null"):  # type: ignore[arg-type]
        trade = replace(desk.trades[f"{name}-A0002"], state=TradeState.PAID, paid_at=NOW)
        if secret:
            forged = Key(desk.merchant, 1, "MD5", secret)
            request = desk.lie(replace(trade, echo={"sign_type": "MD5"}), KeyRing(desk.merchant, (forged,), (forged,)))
        else:
            pairs = [pair for pair in pairs_of(desk.lie(trade)) if pair[0] not in (b"sign", b"sign_type")]
            text = b"&".join(b"%b=%b" % pair for pair in sorted(pairs) if pair[1])
            ends = [(b"sign", md5_suffix(text, b"").encode()), (b"sign_type", b"MD5")]
            request = with_pairs(desk.lie(trade), [*pairs, *ends])
        for sign_type in (b"MD5", b"RSA", b"rsa", b"md5", b""):
            pairs = [(key, sign_type if key == b"sign_type" else value) for key, value in pairs_of(request)]
            answer, _ = referee.send(with_pairs(request, pairs))
            assert answer.verdict.step == 8
            assert answer.verdict.reason in ("SIGN_TYPE_NOT_ALLOWED", "SIGN_INVALID", "SIGN_MISSING")
    referee.close()


def test_T31_a_return_is_no_notification(arena: Arena) -> None:
    """The browser's signed message, sent to the server's address in every carriage, pays nothing."""
    referee = Referee(arena)
    for desk, request in arena.sent:
        if request.method == "GET" and (desk.manifest.name != "yeepay" or b"r9_BType=1" in request.raw_query):
            for carried in (request, replace(request, method="POST", body=request.raw_query, raw_query=b"")):
                answer, _ = referee.send(carried)
                assert answer.verdict.kind is VerdictKind.REFUSED
    referee.close()
    assert arena.rows("SELECT COUNT(*) FROM orders WHERE state <> 'pending'") == [(0,)]


def test_T24_a_replay_after_a_second_a_day_and_a_year(arena: Arena) -> None:
    """Every genuine message again and again: one effect."""
    referee = Referee(arena)
    genuine = [(desk, request) for desk, request in arena.sent if _is_notice(desk, request)]
    first = [referee.send(request)[0].verdict.kind for _, request in genuine]
    assert set(first) == {VerdictKind.APPLIED}
    effects = arena.rows("SELECT * FROM payment_effect ORDER BY order_no, kind")
    orders = arena.rows("SELECT * FROM orders ORDER BY order_no")
    for wait in (1_000, HOUR, DAY, 365 * DAY):
        arena.pass_time(wait)
        for _, request in genuine:
            assert referee.send(request)[0].verdict.kind is VerdictKind.DUPLICATE
    assert arena.rows("SELECT * FROM payment_effect ORDER BY order_no, kind") == effects
    assert arena.rows("SELECT * FROM orders ORDER BY order_no") == orders
    referee.close()


def test_T32_what_came_late_takes_no_payment_back(arena: Arena) -> None:
    """Closed and unpaid after paid, from the platform itself: recorded or refused, and the order stays paid."""
    referee = Referee(arena)
    for name in ("md5", "md5b", "rsa", "rsab"):
        desk = next(desk for desk in arena.desks if desk.name == name)
        for state in (TradeState.PAID, TradeState.FINISHED, TradeState.CLOSED, TradeState.UNPAID):
            sent = desk.say(replace(desk.trades[f"{name}-A0003"], state=state, paid_at=NOW))
            answer, _ = referee.send(sent)
            if state in (TradeState.CLOSED, TradeState.UNPAID):
                assert answer.verdict.kind in (VerdictKind.RECORDED, VerdictKind.REFUSED)
    states = arena.rows("SELECT DISTINCT state FROM orders WHERE order_no IN ('md5b-A0003', 'rsab-A0003')")
    assert set(states) <= {("finished",), ("paid",)}
    assert arena.rows("SELECT state FROM orders WHERE order_no IN ('md5-A0003', 'rsa-A0003')") == [("paid",), ("paid",)]


@pytest.mark.parametrize("name", ["md5", "rsa", "yee"])
def test_T24_sixty_four_replays_in_parallel(arena: Arena, name: str) -> None:
    """All are told yes, one has an effect."""
    desk, request = next(pair for pair in arena.sent if pair[0].name == name and _is_notice(*pair))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(arena.receiver.accept_notification, [request] * 64))
    assert {answer.response.body for answer in answers} <= YES
    assert Counter(answer.verdict.kind for answer in answers)[VerdictKind.APPLIED] == 1
    number = desk.read(request).trade.out_trade_no
    assert arena.rows(f"SELECT COUNT(*) FROM payment_effect WHERE order_no = '{number}'") == [(1,)]


def test_T65_the_shops_own_secret_in_a_message_is_not_written_down(arena: Arena) -> None:
    """A message that quotes the key of its endpoint, as a broken client may send it, is recorded without it."""
    referee = Referee(arena)
    for desk, request in arena.sent:
        if desk.endpoint.configuration.keys.ring.verify[0].algorithm != "RSA":
            secret = desk.secrets[0]
            referee.send(with_pairs(request, [*pairs_of(request), (b"key", secret)]))
            referee.send(carry(request, payload(request) + b"&x=" + secret + b"&x=" + secret))
    referee.close()


def test_the_referee_sees_a_forgery(arena: Arena) -> None:
    """The net itself: a meaning nobody said is noticed when it is accepted."""
    referee = Referee(arena)
    desk = next(desk for desk in arena.desks if desk.name == "md5b")
    never = replace(desk.trades["md5b-A0002"], state=TradeState.PAID, paid_at=NOW)
    with pytest.raises(AssertionError):
        referee.send(desk.lie(never))


def _is_notice(desk: Desk, request: Request) -> bool:
    try:
        told: Notification = desk.read(request)
    except RemoteProtocolError:
        return False
    return told in desk.genuine
