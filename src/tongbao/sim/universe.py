"""What all parts of one simulated world share: loop, dice, trace, network, and the processes with their lives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tongbao.kernel.time import Instant
from tongbao.sim.chance import SeededBytes, VirtualClock
from tongbao.sim.disk import Book, Disk
from tongbao.sim.loop import Life, SimLoop, pause
from tongbao.sim.network import Network
from tongbao.sim.profile import Dice, Plan
from tongbao.sim.trace import Trace
from tongbao.wire.asgi import Application
from tongbao.wire.world import Mail, World

STEPS_MAX: Final = 150_000
"""Scheduler steps one seed may take; a run needs a few ten thousand."""

IDLE_SECONDS: Final = 20.0
"""How long a worker sleeps at most when nothing is due."""

REST_SECONDS: Final = 900.0
"""The same in the long quiet after the faults."""

PATIENCE: Final = 30.0
"""How long a worker waits at most for what another one holds."""

EXPECTED: Final = ("ConnectionLost", "Conflict", "Stopped", "Fenced", "OutcomeUnknown", "CommitUnknown")
"""Errors of the database's making that a log may name while faults are on."""

FENCED: Final = ("Stopped", "Fenced")
"""What a process also hears whose predecessor, taken for dead, wakes and takes the lane back."""

LOUD: Final = frozenset({"face.failed", "face.speechless", "notice.failed", "worker.failed", "till.failed"})
"""Log events that say that something broke."""


class Crash(BaseException):
    """A process dies in the middle of a synchronous function."""


class Process:
    """A simulated process: ``boot`` brings one life of it up from its database and returns what it serves."""

    def __init__(
        self, universe: Universe, name: str, boot: Callable[[Life], Awaitable[Application | None]], host: str = ""
    ) -> None:
        self._universe = universe
        self._boot = boot
        self.name = name
        self.host = host
        self.number = 0
        self.offset = 0
        self.life: Life | None = None
        self.app: Application | None = None

    @property
    def is_up(self) -> bool:
        return self.life is not None and not self.life.dead and self.app is not None

    def start(self) -> None:
        """A new life, in a task of its own."""
        self.number += 1
        self.app = None
        self.life = Life(self.name, self.number, self.offset)
        self._universe.note("start", self.life)
        self._universe.spawn(self.life, self._bring_up(self.life))

    async def _bring_up(self, life: Life) -> None:
        app = await self._boot(life)
        if self.life is life:
            self.app = app

    def crash(self, restart: float | None) -> None:
        """Die here and now: tasks are dropped, files are closed, memory is gone. Rises again after ``restart``."""
        life = self.life
        if life is None or life.dead:
            return
        self._universe.note("crash", life)
        kill(life)
        self.app = None
        if restart is not None:
            self._universe.later(restart, self._rise, life)

    def _rise(self, gone: Life) -> None:
        if self.life is gone:
            self.start()

    def freeze(self, seconds: float) -> None:
        """Stand still for a while, as a stopped or starved process does."""
        life = self.life
        if life is None or life.dead or life.paused:
            return
        self._universe.note("pause", life, f"{seconds:.1f}")
        life.paused = True
        self._universe.later(seconds, self._universe.loop.wake, life)

    def replace(self, seconds: float) -> None:
        """Somebody takes it for dead and starts another in its place; the first wakes later and finds itself fenced."""
        old = self.life
        if old is None or old.dead or old.paused:
            return
        self.freeze(seconds)
        self._universe.zombies.append(old)
        self.start()


def kill(life: Life) -> None:
    """Nothing of this life runs any more."""
    life.dead = True
    life.stash.clear()
    closing, life.closing = life.closing, []
    for close in closing:
        close()


@dataclass
class Journal:
    """What processes logged and mailed, as far as the oracles want to know."""

    loud: list[str] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)


class Universe:
    """One seed's world."""

    def __init__(self, plan: Plan, disk: Disk) -> None:
        self.plan = plan
        self.disk = disk
        self.random = Random(f"world:{plan.seed}")
        self.loop = SimLoop(Random(f"order:{plan.seed}"), STEPS_MAX)
        self.trace = Trace(self.loop.time)
        self.dice = Dice(plan)
        self.journal = Journal()
        self.processes: dict[str, Process] = {}
        self.zombies: list[Life] = []
        self.tokens: dict[int, int] = {}
        """The highest token each lane was committed under."""
        self.violations: list[str] = []
        self.healed_at: float | None = None
        self.over = False
        """The verdict is given: what the world still does while it is taken down counts no more."""
        self.ground = Life("ground", 0)
        self.network = Network(self)

    @property
    def healed(self) -> bool:
        """Whether the time of faults is over."""
        return self.healed_at is not None

    # --- time and tasks -------------------------------------------------------------------------------------------

    def note(self, kind: str, *words: object) -> None:
        """One action for the trace."""
        self.trace.note(kind, *words)

    def blame(self, what: str) -> None:
        """An oracle has found something wrong."""
        if self.over:
            return
        self.note("VIOLATION", what)
        self.violations.append(what)

    def spawn(self, life: Life, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """A task of one life."""
        self.loop.keep(coroutine)
        return self.loop.create_task(self._watch(life, coroutine), context=life.context)

    async def _watch(self, life: Life, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            await coroutine
        except Crash:
            return
        except Exception as error:  # noqa: BLE001 - a task that ends in an error is a finding, not the end of the run
            if not self.forgives(life, repr(error)):
                self.blame(f"a task of {life} ended in {error!r}")

    async def rest(self, now: Callable[[], Instant], due: Instant | None, wait: float, book: Book, seen: int) -> None:
        """Sleep ``wait`` seconds at least, and on while nothing is due and ``book`` is as it was ``seen``: whoever
        looked then would find nothing new."""
        while True:
            idle = REST_SECONDS if self.healed else IDLE_SECONDS
            left = idle if due is None else (due - now()) / 1000
            await pause(min(max(left, wait), idle))
            if book.changes != seen or (due is not None and due <= now()):
                return

    def later(self, seconds: float, act: Callable[..., object], *arguments: Any) -> None:
        """Do something from outside of all processes."""
        self.loop.call_later(seconds, act, *arguments, context=self.ground.context)

    def forgives(self, life: Life, text: str) -> bool:
        """Whether an error is one that the injected faults explain."""
        if any(zombie.name == life.name for zombie in self.zombies) and any(word in text for word in FENCED):
            return True
        return (life in self.zombies or not self.healed) and any(word in text for word in EXPECTED)

    # --- processes ------------------------------------------------------------------------------------------------

    def add(self, name: str, boot: Callable[[Life], Awaitable[Application | None]], host: str = "") -> Process:
        """One more process, not yet started."""
        process = Process(self, name, boot, host)
        self.processes[name] = process
        return process

    def serving(self, host: str) -> Process | None:
        """A living process that serves a host, drawn where there are several."""
        found = [process for process in self.processes.values() if process.host == host and process.is_up]
        return found[self.random.randrange(len(found))] if found else None

    def crash_life(self, life: Life) -> None:
        """The process of ``life`` dies where it stands; a zombie just dies."""
        process = self.processes[life.name]
        if process.life is life:
            process.crash(self.random.uniform(0.2, 20))
        else:
            self.note("crash", life)
            kill(life)

    def make_world(self, life: Life) -> World:
        """The windows of one life."""
        seed = self.plan.seed

        def log(event: str, **fields: object) -> None:
            self.note("log", life, event)
            if event in LOUD:
                text = str(fields.get("trace") or fields.get("error") or fields)
                if not self.forgives(life, text):
                    self.blame(f"{life} logged {event}: {text[-1500:]}")

        async def mailer(mail: Mail) -> None:
            self.journal.mails.append(mail)

        async def compute(function: Callable[[], Any]) -> Any:
            return function()

        return World(
            clock=VirtualClock(self.loop.time, life),
            entropy=SeededBytes(seed, life),
            send=self.network.sender(life),
            mail=mailer,
            log=log,
            random=lambda name: Random(f"{seed}:{life}:{name}"),
            compute=compute,
            sleep=pause,
            spawn=lambda coroutine, name: self.spawn(life, coroutine),
            environment="sandbox",
        )
