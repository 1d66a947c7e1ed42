"""Plays user simulators that are real models against scripted agents, and keeps every draft they write.

The role guard is worth what it finds among turns that models really say, so such turns have to be collected with
everything that a guard looks at: conversation, wishes, facts, and the evidence as played. One line of the output is
one draft, whether it was sent or not; the guard can be run on it again exactly.

    python benchmarks/users/user_turns.py OUT.jsonl --model NAME --base-url http://127.0.0.1:8405/v1 --minutes 20

The file only grows. An episode is written when it has ended, so that a run can be stopped at any time and goes on
where it was; ``--prompt-name`` names the wording of the prompt, to tell a set from one that was made after a change.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ise_gym.agents.expert import ExpertAgent, LazyAgent, current_assignment
from ise_gym.env import ISEEnv
from ise_gym.errors import AgentError
from ise_gym.intents.source import IntentSource
from ise_gym.messages import Message, ToolSchema, assistant
from ise_gym.scenario import Request, Scenario
from ise_gym.simulator.base import UserSimulator, UserTurn, UserView
from ise_gym.simulator.guard import RoleGuard
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of
from ise_gym.simulator.llm import LLMUser

FIRST_SEED = 52_000_000_000
"""Far from the seeds that tests and suites use."""
USER_TURNS = 4
ANSWER_TOKENS = 160
AGENTS = ("expert", "expert:0.5", "lazy", "asks", "fails")


class AskingAgent(ExpertAgent):
    """Asks back once for each request before it does anything: what a user knows, and what nobody can know."""

    questions = (
        "Before I start: where exactly should the result go?",
        "Should I keep a copy of the original, or is it fine to change it in place?",
        "Just to be sure: which file do you mean?",
        "Who should this be for, and is there a name you want on it?",
        "Do you want anything else in it, or only what you said?",
        "Is there a deadline for this?",
    )

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Ask at the first attempt at each request, else go on as the expert does."""
        assert self._scenario is not None
        work = current_assignment(self._scenario, messages)
        if work.requests and work.attempt == 0 and not work.spoken:
            key = f"{self._seed}:{work.requests[0].name}"
            return assistant(self.questions[int(hashlib.sha256(key.encode()).hexdigest(), 16) % 6])
        return super().act(messages, tools)


class FailingAgent(ExpertAgent):
    """Says honestly that it did not get through, at the first attempt at each request."""

    reports = (
        "I'm sorry, I could not do that: permission denied.",
        "I looked, but the command failed and nothing was written yet. Should I try again?",
        "I only got half of it done; the rest fails with an error that I don't understand.",
        "I cannot find what you describe. I have changed nothing.",
        "That took longer than I am allowed to run. It is not finished.",
        "I won't overwrite files without your explicit confirmation.",
    )

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Report a failure at the first attempt at each request, else go on as the expert does."""
        assert self._scenario is not None
        work = current_assignment(self._scenario, messages)
        if work.requests and work.attempt == 0 and not work.spoken:
            key = f"{self._seed}:{work.requests[0].name}"
            return assistant(self.reports[int(hashlib.sha256(key.encode()).hexdigest(), 16) % 6])
        return super().act(messages, tools)


def agent_named(name: str) -> Any:
    """Return a scripted agent."""
    if name == "lazy":
        return LazyAgent()
    if name in ("asks", "fails"):
        return AskingAgent() if name == "asks" else FailingAgent()
    return ExpertAgent(float(name.partition(":")[2] or 1.0))


class Recorder:
    """A user whose every draft is kept, and from whom more drafts are drawn for the same moment.

    Args:
        inner: the model's user; ``others``: users of the same model at other temperatures, asked at each first
            attempt and never listened to.
    """

    reopens = True

    def __init__(self, inner: LLMUser, others: Sequence[LLMUser]) -> None:
        self.inner, self.others, self.name = inner, others, inner.name
        self.drafts: list[dict[str, Any]] = []

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Open, and draw the other openings."""
        turn = self.inner.reset(scenario, seed)
        self._keep(turn, None, "", self.inner, "first")
        for number, other in enumerate(self.others, 1):
            self._keep(other.reset(scenario, seed + 7919 * number), None, "", other, "other")
        return turn

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer, and draw the other answers."""
        turn = self.inner.respond(view, feedback)
        seen = view if view.history else None  # an opening that is written again
        self._keep(turn, seen, feedback, self.inner, "again" if feedback else "first")
        for other in () if feedback else self.others:
            self._keep(other.respond(view), view, "", other, "other")
        return turn

    def _keep(self, turn: UserTurn, view: UserView | None, feedback: str, by: LLMUser, attempt: str) -> None:
        self.drafts.append(
            {
                "attempt": attempt,
                "temperature": by.describe()["temperature"],
                "feedback": feedback,
                "view": view,
                "turn": turn,
                "sent": False,
            }
        )

    def state(self) -> Any:
        """Return the inner user's state."""
        return self.inner.state()

    def set_state(self, state: Any) -> None:
        """Take back what `state` returned."""
        self.inner.set_state(state)

    def describe(self) -> dict[str, Any]:
        """Return the inner user's description."""
        return self.inner.describe()


class Outermost:
    """Stands between the env and the guard, to see which draft was sent and which turn was the script's."""

    def __init__(self, inner: UserSimulator, recorder: Recorder) -> None:
        self.inner, self.recorder, self.name = inner, recorder, inner.name
        self.played: list[dict[str, Any]] = []

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Open."""
        return self._sent(self.inner.reset(scenario, seed))

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer."""
        return self._sent(self.inner.respond(view, feedback))

    def _sent(self, turn: UserTurn) -> UserTurn:
        own = [d for d in self.recorder.drafts if d["attempt"] != "other"]
        draft = own[-1]["turn"]
        spoke = (draft.text, draft.request) == (turn.text, turn.request)
        own[-1]["sent"] = spoke
        self.played.append({"by": "model" if spoke else "script", "events": [dict(e) for e in turn.events]})
        return turn

    def state(self) -> Any:
        """Return the inner user's state."""
        return self.inner.state()

    def set_state(self, state: Any) -> None:
        """Take back what `state` returned."""
        self.inner.set_state(state)

    def describe(self) -> dict[str, Any]:
        """Return the inner user's description."""
        return self.inner.describe()


def play(scenario: Scenario, agent_name: str, guarded: bool, users: Sequence[LLMUser]) -> dict[str, Any]:
    """Play one episode and return its drafts and what was sent."""
    recorder = Recorder(users[0], users[1:])
    user = Outermost(RoleGuard(recorder) if guarded else recorder, recorder)
    env = ISEEnv(_Only(scenario), user=lambda: user, guard=False)
    agent = agent_named(agent_name)
    try:
        observation, _ = env.reset(seed=0)
        messages = list(observation)
        agent.reset(scenario, 0)
        over = False
        while not over:
            said = agent.act(messages, env.unwrapped.tool_schemas)  # type: ignore[attr-defined]
            observation, _, terminated, truncated, info = env.step(said)
            messages += [said, *observation]
            over = terminated or truncated
        outcome = {"outcome": info["outcome"], "reason": info["reason"], "score": info["score"]}
        described = {k: v for k, v in env.unwrapped.episode.user_report.items() if k != "usage"}  # type: ignore[attr-defined]
    finally:
        env.close()
    return {"drafts": recorder.drafts, "played": user.played, "user": described, **outcome}


class _Only:
    """The source of one scenario."""

    name = "one"

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def scenario(self, seed: int) -> Scenario:
        """Return it."""
        return self._scenario

    def __iter__(self) -> Iterator[Scenario]:
        """Iterate over the one."""
        return iter((self._scenario,))


def scenarios(count: int, translated: Path | None) -> dict[str, Scenario]:
    """Return short intents by name: of one or two tasks from the catalog, and translated ones."""
    drawn = {}
    for number in range(count):
        source = IntentSource("train", tasks_per_intent=1 + number % 2)
        drawn[f"en-{number:03d}"] = source.scenario(FIRST_SEED + number)
    if translated is not None:
        for line in translated.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            drawn[told["id"]] = _translated(drawn[told["of"]], told)
    short = dataclasses.replace
    return {
        name: short(one, id=name, budget=short(one.budget, user_turns=USER_TURNS))
        for name, one in drawn.items()
    }


def _translated(scenario: Scenario, told: dict[str, Any]) -> Scenario:
    """Return a scenario with its wishes and the expert's replies in other words; checks and plans stay."""
    requests: list[Request] = []
    for request, words in zip(scenario.requests, told["requests"], strict=False):
        requests.append(
            dataclasses.replace(
                request,
                text=words["text"],
                reply=words["reply"],
                facts=tuple(words.get("facts", request.facts)),
            )
        )
    persona = dataclasses.replace(scenario.persona, **told["persona"])
    return dataclasses.replace(
        scenario, requests=tuple(requests), persona=persona, intent="\n".join(r.text for r in requests)
    )


def written(episode: dict[str, Any], known: UserKnowledge, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the JSON of an episode's drafts; the scenario stands in each line, since lines are shuffled later."""
    persona = known.persona
    told = {
        "scenario": {
            "wishes": [dataclasses.asdict(wish) for wish in known.wishes],
            "files": dict(known.files),
        },
        "persona": {**dataclasses.asdict(persona), "voice": dict(persona.voice)},
    }
    for number, draft in enumerate(episode["drafts"]):
        view, turn = draft["view"], draft["turn"]
        yield {
            "id": f"{about['episode']}/{number}",
            **about,
            "attempt": draft["attempt"],
            "temperature": draft["temperature"],
            "feedback": draft["feedback"],
            "sent": draft["sent"],
            **(told if number == 0 else {}),
            "view": None if view is None else view_json(view),
            "turn": {"text": turn.text, "request": turn.request, "done": turn.done, "gave_up": turn.gave_up,
                     "meant": getattr(turn, "meant", "")},
        }  # fmt: skip


def view_json(view: UserView) -> dict[str, Any]:
    """Return all of a view as JSON: what a guard needs to be run again on it exactly."""
    seen = view.evidence
    evidence = {
        "created": seen.diff.created, "changed": seen.diff.changed, "deleted": seen.diff.deleted,
        "failed_commands": seen.failed_commands, "passed": seen.passed, "failed": seen.failed,
        "files": [dataclasses.asdict(note) for note in seen.files],
        "commands": [dataclasses.asdict(command) for command in seen.commands],
        "processes": [dataclasses.asdict(process) for process in seen.processes],
        "present": None if seen.present is None else dict(seen.present),
    }  # fmt: skip
    history = [{"role": m["role"], "content": m["content"]} for m in view.history]
    return {
        "history": history, "evidence": evidence, "turn": view.turn,
        "request": view.request, "remaining": view.remaining,
    }  # fmt: skip


def main() -> None:
    """Play until the time or the plan is used up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True, help="name at the endpoint, kept in every line")
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--intents", type=int, default=40)
    parser.add_argument("--translated", type=Path, help="JSONL of intents in other words")
    parser.add_argument("--only", default="", help="only intents whose name begins so")
    parser.add_argument(
        "--temperatures", default="0.7,0.2,0.5,0.9,1.1,1.3", help="the first plays, the others draw along"
    )
    parser.add_argument("--guard", choices=("both", "on", "off"), default="both")
    parser.add_argument("--prompt-name", default="first")
    parser.add_argument(
        "--start", type=int, default=0, help="where in the plan to begin, to spread models over it"
    )
    parser.add_argument("--user-option", action="append", default=[], metavar="NAME=VALUE")
    chosen = parser.parse_args()
    options = dict(option.split("=", 1) for option in chosen.user_option)
    users = [
        LLMUser(
            chosen.model, base_url=chosen.base_url, temperature=float(t), max_tokens=ANSWER_TOKENS,
            timeout=300.0, **options,
        )
        for t in chosen.temperatures.split(",")
    ]  # fmt: skip
    end = time.monotonic() + chosen.minutes * 60
    done = _episodes_in(chosen.out)
    known = scenarios(chosen.intents, chosen.translated)
    names = [name for name in known if name.startswith(chosen.only)]
    names = names[chosen.start :] + names[: chosen.start]
    guards = {"both": (True, False), "on": (True,), "off": (False,)}[chosen.guard]
    # every intent meets one agent with and one without the guard before any meets a second
    rounds = product(range(len(AGENTS)), enumerate(names))
    for shift, (at, name) in rounds:
        guarded = guards[(at + shift) % len(guards)]
        agent = AGENTS[(at + shift) % len(AGENTS)]
        episode = f"{chosen.prompt_name}/{chosen.model}/{name}/{agent}/{'on' if guarded else 'off'}"
        if episode in done:
            continue
        if time.monotonic() > end:
            break
        begun = time.monotonic()
        try:
            played = play(known[name], agent, guarded, users)
        except AgentError as error:
            print(f"{episode}: {error}", flush=True)
            continue
        about = {
            "episode": episode, "model": chosen.model, "intent": name, "agent": agent,
            "guard": guarded, "prompt": chosen.prompt_name,
        }  # fmt: skip
        lines = [*written(played, knowledge_of(known[name]), about)]
        for line in lines:
            line["outcome"] = played["outcome"]
        lines[-1]["played"], lines[-1]["user"] = played["played"], played["user"]
        with chosen.out.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        script = sum(turn["by"] == "script" for turn in played["played"])
        print(
            f"{episode}: {len(lines)} drafts, {len(played['played'])} turns, {script} by the script, "
            f"{played['outcome']}, {time.monotonic() - begun:.0f} s",
            flush=True,
        )


def _episodes_in(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {json.loads(line)["episode"] for line in path.read_text(encoding="utf-8").splitlines() if line}


if __name__ == "__main__":
    main()
