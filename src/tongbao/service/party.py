"""Parties: merchants apply and are approved by a second person, keys turn, buyers open accounts (T67, T84, I37)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant
from tongbao.ledger.account import bank_clearing, buyer_balance
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.command import Needs
from tongbao.service.pay import active_buyer
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.record import Refusal
from tongbao.store.schema import ACCOUNT, BUYER, MERCHANT, MERCHANT_KEY, OPERATOR, REFUSAL
from tongbao.store.sheet import Sheet
from tongbao.trade.party import Buyer, Merchant, MerchantKey, Operator


def _digestible(row: object) -> str:
    return repr(asdict(row)) if row is not None else ""  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class RegisterMerchant:
    """A merchant applies; ``actor`` enters it. Nothing works until somebody else approves."""

    merchant: Merchant
    actor: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant.merchant_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if sheet.get(MERCHANT, self.merchant.merchant_id) is not None:
            raise Refused("ALREADY_EXISTS", "this merchant number is taken")
        row = replace(
            self.merchant,
            status="applied",
            created_by=self.actor,
            approved_by="",
            created_at=now.business,
            version=1,
        )
        draft = AuditDraft(self.actor, "merchant.register", row.merchant_id, after=_digestible(row))
        return Decision(row.merchant_id, [(MERCHANT, row)], audits=[draft])


@dataclass(frozen=True, slots=True)
class ChangeMerchant:
    """Approve, freeze, unfreeze or close a merchant. Who entered it may not approve it (T67, I37)."""

    merchant_id: str
    status: str
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        before: Merchant | None = sheet.get(MERCHANT, self.merchant_id)
        if before is None:
            raise Refused("NOT_FOUND", "no such merchant")
        moves = {("applied", "approved"), ("approved", "frozen"), ("frozen", "approved")}
        moves |= {(state, "closed") for state in ("applied", "approved", "frozen")}
        if (before.status, self.status) not in moves:
            raise Refused("STATE_CONFLICT", f"a merchant cannot go from {before.status} to {self.status}")
        if self.status == "approved" and before.environment == "production" and not json.loads(before.hosts):
            raise Refused(
                "STATE_CONFLICT", "hosts: a merchant is approved for the hosts he has registered, and has none"
            )
        approved_by = before.approved_by
        if self.status == "approved" and not approved_by:
            if self.actor == before.created_by:
                raise Refused("MAKER_IS_CHECKER", "who entered a merchant may not approve it")
            approved_by = self.actor
        elif self.status == "closed" and not approved_by:
            approved_by = self.actor
        after = replace(before, status=self.status, approved_by=approved_by, version=before.version + 1)
        draft = AuditDraft(
            self.actor,
            f"merchant.{self.status}",
            self.merchant_id,
            self.reason,
            _digestible(before),
            _digestible(after),
        )
        return Decision(after.status, [(MERCHANT, after)], audits=[draft])


@dataclass(frozen=True, slots=True)
class PutKey:
    """Add a key to a merchant's ring, or replace one under its name (its version grows)."""

    key: MerchantKey
    actor: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.key.merchant_id,)
        yield MERCHANT_KEY, (self.key.merchant_id, self.key.protocol, self.key.key_id)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant: Merchant | None = sheet.get(MERCHANT, self.key.merchant_id)
        if merchant is None:
            raise Refused("NOT_FOUND", "no such merchant")
        before: MerchantKey | None = sheet.get(MERCHANT_KEY, self.key.merchant_id, self.key.protocol, self.key.key_id)
        created = before.created_at if before else now.business
        version = before.version + 1 if before else 1
        after = replace(self.key, version=version, created_at=created, moved_at=now.business)
        subject = f"{after.merchant_id}/{after.protocol}/{after.key_id}"
        draft = AuditDraft(self.actor, "key.put", subject, before=_digestible(before), after=_digestible(after))
        return Decision(version, [(MERCHANT_KEY, after)], audits=[draft])


@dataclass(frozen=True, slots=True)
class MoveKey:
    """Change a key's state: ``next`` to ``active`` to ``retiring`` to ``revoked``; revoking works from any state."""

    merchant_id: str
    protocol: str
    key_id: str
    state: str
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT_KEY, (self.merchant_id, self.protocol, self.key_id)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        before: MerchantKey | None = sheet.get(MERCHANT_KEY, self.merchant_id, self.protocol, self.key_id)
        if before is None:
            raise Refused("NOT_FOUND", "no such key")
        order = ("next", "active", "retiring", "revoked")
        if self.state not in order or order.index(self.state) <= order.index(before.state):
            raise Refused("STATE_CONFLICT", f"a key cannot go from {before.state} to {self.state}")
        after = replace(before, state=self.state, moved_at=now.business)
        subject = f"{self.merchant_id}/{self.protocol}/{self.key_id}"
        draft = AuditDraft(
            self.actor, f"key.{self.state}", subject, self.reason, _digestible(before), _digestible(after)
        )
        return Decision(after.state, [(MERCHANT_KEY, after)], audits=[draft])


@dataclass(frozen=True, slots=True)
class RegisterOperator:
    """``operator.created_by`` enters somebody who shall run the platform; he does nothing before somebody else has
    approved him (T67). ``others`` is how many there are: the very first lets himself in and lets in the second, since
    nobody else could agree; the auditor counts whom nobody agreed to. Outcome: his status."""

    operator: Operator
    others: int

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield OPERATOR, (self.operator.name,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if "/" in self.operator.name:
            raise Refused("FIELD_INVALID", "name: a slash is part of the names of merchants' keys and people")
        if sheet.get(OPERATOR, self.operator.name) is not None:
            raise Refused("ALREADY_EXISTS", "this operator's name is taken")
        if self.others == 1 and self.operator.role == "maker":
            raise Refused("FIELD_INVALID", "role: the second operator may check, or nobody could agree to a third")
        status = "entered" if self.others > 1 else "active"
        row = replace(self.operator, status=status, checker="", created_at=now.business)
        draft = AuditDraft(row.created_by, "operator.register", row.name, row.role, after=row.status)
        return Decision(row.status, [(OPERATOR, row)], audits=[draft])


@dataclass(frozen=True, slots=True)
class ApproveOperator:
    """``checker`` knows the person who was entered and that nobody else knows his password. Who entered him may not say
    so (T67). Outcome: his status."""

    name: str
    checker: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield OPERATOR, (self.name,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        before: Operator | None = sheet.get(OPERATOR, self.name)
        if before is None:
            raise Refused("NOT_FOUND", "no such operator")
        if before.status != "entered":
            raise Refused("STATE_CONFLICT", f"the operator is {before.status}")
        if not self.checker or self.checker in (before.created_by, before.name):
            raise Refused("MAKER_IS_CHECKER", "who entered an operator may not approve him, nor may he himself")
        row = replace(before, status="active", checker=self.checker)
        draft = AuditDraft(self.checker, "operator.approve", row.name, self.reason, before.status, row.status)
        return Decision(row.status, [(OPERATOR, row)], audits=[draft])


@dataclass(frozen=True, slots=True)
class CloseOperator:
    """``actor`` and ``checker``, two others (T67), active still when it is decided, close an operator for a reason, or
    refuse one who was entered: his password proves nothing from now on, his name is never given again, and what he did
    stands. ``names`` are all operators' as they were read; two who may approve must remain, one of whom may enter
    others, or nobody could go on. Outcome: his status."""

    name: str
    names: tuple[str, ...]
    actor: str
    checker: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        for name in {self.name, self.actor, self.checker, *self.names}:
            yield OPERATOR, (name,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        before: Operator | None = sheet.get(OPERATOR, self.name)
        if before is None:
            raise Refused("NOT_FOUND", "no such operator")
        if before.status == "closed":
            raise Refused("STATE_CONFLICT", "the operator is closed")
        if not self.checker or len({self.actor, self.checker, self.name}) < 3:
            raise Refused("MAKER_IS_CHECKER", "two others close an operator")
        for name in (self.actor, self.checker):
            one: Operator | None = sheet.get(OPERATOR, name)
            if one is None or one.status != "active":
                raise Refused("STATE_CONFLICT", f"{name} is no active operator")
        if not self.reason:
            raise Refused("FIELD_MISSING", "reason: an operator is closed for one")
        rest: list[Operator] = [sheet.get(OPERATOR, name) for name in self.names if name != self.name]
        able = [one.role for one in rest if one.status == "active" and one.role in ("checker", "both")]
        if len(able) < 2 or "both" not in able:
            raise Refused("STATE_CONFLICT", "two who may approve must remain, one of whom may enter others")
        row = replace(before, status="closed")
        first = "operator.close" if before.status == "active" else "operator.refuse"
        drafts = [
            AuditDraft(actor, act, row.name, self.reason, before.status, row.status)
            for actor, act in ((self.actor, first), (self.checker, "operator.close_agree"))
        ]
        return Decision(row.status, [(OPERATOR, row)], audits=drafts)


@dataclass(frozen=True, slots=True)
class RegisterBuyer:
    """Open a buyer's account, or make a guest known (a guest who comes again is the same guest). Outcome: his
    number."""

    buyer: Buyer

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer.buyer_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known: Buyer | None = sheet.get(BUYER, self.buyer.buyer_id)
        if known is not None:
            if self.buyer.kind == "guest" and known.login == self.buyer.login:
                return Decision(known.buyer_id)
            raise Refused("ALREADY_EXISTS", "this buyer number is taken")
        row = replace(
            self.buyer,
            status="active",
            attempts=0,
            locked_until=Instant(0),
            login_attempts=0,
            login_locked_until=Instant(0),
            created_at=now.business,
        )
        return Decision(row.buyer_id, [(BUYER, row)])


@dataclass(frozen=True, slots=True)
class TopUp:
    """Money comes to a buyer's balance from a bank (in a sandbox: from a simulated one). ``key`` names the cause."""

    buyer_id: str
    amount: int
    currency: str
    bank: str
    key: str
    actor: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer_id,)
        yield ACCOUNT, (buyer_balance(self.buyer_id, self.currency),)
        yield ACCOUNT, (bank_clearing(self.bank, lane, self.currency),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        active_buyer(sheet, self.buyer_id)
        if self.amount <= 0:
            raise Refused("AMOUNT_NOT_POSITIVE", "a top-up is above zero")
        posting = Posting(
            bank_clearing(self.bank, lane, self.currency), buyer_balance(self.buyer_id, self.currency), self.amount
        )
        entry = Entry(f"topup:{self.key}", "topup", "", "", (posting,))
        draft = AuditDraft(self.actor, "buyer.topup", self.buyer_id, self.key)
        return Decision(self.amount, (), [entry], [draft])


@dataclass(frozen=True, slots=True)
class RecordRefusal:
    """Write down that a request was refused before any rule was asked (bad signature, malformed, unknown merchant)."""

    refusal: Refusal

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        return ()

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        return Decision(None, [(REFUSAL, replace(self.refusal, at=now.business))])
