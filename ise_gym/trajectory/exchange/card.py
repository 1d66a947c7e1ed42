"""The dataset card of a published corpus: what is in it, who acted, how it was checked, and how to load it.

Everything on the card is computed from the episodes that are published, so it can't disagree with them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.stats import SHAPE, Stats
from ise_gym.trajectory.tables import LABELS, figure, percent

TOOLS_SHOWN = 20


@dataclass
class Actors:
    """Who made the episodes: agents, users, envs and prompts, by how many episodes each has."""

    agents: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    backends: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    hashes: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, trajectory: Trajectory) -> None:
        """Count one episode."""
        self.agents[str(trajectory.agent.get("name", "unknown"))] += 1
        self.users[str(trajectory.user.get("name", "unknown"))] += 1
        self.backends[str(trajectory.env.get("backend", "unknown"))] += 1
        self.versions[str(trajectory.env.get("ise_gym", "unknown"))] += 1
        for name, digest in trajectory.hashes.items():
            self.hashes.setdefault(name, Counter())[digest] += 1


def dataset_card(
    name: str,
    stats: Stats,
    actors: Actors,
    files: Mapping[str, Sequence[str]],
    *,
    findings: Mapping[str, int],
    license: str = "",
) -> str:
    """Return the card as Markdown with the YAML header that the hub reads.

    Args:
        name: of the dataset, as ``owner/name``.
        stats: over the published episodes.
        actors: over the same.
        files: split → its files, relative to the repository.
        findings: what the scan for credentials and personal data found, by kind.
        license: an identifier that the hub knows, such as ``mit``; "" leaves it open.
    """
    summary = stats.summary()
    parts = [
        _header(summary["episodes"], files, license),
        f"# {name.rpartition('/')[2]}",
        "Conversations of a simulated user with an agent that works in a live, isolated operating system: every tool "
        "call was really executed, and every sub-goal was checked in the workspace afterwards. Recorded with "
        f"`ise_gym` {_counts(actors.versions)}.",
        "## Rows",
        "| column | type | what it is |\n|---|---|---|\n"
        "| `messages` | list of JSON objects | the conversation in OpenAI format, system message first; "
        "`arguments` of tool calls are JSON strings |\n"
        "| `tools` | list of JSON objects | the schemas that the agent was offered |",
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("{name}", split="{next(iter(files), "train")}")\n'
        "# TRL's SFTTrainer takes these rows as they are\n```",
        "## Figures",
        _figures(summary),
        "## Tools",
        _tools(summary),
        "## Who acted",
        _actors(actors),
        "## Checks before publication",
        _findings(findings),
        f"The episodes' content hash (timings aside) is `{summary['content_sha256']}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _header(episodes: int, files: Mapping[str, Sequence[str]], license: str) -> str:
    # JSON is YAML, and quoting is then nobody's worry
    fields: dict[str, Any] = {"license": license} if license else {}
    fields |= {
        "task_categories": ["text-generation"],
        "tags": ["agent", "tool-use", "trajectories", "ise_gym"],
        "size_categories": [_size(episodes)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": list(paths)} for split, paths in files.items()],
            }
        ],
    }
    return "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in fields.items()) + "\n---"


def _size(episodes: int) -> str:
    bounds = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((label for bound, label in bounds if episodes < bound), "1M<n<10M")


def _figures(summary: Mapping[str, Any]) -> str:
    rate = summary["pass_rate"]
    lines = ["| | mean | median | 90 % | most |", "|---|---|---|---|---|"]
    for key in SHAPE:
        d = summary["shape"][key]
        cells = (figure(d["mean"], 2), figure(d["median"]), figure(d["p90"]), figure(d["max"]))
        lines.append(f"| {LABELS[key]} | {' | '.join(cells)} |")
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in summary["outcomes"].items())
    lines += ["", f"{summary['episodes']:,} episodes: {outcomes or 'none'}."]
    if rate["total"]:
        interval = f"[{percent(rate['low'])}, {percent(rate['high'])}]"
        lines[-1] += f" Pass rate {percent(rate['rate'])}, 95 % Wilson interval {interval}."
    lines.append(
        f"Episodes in which a failed call was recovered: {percent(summary['failure_recovery']['share'])}."
    )
    return "\n".join(lines)


def _tools(summary: Mapping[str, Any]) -> str:
    lines = ["| tool | episodes | calls | failed |", "|---|---|---|---|"]
    for tool, use in list(summary["tools"].items())[:TOOLS_SHOWN]:
        lines.append(f"| `{tool}` | {percent(use['share'])} | {use['calls']:,} | {use['failed']:,} |")
    return "\n".join(lines)


def _actors(actors: Actors) -> str:
    lines = ["| part | episodes |", "|---|---|"]
    for part, counter in (("agent", actors.agents), ("user", actors.users), ("workspace", actors.backends)):
        lines += [f"| {part} `{name}` | {count:,} |" for name, count in counter.most_common()]
    for name, hashes in sorted(actors.hashes.items()):
        lines += [
            f"| {name} `{digest[:12]}` (SHA-256) | {count:,} |" for digest, count in hashes.most_common(5)
        ]
    return "\n".join(lines)


def _findings(findings: Mapping[str, int]) -> str:
    if not findings:
        return (
            "Every text was scanned for credentials and personal data by form (check digits included): "
            "nothing was found."
        )
    found = ", ".join(f"{kind}: {count:,}" for kind, count in sorted(findings.items()))
    return (
        "Every text was scanned for credentials and personal data by form. These look like some and were published "
        f"on purpose (tasks plant made-up ones): {found}."
    )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(name for name, _ in counter.most_common()) or "unknown"
