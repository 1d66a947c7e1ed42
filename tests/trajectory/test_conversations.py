"""The conversations of an episode: taken apart, and shown in their places in the terminal."""

from __future__ import annotations

import io

from rich.console import Console
from trajectory_samples import delegating, trajectory

from ise_gym.trajectory.conversation import print_conversation
from ise_gym.trajectory.conversations import conversations


def test_each_conversation_names_its_parent_and_has_its_own_tools() -> None:
    made = delegating(1)
    main, first, second = conversations(made)
    assert (main.id, main.parent, main.messages) == (made.episode_id, "", made.messages)
    assert (first.id, first.parent) == (f"{made.episode_id}/main:count", made.episode_id)
    assert [step.message for step in first.steps] == [2, 4]
    assert [tool["function"]["name"] for tool in second.tools] == ["exec"]
    assert (second.inherited, second.session["status"]) == (2, "cut")
    assert [c.parent for c in conversations(trajectory(1))] == [""]


def test_a_sub_session_that_was_sent_to_again_is_shown_once() -> None:
    made = delegating(1)
    results = [str(m["tool_call_id"]) for m in made.messages if m["role"] == "tool"]
    made.sessions[0]["opened_by"] = [results[0], *made.sessions[0]["opened_by"]]
    console = Console(file=io.StringIO(), width=120)
    print_conversation(made, console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("wc -l b.csv") == 1


def test_the_terminal_shows_a_sub_session_before_its_result() -> None:
    console = Console(file=io.StringIO(), width=120)
    print_conversation(delegating(1), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    order = (
        "sub-session main:count, done",
        "wc -l b.csv",
        "reward +0.500",
        "end of sub",
        "tool sessions_spawn",
    )
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert text.count("Count, please.") == 1, "what a session inherited is shown once"
