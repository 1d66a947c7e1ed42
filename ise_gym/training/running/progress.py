"""What a run shows while it trains: one line a logging step, on a terminal and in a log file alike."""

from __future__ import annotations

import time

from transformers import TrainerCallback

from ise_gym.training.running.moments import Arguments, State


class LinePrinter(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Prints step, loss, gradient norm, learning rate, token accuracy, tokens a second and the time that is left."""

    def __init__(self) -> None:
        self._started = 0.0
        self._first_step = 0
        self._seen = (0.0, 0.0)

    def on_train_begin(self, args: Arguments, state: State, control: object, **kwargs: object) -> None:
        """Start the clock; a resumed run starts at its checkpoint's step."""
        self._started = time.monotonic()
        self._first_step = state.global_step
        # A resumed run counts its tokens from where it left off.
        before = next((e["num_tokens"] for e in reversed(state.log_history) if "num_tokens" in e), 0.0)
        self._seen = (self._started, float(before))

    def on_log(
        self,
        args: Arguments,
        state: State,
        control: object,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Print one line for every logged step of the main process."""
        if not logs or not state.is_world_process_zero:
            return
        if "eval_loss" in logs:
            print(
                f"step {state.global_step}/{state.max_steps}  loss on held-out episodes {logs['eval_loss']:.4f}",
                flush=True,
            )
        if "loss" not in logs:
            return
        now = time.monotonic()
        seconds = now - self._started
        done = max(1, state.global_step - self._first_step)
        left = seconds / done * (state.max_steps - state.global_step)
        before, tokens = self._seen
        self._seen = (now, float(logs.get("num_tokens", tokens)))
        speed = max(0.0, self._seen[1] - tokens) / max(1e-6, now - before)
        print(
            f"step {state.global_step}/{state.max_steps}  loss {float(logs['loss']):.4f}"
            + _shown(logs, "grad_norm", "gradient norm", ".3g")
            + _shown(logs, "learning_rate", "learning rate", ".2e")
            + _shown(logs, "mean_token_accuracy", "token accuracy", ".3f")
            + f"  {speed:,.0f} tokens/s"
            + f"  {seconds:.0f} s, about {left:.0f} s left",
            flush=True,
        )


def _shown(logs: dict[str, float], key: str, words: str, form: str) -> str:
    return f"  {words} {float(logs[key]):{form}}" if logs.get(key) is not None else ""


class RewardPrinter(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Prints step, mean reward and its deviation, groups that taught nothing, and seconds, one line a step."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def on_log(
        self,
        args: Arguments,
        state: State,
        control: object,
        logs: dict[str, float] | None = None,
        **kwargs: object,
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
