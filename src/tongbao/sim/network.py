"""The network between the processes: latency, loss, doubles, partitions; and a memory of every message ever sent."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tongbao.sim.loop import Life
from tongbao.wire.asgi import Application
from tongbao.wire.http import Request, Response
from tongbao.wire.world import CALL_LIMITS, Limits, NoAnswer, NotSent, Transport

if TYPE_CHECKING:
    from tongbao.sim.universe import Process, Universe

ATTACKER: Final = "203.0.113.66"
"""The peer address of whoever is not one of us."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as it went over the wire, with the answer that came back, if one did."""

    sender: str
    request: Request


class Wire:
    """What becomes of a message on its way between two processes: nothing."""

    def leave(self, sender: str, request: Request) -> None:
        """A process has sent this; whether it arrives is open."""

    def carry(self, sender: str, request: Request) -> Request:
        """The request as it arrives."""
        return request

    def arrive(self, life: Life, request: Request) -> None:
        """A life of a process begins to serve this, whoever sent it."""

    def bring_back(self, answerer: str, request: Request, response: Response) -> Response:
        """The answer as it arrives; ``request`` is what was answered."""
        return response


class Network:
    """Hosts are looked up in the universe at the moment a message arrives."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self.seen: list[Seen] = []
        self.wire = Wire()
        self.cut: set[tuple[str, str]] = set()
        """Pairs (process, host) between which nothing passes."""

    def sender(self, life: Life) -> Transport:
        """``World.send`` of one life."""

        async def send(request: Request, limits: Limits = CALL_LIMITS) -> Response:
            return await self.send(life, request, limits)

        return send

    async def send(self, life: Life, request: Request, limits: Limits, peer: str = "") -> Response:
        """One exchange. Raises NotSent or NoAnswer; every delay is drawn from the seed."""
        universe, loop = self._universe, self._universe.loop
        if not peer:
            self.seen.append(Seen(life.name, request))
            self.wire.leave(life.name, request)
        universe.note("send", life, request.method, request.host, request.raw_path.decode("latin-1"), _digest(request))
        answer: asyncio.Future[Response] = loop.create_future()
        universe.later(limits.total_seconds, _fail, answer, NoAnswer("TIMEOUT"))
        dice = universe.dice
        if life.name.startswith("worker") and dice.strikes("lease"):
            universe.processes[life.name].freeze(dice.random.uniform(91, 300))
        if (life.name, request.host) in self.cut or dice.strikes("lose_request"):
            if universe.random.random() < 0.5:
                universe.later(0.1, _fail, answer, NotSent("CONNECT", request.host))
        else:
            carried = request if peer else self.wire.carry(life.name, request)
            universe.later(self._latency(), self._arrive, carried, peer or life.name, answer)
            if dice.strikes("twice"):
                twin: asyncio.Future[Response] = loop.create_future()
                carried = request if peer else self.wire.carry(life.name, request)
                universe.later(self._latency(), self._arrive, carried, peer or life.name, twin)
        return await answer

    def _latency(self) -> float:
        random = self._universe.random
        if self._universe.dice.strikes("slow"):
            return random.uniform(1, 90)
        return random.uniform(0.001, 0.05)

    def _arrive(self, request: Request, peer: str, answer: asyncio.Future[Response]) -> None:
        process = self._universe.serving(request.host)
        if process is None or process.life is None or process.app is None:
            _fail(answer, NotSent("CONNECT", request.host))
            return
        self.wire.arrive(process.life, request)
        self._universe.spawn(process.life, self._serve(process, process.app, request, peer, answer))

    async def _serve(
        self, process: Process, app: Application, request: Request, peer: str, answer: asyncio.Future[Response]
    ) -> None:
        universe = self._universe
        response = await ask(app, request, peer)
        universe.note("answer", process.name, request.host, response.status, _short(response.body))
        if (peer, request.host) in self.cut or universe.dice.strikes("lose_answer"):
            return
        if peer != ATTACKER:
            response = self.wire.bring_back(process.name, request, response)
        universe.later(self._latency(), _succeed, answer, response)


async def ask(app: Application, request: Request, peer: str) -> Response:
    """One request to an ASGI application; the answer as a value."""
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.raw_path.decode("latin-1"),
        "raw_path": request.raw_path,
        "query_string": request.raw_query,
        "headers": [(b"host", request.host.encode()), *((name.lower(), value) for name, value in request.headers)],
        "client": (peer, 50_000),
        "server": ("127.0.0.1", 80),
    }
    parts: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body}

    async def send(message: Mapping[str, Any]) -> None:
        parts.append(message)

    await app(scope, receive, send)
    body = b"".join(part.get("body", b"") for part in parts[1:])
    return Response(parts[0]["status"], tuple(parts[0]["headers"]), body)


def _fail(answer: asyncio.Future[Response], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # whoever asked may be dead: nobody need look


def _succeed(answer: asyncio.Future[Response], response: Response) -> None:
    if not answer.done():
        answer.set_result(response)


def _digest(request: Request) -> str:
    return _short(request.raw_query + b"\x00" + request.body)


def _short(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=6).hexdigest()
