"""The ledger: what is written stays, what is torn is set aside, what failed is played again."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from made_runs import card, make_run, trial
from pydantic import ValidationError

from ise_gym.errors import UserError
from ise_gym.evaluation.ledger import Ledger, Trial, read_trials
from ise_gym.evaluation.run import load_run, open_run, read_card


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    written = [trial("ä", "pass"), trial("b", "fail", counts={"tokens": 7}), trial("c", "timeout")]
    with Ledger(tmp_path / "trials.jsonl") as ledger:
        for one in written:
            ledger.append(one)
    assert read_trials(tmp_path / "trials.jsonl") == written


@pytest.mark.parametrize("outcome", ["infrastructure_error", "judge_error"])
def test_an_error_is_never_a_zero(outcome: str) -> None:
    assert trial("a", outcome).score is None
    with pytest.raises(ValidationError, match="can't have a score"):
        trial("a", outcome, score=0.0)


@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_a_verdict_needs_a_score(outcome: str) -> None:
    with pytest.raises(ValidationError, match="needs a score"):
        trial("a", outcome, score=None)


def test_torn_last_line_is_set_aside_and_its_trial_played_again(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with Ledger(path) as ledger:
        ledger.append(trial("a", "pass"))
        ledger.append(trial("b", "pass"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert [t.task for t in read_trials(path)] == ["a"]
    with Ledger(path) as ledger:
        assert ledger.torn_bytes > 0
        assert ledger.is_done("a", 0) and not ledger.is_done("b", 0)
        ledger.append(trial("b", "pass"))
    assert path.read_bytes() == whole
    assert (tmp_path / "trials.torn").read_bytes().startswith(b'{"schema_version":1')


def test_only_verdicts_are_final(tmp_path: Path) -> None:
    with Ledger(tmp_path / "t.jsonl") as ledger:
        for outcome in ("pass", "fail", "timeout", "infrastructure_error", "judge_error"):
            ledger.append(trial(outcome, outcome))
        assert [ledger.is_done(o, 0) for o in ("pass", "fail", "timeout")] == [True] * 3
        assert not ledger.is_done("infrastructure_error", 0)
        assert not ledger.is_done("judge_error", 0)
        assert ledger.next_attempt("judge_error", 0) == 2
        assert ledger.next_attempt("judge_error", 1) == 1


def test_the_last_attempt_counts_and_all_stay(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", {"a": "infrastructure_error"})
    with Ledger(path / "trials.jsonl") as ledger:
        ledger.append(trial("a", "pass", attempt=ledger.next_attempt("a", 0)))
    run = load_run(path)
    assert run.trials["a", 0].outcome == "pass"
    assert run.trials["a", 0].attempt == 2
    assert run.attempts == 2


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "t.jsonl"), pytest.raises(UserError, match="another run is writing"):
        Ledger(tmp_path / "t.jsonl")


def test_a_foreign_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(trial("a", "pass").model_dump_json() + '\n{"task": "b"}\n')
    with pytest.raises(UserError, match=r"line 2: not a trial: suite"):
        read_trials(path)


def _write_for_ever(path: Path) -> None:
    with Ledger(path) as ledger:
        for number in range(10**6):
            ledger.append(trial("task", "pass", number))


def test_kill_9_loses_no_finished_trial(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    process = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(path,))
    process.start()
    while not path.exists() or path.read_bytes().count(b"\n") < 20:
        time.sleep(0.005)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    complete = path.read_bytes().count(b"\n")
    with Ledger(path) as ledger:
        assert len(ledger.last) == complete >= 20
        assert sorted(ledger.last) == [("task", n) for n in range(complete)]


def test_a_run_folder_is_resumed_only_by_the_same_run(tmp_path: Path) -> None:
    path = open_run(tmp_path / "run", card(["a", "b"]))
    assert open_run(path, card(["a", "b"], versions={"ise_gym": "9"})) == path
    with pytest.raises(UserError, match="agent was 'expert', now 'replay'"):
        open_run(path, card(["a", "b"], agent="replay"))
    with pytest.raises(UserError, match="2 tasks, now 1"):
        open_run(path, card(["a"]))
    with pytest.raises(UserError, match=r"options.user was None, now 'naive'"):
        open_run(path, card(["a", "b"], options={"user": "naive"}))
    assert read_card(path).agent == "expert"


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.txt").write_text("x")
    with pytest.raises(UserError, match="it is not empty and has no"):
        open_run(tmp_path / "other", card(["a"]))
    with pytest.raises(UserError, match="is a file"):
        open_run(tmp_path / "other" / "x.txt", card(["a"]))
    with pytest.raises(UserError, match=r"not an eval run: it has no run.json"):
        load_run(tmp_path / "other")
    with pytest.raises(UserError, match="it is a file"):
        load_run(tmp_path / "other" / "x.txt")
    with pytest.raises(UserError, match="not an eval run"):
        load_run(tmp_path / "missing")
    (tmp_path / "other" / "run.json").write_text('{"suite": 3}')
    with pytest.raises(UserError, match="not a run card: suite"):
        load_run(tmp_path / "other")


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="typo"):
        Trial.model_validate({**trial("a", "pass").model_dump(), "typo": 1})


def test_what_a_power_cut_leaves_is_set_aside_and_earlier_torn_ends_stay(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with Ledger(path) as ledger:
        ledger.append(trial("a", "pass"))
    whole = path.read_bytes()
    for tail in (b'{"half', b"\0\0\0\n", b'{"other half'):
        with path.open("ab") as file:
            file.write(tail)
        with Ledger(path) as ledger:
            assert ledger.torn_bytes == len(tail) and ledger.is_done("a", 0)
        assert path.read_bytes() == whole
    assert (tmp_path / "trials.torn").read_bytes() == b'{"half\n\0\0\0\n\n{"other half'


def test_a_full_disk_leaves_no_half_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trials.jsonl"
    real = os.write

    def half(fd: int, data: bytes) -> int:
        if len(data) < 60:
            raise OSError(28, "No space left on device")
        return real(fd, data[: len(data) // 2])

    with Ledger(path) as ledger:
        ledger.append(trial("a", "pass"))
        monkeypatch.setattr(os, "write", half)
        with pytest.raises(UserError, match=r"No space left.*Free some space and run again"):
            ledger.append(trial("b", "pass"))
        monkeypatch.undo()
        assert not ledger.is_done("b", 0)
        ledger.append(trial("c", "pass"))
    assert [t.task for t in read_trials(path)] == ["a", "c"]
