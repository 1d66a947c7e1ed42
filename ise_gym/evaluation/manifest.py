"""A frozen suite: which scenarios it consists of, by seed, and what each must look like when drawn again.

A suite that is drawn afresh each time measures something else each time. The manifest holds for every task the
seed and hashes of the scenario that the seed gave, so a catalog that has changed underneath is noticed before
any figure is printed, and it holds the fingerprints of the task instances, so training data can be checked.

Under protocol 2 a task whose content (`ise_gym.evaluation.content`) is not the frozen one is refused. The suites of
protocol 1 were frozen by ids, words, files and names of sub-goals (`ise_gym.evaluation.suite.scenario_sha256`); their
content was added to them later, and what differs from it is played, and noted in the run and in every comparison.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from ise_gym.errors import UserError, nearest
from ise_gym.messages import sha256_of
from ise_gym.resources import data_dir
from ise_gym.storage.atomic import replacing

SUITES = data_dir("eval") / "suites"
ALIASES = {"builtin": "builtin-v1"}
HELD_OUT = "eval"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Entry(_Strict):
    """One task: the seed that draws it, the id and hashes of the scenario, its task instances' fingerprints.

    ``sha256`` is that of `ise_gym.evaluation.suite.scenario_sha256`, ``content_sha256`` that of everything which
    decides a verdict.
    """

    seed: int = Field(ge=0)
    id: str
    sha256: str
    instances: list[str] = Field(min_length=1)
    content_sha256: str = ""


class Terms(_Strict):
    """How a suite is meant to be played, for its figures to stand beside others; a run says what it did differently."""

    user: str = "scripted"
    user_options: dict[str, Any] = Field(default_factory=dict)
    trials: int = Field(default=1, ge=1)


class Part(_Strict):
    """Entries that are drawn with the same options.

    Attributes:
        labels: what results are grouped by (tier, domain).
        options: keyword arguments of `ise_gym.intents.source.IntentSource`, besides ``split``. They name the
            catalog tasks, so that what is frozen doesn't change when other tasks are added.
    """

    labels: dict[str, str] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    entries: list[Entry] = Field(min_length=1)


class Manifest(_Strict):
    """A suite of held-out scenarios.

    Attributes:
        protocol: 2: tasks whose content is not as frozen are refused; 1: they are played and noted (see the module).
        terms: how it is meant to be played.
        content: what all its tasks share, part by part, as `ise_gym.evaluation.content.shared_content` hashes it.
    """

    name: str
    description: str = ""
    protocol: Literal[1, 2] = 1
    terms: Terms = Field(default_factory=Terms)
    content: dict[str, str] = Field(default_factory=dict)
    parts: list[Part] = Field(min_length=1)
    _file: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path | None:
        """Where it was read from; None when it was made."""
        return self._file

    @model_validator(mode="after")
    def _holds_its_content(self) -> Manifest:
        bare = [entry.id for _, entry in self.numbered() if not entry.content_sha256]
        if self.protocol > 1 and (bare or not self.content):
            raise ValueError(
                f"protocol 2 needs the content of every task ({(bare or ['the suite'])[0]} has none)"
            )
        return self

    def sha256(self) -> str:
        """Hash of what is drawn; runs carry it, and only runs with equal ones are compared.

        It is taken over the fields that suites had at first, so that a suite to which its content was added stays the
        suite that it was; `content_sha256` covers the rest.
        """
        later = {"protocol": True, "terms": True, "content": True}
        return sha256_of(
            self.model_dump(
                exclude={**later, "parts": {"__all__": {"entries": {"__all__": {"content_sha256"}}}}}
            )
        )

    def content_sha256(self) -> str:
        """Hash of everything in it, contents and terms included."""
        return sha256_of(self.model_dump())

    def numbered(self) -> list[tuple[Part, Entry]]:
        """Return all entries with their parts, in order."""
        return [(part, entry) for part in self.parts for entry in part.entries]

    def fingerprints(self) -> set[str]:
        """Fingerprints of every task instance in the suite."""
        return {print_ for _, entry in self.numbered() for print_ in entry.instances}


def suite_file(name: str) -> Path:
    """Return the file of a suite, given by name (``builtin``, ``demo-easy``, …) or as a YAML file.

    Raises:
        UserError: no such suite (with the nearest name).
    """
    known = {path.stem: path for path in sorted(SUITES.glob("*.yaml"))}
    file = known.get(ALIASES.get(name, name))
    if file is None:
        file = Path(name)
        if not file.is_file():
            names = sorted({*known, *(alias for alias, full in ALIASES.items() if full in known)})
            raise UserError(
                f"unknown suite '{name}'.{nearest(name, names)} Known: {', '.join(names) or 'none'}, or a file."
            )
    return file


def load_suite(name: str) -> Manifest:
    """Load a suite by name or from a YAML file.

    Raises:
        UserError: no such suite (with the nearest name), or a file that isn't a manifest (with the field).
    """
    file = suite_file(name)
    try:
        manifest = Manifest.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        field_ = ".".join(str(part) for part in first["loc"]) or "document"
        raise UserError(f"{file}: not a suite: {field_}: {first['msg']}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not a suite: {error}.") from error
    manifest._file = file.resolve()
    return manifest


def save_suite(manifest: Manifest, file: Path) -> None:
    """Write a manifest, one line an entry, so that a change shows as the lines that it touches."""
    lines = [f"name: {_flow(manifest.name)}", f"description: {_flow(manifest.description)}"]
    if manifest.content:
        lines += [f"protocol: {manifest.protocol}", f"terms: {_flow(manifest.terms.model_dump())}"]
        lines += [f"content: {_flow(manifest.content)}"]
    lines.append("parts:")
    for part in manifest.parts:
        lines += [f"- labels: {_flow(part.labels)}", f"  options: {_flow(part.options)}", "  entries:"]
        lines += [f"  - {_flow(entry.model_dump(exclude_defaults=True))}" for entry in part.entries]
    with replacing(file) as out:
        out.write(("\n".join(lines) + "\n").encode())


def _flow(value: object) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return dumped.removesuffix("\n").removesuffix("\n...")
