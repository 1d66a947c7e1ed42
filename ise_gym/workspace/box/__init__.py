"""The init of a box: what runs inside every sandbox as its PID 1.

Why it exists: entering a sandbox per command costs tens of milliseconds, and touching its files from
outside follows whatever symlinks were made inside. The init lives inside, under the same user and the same
mount namespace as the commands, so file access can only ever reach what they could reach; and as PID 1 it
sees every orphan, so that a timed-out command's escaped grandchildren can be found and killed.

It is non-dumpable (its memory, environment and descriptors are closed to the commands although they share
its user) and, as PID 1 of its namespace, can be neither killed nor stopped from inside.

Its modules use the standard library only, and C modules where they can, since their start-up time is the
start-up time of a box. They reach it as one file: `source` joins them, so that nothing of this package
needs to be visible inside.
"""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

_MODULES = ("wire", "sweep", "pipes", "launch", "processes", "files", "trees", "ports", "stops", "main")


@cache
def source() -> bytes:
    """Return the init as one Python file: its modules in order, without their imports of each other."""
    parts = ["from __future__ import annotations\n"]
    for name in _MODULES:
        text = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
        lines = text.splitlines(keepends=True)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (
                "ise_gym",
                "__future__",
            ):
                assert node.end_lineno is not None
                for number in range(node.lineno - 1, node.end_lineno):
                    lines[number] = "\n"
                if node.col_offset:  # it may have been all that its block holds
                    lines[node.lineno - 1] = " " * node.col_offset + "pass\n"
        parts += lines
    return "".join(parts).encode()


def compiled(python: str) -> bytes:
    """Return the init as the ``.pyc`` of a given interpreter: it saves a fifth of a box's start."""
    return compile_for(python, source())


@cache
def compile_for(python: str, program_source: bytes) -> bytes:
    """Return a program as the ``.pyc`` of a given interpreter.

    Raises:
        OSError: that interpreter can't be started.
        subprocess.SubprocessError: it did not compile the source.
    """
    program = (
        "import sys, marshal, importlib.util as u\n"
        "code = compile(sys.stdin.buffer.read(), 'init', 'exec', dont_inherit=True)\n"
        "sys.stdout.buffer.write(u.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))\n"
    )
    done = subprocess.run(
        [python, "-I", "-S", "-c", program],
        input=program_source,
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
        env={},
    )
    return done.stdout
