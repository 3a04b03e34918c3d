"""A relay in front of PostgreSQL that recognises COMMIT and its reply, and cuts, holds or swallows them (F07, F08)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

COMMITS: Final = (b"COMMIT;", b"COMMIT AND CHAIN;")
"""How the driver asks for a commit: a simple query, which may begin the next transaction as well."""

COMMITTED: Final = b"COMMIT\x00"
"""How the server says that it happened."""


class Proxy:
    """Relays connections. ``script`` says what becomes of the next commits, one word each; when it is empty, they pass.

    ``pass``: nothing special. ``cut_before``: the connection breaks before the server is asked. ``cut_after``: the
    server commits, and the connection breaks instead of its reply. ``hold``: the client's side breaks at once, the
    server gets the request when ``release`` is set. ``vanish``: as cut_before, and no new connection is taken.
    """

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._parts = parts
        self._tasks: set[asyncio.Task[None]] = set()
        self.dsn = dsn
        self.script: list[str] = []
        self.seen: list[str] = []
        self.chained: list[bool] = []
        """Of each commit, whether the next transaction was begun with it."""
        self.release = asyncio.Event()
        self.refusing = False

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Proxy]:
        """Relay as long as the context is open."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.dsn = self._parts._replace(netloc=f"{self._parts.username}@127.0.0.1:{port}").geturl()
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self.refusing:
            writer.transport.abort()
            return
        back, ahead = await asyncio.open_connection(*self._target)
        link = _Link(self, reader, writer, back, ahead)
        with suppress(asyncio.CancelledError):
            await link.run()


class _Link:
    """One relayed connection."""

    def __init__(
        self,
        proxy: Proxy,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client, self._to_client = client, to_client
        self._server, self._to_server = server, to_server
        self._mute = False

    async def run(self) -> None:
        """Relay both ways until either side is gone."""
        up, down = asyncio.create_task(self._relay_up()), asyncio.create_task(self._relay_down())
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if self._mute:
                await asyncio.wait((up, down))
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            self._to_client.transport.abort()
            self._to_server.transport.abort()

    async def _relay_up(self) -> None:
        while data := await _read(self._client):
            if any(commit in data for commit in COMMITS):
                word = self._proxy.script.pop(0) if self._proxy.script else "pass"
                self._proxy.seen.append(word)
                self._proxy.chained.append(b"AND CHAIN;" in data)
                if word in ("cut_before", "vanish"):
                    self._proxy.refusing = word == "vanish"
                    return
                if word == "cut_after":
                    self._mute = True
                if word == "hold":
                    self._mute = True
                    self._to_client.transport.abort()
                    await self._proxy.release.wait()
                    self._to_server.write(data)
                    return
            self._to_server.write(data)

    async def _relay_down(self) -> None:
        while data := await _read(self._server):
            if self._mute and COMMITTED in data:
                self._to_client.transport.abort()
                return
            if not self._mute:
                self._to_client.write(data)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except ConnectionError:
        return b""
