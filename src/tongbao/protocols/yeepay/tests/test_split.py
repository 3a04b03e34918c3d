"""Signed strings without borders (T10): every golden string has one reading, the known pairs are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tongbao.kernel.error import RemoteProtocolError
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import ALGORITHM, Proof, glue
from tongbao.protocols.yeepay.split import (
    answer_shapes,
    callback_shapes,
    check_fields,
    is_answer,
    is_callback,
    list_readings,
)
from tongbao.wire.key import Key
from tongbao.wire.split import WORK_MAX

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "signing.json").read_text("utf-8"))
CALLBACKS = [vector for vector in VECTORS if vector["id"] in ("Y5", "Y6", "Y7", "Y7b", "Y7g")]
ANSWERS = [vector for vector in VECTORS if vector["id"] in ("Y9", "Y10", "Y11", "Y12", "Y15")]
KEY = Key("k", 1, ALGORITHM, b"0123456789abcdef")
PLAIN, SAFE = Proof(KEY, "utf-8", False), Proof(KEY, "utf-8", True)
M = "10001126856"
PAID = {
    "p1_MerId": M,
    "r0_Cmd": "Buy",
    "r1_Code": "1",
    "r2_TrxId": "816123456789012A",
    "r3_Amt": "10.0",
    "r4_Cur": "RMB",
    "r5_Pid": "apple",
    "r6_Order": "T20150401-0001",
    "r7_Uid": "",
    "r8_MP": "shop7",
    "r9_BType": "2",
}


def check(fields: dict[str, str], proof: Proof = PLAIN, sample: str = "") -> None:
    shapes = callback_shapes(M, sample, marked=proof.safe)
    check_fields(fields, shapes, is_callback, proof, callback_shapes(M, "", marked=True))


@pytest.mark.parametrize("vector", CALLBACKS, ids=[vector["id"] for vector in CALLBACKS])
def test_T10_golden_callbacks_have_one_reading(vector: dict[str, Any]) -> None:
    """Where the shape of the shop's order numbers is known, each genuine string can be cut in one way."""
    fields = dict(zip(m.CALLBACK_NAMES, vector["values"], strict=True))
    shapes = callback_shapes(fields["p1_MerId"], fields["r6_Order"], marked=False)
    assert list(list_readings(fields, shapes, is_callback, marked=False)) == [tuple(vector["values"])]


@pytest.mark.parametrize("vector", ANSWERS, ids=[vector["id"] for vector in ANSWERS])
def test_T10_golden_answers_have_one_reading(vector: dict[str, Any]) -> None:
    """The order that was asked for is known, so each genuine answer can be cut in one way."""
    fields = dict(zip(m.ANSWER_NAMES[m.QUERY], vector["values"], strict=True))
    shapes = answer_shapes(fields["r6_Order"], new=vector["id"] == "Y15", marked=False)
    assert list(list_readings(fields, shapes, is_answer, marked=False)) == [tuple(vector["values"])]


def test_T10_number_and_sum() -> None:
    """...239 with 10.00 and ...23 with 910.00 are one string: neither is taken, and each names the number."""
    first = PAID | {"r2_TrxId": "816123456789239", "r3_Amt": "10.00"}
    second = PAID | {"r2_TrxId": "81612345678923", "r3_Amt": "910.00"}
    assert glue(first, m.CALLBACK_NAMES) == glue(second, m.CALLBACK_NAMES)
    for fields in (first, second):
        with pytest.raises(RemoteProtocolError) as caught:
            check(fields, sample=PAID["r6_Order"])
        assert (caught.value.code, caught.value.field) == ("AMBIGUOUS_SPLIT", "r2_TrxId")
        check(fields, SAFE)


def test_T10_goods_and_order() -> None:
    """Order VIP88, and order 88 of goods called VIP, are one string: known shapes tell them apart, nothing else."""
    first = PAID | {"r5_Pid": "-", "r6_Order": "VIP88", "r8_MP": ""}
    second = PAID | {"r5_Pid": "-VIP", "r6_Order": "88", "r8_MP": ""}
    assert glue(first, m.CALLBACK_NAMES) == glue(second, m.CALLBACK_NAMES)
    for fields in (first, second):
        with pytest.raises(RemoteProtocolError) as caught:
            check(fields)
        assert caught.value.code == "AMBIGUOUS_SPLIT"
        assert "r6_Order" in caught.value.reason
    check(first, sample="VIP01")
    with pytest.raises(RemoteProtocolError) as caught:
        check(second, sample="VIP01")
    assert (caught.value.code, caught.value.field) == ("AMBIGUOUS_SPLIT", "r6_Order")


def test_T10_an_empty_name_is_no_reading() -> None:
    """The platform always names the goods, so the pair with an empty name is refused as it stands."""
    with pytest.raises(RemoteProtocolError) as caught:
        check(PAID | {"r5_Pid": "", "r6_Order": "VIP88"}, SAFE)
    assert (caught.value.code, caught.value.field) == ("FIELD_MISSING", "r5_Pid")


def test_T10_what_hmac_safe_leaves_open() -> None:
    """Both strings leave out what is empty, so a passback moves into the member's number: that reading is refused."""
    passback = PAID | {"r8_MP": "1234567"}
    member = PAID | {"r7_Uid": "1234567", "r8_MP": ""}
    check(passback, SAFE)
    with pytest.raises(RemoteProtocolError) as caught:
        check(member, SAFE)
    assert (caught.value.code, caught.value.field) == ("AMBIGUOUS_SPLIT", "r7_Uid")


def test_T10_marks_inside_values() -> None:
    """The mark of hmac_safe may stand in free texts: the glued string still pins the borders."""
    for pid, passback in (("a#b", "c"), ("#", "#"), ("a##", "##1"), ("1#2#3", "4#5")):
        check(PAID | {"r5_Pid": pid, "r8_MP": passback}, SAFE)


def test_T10_a_hostile_string_is_bounded() -> None:
    """Free texts as long as they may be, made so that nothing fits in the end, cost a bounded number of steps."""
    hostile = PAID | {"r5_Pid": "1" * 60, "r6_Order": "1" * 50, "r7_Uid": "1" * 20, "r8_MP": "1" * 190}
    with pytest.raises(RemoteProtocolError) as caught:
        check(hostile)
    assert caught.value.code == "AMBIGUOUS_SPLIT"
    assert list(list_readings(hostile, callback_shapes(M, "Z" * 50, marked=False), is_callback, marked=False)) == []
    check(hostile | {"r7_Uid": "", "r8_MP": "#" * 200}, SAFE)
    whole = {"r5_Pid": "1" * 60, "r6_Order": "1" * 50, "r7_Uid": "1" * 20, "r8_MP": "1" * 200}
    check(PAID | whole)
    assert WORK_MAX <= 100_000
