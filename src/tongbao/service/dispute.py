"""Operators end a dispute with four eyes: one proposes how what is held is divided, another agrees (T43, T67, I37)."""

from __future__ import annotations

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.service.capture import capture_accounts
from tongbao.service.claim import (
    Claimed,
    Rows,
    claim_needs,
    close_dispute,
    dispute_case,
    find_claim,
    find_held,
    left_for_buyer,
)
from tongbao.service.command import Needs
from tongbao.service.escrow import release
from tongbao.service.refund import Wish, give_back, return_of, state_of_refunds
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import ACCOUNT, CASE, CLAIM, MERCHANT, TRADE
from tongbao.store.sheet import Sheet
from tongbao.trade.claim import Claim
from tongbao.trade.party import Merchant
from tongbao.trade.record import Trade
from tongbao.trade.state import ClaimState, move_claim


def _disputed(sheet: Sheet, merchant_id: str, out_trade_no: str) -> tuple[Trade, Claim]:
    trade = find_held(sheet, merchant_id, out_trade_no)
    claim = find_claim(sheet, trade)
    if claim.state != "disputed":
        raise Refused("STATE_CONFLICT", f"a claim that is {claim.state} is not the operators' to decide")
    return trade, claim


@record
class ProposeDecision:
    """One operator would give the buyer ``to_buyer`` (minor units, 0 to all that is held) and the seller the rest. A
    later proposal takes an earlier one's place."""

    merchant_id: str
    out_trade_no: str
    to_buyer: int
    actor: str
    reason: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from claim_needs(sheet, self.merchant_id, self.out_trade_no, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade, claim = _disputed(sheet, self.merchant_id, self.out_trade_no)
        left = left_for_buyer(sheet, trade)
        if not 0 <= self.to_buyer <= left:
            raise Refused("REFUND_EXCEEDS", f"{left} can still go to the buyer")
        if not self.actor or not self.reason:
            raise Refused("FIELD_MISSING", "a decision has an operator and a reason")
        proposed = replace(
            claim,
            proposal=self.to_buyer,
            proposed_by=self.actor,
            proposal_reason=self.reason,
            moved_at=now.business,
        )
        draft = AuditDraft(self.actor, "dispute.propose", trade.trade_no, self.reason, "", str(self.to_buyer))
        return Decision(Claimed(trade.trade_no, trade.state, proposed.state), [(CLAIM, proposed)], audits=[draft])


@record
class DecideDispute:
    """Another operator agrees to the proposal, which is carried out at once, or sends it back. Who proposed may not
    agree. ``to_buyer`` is what he was shown: a proposal that changed since is refused REVIEW_AGAIN."""

    merchant_id: str
    out_trade_no: str
    to_buyer: int
    agrees: bool
    actor: str
    reason: str = ""
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield from claim_needs(sheet, self.merchant_id, self.out_trade_no, self.currency, lane)
        for key in capture_accounts(self.merchant_id, self.currency, lane):
            yield ACCOUNT, key

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade, claim = _disputed(sheet, self.merchant_id, self.out_trade_no)
        if not claim.proposed_by:
            raise Refused("STATE_CONFLICT", "nobody has proposed anything")
        if not self.actor:
            raise Refused("FIELD_MISSING", "a decision has an operator")
        act = "dispute.decide" if self.agrees else "dispute.send_back"
        draft = AuditDraft(self.actor, act, trade.trade_no, self.reason, claim.proposed_by, str(claim.proposal))
        if not self.agrees:
            back = replace(claim, proposal=0, proposed_by="", proposal_reason="", moved_at=now.business)
            return Decision(Claimed(trade.trade_no, trade.state, back.state), [(CLAIM, back)], audits=[draft])
        if self.actor == claim.proposed_by:
            raise Refused("MAKER_IS_CHECKER", "who proposed may not agree")
        if self.to_buyer != claim.proposal:
            raise Refused("REVIEW_AGAIN", f"the proposal is {claim.proposal} for the buyer")
        left = left_for_buyer(sheet, trade)
        if claim.proposal > left:
            raise Refused("REVIEW_AGAIN", f"only {left} can still go to the buyer: his bank has taken money back")
        return self._divide(sheet, trade, claim, now, lane, draft)

    def _divide(self, sheet: Sheet, trade: Trade, claim: Claim, now: Now, lane: int, draft: AuditDraft) -> Decision:
        """The buyer's part goes back to where it came from, the seller's to him, less the fee on it."""
        at = now.business
        rows: Rows = []
        entries = []
        n = 0
        if claim.proposal:
            wish = Wish("decision", reason=claim.proposal_reason)
            made = give_back(sheet, trade, claim.proposal, wish, at, lane, due_at=None)
            rows, entries, n, trade = made.rows, [made.entry], made.refund.n, made.trade
        else:
            trade = replace(trade, refund_state=state_of_refunds(return_of(sheet, trade), trade.refunded))
        if trade.refunded < trade.amount:
            merchant: Merchant = sheet.get(MERCHANT, self.merchant_id)
            trade, released, entry = release(sheet, trade, merchant, "decision", at, lane)
            rows, entries = [*rows, *released], [*entries, entry]
        decided = replace(
            claim,
            state=str(move_claim(claim.state, ClaimState.DECIDED)),
            decided_by=self.actor,
            refund_n=n,
            moved_at=at,
        )
        rows = [*rows, (CLAIM, decided), *close_dispute(sheet.get(CASE, dispute_case(trade.trade_no)), at)]
        ended: Trade = [row for table, row in rows if table is TRADE][-1]
        return Decision(Claimed(trade.trade_no, ended.state, decided.state), rows, entries, [draft])
