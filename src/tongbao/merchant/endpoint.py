"""One address of the shop where a platform's messages arrive: one merchant configuration, found by path alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.error import ConfigurationError
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.wire.http import split_url

MESSAGE_BYTES_MAX: Final = 65_536
"""Body or query of a message longer than this is refused unread."""

HEADER_BYTES_MAX: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """``path`` and ``return_path`` default to those of the configuration's addresses and are compared byte for byte.

    ``confirm``: ask the platform whether the notification id is its own (None: where the protocol can be asked).
    ``query``: ask for the trade and require the same state and amount (None: where signatures alone are weak; switch
    it off only for an account that has no query). ``freshness_seconds`` refuses older messages, for protocols whose
    time is that of sending; without it a repeat is caught by its event for ever.
    """

    name: str
    configuration: MerchantConfiguration
    path: bytes = b""
    return_path: bytes = b""
    confirm: bool | None = None
    query: bool | None = None
    freshness_seconds: int | None = None

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 64:
            raise ConfigurationError("name", "an endpoint needs a name of at most 64 characters")
        for field, source in (("path", "notify_url"), ("return_path", "return_url")):
            url = getattr(self.configuration, source)
            if not getattr(self, field) and url:
                object.__setattr__(self, field, split_url(url)[2])
        manifest = self.configuration.manifest
        if self.confirm and not manifest.confirms:
            raise ConfigurationError("confirm", f"{manifest.name} cannot be asked whether a notification is its own")

    @property
    def provider(self) -> str:
        """Protocol and merchant number: the scope in which trade numbers and events are unique."""
        return f"{self.configuration.protocol}:{self.configuration.merchant}"

    @property
    def confirms(self) -> bool:
        return self.configuration.manifest.confirms if self.confirm is None else self.confirm

    @property
    def queries(self) -> bool:
        return self.configuration.manifest.weak if self.query is None else self.query


class EndpointTable:
    """All endpoints of a shop. Raises ConfigurationError where two share a name or a notification path."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._names: dict[str, Endpoint] = {}
        self._paths: dict[bytes, Endpoint] = {}
        self._return_paths: dict[bytes, Endpoint] = {}
        for endpoint in endpoints:
            if endpoint.name in self._names:
                raise ConfigurationError("name", f"two endpoints are called {endpoint.name}")
            self._names[endpoint.name] = endpoint
            _claim(self._paths, endpoint.path, endpoint, "path")
            _claim(self._return_paths, endpoint.return_path, endpoint, "return_path")
        if not self._names:
            raise ConfigurationError("endpoints", "there is none")

    def by_path(self, path: bytes) -> Endpoint | None:
        return self._paths.get(path)

    def by_return_path(self, path: bytes) -> Endpoint | None:
        return self._return_paths.get(path)

    def of_order(self, name: str) -> Endpoint | None:
        """The endpoint an order names; the only one where it names none."""
        if not name and len(self._names) == 1:
            return next(iter(self._names.values()))
        return self._names.get(name)

    @property
    def names(self) -> Mapping[str, Endpoint]:
        return dict(self._names)


def _claim(paths: dict[bytes, Endpoint], path: bytes, endpoint: Endpoint, field: str) -> None:
    if not path:
        return
    if path in paths:
        raise ConfigurationError(field, f"{endpoint.name} and {paths[path].name} share {path.decode('latin-1')}")
    paths[path] = endpoint
