#!/usr/bin/env bash
# Reinforcement learning of the tiny model on three seeds, with a plot of the mean reward.
#
#   training/grpo_seeds.sh [FOLDER]     in an environment with ise_gym[train] and matplotlib (default: runs/grpo)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/grpo}
mkdir -p "$runs"
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false TRL_EXPERIMENTAL_SILENCE=1
export PYTHONWARNINGS=ignore::FutureWarning,ignore::UserWarning

ise intents generate --count "${LESSONS:-240}" --seed 77 --split train --tier easy --tasks-per-intent 1 \
  --domains code-runtime,agent-memory,automation-flow,intelligence-core --out "$runs/lessons-intents"
ise rollout --intents "$runs/lessons-intents/intents.jsonl" --agent expert --user scripted --out "$runs/lessons"
# A start that solves some tasks: half of what the demo trains, merged.
[ -e "$runs/start/config.json" ] || python -m training.sft --config training/recipes/tiny_cpu.yaml \
  data.store="$runs/lessons" output="$runs/sft" train.max_steps="${START_STEPS:-45}" overwrite=true
[ -e "$runs/start/config.json" ] || python -m training.merge "$runs/sft" "$runs/start"
for seed in ${SEEDS:-0 1 2}; do
  python -m training.grpo --config training/recipes/grpo/tiny_cpu.yaml model="$runs/start" output="$runs/seed-$seed" \
    train.seed="$seed" overwrite=true "${@:2}"
done
python -m training.plot_rewards "$runs"/seed-* --out "$runs/rewards.png"
