"""Payouts from a file, and what became of them as one: CSV in UTF-8 (with or without a byte order mark) or GBK.

The heading names the columns, in English or Chinese and in any order: ``payout_no`` 流水号, ``payee`` 收款账号 (login
or number of a balance account), ``name`` 收款人姓名, ``bank`` 银行, ``card`` 银行卡号, ``branch`` 支行, ``amount`` 金额
(yuan), ``memo`` 备注. Every line is checked before anything is entered; a file with one bad line is refused whole, with
each bad line's number and reason.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Final

from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.kernel.money import InvalidAmount, Money, parse_major
from tongbao.kernel.record import record
from tongbao.kernel.time import china_text
from tongbao.service.create import Asker
from tongbao.service.payout import Origin
from tongbao.service.payout_act import find_payout_batch, load_lines, open_batch, page_of_batch, payout_view
from tongbao.service.payout_batch import BatchSaid
from tongbao.service.payout_line import check_form, find_parties
from tongbao.service.platform import Platform
from tongbao.store.schema import BUYER, MERCHANT
from tongbao.trade.agreement import read_agreement
from tongbao.trade.payout import BATCH_MAX, CHUNK, same_name
from tongbao.wire.bank import BANKS
from tongbao.wire.bill import Collect, guard, read_rows
from tongbao.wire.party import Party, Payee

FILE_MAX: Final = 32 * 1024 * 1024
"""Bytes a file may have."""

FAULTS_SHOWN: Final = 1_000
"""Bad lines that one refusal names at most."""

NAMES: Final = {
    "payout_no": ("payout_no", "流水号", "商户流水号"),
    "payee": ("payee", "收款账号", "收款人账号"),
    "name": ("name", "收款人姓名", "姓名", "户名"),
    "bank": ("bank", "银行", "开户银行"),
    "card": ("card", "银行卡号", "卡号"),
    "branch": ("branch", "支行", "开户支行"),
    "amount": ("amount", "金额", "金额(元)", "付款金额"),
    "memo": ("memo", "备注", "付款理由"),
}
"""What a column may be called."""

REQUIRED: Final = ("payout_no", "amount")
TEXT_MAX: Final = {"payout_no": 64, "payee": 100, "name": 100, "bank": 40, "card": 32, "branch": 100, "memo": 200}
RESULT: Final = (
    "line",
    "payout_no",
    "payout_id",
    "payee",
    "bank",
    "amount",
    "fee",
    "state",
    "code",
    "ended_at",
    "memo",
)
"""The heading of the result file."""

_BANKS: Final = {name: code for code, bank in BANKS.items() for name in (code, bank.name, bank.name_zh)}


@record
class Row:
    """One line of a file. ``line`` counts from 1, the heading included."""

    line: int
    payout_no: str
    payee: Payee
    amount: Money
    memo: str


@record
class Fault:
    """What is wrong with one line: a refusal code and the words for a person."""

    line: int
    code: str
    reason: str


@record
class Uploaded:
    """What an upload came to: ``faults`` and nothing entered, or the batch as it stands."""

    batch_no: str
    rows: int
    total: int
    faults: tuple[Fault, ...]
    said: BatchSaid | None


def charset_of(raw: bytes) -> str:
    """``utf-8`` where the bytes are that, else ``gbk``. Raises Refused BAD_CHARSET where they are neither."""
    for charset in ("utf-8", "gbk"):
        try:
            raw.decode(charset)
        except UnicodeDecodeError:
            continue
        return charset
    raise Refused("BAD_CHARSET", "the file is neither UTF-8 nor GBK")


def read_file(raw: bytes) -> tuple[list[Row], list[Fault]]:
    """Every good line and every bad one. Raises Refused where the whole file is none: for its charset, heading or
    length."""
    if len(raw) > FILE_MAX:
        raise Refused("TOO_LARGE", f"a file has at most {FILE_MAX} bytes")
    rows: list[Row] = []
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    places: dict[str, int] = {}
    charset = charset_of(raw)
    try:
        for line, cells in read_rows((raw,), charset):
            if not places:
                places = _heading(cells)
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) + len(faults) >= BATCH_MAX:
                raise Refused("TOO_LARGE", f"a file has at most {BATCH_MAX} lines")
            try:
                row = _row(line, cells, places)
                if row.payout_no in seen:
                    raise Refused("BATCH_INVALID", f"payout_no: the same as in line {seen[row.payout_no]}")
            except Refused as refusal:
                faults.append(Fault(line, refusal.code, refusal.detail))
                continue
            seen[row.payout_no] = line
            rows.append(row)
    except RemoteProtocolError as error:
        raise Refused(error.code if error.code in ("BAD_CHARSET", "TOO_LARGE") else "MALFORMED", str(error)) from error
    if not rows and not faults:
        raise Refused("BATCH_INVALID", "the file has no line")
    return rows, faults


def _heading(cells: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, cell in enumerate(cells):
        name = next((name for name, words in NAMES.items() if cell.strip().lower() in words), "")
        if not name:
            raise Refused("FIELD_INVALID", f"the heading has an unknown column {cell.strip()[:40]!r}")
        if name in places:
            raise Refused("DUPLICATE_PARAM", f"the heading names {name} twice")
        places[name] = place
    missing = [name for name in REQUIRED if name not in places]
    if missing or not {"payee", "card"} & set(places):
        raise Refused("FIELD_MISSING", f"the heading lacks {', '.join(missing) or 'payee or card'}")
    return places


def _row(line: int, cells: Sequence[str], places: dict[str, int]) -> Row:
    if len(cells) != len(places):
        raise Refused("MALFORMED", f"has {len(cells)} cells, the heading {len(places)}")
    said = {name: _clean(name, cells[place]) for name, place in places.items()}
    number = said["payout_no"]
    if not number or not number.isascii() or not number.isprintable() or " " in number:
        raise Refused("FIELD_INVALID", "payout_no: letters, digits and signs without blanks")
    try:
        amount = parse_major(said["amount"])
    except InvalidAmount as error:
        raise Refused("AMOUNT_INVALID", f"amount: {error}") from error
    if amount.minor <= 0:
        raise Refused("AMOUNT_NOT_POSITIVE", "amount: is not above zero")
    card, whom = said.get("card", ""), said.get("payee", "")
    bank = said.get("bank", "")
    if bank and bank not in _BANKS:
        raise Refused("BANK_UNKNOWN", f"bank: {bank[:40]}")
    party = Party(whom) if whom.isascii() and whom.isdigit() and len(whom) == 16 else Party("", whom)
    payee = Payee(party, said.get("name", ""), _BANKS.get(bank, ""), card, said.get("branch", ""))
    check_form(payee)
    return Row(line, number, payee, amount, said.get("memo", ""))


def _clean(name: str, cell: str) -> str:
    """A cell as it was meant: blanks around it, and the apostrophe that spreadsheets put before long numbers, go."""
    text = cell.strip().removeprefix("'").strip()
    if len(text) > TEXT_MAX.get(name, 64):
        raise Refused("TOO_LARGE", f"{name}: longer than {TEXT_MAX.get(name, 64)} characters")
    if not text.isprintable():
        raise Refused("FIELD_INVALID", f"{name}: has characters that cannot be printed")
    return text


async def check_rows(platform: Platform, merchant_id: str, rows: Sequence[Row]) -> list[Fault]:
    """What is wrong with lines that are well written: limits, and payees that are not there or have another name."""
    agreement = read_agreement((await platform.merchant(merchant_id)).settings)
    faults: list[Fault] = []
    for part in _parts(rows):
        found = await find_parties(platform, [row.payee.party for row in part if not row.payee.card])
        names = await _names_of(platform, found.values())
        for row in part:
            if agreement.payout_most and row.amount.minor > agreement.payout_most:
                most = Money(agreement.payout_most).text()
                faults.append(Fault(row.line, "LIMIT_EXCEEDED", f"amount: a single payout is at most {most}"))
            if row.payee.card:
                continue
            who = found.get(row.payee.party)
            if who is None or who[1] == merchant_id or who not in names:
                faults.append(Fault(row.line, "PAYEE_UNKNOWN", "payee: no such balance account"))
            elif row.payee.name and not same_name(row.payee.name, names[who]):
                faults.append(Fault(row.line, "PAYEE_NAME_MISMATCH", "name: the account has another holder"))
    return faults


async def _names_of(platform: Platform, whom: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    wanted = set(whom)
    buyers = sorted((number,) for kind, number in wanted if kind == "buyer")
    sellers = sorted((number,) for kind, number in wanted if kind == "merchant")
    found = {}
    for row in await platform.database.load(BUYER, buyers) if buyers else []:
        if row.kind == "member" and row.status == "active":
            found["buyer", row.buyer_id] = row.name
    for row in await platform.database.load(MERCHANT, sellers) if sellers else []:
        if row.status == "approved":
            found["merchant", row.merchant_id] = row.name
    return found


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _ignore(done: int, whole: int) -> None:
    """Nobody watches the progress."""


async def upload(
    platform: Platform,
    merchant_id: str,
    raw: bytes,
    maker: str,
    *,
    batch_no: str = "",
    name: str = "",
    progress: Callable[[int, int], None] = _ignore,
) -> Uploaded:
    """Enter a file as a batch that a second person must agree to. Without a number it gets one that is made of its
    content, so that the same file again goes on where it stopped. ``progress`` is told (lines loaded, lines in all).

    Raises Refused where the file as a whole is none; bad lines are in the answer, and then nothing was entered.
    """
    rows, faults = read_file(raw)
    faults += await check_rows(platform, merchant_id, rows)
    total = sum(row.amount.minor for row in rows)
    digest = hmac.digest(platform.secrets.seal, raw, hashlib.sha256).hex()
    number = batch_no or f"file-{digest[:20]}"
    if faults:
        told = tuple(sorted(faults, key=lambda fault: fault.line)[:FAULTS_SHOWN])
        return Uploaded(number, len(rows), total, told, None)
    origin = Origin("upload", maker=maker)
    said = await open_batch(platform, Asker(merchant_id, ""), number, name, len(rows), total, digest, origin)
    progress(said.loaded, len(rows))
    while said.state == "loading":
        part = rows[said.loaded : said.loaded + CHUNK]
        items = [(row.payout_no, row.payee, row.amount, row.memo) for row in part]
        said = await load_lines(platform, merchant_id, number, said.loaded, items)
        progress(said.loaded, len(rows))
    return Uploaded(number, len(rows), total, (), said)


async def write_result(platform: Platform, merchant_id: str, batch_no: str) -> AsyncIterator[bytes]:
    """The result file of a batch, streamed: UTF-8 with a byte order mark; no cell is a formula (T64). Raises Refused
    BATCH_NOT_FOUND."""
    batch = await find_payout_batch(platform, merchant_id, batch_no)
    lines = Collect()
    writer = csv.writer(lines)
    writer.writerow(RESULT)
    yield b"\xef\xbb\xbf" + lines.take()
    after = 0
    while page := await page_of_batch(platform, batch, after):
        for payout in page:
            view = payout_view(platform, payout, batch)
            writer.writerow(
                (
                    payout.n,
                    guard(payout.payout_no),
                    guard(payout.payout_id),
                    guard(payout.payee),
                    guard(payout.bank),
                    Money(payout.amount, payout.currency).text(),
                    Money(payout.fee, payout.currency).text(),
                    view.state,
                    payout.code,
                    china_text(payout.ended_at) if payout.ended_at is not None else "",
                    guard(payout.memo),
                )
            )
        yield lines.take()
        after = page[-1].n
