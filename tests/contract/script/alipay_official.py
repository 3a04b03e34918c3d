"""PyPI alipay-sdk-python: one JSON object a line in, one out. Only its public interface is used."""

import importlib
import json
import logging
import sys
import time
from urllib.parse import parse_qsl

from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.util.SignatureUtils import sign_with_rsa2, verify_with_rsa

client = None
config = None


def settings(said):
    global client, config
    config = AlipayClientConfig()
    for name, value in said["options"].items():
        setattr(config, name, value)
    client = DefaultAlipayClient(alipay_client_config=config, logger=logging.getLogger("quiet"))
    return "ready"


def made(said):
    """A request of a kind, its content in the model that goes with it, or in its own members where none does."""
    kind = said["kind"]
    request = getattr(importlib.import_module(f"alipay.aop.api.request.{kind}Request"), f"{kind}Request")
    if said.get("plain"):
        asked = content = request()
    else:
        content = getattr(importlib.import_module(f"alipay.aop.api.domain.{kind}Model"), f"{kind}Model")()
        asked = request(biz_model=content)
    for name, value in said["content"].items():
        setattr(content, name, value)
    for name, value in said.get("more", {}).items():
        setattr(asked, name, value)
    for name, value in said.get("other", {}).items():
        asked.add_other_text_param(name, value)
    return asked


def plain(value):
    """What the library made of a part of an answer, as JSON knows it."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.to_alipay_dict() if hasattr(value, "to_alipay_dict") else value


def execute(said):
    text = client.execute(made(said))
    kind = f"{said['kind']}Response"
    response = getattr(importlib.import_module(f"alipay.aop.api.response.{kind}"), kind)
    answer = response()
    answer.parse_response_content(text)
    names = [name for name in dir(response) if isinstance(getattr(response, name), property)]
    told = {name: plain(getattr(answer, name)) for name in names}
    return {name: value for name, value in told.items() if value is not None} | {
        "success": answer.is_success(),
        "sub_code": answer.sub_code or "",
    }


def page_execute(said):
    return client.page_execute(made(said), http_method=said["verb"])


def sdk_execute(said):
    return client.sdk_execute(made(said))


def verify(said):
    data = dict(said["data"])
    sign = data.pop("sign")
    data.pop("sign_type")
    text = "&".join(f"{name}={data[name]}" for name in sorted(data) if data[name])
    return verify_with_rsa(config.alipay_public_key, text.encode("utf-8"), sign)


def measure(said):
    """Seconds of the processor that so many signatures, checks of one, or readings of a notification, take."""
    if said["what"] == "sign":
        work = lambda: sign_with_rsa2(config.app_private_key, said["text"], "utf-8")
    elif said["what"] == "verify":
        work = lambda: verify_with_rsa(config.alipay_public_key, said["text"].encode(), said["signature"])
        assert work()
    else:
        work = lambda: verify({"data": dict(parse_qsl(said["body"], keep_blank_values=True))})
    work()
    start = time.process_time()
    for _ in range(said["times"]):
        work()
    return time.process_time() - start


CALLS = {
    "measure": measure,
    "settings": settings,
    "execute": execute,
    "page_execute": page_execute,
    "sdk_execute": sdk_execute,
    "verify": verify,
}

for line in sys.stdin:
    said = json.loads(line)
    try:
        answer = {"value": CALLS[said["call"]](said)}
    except Exception as error:
        answer = {"error": type(error).__name__, "detail": str(error)}
    print(json.dumps(answer, ensure_ascii=False, default=str), flush=True)
