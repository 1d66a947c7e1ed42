"""A scenario as JSON: records, intent lines and suites carry their own, so that no later catalog has to draw it again.

`to_json` and `from_json` are the plain form; `packed` and `unpacked` the one that is in a line: compressed, with
the SHA-256 of the plain form. Checks travel as kind and spec, as a task file says them; one that has no such form is
named as opaque, and a scenario that was read back fails its sub-goal with that reason. One of somebody's own module
(``module:Name``) is loaded only where its reader trusts that module. The plain form leaves out what
only a catalog needs (other wordings) and, unless asked for, what only the scripted expert needs (plan and reply).
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.registry import entries, is_dotted, load, name_of
from ise_gym.scenario.model import (
    Budget,
    Check,
    CheckResult,
    Persona,
    PlanStep,
    Request,
    Scenario,
    SubGoal,
)
from ise_gym.services.spec import ServiceSpec
from ise_gym.workspace.base import SeedFile, Workspace

LARGEST = 4 << 20
"""Bytes of the plain form beyond which a scenario is not carried: its record names it by hash alone."""


@dataclass(frozen=True)
class OpaqueCheck:
    """Stands where a check was that has no form as JSON; it can't judge."""

    name: str
    spec: Mapping[str, Json] | None = None
    """What a check of somebody's own module is made of; it stays with the scenario when that is written again."""

    def run(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """Fail, and say why."""
        if self.spec is None:
            return CheckResult(
                False, f"the check {self.name} was not kept with the scenario, so it can't be run"
            )
        module = self.name.partition(":")[0]
        return CheckResult(
            False,
            f"the check {self.name} is not registered, so it was not loaded: name its module ({module}) as trusted",
        )


def to_json(scenario: Scenario, *, plans: bool = False) -> dict[str, Any]:
    """Return a scenario as plain JSON data; fields that hold their default are left out.

    Args:
        scenario: what to describe.
        plans: with the scripted expert's plans and replies, which neither a replay nor another agent needs.
    """
    data = _given(scenario, ("persona", "requests", "files", "budget", "services"))
    data["persona"] = {name: value for name, value in scenario.persona.to_json().items() if value}
    data["budget"] = _given(scenario.budget)
    data["requests"] = [_request(request, plans) for request in scenario.requests]
    data["files"] = _files(scenario.files)
    data["services"] = [{"kind": service.kind, "data": service.data} for service in scenario.services]
    plain: dict[str, Any] = json.loads(json.dumps(data, default=_plain, ensure_ascii=True))
    return plain


def from_json(data: Mapping[str, Any], trust: Collection[str] = ()) -> Scenario:
    """Return the scenario that `to_json` described; ``trust`` as of `check_from_json`.

    Raises:
        UserError: it does not fit this version: says what does not.
    """
    try:
        rest = dict(data)
        rest.update(
            persona=Persona(**_tupled(Persona, data["persona"])),
            requests=tuple(_read_request(each, trust) for each in data["requests"]),
            files=tuple(_read_files(data["files"])),
            budget=Budget(**data["budget"]),
            services=tuple(ServiceSpec(each["kind"], each["data"]) for each in data["services"]),
        )
        return Scenario(**_tupled(Scenario, rest))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"the scenario that it carries does not fit this version ({error!r})") from error


def packed(scenario: Scenario, *, plans: bool = False) -> dict[str, Any]:
    """Return ``{"sha256", "z"}``: the hash of the plain form as ASCII JSON, and that text under zlib and base64.

    One whose plain form is larger than `LARGEST` gives ``{"sha256", "left_out"}``, one that holds what JSON does not
    have ``{"left_out"}``: that is no reason to lose an episode's record.
    """
    try:
        text = _text(to_json(scenario, plans=plans))
    except (TypeError, ValueError, RecursionError) as error:
        return {"left_out": f"it has no form as JSON ({error})"[:200]}
    digest = hashlib.sha256(text).hexdigest()
    if len(text) > LARGEST:
        return {"sha256": digest, "left_out": f"{len(text):,} bytes"}
    return {"sha256": digest, "z": base64.b64encode(zlib.compress(text, 9)).decode()}


def carries(found: Mapping[str, Json]) -> bool:
    """Return whether what a record or line says of its scenario is the scenario itself."""
    return bool(found.get("z"))


def unpacked(found: Mapping[str, Json], trust: Collection[str] = ()) -> Scenario:
    """Return the scenario that `packed` packed; ``trust`` as of `check_from_json`.

    Raises:
        UserError: it is damaged, or does not fit this version.
    """
    return from_json(plain_form(found), trust)


def plain_form(found: Mapping[str, Json]) -> dict[str, Any]:
    """Return the plain form of what `packed` packed, for readers: no check is built.

    Raises:
        UserError: it is damaged.
    """
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(base64.b64decode(str(found.get("z") or ""), validate=True), LARGEST + 1)
        if not unpacker.eof:
            raise ValueError("cut short, or too large")
        if hashlib.sha256(text).hexdigest() != found.get("sha256"):
            raise ValueError("its hash differs")
        data: dict[str, Any] = json.loads(text)
    except (ValueError, zlib.error, RecursionError) as error:
        raise UserError(f"the scenario that it carries is damaged ({error})") from error
    return data


def _text(data: Mapping[str, object]) -> bytes:
    # keys in the order they have: a service sends its data in it
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()


# -- checks --------------------------------------------------------------------------------------


def check_to_json(check: Check) -> dict[str, Any]:
    """Return ``{"kind", "spec"}`` of a check; ``{"opaque"}`` of one that has no such form.

    >>> from ise_gym.checks import build_check
    >>> check_to_json(build_check("exists", "out/report.md"))
    {'kind': 'exists', 'spec': {'path': 'out/report.md'}}
    """
    if isinstance(check, OpaqueCheck):
        return (
            {"opaque": check.name} if check.spec is None else {"kind": check.name, "spec": dict(check.spec)}
        )
    kind = name_of("check", type(check))
    describe = getattr(check, "to_spec", None)
    loads = ":" not in kind or (is_dotted(kind) and not kind.startswith("__main__:"))
    if describe is None or not hasattr(type(check), "from_spec") or not loads:
        return {"opaque": kind}
    return {"kind": kind, "spec": describe()}


def check_from_json(data: Mapping[str, Json], trust: Collection[str] = ()) -> Check:
    """Return the check that `check_to_json` described.

    Args:
        data: what `check_to_json` gave.
        trust: modules from which a check that is named ``module:Name`` may be loaded: data alone imports nothing but
            what is registered. One of another module is kept as it is and can't judge.

    Raises:
        ValueError: no such kind, or a spec that it refuses.
        UserError: a trusted module can't be imported.
    """
    if "opaque" in data:
        return OpaqueCheck(str(data["opaque"]))
    kind, spec = str(data["kind"]), data["spec"]
    if kind not in entries("check"):
        if not is_dotted(kind):
            raise ValueError(f"no check is named {kind!r}")
        if kind.partition(":")[0] not in trust:
            if not isinstance(spec, Mapping):
                raise ValueError(f"the spec of {kind!r} is not a mapping")
            return OpaqueCheck(kind, spec)
    check: Check = load("check", kind).from_spec(spec)
    return check


def opaque_checks(data: Mapping[str, Any]) -> list[str]:
    """Return the names of the checks that a plain form holds but that reading it back does not load."""
    goals = (goal for request in data["requests"] for goal in request["subgoals"])
    named = (check.get("opaque") or check["kind"] for goal in goals for check in goal["checks"])
    known = entries("check")
    return [name for name in named if name not in known]


# -- parts ---------------------------------------------------------------------------------------


def _given(thing: Any, apart: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of a dataclass that are not as they are by default."""
    given = {}
    for field in fields(thing):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in apart and (value := getattr(thing, field.name)) != default:
            given[field.name] = value
    return given


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no form as JSON")


def _request(request: Request, plans: bool) -> dict[str, Any]:
    data = _given(request, ("subgoals", "plan", "reply", "wordings", "replies", "wrong"))
    data["subgoals"] = [
        {
            "name": goal.name,
            "checks": [check_to_json(check) for check in goal.checks],
            **({"final": True} if goal.final else {}),
        }
        for goal in request.subgoals
    ]
    if plans:
        data["plan"] = [_given(step) for step in request.plan]
        data["reply"] = request.reply
    return data


def _read_request(data: Mapping[str, Any], trust: Collection[str]) -> Request:
    goals = (
        SubGoal(
            goal["name"],
            tuple(check_from_json(check, trust) for check in goal["checks"]),
            bool(goal.get("final")),
        )
        for goal in data["subgoals"]
    )
    plan = tuple(PlanStep(**step) for step in data.get("plan", ()))
    return Request(**_tupled(Request, {**data, "subgoals": tuple(goals), "plan": plan}))


def _files(files: Sequence[SeedFile]) -> list[dict[str, Any]]:
    """Describe files; contents that stand there already are named, not repeated."""
    shown: list[dict[str, Any]] = []
    seen: dict[bytes, int] = {}
    for number, file in enumerate(files):
        entry: dict[str, Any] = {"path": file.path}
        if file.mode != 0o644:
            entry["mode"] = file.mode
        if len(file.content) > 64 and file.content in seen:
            entry["as"] = seen[file.content]
        else:
            seen[file.content] = number
            try:
                entry["text"] = file.content.decode()
            except UnicodeDecodeError:
                entry["base64"] = base64.b64encode(file.content).decode()
        shown.append(entry)
    return shown


def _read_files(data: Sequence[Mapping[str, Any]]) -> list[SeedFile]:
    files: list[SeedFile] = []
    for entry in data:
        if "as" in entry:
            content = files[entry["as"]].content
        elif "text" in entry:
            content = entry["text"].encode()
        else:
            content = base64.b64decode(entry["base64"], validate=True)
        files.append(SeedFile(entry["path"], content, entry.get("mode", 0o644)))
    return files


def _tupled(kind: type[Any], data: Mapping[str, object]) -> dict[str, Any]:
    """Make tuples of lists where a dataclass has them; values inside stay as they are."""
    known = {f.name: str(f.type) for f in fields(kind)}
    if unknown := set(data) - set(known):
        raise ValueError(f"{kind.__name__} has no field {min(unknown)!r}")
    return {
        name: tuple(value) if isinstance(value, list) and known[name].startswith("tuple") else value
        for name, value in data.items()
    }
