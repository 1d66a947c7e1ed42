"""Finds the grader of a task."""

from pathlib import Path

from .base import load_module


def get_grader(task_id, tasks_dir, task_dir=None):
    return load_module(Path(tasks_dir) / task_id / "grader.py", f"grader_{task_id}").Grader()
