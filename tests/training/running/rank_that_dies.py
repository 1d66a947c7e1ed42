"""Started by `torchrun` in tests: `ise train sft`, in which process 1 is killed before step 4, as a machine would do it."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from transformers import TrainerCallback

from ise_gym.cli import main
from ise_gym.training import sft


class Kill(TrainerCallback):  # type: ignore[misc]
    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 3 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)


make = sft.make_trainer


def made(*args: Any, **kwargs: Any) -> Any:
    trainer = make(*args, **kwargs)
    trainer.add_callback(Kill())
    return trainer


if __name__ == "__main__":
    sft.make_trainer = made
    main(["train", "sft", *sys.argv[1:]])
