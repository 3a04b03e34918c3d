"""The forgery arena: ten thousand messages nobody sent against the real acceptance, every protocol, SQLite."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attack.arena import Arena, Desk, build_arena, kinds, make_desk
from tests.attack.corpus import bad_amounts
from tests.attack.guide import Guide
from tests.attack.mutation import carry, is_form, pairs_of, payload, with_pairs
from tests.attack.referee import Referee, attack
from tests.attack.signer import learn
from tests.protocol.bench import is_asymmetric
from tests.support.clock import NOW
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, HOUR
from tongbao.merchant.verdict import VerdictKind
from tongbao.wire.http import Request
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.loader import load_protocol
from tongbao.wire.party import Party
from tongbao.wire.sign import md5_suffix, public_pem
from tongbao.wire.vocabulary import Notification, TradeState

KINDS = kinds()
NAMES = [name for name, *_ in KINDS]
ASKING = [name for name, _, _, _, asks in KINDS if asks]
QUERYING = [name for name, protocol, _, _, asks in KINDS if asks and load_protocol(protocol).weak]
PAIRED = [name for name, _, algorithm, _, _ in KINDS if is_asymmetric(algorithm)]
CLASSIC = [name for name, protocol, *_ in KINDS if protocol == "alipay_mapi"]


def sums_of(request: Request) -> list[bytes]:
    """The fields that carry ten yuan, the sum of the order A0003."""
    return [field for field, value in pairs_of(request) if value in (b"10.00", b"10.0", b"1000")]


def tells_sums(name: str, protocol: str, algorithm: str, charset: str) -> bool:
    """Whether notifications of this kind are forms with the sum in a field of its own (and not within a document)."""
    desk = make_desk(name, protocol, algorithm, charset, 1, ask=False)
    desk.open(f"{name}-A0003", 1_000)
    told = desk.tell(f"{name}-A0003", TradeState.PAID, paid_at=NOW)
    return is_form(told) and bool(sums_of(told))


SHARED = [kind[0] for kind in KINDS if not kind[4] and not is_asymmetric(kind[2]) and tells_sums(*kind[:4])]


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """A fresh arena."""
    with build_arena(tmp_path / "shop.sqlite") as fresh:
        yield fresh


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
    assert not any(secret.decode() in caplog.text for desk in arena.desks for secret in desk.secrets)


@pytest.mark.slow
def test_an_attack_that_is_guided_by_our_own_code(arena: Arena) -> None:
    """What takes a new step through the code is varied further. ``make soak`` sends a hundred thousand."""
    guide = Guide()
    referee = attack(arena, 1, 2_000, guide)
    assert referee.counted["failed"] == 0
    assert len(guide.seen) > 1_000


@pytest.mark.slow
def test_the_same_seed_gives_the_same_verdicts(tmp_path: Path) -> None:
    """An attack can be repeated: where the first differs, a seed would prove nothing."""
    digests = []
    for name in ("first", "second"):
        with build_arena(tmp_path / f"{name}.sqlite") as arena:
            digests.append(attack(arena, 7, 500).digest.hexdigest())
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_T25_the_genuine_message_of_another_merchant(arena: Arena) -> None:
    """Every message at every other endpoint: only the diagonal is accepted, though some trust the same key."""
    referee = Referee(arena)
    accepted = Counter[tuple[str, str]]()
    for sender, request in arena.sent:
        if _is_notice(sender, request):
            for desk in arena.desks:
                arena.pass_time(110)
                answer, _ = referee.send(replace(request, raw_path=desk.endpoint.path))
                accepted[(sender.name, desk.name)] += answer.verdict.accepted or (
                    sender is desk and answer.verdict.reason == "STALE"
                )
    assert [pair for pair, count in accepted.items() if bool(count) != (pair[0] == pair[1])] == []
    referee.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERYING)
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


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED)
def test_T34_no_text_of_the_corpus_is_an_amount_in_a_notification(arena: Arena, name: str) -> None:
    """Signed with the right key, so that only the sum is wrong: refused every time."""
    desk = next(desk for desk in arena.desks if desk.name == name)
    genuine = next(request for sender, request in arena.sent if sender is desk and b"A0003" in payload(request))
    sign = learn(desk.manifest, desk.secrets[0], genuine)
    charset = next(charset for kind, _, _, charset, _ in KINDS if kind == name) or desk.manifest.charset
    sums = sums_of(genuine)
    assert sums
    referee = Referee(arena)
    for text in bad_amounts():
        raw = text.encode(charset, "ignore")
        if raw.decode(charset) == text:
            arena.pass_time(110)
            changed = [(field, raw if field in sums else value) for field, value in pairs_of(genuine)]
            answer, _ = referee.send(sign(with_pairs(genuine, changed)))
            assert answer.verdict.kind is VerdictKind.REFUSED, (text, answer.verdict)
    answer, _ = referee.send(genuine)
    assert answer.verdict.kind is VerdictKind.APPLIED
    referee.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRED)
def test_T25_one_platform_key_serves_all_so_the_seller_decides(arena: Arena, name: str) -> None:
    """Signed by the platform, for this order's number and sum, but the money went to somebody else."""
    desk = next(desk for desk in arena.desks if desk.name == name)
    referee = Referee(arena)
    trade = replace(desk.trades[f"{name}-A0002"], state=TradeState.PAID, paid_at=NOW)
    for seller in (Party("2088000000000066"), Party("2088000000000066", "thief@example.com")):
        sent = desk.lie(replace(trade, seller=seller))
        if desk.read(sent).trade.seller.id != seller.id:
            assert name not in CLASSIC
            continue  # the protocol has no word for it
        answer, _ = referee.send(sent)
        assert (answer.verdict.step, answer.verdict.reason) == (11, "WRONG_RECIPIENT")
    referee.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(PAIRED) & set(CLASSIC)))
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


@pytest.mark.slow
def test_T31_a_return_is_no_notification(arena: Arena) -> None:
    """The browser's signed message, sent to the server's address in every carriage, pays nothing."""
    referee = Referee(arena)
    for desk, request in arena.homes:
        if not _is_notice(desk, request):  # some protocols say the same to both, and the shop asks before it believes
            for carried in (request, replace(request, method="POST", body=request.raw_query, raw_query=b"")):
                answer, _ = referee.send(carried)
                assert answer.verdict.kind is VerdictKind.REFUSED
    referee.close()
    assert arena.rows("SELECT COUNT(*) FROM orders WHERE state <> 'pending'") == [(0,)]


@pytest.mark.slow
def test_T24_a_replay_after_a_second_a_day_and_a_year(arena: Arena) -> None:
    """Every genuine message again and again: one effect."""
    referee = Referee(arena)
    genuine = [pair for pair in arena.sent if _is_notice(*pair) and pair not in arena.homes]
    first = [referee.send(request)[0].verdict.kind for _, request in genuine]
    assert set(first) == {VerdictKind.APPLIED}
    effects = arena.rows("SELECT * FROM payment_effect ORDER BY order_no, kind")
    orders = arena.rows("SELECT * FROM orders ORDER BY order_no")
    for wait in (1_000, HOUR, DAY, 365 * DAY):
        arena.pass_time(wait)
        for _, request in genuine:
            verdict = referee.send(request)[0].verdict
            assert verdict.kind is VerdictKind.DUPLICATE or verdict.reason == "STALE"
    assert arena.rows("SELECT * FROM payment_effect ORDER BY order_no, kind") == effects
    assert arena.rows("SELECT * FROM orders ORDER BY order_no") == orders
    referee.close()


@pytest.mark.slow
def test_T32_what_came_late_takes_no_payment_back(arena: Arena) -> None:
    """Closed and unpaid after paid, from the platform itself: recorded or refused, and the order stays paid."""
    referee = Referee(arena)
    for name in CLASSIC:
        desk = next(desk for desk in arena.desks if desk.name == name)
        for state in (TradeState.PAID, TradeState.FINISHED, TradeState.CLOSED, TradeState.UNPAID):
            sent = desk.say(replace(desk.trades[f"{name}-A0003"], state=state, paid_at=NOW))
            answer, _ = referee.send(sent)
            if state in (TradeState.CLOSED, TradeState.UNPAID):
                assert answer.verdict.kind in (VerdictKind.RECORDED, VerdictKind.REFUSED)
    for name in CLASSIC:
        ((state,),) = arena.rows(f"SELECT state FROM orders WHERE order_no = '{name}-A0003'")
        assert state == "paid" if name in ASKING else state in ("paid", "finished")


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKING)
def test_T24_sixty_four_replays_in_parallel(arena: Arena, name: str) -> None:
    """All are told yes, one has an effect."""
    desk, request = next(pair for pair in arena.sent if pair[0].name == name and _is_notice(*pair))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(arena.receiver.accept_notification, [request] * 64))
    assert all(desk.manifest.server.acknowledged(answer.response) for answer in answers)
    assert Counter(answer.verdict.kind for answer in answers)[VerdictKind.APPLIED] == 1
    number = desk.read(request).trade.out_trade_no
    assert arena.rows(f"SELECT COUNT(*) FROM payment_effect WHERE order_no = '{number}'") == [(1,)]


@pytest.mark.slow
def test_T65_the_shops_own_secret_in_a_message_is_not_written_down(arena: Arena) -> None:
    """A message that quotes the key of its endpoint, as a broken client may send it, is recorded without it."""
    referee = Referee(arena)
    for desk, request in arena.sent:
        for secret in desk.secrets:
            referee.send(with_pairs(request, [*pairs_of(request), (b"key", secret)]))
            referee.send(carry(request, payload(request) + b"&x=" + secret + b"&x=" + secret))
    referee.close()


@pytest.mark.slow
def test_the_referee_sees_a_forgery(arena: Arena) -> None:
    """The net itself: a meaning nobody said is noticed when it is accepted."""
    referee = Referee(arena)
    desk = next(desk for desk in arena.desks if not desk.asks)
    never = replace(desk.trades[f"{desk.name}-A0002"], state=TradeState.PAID, paid_at=NOW)
    with pytest.raises(AssertionError):
        referee.send(desk.lie(never))


def _is_notice(desk: Desk, request: Request) -> bool:
    try:
        told: Notification = desk.read(request)
    except RemoteProtocolError:
        return False
    return told in desk.genuine
