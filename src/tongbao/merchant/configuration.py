"""One merchant's configuration for one protocol: from a TOML or JSON file, an environment mapping, or code.

Every error is a ConfigurationError that names the field and the reason, and never quotes a secret (threats T01).
Sandbox and production never mix (T30, T71).
"""

from __future__ import annotations

import ipaddress
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tongbao.kernel.error import ConfigurationError
from tongbao.kernel.port import Entropy
from tongbao.merchant.keyfile import KINDS, read_key, read_text
from tongbao.merchant.system import SystemEntropy
from tongbao.merchant.trust import TrustStore
from tongbao.wire.contract import Credentials, Manifest
from tongbao.wire.http import split_url
from tongbao.wire.loader import load_protocol
from tongbao.wire.party import Party
from tongbao.wire.world import Limits

ENVIRONMENTS: Final = ("production", "sandbox")

SECRET_BYTES_MIN: Final = 16
"""Shared secrets below this length are refused (T01, old protocols)."""

_PLACEHOLDERS: Final = frozenset(
    {"test", "testing", "changeme", "change-me", "change_me", "secret", "password", "key", "none", "null", "nil"}
    | {"undefined", "true", "false", "placeholder", "example", "sample", "demo", "xxx"}
    | {"yourkey", "your-key", "your_key", "yoursecret", "your-secret", "your_secret"}
)
_SECONDS: Final = ("connect_seconds", "answer_seconds", "total_seconds")
_OWN: Final = (
    "protocol", "environment", "return_url", "notify_url", "gateway", "mail_sender",
    "proxy", "ca_file", "seller_id", "seller_login", *_SECONDS,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantConfiguration:
    """A merchant at one platform. ``credentials`` carries the protocol's own setting names (its manifest lists them);
    a key or certificate among them may be named by the path of its file, and is kept as what was read there.

    ``environment`` is ``production`` or ``sandbox``; ``gateway`` '' means the address that the credentials say, else
    the protocol's own: of production, or of its official sandbox where its manifest knows one (elsewhere an error);
    ``seller_id``/``seller_login`` name the account that must have received the money ('' for the merchant himself);
    times are whole seconds; ``proxy`` is used only if given here (T81); ``ca_file`` is a PEM bundle to trust instead of
    the usual one. Raises ConfigurationError on construction.
    """

    protocol: str
    credentials: Mapping[str, str] = field(repr=False)
    environment: str = "production"
    return_url: str = ""
    notify_url: str = ""
    gateway: str = ""
    mail_sender: str = ""
    seller_id: str = ""
    seller_login: str = ""
    connect_seconds: int = 5
    answer_seconds: int = 30
    total_seconds: int = 60
    proxy: str = ""
    ca_file: str = ""
    given: Manifest | None = field(default=None, repr=False, compare=False)
    """The manifest of a protocol that lives outside this package; None to load ``protocol`` by its name."""
    trust: TrustStore | None = field(default=None, repr=False, compare=False)
    """Where the platform's certificates are kept and refreshed, in protocols that have them."""
    entropy: Entropy = field(default_factory=SystemEntropy, repr=False, compare=False)
    """Where the nonces of signed requests come from."""
    loaded: Credentials = field(init=False, repr=False, compare=False)
    """The checked credentials with keys parsed once, as configured."""

    def __post_init__(self) -> None:
        _check_words(self)
        manifest = self.manifest
        object.__setattr__(self, "credentials", _read_keys(self.credentials, manifest))
        _check_secrets(self, manifest)
        for name in ("return_url", "notify_url"):
            if not getattr(self, name) and self.credentials.get(name):
                object.__setattr__(self, name, self.credentials[name])
        gateway = self.gateway
        if self.environment == "sandbox" and not (gateway or self.credentials.get("gateway", "").strip()):
            gateway = manifest.sandbox_gateway
        settings = {**self.credentials, "gateway": gateway} if gateway else dict(self.credentials)
        if manifest.payee is not None and self.seller_id:
            settings.setdefault(manifest.payee.setting, self.seller_id)
        try:
            keys = manifest.client.load(settings)
        except ConfigurationError as error:
            raise ConfigurationError(f"credentials.{error.field}", error.reason) from error
        if gateway and keys.gateway != gateway:
            keys = replace(keys, gateway=gateway)
        _check_gateway(self, keys.gateway, manifest)
        object.__setattr__(self, "loaded", replace(keys, entropy=self.entropy))

    @property
    def keys(self) -> Credentials:
        """The credentials to sign and verify with now: as configured, and what ``trust`` has learnt."""
        return self.loaded if self.trust is None else self.trust.known(self.loaded)

    @property
    def manifest(self) -> Manifest:
        return self.given or load_protocol(self.protocol)

    @property
    def merchant(self) -> str:
        """The merchant's number at the platform."""
        return self.loaded.merchant

    @property
    def seller(self) -> Party:
        """Who must have received the money: as configured, else the merchant himself. Where the payee has a number of
        his own in the protocol and none is configured, nobody: the merchant's number alone is compared."""
        payee = self.manifest.payee
        number = self.seller_id or ("" if payee is None else self.loaded.values.get(payee.setting, ""))
        if number or self.seller_login:
            return Party(number, self.seller_login)
        return Party(self.loaded.merchant if payee is None else "")

    @property
    def limits(self) -> Limits:
        """How long and how much one exchange may take; answers up to 4 MiB."""
        return Limits(
            connect_seconds=self.connect_seconds,
            first_byte_seconds=self.answer_seconds,
            total_seconds=self.total_seconds,
            answer_bytes=4_194_304,
        )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> MerchantConfiguration:
        """From a mapping with our settings and a ``credentials`` mapping, as in a TOML or JSON file."""
        known = {*_OWN, "credentials"}
        for name in settings:
            if name not in known:
                raise ConfigurationError(name, f"no such setting; known: {', '.join(sorted(known))}")
        if "protocol" not in settings:
            raise ConfigurationError("protocol", "is missing")
        credentials = settings.get("credentials")
        if not isinstance(credentials, Mapping) or not credentials:
            raise ConfigurationError("credentials", "is missing: a table of the protocol's own settings")
        return cls(**settings)

    @classmethod
    def from_file(cls, path: str | Path, section: str = "") -> MerchantConfiguration:
        """From a ``.toml`` or ``.json`` file; ``section`` is a dotted table name inside it ('' for the whole file)."""
        source = Path(path)
        text, wrong = read_text(str(path))
        if wrong:
            raise ConfigurationError(str(source), f"cannot be read: {wrong}")
        settings = _parse(text, source.suffix == ".toml")
        if settings is None:
            raise ConfigurationError(str(source), f"is not valid {source.suffix.lstrip('.') or 'JSON'}")
        for part in section.split(".") if section else ():
            settings = settings.get(part) if isinstance(settings, Mapping) else None
        if not isinstance(settings, Mapping):
            raise ConfigurationError(section or str(source), "is not a table of settings")
        return cls.from_mapping(settings)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], prefix: str = "TONGBAO_") -> MerchantConfiguration:
        """From an environment mapping: ``TONGBAO_PROTOCOL``, ``TONGBAO_NOTIFY_URL``, ... and the protocol's own names,
        ``TONGBAO_PARTNER``, ``TONGBAO_KEY``. ``NAME_FILE`` instead of ``NAME`` names a file that holds the value."""
        found = _environment(environment, prefix)
        protocol = found.get("protocol", "")
        if not protocol:
            raise ConfigurationError(f"{prefix}PROTOCOL", "is missing")
        names = {entry.name.lower(): entry.name for entry in load_protocol(protocol).credentials}
        settings: dict[str, Any] = {name: value for name, value in found.items() if name in _OWN}
        for name in _SECONDS:
            if name in settings:
                settings[name] = _whole(f"{prefix}{name.upper()}", settings[name])
        wanted = {names[name]: value for name, value in found.items() if name in names and name not in _OWN}
        return cls.from_mapping({**settings, "credentials": wanted})

    @classmethod
    def from_sandbox(cls, path: str | Path, protocol: str, **more: Any) -> MerchantConfiguration:
        """From the credentials file that ``tongbao sandbox`` writes; ``more`` are our own settings."""
        document = _parse(read_text(str(path))[0], toml=False)
        known = document.get("protocols") if isinstance(document, dict) else None
        entry = known.get(protocol) if isinstance(known, dict) else None
        if not isinstance(entry, dict):
            raise ConfigurationError(str(path), f"is not a sandbox file that knows {protocol}")
        names = {item.name for item in load_protocol(protocol).credentials}
        credentials = {name: value for name, value in entry.items() if name in names and isinstance(value, str)}
        gateway = entry.get("gateway") or entry["base_url"]
        return cls(protocol=protocol, credentials=credentials, environment="sandbox", gateway=gateway, **more)


def _read_keys(credentials: Mapping[str, str], manifest: Manifest) -> dict[str, str]:
    """The credentials with the contents of files where a key or certificate is named by its path. Errors quote nothing
    of the value, and hold nothing that does: it may be a key that was copied in part (T01)."""
    kinds = {entry.name: entry.kind for entry in manifest.credentials}
    read = dict(credentials)
    for name, value in credentials.items():
        if kinds.get(name) in KINDS:
            read[name], wrong = read_key(value)
            if wrong:
                raise ConfigurationError(f"credentials.{name}", wrong)
    return read


def _environment(environment: Mapping[str, str], prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in environment.items():
        if not name.startswith(prefix) or not value:
            continue
        short = name[len(prefix) :].lower()
        if short.endswith("_file") and short not in _OWN:
            text, wrong = read_text(value)
            if wrong:
                # without its cause, which quotes the value: somebody may have put the secret itself there
                raise ConfigurationError(name, "names a file that cannot be read")
            found[short.removesuffix("_file")] = text.strip("\r\n")
        else:
            found.setdefault(short, value)
    return found


def _parse(text: str, toml: bool) -> Any:
    """The document in a text; None where it holds none. The parser's error is gone then: it holds the whole text."""
    try:
        return tomllib.loads(text) if toml else json.loads(text)
    except ValueError:
        return None


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise ConfigurationError(name, "is not a whole number of seconds")
    return int(value[:6])


def _check_words(configuration: MerchantConfiguration) -> None:
    if configuration.environment not in ENVIRONMENTS:
        raise ConfigurationError("environment", f"is not one of {', '.join(ENVIRONMENTS)}")
    for name in _OWN:
        value = getattr(configuration, name)
        if name in _SECONDS:
            if type(value) is not int or not 1 <= value <= 600:
                raise ConfigurationError(name, "is not a whole number of seconds from 1 to 600")
        elif not isinstance(value, str):
            raise ConfigurationError(name, "is not text")
    for name, value in configuration.credentials.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"credentials.{name}", "is not text")
    for name in ("return_url", "notify_url", "gateway", "proxy"):
        value = getattr(configuration, name)
        if value:
            try:
                split_url(value if name != "proxy" else _without_user(value))
            except ValueError as error:
                raise ConfigurationError(name, str(error)) from error
            if name.endswith("_url") and "#" in value:
                raise ConfigurationError(name, "holds a fragment, which no server ever sees")
    if configuration.ca_file and not Path(configuration.ca_file).is_file():
        raise ConfigurationError("ca_file", "no such file")


def _without_user(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _check_secrets(configuration: MerchantConfiguration, manifest: Manifest) -> None:
    """T01: blank, placeholder, too short, monotonous or published secrets are refused before anything starts."""
    fields = {entry.name: entry for entry in manifest.credentials}
    for name in configuration.credentials:
        if name not in fields:
            raise ConfigurationError(f"credentials.{name}", f"no such setting; known: {', '.join(fields)}")
    for name, entry in fields.items():
        value = configuration.credentials.get(name)
        if value is None:
            continue
        if (entry.required or entry.kind != "text") and not value.strip():
            raise ConfigurationError(f"credentials.{name}", "is blank")
        if entry.kind != "secret":
            continue
        if value != value.strip():
            raise ConfigurationError(f"credentials.{name}", "begins or ends with white space")
        if value.lower() in _PLACEHOLDERS:
            raise ConfigurationError(f"credentials.{name}", "is a placeholder, not a secret")
        if len(value.encode("utf-8")) < SECRET_BYTES_MIN:
            raise ConfigurationError(f"credentials.{name}", f"is shorter than {SECRET_BYTES_MIN} bytes")
        if configuration.environment == "production" and len(set(value)) < 6:
            raise ConfigurationError(f"credentials.{name}", "has hardly any variety")


def _check_gateway(configuration: MerchantConfiguration, gateway: str, manifest: Manifest) -> None:
    try:
        scheme, authority, _, _ = split_url(gateway)
    except ValueError as error:
        raise ConfigurationError("gateway", str(error)) from error
    host = _host(authority)
    if configuration.environment == "production":
        if scheme != "https":
            raise ConfigurationError("gateway", "production takes https addresses only")
        if _is_local(host):
            raise ConfigurationError("gateway", "a local address is not a production gateway")
        if manifest.sandbox_gateway and host == _host(split_url(manifest.sandbox_gateway)[1]):
            raise ConfigurationError("gateway", "the official sandbox's address is not a production gateway")
    elif host == _host(split_url(manifest.gateway)[1]) and not configuration.proxy:
        said = configuration.gateway or configuration.credentials.get("gateway")
        more = "" if said else ": name the sandbox's address, for no official sandbox of this protocol is known"
        raise ConfigurationError("gateway", f"a sandbox configuration would call the production gateway{more}")


def _host(authority: str) -> str:
    name, _, port = authority.rpartition(":")
    return (name if name and port.isdigit() else authority).lower().rstrip(".")


def _is_local(host: str) -> bool:
    bare = host.strip("[]").lower().rstrip(".")
    if bare == "localhost" or bare.endswith((".localhost", ".test", ".invalid", ".example")):
        return True
    try:
        return not ipaddress.ip_address(bare).is_global
    except ValueError:
        return False
