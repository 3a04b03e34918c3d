"""What a buyer does at the cashier, as async steps: agree with his pay password, pay, go to a bank, come home.

These orchestrate commands; no rule is here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError
from tongbao.kernel.time import Instant
from tongbao.service.act import see_trade
from tongbao.service.bank import RecordInquiry, ReportInstruction
from tongbao.service.channel import BankWord
from tongbao.service.combine import PaidTogether, PayTogether
from tongbao.service.combine_act import parts_of, whole_of
from tongbao.service.create import check_address
from tongbao.service.escrow import ConfirmReceipt, Moved
from tongbao.service.hold import DisputeReference, Reported, is_anothers
from tongbao.service.party import RegisterBuyer
from tongbao.service.password import (
    LOGIN_DETAIL,
    TOGETHER,
    ReserveAuthorisation,
    Reserved,
    ReserveLogin,
    SettleAuthorisation,
    SettleLogin,
    check_password,
)
from tongbao.service.pay import Paid, PayFromBalance, Started, StartPayment
from tongbao.service.payout_bank import inquire_payout, take_payout_word
from tongbao.service.platform import Platform
from tongbao.service.view import hearer_of, terms_of
from tongbao.store.record import Attempt
from tongbao.store.schema import INSTRUCTION
from tongbao.trade.combine import Combined
from tongbao.trade.party import Buyer
from tongbao.trade.record import Instruction, Trade
from tongbao.wire.http import Request
from tongbao.wire.vocabulary import Notification, Role
from tongbao.wire.world import CALL_LIMITS, NoAnswer, NotSent


async def log_in(platform: Platform, login: str, password: str) -> Buyer:
    """The buyer behind a right login and password. Raises Refused LOGIN_WRONG.

    An unknown login, a wrong password and a locked login cost the same time and get the same answer (T60).
    """
    try:
        buyer = await platform.buyer_by_login(login)
        reserved: Reserved = await platform.submit(ReserveLogin(buyer.buyer_id))
        stored = reserved.stored
    except Refused:
        buyer, stored = None, f"scrypt:{platform.settings.password_cost}:8:1:{'00' * 16}:{'00' * 32}"
    right = await platform.world.compute(lambda: check_password(password, stored))
    if buyer is None or not right:
        raise Refused("LOGIN_WRONG", LOGIN_DETAIL)
    await platform.submit(SettleLogin(buyer.buyer_id))
    return buyer


async def authorise(platform: Platform, buyer_id: str, act: str, trade: Trade | Combined, pay_password: str) -> str:
    """A single-use authorisation for one act over one trade; ``act`` is ``pay`` or ``confirm``, or ``TOGETHER`` over a
    combined order.

    Raises Refused PASSWORD_WRONG, PASSWORD_LOCKED. The attempt is counted before the hash is computed (T46).
    """
    number = platform.new_token()
    reserved: Reserved = await platform.submit(
        ReserveAuthorisation(number, buyer_id, act, trade.merchant_id, trade.out_trade_no)
    )
    pepper = platform.secrets.pepper
    right = await platform.world.compute(lambda: check_password(pay_password, reserved.stored, pepper))
    await platform.submit(SettleAuthorisation(number, buyer_id, bool(right)))
    return number


async def pay_from_balance(platform: Platform, trade: Trade, buyer: Buyer, pay_password: str, flow: str = "") -> Paid:
    """Agree and pay in one go; a part of a combined order is paid with all the others. Raises Refused."""
    combined = await whole_of(platform, trade)
    if combined is not None:
        return await _pay_together(platform, trade, combined, buyer, pay_password)
    word = await authorise(platform, buyer.buyer_id, "pay", trade, pay_password)
    paid: Paid = await platform.submit(
        PayFromBalance(trade.merchant_id, trade.out_trade_no, buyer.buyer_id, word, flow, trade.currency)
    )
    return paid


async def _pay_together(platform: Platform, trade: Trade, combined: Combined, buyer: Buyer, pay_password: str) -> Paid:
    """Pay a combined order; answers what became of ``trade``, one of its parts."""
    parts = await parts_of(platform, combined)
    word = await authorise(platform, buyer.buyer_id, TOGETHER, combined, pay_password)
    paid: PaidTogether = await platform.submit(
        PayTogether(combined.merchant_id, combined.out_trade_no, parts, buyer.buyer_id, word, combined.currency)
    )
    after = await platform.find_trade(trade.merchant_id, trade.out_trade_no)
    own = parts.index((trade.merchant_id, trade.out_trade_no))
    return Paid(trade.trade_no, after.state, paid.payments[own])


async def confirm_receipt(platform: Platform, trade: Trade, buyer: Buyer, pay_password: str) -> Moved:
    """The buyer has the goods: the held money goes to the merchant. Raises Refused."""
    word = await authorise(platform, buyer.buyer_id, "confirm", trade, pay_password)
    moved: Moved = await platform.submit(
        ConfirmReceipt(trade.merchant_id, trade.out_trade_no, buyer.buyer_id, word, trade.currency)
    )
    return moved


GUEST_TURNS = 8
"""How many numbers are tried for one new guest."""


async def guest(platform: Platform, login: str, locale: str = "zh") -> str:
    """The buyer number of somebody who has no account but an e-mail or mobile number (the same one each time)."""
    rows = await platform.database.read("buyer.by_login", {"login": login})
    if rows:
        return str(rows[0][0])
    for turn in range(GUEST_TURNS):
        number = int.from_bytes(hashlib.sha256(f"guest:{turn}:{login}".encode()).digest()) % 10**11
        buyer = Buyer(
            f"20889{number:011d}",
            login,
            "guest",
            "active",
            "",
            locale,
            "",
            "",
            0,
            Instant(0),
            0,
            Instant(0),
            Instant(0),
        )
        try:
            buyer_id: str = await platform.submit(RegisterBuyer(buyer))
        except Refused as refusal:
            # eleven digits meet by chance among many guests: the next number is tried
            if refusal.code != "ALREADY_EXISTS":
                raise
        else:
            return buyer_id
    raise Refused("ALREADY_EXISTS", "no free buyer number was found")


@dataclass(frozen=True, slots=True)
class Handover:
    """Where a bank or outlet payment goes on: ``url`` of the bank's page, or ``code`` for the counter."""

    payment_no: str
    instruction_no: str
    url: str
    code: str


async def start_payment(
    platform: Platform, trade: Trade, method: str, bank: str, buyer_id: str, intent: str, back_url: str, flow: str = ""
) -> Handover:
    """Hand a trade to a bank or an outlet. ``back_url`` is the cashier's page to which the bank sends the browser.

    Raises Refused; raises OutcomeUnknown when the outlets' operator could not be told the code (it is told again by
    the inquiry duty).
    """
    code = platform.new_cash_code() if method == "outlet" else ""
    started: Started = await platform.submit(
        StartPayment(trade.merchant_id, trade.out_trade_no, method, bank, buyer_id, intent, flow, code)
    )
    instruction = await find_instruction(platform, started.instruction_no)
    subject, notice = terms_of(trade).subject, notice_url(platform, instruction.bank)
    channel = platform.channel(instruction.bank)
    if method != "outlet":
        return Handover(
            started.payment_no, started.instruction_no, channel.page(instruction, subject, back_url, notice), ""
        )
    try:
        await platform.world.send(channel.open_outlet(instruction, subject, notice), CALL_LIMITS)
    except (NotSent, NoAnswer) as error:
        raise OutcomeUnknown("the outlets' operator does not answer; try again in a minute") from error
    return Handover(started.payment_no, started.instruction_no, "", started.code)


def notice_url(platform: Platform, bank: str) -> str:
    """Where a bank sends its notices."""
    return f"{platform.settings.base_url}/channel/{bank}/notice"


async def find_instruction(platform: Platform, number: str) -> Instruction:
    """An instruction by our number. Raises Refused PAYMENT_NOT_FOUND."""
    found: list[Instruction] = await platform.database.load(INSTRUCTION, [(number,)])
    if not found:
        raise Refused("PAYMENT_NOT_FOUND", "no such instruction")
    return found[0]


async def take_word(platform: Platform, word: BankWord) -> Reported:
    """Enter a bank's word, whoever brought it. Raises Refused PAYMENT_NOT_FOUND."""
    known = await find_instruction(platform, word.instruction_no)
    if known.kind == "payout":
        return await take_payout_word(platform, known, word)
    ends = (known.merchant_id, known.out_trade_no, known.attempt)
    command: Any
    if await is_anothers(platform, known, word):
        command = DisputeReference(known.instruction_no, known.merchant_id, known.out_trade_no, word.bank_ref)
    elif word.result in ("succeeded", "failed"):
        command = ReportInstruction(
            known.instruction_no,
            *ends,
            word.result,
            word.amount,
            word.currency,
            known.bank,
            word.bank_ref,
            word.reason,
        )
    else:
        command = RecordInquiry(known.instruction_no, *ends, word.result)
    reported: Reported = await platform.submit(command)
    return reported


async def inquire(platform: Platform, number: str) -> Reported:
    """Ask the bank about one instruction (or send a refund that it does not know yet) and enter what it says (F28)."""
    known = await find_instruction(platform, number)
    if known.state in ("succeeded", "failed"):
        return Reported("repeated", known.merchant_id, known.out_trade_no)
    if known.kind == "payout":
        return await inquire_payout(platform, known)
    channel, refund = platform.channel(known.bank), known.kind == "refund"
    try:
        word = None if refund and not known.tries else await _ask(platform, known, channel.inquiry(known))
        if word is None or (refund and word.result == "not_found"):
            # a refund that did not get there is sent once more, under its own number
            word = await _ask(platform, known, channel.refund(known))
    except (NotSent, NoAnswer, RemoteProtocolError) as error:
        platform.world.log("bank.no_answer", bank=known.bank, instruction=number, reason=str(error))
        answer = RecordInquiry(number, known.merchant_id, known.out_trade_no, known.attempt, "no_answer")
        reported: Reported = await platform.submit(answer)
        return reported
    return await take_word(platform, word)


async def _ask(platform: Platform, known: Instruction, request: Request) -> BankWord:
    word = platform.channel(known.bank).read_answer(await platform.world.send(request, CALL_LIMITS))
    if word.instruction_no != known.instruction_no:
        raise RemoteProtocolError("instruction_no", "the bank speaks of another instruction")
    return word


async def home_address(platform: Platform, trade: Trade, brought: str = "") -> str:
    """Where a paid trade's buyer goes: the address in the merchant's own acknowledgement, where the protocol has one
    and it leads to a host of his, else the address of his request; '' for none, and while the trade is not paid.
    ``brought`` is what the buyer's browser brought along behind the link: it counts where the protocol has no signed
    return, and only if it leads to a host of the merchant's."""
    if not trade.paid_attempt:
        return ""
    manifest = platform.protocol(trade.protocol)
    if brought and not manifest.returns:
        try:
            check_address("redirect_url", brought, await platform.merchant(trade.merchant_id))
        except Refused as refusal:
            platform.world.log("return.refused", trade_no=trade.trade_no, reason=refusal.detail)
        else:
            return brought
    onward = manifest.onward
    if onward is not None:
        where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
        attempts = [Attempt(*row) for row in await platform.database.read("attempt.of_trade", where)]
        said = next((one.answer for one in reversed(attempts) if one.answer_class == "SUCCESS"), "")
        address = onward.read(said)
        try:
            check_address("onward", address, await platform.merchant(trade.merchant_id))
        except Refused as refusal:
            platform.world.log("return.refused", trade_no=trade.trade_no, reason=refusal.detail)
            address = ""
        if address:
            return address
    terms = terms_of(trade)
    return terms.return_url or (terms.notify_url if manifest.one_address else "")


async def go_home(platform: Platform, trade: Trade, brought: str = "") -> Request | None:
    """The signed request with which the buyer's browser returns to the shop; None where there is no address or the
    trade is not paid. It is valid for a minute where the protocol confirms ids. ``brought`` as in ``home_address``."""
    target = await home_address(platform, trade, brought)
    if not target:
        return None
    manifest = platform.protocol(trade.protocol)
    at = platform.world.clock.wire()
    view = await see_trade(platform, trade)
    note = Notification(id=platform.seal.return_id(trade.trade_no, at), at=at, trade=view, role=Role.RETURN)
    ring = await platform.rings.ring(hearer_of(trade), trade.protocol)

    def write() -> Request:
        return manifest.server.return_to(note, target, ring, at)

    try:
        # where signing costs much, on a thread, so that nobody else waits for it
        return write() if manifest.costly is None else await platform.world.compute(write)
    except LocalProtocolError:
        return None  # the protocol has no word for how the trade stands: all of it may have gone back meanwhile
