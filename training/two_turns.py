"""Lessons and a held-out suite in which the user asks for two things in turn: for the single-turn ablation.

    python -m training.two_turns lessons FOLDER [--count 480] [--seed 1]      intents, for ``ise rollout --intents``
    python -m training.two_turns suite FILE [--count 48]                      a suite, for ``eval run --suite``

What follows the first user turn can only matter where there is something to follow. The demo's lessons have one request
each; here every intent has two short tasks, so that an episode is two user turns or more and still fits a tiny model.
The suite is frozen when it is made, from held-out instances of the same tasks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError

TASKS = (
    "agent-memory/remember-fact",
    "automation-flow/set-variable",
    "code-runtime/tiny-script",
    "file-io/append-line",
    "file-io/change-setting",
    "file-io/copy-backup",
    "file-io/delete-temp",
    "file-io/make-folders",
    "file-io/rename-file",
    "file-io/write-note",
)
"""Tasks of one request that the expert does in one or two short calls."""


def options() -> dict[str, Any]:
    """Return the options of `IntentSource`, but for ``split``: any two of the tasks."""
    return {"tasks": list(TASKS), "tasks_per_intent": [2, 2]}


def lessons(folder: str | Path, count: int, seed: int) -> Path:
    """Draw intents to record lessons from; returns the file."""
    from ise_gym.intents.generate import generate

    return generate(count, seed, folder, split="train", tasks=TASKS, tasks_per_intent=2)


def suite(file: str | Path, count: int) -> int:
    """Freeze ``count`` held-out scenarios; returns how many there are."""
    # Another app on the library, used here alone: lessons and suite must be drawn alike.
    from eval.manifest import Wanted, freeze, save_suite

    wanted = Wanted({"tier": "easy", "domain": "two tasks"}, options(), count)
    about = "Two short tasks asked for one after the other."
    manifest = freeze(Path(file).stem, [wanted], description=about)
    save_suite(manifest, Path(file))
    return len(manifest.numbered())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; a `UserError` is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m training.two_turns", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    drawn = parts.add_parser("lessons")
    drawn.add_argument("out")
    drawn.add_argument("--count", type=int, default=480)
    drawn.add_argument("--seed", type=int, default=1)
    frozen = parts.add_parser("suite")
    frozen.add_argument("out")
    frozen.add_argument("--count", type=int, default=48)
    given = parser.parse_args(arguments)
    try:
        if given.part == "lessons":
            print(lessons(given.out, given.count, given.seed))
        else:
            print(f"{given.out}: {suite(given.out, given.count)} tasks")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
