"""PyPI wechatpy: one JSON object a line in, one out. Only its public interface is used; the address is the class
attribute that it documents for it."""

import datetime
import json
import sys

from wechatpy.pay import WeChatPay

sdk = None


def settings(said):
    global sdk
    WeChatPay.API_BASE_URL = said["gateway"] + "/"
    sdk = WeChatPay(**said["options"])
    return "ready"


def method(said):
    owner = getattr(sdk, said["api"])
    arguments = dict(said.get("kwargs", {}))
    if "bill_date" in arguments:
        arguments["bill_date"] = datetime.datetime.strptime(arguments["bill_date"], "%Y-%m-%d")
    return getattr(owner, said["name"])(**arguments)


CALLS = {
    "settings": settings,
    "method": method,
    "payment": lambda said: sdk.parse_payment_result(said["body"]),
    "refunded": lambda said: sdk.parse_refund_notify_result(said["body"]),
    "check": lambda said: sdk.check_signature(said["fields"]),
}

for line in sys.stdin:
    said = json.loads(line)
    try:
        answer = {"value": CALLS[said["call"]](said)}
    except Exception as error:
        kind = getattr(error, "errcode", None) or type(error).__name__
        answer = {"error": str(kind), "detail": str(error)}
    print(json.dumps(answer, ensure_ascii=False, default=str), flush=True)
