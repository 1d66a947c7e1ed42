#!/usr/bin/env bash
# The whole way, once, on 2 CPU cores: intents → episodes → statistics → SFT → pass@1 before and after → report.
# Every line is a command that you can run by itself; a second run resumes where the first one stopped.
#
#   make demo                  does the set-up, then runs this
#   ./demo.sh [FOLDER]         in an environment with ise_gym[train,llm] installed (default folder: runs/demo)
#
# EPISODES   composed episodes recorded for the statistics (default 40)
# LESSONS    short episodes recorded for training the small model (default 720)
# WORKERS    parallel workers (default: number of cores)
# SEED       of intents and training (default 0)
set -euo pipefail
runs=${1:-runs/demo}
workers=${WORKERS:-$(nproc)}
seed=${SEED:-0}
base=training/tiny_base/model
mkdir -p "$runs"
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
export PYTHONWARNINGS=ignore::FutureWarning,ignore::UserWarning:peft  # of the libraries; nothing of ours

step() { printf '\n\033[1;34m── %s\033[0m\n' "$*"; }

step "1/6  Is this machine ready?"
ise doctor

step "2/6  Intents: 4D draws from the catalog become requests in a persona's voice"
ise intents generate --count "${EPISODES:-40}" --seed "$seed" --split train --out "$runs/intents"

step "3/6  Episodes: a scripted user delegates, a scripted expert works in a live sandbox"
ise rollout --intents "$runs/intents/intents.jsonl" --agent expert --user scripted --workers "$workers" --out "$runs/episodes"
ise stats "$runs/episodes"

step "4/6  Lessons for a very small model: single-task episodes, recorded the same way"
ise intents generate --count "${LESSONS:-720}" --seed "$((seed * 1000 + 1))" --split train --tier easy --tasks-per-intent 1 \
  --domains file-io,code-runtime,source-chain,agent-memory,automation-flow,intelligence-core --out "$runs/lessons-intents"
ise rollout --intents "$runs/lessons-intents/intents.jsonl" --agent expert --user scripted --workers "$workers" --out "$runs/lessons"

step "5/6  SFT: LoRA on what the env recorded"
ise train sft --config tiny_cpu data.store="$runs/lessons" output="$runs/model" train.seed="$seed" resume=true

step "6/6  pass@1 on held-out instances, through the same env, before and after"
export OMP_NUM_THREADS=1  # a model of a million parameters is too small to share among cores
ise eval run --suite demo-easy --agent "transformers:$base" --trained-on "$runs/lessons" --out "$runs/eval-before"
ise eval run --suite demo-easy --agent "transformers:$runs/model" --trained-on "$runs/lessons" --out "$runs/eval-after"
ise eval compare "$runs/eval-before" "$runs/eval-after" --for-report "$runs/comparison.json"

ise report "$runs/eval-before/trajectories" "$runs/eval-after/trajectories" "$runs/episodes" \
  --title "ise_gym demo" --training "$runs/model" --comparison "$runs/comparison.json" \
  --out "$runs/report.html"
printf '\nRead every turn: %s\n' "$runs/report.html"
