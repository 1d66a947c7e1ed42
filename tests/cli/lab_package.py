"""The package that docs/contributing.md shows, installed on sys.path as an installer would leave it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "contributing.md"
_BLOCK = re.compile(r"```(?:python|toml)\n# (\S+)\n(.*?)```", re.DOTALL)


def shown_files() -> dict[str, str]:
    """Return file → text of every block of the page that opens with a file's name."""
    return dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))


def install(folder: Path) -> dict[str, str]:
    """Write the package and its metadata below a folder; returns kind → the name that it registers."""
    files = shown_files()
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for name, text in files.items():
        if name.startswith("lab/"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    (folder / "lab" / "__init__.py").touch()
    info = folder / f"lab-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lab\nVersion: {project['version']}\n")
    sections = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(sections))
    return {
        group.removeprefix("ise_gym."): next(iter(points))
        for group, points in project["entry-points"].items()
    }


TASK = """
title: A motto in capitals
description: The motto of a site is written down in capitals.
gist:
  - "hang up the motto of a neighbour"
tier: easy
tools: [{stamp}]
parameters:
  sign: {choice: [door, wall, gate, fence, mast, shed, barn, porch]}
  text: {value: "{{ ['measure twice', 'ask first', 'slow is smooth'][0] }}"}
  number: {integer: [1000, 99999]}
  out: {value: "{{ root }}/{{ sign }}-{{ number }}.txt"}
services:
  motto:
    - host: "motto.{{ root }}.example"
      text: "{{ text }} {{ number }}"
files:
  - path: "{{ root }}/README.txt"
    content: "Signs.\\n"
requests:
  - name: hang
    say:
      casual: ["put the motto of http://motto.{{ root }}.example/ into {{ out }}, all in capitals"]
      collaborative: ["Could you put the motto of http://motto.{{ root }}.example/ into {{ out }}, all in capitals?"]
      analytical: ["Write the line served at http://motto.{{ root }}.example/ to {{ out }}, converted to capitals."]
      formal: ["Please record the motto of http://motto.{{ root }}.example/ in {{ out }}, entirely in capitals."]
    subgoals:
      - name: the motto hangs
        checks:
          - {capitals}: "{{ out }}"
          - text: {path: "{{ out }}", equals: "{{ text | upper }} {{ number }}\\n"}
          - unchanged: "{{ root }}/README.txt"
    expert:
      - exec: {command: "curl -s http://motto.{{ root }}.example/"}
        say: "First what it says."
      - {stamp}: {path: "{{ out }}", text: "{{ text }} {{ number }}"}
        key: true
      - read: {path: "{{ out }}"}
    reply: "{{ out }} says {{ text | upper }} {{ number }}."
"""


def task_text(stamp: str, capitals: str) -> str:
    """Return a task file that uses the tool, the check and the service, by these names."""
    return TASK.replace("{stamp}", stamp).replace("{capitals}", capitals)
