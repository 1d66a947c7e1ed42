"""Looks through many utterances for what composed text gets wrong, and draws unedited samples of each register.

python benchmarks/intents/intents.py lint [--count 10000]      faults per utterance; exit code 1 when there are any
python benchmarks/intents/intents.py show [--each 5] [--seed 0]   what docs/intents.md shows
python benchmarks/intents/intents.py show --briefs                briefs of consecutive seeds
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from itertools import count

from ise_gym.intents.source import IntentSource
from ise_gym.personas.lint import voice_problems
from ise_gym.tasks.file import REGISTERS


def lint(wanted: int) -> int:
    """Lint utterances until so many are seen; print what was found."""
    source, seen, faults = IntentSource("train"), 0, Counter[str]()
    begun = time.process_time()
    for seed in count():
        intent = source.intent(seed)
        for text in (*intent.utterances, intent.text, intent.brief):
            for problem in voice_problems(text):
                faults[problem.partition(":")[0]] += 1
                print(f"{intent.id}: {problem}", file=sys.stderr)
        seen += len(intent.utterances)
        if seen >= wanted:
            break
    print(json.dumps({"utterances": seen, "intents": seed + 1, "faults": dict(faults),
                      "cpu_s": round(time.process_time() - begun, 1)}))  # fmt: skip
    return 1 if faults else 0


def show(each: int, seed: int) -> int:
    """Print the first utterances of each register, one an intent, as Markdown quotes; nothing is left out."""
    for register in REGISTERS:
        # other seeds for each register, or the same tasks would be asked for four times
        source = IntentSource(
            "train", registers=[register], seed_offset=seed + 1000 * REGISTERS.index(register)
        )
        print(f"**{register}**\n")
        for number in range(each):
            intent = source.intent(number)
            text = intent.utterances[number % len(intent.utterances)]
            print("\n".join(f"> {line}".rstrip() for line in text.splitlines()) + "\n")
    return 0


def show_briefs(each: int, seed: int) -> int:
    """Print briefs of consecutive seeds as Markdown quotes; nothing is left out."""
    source = IntentSource(seed_offset=seed)
    for number in range(each):
        print("\n".join(f"> {line}".rstrip() for line in source.intent(number).brief.splitlines()) + "\n")
    return 0


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lint").add_argument("--count", type=int, default=10_000)
    shown = commands.add_parser("show")
    shown.add_argument("--each", type=int, default=5)
    shown.add_argument("--seed", type=int, default=0)
    shown.add_argument("--briefs", action="store_true")
    given = parser.parse_args()
    if given.command == "lint":
        sys.exit(lint(given.count))
    sys.exit((show_briefs if given.briefs else show)(given.each, given.seed))


if __name__ == "__main__":
    main()
