"""The banks' notices about what became of an instruction: ``POST /channel/BANK/notice``, answered after commit."""

from __future__ import annotations

import json
import traceback
from typing import Final

from tongbao.kernel.error import InvalidSignature, OutcomeUnknown, ProtocolError, Refused, RemoteProtocolError
from tongbao.service.checkout import find_instruction, take_word
from tongbao.service.platform import Platform
from tongbao.web.faces.face import Gates
from tongbao.web.faces.refusal import RefusalBook
from tongbao.web.guard import too_many
from tongbao.wire.asgi import Receive, Scope, Send, plain
from tongbao.wire.http import Request, Response, text

_STATUS: Final = {"PAYMENT_NOT_FOUND": 404, "BANK_UNKNOWN": 404}


class Notices:
    """Takes each bank's word through its own channel, and only about its own instructions."""

    def __init__(self, platform: Platform, refusals: RefusalBook, gates: Gates) -> None:
        self._platform = platform
        self._refusals = refusals
        self._gates = gates
        self._application = plain(self.handle)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)

    async def handle(self, request: Request, peer: str) -> Response:
        """200 once the word is entered (again); anything else makes the bank send it again later."""
        parts = request.raw_path.decode("latin-1").split("/")
        if len(parts) != 4 or parts[3] != "notice":
            return text("404 Not Found\n", status=404)
        if request.method != "POST":
            return Response(405, (*text("").headers[:1], (b"Allow", b"POST")), b"405 Method Not Allowed\n")
        if wait := self._gates.forged.wait(peer):
            return too_many(text("429 Too Many Requests\n"), wait)
        try:
            await self._take(parts[2], request)
        except InvalidSignature as error:
            self._gates.forged.take(peer)
            return await self._refuse(request, peer, error, 401)
        except RemoteProtocolError as error:
            return await self._refuse(request, peer, error, 400)
        except Refused as error:
            return await self._refuse(request, peer, error, _STATUS.get(error.code, 409))
        except OutcomeUnknown:
            return text("503 Service Unavailable\n", status=503)
        except Exception as error:  # noqa: BLE001 - logged; the bank learns only that we failed
            self._platform.world.log("notice.failed", trace="".join(traceback.format_exception(error)))
            return text("500 Internal Server Error\n", status=500)
        return text("ok\n")

    async def _take(self, bank: str, request: Request) -> None:
        channel = self._platform.channel(bank)
        word = channel.read_notice(request)
        if channel.simulated and json.loads(request.body)["bank"] != bank:
            raise InvalidSignature("bank", "another bank's notice")
        known = await find_instruction(self._platform, word.instruction_no)
        if known.bank != bank:
            raise InvalidSignature("instruction_no", "another bank's instruction")
        await take_word(self._platform, word)

    async def _refuse(self, request: Request, peer: str, error: Refused | ProtocolError, status: int) -> Response:
        await self._refusals.write("channel", "notice", "", peer, request, error)
        return text(f"{status} refused\n", status=status)
