"""Batches of payouts as a whole: what is answered about them, in sums or line by line, and how their end is told."""

from __future__ import annotations

import json
from typing import Any

from tests.service.test_payout import EARNED, FEE, HIM, PAYEE, batch, earn, stand
from tests.support.platform import MERCHANT, OTHER, House, Stage, refusal
from tongbao.kernel.money import Money
from tongbao.service.act import act
from tongbao.service.notice import about
from tongbao.service.payout_act import close_batch, run_batches
from tongbao.service.wallet import told_buyer
from tongbao.store.schema import EVENT
from tongbao.wire.contract import Verified
from tongbao.wire.movement import (
    BatchFound,
    BatchStage,
    BatchTaken,
    BatchView,
    MovementState,
    PayOutFound,
    QueryPayOut,
    QueryPayOutBatch,
)
from tongbao.wire.party import Party, Payee

OVER = "wechatpay_v3"
TELL = "http://shop.example/told"


async def ask(house: House, intent: Any) -> Any:
    """What a merchant asks over an interface that tells him buyers under numbers of his own."""
    return await act(house.platform, OVER, Verified(intent, None))


async def start(house: House) -> str:
    """A merchant with money; the payee as this merchant knows him."""
    await earn(house, protocols=json.dumps(["alipay_mapi", OVER]))
    return told_buyer(house.platform, OVER, MERCHANT, PAYEE)


async def told(house: House, number: str) -> BatchView | None:
    """The batch that the outbox tells of, if it does."""
    events = await house.platform.database.load(EVENT, [(MERCHANT, f"payouts:{number}", 1)])
    return (await about(house.platform, events[0]))["batch"] if events else None


def test_a_failed_line_gives_its_money_back_and_says_why(stage: Stage) -> None:
    """A wrong name and a number that was told to nobody fail alone; sums, lines, each line by both numbers."""

    async def scene(house: House) -> list[Any]:
        openid = await start(house)
        lines = (
            ("1", Payee(Party(openid), "王小明"), 1_000),
            ("2", Payee(Party(openid), "李四"), 2_000),
            ("3", Payee(Party(PAYEE), "王小明"), 4_000),
            ("4", Payee(Party("oNobodyWhoWasEverTold0123456")), 8_000),
        )
        taken = await ask(house, batch(*lines, notify_url=TELL, name="n", memo="m", echo={"appid": "wx1"}))
        assert isinstance(taken, BatchTaken)
        assert taken.head is not None
        assert (taken.head.stage, await told(house, "b1")) == (BatchStage.RUNNING, None)
        again = await ask(house, batch(*lines, notify_url=TELL, name="n", memo="m", echo={"appid": "wx1"}))
        await run_batches(house.platform)
        number = taken.head.batch_id
        found = await ask(house, QueryPayOutBatch(merchant=MERCHANT, batch_id=number, lines=True))
        assert isinstance(found, BatchFound)
        head = found.batch.head
        assert head is not None
        one = await ask(house, QueryPayOut(merchant=MERCHANT, batch_no="b1", payout_no="4"))
        two = await ask(
            house, QueryPayOut(merchant=MERCHANT, batch_id=number, payout_id=found.batch.payouts[3].payout_id)
        )
        assert isinstance(one, PayOutFound)
        notice = await told(house, "b1")
        assert notice is not None
        return [
            again == taken,
            [(line.payout_no, line.state, line.code) for line in found.batch.payouts],
            (head.stage, head.paid, head.paid_count, head.failed, head.failed_count, head.name, head.memo),
            one == two,
            (one.payouts[0].payee.party.id, one.payouts[0].batch is not None),
            notice.head == head,
            await stand(house),
        ]

    ended, failed = MovementState.SUCCEEDED, MovementState.FAILED
    assert stage.play(scene, furnished=False) == [
        True,
        [
            ("1", ended, ""),
            ("2", failed, "PAYEE_NAME_MISMATCH"),
            ("3", failed, "PAYEE_UNKNOWN"),
            ("4", failed, "PAYEE_UNKNOWN"),
        ],
        (BatchStage.DONE, Money(1_000), 1, Money(14_000), 3, "n", "m"),
        True,
        ("oNobodyWhoWasEverTold0123456", True),
        True,
        (EARNED - 1_000 - FEE, 0, 1_000),
    ]


def test_T67_a_withdrawn_batch_is_told_where_the_protocol_has_a_message(sqlite_stage: Stage) -> None:
    """Above the limit a batch waits for a second person; turned down, its lines have failed and nothing has moved."""

    async def scene(house: House) -> list[Any]:
        openid = await start(house)
        seen: list[Any] = []
        for number, carry, payee in (("b1", ask, Payee(Party(openid))), ("b2", lambda h, i: h.ask(i), HIM)):
            await carry(house, batch(("1", payee, 12_000), ("2", payee, 9_000), number=number, notify_url=TELL))
            question = QueryPayOutBatch(merchant=MERCHANT, batch_no=number, lines=True, only=MovementState.ACCEPTED)
            waiting = await ask(house, question)
            seen.append((waiting.batch.head.stage, [line.payout_no for line in waiting.batch.payouts]))
            await close_batch(house.platform, MERCHANT, number, "checker", "no")
            closed = await ask(house, QueryPayOutBatch(merchant=MERCHANT, batch_no=number, lines=True))
            gone = await ask(
                house, QueryPayOutBatch(merchant=MERCHANT, batch_no=number, lines=True, only=MovementState.FAILED)
            )
            notice = await told(house, number)
            seen.append((closed.batch.head.failed_count, closed.batch.payouts == gone.batch.payouts))
            seen.append((closed.batch.payouts[0].state, notice is not None and notice.head == closed.batch.head))
        return [*seen, await run_batches(house.platform), await stand(house)]

    assert sqlite_stage.play(scene, furnished=False) == [
        (BatchStage.WAITING, ["1", "2"]),
        (2, True),
        (MovementState.CLOSED, True),
        (BatchStage.WAITING, ["1", "2"]),
        (2, True),
        (MovementState.CLOSED, False),
        0,
        (EARNED, 0, 0),
    ]


def test_T57_another_merchants_batch_is_as_unknown_as_none(stage: Stage) -> None:
    """Neither it nor one of its lines is told to anybody else, or as a line of another batch; pages are whole."""

    async def scene(house: House) -> list[Any]:
        await earn(house)
        first = await house.ask(batch(*[(str(n), HIM, 100 + n) for n in range(1, 6)]))
        await house.ask(batch(("9", HIM, 100), number="b2"))
        await run_batches(house.platform)
        assert isinstance(first, BatchTaken)
        assert first.head is not None
        number = first.head.batch_id
        pages = [
            await house.ask(QueryPayOutBatch(merchant=MERCHANT, batch_no="b1", lines=True, offset=start, most=2))
            for start in (0, 2, 4)
        ]
        lines = [[line.payout_no for line in page.batch.payouts] for page in pages if isinstance(page, BatchFound)]
        one = await house.ask(QueryPayOut(merchant=MERCHANT, batch_no="b1", payout_no="3"))
        assert isinstance(one, PayOutFound)
        serial = one.payouts[0].payout_id
        return [
            lines,
            await refusal(house.ask(QueryPayOutBatch(merchant=OTHER, batch_id=number))),
            await refusal(house.ask(QueryPayOutBatch(merchant=MERCHANT, batch_id=number, batch_no="b2"))),
            await refusal(house.ask(QueryPayOutBatch(merchant=MERCHANT))),
            await refusal(house.ask(QueryPayOut(merchant=OTHER, batch_id=number, payout_id=serial))),
            await refusal(house.ask(QueryPayOut(merchant=MERCHANT, batch_no="b2", payout_id=serial))),
        ]

    unknown = "BATCH_NOT_FOUND"
    lines = [["1", "2"], ["3", "4"], ["5"]]
    assert stage.play(scene, furnished=False) == [lines, unknown, unknown, "FIELD_MISSING", unknown, "PAYOUT_NOT_FOUND"]
