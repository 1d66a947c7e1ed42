from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trajectory_samples import trajectory

from ise_gym.errors import UserError
from ise_gym.messages import assistant, user
from ise_gym.trajectory.exchange.export import export_file
from ise_gym.trajectory.filter import Rules, broken_rules, filter_store
from ise_gym.trajectory.secrets import scan, scan_personal, scan_trajectory
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

TOKEN = "ghp_" + "a1B2" * 9


def store(path: Path, *trajectories: Any) -> Path:
    with TrajectoryStore(path) as made:
        for t in trajectories:
            made.append(t)
    return path


@pytest.mark.parametrize(
    ("rules", "kept", "dropped"),
    [
        (Rules(), ["intent_1", "intent_3"], {"outcome failed": 1}),
        (Rules(outcomes=("passed", "failed"), min_score=0.7), ["intent_1", "intent_3"], {"score too low": 1}),
        (Rules(guard_clean=True), [], {"outcome failed": 1, "role drift": 3}),
        (Rules(max_messages=9), ["intent_3"], {"outcome failed": 1, "too many messages": 2}),
        (Rules(max_tool_calls=2, max_user_turns=1), ["intent_3"], None),
        (Rules(min_user_turns=2), ["intent_1"], {"outcome failed": 1, "too few user turns": 1}),
        (Rules(recovery=True), ["intent_1"], {"outcome failed": 1, "no recovery": 1}),
        (Rules(no_secrets=True), ["intent_1"], {"outcome failed": 1, "secrets": 1}),
        (Rules(domains=("code",)), [], {"outcome failed": 1, "other domains": 3}),
    ],
)
def test_each_rule(tmp_path: Path, rules: Rules, kept: list[str], dropped: dict[str, int] | None) -> None:
    short = trajectory(3, messages=[user(f"my token is {TOKEN}"), assistant("Thanks.")])
    source = store(tmp_path / "in", trajectory(1), trajectory(2, "failed"), short)
    counts = filter_store(source, tmp_path / "out", rules)
    assert [t.scenario_id for t in read_trajectories(tmp_path / "out")] == kept
    assert (counts.seen, counts.kept) == (3, len(kept))
    if dropped is not None:
        assert counts.dropped == dropped
    again = filter_store(source, tmp_path / "out", rules)
    assert again == counts and len(list(read_trajectories(tmp_path / "out"))) == len(kept)


def test_equal_conversations_are_kept_once(tmp_path: Path) -> None:
    twin = trajectory(1, episode_id="twin", scenario_id="other")
    counts = filter_store(
        store(tmp_path / "in", trajectory(1), twin, trajectory(2)), tmp_path / "out", Rules(unique=True)
    )
    assert (counts.kept, counts.dropped) == (2, {"duplicate": 1})


def test_other_rules_or_the_source_itself_are_refused(tmp_path: Path) -> None:
    source = store(tmp_path / "in", trajectory(1))
    filter_store(source, tmp_path / "out", Rules())
    with pytest.raises(UserError, match=r"holds another run \(rules\.unique was False, now True\)"):
        filter_store(source, tmp_path / "out", Rules(unique=True))
    with pytest.raises(UserError, match="is the source"):
        filter_store(source, source, Rules())


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"min_user_turns": 9, "max_user_turns": 3}, "--min-user-turns 9 and --max-user-turns 3"),
        ({"min_user_turns": 9, "max_messages": 8}, "--min-user-turns 9 and --max-messages 8"),
        ({"recovery": True, "max_tool_calls": 1}, "--recovery and --max-tool-calls 1"),
    ],
)
def test_bounds_that_contradict_each_other_are_refused(bounds: dict[str, int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Rules(**bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("AKIA" + "Z" * 16, ["aws access key"]),
        (TOKEN, ["github token"]),
        ("key=sk-ant-" + "x" * 40, ["model provider key"]),
        ("hf_" + "k" * 34, ["hugging face token"]),
        ("-----BEGIN " + "OPENSSH PRIVATE KEY-----", ["private key"]),
        ("postgres://bob:hunter22@db/x", ["password in a url"]),
        ("https://user@host/ and http://a:80/b and https://$USER:$PASS@host", []),
        ("sk-learn is fine, so is a task-list and ghp_short", []),
        ("mail me at a.person@example.com", []),
    ],
)
def test_credentials_are_known_by_their_shape(text: str, kinds: list[str]) -> None:
    assert list(scan(text)) == kinds


def test_values_of_this_process_environment_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVICE_API_KEY", "correct-horse-battery")
    leaky = trajectory(1, messages=[user("hi"), assistant("it is correct-horse-battery")])
    assert scan_trajectory(leaky) == {"value of $MY_SERVICE_API_KEY": 1}
    counts = export_file(store(tmp_path / "s", leaky), "openai", tmp_path / "o.jsonl")
    assert counts.secrets == {"value of $MY_SERVICE_API_KEY": 1}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("write to ada@heron-labs.io", {"e-mail address": 1}),
        ("ada@example.com, bo@mail.intranet.test, cy@files.local, @functools.cache", {}),
        ("pay 4111 1111 1111 1111 or 4111 1111 1111 1112", {"payment card": 1}),
        ("build 0000000000000000, id 1234567812345678", {}),
        ("to DE89 3704 0044 0532 0130 00, not DE88370400440532013000", {"bank account": 1}),
    ],
)
def test_personal_data_is_told_from_what_looks_like_it(text: str, found: dict[str, int]) -> None:
    assert scan_personal(trajectory(1, messages=[{"role": "user", "content": text}], steps=[])) == found
    call = {"id": "a", "type": "function", "function": {"name": "x", "arguments": '{"c": "\\n' + text + '"}'}}
    said = {"role": "assistant", "content": "", "tool_calls": [call]}
    assert scan_personal(trajectory(1, messages=[said], steps=[])) == found
    kept = not list(broken_rules(trajectory(1, intent=text), Rules(no_personal=True)))
    assert kept is (not found)


_PIECES = (
    *(
        "a",
        "B7",
        "@",
        ".",
        "-",
        "_",
        " ",
        "\n",
        "\0",
        "x",
        "9",
        "/",
        "'",
        "é",
        "://",
        "lovelace.co.uk",
        "ada",
    ),
    *("4111 1111 1111 1111", "5500-0000-0000-0004", "GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"),
    *(
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "sk-" + "a" * 32,
        "ghp_" + "b" * 36,
        "https://u:pass1@host/x",
        "0123456789secret",
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from(_PIECES), max_size=10).map("".join), min_size=2, max_size=4))
def test_texts_that_are_searched_together_give_what_each_gives(texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_TOKEN", "0123456789secret")
        messages = [{"role": "user", "content": text} for text in texts]
        alone = trajectory(0, intent="", messages=[], steps=[])
        every = [alone.model_copy(update={"messages": [message]}) for message in messages]
        whole = alone.model_copy(update={"messages": messages})
        found = sum((scan_trajectory(one) for one in every), Counter())
        assert scan_trajectory(whole) == found == Counter(kind for text in texts for kind in scan(text))
        assert scan_personal(whole) == sum((scan_personal(one) for one in every), Counter())
