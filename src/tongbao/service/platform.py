"""The platform as its pages, faces, worker and sandbox see it: one object with the world, the books and the secrets.

Everything that changes the books goes through ``submit``; everything that only looks goes through the read pool.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.kernel.identifier import digits, hex_token, trade_number
from tongbao.kernel.port import Entropy
from tongbao.service.channel import Channel
from tongbao.service.command import RULES
from tongbao.service.link import Seal
from tongbao.service.once import Onces
from tongbao.service.ring import RingCache
from tongbao.service.vault import Vault
from tongbao.service.view import provider_of
from tongbao.store.committer import Committer
from tongbao.store.schema import BUYER, MERCHANT, PAYMENT, TRADE
from tongbao.store.spool import Spool
from tongbao.store.step import Database
from tongbao.trade.party import Buyer, Merchant
from tongbao.trade.record import Payment, Trade
from tongbao.wire.bank import BANKS, OUTLET
from tongbao.wire.contract import Manifest
from tongbao.wire.loader import load_protocol
from tongbao.wire.world import World


@dataclass(frozen=True, slots=True)
class Secrets:
    """The installation's secrets: ``seal`` for words of its own, ``vault`` for keys at rest, ``pepper`` for pay
    passwords, ``bank`` for simulated banks. 32 bytes each; never shown."""

    seal: bytes
    vault: bytes
    pepper: bytes
    bank: bytes

    def __repr__(self) -> str:
        return "Secrets(...)"

    @classmethod
    def derive(cls, root: bytes) -> Secrets:
        """All four from one root secret of at least 32 random bytes."""
        if len(root) < 32:
            raise ConfigurationError("secret", "the installation's root secret has at least 32 random bytes")
        parts = {name: hashlib.sha256(root + b"\x00" + name.encode()).digest() for name in cls.__slots__}
        return cls(**parts)


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """``base_url`` is the platform's own address, without a slash at the end: links are built from it, never from a
    request (T63). ``environment`` is production, sandbox or test. ``password_cost`` is log2 of scrypt's N.
    ``bill_folder`` keeps finished bills; '' for a folder that goes with the process."""

    base_url: str
    environment: str
    password_cost: int
    lane: int = 0
    holder: str = "tongbao"
    embedded: bool = True
    bill_folder: str = ""


class Platform:
    """The joined house. Build it, ``await start()``, and ``await stop()`` in the end."""

    def __init__(
        self,
        world: World,
        database: Database,
        secrets: Secrets,
        settings: PlatformSettings,
        channels: Mapping[str, Channel],
    ) -> None:
        if settings.environment == "production" and any(channel.simulated for channel in channels.values()):
            raise ConfigurationError("channels", "a simulated bank may not run in production")
        self.world = world
        self.database = database
        self.secrets = secrets
        self.settings = settings
        self.channels = dict(channels)
        self.seal = Seal(secrets.seal)
        self.vault = Vault(secrets.vault, world.entropy)
        self.rings = RingCache(database, self.vault, world.clock)
        self.onces = Onces()
        self.spool = Spool(settings.bill_folder)
        self.committer = Committer(
            database,
            RULES,
            world.clock,
            settings.lane,
            settings.holder,
            by_force=settings.embedded,
            weigh=lambda command: getattr(command, "weight", 1),
        )

        self.activity = asyncio.Event()
        """Set after every commit of this process, so that a worker beside it need not wait for its next look."""

    async def start(self) -> None:
        """Take the lane and begin to commit."""
        await self.committer.start()

    async def stop(self) -> None:
        """Commit what is queued, then stop. The database stays open: its owner closes it."""
        await self.committer.stop()
        self.spool.close()

    async def submit(self, command: Any) -> Any:
        """The command's outcome, after its commit. Raises Refused, OutcomeUnknown, BrokenInvariant."""
        outcome = await self.committer.submit(command)
        self.activity.set()
        return outcome

    @property
    def entropy(self) -> Entropy:
        """Chance for numbers and tokens."""
        return self.world.entropy

    def new_trade_no(self) -> str:
        """A fresh 28-digit trade number."""
        return trade_number(self.world.entropy, self.world.clock.business())

    def new_token(self) -> str:
        """128 random bits in hex."""
        return hex_token(self.world.entropy)

    def new_cash_code(self) -> str:
        """The 12 digits a buyer names at an outlet."""
        return digits(self.world.entropy, 12)

    def channel(self, bank: str) -> Channel:
        """The channel to one bank of the directory (or to the outlets). Raises Refused BANK_UNKNOWN."""
        if bank not in BANKS and bank != OUTLET:
            raise Refused("BANK_UNKNOWN", bank)
        found = self.channels.get(bank) or self.channels.get("*")
        if found is None:
            raise Refused("BANK_UNKNOWN", f"no channel to {bank} is configured")
        return found

    def protocol(self, name: str) -> Manifest:
        """The manifest of a protocol folder."""
        return load_protocol(name)

    # --- looking --------------------------------------------------------------------------------------------------

    async def find_trade(
        self, merchant_id: str, out_trade_no: str = "", trade_no: str = "", *, provider: str = ""
    ) -> Trade:
        """A merchant's trade by either number; both given must agree. A ``provider`` finds only what he asked for.
        Raises Refused TRADE_NOT_FOUND."""
        if trade_no:
            rows = await self.database.read("trade.by_no", {"trade_no": trade_no})
            if not rows or rows[0][0] != merchant_id or out_trade_no not in ("", rows[0][1]):
                raise Refused("TRADE_NOT_FOUND", "no such trade")
            out_trade_no = rows[0][1]
        found: list[Trade] = await self.database.load(TRADE, [(merchant_id, out_trade_no)])
        if not found or (provider and provider_of(found[0]) != provider):
            raise Refused("TRADE_NOT_FOUND", "no such trade")
        return found[0]

    async def trade_by_no(self, trade_no: str) -> Trade:
        """Any trade by our number, for pages that hold a link of ours. Raises Refused TRADE_NOT_FOUND."""
        rows = await self.database.read("trade.by_no", {"trade_no": trade_no})
        if not rows:
            raise Refused("TRADE_NOT_FOUND", "no such trade")
        found: list[Trade] = await self.database.load(TRADE, [tuple(rows[0])])
        return found[0]

    async def payment_of(self, trade: Trade) -> Payment | None:
        """The payment that counts for a trade, or None."""
        if not trade.paid_attempt:
            return None
        found: list[Payment] = await self.database.load(
            PAYMENT, [(trade.merchant_id, trade.out_trade_no, trade.paid_attempt)]
        )
        return found[0]

    async def payments_of(self, trade: Trade) -> list[Payment]:
        """Every attempt to pay a trade, in order."""
        keys = [(trade.merchant_id, trade.out_trade_no, n) for n in range(1, trade.attempts + 1)]
        return await self.database.load(PAYMENT, keys) if keys else []

    async def merchant(self, merchant_id: str) -> Merchant:
        """A merchant by number. Raises Refused UNKNOWN_MERCHANT."""
        found: list[Merchant] = await self.database.load(MERCHANT, [(merchant_id,)])
        if not found:
            raise Refused("UNKNOWN_MERCHANT", "no merchant by that number")
        return found[0]

    async def buyer(self, buyer_id: str) -> Buyer:
        """A buyer by number. Raises Refused BUYER_UNKNOWN."""
        found: list[Buyer] = await self.database.load(BUYER, [(buyer_id,)])
        if not found:
            raise Refused("BUYER_UNKNOWN", "no such buyer")
        return found[0]

    async def buyer_by_login(self, login: str) -> Buyer:
        """A buyer by e-mail or mobile number. Raises Refused BUYER_UNKNOWN."""
        rows = await self.database.read("buyer.by_login", {"login": login})
        if not rows:
            raise Refused("BUYER_UNKNOWN", "no such buyer")
        return await self.buyer(rows[0][0])

    async def balance(self, account: str) -> int:
        """An account's balance in minor units, 0 where nothing was posted yet. For showing, never for deciding
        (T49)."""
        rows = await self.database.read("account.like_prefix", {"low": account, "high": account + "\x01"})
        return int(rows[0][1]) if rows else 0
