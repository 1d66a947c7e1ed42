"""From a trajectory store to a dataset of token ids and labels, with an account of everything left out.

The rows reach the trainer already tokenised and labelled, so that it can neither swap the chat template nor cut
a row. Nothing disappears unnamed: `DataReport` lists by reason which episodes or turns were not used.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ise_gym.errors import UserError
from ise_gym.messages import canonical_json, sha256_of
from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.training.config import DataConfig
from ise_gym.training.rows import Row, RowOptions, RowSet, rows_of
from ise_gym.training.template import Thinking, template_hash
from ise_gym.trajectory.conversations import Conversation, delegated
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import parse_line, raw_records


@dataclass
class DataReport:
    """What went in, what came out, and what was left out and why.

    Attributes:
        episodes: records met in the store (broken ones included).
        used: episodes that gave at least one row.
        rows, tokens, learned_tokens: sizes of the dataset; learned tokens are those in the loss.
        eval_episodes, eval_rows: held out to measure the loss on; not counted in the line above.
        sub_sessions: conversations that agents delegated to themselves and that gave rows of their own.
        split_episodes: names of over-long episodes that became several windows.
        left_out: reason → what, for whole episodes and for single over-long turns.
        with_reasoning: episodes whose answers hold reasoning that is trained (none with ``thinking: strip``).
        data_hash: SHA-256 over ids and labels of all rows, in order.
        tool_hashes: SHA-256 of every tool list met → number of episodes.
        tools: name of every tool that was offered → SHA-256 of its schema → number of conversations.
        system_prompt_hashes: the same of system prompts.
        recorded_templates: chat-template hash of the recording agent → episodes ("" when it had none).
    """

    stores: tuple[str, ...]
    episodes: int = 0
    used: int = 0
    rows: int = 0
    tokens: int = 0
    learned_tokens: int = 0
    eval_episodes: int = 0
    eval_rows: int = 0
    sub_sessions: int = 0
    longest: int = 0
    with_reasoning: int = 0
    split_episodes: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    data_hash: str = ""
    tool_hashes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    tools: dict[str, dict[str, int]] = field(default_factory=dict)
    system_prompt_hashes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    recorded_templates: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def offered(self, messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, Any]]) -> None:
        """Note what a conversation was offered, for the parity gate (`ise_gym.agents.parity`)."""
        for schema in tools:
            counts = self.tools.setdefault(schema["function"]["name"], {})
            digest = sha256_of(schema)
            counts[digest] = counts.get(digest, 0) + 1
        if messages[0]["role"] == "system":
            self.system_prompt_hashes[sha256_of(messages[0]["content"])] += 1

    def as_json(self, examples: int = 20) -> dict[str, Any]:
        """Return the report for the run card; long lists keep their count and the first ``examples`` names."""
        return {
            "episodes": self.episodes,
            "used": self.used,
            "rows": self.rows,
            "tokens": self.tokens,
            "learned_tokens": self.learned_tokens,
            "eval_episodes": self.eval_episodes,
            "eval_rows": self.eval_rows,
            "sub_sessions": self.sub_sessions,
            "longest_row": self.longest,
            "with_reasoning": self.with_reasoning,
            "split_episodes": len(self.split_episodes),
            "left_out": {
                reason: {"count": len(names), "first": names[:examples]}
                for reason, names in sorted(self.left_out.items())
            },
            "data_hash": self.data_hash,
            "tool_hashes": dict(self.tool_hashes),
            "tools": self.tools,
            "system_prompt_hashes": dict(self.system_prompt_hashes),
            "recorded_templates": dict(self.recorded_templates),
        }

    def lines(self) -> list[str]:
        """Return the report for the terminal."""
        text = [
            f"{self.used} of {self.episodes} episodes → {self.rows} rows, {self.tokens} tokens, "
            f"{self.learned_tokens} of them in the loss; longest row {self.longest}"
        ]
        if self.eval_rows:
            text.append(
                f"held out to measure the loss on: {self.eval_episodes} episodes, {self.eval_rows} rows"
            )
        if self.sub_sessions:
            text.append(f"sub-sessions with rows of their own: {self.sub_sessions}")
        if self.split_episodes:
            text.append(f"over-long and split at user turns: {_named(self.split_episodes)}")
        text += [f"left out, {reason}: {_named(names)}" for reason, names in sorted(self.left_out.items())]
        return text


@dataclass(frozen=True)
class TrainingData:
    """Rows and the account of how they came about; ``held_out`` are those of episodes kept back for the loss."""

    rows: list[Row]
    report: DataReport
    held_out: list[Row] = field(default_factory=list)

    def dataset(self) -> Any:
        """Return a `datasets.Dataset` with the columns ``input_ids``, ``labels`` and ``length``."""
        return dataset_of(self.rows)

    def eval_dataset(self) -> Any:
        """Return the same of the held-out rows, or None where there are none."""
        return dataset_of(self.held_out) if self.held_out else None

    def named(self) -> Iterator[tuple[str, list[int]]]:
        """Yield (name, token ids) of every row that is trained on."""
        return ((row.name, row.input_ids) for row in self.rows)


def dataset_of(rows: Sequence[Row], *, names: bool = False) -> Any:
    """Return rows as a `datasets.Dataset`; ``names`` adds a column with theirs."""
    from datasets import Dataset, Features, List, Value

    columns = {
        "input_ids": [row.input_ids for row in rows],
        "labels": [row.labels for row in rows],
        "length": [len(row.input_ids) for row in rows],
    }
    # 4 bytes per token: no vocabulary comes near two thousand million.
    kinds = {"input_ids": List(Value("int32")), "labels": List(Value("int32")), "length": Value("int32")}
    if names:
        return Dataset.from_dict(
            {**columns, "name": [row.name for row in rows]},
            features=Features({**kinds, "name": Value("string")}),
        )
    return Dataset.from_dict(columns, features=Features(kinds))


def build_dataset(config: DataConfig, tokenizer: Tokenizer, thinking: Thinking = "keep") -> TrainingData:
    """Read a store, select episodes and tokenise them with the tokenizer's own chat template.

    Raises:
        UserError: no store there, or not one row left; the message then carries the counts by reason.
    """
    report = DataReport(config.stores)
    options = RowOptions(
        max_length=config.max_length,
        over_long=config.over_long,
        thinking=thinking,
        mask_failed_calls=config.mask_failed_calls,
        single_user_turn=config.single_user_turn,
        loss=config.loss,
    )
    rows: list[Row] = []
    held_out: list[Row] = []
    digest = hashlib.sha256(template_hash(tokenizer.chat_template).encode())
    for name, episode in _episodes(config, report):
        made = rows_of(tokenizer, name, episode.messages, episode.tools, options, steps=episode.steps)
        for reason, detail in made.dropped:
            report.left_out[reason].append(f"{name} ({detail})")
        delegated: list[Row] = []
        for title, part, found in (
            _delegated(tokenizer, name, episode, options) if config.sub_sessions else ()
        ):
            for reason, detail in found.dropped:
                report.left_out[f"sub-session {reason}"].append(f"{title} ({detail})")
            report.sub_sessions += bool(found.rows)
            delegated += found.rows
            if found.rows:
                report.offered(part.messages, part.tools)
        if is_held_out(config, name):
            held_out += (*made.rows, *delegated)
            report.eval_episodes += bool(made.rows or delegated)
            continue
        if made.rows or delegated:
            report.used += 1
            report.tool_hashes[sha256_of(episode.tools)] += 1
            report.with_reasoning += thinking != "strip" and any(
                message.get("reasoning_content") for message in episode.messages
            )
            report.offered(episode.messages, episode.tools)
            report.recorded_templates[episode.hashes.get("chat_template", "")] += 1
        if len(made.rows) > 1 and "#turns" in made.rows[0].name:
            report.split_episodes.append(name)
        for row in (*made.rows, *delegated):
            digest.update(canonical_json([row.input_ids, row.labels]).encode())
            rows.append(row)
    report.rows = len(rows)
    report.eval_rows = len(held_out)
    report.tokens = sum(len(row.input_ids) for row in rows)
    report.learned_tokens = sum(row.learned for row in rows)
    report.longest = max((len(row.input_ids) for row in rows), default=0)
    report.data_hash = digest.hexdigest()
    if not rows:
        raise UserError(f"nothing to train on in {', '.join(config.stores)}: {'; '.join(report.lines())}")
    return TrainingData(rows, report, held_out)


def _episodes(config: DataConfig, report: DataReport) -> Iterator[tuple[str, Trajectory]]:
    """Stream the episodes that pass the filters; broken records and filtered ones are counted by name."""
    seen: set[str] = set()
    taken = 0
    for file, number, line in itertools.chain.from_iterable(map(raw_records, config.stores)):
        report.episodes += 1
        try:
            episode = parse_line(line, f"{file.name}, line {number}")
        except UserError as error:
            report.left_out["broken"].append(str(error))
            continue
        name = episode.episode_id
        reason = "recorded twice" if name in seen else _unwanted(config, episode)
        seen.add(name)
        if reason:
            report.left_out[reason].append(name)
        elif config.max_episodes is not None and taken >= config.max_episodes:
            report.left_out["beyond max_episodes"].append(name)
        else:
            taken += 1
            yield name, episode


def _delegated(
    tokenizer: Tokenizer, name: str, episode: Trajectory, options: RowOptions
) -> Iterator[tuple[str, Conversation, RowSet]]:
    """Yield each sub-session's rows under a name of its own; one that was cut off yields only that reason."""
    early = _first_turn_calls(episode)
    for part in delegated(episode):
        title = f"{name}/{part.session['key']}"
        if part.session.get("status") == "cut":
            yield title, part, RowSet(dropped=(("cut", "the episode ended before it answered"),))
        elif not options.single_user_turn or early.intersection(part.session.get("opened_by", ())):
            rows = rows_of(
                tokenizer,
                title,
                part.messages,
                part.tools,
                options,
                inherited=part.inherited,
                steps=part.steps,
            )
            yield title, part, rows


def _first_turn_calls(episode: Trajectory) -> set[str]:
    """Return the ids of the calls that the agent made before the user spoke a second time."""
    users = [at for at, message in enumerate(episode.messages) if message.get("role") == "user"]
    end = users[1] if len(users) > 1 else len(episode.messages)
    calls = (call for message in episode.messages[:end] for call in message.get("tool_calls") or ())
    return {str(call.get("id", "")) for call in calls}


def _unwanted(config: DataConfig, episode: Trajectory) -> str:
    """Return why the filters leave an episode out, or an empty string."""
    if episode.outcome not in config.outcomes:
        return f"outcome {episode.outcome}"
    if episode.split not in config.splits:
        return f"split {episode.split or 'none'}"
    if config.guard_clean and not _guard_clean(episode):
        return "role guard intervened"
    for wanted, found, what in (
        (config.domains, episode.domains, "domain"),
        (config.tasks, episode.tasks, "task"),
        (config.complexities, [episode.complexity], "complexity"),
    ):
        if wanted and not set(wanted) & set(found):
            return f"other {what}"
    # A hash, not a draw: 5 % is then a subset of 25 %, which is a subset of 100 %.
    if int(sha256_of(episode.episode_id)[:8], 16) / 2**32 >= config.fraction:
        return "outside the fraction"
    return ""


def is_held_out(config: DataConfig, name: str) -> bool:
    """Draw by a hash that has nothing to do with the one of ``fraction``; whole episodes, so that no turn leaks."""
    return int(sha256_of(["held out", name])[:8], 16) / 2**32 < config.eval_fraction


def _guard_clean(episode: Trajectory) -> bool:
    guard = episode.user.get("guard") or {}
    return not guard.get("fallbacks") and not guard.get("resamples")


def _named(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} ({', '.join(names[:most])}{more})"
