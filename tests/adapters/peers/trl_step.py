"""Serves the env and runs ``examples/trl/grpo_step.py`` against it; prints the logged reward and what changed.

The tiny base solves nothing by itself, so it is shown the expert's episode until it solves the task now and then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch
from openenv_play import serving
from scripted import SOURCE
from transformers import AutoModelForCausalLM, AutoTokenizer

from ise_gym.adapters.seat import Tasks
from ise_gym.agents import make_agent
from ise_gym.env import ISEEnv
from ise_gym.rollout.play import play_episode
from ise_gym.training.template import encode
from ise_gym.trajectory.store import read_trajectories

ROOT = Path(__file__).parents[3]
BASE = ROOT / "training" / "tiny_base" / "model"
ENOUGH = 0.15
"""Nats a token at which about half of the episodes pass."""


def taught(number: int, folder: Path) -> Path:
    """Return a model that was shown one episode."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype="float32")
    tasks, env = Tasks(SOURCE), ISEEnv()
    scenario = tasks.scenario(number)
    shown = play_episode(env, make_agent("expert"), scenario, tasks.seed(scenario))
    env.close()
    read = encode(tokenizer, shown.messages, shown.tools)
    ids = torch.tensor([read.input_ids])
    labels = torch.full_like(ids, -100)
    for start, end in read.spans:
        labels[0, start:end] = ids[0, start:end]
    optimizer, loss = torch.optim.AdamW(model.parameters(), lr=3e-4), torch.tensor(1.0)
    while loss > ENOUGH:
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


where, port, task = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
start = taught(int(task), where / "start")
with serving(port, where / "store") as url:
    command = [
        sys.executable,
        str(ROOT / "examples" / "trl" / "grpo_step.py"),
        url,
        str(start),
        str(where / "out"),
        task,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
state = json.loads((where / "out" / "checkpoint-1" / "trainer_state.json").read_text())
(logged,) = [entry for entry in state["log_history"] if "reward" in entry]
before, after = (
    AutoModelForCausalLM.from_pretrained(folder, dtype="float32").state_dict()
    for folder in (start, where / "out" / "checkpoint-1")
)
changed = sum(not torch.equal(value, after[name]) for name, value in before.items())
records = list(read_trajectories(where / "store"))
print(
    json.dumps(
        {
            "reward": logged["reward"],
            "spread": logged["reward_std"],
            "clipped": logged["completions/clipped_ratio"],
            "changed": changed,
            "finite": all(bool(torch.isfinite(value).all()) for value in after.values()),
            "scores": [record.score or 0.0 for record in records],
            "ended": sorted(
                {step.completion.ended for one in records for step in one.steps if step.completion}
            ),
        }
    )
)
