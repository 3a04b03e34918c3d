"""A scripted flow whose every command can be sent again: what a client does who was not told what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.support.platform import BUYER, MERCHANT, PROTOCOL, House, make_buyer, make_intent, make_merchant
from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.kernel.time import DAY, Instant
from tongbao.service.bank import RecordInquiry, ReportInstruction
from tongbao.service.command import Once
from tongbao.service.create import Asker, OpenTrade
from tongbao.service.escrow import Close, ConfirmReceipt, Ship, TimerDue
from tongbao.service.outbox import LEASE, Claimed, Delivered, claim, finish
from tongbao.service.party import ChangeMerchant, RegisterBuyer, RegisterMerchant, TopUp
from tongbao.service.password import ReserveAuthorisation, SettleAuthorisation
from tongbao.service.pay import PayFromBalance, StartPayment
from tongbao.service.payout import Origin, PayOne
from tongbao.service.payout_bank import ReportPayout
from tongbao.service.payout_batch import LoadLines, OpenBatch, RunLines, StartBatch
from tongbao.service.refund import RequestRefund
from tongbao.service.settlement import settle_early
from tongbao.service.split import ShareTrade
from tongbao.store.step import CommitUnknown, ConnectionLost
from tongbao.trade.payout import Line
from tongbao.trade.split import Wanted

ASKER: Final = Asker(MERCHANT, PROTOCOL)
PRODUCTS: Final = {"A": "instant", "B": "escrow", "C": "instant", "D": "dual"}
NUMBERS: Final = {number: f"20260301{place:020d}" for place, number in enumerate(PRODUCTS, 1)}


def _open(number: str) -> OpenTrade:
    return OpenTrade(ASKER, make_intent(number, PRODUCTS[number]), NUMBERS[number])


def _agree(number: str, act: str = "pay") -> list[Any]:
    word = f"{act} {number}"
    return [ReserveAuthorisation(word, BUYER, act, MERCHANT, number), SettleAuthorisation(word, BUYER, True)]


def _report(number: str, attempt: int, kind: str = "P", result: str = "succeeded") -> ReportInstruction:
    instruction = f"{NUMBERS[number]}{attempt:02d}{kind}"
    return ReportInstruction(
        instruction, MERCHANT, number, attempt, result, 1_000, "CNY", "ICBC", f"{result} {instruction}"
    )


def _refunded(n: int, amount: int, result: str) -> ReportInstruction:
    instruction = f"{NUMBERS['C']}01R{n:04d}"
    word = f"{result} {instruction}"
    return ReportInstruction(instruction, MERCHANT, "C", 1, result, amount, "CNY", "ICBC", word)


COMMANDS: Final[tuple[Any, ...]] = (
    RegisterMerchant(make_merchant(settings='{"early":{}}', refund_days=30), "maker"),
    ChangeMerchant(MERCHANT, "approved", "checker", ""),
    RegisterBuyer(make_buyer()),
    Once("topup", "k1", TopUp(BUYER, 10_000, "CNY", "ICBC", "k1", "teller")),
    TopUp(BUYER, 500, "CNY", "ICBC", "k2", "teller"),
    _open("A"),
    *_agree("A"),
    PayFromBalance(MERCHANT, "A", BUYER, "pay A"),
    _open("B"),
    *_agree("B"),
    PayFromBalance(MERCHANT, "B", BUYER, "pay B"),
    RequestRefund(ASKER, "B", "r1", 300),
    Ship(ASKER, "B", "SF", "123"),
    *_agree("B", "confirm"),
    ConfirmReceipt(MERCHANT, "B", BUYER, "confirm B"),
    _open("C"),
    StartPayment(MERCHANT, "C", "debit", "ICBC", BUYER, "form 1"),
    StartPayment(MERCHANT, "C", "credit", "ICBC", BUYER, "form 2"),
    RecordInquiry(f"{NUMBERS['C']}02P", MERCHANT, "C", 2, "no_answer"),
    _report("C", 1),
    _report("C", 2),
    _report("C", 2, "R"),
    _open("D"),
    StartPayment(MERCHANT, "D", "debit", "ICBC", BUYER, "form 3", "escrow"),
    Close(ASKER, "D"),
    _report("D", 1, result="failed"),
    RequestRefund(ASKER, "C", "r1", 200),
    _refunded(1, 200, "succeeded"),
)
"""In this order; each may be refused when it was done before."""


def _line(number: str, kind: str, amount: int = 100) -> Line:
    """A payout as it was looked up: to the buyer, to nobody, or to a card."""
    payee = BUYER if kind == "buyer" else ""
    secret = "v1:0:nonce:text"
    bank = "ICBC" if kind == "card" else ""
    kind = "card" if kind == "card" else "buyer"
    return Line(number, f"20260302{int(number):020d}", kind, payee, "", bank, secret, "d", "", amount, "CNY", "", "")


def _word(number: str, result: str, batch: str = "") -> ReportPayout:
    ends = (MERCHANT, batch, number, f"20260302{int(number):020d}")
    return ReportPayout(*ends, result, 100, "CNY", "ICBC", f"{result} {number}", "account_unknown")


LINES: Final = (_line("21", "buyer"), _line("22", "nobody"), _line("23", "card"), _line("24", "card"))

MONEY: Final[tuple[Any, ...]] = (
    PayOne(ASKER, _line("11", "buyer"), Origin("api")),
    PayOne(ASKER, _line("12", "card"), Origin("api")),
    PayOne(ASKER, _line("13", "card"), Origin("api")),
    _word("12", "succeeded"),
    _word("13", "no_answer"),
    _word("13", "failed"),
    OpenBatch(ASKER, "b", f"{20260303:028d}", "", len(LINES), 100 * len(LINES), "d", Origin("api")),
    LoadLines(MERCHANT, "b", 0, LINES[:2]),
    LoadLines(MERCHANT, "b", 2, LINES[2:]),
    StartBatch(MERCHANT, "b"),
    RunLines(MERCHANT, "b", LINES[:3]),
    RunLines(MERCHANT, "b", LINES[3:]),
    _word("23", "succeeded", "b"),
    _word("24", "failed", "b"),
    ShareTrade(ASKER, "A", "s", f"{20260304:028d}", (Wanted("buyer", BUYER, "", 50),), True, "asked", "d"),
)
"""In this order, once what was paid is settled."""

TRIES: Final = 20

ENDS: Final = {"A": "paid", "B": "finished", "C": "paid", "D": "closed"}


async def run(house: House, acknowledge: Callable[[int], None]) -> None:
    """The whole flow. ``acknowledge`` is told the place of each command after its answer."""
    for place, command in enumerate(COMMANDS):
        await _insist(house, command)
        acknowledge(place)
    await deliver(house)
    await _settle(house)
    for place, command in enumerate(MONEY, len(COMMANDS)):
        await _insist(house, command)
        acknowledge(place)
    house.clock.advance(20 * DAY)
    for number in ENDS:
        await _insist(house, TimerDue(MERCHANT, number))


async def _insist(house: House, command: Any) -> None:
    """Send a command until it is answered; that it is refused, for it was done before, is an answer."""
    for _ in range(TRIES):
        try:
            await house.submit(command)
        except OutcomeUnknown:
            continue
        except Refused as refusal:
            if refusal.code == "SYSTEM":
                continue
        return
    raise AssertionError(f"no answer to {command}")


async def _settle(house: House) -> None:
    """Settle what there is until it is settled."""
    for _ in range(TRIES):
        try:
            await settle_early(house.platform, MERCHANT, "r1")
        except OutcomeUnknown:
            continue
        except Refused as refusal:
            if refusal.code == "SYSTEM":
                continue
            raise
        return
    raise AssertionError("nothing is ever settled")


async def deliver(house: House) -> None:
    """Claim what is due and finish it; a claim that was lost is taken over when its lease is out."""
    for _ in range(TRIES):
        house.clock.pass_wire(LEASE + 1)
        try:
            while claimed := await claim(house.platform, 3):
                await finish(house.platform, [_done(one, house.clock.now) for one in claimed])
        except (ConnectionLost, CommitUnknown):
            continue
        return
    raise AssertionError("the queue never ends")


def _done(claimed: Claimed, at: Instant) -> Delivered:
    return Delivered(claimed, "SUCCESS", 200, "success", 1, at)


@dataclass(frozen=True)
class End:
    """What the flow must come to, with or without crashes."""

    states: dict[str, str]
    balances: dict[str, int]
    payments: list[tuple[str, str]]
    pending: int


async def look(house: House) -> End:
    """What it came to."""
    read = house.platform.database.read
    trades = [await house.trade(number) for number in ENDS]
    payments = [payment for number in ENDS for payment in await house.payments(number)]
    events = await read("event.next_due")
    return End(
        {trade.out_trade_no: trade.state for trade in trades},
        await house.balances(),
        [(payment.payment_no, payment.state) for payment in payments],
        0 if events[0][0] is None else 1,
    )
