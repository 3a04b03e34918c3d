"""A mail server on loopback, just large enough to take messages."""

from __future__ import annotations

import email
import email.policy
import socket
from email.message import EmailMessage
from io import BufferedRWPair
from threading import Thread
from types import TracebackType


class Mailbox:
    """``messages`` are what was taken, in order."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self._open = True
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        while self._open:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(5)
            with connection, connection.makefile("rwb") as stream:
                self._serve(stream)

    def _serve(self, stream: BufferedRWPair) -> None:
        def say(line: bytes) -> None:
            stream.write(line + b"\r\n")
            stream.flush()

        say(b"220 mailbox")
        while line := stream.readline():
            word = line[:4].upper()
            if word == b"DATA":
                say(b"354 go on")
                lines = []
                while (part := stream.readline()) not in (b".\r\n", b""):
                    lines.append(part)
                message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                self.messages.append(message)
            say(b"221 bye" if word == b"QUIT" else b"250 ok")
            if word == b"QUIT":
                return

    def __enter__(self) -> Mailbox:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._thread.join()
        self._listener.close()
