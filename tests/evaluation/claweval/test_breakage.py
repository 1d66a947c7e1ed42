"""Everything that breaks, in one run: a judge, a service and the harness itself; every trial ends as it should."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from model_server import ModelServer
from pad_service import SUITE

from ise_gym.evaluation.run import load_run

DIES = """
    if path == "/pad/add":
        with open(os.environ["PAD_ADDED"], "ab") as file:
            file.write(b".")
        if os.path.getsize(os.environ["PAD_ADDED"]) % 4 == 2:
            os.kill(os.getpid(), signal.SIGKILL)
"""
"""Every fourth note kills the service, whichever trial writes it."""


def mortal_suite(folder: Path) -> Path:
    """Copy the fixture suite, with a service that dies now and then."""
    copy = Path(shutil.copytree(SUITE, folder / "suite"))
    server = copy / "mock_services" / "pad" / "server.py"
    before = "def _answer(path, body):\n"
    assert before in server.read_text()
    server.write_text(server.read_text().replace(before, before + DIES.removeprefix("\n"), 1))
    return copy


def test_judge_service_and_harness_break_and_no_error_is_a_zero(tmp_path: Path) -> None:
    out, suite = tmp_path / "run", mortal_suite(tmp_path)
    verdict = json.dumps({"score": 0.9, "reasoning": "polite"})
    # One answer of five fails, thirteen in a row: two workers, before and after the kill, ask four times a trial, and
    # each of the four may get through after three failures; the thirteenth spoils a trial.
    with ModelServer(lambda n: 503 if n % 65 in range(1, 14) else verdict) as judge:
        command = [
            sys.executable, "-m", "eval", "run", "--suite", "claweval", "--claw-eval", str(suite), "--agent", "explorer",
            "--tasks", "T901,T902,T906", "--trials", "3", "--workers", "2", "--services", "subprocess",
            "--judge", "openai:m", "--judge-base-url", judge.url, "--sandbox", "none", "--out", str(out), "--quiet",
        ]  # fmt: skip
        env = {**os.environ, "PAD_ADDED": str(tmp_path / "added")}
        process = subprocess.Popen(command, env=env)
        ledger = out / "trials.jsonl"
        deadline = time.monotonic() + 240
        try:
            while not ledger.exists() or ledger.read_bytes().count(b"\n") < 4:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        before = ledger.read_bytes()
        for _ in range(3):  # a trial that was spoilt three times in one run is played again by the next
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200)
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stderr
    text = ledger.read_bytes()
    assert text.startswith(before[: before.rfind(b"\n") + 1])
    lines = [json.loads(line) for line in text.splitlines()]
    outcomes = Counter(line["outcome"] for line in lines)
    assert outcomes["judge_error"] and outcomes["infrastructure_error"], outcomes
    assert outcomes.keys() <= {"pass", "judge_error", "infrastructure_error"}, outcomes
    assert all((line["score"] is None) == (line["outcome"] != "pass") for line in lines)
    assert [trial.outcome for trial in load_run(out).trials.values()] == ["pass"] * 9
