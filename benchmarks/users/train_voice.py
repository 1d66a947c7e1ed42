"""Trains the linear voice of the role guard and prints what it adds to the rules.

    python benchmarks/users/train_voice.py [--write]

Trained on turns of the tuning split alone: real and written ones, the older written set, and what the scripted user
says over drawn intents (all of it in role). The threshold is the lowest at which, out of fold, no more than 1 % of
the turns in role would be refused, of the script's and of the others each. Needs scikit-learn (the extra
``embed``); what it writes, ``voice.json``, needs nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import normalize

from ise_gym.intents.source import IntentSource
from ise_gym.messages import Message, assistant, user
from ise_gym.simulator.base import Evidence, UserView
from ise_gym.simulator.detectors import detect
from ise_gym.simulator.detectors.base import Turn
from ise_gym.simulator.detectors.trained import WEIGHTS, Weights, pieces_of, score_of
from ise_gym.simulator.knowledge import knowledge_of
from ise_gym.simulator.measuring.driftset import LabelledTurn, read_set
from ise_gym.simulator.scripted import ScriptedUser
from ise_gym.statistics import wilson

SETS = Path(__file__).resolve().parents[2] / "tests" / "simulator"
REFUSED_AT_MOST = 0.01
LEAST = 3
MOST_PIECES = 6_000
SCRIPTED = 60
FIRST_SEED = 61_000_000_000


def labelled() -> tuple[list[LabelledTurn], list[LabelledTurn]]:
    """Return the turns to train on, and those that no weight may see."""
    turns = [*read_set(SETS / "real_set.jsonl.gz"), *read_set(SETS / "drift_set.jsonl")]
    return [t for t in turns if t.split == "tuning"], [t for t in turns if t.split != "tuning"]


def scripted() -> list[tuple[Turn, str]]:
    """Return turns of the scripted user over drawn intents, met with success and with failure."""
    found = []
    source = IntentSource("train", tasks_per_intent=2)
    for number in range(SCRIPTED):
        scenario = source.scenario(FIRST_SEED + number)
        known, simulator = knowledge_of(scenario), ScriptedUser()
        turn = simulator.reset(scenario, number)
        history: list[Message] = []
        view = None
        for step in range(8):
            found.append((Turn(turn, view, known), scenario.id))
            if turn.done or turn.gave_up:
                break
            at = known.index(turn.request)
            request = scenario.requests[at]
            goals = tuple(goal.name for goal in request.subgoals)
            held = (number + step) % 3 != 0
            history += [assistant(turn.text), user(request.reply)]
            evidence = Evidence(passed=goals if held else (), failed=() if held else goals)
            view = UserView(tuple(history), evidence, step + 1, request.name, len(known.wishes) - at - 1)
            turn = simulator.respond(view)
    return found


def matrix(rows: list[frozenset[str]], columns: dict[str, int]) -> csr_matrix:
    """Return rows of known pieces, each of length one."""
    data = [(r, columns[piece]) for r, row in enumerate(rows) for piece in row if piece in columns]
    ones = np.ones(len(data))
    made = csr_matrix((ones, tuple(np.array(data).T) if data else ([], [])), shape=(len(rows), len(columns)))
    return normalize(made)


def chosen_pieces(rows: list[frozenset[str]], adrift: np.ndarray) -> dict[str, int]:
    """Return the pieces that tell most, by the difference of their shares."""
    total, bad = Counter[str](), Counter[str]()
    for row, is_adrift in zip(rows, adrift, strict=True):
        total.update(row)
        if is_adrift:
            bad.update(row)
    n_bad = max(1, int(adrift.sum()))
    n_good = max(1, len(rows) - n_bad)
    telling = {
        piece: abs(bad[piece] / n_bad - (count - bad[piece]) / n_good)
        for piece, count in total.items()
        if count >= LEAST
    }
    kept = sorted(telling, key=lambda piece: (-telling[piece], piece))[:MOST_PIECES]
    return {piece: at for at, piece in enumerate(sorted(kept))}


def fitted(rows: list[frozenset[str]], adrift: np.ndarray) -> Weights:
    """Train on rows; the threshold is left at 0."""
    columns = chosen_pieces(rows, adrift)
    model = LogisticRegression(C=4.0, class_weight="balanced", max_iter=400)
    model.fit(matrix(rows, columns), adrift)
    weights = {piece: round(float(model.coef_[0][at]), 3) for piece, at in columns.items()}
    return Weights({p: w for p, w in weights.items() if w}, round(float(model.intercept_[0]), 4), 0.0)


def main() -> None:
    """Train, choose the threshold, print what is gained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    known, unseen = labelled()
    turns = [
        (Turn(t.turn, t.view, t.known), t.intent or t.known.wishes[0].text, bool(t.labels)) for t in known
    ]
    turns += [(turn, group, False) for turn, group in scripted()]
    turns = [one for one in turns if one[0].text.strip()]
    rows = [pieces_of(turn) for turn, _, _ in turns]
    adrift = np.array([label for _, _, label in turns])
    scores = np.zeros(len(rows))
    for train, test in GroupKFold(5).split(rows, groups=[group for _, group, _ in turns]):
        given = fitted([rows[i] for i in train], adrift[train])
        for i in test:
            scores[i] = score_of(rows[i], given)
    # of each source by itself: the script is easy to tell from drift, and would drown the others
    from_script = np.array([group.startswith("ise-os") for _, group, _ in turns])
    threshold = max(_quantile(scores[~adrift & from_script]), _quantile(scores[~adrift & ~from_script]))
    found = int((scores[adrift] > threshold).sum())
    print(f"trained on {len(rows)} turns, {int(adrift.sum())} adrift; out of fold {found} of {int(adrift.sum())} found "
          f"at {REFUSED_AT_MOST:.0%} of turns in role refused")  # fmt: skip
    final = fitted(rows, adrift)
    given = Weights(final.pieces, final.bias, round(threshold, 3))
    if write:
        told = {
            "bias": given.bias,
            "threshold": given.threshold,
            "pieces": dict(sorted(given.pieces.items())),
        }
        WEIGHTS.write_text(
            json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
        )
        print(f"{len(given.pieces)} weights, {WEIGHTS.stat().st_size} bytes → {WEIGHTS}")
    report(unseen, given)


def _quantile(scores: np.ndarray) -> float:
    return float(np.quantile(scores, 1 - REFUSED_AT_MOST, method="higher"))


def report(unseen: list[LabelledTurn], given: Weights) -> None:
    """Print recall and false refusals of the rules alone, the voice alone, and both, on turns that neither saw."""
    for source in ("model", "written"):
        for split in ("held-out", "untuned-model"):
            chosen = [t for t in unseen if t.source == source and t.split == split]
            for name in ("rules", "voice", "both") if chosen else ():
                counts: Counter[str] = Counter()
                for t in chosen:
                    ruled = any(hit.detector != "sounds_adrift" for hit in detect(t.turn, t.view, t.known))
                    heard = score_of(pieces_of(Turn(t.turn, t.view, t.known)), given) > given.threshold
                    fires = {"rules": ruled, "voice": heard, "both": ruled or heard}[name]
                    kind = "adrift" if t.labels else "in role"
                    counts[kind] += 1
                    counts[f"{kind}, fires"] += fires
                shares = []
                for kind in ("adrift", "in role"):
                    low, high = wilson(counts[f"{kind}, fires"], counts[kind])
                    shares.append(f"{kind} {counts[f'{kind}, fires']}/{counts[kind]} [{low:.3f}, {high:.3f}]")
                print(f"{source}, {split}: {name}: " + "; ".join(shares))


if __name__ == "__main__":
    main()
