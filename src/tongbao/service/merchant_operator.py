"""A merchant's operators (操作员): entered by one operator of the platform, confirmed by another; and the word with
which one of them decides on a batch, granted for his payment password in three steps as a buyer's is (T46, T59).
"""

from __future__ import annotations

from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.service.command import Needs
from tongbao.service.password import Reserved
from tongbao.service.payout import check_checker
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import AUTHORISATION, MERCHANT, MERCHANT_OPERATOR
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.party import AUTHORISATION_TIME, PERSON, Authorisation, MerchantOperator, count_try

NAME_MOST: Final = 32
"""Characters of an operator's name."""

AGREE_PAYOUTS: Final = "agree:payouts"
REFUSE_PAYOUTS: Final = "refuse:payouts"
AGREE_REFUNDS: Final = "agree:refunds"
REFUSE_REFUNDS: Final = "refuse:refunds"

WRONG: Final = "operator or payment password is wrong, or too many tries; wait"


@record
class PutMerchantOperator:
    """``maker`` enters a person who may agree in a merchant's name, or gives a known one another payment password. He
    agrees to nothing before somebody else has confirmed him. Outcome: his version."""

    merchant_id: str
    name: str
    pay_hash: str
    maker: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield MERCHANT_OPERATOR, (self.merchant_id, self.name)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if sheet.get(MERCHANT, self.merchant_id) is None:
            raise Refused("UNKNOWN_MERCHANT", "no merchant by that number")
        if not 0 < len(self.name) <= NAME_MOST or not self.name.isprintable() or self.name != self.name.strip():
            raise Refused("FIELD_INVALID", f"name: 1 to {NAME_MOST} printable characters, no blank at the ends")
        before: MerchantOperator | None = sheet.get(MERCHANT_OPERATOR, self.merchant_id, self.name)
        row = MerchantOperator(
            merchant_id=self.merchant_id,
            name=self.name,
            status="entered",
            pay_hash=self.pay_hash,
            attempts=0,
            locked_until=Instant(0),
            maker=self.maker,
            checker="",
            changed_at=now.business,
            version=before.version + 1 if before is not None else 1,
        )
        told = before.status if before is not None else ""
        draft = AuditDraft(self.maker, "merchant_operator.put", row.actor, self.reason, told, row.status)
        return Decision(row.version, [(MERCHANT_OPERATOR, row)], audits=[draft])


@record
class ApproveMerchantOperator:
    """``checker`` knows that the person entered as ``version`` is one of the merchant's. Who entered him may not say so
    (T67); another version than he was shown is refused REVIEW_AGAIN. Outcome: his status."""

    merchant_id: str
    name: str
    version: int
    checker: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT_OPERATOR, (self.merchant_id, self.name)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        before = _operator(sheet, self.merchant_id, self.name)
        if before.status != "entered":
            raise Refused("STATE_CONFLICT", f"the operator of version {before.version} is {before.status}")
        if before.version != self.version:
            raise Refused("REVIEW_AGAIN", f"version: the operator is of version {before.version}")
        check_checker(before.maker, self.checker)
        row = replace(before, status="active", checker=self.checker, changed_at=now.business)
        draft = AuditDraft(self.checker, "merchant_operator.approve", row.actor, self.reason, before.status, row.status)
        return Decision(row.status, [(MERCHANT_OPERATOR, row)], audits=[draft])


@record
class DisableMerchantOperator:
    """He agrees to nothing from now on; what he agreed to stands. One person suffices. Outcome: his status."""

    merchant_id: str
    name: str
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT_OPERATOR, (self.merchant_id, self.name)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        before = _operator(sheet, self.merchant_id, self.name)
        row = replace(before, status="disabled", changed_at=now.business)
        draft = AuditDraft(self.actor, "merchant_operator.disable", row.actor, self.reason, before.status, row.status)
        return Decision(row.status, [(MERCHANT_OPERATOR, row)], audits=[draft])


def _operator(sheet: Sheet, merchant_id: str, name: str) -> MerchantOperator:
    found: MerchantOperator | None = sheet.get(MERCHANT_OPERATOR, merchant_id, name)
    if found is None:
        raise Refused("NOT_FOUND", "the merchant has no such operator")
    return found


@record
class ReserveAgreement:
    """Count an attempt at an operator's payment password before it is checked, for one ``act`` over one batch of
    ``amount`` minor units. Who is unknown, disabled or locked is refused alike (T60). Outcome: ``Reserved``."""

    authorisation_id: str
    merchant_id: str
    name: str
    act: str
    batch_no: str
    amount: int
    currency: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT_OPERATOR, (self.merchant_id, self.name)
        yield AUTHORISATION, (self.authorisation_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        operator: MerchantOperator | None = sheet.get(MERCHANT_OPERATOR, self.merchant_id, self.name)
        if operator is None or operator.status != "active" or operator.locked_until > now.wire:
            raise Refused("LOGIN_WRONG", WRONG)
        if sheet.get(AUTHORISATION, self.authorisation_id) is not None:
            raise Refused("ALREADY_EXISTS", "this authorisation number was used before")
        word = Authorisation(
            self.authorisation_id,
            operator.actor,
            self.act,
            self.merchant_id,
            self.batch_no,
            self.amount,
            self.currency,
            "reserved",
            now.wire,
        )
        counted = count_try(operator, now.wire)
        return Decision(Reserved(operator.pay_hash), [(MERCHANT_OPERATOR, counted), (AUTHORISATION, word)])


@record
class SettleAgreement:
    """The hash was computed: the right password resets the count and grants the word, a wrong one denies it."""

    authorisation_id: str
    merchant_id: str
    name: str
    right: bool

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT_OPERATOR, (self.merchant_id, self.name)
        yield AUTHORISATION, (self.authorisation_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        operator = _operator(sheet, self.merchant_id, self.name)
        word: Authorisation | None = sheet.get(AUTHORISATION, self.authorisation_id)
        if word is None or word.state != "reserved" or word.buyer_id != operator.actor:
            raise Refused("AUTHORISATION_INVALID", "not reserved")
        if not self.right:
            return Decision(Refused("LOGIN_WRONG", WRONG), [(AUTHORISATION, replace(word, state="denied"))])
        cleared = replace(operator, attempts=0, locked_until=Instant(0))
        granted = replace(word, state="granted", wire_at=now.wire)
        return Decision(None, [(MERCHANT_OPERATOR, cleared), (AUTHORISATION, granted)])


def person_needs(merchant_id: str, name: str, word: str) -> Needs:
    """The rows that ``check_person`` reads."""
    if word:
        yield MERCHANT_OPERATOR, (merchant_id, name)
        yield AUTHORISATION, (word,)


def person_maker(sheet: Sheet, merchant_id: str, name: str, word: str) -> str:
    """Which operator of the platform entered the person whom ``check_person`` checks; '' for one of the platform's."""
    return _operator(sheet, merchant_id, name).maker if word else ""


def check_person(
    sheet: Sheet, merchant_id: str, name: str, word: str, act: str, batch_no: str, now: Now
) -> tuple[str, list[tuple[Table, Row]]]:
    """Who decides, as the log names him, and the rows after it. Without a ``word`` he is an operator of the platform,
    who was proven before. With one he is the merchant's: the word was granted to him for exactly this, lately, and is
    used up now; what a batch says never changes, so its number stands for its sum. Raises Refused
    AUTHORISATION_INVALID, NO_PRIVILEGE."""
    if not word:
        if PERSON in name:
            raise Refused("AUTHORISATION_INVALID", "a merchant's operator decides with a word")
        return name, []
    operator = _operator(sheet, merchant_id, name)
    granted: Authorisation | None = sheet.get(AUTHORISATION, word)
    fits = granted is not None and (
        granted.state,
        granted.buyer_id,
        granted.act,
        granted.merchant_id,
        granted.out_trade_no,
    ) == ("granted", operator.actor, act, merchant_id, batch_no)
    if granted is None or not fits:
        raise Refused("AUTHORISATION_INVALID", "unknown, used, or for something else")
    if now.wire - granted.wire_at > AUTHORISATION_TIME:
        raise Refused("AUTHORISATION_INVALID", "too old")
    if operator.status != "active":
        raise Refused("NO_PRIVILEGE", f"the operator is {operator.status}")
    return operator.actor, [(AUTHORISATION, replace(granted, state="used"))]
