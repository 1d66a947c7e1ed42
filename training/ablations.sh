#!/usr/bin/env bash
# What the demo's model learns from: three seeds, the paper's single-user-turn ablation, and less data.
# Every run is judged on the same held-out suite and compared pairwise; whatever it shows is printed.
#
#   training/ablations.sh [FOLDER]      in an environment with ise_gym[train] installed (default: runs/ablations);
#                                       about half an hour on 2 idle CPU cores; a second run resumes
#
# PARTS    "seeds": the demo's lessons on three seeds. "turns": lessons of two user turns, whole, only the first turn,
#          a quarter and a twentieth of them. Default: both
# LESSONS  lessons of one request (default 720). PAIRS  lessons of two (default 480). TASKS  of the two-turn suite (48)
# TRAIN    further key=value of every training run, e.g. "train.epochs=8"
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/ablations}
base=training/tiny_base/model
mkdir -p "$runs"
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
export PYTHONWARNINGS=ignore::FutureWarning,ignore::UserWarning:peft

train() { # NAME STORE SEED [key=value …]
  # shellcheck disable=SC2086  # TRAIN is a list of words
  ise train sft --config tiny_cpu data.store="$runs/$2" output="$runs/model-$1" \
    train.seed="$3" resume=true ${TRAIN:-} "${@:4}"
}
judge() { # NAME STORE SUITE
  OMP_NUM_THREADS=1 ise eval run --suite "$3" --agent "transformers:$runs/model-$1" --trained-on "$runs/$2" \
    --out "$runs/eval-$1"
}

seeds() {
  for seed in 0 1 2; do
    ise intents generate --count "${LESSONS:-720}" --seed "$((seed * 1000 + 1))" --split train --tier easy \
      --tasks-per-intent 1 --domains file-io,code-runtime,source-chain,agent-memory,automation-flow,intelligence-core \
      --out "$runs/lessons-intents-$seed"
    ise rollout --intents "$runs/lessons-intents-$seed/intents.jsonl" --agent expert --user scripted \
      --out "$runs/lessons-$seed"
    train "seed-$seed" "lessons-$seed" "$seed"
    judge "seed-$seed" "lessons-$seed" demo-easy
  done
  OMP_NUM_THREADS=1 ise eval run --suite demo-easy --agent "transformers:$base" --out "$runs/eval-before"
  echo && echo "Three seeds, each against the model before"
  ise eval compare "$runs/eval-before" "$runs"/eval-seed-{0,1,2}
}

turns() {
  # Tasks of one request that the expert does in one or two short calls, so that two of them fit the tiny model.
  local tasks="agent-memory/remember-fact automation-flow/set-variable code-runtime/tiny-script file-io/append-line
    file-io/change-setting file-io/copy-backup file-io/delete-temp file-io/make-folders file-io/rename-file
    file-io/write-note"
  # shellcheck disable=SC2046,SC2086
  [ -e "$runs/two-turns.yaml" ] || ise eval suite freeze two-turns --chains "${TASKS:-48}" --chain-length 2 \
    $(printf -- '--tasks %s ' $tasks) --description "Two short tasks asked for one after the other." \
    --out "$runs/two-turns.yaml"
  # shellcheck disable=SC2086
  ise intents generate --count "${PAIRS:-480}" --seed 1 --split train --tasks "$(echo $tasks | tr ' ' ,)" \
    --tasks-per-intent 2 --out "$runs/pairs-intents"
  ise rollout --intents "$runs/pairs-intents/intents.jsonl" --agent expert --user scripted --out "$runs/pairs"
  train pairs pairs 0
  train pairs-first-turn pairs 0 data.single_user_turn=true
  train pairs-0.25 pairs 0 data.fraction=0.25
  train pairs-0.05 pairs 0 data.fraction=0.05
  for name in pairs pairs-first-turn pairs-0.25 pairs-0.05; do
    judge "$name" pairs "$runs/two-turns.yaml"
  done
  echo && echo "Against all lessons of two user turns: the first user turn only, a quarter of the lessons, a twentieth"
  ise eval compare "$runs/eval-pairs" "$runs"/eval-pairs-{first-turn,0.25,0.05}
}

for part in ${PARTS:-seeds turns}; do "$part"; done
