"""Settings in the words of real client libraries: whole source text, with every value where the library wants it."""

from __future__ import annotations

import pytest

from tests.protocol.bench import make_pair
from tongbao.cli.library import LIBRARIES

ALIPAY = {**make_pair("alipay_openapi", "RSA2", "utf-8").settings, "base_url": "http://127.0.0.1:8601"}


@pytest.mark.parametrize("name", ["alipay-sdk", "python-alipay-sdk", "alipay-sdk-python"])
def test_alipays_libraries_are_told_everything(name: str) -> None:
    """Number, address, key and the platform's key; Python text compiles; nothing is left to be filled in."""
    protocol, write = LIBRARIES[name]
    text = write(ALIPAY)
    assert protocol == "alipay_openapi"
    for value in (ALIPAY["app_id"], ALIPAY["alipay_public_key"].splitlines()[1], "PRIVATE KEY"):
        assert value in text
    assert "None" not in text.replace("app_notify_url=None", "")
    if "python" in name:
        compile(text, name, "exec")
