"""Whatever an agent, a user, a page or a file says is read in linear time, and nothing of it makes a reader raise.

Bounds are of processor time and ten times what is measured on a small machine, so a busy one fails nothing; what is
quadratic misses them by far (one of the old patterns took 44 s for 16 kB).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made.pattern_attacks import ALLOWED_S, Used, patterns, slowest
from made.shapes import SHAPES, filled
from made.stepping import fresh, step_seconds

from ise_gym.intents.increments import increments
from ise_gym.messages import Message, assistant, tool_call
from ise_gym.models.chat import read_object, without_thinking
from ise_gym.models.parsing import parse_completion
from ise_gym.personas.lint import voice_problems
from ise_gym.personas.protected import mask
from ise_gym.personas.voice import surface
from ise_gym.replay.normalise import Window, masked
from ise_gym.scenario import Budget
from ise_gym.simulator.base import Evidence, FileNote, UserTurn, UserView
from ise_gym.simulator.baselines import NaiveUser
from ise_gym.simulator.claims import false_claims
from ise_gym.simulator.detectors import detect
from ise_gym.simulator.knowledge import knowledge_of
from ise_gym.simulator.llm import read_answer
from ise_gym.tasks.filters import FILTERS
from ise_gym.tools.ranking import bm25
from ise_gym.tools.web.bodies import decoded
from ise_gym.tools.web.readable import readable
from ise_gym.trajectory.secrets import scan
from ise_gym.workspace.values import Diff
from made_scenarios import make_scenario

STEP_8K_S = 0.5
STEP_1M_S = 1.0
READER_S = 1.0
ALL = patterns()
NOBODY_ELSES_WORDS = {
    "ise_gym.models.options:_FREE": "reads the names of options that the user typed",
    "ise_gym.cli.doctor:_REQUIREMENT": "reads the metadata of this very package",
}
KNOWN = knowledge_of(make_scenario())
EVIDENCE = Evidence(
    diff=Diff(created=("a/b.txt",), changed=("c.csv",)),
    failed=("the report is there",),
    files=(FileNote("a.csv", "created", 10, ("x",), 3),),
    present={f"folder{n}/file{n}.txt": n for n in range(2_000)},
)


def as_user(words: str) -> Any:
    """Let the guard's detectors look at a turn, and at what was said before it."""
    history: tuple[Message, ...] = (
        {"role": "assistant", "content": "Please sort it."},
        {"role": "user", "content": words},
    )
    return detect(UserTurn(words), UserView(history, EVIDENCE, 1, "files/greet", 1), KNOWN)


def spoken_by_a_naive_user(words: str) -> Any:
    user = NaiveUser()
    user.reset(make_scenario(), 1)
    return user.respond(UserView(({"role": "user", "content": words},), EVIDENCE, 1))


def as_page(words: str) -> Any:
    return [readable(words, "http://a.example/"), decoded(words.encode("utf-8", "replace"), "text/html")]


READERS: dict[str, Callable[[str], Any]] = {
    "claims": lambda words: false_claims(words, replace(EVIDENCE)),
    "detectors": as_user,
    "a naive user": spoken_by_a_naive_user,
    "raw completion": parse_completion,
    "raw call": lambda words: parse_completion("<tool_call>" + words + "</tool_call>"),
    "an object in an answer": read_object,
    "an answer": read_answer,
    "thinking": without_thinking,
    "masking": mask,
    "voice": lambda words: surface(words, make_scenario().persona, random.Random(1)),
    "lint": voice_problems,
    "increments": increments,
    "normalising": lambda words: masked(words, Window(1.7e9, 1.7e9 + 60)),
    "secrets": lambda words: list(scan(words)),
    "ranking": lambda words: bm25(words, [words[:4_000], "a b c"]),
    "slug": lambda words: FILTERS["slug"](words),
    "page": as_page,
}


@pytest.mark.parametrize("where", sorted(set(ALL) - set(NOBODY_ELSES_WORDS)))
def test_every_pattern_of_the_package_is_linear(where: str) -> None:
    seconds, by = slowest(ALL[where])
    assert seconds <= ALLOWED_S, f"{ALL[where].pattern.pattern!r}: {seconds:.2f} s for {by[:60]!r}…"


@pytest.mark.parametrize(
    ("pattern", "slow"),
    [
        (r"\w+@\w", True),
        (r"^\s*(?:user|assistant):", False),
        (r"(?m)^\s*(?:user|assistant):", True),
        (r"(?:a+)+$", True),
        (r"x*y*z", True),
        (r"(?<!\w)\w+@\w", False),
        (r"\w{1,40}@\w", False),
    ],
)
def test_the_search_for_slow_patterns_finds_them_and_no_others(pattern: str, slow: bool) -> None:
    import re

    seconds, _ = slowest(Used(re.compile(pattern)))
    assert (seconds > ALLOWED_S) is slow


def test_all_rooms_with_patterns_are_looked_through() -> None:
    rooms = {where.split(".")[1].partition(":")[0] for where in ALL}
    assert {
        "simulator",
        "personas",
        "models",
        "tools",
        "services",
        "tasks",
        "trajectory",
        "replay",
        "intents",
    } <= rooms
    assert len(ALL) > 250


@pytest.mark.parametrize("shape", SHAPES)
def test_a_reply_of_8_kb_costs_a_moment(shape: str) -> None:
    assert min(step_seconds(filled(SHAPES[shape], 8_000)) for _ in range(2)) < STEP_8K_S


@pytest.mark.parametrize(
    "shape", ["one letter", "base64", "path/to/", "open brackets", "created quotes", "full stops"]
)
def test_a_reply_of_a_megabyte_costs_no_more(shape: str) -> None:
    assert step_seconds(filled(SHAPES[shape], 1_000_000)) < STEP_1M_S


@pytest.mark.parametrize("shape", SHAPES)
def test_every_reader_takes_every_shape(shape: str) -> None:
    words = filled(SHAPES[shape], 20_000)
    for name, read in READERS.items():
        begun = time.process_time()
        read(words)
        spent = time.process_time() - begun
        assert spent < READER_S, f"{name}: {spent:.2f} s"


def units() -> st.SearchStrategy[str]:
    """Return pieces that patterns look for, and any characters at all."""
    everything = st.text(st.characters(), max_size=6)
    known = st.sampled_from(sorted(SHAPES.values()))
    return st.one_of(everything, known, st.tuples(known, known).map("".join))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Return repeated units, nested, cut and joined: up to 20 kB."""
    parts = draw(st.lists(st.tuples(units(), st.integers(1, 2_000)), min_size=1, max_size=4))
    text = "".join(unit * count for unit, count in parts)
    return text[: draw(st.integers(1, 20_000))]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@example("\ud800")
@given(texts())
def test_whatever_is_said_is_read(words: str) -> None:
    begun = time.process_time()
    for read in READERS.values():
        read(words)
    assert time.process_time() - begun < READER_S * 3


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    texts(),
    texts(),
    st.sampled_from(["exec", "edit", "apply_patch", "web_fetch", "memory_search", "nothing", ""]),
)
def test_no_action_raises(words: str, arguments: str, tool: str) -> None:
    episode = fresh()
    episode.act(assistant(words, [tool_call(tool, arguments)]))
    if not episode.over:
        episode.act(assistant(words))


def test_a_long_reply_is_cut_for_the_user_and_kept_in_the_record() -> None:
    scenario = make_scenario(budget=Budget(reply_chars=1_000))
    seen: list[str] = []
    episode = fresh(scenario)
    respond = episode.simulator.respond

    def note(view: UserView, feedback: str = "") -> UserTurn:
        seen.append(view.history[-1]["content"])
        return respond(view, feedback)

    episode.simulator.respond = note  # type: ignore[method-assign]
    words = "Start. " + "x" * 50_000 + " The end."
    episode.act(assistant(words))
    assert len(seen[0]) < 1_100 and seen[0].startswith("Start. ") and seen[0].endswith(" The end.")
    assert "49,016 characters left out" in seen[0]
    assert words in [message["content"] for message in episode.messages]


def test_claims_at_the_start_and_the_end_of_a_long_reply_are_read() -> None:
    filler = "and so on " * 5_000
    early = "I created out/report.md. " + filler
    late = filler + ". I created out/report.md."
    for words in (early, late):
        assert "file_missing" in {claim.kind for claim in false_claims(words, replace(EVIDENCE))}


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("I wrote out/report.md.", "out/report.md"),
        ("I wrote `out/report.md`.", "out/report.md"),
        ("I wrote ('out/report.md').", "out/report.md"),
        ("I wrote ./out/report.md.", "out/report.md"),
        ("I wrote ../out/report.md.", "out/report.md"),
        ("I wrote /workspace/out/report.md.", "out/report.md"),
        ("out/report.md is now ready.", "out/report.md"),
        ("`out/report.md` has been created.", "out/report.md"),
    ],
)
def test_paths_are_found_as_they_were(words: str, path: str) -> None:
    claims = [c for c in false_claims(words, replace(EVIDENCE)) if c.kind == "file_missing"]
    assert [claim.subject for claim in claims] == [path]


def test_paths_are_looked_up_among_many() -> None:
    tree = replace(EVIDENCE).tree
    assert "folder7/file7.txt" in tree and "file7.txt" in tree and "folder7" in tree
    assert "7/file7.txt" not in tree and "folder7/file8.txt" not in tree and "older7" not in tree


def _counted() -> Iterator[tuple[str, int]]:
    yield "shapes", len(SHAPES)
    yield "patterns", len(ALL)


def test_there_are_many_inputs() -> None:
    counts = Counter(dict(_counted()))
    assert counts["shapes"] >= 100 and counts.total() >= 350
