"""What the role guard and the users are worth, measured.

    python benchmarks/guard.py drift    [--episodes 500 --rate 0.3]   drift that reaches the agent
    python benchmarks/guard.py cost     [--turns 2000]                the guard's time a turn
    python benchmarks/guard.py honest   [--episodes 1000]             an honest expert is never accused
    python benchmarks/guard.py ablation [--episodes 300]              scripted, single-turn and naive users

``drift`` and ``cost`` play the user's side alone, with made-up evidence, so that hundreds of episodes take minutes;
``honest`` and ``ablation`` play real episodes in the workspace. All print one JSON object at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "simulator")]

from ise_gym.messages import Message, assistant, user  # noqa: E402
from ise_gym.scenario import Scenario  # noqa: E402
from ise_gym.simulator import make_user  # noqa: E402
from ise_gym.simulator.base import Evidence, UserSimulator, UserTurn, UserView  # noqa: E402
from ise_gym.simulator.claims import false_claims  # noqa: E402
from ise_gym.simulator.detectors import detect  # noqa: E402
from ise_gym.simulator.knowledge import knowledge_of  # noqa: E402
from ise_gym.statistics import wilson  # noqa: E402

WORDS = (
    "Done.",
    "I tried, but it did not work.",
    "All set.",
    "Which one do you mean?",
    "There was an error.",
)


def converse(
    simulator: UserSimulator, scenario: Scenario, seed: int, skill: float = 0.7, most: int = 24
) -> list[UserTurn]:
    """Play the user's side of one episode against made-up agent turns; each request succeeds with ``skill``."""
    rng = random.Random(f"agent:{seed}")
    turns = [simulator.reset(scenario, seed)]
    history: list[Message] = []
    names = [request.name for request in scenario.requests]
    while not (turns[-1].done or turns[-1].gave_up) and len(turns) < most:
        history.append(assistant(turns[-1].text))
        index = names.index(turns[-1].request)
        request = scenario.requests[index]
        goals = tuple(goal.name for goal in request.subgoals) or ("it is done",)
        held = rng.random() < skill
        history.append(user(request.reply if held else rng.choice(WORDS)))
        evidence = Evidence(passed=goals if held else (), failed=() if held else goals)
        view = UserView(tuple(history), evidence, len(turns), request.name, len(names) - 1 - index)
        turns.append(simulator.respond(view))
    return turns


def drift(episodes: int, rate: float, seed: int = 0) -> dict[str, Any]:
    """A model that drifts at a set rate behind the guard: what reaches the agent, by the server's own labels."""
    from drifting_server import DriftingUser, serving

    from ise_gym.intents.source import IntentSource

    source, model = IntentSource(), DriftingUser(rate)
    turns = reached = 0
    guard: Counter[str] = Counter()
    modes: Counter[str] = Counter()
    leaked: list[str] = []
    with serving(model) as server:
        simulator = make_user("llm:drifting", base_url=server.url)
        for number in range(episodes):
            played = converse(simulator, source.scenario(seed + number), seed + number)
            turns += len(played)
            counts = simulator.describe()["guard"]
            guard.update({name: value for name, value in counts.items() if isinstance(value, int)})
            said: set[str] = set()
            for turn in played:
                mode = model.adrift.get(turn.text.strip())
                # an echo is adrift only when it is said again: the first time it was the turn itself
                if mode is not None and (mode != "echo" or turn.text in said):
                    reached += 1
                    modes[mode] += 1
                    leaked.append(f"{mode}: {turn.text[:100]}")
                said.add(turn.text)
    low, high = wilson(reached, turns)
    return {
        "episodes": episodes,
        "turns": turns,
        "answers": model.answers,
        "adrift_at_first": guard["drifted"],
        "reached": reached,
        "reached_rate": reached / turns,
        "reached_95": [low, high],
        "reached_by_mode": dict(modes),
        "examples": leaked[:10],
        "guard": dict(sorted(guard.items())),
    }


def cost(turns: int, seed: int = 0) -> dict[str, Any]:
    """CPU milliseconds that the detectors and the claims check take for one turn of the scripted user."""
    from ise_gym.intents.source import IntentSource

    source = IntentSource()
    spent: list[float] = []
    number = seed
    while len(spent) < turns:
        scenario = source.scenario(number)
        known = knowledge_of(scenario)
        history: list[Message] = []
        for index, request in enumerate(scenario.requests):
            view = None
            if history:
                evidence = Evidence(
                    failed=("it is there",), present={file.path: 1 for file in scenario.files}
                )
                view = UserView(tuple(history), evidence, index, request.name, 1)
            for text in (request.text, "That is not what I see yet. Please have another look at the result."):
                began = time.process_time()
                detect(UserTurn(text, request.name), view, known)
                if view is not None:
                    false_claims(request.reply, view.evidence)
                spent.append((time.process_time() - began) * 1000)
            history += [assistant(request.text), user(request.reply)]
        number += 1
    spent.sort()
    return {
        "turns": len(spent),
        "mean_ms": sum(spent) / len(spent),
        "p50_ms": spent[len(spent) // 2],
        "p95_ms": spent[int(len(spent) * 0.95)],
    }


def honest(episodes: int, seed: int = 0, backend: str = "auto") -> dict[str, Any]:
    """The expert tells the truth: count its claims that are called false, and the scripted turns called drift."""
    accused: Counter[str] = Counter()
    examples: list[str] = []
    drifted = turns = failed = 0
    for number, (episode, info) in enumerate(_played(episodes, seed, backend, "expert", "scripted")):
        counts = info["user"]["guard"]
        turns += counts["turns"]
        drifted += counts["drifted"]
        failed += info["outcome"] != "passed"
        for name, value in counts.items():
            if name.startswith("claim:"):
                accused[name] += value
                examples.append(f"{episode.scenario.id}: {name}")
        if (number + 1) % 50 == 0:
            print(f"{number + 1} episodes, {sum(accused.values())} accusations", file=sys.stderr)
    return {
        "episodes": episodes,
        "user_turns": turns,
        "accusations": sum(accused.values()),
        "by_kind": dict(accused),
        "examples": examples[:10],
        "not_passed": failed,
        "scripted_turns_called_drift": drifted,
    }


def ablation(
    episodes: int, seed: int = 0, backend: str = "auto", agent: str = "expert:0.6"
) -> dict[str, Any]:
    """One mid-quality agent, the same intents, three users; paired intervals and McNemar's exact test."""
    from ise_gym.evaluation.results.intervals import difference
    from ise_gym.evaluation.results.stats import mcnemar_exact

    rows: dict[str, list[dict[str, float]]] = {}
    for name in ("scripted", "single-turn", "naive"):
        rows[name] = []
        for episode, info in _played(episodes, seed, backend, agent, name):
            goals = info["subgoals"]
            satisfied = episode.reason == "the user is done" or episode.reason.startswith("simulator error")
            rows[name].append(
                {
                    "share": sum(goals.values()) / len(goals) if goals else 1.0,
                    "passed": float(info["outcome"] == "passed"),
                    "turns": float(info["counts"]["user_turns"]),
                    "false_acceptance": float(satisfied and not all(goals.values())),
                }
            )
        print(f"{name}: done", file=sys.stderr)
    found: dict[str, Any] = {"episodes": episodes, "agent": agent, "users": {}, "paired_with_scripted": {}}
    for name, episodes_of in rows.items():
        found["users"][name] = {
            k: sum(row[k] for row in episodes_of) / len(episodes_of) for k in episodes_of[0]
        }
    for name in ("single-turn", "naive"):
        pairs = list(zip(rows["scripted"], rows[name], strict=True))
        shares = ([a["share"] for a, _ in pairs], [b["share"] for _, b in pairs])
        passed = [(a["passed"], b["passed"]) for a, b in pairs]
        accepted = [(a["false_acceptance"], b["false_acceptance"]) for a, b in pairs]
        found["paired_with_scripted"][name] = {
            "share_difference_95": vars(difference(*shares)),
            "passed_mcnemar_p": mcnemar_exact(sum(a > b for a, b in passed), sum(a < b for a, b in passed)),
            "false_acceptance_mcnemar_p": mcnemar_exact(
                sum(a > b for a, b in accepted), sum(a < b for a, b in accepted)
            ),
        }
    return found


def _played(episodes: int, seed: int, backend: str, agent_name: str, user_name: str) -> Any:
    """Yield (episode, last info) of real episodes."""
    import gymnasium

    import ise_gym  # noqa: F401  (registers the env)
    from ise_gym.agents import make_agent

    env = gymnasium.make("ISE-OS-v0", user=user_name, backend=backend)
    agent = make_agent(agent_name)
    try:
        for number in range(seed, seed + episodes):
            _, info = env.reset(seed=number)
            episode = env.unwrapped.episode  # type: ignore[attr-defined]
            agent.reset(episode.scenario, number)
            while not episode.over:
                *_, info = env.step(agent.act(episode.messages, episode.tool_schemas))
            yield episode, info
    finally:
        env.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("drift", "cost", "honest", "ablation"))
    parser.add_argument("--episodes", type=int, default=None)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--turns", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    began = time.monotonic()
    match options.what:
        case "drift":
            found = drift(options.episodes or 500, options.rate, options.seed)
        case "cost":
            found = cost(options.turns, options.seed)
        case "honest":
            found = honest(options.episodes or 1000, options.seed, options.backend)
        case _:
            found = ablation(options.episodes or 300, options.seed, options.backend)
    found["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
