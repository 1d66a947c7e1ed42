"""Has a model word intents: asks, checks, asks again with the reason, falls back to the catalog's wording if it must.

No intent is ever lost: each ends with a wording that passed the checks, the model's or the catalog's, and says
which. What a model could not do right after all tries is kept as such; what failed because the endpoint was down
is not, so that the same command tries it again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from ise_gym.intents.intent import Intent
from ise_gym.intents.llm.cache import AnswerCache
from ise_gym.intents.llm.endpoint import Endpoint, EndpointFailure
from ise_gym.intents.llm.meaning import meanings
from ise_gym.intents.llm.prompt import PROMPT_VERSION, Wording, messages_for, read_answer, wording_problem
from ise_gym.intents.llm.second import READING_VERSION, second_reading
from ise_gym.messages import sha256_of

Origin = Literal["model", "template"]


@dataclass(frozen=True)
class Realised:
    """One intent's wording.

    Attributes:
        wording: what the user says.
        origin: "template" (the catalog's own wording) when the model failed in every try.
        rejected: why each refused answer was refused, in order.
        cached: no request was made in this run.
    """

    wording: Wording
    origin: Origin
    rejected: tuple[str, ...] = ()
    cached: bool = False

    @property
    def unreached(self) -> bool:
        """The catalog's wording stands in because the endpoint failed, not because of what it said."""
        return self.origin == "template" and any(_kind(reason) == "endpoint" for reason in self.rejected)


@dataclass
class Outcomes:
    """What a run came to, counted while it runs."""

    origins: Counter[str] = field(default_factory=Counter)
    cached: int = 0
    unreached: int = 0
    rejections: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, realised: Realised) -> None:
        """Count one intent."""
        self.origins[realised.origin] += 1
        self.cached += realised.cached
        self.unreached += realised.unreached
        for reason in realised.rejected:
            self.rejections[_kind(reason)] += 1
            if len(self.examples) < 10:
                self.examples.append(reason)

    def to_json(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "origins": dict(sorted(self.origins.items())),
            "cached": self.cached,
            "unreached": self.unreached,
            "rejections": dict(sorted(self.rejections.items())),
            "examples": self.examples,
        }


class LLMRealiser:
    """Words intents with a model.

    Args:
        endpoint: whom to ask.
        cache: where answers are kept.
        tries: how often an intent is asked for, before the catalog's wording is taken.
        concurrency: requests in flight.
        read_again: have each wording read a second time (`ise_gym.intents.llm.second`): two more questions each.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        cache: AnswerCache,
        tries: int = 3,
        concurrency: int = 8,
        read_again: bool = False,
    ) -> None:
        if tries < 1 or concurrency < 1:
            raise ValueError("tries and concurrency must be ≥ 1")
        self.endpoint, self.cache = endpoint, cache
        self.tries, self.concurrency, self.read_again = tries, concurrency, read_again
        self.outcomes = Outcomes()

    def realise_all(self, intents: Iterable[Intent]) -> Iterator[tuple[Intent, Realised]]:
        """Word intents, several at once; they come back in order."""
        with ThreadPoolExecutor(self.concurrency) as pool:
            waiting: deque[tuple[Intent, Future[Realised]]] = deque()
            try:
                for intent in intents:
                    waiting.append((intent, pool.submit(self.realise, intent)))
                    if len(waiting) >= 2 * self.concurrency:
                        yield self._finish(waiting)
                while waiting:
                    yield self._finish(waiting)
            finally:
                pool.shutdown(cancel_futures=True)

    def _finish(self, waiting: deque[tuple[Intent, Future[Realised]]]) -> tuple[Intent, Realised]:
        intent, future = waiting.popleft()
        realised = future.result()
        self.outcomes.add(realised)
        return intent, realised

    def realise(self, intent: Intent) -> Realised:
        """Word one intent.

        Raises:
            UserError: the endpoint refuses the key or the model.
        """
        wanted = meanings(intent)
        asked = messages_for(intent, wanted)
        key = self._key(asked)
        if (kept := self.cache.get(key)) is not None:
            wording = Wording(tuple(kept["utterances"]), kept["text"])
            return Realised(wording, kept["origin"], tuple(kept["rejected"]), cached=True)
        conversation = asked
        rejected: list[str] = []
        for _ in range(self.tries):
            try:
                answer = self.endpoint.ask(conversation)
            except EndpointFailure as failure:
                rejected.append(f"endpoint: {failure}")
                continue
            found = read_answer(answer)
            problem = found if isinstance(found, str) else wording_problem(found, intent, wanted)
            if not problem and self.read_again:
                assert isinstance(found, Wording)
                try:
                    problem = second_reading(self.endpoint.ask, found.utterances, intent.utterances).problem
                except EndpointFailure as failure:
                    rejected.append(f"endpoint: {failure}")
                    continue
            if not problem:
                assert isinstance(found, Wording)
                return self._keep(key, Realised(found, "model", tuple(rejected)))
            rejected.append(problem)
            conversation = [
                *asked,
                {"role": "assistant", "content": answer},
                {
                    "role": "user",
                    "content": f"That can't be used: {problem}. Write the whole JSON object again.",
                },
            ]
        plain = Realised(Wording(intent.utterances, intent.text), "template", tuple(rejected))
        return plain if plain.unreached else self._keep(key, plain)

    def _keep(self, key: str, realised: Realised) -> Realised:
        record = {
            "utterances": list(realised.wording.utterances),
            "text": realised.wording.text,
            "origin": realised.origin,
            "rejected": list(realised.rejected),
        }
        self.cache.put(key, record)
        return realised

    def key(self, intent: Intent) -> str:
        """Return what an answer is kept under: everything that it depends on."""
        return self._key(messages_for(intent))

    def _key(self, asked: list[dict[str, str]]) -> str:
        reading = [READING_VERSION] if self.read_again else []
        return sha256_of([PROMPT_VERSION, self.endpoint.sampling(), self.tries, asked, *reading])


def _kind(reason: str) -> str:
    if reason.startswith("endpoint:"):
        return "endpoint"
    if " lost " in reason:
        return "lost a parameter"
    if "second reading" in reason or "comparison" in reason:
        return "a second reading finds something else"
    if "asks" in reason or "calls its wish off" in reason or "no longer says" in reason:
        return "lost its meaning"
    if "JSON" in reason or reason.startswith("`"):
        return "not the JSON that was asked for"
    return "wrong number of messages" if reason.startswith("there are") else "faulty text"
