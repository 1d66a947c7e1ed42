"""Nothing is cut and nothing disappears unnamed between a store and the rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_episodes import SYSTEM, TOOLS, conversation, episode

from ise_gym.errors import UserError
from ise_gym.messages import assistant, system, tool_call, tool_result, user
from ise_gym.training.config import DataConfig
from ise_gym.training.data import build_dataset
from ise_gym.training.rows import IGNORED, RowOptions, rows_of
from ise_gym.training.template import encode, project_template
from ise_gym.trajectory.record import Completion, Step


def said(tokenizer: Any, labels: list[int]) -> str:
    return str(tokenizer.decode([label for label in labels if label != IGNORED]))


def _call(name: Any, arguments: Any) -> Any:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def long_talk(turns: int) -> list[Any]:
    messages: list[Any] = [system(SYSTEM)]
    for turn in range(turns):
        messages += [user(f"request {turn} " + "blah " * 10), assistant(f"answer {turn} " + "word " * 10)]
    return messages


def test_broken_empty_overlong_and_unlearnable_rows_are_counted_and_named(
    tiny_tokenizer: Any, make_store: Callable[..., Path]
) -> None:
    good = episode("good", conversation(1))
    failing = [
        system(SYSTEM),
        user("go"),
        assistant("", [tool_call("exec", {"command": "x"}, "call_1")]),
        tool_result("call_1", "exec", "no", success=False, exit_code=1),
    ]

    def written(name: str, last: dict[str, Any]) -> bytes:
        """A line that some other program wrote: a record of this one has no such message."""
        record = json.loads(episode(name, [user("hi"), assistant("!")]).model_dump_json())
        record["messages"][1] = last
        return json.dumps(record).encode() + b"\n"

    foreign = [
        written("nulls", {"role": "assistant", "content": None}),
        written("nameless", {**assistant(""), "tool_calls": [_call(None, "{}")]}),
        written("wordless", {**assistant(""), "tool_calls": [_call("exec", 5)]}),
    ]
    store = make_store(
        [
            good,
            episode("empty", []),
            episode("speechless", [system(SYSTEM), user("hello?")]),
            episode(
                "orphan", [user("hi"), tool_result("call_9", "exec", "?", success=True), assistant("hm")]
            ),
            episode("half-a-pair", [user("hi"), assistant("fine \ud83d")]),
            episode("giant", [system(SYSTEM), user("hi"), assistant("long " * 3000)]),
            episode("all-masked", failing),
            episode("failed", conversation(2), outcome="failed"),
            episode("held-out", conversation(3), split="eval"),
            episode("good", conversation(1)),
        ],
        raw=[*foreign, b'{"schema_version": 1, "episode_id": "half"}\n', b"not json at all\n"],
    )
    data = build_dataset(
        DataConfig(store=str(store), max_length=4000, mask_failed_calls=True), tiny_tokenizer
    )
    report = data.report
    assert report.episodes == 15
    assert report.used == 1
    counts = {reason: len(names) for reason, names in report.left_out.items()}
    assert counts == {
        "broken": 7,
        "empty": 2,
        "over-long": 1,
        "nothing to learn": 1,
        "outcome failed": 1,
        "split eval": 1,
        "recorded twice": 1,
    }
    text = "\n".join(report.lines())
    for name in (
        "orphan",
        "half-a-pair",
        "speechless",
        "giant",
        "all-masked",
        "failed",
        "held-out",
        "line 11",
        "line 12",
        "line 13",
        "line 15",
    ):
        assert name in text or name in str(report.left_out)
    assert report.as_json()["left_out"]["over-long"]["count"] == 1
    assert report.learned_tokens == sum(row.learned for row in data.rows)


def test_nothing_left_is_an_error_that_says_why(tiny_tokenizer: Any, make_store: Callable[..., Path]) -> None:
    store = make_store([episode("a", conversation(1), outcome="failed")])
    with pytest.raises(UserError, match=r"nothing to train on .* left out, outcome failed: 1"):
        build_dataset(DataConfig(store=str(store)), tiny_tokenizer)


def test_long_episodes_become_windows_that_learn_every_answer_once(tiny_tokenizer: Any) -> None:
    messages = long_talk(9)
    whole = len(encode(tiny_tokenizer, messages, TOOLS).input_ids)
    head = len(encode(tiny_tokenizer, messages[:1], TOOLS).input_ids)
    limit = head + (whole - head) // 3 + 10
    result = rows_of(tiny_tokenizer, "long", messages, TOOLS, RowOptions(max_length=limit))
    assert len(result.rows) >= 3
    assert not result.dropped
    learned = "".join(said(tiny_tokenizer, row.labels) for row in result.rows)
    for turn in range(9):
        assert learned.count(f"answer {turn} ") == 1
    prompt = encode(tiny_tokenizer, messages[:1], TOOLS).input_ids
    for row in result.rows:
        assert len(row.input_ids) <= limit
        assert row.input_ids[: len(prompt)] == prompt
        assert tiny_tokenizer.decode(row.input_ids).count("request") >= 1


def test_drop_and_the_turn_that_never_fits(tiny_tokenizer: Any) -> None:
    messages = long_talk(3)
    messages[4] = assistant("huge " * 2000)
    options = RowOptions(max_length=1500 + len(encode(tiny_tokenizer, messages[:1], TOOLS).input_ids))
    result = rows_of(tiny_tokenizer, "long", messages, TOOLS, options)
    assert [reason for reason, _ in result.dropped] == ["over-long"]
    assert "user turn 1 alone is" in result.dropped[0][1]
    learned = "".join(said(tiny_tokenizer, row.labels) for row in result.rows)
    assert "answer 0" in learned and "answer 2" in learned and "huge" not in learned
    dropped = rows_of(
        tiny_tokenizer, "long", messages, TOOLS, RowOptions(max_length=options.max_length, over_long="drop")
    )
    assert not dropped.rows and dropped.dropped[0][0] == "over-long"


def test_failed_calls_stay_in_context_but_out_of_the_loss(tiny_tokenizer: Any) -> None:
    messages = [
        user("go"),
        assistant("", [tool_call("exec", {"command": "mistake"}, "call_1")]),
        tool_result("call_1", "exec", "error", success=False, exit_code=2),
        assistant("", [tool_call("exec", {"command": "better"}, "call_2")]),
        tool_result("call_2", "exec", "fine", success=True, exit_code=0),
        assistant("finished"),
    ]
    plain = rows_of(tiny_tokenizer, "a", messages, TOOLS, RowOptions(max_length=9999)).rows[0]
    masked = rows_of(
        tiny_tokenizer, "a", messages, TOOLS, RowOptions(max_length=9999, mask_failed_calls=True)
    ).rows[0]
    assert plain.input_ids == masked.input_ids
    assert "mistake" in said(tiny_tokenizer, plain.labels)
    assert said(tiny_tokenizer, masked.labels) == said(tiny_tokenizer, plain.labels).split("<|im_end|>", 1)[1]


def test_single_user_turn_keeps_only_the_first(tiny_tokenizer: Any) -> None:
    row = rows_of(
        tiny_tokenizer, "a", long_talk(4), (), RowOptions(max_length=9999, single_user_turn=True)
    ).rows[0]
    assert said(tiny_tokenizer, row.labels).startswith("answer 0")
    assert "request 1" not in tiny_tokenizer.decode(row.input_ids)


def test_what_follows_the_last_answer_is_not_kept(tiny_tokenizer: Any) -> None:
    messages = [*long_talk(1), user("many thanks, bye")]
    row = rows_of(tiny_tokenizer, "a", messages, (), RowOptions(max_length=9999)).rows[0]
    assert "bye" not in tiny_tokenizer.decode(row.input_ids)


def test_last_turn_thinking_learns_every_thought_where_it_is_visible(tiny_tokenizer: Any) -> None:
    messages: list[Any] = []
    for turn in range(3):
        messages += [user(f"request {turn}"), assistant(f"answer {turn}", (), f"thought {turn}")]
    rows = rows_of(tiny_tokenizer, "a", messages, (), RowOptions(max_length=9999, thinking="last-turn")).rows
    assert len(rows) == 3
    for turn, row in enumerate(rows):
        text = said(tiny_tokenizer, row.labels)
        assert f"thought {turn}" in text and f"answer {turn}" in text
        assert text.count("answer") == 1
        assert tiny_tokenizer.decode(row.input_ids).count("thought") == 1


def test_filters_and_nested_fractions(tiny_tokenizer: Any, make_store: Callable[..., Path]) -> None:
    episodes = [
        episode(
            f"e{i}",
            conversation(i, turns=1),
            domains=["file-io" if i % 2 else "code-runtime"],
            tasks=[f"task-{i % 3}"],
            complexity="simple",
            user={"guard": {"fallbacks": int(i == 5), "resamples": 0}},
        )
        for i in range(30)
    ]
    store = str(make_store(episodes))

    def names(**changes: Any) -> set[str]:
        data = build_dataset(DataConfig(store=store, **changes), tiny_tokenizer)
        return {row.name for row in data.rows}

    assert len(names(domains=("file-io",))) == 15
    assert len(names(tasks=("task-0",), domains=("file-io",))) == 5
    assert names() - names(guard_clean=True) == {"e5"}
    assert len(names(max_episodes=4)) == 4
    assert names(fraction=0.25) < names(fraction=0.6) < names()
    with pytest.raises(UserError, match="other complexity: 30"):
        names(complexities=("complex",))


def test_data_hash_is_of_rows_and_template(tiny_tokenizer: Any, make_store: Callable[..., Path]) -> None:
    import copy

    first = make_store([episode("a", conversation(1))], name="one")
    again = make_store([episode("a", conversation(1))], name="two")
    other = make_store([episode("a", conversation(2))], name="three")
    other_template = copy.deepcopy(tiny_tokenizer)
    other_template.chat_template = project_template("strip")

    def of(store: Path, tokenizer: Any = tiny_tokenizer) -> str:
        return build_dataset(DataConfig(store=str(store)), tokenizer).report.data_hash

    assert of(first) == of(again)
    assert len({of(first), of(other), of(first, other_template)}) == 3


def test_dataset_columns(tiny_tokenizer: Any, make_store: Callable[..., Path]) -> None:
    data = build_dataset(DataConfig(store=str(make_store([episode("a", conversation(1))]))), tiny_tokenizer)
    table = data.dataset()
    assert set(table.column_names) == {"input_ids", "labels", "length"}
    assert table[0]["input_ids"] == data.rows[0].input_ids
    assert table[0]["length"] == len(data.rows[0].labels)


def delegating() -> Any:
    """An episode whose agent delegated twice: from scratch (answered, with a mistake), and as a fork (cut off)."""
    main = [
        system(SYSTEM),
        user("compare the two"),
        assistant("", [tool_call("sessions_spawn", {"task": "look"}, "call_1")]),
        tool_result("call_1", "sessions_spawn", "result: 3", success=True),
        assistant("It is 3."),
        user("and again"),
        assistant("", [tool_call("sessions_spawn", {"task": "again", "context": "fork"}, "call_2")]),
        tool_result("call_2", "sessions_spawn", "result: 4", success=True),
        assistant("It is 4."),
    ]
    first = [
        system("You are a sub-agent."),
        user("[Task] look"),
        assistant("", [tool_call("write", {"path": "oops"}, "look_call_1")]),
        tool_result("look_call_1", "write", "no", success=False, exit_code=1),
        assistant("I found 3."),
    ]
    forked = [*main[:6], user("[Task] again"), assistant("I found 4.")]

    def session(
        key: str, call: str, messages: list[Any], inherited: int, status: str = "done"
    ) -> dict[str, Any]:
        return {
            "key": key,
            "opened_by": [call],
            "messages": messages,
            "inherited": inherited,
            "status": status,
        }

    spawn = {"type": "function", "function": {"name": "sessions_spawn", "parameters": {}}}
    return episode(
        "boss",
        main,
        tools=[*TOOLS, spawn],
        sessions=[
            session("main:look", "call_1", first, 0),
            session("main:again", "call_2", forked, 6),
            session("main:lost", "call_2", forked, 6, "cut"),
        ],
    )


def test_sub_sessions_are_rows_of_their_own(tiny_tokenizer: Any, make_store: Callable[..., Path]) -> None:
    store = str(make_store([delegating()]))

    def rows(**changes: Any) -> tuple[dict[str, Any], Any]:
        data = build_dataset(DataConfig(store=store, **changes), tiny_tokenizer)
        return {row.name: row for row in data.rows}, data.report

    found, report = rows()
    assert list(found) == ["boss", "boss/main:look", "boss/main:again"]
    assert (report.used, report.sub_sessions, report.as_json()["sub_sessions"]) == (1, 2, 2)
    assert any("sub-sessions with rows of their own: 2" in line for line in report.lines())
    assert report.left_out["sub-session cut"] == ["boss/main:lost (the episode ended before it answered)"]
    look, again = found["boss/main:look"], found["boss/main:again"]
    assert "oops" in said(tiny_tokenizer, look.labels) and "I found 3." in said(tiny_tokenizer, look.labels)
    # A sub-session can't delegate: what it was not offered is not in its prompt.
    assert "sessions_spawn" in tiny_tokenizer.decode(found["boss"].input_ids)
    assert "sessions_spawn" not in tiny_tokenizer.decode(look.input_ids)
    # What a fork inherited is context: it is learned in the main conversation.
    assert "It is 3." in tiny_tokenizer.decode(again.input_ids)
    assert said(tiny_tokenizer, again.labels) == "I found 4.<|im_end|>"
    assert "It is 3." in said(tiny_tokenizer, found["boss"].labels)
    assert "oops" not in said(tiny_tokenizer, rows(mask_failed_calls=True)[0]["boss/main:look"].labels)
    assert list(rows(sub_sessions=False)[0]) == ["boss"]
    assert list(rows(single_user_turn=True)[0]) == ["boss", "boss/main:look"]


def test_an_overlong_fork_learns_only_its_own_words(tiny_tokenizer: Any) -> None:
    messages = [*long_talk(6), user("[Task] sum up"), assistant("six requests")]
    limit = len(encode(tiny_tokenizer, messages[-3:], ()).input_ids) + 60
    made = rows_of(
        tiny_tokenizer, "fork", messages, (), RowOptions(max_length=limit), inherited=len(messages) - 2
    )
    assert [said(tiny_tokenizer, row.labels) for row in made.rows] == ["six requests<|im_end|>"]
    first = RowOptions(max_length=9999, single_user_turn=True)
    [row] = rows_of(tiny_tokenizer, "fork", messages, (), first, inherited=len(messages) - 2).rows
    assert said(tiny_tokenizer, row.labels) == "six requests<|im_end|>"


@pytest.mark.parametrize(
    ("completion", "why"),
    [
        (Completion(finish="length", ended="cut"), "cut for its length"),
        (Completion(finish="SAFETY", ended="filtered"), "filtered by the provider"),
        (Completion(finish="abort", ended="broken"), "given up by the server"),
        (Completion(finish="stop", ended="stop", faults=["surrogate"]), "half a surrogate pair"),
        (
            Completion(finish="stop", ended="stop", faults=["call in words"]),
            "a call in its words that nobody read",
        ),
        (Completion(finish="stop", ended="stop", faults=["continued"]), ""),
        (None, ""),
    ],
)
def test_what_its_server_marked_is_read_and_never_taught(
    tiny_tokenizer: Any, completion: Completion | None, why: str
) -> None:
    messages = [user("go"), assistant("I have written the gree"), user("and?"), assistant("Done now.")]
    steps = [Step(message=1, reward=0.0, completion=completion), Step(message=3, reward=1.0)]
    made = rows_of(tiny_tokenizer, "a", messages, (), RowOptions(max_length=9999), steps=steps)
    [row] = made.rows
    learned = tiny_tokenizer.decode(
        [t for t, label in zip(row.input_ids, row.labels, strict=True) if label != -100]
    )
    assert "gree" in tiny_tokenizer.decode(row.input_ids) and "Done now." in learned
    assert ("gree" in learned) == (not why)
    assert [detail for _, detail in made.dropped] == ([f"message 1: {why}"] if why else [])
