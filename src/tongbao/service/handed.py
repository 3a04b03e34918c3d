"""What a wallet opens: a code that it scanned, or an order that a merchant's app handed over.

An order string is a request like any other, only carried by a device: it is carried out by the same functions as what
comes to a face, so that nothing which is refused there is opened here.
"""

from __future__ import annotations

from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.service.act import act
from tongbao.service.platform import Platform
from tongbao.service.wallet import open_scanned
from tongbao.trade.record import Trade
from tongbao.wire.http import Request
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.vocabulary import Carriage, CreateTrade, TradeOpened


async def open_order(platform: Platform, text: str) -> Trade:
    """The trade behind a code of an order, a prepared payment or an order string. Raises Refused, OutcomeUnknown,
    RemoteProtocolError."""
    try:
        return await open_scanned(platform, text)
    except Refused:
        return await _open_handed(platform, text)


async def _open_handed(platform: Platform, text: str) -> Trade:
    raw = text.strip().encode("utf-8")
    for name in protocol_names():
        manifest = load_protocol(name)
        request = Request("GET", "https", "wallet.invalid", manifest.paths[0].encode("ascii"), raw, ())
        try:
            claim = manifest.server.claim(request)
        except RemoteProtocolError:
            continue
        if claim.carriage is not Carriage.DEVICE:
            continue
        ring = await platform.rings.ring(claim.merchant, name)
        verified = manifest.server.decode(claim, ring, platform.world.clock.wire())
        if isinstance(verified.intent, CreateTrade) and ring.verify:
            outcome = await act(platform, name, verified)
            if isinstance(outcome, TradeOpened):
                return await platform.trade_by_no(outcome.trade_no)
    raise Refused("TRADE_NOT_FOUND", "nothing that a wallet can open")
