"""Which addresses may be called: the shape of a URL, and the class of an IP address (T72, T73, T76, T77, M5).

Pure: nothing is resolved here. ``parse_url`` is asked when an address is registered and again before each call;
``refuse_address`` is asked for every address a name resolves to, at the moment of connecting.
Python's ``is_global`` is not relied on alone: it holds NAT64 of loopback, 6to4, multicast and SRv6 for global (M5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import idna

from tongbao.kernel.error import ConfigurationError, Refused

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

URL_BYTES: Final = 4_096

_V4: Final = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier NAT"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "metadata"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved or broadcast"),
)
_V6: Final = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "mapped"),
    ("::/96", "IPv4-compatible"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard"),
    ("100:0:0:1::/64", "dummy"),
    ("2001::/32", "Teredo"),
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "SRv6"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
_NEVER: Final = (
    ("0.0.0.0/8", "this network"),
    ("169.254.0.0/16", "link-local"),
    ("100.100.100.200/32", "metadata"),
    ("168.63.129.16/32", "metadata"),
    ("192.0.0.192/32", "metadata"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("::/128", "unspecified"),
    ("fe80::/10", "link-local"),
    ("fd00:ec2::254/128", "metadata"),
    ("fd20:ce::254/128", "metadata"),
    ("ff00::/8", "multicast"),
)


def _table(rows: Iterable[tuple[str, str]]) -> tuple[tuple[IPNetwork, str], ...]:
    return tuple((ip_network(text), name) for text, name in rows)


_CLASSES: Final = _table((*_V4, *_V6))
_FORBIDDEN: Final = _table(_NEVER)
_UNICAST: Final = IPv6Network("2000::/3")
_LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_MAPPED: Final = IPv6Network("::ffff:0:0/96")

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_QUAD: Final = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}", re.ASCII)
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_INSIDE: Final = frozenset(
    ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "onion")
)
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart once. ``host`` is lower-case ASCII (an IPv6 literal without brackets); ``path`` starts with /.
    ``path``, ``query`` and ``fragment`` are percent-encoded ASCII; ``literal`` is the address if the host is one."""

    scheme: str
    host: str
    port: int
    path: str
    query: str
    fragment: str
    literal: IPAddress | None

    @property
    def authority(self) -> str:
        """Host and port as they go into a Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Put together again from the parts: what is stored, shown and called."""
        query = f"?{self.query}" if self.query else ""
        fragment = f"#{self.fragment}" if self.fragment else ""
        return f"{self.scheme}://{self.authority}{self.path}{query}{fragment}"


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Who may be called. Made by ``production`` or ``sandbox``, not by hand.

    ``public``: globally routable addresses; ``loopback``: this machine; ``networks`` and ``hosts``: the allow-list;
    ``own``: our own public addresses, never called. ``ports`` and ``schemes`` bind whoever is not allow-listed.
    """

    public: bool
    loopback: bool
    schemes: frozenset[str]
    ports: frozenset[int]
    networks: tuple[IPNetwork, ...] = ()
    hosts: frozenset[str] = frozenset()
    own: tuple[IPNetwork, ...] = ()

    @classmethod
    def production(cls, ports: Iterable[int] = (443,), own: Iterable[str] = ()) -> AddressPolicy:
        """Registered names only, at 443; ``ports`` may add 80 and 8080 (which open plain http) and 8443.

        Raises ConfigurationError on another port or on an ``own`` that is no network."""
        chosen = frozenset(ports)
        if not chosen <= {443, 80, 8080, 8443}:
            raise ConfigurationError("ports", "443, 80, 8080 and 8443 are the ones that can be opened")
        schemes = {"https"} | ({"http"} if chosen & {80, 8080} else set())
        return cls(True, False, frozenset(schemes), chosen, own=tuple(_network("own", text) for text in own))

    @classmethod
    def sandbox(cls, allow: Iterable[str] = ()) -> AddressPolicy:
        """Loopback at any port, and what ``allow`` lists: networks (CIDR), addresses or host names.

        Link-local and metadata addresses stay closed even if listed. Raises ConfigurationError on a malformed entry."""
        networks, hosts = [], []
        for entry in allow:
            text = entry.strip().lower()
            if "/" in text or ":" in text or _QUAD.fullmatch(text):
                networks.append(_network("allow-target", text))
            elif text != "loopback":
                try:
                    hosts.append(_name(text))
                except Refused as error:
                    raise ConfigurationError("allow-target", f"{entry!r}: {error.detail}") from error
        both = frozenset(_PORTS)
        return cls(False, True, both, frozenset(), tuple(networks), frozenset(hosts))

    @property
    def strict(self) -> bool:
        """No IP literals and no single-label names: the policy of production."""
        return self.public


def _network(setting: str, text: str) -> IPNetwork:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigurationError(setting, f"{text!r} is not a network: {error}") from error


def _no(reason: str) -> Refused:
    return Refused("URL_NOT_ALLOWED", reason)


def parse_url(url: str, policy: AddressPolicy) -> Target:
    """Take an address apart once, strictly, and hold it against the policy. Raises Refused("URL_NOT_ALLOWED").

    Stricter than ``urllib``, which deletes line ends and reads ``http://good\\@evil/`` as evil (M5)."""
    if len(url.encode("utf-8", "surrogatepass")) > URL_BYTES:
        raise _no("longer than 4096 bytes")
    if any(letter <= " " or "\x7f" <= letter <= "\xa0" or letter == "\\" for letter in url):
        raise _no("holds a blank, a control character or a backslash")
    scheme, mark, rest = url.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in policy.schemes:
        raise _no(f"must start with {' or '.join(f'{name}://' for name in sorted(policy.schemes, reverse=True))}")
    rest, _, fragment = rest.partition("#")
    cut = min((rest.find(letter) for letter in "/?" if letter in rest), default=len(rest))
    host, literal, port = _authority(rest[:cut], scheme)
    path, _, query = rest[cut:].partition("?")
    target = Target(scheme, host, port, _ascii(path) or "/", _ascii(query), _ascii(fragment), literal)
    _check_host(target, policy)
    return target


def _authority(text: str, scheme: str) -> tuple[str, IPAddress | None, int]:
    if "@" in text:
        raise _no("carries user information")
    if text.startswith("["):
        inside, bracket, tail = text[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise _no("has a malformed IPv6 host")
        mark, port = tail[:1], tail[1:]
        try:
            literal: IPAddress | None = IPv6Address(inside)
        except ValueError as error:
            raise _no("has a malformed IPv6 host") from error
        if "%" in inside:
            raise _no("has a zone in its host")
        host = str(literal)
    else:
        host, mark, port = text.partition(":")
        literal = IPv4Address(host) if _QUAD.fullmatch(host) else None
        host = host if literal is not None else _name(host)
    if not mark:
        return host, literal, _PORTS[scheme]
    if not _PORT.fullmatch(port) or int(port) > 65_535:
        raise _no("has a malformed port")
    return host, literal, int(port)


def _name(text: str) -> str:
    """A DNS name in lower-case ASCII. Raises Refused when it is none, or could be read as a number."""
    if not text:
        raise _no("has no host")
    try:
        name = text.lower() if text.isascii() else idna.encode(text, std3_rules=True).decode("ascii")
        labels = name.split(".")
        for label in labels:
            if label.startswith("xn--"):
                idna.ulabel(label)
    except (idna.IDNAError, UnicodeError) as error:
        raise _no("has a host that is not a valid international name") from error
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _no("has a host that is not a DNS name")
    if _NUMBER.fullmatch(labels[-1]):
        raise _no("has a number for a host")
    return name


def _ascii(text: str) -> str:
    """Percent-encode what is not ASCII; leave what is there as it is."""
    try:
        return "".join(
            letter if letter.isascii() else "".join(f"%{byte:02X}" for byte in letter.encode("utf-8"))
            for letter in text
        )
    except UnicodeEncodeError as error:
        raise _no("holds a lone surrogate") from error


def _check_host(target: Target, policy: AddressPolicy) -> None:
    if target.literal is not None:
        if policy.strict:
            raise _no("needs a registered name, not an IP address")
        reason = refuse_address(target.literal, target.host, policy)
        if reason is not None:
            raise _no(f"its host is {reason}")
    elif policy.strict:
        labels = target.host.split(".")
        if len(labels) < 2 or labels[-1] in _INSIDE or target.host.endswith(".home.arpa") or "_" in target.host:
            raise _no("needs a registered name")
    if policy.ports and target.port not in policy.ports:
        raise _no(f"its port is not one of {', '.join(str(port) for port in sorted(policy.ports))}")
    if policy.ports and target.scheme == "http" and target.port not in (80, 8080):
        raise _no("plain http at a port for https")


def unwrap(address: IPAddress) -> Iterator[IPAddress]:
    """The address itself, and the IPv4 addresses that a mapped, compatible, NAT64, 6to4, Teredo or ISATAP one holds."""
    yield address
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    top = number >> 32
    if (top == 0 and number > 1) or top == 0xFFFF or (number >> 96) == 0x0064FF9B or (number >> 80) == 0x0064FF9B0001:
        yield low
    if (number >> 112) == 0x2002:
        yield IPv4Address((number >> 80) & 0xFFFFFFFF)
    if (number >> 96) == 0x20010000:
        yield IPv4Address((number >> 64) & 0xFFFFFFFF)
        yield IPv4Address((number & 0xFFFFFFFF) ^ 0xFFFFFFFF)
    if (top & 0xFFFFFFFF) in (0x00005EFE, 0x02005EFE):
        yield low


def _in(address: IPAddress, network: IPNetwork) -> bool:
    return address.version == network.version and address in network


def classify(address: IPAddress) -> str | None:
    """What keeps an address from being an ordinary public one, in a word or two; None for a public one."""
    for network, name in _CLASSES:
        if _in(address, network):
            return name
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return "not assigned"
    for inner in unwrap(address):
        if inner is not address and classify(inner) is not None:
            return f"holding a {classify(inner)} address"
    return None if address.is_global and not address.is_multicast else "not globally routable"


def refuse_address(address: str | IPAddress, host: str, policy: AddressPolicy) -> str | None:
    """Why this address must not be connected to for ``host``; None when it may be. Malformed text is refused."""
    try:
        found = ip_address(address.partition("%")[0]) if isinstance(address, str) else address
    except ValueError:
        return "not an address"
    if _in(found, _MAPPED):
        found = IPv4Address(int(found) & 0xFFFFFFFF)
    for inner in unwrap(found):
        for network, name in _FORBIDDEN:
            if _in(inner, network):
                return f"a {name} address"
    if any(_in(found, network) for network in policy.own):
        return "an address of our own"
    if policy.loopback and any(_in(found, network) for network in _LOOPBACK):
        return None
    if host in policy.hosts or any(_in(found, network) for network in policy.networks):
        return None
    kind = classify(found)
    if kind is not None:
        return f"a {kind} address"
    return None if policy.public else "an address that is not allowed here"
