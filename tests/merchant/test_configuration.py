"""Configuration from files, an environment mapping and code; every error names its field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.merchant.conftest import KEY, configure
from tests.protocol.bench import NOW, make_pair
from tongbao.kernel.error import ConfigurationError
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.merchant.endpoint import Endpoint, EndpointTable
from tongbao.wire.party import Party
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


def test_keys_and_certificates_may_be_named_by_their_files(tmp_path: Path) -> None:
    """A path in the place of a key or certificate is read; one that leads nowhere is an error that says so."""
    settings = dict(make_pair("alipay_openapi", "RSA2", "utf-8").settings)
    named = dict(settings)
    for name in ("app_private_key", "alipay_public_key", "app_cert", "alipay_cert", "alipay_root_cert"):
        path = tmp_path / f"{name}.pem"
        path.write_text(settings[name], "ascii")
        named[name] = str(path)
    said = {"protocol": "alipay_openapi", "environment": "sandbox"}
    plain = MerchantConfiguration.from_mapping({**said, "credentials": settings})
    read = MerchantConfiguration.from_mapping({**said, "credentials": named})
    assert read.keys.ring.verify == plain.keys.ring.verify
    assert read.keys.ring.sign[0].chain == plain.keys.ring.sign[0].chain
    with pytest.raises(ConfigurationError) as caught:
        MerchantConfiguration.from_mapping({**said, "credentials": {**named, "app_cert": "/nowhere/app.crt"}})
    assert caught.value.field == "credentials.app_cert"


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
