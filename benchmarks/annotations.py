"""How much of the package is typed `Any`: the share of annotated parameters, returns and fields that are bare `Any`.

    python benchmarks/annotations.py [--list]

A parameter counts as `Any` when its annotation is `Any`, or `Any | None`; ``dict[str, Any]`` says at least what it is,
and is counted apart.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "ise_gym"


def annotated(tree: ast.AST) -> Iterator[tuple[str, int, ast.expr]]:
    """Yield (what, line, annotation): parameters, returns, fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            every = (
                *arguments.posonlyargs,
                *arguments.args,
                *arguments.kwonlyargs,
                arguments.vararg,
                arguments.kwarg,
            )
            for argument in every:
                if argument is not None and argument.annotation is not None:
                    yield "parameter", argument.lineno, argument.annotation
            if node.returns is not None:
                yield "return", node.lineno, node.returns
        elif isinstance(node, ast.AnnAssign):
            yield "field", node.lineno, node.annotation


def is_any(annotation: ast.expr) -> bool:
    """Return whether an annotation says nothing: `Any`, or `Any` or None."""
    if isinstance(annotation, ast.BinOp):
        sides = [side for side in (annotation.left, annotation.right) if not isinstance(side, ast.Constant)]
        return bool(sides) and all(map(is_any, sides))
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


def holds_any(annotation: ast.expr) -> bool:
    """Return whether `Any` stands somewhere in an annotation."""
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--list", action="store_true", help="also list where")
    given = parser.parse_args()
    total: Counter[str] = Counter()
    bare: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for file in sorted(PACKAGE.rglob("*.py")):
        for what, line, annotation in annotated(ast.parse(file.read_text(encoding="utf-8"))):
            total[what] += 1
            if is_any(annotation):
                bare[what] += 1
                if given.list:
                    print(f"{file.relative_to(PACKAGE.parent)}:{line}: {what} {ast.unparse(annotation)}")
            elif holds_any(annotation):
                inside[what] += 1
    for what in total:
        share, more = bare[what] / total[what], inside[what] / total[what]
        print(
            f"{what + 's:':12} {bare[what]:4} of {total[what]:5} are Any = {share:.1%}; {more:.1%} more hold it"
        )


if __name__ == "__main__":
    main()
