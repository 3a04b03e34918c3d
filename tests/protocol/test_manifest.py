"""What every manifest says: who, where, when, on whose word; credentials and codes without gaps."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.protocol.bench import EVERY_PAIR, NOW, make_pair
from tongbao.kernel.error import LocalProtocolError, OutcomeUnknown, Refused, RemoteProtocolError, TongbaoError
from tongbao.kernel.money import Money
from tongbao.wire.http import split_url
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.movement import CallByName, RefundBatch, RefundItem
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import Carriage, ConfirmNotification, Intent

EVERY = pytest.mark.parametrize("name", protocol_names())
KINDS = frozenset(("id", "secret", "private_key", "public_key", "certificate", "url", "text"))


@EVERY
def test_manifest_is_whole(name: str) -> None:
    """A manifest says who it is, where it answers, when it repeats itself, and on whose word."""
    manifest = load_protocol(name)
    assert manifest.name == name
    assert all((manifest.title, manifest.title_zh, manifest.version, manifest.timetable_source, manifest.sources))
    assert all(path.startswith("/") for path in manifest.paths)
    assert split_url(manifest.gateway)[0] == "https"
    assert all("/" not in host and host for host in manifest.hosts)
    if manifest.sandbox_gateway:  # where it is as everywhere, at another host, of which the platform knows
        (scheme, host, *path), (_, production, *rest) = split_url(manifest.sandbox_gateway), split_url(manifest.gateway)
        assert (scheme, path, host in manifest.hosts, host != production) == ("https", rest, True, True)
    assert manifest.timetable == tuple(gap for gap in manifest.timetable if gap > 0) != ()
    assert set(manifest.operations.values()) <= set(get_args(Intent))
    assert manifest.products
    assert manifest.algorithms
    "x".encode(manifest.charset)
    assert (ConfirmNotification in manifest.operations.values()) == manifest.confirms
    # what is stuck is told of by a message of the refund's own: no other has a word for it
    assert manifest.notifies_refund == "own" or not manifest.refund_may_stick


@EVERY_PAIR
def test_credentials_are_those_declared(name: str, algorithm: str, charset: str) -> None:
    """What the sandbox hands out is what the manifest declares, and the merchant's half takes it as it is."""
    pair = make_pair(name, algorithm, charset)
    declared = {field.name: field for field in pair.manifest.credentials}
    assert set(pair.settings) <= set(declared)
    assert {field.name for field in declared.values() if field.required} <= set(pair.settings)
    assert {field.kind for field in declared.values()} <= KINDS
    assert all(field.meaning for field in declared.values())
    assert pair.credentials.protocol == name
    assert pair.credentials.merchant == pair.manifest.merchant_example


@EVERY
def test_what_stands_beside_a_content_has_a_name(name: str) -> None:
    """A public parameter of which the protocol knows nothing is refused by the merchant's half, never dropped."""
    pair = make_pair(name, load_protocol(name).algorithms[0])
    for method in pair.manifest.operations:
        asked = CallByName(merchant="", method=method, public={"nobody_knows": "1"})
        with pytest.raises(LocalProtocolError):
            pair.manifest.client.encode(asked, pair.credentials, NOW)


@EVERY
def test_a_browser_carries_batches_where_the_manifest_says_so(name: str) -> None:
    """And nowhere else: there the client sends it itself, or has no words for it."""
    manifest = load_protocol(name)
    pair = make_pair(name, manifest.algorithms[0], manifest.charset)
    items = (RefundItem(trade_no="2026030221001004", amount=Money(5), reason="late"),)
    url = "https://shop.example/notify"
    asked = RefundBatch(
        merchant=manifest.merchant_example, batch_no="20150401001", items=items, notify_url=url, asks_password=True
    )
    try:
        by_browser = manifest.client.encode(asked, pair.credentials, NOW).carriage is Carriage.BROWSER
    except LocalProtocolError:
        by_browser = False
    assert by_browser == manifest.batches_by_browser


@EVERY
def test_refusals_are_total(name: str) -> None:
    """Every refusal of the rules has a word in the protocol's table, and every other error is answered too."""
    manifest = load_protocol(name)
    server = manifest.server
    assert set(manifest.codes) == set(REFUSALS)
    assert all(server.refusal_code(Refused(code)) == word for code, word in manifest.codes.items())
    assert set(manifest.codes_of) <= set(manifest.operations)
    assert all(set(words) <= set(REFUSALS) for words in manifest.codes_of.values())
    errors: list[TongbaoError] = [Refused(code) for code in REFUSALS]
    errors += [RemoteProtocolError("field", "reason", code) for code in REFUSALS]
    errors += [
        RemoteProtocolError("", "reason", "NOT_IN_THE_TABLE"),
        Refused("NOT_IN_THE_TABLE"),
        OutcomeUnknown("sent"),
    ]
    for error in errors:
        code = server.refusal_code(error)
        assert code.isascii()
        assert code.strip() == code != ""
