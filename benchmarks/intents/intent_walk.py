"""Follows one intent through the code, seed → intent → scenario, and counts how often a reader has to go back.

    python benchmarks/intents/intent_walk.py            the functions of seed 7 in order, with each return marked
    python benchmarks/intents/intent_walk.py --seeds 200   fewest, median and most returns over many seeds

The walk is every function or method with a name, in the order in which it is first called, while
``IntentSource("train").scenario(seed)`` runs a second time: what is loaded, compiled and kept is not part of it.
Only calls count, of functions in the rooms that make intents: personas, tasks, intents and scenario. What compiled
expressions call while they run (closures and lambdas, and all below them) is the task file at work and is left out.
Properties count, comprehensions and generated ``__init__`` do not.

A *return* is a step of the walk into a module that the walk has been in and has left: the function is in another module
than the one before it, and not the first of its module.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from types import FrameType
from typing import Any

from ise_gym.intents.source import IntentSource

ROOMS = ("intents", "personas", "scenario", "tasks")
_INLINE = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")

Step = tuple[str, str]
"""Module below ``ise_gym``, and qualified name of the function."""


def walk(source: IntentSource, seed: int) -> list[Step]:
    """Return the functions that make a seed's scenario, in the order in which each is first called."""
    source.scenario(seed)
    steps: dict[Step, None] = {}
    inside = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal inside
        module = frame.f_globals.get("__name__", "")
        if event not in ("call", "return") or not module.startswith("ise_gym."):
            return
        name = frame.f_code.co_qualname  # Python 3.11
        if "<locals>" in name and not name.endswith(_INLINE):
            inside += 1 if event == "call" else -1
        elif event == "call" and not inside and "<" not in name:
            room = module.removeprefix("ise_gym.")
            if room.split(".")[0] in ROOMS:
                steps.setdefault((room, name))

    sys.setprofile(note)
    try:
        source.scenario(seed)
    finally:
        sys.setprofile(None)
    return list(steps)


def returns(steps: list[Step]) -> list[int]:
    """Return the places in a walk at which it comes back into a module.

    >>> returns([("a", "f"), ("b", "g"), ("b", "h"), ("a", "i"), ("a", "j")])
    [3]
    """
    found, seen, current = [], set[str](), ""
    for place, (module, _) in enumerate(steps):
        if module != current and module in seen:
            found.append(place)
        seen.add(module)
        current = module
    return found


def main() -> None:
    """Print one walk, or figures over many."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=7, help="whose walk is printed")
    parser.add_argument("--seeds", type=int, default=0, help="print figures over the first N seeds instead")
    given = parser.parse_args()
    source = IntentSource("train")
    if given.seeds:
        walks = [walk(source, seed) for seed in range(given.seeds)]
        for what, counts in (
            ("functions", [len(steps) for steps in walks]),
            ("returns", [len(returns(steps)) for steps in walks]),
        ):
            print(f"{what}: fewest {min(counts)}, median {statistics.median(counts):g}, most {max(counts)}")
        return
    steps = walk(source, given.seed)
    back = returns(steps)
    for place, (module, name) in enumerate(steps):
        print(f"{place + 1:3}  {module:24} {name}{'   <- return' if place in back else ''}")
    print(f"{len(steps)} functions in {len({module for module, _ in steps})} modules, {len(back)} returns")


if __name__ == "__main__":
    main()
