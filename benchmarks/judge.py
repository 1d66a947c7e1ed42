"""How often does a judge agree with checks that know? Verdicts of a model on episodes whose outcome is verified.

    ise rollout --intents INTENTS --out STORE --agent-option quality=0.6
    python benchmarks/judge.py STORE --model NAME --option base_url=http://127.0.0.1:8405/v1 --limit 300

The judge gets the names of the sub-goals as its rubric and none of their verdicts. Printed: agreement and Cohen's kappa
per episode and per sub-goal with intervals, how the two readings agree, what either kind of error costs, tokens and
seconds. Readings are kept in STORE-judged.jsonl: an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ise_gym.evaluation.judging.agreement import agreement, sentence
from ise_gym.evaluation.judging.judge import RubricJudge
from ise_gym.evaluation.judging.material import rubric_of
from ise_gym.intents.llm.cache import AnswerCache
from ise_gym.models.options import options_of
from ise_gym.trajectory.store import read_trajectories


def main() -> None:
    """Judge and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--option", action="append", help="NAME=VALUE for the judge")
    parser.add_argument("--limit", type=int, default=300, help="episodes")
    parser.add_argument("--characters", type=int, default=24_000, help="most characters of one episode")
    args = parser.parse_args()
    cache = AnswerCache(args.store.with_name(f"{args.store.name}-judged.jsonl"))
    judge = RubricJudge(
        args.model, cache, allow_own=True, limit=args.characters, **options_of(args.option, "--option")
    )
    episodes: list[tuple[bool, bool]] = []
    points: list[tuple[bool, bool]] = []
    readings: list[tuple[bool, bool]] = []
    without, began = 0, time.monotonic()
    for trajectory in read_trajectories(args.store):
        if trajectory.outcome not in ("passed", "failed") or len(episodes) + without >= args.limit:
            continue
        found = judge.judge(trajectory)
        if not found.readings:
            without += 1
            continue
        episodes.append((found.passed, trajectory.outcome == "passed"))
        known = dict(zip(rubric_of(trajectory), trajectory.subgoals.values(), strict=True))
        points += [(found.met[name], known[name]) for name in found.points]
        readings += [(found.readings[0][n].met, found.readings[1][n].met) for n in found.points]
        print(f"{len(episodes):4d} judged {found.passed!s:5} verified {trajectory.outcome}", flush=True)
    print(f"\n{args.model}: {len(episodes)} episodes, {without} without a verdict")
    print(f"with the checks, per episode:  {sentence(agreement(episodes))}")
    print(f"with the checks, per sub-goal: {sentence(agreement(points))}")
    print(f"its two readings, per point:   {sentence(agreement(readings))}")
    print(
        f"passed a failed episode: {sum(a and not b for a, b in episodes)} of {sum(not b for _, b in episodes)}"
    )
    print(
        f"failed a passed episode: {sum(b and not a for a, b in episodes)} of {sum(b for _, b in episodes)}"
    )
    print(f"spent {dict(judge.usage)} in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
