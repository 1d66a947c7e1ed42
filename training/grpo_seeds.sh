#!/usr/bin/env bash
# Reinforcement learning of the tiny model on three seeds, with a plot of the mean reward.
#
#   training/grpo_seeds.sh [FOLDER] [key=value …]     in an environment with ise_gym[train] and matplotlib
#                                                     (default folder: runs/grpo)
#
# MODEL   a fine-tuned model to start from, e.g. the demo's runs/demo/model; without it one is trained first
# SEEDS   of the runs (default "0 1 2")
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/grpo}
mkdir -p "$runs"
recipe=tiny_cpu
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false TRL_EXPERIMENTAL_SILENCE=1
export HF_HUB_DISABLE_PROGRESS_BARS=1 OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore::FutureWarning,ignore::UserWarning

# What was made from another model or with other settings is made anew.
made="${MODEL:-} ${*:2}"
if [ -e "$runs/made-from" ] && [ "$(cat "$runs/made-from")" != "$made" ]; then
  rm -rf "$runs/start" "$runs/seeds.json"
fi
echo "$made" > "$runs/made-from"

# 1. A start that solves some tasks now and then: what the demo trains, merged.
if [ ! -e "$runs/start/config.json" ]; then
  model=${MODEL:-$runs/sft}
  if [ -z "${MODEL:-}" ]; then
    ise intents generate --count "${LESSONS:-720}" --seed 1 --split train --tier easy --tasks-per-intent 1 \
      --domains file-io,code-runtime,source-chain,agent-memory,automation-flow,intelligence-core --out "$runs/lessons-intents"
    ise rollout --intents "$runs/lessons-intents/intents.jsonl" --agent expert --user scripted --out "$runs/lessons"
    OMP_NUM_THREADS=$(nproc) ise train sft --config tiny_cpu data.store="$runs/lessons" \
      output="$model" overwrite=true
  fi
  rm -rf "$runs/start"
  ise train merge "$model" "$runs/start"
fi

# 2. The scenarios that this start solves sometimes, but not always.
[ -e "$runs/seeds.json" ] || ise train success --config "$recipe" --count 24 --between 0.1 0.75 --most 4 \
  --out "$runs/seeds.json" model="$runs/start" "${@:2}"

# 3. The same scenarios on every seed: what differs is the sampling and the adapter's first weights.
trained=()
for seed in ${SEEDS:-0 1 2}; do
  trained+=("$runs/seed-$seed")
  ise train grpo --config "$recipe" model="$runs/start" output="$runs/seed-$seed" train.seed="$seed" \
    "curriculum.0.seeds=$(cat "$runs/seeds.json")" overwrite=true "${@:2}"
done
ise train plot-rewards "${trained[@]}" --out "$runs/rewards.png"
