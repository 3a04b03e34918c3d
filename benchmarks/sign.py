"""What RSA signatures cost: ours beside the raw ones and beside two real libraries, and creates through the sandbox.

All in one run, turn by turn, on one core: signing a request, reading a whole notification (parse, verify), and signed
creates answered per second, of which every one costs the platform a verification and a signature.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httptools
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks import machine
from benchmarks.payment import Plan
from benchmarks.process import sandbox
from benchmarks.report import Series, table
from tests.contract.harness import Script
from tests.protocol.bench import NOW, Pair, make_pair
from tongbao.kernel.money import Money
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi.codec import sign, verify
from tongbao.wire.contract import Credentials
from tongbao.wire.http import Request
from tongbao.wire.party import Party
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import CreateTrade, Notification, Presentation, Product, TradeState, TradeView

CALLERS: Final = 128
ALONE: Final = "sandbox on a core of its own"
PLACES: Final[dict[str, tuple[Sequence[int], Sequence[int]]]] = {
    ALONE: ((machine.OURS,), (machine.THEIRS,)),
    "as it runs, on all cores": (machine.CORES, machine.CORES),
}
"""Where sandbox and callers run."""


def _pair() -> Pair:
    pair = make_pair("alipay_openapi", "RSA2", "utf-8")
    return replace(pair, credentials=PROTOCOL.client.load({**pair.settings, "mode": "key"}))


def _order(number: str) -> CreateTrade:
    return CreateTrade(
        merchant="",
        out_trade_no=number,
        product=Product.INSTANT,
        subject="一件小东西, 黑色",
        amount=Money(1_234),
        presentation=Presentation.QR,
        notify_url="http://127.0.0.1:9/notify",
    )


def _notification(pair: Pair) -> Request:
    trade = TradeView(
        out_trade_no="T20260101000001",
        trade_no="2026010222001400000000000001",
        state=TradeState.PAID,
        product=Product.INSTANT,
        subject="一件小东西, 黑色",
        body="给客户的说明",
        amount=Money(1_234),
        seller=Party(pair.manifest.merchant_example, "seller@example.com"),
        buyer=Party("2088000000000099", "buyer@example.com"),
        created_at=NOW,
        paid_at=NOW,
        passback="a%3D1",
    )
    note = Notification(id="637b04133cbb1b5c5f1b3f3d2c9a8e70", at=NOW, trade=trade)
    return PROTOCOL.server.notify(note, "https://shop.example.com/notify", pair.ring, NOW)


def seconds(work: Callable[[], object], times: int) -> float:
    """Seconds of the processor that ``times`` calls take: others on the machine do not count."""
    work()
    start = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - start


def _libraries(pair: Pair) -> dict[str, Script]:
    """The two libraries, each with the application's key and the platform's."""
    own = pair.ring.sign[-1].material
    key = pair.credentials.ring.sign[0].material
    assert isinstance(own, RSAPrivateKey)
    assert isinstance(key, RSAPrivateKey)
    theirs, mine = public_pem(own.public_key()), private_pem(key)
    pkcs1 = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode("ascii")
    app = pair.manifest.merchant_example
    options = {"appid": app, "app_notify_url": None, "sign_type": "RSA2", "app_private_key_string": mine}
    return {
        "python-alipay-sdk": Script.python(
            "python-alipay-sdk",
            "python_alipay.py",
            gateway="http://127.0.0.1:9",
            options={**options, "alipay_public_key_string": theirs},
        ),
        "alipay-sdk-python": Script.python(
            "alipay-sdk-python",
            "alipay_official.py",
            options={"app_id": app, "app_private_key": pkcs1, "alipay_public_key": theirs},
        ),
    }


def on_signing(plan: Plan, say: Callable[[str], None]) -> str:
    """Signatures and notifications, turn by turn; then creates through the sandbox."""
    machine.pin(0, machine.OURS)
    pair = _pair()
    text = "app_id=2021000000000001&biz_content=" + "x" * 400
    raw, key = text.encode("ascii"), pair.credentials.ring.sign[0]
    message = _notification(pair)
    assert isinstance(key.material, RSAPrivateKey)
    private, scheme, digest = key.material, padding.PKCS1v15(), hashes.SHA256()
    # what the platform signs is what everybody verifies
    (check,) = pair.credentials.ring.verifying("RSA2")
    platform = pair.ring.sign[-1].material
    assert isinstance(platform, RSAPrivateKey)
    public, signature = platform.public_key(), platform.sign(raw, scheme, digest)
    written = base64.b64encode(signature).decode("ascii")
    works: dict[str, Callable[[], object]] = {
        "sign: raw": lambda: base64.b64encode(private.sign(raw, scheme, digest)),
        "sign: ours": lambda: sign(raw, key),
        "verify: raw": lambda: public.verify(base64.b64decode(written), raw, scheme, digest),
        "verify: ours": lambda: verify(raw, written, check),
        "notification: ours": lambda: PROTOCOL.client.decode_notification(message, pair.credentials, NOW),
    }
    figures = {name: Series() for name in works}
    libraries = _libraries(pair)
    try:
        for _ in range(plan.rounds * 3):
            for name, work in works.items():
                figures[name].add(seconds(work, plan.times) / plan.times * 1e6)
            for library, script in libraries.items():
                machine.pin(script.pid, machine.OURS)
                body = message.body.decode("ascii")
                for what, said in (
                    ("sign", {"text": text}),
                    ("verify", {"text": text, "signature": written}),
                    ("notification", {"body": body}),
                ):
                    spent = script.ask("measure", what=what, times=plan.times, **said)
                    figures.setdefault(f"{what}: {library}", Series()).add(spent / plan.times * 1e6)
    finally:
        for script in libraries.values():
            script.__exit__(None, None, None)
    say("signing: signatures are measured")
    return _report(figures, [_creates(plan, place) for place in PLACES])


@dataclass(frozen=True, slots=True)
class Creates:
    """Signed creates through the sandbox at one placement: answered a second, the platform's processor time for each
    (microseconds), and how long the callers waited (milliseconds)."""

    place: str
    rate: Series = field(default_factory=Series)
    spent: Series = field(default_factory=Series)
    half: Series = field(default_factory=Series)
    slowest: Series = field(default_factory=Series)


def _report(figures: dict[str, Series], creates: list[Creates]) -> str:
    rows = [[name, f"{one.median:.1f}", one.spread] for name, one in sorted(figures.items())]
    first = table("RSA2 signatures of 2,048 bits, microseconds of the processor each", ("", "median", "spread"), rows)
    best = min(figures[f"notification: {name}"].median for name in ("python-alipay-sdk", "alipay-sdk-python"))
    least = figures["sign: raw"].median + figures["verify: raw"].median
    ratios = [
        ["our signature, of the raw one's speed", f"{figures['sign: raw'].median / figures['sign: ours'].median:.2f}"],
        [
            "our verification, of the raw one's speed",
            f"{figures['verify: raw'].median / figures['verify: ours'].median:.2f}",
        ],
        ["our reading of a notification, times the best", f"{best / figures['notification: ours'].median:.1f}"],
    ]
    through = [
        [
            one.place,
            f"{one.rate.median:,.0f}",
            one.rate.spread,
            f"{one.rate.median * least / 1e6:.2f}" if one.place == ALONE else "",
            f"{one.spent.median:,.0f}",
            f"{one.half.median:.1f}",
            f"{one.slowest.median:.1f}",
        ]
        for one in creates
    ]
    head = ("", "a second", "spread", "of one core's sign + verify", "us each", "p50 ms", "p99 ms")
    title = f"Signed creates through the sandbox, {CALLERS} callers beside it"
    return "\n".join([first, table("Ratios", ("", ""), ratios), table(title, head, through)])


# --- creates -----------------------------------------------------------------------------------------------------


def _creates(plan: Plan, place: str) -> Creates:
    """``plan.rounds`` runs; requests are signed before the clock starts."""
    found = Creates(place)
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as folder, sandbox(Path(folder)) as said:
        # the sandbox is a child of this process, and goes where it goes
        machine.pin(0, *PLACES[place][1])
        machine.pin(said.pid, *PLACES[place][0])
        own = said.credentials["protocols"]["alipay_openapi"]
        names = {one.name for one in PROTOCOL.credentials}
        credentials = PROTOCOL.client.load({name: own[name] for name in own if name in names} | {"mode": "key"})
        host, port = own["base_url"].removeprefix("http://").split(":")
        for turn in range(plan.rounds):
            count = int(min(plan.seconds, 10) * 4_000)
            requests = [_written(credentials, f"B{turn}X{number}") for number in range(count)]
            before = machine.cpu_seconds(said.pid)
            waits, rate = asyncio.run(_drive(host, int(port), requests, min(plan.seconds, 10)))
            found.rate.add(rate)
            found.spent.add((machine.cpu_seconds(said.pid) - before) / len(waits) * 1e6)
            waits.sort()
            found.half.add(waits[len(waits) // 2] * 1e3)
            found.slowest.add(waits[len(waits) * 99 // 100] * 1e3)
    machine.pin(0, *machine.CORES)
    return found


def _written(credentials: Credentials, number: str) -> bytes:
    request = PROTOCOL.client.encode(_order(number), credentials, NOW).request()
    target = request.raw_path + b"?" + request.raw_query
    head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    return head % target + b"Content-Length: %d\r\n\r\n" % len(request.body) + request.body


class _Answer:
    """One answer, as far as it has come."""

    def __init__(self) -> None:
        self.body = b""
        self.done = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True


async def _drive(host: str, port: int, requests: list[bytes], seconds: float) -> tuple[list[float], float]:
    """How long each answer took in seconds, and how many came a second."""
    left = iter(requests)
    waits: list[float] = []
    until = time.perf_counter() + seconds

    async def caller() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for request in left:
            if time.perf_counter() >= until:
                break
            begun = time.perf_counter()
            writer.write(request)
            answer = _Answer()
            parser = httptools.HttpResponseParser(answer)
            while not answer.done:
                parser.feed_data(await reader.read(65_536))
            if b'"code":"10000"' not in answer.body:
                raise RuntimeError(answer.body.decode("utf-8", "replace")[:300])
            waits.append(time.perf_counter() - begun)
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*[caller() for _ in range(CALLERS)])
    return waits, len(waits) / (time.perf_counter() - start)
