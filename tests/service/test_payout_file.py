"""Payouts from a file: every line is looked at before anything is entered; the result has no formulas."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import pytest

from tests.service.test_payout import EARNED, PAYEE, earn, stand
from tests.support.platform import MERCHANT, House, Stage, refusal
from tongbao.service.payout_act import run_batches
from tongbao.service.payout_batch import StartBatch
from tongbao.service.payout_file import RESULT, charset_of, read_file, upload, write_result

HEAD = "流水号,收款账号,收款人姓名,银行,银行卡号,金额,备注\r\n"
GOOD = (
    HEAD + f'1,{PAYEE}@buyer.example,王小明,,,10.00,"=HYPERLINK(""x"")"\r\n'
    "2,,王小明,中国工商银行,'6200000000000018,20.5,+1\r\n"
)


async def result_of(house: House, batch_no: str) -> list[list[str]]:
    raw = b"".join([chunk async for chunk in write_result(house.platform, MERCHANT, batch_no)])
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gbk"])
def test_T64_a_file_and_its_result(charset: str, stage: Stage) -> None:
    """UTF-8 with and without a mark, and GBK; two persons; the same file again is the same batch; no cell of the result
    is a formula."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        told: list[tuple[int, int]] = []
        made = await upload(
            house.platform, MERCHANT, GOOD.encode(charset), "maria", progress=lambda *at: told.append(at)
        )
        again = await upload(house.platform, MERCHANT, GOOD.encode(charset), "maria")
        assert made == again
        seen: list[Any] = [made.rows, made.total, made.faults, told]
        seen.append(await refusal(house.submit(StartBatch(MERCHANT, made.batch_no, "maria"))))
        await house.submit(StartBatch(MERCHANT, made.batch_no, "carla", "seen"))
        await run_batches(house.platform)
        rows = await result_of(house, made.batch_no)
        cells = [(row[1], row[3], row[5], row[7], row[10]) for row in rows[1:]]
        return [*seen, tuple(rows[0]) == RESULT, cells, await stand(house)]

    assert stage.play(scene, furnished=False) == [
        2,
        3_050,
        (),
        [(0, 2), (2, 2)],
        "MAKER_IS_CHECKER",
        True,
        [
            ("'1", "'20***@buyer.example", "10.00", "succeeded", '\'=HYPERLINK("x")'),
            ("'2", "'**** 0018", "20.50", "accepted", "'+1"),
        ],
        (EARNED - 3_100, 2_075, 1_000),
    ]


BAD = (
    ("1,a,,,,x,", 2, "AMOUNT_INVALID"),
    ("1,a,,,,-1,", 2, "AMOUNT_INVALID"),
    ("1,a,,,,１,", 2, "AMOUNT_INVALID"),
    ("1,a,,,,1e3,", 2, "AMOUNT_INVALID"),
    ("1,a,,,,0,", 2, "AMOUNT_NOT_POSITIVE"),
    ("1,a,,,,1", 2, "MALFORMED"),
    (",a,,,,1,", 2, "FIELD_INVALID"),
    ("1 2,a,,,,1,", 2, "FIELD_INVALID"),
    ("1,,,,,1,", 2, "FIELD_MISSING"),
    ("1,a,,ICBC,6200000000000018,1,", 2, "FIELD_INVALID"),
    ("1,,,ICBC,6200000000000018,1,", 2, "FIELD_MISSING"),
    ("1,,x,没有的银行,6200000000000018,1,", 2, "BANK_UNKNOWN"),
    ("1,,x,ICBC,62000000000000l8,1,", 2, "FIELD_INVALID"),
    ("1,a,,,,1,\r\n1,b,,,,1,", 3, "BATCH_INVALID"),
    ("1,a,,,,1," + "x" * 201, 2, "TOO_LARGE"),
)


@pytest.mark.parametrize(("lines", "number", "code"), BAD)
def test_T34_a_bad_line_is_named(lines: str, number: int, code: str) -> None:
    """With its number in the file and its reason."""
    _, faults = read_file((HEAD + lines + "\r\n").encode())
    assert [(fault.line, fault.code) for fault in faults] == [(number, code)]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "BATCH_INVALID"),
        (HEAD.encode(), "BATCH_INVALID"),
        (b"payout_no,amount\r\n1,1\r\n", "FIELD_MISSING"),
        (b"payee,amount\r\na,1\r\n", "FIELD_MISSING"),
        (b"payout_no,payee,amount,amount\r\n", "DUPLICATE_PARAM"),
        (b"payout_no,payee,amount,colour\r\n", "FIELD_INVALID"),
        (b"\xff\xff\xff", "BAD_CHARSET"),
        (b'payout_no,payee,amount\r\n"1,a,1\r\n', "MALFORMED"),
    ],
)
def test_a_file_that_is_none(raw: bytes, code: str) -> None:
    """A file without a heading, a line or a charset is refused whole."""

    async def read() -> None:
        read_file(raw)

    assert asyncio.run(refusal(read())) == code


def test_bad_payees_are_named_before_anything_is_entered(sqlite_stage: Stage) -> None:
    """Nobody there, another name, above the limit: each by its line, and no batch is begun."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        lines = (
            "1,nobody@buyer.example,,,,1,",
            f"2,{PAYEE},李四,,,1,",
            f"3,{PAYEE},王小明,,,1,",
            f"4,{PAYEE},王小明,,,500.01,",
            f"5,{MERCHANT},,,,1,",
        )
        made = await upload(house.platform, MERCHANT, (HEAD + "\r\n".join(lines)).encode(), "maria", batch_no="b9")
        known = await house.platform.database.read("payout.batches", {"merchant_id": MERCHANT, "most": 9})
        return [[(fault.line, fault.code) for fault in made.faults], made.said, known]

    faults = [(2, "PAYEE_UNKNOWN"), (3, "PAYEE_NAME_MISMATCH"), (5, "LIMIT_EXCEEDED"), (6, "PAYEE_UNKNOWN")]
    assert sqlite_stage.play(scene, furnished=False) == [faults, None, []]


def test_charsets_are_told_apart() -> None:
    """What is UTF-8 is read as that, even where GBK could read it too."""
    assert [charset_of("王".encode(charset)) for charset in ("utf-8", "gbk")] == ["utf-8", "gbk"]


@pytest.mark.slow
def test_a_long_file_goes_on_where_it_stopped(stage: Stage) -> None:
    """More lines than a chunk; the second half is loaded by a second call, and all of it runs."""

    async def scene(house: House) -> list[Any]:
        await earn(house, 300_000)
        lines = "".join(f"{n},{PAYEE},王小明,,,0.01,\r\n" for n in range(1, 1_201))
        raw = (HEAD + lines).encode()

        class Stop(Exception):  # noqa: N818
            pass

        def stop(done: int, whole: int) -> None:
            if done == 500:
                raise Stop

        with pytest.raises(Stop):
            await upload(house.platform, MERCHANT, raw, "maria", progress=stop)
        told: list[int] = []
        made = await upload(house.platform, MERCHANT, raw, "maria", progress=lambda done, whole: told.append(done))
        await house.submit(StartBatch(MERCHANT, made.batch_no, "carla"))
        return [told, await run_batches(house.platform), len(await result_of(house, made.batch_no)), await stand(house)]

    assert stage.play(scene, furnished=False) == [
        [500, 1_000, 1_200],
        1_200,
        1_201,
        (298_200 - 1_200 * 26, 0, 1_200),
    ]
