"""Runs a recorded episode's tool calls again and compares all that they gave, to prove that a record is true.

The scenario is the one that the record carries; older records say of it what the catalog needs to draw it again
(options and number). So nothing but the record is needed. Every call goes through the same tools into a fresh
workspace, in the recorded order; what the user and the agent said is taken as recorded. Compared are text, success and
exit code of each tool message, and the workspace's digest after each step. The first difference ends an episode's
replay, since all that follows may follow from it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ise_gym.episode.floor import NOT_RUN, Floor
from ise_gym.errors import UserError
from ise_gym.intents.source import IntentSource
from ise_gym.messages import Message, canonical_json, tool_calls_of
from ise_gym.replay.normalise import REFUSAL, SLACK_S, Window, masked, refused_alike
from ise_gym.scenario import Scenario
from ise_gym.scenario.carried import carries, unpacked
from ise_gym.services import start_services
from ise_gym.tools import get_tools
from ise_gym.tools.delegation.subsessions import SubSession
from ise_gym.tools.dispatch import Toolbox
from ise_gym.trajectory.record import Trajectory
from ise_gym.workspace.base import Limits, Workspace

DIFF_LINES = 40
"""Most lines of a difference that are kept."""

SETTLE_S = 0.5
"""How long a digest may take to become the recorded one while a background process runs."""

MOVING = "moving tree"
"""The rule for a digest that was taken while a background process ran."""

IDENTICAL, BY_RULE, DIVERGED, REFUSED, BROKEN = (
    "identical",
    "equal by rule",
    "diverged",
    "not replayable",
    "broken",
)
STATUSES = (IDENTICAL, BY_RULE, DIVERGED, REFUSED, BROKEN)

Rebuild = Callable[[Trajectory], Scenario]
"""Gives a record's scenario, or raises `UserError` with the reason why it can't."""


@dataclass(frozen=True)
class Difference:
    """The first thing that was not as recorded.

    Attributes:
        step: number of the agent's message, from 1. ``message``: index into the record's messages.
        what: content, success, exit_code, digest, answer (a call without its tool message).
        tool, arguments: the call; "" for a digest.
        recorded, replayed: the two values, as text.
    """

    step: int
    message: int
    what: str
    tool: str = ""
    arguments: str = ""
    recorded: str = ""
    replayed: str = ""

    def diff(self) -> str:
        """Compare the two values line by line."""
        if "\n" not in self.recorded + self.replayed:
            return f"- {_visible(self.recorded)}\n+ {_visible(self.replayed)}"
        lines = list(
            difflib.unified_diff(
                # not splitlines: it also breaks at characters that may be the whole difference
                [_visible(line) for line in self.recorded.split("\n")],
                [_visible(line) for line in self.replayed.split("\n")],
                "recorded",
                "replayed",
                lineterm="",
                n=1,
            )
        )
        cut = [f"… {len(lines) - DIFF_LINES} more lines"] if len(lines) > DIFF_LINES else []
        return "\n".join(lines[:DIFF_LINES] + cut)


def _visible(line: str) -> str:
    """Write characters that can't be seen as escapes."""
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line)


@dataclass(frozen=True)
class Replayed:
    """What came of replaying one episode.

    Attributes:
        status: ``identical`` (byte for byte); ``equal by rule`` (but for what ``rules`` name, see
            `ise_gym.replay.normalise`); ``diverged``; ``not replayable`` (its scenario can't be rebuilt, or the
            template that it started from is not given); ``broken`` (the sandbox failed).
        calls, digests: how many were compared and agreed.
        reason: why not, for the last two.
    """

    episode_id: str
    status: str
    calls: int = 0
    digests: int = 0
    rules: tuple[str, ...] = ()
    difference: Difference | None = None
    reason: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the record holds."""
        return self.status in (IDENTICAL, BY_RULE)


def recorded_scenario(trajectory: Trajectory) -> Scenario:
    """Return the scenario that a record carries; of one that carries none, draw it from the catalog again.

    Raises:
        UserError: what it carries can't be read, or the catalog can't give it.
    """
    if carries(trajectory.scenario):
        return unpacked(trajectory.scenario)
    return catalog_scenario(trajectory)


def catalog_scenario(trajectory: Trajectory) -> Scenario:
    """Draw a record's scenario from the catalog again.

    Raises:
        UserError: it is from elsewhere, or the present catalog draws something else.
    """
    options, number = trajectory.metadata.get("options"), trajectory.scenario_id.rpartition("-")[2]
    if not isinstance(options, Mapping) or not number.isdigit():
        raise UserError("its scenario is not from the catalog, so it can't be rebuilt")
    try:
        scenario = _source(canonical_json(dict(options))).scenario(int(number))
    except TypeError as error:
        raise UserError(f"its options don't fit this version: {error}") from None
    if (scenario.id, scenario.intent) != (trajectory.scenario_id, trajectory.intent):
        raise UserError(
            f"it was drawn from catalog {str(trajectory.metadata.get('catalog'))[:12]}, and the present one "
            f"({str(scenario.metadata.get('catalog'))[:12]}) draws something else"
        )
    return scenario


_sources: dict[str, IntentSource] = {}


def _source(options: str) -> IntentSource:
    """Open a catalog once a process."""
    if options not in _sources:
        _sources[options] = IntentSource(**json.loads(options))
    return _sources[options]


def limits_of(trajectory: Trajectory) -> Limits:
    """Return the limits that the episode was played under."""
    known = {field.name for field in dataclasses.fields(Limits)}
    given = trajectory.env.get("limits") or {}
    return Limits(**{name: value for name, value in given.items() if name in known})


def replay(
    trajectory: Trajectory, workspace: Workspace, *, rebuild: Rebuild = recorded_scenario, exact: bool = False
) -> Replayed:
    """Replay one record in a workspace (which is reset first).

    Args:
        trajectory: the record.
        workspace: of the kind and limits that the episode was played in (`limits_of`).
        rebuild: gives the scenario.
        exact: apply no rule: only equal bytes are equal.

    Raises:
        WorkspaceError: the sandbox failed, which says nothing about the record.
    """
    begun = time.monotonic()
    try:
        scenario = rebuild(trajectory)
        written = {tool.name: name for name in scenario.tools for tool in get_tools([name]).values()}
        called = [tool["function"]["name"] for tool in trajectory.tools]
        toolbox = Toolbox([written.get(name, name) for name in called], workspace)
    except UserError as error:
        return Replayed(trajectory.episode_id, REFUSED, reason=str(error))
    workspace.reset()
    workspace.seed(scenario.files)
    start_services(workspace, scenario.services)
    toolbox.reset(workspace)
    run = _Run(trajectory, toolbox, workspace, exact)
    difference = run.play()
    status = DIVERGED if difference else BY_RULE if run.rules else IDENTICAL
    return Replayed(
        trajectory.episode_id,
        status,
        run.calls,
        run.digests,
        tuple(sorted(run.rules)),
        difference,
        seconds=round(time.monotonic() - begun, 3),
    )


class _Run:
    """One replay under way."""

    def __init__(self, trajectory: Trajectory, toolbox: Toolbox, workspace: Workspace, exact: bool) -> None:
        self.calls = self.digests = 0
        self.rules: set[str] = set()
        self._trajectory = trajectory
        self._toolbox = toolbox
        self._sessions = {str(session["key"]): session["messages"] for session in trajectory.sessions}
        self._compared: dict[str, int] = {}
        self._floor = Floor(toolbox, self._as_recorded)
        self._workspace = workspace
        self._exact = exact
        self._began = time.time()
        self._before = workspace.digest()
        self._then = Window.of(trajectory.timings.started_at, trajectory.timings.total_s)

    def play(self) -> Difference | None:
        """Go through the record; return the first difference."""
        messages = cast("Sequence[Message]", self._trajectory.messages)
        digests = {step.message: step.digest for step in self._trajectory.steps}
        number = 0
        for position, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            number += 1
            answers = _answers(messages, position)
            for place, call in enumerate(tool_calls_of(message)):
                at, recorded = answers[place] if place < len(answers) else (position, None)
                if recorded is not None and recorded["content"] == NOT_RUN:
                    continue
                self._toolbox.show(messages[:at])
                replayed = self._floor.play(call)
                if found := self._compare_sessions() or self._compare(call["id"], recorded, replayed):
                    what, old, new = found
                    function = call["function"]
                    return Difference(number, at, what, function["name"], function["arguments"], old, new)
                self.calls += 1
            if wanted := digests.get(position):
                digest = self._workspace.digest()
                if digest != wanted and not self._moves(wanted, digest):
                    return Difference(number, position, "digest", recorded=wanted, replayed=digest)
                self.digests += digest == wanted
                self._before = digest
        return None

    def _moves(self, wanted: str, digest: str) -> bool:
        """Whether a background process is why a digest differs: while one writes, a digest is a moment's.

        Looks again for `SETTLE_S`, since the replay may only be behind. Where it was ahead, that never helps; then the
        record must show the tree as it was before the step, or the tree must be seen changing. One that rests, whatever
        runs, has to agree as ever.
        """
        if not self._toolbox.ran_in_background():
            return False
        seen = {digest}
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            now = self._workspace.digest()
            if now == wanted:
                self.digests += 1
                return True
            seen.add(now)
            time.sleep(0.02)
        if wanted != self._before and len(seen) == 1:
            return False
        self.rules.add(MOVING)
        return not self._exact

    def _as_recorded(self, session: SubSession) -> Message | None:
        """Say what was said in the recorded sub-session at this place; None where it was cut off."""
        recorded = self._sessions.get(session.key, [])
        place = len(session.messages)
        said = recorded[place] if place < len(recorded) else None
        return cast("Message", said) if said is not None and said["role"] == "assistant" else None

    def _compare_sessions(self) -> tuple[str, str, str] | None:
        """Compare what was said and done in sub-sessions so far; what a main call gave may hide a difference there."""
        for key, session in self._toolbox.sessions.sessions.items():
            recorded = self._sessions.get(key)
            if recorded is None:
                return "session", "(none)", key
            first = self._compared.get(key, 0)
            self._compared[key] = len(session.messages)
            for old, new in zip(recorded[first:], session.messages[first:], strict=False):
                if not self._same(old, new):
                    return f"content in {key}", old["content"], new["content"]
                for name in ("success", "exit_code"):
                    if old.get(name) != new.get(name):
                        return f"{name} in {key}", str(old.get(name)), str(new.get(name))
        return None

    def _compare(
        self, call_id: str, recorded: Message | None, replayed: Message
    ) -> tuple[str, str, str] | None:
        """Return (what, recorded, replayed) of the first thing that differs."""
        if recorded is None or recorded.get("tool_call_id") != call_id:
            return "answer", "(none)", replayed["content"]
        if not self._same(recorded, replayed):
            return "content", recorded["content"], replayed["content"]
        for key in ("success", "exit_code"):
            if recorded.get(key) != replayed.get(key):
                return key, str(recorded.get(key)), str(replayed.get(key))
        return None

    def _same(self, recorded: Message, replayed: Message) -> bool:
        """Compare what two messages say; a call that was never run may be refused in the words of a later release."""
        if self._equal(recorded["content"], replayed["content"]):
            return True
        never_run = recorded.get("success") is False and recorded.get("exit_code") is None
        if self._exact or not never_run or not refused_alike(recorded["content"], replayed["content"]):
            return False
        self.rules.add(REFUSAL)
        return True

    def _equal(self, recorded: str, replayed: str) -> bool:
        if recorded == replayed:
            return True
        if self._exact:
            return False
        old, old_rules = masked(recorded, self._then)
        new, new_rules = masked(replayed, Window(self._began - SLACK_S, time.time() + SLACK_S))
        if old == new:
            self.rules |= old_rules | new_rules
        return old == new


def _answers(messages: Sequence[Message], position: int) -> list[tuple[int, Message]]:
    """Return (index, tool message) of what directly follows an assistant message."""
    found = []
    for index in range(position + 1, len(messages)):
        if messages[index]["role"] != "tool":
            break
        found.append((index, messages[index]))
    return found
