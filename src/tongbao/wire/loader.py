"""The one loader for what is imported on demand: protocol folders, found by listing, and drivers that few need."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from tongbao.kernel.error import ConfigurationError
from tongbao.wire.contract import Manifest


@cache
def protocol_names() -> tuple[str, ...]:
    """Names of all protocol folders, sorted. Lists the places of ``tongbao.protocols``; imports no folder."""
    roots = importlib.import_module("tongbao.protocols").__path__
    return tuple(sorted(module.name for module in pkgutil.iter_modules(roots) if module.ispkg))


@cache
def load_protocol(name: str) -> Manifest:
    """The manifest of one folder. Raises ConfigurationError naming the known ones."""
    if name not in protocol_names():
        raise ConfigurationError("protocol", f"no protocol {name!r}; known: {', '.join(protocol_names())}")
    manifest = importlib.import_module(f"tongbao.protocols.{name}").PROTOCOL
    if not isinstance(manifest, Manifest) or manifest.name != name:
        raise ConfigurationError("protocol", f"{name} exports no manifest of its own name")
    return manifest


@cache
def load_driver(name: str) -> Any:
    """A driver or engine by its module's name. Raises ConfigurationError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError("driver", f"{name} is not installed: pip install {name}") from error
