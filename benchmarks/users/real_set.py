"""Puts the set of real user turns together: what models said, and what writers wrote for the same moments, with labels.

    python benchmarks/users/real_set.py --turns TURNS.jsonl --written EN.txt ZH.txt --labels LABELS.jsonl \\
        --out SET.jsonl.gz
    python benchmarks/users/real_set.py --turns TURNS.jsonl --labels LABELS.jsonl --sheet 60 --seed 1
        what is still to be read
    python benchmarks/users/real_set.py --kappa FIRST.jsonl SECOND.jsonl       how far two readings agree
    python benchmarks/users/real_set.py --measure SET.jsonl.gz
        what the guard finds, for the estimates of ``ise stats``

``TURNS.jsonl`` comes from ``benchmarks/users/user_turns.py``. A written file names a scenario (``@ en-004``) and
then gives a turn a line: ``REQUEST MOMENT | KINDS | TEXT``, where the moment is open, lie, half, next, leave,
giveup, ``ask:QUESTION`` or ``fail:REPORT`` and the kinds are names of detectors, none for a turn in role. A label
is ``{"id": …, "labels": […]}``. A sheet shows no verdict of any detector.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import hashlib
import json
import random
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from user_turns import scenarios  # type: ignore[import-not-found]

from ise_gym.scenario import Scenario
from ise_gym.simulator.knowledge import knowledge_of
from ise_gym.simulator.measuring.driftset import read_set
from ise_gym.simulator.measuring.measure import evaluate
from ise_gym.simulator.measuring.recall import MEASURED

TRANSLATED = Path(__file__).with_name("user_turns_zh.jsonl")
UNTUNED_MODEL = "qwen2.5-coder-1.5b"
MOVED_TO_TUNING = frozenset({"en-000", "en-010"})
"""Chance put all of the first intents that models played into the untuned half; two of them were moved before any
detector had been run on them."""


def split_of(intent: str, model: str) -> str:
    """Return the split: a whole model is left out, and half of the intents (a Chinese one goes with its original)."""
    if model == UNTUNED_MODEL:
        return "untuned-model"
    intent = _originals().get(intent, intent)
    if intent in MOVED_TO_TUNING:
        return "tuning"
    return "tuning" if int(hashlib.sha256(f"split:{intent}".encode()).hexdigest(), 16) % 2 else "held-out"


@cache
def _originals() -> dict[str, str]:
    lines = TRANSLATED.read_text(encoding="utf-8").splitlines()
    return {told["id"]: told["of"] for told in map(json.loads, lines)}


def model_lines(path: Path, labels: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """Yield the labelled drafts of models."""
    scenario: dict[str, Any] = {}
    persona: dict[str, Any] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if "scenario" in line:
            scenario, persona = line["scenario"], line["persona"]
        if line["id"] not in labels:
            continue
        view = line["view"]
        evidence = None
        if view is not None:
            evidence = {
                **view["evidence"], "request": view["request"], "remaining": view["remaining"], "turn": view["turn"],
            }  # fmt: skip
        yield {
            "id": line["id"],
            "scenario": {"id": line["intent"], **scenario},
            "persona": _persona(persona),
            "history": [] if view is None else [_said(m) for m in view["history"]],
            "evidence": evidence,
            "turn": line["turn"],
            "labels": labels[line["id"]],
            "split": split_of(line["intent"], line["model"]),
            "source": "model",
            "language": line["intent"][:2],
            **{
                name: line[name]
                for name in ("model", "temperature", "prompt", "agent", "guard", "attempt", "sent", "intent")
            },
        }


def _said(message: dict[str, str]) -> dict[str, str]:
    return {"role": "user" if message["role"] == "assistant" else "assistant", "content": message["content"]}


def _persona(persona: dict[str, Any]) -> dict[str, Any]:
    return {name: persona[name] for name in ("name", "role", "industry", "register", "work_context", "voice")}


def written_lines(path: Path, known: dict[str, Scenario]) -> Iterator[dict[str, Any]]:
    """Yield what writers wrote, each in the moment that its line names."""
    name = ""
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if raw.startswith("@"):
            name = raw[1:].strip()
            continue
        where, kinds, text = (part.strip() for part in raw.split("|", 2)) if "||" not in raw else _plain(raw)
        index, moment = where.split(" ", 1)
        yield {
            "id": f"written/{path.stem}/{number}",
            **_moment(known[name], int(index), moment, text.replace("\\n", "\n")),
            "labels": [kind for kind in kinds.split(",") if kind],
            "split": split_of(name, ""),
            "source": "written", "language": name[:2], "intent": name,
        }  # fmt: skip


def _plain(raw: str) -> tuple[str, str, str]:
    where, _, text = raw.partition("||")
    return where.strip(), "", text.strip()


def _moment(scenario: Scenario, index: int, moment: str, text: str) -> dict[str, Any]:
    requests = scenario.requests
    known = knowledge_of(scenario)
    request = requests[index]
    goals = [goal.name for goal in request.subgoals]
    history: list[dict[str, str]] = []
    for earlier in requests[:index]:
        history += [
            {"role": "user", "content": earlier.text},
            {"role": "assistant", "content": earlier.reply},
        ]
    evidence: dict[str, Any] | None = None
    turn: dict[str, Any] = {"text": text, "request": request.name}
    kind, _, said = moment.partition(":")
    if kind != "open":
        reply = said or request.reply
        history += [{"role": "user", "content": request.text}, {"role": "assistant", "content": reply}]
        held = {"next": goals, "leave": goals, "half": goals[:1] if len(goals) > 1 else []}.get(kind, [])
        failing = [goal for goal in goals if goal not in held]
        made = [fact for fact in request.facts if "/" in fact and kind in ("next", "leave", "half")]
        evidence = {
            "request": request.name, "remaining": len(requests) - index - 1, "turn": index + 1,
            "passed": held, "failed": failing, "created": made[-1:],
            "failed_commands": [["cp", 1]] if kind == "fail" else [],
        }  # fmt: skip
        if kind == "next":
            turn["request"] = requests[index + 1].name
        turn.update({"done": kind == "leave", "gave_up": kind == "giveup"})
    persona = {**dataclasses.asdict(scenario.persona), "voice": dict(scenario.persona.voice)}
    return {
        "scenario": {
            "id": scenario.id,
            "wishes": [dataclasses.asdict(wish) for wish in known.wishes],
            "files": dict(known.files),
        },
        "persona": _persona(persona),
        "history": history if kind != "open" else [],
        "evidence": evidence if kind != "open" else None,
        "turn": turn,
    }


def sheet(path: Path, labels: dict[str, list[str]], count: int, seed: int) -> None:
    """Print drafts that are still to be read, shuffled; equal words at one moment are shown once."""
    drafts = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    wishes: dict[str, Any] = {}
    for draft in drafts:
        if "scenario" in draft:
            wishes[draft["episode"]] = draft["scenario"]["wishes"]
    left = [draft for draft in drafts if draft["id"] not in labels]
    random.Random(seed).shuffle(left)
    for draft in left[:count]:
        known = wishes[draft["episode"]]
        names = [wish["name"] for wish in known]
        view = draft["view"]
        print(f"== {draft['id']}")
        if view is not None:
            at = names.index(view["request"]) if view["request"] in names else -1
            seen = view["evidence"]
            last = view["history"][-1]["content"] if view["history"] else ""
            print(f"   wish {at + 1} of {len(names)}; holds {len(seen['passed'])}, fails {seen['failed']}")
            print(f"   agent: {last[:300]}")
        booked = draft["turn"]["meant"] if draft["turn"].get("meant") else draft["turn"]["request"]
        wish = known[names.index(booked)]["text"] if booked in names else ""
        ends = " [leaves]" if draft["turn"]["done"] else " [gives up]" if draft["turn"]["gave_up"] else ""
        print(f"   for: {wish[:160]}")
        print(f"   USER{ends}: {draft['turn']['text'][:500]}")


def kappa(first: dict[str, list[str]], second: dict[str, list[str]]) -> None:
    """Print Cohen's kappa of two readings: of in role or not, and of the first kind named."""
    both = sorted(set(first) & set(second))
    for title, read in (
        ("in role or not", lambda labels: bool(labels)),
        ("kind", lambda labels: labels[0] if labels else ""),
    ):
        pairs = [(read(first[one]), read(second[one])) for one in both]
        agreed = sum(a == b for a, b in pairs) / len(pairs)
        values = {value for pair in pairs for value in pair}
        chance = (
            sum(sum(a == v for a, _ in pairs) * sum(b == v for _, b in pairs) for v in values)
            / len(pairs) ** 2
        )
        print(
            f"{title}: {len(pairs)} turns, agreement {agreed:.3f}, kappa {(agreed - chance) / (1 - chance):.3f}"
        )


def measure(path: Path) -> None:
    """Write what the whole guard does on turns that nothing was tuned on, for `ise_gym.simulator.measuring.recall`.

    Recall is that on models' turns. Small models are rarely in role, so false refusals are counted on written turns
    too.
    """
    unseen = [turn for turn in read_set(path) if turn.split != "tuning"]
    spoken = evaluate(turn for turn in unseen if turn.source == "model").whole
    everything = evaluate(unseen).whole
    told = {
        "found": spoken.found,
        "out_of_role": spoken.turns - spoken.in_role,
        "refused": everything.refused,
        "in_role": everything.in_role,
        "turns_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    MEASURED.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"drift found {spoken.recall}; in role, refused {everything.false_refusals} → {MEASURED}")


def read_labels(path: Path | None) -> dict[str, list[str]]:
    """Return id → labels; a later line replaces an earlier one."""
    if path is None or not path.exists():
        return {}
    lines = (json.loads(text) for text in path.read_text(encoding="utf-8").splitlines() if text)
    return {line["id"]: line["labels"] for line in lines}


def main() -> None:
    """Do what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=Path)
    parser.add_argument("--written", type=Path, nargs="*", default=[])
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sheet", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kappa", type=Path, nargs=2)
    parser.add_argument(
        "--measure", type=Path, help="a finished set: write the figures that estimates start from"
    )
    chosen = parser.parse_args()
    if chosen.kappa:
        kappa(read_labels(chosen.kappa[0]), read_labels(chosen.kappa[1]))
        return
    if chosen.measure:
        measure(chosen.measure)
        return
    labels = read_labels(chosen.labels)
    if chosen.sheet:
        sheet(chosen.turns, labels, chosen.sheet, chosen.seed)
        return
    known = scenarios(40, TRANSLATED)
    lines = list(model_lines(chosen.turns, labels)) if chosen.turns else []
    for path in chosen.written:
        lines += written_lines(path, known)
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    # no time in the header: equal lines give equal bytes
    chosen.out.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(lines)} turns, {sum(not line['labels'] for line in lines)} of them in role → {chosen.out}")


if __name__ == "__main__":
    main()
