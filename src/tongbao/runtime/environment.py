"""Settings from a TOML file and the environment, as one flat mapping of text. What they mean is not known here."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tongbao.kernel.error import ConfigurationError

PREFIX: Final = "TONGBAO_"
FILE_SUFFIX: Final = "_file"
_FILE_BYTES: Final = 1_048_576


def read_settings(path: Path | None, environ: Mapping[str, str], prefix: str = PREFIX) -> dict[str, str]:
    """The file's settings, overridden by the environment's. Raises ConfigurationError naming the setting.

    ``[database] url`` of the file and ``TONGBAO_DATABASE_URL`` both become ``database_url``. A setting that ends in
    ``_file`` is replaced by the content of that file without its last line end, so that secrets need stand in
    neither: ``TONGBAO_SMTP_PASSWORD_FILE`` gives ``smtp_password``."""
    settings = {} if path is None else read_file(path)
    for name, value in environ.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            settings[name.removeprefix(prefix).lower()] = value
    for name in [name for name in settings if name.endswith(FILE_SUFFIX)]:
        short = name.removesuffix(FILE_SUFFIX)
        if short in settings:
            raise ConfigurationError(short, f"is given twice, also as {name}")
        settings[short] = _content(name, Path(settings.pop(name)))
    return settings


def read_environ() -> dict[str, str]:
    """The process's environment, as a mapping to hand on."""
    return dict(os.environ)


def read_file(path: Path) -> dict[str, str]:
    """The settings of a TOML file, tables flattened with underscores. Raises ConfigurationError."""
    try:
        tables = tomllib.loads(_content("config", path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError("config", f"{path}: {error}") from error
    settings: dict[str, str] = {}
    _flatten("", tables, settings)
    return settings


def _content(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_BYTES + 1)
        if len(raw) > _FILE_BYTES:
            raise ConfigurationError(name, f"{path} is longer than 1 MiB")
        return raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ConfigurationError(name, f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(name, f"{path} is not UTF-8") from error


def _flatten(prefix: str, table: Mapping[str, object], settings: dict[str, str]) -> None:
    for key, value in table.items():
        name = f"{prefix}{key}".lower().replace("-", "_")
        if isinstance(value, dict):
            _flatten(f"{name}_", value, settings)
            continue
        text = _text(name, value)
        if name in settings:
            raise ConfigurationError(name, "is given twice in the file")
        settings[name] = text


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        parts = [_text(name, part) for part in value]
        if any("," in part for part in parts):
            raise ConfigurationError(name, "holds a comma within a list")
        return ",".join(parts)
    raise ConfigurationError(name, "is neither text, whole number, boolean nor a list of these")
