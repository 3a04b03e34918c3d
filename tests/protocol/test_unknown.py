"""The law for answers that say that the platform itself does not know."""

from __future__ import annotations

from tests.protocol.bench import NOW, make_pair
from tests.protocol.test_movement import answered_samples, having
from tongbao.kernel.error import Refused
from tongbao.merchant.errand import is_open, moves
from tongbao.wire.vocabulary import Rejection


@having(lambda name: any(moves(intent, {}) for intent in answered_samples(name)))
def test_F28_an_outcome_that_nobody_knows_is_no_refusal(name: str, algorithm: str, charset: str) -> None:
    """Where money may have moved and the platform says that it cannot tell, our client reads that it may have."""
    pair = make_pair(name, algorithm, charset)
    client, server = pair.manifest.client, pair.manifest.server
    for intent in answered_samples(name, algorithm):
        if moves(intent, {}):
            claim, _ = pair.read(client.encode(intent, pair.credentials, NOW).request())
            told = client.decode(intent, server.refuse(claim, Refused("SYSTEM"), pair.ring, NOW), pair.credentials, NOW)
            assert isinstance(told, Rejection)
            assert is_open(told, intent, {}), told
