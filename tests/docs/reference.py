"""Writes the reference pages that are tables of the code: ``python -m tests.docs.reference``. Both languages.

The prose of a page is in ``template/``. What a table says in English is looked up in ``chinese.json`` for the Chinese
page; a sentence that is not there (of a new protocol folder, say) stays English.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Final

from tests.docs.command import list_commands
from tests.docs.coverage import list_folders
from tests.docs.page import ROOT
from tests.docs.tongue import TONGUES, WORDS, Tongue, table
from tongbao.cli.house import OpenSettings
from tongbao.merchant.configuration import SECRET_BYTES_MIN, MerchantConfiguration
from tongbao.sandbox.control import TABLE
from tongbao.sandbox.fault import ANSWER_FAULTS, CALL_FAULTS
from tongbao.service.audit import INVARIANTS, QUERIES
from tongbao.trade import state
from tongbao.wire.bank import BANKS, OUTLET
from tongbao.wire.loader import load_protocol, protocol_names
from tongbao.wire.refusal import REFUSALS

Parts = dict[str, str]

CATALOGUE: Final = ROOT / "src/tongbao/web/page/catalogue/zh.json"
MARK: Final = "<!-- written by `python -m tests.docs.reference` from tables of the code; change those -->"


def tell_protocols(say: Tongue) -> Parts:
    """Every folder's manifest."""
    return {"folders": list_folders(say)}


def tell_refusals(say: Tongue) -> Parts:
    """Every refusal code, and each protocol's own word for it."""
    catalogue = json.loads(CATALOGUE.read_text("utf-8"))
    manifests = [load_protocol(name) for name in protocol_names()]
    rows = [
        [
            f"`{code}`",
            say(text, str(catalogue.get(f"refusal.{code}", text)).rstrip("。")),
            *(f"`{one.codes[code]}`" for one in manifests),
        ]
        for code, text in REFUSALS.items()
    ]
    return {"codes": table([say("code", "代码"), say("meaning", "含义"), *(f"`{x.name}`" for x in manifests)], rows)}


def _diagram(states: list[str], moves: frozenset[tuple[str, str]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    for before in ["", *states]:
        lines += [f"    {before or '[*]'} --> {after}" for after in states if (before, after) in moves]
    lines += [f"    {one} --> [*]" for one in states if not any(before == one for before, _ in moves)]
    return "\n".join([*lines, "```"])


def tell_states(say: Tongue) -> Parts:
    """The state tables as diagrams."""
    kinds: tuple[tuple[Iterable[str], frozenset[tuple[str, str]]], ...] = (
        (state.TradeState, state.TRADE_MOVES),
        (state.PaymentState, state.PAYMENT_MOVES),
        (state.InstructionState, state.INSTRUCTION_MOVES),
        (state.RefundState, state.REFUND_MOVES),
        (state.ClaimState, state.CLAIM_MOVES),
        (state.NotifyState, frozenset()),
    )
    parts = {}
    for kind, moves in kinds:
        name = str(getattr(kind, "__name__", ""))
        states = [str(one) for one in kind]
        rows = [[f"`{one}`", say(*WORDS["states"][name][one])] for one in states]
        listed = table([say("state", "状态"), say("meaning", "含义")], rows)
        parts[name] = f"{_diagram(states, moves)}\n\n{listed}" if moves else listed
    return parts


def tell_banks(say: Tongue) -> Parts:
    """The platform's directory of banks."""
    rows = [[f"`{one.code}`", one.name, one.name_zh, say.yes(one.debit), say.yes(one.credit)] for one in BANKS.values()]
    rows.append([f"`{OUTLET}`", "the outlets' operator", "线下网点", "", ""])
    head = [say("code", "代码"), say("name", "英文名"), say("Chinese name", "中文名")]
    return {"banks": table([*head, say("debit", "储蓄卡"), say("credit", "信用卡")], rows)}


def tell_control(say: Tongue) -> Parts:
    """The sandbox's control plane and its faults."""
    calls = ([f"`{call}`", say.text(text)] for call, text in TABLE.items())
    found = {"calls": table([say("call", "调用"), say("what it does", "作用")], calls)}
    for part, faults in (("faults", CALL_FAULTS), ("answer_faults", ANSWER_FAULTS)):
        rows = ([f"`{name}`", say.text(text)] for name, text in faults.items())
        found[part] = table(["`what`", say("what happens", "发生什么")], rows)
    return found


def tell_settings(say: Tongue) -> Parts:
    """The merchant's settings, and the platform's."""
    head = [say("setting", "设置"), say("environment", "环境变量"), say("default", "默认值"), say("meaning", "含义")]
    merchant = [
        [
            f"`{one.name}`",
            "" if one.name == "credentials" else f"`TONGBAO_{one.name.upper()}`",
            "" if one.default is MISSING or one.default == "" else f"`{one.default}`",
            say(*WORDS["merchant"][one.name]),
        ]
        for one in fields(MerchantConfiguration)
        if one.init and one.name != "given"
    ]
    platform = []
    for one in fields(OpenSettings):
        default, *meaning = WORDS["platform"][one.name]
        platform.append([f"`{one.name}`", f"`TONGBAO_{one.name.upper()}`", default, say(*meaning)])
    return {
        "merchant": table(head, merchant),
        "platform": table(head, platform),
        "secret_bytes": str(SECRET_BYTES_MIN),
    }


def tell_commands(say: Tongue) -> Parts:
    """The whole command line."""
    return {"commands": list_commands(say)}


def tell_invariants(say: Tongue) -> Parts:
    """What the auditor checks, and by which queries."""
    by: dict[str, list[str]] = {}
    for invariant, query in QUERIES:
        by.setdefault(invariant, []).append(f"`{query}`")
    anew = [say("computed anew", "重新计算")]
    rows = ([one, say.text(text), ", ".join(by.get(one, anew))] for one, text in INVARIANTS.items())
    head = ["id", say("what holds", "应当成立的事"), say("looked for by", "检查手段")]
    return {"count": str(len(INVARIANTS)), "invariants": table(head, rows)}


def tell_libraries(say: Tongue) -> Parts:
    """Which call of which real library was run against the sandbox and passed: the account of ``tests/contract``."""
    passed = json.loads((ROOT / "tests/contract/passed.json").read_text("utf-8"))
    shown = []
    for package, flows in passed.items():
        version = next(iter(flows.values()))["version"]
        calls = sorted({call for flow in flows.values() for call in flow["calls"]})
        rows = [[f"`{call}`", *("✓" if call in flow["calls"] else "" for flow in flows.values())] for call in calls]
        tests = sorted({flow["test"].partition("::")[0] for flow in flows.values()})
        by = ", ".join(f"`{test}`" for test in tests)
        said = [say(*WORDS["libraries"][package])] if package in WORDS["libraries"] else []
        parts = [f"## {package} {version}", *said, say(f"Run by {by}.", f"由 {by} 运行。")]
        shown.append("\n\n".join([*parts, table([say("call", "调用"), *flows], rows)]))
    return {"libraries": "\n\n".join(shown)}


PAGES: Final[dict[str, Callable[[Tongue], Parts]]] = {
    "protocols": tell_protocols,
    "refusals": tell_refusals,
    "states": tell_states,
    "bank-directory": tell_banks,
    "control-plane": tell_control,
    "settings": tell_settings,
    "command-line": tell_commands,
    "invariants": tell_invariants,
    "client-libraries": tell_libraries,
}
"""Name of the page -> who fills it."""


def pages() -> dict[Path, str]:
    """Every page by its place below ``docs``, as it should be."""
    return {
        Path(tongue.language, "reference", f"{name}.md"): f"{MARK}\n{tongue.fill(name, tell(tongue))}"
        for name, tell in PAGES.items()
        for tongue in TONGUES
    }


def main() -> None:
    """Write them all."""
    for path, text in pages().items():
        (ROOT / "docs" / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
