"""What one seed is made of: sizes, and how often what goes wrong. Every number is drawn from the seed (swarm)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any, Final

PROFILES: Final = ("calm", "lossy", "crashy", "clocky", "greedy", "hostile", "mixed", "single")
"""``calm`` has no fault at all, ``single`` exactly one, ``mixed`` everything."""

FAULTS: Final = (
    "lose_request", "lose_answer", "twice", "slow", "before_commit", "after_commit", "busy", "crash", "shop_crash",
    "shop_error", "bank_slow", "lease", "bank_lies", "read_fails",
)  # fmt: skip
EVENTS: Final = ("kill", "pause", "zombie", "partition", "clock")


@dataclass(frozen=True, slots=True)
class Rates:
    """Probabilities. The first part is asked at each message or step, the second once in every ``beat``."""

    lose_request: float = 0.0
    lose_answer: float = 0.0
    twice: float = 0.0
    slow: float = 0.0
    before_commit: float = 0.0
    after_commit: float = 0.0
    busy: float = 0.0
    crash: float = 0.0
    shop_crash: float = 0.0
    shop_error: float = 0.0
    bank_slow: float = 0.0
    lease: float = 0.0
    bank_lies: float = 0.0
    read_fails: float = 0.0
    kill: float = 0.0
    pause: float = 0.0
    zombie: float = 0.0
    partition: float = 0.0
    clock: float = 0.0
    attack: float = 0.0
    change: float = 0.0
    stale: float = 0.0
    """These two strike where messages are signed both ways only: bytes that change on their way, answers of before."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One seed's world. ``once``: the fault that happens a single time, where the profile says so."""

    seed: int
    profile: str
    gateways: int
    workers: int
    shops: int
    buyers: int
    intents: int
    rates: Rates
    skew: int
    malicious: float
    once: str = ""
    sorrow: float = 0.0
    """How many of the intents are regretted: refunds and disputes follow."""


def draw_plan(seed: int, profile: str = "") -> Plan:
    """The world of a seed. ``profile`` '' draws it too."""
    random = Random(f"plan:{seed}")
    weights = (1, 4, 5, 2, 3, 4, 4, 2)
    drawn = random.choices(PROFILES, weights)[0]
    chosen = profile or drawn
    plan = Plan(
        seed=seed,
        profile=chosen,
        gateways=random.randint(1, 2),
        workers=random.randint(1, 2),
        shops=random.randint(1, 3),
        buyers=random.randint(2, 3),
        intents=random.randint(3, 10),
        rates=Rates(),
        skew=0,
        malicious=0.0,
    )
    after = Random(f"after:{seed}")
    return replace(plan, **_DRAWS[chosen](random), sorrow=after.choice((0.0, 0.0, 0.3, 0.8)))


def _lossy(random: Random) -> dict[str, Any]:
    rates = Rates(
        lose_request=random.uniform(0, 0.3),
        lose_answer=random.uniform(0, 0.3),
        twice=random.uniform(0, 0.5),
        slow=random.uniform(0, 0.2),
        bank_slow=random.uniform(0, 0.2),
        bank_lies=random.uniform(0, 0.3),
        partition=random.uniform(0, 0.2),
    )
    return {"rates": rates}


def _crashy(random: Random) -> dict[str, Any]:
    rates = Rates(
        lose_answer=random.uniform(0, 0.05),
        before_commit=random.uniform(0, 0.1),
        after_commit=random.uniform(0, 0.1),
        busy=random.uniform(0, 0.05),
        crash=random.uniform(0, 0.006),
        shop_crash=random.uniform(0, 0.06),
        shop_error=random.uniform(0, 0.05),
        kill=random.uniform(0, 0.3),
        pause=random.uniform(0, 0.2),
        zombie=random.uniform(0, 0.15),
        lease=random.uniform(0, 0.2),
        read_fails=random.uniform(0, 0.01),
    )
    return {"rates": rates}


def _clocky(random: Random) -> dict[str, Any]:
    rates = Rates(clock=random.uniform(0.05, 0.3), twice=0.05, kill=random.uniform(0, 0.05))
    return {"rates": rates, "skew": random.choice((0, 500, 2_000, 20_000))}


def _greedy(random: Random) -> dict[str, Any]:
    rates = Rates(twice=random.uniform(0.2, 0.6), busy=random.uniform(0, 0.2), lose_answer=random.uniform(0, 0.1))
    return {"rates": rates, "intents": random.randint(8, 14), "malicious": 0.1}


def _hostile(random: Random) -> dict[str, Any]:
    rates = Rates(attack=random.uniform(0.3, 1.0), twice=random.uniform(0, 0.2), lose_answer=random.uniform(0, 0.1))
    return {"rates": rates, "malicious": random.uniform(0.2, 0.6)}


def _mixed(random: Random) -> dict[str, Any]:
    parts = [_DRAWS[name](random)["rates"] for name in ("lossy", "crashy", "hostile")]
    rates = Rates(**{field.name: max(getattr(part, field.name) / 2 for part in parts) for field in fields(Rates)})
    return {"rates": rates, "malicious": 0.2, "skew": random.choice((0, 0, 2_000))}


def _single(random: Random) -> dict[str, Any]:
    return {"once": random.choice(FAULTS + EVENTS)}


_DRAWS: Final = {
    "calm": lambda random: {},
    "lossy": _lossy,
    "crashy": _crashy,
    "clocky": _clocky,
    "greedy": _greedy,
    "hostile": _hostile,
    "mixed": _mixed,
    "single": _single,
}


class Dice:
    """Says whether a fault strikes now. ``calm()`` ends all faults: the world heals."""

    def __init__(self, plan: Plan) -> None:
        self._rates = plan.rates
        self._once = plan.once
        self._countdown = Random(f"once:{plan.seed}").randint(1, 40 if plan.once in FAULTS else 4)
        self.random = Random(f"dice:{plan.seed}")
        self.on = False
        self.struck: dict[str, int] = {}

    def strikes(self, fault: str) -> bool:
        """Whether ``fault`` happens here and now."""
        if not self.on:
            return False
        if self._once:
            if self._once != fault:
                return False
            self._countdown -= 1
            hit = self._countdown == 0
        else:
            rate: float = getattr(self._rates, fault)
            hit = rate > 0 and self.random.random() < rate
        if hit:
            self.struck[fault] = self.struck.get(fault, 0) + 1
        return hit
