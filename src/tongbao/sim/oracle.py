"""What must be true in the end, asked from outside: the books, the buyers' money, the shops, the banks, the queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from tongbao.ledger.account import buyer_balance
from tongbao.service.audit import audit
from tongbao.sim.bank import BANK, CARD_MONEY, OUTCOMES, card_number
from tongbao.sim.buyer import FIRST_BALANCE, Intent, Wallet, buyer_id
from tongbao.sim.clerk import Sorrow
from tongbao.sim.platform import House
from tongbao.sim.replay import replay
from tongbao.sim.seller import Seller
from tongbao.sim.universe import Universe
from tongbao.web.bank.rule import card_account, platform_account
from tongbao.wire.bank import OUTLET

ORDER_PAID: Final = frozenset({"paid", "shipped", "finished"})
UNSURE: Final = ("unknown", "UNKNOWN", "FAILED", "SYSTEM")

_POSTINGS: Final = (
    "SELECT e.lane, e.seq, e.key, e.kind, p.debit, p.credit, p.amount FROM entry e"
    " JOIN posting p ON p.lane = e.lane AND p.seq = e.seq ORDER BY e.lane, e.seq, p.n"
)


class Oracle:
    """Asks everything once, when the world is at rest."""

    def __init__(
        self, universe: Universe, house: House, bank: Any, sellers: Sequence[Seller], wallet: Wallet, sorrow: Sorrow
    ) -> None:
        self.universe = universe
        self.sellers = sellers
        self.wallet = wallet
        self.sorrow = sorrow
        self._books = house.parts.books(universe, universe.ground)
        self._bank = bank
        self._trades: dict[tuple[str, str], tuple[str, int, str]] = {}
        self._payments: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Plain SQL over the platform's books."""
        return self._books.rows(statement)

    async def ask(self) -> None:
        """Everything; what is wrong goes to ``Universe.blame``."""
        for finding in await audit(self._books, self._now(), environment="sandbox"):
            self.universe.blame(f"{finding.id} {finding.says}: {finding.rows[:3]}")
        for merchant, number, state, amount, method in self.rows(
            "SELECT t.merchant_id, t.out_trade_no, t.state, t.amount, COALESCE(p.method, '') FROM trade t"
            " LEFT JOIN payment p ON p.merchant_id = t.merchant_id AND p.out_trade_no = t.out_trade_no AND p.counts"
        ):
            self._trades[merchant, number] = (state, amount, method)
        for merchant, number, state, method in self.rows(
            "SELECT merchant_id, out_trade_no, state, method FROM payment"
        ):
            self._payments.setdefault((merchant, number), []).append((state, method))
        self._ask_ledger()
        for intent in self.wallet.intents:
            self._ask_intent(intent)
        self._ask_refunds()
        self._ask_wallets()
        self._ask_banks()
        for seller in self.sellers:
            self._ask_shop(seller)
        self._ask_queues()

    def _now(self) -> Any:
        return self.universe.make_world(self.universe.ground).clock.business()

    # --- the ledger -----------------------------------------------------------------------------------------------

    def _ask_ledger(self) -> None:
        balances, wrong = replay(self.rows(_POSTINGS))
        for what in wrong:
            self.universe.blame(f"replay: {what}")
        for code, balance in self.rows("SELECT code, balance FROM account"):
            if balances.pop(code, 0) != balance:
                self.universe.blame(f"replay: {code} has {balance}")
        for code, balance in balances.items():
            if balance:
                self.universe.blame(f"replay: {code} should have {balance} and is not there")

    # --- the buyers -----------------------------------------------------------------------------------------------

    def _trade(self, intent: Intent) -> tuple[str, int, str]:
        return self._trades.get((intent.shop.merchant, intent.number), ("", 0, ""))

    def _ask_intent(self, intent: Intent) -> None:
        """Told yes: exactly one. Told no: none. Told nothing: at most one."""
        payments = self._payments.get((intent.shop.merchant, intent.number), [])
        captured = sum(state == "captured" for state, _ in payments)
        settled = sum(state in ("captured", "late", "returned") for state, _ in payments)
        told = intent.told
        what = f"intent {intent.number} ({intent.method}, told {told})"
        if captured > 1:
            self.universe.blame(f"M8 {what} was captured {captured} times")
        if "paid" in told and captured != 1:
            self.universe.blame(f"M8 {what} was told yes and has {captured} payments")
        if "bank succeeded" in told and settled < 1:
            self.universe.blame(f"M8 {what} paid at the bank and nothing came of it: {payments}")
        plan = self.universe.plan
        sure = self._single and not any(word in UNSURE or word == "bank unknown" for word in told)
        refused = sure and not any(word in ("paid", "bank succeeded", "bank accepted") for word in told)
        if refused and captured and (intent.method == "balance" or intent.asks == 0):
            self.universe.blame(f"M8 {what} was told no and was captured")
        served = bool(set(told) & {"paid", "INSUFFICIENT_FUNDS", "state closed"})
        if plan.profile == "calm" and intent.method == "balance" and intent.asks and not served:
            self.universe.blame(f"{what}: nothing went wrong and he could not pay")
        if captured and self._trade(intent)[1] != intent.asked:
            self.universe.blame(f"M8 {what} paid {self._trade(intent)[1]} instead of {intent.asked}")

    def _ask_refunds(self) -> None:
        """Told yes: exactly one, of that sum. Told no: none. Told nothing: at most one. Never more than was paid."""
        made: dict[tuple[str, str], list[tuple[str, int]]] = {}
        sums: Counter[tuple[str, str]] = Counter()
        for merchant, number, refund_no, state, amount in self.rows(
            "SELECT merchant_id, out_trade_no, refund_no, state, amount FROM refund"
        ):
            made.setdefault((merchant, refund_no), []).append((state, amount))
            if state != "failed":
                sums[merchant, number] += amount
        for wish in self.sorrow.wishes:
            found = made.get((wish.intent.shop.merchant, wish.number), [])
            what = f"refund {wish.number} over {wish.amount} (told {wish.told})"
            if len(found) > 1 or (found and found[0][1] != wish.amount):
                self.universe.blame(f"M8 {what} became {found}")
            if "done" in wish.told and not found:
                self.universe.blame(f"M8 {what} was told yes and is not there")
            if found and self._single and not set(wish.told) & {"done", "unknown", "SYSTEM"} and wish.told:
                self.universe.blame(f"M8 {what} was told no and became {found}")
        wanted = {(wish.intent.shop.merchant, wish.number) for wish in self.sorrow.wishes}
        for refund, found in made.items():
            if refund[1] and refund not in wanted:
                self.universe.blame(f"M8 nobody asked for refund {refund}: {found}")
        for trade, amount in sums.items():
            if amount > self._trades[trade][1]:
                self.universe.blame(f"I13 {trade} gave {amount} back and had {self._trades[trade][1]}")

    @property
    def _single(self) -> bool:
        """Whether no request is doubled: where the network does it, a no to the one says nothing of its twin."""
        plan = self.universe.plan
        return not plan.rates.twice and not plan.rates.attack and plan.once != "twice"

    def _came_back(self) -> Counter[str]:
        """What each buyer's balance, and each card, got back."""
        back: Counter[str] = Counter()
        intents = {(intent.shop.merchant, intent.number): intent for intent in self.wallet.intents}
        for merchant, number, state, method, back_to, amount in self.rows(
            "SELECT merchant_id, out_trade_no, state, method, back_to, amount FROM refund"
        ):
            intent = intents[merchant, number]
            if state == "failed":
                back[f"{intent.buyer}"] += amount if back_to == "buyer" else 0
            else:
                back[f"{intent.buyer}" if method == "balance" else intent.card] += amount
        return back

    def _ask_wallets(self) -> None:
        """Every buyer has what he had, less what counts (I31)."""
        account = dict(self.rows("SELECT code, balance FROM account"))
        cards = dict(self._bank.execute("SELECT code, balance FROM bank_account").fetchall())
        spent: Counter[str] = Counter()
        for intent in self.wallet.intents:
            _, amount, method = self._trade(intent)
            if method:
                spent[f"{intent.buyer}" if method == "balance" else intent.card if method != "outlet" else ""] += amount
        spent.subtract(self._came_back())
        for buyer in range(self.universe.plan.buyers):
            came = sum(top.amount for top in self.wallet.top_ups if top.buyer == buyer)
            has = account.get(buyer_balance(buyer_id(buyer), "CNY"), 0)
            due = FIRST_BALANCE + came - spent[f"{buyer}"]
            if has != due:
                self.universe.blame(f"M8 buyer {buyer} has {has} on his balance instead of {due}")
            for outcome in OUTCOMES:
                card = card_number(buyer, outcome)
                has, due = cards.get(card_account(card), 0), CARD_MONEY - spent[card]
                if has != due:
                    self.universe.blame(f"M8 card {card} ({outcome}) has {has} instead of {due}")
        if not all(top.told for top in self.wallet.top_ups):
            self.universe.blame("a top-up never got its answer")

    # --- banks and shops ------------------------------------------------------------------------------------------

    def _ask_banks(self) -> None:
        """The bank's book and the platform's accounts at the bank say the same (I45)."""
        ours: Counter[str] = Counter()
        for code, balance in self.rows("SELECT code, balance FROM account WHERE code LIKE 'bank:%'"):
            ours[code.split(":")[1]] -= balance
        theirs = dict(self._bank.execute("SELECT code, balance FROM bank_account").fetchall())
        for bank in (BANK, OUTLET):
            if ours[bank] != theirs.get(platform_account(bank), 0):
                self.universe.blame(f"I45 {bank} holds {theirs.get(platform_account(bank), 0)}, we say {ours[bank]}")
        if sum(theirs.values()):
            self.universe.blame("I45 the banks' book is not balanced")

    def _ask_shop(self, seller: Seller) -> None:
        """Orders are paid where trades are, for equal sums (I28), with one effect each (I25) and one mail."""
        found = seller.database.read(lambda transaction: transaction.rows("SELECT * FROM orders ORDER BY order_no"))
        parcels = Counter(
            row["order_no"] for row in seller.database.read(lambda t: t.rows("SELECT order_no FROM parcel"))
        )
        for order in found:
            number = str(order["order_no"])
            state, amount, method = self._trades.get((seller.shop.merchant, number), ("", 0, ""))
            should = bool(method) and amount == order["amount_minor"]
            paid = order["state"] in ORDER_PAID
            # who hears of a trade for the first time when all of it has gone back need not hear that it was paid
            if should != paid and not (should and state == "closed"):
                self.universe.blame(f"I28 order {number} is {order['state']}, its trade {state or 'nowhere'} {amount}")
            if parcels[number] != int(paid):
                self.universe.blame(f"I25 order {number} is {order['state']} and has {parcels[number]} effects")
            if paid and f"mail:{number}:paid" not in seller.mails:
                self.universe.blame(f"order {number} is paid and nobody got a mail")
        waiting = seller.database.read(lambda t: t.rows("SELECT job_key FROM payment_outbox WHERE state <> 'done'"))
        if waiting:
            self.universe.blame(f"{seller.shop.name} has unfinished jobs: {waiting}")

    def _ask_queues(self) -> None:
        """Nothing waits that should be done, and nothing counts as delivered that no shop took (I22)."""
        now = self._now()
        for merchant, number, seq, state, next_at in self.rows(
            "SELECT merchant_id, out_trade_no, seq, notify_state, next_at FROM event WHERE target <> ''"
        ):
            seller = next(one for one in self.sellers if one.shop.merchant == merchant)
            if state == "delivered" and number not in seller.accepted:
                self.universe.blame(f"I22 event {seq} of {number} counts as delivered and nobody took it")
            if state == "pending" and next_at < now - 900_000:
                self.universe.blame(f"event {seq} of {number} is still pending")
        for number, due_at in self.rows("SELECT out_trade_no, due_at FROM trade WHERE due_at IS NOT NULL"):
            if due_at < now - 1_800_000:
                self.universe.blame(f"S03 the clock has not acted on trade {number}")
        for number, state in self.rows(
            "SELECT instruction_no, state FROM instruction"
            " WHERE state NOT IN ('succeeded', 'failed') AND method <> 'outlet'"
        ):
            self.universe.blame(f"instruction {number} is still {state}")
        open_orders = self._bank.execute("SELECT instruction_no FROM bank_order WHERE state = 'accepted'").fetchall()
        if open_orders:
            self.universe.blame(f"the bank has not executed {open_orders}")
