"""Started by `torchrun` in tests: `ise train grpo` with made-up episodes; every process notes what it was to play."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ise_gym.cli import main
from ise_gym.training import grpo
from ise_gym.training.transcript import Sequenced

played: list[int] = []


class Player:
    def play(self, scenarios: Any, group: int) -> list[Sequenced]:
        played.extend(scenario.seed for scenario in scenarios)
        return [
            Sequenced([5, 6, 7], [8, 9, 10 + member], [1, 1, 1], reward=float(member))
            for _ in scenarios
            for member in range(group)
        ]

    def close(self) -> None:
        Path(os.environ["PLAYED"], os.environ["RANK"]).write_text(json.dumps(played))


if __name__ == "__main__":
    grpo.make_player = lambda *_: Player()  # type: ignore[assignment]
    main(["train", "grpo", *sys.argv[1:]])
