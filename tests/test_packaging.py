"""The source archive is complete, and so is the wheel built from it: installed elsewhere it plays, and names nothing else.

The environment is a fresh one: it has the libraries of this one, but neither this checkout nor an installed copy of it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PLAY = """
import gymnasium as gym, ise_gym
from ise_gym.messages import assistant, tool_call
import pathlib
assert pathlib.Path(ise_gym.__file__).is_relative_to(SITE), ise_gym.__file__
env = gym.make("ISE-OS-v0")
observation, info = env.reset(seed=7)
observation, *_ = env.step(assistant("", [tool_call("exec", {"command": "echo from the wheel"})]))
assert observation[0]["content"] == "from the wheel", observation
env.close()
print(info["scenario_id"])
"""


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "160", **environment}
    env.pop("PYTHONPATH", None) if "PYTHONPATH" not in environment else None
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel that was built from what is in it."""
    folder = tmp_path_factory.mktemp("built")
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel in it."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(place, symlinks=True)
    (site,) = place.glob("lib/python*/site-packages")
    # a path in a .pth file is searched, but the .pth files in it (an editable install's) are not read
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    (wheel,) = built.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", place / "bin" / "python")
    done = run(*pip, "install", "-q", "--no-deps", "--no-index", wheel, cwd=place)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project that has packages named like our folders."""
    for name in ("training", "eval", "envs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('the {name} of somebody else')\n")
    return tmp_path


def test_the_wheel_has_two_top_level_names_of_its_own_and_all_data(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ise_gym"}
    for needed in (
        "ise_gym/py.typed",
        "ise_gym/evaluation/results/page.html.j2",
        "ise_gym/_data/envs/os/domains/file-io/write-note.yaml",
        "ise_gym/_data/envs/os/system_prompt.txt",
        "ise_gym/_data/training/recipes/qwen3_8b_lora.yaml",
        "ise_gym/_data/training/recipes/grpo/tiny_cpu.yaml",
        "ise_gym/_data/training/templates/qwen3_ise.jinja",
        "ise_gym/_data/training/tiny_base/model/model.safetensors",
        "ise_gym/_data/eval/suites/demo-easy.yaml",
    ):
        assert needed in names
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]


def test_the_source_archive_has_what_its_tests_and_its_demo_need(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as held:
        names = {name.partition("/")[2] for name in held.getnames()}
    tracked = run("git", "ls-files", cwd=ROOT).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout: nothing says what belongs to it")
    missing = [name for name in tracked if name not in names and (ROOT / name).is_file()]
    assert missing == []


def test_an_episode_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = PLAY.replace("SITE", repr(str(installed)))
    done = run(installed / "bin" / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ise-os-")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train sft --help", "Usage: ise train sft"),
        ("train recipes", "tiny_cpu"),
        ("eval suite list", "demo-easy"),
        ("eval suite check demo-easy", "64 of 64 scenarios are as frozen"),
        ("claweval run --help", "Usage: ise claweval run"),
        ("tasks list", "file-io/write-note"),
    ],
)
@pytest.mark.parametrize("path", ["", "."])
def test_commands_work_beside_folders_of_the_same_names(
    command: str, words: str, path: str, installed: Path, project: Path
) -> None:
    environment = {"PYTHONPATH": str(project)} if path else {}
    done = run(installed / "bin" / "ise", *command.split(), cwd=project, **environment)
    assert done.returncode == 0 and words in done.stdout, done.stderr


def test_a_recipe_is_found_by_its_name(installed: Path, project: Path) -> None:
    ise = installed / "bin" / "ise"
    wrong = run(ise, "train", "sft", "--config", "tiny_gpu", cwd=project)
    assert wrong.returncode == 2 and "Did you mean 'tiny_cpu'?" in wrong.stderr
    for command, name, key in (("sft", "tiny_cpu", "train.max_step"), ("grpo", "tiny_cpu", "rollout.grup")):
        found = run(ise, "train", command, "--config", name, f"{key}=1", cwd=project)
        assert found.returncode == 2 and f"unknown key '{key}'. Did you mean" in found.stderr, found.stderr


def test_what_make_installs_directly_has_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    wanted = set(project["dependencies"])
    named = {
        name
        for line in re.findall(r"setup\.sh \S+ ([\w,]+)", (ROOT / "Makefile").read_text())
        for name in line.split(",")
    }
    assert "dev" in named
    while named:
        for dependency in extras[named.pop()]:
            if dependency.startswith("ise-gym["):
                named |= Requirement(dependency).extras
            else:
                wanted.add(dependency)
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    allowed = {pin.name.lower(): pin.specifier for pin in pins}
    for requirement in map(Requirement, sorted(wanted)):
        (pin,) = allowed[requirement.name.lower()]
        assert pin.operator == "==" and requirement.specifier.contains(pin.version), requirement
