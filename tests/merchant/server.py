"""Real HTTP on loopback for the client's tests: one thread, answers scripted by a function, requests kept raw."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

from tongbao.wire.http import Request, Response

Answer = Callable[[Request], Response | bytes | None]
"""A response, raw bytes to write instead, or None to hang up without a word."""


class Server:
    """``url`` is its address; ``seen`` what arrived."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._open = True
        self.port = self._listener.getsockname()[1]
        self.seen: list[Request] = []
        self._thread = Thread(target=self._run)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def _run(self) -> None:
        while self._open:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(5)
            with connection:
                try:
                    if self._context is not None:
                        with self._context.wrap_socket(connection, server_side=True) as secure:
                            self._serve(secure)
                    else:
                        self._serve(connection)
                except OSError:
                    continue

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            method, target, _ = stream.readline().split(b" ", 2)
            headers = []
            while (line := stream.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                headers.append((name, value.strip()))
            lengths = [int(value) for name, value in headers if name.lower() == b"content-length"]
            body = stream.read(lengths[0]) if lengths else b""
        path, _, query = target.partition(b"?")
        host = next((value for name, value in headers if name.lower() == b"host"), b"").decode()
        request = Request(method.decode(), "http", host, path, query, tuple(headers), body)
        self.seen.append(request)
        answer = self._answer(request)
        if isinstance(answer, Response):
            lines = [
                b"HTTP/1.1 %d Said" % answer.status,
                b"Content-Length: %d" % len(answer.body),
                b"Connection: close",
            ]
            lines += [name + b": " + value for name, value in answer.headers]
            answer = b"\r\n".join(lines) + b"\r\n\r\n" + answer.body
        if answer:
            connection.sendall(answer)

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._listener.close()


@contextmanager
def serve(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server for one test."""
    server = Server(answer, context)
    try:
        yield server
    finally:
        server.close()
