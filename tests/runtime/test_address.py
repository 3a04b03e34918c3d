"""The address policy: a table of spellings, every class of address, and a second implementation to compare with."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongbao.kernel.error import ConfigurationError, Refused
from tongbao.wire.address import AddressPolicy, classify, parse_url, refuse_address

PRODUCTION = AddressPolicy.production()
OPEN = AddressPolicy.production((443, 80, 8080, 8443))
SANDBOX = AddressPolicy.sandbox()


def words(text: str) -> list[str]:
    """The words of a table."""
    return text.split()


# -- addresses --------------------------------------------------------------------------------------------------------

PUBLIC = words("""
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0
172.15.255.255 172.32.0.0 192.0.1.255 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255
198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 110.75.142.1 203.119.214.1 168.63.129.15
168.63.129.17 2001:200::1 2400:3200::1 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450:4001::1 2003::1 2c0f:fff0::1
3ffe::1 2620:4f:7fff::1 2620:4f:8001::1 2001:db7:ffff::1 2001:db9::1
""")

INSIDE = words("""
0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.0
127.0.0.1 127.0.1.1 127.1.2.3 127.255.255.255 169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255 172.16.0.0
172.17.0.1 172.31.255.255 192.0.0.0 192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.0.0.192 192.0.0.255 192.0.2.0
192.0.2.255 192.31.196.1 192.52.193.1 192.88.99.0 192.88.99.1 192.88.99.255 192.168.0.0 192.168.1.1 192.168.255.255
192.175.48.1 198.18.0.0 198.18.0.1 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 224.0.0.0
224.0.0.1 239.255.255.255 240.0.0.0 254.255.255.255 255.255.255.254 255.255.255.255 168.63.129.16
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
::ffff:192.168.1.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1
64:ff9b:1::7f00:1 64:ff9b:1:ffff:ffff:ffff:7f00:1 100::1 100::ffff:ffff:ffff:ffff 100:0:0:1::1 101::1 200::1 400::1
1000::1 1fff:ffff::1 2001::1 2001:0:7f00:1::1 2001:0:4136:e378:8000:63bf:80ff:fffe 2001:1::1 2001:2::1 2001:3::1
2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2001:1ff:ffff::1 2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
2002::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:808:808::1 2002:ffff:ffff::1 2620:4f:8000::1 3fff::1 3fff:fff::1 4000::1
5f00::1 5f00:ffff::1 6000::1 8000::1 a000::1 c000::1 e000::1 f000::1 f800::1 fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254
fdff:ffff::1 fe00::1 fe80::1 fe80::1%eth0 fe80::1%1 febf::1 fec0::1 feff::1 ff00::1 ff01::1 ff02::1 ff02::fb ff05::2
ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2400:3200::5efe:7f00:1 2400:3200::200:5efe:a00:1
""")

MALFORMED = [
    "",
    "1",
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.1.1.1",
    ":::",
    "12345::",
    "x",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_T77_public_addresses_pass(address: str) -> None:
    """The neighbours of every closed network are open."""
    assert refuse_address(address, "a.example", PRODUCTION) is None


@pytest.mark.parametrize("address", INSIDE + MALFORMED)
def test_T77_everything_else_is_refused(address: str) -> None:
    """First, last and well-known address of every closed network, and what is no address."""
    assert refuse_address(address, "a.example", PRODUCTION) is not None


def bits(address: str) -> str:
    """The first 32 or 128 bits as text: how the second implementation below looks at addresses."""
    if ":" in address:
        return "6" + "".join(f"{part:08b}" for part in IPv6Address(address).packed)
    return "4" + "".join(f"{int(part):08b}" for part in address.split("."))


CLOSED_PREFIXES = tuple(
    bits(text.partition("/")[0])[: int(text.partition("/")[2]) + 1]
    for text in words(
        "0.0.0.0/8 10.0.0.0/8 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 192.0.0.0/24 "
        "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 192.88.99.0/24 198.18.0.0/15 224.0.0.0/3 192.31.196.0/24 "
        "192.52.193.0/24 192.175.48.0/24 168.63.129.16/32 "
        "2001::/23 2001:db8::/32 2002::/16 3fff::/20 2620:4f:8000::/48"
    )
)


def second_opinion(address: str) -> bool:
    """Whether an address is public, by comparing prefixes as text: IPv6 only from 2000::/3."""
    text = bits(address)
    if text[0] == "6" and not text.startswith("6001"):
        return False
    if text[0] == "6" and text[65:97] in (f"{0x5EFE:032b}", f"{0x2005EFE:032b}"):
        return second_opinion(str(IPv4Address(int(text[97:], 2))))
    return not text.startswith(CLOSED_PREFIXES)


near = st.sampled_from(PUBLIC + [text for text in INSIDE if "%" not in text]).map(lambda text: int(ip_address(text)))
v4 = st.one_of(st.integers(0, 2**32 - 1), near.filter(lambda number: number < 2**32).map(lambda n: max(0, n - 1)))
v6 = st.one_of(
    st.integers(0, 2**128 - 1),
    st.tuples(near, st.integers(0, 2**64)).map(lambda pair: (pair[0] ^ pair[1]) % 2**128),
    st.tuples(st.integers(0, 2**64 - 1), st.sampled_from((0x5EFE, 0x2005EFE)), v4).map(
        lambda parts: (parts[0] << 64) | (parts[1] << 32) | parts[2]
    ),
)


@given(v4)
def test_T77_second_implementation_agrees_on_ipv4(number: int) -> None:
    """Two ways of looking, one answer."""
    address = str(IPv4Address(number))
    assert (refuse_address(address, "a.example", PRODUCTION) is None) == second_opinion(address)


@given(v6)
def test_T77_second_implementation_agrees_on_ipv6(number: int) -> None:
    """The same for IPv6, mapped addresses being judged as what they hold."""
    address = IPv6Address(number)
    expected = second_opinion(str(address.ipv4_mapped or address))
    assert (refuse_address(str(address), "a.example", PRODUCTION) is None) == expected


def test_M5_python_alone_would_let_these_through() -> None:
    """Why there is a list of our own."""
    for text in ("64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "fec0::1", "5f00::1", "192.88.99.1"):
        assert classify(ip_address(text)) is not None


NEVER = words("""
169.254.169.254 169.254.0.1 fe80::1 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 fd20:ce::254
0.0.0.0 0.1.2.3 :: 224.0.0.1 255.255.255.255 ff02::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe
2002:a9fe:a9fe::1 ::169.254.169.254 64:ff9b:1::a9fe:a9fe 2400:3200::5efe:a9fe:a9fe fe80::1%eth0
""")


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_link_local_stay_closed_even_if_listed(address: str) -> None:
    """No entry of the allow-list opens them: not a network, not a host name."""
    everything = AddressPolicy.sandbox(["0.0.0.0/0", "::/0", "host.example"])
    assert refuse_address(address, "host.example", everything) is not None


def test_sandbox_opens_loopback_and_what_is_listed_only() -> None:
    """--allow-target takes networks, addresses and names; the rest of the world is closed."""
    policy = AddressPolicy.sandbox(["172.17.0.0/16", "192.168.1.20", "fd00:1::/64", "Shop_1", "phone.lan", "loopback"])
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "172.17.0.5", "192.168.1.20", "fd00:1::5"):
        assert refuse_address(address, "any", policy) is None
    assert refuse_address("192.168.7.7", "shop_1", policy) is None
    assert refuse_address("192.168.7.7", "phone.lan", policy) is None
    for address in ("172.18.0.5", "192.168.1.21", "8.8.8.8", "10.0.0.1", "64:ff9b::7f00:1", "::127.0.0.1"):
        assert refuse_address(address, "any", policy) is not None
    assert refuse_address("127.0.0.1", "any", PRODUCTION) is not None


def test_own_addresses_are_never_called() -> None:
    """Our own public addresses are closed to merchants (T72)."""
    policy = AddressPolicy.production(own=["110.75.142.0/24", "2400:3200::/32"])
    assert refuse_address("110.75.142.9", "a.example", policy) == "an address of our own"
    assert refuse_address("2400:3200::9", "a.example", policy) == "an address of our own"
    assert refuse_address("110.75.143.9", "a.example", policy) is None


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "1.2.3.4/40", "a b", "", "http://x", "ho$t", "127.1", "a..b"])
def test_malformed_allow_list_entries_are_named(entry: str) -> None:
    """The operator reads which entry is wrong."""
    with pytest.raises(ConfigurationError, match="allow-target"):
        AddressPolicy.sandbox([entry])


def test_only_web_ports_can_be_opened() -> None:
    """443, and 80, 8080, 8443 on request."""
    with pytest.raises(ConfigurationError, match="ports"):
        AddressPolicy.production((443, 22))


# -- URLs -------------------------------------------------------------------------------------------------------------

GOOD = {
    "https://shop.example.com": "https://shop.example.com/",
    "HTTPS://Shop.Example.COM:443/N?a=1": "https://shop.example.com/N?a=1",
    "https://shop.example.com?a=b": "https://shop.example.com/?a=b",
    "https://shop.example.com/?": "https://shop.example.com/",
    "https://a.example/%2F/../x;y=1?b=%zz&c=http://inner/@x": "https://a.example/%2F/../x;y=1?b=%zz&c=http://inner/@x",
    "https://例子.中国/通知?单=1": "https://xn--fsqu00a.xn--fiqs8s/%E9%80%9A%E7%9F%A5?%E5%8D%95=1",
    "https://例子。中国/": "https://xn--fsqu00a.xn--fiqs8s/",
    "https://xn--fsqu00a.xn--fiqs8s/": "https://xn--fsqu00a.xn--fiqs8s/",
    "https://a.example/#/result": "https://a.example/#/result",
    "https://1.example/": "https://1.example/",
    "https://a-b.c--d.example/": "https://a-b.c--d.example/",
}

BAD = [
    *("", "/", "//evil", "/\\evil", "shop.example.com", "https:", "https:/a.example", "https:///x", "https://"),
    *("http://a.example/", "ftp://a.example/", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"),
    *(
        "gopher://a.example/",
        "HTTP://a.example/",
        " https://a.example/",
        "https://a.example/ x",
        "https://a.example/\t",
    ),
    *("https://a.example/\r\nX: y", "https://a.ex\nample/", "\x00https://a.example/", "https://a.example/\x7f"),
    *("https://good.example\\@evil.example/", "https://user@a.example/", "https://user:pw@a.example/"),
    *("https://a.example@127.0.0.1/", "https://a.example:443@evil/", "https://@a.example/", "https://a.example:/"),
    *("https://a.example:0/", "https://a.example:0443/", "https://a.example:+443/", "https://a.example:-1/"),
    *("https://a.example:65536/", "https://a.example:99999/", "https://a.example:４４３/", "https://a.example:443x/"),
    *("https://a.example:22/", "https://a.example:25/", "https://a.example:80/", "https://a.example:8443/"),
    *("https://a.example:443:443/", "https://a.example./", "https://a..example/", "https://.example/", "https://./"),
    *(
        "https://-a.example/",
        "https://a-.example/",
        "https://a_b.example/",
        "https://a%2eexample/",
        "https://a,b.example/",
    ),
    *(
        "https://a.example%00.evil/",
        "https://a!b.example/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 127}example/",
    ),
    *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/"),
    *("https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://127.0.1/", "https://8.8.8.8/"),
    *(
        "https://１２７.0.0.1/",
        "https://①②⑦.⓪.⓪.①/",
        "https://127。0。0。1/",
        "https://127．0．0．1/",
        "https://127｡0｡0｡1/",
    ),
    *("https://0/", "https://0x/", "https://a.0x7f/", "https://a.1/", "https://1.2.3.4.5/", "https://256.256.256.256/"),
    *("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[2400:3200::1]/", "https://[fe80::1%25eth0]/"),
    *("https://[::1/", "https://[]/", "https://[x]/", "https://[::1]x/", "https://::1/", "https://[::1]443/"),
    *(
        "https://localhost/",
        "https://LOCALHOST/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://x.internal/",
    ),
    *(
        "https://metadata.google.internal/",
        "https://intranet/",
        "https://a.home.arpa/",
        "https://a.lan/",
        "https://x.onion/",
    ),
    *("https://a\u200b.example/", "https://a\u00ad.example/", "https://xn--a.example/", "https://xn--zzzzzz.example/"),
    *("https://ａ.example/", "https://A\u0308.example/", "https://\u202eelpmaxe.com/", "https://☃.example/"),
    *(
        "https://a.example/\ud800",
        "https://a.example\u3000/",
        "https://a.example/\u0085",
        "https://a.example/" + "a" * 4_096,
    ),
]


@pytest.mark.parametrize("url", GOOD)
def test_T76_good_urls_are_written_anew(url: str) -> None:
    """One spelling comes out, and coming in again it stays as it is."""
    again = parse_url(url, PRODUCTION).url
    assert again == GOOD[url]
    assert parse_url(again, PRODUCTION).url == again


@pytest.mark.parametrize("url", BAD)
def test_T76_odd_urls_are_refused(url: str) -> None:
    """The corpus of M5 and its kin: 422 URL_NOT_ALLOWED in production."""
    with pytest.raises(Refused) as caught:
        parse_url(url, PRODUCTION)
    assert caught.value.code == "URL_NOT_ALLOWED"


def test_opened_ports_open_plain_http_at_80_and_8080_only() -> None:
    """Old shops listen there; still names only."""
    for url in ("http://a.example/", "http://a.example:8080/", "https://a.example:8443/"):
        assert parse_url(url, OPEN).url == url
    for url in ("http://a.example:443/", "http://a.example:8443/", "http://127.0.0.1/", "http://a.example:81/"):
        with pytest.raises(Refused):
            parse_url(url, OPEN)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/notify.php?a=b",
        "http://localhost:3000/",
        "http://shop/",
        "http://shop_1:8000/",
        "http://[::1]:8000/",
        "https://127.0.0.1:8443/",
        "http://shop.test/",
    ],
)
def test_sandbox_takes_what_developers_have(url: str) -> None:
    """Any port, literals of loopback, names of containers."""
    assert parse_url(url, SANDBOX).url == url


@pytest.mark.parametrize(
    "url",
    words("""
    http://127.1/ http://2130706433/ http://10.0.0.1/ http://169.254.169.254/latest/ http://[fe80::1]/ http://0.0.0.0/
    http://[::]/ http://u@127.0.0.1/ http://127.0.0.1:0/ ftp://127.0.0.1/ /notify
    """),
)
def test_sandbox_is_no_less_strict_about_shape(url: str) -> None:
    """One spelling per address; closed addresses are refused when registered, not only when called."""
    with pytest.raises(Refused):
        parse_url(url, SANDBOX)


PIECES = [
    "https://",
    "http://",
    "a.example",
    "127.0.0.1",
    "[::1]",
    "@",
    ":",
    "443",
    "/",
    "\\",
    "?",
    "#",
    "%2e",
    "\t",
    "例",
    ".",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=8).map("".join)))
def test_T76_any_text_is_refused_or_comes_out_stable(url: str) -> None:
    """Never another exception; what passes is ASCII and parses to itself."""
    for policy in (PRODUCTION, OPEN, SANDBOX):
        try:
            target = parse_url(url, policy)
        except Refused:
            continue
        else:
            assert target.url.isascii()
            assert parse_url(target.url, policy) == target


def test_the_table_has_the_size_it_should() -> None:
    """A table that somebody empties would pass."""
    assert len(list(itertools.chain(PUBLIC, INSIDE, MALFORMED, NEVER, GOOD, BAD))) >= 300
