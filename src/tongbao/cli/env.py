"""``tongbao env``: a running sandbox's settings, ready to paste into a shop."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tongbao.cli.library import LIBRARIES
from tongbao.cli.sandbox import CREDENTIALS
from tongbao.kernel.error import ConfigurationError
from tongbao.wire.loader import protocol_names


def add_commands(commands: Any) -> None:
    """Add ``env``."""
    parser = commands.add_parser("env", help="print a sandbox's settings for a framework or client")
    parser.add_argument("--for", dest="target", default="dotenv", choices=sorted({*FORMS, *LIBRARIES}))
    parser.add_argument("--protocol", choices=protocol_names(), default="alipay_mapi")
    parser.add_argument("--credentials", type=Path, metavar="FILE", help=f"(default {CREDENTIALS})")
    parser.set_defaults(run=show)


def show(chosen: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> int:
    """Print them."""
    path = chosen.credentials or directory / CREDENTIALS
    try:
        protocol = LIBRARIES[chosen.target][0] if chosen.target in LIBRARIES else chosen.protocol
        said = json.loads(path.read_text("utf-8"))["protocols"][protocol]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError("credentials", f"{path} is no file of a running sandbox") from error
    print(LIBRARIES[chosen.target][1](said) if chosen.target in LIBRARIES else FORMS[chosen.target](protocol, said))
    return 0


def _dotenv(protocol: str, said: Mapping[str, str]) -> str:
    lines = [f"TONGBAO_PROTOCOL={protocol}", "TONGBAO_ENVIRONMENT=sandbox"]
    lines += [f"TONGBAO_{name.upper()}={json.dumps(value, ensure_ascii=False)}" for name, value in said.items()]
    return "\n".join(lines)


ADDRESSES: Final = ("base_url", "tls_base_url")


def _django(protocol: str, said: Mapping[str, str]) -> str:
    body = "\n".join(f"        {name!r}: {value!r}," for name, value in said.items() if name not in ADDRESSES)
    secure = f"\n# HTTPS: {said['tls_base_url']}" if "tls_base_url" in said else ""
    return (
        "from tongbao.merchant.configuration import MerchantConfiguration\n\n"
        "TONGBAO = MerchantConfiguration.from_mapping(\n"
        "    {\n"
        f'        "protocol": {protocol!r},\n'
        '        "environment": "sandbox",\n'
        f'        "gateway": {said.get("gateway", said["base_url"])!r},\n'
        f'        "credentials": {{\n{_indent(body)}\n        }},\n'
        "    }\n"
        f"){secure}"
    )


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _php(protocol: str, said: Mapping[str, str]) -> str:
    """The old official demos: an array of settings, and one constant for the gateway's address."""
    lines = ["<?php"]
    lines += [f"$config[{name!r}] = {value!r};" for name, value in said.items() if "\n" not in value]
    gateway = said.get("gateway", said["base_url"])
    lines.append(f"// in AlipaySubmit or the plugin's payment file, change the gateway's address to:\n// {gateway}?")
    return "\n".join(lines)


def _json(protocol: str, said: Mapping[str, str]) -> str:
    return json.dumps(said, ensure_ascii=False, indent=2)


FORMS: Final[dict[str, Callable[[str, Mapping[str, str]], str]]] = {
    "dotenv": _dotenv,
    "django": _django,
    "php": _php,
    "json": _json,
}
"""What ``--for`` takes."""
