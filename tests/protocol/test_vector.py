"""Vectors of every folder: read as written down, written again to the same meaning, and where said, the same bytes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.protocol.plain import plain
from tests.protocol.vector import Vector, folders, shared_keys, vectors, written_out
from tongbao.kernel.error import ConfigurationError, RemoteProtocolError
from tongbao.kernel.money import parse_major
from tongbao.kernel.time import Instant
from tongbao.wire import movement, vocabulary
from tongbao.wire.certificate import load_chain
from tongbao.wire.http import Request
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.sign import load_rsa_private, load_rsa_public
from tongbao.wire.vocabulary import CreateTrade, Intent, Notification, Presentation, Product

NOW = Instant(0)
ALL = vectors()


def having(*kinds: str, refused: bool = False) -> pytest.MarkDecorator:
    chosen = [vector for vector in ALL if vector.kind in kinds and ("error" in vector.data) is refused]
    return pytest.mark.parametrize("vector", chosen, ids=[f"{vector.protocol}-{vector.name}" for vector in chosen])


def signature(vector: Vector, request: Request) -> str:
    trail = vector.manifest.server.trail(request)
    return "" if trail is None else trail.signature


def read_event(vector: Vector, request: Request) -> Notification:
    client = vector.manifest.client
    read = client.decode_notification if vector.kind == "notification" else client.decode_return
    return read(request, vector.credentials(), vector.now)


WORDS = {"product": Product, "presentation": Presentation}


def asked(vector: Vector) -> Intent:
    about = dict(vector.data["intent"])
    name = about.pop("type")
    kind = getattr(vocabulary, name, None) or getattr(movement, name)
    about |= {name: parse_major(about[name]) for name in ("amount", "total") if name in about}
    about |= {name: word(about[name]) for name, word in WORDS.items() if name in about}
    intent: Intent = kind(merchant=vector.data.get("speaks_for", vector.data["merchant"]), **about)
    return intent


def test_every_folder_has_vectors() -> None:
    """Each folder brings messages of every kind, and every vector says what it is about and where it comes from."""
    for name in protocol_names():
        mine = [vector for vector in ALL if vector.protocol == name]
        returned = {"return"} if load_protocol(name).returns else set()
        assert {vector.kind for vector in mine} >= {"request", "notification"} | returned
        assert all(vector.data["what"] and vector.data["source"] for vector in mine)
    assert all(vector.data["oddity"] for vector in ALL if vector.name.startswith("oddity"))


def witnesses(readme: str) -> list[str]:
    """The names of vectors in the last cells of every table ``| oddity | witness |`` of a text."""
    rows = re.findall(r"^\| oddity \| witness \|\n\|---\|---\|\n((?:\|.*\|\n)*)", readme, re.MULTILINE)
    return [name for row in "".join(rows).splitlines() for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[1])]


@pytest.mark.parametrize("name", protocol_names())
def test_every_tolerated_oddity_has_a_vector(name: str) -> None:
    """A folder's README lists what its ends tolerate, each with its witness: a vector that names the oddity and is
    read. Vectors that name one are listed, so that neither is without the other."""
    mine = {vector.name: vector.data for vector in ALL if vector.protocol == name}
    told = {vector for vector, data in mine.items() if "oddity" in data}
    assert not [vector for vector in told if "error" in mine[vector]]
    files = [folder.parent / "README.md" for protocol, folder in folders() if protocol == name]
    listed = [word for file in files if file.exists() for word in witnesses(file.read_text("utf-8"))]
    assert {word if word in mine else f"oddity_{word}" for word in listed} == told


def test_a_table_of_oddities_is_read() -> None:
    """Every table, the last cell of each row; nothing of other tables."""
    table = "| oddity | witness |\n|---|---|\n| `a` \\| b | `one`, `two` |\n"
    assert witnesses(
        f"{table}\nmore\n\n{table.replace('one', 'three')}\n| file | holds |\n|---|---|\n| `x` | `y` |\n"
    ) == [
        "one",
        "two",
        "three",
        "two",
    ]


@having("request")
def test_request(vector: Vector) -> None:
    """A request says what the vector says, and written again by our client it says it again."""
    server = vector.manifest.server
    claim = server.claim(vector.request())
    verified = server.decode(claim, vector.ring(), vector.now)
    intent = verified.intent
    said = plain(intent)
    said.pop("echo", None)
    assert claim.operation == vector.data["operation"]
    assert said == vector.data["intent"]
    call = vector.manifest.client.encode(intent, vector.credentials(), vector.now)
    again = server.decode(server.claim(call.request()), vector.ring(), vector.now).intent
    if isinstance(again, CreateTrade) and isinstance(intent, CreateTrade):
        again = replace(again, echo=intent.echo)
        if ("CreateTrade", "subject") in vector.manifest.unsaid:
            # nothing signs the words for the goods, so our client leaves them out
            again = replace(again, subject=intent.subject)
    assert again == intent
    if vector.data.get("exact"):
        assert signature(vector, call.request()) == signature(vector, vector.request())


@having("request", refused=True)
def test_refused_request(vector: Vector) -> None:
    """A request that must be refused is, for the stated reason and naming the field."""
    server = vector.manifest.server
    with pytest.raises(RemoteProtocolError) as caught:
        server.decode(server.claim(vector.request()), vector.ring(), vector.now)
    assert (caught.value.code, caught.value.field) == (vector.data["error"], vector.data["field"])


@having("notification", "return")
def test_event(vector: Vector) -> None:
    """A notification or return says what the vector says, and written again by our server it says it again."""
    event = read_event(vector, vector.request())
    assert plain(event) == vector.data["event"]
    told = (event.batch, event.refund, event.payout, event.combined)
    if event.trade.state is None and not any(told):
        return
    product = event.trade.product or (Product(vector.data["product"]) if "product" in vector.data else None)
    echo = vector.data.get("echo", {})
    batch = None if event.batch is None else replace(event.batch, echo=echo)
    voiced = replace(event, trade=replace(event.trade, echo=echo, product=product), batch=batch)
    if event.combined is not None:
        parts = tuple(replace(part, echo=echo) for part in event.combined.parts)
        voiced = replace(voiced, combined=replace(event.combined, parts=parts, echo=echo))
    server, at = vector.manifest.server, event.at or NOW
    write = server.notify if vector.kind == "notification" else server.return_to
    sent = write(voiced, "http://shop.example.com/back", vector.ring(), at)
    assert replace(read_event(vector, sent), unsigned=event.unsigned) == event
    if vector.data.get("exact"):
        assert signature(vector, sent) == signature(vector, vector.request())


@having("notification", "return", refused=True)
def test_refused_event(vector: Vector) -> None:
    """A notification or return that must be refused is, for the stated reason and naming the field."""
    with pytest.raises(RemoteProtocolError) as caught:
        read_event(vector, vector.request())
    assert (caught.value.code, caught.value.field) == (vector.data["error"], vector.data["field"])


@having("response")
def test_response(vector: Vector) -> None:
    """An answer says what the vector says."""
    outcome = vector.manifest.client.decode(asked(vector), vector.response(), vector.credentials(), vector.now)
    assert {type(outcome).__name__: plain(outcome)} == vector.data["outcome"]


@having("response", refused=True)
def test_refused_response(vector: Vector) -> None:
    """An answer that must be refused is, for the stated reason."""
    with pytest.raises(RemoteProtocolError) as caught:
        vector.manifest.client.decode(asked(vector), vector.response(), vector.credentials(), vector.now)
    assert (caught.value.code, caught.value.field) == (vector.data["error"], vector.data["field"])


def test_T01_published_secrets_are_refused() -> None:
    """Whatever key a vector uses is public by that: a merchant's configuration does not take it."""
    checked = 0
    for vector in ALL:
        secret_fields = [field.name for field in vector.manifest.credentials if field.kind == "secret"]
        for entry in vector.data["keys"]:
            if "secret" in entry and len(secret_fields) == 1:
                settings = {**vector.data.get("settings", {}), secret_fields[0]: entry["secret"]}
                with pytest.raises(ConfigurationError) as caught:
                    vector.manifest.client.load(settings)
                assert caught.value.field == secret_fields[0]
                assert entry["secret"] not in str(caught.value)
                checked += 1
    assert checked


def test_a_private_key_stands_once_in_a_folder() -> None:
    """What two vectors sign with lies in ``keys.toml``; whatever lies there is used, and its parts belong together."""
    for _, folder in folders():
        texts = [file.read_text("utf-8") for file in folder.glob("*.json")]
        written = Counter(
            key for text in texts for key in re.findall(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\"]+", text)
        )
        shared = shared_keys(folder)
        assert not [key for key, times in written.items() if times > 1], folder
        for name, table in shared.items():
            assert table["private"].replace("\n", "\\n") not in written, (folder, name)
            assert any(f'"{part}": "{name}"' in text for part in ("private", f"{name}_key") for text in texts), name
            public = load_rsa_public(table["public"], name)
            assert load_rsa_private(table["private"], name).public_key() == public
            if "certificates" in table:
                assert load_chain(table["certificates"], name)[0].public_key() == public


def test_a_name_without_a_key_is_refused(tmp_path: Path) -> None:
    """A vector that names what ``keys.toml`` lacks, and a table with more than PEM, are told by file and name."""
    vector = tmp_path / "request_a.json"
    (tmp_path / "keys.toml").write_text('[merchant]\nprivate = "-----BEGIN PRIVATE KEY-----\\n"\n', "utf-8")
    entry = {"algorithm": "RSA2", "private": "merchant", "id": "k"}
    assert written_out(entry, vector) == entry | {"private": "-----BEGIN PRIVATE KEY-----\n"}
    for part, name in (("private", "platform"), ("public", "merchant"), ("certificates", "")):
        with pytest.raises(ValueError, match=f"request_a.json: {part}: keys.toml has none of the name '{name}'"):
            written_out(entry | {part: name}, vector)
    for at, (line, part) in enumerate((("secret = '-----BEGIN '", "secret"), ("private = 'no'", "private"))):
        other = tmp_path / str(at)
        other.mkdir()
        (other / "keys.toml").write_text(f"[merchant]\n{line}\n", "utf-8")
        with pytest.raises(ValueError, match=rf"keys.toml: \[merchant\] {part}: not one of"):
            shared_keys(other)
