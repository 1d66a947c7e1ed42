"""``python -m eval`` in a checkout: the same as ``ise eval``, and ``run --suite claweval`` as ``ise claweval run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ise_gym.cli import main


def translated(arguments: Sequence[str]) -> list[str]:
    """Return what the ``ise`` command calls the same.

    >>> translated(["run", "--suite", "claweval", "--claw-eval", "DIR"])
    ['claweval', 'run', '--checkout', 'DIR']
    >>> translated(["reproduce-ise", "runs/a"])
    ['eval', 'reproduce', 'runs/a']
    """
    words = list(arguments)
    if words[:1] == ["reproduce-ise"]:
        return ["eval", "reproduce", *words[1:]]
    for suite in (["--suite", "claweval"], ["--suite=claweval"]):
        at = next((n for n in range(len(words)) if words[n : n + len(suite)] == suite), None)
        if words[:1] == ["run"] and at is not None:
            rest = words[1:at] + words[at + len(suite) :]
            return ["claweval", "run", *(_checkout(word) for word in rest)]
    return ["eval", *words]


def _checkout(word: str) -> str:
    """Return an option under its present name."""
    name, equals, value = word.partition("=")
    return f"--checkout{equals}{value}" if name == "--claw-eval" else word


if __name__ == "__main__":
    main(translated(sys.argv[1:]))
