from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.tools.dispatch import Toolbox
from ise_gym.tools.memory import passages
from ise_gym.tools.ranking import bm25, words
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller


@pytest.fixture
def call(workspace: Workspace) -> Any:
    return Caller(Toolbox(["memory_search", "memory_get", "exec"], workspace))


@pytest.fixture
def notes(workspace: Workspace) -> None:
    workspace.write(
        "MEMORY.md", b"# Ports\nThe web server listens on 8080.\n\n# People\nAda runs the archive.\n"
    )
    workspace.write("memory/2025-03-01.md", "Die Größe des Archivs: 40 GB.\n\nServer moved.\n".encode())
    workspace.write("memory/deep/x.md", b"Server rack nine\n")
    workspace.write("memory/x.txt", b"server in a text file\n")
    workspace.write("notes.md", b"server outside\n")


def test_search_finds_passages_with_their_lines(call: Caller, notes: Any) -> None:
    message = call("memory_search", query="web server port 8080")
    first = message["content"].split("\n\n")[0]
    assert first.startswith("MEMORY.md:1-2 (score 0.")
    assert "listens on 8080" in first and message["success"] is True
    assert "Ada" not in message["content"]
    for outside in ("x.txt", "notes.md"):
        assert outside not in message["content"]
    assert "memory/2025-03-01.md:3-3" in message["content"] and "memory/deep/x.md:1-1" in message["content"]


def test_the_notes_of_each_folder_count_one_level_down(
    call: Caller, notes: Any, workspace: Workspace
) -> None:
    workspace.write("trip/MEMORY.md", b"The ferry leaves at nine.\n")
    workspace.write("trip/memory/2025-04-02.md", b"Ferry booked, cabin twelve.\n")
    workspace.write("trip/old/MEMORY.md", b"ferry of last year\n")
    workspace.write(".cache/MEMORY.md", b"ferry in a cache\n")
    content = call("memory_search", query="ferry")["content"]
    assert content.count("(score") == 2
    assert "trip/MEMORY.md:1-1" in content and "trip/memory/2025-04-02.md:1-1" in content
    assert call("memory_get", path="trip/memory/2025-04-02.md")["content"] == "Ferry booked, cabin twelve.\n"
    for outside in ("trip/old/MEMORY.md", ".cache/MEMORY.md", "trip/notes.md"):
        assert "is no memory file" in call("memory_get", path=outside)["content"]


def test_search_folds_case_in_any_script(call: Caller, notes: Any) -> None:
    assert "memory/2025-03-01.md:1-1" in call("memory_search", query="GRÖSSE")["content"]


def test_results_are_limited_and_the_rest_counted(call: Caller, notes: Any) -> None:
    content = call("memory_search", query="server", maxResults=1)["content"]
    assert content.count("(score") == 1 and content.endswith("[2 weaker matches not shown]")


def test_scores_are_from_zero_to_one_and_can_be_a_floor(call: Caller, notes: Any) -> None:
    assert call("memory_search", query="archive", minScore=1)["content"] == "No match in 3 memory files"
    assert "(score" in call("memory_search", query="archive", minScore=0.1)["content"]


def test_no_match_and_no_memory_are_answers(call: Caller, workspace: Workspace) -> None:
    assert call("memory_search", query="anything")["content"].startswith("There is no memory yet")
    workspace.write("MEMORY.md", b"about boats\n")
    message = call("memory_search", query="zeppelin")
    assert message["content"] == "No match in 1 memory file" and message["success"] is True


@pytest.mark.parametrize("query", ["", "  "])
def test_empty_query(call: Caller, query: str) -> None:
    message = call("memory_search", query=query)
    assert message["success"] is False and "the query is empty" in message["content"]


def test_a_folder_in_place_of_a_note_and_links_are_left_out(call: Caller) -> None:
    call("exec", command="mkdir -p MEMORY.md memory/d.md; echo secret word > s; ln -s ../s memory/l.md")
    assert call("memory_search", query="secret")["content"].startswith("There is no memory yet")


def test_an_unreadable_note_is_a_failure(call: Caller, notes: Any) -> None:
    call("exec", command="chmod 000 MEMORY.md")
    if call("exec", command="cat MEMORY.md")["success"]:
        pytest.skip("the box's user may read every file here")
    message = call("memory_search", query="server")
    assert message["success"] is False
    assert message["content"] == "memory_search: MEMORY.md: Permission denied"


def test_get_shows_lines(call: Caller, notes: Any) -> None:
    assert call("memory_get", path="MEMORY.md", **{"from": 2, "lines": 1})["content"] == (
        "The web server listens on 8080.\n[Lines 2-2 of 5 shown; go on with offset=3]"
    )
    assert call("memory_get", path="/workspace/memory/deep/x.md")["content"] == "Server rack nine\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"path": "notes.md"}, "'notes.md' is no memory file"),
        ({"path": "memory/../notes.md"}, "is no memory file"),
        ({"path": "memory/x.txt"}, "is no memory file"),
        ({"path": "/etc/hosts"}, "is no memory file"),
        ({"path": "memory/none.md"}, "memory_get: memory/none.md: No such file or directory"),
        ({"path": "MEMORY.md", "from": 99}, "memory_get: MEMORY.md: line 99 is beyond the end"),
    ],
)
def test_get_refuses(call: Caller, notes: Any, arguments: Any, says: str) -> None:
    message = call("memory_get", **arguments)
    assert message["success"] is False and says in message["content"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["", "# head", "words here", "  ", "more"]), max_size=60))
def test_passages_cover_every_line_that_says_something(lines: Any) -> None:
    found = list(passages("m.md", "\n".join(lines)))
    covered = [n for p in found for n in range(p.first, p.last + 1)]
    assert covered == [n for n, line in enumerate(lines, 1) if line.strip()]
    for passage in found:
        assert passage.text == "\n".join(lines[passage.first - 1 : passage.last])
        assert passage.last - passage.first < 20


@settings(deadline=None)
@given(st.text(max_size=20), st.lists(st.text(max_size=40), max_size=6))
def test_a_score_is_positive_exactly_where_a_word_is_shared(query: str, texts: Any) -> None:
    for score, text in zip(bm25(query, texts), texts, strict=True):
        assert (score > 0) == bool(set(words(query)) & set(words(text)))
