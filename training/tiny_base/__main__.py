"""``python -m training.tiny_base build --out DIR``: make the tiny base model anew."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path

from training.tiny_base.build import BaseRecipe, build


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and build; every field of `BaseRecipe` is an option."""
    parser = argparse.ArgumentParser(prog="python -m training.tiny_base", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="pretrain the tiny base model and write it to a folder")
    command.add_argument("--out", type=Path, required=True)
    defaults = BaseRecipe()
    for item in fields(BaseRecipe):
        value = getattr(defaults, item.name)
        command.add_argument(f"--{item.name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args(arguments))
    out = given.pop("out")
    given.pop("command")
    facts = build(out, replace(defaults, **given))
    print(f"{facts['parameters']:,} parameters, loss {facts['final_loss']}, written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
