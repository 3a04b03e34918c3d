"""The payee's number. An application asks under its own (``app_id``, 2021...), and money comes to another (2088...)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.alipay_openapi.field import Content, text_of
from tongbao.wire.contract import Credentials
from tongbao.wire.movement import RefundTrade, Split, SplitTrade
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Intent

SETTING: Final = "seller_id"
_BEGINNING: Final = "2088"


def seller_of(app: str) -> str:
    """An application's payee at this platform: 16 digits, 2088 and the last twelve of the application's number."""
    return _BEGINNING + app[-12:].rjust(12, "0")


def say_seller(number: str, app: str) -> str:
    """``seller_id`` of what the platform tells: the payee's number where the application itself is meant."""
    return seller_of(app) if number == app else number


def ask_account(credentials: Credentials) -> dict[str, str]:
    """Whose balance is asked for: the payee's, never the application's number. Raises LocalProtocolError."""
    number = credentials.values.get(SETTING, "")
    if not number:
        raise LocalProtocolError(SETTING, "is missing, and the balance is asked for by it", "FIELD_MISSING")
    return {"alipay_user_id": number}


def check_account(content: Content, app: str) -> None:
    """Whether the account that is asked for is the application's own. Raises RemoteProtocolError NO_PRIVILEGE."""
    for name in ("alipay_user_id", "alipay_open_id"):
        if text_of(content, name) not in ("", seller_of(app)):
            raise RemoteProtocolError(name, "is another's account", "NO_PRIVILEGE")


def own_numbers(intent: Intent, app: str) -> Intent:
    """The intent as the platform knows its parties: whoever names his payee's number means himself."""
    if isinstance(intent, CreateTrade):
        if not intent.seller.id and not intent.splits:
            return intent
        splits = tuple(_own_giver(split, app) for split in intent.splits)
        return replace(intent, seller=_own(intent.seller, app), splits=splits)
    if isinstance(intent, RefundTrade | SplitTrade):
        return replace(intent, splits=tuple(_own_giver(split, app) for split in intent.splits))
    return intent


def _own(party: Party, app: str) -> Party:
    return Party(app, party.login) if party.id == seller_of(app) else party


def _own_giver(split: Split, app: str) -> Split:
    return replace(split, giver=_own(split.giver, app))
