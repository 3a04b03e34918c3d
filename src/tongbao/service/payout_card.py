"""A merchant's own card: entered by one person, verified by another, cold for a day; and standing payouts to it (T70).

A standing payout (自动代付) is made once a business day at most, by a rule that two persons have put in force, with
every check of a payout: the card is verified and cool, the limits hold, the sum is there, and above the merchant's
limit a second person agrees to it. None follows while one waits for that person, nor while a bank's no has its case
open.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import HOUR, Instant, business_day
from tongbao.service.command import Needs
from tongbao.service.payout import (
    COUNTED,
    Origin,
    Taken,
    check_checker,
    check_sum,
    make_payout,
    merchant_needs,
    needs_checker,
    spendable,
    start_payout,
)
from tongbao.service.payout_line import check_form, prepare, show_card
from tongbao.service.platform import Platform
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import COUNTER, MERCHANT, PAYOUT, PAYOUT_CARD
from tongbao.store.sheet import Sheet
from tongbao.trade.agreement import Agreement, read_agreement
from tongbao.trade.party import Merchant
from tongbao.trade.payout import Counter, Line, Payout, PayoutCard, is_cool, is_standing_time, next_standing
from tongbao.wire.bank import BANKS
from tongbao.wire.http import split_url
from tongbao.wire.party import Payee
from tongbao.wire.world import Mail

RULES: Final = ("off", "daily", "above")

SUBJECT: Final = "收款银行卡已更换 / Your payout card was changed"
TEXT: Final = (
    "商户 {merchant_id} 的收款银行卡已被更换。核实之前、以及核实后 24 小时内不会向新卡付款。"
    "若非本人要求，请立即联系平台。\n\n"
    "The payout card of merchant {merchant_id} was changed. Nothing is paid to the new one before it is verified, "
    "nor for 24 hours after that. If you did not ask for it, tell the platform at once.\n"
)
"""What a merchant is told when his card is changed."""


@record
class PutPayoutCard:
    """``maker`` enters a merchant's card, or another one in its place: nothing is paid to it before somebody else has
    verified it and it has cooled. Outcome: its version."""

    merchant_id: str
    bank: str
    tail: str
    secret: str
    maker: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield PAYOUT_CARD, (self.merchant_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if sheet.get(MERCHANT, self.merchant_id) is None:
            raise Refused("UNKNOWN_MERCHANT", "no merchant by that number")
        if self.bank not in BANKS:
            raise Refused("BANK_UNKNOWN", self.bank)
        before: PayoutCard | None = sheet.get(PAYOUT_CARD, self.merchant_id)
        version = before.version + 1 if before is not None else 1
        card = PayoutCard(
            merchant_id=self.merchant_id,
            bank=self.bank,
            tail=self.tail,
            secret=self.secret,
            state="entered",
            standing="off",
            threshold=0,
            keep=0,
            maker=self.maker,
            checker="",
            changed_at=now.business,
            version=version,
        )
        told = f"{before.bank} {before.tail}" if before is not None else ""
        draft = AuditDraft(self.maker, "card.put", self.merchant_id, self.reason, told, f"{card.bank} {card.tail}")
        return Decision(version, [(PAYOUT_CARD, card)], audits=[draft])


@record
class VerifyPayoutCard:
    """``checker`` has seen that the card is the merchant's. The cooling begins now. Outcome: its version."""

    merchant_id: str
    version: int
    checker: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield PAYOUT_CARD, (self.merchant_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        card = _card(sheet, self.merchant_id)
        if card.state != "entered":
            raise Refused("STATE_CONFLICT", f"the card of version {card.version} is {card.state}")
        if card.version != self.version:
            raise Refused("REVIEW_AGAIN", f"version: the card is of version {card.version}")
        check_checker(card.maker, self.checker)
        verified = replace(card, state="verified", checker=self.checker, changed_at=now.business)
        draft = AuditDraft(self.checker, "card.verify", self.merchant_id, self.reason)
        return Decision(card.version, [(PAYOUT_CARD, verified)], audits=[draft])


@record
class SetStanding:
    """How a merchant's money goes to his card by itself: ``off``, ``daily``, or ``above`` a threshold; ``keep`` stays.
    Sums in minor units. Entered by ``maker``, agreed to by ``checker`` (T67); ``off`` takes one person, at once. Raises
    Refused FIELD_INVALID, STATE_CONFLICT, MAKER_IS_CHECKER."""

    merchant_id: str
    rule: str
    threshold: int
    keep: int
    maker: str
    checker: str = ""
    reason: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield PAYOUT_CARD, (self.merchant_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        card = _card(sheet, self.merchant_id)
        if (
            self.rule not in RULES
            or self.threshold < 0
            or self.keep < 0
            or (self.rule == "above") != (self.threshold > 0)
        ):
            raise Refused("FIELD_INVALID", "off, daily, or above a threshold; sums are not negative")
        if card.state != "verified":
            raise Refused("STATE_CONFLICT", "the card is not verified")
        acts = [(self.maker, "card.standing")]
        if self.rule != "off":
            check_checker(self.maker, self.checker)
            acts.append((self.checker, "card.standing_agree"))
        fresh = replace(card, standing=self.rule, threshold=self.threshold, keep=self.keep)
        drafts = [
            AuditDraft(actor, act, self.merchant_id, self.reason, _rule_of(card), _rule_of(fresh))
            for actor, act in acts
        ]
        return Decision(self.rule, [(PAYOUT_CARD, fresh)], audits=drafts)


def _rule_of(card: PayoutCard) -> str:
    return f"{card.standing} {card.threshold} {card.keep}"


@record
class PayOwnCard:
    """Pay to the merchant's own card: ``line.amount`` where it is above zero, else what the standing rule says. Above
    the merchant's limit it waits for a second person, as any payout does (T67).

    ``version`` is that of the card ``line`` was prepared for. Outcome: ``Taken``; None where the rule says nothing."""

    merchant_id: str
    line: Line
    version: int
    origin: Origin

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield PAYOUT_CARD, (self.merchant_id,)
        yield PAYOUT, (self.merchant_id, "", self.line.payout_no)
        yield from merchant_needs(self.merchant_id, self.line.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant: Merchant | None = sheet.get(MERCHANT, self.merchant_id)
        if merchant is None or merchant.status != "approved":
            raise Refused("MERCHANT_DISABLED", "the merchant may not be paid out now")
        known: Payout | None = sheet.get(PAYOUT, self.merchant_id, "", self.line.payout_no)
        if known is not None:
            if self.line.amount not in (0, known.amount):
                raise Refused("PAYOUT_MISMATCH", f"this number was used for {known.amount}")
            return Decision(Taken(known.payout_id, known.state, False))
        card = _card(sheet, self.merchant_id)
        if card.state != "verified" or card.version != self.version:
            raise Refused("STATE_CONFLICT", "the card is not verified, or was changed")
        if not is_cool(card, now.business):
            raise Refused("PAYOUT_COOLING", "nothing is paid to a card for 24 hours after its change")
        agreement = read_agreement(merchant.settings)
        amount = self.line.amount or self._standing(sheet, card, agreement, now.business)
        if not amount:
            return Decision(None)
        line = replace(self.line, amount=amount)
        check_sum(line, agreement)
        fee = agreement.payout.of(amount)
        payout = make_payout(self.merchant_id, "", 1, line, fee, self.origin, now.business)
        if needs_checker(amount, agreement):
            return Decision(Taken(payout.payout_id, payout.state, True), [(PAYOUT, payout)])
        moved, rows, entry = start_payout(sheet, payout, agreement, now.business, lane)
        return Decision(Taken(moved.payout_id, moved.state, True), rows, [entry])

    def _standing(self, sheet: Sheet, card: PayoutCard, agreement: Agreement, now: Instant) -> int:
        """All but what is kept or owed, the fee off, within the limits; 0 where there is nothing to pay."""
        available = spendable(sheet, self.merchant_id, self.line.currency)
        if card.standing == "off" or (card.standing == "above" and available < card.threshold):
            return 0
        free = available - card.keep
        if agreement.payout_day:
            used: Counter | None = sheet.get(COUNTER, self.merchant_id, COUNTED)
            free = min(free, agreement.payout_day - (used.amount if used and used.day == business_day(now) else 0))
        amount = free - agreement.payout.of(max(free, 0))
        if agreement.payout_most:
            amount = min(amount, agreement.payout_most)
        return max(amount, 0)


def _card(sheet: Sheet, merchant_id: str) -> PayoutCard:
    card: PayoutCard | None = sheet.get(PAYOUT_CARD, merchant_id)
    if card is None:
        raise Refused("NOT_FOUND", "the merchant has no card")
    return card


async def put_card(platform: Platform, merchant_id: str, payee: Payee, maker: str, reason: str = "") -> int:
    """Enter a merchant's card; returns its version. Of a change the merchant is told by mail, wherever he was known
    before (T70). Raises Refused."""
    check_form(payee)
    secret = f"{payee.name}\x1f{payee.card}\x1f{payee.branch}"
    envelope = platform.vault.close(secret.encode(), merchant_id, "payout_card")
    version: int = await platform.submit(
        PutPayoutCard(merchant_id, payee.bank, show_card(payee.card), envelope, maker, reason)
    )
    if version > 1:
        await _tell(platform, merchant_id, version)
    return version


async def _tell(platform: Platform, merchant_id: str, version: int) -> None:
    """A mail to the merchant's login: his card was changed. That it does not go out undoes nothing."""
    merchant = await platform.merchant(merchant_id)
    host = split_url(platform.settings.base_url)[1].rsplit(":", 1)[0]
    if "@" not in merchant.login:
        return
    mail = Mail(f"platform@{host}", merchant.login, SUBJECT, TEXT.format(merchant_id=merchant_id), f"card:{version}")
    try:
        await platform.world.mail(mail)
    except OSError as error:
        platform.world.log("card.mail_failed", merchant=merchant_id, error=type(error).__name__)


async def verify_card(platform: Platform, merchant_id: str, number: str, checker: str, reason: str) -> PayoutCard:
    """``checker`` confirms the merchant's card, whose ``number`` he has from the merchant's papers. Raises Refused
    REVIEW_AGAIN where another number was entered."""
    card = await find_card(platform, merchant_id)
    if not hmac.compare_digest(_open(platform, card)[1].encode(), number.encode()):
        raise Refused("REVIEW_AGAIN", f"card: the one that was entered is another, {card.bank} {card.tail}")
    await platform.submit(VerifyPayoutCard(merchant_id, card.version, checker, reason))
    return card


def _open(platform: Platform, card: PayoutCard) -> tuple[str, str, str]:
    """Holder, number and branch of a card."""
    name, number, branch = platform.vault.open(card.secret, card.merchant_id, "payout_card").decode().split("\x1f")
    return name, number, branch


async def find_card(platform: Platform, merchant_id: str) -> PayoutCard:
    """A merchant's card. Raises Refused NOT_FOUND."""
    found: list[PayoutCard] = await platform.database.load(PAYOUT_CARD, [(merchant_id,)])
    if not found:
        raise Refused("NOT_FOUND", "the merchant has no card")
    return found[0]


async def pay_own_card(
    platform: Platform, merchant_id: str, payout_no: str, amount: int = 0, source: str = "api", maker: str = ""
) -> Taken | None:
    """Pay ``amount`` minor units (0: what the standing rule says) to a merchant's own card, once per number. None where
    there is nothing to pay. Raises Refused PAYOUT_COOLING and every refusal of a payout."""
    card = await find_card(platform, merchant_id)
    name, number, branch = _open(platform, card)
    payee = Payee(name=name, bank=card.bank, card=number, branch=branch)
    (line,) = await prepare(platform, merchant_id, [(payout_no, payee, Money(amount), "")])
    taken: Taken | None = await platform.submit(
        PayOwnCard(merchant_id, line, card.version, Origin(source, maker=maker or card.maker))
    )
    return taken


class Standing:
    """The worker's duty for standing payouts: looks at the time of day they are made, and every hour of the day from
    then on where somebody waits for a threshold."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.look_at = Instant(0)

    async def round(self) -> int:
        """Make the standing payouts of the business day that are not made; returns how many were made."""
        now = self.platform.world.clock.business()
        if now < self.look_at:
            return 0
        waiting = await self._cards() if is_standing_time(now) else ()
        done = 0
        for card in waiting:
            done += await self._pay(card, business_day(now))
        hourly = any(card.standing == "above" for card in waiting)
        self.look_at = min(next_standing(now), Instant(now + HOUR)) if hourly else next_standing(now)
        return done

    async def _cards(self) -> Sequence[PayoutCard]:
        rows = await self.platform.database.read("payout.cards")
        return await self.platform.database.load(PAYOUT_CARD, [tuple(row) for row in rows]) if rows else []

    async def _pay(self, card: PayoutCard, day: int) -> int:
        try:
            taken = await pay_own_card(self.platform, card.merchant_id, f"standing-{day}", source="standing")
        except (Refused, OutcomeUnknown) as error:
            self.platform.world.log("duty.standing", merchant=card.merchant_id, outcome=str(error))
            return 0
        return 1 if taken is not None and taken.made else 0

    async def next_due(self) -> Instant | None:
        """When standing payouts are next looked at, or None while nobody has any."""
        if not await self.platform.database.read("payout.cards"):
            return None
        now = self.platform.world.clock.business()
        return self.look_at if self.look_at > now else next_standing(now)
