"""What the settings of a merchant say beside the keys: addresses, and what an intent leaves to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tongbao.kernel.error import ConfigurationError
from tongbao.wire.contract import Credentials
from tongbao.wire.http import split_url
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Intent


def check_addresses(values: Mapping[str, str], names: Iterable[str]) -> None:
    """Raise ConfigurationError naming the first of these settings that is given and no address."""
    for name in names:
        if values[name]:
            try:
                split_url(values[name])
            except ValueError as error:
                raise ConfigurationError(name, str(error)) from error


def find_query_gateway(credentials: Credentials, name: str, beside: Callable[[str], str]) -> str:
    """The address for queries that the setting ``name`` gives; the one ``beside`` the gateway where that was changed
    after the settings were read, and where nothing is given."""
    values = credentials.values
    same = values.get("gateway", credentials.gateway) == credentials.gateway
    return (values.get(name) if same else "") or beside(credentials.gateway)


def complete(intent: Intent, credentials: Credentials, notify: str = "notify_url", back: str = "return_url") -> Intent:
    """The intent with what the settings say wherever it is silent: the merchant, and under the names ``notify`` and
    ``back`` the addresses of notice and return. The payee is always the merchant, so it is not said."""
    if not intent.merchant:
        intent = replace(intent, merchant=credentials.merchant)
    if not isinstance(intent, CreateTrade):
        return intent
    values = credentials.values
    return replace(
        intent,
        seller=Party() if intent.seller == Party(credentials.merchant) else intent.seller,
        notify_url=intent.notify_url or values.get(notify, ""),
        return_url=intent.return_url or values.get(back, ""),
    )
