"""Where bills are fetched: ``/bill/WORD``, streamed from the finished file. The word is the only key (T90)."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from tongbao.kernel.error import Refused
from tongbao.service.bill_act import open_bill
from tongbao.service.platform import Platform
from tongbao.web.faces.face import Gates
from tongbao.web.guard import too_many, who
from tongbao.wire.asgi import Receive, Scope, Send, send_response
from tongbao.wire.http import text

_GZIP: Final = 31
"""What zlib calls a gzip envelope."""


class Bills:
    """The download address as a plain ASGI application; it sees the whole path."""

    def __init__(self, platform: Platform, gates: Gates) -> None:
        self._platform = platform
        self._gates = gates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = self._gates.peers.take(who(scope))
        if wait:
            await send_response(send, too_many(text("429 Too Many Requests\n", status=429), wait))
            return
        if scope["method"] not in ("GET", "HEAD"):
            await send_response(send, text("405 Method Not Allowed\n", status=405))
            return
        word = scope["path"].rpartition("/")[2]
        try:
            bill = await open_bill(self._platform, word)
        except Refused:
            # whether there is no such bill or the word is forged is nobody's business
            await send_response(send, text("404 Not Found\n", status=404))
            return
        headers = [
            (b"Content-Type", bill.kind.encode("ascii")),
            (b"Content-Disposition", f"attachment; filename*=UTF-8''{quote(bill.name)}".encode("ascii")),
        ]
        if not bill.compressed:
            headers.append((b"Content-Length", str(bill.spooled.length).encode("ascii")))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "GET":
            for chunk in bill.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
