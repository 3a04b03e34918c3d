"""Buyers: each intent is to pay one order once. What a buyer is told is kept, and held against what became of it (M8).

Impatient buyers click twice, forgetful ones never come back, malicious ones change sums and replay the way home.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tongbao.sim.bank import BANK, OUTCOMES, card_number, card_password
from tongbao.sim.loop import Life, pause
from tongbao.sim.platform import BANK_HOST, BASE
from tongbao.sim.seller import Shop, read_request
from tongbao.sim.universe import Universe
from tongbao.wire.http import Request, Response, post
from tongbao.wire.world import CALL_LIMITS, NoAnswer, NotSent

PASSWORD: Final = "741852"
FIRST_BALANCE: Final = 100_000
FORGED: Final = (b"X-Sim-Forged", b"by the buyer")


def buyer_id(number: int) -> str:
    """The platform's number of a buyer."""
    return f"20880000000009{number:02d}"


@dataclass
class Intent:
    """What one buyer wants, and what he was told. ``told``: words of the cashier and the banks, in order."""

    number: str
    buyer: int
    shop: Shop
    amount: int
    product: str
    method: str
    card: str
    expiry: int
    malicious: bool
    asked: int
    told: list[str] = field(default_factory=list)
    asks: int = 0
    """Requests to pay that were sent, answered or not."""


@dataclass
class TopUp:
    """Money a buyer sends to his balance, once under one key."""

    key: str
    buyer: int
    amount: int
    told: bool = False


@dataclass
class Wallet:
    """Everything the buyers want."""

    intents: list[Intent] = field(default_factory=list)
    top_ups: list[TopUp] = field(default_factory=list)


class Buyer:
    """One buyer's browser. It has no crash: it is the oracle's own memory."""

    def __init__(self, universe: Universe, life: Life, random: Random) -> None:
        self.universe = universe
        self.life = life
        self.random = random

    async def call(self, request: Request) -> Response | None:
        """One exchange; None where no answer came."""
        try:
            return await self.universe.network.send(self.life, request, CALL_LIMITS)
        except (NotSent, NoAnswer):
            return None

    async def form(self, url: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """POST JSON; (0, {}) where no answer came."""
        response = await self.call(post(url, json.dumps(fields).encode(), "application/json"))
        if response is None or response.status >= 500:
            return 0, {}
        try:
            return response.status, json.loads(response.body)
        except ValueError:
            return response.status, {}

    # --- paying ---------------------------------------------------------------------------------------------------

    async def pursue(self, intent: Intent) -> None:
        """From the order to the way home."""
        await pause(self.random.uniform(0, 240))
        if self.random.random() < 0.1:
            await pause(self.random.uniform(0, 3600))
        await self.buy(intent)

    async def buy(self, intent: Intent) -> None:
        """The same, at once."""
        word = await self._reach(intent)
        if not word:
            intent.told.append("not opened")
            return
        if self.random.random() < 0.08:
            return
        twice = self.random.random() < 0.3
        tasks = [self._spawn(self._pay(intent, word)) for _ in range(2 if twice else 1)]
        for task in tasks:
            await task
        await self._go_home(intent, word)
        if intent.product == "escrow" and self.random.random() < 0.6:
            await pause(self.random.uniform(60, 3600))
            said = {"buyer": buyer_id(intent.buyer), "password": PASSWORD}
            await self.form(f"{BASE}/cashier/{word}/confirm", **said)

    async def _reach(self, intent: Intent) -> str:
        """From the shop to the cashier; its word, or ''."""
        carried = await self._order(intent)
        return await self._open(intent, carried) if carried else ""

    def _spawn(self, coroutine: Any) -> Any:
        return self.universe.spawn(self.life, coroutine)

    async def _order(self, intent: Intent) -> Request | None:
        answer = await self._ask_shop(intent)
        return read_request(answer) if answer else None

    async def _ask_shop(self, intent: Intent) -> dict[str, Any]:
        """What the shop answers to the order; {} where it does not."""
        said = {
            "order": intent.number,
            "amount": intent.amount,
            "asked": intent.asked,
            "product": intent.product,
            "expiry": intent.expiry,
        }
        for _ in range(3):
            status, answer = await self.form(f"http://{intent.shop.host}/buy", **said)
            if status == 200:
                return answer
            await pause(self.random.uniform(1, 20))
        return {}

    async def _open(self, intent: Intent, request: Request) -> str:
        """Carry the signed request to the gateway; the cashier's word, or ''."""
        if intent.malicious:
            forged = change_amount(request, intent.asked)
            response = await self.call(forged)
            if response is not None and response.status in (301, 302, 303):
                self.universe.blame(f"a request with a changed sum was taken for {intent.number}")
        for _ in range(3):
            response = await self.call(request)
            if response is not None and response.status == 302:
                where = response.header("location") or ""
                return where.rsplit("/", 1)[1]
            if response is not None and response.status < 500:
                self.universe.note("refused", intent.number, response.status)
                return ""
            await pause(self.random.uniform(1, 20))
        return ""

    async def _pay(self, intent: Intent, word: str) -> None:
        if intent.method == "balance":
            await self._pay_from_balance(intent, word)
        else:
            await self._pay_at_bank(intent, word)

    async def _pay_from_balance(self, intent: Intent, word: str) -> None:
        said = {"buyer": buyer_id(intent.buyer), "password": PASSWORD}
        for _ in range(3):
            intent.asks += 1
            status, answer = await self.form(f"{BASE}/cashier/{word}/pay", **said)
            code = "paid" if status == 200 else answer.get("code", "unknown")
            if code == "TRADE_NOT_PAYABLE":
                code = await self._look(intent, word)
            self._tell(intent, code)
            if code != "unknown":
                return
            await pause(self.random.uniform(1, 30))

    async def _look(self, intent: Intent, word: str) -> str:
        """Not payable may mean paid: the cashier's page says which."""
        for _ in range(3):
            said = {"buyer": buyer_id(intent.buyer)}
            status, answer = await self.form(f"{BASE}/cashier/{word}/state", **said)
            if status == 200:
                return "paid" if answer["mine"] else f"state {answer['state']}"
            await pause(self.random.uniform(1, 30))
        return "unknown"

    async def _pay_at_bank(self, intent: Intent, word: str) -> None:
        said = {
            "buyer": buyer_id(intent.buyer),
            "method": intent.method,
            "bank": "" if intent.method == "outlet" else BANK,
            "form": f"form {intent.number}",
        }
        for _ in range(3):
            intent.asks += 1
            status, answer = await self.form(f"{BASE}/cashier/{word}/start", **said)
            if status == 200:
                break
            self._tell(intent, answer.get("code", "unknown"))
            if status:
                return
            await pause(self.random.uniform(1, 30))
        else:
            return
        if self.random.random() < 0.08:
            return
        await pause(self.random.uniform(1, 120))
        if intent.method == "outlet":
            await pause(self.random.uniform(0, 7200))
            url, fields = f"http://{BANK_HOST}/OUTLET/cash", {"code": answer["code"]}
        else:
            url, fields = answer["url"], {"card": intent.card, "password": card_password(intent.card)}
        for _ in range(3):
            status, answer = await self.form(url, **fields)
            self._tell(intent, f"bank {answer.get('state', answer.get('code', 'unknown'))}")
            if status:
                return
            await pause(self.random.uniform(1, 30))

    def _tell(self, intent: Intent, word: str) -> None:
        self.universe.note("told", intent.number, word)
        intent.told.append(word)

    async def _go_home(self, intent: Intent, word: str) -> None:
        status, answer = await self.form(f"{BASE}/cashier/{word}/home", buyer=buyer_id(intent.buyer))
        if status != 200:
            return
        home = read_request(answer)
        for _ in range(3 if intent.malicious else 1):
            await self.call(home)
            await pause(self.random.uniform(0, 100))

    # --- money in -------------------------------------------------------------------------------------------------

    async def top_up(self, top_up: TopUp) -> None:
        """Send money to the balance, and repeat under the same key until the answer is known."""
        await pause(self.random.uniform(0, 300))
        while not top_up.told:
            key = self.key_for(top_up)
            said = {"buyer": buyer_id(top_up.buyer), "amount": top_up.amount, "bank": BANK, "key": key}
            status, answer = await self.form(f"{BASE}/cashier/topup", **said)
            if status == 200 or answer.get("code") == "ALREADY_EXISTS":
                top_up.told = True
                self.universe.note("topped up", top_up.key, status)
                return
            await pause(self.random.uniform(5, 60))

    def key_for(self, top_up: TopUp) -> str:
        """The key under which a top-up is asked for: always the same."""
        return top_up.key


def change_amount(request: Request, amount: int) -> Request:
    """The same request for a hundredth of the sum, marked so that an acceptance is noticed."""
    old, new = f"{amount // 100}.{amount % 100:02d}".encode(), f"{amount // 10_000}.{amount // 100 % 100:02d}".encode()
    new = b"0.01" if new in (b"0.00", old) else new
    return Request(
        request.method,
        request.scheme,
        request.host,
        request.raw_path,
        request.raw_query.replace(b"=" + old, b"=" + new),
        (*request.headers, FORGED),
        request.body.replace(b"=" + old, b"=" + new),
    )


def draw_wallet(universe: Universe, shops: list[Shop]) -> Wallet:
    """What everybody will want, drawn from the seed."""
    plan, random = universe.plan, Random(f"wallet:{universe.plan.seed}")
    wallet = Wallet()
    for number in range(plan.intents):
        shop, buyer = random.choice(shops), random.randrange(plan.buyers)
        product = "instant" if shop.protocol == "yeepay" else random.choice(("instant", "escrow"))
        method = random.choice(("balance", "balance", "debit", "debit", "outlet"))
        amount = random.choice((random.randint(100, 5_000), random.randint(100, 60_000)))
        malicious = random.random() < plan.malicious
        expiry = (
            random.choice((0, 3_600, 3_600, 7_200, 12 * 3_600))
            if method == "balance"
            else random.choice((3_600, 7_200, 12 * 3_600))
        )
        wallet.intents.append(
            Intent(
                number=f"N{plan.seed % 100_000:05d}A{number:02d}",
                buyer=buyer,
                shop=shop,
                amount=amount,
                product=product,
                method=method,
                card=card_number(buyer, random.choice(OUTCOMES)),
                expiry=expiry,
                malicious=malicious,
                asked=max(amount // 2, 100) if malicious and random.random() < 0.4 else amount,
            )
        )
    for number in range(random.randint(0, 3)):
        wallet.top_ups.append(TopUp(f"top {number}", random.randrange(plan.buyers), random.randint(1, 50_000)))
    return wallet
