"""Configuration from files, an environment mapping and code; every error names its field."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_elliptic
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.merchant.conftest import KEY, configure
from tests.protocol.bench import NOW, make_pair
from tongbao.kernel.error import ConfigurationError
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.endpoint import Endpoint, EndpointTable
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.party import Party
from tongbao.wire.sign import load_rsa_private, load_rsa_public, private_pem
from tongbao.wire.vocabulary import QueryTrade

PARTNER = "2088000000000001"

TOML = f"""
protocol = "alipay_mapi"
environment = "sandbox"
gateway = "http://127.0.0.1:8080/alipay_mapi/gateway.do"
notify_url = "https://shop.example/notify"
return_url = "https://shop.example/return"
mail_sender = "Shop <shop@example.com>"
answer_seconds = 20

[credentials]
partner = "{PARTNER}"
key = "{KEY}"
charset = "gbk"
"""


NAMES = ("app_private_key", "alipay_public_key", "app_cert", "alipay_cert", "alipay_root_cert")


def openapi(**more: Any) -> dict[str, Any]:
    """Settings of Alipay's Open Platform as the sandbox hands them out, without an address."""
    said = {name: value for name, value in make_pair("alipay_openapi", "RSA2", "utf-8").settings.items() if value}
    return {name: value for name, value in (said | more).items() if name != "gateway"}


def build(credentials: Mapping[str, Any], **more: Any) -> MerchantConfiguration:
    """A configuration that was built directly."""
    return MerchantConfiguration(
        protocol="alipay_openapi", credentials=credentials, **{"environment": "sandbox", **more}
    )


def numbers(configuration: MerchantConfiguration) -> tuple[object, ...]:
    """What the keys and certificates of a configuration are, whatever form they had."""
    ring = configuration.keys.ring
    own: Any = ring.sign[0].material
    theirs: Any = ring.verify[0].material
    return own.private_numbers(), theirs.public_numbers(), ring.sign[0].chain, ring.verify[0].chain


def forms() -> dict[str, dict[str, str]]:
    """The settings with their keys in each form that platforms and consoles hand out, and certificates beside them."""
    said = openapi()
    own = load_rsa_private(said["app_private_key"], "app_private_key")
    theirs = load_rsa_public(said["alipay_public_key"], "alipay_public_key")
    bare = {name: "".join(said[name].split("-----")[2].split()) for name in NAMES[2:]}
    found: dict[str, dict[str, str]] = {}
    for name, private, public in (
        ("PKCS1", PrivateFormat.TraditionalOpenSSL, PublicFormat.PKCS1),
        ("PKCS8", PrivateFormat.PKCS8, PublicFormat.SubjectPublicKeyInfo),
    ):
        pem, der = (
            (own.private_bytes(kind, private, NoEncryption()), theirs.public_bytes(kind, public))
            for kind in (Encoding.PEM, Encoding.DER)
        )
        found[f"{name} PEM"] = said | {key: text.decode("ascii") for key, text in zip(NAMES[:2], pem, strict=True)}
        lines = {key: b64encode(text).decode("ascii") for key, text in zip(NAMES[:2], der, strict=True)}
        found[f"{name} base64"] = said | bare | lines
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["key", "certificate"])
def test_keys_and_certificates_in_every_form(tmp_path: Path, mode: str) -> None:
    """PEM or one line of base64, PKCS#1 or PKCS#8, in itself or as the path of a file, in code as in a mapping: all are
    the same keys. A configuration made out of one that has read its files is that one."""
    wanted = numbers(build(openapi(mode=mode)))
    for form, said in forms().items():
        named = dict(said)
        for name in NAMES:
            path = tmp_path / f"{form} {name}.pem"
            path.write_text(said[name], "ascii")
            named[name] = str(path)
        for given in (said, named):
            built = build({**given, "mode": mode})
            assert numbers(built) == wanted, form
            settings = {"protocol": "alipay_openapi", "environment": "sandbox", "credentials": {**given, "mode": mode}}
            assert MerchantConfiguration.from_mapping(settings) == built == replace(built, total_seconds=60)


def test_T01_a_document_that_cannot_be_read_is_not_quoted(tmp_path: Path) -> None:
    """A configuration, a sandbox's file and a secret's that are broken: their errors hold nothing of them."""
    for name, text in (("shop.toml", f"{TOML}\n="), ("shop.json", f'{{"key": "{KEY}"'), ("latin.json", f'"{KEY}\xe9"')):
        path = tmp_path / name
        path.write_text(text, "latin-1")
        for load in (
            partial(MerchantConfiguration.from_file, path),
            partial(MerchantConfiguration.from_sandbox, path, "alipay_mapi"),
        ):
            with pytest.raises(ConfigurationError) as caught:
                load()
            assert KEY not in told(caught.value)
    said = {"TONGBAO_PROTOCOL": "alipay_mapi", "TONGBAO_PARTNER": PARTNER, "TONGBAO_KEY_FILE": KEY}
    with pytest.raises(ConfigurationError) as caught:
        MerchantConfiguration.from_environment(said)
    assert caught.value.field == "TONGBAO_KEY_FILE"
    assert KEY not in told(caught.value)


@pytest.mark.slow
def test_keys_as_editors_and_environments_leave_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark that some editors put before a text; line ends that are spelt; a path from the user's home or from the
    folder one is in; an elliptic key in one line is a key, and no path."""
    said = openapi(mode="key")
    wanted = numbers(build(said))
    pem = said["app_private_key"]
    (tmp_path / "marked.pem").write_text(pem, "utf-8-sig")
    (tmp_path / "spelt.pem").write_text(pem.replace("\n", "\\n"), "ascii")
    (tmp_path / "line").write_text("".join(pem.splitlines()[1:-1]), "utf-8-sig")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    line = "".join(pem.splitlines()[1:-1])
    for value in (
        f"\ufeff{pem}",
        f"\ufeff{line}",
        pem.replace("\n", "\\n"),
        pem.replace("\n", "\\r\\n"),
        str(tmp_path / "marked.pem"),
        str(tmp_path / "spelt.pem"),
        "~/marked.pem",
        "line",
    ):
        assert numbers(build({**said, "app_private_key": value})) == wanted
    found = {f"TONGBAO_{name.upper()}": text for name, text in said.items()} | {"TONGBAO_PROTOCOL": "alipay_openapi"}
    del found["TONGBAO_APP_PRIVATE_KEY"]
    found |= {"TONGBAO_APP_PRIVATE_KEY_FILE": "~/line", "TONGBAO_ENVIRONMENT": "sandbox"}
    assert numbers(MerchantConfiguration.from_environment(found)) == wanted
    curve = generate_elliptic(SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ConfigurationError, match="not an RSA key"):
        build({**said, "alipay_public_key": b64encode(curve).decode("ascii")})


def test_a_short_key_is_no_path(tmp_path: Path) -> None:
    """The shortest key that any protocol takes (RSA, PKCS#1, one line) is a key; a path may be longer than it."""
    own, theirs = (generate_private_key(65_537, 1_024) for _ in range(2))
    line = b64encode(theirs.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode("ascii")
    assert len(line) == 188
    deep = tmp_path / "/".join(["deep"] * 40)
    deep.mkdir(parents=True)
    (deep / "app.pem").write_text(private_pem(own), "ascii")
    said = {"app_id": PARTNER, "sign_type": "RSA", "alipay_public_key": line, "app_private_key": str(deep / "app.pem")}
    built = build(said)
    assert len(said["app_private_key"]) > len(line)
    assert numbers(built)[:2] == (own.private_numbers(), theirs.public_key().public_numbers())


def told(error: BaseException | None) -> str:
    """All that an error and those behind it hold, also where a traceback would not show it."""
    texts: list[str] = []
    while error is not None:
        texts += [str(error), repr(error.args), repr(vars(error)), *(repr(getattr(error, name, "")) for name in HOLD)]
        error = error.__context__ or error.__cause__
    return "".join(texts)


HOLD = ("object", "doc", "filename")
"""Where errors of the standard library keep what they are about."""


@pytest.mark.parametrize("name", NAMES)
def test_T01_a_file_or_key_that_cannot_be_read_is_named_and_not_quoted(tmp_path: Path, name: str) -> None:
    """A path that leads nowhere, a folder, a file that is no text, an empty one, and a key copied in part: the field is
    named, and what stood there is in no message and in no cause of it."""
    said = openapi(mode="key" if name == "alipay_public_key" else "certificate")
    binary, empty = tmp_path / "key.der", tmp_path / "empty.pem"
    binary.write_bytes(b"\x30\x82\xff\xfe")
    mixed = tmp_path / "mixed.pem"
    mixed.write_text(f"{said[name]}密", "utf-8")
    empty.write_bytes(b"")
    part = "".join(said[name].split("-----")[2].split())
    for value, reason in (
        ("/nowhere/app.pem", "No such file"),
        (str(tmp_path), "directory"),
        (str(binary), "neither PEM nor base64"),
        (str(mixed), "neither PEM nor base64"),
        ("a\0b", "no path at all"),
        ("~nobody-has-this-name/app.pem", "no path at all"),
        (str(empty), "is blank"),
        (part[:90], "neither a key nor the path"),
        (part[:301], ""),
        (part[7:301], "neither a key nor the path"),
        (part[7:], ""),
    ):
        with pytest.raises(ConfigurationError) as caught:
            build({**said, name: value})
        assert (caught.value.field, reason in caught.value.reason) == (f"credentials.{name}", True)
        assert part[20:60] not in told(caught.value)


@pytest.mark.parametrize(
    ("protocol", "algorithm", "address"),
    [
        ("alipay_openapi", "RSA2", "https://openapi-sandbox.dl.alipaydev.com/gateway.do"),
        ("alipay_mapi", "MD5", "https://mapi.alipaydev.com/gateway.do"),
        ("kuaiqian", "MD5", "https://sandbox.99bill.com/gateway/recvMerchantInfoAction.htm"),
    ],
)
def test_T30_one_setting_selects_the_official_sandbox(protocol: str, algorithm: str, address: str) -> None:
    """Where the protocol knows an official sandbox, ``environment`` alone leads there; another address may still be
    named, in either place. Production goes nowhere but to production, and never to that address."""
    said = {name: value for name, value in make_pair(protocol, algorithm).settings.items() if "gateway" not in name}
    manifest = load_protocol(protocol)

    def built(environment: str, gateway: str = "", own: str = "") -> str:
        credentials = said | {"gateway": own} if own else said
        given = MerchantConfiguration(
            protocol=protocol, credentials=credentials, environment=environment, gateway=gateway
        )
        return given.keys.gateway

    assert built("sandbox") == address == manifest.sandbox_gateway
    assert built("sandbox", gateway="http://127.0.0.1:9/x") == "http://127.0.0.1:9/x"
    assert built("sandbox", own="http://127.0.0.1:9/x") == "http://127.0.0.1:9/x"
    assert built("production") == manifest.gateway
    for wrong in (address, address.upper().replace("HTTPS", "https"), address.replace(".com/", ".com.:443/")):
        with pytest.raises(ConfigurationError, match="gateway: the official sandbox's address is not a production"):
            built("production", gateway=wrong)
    with pytest.raises(ConfigurationError, match="gateway: the official sandbox's address is not a production"):
        built("production", own=address)
    with pytest.raises(
        ConfigurationError, match=r"gateway: a sandbox configuration would call the production gateway$"
    ):
        built("sandbox", gateway=manifest.gateway.replace(".com/", ".com./"))


def test_T30_without_an_official_sandbox_the_address_must_be_named() -> None:
    """The error says so; nothing falls back to production."""
    for name in protocol_names():
        manifest = load_protocol(name)
        if manifest.sandbox_gateway:
            continue
        pair = make_pair(name, manifest.algorithms[0], manifest.charset)
        said = {name: value for name, value in pair.settings.items() if "gateway" not in name}
        with pytest.raises(ConfigurationError, match="no official sandbox of this protocol is known") as caught:
            MerchantConfiguration(protocol=name, credentials=said, environment="sandbox")
        assert caught.value.field == "gateway"


def test_both_interfaces_of_the_open_platform_go_to_the_sandbox() -> None:
    """gateway.do and the REST paths."""
    for interface, address in (
        ("v2", "https://openapi-sandbox.dl.alipaydev.com/gateway.do"),
        ("v3", "https://openapi-sandbox.dl.alipaydev.com/v3/alipay/trade/query"),
    ):
        configuration = build(openapi(interface=interface))
        intent = QueryTrade(merchant=configuration.merchant, out_trade_no="A1", trade_no="")
        assert configuration.manifest.client.encode(intent, configuration.keys, NOW).url == address


def test_a_toml_file(tmp_path: Path) -> None:
    """All of it, from the file's top level or a named table."""
    path = tmp_path / "shop.toml"
    path.write_text(TOML)
    read = MerchantConfiguration.from_file(path)
    assert (read.merchant, read.environment, read.answer_seconds) == (PARTNER, "sandbox", 20)
    assert (read.keys.gateway, read.seller) == ("http://127.0.0.1:8080/alipay_mapi/gateway.do", Party(PARTNER))
    assert read.limits.first_byte_seconds == 20
    nested = tmp_path / "nested.toml"
    nested.write_text(
        TOML.replace("[credentials]", "[pay.alipay.credentials]").replace("\nprotocol", "\n[pay.alipay]\nprotocol")
    )
    assert MerchantConfiguration.from_file(nested, "pay.alipay") == read


def test_a_json_file_and_code_mean_the_same(tmp_path: Path) -> None:
    """The same settings by other ways are equal."""
    settings: dict[str, Any] = {
        "protocol": "alipay_mapi",
        "environment": "sandbox",
        "gateway": "http://127.0.0.1:1/gateway.do",
        "credentials": {"partner": PARTNER, "key": KEY},
    }
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(settings))
    assert MerchantConfiguration.from_file(path) == MerchantConfiguration(**settings)


def test_an_environment_mapping(tmp_path: Path) -> None:
    """Our names and the protocol's own under one prefix; a secret may come from a file."""
    secret = tmp_path / "key"
    secret.write_text(f"{KEY}\n")
    read = MerchantConfiguration.from_environment(
        {
            "TONGBAO_PROTOCOL": "alipay_mapi",
            "TONGBAO_ENVIRONMENT": "sandbox",
            "TONGBAO_GATEWAY": "http://127.0.0.1:1/gateway.do",
            "TONGBAO_PARTNER": PARTNER,
            "TONGBAO_KEY_FILE": str(secret),
            "TONGBAO_TOTAL_SECONDS": "9",
            "TONGBAO_UNRELATED": "x",
            "HOME": "/",
        }
    )
    assert (read.merchant, read.total_seconds, dict(read.credentials)) == (PARTNER, 9, {"partner": PARTNER, "key": KEY})


def test_the_sandbox_file(tmp_path: Path) -> None:
    """The document that the sandbox writes, with the shop's own addresses beside it."""
    path = tmp_path / "tongbao-sandbox.json"
    entry = {
        "base_url": "http://127.0.0.1:9001",
        "gateway": "http://127.0.0.1:9001/gateway.do",
        "partner": PARTNER,
        "key": KEY,
        "seller_email": "seller@example.com",
        "unknown_to_us": 1,
    }
    path.write_text(json.dumps({"schema": 1, "base_url": "http://127.0.0.1:9000", "protocols": {"alipay_mapi": entry}}))
    read = MerchantConfiguration.from_sandbox(path, "alipay_mapi", notify_url="http://127.0.0.1:8000/notify")
    assert (read.environment, read.merchant, read.keys.gateway) == ("sandbox", PARTNER, entry["gateway"])
    assert Endpoint(name="a", configuration=read).path == b"/notify"
    with pytest.raises(ConfigurationError, match="is not a sandbox file that knows nothing"):
        MerchantConfiguration.from_sandbox(path, "nothing")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"environment": "staging"}, "environment"),
        ({"notify_url": "/notify"}, "notify_url"),
        ({"notify_url": "shop.example/notify"}, "notify_url"),
        ({"return_url": "http://shop.example/a b"}, "return_url"),
        ({"return_url": "http://shop.example/#x"}, "return_url"),
        ({"return_url": "http://user@shop.example/"}, "return_url"),
        ({"gateway": "ftp://x/"}, "gateway"),
        ({"total_seconds": 0}, "total_seconds"),
        ({"total_seconds": "9"}, "total_seconds"),
        ({"connect_seconds": True}, "connect_seconds"),
        ({"mail_sender": 3}, "mail_sender"),
        ({"ca_file": "/nowhere.pem"}, "ca_file"),
        ({"credentials": {"mid": "m1"}}, "credentials.key"),
        ({"credentials": {"mid": "m1", "key": KEY, "kye": "x"}}, "credentials.kye"),
        ({"credentials": {"mid": 1, "key": KEY}}, "credentials.mid"),
        ({"credentials": {"mid": "", "key": KEY}}, "credentials.mid"),
    ],
)
def test_errors_name_the_field(change: dict[str, Any], field: str) -> None:
    """Each wrong setting is refused by its name."""
    with pytest.raises(ConfigurationError) as caught:
        configure(**change)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "protocol"),
        ({"protocol": "alipay_mapi"}, "credentials"),
        ({"protocol": "alipay_mapi", "credentials": {}}, "credentials"),
        ({"protocol": "nobody", "credentials": {"a": "b"}}, "protocol"),
        ({"protocol": "alipay_mapi", "notify": "x", "credentials": {"a": "b"}}, "notify"),
    ],
)
def test_errors_of_a_mapping_name_the_field(settings: dict[str, Any], field: str) -> None:
    """Missing and misspelt entries of a file."""
    with pytest.raises(ConfigurationError) as caught:
        MerchantConfiguration.from_mapping(settings)
    assert caught.value.field == field


def test_broken_files_are_named(tmp_path: Path) -> None:
    """A missing file, one that does not parse, and a table that is not there."""
    broken = tmp_path / "broken.toml"
    broken.write_text("protocol = ")
    for path, section in ((tmp_path / "none.toml", ""), (broken, "")):
        with pytest.raises(ConfigurationError) as caught:
            MerchantConfiguration.from_file(path, section)
        assert caught.value.field == str(path)
    broken.write_text(TOML)
    with pytest.raises(ConfigurationError, match="pay: is not a table"):
        MerchantConfiguration.from_file(broken, "pay")


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({}, "TONGBAO_PROTOCOL"),
        ({"TONGBAO_PROTOCOL": "alipay_mapi", "TONGBAO_TOTAL_SECONDS": "soon"}, "TONGBAO_TOTAL_SECONDS"),
        ({"TONGBAO_PROTOCOL": "alipay_mapi", "TONGBAO_KEY_FILE": "/nowhere"}, "TONGBAO_KEY_FILE"),
    ],
)
def test_errors_of_an_environment_name_the_variable(environment: dict[str, str], field: str) -> None:
    """The name is the variable's, as the operator wrote it."""
    with pytest.raises(ConfigurationError) as caught:
        MerchantConfiguration.from_environment(environment)
    assert caught.value.field == field


def test_T65_no_secret_is_shown_by_repr() -> None:
    """Neither the configuration nor an endpoint over it shows its key."""
    assert KEY not in repr(configure())
    assert KEY not in repr(Endpoint(name="a", configuration=configure()))


def test_endpoints_do_not_share_names_or_paths() -> None:
    """Two endpoints at one path could not be told apart by the path."""
    one = Endpoint(name="a", configuration=configure())
    with pytest.raises(ConfigurationError, match="share /notify"):
        EndpointTable([one, Endpoint(name="b", configuration=configure())])
    with pytest.raises(ConfigurationError, match="two endpoints are called a"):
        EndpointTable([one, one])
    with pytest.raises(ConfigurationError, match="there is none"):
        EndpointTable([])
    two = EndpointTable([one, Endpoint(name="b", configuration=configure(), path=b"/b", return_path=b"/r")])
    assert (two.of_order("b"), two.of_order(""), two.of_order("c")) == (two.names["b"], None, None)


def test_T86_nonces_come_from_the_entropy_that_is_given() -> None:
    """Equal entropy, equal nonces; without one each configuration has the system's."""

    class Fixed:
        def token(self, length: int) -> bytes:
            return b"7" * length

    settings = dict(make_pair("wechatpay_v3", "WECHATPAY2-SHA256-RSA2048").settings)
    said: dict[str, Any] = {"protocol": "wechatpay_v3", "credentials": settings, "environment": "sandbox"}

    def headers(configuration: MerchantConfiguration) -> object:
        intent = QueryTrade(merchant=configuration.merchant, out_trade_no="A12345", trade_no="")
        return configuration.manifest.client.encode(intent, configuration.keys, NOW).headers

    given = [headers(MerchantConfiguration(**said, entropy=Fixed())) for _ in range(2)]
    assert given[0] == given[1] != headers(MerchantConfiguration(**said))
