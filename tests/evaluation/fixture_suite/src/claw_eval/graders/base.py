"""What a grader is."""

import importlib.util
from pathlib import Path


class AbstractGrader:
    def grade(self, messages, dispatches, task, audit_data=None, judge=None) -> None:
        raise NotImplementedError


def load_module(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_peer_grader(task_id, tasks_dir=Path(__file__).parents[3] / "tasks"):
    return load_module(Path(tasks_dir) / task_id / "grader.py", f"peer_{task_id}").Grader
