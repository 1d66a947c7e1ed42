"""A judge model whose failures are failures.

The benchmark's judge retries for minutes and then hands `None` to the grader, which crashes or scores zero. Its
prompts and its parsing are kept (they are its own class); only the client under it is ours: with a disk cache, its
own retries, and an exception that nothing between here and the worker can swallow.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ise_gym.errors import UserError, nearest
from ise_gym.evaluation.claweval.models.endpoint import ChatEndpoint, EndpointError
from ise_gym.evaluation.claweval.models.slots import Slots
from ise_gym.messages import sha256_of

KINDS = {
    "none": "none (play only the tasks that need no judge)",
    "stub": "stub, stub:SCORE or stub:hash (an answer that is constant, or made of the prompt; to compare harnesses)",
    "openai": "openai:MODEL (an OpenAI-compatible endpoint)",
}
HASH = "hash"
REPEATS = 3
"""How often one trial may ask the very same question: the benchmark asks again when it can't parse an answer."""


class JudgeFailed(BaseException):
    """The judge gave no usable answer. Not an `Exception`: see the module."""


class UserFailed(BaseException):
    """The model behind the simulated user gave no usable answer."""


class ModelRefused(BaseException):
    """The endpoint of judge or user refused the key, or does not know the model: the user's to fix, so the run ends."""


@dataclass(frozen=True)
class JudgeSpec:
    """Which judge.

    Attributes:
        kind: none, stub or openai.
        model: model id, or the stub's score.
        base_url, api_key_env: endpoint, and the environment variable that holds its key.
        timeout_s, retries: of one request.
        cache: folder of cached answers; "" for none.
        concurrency: requests at once over all workers, counted in the folder ``slots``; 0 for no limit.
        price_in, price_out: dollars a million tokens; 0 when not known.
    """

    kind: str
    model: str = ""
    base_url: str = ""
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    retries: int = 3
    cache: str = ""
    concurrency: int = 0
    slots: str = ""
    price_in: float = 0.0
    price_out: float = 0.0

    @property
    def text(self) -> str:
        """As written on the command line; what a run card records."""
        return f"{self.kind}:{self.model}" if self.model else self.kind


def parse_judge(spec: str, *, base_url: str = "", cache: str = "", **options: Any) -> JudgeSpec:
    """Parse ``none``, ``stub``, ``stub:0.8`` or ``openai:MODEL``.

    Raises:
        UserError: unknown, or incomplete.
    """
    kind, _, rest = spec.partition(":")
    if kind not in KINDS:
        raise UserError(f"unknown judge '{spec}'.{nearest(kind, KINDS)} Known: {'; '.join(KINDS.values())}.")
    if kind == "openai" and not rest:
        raise UserError(f"'{spec}' is incomplete: write {KINDS['openai']}.")
    if kind == "none" and rest:
        raise UserError(f"'{spec}': write {KINDS['none']}.")
    if kind == "stub" and rest == HASH:
        return JudgeSpec(kind, HASH)
    if kind == "stub":
        try:
            score = float(rest or 0.8)
        except ValueError:
            score = -1
        if not 0 <= score <= 1:
            raise UserError(f"'{spec}': the stub's score must be a number from 0 to 1, or the word hash.")
        return JudgeSpec(kind, str(score))
    return JudgeSpec(kind, rest, base_url=base_url, cache=cache, **options)


@dataclass
class JudgeClient:
    """Quacks like ``openai.OpenAI`` as far as ``chat.completions.create`` goes.

    Args:
        spec: which judge.
        ask: sends one request and returns the answer's text and its token counts; raises `EndpointError`.
        failure: what is raised when it gives no answer. ``seat``: what it is called in messages.
        repeats: how often a trial may ask the very same question; 0 for any number.

    Attributes:
        calls, cached: questions of the present trial, and how many the cache answered. ``tokens``: in and out.
        retried: requests of it that failed and were sent again.
    """

    spec: JudgeSpec
    ask: Callable[[Mapping[str, Any]], tuple[str, tuple[int, int]]]
    sleep: Callable[[float], None] = time.sleep
    failure: type[BaseException] = JudgeFailed
    seat: str = "judge"
    repeats: int = REPEATS
    calls: int = 0
    cached: int = 0
    retried: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    _asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))
        self._slots = Slots(self.spec.slots if self.spec.concurrency else "", self.spec.concurrency)

    @property
    def cost(self) -> float:
        """Dollars of the present trial, as far as prices are known; cached answers cost nothing."""
        read, written = self.tokens
        return (read * self.spec.price_in + written * self.spec.price_out) / 1e6

    def begin_trial(self) -> None:
        """Forget the last trial's questions."""
        self.calls, self.cached, self.retried, self.tokens = 0, 0, 0, [0, 0]
        self._asked.clear()

    def _create(self, **request: object) -> Any:
        self.calls += 1
        key = sha256_of({"model": request.get("model"), "messages": request.get("messages")})
        self._asked[key] += 1
        if self.repeats and self._asked[key] > self.repeats:
            raise self.failure(f"{self.spec.model}: answer: none could be parsed in {self.repeats} tries")
        text = self._from_cache(key) if self._asked[key] == 1 else None
        if text is None:
            text = self._from_endpoint(request)
            self._to_cache(key, text)
        else:
            self.cached += 1
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=text))], usage=None)

    def _from_endpoint(self, request: Mapping[str, object]) -> str:
        problem, wait = "", 0.0
        for attempt in range(self.spec.retries + 1):
            if attempt:
                self.retried += 1
                self.sleep(max(wait, min(8.0, 0.5 * 2**attempt)))
            try:
                with self._slots.held():
                    text, (read, written) = self.ask(request)
            except EndpointError as error:
                if error.remedy:
                    raise ModelRefused(
                        f"the {self.seat}'s endpoint refused {self.spec.model}: {str(error)[:300]}. What to do: "
                        f"{error.remedy} (its key is read from {self.spec.api_key_env}); the same command resumes."
                    ) from None
                problem, wait = str(error), error.retry_after
                if error.final:
                    break
                continue
            self.tokens[0] += read
            self.tokens[1] += written
            if text.strip():
                return text
            problem, wait = "answer: empty", 0.0
        raise self.failure(f"{self.spec.model}: {problem[:300]}")

    def _file(self, key: str) -> Path:
        return Path(self.spec.cache) / key[:2] / f"{key}.json"

    def _from_cache(self, key: str) -> str | None:
        if not self.spec.cache:
            return None
        try:
            value = json.loads(self._file(key).read_bytes())
        except (FileNotFoundError, ValueError):  # a file cut short by a crash is as good as none
            return None
        return str(value["answer"])

    def _to_cache(self, key: str, answer: str) -> None:
        if not self.spec.cache:
            return
        file = self._file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
            json.dump({"model": self.spec.model, "answer": answer}, draft, ensure_ascii=False)
        Path(draft.name).replace(file)


def make_client(spec: JudgeSpec) -> JudgeClient:
    """Make the client of a judge.

    Raises:
        UserError: the key is missing.
    """
    if spec.kind == "stub":
        return JudgeClient(spec, lambda request: (_stub_answer(spec.model, request), (0, 0)))
    return JudgeClient(spec, _endpoint(spec))


def _stub_answer(score: str, request: Mapping[str, object]) -> str:
    if score == HASH:  # a judge that differs as soon as one character of what it is told does
        score = str(int(sha256_of(request.get("messages"))[:6], 16) % 101 / 100)
    return json.dumps({"score": float(score), "reasoning": "stub"})


def make_user_client(spec: JudgeSpec) -> JudgeClient:
    """Make the client of the model that plays the user; nothing is cached, since it is sampled.

    Raises:
        UserError: the key is missing.
    """
    client = make_client(dataclasses.replace(spec, cache=""))
    client.failure, client.seat, client.repeats = UserFailed, "user", 0
    return client


def _endpoint(spec: JudgeSpec) -> Callable[[Mapping[str, Any]], tuple[str, tuple[int, int]]]:
    key = os.environ.get(spec.api_key_env, "")
    if not key and not spec.base_url:
        raise UserError(
            f"the judge needs a key in {spec.api_key_env}, or --judge-base-url for a local endpoint."
        )
    return ChatEndpoint(spec.base_url or "https://api.openai.com/v1", key, spec.timeout_s).ask
