"""Attacks on signatures and parsers (T01 to T16), thrown at every protocol folder, found by listing.

Form-shaped messages are attacked field by field; ``test_law`` damages the bytes of any message whatever.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.protocol.bench import EVERY_PAIR, NOW, Pair, all_pairs, is_asymmetric, make_pair, products, without_echo
from tests.protocol.movement import batch_events
from tests.protocol.sample import simple_create, simple_intents
from tests.protocol.strategy import HOME, PAID_STATE, PERSON
from tests.protocol.test_law import voiced
from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.wire.form import encode_form, parse_form, split_form
from tongbao.wire.http import FORM, Request
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.sign import public_pem
from tongbao.wire.vocabulary import Freight, Notification, Product, Shipping, TradeView

TARGET = "http://shop.example.com/back"
WORTHLESS = (
    "",
    " ",
    "null",
    "0",
    "None",
    "undefined",
    "test",
    "changeme",
    "your_key_here"[:4],
    "x" * 32,
    "密钥密钥密钥密钥",
    "short",
)
PROOFS = frozenset((b"sign", b"hmac", b"v_md5info", b"v_md5str", b"billno_md5", b"c_signstr", b"signmsg"))
RawPairs = list[tuple[bytes, bytes]]


def event(pair: Pair, product: Product) -> Notification:
    """A paid trade with every field that its product has."""
    shipped = product is not Product.INSTANT
    trade = TradeView(
        merchant=pair.manifest.merchant_example,
        out_trade_no="201504011203050123456789",
        trade_no="2015040100001000980012345678",
        state=PAID_STATE[product],
        product=product,
        subject="测试商品",
        body="红色 100% 棉",
        amount=Money(1_000),
        seller=replace(PERSON, id=pair.manifest.merchant_example, login="seller@example.com"),
        buyer=PERSON,
        created_at=NOW,
        paid_at=NOW,
        passback="shop7",
        shipping=Shipping("express", Money(1_200), Freight.BUYER) if shipped else None,
        consignee=HOME if shipped else None,
    )
    return voiced(pair, Notification(id="637b04133cbb1b5c5f1b3f3d2c9a8e70", at=None, trade=trade))


def signed_messages(pair: Pair) -> Iterator[tuple[Request, Callable[[Request], object]]]:
    """Genuine signed messages, each with the reading that must not be fooled."""
    client, server = pair.manifest.client, pair.manifest.server

    def read_request(request: Request) -> object:
        return without_echo(pair.read(request)[1].intent)

    def read_event(request: Request) -> object:
        return client.decode_notification(request, pair.credentials, NOW)

    def read_return(request: Request) -> object:
        return client.decode_return(request, pair.credentials, NOW)

    for intent in simple_intents(pair.manifest.name):
        request = client.encode(intent, pair.credentials, NOW).request()
        if pair.read(request)[1].key is not None:
            yield request, read_request
    for notice in batch_events(pair):
        yield server.notify(notice, TARGET, pair.ring, NOW), read_event
    for product in products(pair.manifest):
        yield server.notify(event(pair, product), TARGET, pair.ring, NOW), read_event
        if pair.manifest.returns:
            yield server.return_to(event(pair, product), TARGET, pair.ring, NOW), read_return


def is_form(request: Request) -> bool:
    return FORM in (request.header("content-type") or FORM)


def fields_of(request: Request) -> RawPairs:
    return list(split_form(request.body or request.raw_query))


def rebuilt(request: Request, pairs: RawPairs) -> Request:
    """The message with these fields, where its fields are."""
    raw = b"&".join([b"%b=%b" % (escape(name), escape(value)) for name, value in pairs])
    return replace(request, body=raw) if request.body else replace(request, raw_query=raw)


def escape(raw: bytes) -> bytes:
    return b"".join([b"%%%02X" % code for code in raw])


def refused(read: Callable[[Request], object], request: Request, told: object) -> bool:
    """True when refused; a reading that differs from ``told`` is a broken law."""
    try:
        assert read(request) == told
    except RemoteProtocolError:
        return True
    return False


def cases(pair: Pair) -> Iterator[tuple[Request, Callable[[Request], object], object, RawPairs, list[int]]]:
    """Each form-shaped message with its fields and the places of those that prove who sent it."""
    for request, read in signed_messages(pair):
        if is_form(request):
            pairs = fields_of(request)
            proof = [place for place, (name, _) in enumerate(pairs) if name.lower() in PROOFS]
            yield request, read, read(request), pairs, proof


@EVERY_PAIR
def test_T02_without_a_signature(name: str, algorithm: str, charset: str) -> None:
    """A signature that is deleted, blank, repeated with another value or renamed never passes."""
    pair = make_pair(name, algorithm, charset)
    for request, read, told, pairs, proof in cases(pair):
        for place in proof:
            key, value = pairs[place]
            rest = pairs[:place] + pairs[place + 1 :]
            for changed in (
                rest,
                [*rest, (key, b"")],
                [*rest, (key, b" ")],
                [*rest, (key, b"0")],
                [*rest, (key, b"null")],
                [*rest, (key, b"0e462097431906509019562988736854")],
                [*rest, (key, value + b" ")],
                [*rest, (key, b" " + value)],
                [*rest, (key, value[:-1])],
                [*rest, (key, value + b"0")],
                [*rest, (key, value), (key, b"0")],
                [(key, b"0"), *rest, (key, value)],
                [*rest, (key.upper(), value)],
                [*rest, (key.title(), value)],
                [*rest, (key + b"[]", value)],
                [*rest, (b" " + key, value)],
            ):
                assert refused(read, rebuilt(request, changed), told), (changed[-1], request)


@EVERY_PAIR
def test_T05_another_algorithm(name: str, algorithm: str, charset: str) -> None:
    """Naming another algorithm, in another case, padded or not at all, never passes."""
    pair = make_pair(name, algorithm, charset)
    for request, read, told, pairs, _ in cases(pair):
        places = [place for place, (key, _) in enumerate(pairs) if key == b"sign_type"]
        for place in places:
            value = pairs[place][1]
            rest = pairs[:place] + pairs[place + 1 :]
            words = {
                b"MD5",
                b"RSA",
                b"RSA2",
                b"DSA",
                b"HMAC",
                b"none",
                b"",
                value.lower(),
                value + b" ",
                b" " + value,
                b"0",
            }
            for word in words - {value}:
                assert refused(read, rebuilt(request, [*rest, (b"sign_type", word)]), told)
            assert refused(read, rebuilt(request, rest), told)


@pytest.mark.parametrize("name", protocol_names())
def test_T05_public_key_text_as_shared_secret(name: str) -> None:
    """Whoever expects RSA is not fooled by a hash whose secret is the text of the public key."""
    manifest = load_protocol(name)
    strong = [algorithm for algorithm in manifest.algorithms if is_asymmetric(algorithm)]
    weak = [algorithm for algorithm in manifest.algorithms if not is_asymmetric(algorithm)]
    for algorithm in strong:
        pair = make_pair(name, algorithm)
        private = pair.ring.signing(algorithm).material
        assert isinstance(private, RSAPrivateKey)
        text = public_pem(private.public_key())
        for other in weak:
            for secret in (text, text.strip(), "".join(text.split("\n")[1:-2])):
                forger = KeyRing(pair.ring.merchant, (), (Key("forger", 1, other, secret.encode("ascii")),))
                forged = manifest.server.notify(event(make_pair(name, other), Product.INSTANT), TARGET, forger, NOW)
                with pytest.raises(InvalidSignature):
                    manifest.client.decode_notification(forged, pair.credentials, NOW)
                renamed = [
                    (key, algorithm.encode("ascii") if key == b"sign_type" else value)
                    for key, value in fields_of(forged)
                ]
                with pytest.raises(InvalidSignature):
                    manifest.client.decode_notification(rebuilt(forged, renamed), pair.credentials, NOW)


@pytest.mark.slow
@EVERY_PAIR
def test_T07_T08_structures_and_duplicates(name: str, algorithm: str, charset: str) -> None:
    """A field that is repeated, bracketed or nested is refused, wherever the lie stands."""
    pair = make_pair(name, algorithm, charset)
    for request, read, told, pairs, _ in cases(pair):
        for place, (key, value) in enumerate(pairs):
            lie = value + b"9" if value else b"9"
            for changed in (
                [*pairs, (key, lie)],
                [(key, lie), *pairs],
                [*pairs[:place], (key, value), (key, value), *pairs[place + 1 :]],
                [*pairs, (key + b"[]", lie)],
                [*pairs, (key + b"[0]", lie)],
                [*pairs[:place], (key + b"[a]", value), *pairs[place + 1 :]],
                [*pairs[:place], (key + b"\x00", value), *pairs[place + 1 :]],
                [*pairs[:place], (key, value + b"\x00"), *pairs[place + 1 :]],
            ):
                assert refused(read, rebuilt(request, changed), told), (key, changed)


@EVERY_PAIR
def test_T08_a_lie_in_the_other_place(name: str, algorithm: str, charset: str) -> None:
    """A field added to the query of a signed body changes nothing, or the message is refused."""
    pair = make_pair(name, algorithm, charset)
    for request, read, told, pairs, _ in cases(pair):
        if request.body:
            for key, value in pairs:
                for lie in (value + b"9", b""):
                    query = request.raw_query + b"&" + escape(key) + b"=" + escape(lie)
                    refused(read, replace(request, raw_query=query), told)


@pytest.mark.slow
@EVERY_PAIR
def test_T09_T13_every_field_is_signed(name: str, algorithm: str, charset: str) -> None:
    """Each field is blanked, dropped, renamed, swapped and changed: refused, or nothing that is read depends on it."""
    pair = make_pair(name, algorithm, charset)
    for request, read, told, pairs, proof in cases(pair):
        for place, (key, value) in enumerate(pairs):
            neighbour = pairs[(place + 1) % len(pairs)][1]
            for changed in (
                b"",
                value[:-1],
                value + b"0",
                b"0" + value,
                value.swapcase(),
                neighbour,
                value.replace(b"1", b"7"),
            ):
                if changed != value:
                    refused(read, rebuilt(request, [*pairs[:place], (key, changed), *pairs[place + 1 :]]), told)
            refused(read, rebuilt(request, pairs[:place] + pairs[place + 1 :]), told)
            refused(read, rebuilt(request, [*pairs[:place], (key.upper(), value), *pairs[place + 1 :]]), told)
            free = getattr(told, "unsigned", {})
            if place not in proof and key != b"sign_type" and key.decode("latin-1") not in free:
                forged = rebuilt(request, [*pairs[:place], (key, value + b"0"), *pairs[place + 1 :]])
                assert refused(read, forged, told), key


@EVERY_PAIR
def test_T10_shifted_borders(name: str, algorithm: str, charset: str) -> None:
    """Moving a border between two neighbours of the signed string, under one signature, never passes."""
    pair = make_pair(name, algorithm, charset)
    for request, read, told, pairs, _ in cases(pair):
        ordered = sorted(pairs)
        for (key, value), (other, moved) in pairwise(ordered):
            joined = value + b"&" + other + b"=" + moved
            rest = [field for field in pairs if field[0] not in (key, other)]
            refused(read, rebuilt(request, [*rest, (key, joined)]), told)
            refused(read, rebuilt(request, [*rest, (key, value[:-1]), (other, value[-1:] + moved)]), told)
            refused(read, rebuilt(request, [*rest, (key, value + moved[:1]), (other, moved[1:])]), told)


@EVERY_PAIR
def test_T14_decoded_once(name: str, algorithm: str, charset: str) -> None:
    """A message that was decoded or encoded once too often is refused, or says the same."""
    pair = make_pair(name, algorithm, charset)
    for request, read, told, pairs, _ in cases(pair):
        raw = request.body or request.raw_query
        for changed in (raw.replace(b"%", b"%25"), raw.replace(b"+", b"%2B"), raw.replace(b"%3A", b"%253A")):
            if changed != raw:
                message = replace(request, body=changed) if request.body else replace(request, raw_query=changed)
                assert refused(read, message, told)
        again = replace(request, body=b"") if request.body else replace(request, raw_query=b"")
        assert refused(read, again, told)
        assert read(rebuilt(request, pairs)) == told


@pytest.mark.slow
@EVERY_PAIR
def test_T15_charset_tricks(name: str, algorithm: str, charset: str) -> None:
    """Bytes of another charset, half characters, marks and replacement characters in text are refused."""
    pair = make_pair(name, algorithm, charset)
    tricks = (
        b"\x81|",
        b"\xb2",
        b"\xc0\xaf",
        b"\xef\xbb\xbf",
        b"\xef\xbf\xbd",
        b"\xed\xa0\x80",
        b"\xff",
        b"\x00",
        b"\x1b",
        b"\x7f",
    )
    for request, read, told, pairs, proof in cases(pair):
        for place, (key, value) in enumerate(pairs):
            if place not in proof:
                for trick in tricks:
                    changed = rebuilt(request, [*pairs[:place], (key, value + trick), *pairs[place + 1 :]])
                    # two of these bytes are a Chinese character in GBK: an unsigned text may hold it and says nothing
                    assert refused(read, changed, told) or key.decode("latin-1") in getattr(told, "unsigned", {})


@EVERY_PAIR
def test_T12_colliding_texts_are_no_text(name: str, algorithm: str, charset: str) -> None:
    """The classic pair of 128 bytes that share an MD5 is binary: no text field takes it, even when it is signed."""
    pair = make_pair(name, algorithm, charset)
    block = bytes.fromhex(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
        "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
        "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
    )
    for request, read, told, pairs, _ in cases(pair):
        for key in (b"subject", b"out_trade_no", b"p5_Pid", b"p2_Order"):
            changed = [(field, block if field == key else value) for field, value in pairs]
            if changed != pairs:
                assert refused(read, rebuilt(request, changed), told)


@EVERY_PAIR
def test_T16_one_signature_one_text(name: str, algorithm: str, charset: str) -> None:
    """No second spelling of a signature passes at the merchant's half; at the platform's none changes the meaning."""
    pair = make_pair(name, algorithm, charset)
    for request, read, told, pairs, proof in cases(pair):
        for place in proof:
            key, value = pairs[place]
            spellings = {
                value.upper(),
                value.swapcase(),
                value + b"\n",
                value.rstrip(b"="),
                value + b"=",
                value[:40] + b"\n" + value[40:],
            }
            spellings |= {value.replace(b"+", b"-").replace(b"/", b"_"), value.replace(b"+", b" ")}
            for spelling in spellings - {value}:
                message = rebuilt(request, [*pairs[:place], (key, spelling), *pairs[place + 1 :]])
                passed = not refused(read, message, told)
                assert not passed or (read.__name__ == "read_request" and spelling.lower() == value.lower())


@EVERY_PAIR
def test_T20_T25_another_merchants_key(name: str, algorithm: str, charset: str) -> None:
    """A message under a foreign key is refused on both sides; so is one under a key that is not live."""
    pair, other = make_pair(name, algorithm, charset), make_pair(name, algorithm, charset, 1)
    client, server = pair.manifest.client, pair.manifest.server
    for intent in simple_intents(name):
        request = client.encode(intent, other.credentials, NOW).request()
        claim = server.claim(request)
        if other.read(request)[1].key is None:
            continue
        with pytest.raises(InvalidSignature):
            server.decode(claim, pair.ring, NOW)
        for state in (KeyState.REVOKED, KeyState.NEXT):
            dead = KeyRing(pair.ring.merchant, tuple(replace(key, state=state) for key in other.ring.verify), ())
            with pytest.raises(InvalidSignature):
                server.decode(claim, dead, NOW)
        with pytest.raises(InvalidSignature):
            server.decode(claim, KeyRing(pair.ring.merchant, (), ()), NOW)
        retiring = KeyRing(
            pair.ring.merchant,
            (*pair.ring.verify, *[replace(key, state=KeyState.RETIRING) for key in other.ring.verify]),
            other.ring.sign,
        )
        assert server.decode(claim, retiring, NOW).key in retiring.verify[len(pair.ring.verify) :]
    for product in products(pair.manifest):
        with pytest.raises(InvalidSignature):
            client.decode_notification(
                server.notify(event(pair, product), TARGET, other.ring, NOW), pair.credentials, NOW
            )
        if not pair.manifest.returns:
            continue
        with pytest.raises(InvalidSignature):
            client.decode_return(server.return_to(event(pair, product), TARGET, other.ring, NOW), pair.credentials, NOW)


@pytest.mark.slow
@pytest.mark.parametrize("name", protocol_names())
def test_T01_worthless_secrets(name: str) -> None:
    """A missing, blank, placeholder or short secret stops the configuration; an empty key verifies nothing."""
    manifest = load_protocol(name)
    for algorithm in manifest.algorithms:
        pair = make_pair(name, algorithm)
        for field in manifest.credentials:
            if field.kind not in ("secret", "private_key", "public_key") or field.name not in pair.settings:
                continue
            for worthless in WORTHLESS:
                with pytest.raises(ConfigurationError) as caught:
                    manifest.client.load({**pair.settings, field.name: worthless})
                assert caught.value.field == field.name
            if not field.required and (manifest.certificates or manifest.content_keys):
                continue  # keys of a mode that need not be used
            with pytest.raises(ConfigurationError):
                manifest.client.load({key: value for key, value in pair.settings.items() if key != field.name})
        if is_asymmetric(algorithm):
            continue
        for secret in (b"", b"null", b"0", b" "):
            forger = KeyRing(pair.ring.merchant, (), (Key("forger", 1, algorithm, secret),))
            try:
                forged = manifest.server.notify(event(pair, Product.INSTANT), TARGET, forger, NOW)
            except LocalProtocolError:
                continue
            with pytest.raises(InvalidSignature):
                manifest.client.decode_notification(forged, pair.credentials, NOW)
        genuine = manifest.server.notify(event(pair, Product.INSTANT), TARGET, pair.ring, NOW)
        empty = KeyRing(pair.ring.merchant, (Key("empty", 1, algorithm, b""),), ())
        with pytest.raises(InvalidSignature):
            manifest.client.decode_notification(genuine, replace(pair.credentials, ring=empty), NOW)


@EVERY_PAIR
def test_T03_only_the_message_counts(name: str, algorithm: str, charset: str) -> None:
    """Host, method case, headers and addresses of proxies change no verdict on a signed message."""
    pair = make_pair(name, algorithm, charset)
    odd = ((b"Host", b"localhost"), (b"X-Forwarded-For", b"127.0.0.1"), (b"X-Debug", b"1"), (b"User-Agent", b"Alipay"))
    for request, read in signed_messages(pair):
        told = read(request)
        assert read(replace(request, host="localhost", headers=(*request.headers, *odd))) == told
        if is_form(request):
            changed = rebuilt(request, [(key, value + b"0") for key, value in fields_of(request)])
            assert refused(read, replace(changed, host="localhost", headers=(*request.headers, *odd)), told)


@pytest.mark.slow
def test_ten_thousand_forgeries() -> None:
    """Ten thousand notifications with random damage: every one is refused or says what the genuine one said."""
    chance = random.Random(20150401)
    pairs = [make_pair(*arguments) for arguments in all_pairs() if not is_asymmetric(arguments[1])]
    counted = {True: 0, False: 0}
    genuine = []
    for pair in pairs:
        for product in products(pair.manifest):
            sent = pair.manifest.server.notify(event(pair, product), TARGET, pair.ring, NOW)
            genuine.append((pair, sent, pair.manifest.client.decode_notification(sent, pair.credentials, NOW)))
    for number in range(10_000):
        pair, sent, told = genuine[number % len(genuine)]
        body = bytearray(sent.body or sent.raw_query)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(body))
            body[place : place + chance.randrange(3)] = bytes(
                chance.choices(b"0123456789abcdef&=%+", k=chance.randrange(3))
            )

        def read(request: Request, pair: Pair = pair) -> object:
            return pair.manifest.client.decode_notification(request, pair.credentials, NOW)

        forged = replace(sent, body=bytes(body)) if sent.body else replace(sent, raw_query=bytes(body))
        counted[refused(read, forged, told)] += 1
    assert counted[True] > 9_000
    assert sum(counted.values()) == 10_000


def test_forms_are_read_as_written() -> None:
    """The harness itself: what ``rebuilt`` writes, the parser reads."""
    pairs = (("a", "测 &=%+"), ("b", ""))
    assert parse_form(encode_form(pairs)) == pairs
    assert simple_create(Product.INSTANT).amount == Money(1_000)
