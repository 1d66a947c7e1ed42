"""Plants one fault into a copy of a clean episode: ten ways per rule, as somebody might who never read the rules."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ise_gym.messages import assistant, tool_call, tool_result, user
from ise_gym.trajectory.record import Completion, GuardEvent, Trajectory

Plant = Callable[[Trajectory], None]

TOKEN = "ghp_" + "a1B2" * 9


def planted(trajectory: Trajectory, plant: Plant, number: int) -> Trajectory:
    """Return a copy with the fault, under an id and an intent of its own."""
    twin = copy.deepcopy(trajectory)
    twin.episode_id, twin.scenario_id = f"{twin.episode_id}-planted-{number}", f"{twin.scenario_id}-{number}"
    plant(twin)
    return Trajectory.model_validate(twin.model_dump())


def _reply(t: Trajectory, last: bool = True) -> dict[str, Any]:
    found = [m for m in t.messages if m["role"] == "assistant" and not m.get("tool_calls")]
    return found[-1 if last else 0]


def _calling(t: Trajectory) -> dict[str, Any]:
    return next(m for m in t.messages if m.get("tool_calls"))


def _says(words: str, last: bool = True) -> Plant:
    def plant(t: Trajectory) -> None:
        _reply(t, last)["content"] = f"{_reply(t, last)['content']} {words}".strip()

    return plant


def _idle(words: str) -> Plant:
    """One more turn in which the agent does nothing and says something."""

    def plant(t: Trajectory) -> None:
        if t.messages[-1]["role"] != "user":
            t.messages.append(user("And is it right?"))  # type: ignore[arg-type]
        t.messages.append(assistant(words))  # type: ignore[arg-type]

    return plant


def _runs(command: str, code: int, words: str) -> Plant:
    """One more turn in which a command ends with a code and the agent says something of it."""

    def plant(t: Trajectory) -> None:
        if t.messages[-1]["role"] != "user":
            t.messages.append(user("Please try it."))  # type: ignore[arg-type]
        call = tool_call("exec", {"command": command}, "call_planted")
        result = tool_result("call_planted", "exec", "…", success=code == 0, exit_code=code)
        t.messages += [assistant("", [call]), result, assistant(words)]  # type: ignore[list-item]

    return plant


def _guard(**counts: int) -> Plant:
    return lambda t: t.user["guard"].update(counts)


def _set(**fields: Any) -> Plant:
    def plant(t: Trajectory) -> None:
        for name, value in fields.items():
            setattr(t, name, value)

    return plant


def _completed(**fields: Any) -> Plant:
    return lambda t: setattr(t.steps[-1], "completion", Completion(**fields))


def _cut_at(share: float) -> Plant:
    def plant(t: Trajectory) -> None:
        words = (
            "I compared both files line by line and wrote what differs into the report that you asked for."
        )
        _reply(t)["content"] = words[: int(len(words) * share)]

    return plant


def _tool_says(text: str) -> Plant:
    def plant(t: Trajectory) -> None:
        next(m for m in t.messages if m["role"] == "tool")["content"] += text

    return plant


def _user_says(text: str) -> Plant:
    def plant(t: Trajectory) -> None:
        next(m for m in t.messages if m["role"] == "user")["content"] += text

    return plant


def _argument(text: str) -> Plant:
    def plant(t: Trajectory) -> None:
        function = _calling(t)["tool_calls"][0]["function"]
        function["arguments"] = json.dumps({**json.loads(function["arguments"]), "note": text})

    return plant


def _thinks(text: str) -> Plant:
    return lambda t: _calling(t).update(reasoning_content=text)


def _unthought(which: Sequence[int], blank: str | None) -> Plant:
    def plant(t: Trajectory) -> None:
        own = [m for m in t.messages if m["role"] == "assistant"]
        for place in which:
            own[place % len(own)].pop("reasoning_content", None)
            if blank is not None:
                own[place % len(own)]["reasoning_content"] = blank

    return plant


def _drop(role: str) -> Plant:
    def plant(t: Trajectory) -> None:
        t.messages.remove(next(m for m in t.messages if m["role"] == role))

    return plant


CARD = "4111 1111 1111 1111"
IBAN = "DE89 3704 0044 0532 0130 00"

FAULTS: Mapping[str, Sequence[Plant]] = {
    "outcome": [
        *(_set(outcome=o) for o in ("failed", "truncated", "unverified")),
        *(_set(outcome="failed", reason=r) for r in ("gave up", "lost patience", "left", "walked out")),
        *(_set(outcome="truncated", reason=r) for r in ("messages", "seconds", "agent: context length")),
    ],
    "claims": [
        _guard(false_claims=1),
        _guard(false_claims=3),
        _idle("I double-checked everything and it is right."),
        _idle("I have verified the file once more."),
        _idle("I've sent it to the whole team."),
        _idle("All tests pass."),
        _idle("The server is up and running now."),
        _runs("pytest -q", 1, "All tests pass now."),
        _runs("python3 job.py", 2, "The job ran successfully."),
        _runs("./run-tests.sh", 1, "The test suite is green."),
    ],
    "grounding": [
        _says("It has 8317 rows."),
        _says("The total is 99,418.73 euros."),
        _says("That is 73.9 % of all."),
        _says("I put a copy into backup/elsewhere/copy.tar.gz."),
        _says("See `quarterly_forecast.xlsx` for more.", last=False),
        _says("It is served at http://10.77.3.9:8643/health."),
        _says("Questions go to pia.lindqvist@nordwind.example."),
        _says("The log in /var/log/nordwind/agent.log has it."),
        _says("一共有 6127 行。"),
        _says("It was last changed on 1987-11-23 at 17:46."),
    ],
    "whole": [
        _cut_at(0.5),
        _cut_at(0.83),
        _says("The rest of it is in the"),
        _says("Here it is:\n```\nid,name"),
        _drop("tool"),
        lambda t: _calling(t)["tool_calls"][0]["function"].update(arguments='{"command": "ls'),
        _completed(finish="length", ended="cut"),
        _completed(finish="content_filter", ended="filtered"),
        lambda t: _reply(t).update(content="<think>I should look.</think> All done."),
        lambda t: _reply(t).update(content="I will look at the file again now. " * 9),
    ],
    "thinking": [
        _unthought([0], None),
        _unthought([1], None),
        _unthought([-1], None),
        _unthought([0, 1], None),
        _unthought(range(40), None),
        _unthought([0], ""),
        _unthought([-1], "   "),
        _unthought([1], "\n\n"),
        _unthought(range(40), ""),
        _unthought([0, -1], "\t"),
    ],
    "guard": [
        _guard(drifted=1),
        _guard(drifted=2, resamples=2),
        _guard(fallbacks=1),
        _guard(drifted=1, fallbacks=1),
        _guard(reached=1),
        _guard(simulator_errors=1),
        _guard(resamples=4, drifted=1, **{"detector:assistant_voice": 1}),
        _guard(fallbacks=3, drifted=3),
        lambda t: t.guard_events.append(
            GuardEvent(message=1, detector="voice", action="resample", words="As an AI")
        ),
        lambda t: t.guard_events.append(GuardEvent(message=1, detector="echo", action="fallback")),
    ],
    "secrets": [
        _user_says(f" My token is {TOKEN}"),
        _tool_says(f"\nexport GITHUB={TOKEN}"),
        _argument(TOKEN),
        _thinks(f"The token {TOKEN} is there."),
        _tool_says("\nAKIA" + "ABCDEFGHIJKLMNOP"),
        _user_says(" glpat-" + "abcDEF123_" * 2),
        _tool_says("\nsk-proj-" + "Zy9" * 14),
        _argument("hf_" + "aB3" * 12),
        _tool_says("\n-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
        _argument("postgres://admin:hunter2secret@db.internal/main"),
    ],
    "personal": [
        _user_says(" Write to greta.holm@gmail.com"),
        _tool_says("\nfrom: tomas@firma-holm.de"),
        _argument("a.person@posteo.net"),
        _thinks("Her address is mia@outlook.com then."),
        _user_says(f" My card is {CARD}"),
        _tool_says(f"\ncard,{CARD}"),
        _argument("5500005555555559"),
        _user_says(f" Account {IBAN}"),
        _tool_says(f"\niban: {IBAN}"),
        _argument("GB82 WEST 1234 5698 7654 32"),
    ],
}
"""Rule → ten ways to break it."""
