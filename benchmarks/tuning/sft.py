"""How fast fine-tuning is, and against TRL as it comes.

    python benchmarks/tuning/sft.py [--store DIR] [--steps 12] [--repeats 3] [--json FILE]
    python benchmarks/tuning/sft.py --model-shape qwen3-8b --tokens 8192,32768          needs a CUDA GPU

Without a shape: the tiny recipe (`training/recipes/tiny_cpu.yaml`) against `SFTTrainer` with TRL's defaults, on the
same episodes, from the same base, with the recipe's adapter, batch size, learning rate and number of steps; all else
is each one's own (TRL: every token in the loss, rows in random order, bfloat16 and gradient checkpointing).
``--arms ours,plain,plain-float32`` adds TRL without the last two, which on a CPU cost more than they save.

With a shape: random weights of that size and rows of random tokens, LoRA as in `training/recipes/qwen3_8b_lora.yaml`,
against TRL's defaults with the same adapter, row length and weights.

Every measurement is a process of its own; arms take turns, in one order and then in the other; figures are medians. The
first two steps are not counted. *Tokens* are those of rows, without padding; *learned* ones are in the loss;
*stalls* is the share of the time in which the trainer waits for its next batch; *preparing* is what comes before
the first step. Memory is the peak of the process on a CPU, of the allocator on a GPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "tuning")]

from sft_shapes import FORMULA, SHAPES, model_flops, peak_flops, random_model  # noqa: E402

from ise_gym.errors import UserError  # noqa: E402

WARM_UP = 2
"""Steps at the start that are not counted: memory and kernels are set up in them."""

RECIPES = ROOT / "training" / "recipes"
ARMS = ("ours", "plain", "plain-float32")


@dataclass(frozen=True)
class Measured:
    """One run. Times in seconds over the counted steps; ``slots`` are tokens with padding; ``peak`` in bytes."""

    arm: str
    steps: int
    seconds: float
    waiting: float
    preparing: float
    tokens: int
    slots: int
    learned: int
    peak: int
    device: str

    @property
    def rate(self) -> float:
        """Tokens a second, padding not counted."""
        return self.tokens / self.seconds

    @property
    def padding(self) -> float:
        """Share of the computed tokens that is padding."""
        return 1 - self.tokens / self.slots


def measure(arm: str, trainer: Any, preparing: float) -> Measured:
    """Train to the end, counting what each batch holds and how long the trainer waited for it."""
    import torch
    from transformers import TrainerCallback

    cuda = torch.cuda.is_available()
    fetch = trainer.get_batch_samples
    steps: list[dict[str, float]] = []

    def counted(*arguments: Any) -> Any:
        began = time.perf_counter()
        batches, number = fetch(*arguments)
        step = {"began": began, "waiting": time.perf_counter() - began, "tokens": 0, "slots": 0, "learned": 0}
        for batch in batches:
            ids, mask = batch["input_ids"], batch.get("attention_mask")
            step["slots"] += ids.numel()
            step["tokens"] += int(mask.sum()) if mask is not None else ids.numel()
            step["learned"] += int((batch["labels"] != -100).sum())
        steps.append(step)
        return batches, number

    class Clock(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if cuda:
                torch.cuda.synchronize()
            steps[-1]["ended"] = time.perf_counter()

    trainer.get_batch_samples = counted
    trainer.add_callback(Clock())
    trainer.train()
    kept = [step for step in steps[WARM_UP:] if "ended" in step]
    if not kept:
        raise UserError(f"{len(steps)} steps are too few: the first {WARM_UP} are not counted")
    total = {key: sum(step[key] for step in kept) for key in ("waiting", "tokens", "slots", "learned")}
    return Measured(
        arm=arm,
        steps=len(kept),
        seconds=sum(step["ended"] - step["began"] for step in kept),
        waiting=total["waiting"],
        preparing=preparing,
        tokens=int(total["tokens"]),
        slots=int(total["slots"]),
        learned=int(total["learned"]),
        peak=torch.cuda.max_memory_allocated() if cuda else _peak_of_process(),
        device=torch.cuda.get_device_name() if cuda else "cpu",
    )


def _peak_of_process() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def tiny(arm: str, store: str, steps: int, output: str, changes: Sequence[str] = ()) -> Measured:
    """Measure one arm on the tiny recipe; ``changes`` are further overrides of it."""
    from ise_gym.training.config import load_config
    from ise_gym.training.data import build_dataset
    from ise_gym.training.models import load_tokenizer, locate_base
    from ise_gym.training.sft import make_trainer
    from ise_gym.training.template import template_for

    config = load_config(
        RECIPES / "tiny_cpu.yaml",
        [f"data.store={store}", f"output={output}", f"train.max_steps={steps}", *changes],
    )
    began = time.perf_counter()
    base = locate_base(config.model.path)
    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = template_for(tokenizer, config.thinking, config.tool_prompt)
    if arm == "ours":
        data = build_dataset(config.data, tokenizer, config.thinking)
        trainer = make_trainer(config, tokenizer, data, base, quiet=True)
    else:
        from datasets import Dataset

        table = Dataset.from_list(_conversations(store))
        trainer = plain_trainer(config, tokenizer, table, base, float32=arm == "plain-float32")
    return measure(arm, trainer, time.perf_counter() - began)


def plain_trainer(
    config: Any, tokenizer: Any, table: Any, base: Any, *, float32: bool = False, longest: int | None = None
) -> Any:
    """Build TRL's trainer as a user of TRL would: the recipe's adapter and schedule, all else as it comes."""
    import torch
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    # TRL's default of bfloat16 is refused on a CPU unless a CPU was asked for.
    given: dict[str, Any] = {"use_cpu": not torch.cuda.is_available()}
    given |= {"max_length": longest} if longest else {}
    if float32:
        given |= {"bf16": False, "gradient_checkpointing": False}
    trainer = SFTTrainer(
        model=base,
        args=SFTConfig(
            output_dir=f"{config.output}/plain",
            max_steps=config.train.max_steps,
            per_device_train_batch_size=config.train.batch_size,
            learning_rate=config.train.learning_rate,
            seed=config.train.seed,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            **given,
        ),
        train_dataset=table,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=config.lora.rank,
            lora_alpha=config.lora.alpha,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _conversations(store: str) -> list[dict[str, Any]]:
    """Return the store's episodes as TRL wants them: messages without our own keys, tools as JSON."""
    from ise_gym.trajectory.store import read_trajectories

    ours = {"success", "exit_code", "error", "duration_s"}
    return [
        {
            "messages": [{k: v for k, v in m.items() if k not in ours} for m in episode.messages],
            "tools": json.dumps(episode.tools),
        }
        for episode in read_trajectories(store)
    ]


def shaped(arm: str, name: str, tokens: int, steps: int, output: str) -> Measured:
    """Measure one arm on random weights of a shape, one row of ``tokens`` a step."""
    import torch
    from datasets import Dataset

    from ise_gym.training.config import load_config
    from ise_gym.training.data import DataReport, TrainingData
    from ise_gym.training.models import TINY_BASE, load_tokenizer
    from ise_gym.training.rows import Row
    from ise_gym.training.sft import make_trainer
    from ise_gym.training.template import project_template

    shape = SHAPES[name]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    changes = [f"output={output}", f"train.max_steps={steps}", "train.gradient_accumulation=1"]
    if device == "cpu":
        changes += ["train.bf16=false", "model.dtype=float32"]
    changes += [f"data.max_length={tokens}", f"train.packing_length={tokens}"]
    config = load_config(RECIPES / "qwen3_8b_lora.yaml", changes)
    began = time.perf_counter()
    torch.manual_seed(0)
    rows = torch.randint(0, shape.vocabulary, (steps, tokens)).tolist()
    tokenizer = load_tokenizer(str(TINY_BASE))  # the rows are ids already
    tokenizer.chat_template = project_template()
    model = random_model(shape, tokens, device)
    if arm == "ours":
        data = TrainingData([Row(str(n), ids, ids) for n, ids in enumerate(rows)], DataReport(("random",)))
        trainer = make_trainer(config, tokenizer, data, name, quiet=True, model=model)
    else:
        trainer = plain_trainer(
            config,
            tokenizer,
            Dataset.from_dict({"input_ids": rows}),
            model,
            float32=device == "cpu",
            longest=tokens,
        )
    return measure(arm, trainer, time.perf_counter() - began)


def made_store(folder: Path, episodes: int) -> str:
    """Write a store of made-up conversations (the tiny base's corpus), for a measurement without recorded ones."""
    from ise_gym.training.models import TINY_BASE, load_tokenizer
    from ise_gym.trajectory.record import Trajectory
    from ise_gym.trajectory.store import TrajectoryStore
    from training.tiny_base.build import fixed_prompt
    from training.tiny_base.corpus import conversations
    from training.tiny_base.tokenizer import copyable_pieces

    prompt, tools = fixed_prompt()
    drawn = conversations(0, copyable_pieces(load_tokenizer(str(TINY_BASE))), prompt, tools)
    told = (conversation for conversation in drawn if conversation.messages)
    with TrajectoryStore(folder) as store:
        for number, conversation in enumerate(itertools.islice(told, episodes)):
            name = f"made-{number}"
            store.append(
                Trajectory(
                    episode_id=name,
                    scenario_id=name,
                    seed=0,
                    intent="",
                    split="train",
                    outcome="passed",
                    score=1.0,
                    messages=[dict(message) for message in conversation.messages],
                    tools=[dict(tool) for tool in conversation.tools],
                )
            )
    return str(folder)


def in_turns(arms: Sequence[str], repeats: int, options: Sequence[str]) -> dict[str, list[Measured]]:
    """Run every arm ``repeats`` times, each in a process of its own; the order turns round each time."""
    found: dict[str, list[Measured]] = {arm: [] for arm in arms}
    for turn in range(repeats):
        for arm in arms if turn % 2 == 0 else list(reversed(arms)):
            command = [sys.executable, __file__, "--arm", arm, *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                print(f"{arm}: failed: {last}", flush=True)
                continue
            found[arm].append(Measured(**json.loads(done.stdout.strip().splitlines()[-1])))
            print(f"{arm}: {found[arm][-1].rate:,.0f} tokens/s", flush=True)
    return found


def table(found: dict[str, list[Measured]]) -> list[str]:
    """Return the medians of each arm, and the ratio of the first two."""
    lines = [f"{'':14} tokens/s  learned/s  padding  stalls  preparing  peak memory  runs"]
    for arm, runs in found.items():
        if not runs:
            lines.append(f"{arm:14} no run came to its end")
            continue
        middle = {
            "rate": statistics.median(run.rate for run in runs),
            "learned": statistics.median(run.learned / run.seconds for run in runs),
            "stalls": statistics.median(run.waiting / run.seconds for run in runs),
            "preparing": statistics.median(run.preparing for run in runs),
            "peak": statistics.median(run.peak for run in runs) / 2**20,
        }
        lines.append(
            f"{arm:14} {middle['rate']:8,.0f}  {middle['learned']:9,.0f}  {runs[0].padding:7.1%}"
            f"  {middle['stalls']:6.2%}  {middle['preparing']:7.1f} s  {middle['peak']:7,.0f} MiB  {len(runs)}"
        )
    first, *others = [(arm, runs) for arm, runs in found.items() if runs] or [("", [])]
    for arm, runs in others:
        ratio = statistics.median(r.rate for r in first[1]) / statistics.median(r.rate for r in runs)
        memory = statistics.median(r.peak for r in first[1]) / statistics.median(r.peak for r in runs)
        lines.append(f"{first[0]} / {arm}: {ratio:.2f} × the tokens a second, {memory:.2f} × the memory")
    return lines


def usage(found: dict[str, list[Measured]], name: str, tokens: int, peak: float | None) -> list[str]:
    """Return the model FLOPs utilisation of each arm."""
    from ise_gym.training.config import load_config

    lora = load_config(RECIPES / "qwen3_8b_lora.yaml").lora
    each = model_flops(SHAPES[name], tokens, lora.rank if lora else 0)
    lines = []
    for arm, runs in found.items():
        rate = peak or (peak_flops(runs[0].device) if runs else None)
        if runs and rate:
            used = statistics.median(run.rate for run in runs) * each / rate
            lines.append(
                f"{arm}: MFU {used:.1%} of {rate / 1e12:.0f} TFLOP/s ({each / 1e9:.1f} GFLOP a token)"
            )
        elif runs:
            lines.append(
                f"{arm}: the peak rate of {runs[0].device} is not known here: give it with --peak-tflops"
            )
    return lines


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--store", help="trajectory store to train on (default: 256 made-up conversations)")
    made.add_argument(
        "--steps", type=int, default=12, help=f"of each run; the first {WARM_UP} are not counted"
    )
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--arms", default="ours,plain", help=f"of {', '.join(ARMS)}")
    made.add_argument("--model-shape", choices=sorted(SHAPES), help="random weights of this shape")
    made.add_argument("--tokens", default="8192,32768", help="row lengths, with --model-shape")
    made.add_argument("--peak-tflops", type=float, help="dense bfloat16 rate of the GPU, for MFU")
    made.add_argument("--json", help="file for all measurements")
    made.add_argument("--arm", help=argparse.SUPPRESS)  # one measurement, in this process
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    given = parser().parse_args(arguments)
    try:
        _check(given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="sft-benchmark-") as scratch:
        if given.arm:
            steps, output = given.steps, f"{scratch}/out"
            if given.model_shape:
                one = shaped(given.arm, given.model_shape, int(given.tokens), steps, output)
            else:
                one = tiny(given.arm, given.store, steps, output)
            print(json.dumps(asdict(one)))
            return 0
        return _compare(given, Path(scratch))


def _check(given: argparse.Namespace) -> None:
    import torch

    if given.model_shape and given.model_shape != "toy" and not torch.cuda.is_available():
        raise UserError(
            f"--model-shape {given.model_shape} needs a CUDA GPU, and torch sees none here. Without the option the "
            "tiny recipe is measured on the CPU; --model-shape toy tries the measurement itself"
        )
    if unknown := [arm for arm in given.arms.split(",") if arm not in ARMS]:
        raise UserError(f"unknown arm {unknown[0]!r}; there are {', '.join(ARMS)}")
    if given.steps <= WARM_UP:
        raise UserError(f"--steps must be above {WARM_UP}: the first {WARM_UP} are not counted")


def _compare(given: argparse.Namespace, scratch: Path) -> int:
    arms = given.arms.split(",")
    every: dict[str, Any] = {}
    steps = ["--steps", str(given.steps)]
    if given.model_shape:
        for tokens in map(int, given.tokens.split(",")):
            print(f"{given.model_shape}, rows of {tokens} tokens")
            options = [*steps, "--model-shape", given.model_shape, "--tokens", str(tokens)]
            found = in_turns(arms, given.repeats, options)
            peak = given.peak_tflops * 1e12 if given.peak_tflops else None
            print("\n".join([*table(found), *usage(found, given.model_shape, tokens, peak)]))
            every[str(tokens)] = {arm: [asdict(run) for run in runs] for arm, runs in found.items()}
        print(FORMULA)
    else:
        store = given.store or made_store(scratch / "made", 256)
        found = in_turns(arms, given.repeats, [*steps, "--store", store])
        print("\n".join(table(found)))
        every["tiny"] = {arm: [asdict(run) for run in runs] for arm, runs in found.items()}
    if given.json:
        Path(given.json).write_text(json.dumps(every, indent=2) + "\n", encoding="utf-8")
    return 0 if all(runs for arms in every.values() for runs in arms.values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")
