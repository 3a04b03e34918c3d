"""The laws for money after the payment: refunds, splits, payouts, balances, bills. What a folder offers is asked."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import cache
from io import BytesIO, StringIO
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.protocol.bench import NOW, Pair, lost, make_pair, pair_params, products, silent, without_echo
from tests.protocol.movement import after_notices, bill_lines, check_found_batch, heads, outcomes, variants
from tests.protocol.sample import (
    AFTER_KINDS,
    every_candidate,
    poorer,
    said_intents,
    simple_create,
    simple_intents,
    weakest_pair,
)
from tests.protocol.test_law import EVERY, LAW, TARGET, check_view, damage, hear, heard, voiced
from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, Instant, later, parse_china
from tongbao.wire.describe import describe
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.movement import (
    BalanceFound,
    BatchFound,
    BatchTaken,
    BatchView,
    BillHead,
    BillLine,
    Cancelled,
    CertificatesFound,
    IdentityFound,
    MovementsFound,
    PayOutBatch,
    PayOutFound,
    PayOutView,
    RefundBatch,
    RefundFound,
    RefundView,
    Split,
    SplitFound,
)
from tongbao.wire.party import Party
from tongbao.wire.refusal import is_refusal
from tongbao.wire.vocabulary import (
    Carriage,
    CreateTrade,
    FollowUp,
    Intent,
    Notification,
    Outcome,
    Presentation,
    Role,
    TradeFound,
    TradeOpened,
    TradeView,
)

Ended = RefundView | PayOutView


@cache
def after_samples(name: str, algorithm: str = "") -> tuple[Intent, ...]:
    """Samples of what is said about money after the payment, and of trades that are not met on a page."""
    return tuple(
        intent
        for intent, _, _ in said_intents(name, algorithm)
        if type(intent) in AFTER_KINDS or (isinstance(intent, CreateTrade) and intent != simple_create(intent.product))
    )


@cache
def answered_samples(name: str, algorithm: str = "") -> tuple[Intent, ...]:
    """Those whose answer the merchant's server reads."""
    carried = {id(intent): carriage for intent, _, carriage in said_intents(name, algorithm)}
    return tuple(intent for intent in after_samples(name, algorithm) if carried[id(intent)] is Carriage.SERVER)


@cache
def batch_samples(name: str) -> tuple[Intent, ...]:
    return tuple(intent for intent in after_samples(name) if isinstance(intent, RefundBatch | PayOutBatch))


def tells(name: str) -> bool:
    """Whether a folder has notifications of anything but a trade's states."""
    manifest = load_protocol(name)
    return bool(manifest.notifies_refund or manifest.notifies_payout or batch_samples(name))


def having(test: Callable[[str], object]) -> pytest.MarkDecorator:
    """The pairs of folders of which ``test`` holds."""
    chosen = [param for param in pair_params() if test(str(param.values[0]))]
    return pytest.mark.parametrize(("name", "algorithm", "charset"), chosen)


# --- what can be said --------------------------------------------------------------------------------------------


@EVERY
def test_every_offer_has_a_sample(name: str) -> None:
    """Whatever intent the manifest offers can be said by some plain sample, and every operation is reached by one."""
    manifest = load_protocol(name)
    modes = ("", *manifest.modes)
    said = [one for algorithm in manifest.algorithms for mode in modes for one in said_intents(name, algorithm, mode)]
    assert {type(intent) for intent, _, _ in said} == set(manifest.operations.values())
    assert {operation for _, operation, _ in said} == set(manifest.operations)


@EVERY
def test_what_is_not_offered_cannot_be_said(name: str) -> None:
    """An intent that the manifest does not offer is refused by the merchant's half, and never half said."""
    manifest = load_protocol(name)
    pair = weakest_pair(name)
    offered = set(manifest.operations.values())
    for intent in every_candidate():
        if type(intent) not in offered:
            for asked in (intent, *list(poorer(intent))[-1:]):
                with pytest.raises(LocalProtocolError):
                    manifest.client.encode(asked, pair.credentials, NOW)


NEW_MEMBERS: tuple[dict[str, Any], ...] = (
    *[{"presentation": presentation} for presentation in Presentation if presentation is not Presentation.PAGE],
    {"code": "280123456789012345"},
    {"presentation": Presentation.BARCODE, "code": "280123456789012345"},
    {"splits": (Split(receiver=Party("", "partner@example.com"), amount=Money(100), memo="分润"),)},
    {"splits": (Split(receiver=Party("2088000000000077"), rate=500),)},
    {"split_later": True},
)


@EVERY
def test_nothing_new_is_dropped(name: str) -> None:
    """Where the buyer meets the trade, his code and the shares of others are said whole, or the request is refused."""
    pair = weakest_pair(name)
    for product in products(pair.manifest):
        for member in NEW_MEMBERS:
            asked = replace(simple_create(product), **member)
            try:
                readings = pair.ask(asked)
            except LocalProtocolError:
                continue
            for _, _, verified in readings:
                for word, value in member.items():
                    assert getattr(verified.intent, word) == value


@having(lambda name: bool(after_samples(name)))
def test_after_request_pair(name: str, algorithm: str, charset: str) -> None:
    """A request about money after the payment is read as it was meant, or cannot be said and an error tells why."""
    pair = make_pair(name, algorithm, charset)

    @LAW
    @given(variants(list(after_samples(name, algorithm))))
    def law(intent: Intent) -> None:
        try:
            readings = pair.ask(intent)
        except LocalProtocolError as error:
            assert error.reason  # noqa: PT017 - refusing is a right answer here
            assume(False)
        for call, claim, verified in readings:
            assert claim.carriage is call.carriage
            assert claim.merchant == verified.intent.merchant == pair.credentials.merchant
            assert type(verified.intent) is pair.manifest.operations[claim.operation] is type(intent)
            assert lost(intent, verified.intent) == silent(intent, verified.intent) == ""
            assert verified.key is None or verified.key in pair.ring.verify
            again = pair.ask(verified.intent)[0][2].intent
            assert without_echo(again) == without_echo(verified.intent)

    law()


# --- what is answered --------------------------------------------------------------------------------------------


def check_ended(pair: Pair, asked: Ended, told: Ended, message: str) -> None:
    """The same refund or payout: agreeing wherever both speak, and saying sum and state unless declared unsaid."""
    unsaid = pair.manifest.unsaid
    assert lost(replace(asked, code="", state=None), replace(told, code="", state=None)) == ""
    assert told.amount == asked.amount or (message, "amount") in unsaid
    kind = "refund" if isinstance(asked, RefundView) else "payout"
    said = pair.manifest.said_as.get(f"{kind}:{asked.state}", asked.state)
    assert told.state == said or (message, "state") in unsaid
    assert not told.code or is_refusal(told.code)


def check_outcome(pair: Pair, intent: Intent, asked: Outcome, told: Outcome) -> None:
    """What the shop reads is what the platform answered, in the words that the protocol has for it."""
    message = type(intent).__name__
    assert type(told) is type(asked)
    if isinstance(asked, TradeOpened) and isinstance(told, TradeOpened):
        assert told.trade_no in ("", asked.trade_no)
        assert told.trade_no or asked.code in told.code + told.cashier_url or asked.cashier_url == told.cashier_url
    elif isinstance(asked, TradeFound) and isinstance(told, TradeFound):
        check_view(heard(pair, asked.trade, "TradeFound"), told.trade)
    elif isinstance(asked, RefundFound) and isinstance(told, RefundFound):
        assert len(told.refunds) == len(asked.refunds)
        for mine, theirs in zip(asked.refunds, told.refunds, strict=True):
            check_ended(pair, mine, theirs, message)
        if isinstance(asked.trade, TradeView) and isinstance(told.trade, TradeView):
            assert lost(asked.trade, told.trade) == ""
    elif isinstance(asked, PayOutFound) and isinstance(told, PayOutFound):
        assert len(told.payouts) == len(asked.payouts)
        for mine_, theirs_ in zip(asked.payouts, told.payouts, strict=True):
            check_ended(pair, mine_, theirs_, message)
    elif isinstance(asked, BatchFound) and isinstance(told, BatchFound):
        check_found_batch(asked.batch, told.batch)
    elif isinstance(asked, SplitFound) and isinstance(told, SplitFound):
        assert lost(asked.split, told.split) == ""
        assert told.split.split_no in ("", asked.split.split_no)
    elif isinstance(asked, BalanceFound) and isinstance(told, BalanceFound):
        assert told.available == asked.available
        assert told.held == asked.held or (message, "held") in pair.manifest.unsaid
    elif isinstance(asked, MovementsFound) and isinstance(told, MovementsFound):
        assert (told.page, told.page_size, told.more) == (asked.page, asked.page_size, asked.more)
        check_lines(pair, asked.lines, told.lines)
    elif isinstance(asked, IdentityFound) and isinstance(told, IdentityFound):
        assert (told.buyer, told.token) == (asked.buyer, asked.token)
    elif isinstance(asked, FollowUp) and isinstance(told, FollowUp):
        download = pair.manifest.download
        assert told.url == asked.url or (download and f"{download}?" in told.url)
    elif isinstance(asked, BatchTaken | Cancelled | CertificatesFound):
        assert lost(asked, told) == ""
    else:
        assert told == asked


@having(lambda name: bool(answered_samples(name)))
def test_after_response_pair(name: str, algorithm: str, charset: str) -> None:
    """An answer about money after the payment is read as it was meant, and is about what was asked."""
    pair = make_pair(name, algorithm, charset)
    client, server = pair.manifest.client, pair.manifest.server

    @LAW
    @given(variants(list(answered_samples(name, algorithm))), st.data())
    def law(intent: Intent, data: st.DataObject) -> None:
        try:
            call = client.encode(intent, pair.credentials, NOW)
        except LocalProtocolError:
            assume(False)
        claim, verified = pair.read(call.request())
        outcome = data.draw(outcomes(pair.manifest, intent))
        response = server.answer(claim, outcome, pair.ring, NOW)
        if response.chunks is not None:
            response = replace(response, body=b"".join(response.chunks), chunks=None)
        told = client.decode(verified.intent, response, pair.credentials, NOW)
        check_outcome(pair, intent, outcome, told)
        changed = replace(response, body=damage(data, response.body))
        with suppress(RemoteProtocolError):
            client.decode(verified.intent, changed, pair.credentials, NOW)

    law()


@EVERY
def test_what_a_device_carries_is_answered_too(name: str) -> None:
    """Whoever sends to a face what is meant for a wallet's app gets an answer in words, and no failure."""
    manifest = load_protocol(name)
    for algorithm in manifest.algorithms:
        pair = weakest_pair(name, algorithm)
        for intent, _, carriage in said_intents(name, algorithm):
            if carriage is Carriage.DEVICE:
                claim, _ = pair.read(manifest.client.encode(intent, pair.credentials, NOW).request())
                opened = TradeOpened("2015040100001000980012345678", "http://127.0.0.1:8080/cashier/x", "AbC123")
                assert manifest.server.answer(claim, opened, pair.ring, NOW).status < 500


# --- what the merchant is told ------------------------------------------------------------------------------------


def after_voiced(pair: Pair, notice: Notification) -> Notification:
    """The notice in the charset and algorithm of the request it answers."""
    if notice.batch is None:
        return voiced(pair, notice)
    kind = PayOutBatch if notice.batch.payouts else RefundBatch
    sample = next(intent for intent in batch_samples(pair.manifest.name) if isinstance(intent, kind))
    told = pair.ask(sample)[0][2].intent
    assert isinstance(told, RefundBatch | PayOutBatch)
    return replace(notice, batch=replace(notice.batch, echo=told.echo))


def check_batch(pair: Pair, asked: BatchView, told: BatchView | None) -> None:
    assert told is not None
    assert told.batch_no == asked.batch_no
    if ("Notification", "payouts") in pair.manifest.unsaid:
        assert told.payouts == ()
        assert told.head is not None
        asked = replace(asked, payouts=())
    assert (len(told.refunds), len(told.payouts)) == (len(asked.refunds), len(asked.payouts))
    payouts = zip(sorted(asked.payouts, key=key_of), sorted(told.payouts, key=key_of), strict=True)
    pairs: list[tuple[Ended, Ended]] = [*zip(asked.refunds, told.refunds, strict=True), *payouts]
    for mine, theirs in pairs:
        check_ended(pair, mine, theirs, "Notification")
        assert bool(theirs.code) == bool(mine.code)
    assert lost(replace(asked, refunds=(), payouts=()), replace(told, refunds=(), payouts=())) == ""


def key_of(payout: PayOutView) -> str:
    return payout.payout_no


def check_notice(pair: Pair, asked: Notification, told: Notification) -> None:
    """The shop reads about the same refund, payout or batch; a trade's own notification may tell of its refund."""
    assert told.id in ("", asked.id)
    assert told.role is Role.NOTIFICATION
    if asked.batch is not None:
        check_batch(pair, asked.batch, told.batch)
    elif asked.payout is not None:
        assert told.payout is not None
        check_ended(pair, asked.payout, told.payout, "Notification")
    elif asked.refund is not None:
        assert lost(replace(asked.trade, state=None), replace(told.trade, state=None)) == ""
        if pair.manifest.notifies_refund == "own":
            assert told.refund is not None
        if told.refund is not None:
            check_ended(pair, asked.refund, told.refund, "Notification")


@having(tells)
def test_after_notification_pair(name: str, algorithm: str, charset: str) -> None:
    """A refund, a payout and a batch are told as they ended; a changed message is refused or says the same."""
    pair = make_pair(name, algorithm, charset)
    client, server = pair.manifest.client, pair.manifest.server

    @LAW
    @given(after_notices(pair.manifest, list(batch_samples(name))), st.data())
    def law(notice: Notification, data: st.DataObject) -> None:
        try:
            sent = server.notify(after_voiced(pair, notice), TARGET, pair.ring, NOW)
        except LocalProtocolError:
            assume(False)
        assert sent.url.startswith(TARGET)
        told = hear(pair, client.decode_notification, sent)
        check_notice(pair, notice, told)
        assert server.trail(sent) is not None
        assert "buyer@example.com" not in describe(sent, pair.manifest.private)
        for _ in range(4):
            changed = replace(sent, raw_query=damage(data, sent.raw_query), body=damage(data, sent.body))
            with suppress(RemoteProtocolError):
                assert client.decode_notification(changed, pair.credentials, NOW) == told

    law()


@EVERY
def test_what_is_not_told_is_refused(name: str) -> None:
    """A batch or payout that the folder has no message for is not turned into a message about something else."""
    pair = weakest_pair(name)
    kinds = {type(intent) for intent in batch_samples(name)}
    untellable = []
    if RefundBatch not in kinds:
        untellable.append(Notification(id="a" * 32, at=None, batch=BatchView(batch_no="1", refunds=(RefundView(),))))
    if PayOutBatch not in kinds:
        untellable.append(Notification(id="a" * 32, at=None, batch=BatchView(batch_no="1", payouts=(PayOutView(),))))
    if not pair.manifest.notifies_payout:
        untellable.append(Notification(id="a" * 32, at=None, payout=PayOutView(payout_no="1", amount=Money(1))))
    for notice in untellable:
        with pytest.raises(LocalProtocolError):
            pair.manifest.server.notify(notice, TARGET, pair.ring, NOW)


# --- bills -------------------------------------------------------------------------------------------------------


def check_lines(pair: Pair, asked: tuple[BillLine, ...], told: tuple[BillLine, ...]) -> None:
    """Line by line the same; kind, time and sums are always said, other members unless declared unsaid."""
    unsaid = pair.manifest.unsaid
    assert len(told) == len(asked)
    for mine, theirs in zip(asked, told, strict=True):
        assert lost(mine, theirs) == ""
        for word in ("kind", "at", "income", "outcome"):
            assert getattr(theirs, word) == getattr(mine, word)
        for word in ("out_trade_no", "trade_no", "fee", "balance", "serial"):
            assert getattr(theirs, word) == getattr(mine, word) or ("BillLine", word) in unsaid


WITH_BILL = [name for name in protocol_names() if load_protocol(name).bill is not None]


def day_of(head: BillHead) -> Instant:
    return parse_china(f"{head.day.isoformat()} 00:00:00")


@pytest.mark.parametrize("name", WITH_BILL)
def test_bill_pair(name: str) -> None:
    """A bill is read back line by line; its name has an ending; cut short or changed it gives one kind of error."""
    pair = weakest_pair(name)
    bill = pair.manifest.bill
    assert bill is not None
    written = set()

    @LAW
    @given(heads, st.data())
    def law(head: BillHead, data: st.DataObject) -> None:
        head = replace(head, merchant=pair.manifest.merchant_example)
        lines = data.draw(bill_lines(head.kind, day_of(head), later(day_of(head), DAY - 1_000)))
        try:
            chunks = list(bill.write(head, lines))
        except LocalProtocolError:
            assume(False)
        written.add(head.kind)
        check_lines(pair, lines, tuple(bill.read(chunks)))
        whole = b"".join(chunks)
        sliced = [whole[place : place + 7] for place in range(0, len(whole), 7)]
        check_lines(pair, lines, tuple(bill.read(sliced)))
        assert bill.file_name(head).rpartition(".")[2] in ("csv", "zip", "txt", "gz")
        with suppress(RemoteProtocolError):
            list(bill.read([damage(data, whole)]))

    law()
    assert written


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", '",=1')


@pytest.mark.parametrize("name", WITH_BILL)
def test_no_bill_holds_a_formula(name: str) -> None:
    """Text that a spreadsheet would take for a formula stands in no cell as such, and is read back as it was."""
    pair = weakest_pair(name)
    bill = pair.manifest.bill
    assert bill is not None
    for kind in ("trade", "account"):
        for text in FORMULAS:
            head = BillHead(merchant=pair.manifest.merchant_example, day=date(2015, 3, 31), kind=kind)
            line = BillLine(
                kind="payment",
                at=day_of(head),
                income=Money(100),
                outcome=Money(0),
                fee=Money(0),
                out_trade_no="T1",
                trade_no="2015040100001000980012345678",
                amount=Money(100),
                balance=Money(100) if kind == "account" else None,
                serial="1",
                subject=text,
                memo=text,
                created_at=day_of(head),
                state="success",
            )
            try:
                raw = b"".join(bill.write(head, [line]))
            except LocalProtocolError:
                continue
            risky = [cell for cell in cells(raw) if cell.lstrip().startswith(("=", "+", "-", "@", "\t"))]
            assert [cell for cell in risky if NUMBER.fullmatch(cell) is None] == []
            told = next(iter(bill.read([raw])))
            assert told.subject in ("", text, text.replace("\t", " "))


NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def cells(raw: bytes) -> list[str]:
    """The cells of every table in a bill, whether it is packed or not."""
    if raw.startswith(b"PK"):
        with ZipFile(BytesIO(raw)) as archive:
            return [cell for name in archive.namelist() for cell in cells(archive.read(name))]
    if raw.startswith(b"\x1f\x8b"):
        return cells(gzip.decompress(raw))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("gb18030")
    return [cell for row in csv.reader(StringIO(text, newline="")) for cell in row]


# --- what logs may show ------------------------------------------------------------------------------------------


@having(lambda name: bool(after_samples(name)))
def test_no_person_is_shown_after(name: str, algorithm: str, charset: str) -> None:
    """No request about money after the payment shows a holder's name, a card or a login in a log."""
    pair = make_pair(name, algorithm, charset)
    for intent in simple_intents(name, algorithm):
        if type(intent) in AFTER_KINDS:
            call = pair.manifest.client.encode(intent, pair.credentials, NOW)
            shown = [repr(call), describe(call.request(), pair.manifest.private), repr(intent)]
            claim, verified = pair.read(call.request())
            shown += [repr(claim), repr(verified)]
            for text in shown:
                assert not any(word in text for word in ("张三", "李四", "6222020200112230", "a@example.com"))
