"""Has a model write intents: asks, gates, asks again with the reasons, keeps every answer, goes on where it was.

Layout of a run's folder::

    OUT/intents.jsonl    the intents that passed, in the order of their seeds; append-only
    OUT/refused.jsonl    the seeds for which no draft passed: each draft's gate and reason
    OUT/answers.jsonl    every answer of the model with its tokens, written the moment it is there
    OUT/run.json         what is being written: model, sampling, prompt version, languages, seed

A seed is done once it is in one of the first two. Answers of the same question are never paid for twice; what a
killed run loses is what was in flight.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import AgentError, UserError
from ise_gym.foreign.values import Json
from ise_gym.intents.author.drawing import Wanted, wanted
from ise_gym.intents.author.gate import first_words, gate_problems
from ise_gym.intents.author.prompt import PROMPT_VERSION, SCHEMA, messages_for
from ise_gym.intents.author.written import Draft, line_of, read_draft
from ise_gym.intents.llm.cache import AnswerCache
from ise_gym.intents.pool.dedup import Deduplicator, deepest_available
from ise_gym.messages import assistant, canonical_json, sha256_of, user
from ise_gym.models.chat import JsonChat
from ise_gym.storage.appendlog import AppendLog, Locked, raw_lines
from ise_gym.storage.atomic import replacing

DEFAULTS: Mapping[str, Any] = {"temperature": 0.9, "max_tokens": 3000, "timeout": 300.0}
INTENTS, REFUSED, ANSWERS, RUN = "intents.jsonl", "refused.jsonl", "answers.jsonl", "run.json"


@dataclass(frozen=True)
class Attempt:
    """What came of one seed: the draft that passed, or None; ``refused`` holds (gate, reason) of each that did not."""

    item: Wanted
    draft: Draft | None
    refused: tuple[tuple[str, str], ...]


@dataclass
class Yield:
    """What a run came to."""

    wanted: int = 0
    written: int = 0
    done_before: int = 0
    without: int = 0
    gates: Counter[str] = field(default_factory=Counter)
    unreached: int = 0
    usage: Counter[str] = field(default_factory=Counter)


class Author:
    """Writes intents with a model; safe to use from several threads.

    Args:
        model: its name at the endpoint.
        cache: where answers are kept.
        tries: drafts of one intent at most.
        options: `ise_gym.models.endpoint.EndpointOptions`: rate limits and prices among them.
    """

    def __init__(self, model: str, cache: AnswerCache, *, tries: int = 3, **options: object) -> None:
        self.model, self.cache, self.tries = model, cache, tries
        self._chat = JsonChat(model, who="author", **{**DEFAULTS, **options})

    def describe(self) -> dict[str, Any]:
        """Return what an answer depends on besides the seed."""
        return {**self._chat.sampling(), "prompt_version": PROMPT_VERSION, "tries": self.tries}

    def attempt(self, item: Wanted) -> Attempt:
        """Have one intent written.

        Raises:
            AgentError: the endpoint failed (infrastructure).
        """
        asked: list[Any] = list(messages_for(item))
        conversation = asked
        refused: list[tuple[str, str]] = []
        for number in range(self.tries):
            text = self._answer(conversation, item.seed, number)
            draft = read_draft(text)
            problems = [("form", draft)] if isinstance(draft, str) else list(gate_problems(draft, item))
            if not problems:
                assert isinstance(draft, Draft)
                return Attempt(item, draft, tuple(refused))
            refused.append((problems[0][0], first_words(problems)))
            again = f"That can't be used: {first_words(problems)}. Write the whole JSON object again."
            conversation = [*asked, assistant(text[:12_000]), user(again)]
        return Attempt(item, None, tuple(refused))

    def _answer(self, conversation: list[Any], item: int, number: int) -> str:
        seed = (item * 16 + number) % (1 << 31)
        key = sha256_of([self.describe(), conversation, seed])
        if (kept := self.cache.get(key)) is not None:
            return str(kept["text"])
        answer = self._chat.answer(conversation, SCHEMA, seed)
        prompt, completion, _ = answer.usage
        self.cache.put(key, {"text": answer.text, "item": item, "prompt": prompt, "completion": completion})
        return answer.text


def write_intents(
    author: Author,
    out: Path,
    count: int,
    *,
    seed: int = 0,
    languages: Mapping[str, float],
    concurrency: int = 8,
    on_progress: Callable[[int, int], None] | None = None,
) -> Yield:
    """Write ``count`` intents (as many seeds; those without a draft that passes stay without).

    Args:
        author: who writes.
        out: the run's folder; an earlier attempt at the same is taken up.
        count: seeds to try, ``seed`` × 10⁹ and following.
        languages: language → share.
        concurrency: questions in flight.
        on_progress: called with (seeds done, count).

    Raises:
        UserError: the folder holds another run, or is being written to.
    """
    bind(out, {"author": author.describe(), "seed": seed, "languages": dict(languages)})
    result = Yield(wanted=count)
    dedup = Deduplicator(deepest_available())
    done: set[int] = set()
    for line in _lines(out / INTENTS):
        dedup.admit(line["id"], line["natural_language_intent"])
        done.add(int(line["author"]["seed"]))
        result.written += 1
    for line in _lines(out / REFUSED):
        done.add(int(line["seed"]))
        result.without += 1
        result.gates.update(gate for gate, _ in line["refused"])
    first = seed * 1_000_000_000
    missing = [s for s in range(first, first + count) if s not in done]
    result.done_before = count - len(missing)
    written, refused = _log(out, INTENTS), _log(out, REFUSED)
    try:
        for progress, (item, attempt) in enumerate(_attempts(author, missing, languages, concurrency), 1):
            if attempt is None:
                result.unreached += 1
            else:
                _record(attempt, author, dedup, written, refused, result)
            if on_progress is not None:
                on_progress(result.done_before + progress, count)
            del item
    finally:
        written.close()
        refused.close()
    return result


def _record(
    attempt: Attempt,
    author: Author,
    dedup: Deduplicator,
    written: AppendLog,
    refused: AppendLog,
    result: Yield,
) -> None:
    why = list(attempt.refused)
    result.gates.update(gate for gate, _ in attempt.refused)
    draft, item = attempt.draft, attempt.item
    if draft is not None and not dedup.admit(item.id, draft.request):
        why.append(("duplicate", "its request is nearly one that was written before"))
        result.gates["duplicate"] += 1
        draft = None
    if draft is None:
        refused.append(
            (canonical_json({"seed": item.seed, "refused": why}) + "\n").encode("utf-8", "replace")
        )
        result.without += 1
        return
    line = line_of(draft, item, {**author.describe(), "drafts": len(attempt.refused) + 1})
    written.append((canonical_json(line.model_dump()) + "\n").encode("utf-8", "replace"))
    result.written += 1


def _attempts(
    author: Author, seeds: Iterable[int], languages: Mapping[str, float], concurrency: int
) -> Iterator[tuple[Wanted, Attempt | None]]:
    """Yield what came of each seed, in order; None where the endpoint failed, so that another run tries it again."""
    waiting: deque[tuple[Wanted, Future[Attempt]]] = deque()

    def first() -> tuple[Wanted, Attempt | None]:
        item, future = waiting.popleft()
        try:
            return item, future.result()
        except AgentError:
            return item, None

    with ThreadPoolExecutor(concurrency, thread_name_prefix="author") as pool:
        try:
            for seed in seeds:
                item = wanted(seed, languages)
                waiting.append((item, pool.submit(author.attempt, item)))
                if len(waiting) >= 4 * concurrency:
                    yield first()
            while waiting:
                yield first()
        finally:
            pool.shutdown(cancel_futures=True)


def bind(out: Path, run: Mapping[str, Json]) -> None:
    """Make a run's folder, or check that it is one of the same run.

    Raises:
        UserError: it holds another run.
    """
    path = out / RUN
    wanted_run = json.loads(canonical_json(run))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        with replacing(path) as file:
            file.write((canonical_json(run) + "\n").encode())
        return
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: can't be read ({error})") from None
    if found != wanted_run:
        raise UserError(
            f"{out} holds another run of the author; give the same arguments to resume it, or another folder"
        )


def spent(cache: AnswerCache) -> dict[str, int]:
    """Return calls and tokens of all answers that are kept."""
    records = list(cache.records())
    return {
        "calls": len(records),
        "prompt_tokens": sum(int(r["prompt"]) for r in records),
        "completion_tokens": sum(int(r["completion"]) for r in records),
    }


def costs_by_intent(cache: AnswerCache) -> list[dict[str, int]]:
    """Return calls and tokens of each intent of which answers are kept."""
    found: dict[int, Counter[str]] = {}
    for record in cache.records():
        own = found.setdefault(int(record["item"]), Counter())
        own.update(calls=1, prompt=int(record["prompt"]), completion=int(record["completion"]))
    return [dict(found[item]) for item in sorted(found)]


def _log(out: Path, name: str) -> AppendLog:
    try:
        return AppendLog(out / name, side_file=lambda at: out / "torn" / f"{name}-{at}")
    except Locked:
        raise UserError(
            f"{out / name}: another run is writing there; wait for it or give another folder"
        ) from None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for number, raw in enumerate(raw_lines(path), 1):
        if not raw.endswith(b"\n"):
            return  # torn by a kill: the log sets it aside when it is opened
        try:
            yield json.loads(raw)
        except ValueError as error:
            raise UserError(f"{path}:{number}: not JSON ({error}); fix or delete the line") from None
