"""Records: frozen dataclasses with slots that are quick to make and quick to change.

``dataclass(frozen=True)`` sets every field through ``object.__setattr__``, and ``dataclasses.replace`` walks over them
one by one; over the rows of a batch that was a third of what a payment cost. A record is filled while it is of a second
class with the same slots and no lock on them, and becomes its own class, which is frozen, before anybody sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Final, TypeVar, dataclass_transform, overload

T = TypeVar("T")

_ABSENT: Final = object()


@overload
@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]: ...


@overload
def record(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...


def record(cls: type[T] | None = None, *, kw_only: bool = False) -> Any:
    """``@dataclass(frozen=True, slots=True)``, quicker. Not for classes that are derived from or have InitVars."""
    if cls is None:
        return lambda given: _make(given, kw_only=kw_only)
    return _make(cls, kw_only=kw_only)


def _make(cls: type[Any], *, kw_only: bool) -> Any:
    made: Any = dataclass(frozen=True, slots=True, kw_only=kw_only)(cls)
    names = [field.name for field in fields(made)]
    open_class = type(f"_Open{made.__name__}", (), {"__slots__": tuple(names)})
    scope: dict[str, Any] = {
        "open_class": open_class,
        "closed_class": made,
        "become": object.__setattr__,
        "new": object.__new__,
        "absent": _ABSENT,
    }
    check = ["    self.__post_init__()"] if hasattr(made, "__post_init__") else []
    parameters = ["self"]
    fill = []
    only_named = False
    for field in fields(made):
        if field.kw_only and not only_named:
            only_named = True
            parameters.append("*")
        parameters.append(_parameter(field, scope))
        fill.append(_filling(field))
    lines = [
        f"def init({', '.join(parameters)}):",
        "    become(self, '__class__', open_class)",
        *fill,
        "    self.__class__ = closed_class",
        *check,
        "def change(self, **changes):",
        "    made = new(open_class)",
        *[f"    made.{name} = self.{name}" for name in names],
        "    for name, value in changes.items():",
        "        setattr(made, name, value)",
        "    made.__class__ = closed_class",
        *[line.replace("self", "made") for line in check],
        "    return made",
    ]
    exec("\n".join(lines), scope)
    init: Callable[..., None] = scope["init"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = made.__init__.__annotations__
    made.__init__ = init
    made.__replace__ = scope["change"]
    return made


def _parameter(field: Field[Any], scope: dict[str, Any]) -> str:
    if field.default is not MISSING:
        scope[f"default_{field.name}"] = field.default
        return f"{field.name}=default_{field.name}"
    if field.default_factory is not MISSING:
        scope[f"factory_{field.name}"] = field.default_factory
        return f"{field.name}=absent"
    return field.name


def _filling(field: Field[Any]) -> str:
    name = field.name
    if field.default_factory is not MISSING:
        return f"    self.{name} = factory_{name}() if {name} is absent else {name}"
    return f"    self.{name} = {name}"


def replace(row: T, **changes: Any) -> T:
    """The same record but for ``changes``. Raises AttributeError for a field it does not have."""
    made: T = row.__replace__(**changes)  # type: ignore[attr-defined]
    return made
