"""The log: one JSON object a line, ASCII only, redacted before it is written (T65)."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from typing import Final, TextIO

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.port import Clock
from tongbao.runtime.redaction import redact

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class JsonLog:
    """A ``Log``. A field ``level`` (debug, info, warning, error) ranks an event; without it, one whose name ends in
    ``failed`` is an error and any other is info. Events below the threshold are dropped."""

    def __init__(self, stream: TextIO, clock: Clock, level: str = "info") -> None:
        """Raises ConfigurationError for an unknown level."""
        if level not in LEVELS:
            raise ConfigurationError("log_level", f"is one of {', '.join(LEVELS)}")
        self._stream = stream
        self._clock = clock
        self._threshold = LEVELS[level]
        self._lock = threading.Lock()

    def __call__(self, event: str, **fields: object) -> None:
        level = str(fields.pop("level", "error" if event.endswith("failed") else "info"))
        if LEVELS.get(level, LEVELS["error"]) < self._threshold:
            return
        moment = dt.datetime.fromtimestamp(self._clock.wire() / 1000, dt.UTC)
        record = {"time": moment.isoformat(timespec="milliseconds"), "level": level, "event": event, **redact(fields)}
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":"), default=repr)
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


class LibraryHandler(logging.Handler):
    """Carries what libraries say through ``logging`` into our log."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        trace = None if record.exc_info is None else logging.Formatter().formatException(record.exc_info)
        self._log("library", level=level, logger=record.name, message=record.getMessage(), trace=trace)
