"""Flat fields, read strictly (T07, T08), and what a client refuses to write."""

from __future__ import annotations

import re

import pytest

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import parse_china
from tongbao.wire.field import (
    check_lengths,
    check_writable,
    decode_pairs,
    invalid,
    read_address,
    read_fields,
    read_time,
    required,
)
from tongbao.wire.form import FormLimits

LIMITS = FormLimits(size=64, fields=4, field=16)


def test_T08_fields_stand_once_in_query_and_body() -> None:
    """Both parts are one set of fields; a name that stands in both is refused, also where the values agree."""
    assert read_fields((b"a=1", b"b=%B2%E2%0A&c="), "gbk", LIMITS) == {"a": "1", "b": "测\n", "c": ""}
    for parts in ((b"a=1", b"a=1"), (b"a=1&%61=2",)):
        with pytest.raises(RemoteProtocolError) as caught:
            read_fields(parts, "gbk", LIMITS)
        assert (caught.value.code, caught.value.field) == ("DUPLICATE_PARAM", "a")


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b"a[]=1", "MALFORMED", "a[]"),
        (b"=1", "MALFORMED", ""),
        (b"a=%FF", "BAD_CHARSET", "a"),
        (b"%FF=1", "BAD_CHARSET", ""),
        (b"a=%01", "BAD_CHARSET", "a"),
        (b"a=%EF%BF%BD", "BAD_CHARSET", "a"),
        (b"a=%EF%BB%BF", "BAD_CHARSET", "a"),
        (b"a=%EE%80%80", "BAD_CHARSET", "a"),
        (b"a=" + b"1" * 17, "TOO_LARGE", "a"),
        (b"a&b&c&d&e", "TOO_LARGE", ""),
    ],
)
def test_T07_fields_that_are_none_are_refused(raw: bytes, code: str, field: str) -> None:
    """Structures, no name, foreign bytes, controls, what stands for lost characters, and more than the limits allow."""
    with pytest.raises(RemoteProtocolError) as caught:
        read_fields((raw,), "utf-8", LIMITS)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_what_the_other_end_could_not_read_is_not_written() -> None:
    """Controls and characters outside the charset are the caller's mistake, named by field."""
    check_writable({"a": "测试\t\r\n", "b": ""}, "gbk")
    for value, reason in (("\x00", "control"), ("😀", "gbk lacks")):
        with pytest.raises(LocalProtocolError, match=reason) as caught:
            check_writable({"a": "1", "b": value}, "gbk")
        assert (caught.value.code, caught.value.field) == ("BAD_CHARSET", "b")


def test_a_field_is_missing_or_wrong() -> None:
    """Empty is missing; what is there and wrong has the code of a wrong field, unless another is given."""
    assert required({"a": "1"}, "a") == "1"
    for fields in ({}, {"a": ""}):
        with pytest.raises(RemoteProtocolError) as caught:
            required(fields, "a")
        assert (caught.value.code, caught.value.field) == ("FIELD_MISSING", "a")
    wrong, other = invalid("a", "is odd"), invalid("a", "is odd", "AMOUNT_INVALID")
    assert [(error.field, error.reason, error.code) for error in (wrong, other)] == [
        ("a", "is odd", "FIELD_INVALID"),
        ("a", "is odd", "AMOUNT_INVALID"),
    ]


def test_pairs_are_decoded_in_one_go_and_blamed_one_by_one() -> None:
    """The field whose bytes are no text is named; two names that become one, and a name that is empty, are refused."""
    controls = re.compile("[\x00-\x1f]")
    raw = {"名".encode("gbk"): b"1", b"b": "测".encode("gbk")}
    assert decode_pairs(raw, "gbk", controls) == {"名": "1", "b": "测"}
    for bad, code, field in (
        ({b"a": b"1", b"b": b"\xff"}, "BAD_CHARSET", "b"),
        ({b"a": b"1\x00", b"b": b"2"}, "BAD_CHARSET", "a"),
        ({b"\xff": b"1"}, "BAD_CHARSET", "?"),
        ({b"+AGE-": b"1", b"a": b"1"}, "DUPLICATE_PARAM", ""),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            decode_pairs(bad, "utf-7" if code == "DUPLICATE_PARAM" else "gbk", controls)
        assert (caught.value.code, caught.value.field) == (code, field)


def test_what_is_read_from_a_field_is_that_or_refused() -> None:
    """Addresses and times may be absent; lengths count characters, and only of known fields."""
    said = {"url": "http://shop.example/", "at": "2026-01-02 03:04:05", "empty": ""}
    assert [read_address(said, name) for name in ("url", "empty", "none")] == [said["url"], "", ""]
    assert [read_time(said, name) for name in ("at", "empty", "none")] == [parse_china(said["at"]), None, None]
    check_lengths({"a": "测试", "other": "1" * 99}, {"a": 2})
    for check, code in (
        (lambda: read_address({"a": "shop"}, "a"), "URL_NOT_ALLOWED"),
        (lambda: read_time({"a": "2026-02-30 00:00:00"}, "a"), "FIELD_INVALID"),
        (lambda: check_lengths({"a": "123"}, {"a": 2}), "TOO_LARGE"),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            check()
        assert (caught.value.code, caught.value.field) == (code, "a")
