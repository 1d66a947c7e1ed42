"""What a run shows while it trains: one line a logging step, on a terminal and in a log file alike."""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback


class LinePrinter(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Prints step, loss, token accuracy, speed and the time that is left."""

    def __init__(self) -> None:
        self._started = 0.0
        self._first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock; a resumed run starts at its checkpoint's step."""
        self._started = time.monotonic()
        self._first_step = state.global_step

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Print one line for every logged step of the main process."""
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        seconds = time.monotonic() - self._started
        done = max(1, state.global_step - self._first_step)
        left = seconds / done * (state.max_steps - state.global_step)
        accuracy = logs.get("mean_token_accuracy")
        print(
            f"step {state.global_step}/{state.max_steps}  loss {float(logs['loss']):.4f}"
            + (f"  token accuracy {float(accuracy):.3f}" if accuracy is not None else "")
            + f"  {seconds:.0f} s, about {left:.0f} s left",
            flush=True,
        )


class RewardPrinter(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Prints step, mean reward and its deviation, groups that taught nothing, and seconds, one line a step."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Print one line for every logged step of the main process."""
        if not logs or "reward" not in logs or not state.is_world_process_zero:
            return
        print(
            f"step {state.global_step}/{state.max_steps}  reward {float(logs['reward']):.3f} "
            f"± {float(logs['reward_std']):.3f}  tokens {float(logs['completions/mean_length']):.0f}"
            f"  groups with equal rewards {float(logs['frac_reward_zero_std']):.0%}"
            f"  {time.monotonic() - self._started:.0f} s",
            flush=True,
        )
