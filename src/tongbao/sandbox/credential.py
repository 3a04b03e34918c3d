"""The credentials file: every address and secret a real client needs, under the client's own names (schema 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tongbao.sandbox.population import BUYERS, OPERATORS, SHOP_NAME, balance_of
from tongbao.sandbox.state import Party, SandboxState, app_secret, sandbox_key, sub_merchants
from tongbao.service.platform import Platform
from tongbao.service.wallet import told_buyer
from tongbao.wire.certificate import load_chain
from tongbao.wire.contract import Manifest
from tongbao.wire.key import Key, KeyRing

SCHEMA: Final = 1


def merchant_ring(manifest: Manifest, party: Party) -> KeyRing:
    """The ring as the merchant holds it: his own keys sign, the platform's verify."""
    sign: list[Key] = []
    verify: list[Key] = []
    for algorithm in (*manifest.algorithms, *manifest.content_keys):
        if algorithm in manifest.algorithms and "rsa" in algorithm.lower():
            own, theirs = sandbox_key(party.merchant_key), sandbox_key(party.platform_key).public_key()
            mine = load_chain(party.merchant_chain, "certificate") if party.merchant_chain else ()
            issued = load_chain(party.platform_chain, "certificate") if party.platform_chain else ()
            sign.append(Key(f"{algorithm}-client", 1, algorithm, own, chain=mine))
            verify.append(Key(f"{algorithm}-platform", 1, algorithm, theirs, chain=issued))
        else:
            shared = Key(f"{algorithm}-both", 1, algorithm, party.secret.encode())
            sign.append(shared)
            verify.append(shared)
    return KeyRing(party.merchant_id, tuple(verify), tuple(sign))


def protocol_credentials(
    name: str, platform: Platform, party: Party, base_url: str, tls_url: str = ""
) -> dict[str, Any]:
    """One protocol's part; ``base_url`` is the address of the face's own listener, ``tls_url`` the HTTPS listener's."""
    manifest = platform.protocol(name)
    said: dict[str, Any] = manifest.credentials_for(
        party.merchant_id,
        merchant_ring(manifest, party),
        base_url,
        {"seller_email": party.login, "open_id": told_buyer(platform, name, party.merchant_id, BUYERS[0].buyer_id)},
    )
    secure = {"tls_base_url": f"{tls_url}/{name}"} if tls_url else {}
    return {"base_url": base_url, **secure, **said}


async def build_credentials(
    platform: Platform,
    state: SandboxState,
    faces: Mapping[str, str],
    authority: str = "",
    tls_url: str = "",
    issued: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """The whole file as JSON values. ``faces``: protocol name to the address of its own listener; ``authority``: PEM of
    the sandbox's own certificate authority where it serves TLS; ``tls_url``: its HTTPS address; ``issued``: merchant
    number to the client certificate and key that he may show there."""
    first = next(iter(state.parties.values()))
    said: dict[str, Any] = {
        "schema": SCHEMA,
        "base_url": platform.settings.base_url,
        "merchant": {
            "name": SHOP_NAME,
            "id": first.merchant_id,
            "login": first.login,
            "ids": {name: party.merchant_id for name, party in state.parties.items()},
            "sub_ids": sub_merchants(state),
            "app_secrets": {},
            "operators": [{"name": one.name, "pay_password": one.pay_password} for one in OPERATORS],
        },
        "buyers": [
            {
                "name": buyer.name,
                "login": buyer.login,
                "password": buyer.password,
                "pay_password": buyer.pay_password,
                "balance": await balance_of(platform, buyer),
                "cards": [
                    {
                        "bank": card.bank,
                        "kind": card.kind,
                        "number": card.number,
                        "password": card.password,
                        "outcome": card.outcome,
                    }
                    for card in buyer.cards
                ],
            }
            for buyer in BUYERS
        ],
        "protocols": {
            name: protocol_credentials(name, platform, state.parties[name], base, tls_url)
            for name, base in faces.items()
        },
    }
    for name, part in said["protocols"].items():
        if "appid" in part:
            said["merchant"]["app_secrets"][part["appid"]] = app_secret(state, part["appid"])
        fields, pair = platform.protocol(name).client_certificate, (issued or {}).get(state.parties[name].merchant_id)
        if fields is not None and pair is not None:
            part |= dict(zip(fields, pair, strict=True))
    if authority:
        said["ca"] = authority
    if tls_url:
        said["tls_base_url"] = tls_url
    return said
