"""How every command ends: one voice for mistakes, interruptions and closed pipes.

A `UserError`, and a command line that can't be read, is one line on standard error and exit code 2; an interruption is
one line and 130; a bug keeps its traceback.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from ise_gym.credentials import HIDDEN, split_off
from ise_gym.errors import UserError
from ise_gym.foreign.text import printable

INTERRUPTED = 130
"""Exit code of an interrupted command (128 + SIGINT)."""

_UsageProblem: type[Any] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""Found by name: typer brings a click of its own, or uses the one that is installed, depending on its version."""


class OneVoice(TyperGroup):
    """The root of the commands; whatever ends one of them passes here."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line and exit."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal of another encoding shows what it can
                stream.reconfigure(errors="replace")
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except _UsageProblem as problem:
            given = extra.get("args", args[0] if args else None)
            sys.exit(_refuse(problem, sys.argv[1:] if given is None else given))
        except typer.Abort:  # the end of standard input where a question was asked
            _say("interrupted")
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()
        except UserError as error:
            _say(str(error))
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of our output (head, less) went away, which is not an error of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        return found


@contextmanager
def resumable() -> Iterator[None]:
    """Tell whoever interrupts the block that the same command goes on with it."""
    try:
        yield
    except KeyboardInterrupt:
        _say("interrupted; run the same command again to resume")
        raise typer.Exit(INTERRUPTED) from None


def _say(words: str) -> None:
    print(f"ise: {printable(words)}", file=sys.stderr)


def _refuse(problem: Any, arguments: Sequence[str]) -> int:
    """Print what is wrong with a command line; a group without a command prints its help.

    The parser repeats what it did not expect, which may be a key that a space took from its name.
    """
    context = getattr(problem, "ctx", None)
    if type(problem).__name__ == "NoArgsIsHelpError":
        if context is None:
            print(problem.format_message(), file=sys.stderr)
        else:
            context.get_help()  # with rich, typer prints while it formats
        return int(problem.exit_code)
    path = context.command_path if context is not None else "ise"
    words = " ".join(problem.format_message().split()).removesuffix(".")
    for value in split_off(arguments):
        words = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, words)
    end = "" if words.endswith(("?", "?)")) else "."  # the parser may end with a proposal
    print(
        f"{path}: {words[:1].lower()}{words[1:]}{end} `{path} --help` describes every option.",
        file=sys.stderr,
    )
    return int(problem.exit_code)
