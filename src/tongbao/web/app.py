"""Composition: one application for the main address, and one for each face's own listener.

Who builds the process hands in the applications of other rooms; nothing here imports them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tongbao.service.platform import Platform
from tongbao.web.faces.bill import Bills
from tongbao.web.faces.face import Around, Face, Gates
from tongbao.web.faces.notice import Notices
from tongbao.web.faces.page import Pages
from tongbao.web.faces.recorder import NOTHING, Recorder
from tongbao.web.faces.refusal import RefusalBook
from tongbao.web.guard import (
    PRODUCTION,
    SANDBOX,
    Guard,
    Limits,
    bare_host,
    host_name,
    is_inside,
    mount,
    strip,
    throttle,
)
from tongbao.wire.asgi import Application, Receive, Scope, Send
from tongbao.wire.http import split_url
from tongbao.wire.loader import load_protocol, protocol_names


@dataclass(frozen=True, slots=True)
class Web:
    """``main`` answers at the platform's own address; ``faces`` holds each protocol's application for a listener of its
    own, where its paths begin at the root. All are guarded."""

    main: Application
    faces: Mapping[str, Application]
    refusals: RefusalBook


def build_web(
    platform: Platform,
    pages: Pages,
    *,
    routes: Mapping[str, Application] | None = None,
    fallback: Application | None = None,
    bank: Application | None = None,
    recorder: Recorder = NOTHING,
    around: Around | None = None,
    limits: Limits | None = None,
    hosts: Iterable[str] = (),
    protocols: Iterable[str] | None = None,
) -> Web:
    """Put the web together.

    ``routes``: applications by first path segment (``cashier``, ``console``, ``static``, ``_sandbox``), which see the
    whole path; ``fallback`` takes what is left (the front page). ``bank``: the simulated banks, served at ``/bank``.
    ``hosts``: names besides the one of ``base_url`` that the main address answers by. ``protocols``: names of the faces
    to mount; all of them where it is None. ``limits``: as the environment has them unless given. ``around`` stands
    between each face and whoever asks it, as a sandbox's faults do. Raises ConfigurationError for one in production.
    """
    sandbox = platform.settings.environment != "production"
    limits = limits or (SANDBOX if sandbox else PRODUCTION)
    gates = Gates(limits, platform.world.clock.monotonic)
    refusals = RefusalBook(platform, limits)
    names = protocol_names() if protocols is None else tuple(protocols)
    faces = {name: Face(platform, load_protocol(name), pages, refusals, gates, recorder, around) for name in names}
    own: dict[str, Application] = {name: strip(face, name) for name, face in faces.items()}
    own["channel"] = Notices(platform, refusals, gates)
    own["bill"] = Bills(platform, gates)
    if bank is not None:
        own["bank"] = strip(bank, "bank")
    pages_of = {name: throttle(app, gates.peers, gates.forms) for name, app in (routes or {}).items()}
    rest = None if fallback is None else throttle(fallback, gates.peers, gates.forms)
    inner = mount({**pages_of, **own}, rest)
    originals = _originals(faces) if sandbox else {}
    answers = _answers(platform.settings.base_url, hosts, frozenset(faces) if sandbox else frozenset(), originals)

    async def ready() -> bool:
        try:
            await platform.database.read("setting.get", {"name": "ready"})
        except Exception as error:  # noqa: BLE001 - whatever it is, we are not ready
            platform.world.log("web.not_ready", error=repr(error))
            return False
        return True

    return Web(
        Guard(_by_host(inner, originals), answers=answers, ready=ready),
        {name: Guard(face) if sandbox else Guard(face, answers=answers) for name, face in faces.items()},
        refusals,
    )


def _originals(faces: Mapping[str, Face]) -> dict[str, Application]:
    """Faces by the host names their protocols once lived at; of two faces the first by name has it."""
    found: dict[str, Application] = {}
    for face in faces.values():
        for name in face.manifest.hosts:
            found.setdefault(name.lower(), face)
    return found


def _by_host(inner: Application, originals: Mapping[str, Application]) -> Application:
    if not originals:
        return inner

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await originals.get(host_name(scope), inner)(scope, receive, send)

    return application


def _answers(
    base_url: str, hosts: Iterable[str], prefixes: frozenset[str], originals: Mapping[str, Application]
) -> Callable[[Scope], bool]:
    """Whether a request's Host is ours. ``prefixes`` (a sandbox's faces) take any; a sandbox also answers by literals
    and names that cannot be rebound from outside."""
    own = {bare_host(split_url(base_url)[1]), *(name.lower() for name in hosts), *originals}

    def answers(scope: Scope) -> bool:
        name = host_name(scope)
        if name in own:
            return True
        return bool(prefixes) and (is_inside(name) or scope["path"].lstrip("/").partition("/")[0] in prefixes)

    return answers
