"""Golden parity: what is trained continues what is served, on conversations of every shape, played ones and ISETrace's.

For each answer of each conversation: the serving prompt, as token ids, is what stands before the answer in the training
row; the loss covers the answer and its end token, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from made_episodes import AWKWARD, SYSTEM, conversation, episode

from ise_gym.agents.expert import ExpertAgent
from ise_gym.env import ISEEnv
from ise_gym.errors import UserError
from ise_gym.intents.source import IntentSource
from ise_gym.messages import assistant, sha256_of, system, tool_call, tool_result, user
from ise_gym.models.parsing import parse_completion
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import DEFAULT_TOOLS
from ise_gym.tools import tool_schemas
from ise_gym.training.models import TINY_BASE, load_tokenizer
from ise_gym.training.rows import IGNORED, RowOptions, rows_of
from ise_gym.training.template import project_template
from ise_gym.trajectory.exchange.export import to_isetrace
from ise_gym.trajectory.exchange.importer import from_isetrace  # type: ignore[attr-defined]
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.untaught import untaught

TOOLS = tool_schemas(DEFAULT_TOOLS)
WHOLE = RowOptions(max_length=10**6)


@dataclass(frozen=True)
class Talk:
    """A conversation as an agent had it; the first ``inherited`` messages are another's."""

    messages: list[Any]
    tools: list[Any]
    inherited: int = 0


def plain(rng: random.Random) -> Talk:
    return Talk(conversation(rng.randrange(10**6), turns=rng.randint(1, 4)), TOOLS)


def thinking(rng: random.Random) -> Talk:
    return Talk(conversation(rng.randrange(10**6), turns=2, reasoning=True), TOOLS)


def thinking_without_words(rng: random.Random) -> Talk:
    thought = rng.choice([text for text in AWKWARD if text.strip()])
    return Talk(
        [system(SYSTEM), user("hm?"), assistant("", (), thought), user("well?"), assistant("Yes.")], TOOLS
    )


def parallel_calls(rng: random.Random) -> Talk:
    calls = [
        tool_call(
            rng.choice(("exec", "read", "write")), {"path": rng.choice(AWKWARD), "n": [1, None]}, f"call_{n}"
        )
        for n in range(rng.randint(2, 5))
    ]
    results = [
        tool_result(call["id"], call["function"]["name"], rng.choice(AWKWARD), success=True) for call in calls
    ]
    rng.shuffle(results)
    return Talk(
        [system(SYSTEM), user("all at once"), assistant("", calls), *results, assistant("Done.")], TOOLS
    )


def failed_calls(rng: random.Random) -> Talk:
    broken = [tool_call("exec", rng.choice(('{"command": "half', "[]", "")), "call_1")]
    return Talk(
        [
            user("go"),
            assistant(rng.choice(AWKWARD), broken),
            tool_result("call_1", "exec", "error: no such call", success=False, exit_code=2),
            assistant("", [tool_call("nonsense", {}, "call_2")]),
            tool_result("call_2", "nonsense", "unknown tool", success=False),
            assistant("I can't."),
        ],
        TOOLS,
    )


def nothing_said(rng: random.Random) -> Talk:
    return Talk([system(SYSTEM), user(rng.choice(AWKWARD)), assistant(""), user(""), assistant("")], TOOLS)


def unicode(rng: random.Random) -> Talk:
    odd = "".join(
        chr(rng.choice((0x301, 0x4E00, 0x1F600, 0x202E, 0x200D, 0x1B, 0x7F, 0xFEFF, 0x10FFFF)))
        for _ in range(9)
    )
    call = tool_call("write", {"path": f"{odd}.txt", "content": odd}, "call_1")
    return Talk(
        [
            user(odd),
            assistant(odd, [call], odd),
            tool_result("call_1", "write", odd, success=True),
            assistant(odd),
        ],
        TOOLS,
    )


def no_tools(rng: random.Random) -> Talk:
    talk: list[Any] = [system(SYSTEM)] if rng.random() < 0.5 else []
    for _ in range(rng.randint(1, 4)):
        talk += [user(rng.choice(AWKWARD)), assistant(rng.choice(AWKWARD) or "Fine.")]
    return Talk(talk, [])


def truncated(rng: random.Random) -> Talk:
    """Stopped anywhere after the first answer: in the middle of a message's results, or after the user spoke."""
    messages = conversation(rng.randrange(10**6), turns=3)
    first = next(at for at, message in enumerate(messages) if message["role"] == "assistant")
    return Talk(messages[: rng.randint(first + 1, len(messages))], TOOLS)


def sub_session(rng: random.Random) -> Talk:
    opening = [system("You are a sub-agent."), user(f"[Task] {rng.choice(AWKWARD)}")]
    return Talk(opening + conversation(rng.randrange(10**6), turns=1)[2:], TOOLS[:3])


def forked_session(rng: random.Random) -> Talk:
    messages = conversation(rng.randrange(10**6), turns=2)
    asked = [at for at, message in enumerate(messages) if message["role"] == "user"][1]
    start = messages[: asked + 1]
    return Talk([*start, user("[Task] count"), assistant("7", (), "one, two")], TOOLS[:3], len(start))


SHAPES: tuple[Callable[[random.Random], Talk], ...] = (
    plain,
    thinking,
    thinking_without_words,
    parallel_calls,
    failed_calls,
    nothing_said,
    unicode,
    no_tools,
    truncated,
    sub_session,
    forked_session,
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """The shipped tokenizer: whole words are tokens, so that a border in the wrong place shows."""
    loaded = load_tokenizer(str(TINY_BASE))
    loaded.chat_template = project_template()
    return loaded


def talks(count: int = 200) -> Iterator[tuple[str, Talk]]:
    for seed in range(count):
        shape = SHAPES[seed % len(SHAPES)]
        yield f"{shape.__name__}-{seed}", shape(random.Random(seed))


def check(tokenizer: Any, name: str, talk: Talk) -> int:
    """Hold a conversation's row to its serving prompts; returns the number of answers in the loss.

    What is in the loss is read back as what was said; what can't be is left out, and counted.
    """
    made = rows_of(tokenizer, name, talk.messages, talk.tools, WHOLE, inherited=talk.inherited)
    left_out = {at: why for at, why in untaught(talk.messages).items() if at >= talk.inherited}
    spoken = {at for at, m in enumerate(talk.messages) if m["role"] == "assistant" and at >= talk.inherited}
    counted = [("an answer that is not taught", f"message {at}: {why}") for at, why in left_out.items()]
    if spoken == set(left_out):
        assert list(made.dropped) == [*counted, ("nothing to learn", "no token is in the loss")], name
        return 0
    assert list(made.dropped) == counted, (name, made.dropped)
    [row] = made.rows
    learned = [label != IGNORED for label in row.labels]
    answers = 0
    for at, message in enumerate(talk.messages):
        if message["role"] != "assistant" or at < talk.inherited:
            continue
        served = tokenizer.apply_chat_template(
            talk.messages[:at], tools=talk.tools or None, add_generation_prompt=True, return_dict=True
        )["input_ids"]
        start = len(served)
        assert row.input_ids[:start] == served, name
        end = row.input_ids.index(tokenizer.convert_tokens_to_ids("<|im_end|>"), start) + 1
        if at in left_out:
            continue
        assert row.labels[start:end] == row.input_ids[start:end], name
        assert_read_back(tokenizer.decode(row.input_ids[start : end - 1]), message)
        learned[start:end] = [False] * (end - start)
        answers += 1
    assert not any(learned), name
    return answers


def assert_read_back(text: str, message: dict[str, Any]) -> None:
    """The parser that plays such a model reads what was recorded; control tokens in it are broken up, as the template does."""

    def plain_text(value: str) -> str:
        for token in ("im_start", "im_end", "endoftext"):
            value = value.replace(f"<|{token}|>", f"<| {token} |>")
        return value

    read = parse_completion(text)
    assert read["content"] == plain_text(message["content"]).strip()
    assert (read.get("reasoning_content") or "") == plain_text(message.get("reasoning_content") or "").strip()
    said = [
        (call["function"]["name"], json.loads(plain_text(call["function"]["arguments"])))
        for call in message.get("tool_calls") or ()
    ]
    assert said == [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in read.get("tool_calls") or ()
    ]


def test_two_hundred_trajectories_of_every_shape(tokenizer: Any) -> None:
    answers: Counter[str] = Counter()
    for name, talk in talks():
        answers[name.partition("-")[0]] += check(tokenizer, name, talk)
    assert len(answers) == len(SHAPES) and sum(answers.values()) > 400


def test_the_same_through_isetrace_records(tokenizer: Any) -> None:
    for name, talk in talks():
        made = episode(name, talk.messages, tools=talk.tools)
        record = json.loads(json.dumps(to_isetrace(made)))
        back = from_isetrace(record, Counter())
        assert _ids(tokenizer, back) == _ids(tokenizer, made), name


def test_records_of_the_released_form_are_trained_as_they_are_served(tokenizer: Any) -> None:
    """Without our metadata, with nulls for empty words and arguments as objects: as ISETrace was published."""
    repairs: Counter[str] = Counter()
    answers = 0
    for name, talk in talks():
        record = json.loads(json.dumps(to_isetrace(episode(name, talk.messages, tools=talk.tools))))
        del record["metadata"]["ise_gym"]
        for message in record["messages"]:
            message["content"] = message["content"] or None
            for call in message.get("tool_calls") or ():
                with contextlib.suppress(ValueError):  # a call that was broken when recorded stays text
                    call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        back = from_isetrace(record, repairs)
        answers += check(tokenizer, name, Talk(back.messages, back.tools))
    assert repairs and answers > 400


def _ids(tokenizer: Any, trajectory: Trajectory) -> Sequence[Any]:
    made = rows_of(tokenizer, "x", trajectory.messages, trajectory.tools, WHOLE)
    return [(row.input_ids, row.labels) for row in made.rows]


@pytest.mark.parametrize(
    "options",
    [
        {"tasks": ("intelligence-core/delegate-comparison",), "tasks_per_intent": 1},
        {"tier": "easy", "domains": ("file-io",), "tasks_per_intent": 2},
    ],
    ids=["delegating", "two tasks"],
)
def test_what_the_expert_played(tokenizer: Any, options: dict[str, Any]) -> None:
    try:
        env = ISEEnv()
    except UserError as problem:
        pytest.skip(f"no sandbox on this machine: {problem}")
    try:
        played = play_episode(env, ExpertAgent(), IntentSource(split="train", **options).scenario(0), 0)
    finally:
        env.close()
    assert played.outcome == "passed"
    assert check(tokenizer, "main", Talk(played.messages, played.tools)) >= 2
    assert ("delegate" in played.tasks[0]) == bool(played.sessions)
    for session in played.sessions:
        talk = Talk(session["messages"], played.tools, session["inherited"])
        assert check(tokenizer, session["key"], talk) >= 1
    back = from_isetrace(json.loads(json.dumps(to_isetrace(played))), Counter())
    assert _ids(tokenizer, back) == _ids(tokenizer, played)
    assert sha256_of(back.sessions) == sha256_of(played.sessions)
