"""One GRPO step, TRL's rollout_func over our OpenEnv client: python grpo_step.py URL MODEL_FOLDER OUT TASK…"""

import sys

import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl import GRPOConfig, GRPOTrainer
from ise_gym.adapters.openenv_env import ISEAction, ISEClient
from ise_gym.training.transcript import Sequenced, Transcript

url, base, out, *tasks = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(base)  # with this project's chat template


def play(task: int, model: torch.nn.Module) -> Sequenced:
    with ISEClient(base_url=url).sync() as env:
        now = env.reset(seed=task)
        talk = Transcript(tokenizer, now.observation.messages, now.observation.tools)
        while True:
            ids = torch.tensor([talk.sequence.ids])
            said = model.generate(ids, do_sample=True, max_new_tokens=64, eos_token_id=talk.end_id)
            message = talk.sampled(said[0, ids.shape[1] :].tolist())
            now = env.step(ISEAction(**message, finish_reason=talk.finish))
            talk.sequence.reward += now.reward
            if now.done or not talk.heard(now.observation.messages, longest=3000):
                return talk.sequence


def episodes(prompts: list[str], trainer: GRPOTrainer) -> dict:
    played = [vars(play(int(prompt), trainer.model)) for prompt in prompts]
    names = {"prompt_ids": "prompt", "completion_ids": "completion", "env_mask": "mask", "verified": "reward"}
    return {theirs: [one[ours] for one in played] for theirs, ours in names.items()} | {"logprobs": None}


config = {"max_steps": 1, "learning_rate": 1e-3, "logging_steps": 1, "save_steps": 1, "use_cpu": True}
config["gradient_checkpointing"] = False  # with it a model generates without its cache, and loses its place
told = {"args": GRPOConfig(out, **config), "processing_class": tokenizer, "rollout_func": episodes}
told["train_dataset"] = Dataset.from_dict({"prompt": tasks})
GRPOTrainer(base, lambda completions, verified, **_: verified, **told).train()
