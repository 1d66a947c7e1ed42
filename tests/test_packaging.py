"""The wheel is complete: installed somewhere else, without the checkout, it plays an episode."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLAY = """
import gymnasium as gym, ise_gym
from ise_gym.messages import assistant, tool_call
import pathlib
assert "site" in pathlib.Path(ise_gym.__file__).parts, ise_gym.__file__
env = gym.make("ISE-OS-v0")
observation, info = env.reset(seed=7)
observation, *_ = env.step(assistant("", [tool_call("exec", {"command": "echo from the wheel"})]))
assert observation[0]["content"] == "from the wheel", observation
env.close()
print(info["scenario_id"])
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(folder / "site"),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "site"


def test_an_episode_from_the_wheel(site: Path, tmp_path: Path):
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", PLAY], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ise-os-")


def test_what_the_wheel_carries(site: Path):
    for needed in (
        "ise_gym/py.typed",
        "ise_gym/_data/envs/os/domains/file-io/write-note.yaml",
        "ise_gym/_data/envs/os/system_prompt.txt",
        "ise_gym/view/page/report.css",
        "ise_gym/_data/training/recipes/qwen3_8b_lora.yaml",
        "ise_gym/_data/training/tiny_base/model/model.safetensors",
        "ise_gym/_data/eval/suites/demo-easy.yaml",
    ):
        assert (site / needed).exists(), needed
    packages = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert packages == {"bin", "ise_gym"}, "one top-level package"
    assert not list(site.glob("tests")), "tests stay out of the wheel"
