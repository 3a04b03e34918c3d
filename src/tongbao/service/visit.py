"""Cashier links belong to the first browser that opens them; sessions belong to a cookie (T56, T60)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import HOUR, MINUTE
from tongbao.service.command import Needs
from tongbao.store.commit import Decision, Now
from tongbao.store.record import Session, Visit
from tongbao.store.schema import SESSION, VISIT
from tongbao.store.sheet import Sheet

SESSION_IDLE: Final = 30 * MINUTE
SESSION_TIME: Final = 12 * HOUR


@dataclass(frozen=True, slots=True)
class OpenVisit:
    """Bind a cashier link (by its digest) to a browser (by the digest of its cookie), or check that it is bound so."""

    link: str
    browser: str
    merchant_id: str
    out_trade_no: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield VISIT, (self.link,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known: Visit | None = sheet.get(VISIT, self.link)
        if known is None:
            fresh = Visit(self.link, self.browser, self.merchant_id, self.out_trade_no, now.wire)
            return Decision(fresh, [(VISIT, fresh)])
        if known.browser != self.browser:
            raise Refused("CASHIER_LINK_INVALID", "the link was opened in another browser")
        return Decision(known)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Sign in: a new session under the digest of a fresh cookie. ``kind`` is ``buyer`` or ``operator``."""

    session: str
    kind: str
    subject: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield SESSION, (self.session,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if sheet.get(SESSION, self.session) is not None:
            raise Refused("ALREADY_EXISTS", "this session was used before")
        return Decision(None, [(SESSION, Session(self.session, self.kind, self.subject, now.wire, now.wire))])


@dataclass(frozen=True, slots=True)
class EndSession:
    """Sign out: the session is over at once."""

    session: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield SESSION, (self.session,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known: Session | None = sheet.get(SESSION, self.session)
        if known is None:
            return Decision(None)
        over = replace(known, kind="ended", seen_at=now.wire)
        return Decision(None, [(SESSION, over)])
