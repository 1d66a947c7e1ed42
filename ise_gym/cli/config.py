"""Options that are always the same, from a file: ``ise.toml``, or ``[tool.ise]`` of ``pyproject.toml``.

A table stands for each command, a key for each of its options; they become the commands' defaults. All names in it are
checked whichever command runs, so a slip is not found weeks later; values are read as those of a command line are.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError, nearest

VARIABLE = "ISE_CONFIG"
"""Environment variable that names the file; empty: none is read."""
PREFIX = "ISE"
"""Of the variables for options: ISE_ROLLOUT_WORKERS is ``ise rollout --workers``."""


def defaults(root: Any) -> dict[str, Any]:
    """Return what the file says, as the nested defaults that the parser of ``root``, all commands, takes.

    Raises:
        UserError: it is no TOML, or it names a command, an option or a value that does not exist.
    """
    where, given = _read()
    return _command(where, "", given, root)


def _read() -> tuple[str, Mapping[str, Any]]:
    if (named := os.environ.get(VARIABLE)) is not None:
        return named, _toml(Path(named)) if named else {}
    if (file := Path("ise.toml")).is_file():
        return str(file), _toml(file)
    if (file := Path("pyproject.toml")).is_file():
        tool = _toml(file).get("tool", {})
        return "pyproject.toml: tool.ise", tool.get("ise", {}) if isinstance(tool, dict) else {}
    return "", {}


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not valid TOML: {error}.") from None
    except OSError as error:
        raise UserError(f"{file}: can't be read ({error.strerror}).") from None


def _command(where: str, path: str, given: Any, command: Any) -> dict[str, Any]:
    """Return the defaults of a command, or of those in a group."""
    if not isinstance(given, dict):
        raise UserError(f"{where}: {path or 'the whole file'} stands for commands, so it is a table.")
    inside: Mapping[str, Any] | None = getattr(command, "commands", None)
    options = {} if inside is not None else dict(_options(command))
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{path}.{key}".removeprefix(".")
        if inside is not None:
            if key not in inside:
                raise UserError(f"{where}: {name}: there is no such command.{nearest(key, inside)}")
            found[key] = _command(where, name, value, inside[key])
        else:
            option = options.get(key.replace("_", "-"))
            if option is None:
                raise UserError(
                    f"{where}: {name}: `ise {path.replace('.', ' ')}` has no such option."
                    f"{nearest(key.replace('_', '-'), options)}"
                )
            found[option.name] = _value(where, name, value, option)
    return found


def _options(command: Any) -> Iterator[tuple[str, Any]]:
    """Yield the options of a command by their long names."""
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            for spelled in parameter.opts:
                if spelled.startswith("--"):
                    yield spelled.removeprefix("--"), parameter


def _value(where: str, name: str, value: Any, option: Any) -> Any:
    if option.multiple:
        if isinstance(value, dict):  # NAME=VALUE options, as a table
            value = [
                f"{key}={each if isinstance(each, str) else json.dumps(each)}" for key, each in value.items()
            ]
        value = value if isinstance(value, list) else [value]
    parts = value if option.multiple else [value]
    for part in parts:
        if isinstance(part, list | dict) or (option.is_flag != isinstance(part, bool)):
            kind = "true or false" if option.is_flag else "one value, not a list, a table, true or false"
            raise UserError(f"{where}: {name}: needs {kind}.")
    return value


def origin(problem: Any) -> str:
    """Return where a value that the parser refused came from: " (…)", or "" for the command line."""
    context, option = getattr(problem, "ctx", None), getattr(problem, "param", None)
    if context is None or option is None:
        return ""
    source = getattr(context.get_parameter_source(option.name), "name", "")
    if source == "ENVIRONMENT":
        return f" (from the variable {option.envvar})"
    return f" (from {_read()[0]})" if source == "DEFAULT_MAP" else ""


def name_variables(command: Any, path: str = PREFIX) -> None:
    """Let every option of the commands be given by a variable too; help stays as long as it was."""
    for name, inner in getattr(command, "commands", {}).items():
        name_variables(inner, f"{path}_{name}")
    if path == PREFIX:
        return
    for spelled, option in _options(command):
        if option.envvar is None:
            option.envvar = f"{path}_{spelled}".upper().replace("-", "_")
            option.show_envvar = False
