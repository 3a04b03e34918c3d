"""The load generator: a process of its own, so many callers at once over kept connections, nothing spared in it.

Reads one job as JSON from standard input and writes what it measured as JSON. Signatures are made before the clock
starts. Every answer's status is checked; an answer that is not the expected one ends the run.
"""

from __future__ import annotations

import array
import asyncio
import gc
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from benchmarks import house

HEAD: Final = (
    b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Shop/1.0\r\nAccept: text/html\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Job:
    """``kind``: ``create``, ``pay`` or ``nothing``. Numbers 0 to ``count`` are used once each; ``merchants`` 1 is the
    hot one."""

    kind: str
    host: str
    port: int
    prefix: str
    merchants: int
    count: int
    seconds: float
    callers: int
    notify_port: int


class Creates:
    """Signed create requests, twelve fields and the signature; signed beforehand. A job of ``nothing`` sends the same
    where nobody reads them."""

    expected = b"HTTP/1.1 302 "

    def __init__(self, job: Job) -> None:
        self.path = b"/bench/nothing" if job.kind == "nothing" else b"/alipay_mapi/gateway.do"
        self.prefix = job.prefix.encode("ascii")
        self.merchants = job.merchants
        self.parts = [self._parts(number, job) for number in range(job.merchants)]
        secret = house.SECRET.encode()
        md5 = hashlib.md5
        self.signs = [
            md5(b"%b%b%08d%b%b" % (head, self.prefix, number, tail, secret)).hexdigest().encode()
            for number in range(job.count)
            for head, tail, _, _ in (self.parts[number % job.merchants],)
        ]

    def _parts(self, number: int, job: Job) -> tuple[bytes, bytes, bytes, bytes]:
        own = house.merchant_id(number)
        fields = {
            "_input_charset": "utf-8",
            "body": "一件小东西, 黑色",
            "notify_url": house.notify_url(number, job.notify_port),
            "out_trade_no": "\x00",
            "partner": own,
            "payment_type": "1",
            "return_url": "http://127.0.0.1:9/return",
            "seller_id": own,
            "service": "create_direct_pay_by_user",
            "show_url": "http://127.0.0.1:9/goods/1",
            "subject": "测试商品",
            "total_fee": f"{house.AMOUNT // 100}.{house.AMOUNT % 100:02d}",
        }
        text = "&".join(f"{name}={value}" for name, value in sorted(fields.items())).encode()
        head, _, tail = text.partition(b"\x00")
        from_form = "&".join(f"{name}={_quote(value)}" for name, value in fields.items()).encode("ascii")
        start, _, rest = from_form.partition(b"%00")
        size = len(start) + len(job.prefix) + 8 + len(rest) + len("&sign=&sign_type=MD5") + 32
        return (
            head,
            tail,
            HEAD % (self.path, size) + start + self.prefix,
            rest + b"&sign_type=MD5&sign=",
        )

    def make(self, number: int) -> bytes:
        _, _, start, rest = self.parts[number % self.merchants]
        return b"%b%08d%b%b" % (start, number, rest, self.signs[number])


class Pays:
    """One payment each from a balance: the words that the endpoint of ``benchmarks.server`` reads."""

    expected = b"HTTP/1.1 200 "

    def __init__(self, job: Job) -> None:
        self.prefix = job.prefix
        self.merchants = job.merchants

    def make(self, number: int) -> bytes:
        merchant, buyer = house.merchant_id(number % self.merchants), house.buyer_id(number % house.BUYERS)
        body = f"{merchant} {self.prefix}{number:08d} {buyer}".encode("ascii")
        return HEAD % (b"/bench/pay", len(body)) + body


def _quote(value: str) -> str:
    return "".join(chr(c) if (chr(c).isalnum() and c < 128) or c in b"-_." else f"%{c:02X}" for c in value.encode())


class Run:
    """Shared by all callers of one run."""

    def __init__(self, job: Job, made: Creates | Pays) -> None:
        self.job = job
        self.make = made.make
        self.expected = made.expected
        self.next = 0
        self.live = 0
        self.until = 0.0
        self.spent = array.array("d")
        self.done = asyncio.get_running_loop().create_future()

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


class Caller(asyncio.Protocol):
    """One caller: the next request goes out when the last answer is in."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.sent = 0.0
        self.got = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def go(self) -> None:
        run = self.run
        now = time.perf_counter()
        if now >= run.until or run.next >= run.job.count:
            run.live -= 1
            if not run.live and not run.done.done():
                run.done.set_result(now)
            return
        number = run.next
        run.next = number + 1
        self.sent = now
        self.transport.write(run.make(number))

    def data_received(self, data: bytes) -> None:
        if self.got:
            data = self.got = self.got + data
        if not data.endswith(b"\r\n\r\n"):
            self.got = data
            if b"\r\n\r\n" in data:
                self.run.fail(f"answered with a body: {data[:400]!r}")
            return
        self.got = b""
        if not data.startswith(self.run.expected):
            self.run.fail(f"answered {data[:400]!r}")
            return
        self.run.spent.append(time.perf_counter() - self.sent)
        self.go()

    def connection_lost(self, error: Exception | None) -> None:
        self.run.fail(f"the connection was closed: {error}")


async def measure(job: Job) -> dict[str, object]:
    """Carry out one job. Rates are answers a second from the first request to the last answer."""
    made = Pays(job) if job.kind == "pay" else Creates(job)
    run = Run(job, made)
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: Caller(run), job.host, job.port) for _ in range(job.callers)]
    gc.collect()
    gc.freeze()
    gc.disable()
    cpu, begun = time.process_time(), time.perf_counter()
    run.until, run.live = begun + job.seconds, job.callers
    for _, caller in opened:
        caller.go()
    ended = await run.done
    spent = sorted(run.spent)
    return {
        "answers": len(spent),
        "numbers": run.next,
        "seconds": ended - begun,
        "rate": len(spent) / (ended - begun),
        "p50": spent[len(spent) // 2] * 1000,
        "p99": spent[len(spent) * 99 // 100] * 1000,
        "worst": spent[-1] * 1000,
        "cpu": time.process_time() - cpu,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(Job(**json.load(sys.stdin))))))
