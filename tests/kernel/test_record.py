"""Records: frozen like the dataclasses they are, made and changed without a detour."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field

import pytest

from tongbao.kernel.error import BrokenInvariant, ensure
from tongbao.kernel.record import record, replace


@record
class Coin:
    """A record with everything records have."""

    value: int
    metal: str = "bronze"
    marks: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        ensure(self.value > 0, "a coin is worth something")


@record(kw_only=True)
class Purse:
    """A record whose fields are named."""

    owner: str
    coins: int = 0


def test_a_record_is_what_the_dataclass_would_be() -> None:
    """Equality, defaults, text, fields, signature; copied, pickled, and changed by the standard library."""
    coin = Coin(1)
    assert (coin.value, coin.metal, coin.marks) == (1, "bronze", [])
    assert coin == Coin(metal="bronze", value=1)
    assert repr(coin) == "Coin(value=1, metal='bronze')"
    assert [one.name for one in dataclasses.fields(Coin)] == ["value", "metal", "marks"]
    assert list(inspect.signature(Coin).parameters) == ["value", "metal", "marks"]
    assert [copy.copy(coin), copy.deepcopy(coin), pickle.loads(pickle.dumps(coin))] == [coin] * 3
    assert dataclasses.replace(coin, value=2) == Coin(2)
    assert Coin(1).marks is not Coin(1).marks


def test_a_record_is_frozen_as_soon_as_it_is_seen() -> None:
    """Neither the made nor the changed one takes a new value."""
    for coin in (Coin(1), replace(Coin(1), metal="silver")):
        assert type(coin) is Coin
        with pytest.raises(FrozenInstanceError):
            coin.value = 3  # type: ignore[misc]


def test_a_change_is_checked_as_a_new_record_is() -> None:
    """The rule of the record holds for both; a name it does not have is an error."""
    with pytest.raises(BrokenInvariant):
        Coin(0)
    with pytest.raises(BrokenInvariant):
        replace(Coin(1), value=0)
    with pytest.raises(AttributeError):
        replace(Coin(1), weight=1)
    with pytest.raises(TypeError):
        Coin()  # type: ignore[call-arg]


def test_named_fields_stay_named() -> None:
    """``kw_only`` as the dataclass has it."""
    assert replace(Purse(owner="A"), coins=2) == Purse(owner="A", coins=2)
    with pytest.raises(TypeError):
        Purse("A")  # type: ignore[call-arg]
