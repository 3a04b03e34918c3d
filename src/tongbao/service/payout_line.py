"""From what a merchant wrote to lines that can be acted on: who is meant, what is secret, what may be shown."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

from tongbao.kernel.error import Refused
from tongbao.kernel.identifier import trade_number
from tongbao.kernel.money import Money
from tongbao.service.platform import Platform
from tongbao.trade.payout import Line, Payout
from tongbao.wire.party import Party, Payee

CARD_LENGTH = range(12, 20)


def show_login(login: str) -> str:
    """A login that may be shown: its first and last letters."""
    head, at, host = login.partition("@")
    return f"{head[:2]}***{at}{host}" if at else f"{login[:3]}****{login[-4:]}"


def show_card(card: str) -> str:
    """A card number that may be shown: its last four digits."""
    return f"**** {card[-4:]}"


def check_form(payee: Payee) -> None:
    """Whether a payee is written as one must be: a balance account or a card, and a card with its bank and its holder.

    Raises Refused FIELD_MISSING, FIELD_INVALID."""
    if payee.card:
        if payee.party:
            raise Refused("FIELD_INVALID", "a payee is a balance account or a card")
        if not (payee.card.isascii() and payee.card.isdigit() and len(payee.card) in CARD_LENGTH):
            raise Refused("FIELD_INVALID", "a card number has 12 to 19 digits")
        if not payee.bank or not payee.name:
            raise Refused("FIELD_MISSING", "a card needs its bank and its holder's name")
    elif not payee.party:
        raise Refused("FIELD_MISSING", "nobody is named to be paid")


async def prepare(
    platform: Platform,
    merchant_id: str,
    items: Sequence[tuple[str, Payee, Money, str]],
    batch_no: str = "",
    title: str = "",
) -> list[Line]:
    """Lines of (payout_no, payee, amount, memo). Nobody found is a line all the same: it fails by itself."""
    found = await find_parties(platform, [payee.party for _, payee, _, _ in items if not payee.card])
    lines = []
    for payout_no, payee, amount, memo in items:
        check_form(payee)
        kind, payee_id = ("card", "") if payee.card else found.get(payee.party, ("buyer", ""))
        secret = json.dumps(
            [payee.party.id, payee.party.login, payee.name, payee.card, payee.branch], ensure_ascii=False
        )
        said = "\x1f".join((secret, payee.bank, str(amount.minor), amount.currency))
        lines.append(
            Line(
                payout_no=payout_no,
                payout_id=trade_number(platform.entropy, platform.world.clock.business()),
                kind=kind,
                payee_id=payee_id,
                payee=show_card(payee.card) if payee.card else show_login(payee.party.login or payee.party.id),
                bank=payee.bank if payee.card else "",
                secret=platform.vault.close(secret.encode(), merchant_id, "payout", batch_no, payout_no),
                # under a key of ours: card numbers are few enough to be tried out
                digest=hmac.digest(platform.secrets.seal, said.encode(), hashlib.sha256).hex(),
                name=payee.name,
                amount=amount.minor,
                currency=amount.currency,
                memo=memo,
                title=title,
            )
        )
    return lines


async def find_parties(platform: Platform, parties: Sequence[Party]) -> dict[Party, tuple[str, str]]:
    """Who is meant: a party to (``buyer`` or ``merchant``, number). Number and login, where both are given, must be the
    same person's. Who is not found is not in the answer."""
    words = sorted({word for party in parties for word in (party.id, party.login) if word})
    if not words:
        return {}
    rows = await platform.database.read("party.named", {"words": words})
    known = [(kind, number, login) for kind, number, login in rows]
    found: dict[Party, tuple[str, str]] = {}
    for party in set(parties):
        fits = [
            (kind, number) for kind, number, login in known if party.id in ("", number) and party.login in ("", login)
        ]
        if fits:
            found[party] = min(fits)
    return found


def open_payee(platform: Platform, payout: Payout) -> Payee:
    """Whom a payout goes to, as the merchant wrote it."""
    said = platform.vault.open(payout.secret, payout.merchant_id, "payout", payout.batch_no, payout.payout_no)
    number, login, name, card, branch = json.loads(said)
    return Payee(Party(number, login), name, payout.bank, card, branch)


async def look_up_again(platform: Platform, payouts: Sequence[Payout]) -> list[Line]:
    """Stored payouts as lines, their payees looked up anew."""
    payees = [open_payee(platform, payout) for payout in payouts]
    found = await find_parties(platform, [payee.party for payee in payees if not payee.card])
    lines = []
    for payout, payee in zip(payouts, payees, strict=True):
        kind, payee_id = (payout.kind, "") if payee.card else found.get(payee.party, (payout.kind, ""))
        lines.append(
            Line(
                payout_no=payout.payout_no,
                payout_id=payout.payout_id,
                kind=kind,
                payee_id=payee_id,
                payee=payout.payee,
                bank=payout.bank,
                secret=payout.secret,
                digest=payout.digest,
                name=payee.name,
                amount=payout.amount,
                currency=payout.currency,
                memo=payout.memo,
                title=payout.title,
            )
        )
    return lines
