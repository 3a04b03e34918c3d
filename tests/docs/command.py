"""The page of the command line, from the parser itself: the same on every Python, unlike the text of ``--help``."""

from __future__ import annotations

import argparse

from tests.docs.tongue import Tongue, table
from tongbao.cli.main import build_parser

_AIDS = (argparse._HelpAction, argparse._SubParsersAction, argparse._VersionAction)


def _spelling(action: argparse.Action) -> str:
    value = ""
    if action.nargs != 0:
        choices = "|".join(map(str, action.choices)) if action.choices else ""
        value = str(action.metavar or choices or action.dest.upper())
    name = ", ".join(action.option_strings)
    return f"`{f'{name} {value}'.strip()}`"


def _section(say: Tongue, name: str, text: str, parser: argparse.ArgumentParser) -> list[str]:
    said = say.text(text)
    lines = [f"## `{name}`", "", f"{said[:1].upper()}{said[1:]}{say('.', '。')}", ""]
    rows = [
        [_spelling(one), say.yes(one.required or not one.option_strings), say.text(one.help or "")]
        for one in parser._actions
        if not isinstance(one, _AIDS)
    ]
    if rows:
        lines += [table([say("argument", "参数"), say("needed", "必填"), say("meaning", "含义")], rows), ""]
    return lines


def _sections(say: Tongue, name: str, text: str, parser: argparse.ArgumentParser) -> list[str]:
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        return _section(say, name, text, parser)
    lines = []
    for group in nested:
        helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
        for word, below in group.choices.items():
            lines += _sections(say, f"{name} {word}", helps.get(word, ""), below)
    return lines


def list_commands(say: Tongue) -> str:
    """A section for each command."""
    return "\n".join(_sections(say, "tongbao", "", build_parser()))
