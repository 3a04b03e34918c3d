"""What became of payouts is told: one signed notification when a batch has ended, confirmed as ours alone."""

from __future__ import annotations

from typing import Any

from tests.service.test_payout import MIXED, batch, earn, number_of
from tests.support.platform import MERCHANT, OTHER, PROTOCOL, House, Stage, make_merchant
from tongbao.kernel.time import Instant
from tongbao.service.outbox import Claimed, Delivered, claim, finish, write_notification
from tongbao.service.party import ChangeMerchant, PutKey, RegisterMerchant
from tongbao.service.payout_act import run_batches
from tongbao.trade.party import MerchantKey
from tongbao.wire.form import parse_form
from tongbao.wire.vocabulary import Confirmed, ConfirmNotification

URL = "http://shop.example/batch"


async def end_batch(house: House) -> list[Claimed]:
    """A mixed batch to its end; what is to be told."""
    await earn(house)
    secret = house.platform.vault.close(b"0123456789abcdef0123456789abcdef", MERCHANT, PROTOCOL, "k")
    key = MerchantKey(MERCHANT, PROTOCOL, "k", 0, "MD5", "both", secret, "active", Instant(0), Instant(0))
    await house.submit(PutKey(key, "maker"))
    await house.submit(RegisterMerchant(make_merchant(OTHER), "maker"))
    await house.submit(ChangeMerchant(OTHER, "approved", "checker", ""))
    await house.ask(batch(*MIXED, notify_url=URL, echo={"_input_charset": "utf-8", "sign_type": "MD5"}))
    await run_batches(house.platform)
    assert [one for one in await claim(house.platform) if one.trade is None] == []
    await house.inquire(await number_of(house, "3", "b1"), {"result": "succeeded", "bank_ref": "r3"})
    await house.inquire(await number_of(house, "5", "b1"), {"result": "failed", "reason": "name_mismatch"})
    return [one for one in await claim(house.platform) if one.trade is None]


def test_the_end_of_a_batch_is_told_once(stage: Stage) -> None:
    """Nothing before the last line has ended; then every line, signed; a success ends it."""

    async def scene(house: House) -> list[Any]:
        (told,) = await end_batch(house)
        request = await write_notification(house.platform, told)
        fields = dict(parse_form(request.body))
        seen: list[Any] = [request.host, fields["batch_no"], fields["pay_user_id"], fields["pay_user_name"]]
        seen.append([item.split("^")[0] for item in fields["success_details"].split("|") if item])
        seen.append([item.split("^")[0] for item in fields["fail_details"].split("|") if item])
        word = fields["notify_id"]
        for merchant in (MERCHANT, OTHER):
            said = await house.ask(ConfirmNotification(merchant=merchant, notification_id=word))
            assert isinstance(said, Confirmed)
            seen.append(said.genuine)
        done = Delivered(told, "SUCCESS", 200, "success", 5, house.clock.now)
        seen.append(await finish(house.platform, [done]))
        again = await house.ask(ConfirmNotification(merchant=MERCHANT, notification_id=word))
        assert isinstance(again, Confirmed)
        return [*seen, again.genuine, await claim(house.platform)]

    assert stage.play(scene, furnished=False) == [
        "shop.example",
        "b1",
        MERCHANT,
        "Test Shop",
        ["1", "3"],
        ["2", "4", "5"],
        True,
        False,
        1,
        False,
        [],
    ]


def test_I21_a_result_nobody_takes_has_its_case(sqlite_stage: Stage) -> None:
    """An address that is refused is given up with a case, as for any notification."""

    async def scene(house: House) -> list[tuple[Any, ...]]:
        (told,) = await end_batch(house)
        await finish(house.platform, [Delivered(told, "BLOCKED_ADDRESS", 0, "", 5, house.clock.now)])
        return sqlite_stage.execute("SELECT kind, subject, state FROM case_file")

    assert sqlite_stage.play(scene, furnished=False) == [("notification_blocked", URL, "open")]
