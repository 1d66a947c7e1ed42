"""Real language models in each seat: as agent (calls read by the server, or from the words), as user, as writer.

    ISE_MODELS=… python benchmarks/real_models.py --models qwen2.5-coder-1.5b --tasks 16 --out runs/real

Prints one table a seat, with name, quantisation and SHA-256 of the weights; the episodes stay in ``--out``, to be read.
Weights and server come from scripts/real_models.py, or ``--base-url`` names an endpoint that is up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ise_gym.agents.expert import ExpertAgent
from ise_gym.env import ISEEnv
from ise_gym.evaluation.builtin import run_suite
from ise_gym.intents.llm.cache import AnswerCache
from ise_gym.intents.llm.endpoint import Endpoint
from ise_gym.intents.llm.realiser import LLMRealiser
from ise_gym.intents.source import IntentSource
from ise_gym.models.metering import advice_on
from ise_gym.models.textcalls import FORMATS
from ise_gym.rollout.limits import Limits
from ise_gym.rollout.play import play_episode
from ise_gym.simulator import make_user
from ise_gym.statistics import wilson
from ise_gym.trajectory.record import to_line
from ise_gym.trajectory.store import read_trajectories

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from real_models import MODELS, Served, serving  # type: ignore[attr-defined]

SEATS = ("agent", "user", "writer")
CALLS = ("server", *FORMATS)
"""How calls are read: by the server, or from the words, which are asked for in one of the formats."""


def as_agent(
    at: dict[str, Any], model: str, calls: str, tasks: int, out: Path, limits: Limits
) -> dict[str, Any]:
    """Play a slice of ``demo-easy``, or the rest of it; returns figures of what is played so far."""
    folder = out / f"agent-{model}-{calls}"
    began = time.monotonic()
    how = {"calls": "server"} if calls == "server" else {"calls": "text", "call_format": calls}
    options = {**at, **how, "max_tokens": 300, "temperature": 0.0, "timeout": 900.0}
    run_suite("demo-easy", f"openai:{model}", folder, agent_options=options, limit=tasks, limits=limits)
    episodes = list(read_trajectories(folder / "trajectories"))
    passed = sum(t.outcome == "passed" for t in episodes)
    usage: Counter[str] = Counter()
    for episode in episodes:
        usage.update({k: v for k, v in episode.agent.get("usage", {}).items() if isinstance(v, int)})
    low, high = wilson(passed, len(episodes))
    return {
        "episodes": len(episodes),
        "pass@1": f"{passed}/{len(episodes)} [{low:.1%}, {high:.1%}]",
        "calls": sum(t.counts.get("tool_calls", 0) for t in episodes),
        "calls in words": usage["calls_in_words"],
        "cut": usage["cut"],
        "broken arguments": usage["arguments"],
        "outcomes": dict(Counter(t.outcome for t in episodes)),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "advice": advice_on(usage),
    }


def as_user(at: dict[str, Any], model: str, intents: int, out: Path) -> dict[str, Any]:
    """Let the scripted expert serve users that the model plays; returns what the guard counted."""
    source = IntentSource(split="train", tasks_per_intent=2)
    counts: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()

    def user() -> Any:
        return make_user(f"llm:{model}", guard=False, **at, temperature=0.7, max_tokens=200, timeout=600.0)

    env = ISEEnv(user=user)
    file = out / f"user-{model}.jsonl"
    with file.open("wb") as lines:
        for seed in range(intents):
            episode = play_episode(env, ExpertAgent(), source.scenario(seed), seed)
            lines.write(to_line(episode))
            outcomes[episode.outcome] += 1
            counts.update(episode.user.get("guard") or {})
    env.close()
    names = ("turns", "drifted", "resamples", "fallbacks", "reached")
    return {**{name: counts[name] for name in names}, "outcomes": dict(outcomes)}


def as_writer(at: dict[str, Any], model: str, intents: int, out: Path) -> dict[str, Any]:
    """Have the model word intents; returns how many wordings were its own, and why others were refused."""
    cache = AnswerCache(out / f"writer-{model}.answers.jsonl")
    endpoint = Endpoint(model, at["base_url"], max_tokens=700, timeout=600.0)
    realiser = LLMRealiser(endpoint, cache, tries=2, concurrency=1)
    source = IntentSource(split="train", tasks_per_intent=2)
    for _ in realiser.realise_all(source.intent(seed) for seed in range(intents)):
        pass
    cache.close()
    found = realiser.outcomes
    return {
        "intents": intents,
        "own words": found.origins["model"],
        "template's": found.origins["template"],
        "refused": dict(found.rejections),
    }


@contextlib.contextmanager
def endpoint_of(model: str, base_url: str | None, threads: int) -> Iterator[Served]:
    """The endpoint that was named, or a server for this model."""
    if base_url:
        yield Served(model, base_url, 0)
    else:
        with serving(model, threads=threads) as served:
            yield served


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"])
    parser.add_argument("--seats", nargs="+", choices=SEATS, default=list(SEATS))
    parser.add_argument("--calls", nargs="+", choices=CALLS, default=["server", "hermes"])
    parser.add_argument("--tasks", type=int, default=16, help="tasks of demo-easy, spread over it")
    parser.add_argument("--intents", type=int, default=6, help="of user and writer")
    parser.add_argument("--base-url", help="an endpoint that is up, instead of a server of one's own")
    parser.add_argument("--threads", type=int, default=0, help="of the server; 0: one a core")
    parser.add_argument("--hours", type=float, help="per run of a seat; the same command goes on from there")
    parser.add_argument("--out", type=Path, default=Path("runs/real-models"))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is ended too
    given.out.mkdir(parents=True, exist_ok=True)
    limits = Limits(hours=given.hours)
    rows: list[tuple[str, str, dict[str, Any]]] = []
    for model in given.models:
        with endpoint_of(model, given.base_url, given.threads) as served:
            at = {"base_url": served.base_url, "api_key": "none"}
            for seat in given.seats:
                if seat == "agent":
                    rows += [
                        (
                            model,
                            f"agent, calls={calls}",
                            as_agent(at, served.model, calls, given.tasks, given.out, limits),
                        )
                        for calls in given.calls
                    ]
                elif seat == "user":
                    rows.append((model, seat, as_user(at, served.model, given.intents, given.out)))
                else:
                    rows.append((model, seat, as_writer(at, served.model, given.intents, given.out)))
                (given.out / "figures.json").write_text(json.dumps(rows, indent=1))
    console = Console()
    table = Table("model", "seat", "figures")
    for model, seat, figures in rows:
        known = MODELS.get(model)
        name = f"{known.about}\nsha256 {known.sha256[:16]}…" if known else model
        table.add_row(name, seat, "\n".join(f"{key}: {value}" for key, value in figures.items()))
    console.print(table)


if __name__ == "__main__":
    main()
