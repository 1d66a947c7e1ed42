#!/usr/bin/env bash
# What the demo's model learns from: three seeds, the paper's single-user-turn ablation, and less data.
# Every run is judged on the same held-out suite and compared pairwise; whatever it shows is printed.
#
#   training/ablations.sh [FOLDER]      in an environment with ise_gym[train] installed (default: runs/ablations);
#                                       about half an hour on 2 CPU cores; a second run resumes
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/ablations}
base=training/tiny_base/model
mkdir -p "$runs"
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
export PYTHONWARNINGS=ignore::FutureWarning,ignore::UserWarning:peft

lessons() { # SEED: the demo's lessons, drawn with another seed
  ise intents generate --count "${LESSONS:-720}" --seed "$(($1 * 1000 + 1))" --split train --tier easy --tasks-per-intent 1 \
    --domains file-io,code-runtime,source-chain,agent-memory,automation-flow,intelligence-core --out "$runs/lessons-intents-$1"
  ise rollout --intents "$runs/lessons-intents-$1/intents.jsonl" --agent expert --user scripted --out "$runs/lessons-$1"
}
train() { # NAME SEED [key=value …]
  python -m training.sft --config training/recipes/tiny_cpu.yaml data.store="$runs/lessons-$2" output="$runs/model-$1" \
    train.seed="$2" resume=true "${@:3}"
}
judge() { # NAME SEED
  OMP_NUM_THREADS=1 python -m eval run --suite demo-easy --agent "transformers:$runs/model-$1" \
    --trained-on "$runs/lessons-$2" --out "$runs/eval-$1"
}

OMP_NUM_THREADS=1 python -m eval run --suite demo-easy --agent "transformers:$base" --out "$runs/eval-before"
for seed in 0 1 2; do
  lessons "$seed"
  train "seed-$seed" "$seed"
  judge "seed-$seed" "$seed"
done
train single-turn 0 data.single_user_turn=true && judge single-turn 0
for share in 0.05 0.25; do
  train "share-$share" 0 data.fraction="$share" && judge "share-$share" 0
done

echo && echo "Three seeds, each against the model before"
python -m eval compare "$runs/eval-before" "$runs"/eval-seed-{0,1,2}
echo && echo "Against all lessons of seed 0: the first user turn only, a quarter of the lessons, a twentieth"
python -m eval compare "$runs/eval-seed-0" "$runs"/eval-{single-turn,share-0.25,share-0.05}
