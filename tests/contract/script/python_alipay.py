"""PyPI python-alipay-sdk: one JSON object a line in, one out. Only its public interface is used, and the private
attribute that holds the gateway's address, which has no other way in."""

import json
import sys
import time
from urllib.parse import parse_qsl

from alipay import AliPay, DCAliPay

sdk = None


def settings(said):
    global sdk
    options = dict(said["options"])
    kind = DCAliPay if "app_public_key_cert_string" in options else AliPay
    sdk = kind(**options)
    sdk._gateway = said["gateway"]
    return "ready"


def method(said):
    return getattr(sdk, said["name"])(*said.get("args", ()), **said.get("kwargs", {}))


def verify(said):
    data = dict(said["data"])
    return sdk.verify(data, data.pop("sign"))


def measure(said):
    """Seconds of the processor that so many signatures, checks of one, or readings of a notification, take."""
    if said["what"] == "sign":
        work = lambda: sdk._sign(said["text"])
    elif said["what"] == "verify":
        work = lambda: sdk._verify(said["text"], said["signature"])
        assert work()
    else:
        def work():
            data = dict(parse_qsl(said["body"], keep_blank_values=True))
            assert sdk.verify(data, data.pop("sign"))
    work()
    start = time.process_time()
    for _ in range(said["times"]):
        work()
    return time.process_time() - start


def attribute(said):
    return getattr(sdk, said["name"])


def functions(said):
    """Names of the functions that the library has for methods."""
    return [name for name in dir(sdk) if name.startswith("api_")]


CALLS = {"settings": settings, "method": method, "verify": verify, "attribute": attribute, "functions": functions, "measure": measure}

for line in sys.stdin:
    said = json.loads(line)
    try:
        answer = {"value": CALLS[said["call"]](said)}
    except Exception as error:
        answer = {"error": type(error).__name__, "detail": str(error)}
    print(json.dumps(answer, ensure_ascii=False, default=str), flush=True)
