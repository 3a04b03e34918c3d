"""Texts that are no amount (T34), and addresses that must not be taken (T53)."""

from __future__ import annotations

import re
from typing import Final

_RIGHT: Final = re.compile(r"-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,2})?", re.ASCII)


def _digits(zero: int) -> str:
    """``10.00`` in another script's digits."""
    return f"{chr(zero + 1)}{chr(zero)}.{chr(zero)}{chr(zero)}"


def _plain() -> list[str]:
    """Spellings of their own."""
    scripts = (0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xE50, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7EC)
    found = [_digits(zero) for zero in scripts]
    found += [
        "①",
        "Ⅹ",
        "十",
        "壹拾",
        "10．00",
        "10。00",
        "１0.00",
        "10.0０",
        "¥10",
        "￥10.00",
        "10元",
        "10.00 CNY",
        "10分",
    ]
    found += ["NaN", "nan", "sNaN", "-NaN", "Infinity", "-inf", "inf", "+Infinity", "true", "null", "None", "undefined"]
    found += [
        "{}",
        "[]",
        "[10]",
        '"10.00"',
        "'10.00'",
        "10.00;",
        "10.00'--",
        "10.00/**/",
        "(10)",
        "10+0",
        "10-0",
        "5*2",
    ]
    found += [
        "0x10",
        "0X10",
        "0b1010",
        "0o12",
        "010",
        "00.10",
        "00",
        "-0",
        "-0.00",
        "0e1",
        "1e3",
        "1E3",
        "1e-2",
        "1e+3",
    ]
    found += ["1e1000000", "-1e1000000", "1" * 12, "9" * 15, "9" * 400, "9" * 5_000, "100000000000", "99999999999.99"]
    found += ["1_0", "1_000.00", "_1", "1_", "1,000", "1,000.00", "1.000,00", "10,00", "1'000", "1 000", "1\u00a0000"]
    found += [".5", "5.", ".", "..", "-", "+", "-.5", "+.5", "10..00", "10.0.0", "10.000", "10.001", "0.001", "0.005"]
    found += ["10.00\\n", "10.00%00", "%31%30", "1&total_fee=1", "10.00#", "10.00?x", "10/1", "10:00", "1٫5", "1٬000"]
    return found


def bad_amounts() -> list[str]:
    """More than five hundred texts that some parser somewhere reads as a sum, and ours must not."""
    found = _plain()
    for base in ("10.00", "10", "0.01", "2000.00", "1"):
        for mark in (
            " ",
            "  ",
            "\t",
            "\n",
            "\r\n",
            "\x0b",
            "\x0c",
            "\x00",
            "\u00a0",
            "\u2003",
            "\u3000",
            "\ufeff",
            "\u200b",
        ):
            found += [mark + base, base + mark, base[0] + mark + base[1:]]
        for sign in ("+", "--", "++", "- ", "+ ", "\u2212", "\u2013", "\uff0d", "\uff0b", "$", "=", "~", "<", ">", "@"):
            found += [sign + base, base + sign]
        for tail in ("f", "d", "L", "n", "m", "F", "%", "e", "E", "e0", "E0", "e1", "j", "\u0660", "\u06f0", "\u0301"):
            found += [base + tail]
    return [text for text in dict.fromkeys(found) if _RIGHT.fullmatch(text) is None or len(text) > 14]


BAD_ADDRESSES: Final = (
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "ftp://a/",
    "gopher://a/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/notify", "notify.php", "evil.example/x",
    "http:/evil.example", "http:evil.example", "http://", "https:///x", "http://?x", "http://#x", "://evil.example",
    "http://user@evil.example/", "http://user:pass@evil.example/", "http://good.example\\@evil.example/",
    "http://good.example@evil.example", "http://evil.example\r\nX: y", "http://evil.example/\r\nSet-Cookie: a=b",
    "http://evil.example/\tx", "http://evil .example/", " http://evil.example/", "http://evil.example/ x",
    "http://evil.example/\x00", "\x01http://evil.example/", "http://evil.example/\x7f", "blob:http://a/x",
    "http//evil.example", "httpx://evil.example", "http\u3002//evil.example", "view-source:http://a/",
)  # fmt: skip
"""No merchant may give any of these."""

FOREIGN_ADDRESSES: Final = (
    "https://evil.example/", "https://shop.example.evil.example/", "https://evilshop.example/", "https://example/",
    "https://sub.shop.example/", "https://shop.example./", "https://sh\u043ep.example/", "https://shop.example%2eevil/",
    "https://\uff53hop.example/", "https://shop\u3002example/", "https://[::1]/", "https://127.0.0.1/", "https://127.1/",
    "https://0x7f000001/", "https://2130706433/", "https://shop.example:443:80/", "https://shop.example%00.evil/",
    "https://shop.example&evil/", "https://evil.example?shop.example", "https://evil.example#shop.example",
    "https://evil.example/shop.example", "https://shop.example:evil/", "https://xn--shop/",
    "https://shop.example:99999/", "https://shop.example:-1/", "https://shop.example:80 80/",
)  # fmt: skip
"""A merchant whose host is ``shop.example`` alone may give none of these."""
