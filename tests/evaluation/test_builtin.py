"""The built-in suite: freezing, drift, contamination, playing, resuming."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_source import MadeSource, open_made

from ise_gym.agents import make_agent
from ise_gym.errors import AgentError, UserError
from ise_gym.evaluation import manifest as manifests
from ise_gym.evaluation import suite as suites
from ise_gym.evaluation.builtin import run_suite
from ise_gym.evaluation.contamination import check_training_data
from ise_gym.evaluation.manifest import Manifest, load_suite, save_suite
from ise_gym.evaluation.results.compare import compare
from ise_gym.evaluation.run import load_run
from ise_gym.evaluation.suite import SuiteSource, Wanted, freeze
from ise_gym.messages import Message, ToolSchema, assistant
from ise_gym.scenario import Scenario
from ise_gym.trajectory.exchange.export import FORMATS
from ise_gym.trajectory.exchange.parquet import write_parquet
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories


@pytest.fixture(autouse=True)
def made_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "open_source", open_made)


def wanted(count: int, tier: str = "easy", **options: Any) -> Wanted:
    return Wanted({"tier": tier}, {"tier": tier, **options}, count)


@pytest.fixture
def suite() -> Manifest:
    return freeze("made", [wanted(4), wanted(2, tier="hard")])


class Forgetful:
    """The expert, except that it does nothing in the scenarios named; in "easy-0" it breaks so many times."""

    def __init__(self, forgets: Sequence[str] = (), breaks: int = 0) -> None:
        self.name = "forgetful"
        self._expert, self._lazy = make_agent("expert"), make_agent("lazy")
        self._forgets, self._breaks = set(forgets), breaks
        self._now = self._expert
        self.episodes = 0
        self.closed = False

    def reset(self, scenario: Scenario, seed: int) -> None:
        self.episodes += 1
        self._now = self._lazy if scenario.id in self._forgets else self._expert
        self._now.reset(scenario, seed)
        self._at_risk = scenario.id == "easy-0"

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        if self._at_risk and self._breaks:
            self._breaks -= 1
            raise AgentError("the endpoint is down")
        return self._now.act(messages, tools)

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}

    def close(self) -> None:
        self.closed = True


class Batched(Forgetful):
    """The same behind the batch interface; it can't see scenarios, so it reads the request."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def act_batch(
        self, conversations: Sequence[tuple[Sequence[Message], Sequence[ToolSchema]]]
    ) -> list[Message]:
        self.largest = max(self.largest, len(conversations))
        answers = []
        for messages, _ in conversations:
            if messages[-1]["role"] == "tool":
                answers.append(assistant("number.txt is written."))
            else:
                number = next(word for word in messages[1]["content"].split() if word.isdigit())
                call = {"path": "number.txt", "content": number}
                answers.append(
                    assistant(
                        "",
                        [
                            {
                                "id": "",
                                "type": "function",
                                "function": {"name": "write", "arguments": json.dumps(call)},
                            }
                        ],
                    )
                )
        return answers


def play(suite: Manifest, agent: Any, out: Path, **options: Any) -> Any:
    return run_suite(suite, agent, out, backend="dummy", **options)


def test_a_suite_is_written_and_read_back(tmp_path: Path, suite: Manifest) -> None:
    save_suite(suite, tmp_path / "s.yaml")
    again = load_suite(str(tmp_path / "s.yaml"))
    assert again.model_dump() == suite.model_dump() and again.sha256() == suite.sha256()
    assert len((tmp_path / "s.yaml").read_text().splitlines()) == 6 + 2 * 3 + 6
    assert len(suite.fingerprints()) == 6


def test_the_same_instance_is_never_taken_twice() -> None:
    made = freeze("made", [wanted(5, different=5)], first_seed=3)
    assert sorted(entry.seed % 5 for _, entry in made.numbered()) == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="only 5 of 6"):
        freeze("made", [wanted(6, different=5)])


def test_what_is_not_held_out_is_not_frozen() -> None:
    with pytest.raises(UserError, match="not held out"):
        freeze("made", [wanted(1, split="train")])


def test_a_catalog_that_changed_is_noticed(
    suite: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert len(list(SuiteSource(suite))) == 6
    monkeypatch.setattr(
        suites,
        "open_source",
        lambda options: MadeSource(**options, wording="{n} goes into number.txt, please."),
    )
    with pytest.raises(UserError, match="no longer draws what was frozen"):
        play(suite, make_agent("expert"), tmp_path / "run")


def test_a_limit_is_spread_over_the_suite(suite: Manifest) -> None:
    assert SuiteSource(suite, 3).ids() == ["easy-0", "easy-2", "hard-0"]
    assert SuiteSource(suite, 99).ids() == SuiteSource(suite).ids()


def test_unknown_suites_are_named_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: Manifest
) -> None:
    monkeypatch.setattr(manifests, "SUITES", tmp_path)
    save_suite(suite, tmp_path / "demo-easy.yaml")
    assert load_suite("demo-easy").model_dump() == suite.model_dump()
    with pytest.raises(UserError, match="Did you mean 'demo-easy'"):
        load_suite("demo-esy")
    (tmp_path / "bad.yaml").write_text("name: x\nparts: [{entries: [{seed: -1}]}]\n")
    with pytest.raises(UserError, match=r"not a suite: parts.0.entries.0"):
        load_suite("bad")
    (tmp_path / "worse.yaml").write_text("a: [\n")
    with pytest.raises(UserError, match="not a suite"):
        load_suite("worse")


def test_expert_passes_and_lazy_fails(suite: Manifest, tmp_path: Path) -> None:
    best = play(suite, make_agent("expert"), tmp_path / "expert")
    worst = play(suite, make_agent("lazy"), tmp_path / "lazy")
    assert (best.rate.passed, best.rate.trials) == (6, 6)
    assert (worst.rate.passed, worst.rate.trials) == (0, 6)
    assert best.groups["tier"]["hard"].tasks == 2
    found = compare(tmp_path / "lazy", tmp_path / "expert")
    assert (found.pairs[0].better, found.pairs[0].worse) == (6, 0)
    assert found.pairs[0].p == 2 / 2**6
    stored = {t.episode_id for t in read_trajectories(tmp_path / "expert" / "trajectories")}
    assert {t.episode for t in load_run(tmp_path / "expert").trials.values()} == stored


def test_an_agent_in_this_process_is_left_open(suite: Manifest, tmp_path: Path) -> None:
    agent = Forgetful(["easy-1"])
    assert play(suite, agent, tmp_path / "run").rate.passed == 5
    assert not agent.closed


def test_a_batch_agent_plays_in_lockstep(suite: Manifest, tmp_path: Path) -> None:
    agent = Batched()
    summary = play(suite, agent, tmp_path / "run", slots=4)
    assert summary.rate.passed == 6
    assert agent.largest == 4


def test_resume_plays_only_what_is_missing(suite: Manifest, tmp_path: Path) -> None:
    class Stopping(Forgetful):
        def reset(self, scenario: Scenario, seed: int) -> None:
            if self.episodes == 3:
                raise KeyboardInterrupt
            super().reset(scenario, seed)

    with pytest.raises(KeyboardInterrupt):
        play(suite, Stopping(), tmp_path / "run")
    assert len(load_run(tmp_path / "run").trials) == 3
    second = Forgetful()
    assert play(suite, second, tmp_path / "run").rate.passed == 6
    assert second.episodes == 3
    third = Forgetful()
    assert play(suite, third, tmp_path / "run").rate.passed == 6
    assert third.episodes == 0


def test_a_broken_endpoint_is_retried_and_never_a_zero(suite: Manifest, tmp_path: Path) -> None:
    summary = play(suite, Forgetful(breaks=1), tmp_path / "retried")
    run = load_run(tmp_path / "retried")
    assert summary.complete and summary.rate.passed == 6
    assert run.attempts == 7 and sum(trial.attempt == 2 for trial in run.trials.values()) == 1

    summary = play(suite, Forgetful(breaks=2), tmp_path / "broken", retries=1)
    assert summary.outcomes["infrastructure_error"] == 1
    assert (summary.rate.passed, summary.rate.trials) == (5, 5)
    assert (summary.fixed.passed, summary.fixed.trials) == (5, 6)
    assert not summary.complete
    assert play(suite, Forgetful(), tmp_path / "broken", retries=1).complete


def test_trials_have_seeds_of_their_own(suite: Manifest, tmp_path: Path) -> None:
    play(suite, make_agent("expert"), tmp_path / "run", trials=3, limit=2)
    run = load_run(tmp_path / "run")
    assert len(run.trials) == 6
    assert len({trial.seed for trial in run.trials.values()}) == 6


def test_contamination(suite: Manifest, tmp_path: Path) -> None:
    play(suite, make_agent("expert"), tmp_path / "leaked", limit=3)
    leaked = tmp_path / "leaked" / "trajectories"
    overlap = check_training_data(suite, [leaked])
    assert (overlap.trajectories, overlap.without, len(overlap.shared)) == (3, 0, 3)
    with pytest.raises(
        UserError,
        match=r"contaminated: 3 task instances, 3 scenarios by id, 3 episodes .* occur in 3 of 3 training",
    ):
        play(suite, make_agent("expert"), tmp_path / "run", trained_on=[leaked])
    assert not (tmp_path / "run").exists()
    play(suite, make_agent("expert"), tmp_path / "run", trained_on=[leaked], allow_contaminated=True)
    assert load_run(tmp_path / "run").card.options["contamination"]["shared_instances"] == 3


def test_clean_training_data_is_recorded(suite: Manifest, tmp_path: Path) -> None:
    other = freeze("other", [wanted(3)], first_seed=100)
    play(other, make_agent("expert"), tmp_path / "played")
    with TrajectoryStore(tmp_path / "train") as store, TrajectoryStore(tmp_path / "old") as unmarked:
        for number, record in enumerate(read_trajectories(tmp_path / "played" / "trajectories")):
            store.append(record.model_copy(update={"split": "train"}))
            if not number:
                unmarked.append(record.model_copy(update={"split": "", "metadata": {}}))
    stores = [tmp_path / "train", tmp_path / "old"]
    play(suite, make_agent("expert"), tmp_path / "run", trained_on=stores)
    found = load_run(tmp_path / "run").card.options["contamination"]
    shared = {"shared_instances": 0, "shared_scenarios": 0, "shared_split": 0, "shared_words": 0}
    assert found == {"trajectories": 4, "without_fingerprints": 1, **shared}


def test_a_typo_in_the_agent_leaves_no_run_behind(suite: Manifest, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'expert'"):
        play(suite, "exprt", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_own_suites_need_no_package_of_claw_eval(tmp_path: Path) -> None:
    """`make demo` installs only what it says; a missing package of the other benchmark is no matter there."""
    play = "import sys; sys.modules.update(httpx=None, fastapi=None); from ise_gym.cli import main; main()"
    chosen = ["eval", "run", "--suite", "demo-easy", "--agent", "expert", "--limit", "1", "--workers", "1"]
    command = [sys.executable, "-c", play, *chosen, "--out"]
    done = subprocess.run([*command, str(tmp_path / "run")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    other = [
        *command[:3],
        "claweval",
        "run",
        "--checkout",
        str(tmp_path),
        "--agent",
        "expert",
        "--out",
    ]
    wrong = subprocess.run([*other, str(tmp_path / "x")], capture_output=True, text=True)
    assert wrong.returncode == 2 and "pip install 'ise-gym[claweval]'" in wrong.stderr


@pytest.mark.parametrize("form", ["openai", "trl", "isetrace", "atif", "parquet"])
def test_exports_of_the_suite_are_known_by_what_they_say(suite: Manifest, tmp_path: Path, form: str) -> None:
    play(suite, make_agent("expert"), tmp_path / "leaked", limit=2)
    records = list(read_trajectories(tmp_path / "leaked" / "trajectories"))
    rows = [row for record in records for row in FORMATS["trl" if form == "parquet" else form](record)]
    file = tmp_path / f"rows.{'parquet' if form == 'parquet' else 'jsonl'}"
    if form == "parquet":
        pytest.importorskip("datasets")
        write_parquet(rows, file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = check_training_data(suite, [file])
    assert found.trajectories == 2 and {"easy-0", "easy-3"} <= set(found.found["words"])
    carries = form in ("isetrace", "atif")
    assert ("scenarios" in found.found) is ("split" in found.found) is carries
    assert (found.without == 0) is carries and ("instances" in found.found) is carries
    with pytest.raises(UserError, match="scenarios by their words"):
        found.require_clean("made")
    assert "2 training conversations" in found.text() and "share" in found.text()


def _share_gpt(messages: list[Any]) -> dict[str, Any]:
    who = {"user": "human", "assistant": "gpt"}
    return {
        "conversations": [{"from": who.get(m["role"], m["role"]), "value": m["content"]} for m in messages]
    }


@pytest.mark.parametrize(
    "as_row",
    [
        _share_gpt,
        lambda messages: {"prompt": messages[:2], "completion": messages[2:]},
        lambda messages: {"prompt": messages[1]["content"]},
        lambda messages: {"text": "\n".join(f"<|{m['role']}|>{m['content']}" for m in messages)},
        lambda messages: {
            "messages": [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
        },
    ],
    ids=["sharegpt", "prompt and completion", "prompt", "text", "content in parts"],
)
def test_rows_of_other_libraries_are_known_by_their_words(
    suite: Manifest, tmp_path: Path, as_row: Callable[[list[Any]], dict[str, Any]]
) -> None:
    play(suite, make_agent("expert"), tmp_path / "leaked", limit=1)
    (record,) = read_trajectories(tmp_path / "leaked" / "trajectories")
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "rows.jsonl").write_text(json.dumps(as_row(list(record.messages))) + "\n")
    found = check_training_data(suite, [tmp_path / "data"])
    assert (found.trajectories, found.without, set(found.found)) == (1, 1, {"words"})


def test_words_of_the_same_task_drawn_otherwise_are_no_leak(suite: Manifest, tmp_path: Path) -> None:
    other = freeze("other", [wanted(3)], first_seed=100)
    play(other, make_agent("expert"), tmp_path / "train")
    played = read_trajectories(tmp_path / "train" / "trajectories")
    rows = [row for record in played for row in FORMATS["openai"](record)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = check_training_data(suite, [tmp_path / "rows.jsonl"])
    assert (found.trajectories, found.found) == (3, {})
    found.require_clean("made")


def test_what_is_no_training_data_is_refused(suite: Manifest, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"label": "x"}\n')
    with pytest.raises(UserError, match=r"rows.jsonl, line 1: it is not a conversation"):
        check_training_data(suite, [tmp_path / "rows.jsonl"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither a store nor any JSONL or Parquet file"):
        check_training_data(suite, [tmp_path / "empty"])
    pytest.importorskip("pyarrow")
    (tmp_path / "rows.parquet").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"rows.parquet: it can't be read as Parquet"):
        check_training_data(suite, [tmp_path / "rows.parquet"])
