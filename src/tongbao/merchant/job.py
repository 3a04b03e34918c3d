"""The merchant's outbox worker: runs the jobs that acceptances left, at least once each, under their stable keys.

A job is claimed (one transaction), run (outside any), and finished (another). A worker that dies in between lets the
claim lapse, and the job runs again; the key is how a handler can tell.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.port import Clock
from tongbao.kernel.time import HOUR, MINUTE, SECOND, Instant, later
from tongbao.merchant.database import Database, Transaction
from tongbao.merchant.exchange import Act, Core, Send, Work, drive, drive_async
from tongbao.merchant.order import Job
from tongbao.merchant.system import SystemClock
from tongbao.wire.http import Response

LEASE_MS: Final = 2 * MINUTE
"""How long a claimed job is left to its worker."""

POISON_TRIES: Final = 3
"""A job whose handler breaks (anything but OSError) so often is put aside (F34)."""

TRIES: Final = 12
"""A job whose other side is out of reach (OSError) so often is put aside: about a day with the back-off."""

_DUE = (
    "SELECT job_key, kind, order_no, data, attempts FROM payment_outbox"
    " WHERE state = 'waiting' AND next_at <= :now ORDER BY next_at, job_key"
)
_CLAIM = "UPDATE payment_outbox SET attempts = attempts + 1, next_at = :lease WHERE job_key = :job_key"
_DONE = "UPDATE payment_outbox SET state = 'done', done_at = :now, error = '' WHERE job_key = :job_key"
_AGAIN = "UPDATE payment_outbox SET next_at = :next_at, error = :error WHERE job_key = :job_key AND state = 'waiting'"
_ASIDE = (
    "UPDATE payment_outbox SET state = 'quarantined', error = :error WHERE job_key = :job_key AND state = 'waiting'"
)
_RELEASE = (
    "UPDATE payment_outbox SET state = 'waiting', attempts = 0, next_at = :now"
    " WHERE job_key = :job_key AND state = 'quarantined'"
)

Handler = Callable[[Job], Any]


@dataclass(frozen=True, slots=True)
class JobReport:
    """What one round did, in numbers of jobs."""

    done: int = 0
    postponed: int = 0
    quarantined: int = 0


def back_off(attempt: int) -> int:
    """Milliseconds to wait after the ``attempt``-th try: 10 s, doubled each time, at most 6 hours."""
    return int(min(10 * SECOND * 2 ** (attempt - 1), 6 * HOUR))


def _claim(transaction: Transaction, now: Instant, limit: int) -> list[Job]:
    jobs = []
    for row in transaction.rows(f"{_DUE} LIMIT {int(limit)}{transaction.skip_locked}", {"now": now}):
        transaction.execute(_CLAIM, {"job_key": row["job_key"], "lease": later(now, LEASE_MS)})
        data = {str(name): str(value) for name, value in json.loads(row["data"]).items()}
        jobs.append(
            Job(key=row["job_key"], kind=row["kind"], order_no=row["order_no"], data=data, attempt=row["attempts"] + 1)
        )
    return jobs


def _round(database: Database, handlers: Mapping[str, Handler], clock: Clock, limit: int) -> Core[JobReport]:
    now = clock.business()
    jobs: list[Job] = yield Work(lambda: database.run(lambda transaction: _claim(transaction, now, limit)))
    done = postponed = quarantined = 0
    for job in jobs:
        statement, values = yield from _run(job, handlers, clock)
        yield _finish(database, statement, values)
        done += statement == _DONE
        postponed += statement == _AGAIN
        quarantined += statement == _ASIDE
    return JobReport(done, postponed, quarantined)


def _run(job: Job, handlers: Mapping[str, Handler], clock: Clock) -> Core[tuple[str, dict[str, object]]]:
    handler = handlers.get(job.kind)
    if handler is None:
        return _ASIDE, {"job_key": job.key, "error": f"no handler for {job.kind}"[:256]}
    if job.attempt > TRIES:
        return _ASIDE, {"job_key": job.key, "error": "the worker died too often while running it"}
    try:
        yield Act(handler, job)
    except Exception as error:  # noqa: BLE001 - one job's failure must not stop the queue behind it (F34)
        word = type(error).__name__
        if job.attempt >= (TRIES if isinstance(error, OSError) else POISON_TRIES):
            return _ASIDE, {"job_key": job.key, "error": word}
        next_at = later(clock.business(), back_off(job.attempt))
        return _AGAIN, {"job_key": job.key, "error": word, "next_at": next_at}
    return _DONE, {"job_key": job.key, "now": clock.business()}


def _finish(database: Database, statement: str, values: dict[str, object]) -> Work:
    return Work(lambda: database.run(lambda transaction: transaction.execute(statement, values)))


def _no_network(effect: Send) -> Response:
    raise LocalProtocolError("", "the outbox sends nothing itself")


async def _no_network_async(effect: Send) -> Response:
    raise LocalProtocolError("", "the outbox sends nothing itself")


def run_jobs(
    database: Database, handlers: Mapping[str, Handler], *, clock: Clock | None = None, limit: int = 50
) -> JobReport:
    """One round: claim due jobs, run each by the handler of its kind, finish them. Call it again and again."""
    return drive(_round(database, handlers, clock or SystemClock(), limit), _no_network)


async def run_jobs_async(
    database: Database,
    handlers: Mapping[str, Handler],
    *,
    clock: Clock | None = None,
    limit: int = 50,
    compute: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread,
) -> JobReport:
    """The same; handlers may be coroutine functions, and transactions run in ``compute``."""
    return await drive_async(_round(database, handlers, clock or SystemClock(), limit), _no_network_async, compute)


def release_job(database: Database, key: str, *, clock: Clock | None = None) -> bool:
    """Give a quarantined job new tries, once its cause is mended."""
    now = (clock or SystemClock()).business()
    return database.run(lambda transaction: transaction.execute(_RELEASE, {"job_key": key, "now": now})) == 1
