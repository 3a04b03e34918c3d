"""The shop itself: its database, its contracts with platforms, and the duties that run beside its pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.identifier import digits, hex_token
from tongbao.kernel.time import china_compact
from tongbao.merchant.book import OrderTable
from tongbao.merchant.client import AsyncClient
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.database import Database, Dialect, Transaction
from tongbao.merchant.endpoint import Endpoint
from tongbao.merchant.job import JobReport, run_jobs_async
from tongbao.merchant.mail import MAIL_KIND, mail_handler
from tongbao.merchant.receiver import AsyncReceiver
from tongbao.merchant.schema import statements
from tongbao.merchant.verdict import Verdict
from tongbao.shop.table import TABLES, fill_stock, keep_setting, take_stock
from tongbao.wire.form import same_charset
from tongbao.wire.http import split_url
from tongbao.wire.world import Mail, World

T = TypeVar("T")

CHARSETS: Final = ("utf-8", "gbk")
"""The charsets a developer may choose between, where the protocol has that setting."""

SENDER: Final = "shop@shanyue.example"

POLL_SECONDS: Final = 60
"""Orders older than this without evidence are asked about (business time)."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a platform: an endpoint in one charset and the client that speaks for it."""

    endpoint: Endpoint
    client: AsyncClient
    protocol: str
    charset: str


class Shop:
    """A merchant of one or more platforms.

    ``configurations`` maps protocol names to what the shop agreed with each platform; return and notification
    addresses are made from ``address`` (scheme and authority, without a path): ``/pay/{endpoint}/return`` and
    ``/pay/{endpoint}/notify``, where the endpoint is called as its protocol, or ``{protocol}-gbk`` in that charset.
    ``database`` is SQLite; missing tables are created. ``mails`` lists sent mails, newest last, for the mailbox page;
    without it there is no such page. ``story_url`` and ``receipt_url`` are addresses at the platform with
    ``{trade_no}`` in them: where it shows all steps of a trade, and where a buyer confirms that escrowed goods have
    come; '' for none. Raises ConfigurationError.

    ``reachable`` False makes the notification addresses answer 503, as a shop that is down would.
    """

    def __init__(
        self,
        world: World,
        configurations: Mapping[str, MerchantConfiguration],
        database: Database,
        *,
        address: str,
        mails: Callable[[], Sequence[Mail]] | None = None,
        story_url: str = "",
        receipt_url: str = "",
    ) -> None:
        if world.environment == "production":
            raise ConfigurationError("environment", "the demonstration shop has no login for its keeper: not for use")
        if not configurations:
            raise ConfigurationError("configurations", "there is none")
        if database.dialect is not Dialect.SQLITE:
            raise ConfigurationError("database", "the demonstration shop keeps its rows in SQLite")
        self.address = _check_address(address)
        self.world = world
        self.database = database
        self.book = OrderTable()
        self.mails = mails
        self.story_url = story_url
        self.receipt_url = receipt_url
        self.reachable = True
        self.ways: Mapping[str, Way] = {
            way.endpoint.name: way for name, own in configurations.items() for way in self._make_ways(name, own)
        }
        self.receiver = AsyncReceiver(
            [way.endpoint for way in self.ways.values()],
            self.book,
            database,
            apply=take_stock,
            clock=world.clock,
            send=world.send,
            compute=world.compute,
        )
        self.secret = self._prepare()

    def _make_ways(self, name: str, given: MerchantConfiguration) -> list[Way]:
        own = given.credentials.get("charset") or given.manifest.charset
        others = [
            charset
            for charset in CHARSETS
            if charset in given.manifest.charsets
            and any(entry.name == "charset" for entry in given.manifest.credentials)
            and not same_charset(charset, own)
        ]
        ways = []
        for charset in (own, *others):
            endpoint = name if charset == own else f"{name}-{charset}"
            configuration = replace(
                given,
                credentials={**given.credentials, "charset": charset} if charset != own else given.credentials,
                return_url=f"{self.address}/pay/{endpoint}/return",
                notify_url=f"{self.address}/pay/{endpoint}/notify",
            )
            client = AsyncClient(configuration, send=self.world.send, clock=self.world.clock)
            ways.append(Way(Endpoint(name=endpoint, configuration=configuration), client, name, charset))
        return ways

    def _prepare(self) -> bytes:
        self.database.read(lambda transaction: transaction.execute("PRAGMA journal_mode=WAL"))
        proposed = hex_token(self.world.entropy, 32)

        def work(transaction: Transaction) -> str:
            for statement in (*statements(Dialect.SQLITE), *TABLES):
                transaction.execute(statement)
            fill_stock(transaction)
            return keep_setting(transaction, "secret", proposed)

        return bytes.fromhex(self.database.run(work))

    @property
    def protocols(self) -> tuple[str, ...]:
        """Names of the platforms' protocols the buyer may choose from."""
        return tuple(dict.fromkeys(way.protocol for way in self.ways.values()))

    def way(self, protocol: str, charset: str = "") -> Way | None:
        """The way to a platform, in a charset of its or in its usual one."""
        mine = [way for way in self.ways.values() if way.protocol == protocol]
        exact = [way for way in mine if charset and same_charset(way.charset, charset)]
        return next(iter(exact or mine), None)

    def order_number(self) -> str:
        """24 digits: Chinese business time and ten digits of chance; one length, so that no field can shift (T10)."""
        return china_compact(self.world.clock.business()) + digits(self.world.entropy, 10)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work``, which only reads, on a thread."""
        result: T = await self.world.compute(lambda: self.database.read(work))
        return result

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in one transaction on a thread, and commit."""
        result: T = await self.world.compute(lambda: self.database.run(work))
        return result

    # --- duties ----------------------------------------------------------------------------------------------------

    async def run_jobs(self, limit: int = 50) -> JobReport:
        """One round of work after commits: the buyers' mails. Call it again and again."""
        sender = next((way.endpoint.configuration.mail_sender for way in self.ways.values()), "") or SENDER
        handlers: dict[str, Callable[..., Any]] = {MAIL_KIND: mail_handler(sender, self.world.mail)}
        return await run_jobs_async(
            self.database, handlers, clock=self.world.clock, limit=limit, compute=self.world.compute
        )

    async def poll(self, older_than: int = POLL_SECONDS, limit: int = 20) -> list[Verdict]:
        """Ask about at most ``limit`` orders without evidence that are older than so many seconds of business time: the
        newest, and some of the older ones in their turn (``Receiver.poll``)."""
        return await self.receiver.poll(older_than, limit)


def _check_address(address: str) -> str:
    try:
        scheme, authority, path, query = split_url(address)
    except ValueError as error:
        raise ConfigurationError("address", str(error)) from error
    if path != b"/" or query:
        raise ConfigurationError("address", "is scheme and authority only, without a path")
    return f"{scheme}://{authority}"
