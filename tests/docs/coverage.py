"""The page of protocols: what each folder says of itself in its manifest, and how many samples stand behind it."""

from __future__ import annotations

import json
from collections import Counter
from importlib import import_module
from pathlib import Path

from tests.docs.page import ROOT
from tests.docs.tongue import WORDS, Tongue, table
from tongbao.wire.contract import Manifest
from tongbao.wire.loader import load_protocol, protocol_names


def folder(name: str) -> Path:
    """Where a protocol's folder is."""
    return Path(next(iter(import_module(f"tongbao.protocols.{name}").__path__)))


def count_vectors(name: str) -> Counter[str]:
    """Samples by kind (``request``, ``notification``, ``return``, ``response``, ``signature``), and how many of them
    are ``refused`` or witness an ``oddity``."""
    found: Counter[str] = Counter()
    for path in (folder(name) / "vectors").glob("*.json"):
        data = json.loads(path.read_text("utf-8"))
        if isinstance(data, list):
            found["signature"] += len(data)
        elif "message" in data:
            found[data["message"]["kind"]] += 1
            found["refused"] += "error" in data
            found["oddity"] += bool(data.get("oddity"))
    return found


def _vectors(say: Tongue, name: str) -> str:
    found = count_vectors(name)
    said = say(", ", "，").join(f"{say(*kind)} {found[word]}" for word, kind in WORDS["kinds"].items() if found[word])
    oddity, refused = found["oddity"], found["refused"]
    return said + say(
        f"; among them {oddity} witnesses of tolerated oddities and {refused} that must be refused",
        f"；其中 {oddity} 个为容忍的不规范写法作证，{refused} 个必须被拒绝",
    )


def _codes(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{one}`" for one in words)


def _facts(say: Tongue, one: Manifest) -> list[list[str]]:
    comma = say(", ", "、")
    gaps, source = comma.join(say.gap(seconds) for seconds in one.timetable), say.text(one.timetable_source)
    trust = say("yes: the merchant's side asks back before it believes", "是：商户侧采信之前会反过来询问平台")
    return [
        [say("version", "版本"), one.version],
        [say("products", "产品"), comma.join(say(*WORDS["products"][str(x)]) for x in sorted(one.products))],
        [say("charset", "字符集"), _codes(one.charsets or (one.charset,))],
        [say("signatures, strongest first", "签名算法，由强到弱"), _codes(one.algorithms)],
        [say("too weak to rely on alone", "太弱，不能单独依靠"), trust if one.weak else say("no", "否")],
        [
            say("“is this notification yours?”", "“这条通知是你发的吗？”"),
            say("can be asked", "可以询问") if one.confirms else say("cannot be asked", "不能询问"),
        ],
        [say("gateway", "网关"), f"`{one.gateway}`"],
        [
            say("official sandbox", "官方沙箱"),
            f"`{one.sandbox_gateway}`" if one.sandbox_gateway else say("none is known", "未见有"),
        ],
        [say("paths of the face", "门面的路径"), _codes(one.paths)],
        [say("host names it also answers by", "也应答的主机名"), _codes(one.hosts)],
        [say("repeats of a notification", "通知重发间隔"), say(f"{gaps} ({source})", f"{gaps}（{source}）")],
        [say("samples", "样本报文"), _vectors(say, one.name)],
    ]


def _section(say: Tongue, one: Manifest) -> list[str]:
    operations = [
        [f"`{name}`", say(*WORDS["intents"].get(intent.__name__, ("", ""))), f"`{intent.__name__}`"]
        for name, intent in one.operations.items()
    ]
    settings = [
        [f"`{entry.name}`", say(*WORDS["credentials"][entry.kind]), say.yes(entry.required), say.text(entry.meaning)]
        for entry in one.credentials
    ]
    lines = [
        f"## `{one.name}`: {say(one.title, one.title_zh)}",
        "",
        table(["", ""], _facts(say, one)),
        "",
        table(
            [say("operation", "接口"), say("what it asks for", "请求什么"), say("in the code", "代码里")], operations
        ),
        "",
        table(
            [say("credential", "凭据"), say("kind", "种类"), say("needed", "必填"), say("meaning", "含义")], settings
        ),
        "",
    ]
    for head, facts in (
        (say("Sources:", "依据："), one.sources),
        (say("Not verified (a single source, or none):", "未核实（只有一个来源，或没有来源）："), one.unverified),
    ):
        lines += [head, "", *(f"- {say.text(fact)}" for fact in facts), ""]
    readme = folder(one.name) / "README.md"
    if readme.is_file():
        path = readme.resolve().relative_to(ROOT.resolve()).as_posix()
        more = say("Peculiarities, and what is not covered", "特点，以及没有覆盖的部分（英文）")
        lines += [f"[{more}](../../../{path})", ""]
    return lines


def list_folders(say: Tongue) -> str:
    """A section for each folder."""
    return "\n".join(line for name in protocol_names() for line in _section(say, load_protocol(name)))
