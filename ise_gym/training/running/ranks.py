"""What several processes of one run have to agree on: who decides, who goes first, and that all of them stop.

`torchrun` and `accelerate launch` start the same program several times. Whatever looks at the output folder or writes
to it is done by the first process, whose answer the others get; a user's mistake is then told once and ends all of
them, instead of leaving the rest waiting. In a run of one process all of this is a plain call.

The process group is started by the trainer's arguments (`ise_gym.training.sft.make_arguments`), so they come first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ise_gym.errors import UserError

Answer = TypeVar("Answer")


def is_main() -> bool:
    """Whether this is the first process of the whole run."""
    return bool(_state().is_main_process)


def world_size() -> int:
    """Return the number of processes of the run, on all machines."""
    return int(_state().num_processes)


def wait() -> None:
    """Wait until every process has come here."""
    _state().wait_for_everyone()


def first_decides(work: Callable[[], Answer]) -> Answer:
    """Do ``work`` in the first process only; every process returns its answer (which must pickle).

    Raises:
        UserError: raised by ``work``, in the first process; the others end with code 2 and say nothing.
    """
    box: list[Any] = [None]
    problem = None
    if is_main():
        try:
            box = [work()]
        except UserError as error:
            problem = error
    _agree(problem)
    if world_size() > 1:
        import torch.distributed

        torch.distributed.broadcast_object_list(box, src=0)
    answer: Answer = box[0]
    return answer


def node_by_node(work: Callable[[], Answer]) -> Answer:
    """Do ``work`` first in one process of each machine, then in its others, which find what that one left on disk.

    Raises:
        UserError: raised by ``work``, where it was raised first; the others end with code 2 and say nothing.
    """
    first = _state().is_local_main_process
    answer: list[Answer] = []
    for turn in (True, False) if world_size() > 1 else (True,):
        problem = None
        if first == turn:
            try:
                answer.append(work())
            except UserError as error:
                problem = error
        _agree(problem)
    return answer[0]


def _agree(problem: UserError | None) -> None:
    """Go on in all processes or in none."""
    found: list[bool] = [problem is not None]
    if world_size() > 1:
        import torch.distributed

        found = [False] * world_size()
        torch.distributed.all_gather_object(found, problem is not None)
    if problem is not None:
        raise problem
    if any(found):
        raise SystemExit(2)


def _state() -> Any:
    from accelerate import PartialState

    return PartialState()
