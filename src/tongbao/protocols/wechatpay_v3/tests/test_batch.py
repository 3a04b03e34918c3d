"""Transfer batches: what the interface takes, what hides in a line, what each stage and end is called."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.protocol.bench import NOW, Pair, make_pair
from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.batch import read_batch, read_found, read_line, read_taken, write_line
from tongbao.protocols.wechatpay_v3.part import Parts, plain
from tongbao.wire.movement import (
    BatchHead,
    BatchStage,
    BatchView,
    MovementState,
    PayOutBatch,
    PayOutItem,
    PayOutView,
    QueryPayOut,
    QueryPayOutBatch,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Notification

OPENID = "oUpF8uMEb4qRXf22hE3X68TekukE"
LINE: dict[str, Any] = {"out_detail_no": "L1", "transfer_amount": 101, "transfer_remark": "奖励", "openid": OPENID}
BODY: dict[str, Any] = {
    "appid": "wxd930ea5d5a258f4f",
    "out_batch_no": "X1",
    "batch_name": "一月奖励",
    "batch_remark": "奖励与补贴",
    "total_amount": 101,
    "total_num": 1,
    "transfer_detail_list": [LINE],
}
FIRST = "transfer_detail_list.0"
HEAD = BatchHead(batch_id="103000007", stage=BatchStage.DONE, total=Money(101), count=1)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair("wechatpay_v3", m.ALGORITHM)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"total_amount": 102}, "total_amount"),
        ({"total_amount": None}, "total_amount"),
        ({"total_num": 2}, "total_num"),
        ({"total_num": True}, "total_num"),
        ({"batch_remark": ""}, "batch_remark"),
        ({"transfer_detail_list": []}, "transfer_detail_list"),
        ({"transfer_detail_list": [LINE] * 1_001}, "transfer_detail_list"),
        ({"transfer_detail_list": [LINE, LINE], "total_num": 2, "total_amount": 202}, "transfer_detail_list"),
        ({"transfer_detail_list": [LINE | {"openid": ""}]}, f"{FIRST}.openid"),
        ({"transfer_detail_list": [LINE | {"transfer_amount": 0}]}, f"{FIRST}.transfer_amount"),
        ({"transfer_detail_list": [LINE | {"transfer_amount": 200_000}]}, f"{FIRST}.user_name"),
        ({"transfer_detail_list": [LINE | {"transfer_amount": 29, "user_name": "x"}]}, f"{FIRST}.user_name"),
        ({"transfer_detail_list": [LINE | {"user_id_card": "x"}]}, f"{FIRST}.user_id_card"),
        ({"notify_url": "https://m.example.com/n?a=1"}, "notify_url"),
    ],
)  # fmt: skip
def test_a_wrong_batch_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    """The error names the field, in a line with its place."""
    body = {name: value for name, value in (BODY | change).items() if value is not None}
    with pytest.raises(RemoteProtocolError) as caught:
        read_batch(Parts(m.BATCH, body=body), "1900000001", plain)
    assert caught.value.field == field


def test_a_name_travels_hidden_and_arrives(pair: Pair) -> None:
    """What is between the two ends shows no name; without a key's name in the header it is not taken."""
    payee = Payee(Party(OPENID), "张三")
    items = (PayOutItem(payout_no="L1", payee=payee, amount=Money(101), memo="奖励"),)
    intent = PayOutBatch(merchant="", batch_no="X1", items=items, total=Money(101), count=1, name="一月")
    request = pair.manifest.client.encode(intent, pair.credentials, NOW).request()
    assert "张三" not in request.body.decode()
    read = pair.read(request)[1].intent
    assert isinstance(read, PayOutBatch)
    assert read.items[0].payee == payee
    assert (read.name, read.memo) == ("一月", "一月")
    bare = tuple(header for header in request.headers if header[0] != b"Wechatpay-Serial")
    with pytest.raises(RemoteProtocolError) as caught:
        pair.read(replace(request, headers=bare))
    assert caught.value.field == "Wechatpay-Serial"


def test_a_question_names_a_batch_or_a_line_whole(pair: Pair) -> None:
    """By both of one side's numbers, or by none; lines come by twenty to a hundred."""
    for asked in (
        QueryPayOut(merchant="", batch_no="X1"),
        QueryPayOut(merchant="", batch_no="X1", payout_id="104"),
        QueryPayOutBatch(merchant=""),
        QueryPayOutBatch(merchant="", batch_no="X1", batch_id="103"),
        QueryPayOutBatch(merchant="", batch_no="X1", lines=True, most=101),
        QueryPayOutBatch(merchant="", batch_no="X1", lines=True, most=19),
        QueryPayOutBatch(merchant="", batch_no="X1", offset=1),
        QueryPayOutBatch(merchant="", batch_no="X1", lines=True, only=MovementState.CLOSED),
    ):
        with pytest.raises(LocalProtocolError):
            pair.manifest.client.encode(asked, pair.credentials, NOW)


def test_every_stage_and_state_has_its_word() -> None:
    """A line of a withdrawn batch has failed; one of a batch that waits for somebody's word waits to be paid."""
    view = PayOutView(payout_no="L1", payout_id="104", batch_no="X1", amount=Money(101), memo="奖励", created_at=NOW)
    for state, stage, code, word, reason in (
        (MovementState.ACCEPTED, BatchStage.WAITING, "", "WAIT_PAY", None),
        (MovementState.ACCEPTED, BatchStage.RUNNING, "", "PROCESSING", None),
        (MovementState.SUCCEEDED, BatchStage.DONE, "", "SUCCESS", None),
        (MovementState.FAILED, BatchStage.DONE, "PAYEE_UNKNOWN", "FAIL", "OPENID_INVALID"),
        (MovementState.CLOSED, BatchStage.CLOSED, "", "FAIL", "OVERDUE_CLOSE"),
    ):
        one = replace(view, state=state, code=code, ended_at=NOW, batch=replace(HEAD, stage=stage))
        said = write_line(one, "1900000001", plain)
        assert (said["detail_status"], said.get("fail_reason")) == (word, reason)
        read = read_line(said, "1900000001", plain)
        assert (read.state, read.code) == (state, code)


def test_an_answer_about_another_or_of_no_sense_is_refused(pair: Pair) -> None:
    """Another batch's number, another merchant's, or an unknown word."""
    taken = {"out_batch_no": "X1", "batch_id": "103", "create_time": "2025-01-01T08:00:00+08:00"}
    head = read_taken(taken).head
    assert head is not None
    assert (head.batch_id, head.stage) == ("103", BatchStage.TAKEN)
    with pytest.raises(RemoteProtocolError):
        read_taken(taken | {"batch_status": "PAID"})
    whole = taken | {"mchid": "1900000001", "batch_status": "FINISHED", "total_amount": 101, "total_num": 1}
    assert read_found({"transfer_batch": whole}, "1900000001").batch.batch_no == "X1"
    for wrong in ({"mchid": "1900000002"}, {"total_num": -1}, {"success_num": "1"}, {"batch_id": "1/2"}):
        with pytest.raises(RemoteProtocolError):
            read_found({"transfer_batch": whole | wrong}, "1900000001")
    with pytest.raises(LocalProtocolError):
        write_line(PayOutView(state=MovementState.SUCCEEDED, amount=Money(1)), "1900000001", plain)


def test_the_end_of_a_batch_is_told_and_nothing_before(pair: Pair) -> None:
    """Finished and closed have events of their own; one that still runs has none."""
    server = pair.manifest.server
    for stage, word in ((BatchStage.DONE, "FINISHED"), (BatchStage.CLOSED, "CLOSED")):
        told = Notification(id="EV-1", at=None, batch=BatchView(batch_no="X1", head=replace(HEAD, stage=stage)))
        sent = server.notify(told, "https://m.example.com/n", pair.ring, NOW)
        assert json.loads(sent.body)["event_type"] == f"MCHTRANSFER.BATCH.{word}"
        read = pair.manifest.client.decode_notification(sent, pair.credentials, NOW)
        assert read.batch is not None
        assert read.batch.head is not None
        assert read.batch.head.stage is stage
    for head in (None, replace(HEAD, stage=BatchStage.RUNNING)):
        told = Notification(id="EV-1", at=None, batch=BatchView(batch_no="X1", head=head))
        with pytest.raises(LocalProtocolError):
            server.notify(told, "https://m.example.com/n", pair.ring, NOW)
