"""Under which name the platform signs for a merchant: its certificate, its bare public key, or both during a change."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant
from tongbao.sandbox.deed import MAKER
from tongbao.service.party import PutKey
from tongbao.service.platform import Platform
from tongbao.trade.party import MerchantKey
from tongbao.wire.certificate import split_pem

TRUSTS: Final = ("certificate", "both", "public_key")


async def change_trust(platform: Platform, protocol: str, merchant_id: str, trust: str) -> None:
    """Have the platform sign for a merchant by its certificate, by its bare public key (the same pair), or by both.

    The key with the certificate and the one without are two rows of the merchant's ring: whichever is not meant is
    revoked. Raises Refused FIELD_INVALID, NOT_FOUND.
    """
    if trust not in TRUSTS:
        raise Refused("FIELD_INVALID", f"trust: one of {', '.join(TRUSTS)}")
    manifest = platform.protocol(protocol)
    if not manifest.public_keys:
        raise Refused("FIELD_INVALID", "protocol: its platform's key has no name without a certificate")
    rows = await platform.database.read("key.of_merchant", {"merchant_id": merchant_id, "protocol": protocol})
    signing = next((row for row in rows if row[0] == f"{manifest.algorithms[0]}-sign"), None)
    if signing is None:
        raise Refused("NOT_FOUND", "no such merchant, or no key of the sandbox's own")
    key_id, _, algorithm, use, sealed, *_ = signing
    raw = platform.vault.open(str(sealed), merchant_id, protocol, str(key_id))
    state = "revoked" if trust == "public_key" else "active"
    certified = MerchantKey(
        merchant_id, protocol, str(key_id), 0, str(algorithm), str(use), str(sealed), state, Instant(0), Instant(0)
    )
    bare_id = f"{key_id}-bare"
    bare = replace(
        certified,
        key_id=bare_id,
        secret=platform.vault.close(split_pem(raw.decode("ascii"))[0].encode(), merchant_id, protocol, bare_id),
        state="revoked" if trust == "certificate" else "active",
    )
    # the one that is to sign comes first, so that there is one at every moment
    for key in sorted((certified, bare), key=lambda one: one.state):
        await platform.submit(PutKey(key, MAKER))
    platform.rings.forget()
