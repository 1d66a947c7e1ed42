"""The rubric judge: reads an episode twice, the second time with everything in the other order, and keeps its answers.

A model's verdict that depends on the order of what it read is not a verdict, so a point is met only where both readings
say so, and how often they agree is part of the result. Answers are kept under all that they depend on: judging a store
again asks nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.judging.material import LIMIT, Material, material_of
from ise_gym.evaluation.judging.verdict import (
    PROMPT_VERSION,
    Finding,
    Reading,
    question,
    read_verdict,
    schema_of,
)
from ise_gym.foreign.values import Json
from ise_gym.intents.llm.cache import AnswerCache
from ise_gym.messages import assistant, sha256_of, user
from ise_gym.models.chat import JsonChat
from ise_gym.trajectory.record import Trajectory

DEFAULTS: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": 2048, "timeout": 300.0}
TRIES = 3
"""How often a reading is asked for before the judge has no verdict."""


@dataclass(frozen=True)
class Judgement:
    """What a judge found.

    Attributes:
        readings: two, in order; empty when the judge never gave a verdict that can be read.
        points: id → text.
        problem: why there is no verdict, or "".
        cached: nothing was asked in this run.
    """

    points: Mapping[str, str]
    readings: tuple[Reading, ...]
    problem: str = ""
    cached: bool = False

    @property
    def met(self) -> dict[str, bool]:
        """Point → whether both readings found it met."""
        return {name: all(reading[name].met for reading in self.readings) for name in self.points}

    @property
    def passed(self) -> bool:
        """Whether every point is met."""
        return bool(self.readings) and all(self.met.values())

    @property
    def score(self) -> float | None:
        """Fraction of points that are met; None without a verdict."""
        return sum(self.met.values()) / len(self.points) if self.readings else None

    @property
    def agreed(self) -> int:
        """On how many points both readings say the same."""
        return sum(len({reading[name].met for reading in self.readings}) == 1 for name in self.points)

    def to_json(self) -> dict[str, Any]:
        """Return what the record keeps."""
        return {
            "score": self.score,
            "agreed": self.agreed if self.readings else 0,
            "points": [
                {
                    "point": text,
                    "met": self.met[name],
                    "holds": [reading[name].holds for reading in self.readings],
                    "grounds": [reading[name].grounds for reading in self.readings],
                    "quoted": [reading[name].quoted for reading in self.readings],
                }
                for name, text in self.points.items()
            ]
            if self.readings
            else [],
        }


class RubricJudge:
    """Judges recorded episodes with a model.

    Args:
        model: its name at the endpoint.
        cache: where answers are kept.
        allow_own: judge episodes in which this very model acted, too.
        limit: most characters of an episode that it is shown.
        options: `ise_gym.models.endpoint.EndpointOptions`.

    Raises:
        UserError: the ``openai`` package is missing, there is no endpoint, or an option is wrong.
    """

    def __init__(
        self,
        model: str,
        cache: AnswerCache,
        *,
        allow_own: bool = False,
        limit: int = LIMIT,
        **options: object,
    ) -> None:
        self.model, self.cache, self.allow_own, self.limit = model, cache, allow_own, limit
        self._chat = JsonChat(model, who="judge", **{**DEFAULTS, **options})

    @property
    def usage(self) -> Mapping[str, Any]:
        """What the answers spent in this run."""
        return self._chat.meter.usage

    def describe(self) -> dict[str, Any]:
        """Return what a judgement depends on besides the episode: model, sampling, prompt."""
        return {**self._chat.sampling(), "prompt_version": PROMPT_VERSION, "limit": self.limit}

    def judge(self, trajectory: Trajectory) -> Judgement:
        """Judge one episode.

        Raises:
            AgentError: the endpoint failed (infrastructure).
            UserError: the judge is the model that acted, or the endpoint refuses key or model.
        """
        if not self.allow_own and same_model(self.model, models_that_acted(trajectory)):
            raise UserError(
                f"{trajectory.episode_id}: {self.model} acted in it, and models favour their own work; "
                "judge with another model, or ask for it with --allow-own"
            )
        material = material_of(trajectory, self.limit)
        readings, cached = [], True
        for swapped in (False, True):
            reading, was_kept = self._read(material, swapped)
            cached &= was_kept
            if isinstance(reading, str):
                return Judgement(material.points, (), reading, cached)
            readings.append(reading)
        return Judgement(material.points, tuple(readings), cached=cached)

    def _read(self, material: Material, swapped: bool) -> tuple[Reading | str, bool]:
        asked = question(material, swapped=swapped)
        key = sha256_of([self.describe(), asked])
        if (kept := self.cache.get(key)) is not None:
            return (kept["problem"] or _findings(kept["points"])), True
        schema, problem = schema_of(material), ""
        conversation: list[Any] = list(asked)
        for attempt in range(TRIES):
            text = self._chat.ask(conversation, schema, seed=attempt)
            found = read_verdict(text, material)
            if not isinstance(found, str):
                points: dict[str, Json] = {
                    n: {"holds": f.holds, "grounds": f.grounds, "quoted": f.quoted} for n, f in found.items()
                }
                self.cache.put(key, {"problem": "", "points": points})
                return found, False
            problem = found
            again = user(f"That can't be used: {problem}. Write the whole JSON object again.")
            conversation = [*asked, assistant(text[:4_000]), again]
        self.cache.put(key, {"problem": problem, "points": {}})
        return problem, False


def _findings(points: Mapping[str, Mapping[str, Any]]) -> Reading:
    return {name: Finding(p["holds"], p["grounds"], p["quoted"]) for name, p in points.items()}


def models_that_acted(trajectory: Trajectory) -> set[str]:
    """Return the names of the models that acted in an episode, as its agent and its server gave them."""
    agent = trajectory.agent
    names = {str(agent.get("model") or ""), str(agent.get("name") or "").partition(":")[2]}
    names |= {step.completion.model for step in trajectory.steps if step.completion is not None}
    return {name for name in names if name}


def same_model(judge: str, acted: set[str]) -> bool:
    """Tell whether a judge is one of the models that acted, whatever folder or owner its name carries.

    >>> same_model("Qwen/Qwen3-8B", {"qwen3-8b"}), same_model("qwen3-8b", {"qwen3-32b"})
    (True, False)
    """
    return _bare(judge) in {_bare(name) for name in acted}


def _bare(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower().removesuffix(".gguf")
