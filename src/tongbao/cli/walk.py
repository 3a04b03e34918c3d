"""The scripted walks of the demonstration: a buyer goes all seven steps over real HTTP, page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tongbao.cli.browser import Browser, Page, PageSurprise
from tongbao.cli.host import Hosted
from tongbao.kernel.time import china_text
from tongbao.merchant.order import Order
from tongbao.sandbox.population import BUYERS
from tongbao.sandbox.story import tell_events
from tongbao.service.view import terms_of
from tongbao.shop.shop import Shop
from tongbao.trade.record import Trade

METHODS: Final = ("balance", "debit", "credit", "outlet")
GOOD: Final = 2
"""Which good of the shelf is bought: one that escrow makes sense for."""

RELEASE_DAYS: Final = 11
DAY_SECONDS: Final = 86_400


@dataclass
class Walk:
    """One order's way. ``wrong`` is '' when it ended as it should."""

    protocol: str
    product: str
    method: str
    flow: str = ""
    unreachable: str = ""
    """``query`` or ``resend``: the shop is down when notified, and this heals it."""
    disputed: bool = False
    """The walk ends with the goods on their way: the buyer will want his money back."""
    number: str = ""
    lines: list[str] = field(default_factory=list)
    wrong: str = ""

    @property
    def title(self) -> str:
        """What this walk is about."""
        extra = f", shop unreachable, healed by {self.unreachable}" if self.unreachable else ""
        extra += ", to be disputed" if self.disputed else ""
        flow = f" ({self.flow})" if self.flow else ""
        return f"{self.protocol} {self.product}{flow}, {self.method}{extra}"


class Walker:
    """Walks orders through one hosted sandbox and its shop; ``say`` gets each line of the story."""

    def __init__(self, hosted: Hosted, shop: Shop, say: Callable[[str], None]) -> None:
        self._hosted = hosted
        self._shop = shop
        self._say = say
        self._buyer = BUYERS[0]

    @property
    def _platform(self) -> Any:
        return self._hosted.sandbox.house.platform

    async def walk(self, walk: Walk) -> None:
        """One order from shelf to end; what surprises on the way is written into ``wrong``."""
        self._tell(walk, f"── {walk.title}")
        try:
            await self._walk(walk, Browser(self._hosted.world.send))
        except PageSurprise as surprise:
            walk.wrong = str(surprise)
        if walk.wrong:
            self._tell(walk, f"   WRONG: {walk.wrong}")

    def _tell(self, walk: Walk, line: str) -> None:
        walk.lines.append(line)
        self._say(line)

    async def _walk(self, walk: Walk, browser: Browser) -> None:
        cashier = await self._order(walk, browser)
        self._shop.reachable = not walk.unreachable
        try:
            result = await self._pay(walk, browser, cashier)
            await self._hosted.sandbox.house.worker.settle()
            if walk.unreachable:
                await self._heal(walk, result)
        finally:
            self._shop.reachable = True
        trade = await self._trade(walk)
        if walk.method != "outlet":
            await self._go_home(walk, browser, result)
        if trade.flow == "escrow":
            await self._finish_escrow(walk, browser, trade)
        await self._check(walk)

    async def _order(self, walk: Walk, browser: Browser) -> Page:
        """Steps 1 to 4: the order, in the shop's own database, and the signed request to the gateway."""
        shelf = await browser.open(f"{self._shop.address}/")
        forms = [form for form in shelf.forms if form.action.endswith("/cart")]
        cart = await browser.submit(forms[GOOD])
        if not any(form.action.endswith("/orders") for form in cart.forms):
            cart = await browser.open(f"{self._shop.address}/cart")
        form = cart.form("/orders")
        wish = {"email": "buyer@tongbao.example", "product": walk.product}
        if "protocol" in form.choices:
            wish["protocol"] = walk.protocol
        if "consignee" in form.fields:
            wish |= {"consignee": "王小明", "place": "杭州市西湖区龙井路 1 号"}
        confirm = await browser.submit(form, button=None, **wish)
        walk.number = confirm.url.rsplit("/orders/", 1)[-1].partition("/")[0]
        self._tell(walk, f"   1-2 the shop stored order {walk.number} before showing it")
        base = self._hosted.base_url
        pay = next(
            (form for form in confirm.forms if form.action.startswith((base, *self._hosted.faces.values()))), None
        )
        if pay is None:
            raise PageSurprise(f"{confirm.url}: no form to the gateway; it says: {confirm.text[:300]}")
        self._tell(walk, f"   3-4 {pay.method} {pay.action.partition('?')[0]} with {len(pay.fields)} signed fields")
        cashier = await browser.submit(pay)
        if "/cashier/" not in cashier.url:
            raise PageSurprise(f"the gateway answers {cashier.status}: {cashier.text[:300]}")
        return cashier

    async def _pay(self, walk: Walk, browser: Browser, cashier: Page) -> Page:
        """Steps 5 and 6: the cashier, the buyer's agreement, the bank."""
        base = cashier.url.partition("?")[0]
        flow = f"&flow={walk.flow}" if walk.flow else ""
        pane = {"balance": "balance", "outlet": "outlet"}.get(walk.method, "card")
        page = await browser.open(f"{base}?pay={pane}{flow}")
        self._tell(walk, f"   5   the cashier shows {walk.method}")
        if walk.method == "balance":
            page = await browser.submit(page.form("/login"), login=self._buyer.login, password=self._buyer.password)
            page = await browser.submit(page.form("/pay"), pay_password=self._buyer.pay_password)
            self._tell(walk, f"   6   {self._buyer.login} agreed with the pay password")
        elif walk.method == "outlet":
            page = await browser.submit(page.form("/outlet"), contact="13800138000")
            page = await self._take_cash(walk, browser, page)
        else:
            page = await self._pay_by_card(walk, browser, page)
        return page

    async def _pay_by_card(self, walk: Walk, browser: Browser, page: Page) -> Page:
        card = next(card for card in self._buyer.cards if card.kind == walk.method and card.outcome == "ok")
        page = await browser.submit(page.form("/bank"), contact="13800138000", kind=walk.method, bank=card.bank)
        if "/bank/" in page.url and page.refresh:
            page = await browser.open(page.refresh)
        self._tell(walk, f"   6   the bank's page: {page.url.partition('?')[0]}")
        page = await browser.submit(
            page.form("/pay"), button=("act", "pay"), number=card.number, password=card.password
        )
        if "/cashier/" not in page.url:
            page = await browser.open(page.refresh or page.link("/cashier/"))
        return page

    async def _take_cash(self, walk: Walk, browser: Browser, page: Page) -> Page:
        trade = await self._trade(walk)
        story = await self._platform.database.read(
            "instruction.of_trade", {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
        )
        orders = self._hosted.sandbox.house.bank
        asked = await orders.order_of(story[-1][0])
        if asked is None:
            raise PageSurprise("the outlets' operator was not told the cash code")
        code = asked.code
        shown = code in page.text.replace(" ", "") or code in page.text
        if not shown:
            raise PageSurprise(f"{page.url}: the cash code is not shown; it says: {page.text[:300]}")
        self._tell(walk, f"   6   the cashier gave cash code {code}; hours later, at a counter:")
        counter = await browser.open(f"{self._hosted.base_url}/bank/OUTLET/counter")
        looked = await browser.submit(counter.form("counter"), button=("act", "look"), code=code)
        await browser.submit(looked.form("counter"), button=("act", "take"), code=code)
        return page

    async def _go_home(self, walk: Walk, browser: Browser, page: Page) -> None:
        """Step 7, one half: the browser returns to the shop, which marks nothing by it."""
        base = page.url.partition("?")[0].rsplit("/result", 1)[0]
        page = await browser.open(f"{base}/home")
        if not page.url.startswith(self._shop.address):
            posts = [form for form in page.forms if form.action.startswith(self._shop.address)]
            page = await browser.submit(posts[0]) if posts else await browser.open(page.link(self._shop.address))
        self._tell(walk, f"   7a  the browser returned: {page.url.partition('?')[0]}")

    async def _heal(self, walk: Walk, page: Page) -> None:
        order = await self._order_row(walk)
        trade = await self._trade(walk)
        told = (await tell_events(self._platform, trade))[-1]
        self._tell(
            walk,
            f"   7b  the shop is down: order {order.state}, {len(told['attempts'])} attempt, next at {told['next_at']}",
        )
        if order.is_paid:
            raise PageSurprise("the order was paid without evidence")
        self._shop.reachable = True
        if walk.unreachable == "query":
            await self._shop.receiver.confirm_by_query(walk.number)
            self._tell(walk, "       the shop is back and asks by a signed query")
        else:
            await self._hosted.sandbox.advance(300)
            self._tell(walk, "       five minutes later the platform sends again")

    async def _finish_escrow(self, walk: Walk, browser: Browser, trade: Trade) -> None:
        """The shop ships; the buyer confirms, or the clock releases."""
        desk = await browser.open(f"{self._shop.address}/desk/orders/{walk.number}")
        shipped = await browser.submit(desk.form("/ship"))
        if (await self._trade(walk)).state != "shipped":
            raise PageSurprise(f"shipping did not work: {shipped.text[:400]}")
        await self._hosted.sandbox.house.worker.settle()
        if walk.disputed:
            self._tell(walk, "   8   shipped; the buyer is not content")
        elif walk.method == "balance":
            page = await browser.open(f"{self._hosted.base_url}/account/trades/{trade.trade_no}")
            await browser.submit(page.form("/account/trades/"), pay_password=self._buyer.pay_password)
            await self._hosted.sandbox.house.worker.settle()
            self._tell(walk, "   8   shipped; the buyer confirmed receipt; the money was released")
        else:
            await self._hosted.sandbox.advance(RELEASE_DAYS * DAY_SECONDS)
            self._tell(walk, f"   8   shipped; after {RELEASE_DAYS} days the clock released the money")

    async def _trade(self, walk: Walk) -> Trade:
        party = self._hosted.state.parties[walk.protocol]
        trade: Trade = await self._platform.find_trade(party.merchant_id, walk.number)
        return trade

    async def _order_row(self, walk: Walk) -> Order:
        order = await self._shop.run(lambda transaction: self._shop.book.find(transaction, walk.number))
        if order is None:
            raise PageSurprise(f"the shop has no order {walk.number}")
        return order

    async def _check(self, walk: Walk) -> None:
        """The end: both sides agree, by evidence, and the notification was acknowledged."""
        await self._hosted.sandbox.house.worker.settle()
        trade, order = await self._trade(walk), await self._order_row(walk)
        wanted = "shipped" if walk.disputed else "finished" if trade.flow == "escrow" else "paid"
        told = [event for event in await tell_events(self._platform, trade) if event["target"]]
        entered = {"escrow": ["escrowed", "shipped", "finished"], "instant": ["paid"]}[trade.flow]
        entered = entered[:2] if walk.disputed else entered
        listed = self._platform.protocol(trade.protocol).notifies
        due = [to for to in ("unpaid", *entered) if (trade.product, to) in listed]
        open_events = [event["to"] for event in told if event["notify_state"] != "delivered"]
        evidence = "QUERY" if walk.unreachable == "query" else "NOTIFY"
        problems = []
        if trade.state not in (wanted, "finished"):
            problems.append(f"the trade is {trade.state}, not {wanted}")
        if not order.is_paid or order.evidence is None:
            problems.append(f"the order is {order.state}")
        elif walk.unreachable == "query" and str(order.evidence) != evidence:
            problems.append(f"the evidence is {order.evidence}, not {evidence}")
        if (order.amount.minor, order.amount.currency) != (trade.amount, trade.currency):
            problems.append("the sums differ")
        if [event["to"] for event in told] != due:
            problems.append(f"notified {[event['to'] for event in told]}, not {due}")
        if open_events and not walk.unreachable:
            problems.append(f"notifications are open: {', '.join(open_events)}")
        mails = [kept for kept in self._hosted.sandbox.mailbox.mails() if walk.number in kept.mail.text]
        if len(mails) != 1:
            problems.append(f"the buyer got {len(mails)} mails")
        for event in told:
            tries = ", ".join(attempt["class"] for attempt in event["attempts"])
            self._tell(walk, f"   7b  notified {event['to']}: {tries or 'not yet'}")
        paid = china_text(trade.paid_at) if trade.paid_at else "never"
        self._tell(
            walk,
            f"   end trade {trade.trade_no} {trade.state}, order {order.state} by {order.evidence}, paid {paid}, "
            f"{terms_of(trade).subject} {order.amount.text()}, fee {trade.fee}",
        )
        walk.wrong = "; ".join(problems)
