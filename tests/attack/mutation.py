"""What an attacker does to messages: each function takes the chance, the message and all the others he holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.wire.form import split_form
from tongbao.wire.http import Request

RawPairs = list[tuple[bytes, bytes]]

AMOUNTS: Final = (
    b"0.01", b"2000.00", b"2000", b"2000.0", b"200000", b"0", b"-0.01", b"+10.00", b"10.001", b"1e3", b"1_0",
    b" 10.00", b"10.00\n", "１０.００".encode(), b"NaN", b"Infinity", b".5", b"5.", b"00.10", b"0x10", b"1,000.00",
    b"10.0", b"9.99", b"10.01", b"1000.00", b"1e1000000", b"9" * 40,
)  # fmt: skip
WORDS: Final = (
    b"", b"0", b"null", b"true", b"TRADE_SUCCESS", b"TRADE_FINISHED", b"WAIT_BUYER_PAY", b"TRADE_CLOSED", b"MD5",
    b"RSA", b"md5", b"HMAC", b" MD5", b"USD", b"CNY", b"RMB", b"JPY", b"1", b"2", b"T", b"F", b"\x00", b"\x81",
    b"\xff", "茶".encode(), "茶".encode("gbk"), b"\xef\xbb\xbf", b"\xc0\xaf", b"\xed\xa0\x80", b"a&total_fee=0.01",
    b"%2500", b"%", b"' OR 1=1 --", b"<!ENTITY x>", b"../../", b"{}", b"A" * 5000, b"2000-02-30 00:00:00",
    b"9999-12-31 23:59:59",
)  # fmt: skip
NAMES: Final = (
    b"sign", b"sign_type", b"Sign", b"SIGN", b"hmac", b"hmac_safe", b"total_fee", b"r3_Amt", b"out_trade_no",
    b"r6_Order", b"trade_status", b"r9_BType", b"seller_id", b"partner", b"p1_MerId", b"_input_charset", b"charset",
    b"notify_id", b"r4_Cur", b"rb_BankId", b"gmt_close", b"is_success", b"currency", b"",
)  # fmt: skip
BYTES: Final = b"0123456789abcdefABCDEF&=%+;[]\x00\x80\x81\xff \n"


SIGNATURE: Final = re.compile(rb"[0-9A-Fa-f]{32,}|[A-Za-z0-9+/]{64,}={0,2}")
"""What a signature looks like, in whatever field it travels."""
_SUM: Final = re.compile(rb"\d{1,8}(\.\d{1,2})?")
"""What a sum looks like: yuan or fen."""


@dataclass(frozen=True)
class Hand:
    """What a mutation may use: chance, all messages ever seen, the addresses they may be sent to."""

    chance: Random
    seen: Sequence[Request]
    paths: Sequence[bytes]


def payload(request: Request) -> bytes:
    return request.body or request.raw_query


def is_form(request: Request) -> bool:
    """Whether its fields are those of a form, and not of marks or braces."""
    return payload(request)[:1] not in (b"<", b"{")


def carry(request: Request, raw: bytes) -> Request:
    """The request with another payload in the same place."""
    return replace(request, body=raw) if request.body or request.method == "POST" else replace(request, raw_query=raw)


def pairs_of(request: Request) -> RawPairs:
    """The fields, decoded once; none where it cannot be split."""
    try:
        return list(split_form(payload(request)))
    except RemoteProtocolError:
        return []


def escape(raw: bytes) -> bytes:
    """Percent-encode every byte that has a meaning in a form."""
    return b"".join(bytes((code,)) if chr(code).isalnum() and code < 128 else b"%%%02X" % code for code in raw)


def with_pairs(request: Request, pairs: RawPairs) -> Request:
    return carry(request, b"&".join(escape(name) + b"=" + escape(value) for name, value in pairs))


def flip_bytes(hand: Hand, request: Request) -> Request:
    """A few bytes changed, inserted or cut out."""
    raw = bytearray(payload(request))
    for _ in range(hand.chance.randint(1, 4)):
        place = hand.chance.randrange(len(raw) + 1)
        raw[place : place + hand.chance.randrange(3)] = bytes(hand.chance.choices(BYTES, k=hand.chance.randrange(3)))
    return carry(request, bytes(raw))


def cut(hand: Hand, request: Request) -> Request:
    """The end is missing, or the beginning (F36)."""
    raw = payload(request)
    place = hand.chance.randrange(len(raw) + 1)
    return carry(request, raw[:place] if hand.chance.random() < 0.7 else raw[place:])


def change_field(hand: Hand, request: Request) -> Request:
    """One field says something else (T26, T27, T29, T34)."""
    pairs = pairs_of(request)
    if not pairs:
        return request
    place = hand.chance.randrange(len(pairs))
    name, value = pairs[place]
    other = hand.chance.choice((hand.chance.choice(AMOUNTS), hand.chance.choice(WORDS), value + b"0", value[:-1]))
    pairs[place] = (name, other)
    return with_pairs(request, pairs)


def change_amount(hand: Hand, request: Request) -> Request:
    """The sum says something else, in every spelling (T27, T34)."""
    pairs = [
        (name, hand.chance.choice(AMOUNTS) if _SUM.fullmatch(value) and hand.chance.random() < 0.6 else value)
        for name, value in pairs_of(request)
    ]
    return with_pairs(request, pairs)


def drop_field(hand: Hand, request: Request) -> Request:
    """One field is missing: often its signature (T02)."""
    pairs = pairs_of(request)
    wanted = hand.chance.choice([name for name, value in pairs if SIGNATURE.fullmatch(value)] or [b"sign_type"])
    kept = [pair for pair in pairs if pair[0] != wanted]
    if len(kept) == len(pairs) and pairs:
        del kept[hand.chance.randrange(len(kept))]
    return with_pairs(request, kept)


def double_field(hand: Hand, request: Request) -> Request:
    """A lie beside the truth: first, last, under a structured name, or in the query (T07, T08)."""
    pairs = pairs_of(request)
    if not pairs:
        return request
    name = hand.chance.choice(pairs)[0]
    name = hand.chance.choice((name, name + b"[]", name + b"[a]", name.upper(), name + b"\x00", b" " + name))
    lie = (name, hand.chance.choice((*AMOUNTS, *WORDS)))
    how = hand.chance.randrange(3)
    if how == 2:
        return replace(request, raw_query=escape(lie[0]) + b"=" + escape(lie[1]))
    return with_pairs(request, [lie, *pairs] if how else [*pairs, lie])


def add_field(hand: Hand, request: Request) -> Request:
    """A name the message did not have."""
    names = [name for name, _ in pairs_of(hand.chance.choice(hand.seen))]
    lie = (hand.chance.choice((*NAMES, *names)), hand.chance.choice((*AMOUNTS, *WORDS)))
    pairs = pairs_of(request)
    pairs.insert(hand.chance.randrange(len(pairs) + 1), lie)
    return with_pairs(request, pairs)


def swap_signature(hand: Hand, request: Request) -> Request:
    """This message's fields with that message's signature, or that message's fields one by one."""
    other = dict(pairs_of(hand.chance.choice(hand.seen)))
    pairs = pairs_of(request)
    if hand.chance.random() < 0.5:
        signs = {name for name, value in pairs if SIGNATURE.fullmatch(value)} | {b"sign_type"}
        return with_pairs(
            request, [(name, other.get(name, value) if name in signs else value) for name, value in pairs]
        )
    return with_pairs(
        request, [(name, other.get(name, value) if hand.chance.random() < 0.3 else value) for name, value in pairs]
    )


def bind_other_order(hand: Hand, request: Request) -> Request:
    """The cheap order's message for the dear order (T26), or one merchant's for another's (T25)."""
    other = dict(pairs_of(hand.chance.choice(hand.seen)))
    return with_pairs(
        request,
        [
            (name, _renumber(hand, other.get(name, value)) if _names(value) and hand.chance.random() < 0.7 else value)
            for name, value in pairs_of(request)
        ],
    )


def _names(value: bytes) -> bool:
    """Whether a value is the number of an order, a trade or a merchant."""
    return b"-A0" in value or (value.isdigit() and len(value) > 5)


def _renumber(hand: Hand, value: bytes) -> bytes:
    head, mark, _ = value.rpartition(b"-A")
    return head + mark + b"000%d" % hand.chance.randint(1, 6) if mark else value


def change_sign_type(hand: Hand, request: Request) -> Request:
    """Another algorithm's name, or this one's in another spelling (T05)."""
    words = (b"MD5", b"RSA", b"RSA2", b"md5", b"Rsa", b"DSA", b"", b"MD5 ", b"0001", b"HMAC", b"none")
    pairs = [(name, hand.chance.choice(words) if name == b"sign_type" else value) for name, value in pairs_of(request)]
    return with_pairs(request, pairs)


def respell_signature(hand: Hand, request: Request) -> Request:
    """The same signature in another spelling, or a worthless one (T02, T06, T16)."""
    spell: Callable[[bytes], bytes] = hand.chance.choice(
        (
            bytes.upper,
            bytes.swapcase,
            lambda value: b" " + value,
            lambda value: value + b"\n",
            lambda value: value + b"=",
            lambda value: value.replace(b"+", b"-").replace(b"/", b"_"),
            lambda value: value.rstrip(b"="),
            lambda value: value[:-1],
            lambda value: value + value,
            lambda value: b"0e462097431906509019562988736854",
            lambda value: b"0" * len(value),
            lambda value: value[::-1],
        )
    )
    pairs = pairs_of(request)
    return with_pairs(request, [(name, spell(value) if SIGNATURE.fullmatch(value) else value) for name, value in pairs])


def shift_border(hand: Hand, request: Request) -> Request:
    """Letters move from one value into the next, or a value swallows the next field (T10)."""
    pairs = pairs_of(request)
    if len(pairs) < 2:
        return request
    place = hand.chance.randrange(len(pairs) - 1)
    (name, value), (other, following) = pairs[place], pairs[place + 1]
    if hand.chance.random() < 0.3:
        pairs[place : place + 2] = [(name, value + b"&" + other + b"=" + following)]
        return with_pairs(request, pairs)
    cut_at = hand.chance.randrange(len(value) + len(following) + 1)
    whole = value + following
    pairs[place : place + 2] = [(name, whole[:cut_at]), (other, whole[cut_at:])]
    return with_pairs(request, pairs)


def change_charset(hand: Hand, request: Request) -> Request:
    """The bytes or the announced charset are others (T15)."""
    if hand.chance.random() < 0.5:
        word = hand.chance.choice((b"gbk", b"utf-8", b"gb2312", b"big5", b"utf-16", b"GBK", b"latin-1", b"idna"))
        kind = (b"Content-Type", b"application/x-www-form-urlencoded; charset=" + word)
        return replace(request, headers=(kind,))
    source, target = hand.chance.choice(
        (("utf-8", "gbk"), ("gbk", "utf-8"), ("gbk", "gb18030"), ("utf-8", "utf-16-le"))
    )
    changed = [(name, value.decode(source, "replace").encode(target, "replace")) for name, value in pairs_of(request)]
    return with_pairs(request, changed)


def encode_again(hand: Hand, request: Request) -> Request:
    """Encoded once more, or with another spelling of the same bytes (T14)."""
    raw = payload(request)
    ways: tuple[bytes, ...] = (
        raw.replace(b"%", b"%25"),
        raw.replace(b"+", b"%20"),
        raw.replace(b"%", b"%u00"),
        raw.replace(b"&", b";"),
        raw.replace(b"&", b"&amp;"),
        raw + b"%00",
        b"\xef\xbb\xbf" + raw,
        b"?" + raw,
        b"&&" + raw + b"&",
        raw.lower(),
    )
    return carry(request, hand.chance.choice(ways))


def send_elsewhere(hand: Hand, request: Request) -> Request:
    """A genuine message to another endpoint, or to no endpoint at all (T25)."""
    first, second = hand.chance.choice(hand.paths), hand.chance.choice(hand.paths)
    home = first.removesuffix(b"/notify")
    strange = (b"/", first + b"/", home + b"/return", first.upper(), home + b"/.." + second, home + b"%2fnotify")
    return replace(request, raw_path=hand.chance.choice((*hand.paths, *hand.paths, *strange)))


def change_carriage(hand: Hand, request: Request) -> Request:
    """From the body to the query and back, with other verbs and headers (T03, T31)."""
    raw = payload(request)
    how = hand.chance.randrange(5)
    if how == 0:
        return replace(request, method="POST", body=raw, raw_query=b"")
    if how == 1:
        return replace(request, method="GET", body=b"", raw_query=raw)
    if how == 2:
        return replace(request, method=hand.chance.choice(("PUT", "DELETE", "HEAD", "get", "POST\r\n", "")))
    if how == 3:
        odd = ((b"X-Forwarded-For", b"127.0.0.1"), (b"X-Debug", b"1"), (b"Content-Encoding", b"gzip"))
        return replace(request, host=hand.chance.choice(("localhost", "127.0.0.1", "")), headers=odd)
    text = hand.chance.choice((b"<xml>%b</xml>", b'{"a":"%b"}', b"[%b]", b"<!DOCTYPE a><a>%b</a>")).replace(b"%b", raw)
    return carry(request, text)


def swap_headers(hand: Hand, request: Request) -> Request:
    """This message with that message's headers, some of them or all: where signatures travel in headers."""
    other = hand.chance.choice(hand.seen).headers
    if hand.chance.random() < 0.5:
        return replace(request, headers=other)
    theirs = {name.lower(): value for name, value in other}
    headers = tuple(
        (name, theirs.get(name.lower(), value) if hand.chance.random() < 0.3 else value)
        for name, value in request.headers
    )
    return replace(request, headers=headers)


def change_header(hand: Hand, request: Request) -> Request:
    """One header is missing, doubled, or says something else."""
    headers = list(request.headers)
    if not headers:
        return request
    place = hand.chance.randrange(len(headers))
    name, value = headers[place]
    other = hand.chance.choice((value[:-1], value + b"0", value.upper(), b"", b"0", value[::-1], b"1700000000"))
    how = hand.chance.randrange(3)
    headers[place : place + 1] = [[], [(name, value), (name, other)], [(name, other)]][how]
    return replace(request, headers=tuple(headers))


def change_leaf(hand: Hand, request: Request) -> Request:
    """In a body of marks or braces: one text is another one, of this message or of those that others sent."""
    leaf = rb'(?<=[">])[^"<>{}]{1,60}(?=["<])'
    found = list(re.finditer(leaf, request.body))
    if not found:
        return change_field(hand, request)
    spot = hand.chance.choice(found)
    others = re.findall(leaf, hand.chance.choice(hand.seen).body) or [b"0"]
    word = hand.chance.choice((hand.chance.choice(others), hand.chance.choice(AMOUNTS), hand.chance.choice(WORDS)))
    return replace(request, body=request.body[: spot.start()] + word + request.body[spot.end() :])


def reorder(hand: Hand, request: Request) -> Request:
    """The fields in another order: where order carries no meaning, none may be found in it."""
    pairs = pairs_of(request)
    hand.chance.shuffle(pairs)
    return with_pairs(request, pairs)


def keep(hand: Hand, request: Request) -> Request:
    """A replay (T24)."""
    return request


MUTATIONS: Final[tuple[Callable[[Hand, Request], Request], ...]] = (
    flip_bytes, flip_bytes, flip_bytes, cut, change_field, change_field, change_amount, change_amount, drop_field,
    double_field, add_field, swap_signature, swap_signature, bind_other_order, bind_other_order, change_sign_type,
    respell_signature, shift_border, shift_border, change_charset, encode_again, send_elsewhere, change_carriage,
    reorder, keep, swap_headers, change_header, change_leaf, change_leaf,
)  # fmt: skip


def forge(hand: Hand, request: Request) -> Request:
    """One to three mutations, one after another."""
    for _ in range(hand.chance.choice((1, 1, 1, 2, 2, 3))):
        request = hand.chance.choice(MUTATIONS)(hand, request)
    return request
