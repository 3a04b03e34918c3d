"""The sandbox's people: one approved merchant (with a number per protocol), two funded buyers with cards; where a
protocol has service providers, one more merchant, who has agreed to the first as his."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tongbao.kernel.error import Refused
from tongbao.kernel.time import Instant
from tongbao.ledger.account import buyer_balance
from tongbao.sandbox.state import SandboxState, sandbox_key, sub_merchants
from tongbao.service.merchant_operator import ApproveMerchantOperator
from tongbao.service.merchant_operator_act import operators_of, put_operator
from tongbao.service.party import ChangeMerchant, PutKey, RegisterBuyer, RegisterMerchant, TopUp
from tongbao.service.password import hash_password
from tongbao.service.payout_card import VerifyPayoutCard, put_card
from tongbao.service.platform import Platform
from tongbao.store.schema import PAYOUT_CARD
from tongbao.trade.party import Buyer, Merchant, MerchantKey
from tongbao.wire.contract import Manifest
from tongbao.wire.party import Payee
from tongbao.wire.sign import public_pem

SHOP_NAME: Final = "通宝示范商店"
SUB_NAME: Final = "通宝示范特约商户"


@dataclass(frozen=True, slots=True)
class Card:
    """A card of a simulated bank. ``outcome``: ``ok``, ``insufficient``, ``slow``, ``lost``, ``late`` or ``closed``;
    ``balance`` in fen."""

    bank: str
    kind: str
    number: str
    password: str
    outcome: str
    balance: int = 5_000_000


@dataclass(frozen=True, slots=True)
class DemoBuyer:
    """A buyer whose words are printed: they are for testing and protect nothing."""

    buyer_id: str
    name: str
    login: str
    password: str
    pay_password: str
    balance: int
    locale: str
    cards: tuple[Card, ...]


BUYERS: Final = (
    DemoBuyer(
        "2088102146225135",
        "王小明",
        "buyer@tongbao.example",
        "buyer-login-1",
        "246135",
        10_000_000,
        "zh",
        (
            Card("ICBC", "debit", "6200000000000018", "135790", "ok"),
            Card("CMB", "credit", "6200000000000026", "135790", "ok"),
            Card("CCB", "debit", "6200000000000034", "135790", "insufficient", 1),
            Card("BOC", "debit", "6200000000000042", "135790", "slow"),
            Card("ABC", "debit", "6200000000000059", "135790", "lost"),
            Card("COMM", "credit", "6200000000000067", "135790", "late"),
            Card("SPDB", "debit", "6200000000000075", "135790", "closed"),
        ),
    ),
    DemoBuyer(
        "2088102146225143",
        "Li Na",
        "lina@tongbao.example",
        "buyer-login-2",
        "314259",
        2_000_000,
        "en",
        (
            Card("CMB", "debit", "6200000000000117", "246801", "ok"),
            Card("SPDB", "credit", "6200000000000125", "246801", "ok"),
        ),
    ),
)


SHOP_CARD: Final = Card("ICBC", "debit", "6200000000000216", "135790", "ok", 1)
"""The shop's own card, verified: standing payouts and withdrawals go there."""

AGREEMENT: Final = {"early": {"rate": 10, "minimum": 1}}
"""What is agreed with the shop beside his flat fee: early settlement for a tenth of a percent."""

CHECK: Final = 10_000
"""Where the shop's browser carries batches: above this sum, in fen, two of its people must agree to one of payouts."""


@dataclass(frozen=True, slots=True)
class DemoOperator:
    """One of the shop's people, whose payment password is printed: it is for testing and protects nothing."""

    name: str
    pay_password: str


OPERATORS: Final = (DemoOperator("chen", "chen-pays-1"), DemoOperator("zhao", "zhao-pays-2"))
"""Who agrees in the shop's name to batches that its browser carries."""


class CardIssuer(Protocol):
    """What the sandbox needs of the simulated banks. Adding a card that exists changes nothing."""

    async def add_card(
        self, bank: str, kind: str, number: str, password: str, holder: str, balance: int, outcome: str
    ) -> object: ...


async def populate(platform: Platform, state: SandboxState, issuer: CardIssuer) -> None:
    """Make the people and keys that are not there yet; what is there stays as it is."""
    for name, party in state.parties.items():
        agreed: dict[str, Any] = dict(AGREEMENT)
        by_browser = platform.protocol(name).batches_by_browser
        if by_browser:
            agreed["payout"] = {"check": CHECK}
        await _merchant(platform, name, party.merchant_id, party.login, SHOP_NAME, agreed)
        if by_browser:
            await _operators(platform, party.merchant_id)
        await _keys(platform, platform.protocol(name), state)
        await _card(platform, party.merchant_id)
    for name, number in sub_merchants(state).items():
        agreed = {"providers": [state.parties[name].merchant_id]}
        await _merchant(platform, name, number, f"sub.{state.parties[name].login}", SUB_NAME, agreed)
    shop = SHOP_CARD
    await issuer.add_card(shop.bank, shop.kind, shop.number, shop.password, SHOP_NAME, shop.balance, shop.outcome)
    for buyer in BUYERS:
        await _buyer(platform, buyer)
        for card in buyer.cards:
            await issuer.add_card(
                card.bank, card.kind, card.number, card.password, buyer.name, card.balance, card.outcome
            )
    platform.rings.forget()


async def _quietly(platform: Platform, command: object) -> bool:
    try:
        await platform.submit(command)
    except Refused as refusal:
        if refusal.code not in ("ALREADY_EXISTS", "STATE_CONFLICT"):
            raise
        return False
    return True


async def _operators(platform: Platform, merchant_id: str) -> None:
    known = {row.name for row in await operators_of(platform, merchant_id)}
    for one in OPERATORS:
        if one.name not in known:
            reason = "a sandbox's own operator"
            version = await put_operator(platform, merchant_id, one.name, one.pay_password, "sandbox-maker", reason)
            command = ApproveMerchantOperator(merchant_id, one.name, version, "sandbox-checker", reason)
            await platform.submit(command)


async def _merchant(
    platform: Platform, protocol: str, merchant_id: str, login: str, title: str, agreed: Mapping[str, Any]
) -> None:
    merchant = Merchant(
        merchant_id=merchant_id,
        name=title,
        status="applied",
        environment=platform.settings.environment,
        login=login,
        products=json.dumps(["instant", "escrow", "dual"]),
        protocols=json.dumps([protocol]),
        hosts="[]",
        notify_url="",
        return_url="",
        refund_days=90,
        fee_rate=60,
        fee_min=1,
        fee_cap=0,
        anti_phishing=False,
        settings=json.dumps(agreed),
        created_by="",
        approved_by="",
        created_at=Instant(0),
        version=0,
    )
    if await _quietly(platform, RegisterMerchant(merchant, "sandbox-maker")):
        await platform.submit(ChangeMerchant(merchant_id, "approved", "sandbox-checker", "a sandbox's own merchant"))


async def _card(platform: Platform, merchant_id: str) -> None:
    if await platform.database.load(PAYOUT_CARD, [(merchant_id,)]):
        return
    payee = Payee(name=SHOP_NAME, bank=SHOP_CARD.bank, card=SHOP_CARD.number)
    version = await put_card(platform, merchant_id, payee, "sandbox-maker", "a sandbox's own card")
    await platform.submit(VerifyPayoutCard(merchant_id, version, "sandbox-checker", "a sandbox's own card"))


async def _keys(platform: Platform, manifest: Manifest, state: SandboxState) -> None:
    party = state.parties[manifest.name]
    rows = await platform.database.read(
        "key.of_merchant", {"merchant_id": party.merchant_id, "protocol": manifest.name}
    )
    known = {row[0] for row in rows}
    for algorithm in (*manifest.algorithms, *manifest.content_keys):
        if algorithm in manifest.algorithms and "rsa" in algorithm.lower():
            public = public_pem(sandbox_key(party.merchant_key).public_key())
            wanted = [("verify", public + party.merchant_chain), ("sign", party.platform_key + party.platform_chain)]
        else:
            wanted = [("both", party.secret)]
        for use, secret in wanted:
            key_id = f"{algorithm}-{use}"
            if key_id in known:
                continue
            envelope = platform.vault.close(secret.encode(), party.merchant_id, manifest.name, key_id)
            key = MerchantKey(
                party.merchant_id,
                manifest.name,
                key_id,
                0,
                algorithm,
                use,
                envelope,
                "active",
                Instant(0),
                Instant(0),
            )
            await platform.submit(PutKey(key, "sandbox-maker"))


async def _buyer(platform: Platform, demo: DemoBuyer) -> None:
    cost, salt, pepper = platform.settings.password_cost, platform.entropy.token(16), platform.secrets.pepper
    login_hash = await platform.world.compute(lambda: hash_password(demo.password, salt, cost))
    pay_hash = await platform.world.compute(lambda: hash_password(demo.pay_password, salt, cost, pepper))
    row = Buyer(
        demo.buyer_id,
        demo.login,
        "member",
        "active",
        demo.name,
        demo.locale,
        login_hash,
        pay_hash,
        0,
        Instant(0),
        0,
        Instant(0),
        Instant(0),
    )
    if await _quietly(platform, RegisterBuyer(row)):
        await platform.submit(
            TopUp(demo.buyer_id, demo.balance, "CNY", demo.cards[0].bank, demo.buyer_id, "sandbox-maker")
        )


async def balance_of(platform: Platform, demo: DemoBuyer) -> int:
    """A buyer's balance in fen."""
    return await platform.balance(buyer_balance(demo.buyer_id, "CNY"))
