"""Small task files for the tests of the engine."""

from __future__ import annotations

import textwrap
from pathlib import Path

from ise_gym.tasks.file import TaskSpec, load_task

GOOD = """
title: Count words
description: A list gets its number of lines written down.
tier: easy
parameters:
  words: {sample: [ant, bee, cat, dog, eel, fox, gnu, hen, ibis, jay, koi, lynx, mole, newt], size: [4, 6]}
  limit: {integer: [100, 999]}
  target: {value: "{{ root }}/count.txt"}
files:
  - path: "{{ root }}/list.txt"
    content: |
      {% for word in words %}
      {{ word }} {{ limit }}
      {% endfor %}
requests:
  - name: count
    say:
      casual: ["how many lines in {{ root }}/list.txt? put it in {{ target }}"]
      collaborative: ["Could you write the number of lines of {{ root }}/list.txt to {{ target }}?"]
      analytical: ["Write the line count of {{ root }}/list.txt to {{ target }}."]
      formal: ["Please record the number of lines of {{ root }}/list.txt in {{ target }}."]
    subgoals:
      - name: count is right
        checks:
          - text: {path: "{{ target }}", equals: "{{ words | length }}"}
    expert:
      - mistake:
          steps:
            - read: {path: "{{ root }}/lists.txt"}
              fails: true
            - exec: {command: "ls {{ root }}"}
      - exec: {command: "wc -l < {{ root }}/list.txt > {{ target }}"}
        key: true
      - read: {path: "{{ target }}"}
    reply: "{{ target }} holds {{ words | length }}."
  - name: limit
    chance: 0.5
    supersedes: [count]
    say:
      casual: ["make that {{ limit }} in {{ target }}"]
      collaborative: ["Could you put {{ limit }} into {{ target }} instead?"]
      analytical: ["Replace the content of {{ target }} with {{ limit }}."]
      formal: ["Please replace the content of {{ target }} with {{ limit }}."]
    subgoals:
      - name: limit is there
        checks:
          - text: {path: "{{ target }}", equals: "{{ limit }}"}
    expert:
      - write: {path: "{{ target }}", content: "{{ limit }}"}
        key: true
    reply: ["Done, {{ target }} now holds {{ limit }}.", "It holds {{ limit }} now."]
gist: [count the lines of a list of animals, "see how long the list with the {{ words[0] }} is"]
"""


def write_task(folder: Path, text: str = GOOD, name: str = "count-words", domain: str = "file-io") -> Path:
    """Write a task file into ``folder/<domain>/<name>.yaml``."""
    path = folder / domain / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def task_with(folder: Path, *changes: tuple[str, str], name: str = "count-words") -> TaskSpec:
    """Load the good task with some texts replaced; each must be there."""
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return load_task(write_task(folder, text, name))
