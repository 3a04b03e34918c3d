"""PyPI wechatpayv3: one JSON object a line in, one out. Only its public interface is used, and the private attributes
that hold the gateway's address and the known certificates, which have no other way in."""

import base64
import json
import sys
import tempfile
import time
from pathlib import Path

from wechatpayv3 import SignType, WeChatPay, WeChatPayType

sdk = None


def settings(said):
    """``trust``: ``public_key``, or ``certificate``, whose file is laid down before: the constructor would ask the
    production address for it."""
    global sdk
    options = dict(said["options"])
    if said["trust"] == "certificate":
        folder = tempfile.mkdtemp()
        Path(folder, f"{said['serial']}.pem").write_text(said["certificate"], "ascii")
        options["cert_dir"] = folder
    sdk = WeChatPay(wechatpay_type=WeChatPayType.NATIVE, **options)
    sdk._core._gate_way = said["gateway"]
    return "ready"


def method(said):
    arguments = dict(said.get("kwargs", {}))
    if "pay_type" in arguments:
        arguments["pay_type"] = WeChatPayType[arguments["pay_type"]]
    code, message = getattr(sdk, said["name"])(**arguments)
    if isinstance(message, bytes):
        return [code, {"bytes": base64.b64encode(message).decode()}]
    return [code, json.loads(message) if message else None]


def forget(said):
    sdk._core._certificates.clear()
    sdk._core._cert_dir = None
    return len(sdk._core._certificates)


def known(said):
    return [f"{certificate.serial_number:X}" for certificate in sdk._core._certificates]


def measure(said):
    """Seconds of the processor that so many calls take."""
    if said["what"] == "sign":
        lines = said["text"].split("\n")[:-1]
        work = lambda: sdk.sign(lines, SignType.RSA_SHA256)
    else:
        work = lambda: sdk.callback(headers=said["headers"], body=said["body"])
    assert work()
    start = time.process_time()
    for _ in range(said["times"]):
        work()
    return time.process_time() - start


CALLS = {
    "measure": measure,
    "settings": settings,
    "method": method,
    "forget": forget,
    "known": known,
    "callback": lambda said: sdk.callback(headers=said["headers"], body=said["body"]),
    "sign": lambda said: sdk.sign(said["data"], SignType.RSA_SHA256),
    "encrypt": lambda said: sdk._core.encrypt(said["text"]),
    "decrypt": lambda said: sdk.decrypt(said["text"]),
}

for line in sys.stdin:
    said = json.loads(line)
    try:
        answer = {"value": CALLS[said["call"]](said)}
    except Exception as error:
        answer = {"error": type(error).__name__, "detail": str(error)}
    print(json.dumps(answer, ensure_ascii=False, default=str), flush=True)
