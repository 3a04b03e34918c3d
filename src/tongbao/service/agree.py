"""What two persons agree with a merchant: rate tables, reserve, early settlement, payouts (T67, I37)."""

from __future__ import annotations

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.service.command import Needs
from tongbao.service.payout import check_checker
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import MERCHANT
from tongbao.store.sheet import Sheet
from tongbao.trade.agreement import read_agreement
from tongbao.trade.party import Merchant


@record
class ChangeAgreement:
    """Put ``settings`` (see ``trade.agreement``) in the place of a merchant's: entered by ``maker``, agreed to by
    ``checker``. They hold from now on; what was charged stays. Outcome: the merchant's version."""

    merchant_id: str
    settings: str
    maker: str
    checker: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        before: Merchant | None = sheet.get(MERCHANT, self.merchant_id)
        if before is None:
            raise Refused("NOT_FOUND", "no such merchant")
        check_checker(self.maker, self.checker)
        read_agreement(self.settings)
        after = replace(before, settings=self.settings, version=before.version + 1)
        drafts = [
            AuditDraft(actor, act, self.merchant_id, self.reason, before.settings, self.settings)
            for actor, act in ((self.maker, "agreement.put"), (self.checker, "agreement.approve"))
        ]
        return Decision(after.version, [(MERCHANT, after)], audits=drafts)
