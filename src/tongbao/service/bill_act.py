"""What a merchant may ask about his bills, and the files behind the answers (T90)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, MINUTE, Instant
from tongbao.service.bill import account_pages, bill_pages, check_head, keep_bill
from tongbao.service.create import Asker, check_provider
from tongbao.service.platform import Platform
from tongbao.service.wallet import told_buyer
from tongbao.store.spool import Draft, Spooled
from tongbao.wire.bill import PLAIN, Tally
from tongbao.wire.contract import BillEnd
from tongbao.wire.movement import (
    BillHead,
    BillLine,
    BillOpened,
    FetchBill,
    MovementsFound,
    QueryMovements,
    RequestBill,
)
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import FollowUp, Outcome

_GZIP: Final = 31
"""What zlib calls a gzip envelope."""

LINK_TIME: Final = 10 * MINUTE
"""How long the address of a bill is good (wire time)."""

RANGE_MAX: Final = 31 * DAY
"""The longest stretch that movements are asked for at once."""

PAGE_DEFAULT: Final = 1_000
PAGE_MAX: Final = 100_000
"""The longest answer any protocol asks for (an export in one piece); most allow shorter pages only."""


@dataclass(frozen=True, slots=True)
class BillFile:
    """A finished bill, whose it is, and how it goes over the wire. ``compressed``: with gzip."""

    spooled: Spooled
    name: str
    kind: str
    compressed: bool
    merchant: str
    provider: str = ""
    """The service provider whose part of the merchant's trades it is, '' for the merchant's own bill."""

    def chunks(self) -> Iterator[bytes]:
        """The file in pieces, as it is sent."""
        return compress(self.spooled.chunks()) if self.compressed else self.spooled.chunks()


def bill_end(platform: Platform, protocol: str) -> BillEnd:
    """A protocol's way of writing bills; our own format where it has none, or for ''."""
    manifest = platform.protocol(protocol) if protocol else None
    return PLAIN if manifest is None or manifest.bill is None else manifest.bill


async def make_bill(platform: Platform, protocol: str, head: BillHead) -> Spooled:
    """The finished file of one bill: made once, the same for ever. Raises Refused as ``check_head`` does,
    BILL_NOT_FOUND where nothing moved, FIELD_INVALID where the protocol has no such bill."""
    await check_head(platform, head)
    whose = [head.provider] if head.provider else []
    name = json.dumps([protocol, head.merchant, f"{head.day}", head.kind, head.monthly, head.scope, *whose])
    known = platform.spool.find(name)
    if known is not None:
        return known
    end, draft, lines = bill_end(platform, protocol), platform.spool.draft(), 0
    tally, opening = Tally(), dict[str, int]()
    try:
        async for found in bill_pages(platform, head):
            page = told_lines(platform, protocol, head.provider or head.merchant, found)
            draft.add(dump_line(line) for line in page)
            for line in page:
                tally.add(line)
                if line.balance is not None:
                    opening.setdefault(line.income.currency, (line.balance - line.income + line.outcome).minor)
            lines += len(page)
        if not lines:
            raise Refused("BILL_NOT_FOUND", "nothing moved on this day")
        await keep_bill(platform, head, tally, opening)
        made: Spooled = await platform.world.compute(
            lambda: platform.spool.make(name, lambda: end.write(head, read_draft(draft)))
        )
        return made
    except LocalProtocolError as error:
        raise Refused("FIELD_INVALID", f"{error.field}: {error.reason}") from error
    finally:
        draft.close()


def told_lines(platform: Platform, protocol: str, merchant_id: str, lines: list[BillLine]) -> list[BillLine]:
    """The lines with buyers under the numbers that this merchant knows, where the protocol has its own."""
    if not protocol or not platform.protocol(protocol).own_buyers:
        return lines
    told = {
        buyer: Party(told_buyer(platform, protocol, merchant_id, buyer.id), buyer.login)
        for buyer in {line.buyer for line in lines}
    }
    return [replace(line, buyer=told[line.buyer]) for line in lines]


def read_draft(draft: Draft) -> Iterator[BillLine]:
    """The lines of a draft, one at a time."""
    return (load_line(row) for row in draft.rows())


def dump_line(line: BillLine) -> list[Any]:
    """A line as JSON values."""
    return [_dump(getattr(line, name)) for name in _FIELDS]


def load_line(row: list[Any]) -> BillLine:
    """The line behind ``dump_line``."""
    values = dict(zip(_FIELDS, row, strict=True))
    for name in _SUMS:
        if values[name] is not None:
            values[name] = Money(*values[name])
    return BillLine(**{**values, "buyer": Party(*values["buyer"])})


_FIELDS: Final = tuple(BillLine.__dataclass_fields__)
_SUMS: Final = ("income", "outcome", "fee", "amount", "balance")


def _dump(value: Any) -> Any:
    if isinstance(value, Money):
        return [value.minor, value.currency]
    return [value.id, value.login] if isinstance(value, Party) else value


# --- addresses -----------------------------------------------------------------------------------------------------


def bill_url(platform: Platform, protocol: str, head: BillHead, *, compressed: bool = False) -> str:
    """Where a bill can be fetched for ``LINK_TIME``."""
    whose = [head.provider] if head.provider else []
    said = [protocol, head.merchant, f"{head.day}", head.kind, head.monthly, head.scope, compressed, *whose]
    word = platform.seal.pack("bill", json.dumps(said), platform.world.clock.wire())
    return f"{platform.settings.base_url}/bill/{word}"


async def open_bill(platform: Platform, word: str) -> BillFile:
    """The bill behind an address of ours. Raises Refused NOT_FOUND for a word that is not ours or too old (T90)."""
    text = platform.seal.unpack("bill", word, platform.world.clock.wire(), LINK_TIME)
    if text is None:
        raise Refused("NOT_FOUND", "no such bill, or the address is too old")
    protocol, merchant, day, kind, monthly, scope, compressed, *whose = json.loads(text)
    provider = "".join(whose)
    head = BillHead(
        merchant=merchant, day=date.fromisoformat(day), kind=kind, monthly=monthly, scope=scope, provider=provider
    )
    spooled = await make_bill(platform, protocol, head)
    name = bill_end(platform, protocol).file_name(head)
    title, kind = f"{name}.gz" if compressed else name, content_type(name, compressed=compressed)
    return BillFile(spooled, title, kind, compressed, merchant, provider)


def compress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same in a gzip envelope without a time in it."""
    engine = zlib.compressobj(wbits=_GZIP)
    for chunk in chunks:
        made = engine.compress(chunk)
        if made:
            yield made
    yield engine.flush()


def content_type(name: str, *, compressed: bool) -> str:
    """What a bill's file is, by the ending of its name."""
    if compressed or name.endswith(".gz"):
        return "application/gzip"
    return {"csv": "text/csv", "zip": "application/zip", "txt": "text/plain"}.get(
        name.rpartition(".")[2], "application/octet-stream"
    )


# --- acts ----------------------------------------------------------------------------------------------------------


async def request_bill(platform: Platform, asker: Asker, intent: RequestBill) -> Outcome:
    """Where a bill can be fetched, and the SHA-1 of the file as it is before compression. A service provider is told of
    the trades that he asked for. Raises Refused."""
    head = BillHead(
        merchant=asker.merchant_id,
        day=intent.day,
        kind=intent.kind,
        monthly=intent.monthly,
        scope=intent.scope,
        provider=asker.provider,
    )
    made = await make_bill(platform, asker.protocol, head)
    return FollowUp(bill_url(platform, asker.protocol, head, compressed=intent.compressed), made.digest)


async def fetch_bill(platform: Platform, asker: Asker, intent: FetchBill) -> Outcome:
    """The file behind a word that this merchant was told, or of a day. Raises Refused, for a foreign word NOT_FOUND."""
    if intent.day is not None:
        head = BillHead(
            merchant=asker.merchant_id,
            day=intent.day,
            kind=intent.kind,
            scope=intent.scope,
            provider=asker.provider,
        )
        made = await make_bill(platform, asker.protocol, head)
        return BillOpened(compress(made.chunks()) if intent.compressed else made.chunks(), intent.compressed)
    bill = await open_bill(platform, intent.word)
    mine = bill.provider == asker.merchant_id and await _provides(platform, asker, bill.merchant)
    if not mine and (bill.merchant, bill.provider) != (asker.merchant_id, ""):
        raise Refused("NOT_FOUND", "no such bill, or the address is too old")
    return BillOpened(bill.chunks(), bill.compressed)


async def _provides(platform: Platform, asker: Asker, merchant_id: str) -> bool:
    """Whether the asker is a service provider of that merchant: the address of a bill does not name whose it is."""
    try:
        merchant, provider = await platform.merchant(merchant_id), await platform.merchant(asker.merchant_id)
        check_provider(merchant, provider, asker.protocol)
    except Refused:
        return False
    return True


async def query_movements(platform: Platform, asker: Asker, intent: QueryMovements) -> Outcome:
    """One page of the account's lines, oldest first. Raises Refused FIELD_INVALID."""
    now = platform.world.clock.business()
    until = intent.until if intent.until is not None else now
    since = intent.since if intent.since is not None else Instant(until - DAY)
    size = intent.page_size or PAGE_DEFAULT
    if not 0 <= until - since <= RANGE_MAX:
        raise Refused("FIELD_INVALID", "movements are asked for over at most 31 days")
    if intent.page < 1 or not 1 <= size <= PAGE_MAX:
        raise Refused("FIELD_INVALID", f"pages begin with 1 and hold at most {PAGE_MAX} lines")
    first, found, passed = (intent.page - 1) * size, [], 0
    async for page in account_pages(platform, asker.merchant_id, since, Instant(min(until, now) + 1)):
        for line in told_lines(platform, asker.protocol, asker.merchant_id, page):
            if not _is_wanted(line, intent):
                continue
            if passed >= first:
                found.append(line)
            passed += 1
            if len(found) > size:
                return MovementsFound(tuple(found[:size]), intent.page, size, True)
    return MovementsFound(tuple(found), intent.page, size, False)


def _is_wanted(line: BillLine, intent: QueryMovements) -> bool:
    return (
        intent.trade_no in ("", line.trade_no)
        and intent.out_trade_no in ("", line.out_trade_no)
        and intent.serial in ("", line.serial)
        and (not intent.kinds or line.kind in intent.kinds)
    )


ACTS: Final[dict[type, Any]] = {
    RequestBill: request_bill,
    FetchBill: fetch_bill,
    QueryMovements: query_movements,
}
