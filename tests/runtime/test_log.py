"""The log: one line a record whatever goes in, and no secret comes out (T65)."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongbao.kernel.error import ConfigurationError
from tongbao.runtime.clock import RealClock
from tongbao.runtime.log import JsonLog, LibraryHandler
from tongbao.runtime.redaction import redact, redact_text

CANARY = "Qk7vXz93canary"


def words(text: str) -> list[str]:
    """The words of a table."""
    return text.split()


def written(event: str = "test", /, **fields: Any) -> str:
    stream = io.StringIO()
    JsonLog(stream, RealClock(), "debug")(event, **fields)
    return stream.getvalue()


def test_a_record_is_one_line_of_ascii_json() -> None:
    """Time in UTC, level, event, fields; Chinese survives a terminal in any encoding."""
    line = written("order.paid", trade_no="2026112522001", shop="通宝", amount=1230, ok=True, none=None)
    assert line.isascii()
    record = json.loads(line)
    assert record.pop("time").endswith("+00:00")
    assert record == {
        "level": "info",
        "event": "order.paid",
        "trade_no": "2026112522001",
        "shop": "通宝",
        "amount": 1230,
        "ok": True,
        "none": None,
    }


@given(st.text(), st.one_of(st.text(), st.binary(), st.lists(st.text()), st.dictionaries(st.text(), st.text())))
def test_T65_nothing_breaks_the_line(event: str, value: object) -> None:
    """Line ends, separators, control characters, lone surrogates: one record, one line, ASCII."""
    line = written(event, value=value)
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line.isascii()
    assert not any(letter < " " for letter in line[:-1])
    assert json.loads(line)["event"] == event


@pytest.mark.parametrize(
    "name",
    words("""
    key sign signature private_key alipay_public_key app_private_key apiv3_key apiV3Key secret client_secret password
    pay_password payPassword login_passwd pwd token access_token csrf_token Authorization authorization cookie
    string_to_sign sign_input signature_value hmac cvv cvv2 pin otp credentials password_hash password_salt keys
    signMsg md5_key anti_phishing_key certificate
    """),
)
def test_T65_secret_names_hide_their_values(name: str) -> None:
    """By field name, in any spelling, at any depth, in pairs, in objects."""
    for line in (
        written(**{name: CANARY}),
        written(fields={"deep": [{name: CANARY}]}),
        written(pairs=[(name, CANARY)]),
        written(pairs=((name.encode(), CANARY.encode()),)),
        written(**{name: {"inside": CANARY}}),
    ):
        assert CANARY not in line
        assert "[redacted]" in line


@pytest.mark.parametrize(
    "name", ["sign_type", "key_id", "key_version", "trade_no", "notify_id", "design", "monkey", "pinned", "path"]
)
def test_ordinary_names_keep_their_values(name: str) -> None:
    """A log that hides everything helps nobody."""
    assert CANARY in written(**{name: CANARY})


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example/gateway.do?service=x&sign={}&sign_type=MD5",
        "service=x&key={}",
        "a%3Db%26sign%3D{}%26c%3Dd",
        "sign%3D{}",
        "pay_password={}",
        '{{"sign": "{}", "x": 1}}',
        '{{"app_private_key":"{}"}}',
        "{{'password': '{}'}}",
        "<xml><sign>{}</sign></xml>",
        "Authorization: Bearer {}\r\nHost: a",
        "Cookie: session={}; other=1",
        "Wechatpay-Signature: {}",
        "alipay-app-auth-token: {}",
        "X-AuthToken: {}\r\nHost: a",
        "x-" + "a" * 99 + "token: {}",
        "x_token: {}",
        "failed with token: {}",
        'WECHATPAY2-SHA256-RSA2048 mchid="1",signature="{}",serial_no="2"',
        "appkey={}",
        "ValueError: hmac={}",
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n{}\n",
        "x" * 100 + "{}",
    ],
)
def test_T65_secrets_within_texts_are_hidden(text: str) -> None:
    """In addresses, forms, JSON, XML, headers, exceptions and PEM, under a harmless field name."""
    value = text.format(CANARY)
    for shown in (value, ValueError(value), value.encode(), [value], {"a": value}):
        assert CANARY not in written(value=shown)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("card 6222 0212 3456 7890 128 ok", "card ****0128 ok"),
        ("4111111111111111", "****1111"),
        ("4111-1111-1111-1111", "****1111"),
        ("4111111111111112", "4111111111111112"),
        ("2026112522001400001234567890", "2026112522001400001234567890"),
        ("call 13812345678 now", "call *******5678 now"),
        ("+86 138 1234 5678", "*******5678"),
        ("1764000000000", "1764000000000"),
        ("buyer wang.wei@shop.example.com paid", "buyer w***@shop.example.com paid"),
        ("email=wang%40shop.example", "email=w***%40shop.example"),
    ],
)
def test_T65_personal_numbers_keep_their_tail(text: str, expected: str) -> None:
    """Card-like numbers (by their check digit), mobile numbers, mail addresses; trade numbers stay whole."""
    assert redact_text(text) == expected


def test_T65_phone_and_card_fields_keep_four_digits() -> None:
    """By name, whatever they look like."""
    assert redact({"phone": "010-1234567", "buyer_mobile": 13812345678, "card_no": "622202", "card": "12"}) == {
        "phone": "****4567",
        "buyer_mobile": "****5678",
        "card_no": "****2202",
        "card": "[redacted]",
    }


def test_sizes_are_bounded() -> None:
    """A megabyte, a million items, a structure within itself: a short line."""
    loop: dict[str, object] = {}
    loop["self"] = loop
    assert len(written(a="ab " * 1_000_000, b=[1] * 1_000_000, c=loop, d=b" " * 1_000_000)) < 30_000


def test_levels() -> None:
    """Below the threshold nothing is written; failures are errors by their name."""
    stream = io.StringIO()
    log = JsonLog(stream, RealClock(), "warning")
    log("quiet")
    log("quiet", level="debug")
    log("loud", level="warning")
    log("task.failed")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == ["warning", "error"]
    with pytest.raises(ConfigurationError, match="log_level"):
        JsonLog(stream, RealClock(), "chatty")


def test_T65_libraries_are_heard_and_redacted() -> None:
    """What a library logs goes the same way, with its trace."""
    stream = io.StringIO()
    logger = logging.getLogger("tests.some_library")
    handler = LibraryHandler(JsonLog(stream, RealClock()))
    logger.addHandler(handler)
    try:
        raise ValueError(f"sign={CANARY}")
    except ValueError:
        logger.exception("failed with key=%s", CANARY)
    finally:
        logger.removeHandler(handler)
    record = json.loads(stream.getvalue())
    assert CANARY not in stream.getvalue()
    assert (record["level"], record["logger"]) == ("error", "tests.some_library")
    assert "ValueError" in record["trace"]
